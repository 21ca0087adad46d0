//! Settings that demand protection: TLS, SASL, an authorizer. With those that are not supported yet, the broker refuses to
//! start instead of running unprotected.
//!
//! The rule: the start is refused if Apache Kafka, or the image that a variable belongs to, would have restricted access
//! with the same settings or would have refused to start. Settings that only carry details (`ssl.*`, `sasl.*`,
//! `super.users`, users and passwords) demand nothing: without a listener or an authorizer that uses them, Kafka serves
//! all clients too. The cases are in `tests/data/protection.tsv`.

use std::collections::BTreeMap;

use super::listener::{self, Listener, SecurityProtocol};
use super::setting::Effect;
use super::table::{self, Scope};
use super::text;
use super::values::{Source, Values};

pub(super) const AUTHORIZER: &str = "authorizer.class.name";
pub(super) const ALLOW_EVERYONE: &str = "allow.everyone.if.no.acl.found";
const INTER_BROKER_PROTOCOL: &str = "security.inter.broker.protocol";
const QUOTA_CALLBACK: &str = "client.quota.callback.class";
const INTER_BROKER_LISTENER: &str = "inter.broker.listener.name";

/// Kafka's own authorizers, which depend only on ACLs and `allow.everyone.if.no.acl.found`.
const OWN_AUTHORIZERS: [&str; 3] = [
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
    "kafka.security.auth.SimpleAclAuthorizer",
];

/// Settings for policy classes, and what the policy would check.
const POLICIES: [(&str, &str); 2] =
    [("create.topic.policy.class.name", "new topics"), ("alter.config.policy.class.name", "changes of settings")];

/// The settings that may demand protection.
pub(super) struct Given<'a> {
    pub values: &'a Values,
    /// Settings of plug-ins, which are not in the table of settings.
    pub plugin_settings: &'a BTreeMap<String, (String, Source)>,
}

/// Rejects settings that demand protection, with a one-line error. Returns notices about missing protection that is not
/// required.
pub(super) fn check(given: &Given<'_>) -> Result<Vec<String>, String> {
    let mut notices = Vec::new();
    for (name, value, from) in given.values.given_at_start() {
        let demanding = table::find(Scope::Broker, name)
            .is_some_and(|setting| setting.effect == Effect::Protection && setting.default != Some(value));
        match name {
            QUOTA_CALLBACK if !value.is_empty() => {
                return Err(format!(
                    "{QUOTA_CALLBACK}={} ({from}) demands a Java class that decides client quotas, and Java classes are \
                    not supported; remove it, the quotas of users and clients are enforced without it",
                    value.escape_debug()
                ));
            }
            AUTHORIZER if demanding && allows_everyone(given, value) => notices.push(format!(
                "{AUTHORIZER}: authorizers are not supported yet; {ALLOW_EVERYONE}=true, so every client may do everything"
            )),
            AUTHORIZER if demanding => return Err(no_authorizer(value, from)),
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

/// Whether the authorizer `class` would allow everything to every client while there are no ACLs.
fn allows_everyone(given: &Given<'_>, class: &str) -> bool {
    let everyone = given.plugin_settings.get(ALLOW_EVERYONE).and_then(|(value, _)| text::parse_bool(value));
    OWN_AUTHORIZERS.contains(&class) && everyone == Some(true)
}

fn no_authorizer(class: &str, from: &Source) -> String {
    let alternative = match OWN_AUTHORIZERS.contains(&class) {
        true => format!(" or add {ALLOW_EVERYONE}=true"),
        false => String::new(),
    };
    format!(
        "{AUTHORIZER}={} ({from}) demands an authorizer, and none is supported yet; remove it{alternative} to allow every \
        client everything",
        class.escape_debug()
    )
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
