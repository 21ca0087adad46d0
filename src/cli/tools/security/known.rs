//! Which settings of TLS and SASL there are, so that a mistyped name is noticed, and checks of their values.

use std::collections::BTreeMap;

use ottla_config::setting::{Kind, parse_bool};
use ottla_config::{Scope, table};

/// The settings of Kafka's clients 4.3.1 that begin with `ssl.`, `sasl.` or `security.`.
const NAMES: &[&str] = &[
    "sasl.client.callback.handler.class",
    "sasl.jaas.config",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.service.name",
    "sasl.kerberos.ticket.renew.jitter",
    "sasl.kerberos.ticket.renew.window.factor",
    "sasl.login.callback.handler.class",
    "sasl.login.class",
    "sasl.login.connect.timeout.ms",
    "sasl.login.read.timeout.ms",
    "sasl.login.refresh.buffer.seconds",
    "sasl.login.refresh.min.period.seconds",
    "sasl.login.refresh.window.factor",
    "sasl.login.refresh.window.jitter",
    "sasl.login.retry.backoff.max.ms",
    "sasl.login.retry.backoff.ms",
    "sasl.mechanism",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.template.file",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.clock.skew.seconds",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.header.urlencode",
    "sasl.oauthbearer.jwks.endpoint.refresh.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
    "sasl.oauthbearer.jwks.endpoint.url",
    "sasl.oauthbearer.jwt.retriever.class",
    "sasl.oauthbearer.jwt.validator.class",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
    "sasl.oauthbearer.token.endpoint.url",
    "security.protocol",
    "security.providers",
    "ssl.cipher.suites",
    "ssl.enabled.protocols",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.factory.class",
    "ssl.key.password",
    "ssl.keymanager.algorithm",
    "ssl.keystore.certificate.chain",
    "ssl.keystore.key",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.keystore.type",
    "ssl.protocol",
    "ssl.provider",
    "ssl.secure.random.implementation",
    "ssl.trustmanager.algorithm",
    "ssl.truststore.certificates",
    "ssl.truststore.location",
    "ssl.truststore.password",
    "ssl.truststore.type",
];

/// Bounds that the settings of clients have and those of brokers have not.
const BOUNDS: [(&str, f64, f64); 4] = [
    ("sasl.login.refresh.buffer.seconds", 0.0, 3600.0),
    ("sasl.login.refresh.min.period.seconds", 0.0, 900.0),
    ("sasl.login.refresh.window.factor", 0.5, 1.0),
    ("sasl.login.refresh.window.jitter", 0.0, 0.25),
];

/// Checks the values of settings that are numbers, booleans or one of several, whichever protocol and mechanism the client
/// uses. The error is the one of Kafka's clients.
pub fn check_values(properties: &BTreeMap<String, String>) -> Result<(), String> {
    // Brokers do not have it.
    const URL_ENCODED: &str = "sasl.oauthbearer.header.urlencode";
    if let Some(value) = properties.get(URL_ENCODED).filter(|value| parse_bool(value.trim()).is_none()) {
        return Err(format!(
            "Invalid value {} for configuration {URL_ENCODED}: Expected value to be either true or false",
            value.trim().escape_debug()
        ));
    }
    for (name, value) in properties.iter().filter(|(name, _)| NAMES.contains(&name.as_str())) {
        let Some(setting) = table::find(Scope::Broker, name) else { continue };
        setting.check(value).map_err(|invalid| invalid.to_string())?;
        let Some((_, least, most)) = BOUNDS.iter().find(|(known, ..)| known == name) else { continue };
        let number: f64 = value.trim().parse().unwrap_or(*least);
        let shown = setting.canonical(value);
        let refuse = |why: String| Err(format!("Invalid value {shown} for configuration {name}: {why}"));
        let bound = |bound: &f64| if setting.kind == Kind::Double { format!("{bound:?}") } else { bound.to_string() };
        if number < *least {
            return refuse(format!("Value must be at least {}", bound(least)));
        }
        if number > *most {
            return refuse(format!("Value must be no more than {}", bound(most)));
        }
    }
    Ok(())
}

/// The settings with these prefixes that no client of Kafka has.
pub fn unknown(properties: &BTreeMap<String, String>) -> Vec<&str> {
    let names = properties.keys().map(String::as_str);
    names.filter(|name| super::Security::is_setting(name) && !NAMES.contains(name)).collect()
}
