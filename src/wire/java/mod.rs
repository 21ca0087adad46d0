//! What Java's classes compute, where Kafka's results depend on them.

mod duration;
mod number;
mod order;

pub use duration::parse_duration_ms;
pub use number::{double, float};
pub use order::{sort_as_hash_map, sort_by_name, topic_partition_hash};

/// `String.hashCode`: over UTF-16 units.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::string_hash;

    #[test]
    fn string_hash_returns_the_hash_of_java() {
        let check = |text, expect| assert_eq!(string_hash(text), expect, "{text}");
        check("", 0);
        check("a", 97);
        check("cleanup.policy", -537_988_164);
        check("retention.ms", -1_339_220_362);
        check("polygenelubricants", i32::MIN);
    }
}
