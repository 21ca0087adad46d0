//! From values to JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_wire::java;

use super::read::{MessageValue, Value, default_of, read};
use super::types::{Cardinality, Descriptors, FieldType, Kind, MessageType, Scalar, json_name};
use super::well_known::{self, WellKnown};
use crate::json::{Json, Number, Object};
use crate::schema::value::{Budget, ValueError};

/// Maximum depth of messages in `google.protobuf.Any`, each of which holds bytes of the next one.
const MAX_ANY_DEPTH: usize = 10;

pub(super) struct Printer<'a> {
    pub types: &'a Descriptors,
    pub budget: Budget,
    pub any_depth: usize,
}

impl Printer<'_> {
    pub fn message(&mut self, id: usize, value: &MessageValue) -> Result<Json, ValueError> {
        let message = &self.types.messages[id];
        match message.well_known {
            Some(well_known) => self.well_known(well_known, message, value),
            None => self.object(message, value).map(Json::Object),
        }
    }

    fn object(&mut self, message: &MessageType, value: &MessageValue) -> Result<Object, ValueError> {
        let mut out = Object::new();
        for (at, field) in message.fields.iter().enumerate() {
            self.budget.take_part()?;
            let json = match value.fields.get(&at) {
                Some(value) => self.field(field, value).map_err(|error| error.under(&field.name))?,
                None if field.is_printed_without_value => self.without_value(field),
                None => continue,
            };
            self.budget.take_memory(field.json_name.len())?;
            out.insert(field.json_name.clone(), json);
        }
        Ok(out)
    }

    fn field(&mut self, field: &FieldType, value: &Value) -> Result<Json, ValueError> {
        match value {
            Value::List(items) => {
                let items = items.iter().map(|item| self.value(field.kind, item));
                Ok(Json::Array(items.collect::<Result<_, _>>()?))
            }
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, value)| Ok((key.clone(), self.value(field.kind, value)?)));
                Ok(Json::Object(entries.collect::<Result<_, ValueError>>()?))
            }
            value => self.value(field.kind, value),
        }
    }

    fn value(&mut self, kind: Kind, value: &Value) -> Result<Json, ValueError> {
        self.budget.take_memory(0)?;
        match (kind, value) {
            (Kind::Message(id) | Kind::Group(id), Value::Message(message)) => self.message(id, message),
            (Kind::Enum(id), Value::Enum(number)) => Ok(self.constant(id, *number)),
            (Kind::Scalar(scalar), value) => Ok(scalar_json(scalar, value)),
            _ => Ok(Json::Null),
        }
    }

    fn constant(&self, id: usize, number: i32) -> Json {
        let found = &self.types.enums[id];
        match found.name_of(number) {
            _ if found.is_null => Json::Null,
            Some(name) => name.into(),
            None => number.into(),
        }
    }

    /// The default of a field that has no value.
    fn without_value(&self, field: &FieldType) -> Json {
        match (field.cardinality, field.kind) {
            (Cardinality::Repeated { .. }, _) => Json::Array(Vec::new()),
            (Cardinality::Map { .. }, _) => Json::Object(Object::new()),
            (Cardinality::Single { .. }, Kind::Scalar(scalar)) => match &field.default {
                Some(default) => scalar_json(scalar, &proto2_default(scalar, default)),
                None => scalar_json(scalar, &default_of(scalar)),
            },
            (Cardinality::Single { .. }, Kind::Enum(id)) => match &field.default {
                Some(name) => name.as_str().into(),
                None => self.constant(id, self.types.enums[id].default),
            },
            (Cardinality::Single { .. }, _) => Json::Null,
        }
    }

    fn well_known(
        &mut self,
        well_known: WellKnown,
        message: &MessageType,
        value: &MessageValue,
    ) -> Result<Json, ValueError> {
        let number = |number| match message.position(number).and_then(|at| value.fields.get(&at)) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        };
        match well_known {
            WellKnown::Timestamp => {
                let text = well_known::timestamp(number(1), number(2));
                text.map(Json::String).ok_or_else(|| ValueError::new("a timestamp is out of range"))
            }
            WellKnown::Duration => {
                let text = well_known::duration(number(1), number(2));
                text.map(Json::String).ok_or_else(|| ValueError::new("a duration is out of range"))
            }
            WellKnown::FieldMask => {
                let Some(Value::List(paths)) = value.fields.values().next() else { return Ok("".into()) };
                let paths = paths.iter().filter_map(|path| match path {
                    Value::String(path) => Some(json_name(path)),
                    _ => None,
                });
                Ok(paths.collect::<Vec<_>>().join(",").into())
            }
            WellKnown::Wrapper | WellKnown::ListValue | WellKnown::Struct => {
                let Some(field) = message.fields.first() else { return Ok(Json::Null) };
                match value.fields.get(&0) {
                    Some(value) => self.field(field, value),
                    None => Ok(self.without_value(field)),
                }
            }
            WellKnown::Value => match value.fields.iter().next() {
                Some((at, value)) => self.field(&message.fields[*at], value),
                None => Ok(Json::Null),
            },
            WellKnown::Any => self.any(message, value),
        }
    }

    /// Prints the message in an `Any`, if the schema or one that it refers to has its type.
    fn any(&mut self, message: &MessageType, value: &MessageValue) -> Result<Json, ValueError> {
        let get = |number| message.position(number).and_then(|at| value.fields.get(&at));
        let url = match get(1) {
            Some(Value::String(url)) => url.as_str(),
            _ => return Ok(Json::Object(Object::new())),
        };
        let bytes = match get(2) {
            Some(Value::Bytes(bytes)) => bytes.as_slice(),
            _ => &[],
        };
        let full_name = url.rsplit('/').next().unwrap_or(url);
        let id = self.types.message_named(full_name);
        let id = id.ok_or_else(|| ValueError::new(format!("Cannot find type for url: {url}")))?;
        if self.any_depth == MAX_ANY_DEPTH {
            return Err(ValueError::new(format!("messages of any type are nested deeper than {MAX_ANY_DEPTH} levels")));
        }
        self.any_depth += 1;
        let inner = read::<true>(self.types, id, bytes, &mut self.budget)?;
        let mut out = Object::from_iter([("@type".to_owned(), Json::from(url))]);
        let inner_type = &self.types.messages[id];
        if inner_type.well_known.is_some() {
            out.insert("value".to_owned(), self.message(id, &inner)?);
        } else {
            out.extend(self.object(inner_type, &inner)?);
        }
        self.any_depth -= 1;
        Ok(Json::Object(out))
    }
}

