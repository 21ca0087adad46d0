//! Which SASL settings have an effect, and notices about those that have none although a listener has SASL.
//!
//! Kafka reads `sasl.jaas.config` and `sasl.server.callback.handler.class` of a listener only with the names of the
//! listener and of the mechanism before them; `connections.max.reauth.ms` and those of OAUTHBEARER also without. Without a
//! SASL listener, `listener_values` lists all of them.

use super::listener::Listener;
use super::listener_values::{self, full_name};
use super::setting::Effect;
use super::table::{self, Scope};
use super::text;
use super::values::Values;

const MECHANISMS: &str = "sasl.enabled.mechanisms";
const JAAS: &str = "sasl.jaas.config";
const HANDLER: &str = "sasl.server.callback.handler.class";
/// Settings that are read only with the names of a listener and of a mechanism.
const OF_A_MECHANISM: [&str; 2] = [JAAS, HANDLER];
const SESSION_LIFETIME: &str = "connections.max.reauth.ms";
/// The prefix of the settings of OAUTHBEARER.
const OF_BEARER: &str = "sasl.oauthbearer.";
const KEYS_URL: &str = "sasl.oauthbearer.jwks.endpoint.url";
/// A setting of OAUTHBEARER that Kafka does not read with the mechanism's name.
const VALIDATOR: &str = "sasl.oauthbearer.jwt.validator.class";
const BEARER: &str = "OAUTHBEARER";
/// The beginning of the options about unsigned tokens in a login module.
const OF_UNSIGNED: &str = "unsecuredValidator";

/// Whether a setting can have the name of this mechanism before it.
pub(super) fn is_of_a_mechanism(setting: &str, mechanism: &str) -> bool {
    OF_A_MECHANISM.contains(&setting)
        || setting == SESSION_LIFETIME
        || setting.starts_with(OF_BEARER) && setting != VALIDATOR && mechanism.eq_ignore_ascii_case(BEARER)
}

/// Whether a listener with SASL reads the value of a setting that is given under `name`, also after its start.
pub(super) fn is_read(values: &Values, listener: &Listener, setting: &str, name: &str) -> bool {
    let own = values.of_listener(&listener.name);
    let mechanisms = mechanisms(values, listener);
    let has = |mechanism: &String| {
        let own = own.of_mechanism(mechanism);
        match setting {
            _ if OF_A_MECHANISM.contains(&setting) => own.full_name(setting) == name,
            SESSION_LIFETIME => own.name_of(setting) == name,
            _ => mechanism == BEARER && own.name_of(setting) == name,
        }
    };
    match setting {
        // Only at the start.
        "sasl.server.max.receive.size" => false,
        KEYS_URL => mechanisms.iter().any(has),
        _ if setting.starts_with(OF_BEARER) => !is_unsigned(values, listener) && mechanisms.iter().any(has),
        _ if OF_A_MECHANISM.contains(&setting) || setting == SESSION_LIFETIME => mechanisms.iter().any(has),
        _ => own.name_of(setting) == name,
    }
}

pub(super) fn notices(values: &Values, listeners: &[Listener]) -> Vec<String> {
    let listeners: Vec<&Listener> = listeners.iter().filter(|listener| listener.protocol.is_sasl()).collect();
    let mut notices = without_mechanism(values, &listeners);
    notices.extend(of_disabled_mechanisms(values, &listeners));
    notices.extend(of_unused_bearer(values, &listeners));
    notices.extend(of_other_tokens(values, &listeners));
    notices
}

/// A notice about settings of delegation tokens, which do not exist without a secret key.
pub(super) fn token_notices(values: &Values) -> Option<String> {
    const PREFIX: &str = "delegation.token.";
    const KEY: &str = "delegation.token.secret.key";
    if is_given(values, KEY) {
        return None;
    }
    let is_changed = |name: &str, value: &str| {
        table::find(Scope::Broker, name)
            .is_some_and(|setting| name.starts_with(PREFIX) && setting.default != Some(value))
    };
    let given = values.given_at_start().filter(|(name, value, _)| is_changed(name, value) && *name != KEY);
    let names: Vec<_> = given.map(|(name, ..)| name).collect();
    (!names.is_empty()).then(|| format!("settings without effect, as {KEY} is not set: {}", names.join(", ")))
}

