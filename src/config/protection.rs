//! Settings that demand protection: TLS, SASL, an authorizer. None of them is there yet, and a broker that serves
//! everybody although it was told not to is worse than none, so that such a start is refused.
//!
//! The rule: refused is what Apache Kafka, or the image that a variable is for, would have kept closed with the same
//! settings, or would have refused to start with itself. A setting that only carries details (`ssl.*`, `sasl.*`,
//! `super.users`, users and passwords) demands nothing: without a listener or an authorizer that uses it, Kafka serves
//! everybody too. `tests/data/protection.tsv` has the cases.

use std::collections::BTreeMap;

use super::listener::{self, SecurityProtocol};
use super::setting::Effect;
use super::table::{self, Scope};
use super::text;
use super::values::{Source, Values};

pub(super) const AUTHORIZER: &str = "authorizer.class.name";
pub(super) const ALLOW_EVERYONE: &str = "allow.everyone.if.no.acl.found";
const INTER_BROKER_LISTENER: &str = "inter.broker.listener.name";

/// Kafka's own authorizers, which `allow.everyone.if.no.acl.found` and ACLs alone decide for.
const OWN_AUTHORIZERS: [&str; 3] = [
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
    "kafka.security.auth.SimpleAclAuthorizer",
];

/// Java classes that say no to some requests of clients, and what would have been asked of them.
const POLICIES: [(&str, &str); 2] =
    [("create.topic.policy.class.name", "new topics"), ("alter.config.policy.class.name", "changes of settings")];

/// What was given that may demand protection.
pub(super) struct Given<'a> {
    pub values: &'a Values,
    /// Settings of plug-ins, which the table of settings does not have.
    pub of_plugins: &'a BTreeMap<String, (String, Source)>,
    /// A variable that forbids listeners without protection, and its value.
    pub plaintext_forbidden: Option<(&'a str, &'a str)>,
}

/// Whether a start with these settings would be open although it was told to be closed. The error says so in one line;
/// else, what is to be said of the protection that will not be there.
pub(super) fn check(given: &Given<'_>) -> Result<Vec<String>, String> {
    if let Some((variable, value)) = given.plaintext_forbidden {
        return Err(format!(
            "{variable}={} (environment) forbids PLAINTEXT listeners, and no others are served yet; say yes if a \
             listener without protection is wanted",
            value.escape_debug()
        ));
    }
    let mut notices = Vec::new();
    for (name, value, from) in given.values.given_at_start() {
        let demanding = table::find(Scope::Broker, name)
            .is_some_and(|setting| setting.effect == Effect::Protection && setting.default != Some(value));
        match name {
            AUTHORIZER if demanding && allows_everyone(given, value) => notices.push(format!(
                "{AUTHORIZER}: there is no authorizer yet; as {ALLOW_EVERYONE}=true says, every client may do everything"
            )),
            AUTHORIZER if demanding => return Err(no_authorizer(value, from)),
            _ if demanding => {
                return Err(format!(
                    "{name}={value} ({from}) demands a {value} listener, and only PLAINTEXT is served yet; leave it out \
                     if listeners without protection are wanted"
                ));
            }
            INTER_BROKER_LISTENER => check_inter_broker_listener(given.values, value, from)?,
            _ => {}
        }
    }
    for (name, judged) in POLICIES {
        if given.values.given(name).is_some_and(|class| !class.is_empty()) {
            notices.push(format!("{name}: no Java runs here; {judged} are not asked about"));
        }
    }
    Ok(notices)
}

/// Whether the authorizer `class` would let every client do everything, as long as there are no ACLs.
fn allows_everyone(given: &Given<'_>, class: &str) -> bool {
    let everyone = given.of_plugins.get(ALLOW_EVERYONE).and_then(|(value, _)| text::parse_bool(value));
    OWN_AUTHORIZERS.contains(&class) && everyone == Some(true)
}

fn no_authorizer(class: &str, from: &Source) -> String {
    let or = match OWN_AUTHORIZERS.contains(&class) {
        true => format!(", or add {ALLOW_EVERYONE}=true,"),
        false => String::new(),
    };
    format!(
        "{AUTHORIZER}={} ({from}) demands an authorizer, and there is none yet: every client could do everything; leave \
         it out{or} if that is wanted",
        class.escape_debug()
    )
}

/// A listener of this name that must be protected can't be among the listeners: those are PLAINTEXT.
fn check_inter_broker_listener(values: &Values, name: &str, from: &Source) -> Result<(), String> {
    let map = values.text("listener.security.protocol.map").unwrap_or_default();
    match listener::protocol_named(name, &map) {
        None | Some(SecurityProtocol::Plaintext) => Ok(()),
        Some(protocol) => Err(format!(
            "{INTER_BROKER_LISTENER}={name} ({from}) demands a {protocol} listener, and only PLAINTEXT is served yet; \
             leave it out if listeners without protection are wanted"
        )),
    }
}
