//! Decodes and encodes keys and values by the schemas of a registry.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::client::{RegistryClient, encoded};
use ottla_registry::codec::{Framed, SchemaIdentifier, frame};
use ottla_registry::schema::{ParsedSchema, ResolvedReference, SchemaType, Validation};
use ottla_registry::subject_name::SubjectNameStrategy;

/// Maximum number of parsed schemas in memory.
const MAX_SCHEMAS: usize = 1_000;
/// Maximum number of schemas that a schema refers to.
const MAX_REFERENCES: usize = 1_000;

/// The text of a key or a value, and the id of its schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Decoded {
    pub text: String,
    /// `None` if a GUID names the schema.
    pub id: Option<i32>,
}

/// Decodes keys and values.
pub struct Decoder {
    client: RegistryClient,
    /// Parsed schemas by the path at which the registry has them.
    schemas: Mutex<HashMap<String, Arc<ParsedSchema>>>,
}

impl Decoder {
    pub fn new(client: RegistryClient) -> Decoder {
        Decoder { client, schemas: Mutex::default() }
    }

    /// Decodes a key or a value whose schema is of this type to JSON. `header` is the header with the schema's GUID, if the
    /// record has one. The error is one line.
    pub fn decode(&self, expected: SchemaType, header: Option<&[u8]>, bytes: &[u8]) -> Result<Decoded, String> {
        let framed = Framed::read(header, bytes).map_err(|error| error.to_string())?;
        let (path, id) = match framed.schema {
            SchemaIdentifier::Id(id) => (format!("/schemas/ids/{id}"), Some(id)),
            SchemaIdentifier::Guid(guid) => (format!("/schemas/guids/{guid}"), None),
        };
        let schema = self.schema(&path)?;
        if schema.schema_type() != expected {
            let (found, expected) = (schema.schema_type().name(), expected.name());
            return Err(format!("the schema at {path} is of the type {found}, not {expected}"));
        }
        let (indexes, payload) = framed.payload(expected).map_err(|error| error.to_string())?;
        let text = schema.decode(&indexes, payload).map_err(|error| error.to_string())?.to_string();
        Ok(Decoded { text, id })
    }

    fn schema(&self, path: &str) -> Result<Arc<ParsedSchema>, String> {
        if let Some(schema) = self.schemas.lock().get(path) {
            return Ok(Arc::clone(schema));
        }
        let parsed = Arc::new(parse(&self.client, &self.client.get(path)?, None)?);
        let mut schemas = self.schemas.lock();
        if schemas.len() >= MAX_SCHEMAS {
            schemas.clear();
        }
        schemas.insert(path.to_owned(), Arc::clone(&parsed));
        Ok(parsed)
    }
}

/// Which schema an encoder uses.
#[derive(Clone, Debug, Default)]
pub struct EncoderOptions {
    /// The text of the schema; without a text and an id, the latest version of the subject is used.
    pub text: Option<String>,
    /// The id of a registered schema.
    pub id: Option<i32>,
    /// The references of the text, as the registry's API has them.
    pub references: Option<Value>,
    pub strategy: SubjectNameStrategy,
    /// Whether the text must be registered already.
    pub is_registered: bool,
    pub normalize: bool,
}

/// Encodes keys or values with one schema.
pub struct Encoder {
    schema: ParsedSchema,
    id: i32,
    /// The first message of a Protobuf schema.
    indexes: &'static [i32],
}

