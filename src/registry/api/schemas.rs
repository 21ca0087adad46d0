//! `/schemas`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::request::Call;
use super::subjects::{Filter, with_prefix};
use super::{Answer, Routed, forms};
use crate::entity::Guid;
use crate::error::RegistryError;
use crate::json::Json;
use crate::store::Registry;
use crate::store::record::StoredSchema;
use crate::subject::{DEFAULT_CONTEXT, Subject};
use crate::utf16;

/// Maximum number of schemas in one response (`schema.search.max.limit`).
pub(super) const MAX_PAGE: usize = 1_000;

pub(super) fn types() -> Routed {
    // The order in which Confluent's registry lists them.
    Ok(Answer::of(&vec!["JSON", "PROTOBUF", "AVRO"].into()))
}

pub(super) fn list(registry: &mut Registry, call: &Call<'_>) -> Routed {
    let prefix = call.value("subjectPrefix").unwrap_or_default();
    let filter = if call.flag("deleted") { Filter::All } else { Filter::Live };
    let rule_type = call.value("ruleType").unwrap_or_default();
    let aliases = if call.flag("aliases") { aliases(registry, prefix) } else { BTreeMap::new() };
    let mut subjects: Vec<Subject> = with_prefix(registry, prefix).cloned().collect();
    for target in aliases.keys() {
        if !subjects.contains(target) {
            subjects.push(target.clone());
        }
    }
    let mut names: Vec<(String, Subject)> =
        subjects.into_iter().map(|subject| (subject.qualified(), subject)).collect();
    names.sort_by(|(a, _), (b, _)| utf16::compare(a, b));
    let mut found = Vec::new();
    for (_, subject) in &names {
        let mut versions: Vec<_> =
            registry.state.versions(subject).filter(|schema| filter.includes(schema.deleted)).collect();
        if call.flag("latestOnly") {
            versions = versions.pop().into_iter().collect();
        }
        let has_rule = |schema: &&Arc<StoredSchema>| {
            let rules = schema.content.rule_set.as_ref();
            rule_type.is_empty() || rules.is_some_and(|rules| rules.has_type(rule_type))
        };
        found.extend(versions.into_iter().filter(has_rule));
    }
    // Associations are not kept, so a request for associated schemas finds only those without any.
    let lifecycles: Vec<&str> = call.values("lifecycle").collect();
    let is_filtered = call.value("associationType").is_some() || call.value("resourceType").is_some();
    if (is_filtered || !lifecycles.is_empty()) && !lifecycles.contains(&"NONE") {
        found.clear();
    }
    let page = call.page(found, MAX_PAGE)?;
    let listed = page.into_iter().map(|schema| {
        let aliases = aliases.get(&schema.subject).map(Vec::as_slice).unwrap_or_default();
        forms::listed_schema(&schema.to_entity(), aliases)
    });
    Ok(Answer::of(&Json::Array(listed.collect())))
}

/// The subjects with a prefix that are aliases, by the subject that they mean.
fn aliases(registry: &Registry, prefix: &str) -> BTreeMap<Subject, Vec<String>> {
    let wanted = Subject::parse(prefix);
    let mut found: BTreeMap<Subject, Vec<String>> = BTreeMap::new();
    for (subject, config) in &registry.state.configs {
        let (Some(subject), Some(alias)) = (subject, &config.alias) else { continue };
        let in_context = wanted.context == "*" || wanted.context == subject.context;
        if in_context && subject.name.starts_with(&wanted.name) {
            found.entry(Subject::with_parent(alias, subject)).or_default().push(subject.qualified());
        }
    }
    found
}

/// Reads an id. What is not a number has no route.
fn parse_id(text: &str) -> Result<i32, RegistryError> {
    text.parse().map_err(|_| RegistryError::http(404, "HTTP 404 Not Found"))
}

/// Finds a schema by its id: under the subject that the request names, in its context, or (if it names no context) under the
/// subject in any context.
fn find<'r>(registry: &'r Registry, id: i32, subject: &Subject) -> Option<&'r Arc<StoredSchema>> {
    let under = |subject: &Subject| {
        let version = registry.state.version_of_id(subject, id)?;
        registry.state.version(subject, version)
    };
    if subject.is_context() {
        return registry.state.by_id(&subject.context, id);
    }
    if let Some(found) = under(subject) {
        return Some(found);
    }
    if !subject.is_in_default_context() {
        return None;
    }
    let mut contexts = registry.state.contexts();
    let found =
        contexts.find_map(|context| under(&Subject { context: context.to_owned(), name: subject.name.clone() }));
    // The id in the default context, though another subject has it.
    found.or_else(|| registry.state.by_id(DEFAULT_CONTEXT, id))
}

