//! From the parts of a file to a descriptor. Names of types stay as they were written.

use super::super::element::{
    Entries, Enum, Extensions, Field, File, Label, Message, OptionElement, Reserved, Service, Syntax, Type, Value,
    map_parts,
};
use super::super::names::{Definition, Scope, Types};
use super::super::normal::as_map;
use super::options::{self, KnownOption, META, OptionKind};
use super::wire::MessageBuilder;

pub(super) struct Encoder<'a> {
    pub types: &'a Types<'a>,
    pub scope: Scope,
    pub syntax: Option<Syntax>,
}

const TYPES: [&str; 19] = [
    "", "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string", "", "", "bytes",
    "uint32", "", "sfixed32", "sfixed64", "sint32", "sint64",
];
/// Maximum number of values of one name in the metadata of a part that is written in pieces.
const MAX_META_VALUES: usize = 1_000;

const TYPE_MESSAGE: u64 = 11;
const TYPE_ENUM: u64 = 14;

/// A field as a descriptor has it.
struct Described<'f> {
    field: &'f Field,
    type_name: &'f str,
    label: Option<Label>,
    one_of: Option<usize>,
    is_proto3_optional: bool,
    extendee: Option<&'f str>,
}

impl Encoder<'_> {
    pub fn file(&mut self, file: &File, is_resolved: impl Fn(&str) -> bool) -> Vec<u8> {
        let mut out = MessageBuilder::default();
        out.text(1, "default");
        if let Some(package) = &file.package {
            out.text(2, package);
        }
        let (dependencies, public) = dependencies(file, is_resolved);
        dependencies.iter().for_each(|path| out.text(3, path));
        let (mut messages, mut enums) = (Vec::new(), Vec::new());
        self.types(&file.types, &mut messages, &mut enums);
        messages.iter().for_each(|message| out.message(4, message));
        enums.iter().for_each(|element| out.message(5, element));
        file.services.iter().for_each(|found| out.message(6, &service(found)));
        for extend in &file.extends {
            for field in &extend.fields {
                out.message(7, &self.extension(field, &extend.name));
            }
        }
        optional(&mut out, 8, encode_options(&file.options, options::FILE, "confluent.file_meta"));
        public.into_iter().for_each(|index| out.varint(10, index as u64));
        if let Some(syntax) = file.syntax {
            out.text(12, syntax.name());
        }
        out.into_bytes()
    }

    fn types(&mut self, types: &[Type], messages: &mut Vec<MessageBuilder>, enums: &mut Vec<MessageBuilder>) {
        for found in types {
            match found {
                Type::Message(message) => {
                    self.scope.names.push(message.name.clone());
                    messages.push(self.message(message));
                    self.scope.names.pop();
                }
                Type::Enum(element) => enums.push(enumeration(element)),
            }
        }
    }

    fn message(&mut self, message: &Message) -> MessageBuilder {
        let (mut nested, mut enums) = (Vec::new(), Vec::new());
        self.types(&message.types, &mut nested, &mut enums);
        let mut one_ofs = Vec::new();
        let mut fields = Vec::new();
        let mut added = std::collections::HashSet::new();
        for one_of in &message.one_ofs {
            for field in &one_of.fields {
                added.insert(field.name.as_str());
                let label = Some(Label::Optional);
                fields.push(self.field(&plain(field, label, Some(one_ofs.len()))));
            }
            one_ofs.push((one_of.name.clone(), encode_options(&one_of.options, options::ONE_OF, "")));
        }
        for field in message.fields.iter().filter(|field| !added.contains(field.name.as_str())) {
            let entry = entry_name(&field.name);
            let mut described = plain(field, field.label, None);
            if let Some((key, value)) = map_parts(&field.type_name) {
                described.label = Some(Label::Repeated);
                described.type_name = &entry;
                nested.push(self.map_entry(&entry, key, value));
            }
            if field.label == Some(Label::Optional) && self.syntax == Some(Syntax::Proto3) {
                described.is_proto3_optional = true;
                described.one_of = Some(one_ofs.len());
                one_ofs.push((format!("_{}", field.name), MessageBuilder::default()));
            }
            fields.push(self.field(&described));
        }
        self.assemble(message, &fields, (&nested, &enums), &one_ofs)
    }

    fn assemble(
        &self,
        message: &Message,
        fields: &[MessageBuilder],
        (nested, enums): (&[MessageBuilder], &[MessageBuilder]),
        one_ofs: &[(String, MessageBuilder)],
    ) -> MessageBuilder {
        let mut out = MessageBuilder::default();
        out.text(1, &message.name);
        fields.iter().for_each(|field| out.message(2, field));
        nested.iter().for_each(|message| out.message(3, message));
        enums.iter().for_each(|element| out.message(4, element));
        message.extensions.iter().for_each(|found| extension_ranges(&mut out, found));
        for extend in &message.extends {
            for field in &extend.fields {
                out.message(6, &self.extension(field, &extend.name));
            }
        }
        optional(&mut out, 7, encode_options(&message.options, options::MESSAGE, "confluent.message_meta"));
        for (name, options) in one_ofs {
            let mut one_of = MessageBuilder::default();
            one_of.text(1, name);
            one_of.message(2, options);
            out.message(8, &one_of);
        }
        for (first, last) in message.reserved.iter().flatten().filter_map(range) {
            let mut range = MessageBuilder::default();
            range.int(1, first);
            range.int(2, last.wrapping_add(1));
            out.message(9, &range);
        }
        reserved_names(&mut out, 10, &message.reserved);
        out
    }

    fn map_entry(&self, name: &str, key: &str, value: &str) -> MessageBuilder {
        let mut out = MessageBuilder::default();
        out.text(1, name);
        for (name, type_name, tag) in [("key", key, 1), ("value", value, 2)] {
            let mut field = MessageBuilder::default();
            field.text(1, name);
            field.int(3, tag);
            self.field_type(&mut field, type_name);
            out.message(2, &field);
        }
        let mut options = MessageBuilder::default();
        options.varint(7, 1);
        out.message(7, &options);
        out
    }

    fn extension(&self, field: &Field, extendee: &str) -> MessageBuilder {
        self.field(&Described { extendee: Some(extendee), ..plain(field, field.label, None) })
    }

    fn field(&self, described: &Described<'_>) -> MessageBuilder {
        let field = described.field;
        let mut out = MessageBuilder::default();
        out.text(1, &field.name);
        if let Some(extendee) = described.extendee {
            out.text(2, extendee);
        }
        out.int(3, field.tag);
        if let Some(label) = described.label {
            let number = match label {
                Label::Optional => 1,
                Label::Required => 2,
                Label::Repeated => 3,
            };
            out.varint(4, number);
        }
        self.field_type(&mut out, described.type_name);
        if let Some(default) = &field.default {
            out.text(7, default);
        }
        optional(&mut out, 8, encode_options(&field.options, options::FIELD, "confluent.field_meta"));
        if let Some(index) = described.one_of {
            out.varint(9, index as u64);
        }
        if let Some(json_name) = &field.json_name {
            out.text(10, json_name);
        }
        if described.is_proto3_optional {
            out.varint(17, 1);
        }
        out
    }

    fn field_type(&self, out: &mut MessageBuilder, type_name: &str) {
        if let Some(number) = TYPES.iter().position(|known| *known == type_name && !known.is_empty()) {
            out.varint(5, number as u64);
            return;
        }
        match self.types.find(type_name, &self.scope).map(|info| info.definition) {
            Some(Definition::Message(_)) => out.varint(5, TYPE_MESSAGE),
            Some(Definition::Enum(_)) => out.varint(5, TYPE_ENUM),
            None => {}
        }
        out.text(6, type_name);
    }
}

