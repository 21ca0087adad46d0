//! The forms of schemas in responses, with Confluent's order of fields.

use crate::entity::{Reference, SchemaEntity, put_metadata, put_references, put_rule_set};
use crate::error::RegistryError;
use crate::json::{Json, Object};
use crate::schema::{TaggedEntity, Validation};
use crate::store::Registry;
use crate::subject::Subject;

/// Tags of parts of a schema.
pub(super) type Tags = Vec<(TaggedEntity, Vec<String>)>;

/// A schema with its subject.
pub(super) fn schema(entity: &SchemaEntity, tags: &Tags) -> Json {
    let mut out = Object::new();
    put_place(&mut out, entity);
    out.insert("id".to_owned(), entity.id.into());
    put_type(&mut out, entity);
    put_references(&mut out, &entity.content.references);
    put_metadata(&mut out, entity.content.metadata.as_ref());
    put_text(&mut out, entity);
    put_tags(&mut out, tags);
    put_state(&mut out, entity);
    put_rule_set(&mut out, entity.content.rule_set.as_ref());
    Json::Object(out)
}

/// A schema in a list, with the subjects that are aliases of its subject.
pub(super) fn listed_schema(entity: &SchemaEntity, aliases: &[String]) -> Json {
    let Json::Object(mut out) = schema(entity, &Vec::new()) else { return Json::Null };
    let rule_set = out.shift_remove("ruleSet");
    if !aliases.is_empty() {
        out.insert("aliases".to_owned(), aliases.to_vec().into());
    }
    out.extend(rule_set.map(|rule_set| ("ruleSet".to_owned(), rule_set)));
    Json::Object(out)
}

/// A schema that was found by its id, or (without its place) by its GUID.
pub(super) fn schema_string(entity: &SchemaEntity, with_place: bool, tags: &Tags, max_id: Option<i32>) -> Json {
    let mut out = Object::new();
    if with_place {
        put_place(&mut out, entity);
    }
    put_type(&mut out, entity);
    put_text(&mut out, entity);
    put_references(&mut out, &entity.content.references);
    put_metadata(&mut out, entity.content.metadata.as_ref());
    put_rule_set(&mut out, entity.content.rule_set.as_ref());
    put_tags(&mut out, tags);
    if let Some(max_id) = max_id {
        out.insert("maxId".to_owned(), max_id.into());
    }
    put_state(&mut out, entity);
    Json::Object(out)
}

/// The response to a registration.
pub(super) fn registered(entity: &SchemaEntity) -> Json {
    let mut out = Object::new();
    out.insert("id".to_owned(), entity.id.into());
    if entity.version > 0 {
        out.insert("version".to_owned(), entity.version.into());
    }
    put_type(&mut out, entity);
    put_references(&mut out, &entity.content.references);
    put_metadata(&mut out, entity.content.metadata.as_ref());
    put_rule_set(&mut out, entity.content.rule_set.as_ref());
    put_text(&mut out, entity);
    put_state(&mut out, entity);
    Json::Object(out)
}

fn put_place(out: &mut Object, entity: &SchemaEntity) {
    if !entity.subject.is_empty() {
        out.insert("subject".to_owned(), entity.subject.as_str().into());
    }
    out.insert("version".to_owned(), entity.version.into());
}

fn put_type(out: &mut Object, entity: &SchemaEntity) {
    out.insert("guid".to_owned(), entity.guid().to_string().into());
    out.insert("schemaType".to_owned(), entity.schema_type.as_str().into());
}

fn put_text(out: &mut Object, entity: &SchemaEntity) {
    if !entity.content.schema.is_empty() {
        out.insert("schema".to_owned(), entity.content.schema.as_str().into());
    }
}

fn put_state(out: &mut Object, entity: &SchemaEntity) {
    if let Some(timestamp) = entity.timestamp {
        out.insert("ts".to_owned(), timestamp.into());
    }
    if let Some(deleted) = entity.deleted {
        out.insert("deleted".to_owned(), deleted.into());
    }
}

fn put_tags(out: &mut Object, tags: &Tags) {
    let items = tags.iter().map(|(entity, tags)| {
        Json::object([
            (
                "schemaEntity",
                Json::object([
                    ("entityPath", entity.path.as_str().into()),
                    ("entityType", entity.entity_type.name().into()),
                ]),
            ),
            ("tags", tags.clone().into()),
        ])
    });
    if !tags.is_empty() {
        out.insert("schemaTags".to_owned(), Json::Array(items.collect()));
    }
}

/// Replaces the text of a schema by that in another format. The GUID stays that of the stored text.
pub(super) fn format(registry: &mut Registry, entity: &mut SchemaEntity, format: &str) -> Result<(), RegistryError> {
    if !format.is_empty() {
        let parsed = registry.parse(&mut entity.clone(), Validation::Registered)?;
        entity.guid = Some(entity.guid());
        entity.content.schema = parsed.formatted(format);
    }
    Ok(())
}

/// Finds the parts of a schema with some tags; `*` means any.
pub(super) fn find_tags(registry: &mut Registry, entity: &SchemaEntity, names: &[&str]) -> Result<Tags, RegistryError> {
    if names.is_empty() {
        return Ok(Tags::new());
    }
    let parsed = registry.parse(&mut entity.clone(), Validation::Registered)?;
    let any = names.contains(&"*");
    let mut tags = parsed.tagged_entities();
    tags.retain(|(_, tags)| any || tags.iter().any(|tag| names.contains(&tag.as_str())));
    Ok(tags)
}

/// Writes references with the context of the schema, if that is asked for.
pub(super) fn qualify_references(entity: &mut SchemaEntity, format: Option<&str>) {
    let subject = Subject::parse(&entity.subject);
    if format == Some("qualified") && !subject.is_in_default_context() {
        for Reference { subject: target, .. } in &mut entity.content.references {
            *target = target.as_ref().map(|target| Subject::with_parent(target, &subject).qualified());
        }
    }
}
