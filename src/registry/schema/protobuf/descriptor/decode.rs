//! From a descriptor to the parts of a file. Custom options other than Confluent's metadata are not kept, as in Confluent's
//! registry, which does not know them.

use std::collections::HashSet;

use super::super::MAX_DEPTH;
use super::super::element::{
    Constant, Entries, Enum, Extend, Extensions, Field, File, Label, Message, OneOf, OptionElement, Reserved, Rpc,
    Service, Syntax, Type, Value,
};
use super::options::{self, KnownOption, META, OptionKind};
use super::wire::{Payload, fields};

/// Numbers and values of the fields of a message.
struct Fields<'a>(Vec<(u32, Payload<'a>)>);

impl<'a> Fields<'a> {
    fn of(bytes: &'a [u8]) -> Option<Fields<'a>> {
        fields(bytes).map(Fields)
    }

    fn all(&self, number: u32) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |field| match field {
            (found, Payload::Bytes(bytes)) if *found == number => Some(*bytes),
            _ => None,
        })
    }

    fn texts(&self, number: u32) -> impl Iterator<Item = String> {
        self.all(number).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    fn text(&self, number: u32) -> Option<String> {
        self.texts(number).last()
    }

    fn name(&self) -> String {
        self.text(1).unwrap_or_default()
    }

    /// All numbers of a repeated field, packed or not.
    fn numbers(&self, number: u32) -> Vec<u64> {
        let mut found = Vec::new();
        for (_, payload) in self.0.iter().filter(|(field, _)| *field == number) {
            match payload {
                Payload::Varint(value) => found.push(*value),
                Payload::Bytes(bytes) => found.extend(packed(bytes)),
                Payload::Other => {}
            }
        }
        found
    }

    fn number(&self, number: u32) -> Option<u64> {
        let mut numbers = self.0.iter().rev().filter(|(found, _)| *found == number);
        numbers.find_map(|(_, payload)| match payload {
            Payload::Varint(value) => Some(*value),
            _ => None,
        })
    }

    fn int(&self, number: u32) -> i32 {
        self.number(number).unwrap_or(0) as i32
    }

    fn flag(&self, number: u32) -> bool {
        self.number(number).is_some_and(|value| value != 0)
    }

    /// The fields of a message that may be written in several pieces.
    fn merged(&self, number: u32) -> Option<Fields<'a>> {
        let mut merged = Vec::new();
        for bytes in self.all(number) {
            merged.extend(fields(bytes)?);
        }
        Some(Fields(merged))
    }
}

fn packed(bytes: &[u8]) -> Vec<u64> {
    let (mut found, mut value, mut shift) = (Vec::new(), 0u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            found.push(value);
            (value, shift) = (0, 0);
        }
    }
    found
}

/// Decodes a `FileDescriptorProto`. Returns `None` for bytes that are none.
pub(super) fn decode(bytes: &[u8]) -> Option<File> {
    let found = Fields::of(bytes)?;
    let syntax = found.text(12).unwrap_or_default();
    let is_proto3 = syntax == "proto3";
    let mut file = File {
        package: found.text(2).filter(|name| !name.is_empty()),
        syntax: [Syntax::Proto2, Syntax::Proto3].into_iter().find(|known| known.name() == syntax),
        options: decode_options(&found, 8, options::FILE, "confluent.file_meta")?,
        extends: extends(&found, 7, is_proto3)?,
        ..File::default()
    };
    if file.package.as_ref().is_some_and(|name| name.split('.').count() > MAX_DEPTH) {
        return None;
    }
    let public: HashSet<u64> = found.numbers(10).into_iter().collect();
    let weak: HashSet<u64> = found.numbers(11).into_iter().collect();
    for (index, path) in found.texts(3).enumerate() {
        let index = index as u64;
        if public.contains(&index) {
            file.public_imports.push(path);
        } else if !weak.contains(&index) {
            file.imports.push(path);
        }
    }
    for bytes in found.all(4) {
        file.types.push(Type::Message(message(bytes, is_proto3, 0)?));
    }
    for bytes in found.all(5) {
        file.types.push(Type::Enum(enumeration(bytes)?));
    }
    for bytes in found.all(6) {
        file.services.push(service(bytes)?);
    }
    Some(file)
}

