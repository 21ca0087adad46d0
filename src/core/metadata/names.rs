//! Rules for topic names.

/// The maximum length of a name. `<topic>-<partition>` and the suffix of deleted folders must fit into 255 bytes.
const MAX_LENGTH: usize = 249;

pub use ottla_wire::types::METADATA_TOPIC;

/// Checks a topic name by Kafka's rules. The error has Kafka's text.
pub fn check(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let problem = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.len() > MAX_LENGTH => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LENGTH}")
        }
        _ if !name.chars().all(legal) => {
            format!("'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'")
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {problem}"))
}

/// The key by which names collide that differ only in `.` and `_` (Kafka's metric names replace one by the other).
/// `None` for names without these characters, which cannot collide.
pub(super) fn collision_key(name: &str) -> Option<Box<str>> {
    name.contains(['.', '_']).then(|| name.replace('.', "_").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legal_topic_names_are_accepted() {
        for name in ["a", "_", "-", "a.b_c-D9", "__consumer_offsets", "...", &"x".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn illegal_topic_names_are_rejected() {
        for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", "a:b", &"x".repeat(250)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn names_that_differ_in_dots_and_underscores_have_the_same_collision_key() {
        assert_eq!(collision_key("a.b_c"), collision_key("a_b.c"));
        assert_eq!(collision_key("ab-c"), None);
    }
}