fn subject_of(call: &Call<'_>) -> Subject {
    Subject::parse(call.value("subject").unwrap_or_default())
}

pub(super) fn by_id(registry: &mut Registry, call: &Call<'_>, id: &str) -> Routed {
    let number = parse_id(id)?;
    let found = find(registry, number, &subject_of(call)).map(|schema| schema.to_entity());
    let mut entity = found.ok_or_else(|| RegistryError::schema_id_not_found(id))?;
    let tags = forms::find_tags(registry, &entity, &call.values("findTags").collect::<Vec<_>>())?;
    forms::format(registry, &mut entity, call.format())?;
    forms::qualify_references(&mut entity, call.value("referenceFormat"));
    let context = Subject::parse(&entity.subject).context;
    let max_id = call.flag("fetchMaxId").then(|| registry.state.max_id(&context).max(1));
    Ok(Answer::of(&forms::schema_string(&entity, true, &tags, max_id)))
}

pub(super) fn text_by_id(registry: &mut Registry, call: &Call<'_>, id: &str) -> Routed {
    let number = parse_id(id)?;
    let found = find(registry, number, &subject_of(call)).map(|schema| schema.to_entity());
    let mut entity = found.ok_or_else(|| RegistryError::schema_id_not_found(id))?;
    forms::format(registry, &mut entity, call.format())?;
    Ok(Answer::raw(entity.content.schema))
}

/// The subjects and versions with an id.
fn places(registry: &Registry, call: &Call<'_>, id: &str) -> Result<Vec<(Subject, i32)>, RegistryError> {
    let id = parse_id(id)?;
    let found = find(registry, id, &subject_of(call)).ok_or_else(RegistryError::schema_not_found)?;
    let with_deleted = call.flag("deleted");
    let places = registry.state.subjects_of_id(&found.subject.context, id).into_iter();
    let live = places.filter(|(subject, version)| {
        let schema = registry.state.version(subject, *version);
        schema.is_some_and(|schema| with_deleted || !schema.deleted)
    });
    Ok(live.collect())
}

pub(super) fn subjects_by_id(registry: &mut Registry, call: &Call<'_>, id: &str) -> Routed {
    let names: Vec<String> = places(registry, call, id)?.iter().map(|(subject, _)| subject.qualified()).collect();
    Ok(Answer::of(&call.page(names, usize::MAX)?.into()))
}

pub(super) fn versions_by_id(registry: &mut Registry, call: &Call<'_>, id: &str) -> Routed {
    let places = call.page(places(registry, call, id)?, usize::MAX)?;
    let items = places
        .into_iter()
        .map(|(subject, version)| Json::object([("subject", subject.qualified().into()), ("version", version.into())]));
    Ok(Answer::of(&Json::Array(items.collect())))
}

/// The contexts with a schema, and its ids there.
fn ids_of(registry: &Registry, guid: &str) -> Vec<(String, i32)> {
    let Some(guid) = Guid::parse(guid) else { return Vec::new() };
    let contexts = std::iter::once(DEFAULT_CONTEXT).chain(registry.state.contexts());
    contexts.filter_map(|context| Some((context.to_owned(), registry.state.id_of(context, &guid)?))).collect()
}

pub(super) fn by_guid(registry: &mut Registry, call: &Call<'_>, guid: &str) -> Routed {
    let found = ids_of(registry, guid).into_iter().find_map(|(context, id)| registry.state.by_id(&context, id));
    let mut entity = found.map(|schema| schema.to_entity()).ok_or_else(|| RegistryError::schema_id_not_found(guid))?;
    forms::format(registry, &mut entity, call.format())?;
    Ok(Answer::of(&forms::schema_string(&entity, false, &Vec::new(), None)))
}

pub(super) fn ids_by_guid(registry: &mut Registry, guid: &str) -> Routed {
    let items = ids_of(registry, guid)
        .into_iter()
        .map(|(context, id)| Json::object([("context", context.into()), ("id", id.into())]));
    Ok(Answer::of(&Json::Array(items.collect())))
}
