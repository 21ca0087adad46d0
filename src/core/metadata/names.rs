//! Which names a topic may have.

/// The longest name, so that `<topic>-<partition>` and what deletion adds fit a file system's 255.
const MAX_LENGTH: usize = 249;

pub use ottla_wire::types::METADATA_TOPIC;

/// Checks a topic's name by Kafka's rules; the error says what is wrong with it, as Kafka does.
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

/// The form in which names collide that differ only in `.` and `_`, as metrics take them for the
/// same. None for names that have neither and so collide with nothing.
pub(super) fn collision_key(name: &str) -> Option<Box<str>> {
    name.contains(['.', '_']).then(|| name.replace('.', "_").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_pass() {
        for name in ["a", "_", "-", "a.b_c-D9", "__consumer_offsets", "...", &"x".repeat(249)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
    }

    #[test]
    fn names_that_fail() {
        for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", "a:b", &"x".repeat(250)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn dots_and_underscores_are_one() {
        assert_eq!(collision_key("a.b_c"), collision_key("a_b.c"));
        assert_eq!(collision_key("ab-c"), None);
    }
}
