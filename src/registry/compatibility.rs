//! Compatibility of a new version with earlier ones.

use std::sync::Arc;

use crate::schema::ParsedSchema;

/// The longest text of an earlier schema in a message.
const MAX_SCHEMA_IN_MESSAGE: usize = 10 * 1024;
const DIFFERENT_TYPE: &str = "Incompatible because of different schema type";

/// Which versions a new one must be compatible with, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompatibilityLevel {
    None,
    Backward,
    BackwardTransitive,
    Forward,
    ForwardTransitive,
    Full,
    FullTransitive,
}

impl CompatibilityLevel {
    pub const ALL: [CompatibilityLevel; 7] = [
        CompatibilityLevel::None,
        CompatibilityLevel::Backward,
        CompatibilityLevel::BackwardTransitive,
        CompatibilityLevel::Forward,
        CompatibilityLevel::ForwardTransitive,
        CompatibilityLevel::Full,
        CompatibilityLevel::FullTransitive,
    ];

    pub fn name(self) -> &'static str {
        match self {
            CompatibilityLevel::None => "NONE",
            CompatibilityLevel::Backward => "BACKWARD",
            CompatibilityLevel::BackwardTransitive => "BACKWARD_TRANSITIVE",
            CompatibilityLevel::Forward => "FORWARD",
            CompatibilityLevel::ForwardTransitive => "FORWARD_TRANSITIVE",
            CompatibilityLevel::Full => "FULL",
            CompatibilityLevel::FullTransitive => "FULL_TRANSITIVE",
        }
    }

    /// Finds a level by its name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<CompatibilityLevel> {
        CompatibilityLevel::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name))
    }

    /// Whether all earlier versions count, not only the latest one.
    pub fn is_transitive(self) -> bool {
        use CompatibilityLevel::{BackwardTransitive, ForwardTransitive, FullTransitive};
        matches!(self, BackwardTransitive | ForwardTransitive | FullTransitive)
    }

    /// Whether the new schema must read what the earlier ones wrote.
    fn reads_old(self) -> bool {
        use CompatibilityLevel::{Backward, BackwardTransitive, Full, FullTransitive};
        matches!(self, Backward | BackwardTransitive | Full | FullTransitive)
    }

    /// Whether earlier schemas must read what the new one wrote.
    fn is_read_by_old(self) -> bool {
        use CompatibilityLevel::{Forward, ForwardTransitive, Full, FullTransitive};
        matches!(self, Forward | ForwardTransitive | Full | FullTransitive)
    }
}

/// An earlier version of a subject.
#[derive(Clone, Debug)]
pub struct EarlierVersion {
    pub version: i32,
    pub schema: Arc<ParsedSchema>,
}

/// Returns why `new` is not compatible with earlier versions; nothing if it is. With `lenient`, changes of the content models of
/// JSON schemas are compatible (Confluent's policy LENIENT). `earlier` yields the versions from the latest
/// on, and is asked for no more of them than the level needs. The first one that is not compatible ends the check.
pub fn check<E>(
    level: CompatibilityLevel,
    lenient: bool,
    new: &ParsedSchema,
    earlier: impl IntoIterator<Item = Result<EarlierVersion, E>>,
) -> Result<Vec<String>, E> {
    let count = match level {
        CompatibilityLevel::None => 0,
        level if level.is_transitive() => usize::MAX,
        _ => 1,
    };
    for version in earlier.into_iter().take(count) {
        let messages = check_one(level, lenient, new, &version?);
        if !messages.is_empty() {
            return Ok(messages);
        }
    }
    Ok(Vec::new())
}

fn check_one(level: CompatibilityLevel, lenient: bool, new: &ParsedSchema, earlier: &EarlierVersion) -> Vec<String> {
    let old = &earlier.schema;
    if old.schema_type() != new.schema_type() {
        return vec![DIFFERENT_TYPE.to_owned()];
    }
    let mut messages = Vec::new();
    if level.is_read_by_old() {
        messages.extend(old.differences(new, lenient, "old", "new"));
    }
    let mut names_old = !messages.is_empty() && !level.reads_old();
    if level.reads_old() {
        let found = new.differences(old, lenient, "new", "old");
        names_old = !found.is_empty();
        messages.extend(found);
    }
    if names_old {
        messages.push(format!("{{oldSchemaVersion: {}}}", earlier.version));
        messages.push(old_schema(old.canonical()));
    }
    messages
}

