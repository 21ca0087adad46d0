//! Settings that demand protection: TLS and SASL. None of these is supported yet, so the broker refuses to start with
//! them instead of running unprotected.
//!
//! The rule: the start is refused if Apache Kafka, or the image that a variable belongs to, would have restricted access
//! with the same settings or would have refused to start. Settings that only carry details (`ssl.*`, `sasl.*`,
//! users and passwords) demand nothing: without a listener that uses them, Kafka serves all clients too. The cases are in `tests/data/protection.tsv`.

use super::listener::{self, SecurityProtocol};
use super::setting::Effect;
use super::table::{self, Scope};
use super::values::{Source, Values};

const INTER_BROKER_LISTENER: &str = "inter.broker.listener.name";

/// Settings for policy classes, and what the policy would check.
const POLICIES: [(&str, &str); 2] =
    [("create.topic.policy.class.name", "new topics"), ("alter.config.policy.class.name", "changes of settings")];

/// The settings that may demand protection.
pub(super) struct Given<'a> {
    pub values: &'a Values,
    /// The environment variable that forbids PLAINTEXT listeners, and its value.
    pub plaintext_forbidden: Option<(&'a str, &'a str)>,
}

/// Rejects settings that demand protection, with a one-line error. Returns notices about missing protection that is not
/// required.
pub(super) fn check(given: &Given<'_>) -> Result<Vec<String>, String> {
    if let Some((variable, value)) = given.plaintext_forbidden {
        return Err(format!(
            "{variable}={} (environment) forbids PLAINTEXT listeners, and no others are supported yet; set it to yes to \
            run without protection",
            value.escape_debug()
        ));
    }
    let mut notices = Vec::new();
    for (name, value, from) in given.values.given_at_start() {
        let demanding = table::find(Scope::Broker, name)
            .is_some_and(|setting| setting.effect == Effect::Protection && setting.default != Some(value));
        match name {
            _ if demanding => {
                return Err(format!(
                    "{name}={value} ({from}) demands a {value} listener, and only PLAINTEXT is supported yet; remove it \
                    to run without protection"
                ));
            }
            INTER_BROKER_LISTENER => check_inter_broker_listener(given.values, value, from)?,
            _ => {}
        }
    }
    for (name, subject) in POLICIES {
        if given.values.given(name).is_some_and(|class| !class.is_empty()) {
            notices.push(format!("{name}: Java classes are not supported; {subject} are not checked"));
        }
    }
    Ok(notices)
}

/// Rejects an inter-broker listener with a protected protocol, because all listeners are PLAINTEXT.
fn check_inter_broker_listener(values: &Values, name: &str, from: &Source) -> Result<(), String> {
    let map = values.text("listener.security.protocol.map").unwrap_or_default();
    match listener::protocol_named(name, &map) {
        None | Some(SecurityProtocol::Plaintext) => Ok(()),
        Some(protocol) => Err(format!(
            "{INTER_BROKER_LISTENER}={name} ({from}) demands a {protocol} listener, and only PLAINTEXT is supported yet; \
            remove it to run without protection"
        )),
    }
}
