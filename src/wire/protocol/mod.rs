//! Kafka's protocol: bytes to structs and back. Pure; knows neither sockets nor what a request means.
//!
//! - [`apis`] is the list of APIs: key, versions, and the [`Request`] and [`Response`] enums.
//! - [`messages`] holds the structs, one file per API.
//! - [`frame`] puts a header and a body together and takes them apart.
//!
//! Invariant: these structs stop at `handlers/`; nothing below it sees one.

pub mod apis;
pub mod consumer_protocol;
pub mod frame;
pub mod header;
pub mod messages;

pub use apis::{ApiKey, Ask, Request, Response};
pub use frame::FrameError;
pub use header::RequestHeader;