/// Settings that lack the name of a mechanism.
fn without_mechanism(values: &Values, listeners: &[&Listener]) -> Vec<String> {
    let mut notices = Vec::new();
    for setting in OF_A_MECHANISM {
        let general = listeners.first().map(|listener| (setting.to_owned(), *listener));
        let own = listeners.iter().map(|listener| (full_name(&listener.name, setting), *listener));
        for (name, listener) in general.into_iter().chain(own).filter(|(name, _)| is_given(values, name)) {
            let mechanism = mechanisms(values, listener).into_iter().next().unwrap_or_else(|| "PLAIN".to_owned());
            let instead = full_name(&listener.name, &format!("{}.{setting}", mechanism.to_ascii_lowercase()));
            notices.push(format!("{name} has no effect, as in Kafka; the name for {mechanism} is {instead}"));
        }
    }
    notices
}

/// Settings of mechanisms that their listener does not have.
fn of_disabled_mechanisms(values: &Values, listeners: &[&Listener]) -> Vec<String> {
    let mut notices = Vec::new();
    for listener in listeners {
        let enabled = mechanisms(values, listener);
        for (name, ..) in values.given_at_start() {
            let Some((mechanism, setting)) = mechanism_in(name, listener) else { continue };
            if is_of_a_mechanism(setting, mechanism)
                && !enabled.iter().any(|known| known.eq_ignore_ascii_case(mechanism))
            {
                notices.push(format!(
                    "{name} has no effect: {MECHANISMS} of listener {} has no {}",
                    listener.name,
                    mechanism.to_ascii_uppercase()
                ));
            }
        }
    }
    notices
}

/// The mechanism and the setting in the name of a setting of a mechanism of this listener.
fn mechanism_in<'a>(name: &'a str, listener: &Listener) -> Option<(&'a str, &'static str)> {
    let setting = listener_values::find(name)?.name;
    let mechanism = name.strip_prefix(&full_name(&listener.name, ""))?.strip_suffix(setting)?.strip_suffix('.')?;
    // A dot may be part of another listener's name.
    (!mechanism.contains('.')).then_some((mechanism, setting))
}

/// Settings of OAUTHBEARER that no listener uses, in one line for all listeners and in one for each.
fn of_unused_bearer(values: &Values, listeners: &[&Listener]) -> Vec<String> {
    let given = |prefix: &str| bearer_settings(values, &[prefix]);
    let without: Vec<_> = listeners.iter().filter(|listener| !has_bearer(values, listener)).collect();
    let mut notices = Vec::new();
    let general = given("");
    if !general.is_empty() && !listeners.is_empty() && without.len() == listeners.len() {
        notices.push(format!("settings without effect, as no listener has OAUTHBEARER in {MECHANISMS}: {general}"));
    }
    for listener in without {
        let own = given(&full_name(&listener.name, ""));
        if !own.is_empty() {
            let name = &listener.name;
            notices
                .push(format!("settings without effect, as {MECHANISMS} of listener {name} has no OAUTHBEARER: {own}"));
        }
    }
    notices
}

/// Settings about signed tokens of listeners that accept unsigned ones, and the reverse.
fn of_other_tokens(values: &Values, listeners: &[&Listener]) -> Vec<String> {
    let listeners: Vec<_> = listeners.iter().filter(|listener| has_bearer(values, listener)).collect();
    let mut notices = Vec::new();
    let general = bearer_settings(values, &[""]);
    if !general.is_empty() && !listeners.is_empty() && listeners.iter().all(|listener| is_unsigned(values, listener)) {
        notices.push(format!("settings without effect, as tokens are not signed without {KEYS_URL}: {general}"));
    }
    for listener in listeners {
        let (name, own) = (&listener.name, values.of_listener(&listener.name).of_mechanism(BEARER));
        if is_unsigned(values, listener) {
            let given = bearer_settings(values, &[&full_name(name, ""), &own.full_name("")]);
            if !given.is_empty() {
                notices.push(format!(
                    "settings without effect, as tokens of listener {name} are not signed without {KEYS_URL}: {given}"
                ));
            }
            continue;
        }
        let why = format!("tokens of listener {name} must be signed with a key of {KEYS_URL}");
        if let Some((setting, class, _)) = own.own(HANDLER)
            && class.ends_with(".OAuthBearerUnsecuredValidatorCallbackHandler")
        {
            notices.push(format!("{setting} has no effect: {why}"));
        }
        if let Some((setting, module, _)) = own.own(JAAS)
            && module.contains(OF_UNSIGNED)
        {
            notices.push(format!("the options {OF_UNSIGNED}... in {setting} have no effect: {why}"));
        }
    }
    notices
}

