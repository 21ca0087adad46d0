//! From JSON to nodes.

use indexmap::IndexMap;

use super::logical::logical_type;
use super::model::{Body, Field, Kind, Name, Named, Node, NodeId, Nodes, Order, Primitive};
use super::names::{Validation, check_namespace, check_simple};
use super::{AvroError, defaults, equal, print};
use crate::json::{Json, Number, Object, parse_with_comments};
use crate::schema::nesting::MAX_NODES;

/// Attributes of a schema that are not properties.
const RESERVED: [&str; 10] =
    ["doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"];
/// Attributes of a field that are not properties.
const FIELD_RESERVED: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];
/// Maximum size of a fixed: the longest array of Java.
const MAX_FIXED_SIZE: i32 = i32::MAX - 8;

pub(super) struct Parser {
    pub nodes: Nodes,
    /// Every named type that was defined so far, in the order of the definitions.
    pub names: IndexMap<String, NodeId>,
    pub validation: Validation,
    /// Whether the names of this text are checked; those of references were, when they were registered.
    pub check_names: bool,
    /// How many values the checks of defaults looked at.
    pub default_steps: usize,
}

impl Parser {
    pub fn new(validation: Validation) -> Parser {
        Parser { nodes: Nodes::default(), names: IndexMap::new(), validation, check_names: true, default_steps: 0 }
    }

    /// Parses one text, which may use the names of those before. Returns its root, with names not yet resolved.
    pub fn parse_text(&mut self, text: &str) -> Result<NodeId, AvroError> {
        let json = parse_with_comments(text).map_err(|error| AvroError::new(error.to_string()))?;
        self.parse(&json, None)
    }

    fn parse(&mut self, json: &Json, space: Option<&str>) -> Result<NodeId, AvroError> {
        match json {
            Json::String(name) => self.reference(name, space),
            Json::Object(object) => self.parse_object(json, object, space),
            Json::Array(branches) => self.parse_union(branches, space),
            _ => Err(AvroError::new(format!("Schema not yet supported: {json}"))),
        }
    }

    fn reference(&mut self, name: &str, space: Option<&str>) -> Result<NodeId, AvroError> {
        if let Some(primitive) = Primitive::from_name(name) {
            return self.add(Kind::Primitive(primitive), Object::new());
        }
        let full = match space {
            Some(space) if !name.contains('.') => format!("{space}.{name}"),
            _ => name.to_owned(),
        };
        if let Some(id) = self.names.get(&full).or_else(|| self.names.get(name)) {
            return Ok(*id);
        }
        self.add(Kind::Unresolved(full), Object::new())
    }

    fn parse_object(&mut self, json: &Json, object: &Object, space: Option<&str>) -> Result<NodeId, AvroError> {
        let type_name = required(object, "type", "No type")?;
        if let Some(primitive) = Primitive::from_name(type_name) {
            return self.add(Kind::Primitive(primitive), properties(object, &RESERVED));
        }
        match type_name {
            "record" | "error" => self.parse_record(object, space, type_name == "error"),
            "enum" => self.parse_enum(object, space),
            "fixed" => self.parse_fixed(object, space),
            "array" => {
                let items = object.get("items");
                let items = items.ok_or_else(|| AvroError::new(format!("Array has no items type: {json}")))?;
                let items = self.parse(items, space)?;
                self.add(Kind::Array(items), properties(object, &RESERVED))
            }
            "map" => {
                let values = object.get("values");
                let values = values.ok_or_else(|| AvroError::new(format!("Map has no values type: {json}")))?;
                let values = self.parse(values, space)?;
                self.add(Kind::Map(values), properties(object, &RESERVED))
            }
            // The name of a type that is defined elsewhere. Properties beside it are ignored.
            name => self.reference(name, space),
        }
    }

    fn parse_union(&mut self, branches: &[Json], space: Option<&str>) -> Result<NodeId, AvroError> {
        let ids = branches.iter().map(|branch| self.parse(branch, space)).collect::<Result<Vec<_>, _>>()?;
        let nested = ids.iter().position(|id| matches!(self.nodes.kind(*id), Kind::Union(_)));
        check_union(&self.nodes, &ids[..nested.unwrap_or(ids.len())])?;
        if nested.is_some() {
            let id = self.add(Kind::Union(ids), Object::new())?;
            return Err(AvroError::new(format!("Nested union: {}", print::for_message(&self.nodes, id))));
        }
        self.add(Kind::Union(ids), Object::new())
    }

