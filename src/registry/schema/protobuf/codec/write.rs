//! Writing of values in the wire format.

use super::read::{MessageValue, Value, default_of};
use super::types::{Cardinality, Descriptors, FieldType, Kind, Scalar};

/// Writes a message: its fields in the order of their numbers, without those that are as good as none.
pub(super) fn write(types: &Descriptors, id: usize, value: &MessageValue) -> Vec<u8> {
    let mut out = Vec::new();
    let message = &types.messages[id];
    for (at, value) in &value.fields {
        let field = &message.fields[*at];
        match (field.cardinality, value) {
            (Cardinality::Single { has_presence: false }, value) if is_default(types, field, value) => {}
            (Cardinality::Repeated { is_packed: true }, Value::List(items)) => {
                let mut packed = Vec::new();
                items.iter().for_each(|item| content(types, field, item, &mut packed));
                if !items.is_empty() {
                    key(&mut out, field.number, 2);
                    block(&mut out, &packed);
                }
            }
            (_, Value::List(items)) => items.iter().for_each(|item| single(types, field, item, &mut out)),
            (Cardinality::Map { key: key_type }, Value::Map(entries)) => {
                for (name, value) in entries {
                    let mut entry = Vec::new();
                    key(&mut entry, 1, key_type.wire_type());
                    scalar(key_type, &key_of(key_type, name), &mut entry);
                    key(&mut entry, 2, field.kind.wire_type());
                    content(types, field, value, &mut entry);
                    key(&mut out, field.number, 2);
                    block(&mut out, &entry);
                }
            }
            (_, value) => single(types, field, value, &mut out),
        }
    }
    out
}

fn is_default(types: &Descriptors, field: &FieldType, value: &Value) -> bool {
    match (field.kind, value) {
        // A negative zero is not the default.
        (Kind::Scalar(_), Value::Double(number)) => number.to_bits() == 0,
        (Kind::Scalar(_), Value::Float(number)) => number.to_bits() == 0,
        (Kind::Scalar(scalar), value) => *value == default_of(scalar),
        (Kind::Enum(id), Value::Enum(number)) => types.enums[id].default == *number,
        _ => false,
    }
}

fn single(types: &Descriptors, field: &FieldType, value: &Value, out: &mut Vec<u8>) {
    key(out, field.number, field.kind.wire_type());
    content(types, field, value, out);
}

fn content(types: &Descriptors, field: &FieldType, value: &Value, out: &mut Vec<u8>) {
    match (field.kind, value) {
        (Kind::Message(id), Value::Message(message)) => block(out, &write(types, id, message)),
        (Kind::Group(id), Value::Message(message)) => {
            out.extend(write(types, id, message));
            key(out, field.number, 4);
        }
        (Kind::Enum(_), Value::Enum(number)) => varint(out, i64::from(*number).cast_unsigned()),
        (Kind::Scalar(found), value) => scalar(found, value, out),
        // Values are read by the same types.
        _ => {}
    }
}

#[expect(clippy::cast_possible_truncation, reason = "values of 32-bit types fit 32 bits")]
fn scalar(scalar: Scalar, value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Int(number) => match scalar {
            Scalar::Sint32 | Scalar::Sint64 => varint(out, (number << 1 ^ number >> 63).cast_unsigned()),
            Scalar::Sfixed32 => out.extend((*number as i32).to_le_bytes()),
            Scalar::Sfixed64 => out.extend(number.to_le_bytes()),
            _ => varint(out, number.cast_unsigned()),
        },
        Value::Uint(number) => match scalar {
            Scalar::Fixed32 => out.extend((*number as u32).to_le_bytes()),
            Scalar::Fixed64 => out.extend(number.to_le_bytes()),
            _ => varint(out, *number),
        },
        Value::Float(number) => out.extend(number.to_le_bytes()),
        Value::Double(number) => out.extend(number.to_le_bytes()),
        Value::String(text) => block(out, text.as_bytes()),
        Value::Bytes(bytes) => block(out, bytes),
        Value::Enum(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => {}
    }
}

/// The key of a map from its text, which was checked when it was read.
fn key_of(scalar: Scalar, text: &str) -> Value {
    match default_of(scalar) {
        Value::Bool(_) => Value::Bool(text == "true"),
        Value::Int(_) => Value::Int(text.parse().unwrap_or(0)),
        Value::Uint(_) => Value::Uint(text.parse().unwrap_or(0)),
        _ => Value::String(text.to_owned()),
    }
}

fn key(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(out, (number << 3 | wire_type).into());
}

fn block(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