fn message(bytes: &[u8], is_proto3: bool, depth: usize) -> Option<Message> {
    if depth == MAX_DEPTH {
        return None;
    }
    let found = Fields::of(bytes)?;
    let mut message = Message {
        name: found.name(),
        options: decode_options(&found, 7, options::MESSAGE, "confluent.message_meta")?,
        extends: extends(&found, 6, is_proto3)?,
        ..Message::default()
    };
    for bytes in found.all(8) {
        let one_of = Fields::of(bytes)?;
        let options = decode_options(&one_of, 2, options::ONE_OF, "")?;
        message.one_ofs.push(OneOf { name: one_of.name(), options, ..OneOf::default() });
    }
    for bytes in found.all(2) {
        let fields = Fields::of(bytes)?;
        let one_of = fields.number(9).filter(|_| !fields.flag(17));
        let field = field(&fields, is_proto3, one_of.is_some())?;
        match one_of {
            Some(index) => message.one_ofs.get_mut(usize::try_from(index).ok()?)?.fields.push(field),
            None => message.fields.push(field),
        }
    }
    message.one_ofs.retain(|one_of| !one_of.fields.is_empty());
    for bytes in found.all(3) {
        message.types.push(Type::Message(self::message(bytes, is_proto3, depth + 1)?));
    }
    for bytes in found.all(4) {
        message.types.push(Type::Enum(enumeration(bytes)?));
    }
    for bytes in found.all(9) {
        let range = Fields::of(bytes)?;
        message.reserved.push(vec![range_of(range.int(1), range.int(2).wrapping_sub(1))]);
    }
    message.reserved.extend(found.texts(10).map(|name| vec![Reserved::Name(name)]));
    for bytes in found.all(5) {
        let range = Fields::of(bytes)?;
        let values = vec![range_of(range.int(1), range.int(2).wrapping_sub(1))];
        message.extensions.push(Extensions { values, options: decode_options(&range, 3, options::EXTENSIONS, "")? });
    }
    Some(message)
}

fn range_of(first: i32, last: i32) -> Reserved {
    if first == last { Reserved::Tag(first) } else { Reserved::Range(first, last) }
}

fn enumeration(bytes: &[u8]) -> Option<Enum> {
    let found = Fields::of(bytes)?;
    let options = decode_options(&found, 3, options::ENUM, "confluent.enum_meta")?;
    let mut element = Enum { name: found.name(), options, ..Enum::default() };
    for bytes in found.all(2) {
        let value = Fields::of(bytes)?;
        let options = decode_options(&value, 3, options::CONSTANT, "confluent.enum_value_meta")?;
        element.constants.push(Constant { name: value.name(), tag: value.int(2), options });
    }
    for bytes in found.all(4) {
        let range = Fields::of(bytes)?;
        element.reserved.push(vec![range_of(range.int(1), range.int(2))]);
    }
    element.reserved.extend(found.texts(5).map(|name| vec![Reserved::Name(name)]));
    Some(element)
}

fn service(bytes: &[u8]) -> Option<Service> {
    let found = Fields::of(bytes)?;
    let options = decode_options(&found, 3, options::SERVICE, "")?;
    let mut service = Service { name: found.name(), rpcs: Vec::new(), options };
    for bytes in found.all(2) {
        let method = Fields::of(bytes)?;
        service.rpcs.push(Rpc {
            name: method.name(),
            request: method.text(2).unwrap_or_default(),
            response: method.text(3).unwrap_or_default(),
            is_request_stream: method.flag(5),
            is_response_stream: method.flag(6),
            options: decode_options(&method, 4, options::METHOD, "")?,
        });
    }
    Some(service)
}

/// Extension fields, those of one message together.
fn extends(found: &Fields<'_>, number: u32, is_proto3: bool) -> Option<Vec<Extend>> {
    let mut by_name: indexmap::IndexMap<String, Vec<Field>> = indexmap::IndexMap::new();
    for bytes in found.all(number) {
        let fields = Fields::of(bytes)?;
        by_name.entry(fields.text(2).unwrap_or_default()).or_default().push(field(&fields, is_proto3, false)?);
    }
    Some(by_name.into_iter().map(|(name, fields)| Extend { name, fields }).collect())
}

const TYPES: [&str; 19] = [
    "double", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "group",
    "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64",
];

