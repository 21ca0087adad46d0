//! Tags (`confluent:tags`) of records and fields.

use std::collections::HashSet;

use super::model::{Body, Kind, NodeId, Nodes};
use crate::json::{Json, Object};
use crate::schema::{EntityType, TaggedEntity};

/// The property with the tags.
const TAGS: &str = "confluent:tags";

/// Lists the tagged records and fields.
pub(super) fn entities(nodes: &Nodes, root: NodeId) -> Vec<(TaggedEntity, Vec<String>)> {
    let mut found = Vec::new();
    collect(nodes, root, &mut found, &mut HashSet::new());
    found
}

fn collect<'a>(
    nodes: &'a Nodes,
    id: NodeId,
    found: &mut Vec<(TaggedEntity, Vec<String>)>,
    seen: &mut HashSet<&'a str>,
) {
    match nodes.kind(id) {
        Kind::Array(child) | Kind::Map(child) => collect(nodes, *child, found, seen),
        Kind::Union(branches) => branches.iter().for_each(|branch| collect(nodes, *branch, found, seen)),
        Kind::Named(named) => {
            let Body::Record { fields, .. } = &named.body else { return };
            let full = named.name.full.as_str();
            if !seen.insert(full) {
                return;
            }
            add(found, EntityType::Record, full.to_owned(), &nodes.get(id).properties);
            for field in fields {
                add(found, EntityType::Field, format!("{full}.{}", field.name), &field.properties);
                collect(nodes, field.schema, found, seen);
            }
        }
        Kind::Primitive(_) | Kind::Unresolved(_) => {}
    }
}

fn add(found: &mut Vec<(TaggedEntity, Vec<String>)>, entity_type: EntityType, path: String, properties: &Object) {
    let tags = tags_of(properties);
    if !tags.is_empty() {
        found.push((TaggedEntity { path, entity_type }, tags));
    }
}

fn tags_of(properties: &Object) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in properties.get(TAGS).and_then(Json::as_array).unwrap_or_default() {
        let tag = tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}
