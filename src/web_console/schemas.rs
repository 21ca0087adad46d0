//! The broker's schema registry, for the console.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ottla_broker::service::console::ConsoleRegistry;
use ottla_broker::state::registry::SchemaRegistry;
use ottla_console::{Decode, Decoded, Part, RegistryRequest, RegistryResponse, Responding, Schemas};
use ottla_registry::api::OwnedRequest;
use ottla_registry::codec::{Framed, KEY_SCHEMA_ID_HEADER, SchemaIdentifier, VALUE_SCHEMA_ID_HEADER, frame};
use ottla_registry::schema::{ParsedSchema, SchemaType};
use ottla_wire::record::Record;

/// The number of schemas that a decoder keeps.
const MAX_SCHEMAS: usize = 100;

pub struct InProcess(pub ConsoleRegistry);

impl Schemas for InProcess {
    fn topic(&self) -> String {
        self.0.registry.upgrade().map_or_else(String::new, |registry| registry.topic().to_string())
    }

    fn needs_password(&self) -> bool {
        self.0.needs_password
    }

    fn respond(&self, request: RegistryRequest) -> Responding {
        let registry = self.0.registry.clone();
        Box::pin(async move {
            let RegistryRequest { method, path, query, body } = request;
            let content_type = Some("application/json".to_owned());
            let accept = content_type.clone();
            let request = OwnedRequest { method, path, query, content_type, accept, body, ..OwnedRequest::default() };
            let response = registry.upgrade()?.respond(request).await;
            Some(RegistryResponse { status: response.status, content_type: response.content_type, body: response.body })
        })
    }

    fn encode(&self, schema_id: i32, json: &str) -> Result<Vec<u8>, String> {
        let registry = self.0.registry.upgrade();
        let found = registry.and_then(|registry| registry.parsed_schema(SchemaIdentifier::Id(schema_id)));
        let (_, schema) = found.ok_or_else(|| format!("there is no schema with the id {schema_id}"))?;
        let schema_type = schema.schema_type();
        let indexes: &[i32] = if schema_type == SchemaType::Protobuf { &[0] } else { &[] };
        let payload = schema.encode(indexes, json);
        let payload = payload.map_err(|error| format!("not a value of the schema {schema_id}: {error}"))?;
        Ok([frame(SchemaIdentifier::Id(schema_id), schema_type, indexes), payload].concat())
    }

    fn decoder(&self) -> Arc<dyn Decode> {
        Arc::new(Decoder { registry: self.0.registry.clone(), found: Mutex::default() })
    }
}

/// A schema with its id; `None` if it is not registered.
type Found = Option<(i32, Arc<ParsedSchema>)>;

/// Decodes keys and values, and keeps the schemas that it has looked for.
struct Decoder {
    registry: Weak<SchemaRegistry>,
    found: Mutex<HashMap<SchemaIdentifier, Found>>,
}

impl Decoder {
    fn schema(&self, identifier: SchemaIdentifier) -> Found {
        // The map is whole after every change.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = found.get(&identifier) {
            return known.clone();
        }
        let schema = self.registry.upgrade()?.parsed_schema(identifier);
        if found.len() >= MAX_SCHEMAS {
            found.clear();
        }
        found.insert(identifier, schema.clone());
        schema
    }
}

impl Decode for Decoder {
    fn decode(&self, record: &Record, part: Part) -> Option<Decoded> {
        let (bytes, name) = match part {
            Part::Key => (record.key.as_ref()?, KEY_SCHEMA_ID_HEADER),
            Part::Value => (record.value.as_ref()?, VALUE_SCHEMA_ID_HEADER),
        };
        let header = record.headers.iter().rev().find(|header| header.key == name.as_bytes());
        let header = header.and_then(|header| header.value.as_deref());
        let framed = Framed::read(header, bytes).ok()?;
        let (schema_id, schema) = self.schema(framed.schema)?;
        let (indexes, payload) = framed.payload(schema.schema_type()).ok()?;
        let json = schema.decode(&indexes, payload).ok()?.to_string();
        let format = match schema.schema_type() {
            SchemaType::Avro => "avro",
            SchemaType::Json => "json-schema",
            SchemaType::Protobuf => "protobuf",
        };
        Some(Decoded { format, schema_id, json })
    }
}
