//! Kafka's wire format: schemas, versions and round trips of messages.

mod conformance;
mod differential;
mod roundtrip;
mod versions;
