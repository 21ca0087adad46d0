//! Subject name strategies: under which subject the schema of a record's key or value is looked for.

use std::fmt;

/// A strategy of Confluent's serializers, as `confluent.value.subject.name.strategy` and its counterpart for keys name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SubjectNameStrategy {
    /// The topic with `-key` or `-value`.
    #[default]
    TopicName,
    /// The full name of the record.
    RecordName,
    /// The topic and the full name of the record.
    TopicRecordName,
}

const PACKAGE: &str = "io.confluent.kafka.serializers.subject.";

impl SubjectNameStrategy {
    pub const ALL: [SubjectNameStrategy; 3] =
        [SubjectNameStrategy::TopicName, SubjectNameStrategy::RecordName, SubjectNameStrategy::TopicRecordName];

    /// Reads the name of a Java class with its package.
    pub fn from_class_name(name: &str) -> Option<SubjectNameStrategy> {
        SubjectNameStrategy::ALL.into_iter().find(|strategy| name.strip_prefix(PACKAGE) == Some(strategy.simple_name()))
    }

    fn simple_name(self) -> &'static str {
        match self {
            SubjectNameStrategy::TopicName => "TopicNameStrategy",
            SubjectNameStrategy::RecordName => "RecordNameStrategy",
            SubjectNameStrategy::TopicRecordName => "TopicRecordNameStrategy",
        }
    }

    /// Whether the subject depends on the schema.
    pub fn uses_schema(self) -> bool {
        self != SubjectNameStrategy::TopicName
    }

    /// Returns the subject of a key or a value. `record_name` is the schema's (`ParsedSchema::record_name`). Returns `None` if
    /// the strategy needs a record, and the schema is none.
    pub fn subject(self, topic: &str, is_key: bool, record_name: Option<&str>) -> Option<String> {
        match self {
            SubjectNameStrategy::TopicName => Some(format!("{topic}-{}", if is_key { "key" } else { "value" })),
            SubjectNameStrategy::RecordName => record_name.map(str::to_owned),
            SubjectNameStrategy::TopicRecordName => record_name.map(|name| format!("{topic}-{name}")),
        }
    }
}

impl fmt::Display for SubjectNameStrategy {
    /// Writes the name of the Java class.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PACKAGE}{}", self.simple_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_those_of_confluents_strategies() {
        let [topic, record, both] = SubjectNameStrategy::ALL;
        assert_eq!(topic.subject("t", true, Some("n.R")).as_deref(), Some("t-key"));
        assert_eq!(topic.subject("t", false, None).as_deref(), Some("t-value"));
        assert_eq!(record.subject("t", false, Some("n.R")).as_deref(), Some("n.R"));
        assert_eq!(both.subject("t", true, Some("n.R")).as_deref(), Some("t-n.R"));
        assert_eq!((record.subject("t", true, None), both.subject("t", true, None)), (None, None));
    }

    #[test]
    fn strategies_are_known_by_the_names_of_their_classes() {
        for strategy in SubjectNameStrategy::ALL {
            assert_eq!(SubjectNameStrategy::from_class_name(&strategy.to_string()), Some(strategy));
        }
        assert_eq!(
            SubjectNameStrategy::TopicName.to_string(),
            "io.confluent.kafka.serializers.subject.TopicNameStrategy"
        );
        assert_eq!(SubjectNameStrategy::from_class_name("TopicNameStrategy"), None);
        assert_eq!(SubjectNameStrategy::from_class_name("com.example.Own"), None);
    }
}
