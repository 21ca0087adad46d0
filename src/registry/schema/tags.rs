//! Tags of schemas whose texts are JSON: Avro and JSON Schema. An object has them as the list `confluent:tags`.

use super::{TagChanges, TaggedEntity};
use crate::json::{Json, Object};

const TAGS: &str = "confluent:tags";

/// The tags of an object, each once.
pub(super) fn tags_of(object: &Object) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for tag in object.get(TAGS).and_then(Json::as_array).unwrap_or_default() {
        let tag = tag.as_str().map_or_else(|| tag.to_string(), str::to_owned);
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

impl TagChanges {
    /// The entities that change, each once.
    pub(super) fn entities(&self) -> Vec<&TaggedEntity> {
        let mut entities: Vec<&TaggedEntity> = Vec::new();
        for (entity, _) in self.add.iter().chain(&self.remove) {
            if !entities.contains(&entity) {
                entities.push(entity);
            }
        }
        entities
    }

    /// Changes the tags of an entity's object.
    pub(super) fn apply(&self, entity: &TaggedEntity, object: &mut Object) {
        let mut tags = tags_of(object);
        for tag in self.add.iter().filter(|(other, _)| other == entity).flat_map(|(_, tags)| tags) {
            if !tags.contains(tag) {
                tags.push(tag.clone());
            }
        }
        for tag in self.remove.iter().filter(|(other, _)| other == entity).flat_map(|(_, tags)| tags) {
            tags.retain(|other| other != tag);
        }
        if tags.is_empty() {
            object.shift_remove(TAGS);
        } else {
            object.insert(TAGS.to_owned(), tags.into());
        }
    }
}
