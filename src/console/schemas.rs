//! What the console needs of a schema registry.

use std::pin::Pin;
use std::sync::Arc;

use ottla_wire::record::Record;

/// Which bytes of a record are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Key,
    Value,
}

/// A key or value that a schema describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The format, such as `avro`.
    pub format: &'static str,
    pub schema_id: i32,
    /// JSON text.
    pub json: String,
}

/// Decodes keys and values by their schemas.
pub trait Decode: Send + Sync + 'static {
    /// Decodes a key or a value; `None` if it names no schema, or is not a value of its schema. May block.
    fn decode(&self, record: &Record, part: Part) -> Option<Decoded>;
}

/// A request to the registry's REST API.
#[derive(Clone, Debug)]
pub struct RegistryRequest {
    pub method: String,
    /// The path, with escapes.
    pub path: String,
    /// The query without the question mark; empty if there is none.
    pub query: String,
    pub body: Vec<u8>,
}

/// A response of the registry's REST API.
#[derive(Clone, Debug)]
pub struct RegistryResponse {
    pub status: u16,
    pub content_type: &'static str,
    pub body: String,
}

/// A response that is being made; `None` if the registry ends.
pub type Responding = Pin<Box<dyn Future<Output = Option<RegistryResponse>> + Send>>;

/// A schema registry.
pub trait Schemas: Send + Sync + 'static {
    /// The topic with the schemas. What the console's principal may do with the topic, it may do with schemas.
    fn topic(&self) -> String;

    /// Whether clients of the registry need a password that the console does not ask for.
    fn needs_password(&self) -> bool;

    fn respond(&self, request: RegistryRequest) -> Responding;

    /// Encodes JSON by a schema, as Confluent's serializers write it: with the schema's id in front. A Protobuf value is the
    /// schema's first message. The error is one line. May block.
    fn encode(&self, schema_id: i32, json: &str) -> Result<Vec<u8>, String>;

    /// A decoder for one search. It may remember which schemas are missing.
    fn decoder(&self) -> Arc<dyn Decode>;
}
