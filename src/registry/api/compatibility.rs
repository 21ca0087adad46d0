//! `/compatibility`.

use super::request::Call;
use super::subjects::is_normalized;
use super::{Answer, Routed, parse_version};
use crate::entity::SchemaEntity;
use crate::error::RegistryError;
use crate::json::{Json, Object};
use crate::schema::Validation;
use crate::store::{RegisterRequest, Registry};
use crate::subject::Subject;

pub(super) fn check_all(registry: &mut Registry, call: &Call<'_>, subject: &str) -> Routed {
    let subject = Subject::parse(subject);
    let versions = registry.state.versions(&subject).rev().filter(|schema| !schema.deleted);
    let earlier = versions.map(|schema| schema.to_entity()).collect();
    check(registry, call, &subject, earlier)
}

pub(super) fn check_version(registry: &mut Registry, call: &Call<'_>, subject: &str, version: &str) -> Routed {
    let subject = Subject::parse(subject);
    let version = parse_version(version)?;
    let found = match version {
        -1 => registry.state.latest(&subject),
        version => registry.state.version(&subject, version).filter(|schema| !schema.deleted),
    };
    if found.is_none() && version != -1 {
        return Err(RegistryError::version_not_found(version));
    }
    let earlier = found.map(|schema| schema.to_entity()).into_iter().collect();
    check(registry, call, &subject, earlier)
}

/// Checks the schema of a request against versions, the latest first.
fn check(registry: &mut Registry, call: &Call<'_>, subject: &Subject, earlier: Vec<SchemaEntity>) -> Routed {
    let request = call.body(RegisterRequest::from_json)?;
    let normalize = is_normalized(registry, call, subject);
    let verbose = call.flag("verbose");
    let messages = match messages(registry, subject, &request, normalize, &earlier) {
        // With details, a schema that cannot be parsed is one that is not compatible.
        Err(error) if verbose && error.code == 42201 => vec![error.message],
        messages => messages?,
    };
    let mut out = Object::new();
    out.insert("is_compatible".to_owned(), messages.is_empty().into());
    if verbose {
        out.insert("messages".to_owned(), messages.into());
    }
    Ok(Answer::of(&Json::Object(out)))
}

fn messages(
    registry: &mut Registry,
    subject: &Subject,
    request: &RegisterRequest,
    normalize: bool,
    earlier: &[SchemaEntity],
) -> Result<Vec<String>, RegistryError> {
    let config = registry.config_in_scope(Some(subject));
    let is_checked = config.validate_new_schemas.unwrap_or(registry.settings.validate_new_schemas);
    let validation = if is_checked { Validation::New } else { Validation::Registered };
    let mut entity = request.to_entity(subject);
    let parsed = registry.canonicalize(&mut entity, validation, normalize)?;
    let parsed = parsed.ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
    registry.compatibility(&config, &parsed, entity.content.metadata.as_ref(), earlier)
}
