//! `/subjects`.

use super::request::Call;
use super::{Answer, Routed, forms};
use crate::error::RegistryError;
use crate::json::Json;
use crate::store::{RegisterRequest, Registry};
use crate::subject::{Subject, WILDCARD_PREFIX};
use crate::utf16;

/// Which versions and subjects count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Live,
    All,
    Deleted,
}

impl Filter {
    pub fn of(call: &Call<'_>) -> Filter {
        match (call.flag("deletedOnly"), call.flag("deleted")) {
            (true, _) => Filter::Deleted,
            (false, true) => Filter::All,
            (false, false) => Filter::Live,
        }
    }

    pub fn includes(self, deleted: bool) -> bool {
        match self {
            Filter::Live => !deleted,
            Filter::All => true,
            Filter::Deleted => deleted,
        }
    }
}

pub(super) fn list(registry: &mut Registry, call: &Call<'_>) -> Routed {
    let filter = Filter::of(call);
    let prefix = call.value("subjectPrefix").unwrap_or(WILDCARD_PREFIX);
    let matching = with_prefix(registry, prefix);
    let included = matching.filter(|subject| {
        // A subject is deleted if all its versions are.
        filter.includes(registry.state.versions(subject).all(|schema| schema.deleted))
    });
    let mut names: Vec<String> = included.map(Subject::qualified).collect();
    names.sort_by(|a, b| utf16::compare(a, b));
    Ok(Answer::of(&call.page(names, usize::MAX)?.into()))
}

/// The subjects whose names begin with a prefix: in the context that the prefix names, in the default one, or in all.
pub(super) fn with_prefix<'r>(registry: &'r Registry, prefix: &str) -> impl Iterator<Item = &'r Subject> {
    let wanted = Subject::parse(prefix);
    registry.state.subjects().keys().filter(move |subject| {
        (wanted.context == "*" || wanted.context == subject.context) && subject.name.starts_with(&wanted.name)
    })
}

pub(super) fn look_up(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let request = call.body(RegisterRequest::from_json)?;
    let subject = Subject::parse(subject);
    let with_deleted = call.flag("deleted");
    let normalize = is_normalized(registry, call, &subject);
    let entity = request.to_entity(&subject);
    let found = registry.look_up_in_contexts(&subject, &entity, normalize, with_deleted)?;
    let mut found = found.ok_or_else(|| not_found(registry, &subject, with_deleted))?;
    forms::format(registry, &mut found, call.format())?;
    Ok(Answer::of(&forms::schema(&found, &Vec::new())))
}

/// Whether a request or the settings ask for normalization.
pub(super) fn is_normalized(registry: &Registry, call: &Call<'_>, subject: &Subject) -> bool {
    call.flag("normalize") || registry.config_in_scope(Some(subject)).normalize == Some(true)
}

fn not_found(registry: &Registry, subject: &Subject, with_deleted: bool) -> RegistryError {
    match registry.state.has_subjects(subject, with_deleted) {
        true => RegistryError::schema_not_found(),
        false => RegistryError::subject_not_found(subject),
    }
}

pub(super) fn latest_with_metadata(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let subject = Subject::parse(subject);
    let with_deleted = call.flag("deleted");
    let wanted: Vec<(&str, &str)> = call.values("key").zip(call.values("value")).collect();
    let found =
        registry.state.versions(&subject).rev().filter(|schema| with_deleted || !schema.deleted).find(|schema| {
            let metadata = schema.content.metadata.as_ref();
            metadata.is_some_and(|metadata| wanted.iter().all(|(name, value)| metadata.property(name) == Some(*value)))
        });
    let found = found.map(|schema| schema.to_entity());
    let mut found = found.ok_or_else(|| not_found(registry, &subject, with_deleted))?;
    forms::format(registry, &mut found, call.format())?;
    Ok(Answer::of(&forms::schema(&found, &Vec::new())))
}

pub(super) fn delete(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let decided = registry.delete_subject(&Subject::parse(subject), call.flag("permanent"))?;
    Ok(Answer::decided(decided, Json::from))
}
