//! Values in Avro's binary encoding and in its JSON encoding.
//!
//! The JSON is what Confluent's `kafka-avro-console-consumer` prints and its `kafka-avro-console-producer` reads: a value of a
//! union is an object with the full name of its type (null is just null), bytes are text in ISO-8859-1, logical types are
//! not converted. A union that is the whole value has no such object when it is printed, because the Java tool takes the
//! schema from the value. Entries of maps stay in the order of the bytes; the Java tool prints them in that of its hash map.
//!
//! Bytes after the value, booleans other than 0 and 1 and text that is not UTF-8 are errors; Java's decoder accepts them.

mod decode;
mod encode;

use super::AvroSchema;
use crate::json::{self, Json};
use crate::schema::value::ValueError;

/// Maximum depth of arrays, maps, records and unions in each other; that of the JSON text.
const MAX_VALUE_DEPTH: usize = json::MAX_DEPTH;

impl AvroSchema {
    /// Decodes a value in the binary encoding to JSON.
    pub fn decode(&self, bytes: &[u8]) -> Result<Json, ValueError> {
        decode::decode::<true>(&self.nodes, self.root, bytes)
    }

    /// Checks that bytes are a value in the binary encoding, without building it.
    pub fn decodes(&self, bytes: &[u8]) -> Result<(), ValueError> {
        decode::decode::<false>(&self.nodes, self.root, bytes).map(|_| ())
    }

    /// Encodes a value in JSON to the binary encoding. Defaults of fields are not filled in, as in Java's decoder of JSON.
    pub fn encode(&self, value: &Json) -> Result<Vec<u8>, ValueError> {
        encode::encode(&self.nodes, self.root, value)
    }
}

fn unresolved() -> ValueError {
    ValueError::new("the schema has a type without a definition")
}
