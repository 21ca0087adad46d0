//! Kafka's protocol: decoding and encoding of requests and responses. Pure.
//!
//! - [`apis`] is the list of APIs: key, versions, and the [`Request`] and [`Response`] enums.
//! - [`messages`] holds the structs, one file per API.
//! - [`frame`] encodes and decodes a header with its body.
//!
//! Invariant: only the broker's `handlers/` and the client use these structs; the layers below do not.

pub mod apis;
pub mod consumer_protocol;
pub mod frame;
pub mod header;
pub mod messages;

pub use apis::{ApiKey, ApiRequest, Request, Response};
pub use frame::FrameError;
pub use header::RequestHeader;