fn plain(field: &Field, label: Option<Label>, one_of: Option<usize>) -> Described<'_> {
    Described { field, type_name: &field.type_name, label, one_of, is_proto3_optional: false, extendee: None }
}

/// Paths of imports, and the positions of the public ones. Imports that nothing defines are left out.
fn dependencies(file: &File, is_resolved: impl Fn(&str) -> bool) -> (Vec<&str>, Vec<usize>) {
    let mut paths: indexmap::IndexSet<&str> = indexmap::IndexSet::new();
    paths.extend(file.imports.iter().map(String::as_str).filter(|path| is_resolved(path)));
    let public = file.public_imports.iter().map(String::as_str).filter(|path| is_resolved(path));
    let public = public.map(|path| paths.insert_full(path).0).collect();
    (paths.into_iter().collect(), public)
}

/// The name of the message for the entries of a map.
pub(in super::super) fn entry_name(field: &str) -> String {
    if !field.contains('_') {
        return format!("{field}Entry");
    }
    let mut name = String::with_capacity(field.len() + 5);
    for part in field.split('_') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.extend(letters.map(|letter| letter.to_ascii_lowercase()));
    }
    name + "Entry"
}

fn optional(out: &mut MessageBuilder, number: u32, options: MessageBuilder) {
    if !options.is_empty() {
        out.message(number, &options);
    }
}

