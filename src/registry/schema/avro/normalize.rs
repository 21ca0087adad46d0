//! The normalized text: full names, sorted properties and aliases, defaults as their types print them.
//!
//! The text is not canonical yet: Confluent parses it again and takes the canonical text of that.

use std::collections::{BTreeMap, HashSet};

use super::AvroError;
use super::model::{Body, Field, Kind, LogicalType, Name, Named, Node, NodeId, Nodes, Primitive};
use crate::json::{Json, Number, Object, quote};
use crate::utf16::Utf16;
use ottla_wire::java;

/// Writes the normalized text. Types with one of the `known` full names are written as names.
pub(super) fn normalized(nodes: &Nodes, root: NodeId, known: &[String]) -> Result<String, AvroError> {
    let mut writer = Writer { nodes, known: known.iter().cloned().collect(), out: String::new() };
    writer.schema(root)?;
    Ok(writer.out)
}

struct Writer<'a> {
    nodes: &'a Nodes,
    known: HashSet<String>,
    out: String,
}

impl Writer<'_> {
    fn schema(&mut self, id: NodeId) -> Result<(), AvroError> {
        let nodes = self.nodes;
        let node = nodes.get(id);
        match &node.kind {
            Kind::Union(branches) => {
                self.out.push('[');
                for (at, branch) in branches.iter().enumerate() {
                    self.comma(at);
                    self.schema(*branch)?;
                }
                self.out.push(']');
            }
            Kind::Array(items) => {
                self.out.push_str("{\"type\":\"array\",\"items\":");
                self.schema(*items)?;
                self.properties(node);
                self.out.push('}');
            }
            Kind::Map(values) => {
                self.out.push_str("{\"type\":\"map\",\"values\":");
                self.schema(*values)?;
                self.properties(node);
                self.out.push('}');
            }
            Kind::Named(named) => self.named(named, node)?,
            Kind::Primitive(primitive) if node.properties.is_empty() => {
                self.out.push_str(&quote(primitive.name()));
            }
            Kind::Primitive(primitive) => {
                self.out.push_str("{\"type\":");
                self.out.push_str(&quote(primitive.name()));
                self.properties(node);
                self.out.push('}');
            }
            Kind::Unresolved(name) => self.out.push_str(&quote(name)),
        }
        Ok(())
    }

    fn named(&mut self, named: &Named, node: &Node) -> Result<(), AvroError> {
        let name = quote(&named.name.full);
        if !self.known.insert(named.name.full.clone()) {
            self.out.push_str(&name);
            return Ok(());
        }
        // An error becomes a record here.
        self.out.push_str(&format!("{{\"name\":{name},\"type\":\"{}\"", named.body.type_name()));
        match &named.body {
            Body::Enum { symbols, .. } => self.attribute("symbols", &symbols.clone().into()),
            Body::Fixed { size } => self.attribute("size", &(*size).into()),
            Body::Record { fields, .. } => {
                self.out.push_str(",\"fields\":[");
                for (at, field) in fields.iter().enumerate() {
                    self.comma(at);
                    self.field(field)?;
                }
                self.out.push(']');
            }
        }
        self.logical(node.logical.as_ref());
        if let Some(doc) = named.doc.as_ref().filter(|doc| !doc.is_empty()) {
            self.attribute("doc", &doc.as_str().into());
        }
        self.aliases(named.aliases.iter().map(|alias| alias_text(&named.name, alias)).collect());
        if let Body::Enum { default: Some(default), .. } = &named.body {
            self.attribute("default", &default.as_str().into());
        }
        self.sorted(&node.properties);
        self.out.push('}');
        Ok(())
    }

    fn field(&mut self, field: &Field) -> Result<(), AvroError> {
        self.out.push_str("{\"name\":");
        self.out.push_str(&quote(&field.name));
        self.out.push_str(",\"type\":");
        self.schema(field.schema)?;
        self.attribute("order", &field.order.name().into());
        if let Some(doc) = &field.doc {
            self.attribute("doc", &doc.as_str().into());
        }
        self.aliases(field.aliases.clone());
        if let Some(default) = &field.default
            && let Some(default) = self.default(default, Some(field.schema))?
        {
            self.attribute("default", &default);
        }
        self.sorted(&field.properties);
        self.out.push('}');
        Ok(())
    }

    fn properties(&mut self, node: &Node) {
        self.logical(node.logical.as_ref());
        self.sorted(&node.properties);
    }

    fn logical(&mut self, logical: Option<&LogicalType>) {
        let Some(logical) = logical else { return };
        self.attribute("logicalType", &logical.name.as_str().into());
        if let Some((precision, scale)) = logical.decimal {
            self.attribute("precision", &precision.into());
            if scale != 0 {
                self.attribute("scale", &scale.into());
            }
        }
    }

    fn aliases(&mut self, mut aliases: Vec<String>) {
        if !aliases.is_empty() {
            aliases.sort_by(|a, b| Utf16::of(a).cmp(&Utf16::of(b)));
            self.attribute("aliases", &aliases.into());
        }
    }

    fn sorted(&mut self, properties: &Object) {
        let sorted: BTreeMap<Utf16<'_>, &Json> =
            properties.iter().map(|(name, value)| (Utf16::of(name), value)).collect();
        for (name, value) in sorted {
            self.attribute(name.text(), &value.sorted());
        }
    }

    /// Writes an attribute. Its name may occur twice; when the text is parsed, the last value counts.
    fn attribute(&mut self, name: &str, value: &Json) {
        self.out.push_str(&format!(",{}:{value}", quote(name)));
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(',');
        }
    }

    /// Converts a default to a value of the type and back, as Avro does: of a union, only the first branch counts. `None` if
    /// the default does not fit that type; then it is left out, also where it fits another branch.
    fn default(&self, value: &Json, schema: Option<NodeId>) -> Result<Option<Json>, AvroError> {
        let kind = schema.map(|schema| self.nodes.kind(schema));
        if let Some(Kind::Union(branches)) = kind
            && !value.is_null()
        {
            return match branches.first() {
                Some(first) => self.default(value, Some(*first)),
                None => Ok(None),
            };
        }
        match value {
            Json::Null | Json::Bool(_) => Ok(Some(value.clone())),
            Json::Number(number) => {
                let primitive = match kind {
                    Some(Kind::Primitive(primitive)) => Some(*primitive),
                    _ => None,
                };
                Ok(number_of(number, kind.is_some(), primitive).map(Json::Number))
            }
            Json::String(text) => Ok(string_of(text, kind)),
            Json::Array(items) => {
                let of = match kind {
                    Some(Kind::Array(of)) => Some(*of),
                    // Avro refuses these, though some are valid defaults.
                    _ => None,
                };
                let items: Vec<Json> =
                    items.iter().map(|item| self.part_of_default(item, of)).collect::<Result<_, _>>()?;
                Ok(Some(Json::Array(items)))
            }
            Json::Object(object) => {
                let mut sorted: BTreeMap<Utf16<'_>, Json> = BTreeMap::new();
                for (name, value) in object {
                    sorted.insert(Utf16::of(name), self.part_of_default(value, entry_schema(kind, name)?)?);
                }
                let sorted = sorted.into_iter().map(|(name, value)| (name.text().to_owned(), value));
                Ok(Some(Json::Object(sorted.collect())))
            }
        }
    }

    fn part_of_default(&self, value: &Json, schema: Option<NodeId>) -> Result<Json, AvroError> {
        let part = self.default(value, schema)?;
        part.ok_or_else(|| AvroError::new(format!("a part of a default does not fit its type: {value}")))
    }
}

