//! The canonical text: what Java's `Schema.toString` writes.

use std::collections::HashSet;

use super::depth;
use super::model::{Body, Field, Kind, Name, Named, NodeId, Nodes, Order};
use crate::json::{Json, Object};

/// Writes a schema. Types whose full name is known are written as names; the others are defined where they are used first.
pub(super) fn canonical(nodes: &Nodes, root: NodeId, known: &[String]) -> String {
    let mut printer = Printer { nodes, known: known.iter().cloned().collect() };
    printer.json(root, None).to_string()
}

/// Writes a schema with all types that it uses.
pub(super) fn resolved(nodes: &Nodes, root: NodeId) -> String {
    canonical(nodes, root, &[])
}

/// Writes a schema for a message. Only its name, if the text would be too deep.
pub(super) fn for_message(nodes: &Nodes, root: NodeId) -> String {
    match depth::check(nodes, root) {
        Ok(()) => resolved(nodes, root),
        Err(_) => Json::from(nodes.full_name(root)).to_string(),
    }
}

struct Printer<'a> {
    nodes: &'a Nodes,
    known: HashSet<String>,
}

impl Printer<'_> {
    fn json(&mut self, id: NodeId, space: Option<&str>) -> Json {
        let nodes = self.nodes;
        let node = nodes.get(id);
        match &node.kind {
            Kind::Primitive(primitive) if node.properties.is_empty() => primitive.name().into(),
            Kind::Primitive(primitive) => {
                let mut out = Object::new();
                out.insert("type".to_owned(), primitive.name().into());
                with_properties(out, &node.properties)
            }
            Kind::Array(items) => {
                let mut out = Object::new();
                out.insert("type".to_owned(), "array".into());
                out.insert("items".to_owned(), self.json(*items, space));
                with_properties(out, &node.properties)
            }
            Kind::Map(values) => {
                let mut out = Object::new();
                out.insert("type".to_owned(), "map".into());
                out.insert("values".to_owned(), self.json(*values, space));
                with_properties(out, &node.properties)
            }
            Kind::Union(branches) => Json::Array(branches.iter().map(|branch| self.json(*branch, space)).collect()),
            Kind::Named(named) => self.named(named, &node.properties, space),
            Kind::Unresolved(name) => name.as_str().into(),
        }
    }

    fn named(&mut self, named: &Named, properties: &Object, space: Option<&str>) -> Json {
        if !self.known.insert(named.name.full.clone()) {
            return named.name.qualified(space).into();
        }
        let mut out = Object::new();
        let type_name = match &named.body {
            Body::Record { is_error: true, .. } => "error",
            body => body.type_name(),
        };
        out.insert("type".to_owned(), type_name.into());
        write_name(&mut out, &named.name, space);
        if let Some(doc) = &named.doc {
            out.insert("doc".to_owned(), doc.as_str().into());
        }
        match &named.body {
            Body::Record { fields, .. } => {
                let fields = fields.iter().map(|field| self.field(field, named.name.space.as_deref())).collect();
                out.insert("fields".to_owned(), Json::Array(fields));
            }
            Body::Enum { symbols, default } => {
                out.insert("symbols".to_owned(), symbols.clone().into());
                if let Some(default) = default {
                    out.insert("default".to_owned(), default.as_str().into());
                }
            }
            Body::Fixed { size } => {
                out.insert("size".to_owned(), (*size).into());
            }
        }
        let Json::Object(mut out) = with_properties(out, properties) else { return Json::Null };
        if !named.aliases.is_empty() {
            let aliases = named.aliases.iter().map(|alias| alias.qualified(named.name.space.as_deref()));
            out.insert("aliases".to_owned(), Json::Array(aliases.map(Json::from).collect()));
        }
        Json::Object(out)
    }

    fn field(&mut self, field: &Field, space: Option<&str>) -> Json {
        let mut out = Object::new();
        out.insert("name".to_owned(), field.name.as_str().into());
        out.insert("type".to_owned(), self.json(field.schema, space));
        if let Some(doc) = &field.doc {
            out.insert("doc".to_owned(), doc.as_str().into());
        }
        if let Some(default) = &field.default {
            out.insert("default".to_owned(), default.clone());
        }
        if field.order != Order::Ascending {
            out.insert("order".to_owned(), field.order.name().into());
        }
        if !field.aliases.is_empty() {
            out.insert("aliases".to_owned(), field.aliases.clone().into());
        }
        with_properties(out, &field.properties)
    }
}

fn write_name(out: &mut Object, name: &Name, space: Option<&str>) {
    out.insert("name".to_owned(), name.simple.as_str().into());
    match &name.space {
        Some(own) if Some(own.as_str()) != space => {
            out.insert("namespace".to_owned(), own.as_str().into());
        }
        Some(_) => {}
        // Outside any namespace, inside one.
        None if space.is_some() => {
            out.insert("namespace".to_owned(), "".into());
        }
        None => {}
    }
}

fn with_properties(mut out: Object, properties: &Object) -> Json {
    // No property has the name of an attribute that was written.
    out.extend(properties.iter().map(|(name, value)| (name.clone(), value.clone())));
    Json::Object(out)
}