/// The first and the last number of reserved numbers.
fn range(reserved: &Reserved) -> Option<(i32, i32)> {
    match reserved {
        Reserved::Tag(tag) => Some((*tag, *tag)),
        Reserved::Range(first, last) => Some((*first, *last)),
        Reserved::Name(_) => None,
    }
}

fn reserved_names(out: &mut MessageBuilder, number: u32, reserved: &[Vec<Reserved>]) {
    for value in reserved.iter().flatten() {
        if let Reserved::Name(name) = value {
            out.text(number, name);
        }
    }
}

fn extension_ranges(out: &mut MessageBuilder, found: &Extensions) {
    for (first, last) in found.values.iter().filter_map(range) {
        let mut range = MessageBuilder::default();
        range.int(1, first);
        range.int(2, last.wrapping_add(1));
        range.message(3, &encode_options(&found.options, options::EXTENSIONS, ""));
        out.message(5, &range);
    }
}

fn enumeration(element: &Enum) -> MessageBuilder {
    let mut out = MessageBuilder::default();
    out.text(1, &element.name);
    for constant in &element.constants {
        let mut value = MessageBuilder::default();
        value.text(1, &constant.name);
        value.int(2, constant.tag);
        let options = encode_options(&constant.options, options::CONSTANT, "confluent.enum_value_meta");
        optional(&mut value, 3, options);
        out.message(2, &value);
    }
    optional(&mut out, 3, encode_options(&element.options, options::ENUM, "confluent.enum_meta"));
    for (first, last) in element.reserved.iter().flatten().filter_map(range) {
        let mut range = MessageBuilder::default();
        range.int(1, first);
        range.int(2, last);
        out.message(4, &range);
    }
    reserved_names(&mut out, 5, &element.reserved);
    out
}

fn service(service: &Service) -> MessageBuilder {
    let mut out = MessageBuilder::default();
    out.text(1, &service.name);
    for rpc in &service.rpcs {
        let mut method = MessageBuilder::default();
        method.text(1, &rpc.name);
        method.text(2, &rpc.request);
        method.text(3, &rpc.response);
        optional(&mut method, 4, encode_options(&rpc.options, options::METHOD, ""));
        method.varint(5, rpc.is_request_stream.into());
        method.varint(6, rpc.is_response_stream.into());
        out.message(2, &method);
    }
    optional(&mut out, 3, encode_options(&service.options, options::SERVICE, ""));
    out
}

