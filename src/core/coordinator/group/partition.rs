//! Which partition of `__consumer_offsets` a group lives on.

/// The partition, below `partitions`, whose machine coordinates the group; 0 if there are none.
///
/// Kafka hashes as Java's `String.hashCode`, over UTF-16 units, so that both find the same place.
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    let hash = group_id.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    // Kafka's `abs` takes the one number that has no positive counterpart to zero.
    hash.checked_abs().unwrap_or(0).checked_rem(partitions.max(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition_for;

    #[track_caller]
    fn check(group: &str, expect: i32) {
        assert_eq!(partition_for(group, 50), expect);
    }

    #[test]
    fn groups_land_where_java_puts_them() {
        check("", 0);
        check("a", 97 % 50);
        check("my-group", 12);
        check("console-consumer-4711", 22);
        check("gruppe-ü", 22);
        check("🦀", 2);
        // Hashes to the smallest number.
        check("polygenelubricants", 0);
    }

    #[test]
    fn a_topic_without_partitions_does_not_divide_by_zero() {
        assert_eq!(partition_for("any", 0), 0);
    }
}
