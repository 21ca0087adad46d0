//! What stands in Kafka's coordinator topics, read and written byte for byte as Apache Kafka does.

mod group;

pub use group::{CommittedOffset, GroupMetadata, GroupRecord, MemberMetadata};
