//! From JSON to the binary encoding.

use super::super::model::{Body, Field, Kind, NodeId, Nodes, Primitive};
use super::unresolved;
use crate::json::Json;
use crate::schema::value::{ValueError, integer};

/// Writes a value. Its depth and its size are bounded by those of the JSON.
pub(super) fn encode(nodes: &Nodes, root: NodeId, value: &Json) -> Result<Vec<u8>, ValueError> {
    let mut writer = Writer { nodes, out: Vec::new() };
    writer.value(root, value)?;
    Ok(writer.out)
}

struct Writer<'a> {
    nodes: &'a Nodes,
    out: Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, schema: NodeId, value: &Json) -> Result<(), ValueError> {
        let nodes = self.nodes;
        match nodes.kind(schema) {
            Kind::Primitive(primitive) => self.primitive(*primitive, value),
            Kind::Array(items) => {
                let values = value.as_array().ok_or_else(|| ValueError::expected("an array", value))?;
                self.count(values.len());
                for (at, value) in values.iter().enumerate() {
                    self.value(*items, value).map_err(|error| error.under_item(at))?;
                }
                self.end_of_blocks(values.len());
                Ok(())
            }
            Kind::Map(of) => {
                let values = value.as_object().ok_or_else(|| ValueError::expected("an object", value))?;
                self.count(values.len());
                for (key, value) in values {
                    self.bytes(key.as_bytes());
                    self.value(*of, value).map_err(|error| error.under(key))?;
                }
                self.end_of_blocks(values.len());
                Ok(())
            }
            Kind::Union(branches) => self.union(branches, value),
            Kind::Named(named) => match &named.body {
                Body::Record { fields, .. } => self.record(fields, value),
                Body::Enum { symbols, .. } => {
                    let symbol = value.as_str().ok_or_else(|| ValueError::expected("a string", value))?;
                    let at = symbols.iter().position(|other| other == symbol);
                    let at = at.ok_or_else(|| ValueError::new(format!("unknown symbol {symbol} of an enum")))?;
                    self.count(at);
                    Ok(())
                }
                Body::Fixed { size } => {
                    let bytes = latin1(value)?;
                    if usize::try_from(*size) != Ok(bytes.len()) {
                        let found = bytes.len();
                        return Err(ValueError::new(format!("expected {size} bytes, found {found}")));
                    }
                    self.out.extend_from_slice(&bytes);
                    Ok(())
                }
            },
            Kind::Unresolved(_) => Err(unresolved()),
        }
    }

    fn primitive(&mut self, primitive: Primitive, value: &Json) -> Result<(), ValueError> {
        match (primitive, value) {
            (Primitive::Null, Json::Null) => {}
            (Primitive::Boolean, Json::Bool(value)) => self.out.push(u8::from(*value)),
            (Primitive::Int, Json::Number(number)) => {
                let number = integer(number).and_then(|number| i32::try_from(number).ok());
                self.long(number.ok_or_else(|| ValueError::new("the number is not a 32-bit integer"))?.into());
            }
            (Primitive::Long, Json::Number(number)) => {
                self.long(integer(number).ok_or_else(|| ValueError::new("the number is not a 64-bit integer"))?);
            }
            (Primitive::Float, value) => {
                #[expect(clippy::cast_possible_truncation, reason = "rounds as Java's conversion does")]
                let number = double(value)? as f32;
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            (Primitive::Double, value) => self.out.extend_from_slice(&double(value)?.to_le_bytes()),
            (Primitive::Bytes, value) => {
                let bytes = latin1(value)?;
                self.bytes(&bytes);
            }
            (Primitive::String, Json::String(text)) => self.bytes(text.as_bytes()),
            (primitive, value) => return Err(ValueError::expected(primitive.name(), value)),
        }
        Ok(())
    }

    fn union(&mut self, branches: &[NodeId], value: &Json) -> Result<(), ValueError> {
        let nodes = self.nodes;
        let (name, value) = match value {
            Json::Null => ("null", value),
            Json::Object(object) if object.len() == 1 => {
                object.first().map_or(("null", value), |(name, value)| (name.as_str(), value))
            }
            value => return Err(ValueError::expected("null or an object with the type in a union", value)),
        };
        let at = branches.iter().position(|branch| nodes.full_name(*branch) == name);
        let at = at.ok_or_else(|| ValueError::new(format!("unknown type {name} of a union")))?;
        self.count(at);
        self.value(branches[at], value)
    }

    fn record(&mut self, fields: &[Field], value: &Json) -> Result<(), ValueError> {
        let values = value.as_object().ok_or_else(|| ValueError::expected("an object", value))?;
        for field in fields {
            let value = values.get(&field.name);
            let value = value.ok_or_else(|| ValueError::new(format!("the field {} is missing", field.name)))?;
            self.value(field.schema, value).map_err(|error| error.under(&field.name))?;
        }
        if values.len() > fields.len() {
            let unknown = values.keys().find(|name| fields.iter().all(|field| field.name != **name));
            return Err(ValueError::new(format!("unknown field {}", unknown.map_or("", String::as_str))));
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.out.extend_from_slice(bytes);
    }

    fn end_of_blocks(&mut self, count: usize) {
        if count > 0 {
            self.long(0);
        }
    }

    fn count(&mut self, count: usize) {
        self.long(i64::try_from(count).unwrap_or(i64::MAX));
    }

    fn long(&mut self, value: i64) {
        let mut value = (value << 1 ^ value >> 63).cast_unsigned();
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}

fn double(value: &Json) -> Result<f64, ValueError> {
    match value {
        Json::Number(number) => Ok(number.to_double()),
        Json::String(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(ValueError::expected("a number", value)),
        },
        value => Err(ValueError::expected("a number", value)),
    }
}

/// Returns the bytes that a text stands for.
fn latin1(value: &Json) -> Result<Vec<u8>, ValueError> {
    let text = value.as_str().ok_or_else(|| ValueError::expected("a string", value))?;
    let bytes = text.chars().map(|char| u8::try_from(char).ok()).collect::<Option<Vec<u8>>>();
    bytes.ok_or_else(|| ValueError::new("the text of bytes has a character beyond U+00FF"))
}
