//! The words every room shares: identities, times and error codes. No dependencies on other rooms.

mod error_code;
mod in_order;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use error_code::ErrorCode;
pub use in_order::{InOrder, sort_by, sort_by_key};

/// A record's place in its partition.
pub type Offset = i64;
/// A partition's number within its topic.
pub type PartitionIndex = i32;
/// Milliseconds since the Unix epoch, as Kafka writes times.
pub type TimestampMs = i64;
/// A partition leader's epoch.
pub type LeaderEpoch = i32;
/// A producer's id, as InitProducerId hands it out.
pub type ProducerId = i64;
/// A topic's name; shared, because every partition and every fetch repeats it.
pub type TopicName = Arc<str>;

/// The topic of the cluster's metadata log. No request can create it.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The topics that Kafka itself writes and that clients are told are internal.
pub const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether Metadata marks this topic as internal.
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// "No producer": what a batch without idempotence carries.
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The producer epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The base sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;
/// "No timestamp", as message format 0 has none.
pub const NO_TIMESTAMP: TimestampMs = -1;

/// A topic's identity across recreations of its name (KIP-516).
pub type TopicId = Uuid;

/// Kafka's 16-byte id, for topics, directories, members and processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// "No id": what requests by name carry.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The metadata topic's own id, `AAAAAAAAAAAAAAAAAAAAAQ`.
    pub const METADATA: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// Whether this stands for "no id".
    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }

    /// Reads Kafka's text form: 22 characters of url-safe base64 without padding.
    pub fn parse(text: &str) -> Option<Uuid> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        Some(Uuid(bytes.try_into().ok()?))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A partition by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: TopicName,
    pub partition: PartitionIndex,
}

impl TopicPartition {
    pub fn new(topic: impl Into<TopicName>, partition: PartitionIndex) -> Self {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    /// As Kafka writes it and names its folders: `topic-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A producer and the incarnation of it that may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerIdEpoch {
    pub producer_id: ProducerId,
    pub epoch: i16,
}

impl ProducerIdEpoch {
    /// What a record written without a producer id carries.
    pub const NONE: ProducerIdEpoch = ProducerIdEpoch { producer_id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
}

/// The time as a pure machine is told it.
///
/// Waits, sessions and rebalances run on `monotonic`; what is written down is `wall`. So a step of
/// the system's clock, or a machine that slept, evicts nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the broker started; never goes back.
    pub monotonic: Duration,
    /// Milliseconds since the Unix epoch; may step either way.
    pub wall: TimestampMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_read_as_kafka_writes_them() {
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAAQ"), Some(TopicId::METADATA));
        assert_eq!(TopicId::parse("too-short"), None);
        assert_eq!(TopicId::parse("!!!!!!!!!!!!!!!!!!!!!!"), None);
    }
}
