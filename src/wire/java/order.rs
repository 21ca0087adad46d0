//! The iteration order of Java's hash maps.
//!
//! Kafka's tools print topics, settings and partitions in that order, and some responses have it. It is the same in every
//! run, so scripts and tests may depend on it.

use super::string_hash;
use crate::types::sort_by_key;

/// Sorts items in the iteration order of a `java.util.HashMap` that they were added to. `capacity` is the initial
/// capacity of the map; Java's default is 16.
pub fn sort_as_hash_map<T>(items: &mut [T], capacity: usize, hash: impl Fn(&T) -> i32) {
    let mut buckets = capacity.next_power_of_two();
    while items.len() > buckets * 3 / 4 {
        buckets *= 2;
    }
    let mask = u32::try_from(buckets - 1).unwrap_or(u32::MAX);
    // A stable sort: items of one bucket keep the order in which they were added.
    sort_by_key(items, |item| {
        let hash = hash(item).cast_unsigned();
        (hash ^ (hash >> 16)) & mask
    });
}

/// Sorts items by name, in the iteration order of a `java.util.HashMap` with the names as keys.
pub fn sort_by_name<T>(items: &mut [T], name: impl Fn(&T) -> &str) {
    sort_as_hash_map(items, 16, |item| string_hash(name(item)));
}

/// Computes `org.apache.kafka.common.TopicPartition.hashCode`.
pub fn topic_partition_hash(topic: &str, partition: i32) -> i32 {
    31i32.wrapping_add(partition).wrapping_mul(31).wrapping_add(string_hash(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_sorted_as_a_hash_map_iterates() {
        let check = |capacity, items: &[&str], expect: &[&str]| {
            let mut sorted = items.to_vec();
            sort_as_hash_map(&mut sorted, capacity, |item| string_hash(item));
            assert_eq!(sorted, expect);
        };
        check(16, &["b", "a"], &["a", "b"]);
        check(1, &["a"], &["a"]);
    }
}
