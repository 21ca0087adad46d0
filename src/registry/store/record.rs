//! Records of `_schemas`, in Confluent's format: JSON with its order of fields.

use crate::contract::{Metadata, RuleSet};
use crate::entity::{Content, Guid, Reference, SchemaEntity, put_metadata, put_references, put_rule_set};
use crate::fields::{FieldError, Fields};
use crate::json::{Json, Object, parse};
use crate::store::config::ConfigValue;
use crate::store::mode::Mode;
use crate::subject::Subject;

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Vec<u8>,
    /// `None` for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Record {
    pub fn new(key: &Key, value: Option<&Value>) -> Record {
        Record {
            key: key.to_json().to_string().into_bytes(),
            value: value.map(|value| value.to_json().to_string().into_bytes()),
        }
    }

    /// The size of the record's key and value.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, Vec::len)
    }
}

/// The key of a record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    Schema {
        subject: Subject,
        version: i32,
    },
    /// Settings of a subject, of a context, or (`None`) of all.
    Config(Option<Subject>),
    Mode(Option<Subject>),
    Context {
        tenant: String,
        context: String,
    },
    DeleteSubject(Subject),
    ClearSubject(Subject),
    Noop,
    /// A type that this registry does not use.
    Other(String),
}

impl Key {
    pub fn to_json(&self) -> Json {
        let subject_key = |name: &str, subject: Option<&Subject>, magic: i32, version: Option<i32>| {
            let mut out = Object::new();
            out.insert("keytype".to_owned(), name.into());
            if let Some(subject) = subject.map(Subject::qualified).filter(|subject| !subject.is_empty()) {
                out.insert("subject".to_owned(), subject.into());
            }
            if let Some(version) = version {
                out.insert("version".to_owned(), version.into());
            }
            out.insert("magic".to_owned(), magic.into());
            Json::Object(out)
        };
        match self {
            Key::Schema { subject, version } => subject_key("SCHEMA", Some(subject), 1, Some(*version)),
            Key::Config(subject) => subject_key("CONFIG", subject.as_ref(), 0, None),
            Key::Mode(subject) => subject_key("MODE", subject.as_ref(), 0, None),
            Key::DeleteSubject(subject) => subject_key("DELETE_SUBJECT", Some(subject), 0, None),
            Key::ClearSubject(subject) => subject_key("CLEAR_SUBJECT", Some(subject), 0, None),
            Key::Noop => subject_key("NOOP", None, 0, None),
            Key::Other(name) => subject_key(name, None, 0, None),
            Key::Context { tenant, context } => Json::object([
                ("keytype", "CONTEXT".into()),
                ("tenant", tenant.as_str().into()),
                ("context", context.as_str().into()),
                ("magic", 0.into()),
            ]),
        }
    }

    /// Reads a key. Keys of both formats of schemas (`magic` 0 and 1) are read.
    pub fn parse(bytes: &[u8]) -> Result<Key, RecordError> {
        let json = parse_bytes(bytes)?;
        let fields = Fields::of(&json)?;
        let name = fields.string("keytype")?.ok_or_else(|| RecordError::new("the key has no type"))?;
        let subject = fields.string("subject")?.map(|subject| Subject::parse(&subject));
        // A subject can be empty; Confluent then leaves it out.
        let named = || subject.clone().unwrap_or_else(|| Subject::parse(""));
        match name.as_str() {
            "SCHEMA" => {
                let magic = fields.integer("magic")?.unwrap_or(0);
                if magic != 0 && magic != 1 {
                    return Err(RecordError::new(format!("the key of a schema has the format {magic}")));
                }
                let version = fields.integer("version")?;
                let version = version.ok_or_else(|| RecordError::new("the key of a schema has no version"))?;
                Ok(Key::Schema { subject: named(), version })
            }
            "CONFIG" => Ok(Key::Config(subject)),
            "MODE" => Ok(Key::Mode(subject)),
            "CONTEXT" => Ok(Key::Context {
                tenant: fields.string("tenant")?.unwrap_or_default(),
                context: fields.string("context")?.unwrap_or_default(),
            }),
            "DELETE_SUBJECT" => Ok(Key::DeleteSubject(named())),
            "CLEAR_SUBJECT" => Ok(Key::ClearSubject(named())),
            "NOOP" => Ok(Key::Noop),
            _ => Ok(Key::Other(name)),
        }
    }
}

/// The value of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Schema(Box<StoredSchema>),
    Config(Box<ConfigValue>),
    Mode {
        subject: Option<Subject>,
        mode: Mode,
    },
    Context {
        tenant: String,
        context: String,
    },
    /// Deletes the versions up to this one.
    DeleteSubject {
        subject: Subject,
        version: i32,
    },
    ClearSubject(Subject),
}

impl Value {
    pub fn to_json(&self) -> Json {
        match self {
            Value::Schema(schema) => schema.to_json(),
            Value::Config(config) => config.to_json(),
            Value::Mode { subject, mode } => {
                let mut out = subject_object(subject.as_ref());
                out.insert("mode".to_owned(), mode.name().into());
                Json::Object(out)
            }
            Value::Context { tenant, context } => {
                Json::object([("tenant", tenant.as_str().into()), ("context", context.as_str().into())])
            }
            Value::DeleteSubject { subject, version } => {
                let mut out = subject_object(Some(subject));
                out.insert("version".to_owned(), (*version).into());
                Json::Object(out)
            }
            Value::ClearSubject(subject) => Json::Object(subject_object(Some(subject))),
        }
    }

