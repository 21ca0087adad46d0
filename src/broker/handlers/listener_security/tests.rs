//! No setting of security is accepted in silence, neither at the start nor at runtime: a value that is not supported is
//! refused, or a line says that the setting has no effect. The cases are generated from the table of settings.

use super::*;
use ottla_config::setting::Kind;
use ottla_config::{Resolved, Scope, Sources, load, table};
use ottla_core::metadata::{Alteration, ConfigOp, ConfigResource, OpKind, check_broker_change};

/// Settings of security that may have any text as a value, and are used with it.
const TEXTS: [&str; 5] = [
    "delegation.token.secret.key",
    "sasl.oauthbearer.expected.audience",
    "sasl.oauthbearer.expected.issuer",
    "sasl.oauthbearer.scope.claim.name",
    "sasl.oauthbearer.sub.claim.name",
];

const PREFIXES: [&str; 9] = [
    "",
    "listener.name.plaintext.",
    "listener.name.ssl.",
    "listener.name.a.",
    "listener.name.a.plain.",
    "listener.name.a.oauthbearer.",
    "listener.name.b.oauthbearer.",
    "listener.name.no.",
    "listener.name.no.oauthbearer.",
];

/// The names of the settings of security, with and without the names of listeners and mechanisms, and values that are not
/// supported.
fn cases() -> Vec<(String, &'static str, &'static str)> {
    const SECURITY: [&str; 7] =
        ["sasl.", "ssl.", "authorizer.", "principal.", "security.", "connections.max.reauth", "delegation."];
    let settings = table::all(Scope::Broker).filter(|it| SECURITY.iter().any(|prefix| it.name.starts_with(prefix)));
    let value = |kind| if kind == Kind::Class { "com.example.X" } else { "unsupported" };
    let cases =
        settings.flat_map(|it| PREFIXES.map(|prefix| (format!("{prefix}{}", it.name), it.name, value(it.kind))));
    cases.collect()
}

/// A start with TLS at SSL, and SASL_SSL at A and B: signed tokens at A, unsigned ones at B.
fn start(dir: &std::path::Path, name: &str, value: &str) -> Result<Resolved, String> {
    let store = dir.join("broker.pem");
    let module = "org.apache.kafka.common.security";
    let given = [
        ("listeners", "PLAINTEXT://:0,SSL://:0,A://:0,B://:0"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SSL:SSL,A:SASL_SSL,B:SASL_SSL"),
        ("sasl.enabled.mechanisms", "PLAIN,OAUTHBEARER"),
        ("listener.name.a.plain.sasl.jaas.config", &format!("{module}.plain.PlainLoginModule required user_a=\"b\";")),
        ("listener.name.b.plain.sasl.jaas.config", &format!("{module}.plain.PlainLoginModule required user_a=\"b\";")),
        ("listener.name.a.sasl.oauthbearer.jwks.endpoint.url", "https://localhost/keys"),
        ("sasl.oauthbearer.expected.issuer", "issuer"),
        ("sasl.oauthbearer.expected.audience", "kafka"),
        (
            "listener.name.b.oauthbearer.sasl.jaas.config",
            &format!("{module}.oauthbearer.OAuthBearerLoginModule required;"),
        ),
        ("ssl.keystore.type", "PEM"),
        ("ssl.keystore.location", store.to_str().unwrap()),
        ("ssl.truststore.type", "PEM"),
        ("ssl.truststore.location", store.to_str().unwrap()),
        (name, value),
    ];
    let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    load(&Sources { command_line, ..Sources::default() }).map_err(|error| error.to_string())
}

fn store(dir: &std::path::Path) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.join("broker.pem"), made.signing_key.serialize_pem() + &made.cert.pem()).unwrap();
}

#[test]
fn no_value_that_is_not_supported_is_accepted_in_silence_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let started = start(dir.path(), "num.partitions", "1").unwrap();
    assert_eq!(authentication::check(&started.config), Ok(()));
    TlsListeners::load(&started.config).unwrap();
    let mut silent = Vec::new();
    for (name, setting, value) in cases() {
        let Ok(started) = start(dir.path(), &name, value) else { continue };
        let lines = [started.notices.as_slice(), &started.without_effect].concat();
        let has_line = lines.iter().any(|line| line.split([' ', ',', ':']).any(|word| word == name));
        let is_refused =
            authentication::check(&started.config).is_err() || TlsListeners::load(&started.config).is_err();
        let is_used = TEXTS.contains(&setting) && started.config.has_effect(&name);
        if !(has_line || is_refused || is_used) {
            silent.push(name);
        }
    }
    assert_eq!(silent, [""; 0]);
}

#[test]
fn no_value_that_is_not_supported_is_accepted_in_silence_at_runtime() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let config = start(dir.path(), "num.partitions", "1").unwrap().config;
    let tls = TlsListeners::load(&config).unwrap();
    let none = Settings::default();
    let mut silent = Vec::new();
    for (name, setting, value) in cases() {
        let op = ConfigOp { name: name.clone(), kind: OpKind::Set, value: Some(value.to_owned()) };
        let resource = ConfigResource::new(ConfigKind::Broker, "1");
        let change = ConfigChange { resource, how: Alteration::Incremental(vec![op]) };
        if check_broker_change(&change, &none).is_err() {
            continue;
        }
        let after = settings_after(&change, &none).unwrap();
        let trial = Trial::of_settings(&config, &tls, [&none, &none], false, &after);
        let is_refused = trial.is_some_and(|trial| trial.check().is_err());
        let is_used = config.with_dynamic(&none, &after).has_effect(&name);
        if !is_refused && is_used && !TEXTS.contains(&setting) {
            silent.push(name);
        }
    }
    assert_eq!(silent, [""; 0]);
}