    fn parse_record(&mut self, object: &Object, space: Option<&str>, is_error: bool) -> Result<NodeId, AvroError> {
        let name = self.parse_name(object, space)?;
        let Some(Json::Array(items)) = object.get("fields") else {
            return Err(AvroError::new(format!("Record has no fields: {}", Json::Object(object.clone()))));
        };
        let mut fields: IndexMap<String, Field> = IndexMap::with_capacity(items.len());
        for item in items {
            let field = self.parse_field(item, name.space.as_deref())?;
            if fields.contains_key(&field.name) {
                return Err(AvroError::new(format!("Duplicate field {} in record {}.", field.name, name.full)));
            }
            fields.insert(field.name.clone(), field);
        }
        let body = Body::Record { is_error, fields: fields.into_values().collect() };
        self.define(object, name, body, &[])
    }

    fn parse_field(&mut self, json: &Json, space: Option<&str>) -> Result<Field, AvroError> {
        let empty = Object::new();
        let object = json.as_object().unwrap_or(&empty);
        let Some(name) = object.get("name").and_then(Json::as_str) else {
            return Err(AvroError::new(format!("No field name: {json}")));
        };
        let doc = optional(object, "doc").map(str::to_owned);
        let schema = object.get("type").ok_or_else(|| AvroError::new(format!("No field type: {json}")))?;
        let schema = self.parse(schema, space)?;
        let order = match object.get("order") {
            None => Order::Ascending,
            Some(order) => parse_order(order)?,
        };
        let default = self.parse_default(schema, object.get("default"))?;
        if self.check_names {
            check_simple(name, self.validation)?;
        }
        if self.validation == Validation::New
            && let Some(default) = &default
        {
            // The types that are not known yet are checked when all are.
            defaults::check(&self.nodes, &mut self.default_steps, name, schema, default)?;
        }
        let aliases = parse_aliases(json)?.unwrap_or_default();
        let properties = properties(object, &FIELD_RESERVED);
        Ok(Field { name: name.to_owned(), schema, doc, default, order, aliases, properties })
    }

    /// Reads a default. A string for a floating-point number becomes one, so that `NaN` can be written.
    fn parse_default(&self, schema: NodeId, default: Option<&Json>) -> Result<Option<Json>, AvroError> {
        let floating = matches!(self.nodes.kind(schema), Kind::Primitive(Primitive::Float | Primitive::Double));
        match default {
            Some(Json::String(text)) if floating => match text.trim().parse() {
                Ok(number) => Ok(Some(Json::Number(Number::Double(number)))),
                Err(_) => Err(AvroError::new(format!("For input string: \"{text}\""))),
            },
            default => Ok(default.cloned()),
        }
    }

    fn parse_enum(&mut self, object: &Object, space: Option<&str>) -> Result<NodeId, AvroError> {
        let name = self.parse_name(object, space)?;
        let Some(Json::Array(items)) = object.get("symbols") else {
            return Err(AvroError::new(format!("Enum has no symbols: {}", Json::Object(object.clone()))));
        };
        let mut symbols: IndexMap<String, ()> = IndexMap::with_capacity(items.len());
        for item in items {
            let symbol = item.as_str().ok_or_else(|| AvroError::new("Null name"))?;
            if self.check_names {
                check_simple(symbol, self.validation)?;
            }
            if symbols.insert(symbol.to_owned(), ()).is_some() {
                return Err(AvroError::new(format!("Duplicate enum symbol: {symbol}")));
            }
        }
        let default = optional(object, "default").map(str::to_owned);
        let symbols: Vec<String> = symbols.into_keys().collect();
        if let Some(default) = default.as_ref().filter(|default| !symbols.contains(default)) {
            return Err(AvroError::new(format!(
                "The Enum Default: {default} is not in the enum symbol set: [{}]",
                symbols.join(", ")
            )));
        }
        self.define(object, name, Body::Enum { symbols, default }, &["default"])
    }

    fn parse_fixed(&mut self, object: &Object, space: Option<&str>) -> Result<NodeId, AvroError> {
        let name = self.parse_name(object, space)?;
        let size = object.get("size").and_then(Json::as_int);
        let size =
            size.ok_or_else(|| AvroError::new(format!("Invalid or no size: {}", Json::Object(object.clone()))))?;
        if size < 0 {
            return Err(AvroError::new(format!("Malformed data. Length is negative: {size}")));
        }
        if size > MAX_FIXED_SIZE {
            return Err(AvroError::new(format!(
                "Cannot read arrays longer than {MAX_FIXED_SIZE} bytes in Java library"
            )));
        }
        self.define(object, name, Body::Fixed { size }, &[])
    }