fn old_schema(text: &str) -> String {
    if text.encode_utf16().count() <= MAX_SCHEMA_IN_MESSAGE {
        return format!("{{oldSchema: '{text}'}}");
    }
    let mut units = 0;
    let start: String = text
        .chars()
        .take_while(|char| {
            units += char.len_utf16();
            units <= MAX_SCHEMA_IN_MESSAGE
        })
        .collect();
    format!("{{oldSchema: <truncated> '{start}...'}}")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::schema::{SchemaType, Validation};

    fn parse(text: &str) -> Arc<ParsedSchema> {
        Arc::new(ParsedSchema::parse(SchemaType::Avro, text, &[], Validation::New).unwrap())
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    const A: &str = r#"{"name":"a","type":"int"}"#;
    const A_AND_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#;
    const A_AND_DEFAULT_B: &str = r#"{"name":"a","type":"int"},{"name":"b","type":"int","default":1}"#;

    /// Checks a schema against versions, the oldest first.
    fn checked(level: CompatibilityLevel, new: &str, old: &[&str]) -> Vec<String> {
        let earlier: Vec<(&&str, i32)> = old.iter().zip(1..).collect();
        let earlier = earlier
            .into_iter()
            .rev()
            .map(|(fields, version)| Ok::<_, Infallible>(EarlierVersion { version, schema: parse(&record(fields)) }));
        check(level, false, &parse(&record(new)), earlier).unwrap()
    }

    #[test]
    fn levels_decide_on_direction_and_versions() {
        use CompatibilityLevel::*;
        for (new, old, compatible) in [
            (A_AND_B, &[A][..], &[None, Forward, ForwardTransitive][..]),
            (A, &[A_AND_B], &[None, Backward, BackwardTransitive]),
            (A_AND_DEFAULT_B, &[A], &CompatibilityLevel::ALL[..]),
            // Only the first version differs.
            (A_AND_B, &[A, A_AND_B], &[None, Backward, Forward, ForwardTransitive, Full]),
            (A, &[A_AND_B, A], &[None, Backward, BackwardTransitive, Forward, Full]),
            (A, &[], &CompatibilityLevel::ALL[..]),
        ] {
            for level in CompatibilityLevel::ALL {
                let messages = checked(level, new, old);
                assert_eq!(messages.is_empty(), compatible.contains(&level), "{level:?} {new} {old:?} {messages:?}");
            }
        }
    }

    #[test]
    fn messages_name_the_old_version() {
        let old = record(A);
        assert_eq!(
            checked(CompatibilityLevel::Backward, A_AND_B, &[A]),
            [
                "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at path '/fields/1' in the \
                 new schema has no default value and is missing in the old schema', additionalInfo:'b'}"
                    .to_owned(),
                "{oldSchemaVersion: 1}".to_owned(),
                format!("{{oldSchema: '{old}'}}"),
            ]
        );
        // With the level FULL, only the new schema as a reader is a reason to name it.
        let full = checked(CompatibilityLevel::Full, A, &[A_AND_B]);
        assert_eq!(full.len(), 1, "{full:?}");
        assert!(full[0].contains("in the old schema has no default value and is missing in the new schema"));
        assert_eq!(checked(CompatibilityLevel::Forward, A, &[A_AND_B]).len(), 3);
    }

    #[test]
    fn long_old_schema_is_truncated() {
        assert_eq!(old_schema("abc"), "{oldSchema: 'abc'}");
        let long = old_schema(&"a".repeat(MAX_SCHEMA_IN_MESSAGE + 1));
        assert!(long.starts_with("{oldSchema: <truncated> 'aaa") && long.ends_with("a...'}"));
    }

    #[test]
    fn names_of_levels_are_found_in_any_case() {
        for level in CompatibilityLevel::ALL {
            assert_eq!(CompatibilityLevel::from_name(&level.name().to_lowercase()), Some(level));
        }
        assert_eq!(CompatibilityLevel::from_name("sideways"), None);
    }
}
