//! Settings that demand protection. With those that are not supported, the broker refuses to start instead of running
//! unprotected; `authorizer`, `java_classes` and `load::images` do so too.
//!
//! The rule: the start is refused if Apache Kafka, or the image that a variable belongs to, would have restricted access
//! with the same settings or would have refused to start. Settings that only carry details (`ssl.*`, `sasl.*`,
//! `super.users`, users and passwords) demand nothing: without a listener or an authorizer that uses them, Kafka serves
//! all clients too. The cases are in `tests/data/protection.tsv`.

use super::listener::{self, Listener, SecurityProtocol};
use super::listener_values;
use super::text;
use super::values::{Origin, Values};

const INTER_BROKER_PROTOCOL: &str = "security.inter.broker.protocol";
const INTER_BROKER_LISTENER: &str = "inter.broker.listener.name";

const EARLY_START: &str = "early.start.listeners";

/// Settings that exchange a part of Java's TLS, and their values that need no other part.
const TLS_PARTS: [(&str, &[&str]); 5] = [
    ("security.providers", &[]),
    ("ssl.provider", &[]),
    ("ssl.secure.random.implementation", &[]),
    ("ssl.keymanager.algorithm", &["SunX509", "PKIX"]),
    ("ssl.trustmanager.algorithm", &["PKIX", "SunX509"]),
];

/// Whether a setting of the broker or of a listener concerns TLS.
pub fn is_of_tls(name: &str) -> bool {
    let is_part = |name: &str| TLS_PARTS.iter().any(|(part, _)| *part == name);
    listener_values::find_with_listener(name)
        .is_some_and(|setting| setting.name.starts_with("ssl.") || is_part(setting.name))
}

/// Settings for policy classes, and what the policy would check.
const POLICIES: [(&str, &str); 2] =
    [("create.topic.policy.class.name", "new topics"), ("alter.config.policy.class.name", "changes of settings")];

/// Notices about Java classes that would have checked something.
pub(super) fn notices(values: &Values) -> Vec<String> {
    let given = POLICIES.iter().filter(|(name, _)| values.given(name).is_some_and(|class| !class.is_empty()));
    let notice = |(name, subject)| format!("{name}: Java classes are not supported; {subject} are not checked");
    given.copied().map(notice).collect()
}

/// Rejects settings that exchange a part of TLS which a listener has.
pub(super) fn check_tls_parts(values: &Values, listeners: &[Listener]) -> Result<(), String> {
    for listener in listeners.iter().filter(|listener| listener.protocol.is_tls()) {
        for (part, supported) in TLS_PARTS {
            let name = values.of_listener(&listener.name).name_of(part);
            let Some((value, origin)) = values.layers(&name).next() else { continue };
            let value = value.trim();
            if value.is_empty() || supported.iter().any(|known| value.eq_ignore_ascii_case(known)) {
                continue;
            }
            let remedy =
                if supported.is_empty() { "remove it".to_owned() } else { format!("use {}", supported.join(" or ")) };
            // A value that was set at runtime has no source.
            let from = values.source(&name).filter(|_| origin == Origin::Static);
            let from = from.map(|from| format!(" ({from})")).unwrap_or_default();
            return Err(format!(
                "{name}={}{from} is not supported, and listener {} has TLS; {remedy}",
                value.escape_debug(),
                listener.name
            ));
        }
    }
    Ok(())
}

/// Rejects settings that demand other listeners than the ones of the broker, with a one-line error.
/// `plaintext_forbidden` is the environment variable that forbids PLAINTEXT listeners, and its value.
pub(super) fn check_listeners(
    values: &Values,
    listeners: &[Listener],
    plaintext_forbidden: Option<(&str, &str)>,
) -> Result<(), String> {
    let plaintext = listeners.iter().find(|listener| listener.protocol == SecurityProtocol::Plaintext);
    if let (Some((variable, value)), Some(listener)) = (plaintext_forbidden, plaintext) {
        return Err(format!(
            "{variable}={} (environment) forbids PLAINTEXT listeners, and {} is one; set it to yes to run without \
            protection, or use SSL",
            value.escape_debug(),
            listener.name
        ));
    }
    check_early_start(values, listeners)?;
    let map = values.text("listener.security.protocol.map").unwrap_or_default();
    for name in [INTER_BROKER_PROTOCOL, INTER_BROKER_LISTENER] {
        // The protocol is also the name of its listener.
        let Some((given, from)) = values.given(name).zip(values.source(name)) else { continue };
        let has_listener = listeners.iter().any(|listener| listener.name.eq_ignore_ascii_case(given));
        match listener::protocol_named(given, &map) {
            Some(protocol) if protocol != SecurityProtocol::Plaintext && !has_listener => {
                return Err(format!(
                    "{name}={given} ({from}) demands a {protocol} listener of the name {given}, and listeners has none; \
                    add it, or remove {name}: there are no other brokers"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Rejects a limit with which no client could connect, as Kafka does.
pub(super) fn check_connections(values: &Values) -> Result<(), String> {
    let (limit, exceptions) = ("max.connections.per.ip", "max.connections.per.ip.overrides");
    let is_zero = values.given(limit).is_some_and(|value| value.trim().parse() == Ok(0));
    match is_zero && values.text(exceptions).is_none_or(|given| given.trim().is_empty()) {
        true => Err(format!("{limit} can be set to zero only if {exceptions} property is set")),
        false => Ok(()),
    }
}

/// Rejects names of listeners that there are not, as Kafka does.
fn check_early_start(values: &Values, listeners: &[Listener]) -> Result<(), String> {
    let Some((given, from)) = values.given(EARLY_START).zip(values.source(EARLY_START)) else { return Ok(()) };
    let of_controllers = values.text("controller.listener.names").unwrap_or_default();
    let exists = |name: &str| {
        let of_brokers = listeners.iter().map(|listener| &*listener.name);
        of_brokers.chain(text::list(&of_controllers)).any(|known| known.eq_ignore_ascii_case(name))
    };
    match text::list(given).find(|name| !exists(name)) {
        None => Ok(()),
        Some(name) => Err(format!(
            "{EARLY_START}={} ({from}) contains listener {}, but this is not contained in listeners or \
             controller.listener.names",
            given.escape_debug(),
            name.escape_debug()
        )),
    }
}
