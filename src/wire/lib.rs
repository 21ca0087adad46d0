//! Kafka's binary formats: requests, responses and records, in every version.
//!
//! Pure: no files, no network, no clock, no runtime.
//!
//! | module | contents |
//! |---|---|
//! | [`types`] | ids, times, error codes |
//! | [`codec`] | wire primitives and the schema macro |
//! | [`protocol`] | a struct for each API's requests and responses |
//! | [`java`] | functions whose results must equal those of Java's classes |
//! | [`record`] | record batches: verification, building, compression, old formats |

pub mod codec;
pub mod java;
pub mod protocol;
pub mod record;
pub mod types;
