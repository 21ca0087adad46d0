//! Changes of the TLS settings of listeners: they are tried before they are stored, as in Kafka.
//!
//! Errors have Kafka's text around ours.

use std::collections::BTreeMap;

use super::context::Context;
use crate::blocking;
use crate::tls::TlsListeners;
use ottla_config::{BrokerConfig, check_class, is_of_tls};
use ottla_core::metadata::{ConfigChange, ConfigKind, settings_after};
use ottla_wire::types::ErrorCode;

/// A change to be tried.
pub(super) struct Trial {
    listeners: TlsListeners,
    /// The settings as they would be.
    config: BrokerConfig,
}

impl Trial {
    /// The trial of a change, if it concerns the TLS of a listener.
    pub fn of(context: &Context, change: &ConfigChange) -> Option<Trial> {
        let node = context.broker.node_id();
        // Without a name, the change is for all brokers.
        let is_default = change.resource.name.is_empty();
        if context.tls.is_empty()
            || change.resource.kind != ConfigKind::Broker
            || !is_default && *change.resource.name != *node.to_string()
        {
            return None;
        }
        let cluster = context.broker.cluster();
        let (default, own) = (cluster.image.default_broker_configs(), cluster.image.broker_configs(node));
        let before = if is_default { default } else { own };
        // A change that the metadata machine refuses needs no trial.
        let after = settings_after(change, before).ok()?;
        let changed = tls_settings(&after);
        if tls_settings(before) == changed || changed.iter().any(|(name, value)| check_class(name, value).is_err()) {
            return None;
        }
        let config = context.broker.config();
        let config = if is_default { config.with_dynamic(&after, own) } else { config.with_dynamic(default, &after) };
        Some(Trial { listeners: context.tls.clone(), config })
    }

    /// Reads the stores.
    pub async fn run(self) -> Result<(), (ErrorCode, String)> {
        let tried = blocking::run(move || self.listeners.check(&self.config)).await;
        let error = match tried {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(panic) => return Err((ErrorCode::UnknownServerError, panic.to_string())),
        };
        let message = format!(
            "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of \
             SSLFactory failed: org.apache.kafka.common.config.ConfigException: {error} for configuration Invalid dynamic \
             configuration"
        );
        Err((ErrorCode::InvalidRequest, message))
    }
}

/// The TLS settings of all and of single listeners.
fn tls_settings(settings: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    settings.iter().filter(|(name, _)| is_of_tls(name)).collect()
}