fn field(found: &Fields<'_>, is_proto3: bool, is_in_one_of: bool) -> Option<Field> {
    let scalar = || TYPES.get(found.number(5).unwrap_or(1) as usize).copied().unwrap_or(TYPES[0]).to_owned();
    let label = match found.number(4) {
        _ if is_in_one_of => None,
        _ if found.flag(17) => Some(Label::Optional),
        Some(3) => Some(Label::Repeated),
        _ if is_proto3 => None,
        Some(2) => Some(Label::Required),
        _ => Some(Label::Optional),
    };
    Some(Field {
        label,
        type_name: found.text(6).unwrap_or_else(scalar),
        name: found.name(),
        default: found.text(7).filter(|_| !is_proto3),
        json_name: found.text(10),
        tag: found.int(3),
        options: decode_options(found, 8, options::FIELD, "confluent.field_meta")?,
    })
}

/// Decodes known options, and Confluent's metadata if `meta` names them.
fn decode_options(parent: &Fields<'_>, number: u32, known: &[KnownOption], meta: &str) -> Option<Vec<OptionElement>> {
    let found = parent.merged(number)?;
    let mut options = Vec::new();
    for option in known {
        for value in option_values(&found, option)? {
            options.push(OptionElement::new(option.name, value));
        }
    }
    if !meta.is_empty() {
        let entries = decode_meta(&found.merged(META)?)?;
        if !entries.is_empty() {
            let value = Value::Map(entries);
            options.push(OptionElement { name: meta.to_owned(), value, is_extension: true });
        }
    }
    Some(options)
}

fn option_values(found: &Fields<'_>, option: &KnownOption) -> Option<Vec<Value>> {
    let name_of = |names: &[(&str, u64)], value: u64| {
        names.iter().find(|(_, number)| *number == value).map(|(name, _)| Value::Enum((*name).to_owned()))
    };
    let value = match &option.kind {
        OptionKind::Text => found.text(option.number).map(Value::String),
        OptionKind::Bool => found.number(option.number).map(|value| Value::Boolean((value != 0).to_string())),
        OptionKind::Enum(names) => found.number(option.number).and_then(|value| name_of(names, value)),
        OptionKind::Enums(names) => {
            let values = found.numbers(option.number);
            return Some(values.into_iter().filter_map(|value| name_of(names, value)).collect());
        }
        OptionKind::Features => {
            if found.all(option.number).next().is_none() {
                return Some(Vec::new());
            }
            let features = found.merged(option.number)?;
            let mut entries = Entries::new();
            for feature in options::FEATURES {
                for value in option_values(&features, feature)? {
                    entries.insert(feature.name.to_owned(), value);
                }
            }
            Some(Value::Map(entries))
        }
    };
    Some(value.into_iter().collect())
}

fn decode_meta(found: &Fields<'_>) -> Option<Entries> {
    let text = |found: &Fields<'_>, number: u32| found.text(number).filter(|text| !text.is_empty());
    let mut entries = Entries::new();
    if let Some(doc) = text(found, 1) {
        entries.insert("doc".to_owned(), Value::String(doc));
    }
    let mut params: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
    for bytes in found.all(2) {
        let entry = Fields::of(bytes)?;
        params.insert(entry.name(), entry.text(2).unwrap_or_default());
    }
    if !params.is_empty() {
        let values = params.into_iter().map(|(key, value)| param(key, value)).collect();
        entries.insert("params".to_owned(), Value::List(values));
    }
    let tags: Vec<Value> = found.texts(3).map(Value::String).collect();
    if !tags.is_empty() {
        entries.insert("tags".to_owned(), Value::List(tags));
    }
    let mut rules = Vec::new();
    for bytes in found.all(4) {
        let rule = Fields::of(bytes)?;
        let parts = [("name", 1), ("doc", 2), ("expr", 3), ("sql", 4)];
        let parts = parts.into_iter().filter_map(|(name, number)| Some((name.to_owned(), text(&rule, number)?)));
        let parts: Entries = parts.map(|(name, text)| (name, Value::String(text))).collect();
        if !parts.is_empty() {
            rules.push(Value::Map(parts));
        }
    }
    if !rules.is_empty() {
        entries.insert("rules".to_owned(), Value::List(rules));
    }
    Some(entries)
}

fn param(key: String, value: String) -> Value {
    // Confluent's registry has the value of these first.
    let is_reversed = key == "precision" || key == "scale";
    let mut parts = [("key".to_owned(), Value::String(key)), ("value".to_owned(), Value::String(value))];
    if is_reversed {
        parts.reverse();
    }
    Value::Map(parts.into_iter().collect())
}
