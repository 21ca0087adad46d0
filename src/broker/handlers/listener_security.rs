//! Changes of the TLS and SASL settings of listeners: they are tried before they are stored, as in Kafka.
//!
//! Errors have Kafka's text around ours. Departure: Kafka accepts some SASL settings that cannot be used here (GSSAPI, Java
//! classes); they are refused here, because the broker would not honour them, also where no listener uses them yet.

use super::context::Context;
use crate::blocking;
use crate::state::authentication;
use crate::tls::TlsListeners;
use ottla_config::listener_values::find_with_listener;
use ottla_config::{BrokerConfig, check_class, is_of_tls};
use ottla_core::metadata::{ConfigChange, ConfigKind, Settings, settings_after};
use ottla_wire::types::ErrorCode;

/// A change to be tried.
pub(super) struct Trial {
    tls: Option<TlsListeners>,
    /// The names of the changed SASL settings.
    sasl: Vec<String>,
    /// The settings as they are.
    before: BrokerConfig,
    /// The settings as they would be.
    after: BrokerConfig,
}

impl Trial {
    /// The trial of a change, if it concerns the TLS or the SASL of a listener.
    pub fn of(context: &Context, change: &ConfigChange) -> Option<Trial> {
        let node = context.broker.node_id();
        // Without a name, the change is for all brokers.
        let is_default = change.resource.name.is_empty();
        if change.resource.kind != ConfigKind::Broker || !is_default && *change.resource.name != *node.to_string() {
            return None;
        }
        let cluster = context.broker.cluster();
        let (default, own) = (cluster.image.default_broker_configs(), cluster.image.broker_configs(node));
        let before = if is_default { default } else { own };
        // A change that the metadata machine refuses needs no trial.
        let after = settings_after(change, before).ok()?;
        Trial::of_settings(context.broker.config(), &context.tls, [default, own], is_default, &after)
    }

    /// The trial of a change that leads to the settings `after`: of all brokers with `is_default`, or of this one. `before`
    /// has the settings of all brokers and of this one.
    pub fn of_settings(
        config: &BrokerConfig,
        tls: &TlsListeners,
        [default, own]: [&Settings; 2],
        is_default: bool,
        after: &Settings,
    ) -> Option<Trial> {
        let before = if is_default { default } else { own };
        let (of_tls, sasl) = (changed(before, after, is_of_tls), changed(before, after, is_of_sasl));
        let is_invalid = |(name, value): (&String, &String)| check_class(name, value).is_err();
        let concerns_tls =
            !tls.is_empty() && !of_tls.is_empty() && !after.iter().filter(|(name, _)| is_of_tls(name)).any(is_invalid);
        if !concerns_tls && sasl.is_empty() {
            return None;
        }
        let after = if is_default { config.with_dynamic(after, own) } else { config.with_dynamic(default, after) };
        let before = config.with_dynamic(default, own);
        Some(Trial { tls: concerns_tls.then(|| tls.clone()), sasl, before, after })
    }

    /// Reads the stores of TLS and what SASL needs.
    pub async fn run(self) -> Result<(), (ErrorCode, String)> {
        let (part, error) = match blocking::run(move || self.check()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => return Err((ErrorCode::UnknownServerError, panic.to_string())),
        };
        let message = format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of \
             {part} failed: org.apache.kafka.common.config.ConfigException: {error} for configuration Invalid dynamic \
             configuration"
        );
        Err((ErrorCode::InvalidRequest, message))
    }

    /// The error has the part of Kafka that would find it.
    fn check(&self) -> Result<(), (&'static str, String)> {
        if let Some(tls) = &self.tls {
            tls.check(&self.after).map_err(|error| ("SSLFactory", error))?;
        }
        if !self.sasl.is_empty() {
            authentication::check_change(&self.before, &self.after, &self.sasl)
                .map_err(|error| ("SaslChannelBuilder", error.to_string()))?;
        }
        Ok(())
    }
}

/// The names of the settings that differ, of those that `is_part` has.
fn changed(before: &Settings, after: &Settings, is_part: impl Fn(&str) -> bool) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    names.filter(|name| is_part(name) && before.get(*name) != after.get(*name)).cloned().collect()
}

/// Whether a setting is one of SASL, of all or of single listeners.
fn is_of_sasl(name: &str) -> bool {
    find_with_listener(name).is_some_and(|setting| setting.name.starts_with("sasl."))
}

#[cfg(test)]
mod tests;
