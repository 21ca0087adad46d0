//! The internal topics, with the settings that Kafka creates them with.

use super::commands::NewTopic;
use ottla_wire::types::TopicId;

/// `__consumer_offsets`: committed offsets and groups.
pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
/// `__transaction_state`: transactions.
pub const TRANSACTION_STATE: &str = "__transaction_state";

/// Always one replica, whatever is configured: there is one broker, and a client whose group or transaction needs the
/// topic could not resolve an error.
const REPLICATION_FACTOR: i16 = 1;

impl NewTopic {
    /// `__consumer_offsets` (`offsets.topic.num.partitions`, `offsets.topic.segment.bytes`).
    pub fn consumer_offsets(id: TopicId, partitions: i32, segment_bytes: u32) -> NewTopic {
        let configs = [("cleanup.policy", "compact"), ("compression.type", "producer")];
        NewTopic::internal(CONSUMER_OFFSETS, id, partitions, segment_bytes, &configs)
    }

    /// `__transaction_state` (`transaction.state.log.num.partitions`,
    /// `transaction.state.log.segment.bytes`).
    pub fn transaction_state(id: TopicId, partitions: i32, segment_bytes: u32) -> NewTopic {
        let configs = [
            ("cleanup.policy", "compact"),
            ("compression.type", "uncompressed"),
            ("min.insync.replicas", "1"),
            ("unclean.leader.election.enable", "false"),
        ];
        NewTopic::internal(TRANSACTION_STATE, id, partitions, segment_bytes, &configs)
    }

    fn internal(name: &str, id: TopicId, partitions: i32, segment_bytes: u32, policy: &[(&str, &str)]) -> NewTopic {
        let mut configs = vec![("segment.bytes".to_owned(), Some(segment_bytes.to_string()))];
        configs.extend(policy.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))));
        NewTopic { partitions, replication_factor: REPLICATION_FACTOR, configs, ..NewTopic::new(name, id) }
    }
}
