//! Checks of records by the registered schemas (`confluent.value.schema.validation` of a topic, and its counterpart for keys).
//!
//! A key or a value must begin with the id of a schema that is registered under its subject. If values are checked, too,
//! the rest must be a value of the schema. Null passes, as a tombstone has no schema. Subjects are those of the default
//! context, as in Confluent's broker.
//!
//! A [`Validator`] is for one batch. It asks the [`SchemaIndex`], which needs no registry; only a schema that must be parsed
//! needs a snapshot. What it has found about a schema, it keeps for the records after it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::codec::{Framed, KEY_SCHEMA_ID_HEADER, SchemaIdentifier, VALUE_SCHEMA_ID_HEADER};
use crate::schema::ParsedSchema;
use crate::store::{Registry, SchemaIndex, StoredSchema};
use crate::subject::DEFAULT_CONTEXT;
use crate::subject_name::SubjectNameStrategy;

/// The number of schemas, and of messages of each, about which a validator remembers what it has found.
pub const MAX_REMEMBERED: usize = 64;
/// The longest reason in bytes.
const MAX_REASON: usize = 300;

/// What is checked of the records of a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ValidationRules {
    /// The strategy for the subjects of keys; `None` if keys are not checked.
    pub key: Option<SubjectNameStrategy>,
    /// The same for values.
    pub value: Option<SubjectNameStrategy>,
    /// Whether keys and values must decode by their schemas.
    pub decodes: bool,
}

/// Where schemas are found.
pub trait Schemas {
    fn index(&self) -> &SchemaIndex;

    /// A snapshot that has what the index has.
    fn snapshot(&self) -> Registry;
}

/// Checks the records of a batch.
pub struct Validator<'a> {
    schemas: &'a dyn Schemas,
    key: Option<Part<'a>>,
    value: Option<Part<'a>>,
}

/// The check of keys, or of values.
struct Part<'a> {
    topic: &'a str,
    is_key: bool,
    strategy: SubjectNameStrategy,
    decodes: bool,
    known: HashMap<SchemaIdentifier, Result<Known, String>>,
}

/// What is known about a schema.
struct Known {
    /// The registered schema, if the check needs it.
    parsed: Option<Arc<ParsedSchema>>,
    /// Whether the schema is registered under the subject of a message. Protobuf schemas may have several.
    by_message: HashMap<Vec<i32>, Result<(), String>>,
}

impl<'a> Validator<'a> {
    pub fn new(schemas: &'a dyn Schemas, topic: &'a str, rules: ValidationRules) -> Validator<'a> {
        let ValidationRules { key, value, decodes } = rules;
        let part = |is_key: bool, strategy: Option<SubjectNameStrategy>| {
            strategy.map(|strategy| Part { topic, is_key, strategy, decodes, known: HashMap::new() })
        };
        Validator { schemas, key: part(true, key), value: part(false, value) }
    }

    /// Checks a record. `header` returns the value of the record's last header with a name. The error is a reason of at most
    /// 300 bytes.
    pub fn check<'r>(
        &mut self,
        key: Option<&'r [u8]>,
        value: Option<&'r [u8]>,
        header: impl Fn(&str) -> Option<&'r [u8]>,
    ) -> Result<(), String> {
        let named = |name: &'static str, reason: String| {
            let mut reason = format!("the {name} fails schema validation: {reason}");
            let end = (0..=MAX_REASON).rev().find(|at| reason.is_char_boundary(*at));
            reason.truncate(end.unwrap_or_default());
            reason
        };
        if let (Some(part), Some(bytes)) = (&mut self.key, key) {
            part.check(self.schemas, header(KEY_SCHEMA_ID_HEADER), bytes).map_err(|reason| named("key", reason))?;
        }
        if let (Some(part), Some(bytes)) = (&mut self.value, value) {
            part.check(self.schemas, header(VALUE_SCHEMA_ID_HEADER), bytes).map_err(|reason| named("value", reason))?;
        }
        Ok(())
    }
}

