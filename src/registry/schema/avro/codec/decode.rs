//! From the binary encoding to JSON.

use ottla_wire::java;

use super::super::model::{Body, Field, Kind, NodeId, Nodes, Primitive};
use super::{MAX_VALUE_DEPTH, unresolved};
use crate::json::{Json, Number, Object};
use crate::schema::value::{Budget, ValueError};

/// Reads a value. With `BUILD` unset, the value is only checked, and `Null` stands for it.
pub(super) fn decode<const BUILD: bool>(nodes: &Nodes, root: NodeId, bytes: &[u8]) -> Result<Json, ValueError> {
    let mut reader = Reader::<BUILD> { nodes, rest: bytes, budget: Budget::new(bytes.len()) };
    let value = match nodes.kind(root) {
        Kind::Union(branches) => {
            let branch = reader.branch(branches)?;
            reader.value(branch, 0)?
        }
        _ => reader.value(root, 0)?,
    };
    match reader.rest.len() {
        0 => Ok(value),
        count => Err(ValueError::new(format!("{count} bytes follow the value"))),
    }
}

struct Reader<'a, const BUILD: bool> {
    nodes: &'a Nodes,
    rest: &'a [u8],
    budget: Budget,
}

impl<'a, const BUILD: bool> Reader<'a, BUILD> {
    /// Reads a value that is `depth` arrays or objects deep in the JSON.
    fn value(&mut self, schema: NodeId, depth: usize) -> Result<Json, ValueError> {
        self.budget.take_part()?;
        if BUILD {
            self.budget.take_memory(0)?;
        }
        if depth > MAX_VALUE_DEPTH {
            return Err(ValueError::new(format!("the value is nested deeper than {MAX_VALUE_DEPTH} levels")));
        }
        let nodes = self.nodes;
        match nodes.kind(schema) {
            Kind::Primitive(primitive) => self.primitive(*primitive),
            Kind::Array(items) => self.array(*items, depth),
            Kind::Map(values) => self.map(*values, depth),
            Kind::Union(branches) => {
                let branch = self.branch(branches)?;
                let value = self.value(branch, depth + 1)?;
                let is_null = matches!(nodes.kind(branch), Kind::Primitive(Primitive::Null));
                Ok(if !BUILD || is_null { value } else { self.named(nodes.full_name(branch), value)? })
            }
            Kind::Named(named) => match &named.body {
                Body::Record { fields, .. } => self.record(fields, depth),
                Body::Enum { symbols, .. } => {
                    let at = self.int()?;
                    let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
                    let symbol = symbol.ok_or_else(|| ValueError::new(format!("the enum has no symbol {at}")))?;
                    self.text(symbol)
                }
                Body::Fixed { size } => {
                    let size = usize::try_from(*size).map_err(|_| ValueError::end())?;
                    let bytes = self.take(size)?;
                    self.latin1(bytes)
                }
            },
            Kind::Unresolved(_) => Err(unresolved()),
        }
    }

    fn primitive(&mut self, primitive: Primitive) -> Result<Json, ValueError> {
        Ok(match primitive {
            Primitive::Null => Json::Null,
            Primitive::Boolean => match self.take(1)? {
                [0] => Json::Bool(false),
                [1] => Json::Bool(true),
                _ => return Err(ValueError::new("a boolean is neither 0 nor 1")),
            },
            Primitive::Int => self.int()?.into(),
            Primitive::Long => self.long()?.into(),
            // Java's encoder of JSON prints a float as the double that it is.
            Primitive::Float => double::<BUILD>(f32::from_le_bytes(self.array_of()?).into()),
            Primitive::Double => double::<BUILD>(f64::from_le_bytes(self.array_of()?)),
            Primitive::Bytes => {
                let bytes = self.block()?;
                self.latin1(bytes)?
            }
            Primitive::String => {
                let text = self.string()?;
                self.text(text)?
            }
        })
    }