/// Whether a listener with OAUTHBEARER accepts unsigned tokens.
fn is_unsigned(values: &Values, listener: &Listener) -> bool {
    let own = values.of_listener(&listener.name).of_mechanism(BEARER);
    let validates =
        own.own(HANDLER).is_some_and(|(_, class, _)| class.ends_with(".OAuthBearerValidatorCallbackHandler"));
    own.text(KEYS_URL).is_none() && !validates
}

/// The given settings of OAUTHBEARER behind one of the `prefixes` that are not the defaults, separated by commas. Those
/// that are without effect in any case are in another line.
fn bearer_settings(values: &Values, prefixes: &[&str]) -> String {
    let is_bearers = |name: &str, value: &str| {
        let found = prefixes.iter().find_map(|prefix| table::find(Scope::Broker, name.strip_prefix(prefix)?));
        let Some(setting) = found else { return false };
        setting.name.starts_with(OF_BEARER) && setting.effect == Effect::Implemented && setting.default != Some(value)
    };
    let given = values.given_at_start().filter(|(name, value, _)| is_bearers(name, value)).map(|(name, ..)| name);
    given.collect::<Vec<_>>().join(", ")
}

fn has_bearer(values: &Values, listener: &Listener) -> bool {
    mechanisms(values, listener).iter().any(|mechanism| mechanism == BEARER)
}

fn is_given(values: &Values, name: &str) -> bool {
    values.given(name).is_some_and(|value| !value.trim().is_empty())
}