impl Part<'_> {
    fn check(&mut self, schemas: &dyn Schemas, header: Option<&[u8]>, bytes: &[u8]) -> Result<(), String> {
        let framed = Framed::read(header, bytes).map_err(|error| error.to_string())?;
        let identifier = framed.schema;
        if !self.known.contains_key(&identifier) {
            if self.known.len() >= MAX_REMEMBERED {
                self.known.clear();
            }
            let found = self.find(schemas, identifier);
            self.known.insert(identifier, found);
        }
        let (strategy, topic, is_key, decodes) = (self.strategy, self.topic, self.is_key, self.decodes);
        let known = match self.known.get_mut(&identifier) {
            Some(Ok(known)) => known,
            Some(Err(reason)) => return Err(reason.clone()),
            None => return Ok(()),
        };
        let Some(parsed) = &known.parsed else { return Ok(()) };
        let (indexes, payload) = framed.payload(parsed.schema_type()).map_err(|error| error.to_string())?;
        if strategy.uses_schema() {
            if !known.by_message.contains_key(&indexes) {
                if known.by_message.len() >= MAX_REMEMBERED {
                    known.by_message.clear();
                }
                let name = parsed.record_name(&indexes);
                let subject = strategy.subject(topic, is_key, name.as_deref());
                let result = match subject {
                    Some(subject) => check_registered(schemas, &subject, identifier).map(|_| ()),
                    None => Err(format!("{identifier} has no record name, which {strategy} needs")),
                };
                known.by_message.insert(indexes.clone(), result);
            }
            known.by_message.get(&indexes).cloned().unwrap_or(Ok(()))?;
        }
        if decodes {
            let decoded = parsed.decodes(&indexes, payload);
            decoded.map_err(|error| format!("it does not decode by {identifier}: {error}"))?;
        }
        Ok(())
    }

    /// Finds the schema, under its subject if that does not depend on the schema.
    fn find(&self, schemas: &dyn Schemas, identifier: SchemaIdentifier) -> Result<Known, String> {
        let read = |schema: &StoredSchema| {
            parsed(schemas, schema).map_err(|reason| format!("{identifier} cannot be read: {reason}"))
        };
        let parsed = match self.strategy.subject(self.topic, self.is_key, None) {
            Some(subject) => {
                let found = check_registered(schemas, &subject, identifier)?;
                if self.decodes { Some(read(&found)?) } else { None }
            }
            None => Some(match in_memory(schemas, identifier) {
                Some(parsed) => parsed,
                None => {
                    let found = by_identifier(&schemas.snapshot(), identifier);
                    read(&*found.ok_or_else(|| format!("{identifier} is not registered"))?)?
                }
            }),
        };
        Ok(Known { parsed, by_message: HashMap::new() })
    }
}

fn check_registered(
    schemas: &dyn Schemas,
    subject: &str,
    identifier: SchemaIdentifier,
) -> Result<Arc<StoredSchema>, String> {
    let found = schemas.index().find(subject, identifier);
    found.ok_or_else(|| format!("{identifier} is not registered under the subject {subject}"))
}

/// A schema of the default context, under any subject.
fn by_identifier(registry: &Registry, identifier: SchemaIdentifier) -> Option<Arc<StoredSchema>> {
    let id = match identifier {
        SchemaIdentifier::Id(id) => id,
        SchemaIdentifier::Guid(guid) => registry.state().id_of(DEFAULT_CONTEXT, &guid)?,
    };
    registry.state().by_id(DEFAULT_CONTEXT, id).cloned()
}

/// A parsed schema of the default context, which may be registered no more.
fn in_memory(schemas: &dyn Schemas, identifier: SchemaIdentifier) -> Option<Arc<ParsedSchema>> {
    match identifier {
        SchemaIdentifier::Id(id) => schemas.index().parsed_by_id(DEFAULT_CONTEXT, id),
        SchemaIdentifier::Guid(_) => None,
    }
}

