//! Tags of schemas.

use super::super::*;
use crate::json::Json;

/// Each line has a schema and what Confluent's classes list as its tagged parts.
const TAGS: &str = include_str!("tags.jsonl");

#[test]
fn tagged_parts_are_those_that_confluent_lists() {
    for line in TAGS.lines() {
        let case = parse_exact(line).unwrap();
        let schema = JsonSchema::parse(&case.get("schema").unwrap().to_string(), &[]).unwrap();
        let listed = schema
            .tagged_entities()
            .into_iter()
            .map(|(entity, tags)| format!("{}:{}[{}]", entity.path, entity.entity_type.name(), tags.join(", ")));
        let mut listed: Vec<String> = listed.collect();
        let expected = case.get("tags").and_then(Json::as_str).unwrap();
        let mut expected: Vec<String> = expected.split_terminator(';').map(str::to_owned).collect();
        // Java lists definitions in the order of a hash map.
        listed.sort();
        expected.sort();
        assert_eq!(listed, expected, "{line}");
    }
}

#[test]
fn every_listed_part_can_be_tagged_again() {
    for line in TAGS.lines() {
        let case = parse_exact(line).unwrap();
        let schema = JsonSchema::parse(&case.get("schema").unwrap().to_string(), &[]).unwrap();
        for (entity, tags) in schema.tagged_entities() {
            let tag = |name: &str| vec![(entity.clone(), vec![name.to_owned()])];
            // Where a schema has allOf and other keywords, Confluent's registry does not find again what it lists.
            if entity.path.starts_with("allof.") {
                continue;
            }
            let added = schema.text_with_tags(&TagChanges { add: tag("NEW"), remove: Vec::new() }).unwrap();
            let changed = JsonSchema::parse(&added, &[]).unwrap();
            let found = changed.tagged_entities().into_iter().find(|(other, _)| *other == entity).unwrap();
            assert_eq!(found.1, [tags, vec!["NEW".to_owned()]].concat(), "{}", entity.path);
            let removed = changed.text_with_tags(&TagChanges { add: Vec::new(), remove: tag("NEW") });
            assert_eq!(removed.as_deref(), Ok(schema.canonical()));
        }
    }
}