/// The mechanisms of a listener, as they are given.
fn mechanisms(values: &Values, listener: &Listener) -> Vec<String> {
    let given = values.of_listener(&listener.name).text(MECHANISMS).unwrap_or_default();
    text::list(&given).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::broker::Resolved;
    use super::super::{Sources, load};
    use super::KEYS_URL;

    /// A start with a listener SASL_PLAINTEXT that has PLAIN.
    fn start(given: &[(&str, &str)]) -> Resolved {
        let base = [("listeners", "PLAINTEXT://:1,SASL_PLAINTEXT://:2"), ("sasl.enabled.mechanisms", "PLAIN")];
        let command_line = base.iter().chain(given).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(&Sources { command_line: command_line.collect(), ..Sources::default() }).unwrap()
    }

    /// Checks the notices.
    #[track_caller]
    fn check(given: &[(&str, &str)], expect: &[&str]) {
        assert_eq!(start(given).notices, expect, "{given:?}");
    }

    #[test]
    fn setting_without_the_name_of_a_mechanism_is_a_notice_with_the_right_name() {
        let handler = "sasl.server.callback.handler.class";
        let expect = "sasl.server.callback.handler.class has no effect, as in Kafka; the name for PLAIN is \
                      listener.name.sasl_plaintext.plain.sasl.server.callback.handler.class";
        let class = "org.apache.kafka.common.security.plain.internals.PlainServerCallbackHandler";
        check(&[(handler, class)], &[expect]);
        check(&[(handler, "")], &[]);
        check(&[(handler, class), ("listeners", "PLAINTEXT://:1")], &[]);
        let own = "listener.name.sasl_plaintext.sasl.jaas.config";
        let with_mechanism = "listener.name.sasl_plaintext.plain.sasl.jaas.config";
        let expect = |name: &str| format!("{name} has no effect, as in Kafka; the name for PLAIN is {with_mechanism}");
        check(&[("sasl.jaas.config", "x;"), (with_mechanism, "y;")], &[&expect("sasl.jaas.config")]);
        check(&[(own, "x;"), (with_mechanism, "y;")], &[&expect(own)]);
        check(&[(with_mechanism, "y;")], &[]);
    }

    #[test]
    fn jaas_configuration_of_a_mechanism_that_is_not_enabled_is_a_notice() {
        let scram = "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config";
        let expect =
            format!("{scram} has no effect: sasl.enabled.mechanisms of listener SASL_PLAINTEXT has no SCRAM-SHA-256");
        check(&[(scram, "x;")], &[&expect]);
        let both = ("listener.name.sasl_plaintext.sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256");
        check(&[(scram, "x;"), both], &[]);
    }

    #[test]
    fn setting_of_a_mechanism_or_listener_that_is_read_only_without_its_name_is_without_effect() {
        let with = |prefix: &str, name: &str| format!("listener.name.sasl_plaintext.{prefix}{name}");
        for (name, value, is_read) in [
            (with("plain.", "connections.max.reauth.ms"), "3000", true),
            (with("plain.", "sasl.jaas.config"), "x;", true),
            (with("", "connections.max.reauth.ms"), "3000", true),
            (with("oauthbearer.", "sasl.oauthbearer.expected.audience"), "kafka", true),
            (with("plain.", "sasl.oauthbearer.expected.audience"), "kafka", false),
            (with("plain.", "sasl.enabled.mechanisms"), "PLAIN", false),
            (with("other.", "sasl.enabled.mechanisms"), "PLAIN", false),
            (with("", "sasl.server.max.receive.size"), "1000", true),
            (with("plain.", "sasl.server.max.receive.size"), "1000", false),
        ] {
            let expect = if is_read { Vec::new() } else { vec![name.clone()] };
            assert_eq!(start(&[(&name, value)]).without_effect, expect);
        }
    }

    #[test]
    fn settings_of_oauthbearer_that_no_listener_uses_are_a_notice() {
        let given = [
            ("sasl.oauthbearer.expected.audience", "kafka"),
            ("listener.name.sasl_plaintext.sasl.oauthbearer.expected.issuer", "i"),
            ("sasl.oauthbearer.allow.unverified.issuer", "false"),
        ];
        let general = "settings without effect, as no listener has OAUTHBEARER in sasl.enabled.mechanisms: \
                       sasl.oauthbearer.expected.audience";
        let own = "settings without effect, as sasl.enabled.mechanisms of listener SASL_PLAINTEXT has no OAUTHBEARER: \
                   listener.name.sasl_plaintext.sasl.oauthbearer.expected.issuer";
        check(&given, &[general, own]);
        check(&[given[0], ("sasl.enabled.mechanisms", "OAUTHBEARER"), (KEYS_URL, "https://i")], &[]);
        check(&[given[0], ("listeners", "PLAINTEXT://:1")], &[]);
        // Another listener has it.
        let other = [
            ("listeners", "SASL_PLAINTEXT://:2,OTHER://:3"),
            ("listener.security.protocol.map", "SASL_PLAINTEXT:SASL_PLAINTEXT,OTHER:SASL_PLAINTEXT"),
            ("listener.name.other.sasl.enabled.mechanisms", "OAUTHBEARER"),
            ("listener.name.other.sasl.oauthbearer.expected.issuer", "i"),
            ("listener.name.other.sasl.oauthbearer.jwks.endpoint.url", "https://i"),
        ];
        check(&[&given[..], &other].concat(), &[own]);
    }

    #[test]
    fn settings_of_signed_tokens_without_keys_and_of_unsigned_ones_beside_keys_are_notices() {
        let bearer = ("sasl.enabled.mechanisms", "OAUTHBEARER");
        let handler = "listener.name.sasl_plaintext.oauthbearer.sasl.server.callback.handler.class";
        let module = "listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config";
        let options = "X required unsecuredValidatorRequiredScope=\"a\";";
        let unsecured = "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler";
        let given = [
            bearer,
            (module, options),
            (handler, unsecured),
            ("sasl.oauthbearer.sub.claim.name", "user"),
            ("sasl.oauthbearer.scope.claim.name", "scope"),
            ("listener.name.sasl_plaintext.sasl.oauthbearer.clock.skew.seconds", "5"),
        ];
        let general = "settings without effect, as tokens are not signed without sasl.oauthbearer.jwks.endpoint.url: \
                       sasl.oauthbearer.sub.claim.name";
        let own = "settings without effect, as tokens of listener SASL_PLAINTEXT are not signed without \
                   sasl.oauthbearer.jwks.endpoint.url: listener.name.sasl_plaintext.sasl.oauthbearer.clock.skew.seconds";
        check(&given, &[general, own]);
        let why = "tokens of listener SASL_PLAINTEXT must be signed with a key of sasl.oauthbearer.jwks.endpoint.url";
        let of_handler = format!("{handler} has no effect: {why}");
        let of_options = format!("the options unsecuredValidator... in {module} have no effect: {why}");
        check(&[&given[..], &[(KEYS_URL, "https://i")]].concat(), &[&of_handler, &of_options]);
        check(&[bearer, (module, "X required;"), (KEYS_URL, "https://i")], &[]);
    }

    #[test]
    fn settings_of_delegation_tokens_without_a_secret_key_are_a_notice() {
        let lifetime = ("delegation.token.max.lifetime.ms", "1000");
        let expect =
            "settings without effect, as delegation.token.secret.key is not set: delegation.token.max.lifetime.ms";
        check(&[lifetime], &[expect]);
        check(&[lifetime, ("delegation.token.secret.key", "")], &[expect]);
        check(&[lifetime, ("delegation.token.secret.key", "s")], &[]);
        check(&[("delegation.token.max.lifetime.ms", "604800000")], &[]);
    }
}
