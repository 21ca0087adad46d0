//! Reading of values in the wire format.

use std::collections::BTreeMap;
use std::mem;

use indexmap::IndexMap;

use super::super::descriptor::wire::MAX_MESSAGE_DEPTH;
use super::types::{Cardinality, Descriptors, FieldType, Kind, Scalar};
use crate::schema::value::{Budget, ValueError};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f32),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    Enum(i32),
    Message(MessageValue),
    List(Vec<Value>),
    /// By the keys as JSON has them.
    Map(IndexMap<String, Value>),
}

/// The values of fields by their positions in the message's type.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MessageValue {
    pub fields: BTreeMap<usize, Value>,
    /// Which field of each oneof is set.
    pub one_ofs: BTreeMap<usize, usize>,
}

impl MessageValue {
    /// A message with these fields, none of which is in a oneof.
    pub fn of(fields: impl IntoIterator<Item = (usize, Value)>) -> MessageValue {
        MessageValue { fields: fields.into_iter().collect(), one_ofs: BTreeMap::new() }
    }
}

/// Reads a message. With `BUILD` unset, it is only checked, and the value is empty.
pub(super) fn read<const BUILD: bool>(
    types: &Descriptors,
    id: usize,
    bytes: &[u8],
    budget: &mut Budget,
) -> Result<MessageValue, ValueError> {
    let mut reader = Reader::<BUILD> { types, rest: bytes, budget };
    let mut value = MessageValue::default();
    reader.message(id, None, &mut value, 0)?;
    if BUILD {
        check_required(types, id, &value)?;
    }
    Ok(value)
}

/// Checks that a message and those in it have their required fields.
pub(super) fn check_required(types: &Descriptors, id: usize, value: &MessageValue) -> Result<(), ValueError> {
    let message = &types.messages[id];
    if let Some(missing) = message.required.iter().find(|at| !value.fields.contains_key(at)) {
        return Err(missing_field(&message.fields[*missing].name));
    }
    for (at, value) in &value.fields {
        let field = &message.fields[*at];
        let (Kind::Message(inner) | Kind::Group(inner)) = field.kind else { continue };
        let check = |value: &Value| match value {
            Value::Message(message) => check_required(types, inner, message),
            _ => Ok(()),
        };
        let checked = match value {
            Value::List(items) => items.iter().try_for_each(check),
            Value::Map(entries) => entries.values().try_for_each(check),
            value => check(value),
        };
        checked.map_err(|error| error.under(&field.name))?;
    }
    Ok(())
}

struct Reader<'a, 'b, const BUILD: bool> {
    types: &'a Descriptors,
    rest: &'a [u8],
    budget: &'b mut Budget,
}