fn parsed(schemas: &dyn Schemas, schema: &StoredSchema) -> Result<Arc<ParsedSchema>, String> {
    match schemas.index().parsed(schema) {
        Some(parsed) => Ok(parsed),
        None => schemas.snapshot().parsed_schema(schema).map_err(|error| error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::frame;
    use crate::schema::SchemaType;
    use crate::store::RegistrySettings;

    /// A registry that counts snapshots.
    struct Counted {
        registry: Registry,
        index: Arc<SchemaIndex>,
        snapshots: std::cell::Cell<usize>,
    }

    impl Schemas for Counted {
        fn index(&self) -> &SchemaIndex {
            &self.index
        }

        fn snapshot(&self) -> Registry {
            self.snapshots.set(self.snapshots.get() + 1);
            self.registry.clone()
        }
    }

    const USER: &str = r#"{"type":"record","name":"User","namespace":"n","fields":[{"name":"a","type":"string"}]}"#;
    const PROTO: &str = "syntax = \"proto3\"; package p; message A { string a = 1; } message B { int32 b = 1; }";

    /// Each schema has its number in the list as its id.
    fn schemas(registered: &[(&str, &str, &str)]) -> Counted {
        let mut registry = Registry::new(RegistrySettings::default());
        for (id, (subject, schema_type, schema)) in (1..).zip(registered) {
            let key = format!(r#"{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}"#);
            let schema = crate::json::quote(schema);
            let value = format!(
                r#"{{"subject":"{subject}","version":1,"id":{id},"schemaType":"{schema_type}","schema":{schema},"deleted":false}}"#
            );
            registry.replay(key.as_bytes(), Some(value.as_bytes()), 0).unwrap();
        }
        Counted { index: registry.index(), registry, snapshots: Default::default() }
    }

    fn framed(id: i32, rest: &[u8]) -> Vec<u8> {
        [&frame(SchemaIdentifier::Id(id), SchemaType::Avro, &[])[..], rest].concat()
    }

    fn values(strategy: SubjectNameStrategy, decodes: bool) -> ValidationRules {
        ValidationRules { key: None, value: Some(strategy), decodes }
    }

    #[track_caller]
    fn check(schemas: &Counted, rules: ValidationRules, value: &[u8], expect: Result<(), &str>) {
        let checked = Validator::new(schemas, "t", rules).check(None, Some(value), |_| None);
        let expect = expect.map_err(|reason| format!("the value fails schema validation: {reason}"));
        assert_eq!(checked, expect);
    }

    #[test]
    fn id_must_be_registered_under_the_topics_subject() {
        let schemas =
            schemas(&[("t-value", "AVRO", USER), ("t-key", "AVRO", "\"int\""), (":.c:t-value", "AVRO", USER)]);
        let rules = values(SubjectNameStrategy::TopicName, false);
        check(&schemas, rules, &framed(1, b"not Avro"), Ok(()));
        for id in [2, 3, 9] {
            let reason = format!("the schema with the id {id} is not registered under the subject t-value");
            check(&schemas, rules, &framed(id, b""), Err(&reason));
        }
        check(&schemas, rules, b"{}", Err("there is no schema id: the first byte is 123, not 0 or 1"));
        check(&schemas, rules, b"", Err("there is no schema id: 0 bytes are too few"));
        assert_eq!(schemas.snapshots.get(), 0);
    }

    #[test]
    fn keys_and_values_are_checked_by_their_own_rules_and_null_passes() {
        let schemas = schemas(&[("t-value", "AVRO", USER), ("t-key", "AVRO", "\"int\"")]);
        let topic = Some(SubjectNameStrategy::TopicName);
        let both = ValidationRules { key: topic, value: topic, decodes: false };
        let (key, value) = (framed(2, &[2]), framed(1, &[2, b'x']));
        let check = |rules, key, value| Validator::new(&schemas, "t", rules).check(key, value, |_| None);
        assert_eq!(check(both, Some(&key), Some(&value)), Ok(()));
        assert_eq!(check(both, None, None), Ok(()));
        assert_eq!(check(both, Some(&key), None), Ok(()));
        let swapped = check(both, Some(&value), Some(&key)).unwrap_err();
        assert_eq!(
            swapped,
            "the key fails schema validation: the schema with the id 1 is not registered under the subject t-key"
        );
        assert_eq!(check(ValidationRules { key: None, ..both }, Some(b"plain"), Some(&value)), Ok(()));
        assert_eq!(check(ValidationRules { value: None, ..both }, Some(&key), Some(b"plain")), Ok(()));
    }

    #[test]
    fn values_must_decode_if_asked_for() {
        let schemas = schemas(&[("t-value", "AVRO", USER), ("t-value", "PROTOBUF", PROTO)]);
        let rules = values(SubjectNameStrategy::TopicName, true);
        check(&schemas, rules, &framed(2, &[0, 10, 1, b'x']), Ok(()));
        let checked = Validator::new(&schemas, "t", rules).check(None, Some(&framed(2, &[0, 10, 9])), |_| None);
        assert!(checked.unwrap_err().contains("it does not decode by the schema with the id 2"));
        // The index of no message, and none at all.
        for rest in [&[2, 8, 0][..], &[]] {
            assert!(Validator::new(&schemas, "t", rules).check(None, Some(&framed(2, rest)), |_| None).is_err());
        }
        assert_eq!(schemas.snapshots.get(), 1, "the schema is parsed once");
    }

    #[test]
    fn subject_can_depend_on_the_record_and_on_the_message() {
        let both = SubjectNameStrategy::TopicRecordName;
        let record = SubjectNameStrategy::RecordName;
        let schemas = schemas(&[("n.User", "AVRO", USER), ("t-p.B", "PROTOBUF", PROTO), ("other", "AVRO", "\"int\"")]);
        check(&schemas, values(record, false), &framed(1, b""), Ok(()));
        check(
            &schemas,
            values(both, false),
            &framed(1, b""),
            Err("the schema with the id 1 is not registered under the subject t-n.User"),
        );
        check(&schemas, values(both, true), &framed(2, &[2, 2, 8, 1]), Ok(()));
        check(
            &schemas,
            values(both, true),
            &framed(2, &[0, 10, 1, b'x']),
            Err("the schema with the id 2 is not registered under the subject t-p.A"),
        );
        let nameless = "the schema with the id 3 has no record name, which \
                        io.confluent.kafka.serializers.subject.RecordNameStrategy needs";
        check(&schemas, values(record, false), &framed(3, &[2]), Err(nameless));
        check(&schemas, values(record, false), &framed(7, &[2]), Err("the schema with the id 7 is not registered"));
    }

    #[test]
    fn header_with_a_guid_names_the_schema() {
        let schemas = schemas(&[("t-value", "AVRO", USER)]);
        let guid = schemas.index.find("t-value", SchemaIdentifier::Id(1)).unwrap().guid();
        let header = frame(SchemaIdentifier::Guid(guid), SchemaType::Avro, &[]);
        let rules = values(SubjectNameStrategy::TopicName, true);
        let headers = |name: &str| (name == VALUE_SCHEMA_ID_HEADER).then_some(&header[..]);
        assert_eq!(Validator::new(&schemas, "t", rules).check(None, Some(&[2, b'x']), headers), Ok(()));
        assert!(Validator::new(&schemas, "t", rules).check(None, Some(&[2]), headers).is_err());
    }

    #[test]
    fn number_of_remembered_schemas_and_the_length_of_reasons_are_bounded() {
        let schemas = schemas(&[("t-value", "AVRO", USER)]);
        let topic = "x".repeat(1000);
        let mut validator = Validator::new(&schemas, &topic, values(SubjectNameStrategy::TopicName, false));
        for id in 0..1000 {
            let reason = validator.check(None, Some(&framed(id, b"")), |_| None).unwrap_err();
            assert_eq!(reason.len(), MAX_REASON);
            assert!(validator.value.as_ref().unwrap().known.len() <= MAX_REMEMBERED);
        }
    }
}
