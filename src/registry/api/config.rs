//! `/config`.

use super::request::Call;
use super::{Answer, Routed, settings_subject};
use crate::error::RegistryError;
use crate::json::{Json, Object};
use crate::store::Registry;
use crate::store::config::{Config, ConfigUpdate};
use crate::subject;

pub(super) fn get(registry: &mut Registry, call: &Call<'_>, subject: Option<&str>) -> Routed {
    let subject = settings_subject(subject);
    if call.flag("defaultToGlobal") {
        return Ok(Answer::of(&form(&registry.config_in_scope(subject.as_ref()), "compatibilityLevel")));
    }
    match (registry.config(subject.as_ref()), &subject) {
        (Some(config), _) => Ok(Answer::of(&form(&config, "compatibilityLevel"))),
        (None, Some(subject)) => Err(RegistryError::compatibility_not_configured(subject)),
        (None, None) => Err(RegistryError::new(50001, "Failed to get compatibility level")),
    }
}

pub(super) fn update(registry: &mut Registry, call: &Call<'_>, subject: Option<&str>) -> Routed {
    let update = call.body(ConfigUpdate::from_json)?;
    if let Some(subject) = subject.filter(|subject| !subject::is_valid(subject, true)) {
        return Err(RegistryError::invalid_subject(subject));
    }
    let decided = registry.update_config(settings_subject(subject).as_ref(), update)?;
    Ok(Answer::decided(decided, |config| form(&config, "compatibility")))
}

pub(super) fn delete(registry: &mut Registry, subject: Option<&str>) -> Routed {
    let decided = registry.delete_config(settings_subject(subject).as_ref())?;
    Ok(Answer::decided(decided, |config| form(&config, "compatibilityLevel")))
}

fn form(config: &Config, level_name: &str) -> Json {
    let mut out = Object::new();
    config.put(&mut out, level_name);
    Json::Object(out)
}
