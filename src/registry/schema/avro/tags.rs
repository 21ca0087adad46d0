//! Tags (`confluent:tags`) of records and fields.

use std::collections::{HashSet, VecDeque};

use super::AvroError;
use super::model::{Body, Kind, NodeId, Nodes};
use crate::json::{Json, Object, parse};
use crate::schema::tags::tags_of;
use crate::schema::{EntityType, TagChanges, TaggedEntity};

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

/// Adds and removes tags in the canonical text of a schema.
pub(super) fn modify(text: &str, changes: &TagChanges) -> Result<String, AvroError> {
    let mut json = parse(text).map_err(|error| AvroError::new(error.to_string()))?;
    for entity in changes.entities() {
        let path = find(&json, entity)
            .ok_or_else(|| AvroError::new(format!("No matching path '{}' found in the schema", entity.path)))?;
        let Some(Json::Object(object)) = walk(&mut json, &path) else { continue };
        changes.apply(entity, object);
    }
    Ok(json.to_string())
}

/// A step from a value into one of its parts.
#[derive(Clone)]
enum Step {
    Property(&'static str),
    Item(usize),
}

/// Finds a record or a field by its path, as Confluent does: breadth first, with the namespace of the root only.
fn find(root: &Json, entity: &TaggedEntity) -> Option<Vec<Step>> {
    let space_of_root = root.get("namespace").and_then(Json::as_str);
    let parts: Vec<&str> = entity.path.split('.').collect();
    let (record, field) = match (entity.entity_type, parts.as_slice()) {
        (EntityType::Record, record) => (record, None),
        (EntityType::Field, [record @ .., field]) => (record, Some(*field)),
        (EntityType::Field, []) => return None,
    };
    let (name, space) = record.split_last()?;
    let space = space.join(".");
    let mut queue: VecDeque<(&Json, Vec<Step>)> = VecDeque::from([(root, Vec::new())]);
    while let Some((node, path)) = queue.pop_front() {
        let step = |step: Step| path.iter().cloned().chain([step]).collect::<Vec<_>>();
        let Some(type_name) = node.get("type") else {
            for (at, branch) in node.as_array().unwrap_or_default().iter().enumerate() {
                queue.push_back((branch, step(Step::Item(at))));
            }
            continue;
        };
        match type_name.as_str() {
            Some("record") => {
                let fields = node.get("fields").and_then(Json::as_array).unwrap_or_default();
                let found = (space.is_empty() || Some(space.as_str()) == space_of_root)
                    && node.get("name").and_then(Json::as_str) == Some(name);
                for (at, child) in fields.iter().enumerate() {
                    let mut path = step(Step::Property("fields"));
                    path.push(Step::Item(at));
                    if !found {
                        queue.push_back((child, path));
                    } else if field.is_some() && child.get("name").and_then(Json::as_str) == field {
                        return Some(path);
                    }
                }
                if found && field.is_none() {
                    return Some(path);
                }
            }
            Some("array") => queue.extend(node.get("items").map(|items| (items, step(Step::Property("items"))))),
            Some("map") => queue.extend(node.get("values").map(|values| (values, step(Step::Property("values"))))),
            _ => queue.push_back((type_name, step(Step::Property("type")))),
        }
    }
    None
}

fn walk<'a>(json: &'a mut Json, path: &[Step]) -> Option<&'a mut Json> {
    path.iter().try_fold(json, |json, step| match (step, json) {
        (Step::Property(name), Json::Object(object)) => object.get_mut(*name),
        (Step::Item(at), Json::Array(items)) => items.get_mut(*at),
        _ => None,
    })
}