    /// Reads the value of a key. `None` if the type of the record has no value that is used.
    pub fn parse(key: &Key, bytes: &[u8]) -> Result<Option<Value>, RecordError> {
        if matches!(key, Key::Noop | Key::Other(_)) {
            return Ok(None);
        }
        let json = parse_bytes(bytes)?;
        let fields = Fields::of(&json)?;
        let value = match key {
            Key::Schema { subject, version } => {
                Value::Schema(Box::new(StoredSchema::from_fields(&fields, subject, *version)?))
            }
            Key::Config(_) => Value::Config(Box::new(ConfigValue::from_fields(&fields, key)?)),
            Key::Mode(subject) => {
                let name = fields.string("mode")?.ok_or_else(|| RecordError::new("a mode has no name"))?;
                let mode = Mode::from_name(&name);
                let mode = mode.ok_or_else(|| RecordError::new(format!("the mode {name} is not known")))?;
                Value::Mode { subject: subject.clone(), mode }
            }
            Key::Context { tenant, context } => Value::Context { tenant: tenant.clone(), context: context.clone() },
            Key::DeleteSubject(subject) => {
                let subject = fields.string("subject")?.map_or_else(|| subject.clone(), |text| Subject::parse(&text));
                Value::DeleteSubject { subject, version: fields.integer("version")?.unwrap_or(0) }
            }
            Key::ClearSubject(subject) => {
                let subject = fields.string("subject")?.map_or_else(|| subject.clone(), |text| Subject::parse(&text));
                Value::ClearSubject(subject)
            }
            Key::Noop | Key::Other(_) => return Ok(None),
        };
        Ok(Some(value))
    }
}

/// A version of a subject as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSchema {
    pub subject: Subject,
    pub version: i32,
    pub id: i32,
    /// The hash that another registry stored, because parts of the metadata are encrypted.
    pub md5: Option<String>,
    pub schema_type: String,
    pub content: Content,
    pub deleted: bool,
    /// The time of the record; not part of it.
    pub timestamp: Option<i64>,
}

impl StoredSchema {
    fn from_fields(fields: &Fields<'_>, subject: &Subject, version: i32) -> Result<StoredSchema, RecordError> {
        let references = fields.array("references")?.unwrap_or_default();
        let id = fields.integer("id")?.ok_or_else(|| RecordError::new("a schema has no id"))?;
        Ok(StoredSchema {
            subject: subject.clone(),
            version,
            id,
            md5: fields.string("md5")?,
            schema_type: fields.string("schemaType")?.unwrap_or_else(|| "AVRO".to_owned()),
            content: Content {
                schema: fields.string("schema")?.unwrap_or_default(),
                references: references.iter().map(Reference::from_json).collect::<Result<_, _>>()?,
                metadata: fields.get("metadata").map(Metadata::from_json).transpose()?,
                rule_set: fields.get("ruleSet").map(RuleSet::from_json).transpose()?,
            },
            deleted: fields.boolean("deleted")?.unwrap_or(false),
            timestamp: None,
        })
    }

    pub fn to_json(&self) -> Json {
        let mut out = subject_object(Some(&self.subject));
        out.insert("version".to_owned(), self.version.into());
        out.insert("id".to_owned(), self.id.into());
        if let Some(md5) = self.md5.as_ref().filter(|md5| !md5.is_empty()) {
            out.insert("md5".to_owned(), md5.as_str().into());
        }
        out.insert("schemaType".to_owned(), self.schema_type.as_str().into());
        put_references(&mut out, &self.content.references);
        put_metadata(&mut out, self.content.metadata.as_ref());
        put_rule_set(&mut out, self.content.rule_set.as_ref());
        if !self.content.schema.is_empty() {
            out.insert("schema".to_owned(), self.content.schema.as_str().into());
        }
        out.insert("deleted".to_owned(), self.deleted.into());
        Json::Object(out)
    }

    /// The hash of the schema, from the record if it has one.
    pub fn guid(&self) -> Guid {
        let stored = self.md5.as_ref().and_then(|md5| base64_16(md5));
        stored.map_or_else(|| self.content.guid(), Guid)
    }

    pub fn to_entity(&self) -> SchemaEntity {
        SchemaEntity {
            subject: self.subject.qualified(),
            version: self.version,
            id: self.id,
            schema_type: self.schema_type.clone(),
            content: self.content.clone(),
            guid: Some(self.guid()),
            timestamp: self.timestamp,
            deleted: Some(self.deleted),
        }
    }
}

fn base64_16(text: &str) -> Option<[u8; 16]> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()?.try_into().ok()
}

fn subject_object(subject: Option<&Subject>) -> Object {
    let subject = subject.map(Subject::qualified).filter(|subject| !subject.is_empty());
    subject.map(|subject| ("subject".to_owned(), subject.into())).into_iter().collect()
}

fn parse_bytes(bytes: &[u8]) -> Result<Json, RecordError> {
    let text = std::str::from_utf8(bytes).map_err(|_| RecordError::new("the record is not UTF-8"))?;
    parse(text).map_err(|error| RecordError::new(error.to_string()))
}

/// A record that this registry cannot read. It is skipped, as Confluent's registry does.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordError(String);

impl RecordError {
    pub(crate) fn new(message: impl Into<String>) -> RecordError {
        RecordError(message.into())
    }
}

impl From<FieldError> for RecordError {
    fn from(error: FieldError) -> RecordError {
        RecordError(error.to_string())
    }
}
