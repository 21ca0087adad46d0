//! Changes of the TLS settings of a listener: they are tried before they are stored, as in Kafka.
//!
//! Errors have Kafka's text around ours.

use std::collections::BTreeMap;

use super::context::Context;
use crate::blocking;
use crate::tls::TlsListeners;
use ottla_config::{BrokerConfig, listener_values};
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
        if context.tls.is_empty()
            || change.resource.kind != ConfigKind::Broker
            || *change.resource.name != *node.to_string()
        {
            return None;
        }
        let cluster = context.broker.cluster();
        let before = cluster.image.broker_configs(node);
        // A change that the metadata machine refuses needs no trial.
        let after = settings_after(change, before).ok()?;
        if tls_settings(before) == tls_settings(&after) {
            return None;
        }
        let config = context.broker.config().with_dynamic(cluster.image.default_broker_configs(), &after);
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

/// The TLS settings of listeners.
fn tls_settings(settings: &BTreeMap<String, String>) -> Vec<(&String, &String)> {
    let is_tls = |name: &str| listener_values::find(name).is_some_and(|setting| setting.name.starts_with("ssl."));
    settings.iter().filter(|(name, _)| is_tls(name)).collect()
}
