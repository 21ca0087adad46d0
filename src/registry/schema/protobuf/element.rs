//! The parts of a parsed file, as they were written: order, spelling of numbers and of types are kept.

use indexmap::IndexMap;

/// The largest number of a field, which a range writes as `max`.
pub const MAX_TAG: i32 = (1 << 29) - 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    Proto2,
    Proto3,
}

impl Syntax {
    pub fn name(self) -> &'static str {
        match self {
            Syntax::Proto2 => "proto2",
            Syntax::Proto3 => "proto3",
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct File {
    pub package: Option<String>,
    pub syntax: Option<Syntax>,
    pub imports: Vec<String>,
    pub public_imports: Vec<String>,
    pub types: Vec<Type>,
    pub services: Vec<Service>,
    pub extends: Vec<Extend>,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug)]
pub enum Type {
    Message(Message),
    Enum(Enum),
}

impl Type {
    pub fn name(&self) -> &str {
        match self {
            Type::Message(message) => &message.name,
            Type::Enum(element) => &element.name,
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct Message {
    pub name: String,
    pub types: Vec<Type>,
    pub options: Vec<OptionElement>,
    pub reserved: Vec<Vec<Reserved>>,
    pub fields: Vec<Field>,
    pub one_ofs: Vec<OneOf>,
    pub extensions: Vec<Extensions>,
    pub groups: Vec<Group>,
    pub extends: Vec<Extend>,
}

impl Message {
    /// Whether the message stands for the entries of a map, as compilers write it.
    pub fn is_map_entry(&self) -> bool {
        let option = self.options.iter().rev().find(|option| option.name.trim_start_matches('.') == "map_entry");
        option.and_then(|option| option.value.word()).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Enum {
    pub name: String,
    pub options: Vec<OptionElement>,
    pub constants: Vec<Constant>,
    pub reserved: Vec<Vec<Reserved>>,
}

#[derive(Clone, Debug)]
pub struct Constant {
    pub name: String,
    pub tag: i32,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    Required,
    Optional,
    Repeated,
}

impl Label {
    pub fn name(self) -> &'static str {
        match self {
            Label::Required => "required",
            Label::Optional => "optional",
            Label::Repeated => "repeated",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub label: Option<Label>,
    pub type_name: String,
    pub name: String,
    pub default: Option<String>,
    pub json_name: Option<String>,
    pub tag: i32,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug, Default)]
pub struct OneOf {
    pub name: String,
    pub fields: Vec<Field>,
    pub groups: Vec<Group>,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub label: Option<Label>,
    pub name: String,
    pub tag: i32,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Extend {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reserved {
    Name(String),
    Tag(i32),
    /// The first and the last number.
    Range(i32, i32),
}

#[derive(Clone, Debug)]
pub struct Extensions {
    pub values: Vec<Reserved>,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug)]
pub struct Service {
    pub name: String,
    pub rpcs: Vec<Rpc>,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug)]
pub struct Rpc {
    pub name: String,
    pub request: String,
    pub response: String,
    pub is_request_stream: bool,
    pub is_response_stream: bool,
    pub options: Vec<OptionElement>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionElement {
    pub name: String,
    pub value: Value,
    /// Whether the name is in parentheses: the option is an extension.
    pub is_extension: bool,
}

impl OptionElement {
    pub fn new(name: impl Into<String>, value: Value) -> OptionElement {
        OptionElement { name: name.into(), value, is_extension: false }
    }
}

pub type Entries = IndexMap<String, Value>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    String(String),
    Boolean(String),
    Number(String),
    Enum(String),
    Map(Entries),
    List(Vec<Value>),
    /// `.name = value` after the name of an option.
    Option(Box<OptionElement>),
}

impl Value {
    /// The text of a value without parts.
    pub fn word(&self) -> Option<&str> {
        match self {
            Value::String(text) | Value::Boolean(text) | Value::Number(text) | Value::Enum(text) => Some(text),
            Value::Map(_) | Value::List(_) | Value::Option(_) => None,
        }
    }
}

const SCALARS: [&str; 15] = [
    "bool", "bytes", "double", "float", "fixed32", "fixed64", "int32", "int64", "sfixed32", "sfixed64", "sint32",
    "sint64", "string", "uint32", "uint64",
];

pub fn is_scalar(type_name: &str) -> bool {
    SCALARS.contains(&type_name)
}

/// The types of the keys and the values of a map.
pub fn map_parts(type_name: &str) -> Option<(&str, &str)> {
    let inner = type_name.strip_prefix("map<")?.strip_suffix('>')?;
    let (key, value) = inner.split_once(',')?;
    Some((key.trim(), value.trim()))
}

/// Returns the key of a map that cannot be one.
pub fn bad_map_key(type_name: &str) -> Option<&str> {
    let (key, value) = map_parts(type_name)?;
    let is_good = is_scalar(key) && !matches!(key, "bytes" | "double" | "float");
    if is_good { bad_map_key(value) } else { Some(key) }
}
