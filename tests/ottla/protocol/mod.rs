//! Kafka's wire format: schemas, versions, and messages that are read and written again.

mod conformance;
mod differential;
mod roundtrip;
mod versions;