fn scalar_json(scalar: Scalar, value: &Value) -> Json {
    let is_long =
        matches!(scalar, Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint64 | Scalar::Fixed64);
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(number) if is_long => number.to_string().into(),
        Value::Uint(number) if is_long => number.to_string().into(),
        Value::Int(number) => (*number).into(),
        Value::Uint(number) => number.cast_signed().into(),
        Value::Float(number) if number.is_finite() => Json::Number(Number::Decimal(java::float(*number))),
        Value::Float(number) => java::float(*number).into(),
        Value::Double(number) if number.is_finite() => Json::Number(Number::Double(*number)),
        Value::Double(number) => java::double(*number).into(),
        Value::String(text) => text.as_str().into(),
        Value::Bytes(bytes) => STANDARD.encode(bytes).into(),
        Value::Enum(_) | Value::Message(_) | Value::List(_) | Value::Map(_) => Json::Null,
    }
}

/// A default as proto2 writes it; numbers that cannot be read are 0.
fn proto2_default(scalar: Scalar, text: &str) -> Value {
    let double = || match text {
        "inf" => f64::INFINITY,
        "-inf" => f64::NEG_INFINITY,
        "nan" => f64::NAN,
        text => text.parse().unwrap_or(0.0),
    };
    match default_of(scalar) {
        Value::Bool(_) => Value::Bool(text == "true"),
        Value::Int(_) => Value::Int(text.parse().unwrap_or(0)),
        Value::Uint(_) => Value::Uint(text.parse().unwrap_or(0)),
        #[expect(clippy::cast_possible_truncation, reason = "the default of a float")]
        Value::Float(_) => Value::Float(double() as f32),
        Value::Double(_) => Value::Double(double()),
        Value::Bytes(_) => Value::Bytes(text.as_bytes().to_vec()),
        _ => Value::String(text.to_owned()),
    }
}