/// Returns the type of an entry of a map or of a record's field; `None` if the value is not for a map or a record.
fn entry_schema(kind: Option<&Kind>, name: &str) -> Result<Option<NodeId>, AvroError> {
    match kind {
        Some(Kind::Map(values)) => Ok(Some(*values)),
        Some(Kind::Named(named)) => match &named.body {
            Body::Record { fields, .. } => match fields.iter().find(|field| field.name == *name) {
                Some(field) => Ok(Some(field.schema)),
                None => Err(AvroError::new(format!("a default has the unknown field {name}"))),
            },
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

fn string_of(text: &str, kind: Option<&Kind>) -> Option<Json> {
    match kind {
        None | Some(Kind::Primitive(Primitive::String)) => Some(text.into()),
        Some(Kind::Primitive(Primitive::Bytes)) => Some(latin1(text).into()),
        Some(Kind::Named(named)) => match named.body {
            Body::Enum { .. } => Some(text.into()),
            Body::Fixed { .. } => Some(latin1(text).into()),
            Body::Record { .. } => None,
        },
        _ => None,
    }
}

fn number_of(number: &Number, typed: bool, primitive: Option<Primitive>) -> Option<Number> {
    if !typed {
        return Some(number.clone());
    }
    match (number, primitive?) {
        (Number::Long(_), Primitive::Int | Primitive::Long) => Some(number.clone()),
        (Number::Long(_) | Number::Double(_), Primitive::Double) => Some(Number::Double(number.to_double())),
        (Number::Long(_) | Number::Double(_), Primitive::Float) => {
            #[expect(clippy::cast_possible_truncation, reason = "Avro narrows the number")]
            let float = number.to_double() as f32;
            // The text of a float has the digits that a float needs.
            Some(Number::Double(java::float(float).parse().unwrap_or(f64::NAN)))
        }
        _ => None,
    }
}

/// Replaces what a byte cannot hold, as Java's conversion to ISO 8859-1 and back does.
fn latin1(text: &str) -> String {
    text.chars().map(|char| if u32::from(char) < 256 { char } else { '?' }).collect()
}

fn alias_text(name: &Name, alias: &Name) -> String {
    match (&alias.space, &name.space) {
        (None, Some(_)) => format!(".{}", alias.simple),
        _ => alias.full.clone(),
    }
}
