//! Committed offsets: Apache Kafka's `OffsetMetadataManager`.

mod commit;
mod delete;
mod expiry;
mod store;

pub(super) use self::store::OffsetStore;
