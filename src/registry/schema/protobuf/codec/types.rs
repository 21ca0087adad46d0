//! The types of a schema with resolved names, for reading and writing of values.

use std::collections::HashMap;

use super::super::element::{Enum, Field, Group, Label, Message, Syntax, is_scalar, map_parts};
use super::super::names::{Definition, Scope, TypeInfo, Types};
use super::well_known::WellKnown;
use crate::schema::value::ValueError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Bytes,
    Double,
    Float,
    Fixed32,
    Fixed64,
    Int32,
    Int64,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
    String,
    Uint32,
    Uint64,
}

impl Scalar {
    fn from_name(name: &str) -> Option<Scalar> {
        Some(match name {
            "bool" => Scalar::Bool,
            "bytes" => Scalar::Bytes,
            "double" => Scalar::Double,
            "float" => Scalar::Float,
            "fixed32" => Scalar::Fixed32,
            "fixed64" => Scalar::Fixed64,
            "int32" => Scalar::Int32,
            "int64" => Scalar::Int64,
            "sfixed32" => Scalar::Sfixed32,
            "sfixed64" => Scalar::Sfixed64,
            "sint32" => Scalar::Sint32,
            "sint64" => Scalar::Sint64,
            "string" => Scalar::String,
            "uint32" => Scalar::Uint32,
            "uint64" => Scalar::Uint64,
            _ => return None,
        })
    }

    pub fn wire_type(self) -> u32 {
        match self {
            Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => 1,
            Scalar::Bytes | Scalar::String => 2,
            Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => 5,
            _ => 0,
        }
    }
}

/// The type of a field's values; messages and enums by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar(Scalar),
    Message(usize),
    Group(usize),
    Enum(usize),
}

impl Kind {
    pub fn wire_type(self) -> u32 {
        match self {
            Kind::Scalar(scalar) => scalar.wire_type(),
            Kind::Message(_) => 2,
            Kind::Group(_) => 3,
            Kind::Enum(_) => 0,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cardinality {
    /// One value. Without presence, a value that is the default is as good as none.
    Single {
        has_presence: bool,
    },
    Repeated {
        is_packed: bool,
    },
    Map {
        key: Scalar,
    },
}

#[derive(Debug)]
pub(super) struct FieldType {
    pub number: u32,
    pub name: String,
    pub json_name: String,
    pub kind: Kind,
    pub cardinality: Cardinality,
    /// The number among the required fields of its message, if it is one.
    pub required: Option<usize>,
    /// The number of the oneof in its message.
    pub one_of: Option<usize>,
    /// Whether strings must be UTF-8, as in proto3.
    pub is_utf8: bool,
    /// The default that proto2 defines.
    pub default: Option<String>,
    /// Whether a field without a value is printed.
    pub is_printed_without_value: bool,
}

#[derive(Debug, Default)]
pub(super) struct MessageType {
    pub full_name: String,
    /// In the order of their numbers.
    pub fields: Vec<FieldType>,
    /// Positions of fields by their JSON names and by their own names.
    pub by_name: HashMap<String, usize>,
    pub well_known: Option<WellKnown>,
    /// Positions of the required fields.
    pub required: Vec<usize>,
}

impl MessageType {
    pub fn position(&self, number: u32) -> Option<usize> {
        self.fields.binary_search_by_key(&number, |field| field.number).ok()
    }
}

#[derive(Debug)]
pub(super) struct EnumType {
    /// The number of the first constant.
    pub default: i32,
    names: HashMap<i32, String>,
    numbers: HashMap<String, i32>,
    /// Whether other numbers count as unknown fields, as in proto2.
    pub is_closed: bool,
    pub is_null: bool,
}

impl EnumType {
    fn new(full_name: &str, element: &Enum, syntax: Syntax) -> EnumType {
        let constants = || element.constants.iter();
        EnumType {
            default: constants().next().map_or(0, |constant| constant.tag),
            // Of several names for a number, the first one counts.
            names: constants().rev().map(|constant| (constant.tag, constant.name.clone())).collect(),
            numbers: constants().rev().map(|constant| (constant.name.clone(), constant.tag)).collect(),
            is_closed: syntax == Syntax::Proto2,
            is_null: full_name == "google.protobuf.NullValue",
        }
    }

    pub fn name_of(&self, number: i32) -> Option<&str> {
        self.names.get(&number).map(String::as_str)
    }

    pub fn number_of(&self, name: &str) -> Option<i32> {
        self.numbers.get(name).copied()
    }
}

/// The messages and enums that a schema can use.
#[derive(Debug, Default)]
pub(in crate::schema::protobuf) struct Descriptors {
    pub(super) messages: Vec<MessageType>,
    pub(super) enums: Vec<EnumType>,
    ids: HashMap<String, Id>,
}

#[derive(Clone, Copy, Debug)]
enum Id {
    Message(usize),
    Enum(usize),
}

impl Descriptors {
    /// Resolves the types of a schema and of those that it refers to, and `more`, which every schema can use.
    pub(in crate::schema::protobuf) fn of<'n>(
        types: &'n Types<'_>,
        more: impl Iterator<Item = &'n str>,
    ) -> Result<Descriptors, ValueError> {
        let mut compiler = Compiler { types, out: Descriptors::default(), pending: Vec::new() };
        for name in types.own_names().chain(more) {
            if let Some(info) = types.by_full_name(name) {
                compiler.id_of(name, info);
            }
        }
        while let Some(pending) = compiler.pending.pop() {
            compiler.message(&pending)?;
        }
        Ok(compiler.out)
    }

    pub(super) fn message_named(&self, full_name: &str) -> Option<usize> {
        match self.ids.get(full_name) {
            Some(Id::Message(id)) => Some(*id),
            _ => None,
        }
    }
}

/// A message whose fields are not resolved yet.
struct Pending<'a> {
    id: usize,
    parts: Parts<'a>,
    scope: Scope,
    syntax: Syntax,
}

#[derive(Clone, Copy)]
enum Parts<'a> {
    Message(&'a Message),
    Group(&'a Group),
}

struct Compiler<'a> {
    types: &'a Types<'a>,
    out: Descriptors,
    pending: Vec<Pending<'a>>,
}

impl<'a> Compiler<'a> {
    fn id_of(&mut self, full_name: &str, info: TypeInfo<'a>) -> Id {
        if let Some(id) = self.out.ids.get(full_name) {
            return *id;
        }
        let id = match info.definition {
            Definition::Message(message) => Id::Message(self.add(
                full_name.to_owned(),
                Parts::Message(message),
                scope_of(full_name, info),
                info.syntax,
            )),
            Definition::Enum(element) => {
                self.out.enums.push(EnumType::new(full_name, element, info.syntax));
                Id::Enum(self.out.enums.len() - 1)
            }
        };
        self.out.ids.insert(full_name.to_owned(), id);
        id
    }

