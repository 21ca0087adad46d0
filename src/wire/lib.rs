//! Kafka's binary formats: requests, responses and records, in every version.
//!
//! Pure: no files, no network, no clock, no runtime.
//!
//! | module | what it holds |
//! |---|---|
//! | [`types`] | identities, times, error codes |
//! | [`codec`] | wire primitives and the schema macro |
//! | [`protocol`] | a struct for each API's requests and responses |
//! | [`java`] | what Java's classes compute, where Kafka depends on it |
//! | [`record`] | record batches: verification, building, compression, old formats |

pub mod codec;
pub mod java;
pub mod protocol;
pub mod record;
pub mod types;
