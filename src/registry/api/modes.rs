//! `/mode`.

use super::request::Call;
use super::{Answer, Routed, settings_subject};
use crate::error::RegistryError;
use crate::fields::Fields;
use crate::json::Json;
use crate::store::Registry;
use crate::store::mode::Mode;
use crate::subject::{self, Subject};

pub(super) fn get(registry: &mut Registry, call: &Call<'_>, subject: Option<&str>) -> Routed {
    let subject = settings_subject(subject);
    let mode = match call.flag("defaultToGlobal") {
        true => Some(registry.mode_in_scope(subject.as_ref())),
        false => registry.mode(subject.as_ref()),
    };
    match (mode, &subject) {
        (Some(mode), _) => Ok(Answer::of(&Json::object([("mode", mode.name().into())]))),
        (None, Some(subject)) => Err(RegistryError::mode_not_configured(subject)),
        (None, None) => Err(RegistryError::new(50001, "Failed to get mode")),
    }
}

pub(super) fn update(registry: &mut Registry, call: &Call<'_>, subject: Option<&str>) -> Routed {
    let name = call.body(|json| Fields::of(json)?.string("mode"))?;
    if let Some(subject) = subject.filter(|subject| !subject::is_valid(subject, true)) {
        return Err(RegistryError::invalid_subject(subject));
    }
    let subject = settings_subject(subject);
    let unknown =
        || RegistryError::invalid_mode("Invalid mode. Valid values are READWRITE, READONLY, IMPORT and FORWARD.");
    let mode = name.as_deref().map(|name| Mode::from_name(name).ok_or_else(unknown)).transpose()?;
    let is_global = subject.as_ref().is_some_and(Subject::is_global_context);
    if mode == Some(Mode::Forward) && !is_global {
        return Err(RegistryError::invalid_mode("Forward mode only supported on global level"));
    }
    let decided = registry.set_mode(subject.as_ref(), mode, call.flag("force"))?;
    // The request is repeated.
    Ok(Answer::decided(decided, |()| Json::object([("mode", name.map_or(Json::Null, Json::from))])))
}

pub(super) fn delete(registry: &mut Registry, call: &Call<'_>, subject: Option<&str>) -> Routed {
    let decided = registry.delete_mode(settings_subject(subject).as_ref(), call.flag("recursive"))?;
    Ok(Answer::decided(decided, |mode| match mode {
        Some(mode) => Json::object([("mode", mode.name().into())]),
        None => Json::object([]),
    }))
}
