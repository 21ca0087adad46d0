//! The partition of `__consumer_offsets` for a group.

use ottla_wire::java;

/// The partition whose machine coordinates the group; 0 if `partitions` is not positive.
///
pub fn partition_for(group_id: &str, partitions: i32) -> i32 {
    // Kafka's `abs` returns zero for the one number without a positive counterpart.
    java::string_hash(group_id).checked_abs().unwrap_or(0).checked_rem(partitions.max(0)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::partition_for;

    #[track_caller]
    fn check(group: &str, expect: i32) {
        assert_eq!(partition_for(group, 50), expect);
    }

    #[test]
    fn partition_for_returns_the_partition_of_kafka() {
        check("", 0);
        check("a", 97 % 50);
        check("my-group", 12);
        check("console-consumer-4711", 22);
        check("gruppe-ü", 22);
        check("🦀", 2);
        // The hash is i32::MIN.
        check("polygenelubricants", 0);
    }

    #[test]
    fn partition_for_without_partitions_returns_zero() {
        assert_eq!(partition_for("any", 0), 0);
    }
}
