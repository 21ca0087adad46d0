//! From JSON to values.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use indexmap::IndexMap;

use super::read::{MessageValue, Value, default_of};
use super::types::{Cardinality, Descriptors, FieldType, Kind, MessageType, Scalar};
use super::well_known::{self, WellKnown};
use super::write::write;
use crate::json::{Json, Number, Object};
use crate::schema::value::{ValueError, integer};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a message. Its depth is bounded by that of the JSON.
pub(super) fn message(types: &Descriptors, id: usize, json: &Json) -> Result<MessageValue, ValueError> {
    let found = &types.messages[id];
    match found.well_known {
        Some(known) => well_known(types, known, found, json),
        None => object(types, found, json.as_object().ok_or_else(|| ValueError::expected("an object", json))?),
    }
}

fn object(types: &Descriptors, message: &MessageType, object: &Object) -> Result<MessageValue, ValueError> {
    let mut out = MessageValue::default();
    for (name, json) in object {
        let at = message.by_name.get(name);
        let at =
            *at.ok_or_else(|| ValueError::new(format!("Cannot find field: {name} in message {}", message.full_name)))?;
        let field = &message.fields[at];
        let Some(value) = field_value(types, field, json).map_err(|error| error.under(name))? else { continue };
        if let Some(one_of) = field.one_of
            && out.one_ofs.insert(one_of, at).is_some_and(|other| other != at)
        {
            return Err(ValueError::new(format!("Cannot set field {name} because another field of its oneof is set")));
        }
        if out.fields.insert(at, value).is_some() {
            return Err(ValueError::new(format!("Field {} has already been set.", field.name)));
        }
    }
    Ok(out)
}

/// Reads a field; `None` if it is null, which means that it is not set.
fn field_value(types: &Descriptors, field: &FieldType, json: &Json) -> Result<Option<Value>, ValueError> {
    if json.is_null() && !accepts_null(types, field) {
        return Ok(None);
    }
    match field.cardinality {
        Cardinality::Single { .. } => value(types, field.kind, json).map(Some),
        Cardinality::Repeated { .. } => {
            let items = json.as_array().ok_or_else(|| ValueError::expected("an array", json))?;
            let items = items
                .iter()
                .enumerate()
                .map(|(at, item)| value(types, field.kind, item).map_err(|error| error.under_item(at)));
            Ok(Some(Value::List(items.collect::<Result<_, _>>()?)))
        }
        Cardinality::Map { key } => {
            let entries = json.as_object().ok_or_else(|| ValueError::expected("an object", json))?;
            let mut out = IndexMap::with_capacity(entries.len());
            for (name, json) in entries {
                let value = value(types, field.kind, json).map_err(|error| error.under(name))?;
                out.insert(map_key(key, name)?, value);
            }
            Ok(Some(Value::Map(out)))
        }
    }
}

/// Whether null is a value of a field.
fn accepts_null(types: &Descriptors, field: &FieldType) -> bool {
    matches!(field.cardinality, Cardinality::Single { .. })
        && match field.kind {
            Kind::Message(id) => types.messages[id].well_known == Some(WellKnown::Value),
            Kind::Enum(id) => types.enums[id].is_null,
            _ => false,
        }
}

fn value(types: &Descriptors, kind: Kind, json: &Json) -> Result<Value, ValueError> {
    match kind {
        Kind::Message(id) | Kind::Group(id) => message(types, id, json).map(Value::Message),
        Kind::Scalar(found) => scalar(found, json),
        Kind::Enum(id) => {
            let found = &types.enums[id];
            let number = match json {
                Json::Null if found.is_null => Some(0),
                Json::String(name) => found.number_of(name).or_else(|| name.parse().ok()),
                json => json.as_int(),
            };
            let number = number.filter(|number| !found.is_closed || found.name_of(*number).is_some());
            number.map(Value::Enum).ok_or_else(|| ValueError::new(format!("Invalid enum value: {json}")))
        }
    }
}

fn scalar(scalar: Scalar, json: &Json) -> Result<Value, ValueError> {
    let invalid = |what: &str| ValueError::new(format!("Not {what} value: {json}"));
    match default_of(scalar) {
        Value::Bool(_) => match json {
            Json::Bool(value) => Ok(Value::Bool(*value)),
            Json::String(text) if text == "true" || text == "false" => Ok(Value::Bool(text == "true")),
            _ => Err(invalid("a bool")),
        },
        Value::Int(_) => {
            let is_short = matches!(scalar, Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32);
            let number = number_of(json).and_then(|number| i64::try_from(number).ok());
            let number = number.filter(|number| !is_short || i32::try_from(*number).is_ok());
            number.map(Value::Int).ok_or_else(|| invalid(if is_short { "an int32" } else { "an int64" }))
        }
        Value::Uint(_) => {
            let is_short = matches!(scalar, Scalar::Uint32 | Scalar::Fixed32);
            let number = number_of(json).and_then(|number| u64::try_from(number).ok());
            let number = number.filter(|number| !is_short || u32::try_from(*number).is_ok());
            number.map(Value::Uint).ok_or_else(|| invalid(if is_short { "a uint32" } else { "a uint64" }))
        }
        Value::Float(_) => {
            let number = double_of(json).ok_or_else(|| invalid("a float"))?;
            #[expect(clippy::cast_possible_truncation, reason = "rounds to the nearest float")]
            let float = number as f32;
            if float.is_infinite() && number.is_finite() {
                return Err(ValueError::new(format!("Out of range float value: {json}")));
            }
            Ok(Value::Float(float))
        }
        Value::Double(_) => double_of(json).map(Value::Double).ok_or_else(|| invalid("a double")),
        Value::Bytes(_) => {
            let text = json.as_str().ok_or_else(|| invalid("a bytes"))?;
            let bytes = BASE64.decode(text.replace('-', "+").replace('_', "/"));
            bytes.map(Value::Bytes).map_err(|_| invalid("a Base64"))
        }
        _ => json.as_str().map(|text| Value::String(text.to_owned())).ok_or_else(|| invalid("a string")),
    }
}