impl<'a, const BUILD: bool> Reader<'a, '_, BUILD> {
    /// Reads a message up to the end of the bytes, or of the group with this number.
    fn message(
        &mut self,
        id: usize,
        group: Option<u32>,
        into: &mut MessageValue,
        depth: usize,
    ) -> Result<(), ValueError> {
        if depth > MAX_MESSAGE_DEPTH {
            return Err(ValueError::new(format!("messages are nested deeper than {MAX_MESSAGE_DEPTH} levels")));
        }
        let message = &self.types.messages[id];
        // Only a message that has all its required fields is read on, so this takes no more than its bytes do.
        let mut seen = if BUILD { Vec::new() } else { vec![false; message.required.len()] };
        loop {
            if self.rest.is_empty() {
                match group {
                    None => break,
                    Some(_) => return Err(ValueError::end()),
                }
            }
            self.budget.take_part()?;
            let key = u32::try_from(self.varint()?).map_err(|_| bad_key())?;
            let (number, wire_type) = (key >> 3, key & 7);
            if number == 0 {
                return Err(bad_key());
            }
            if wire_type == 4 {
                if group == Some(number) {
                    break;
                }
                return Err(ValueError::new("a group ends that did not begin"));
            }
            let Some(at) = message.position(number) else {
                self.skip(number, wire_type, depth)?;
                continue;
            };
            let field = &message.fields[at];
            let was_read = self.field(field, at, wire_type, into, depth).map_err(|error| error.under(&field.name))?;
            if !was_read {
                self.skip(number, wire_type, depth)?;
            } else if !BUILD && let Some(required) = field.required {
                seen[required] = true;
            } else if BUILD
                && let Some(one_of) = field.one_of
                && let Some(other) = into.one_ofs.insert(one_of, at).filter(|other| *other != at)
            {
                into.fields.remove(&other);
            }
        }
        // A built message is checked when all its parts are merged.
        match seen.iter().position(|seen| !seen) {
            Some(missing) => Err(missing_field(&message.fields[message.required[missing]].name)),
            None => Ok(()),
        }
    }

    /// Reads a field. Returns false if it has another type on the wire, so that it is skipped.
    fn field(
        &mut self,
        field: &FieldType,
        at: usize,
        wire_type: u32,
        into: &mut MessageValue,
        depth: usize,
    ) -> Result<bool, ValueError> {
        match field.cardinality {
            Cardinality::Map { key } if wire_type == 2 => self.entry(field, at, key, into, depth)?,
            Cardinality::Map { .. } => return Ok(false),
            Cardinality::Single { .. } if wire_type == field.kind.wire_type() => self.single(field, at, into, depth)?,
            Cardinality::Single { .. } => return Ok(false),
            Cardinality::Repeated { .. } if wire_type == field.kind.wire_type() => {
                self.item(field, at, into, depth)?;
            }
            Cardinality::Repeated { .. } if wire_type == 2 && field.kind.wire_type() != 3 => {
                let outer = self.enter()?;
                while !self.rest.is_empty() {
                    self.budget.take_part()?;
                    self.item(field, at, into, depth)?;
                }
                self.rest = outer;
            }
            Cardinality::Repeated { .. } => return Ok(false),
        }
        Ok(true)
    }

    fn single(
        &mut self,
        field: &FieldType,
        at: usize,
        into: &mut MessageValue,
        depth: usize,
    ) -> Result<(), ValueError> {
        let before = if BUILD { into.fields.remove(&at) } else { None };
        let merged = match before {
            Some(Value::Message(message)) => message,
            _ => MessageValue::default(),
        };
        match self.value(field, merged, depth)? {
            Some(value) if BUILD => {
                into.fields.insert(at, value);
            }
            _ => {}
        }
        Ok(())
    }

    fn item(&mut self, field: &FieldType, at: usize, into: &mut MessageValue, depth: usize) -> Result<(), ValueError> {
        let value = self.value(field, MessageValue::default(), depth)?;
        if BUILD && let Some(value) = value {
            match into.fields.entry(at).or_insert_with(|| Value::List(Vec::new())) {
                Value::List(items) => items.push(value),
                other => *other = Value::List(vec![value]),
            }
        }
        Ok(())
    }

    /// Reads the entry of a map: a message with the key and the value.
    fn entry(
        &mut self,
        field: &FieldType,
        at: usize,
        key_type: Scalar,
        into: &mut MessageValue,
        depth: usize,
    ) -> Result<(), ValueError> {
        let outer = self.enter()?;
        let mut key = None;
        let mut value = None;
        while !self.rest.is_empty() {
            self.budget.take_part()?;
            let tag = u32::try_from(self.varint()?).map_err(|_| bad_key())?;
            match (tag >> 3, tag & 7) {
                (0, _) => return Err(bad_key()),
                (1, wire_type) if wire_type == key_type.wire_type() => {
                    key = Some(self.scalar(key_type, field.is_utf8)?)
                }
                (2, wire_type) if wire_type == field.kind.wire_type() => {
                    let merged = match value.take() {
                        Some(Value::Message(message)) => message,
                        _ => MessageValue::default(),
                    };
                    value = self.value(field, merged, depth)?;
                }
                (number, wire_type) => self.skip(number, wire_type, depth)?,
            }
        }
        self.rest = outer;
        if !BUILD {
            return Ok(());
        }
        let key = key_text(&key.unwrap_or_else(|| default_of(key_type)));
        let value = value.unwrap_or_else(|| match field.kind {
            Kind::Scalar(scalar) => default_of(scalar),
            Kind::Enum(id) => Value::Enum(self.types.enums[id].default),
            Kind::Message(_) | Kind::Group(_) => Value::Message(MessageValue::default()),
        });
        self.budget.take_memory(key.len())?;
        match into.fields.entry(at).or_insert_with(|| Value::Map(IndexMap::new())) {
            Value::Map(entries) => {
                entries.insert(key, value);
            }
            other => *other = Value::Map(IndexMap::from_iter([(key, value)])),
        }
        Ok(())
    }

    /// Reads one value. Returns `None` for a number that its enum does not have. A message is merged with `merged`.
    fn value(&mut self, field: &FieldType, merged: MessageValue, depth: usize) -> Result<Option<Value>, ValueError> {
        if BUILD {
            self.budget.take_memory(0)?;
        }
        match field.kind {
            Kind::Scalar(scalar) => self.scalar(scalar, field.is_utf8).map(Some),
            Kind::Enum(id) => {
                #[expect(clippy::cast_possible_truncation, reason = "the upper bits do not count")]
                let number = self.varint()? as u32;
                let (number, found) = (number.cast_signed(), &self.types.enums[id]);
                let is_known = !found.is_closed || found.name_of(number).is_some();
                Ok(is_known.then_some(Value::Enum(number)))
            }
            Kind::Message(id) => {
                let outer = self.enter()?;
                let mut merged = merged;
                self.message(id, None, &mut merged, depth + 1)?;
                self.rest = outer;
                Ok(Some(Value::Message(merged)))
            }
            Kind::Group(id) => {
                let mut merged = merged;
                self.message(id, Some(field.number), &mut merged, depth + 1)?;
                Ok(Some(Value::Message(merged)))
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the upper bits of a varint do not count")]
    fn scalar(&mut self, scalar: Scalar, is_utf8: bool) -> Result<Value, ValueError> {
        Ok(match scalar {
            Scalar::Bool => Value::Bool(self.varint()? != 0),
            Scalar::Int32 => Value::Int((self.varint()? as u32).cast_signed().into()),
            Scalar::Int64 => Value::Int(self.varint()?.cast_signed()),
            Scalar::Uint32 => Value::Uint((self.varint()? as u32).into()),
            Scalar::Uint64 => Value::Uint(self.varint()?),
            Scalar::Sint32 => {
                let number = self.varint()? as u32;
                Value::Int(((number >> 1).cast_signed() ^ -(number & 1).cast_signed()).into())
            }
            Scalar::Sint64 => {
                let number = self.varint()?;
                Value::Int((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
            }
            Scalar::Fixed32 => Value::Uint(u32::from_le_bytes(self.array()?).into()),
            Scalar::Fixed64 => Value::Uint(u64::from_le_bytes(self.array()?)),
            Scalar::Sfixed32 => Value::Int(i32::from_le_bytes(self.array()?).into()),
            Scalar::Sfixed64 => Value::Int(i64::from_le_bytes(self.array()?)),
            Scalar::Float => Value::Float(f32::from_le_bytes(self.array()?)),
            Scalar::Double => Value::Double(f64::from_le_bytes(self.array()?)),
            Scalar::Bytes => {
                let bytes = self.block()?;
                Value::Bytes(if BUILD { self.kept(bytes)?.to_vec() } else { Vec::new() })
            }
            Scalar::String => {
                let bytes = self.block()?;
                if is_utf8 && str::from_utf8(bytes).is_err() {
                    return Err(ValueError::new("a string is not UTF-8"));
                }
                Value::String(if BUILD {
                    String::from_utf8_lossy(self.kept(bytes)?).into_owned()
                } else {
                    String::new()
                })
            }
        })
    }

    fn kept(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], ValueError> {
        self.budget.take_memory(2 * bytes.len())?;
        Ok(bytes)
    }

    fn skip(&mut self, number: u32, wire_type: u32, depth: usize) -> Result<(), ValueError> {
        match wire_type {
            0 => self.varint().map(|_| ()),
            1 => self.array::<8>().map(|_| ()),
            2 => self.block().map(|_| ()),
            3 => self.skip_group(number, depth + 1),
            5 => self.array::<4>().map(|_| ()),
            _ => Err(bad_key()),
        }
    }

    fn skip_group(&mut self, group: u32, depth: usize) -> Result<(), ValueError> {
        if depth > MAX_MESSAGE_DEPTH {
            return Err(ValueError::new(format!("messages are nested deeper than {MAX_MESSAGE_DEPTH} levels")));
        }
        loop {
            let key = u32::try_from(self.varint()?).map_err(|_| bad_key())?;
            match (key >> 3, key & 7) {
                (0, _) => return Err(bad_key()),
                (number, 4) if number == group => return Ok(()),
                (_, 4) => return Err(ValueError::new("a group ends that did not begin")),
                (number, wire_type) => self.skip(number, wire_type, depth)?,
            }
        }
    }

    /// Goes on with bytes that come with their length. Returns the rest after them.
    fn enter(&mut self) -> Result<&'a [u8], ValueError> {
        let inner = self.block()?;
        Ok(mem::replace(&mut self.rest, inner))
    }

    fn block(&mut self) -> Result<&'a [u8], ValueError> {
        let length = usize::try_from(self.varint()?).map_err(|_| ValueError::end())?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or_else(ValueError::end)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ValueError> {
        let (found, rest) = self.rest.split_first_chunk().ok_or_else(ValueError::end)?;
        self.rest = rest;
        Ok(*found)
    }

    fn varint(&mut self) -> Result<u64, ValueError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first().ok_or_else(ValueError::end)?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(ValueError::new("a number takes more than ten bytes"))
    }
}

fn missing_field(name: &str) -> ValueError {
    ValueError::new(format!("the required field {name} is missing"))
}

fn bad_key() -> ValueError {
    ValueError::new("the number or the type of a field is invalid")
}

pub(super) fn default_of(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Bool => Value::Bool(false),
        Scalar::Bytes => Value::Bytes(Vec::new()),
        Scalar::Double => Value::Double(0.0),
        Scalar::Float => Value::Float(0.0),
        Scalar::String => Value::String(String::new()),
        Scalar::Fixed32 | Scalar::Fixed64 | Scalar::Uint32 | Scalar::Uint64 => Value::Uint(0),
        Scalar::Int32 | Scalar::Int64 | Scalar::Sint32 | Scalar::Sint64 | Scalar::Sfixed32 | Scalar::Sfixed64 => {
            Value::Int(0)
        }
    }
}

fn key_text(key: &Value) -> String {
    match key {
        Value::Bool(key) => key.to_string(),
        Value::Int(key) => key.to_string(),
        Value::Uint(key) => key.to_string(),
        Value::String(key) => key.clone(),
        _ => String::new(),
    }
}