/// Encodes known options in the order of their numbers, and Confluent's metadata if `meta` names them.
fn encode_options(options: &[OptionElement], known: &[KnownOption], meta: &str) -> MessageBuilder {
    let mut known: Vec<&KnownOption> = known.iter().collect();
    known.sort_by_key(|option| option.number);
    let mut out = MessageBuilder::default();
    for option in known {
        let mut values = named(options, option.name);
        if let OptionKind::Enums(names) = option.kind {
            values.for_each(|found| encode_enum(&mut out, option.number, names, &found.value));
        } else if let Some(found) = values.next_back() {
            encode_option(&mut out, option, &found.value);
        }
    }
    let mut entries = Entries::new();
    if !meta.is_empty() {
        named(options, meta).for_each(|option| merge_meta(&mut entries, as_map(option.value.clone())));
    }
    let encoded = encode_meta(&entries);
    optional(&mut out, META, encoded);
    out
}

fn named<'o>(options: &'o [OptionElement], name: &'o str) -> impl DoubleEndedIterator<Item = &'o OptionElement> {
    options.iter().filter(move |option| option.name.trim_start_matches('.') == name)
}

fn encode_enum(out: &mut MessageBuilder, number: u32, names: &[(&str, u64)], value: &Value) {
    if let Some((_, value)) = names.iter().find(|(name, _)| value.word() == Some(name)) {
        out.varint(number, *value);
    }
}

fn encode_option(out: &mut MessageBuilder, option: &KnownOption, value: &Value) {
    match &option.kind {
        OptionKind::Text => out.text(option.number, value.word().unwrap_or_default()),
        OptionKind::Bool => {
            let is_true = value.word().is_some_and(|word| word.eq_ignore_ascii_case("true"));
            out.varint(option.number, is_true.into());
        }
        OptionKind::Enum(names) | OptionKind::Enums(names) => encode_enum(out, option.number, names, value),
        OptionKind::Features => {
            let Value::Map(entries) = as_map(value.clone()) else { return };
            let mut features = MessageBuilder::default();
            for feature in options::FEATURES {
                if let Some(value) = entries.get(feature.name) {
                    encode_option(&mut features, feature, value);
                }
            }
            out.message(option.number, &features);
        }
    }
}

/// Adds further metadata. Values of the same name become a list, of a bounded length.
fn merge_meta(entries: &mut Entries, further: Value) {
    let Value::Map(further) = further else { return };
    for (name, value) in further {
        let Some(existing) = entries.get_mut(&name) else {
            entries.insert(name, value);
            continue;
        };
        if !matches!(existing, Value::List(_)) {
            let first = std::mem::replace(existing, Value::List(Vec::new()));
            *existing = Value::List(vec![first]);
        }
        if let Value::List(values) = existing {
            for value in list(&value) {
                if values.len() < MAX_META_VALUES && !values.contains(value) {
                    values.push(value.clone());
                }
            }
        }
    }
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::List(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn encode_meta(entries: &Entries) -> MessageBuilder {
    let text = |entries: &Entries, name: &str| entries.get(name).and_then(Value::word).map(str::to_owned);
    let values = |name: &str| entries.get(name).map(list).unwrap_or_default();
    let mut out = MessageBuilder::default();
    if let Some(doc) = text(entries, "doc").filter(|doc| !doc.is_empty()) {
        out.text(1, &doc);
    }
    let mut params: indexmap::IndexMap<String, String> = indexmap::IndexMap::new();
    for value in values("params") {
        if let Value::Map(param) = value {
            params.insert(text(param, "key").unwrap_or_default(), text(param, "value").unwrap_or_default());
        }
    }
    for (key, value) in &params {
        let mut entry = MessageBuilder::default();
        entry.text(1, key);
        entry.text(2, value);
        out.message(2, &entry);
    }
    values("tags").into_iter().filter_map(Value::word).for_each(|tag| out.text(3, tag));
    for value in values("rules") {
        let Value::Map(parts) = value else { continue };
        let mut rule = MessageBuilder::default();
        for (name, number) in [("name", 1), ("doc", 2), ("expr", 3), ("sql", 4)] {
            if let Some(part) = text(parts, name).filter(|part| !part.is_empty()) {
                rule.text(number, &part);
            }
        }
        optional(&mut out, 4, rule);
    }
    out
}
