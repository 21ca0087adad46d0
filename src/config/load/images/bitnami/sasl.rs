//! The users of listeners with SASL.

use super::{config_dirs, dir_with, is_set};
use crate::listener_values::full_name;
use crate::load::LoadError;
use crate::load::images::{Found, Variables, from_variable, join};
use crate::secure::join_users;
use crate::text;
use crate::values::Source;

const MECHANISMS: &str = "sasl.enabled.mechanisms";
/// The mechanisms of the image, if none are given.
const DEFAULT_MECHANISMS: &str = "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512";
const USERS: &str = "ottla.users";
const JAAS_FILE: &str = "ottla.jaas.file";
/// A mounted file with this name has the login modules.
const MOUNTED_JAAS_FILE: &str = "kafka_jaas.conf";

/// Variables with lists of users and of their passwords, those of old releases with one of each at the end.
const CLIENTS: [(&str, &str); 3] = [
    ("KAFKA_CLIENT_USERS", "KAFKA_CLIENT_PASSWORDS"),
    ("KAFKA_BROKER_USER", "KAFKA_BROKER_PASSWORD"),
    ("KAFKA_CLIENT_USER", "KAFKA_CLIENT_PASSWORD"),
];
const INTER_BROKER: (&str, &str) = ("KAFKA_INTER_BROKER_USER", "KAFKA_INTER_BROKER_PASSWORD");
/// The listener between brokers, if `inter.broker.listener.name` is not given.
const INTER_BROKER_LISTENER: &str = "INTERNAL";

/// A user with a password.
type Login = (String, String);

pub(super) fn apply(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    if !found.has_sasl() {
        let all = CLIENTS.into_iter().chain([INTER_BROKER]).flat_map(|(users, passwords)| [users, passwords]);
        for name in all.filter(|name| is_set(variables, name)) {
            found.has_no_effect(name);
        }
        return Ok(());
    }
    found.set_if_not_given(MECHANISMS, DEFAULT_MECHANISMS, Source::Setting("listeners"))?;
    if let Some(dir) = dir_with(config_dirs(variables), &[MOUNTED_JAAS_FILE]) {
        found.set_if_not_given(JAAS_FILE, &join(&dir, MOUNTED_JAAS_FILE), Source::Setting("listeners"))?;
    }
    let mut logins: Vec<Login> = Vec::new();
    for (users, passwords) in CLIENTS {
        logins.extend(read(variables, users, passwords)?);
    }
    logins.extend(inter_broker(variables, found, &logins)?);
    let users: Vec<String> = logins.into_iter().map(|(name, password)| format!("{name}:{password}")).collect();
    if !users.is_empty() {
        let given = found.values.given(USERS).map(|given| format!("{given},")).unwrap_or_default();
        let users = format!("{given}{}", join_users(users.iter().map(String::as_str)));
        found.set(USERS, &users, from_variable(CLIENTS[0].0))?;
    }
    check_users(found)
}

/// Reads users and passwords. The error has no password.
fn read(variables: Variables<'_>, users: &str, passwords: &str) -> Result<Vec<Login>, LoadError> {
    let (names, secrets) = (variables.read(users)?, variables.read(passwords)?);
    let entries = |list: Option<(String, String)>| -> Vec<String> {
        let text = list.map(|(_, text)| text).unwrap_or_default();
        let is_separator = |character: char| character == ',' || character == ';' || character.is_whitespace();
        text.split(is_separator).filter(|entry| !entry.is_empty()).map(str::to_owned).collect()
    };
    let (names, secrets) = (entries(names), entries(secrets));
    if names.len() != secrets.len() {
        return Err(LoadError::Conflict(format!(
            "{users} and {passwords} need the same number of entries, and they have {} and {}",
            names.len(),
            secrets.len()
        )));
    }
    if let Some(name) = names.iter().find(|name| name.contains(':')) {
        return Err(LoadError::Conflict(format!("{users}: the name {} contains a colon", name.escape_debug())));
    }
    Ok(names.into_iter().zip(secrets).collect())
}

/// The user of other brokers. Clients that use it can log in, as at the image: with PLAIN at that listener alone, with
/// SCRAM wherever it is enabled. Returns it if it is a user of SCRAM.
fn inter_broker(
    variables: Variables<'_>,
    found: &mut Found<'_>,
    clients: &[Login],
) -> Result<Option<Login>, LoadError> {
    let (user, password) = INTER_BROKER;
    let listener = found.values.given("inter.broker.listener.name").unwrap_or(INTER_BROKER_LISTENER).to_owned();
    let has_listener =
        found.listeners.iter().any(|(name, protocol)| name.eq_ignore_ascii_case(&listener) && protocol.is_sasl());
    let (Some((variable, name)), Some((_, secret)), true) =
        (variables.read(user)?, variables.read(password)?, has_listener)
    else {
        for name in [user, password].into_iter().filter(|name| is_set(variables, name)) {
            found.has_no_effect(name);
        }
        return Ok(None);
    };
    match clients.iter().find(|(client, _)| *client == name) {
        Some((_, other)) if *other == secret => return Ok(None),
        Some(_) => {
            let clients = CLIENTS[0].0;
            return Err(LoadError::Conflict(format!("{user} is also one of {clients}, with another password")));
        }
        None => {}
    }
    if has_mechanism(found, &listener, |mechanism| mechanism == "PLAIN") && !found.is_given(JAAS_FILE) {
        let module = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required \"user_{}\"=\"{}\";",
            escape(&name),
            escape(&secret)
        );
        let setting = full_name(&listener, "plain.sasl.jaas.config");
        found.set_if_not_given(&setting, &module, from_variable(&variable))?;
    }
    let mechanism = found.values.given("sasl.mechanism.inter.broker.protocol").unwrap_or_default();
    Ok(mechanism.starts_with("SCRAM-").then_some((name, secret)))
}

/// Escapes a text for quotes in JAAS.
fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn has_mechanism(found: &Found<'_>, listener: &str, is_wanted: impl Fn(&str) -> bool) -> bool {
    let mechanisms = found.values.of_listener(listener).text(MECHANISMS).unwrap_or_default();
    text::list(&mechanisms).any(is_wanted)
}

/// The image would have a user with a password that is known to everyone.
fn check_users(found: &Found<'_>) -> Result<(), LoadError> {
    if found.is_given(USERS) || found.is_given(JAAS_FILE) {
        return Ok(());
    }
    let lacks_users = |listener: &str, mechanism: &str| {
        let of_mechanism = format!("{}.sasl.jaas.config", mechanism.to_ascii_lowercase());
        (mechanism == "PLAIN" || mechanism.starts_with("SCRAM-"))
            && !found.is_given(&full_name(listener, &of_mechanism))
    };
    let of_sasl = found.listeners.iter().filter(|(_, protocol)| protocol.is_sasl());
    let names = of_sasl.map(|(name, _)| name).collect::<Vec<_>>();
    match names.into_iter().find(|name| has_mechanism(found, name, |mechanism| lacks_users(name, mechanism))) {
        Some(listener) => Err(LoadError::Conflict(format!(
            "listener {listener} demands SASL, and there are no users; set {} and {} (the defaults of Bitnami's image \
             are known to everyone, so they are not used)",
            CLIENTS[0].0, CLIENTS[0].1
        ))),
        None => Ok(()),
    }
}