    fn array(&mut self, items: NodeId, depth: usize) -> Result<Json, ValueError> {
        let mut values = Vec::new();
        let mut at = 0;
        loop {
            let count = self.count()?;
            if count == 0 {
                return Ok(Json::Array(values));
            }
            for _ in 0..count {
                let value = self.value(items, depth + 1).map_err(|error| error.under_item(at))?;
                at += 1;
                if BUILD {
                    values.push(value);
                }
            }
        }
    }

    fn map(&mut self, of: NodeId, depth: usize) -> Result<Json, ValueError> {
        let mut values = Object::new();
        loop {
            let count = self.count()?;
            if count == 0 {
                return Ok(Json::Object(values));
            }
            for _ in 0..count {
                let key = self.string()?;
                let value = self.value(of, depth + 1).map_err(|error| error.under(key))?;
                if BUILD {
                    self.budget.take_memory(key.len())?;
                    values.insert(key.to_owned(), value);
                }
            }
        }
    }

    fn record(&mut self, fields: &'a [Field], depth: usize) -> Result<Json, ValueError> {
        let mut values = Object::new();
        for field in fields {
            let value = self.value(field.schema, depth + 1).map_err(|error| error.under(&field.name))?;
            if BUILD {
                self.budget.take_memory(field.name.len())?;
                values.insert(field.name.clone(), value);
            }
        }
        Ok(Json::Object(values))
    }

    fn branch(&mut self, branches: &[NodeId]) -> Result<NodeId, ValueError> {
        let at = self.int()?;
        let branch = usize::try_from(at).ok().and_then(|at| branches.get(at));
        branch.copied().ok_or_else(|| ValueError::new(format!("the union has no type {at}")))
    }

    fn named(&mut self, name: &str, value: Json) -> Result<Json, ValueError> {
        self.budget.take_memory(name.len())?;
        Ok(Json::Object(Object::from_iter([(name.to_owned(), value)])))
    }

    /// Reads the number of items in the next block of an array or a map.
    fn count(&mut self) -> Result<u64, ValueError> {
        self.budget.take_part()?;
        let count = self.long()?;
        if count < 0 {
            // The size of the block in bytes, for readers that skip it.
            self.long()?;
        }
        Ok(count.unsigned_abs())
    }

    fn string(&mut self) -> Result<&'a str, ValueError> {
        str::from_utf8(self.block()?).map_err(|_| ValueError::new("a string is not UTF-8"))
    }

    /// Reads bytes with their length.
    fn block(&mut self) -> Result<&'a [u8], ValueError> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| ValueError::new("a length is negative"))?;
        self.take(length)
    }

    fn text(&mut self, text: &str) -> Result<Json, ValueError> {
        if !BUILD {
            return Ok(Json::Null);
        }
        self.budget.take_memory(text.len())?;
        Ok(text.into())
    }

    fn latin1(&mut self, bytes: &[u8]) -> Result<Json, ValueError> {
        if !BUILD {
            return Ok(Json::Null);
        }
        self.budget.take_memory(2 * bytes.len())?;
        Ok(bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into())
    }

    fn int(&mut self) -> Result<i32, ValueError> {
        i32::try_from(self.long()?).map_err(|_| ValueError::new("a number does not fit 32 bits"))
    }

    fn long(&mut self) -> Result<i64, ValueError> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            if shift == 63 && byte > 1 {
                break;
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        Err(ValueError::new("a number does not fit 64 bits"))
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (found, rest) = self.rest.split_first_chunk().ok_or_else(ValueError::end)?;
        self.rest = rest;
        Ok(*found)
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], ValueError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(ValueError::end)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn double<const BUILD: bool>(number: f64) -> Json {
    match number.is_finite() {
        _ if !BUILD => Json::Null,
        true => Json::Number(Number::Double(number)),
        false => java::double(number).into(),
    }
}