impl Encoder {
    /// Finds or registers the schema. The error is one line.
    pub fn new(
        client: &RegistryClient,
        expected: SchemaType,
        topic: &str,
        is_key: bool,
        options: &EncoderOptions,
    ) -> Result<Encoder, String> {
        const FIRST: &[i32] = &[0];
        let indexes: &[i32] = if expected == SchemaType::Protobuf { FIRST } else { &[] };
        let (schema, id) = match (options.id, &options.text) {
            (Some(id), _) => (parse(client, &client.get(&format!("/schemas/ids/{id}"))?, None)?, id),
            (None, Some(text)) => {
                let mut body = json!({ "schema": text, "schemaType": expected.name() });
                if let Some(references) = &options.references {
                    body["references"] = references.clone();
                }
                let schema = parse(client, &body, Some(expected))?;
                let name = schema.record_name(indexes);
                let subject = options.strategy.subject(topic, is_key, name.as_deref());
                let subject = subject.ok_or("the subject name strategy needs a schema of a record")?;
                let (subject, query) = (encoded(&subject), if options.normalize { "?normalize=true" } else { "" });
                let path = match options.is_registered {
                    true => format!("/subjects/{subject}{query}"),
                    false => format!("/subjects/{subject}/versions{query}"),
                };
                (schema, id_of(&client.post(&path, &body)?)?)
            }
            (None, None) => {
                let subject = options.strategy.subject(topic, is_key, None);
                let subject = subject.ok_or("the subject name strategy needs a schema")?;
                let latest = client.get(&format!("/subjects/{}/versions/latest", encoded(&subject)))?;
                (parse(client, &latest, None)?, id_of(&latest)?)
            }
        };
        if schema.schema_type() != expected {
            let (found, expected) = (schema.schema_type().name(), expected.name());
            return Err(format!("the schema with the id {id} is of the type {found}, not {expected}"));
        }
        Ok(Encoder { schema, id, indexes })
    }

    /// Encodes a key or a value, which is JSON. The error is one line.
    pub fn encode(&self, text: &str) -> Result<Vec<u8>, String> {
        let payload = self.schema.encode(self.indexes, text).map_err(|error| error.to_string())?;
        let mut bytes = frame(SchemaIdentifier::Id(self.id), self.schema.schema_type(), self.indexes);
        bytes.extend(payload);
        Ok(bytes)
    }

    /// The text of the schema, for messages.
    pub fn schema_text(&self) -> &str {
        self.schema.canonical()
    }
}

fn id_of(response: &Value) -> Result<i32, String> {
    let id = response["id"].as_i64().and_then(|id| i32::try_from(id).ok());
    id.ok_or_else(|| "the schema registry answered without an id".to_owned())
}

/// Parses a schema as the registry's API has it, with those that it refers to.
fn parse(client: &RegistryClient, schema: &Value, expected: Option<SchemaType>) -> Result<ParsedSchema, String> {
    let text = schema["schema"].as_str().ok_or("the schema registry answered without a schema")?;
    let schema_type = match schema["schemaType"].as_str() {
        None => expected.unwrap_or(SchemaType::Avro),
        Some(name) => SchemaType::from_name(name).ok_or_else(|| format!("the schema type {name} is unknown"))?,
    };
    let mut references = Vec::new();
    resolve(client, &schema["references"], &mut references, &mut HashSet::new())?;
    let parsed = ParsedSchema::parse(schema_type, text, &references, Validation::Registered);
    parsed.map_err(|error| format!("the schema cannot be read: {error}"))
}

/// Fetches schemas that are referred to, each after those that it needs.
fn resolve(
    client: &RegistryClient,
    references: &Value,
    found: &mut Vec<ResolvedReference>,
    seen: &mut HashSet<String>,
) -> Result<(), String> {
    for reference in references.as_array().into_iter().flatten() {
        let (Some(name), Some(subject)) = (reference["name"].as_str(), reference["subject"].as_str()) else {
            return Err("a reference has no name or no subject".to_owned());
        };
        if !seen.insert(name.to_owned()) {
            continue;
        }
        if seen.len() > MAX_REFERENCES {
            return Err(format!("the schema refers to more than {MAX_REFERENCES} schemas"));
        }
        let version = reference["version"].as_i64().unwrap_or(-1);
        let path = format!("/subjects/{}/versions/{version}?deleted=true", encoded(subject));
        let schema = client.get(&path)?;
        resolve(client, &schema["references"], found, seen)?;
        let text = schema["schema"].as_str().unwrap_or_default().to_owned();
        found.push(ResolvedReference { name: name.to_owned(), text });
    }
    Ok(())
}