    fn add(&mut self, full_name: String, parts: Parts<'a>, scope: Scope, syntax: Syntax) -> usize {
        let id = self.out.messages.len();
        let well_known = WellKnown::from_name(&full_name);
        self.out.messages.push(MessageType { full_name, well_known, ..MessageType::default() });
        self.pending.push(Pending { id, parts, scope, syntax });
        id
    }

    fn message(&mut self, pending: &Pending<'a>) -> Result<(), ValueError> {
        let mut fields = Vec::new();
        let own = match pending.parts {
            Parts::Message(message) => &message.fields,
            Parts::Group(group) => &group.fields,
        };
        for field in own {
            fields.push(self.field(field, pending, None)?);
        }
        if let Parts::Message(message) = pending.parts {
            for group in &message.groups {
                fields.push(self.group(group, pending, None));
            }
            for (at, one_of) in message.one_ofs.iter().enumerate() {
                for field in &one_of.fields {
                    fields.push(self.field(field, pending, Some(at))?);
                }
                fields.extend(one_of.groups.iter().map(|group| self.group(group, pending, Some(at))));
            }
        }
        fields.sort_by_key(|field| field.number);
        fields.dedup_by_key(|field| field.number);
        let mut required = Vec::new();
        for (at, field) in fields.iter_mut().enumerate().filter(|(_, field)| field.required.is_some()) {
            field.required = Some(required.len());
            required.push(at);
        }
        let out = &mut self.out.messages[pending.id];
        out.required = required;
        let names = fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at));
        let json_names = fields.iter().enumerate().map(|(at, field)| (field.json_name.clone(), at));
        out.by_name = names.chain(json_names).collect();
        out.fields = fields;
        Ok(())
    }

    fn field(
        &mut self,
        field: &'a Field,
        pending: &Pending<'a>,
        one_of: Option<usize>,
    ) -> Result<FieldType, ValueError> {
        let is_proto3 = pending.syntax == Syntax::Proto3;
        let is_repeated = field.label == Some(Label::Repeated);
        let (kind, cardinality) = match map_parts(&field.type_name) {
            Some((key, value)) => (self.kind(value, &pending.scope)?, Cardinality::Map { key: key_of(key)? }),
            None => match self.entries_of(field, pending).filter(|_| is_repeated) {
                Some((key, value, scope)) => (self.kind(&value, &scope)?, Cardinality::Map { key: key_of(&key)? }),
                None => {
                    let kind = self.kind(&field.type_name, &pending.scope)?;
                    let has_presence = !is_proto3 || field.label == Some(Label::Optional) || one_of.is_some();
                    let is_message = matches!(kind, Kind::Message(_) | Kind::Group(_));
                    let cardinality = match is_repeated {
                        true => Cardinality::Repeated { is_packed: is_packed(field, kind, is_proto3) },
                        false => Cardinality::Single { has_presence: has_presence || is_message },
                    };
                    (kind, cardinality)
                }
            },
        };
        // An optional field of proto3 counts as the only one of a oneof.
        let is_alone = is_proto3 && field.label == Some(Label::Optional);
        let is_single = matches!(cardinality, Cardinality::Single { .. });
        let is_message = matches!(kind, Kind::Message(_) | Kind::Group(_));
        Ok(FieldType {
            number: u32::try_from(field.tag).unwrap_or(0),
            json_name: field.json_name.clone().unwrap_or_else(|| json_name(&field.name)),
            name: field.name.clone(),
            kind,
            cardinality,
            required: (field.label == Some(Label::Required)).then_some(0),
            one_of,
            is_utf8: is_proto3,
            default: field.default.clone(),
            is_printed_without_value: !is_single || (one_of.is_none() && !is_alone && !is_message),
        })
    }

    /// A group is a message with another form on the wire; its field has the name in lower case.
    fn group(&mut self, group: &'a Group, pending: &Pending<'a>, one_of: Option<usize>) -> FieldType {
        let mut scope = pending.scope.clone();
        scope.names.push(group.name.clone());
        let full_name = format!("{}.{}", self.out.messages[pending.id].full_name, group.name);
        let id = self.add(full_name, Parts::Group(group), scope, pending.syntax);
        let name = group.name.to_ascii_lowercase();
        let is_repeated = group.label == Some(Label::Repeated);
        FieldType {
            number: u32::try_from(group.tag).unwrap_or(0),
            json_name: json_name(&name),
            name,
            kind: Kind::Group(id),
            cardinality: match is_repeated {
                true => Cardinality::Repeated { is_packed: false },
                false => Cardinality::Single { has_presence: true },
            },
            required: (group.label == Some(Label::Required)).then_some(0),
            one_of,
            is_utf8: false,
            default: None,
            is_printed_without_value: is_repeated,
        }
    }

    fn kind(&mut self, type_name: &str, scope: &Scope) -> Result<Kind, ValueError> {
        if let Some(scalar) = Scalar::from_name(type_name) {
            return Ok(Kind::Scalar(scalar));
        }
        let full_name = self.types.resolve(type_name, scope);
        let found = full_name.and_then(|name| Some((self.types.by_full_name(&name)?, name)));
        let Some((info, full_name)) = found else {
            return Err(ValueError::new(format!("the schema does not define the type {type_name}")));
        };
        Ok(match self.id_of(&full_name, info) {
            Id::Message(id) => Kind::Message(id),
            Id::Enum(id) => Kind::Enum(id),
        })
    }

    /// The types of keys and values, and where they are resolved, if the field's type is a message for the entries of a map.
    fn entries_of(&self, field: &Field, pending: &Pending<'a>) -> Option<(String, String, Scope)> {
        if is_scalar(&field.type_name) {
            return None;
        }
        let full_name = self.types.resolve(&field.type_name, &pending.scope)?;
        let info = self.types.by_full_name(&full_name)?;
        let message = info.message().filter(|message| message.is_map_entry())?;
        let (key, value) = (message.field("key")?, message.field("value")?);
        Some((key.type_name.clone(), value.type_name.clone(), scope_of(&full_name, info)))
    }
}

fn scope_of(full_name: &str, info: TypeInfo<'_>) -> Scope {
    let local = full_name.strip_prefix(info.package).unwrap_or(full_name);
    let names = local.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Scope { package: info.package.to_owned(), names }
}

fn key_of(type_name: &str) -> Result<Scalar, ValueError> {
    Scalar::from_name(type_name)
        .ok_or_else(|| ValueError::new(format!("a map cannot have keys of the type {type_name}")))
}

fn is_packed(field: &Field, kind: Kind, is_proto3: bool) -> bool {
    if matches!(kind.wire_type(), 2 | 3) {
        return false;
    }
    let option = field.options.iter().rev().find(|option| option.name == "packed" && !option.is_extension);
    match option.and_then(|option| option.value.word()) {
        Some(value) => value == "true",
        None => is_proto3,
    }
}

/// The name of a field in JSON: letters after an underscore are capital ones.
pub(super) fn json_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_upper = false;
    for char in name.chars() {
        match char {
            '_' => is_upper = true,
            char if is_upper => {
                out.push(char.to_ascii_uppercase());
                is_upper = false;
            }
            char => out.push(char),
        }
    }
    out
}