    fn parse_name(&self, object: &Object, space: Option<&str>) -> Result<Name, AvroError> {
        let space = optional(object, "namespace").or(space);
        let name = Name::new(required(object, "name", "No name in schema")?, space);
        if self.check_names {
            check_simple(&name.simple, self.validation)?;
        }
        if Primitive::from_name(&name.full).is_some() {
            return Err(AvroError::new(format!("Schemas may not be named after primitives: {}", name.full)));
        }
        Ok(name)
    }

    /// Adds a named type. The same definition may be repeated; another one with that name is refused.
    fn define(&mut self, object: &Object, name: Name, body: Body, also: &[&str]) -> Result<NodeId, AvroError> {
        let mut aliases: Vec<Name> = Vec::new();
        for alias in parse_aliases(&Json::Object(object.clone()))?.unwrap_or_default() {
            let alias = Name::new(&alias, name.space.as_deref());
            if self.validation == Validation::New {
                check_simple(&alias.simple, self.validation)?;
            }
            if !aliases.contains(&alias) {
                aliases.push(alias);
            }
        }
        if self.validation == Validation::New {
            check_namespace(&name.full)?;
        }
        let full = name.full.clone();
        let doc = optional(object, "doc").map(str::to_owned);
        let reserved: Vec<&str> = RESERVED.iter().chain(also).copied().collect();
        let named = Named { name, doc, aliases, body };
        let id = self.add(Kind::Named(Box::new(named)), properties(object, &reserved))?;
        match self.names.get(&full) {
            Some(known) if !equal::types_equal(&self.nodes, *known, &self.nodes, id) => {
                Err(AvroError::new(format!("Can't redefine: {full}")))
            }
            Some(_) => Ok(id),
            None => {
                self.names.insert(full, id);
                Ok(id)
            }
        }
    }

    fn add(&mut self, kind: Kind, properties: Object) -> Result<NodeId, AvroError> {
        if self.nodes.len() == MAX_NODES {
            return Err(AvroError::new(format!("the schema and its references have more than {MAX_NODES} types")));
        }
        let mut node = Node { kind, properties, logical: None };
        node.logical = logical_type(&self.nodes, &node);
        Ok(self.nodes.add(node))
    }
}

/// Refuses a union with two branches of one unnamed type or of one name.
pub(super) fn check_union(nodes: &Nodes, branches: &[NodeId]) -> Result<(), AvroError> {
    let mut seen = std::collections::HashSet::with_capacity(branches.len());
    for branch in branches {
        // Names without a definition are compared when they have one.
        let unresolved = matches!(nodes.kind(*branch), Kind::Unresolved(_));
        let name = nodes.full_name(*branch);
        if !unresolved && !seen.insert(name) {
            return Err(AvroError::new(format!("Duplicate in union:{name}")));
        }
    }
    Ok(())
}

fn parse_order(order: &Json) -> Result<Order, AvroError> {
    let text = order.as_str().map(str::to_uppercase).unwrap_or_default();
    match text.as_str() {
        "ASCENDING" => Ok(Order::Ascending),
        "DESCENDING" => Ok(Order::Descending),
        "IGNORE" => Ok(Order::Ignore),
        _ => Err(AvroError::new(format!("No enum constant org.apache.avro.Schema.Field.Order.{text}"))),
    }
}

fn parse_aliases(json: &Json) -> Result<Option<Vec<String>>, AvroError> {
    let Some(aliases) = json.get("aliases") else { return Ok(None) };
    let Json::Array(items) = aliases else {
        return Err(AvroError::new(format!("aliases not an array: {json}")));
    };
    let mut names: IndexMap<String, ()> = IndexMap::with_capacity(items.len());
    for item in items {
        let name = item.as_str().ok_or_else(|| AvroError::new(format!("alias not a string: {item}")))?;
        names.insert(name.to_owned(), ());
    }
    Ok(Some(names.into_keys().collect()))
}

fn properties(object: &Object, reserved: &[&str]) -> Object {
    let kept = object.iter().filter(|(name, _)| !reserved.contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn required<'a>(object: &'a Object, name: &str, error: &str) -> Result<&'a str, AvroError> {
    optional(object, name).ok_or_else(|| AvroError::new(format!("{error}: {}", Json::Object(object.clone()))))
}

/// Returns a string attribute. One of another type counts as absent.
fn optional<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Json::as_str)
}