/// Reads an integer from a number or from a text.
fn number_of(json: &Json) -> Option<i128> {
    match json {
        Json::Number(Number::Big(text)) => text.parse().ok(),
        Json::Number(number) => integer(number).map(i128::from),
        Json::String(text) => {
            let number = text.parse().ok();
            number.or_else(|| integer(&Number::Double(text.parse().ok()?)).map(i128::from))
        }
        _ => None,
    }
}

fn double_of(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => Some(number.to_double()).filter(|number| number.is_finite()),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse::<f64>().ok().filter(|number| number.is_finite()),
        },
        _ => None,
    }
}

fn map_key(scalar_type: Scalar, name: &str) -> Result<String, ValueError> {
    match scalar(scalar_type, &name.into())? {
        Value::Bool(key) => Ok(key.to_string()),
        Value::Int(key) => Ok(key.to_string()),
        Value::Uint(key) => Ok(key.to_string()),
        _ => Ok(name.to_owned()),
    }
}

fn well_known(
    types: &Descriptors,
    known: WellKnown,
    message: &MessageType,
    json: &Json,
) -> Result<MessageValue, ValueError> {
    let text = |what: &str| json.as_str().ok_or_else(|| ValueError::expected(what, json));
    let times = |seconds: i64, nanos: i64| {
        let parts = [(0, seconds), (1, nanos)].into_iter().filter(|(_, number)| *number != 0);
        MessageValue::of(parts.map(|(at, number)| (at, Value::Int(number))))
    };
    let of = |at: usize, value: Value| MessageValue::of([(at, value)]);
    match known {
        WellKnown::Timestamp => {
            let found = well_known::parse_timestamp(text("a timestamp")?);
            found
                .map(|(seconds, nanos)| times(seconds, nanos))
                .ok_or_else(|| ValueError::new(format!("Failed to parse timestamp: {json}")))
        }
        WellKnown::Duration => {
            let found = well_known::parse_duration(text("a duration")?);
            found
                .map(|(seconds, nanos)| times(seconds, nanos))
                .ok_or_else(|| ValueError::new(format!("Failed to parse duration: {json}")))
        }
        WellKnown::FieldMask => {
            let paths = text("a field mask")?.split(',').filter(|path| !path.is_empty());
            Ok(of(0, Value::List(paths.map(|path| Value::String(snake_case(path))).collect())))
        }
        WellKnown::Wrapper | WellKnown::Struct | WellKnown::ListValue => {
            let Some(field) = message.fields.first() else { return Ok(MessageValue::default()) };
            let value = field_value(types, field, json)?.ok_or_else(|| ValueError::expected("a value", json))?;
            Ok(of(0, value))
        }
        WellKnown::Value => {
            let name = match json {
                Json::Null => "null_value",
                Json::Bool(_) => "bool_value",
                Json::Number(_) => "number_value",
                Json::String(_) => "string_value",
                Json::Array(_) => "list_value",
                Json::Object(_) => "struct_value",
            };
            let at = *message.by_name.get(name).ok_or_else(|| ValueError::expected("a value", json))?;
            Ok(of(at, value(types, message.fields[at].kind, json)?))
        }
        WellKnown::Any => any(types, json),
    }
}

fn any(types: &Descriptors, json: &Json) -> Result<MessageValue, ValueError> {
    let values = json.as_object().ok_or_else(|| ValueError::expected("an object", json))?;
    if values.is_empty() {
        return Ok(MessageValue::default());
    }
    let url = values.get("@type").and_then(Json::as_str);
    let url = url.ok_or_else(|| ValueError::new("a message of any type has no @type"))?;
    let id = types.message_named(url.rsplit('/').next().unwrap_or(url));
    let id = id.ok_or_else(|| ValueError::new(format!("Cannot resolve type: {url}")))?;
    let found = &types.messages[id];
    let inner = match found.well_known {
        Some(_) => message(types, id, values.get("value").unwrap_or(&Json::Null))?,
        None => {
            let mut rest = values.clone();
            rest.shift_remove("@type");
            object(types, found, &rest)?
        }
    };
    let bytes = write(types, id, &inner);
    Ok(MessageValue::of([(0, Value::String(url.to_owned())), (1, Value::Bytes(bytes))]))
}

fn snake_case(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for char in path.chars() {
        if char.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(char.to_ascii_lowercase());
    }
    out
}
