//! Tags of schemas.

use super::super::*;
use crate::json::{Json, parse as parse_json};
use crate::schema::EntityType;

/// Each line has a schema, what Confluent's classes list as its tagged parts, changes, and the text after them.
const TAGS: &str = include_str!("tags.jsonl");

#[test]
fn tags_are_listed_and_changed_as_confluent_does() {
    for line in TAGS.lines() {
        let case = parse_json(line).unwrap();
        let get = |name: &str| case.get(name).and_then(Json::as_str).unwrap();
        let schema = ProtobufSchema::parse(get("schema"), &[]).unwrap();
        let listed = schema
            .tagged_entities()
            .into_iter()
            .map(|(entity, tags)| format!("{}:{}[{}];", entity.path, entity.entity_type.name(), tags.join(", ")));
        assert_eq!(listed.collect::<String>(), get("tags"));
        let mut changes = TagChanges::default();
        for change in case.get("changes").and_then(Json::as_array).unwrap() {
            let parts: Vec<&str> = change.as_array().unwrap().iter().filter_map(Json::as_str).collect();
            let [sign, path, entity_type, tag] = parts.as_slice() else { panic!("{change}") };
            let entity_type = EntityType::from_name(&entity_type.to_lowercase()).unwrap();
            let entity = TaggedEntity { path: (*path).to_owned(), entity_type };
            let list = if *sign == "+" { &mut changes.add } else { &mut changes.remove };
            list.push((entity, vec![(*tag).to_owned()]));
        }
        assert_eq!(schema.text_with_tags(&changes).as_deref(), Ok(get("changed")));
    }
}
