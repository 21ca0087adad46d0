//! `/subjects/{subject}/versions`.

use super::request::Call;
use super::subjects::{Filter, is_normalized};
use super::{Answer, Routed, forms, parse_version, schemas};
use crate::entity::SchemaEntity;
use crate::error::RegistryError;
use crate::json::Json;
use crate::store::{RegisterRequest, Registry, TagRequest};
use crate::subject::{self, Subject};

pub(super) fn list(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let subject = Subject::parse(subject);
    let filter = Filter::of(call);
    if !registry.state.has_subjects(&subject, filter != Filter::Live) {
        return Err(RegistryError::subject_not_found(&subject));
    }
    let as_negative = call.flag("deletedAsNegative");
    let versions = registry.state.versions(&subject).filter(|schema| as_negative || filter.includes(schema.deleted));
    let numbers = versions.map(|schema| if as_negative && schema.deleted { -schema.version } else { schema.version });
    Ok(Answer::of(&call.page(numbers.collect::<Vec<i32>>(), usize::MAX)?.into()))
}

pub(super) fn register(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let request = call.body(RegisterRequest::from_json)?;
    if let Some(rules) = &request.rule_set {
        rules.check().map_err(RegistryError::invalid_rule_set)?;
    }
    if !subject::is_valid(subject, false) {
        return Err(RegistryError::invalid_subject(subject));
    }
    let subject = Subject::parse(subject);
    let normalize = is_normalized(registry, call, &subject);
    let mut decided = registry.register(&subject, &request, normalize, call.flag("force"))?;
    forms::format(registry, &mut decided.answer, call.format())?;
    Ok(Answer::decided(decided, |entity| forms::registered(&entity)))
}

/// Finds a version, in other contexts too.
fn find(
    registry: &Registry,
    subject: &Subject,
    version: &str,
    with_deleted: bool,
) -> Result<SchemaEntity, RegistryError> {
    let version = parse_version(version)?;
    let found = registry.get_in_contexts(subject, version, with_deleted);
    found.ok_or_else(|| match registry.state.has_subjects(subject, with_deleted) {
        true => RegistryError::version_not_found(version),
        false => RegistryError::subject_not_found(subject),
    })
}

pub(super) fn get(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let mut entity = find(registry, &Subject::parse(subject), version, call.flag("deleted"))?;
    let tags = forms::find_tags(registry, &entity, &call.values("findTags").collect::<Vec<_>>())?;
    forms::format(registry, &mut entity, call.format())?;
    forms::qualify_references(&mut entity, call.value("referenceFormat"));
    Ok(Answer::of(&forms::schema(&entity, &tags)))
}

pub(super) fn get_schema(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let mut entity = find(registry, &Subject::parse(subject), version, call.flag("deleted"))?;
    forms::format(registry, &mut entity, call.format())?;
    Ok(Answer::raw(entity.content.schema))
}

pub(super) fn referenced_by(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let entity = find(registry, &Subject::parse(subject), version, true)?;
    let with_deleted = call.flag("deleted");
    let referrers = registry.state.referrers(&Subject::parse(&entity.subject), entity.version);
    let live = referrers.into_iter().filter(|(context, id)| {
        let mut versions = registry.state.subjects_of_id(context, *id).into_iter();
        with_deleted
            || versions.any(|(subject, version)| {
                registry.state.version(&subject, version).is_some_and(|schema| !schema.deleted)
            })
    });
    let ids: Vec<i32> = live.map(|(_, id)| id).collect();
    Ok(Answer::of(&call.page(ids, schemas::MAX_PAGE)?.into()))
}

pub(super) fn delete(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let version = parse_version(version)?;
    let decided = registry.delete_version(&Subject::parse(subject), version, call.flag("permanent"))?;
    Ok(Answer::decided(decided, Json::from))
}

pub(super) fn modify_tags(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let request = call.body(TagRequest::from_json)?;
    if !subject::is_valid(subject, false) {
        return Err(RegistryError::invalid_subject(subject));
    }
    let subject = Subject::parse(subject);
    let entity = find(registry, &subject, version, false)?;
    let decided = registry.modify_tags(&subject, entity, &request)?;
    Ok(Answer::decided(decided, |entity| forms::registered(&entity)))
}
