//! The iteration order of Java's hash maps, as far as only the tools need it.

pub use ottla_wire::java::{sort_as_hash_map, sort_by_name};

use ottla_wire::java::string_hash;

/// Computes `org.apache.kafka.common.TopicPartition.hashCode`.
pub fn topic_partition_hash(topic: &str, partition: i32) -> i32 {
    31i32.wrapping_add(partition).wrapping_mul(31).wrapping_add(string_hash(topic))
}
