//! Whether the default of a field fits its type.

use super::model::{Body, Kind, NodeId, Nodes, Primitive};
use super::{AvroError, print};
use crate::json::{Json, Number};

/// Maximum number of values that the checks of all defaults look at: records use the defaults of their fields.
const MAX_STEPS: usize = 1_000_000;
/// Maximum depth of records that are completed with defaults of their fields.
const MAX_DEFAULT_DEPTH: usize = 100;

/// Checks the default of the field `name`. A type that is not known yet is taken for a record without fields, as Avro's
/// parser does.
pub(super) fn check(
    nodes: &Nodes,
    steps: &mut usize,
    name: &str,
    schema: NodeId,
    default: &Json,
) -> Result<(), AvroError> {
    let mut check = Check { nodes, steps };
    match check.is_valid(schema, Some(default), 0)? {
        true => Ok(()),
        false => {
            let text = print::for_message(nodes, schema);
            Err(AvroError::new(format!("Invalid default for field {name}: {default} not a {text}")))
        }
    }
}

struct Check<'a> {
    nodes: &'a Nodes,
    /// How many values were looked at so far.
    steps: &'a mut usize,
}

impl Check<'_> {
    fn is_valid(&mut self, schema: NodeId, value: Option<&Json>, depth: usize) -> Result<bool, AvroError> {
        let Some(value) = value else { return Ok(false) };
        *self.steps += 1;
        if *self.steps > MAX_STEPS || depth > MAX_DEFAULT_DEPTH {
            return Err(AvroError::new("the default of a field is too large, or has no end"));
        }
        let nodes = self.nodes;
        match nodes.kind(schema) {
            Kind::Primitive(primitive) => Ok(fits(*primitive, value)),
            Kind::Array(items) => match value {
                Json::Array(values) => self.all(values.iter().map(|value| (*items, Some(value))), depth),
                _ => Ok(false),
            },
            Kind::Map(of) => match value {
                Json::Object(values) => self.all(values.values().map(|value| (*of, Some(value))), depth),
                _ => Ok(false),
            },
            Kind::Union(branches) => {
                for branch in branches {
                    if self.is_valid(*branch, Some(value), depth + 1)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Kind::Unresolved(_) => Ok(value.as_object().is_some()),
            Kind::Named(named) => match (&named.body, value) {
                (Body::Enum { .. } | Body::Fixed { .. }, value) => Ok(value.as_str().is_some()),
                (Body::Record { fields, .. }, Json::Object(values)) => {
                    let of = fields.iter().map(|field| {
                        let value = values.get(&field.name).or(field.default.as_ref());
                        (field.schema, value)
                    });
                    self.all(of, depth)
                }
                (Body::Record { .. }, _) => Ok(false),
            },
        }
    }

    fn all<'v>(
        &mut self,
        values: impl Iterator<Item = (NodeId, Option<&'v Json>)>,
        depth: usize,
    ) -> Result<bool, AvroError> {
        for (schema, value) in values {
            if !self.is_valid(schema, value, depth + 1)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn fits(primitive: Primitive, value: &Json) -> bool {
    match (primitive, value) {
        (Primitive::Null, value) => value.is_null(),
        (Primitive::Boolean, value) => value.as_bool().is_some(),
        (Primitive::Int, value) => value.as_int().is_some(),
        (Primitive::Long, Json::Number(number)) => matches!(number, Number::Long(_)),
        (Primitive::Float | Primitive::Double, value) => matches!(value, Json::Number(_)),
        (Primitive::String | Primitive::Bytes, value) => value.as_str().is_some(),
        _ => false,
    }
}
