//! Types that all crates share: ids, times and error codes.

mod error_code;
mod in_order;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

pub use error_code::ErrorCode;
pub use in_order::{InOrder, sort_by, sort_by_key};

/// A record's offset in its partition.
pub type Offset = i64;
/// A partition's number within its topic.
pub type PartitionIndex = i32;
/// Milliseconds since the Unix epoch, as Kafka writes times.
pub type TimestampMs = i64;
/// A partition leader's epoch.
pub type LeaderEpoch = i32;
/// A producer's id, which InitProducerId assigns.
pub type ProducerId = i64;
/// A topic's name; shared, because every partition and every fetch repeats it.
pub type TopicName = Arc<str>;

/// The topic of the cluster's metadata log, which no request can create.
pub const METADATA_TOPIC: &str = "__cluster_metadata";

/// The topics that Kafka itself writes and that Metadata marks as internal.
pub const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether Metadata marks this topic as internal.
pub fn is_internal(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}

/// The producer id of a batch without idempotence.
pub const NO_PRODUCER_ID: ProducerId = -1;
/// The producer epoch that goes with [`NO_PRODUCER_ID`].
pub const NO_PRODUCER_EPOCH: i16 = -1;
/// The base sequence that goes with [`NO_PRODUCER_ID`].
pub const NO_SEQUENCE: i32 = -1;
/// The timestamp of a record without one; message format 0 has none.
pub const NO_TIMESTAMP: TimestampMs = -1;

/// A topic's id, which differs for each topic created with the same name (KIP-516).
pub type TopicId = Uuid;

/// Kafka's 16-byte id, for topics, directories, members and processes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The id in requests that name a topic by name.
    pub const ZERO: Uuid = Uuid([0; 16]);
    /// The id of the metadata topic, `AAAAAAAAAAAAAAAAAAAAAQ`.
    pub const METADATA: Uuid = Uuid([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    /// Whether this is [`Uuid::ZERO`].
    pub fn is_zero(self) -> bool {
        self == Uuid::ZERO
    }

    /// Parses Kafka's text form: 22 characters of url-safe base64 without padding.
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
    /// Writes Kafka's form, which is also the name of the partition's folder: `topic-3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A producer id and its current epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerIdEpoch {
    pub producer_id: ProducerId,
    pub epoch: i16,
}

impl ProducerIdEpoch {
    /// The values of a batch without a producer id.
    pub const NONE: ProducerIdEpoch = ProducerIdEpoch { producer_id: NO_PRODUCER_ID, epoch: NO_PRODUCER_EPOCH };
}

/// The current time, as it is passed to pure state machines.
///
/// Timeouts, sessions and rebalances use `monotonic`; stored times use `wall`. So a step of the system clock, or a
/// suspended machine, does not expire any session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Time since the broker started; never goes back.
    pub monotonic: Duration,
    /// Milliseconds since the Unix epoch; may jump in both directions.
    pub wall: TimestampMs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_parse_from_kafkas_text_form() {
        assert_eq!(TopicId::METADATA.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId::parse("AAAAAAAAAAAAAAAAAAAAAQ"), Some(TopicId::METADATA));
        assert_eq!(TopicId::parse("too-short"), None);
        assert_eq!(TopicId::parse("!!!!!!!!!!!!!!!!!!!!!!"), None);
    }
}
