//! How a client connects: with TLS, SASL, both or neither, by Kafka's client settings.
//!
//! A setting that asks for something that is not supported, such as a Java class, is an error and never ignored; one that
//! Kafka's clients do not have is a warning. As in Kafka, `ssl.*` counts only with TLS, and `sasl.*` only with SASL.

mod known;
mod sasl;
mod tls;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Once;

use ottla_client::{Sasl, Tls};

const PROTOCOL: &str = "security.protocol";
/// As Kafka lists them.
const PROTOCOLS: &str = "SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT";

/// TLS and SASL of a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Security {
    pub tls: Option<Tls>,
    pub sasl: Option<Sasl>,
}

impl Security {
    /// Reads the settings, and the files that they name. The error is one plain line.
    pub fn read(properties: &BTreeMap<String, String>) -> Result<Security, String> {
        warn_of_unknown(properties);
        known::check_values(properties)?;
        let settings = Settings(properties);
        CLASSES.iter().try_for_each(|(name, own)| settings.refuse_class(name, own))?;
        // Without them, the text `${file:/run/secrets:password}` would itself be the password.
        settings.refuse_class("config.providers", &[])?;
        let protocol = settings.given(PROTOCOL).unwrap_or("PLAINTEXT");
        let (has_tls, has_sasl) = match protocol.to_ascii_uppercase().as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => {
                return Err(format!(
                    "Invalid value {protocol} for configuration {PROTOCOL}: String must be one of (case insensitive): \
                     {PROTOCOLS}"
                ));
            }
        };
        Ok(Security {
            tls: has_tls.then(|| tls::read(settings)).transpose()?,
            sasl: has_sasl.then(|| sasl::read(settings)).transpose()?,
        })
    }

    /// Whether a setting is one of those that are read here.
    pub fn is_setting(name: &str) -> bool {
        ["security.", "ssl.", "sasl."].iter().any(|prefix| name.starts_with(prefix))
    }
}

/// Settings whose value is a Java class, and Kafka's own classes that need nothing else than what is done here. Any other
/// class is refused with every protocol and mechanism: a user who names one expects that it is in force.
const CLASSES: [(&str, &[&str]); 7] = [
    ("security.providers", &[]),
    ("ssl.engine.factory.class", &["DefaultSslEngineFactory"]),
    ("sasl.client.callback.handler.class", &["SaslClientCallbackHandler", "OAuthBearerSaslClientCallbackHandler"]),
    (
        sasl::LOGIN_HANDLER,
        &[
            "AbstractLogin$DefaultLoginCallbackHandler",
            "OAuthBearerLoginCallbackHandler",
            "OAuthBearerUnsecuredLoginCallbackHandler",
        ],
    ),
    ("sasl.login.class", &["DefaultLogin", "OAuthBearerRefreshingLogin"]),
    (tokens::RETRIEVER, &["DefaultJwtRetriever", "ClientCredentialsJwtRetriever", "FileJwtRetriever"]),
    ("sasl.oauthbearer.jwt.validator.class", &["DefaultJwtValidator", "ClientJwtValidator"]),
];

/// Prints a warning of unknown settings with the text of Kafka's clients, once: some commands connect several times.
fn warn_of_unknown(properties: &BTreeMap<String, String>) {
    static WARNED: Once = Once::new();
    let unknown = known::unknown(properties);
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        let names = names.escape_debug();
        WARNED.call_once(|| err_line!("WARN These configurations '[{names}]' were supplied but are not used yet."));
    }
}

/// A client's properties.
#[derive(Clone, Copy, Debug)]
struct Settings<'a>(&'a BTreeMap<String, String>);

impl<'a> Settings<'a> {
    /// A value, trimmed as in Kafka. It may be empty.
    fn text(self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// A value that is not empty.
    fn given(self, name: &str) -> Option<&'a str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// Refuses Java classes other than some of Kafka's own, by their names without packages.
    fn refuse_class(self, name: &str, known: &[&str]) -> Result<(), String> {
        let Some(class) = self.given(name) else { return Ok(()) };
        let is_known = class
            .strip_prefix("org.apache.kafka.")
            .and_then(|rest| rest.rsplit('.').next())
            .is_some_and(|simple| known.contains(&simple));
        match is_known {
            true => Ok(()),
            false => {
                Err(format!("{name}={} is a Java class, and those are not supported; remove it", class.escape_debug()))
            }
        }
    }

    /// Refuses settings with this prefix.
    fn refuse_all(self, prefix: &str) -> Result<(), String> {
        match self.0.keys().find(|name| name.starts_with(prefix)) {
            Some(name) => Err(format!("{} is not supported; remove it", name.escape_debug())),
            None => Ok(()),
        }
    }

    /// Refuses values other than these.
    fn refuse_other(self, name: &str, supported: &[&str]) -> Result<(), String> {
        match self.given(name) {
            Some(value) if !supported.iter().any(|known| value.eq_ignore_ascii_case(known)) => Err(format!(
                "{name}={} is not supported; {}",
                value.escape_debug(),
                if supported.is_empty() { "remove it".to_owned() } else { format!("use {}", supported.join(" or ")) }
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_wire::types::InOrder as _;

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
    const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";
    const BEARER: &str = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";

    fn read(pairs: &[(&str, &str)]) -> Result<Security, String> {
        let entries = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Security::read(&entries.in_order())
    }

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Result<&str, &str>) {
        let found = read(pairs).map(|found| {
            let tls = if found.tls.is_some() { "TLS " } else { "" };
            format!("{tls}{}", found.sasl.map_or("", |sasl| sasl.mechanism()))
        });
        assert_eq!(found.as_deref().map_err(String::as_str), expect, "{pairs:?}");
    }

    fn authority() -> String {
        format!("{}/tests/data/keystores/v1-authority.pem", env!("CARGO_MANIFEST_DIR"))
    }

    #[test]
    fn protocol_says_whether_there_are_tls_and_sasl() {
        let file = authority();
        let (pem, trusted) = (("ssl.truststore.type", "PEM"), ("ssl.truststore.location", file.as_str()));
        let jaas = format!("{PLAIN} required username=u password=p;");
        let (mechanism, jaas) = (("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", jaas.as_str()));
        let all = [pem, trusted, mechanism, jaas];
        let with = |protocol| [&[("security.protocol", protocol)], &all[..]].concat();
        check(&[], Ok(""));
        check(&with("PLAINTEXT"), Ok(""));
        check(&with("ssl"), Ok("TLS "));
        check(&with("SASL_PLAINTEXT"), Ok("PLAIN"));
        check(&with("SASL_SSL"), Ok("TLS PLAIN"));
        check(
            &with("TLS"),
            Err("Invalid value TLS for configuration security.protocol: String must be one of (case insensitive): \
                 SASL_SSL, PLAINTEXT, SSL, SASL_PLAINTEXT"),
        );
    }

    #[test]
    fn sasl_settings_say_how_to_authenticate() {
        let protocol = ("security.protocol", "SASL_PLAINTEXT");
        let login = |mechanism, jaas: &str, expect| {
            check(&[protocol, ("sasl.mechanism", mechanism), ("sasl.jaas.config", jaas)], expect);
        };
        login("SCRAM-SHA-256", &format!("{SCRAM} required username=u password=p;"), Ok("SCRAM-SHA-256"));
        login("SCRAM-SHA-512", &format!("{SCRAM} required username=u password=p;"), Ok("SCRAM-SHA-512"));
        login("OAUTHBEARER", &format!("{BEARER} required unsecuredLoginStringClaim_sub=u;"), Ok("OAUTHBEARER"));
        check(
            &[protocol, ("sasl.mechanism", "PLAIN")],
            Err("sasl.jaas.config is missing, which the SASL mechanism PLAIN needs"),
        );
        let without = format!("{PLAIN} required username=u;");
        login("PLAIN", &without, Err("sasl.jaas.config: the option password is missing"));
        login(
            "PLAIN",
            "x.Y required username=u password=p;",
            Err("sasl.jaas.config: the login module x.Y is not supported for PLAIN; use \
                 org.apache.kafka.common.security.plain.PlainLoginModule"),
        );
        check(
            &[protocol],
            Err("sasl.mechanism=GSSAPI (the default) is not supported; use PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or \
                 OAUTHBEARER"),
        );
        login(
            "OAUTHBEARER",
            &format!("{BEARER} required;"),
            Err(
                "sasl.jaas.config has no token: set sasl.oauthbearer.token.endpoint.url, or for an unsigned token the option \
             unsecuredLoginStringClaim_sub",
            ),
        );
    }

    #[test]
    fn java_class_of_others_is_refused_with_every_protocol() {
        let trusted = authority();
        let (pem, trusted) = (("ssl.truststore.type", "PEM"), ("ssl.truststore.location", trusted.as_str()));
        let jaas = format!("{PLAIN} required username=u password=p;");
        let (mechanism, jaas) = (("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", jaas.as_str()));
        let names = CLASSES.iter().map(|(name, _)| *name).chain(["config.providers"]);
        for (name, protocol) in
            names.flat_map(|name| ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"].map(|protocol| (name, protocol)))
        {
            let why = format!("{name}=com.foo.Bar is a Java class, and those are not supported; remove it");
            let given = [("security.protocol", protocol), pem, trusted, mechanism, jaas, (name, "com.foo.Bar")];
            check(&given, Err(&why));
        }
    }

    #[test]
    fn settings_of_tokens_that_do_not_fit_the_url_are_refused() {
        let jaas = format!("{BEARER} required;");
        let file = [
            ("security.protocol", "SASL_PLAINTEXT"),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.jaas.config", jaas.as_str()),
            ("sasl.oauthbearer.token.endpoint.url", "file:/tmp/token"),
        ];
        let with = |pair| [&file[..], &[pair]].concat();
        let (package, retriever) =
            ("org.apache.kafka.common.security.oauthbearer", "sasl.oauthbearer.jwt.retriever.class");
        check(&file, Ok("OAUTHBEARER"));
        let own = format!("{package}.FileJwtRetriever");
        check(&with((retriever, own.as_str())), Ok("OAUTHBEARER"));
        let other = format!("{package}.ClientCredentialsJwtRetriever");
        let why = format!("{retriever}={other} does not fit sasl.oauthbearer.token.endpoint.url=file:/tmp/token");
        check(&with((retriever, other.as_str())), Err(&why));
        assert!(read(&with(("sasl.oauthbearer.sub.claim.name", "foo"))).is_err());
    }

    #[test]
    fn unsupported_settings_are_refused_and_never_ignored() {
        let file = authority();
        let jaas = format!("{BEARER} required clientId=a clientSecret=b;");
        let base = [
            ("security.protocol", "SASL_SSL"),
            ("ssl.truststore.type", "PEM"),
            ("ssl.truststore.location", &file),
            ("sasl.mechanism", "OAUTHBEARER"),
            ("sasl.jaas.config", &jaas),
            ("sasl.oauthbearer.token.endpoint.url", "http://localhost/token"),
        ];
        check(&base, Ok("TLS OAUTHBEARER"));
        let oauthbearer = "org.apache.kafka.common.security.oauthbearer";
        for (name, class) in [
            ("sasl.login.callback.handler.class", "OAuthBearerLoginCallbackHandler"),
            ("sasl.login.callback.handler.class", "secured.OAuthBearerLoginCallbackHandler"),
            ("sasl.oauthbearer.jwt.retriever.class", "ClientCredentialsJwtRetriever"),
        ] {
            check(&[&base[..], &[(name, &format!("{oauthbearer}.{class}"))]].concat(), Ok("TLS OAUTHBEARER"));
        }
        for (name, value) in [
            ("security.providers", "a.Provider"),
            ("ssl.engine.factory.class", "a.Factory"),
            ("ssl.provider", "BCJSSE"),
            ("ssl.secure.random.implementation", "SHA1PRNG"),
            ("ssl.keymanager.algorithm", "Own"),
            ("ssl.trustmanager.algorithm", "Own"),
            ("ssl.endpoint.identification.algorithm", "LDAPS"),
            ("ssl.protocol", "TLSv1.1"),
            ("ssl.enabled.protocols", "TLSv1.2,TLSv1.1"),
            ("ssl.cipher.suites", "TLS_RSA_WITH_AES_128_CBC_SHA"),
            ("ssl.truststore.type", "BCFKS"),
            ("ssl.keystore.location", "/nowhere"),
            ("ssl.keystore.password", "secret"),
            ("ssl.keystore.password", ""),
            ("sasl.mechanism", "GSSAPI"),
            ("sasl.client.callback.handler.class", "a.Handler"),
            ("sasl.login.callback.handler.class", "a.Handler"),
            ("sasl.login.callback.handler.class", "a.OAuthBearerLoginCallbackHandler"),
            ("sasl.login.class", "a.Login"),
            ("sasl.oauthbearer.jwt.retriever.class", &format!("{oauthbearer}.JwtBearerJwtRetriever")),
            ("sasl.oauthbearer.jwt.validator.class", "a.Validator"),
            ("sasl.oauthbearer.assertion.file", "/nowhere"),
            ("sasl.oauthbearer.assertion.claim.iss", "a"),
            ("sasl.oauthbearer.token.endpoint.url", "ftp://localhost/token"),
            ("sasl.oauthbearer.token.endpoint.url", "/token"),
        ] {
            let error = read(&[&base[..], &[(name, value)]].concat()).unwrap_err();
            assert!(error.contains(name) && !error.contains('\n'), "{name}={value}: {error}");
        }
    }

    #[test]
    fn settings_of_tokens_are_refused_with_every_mechanism_as_with_oauthbearer() {
        let jaas = format!("{PLAIN} required username=u password=p;");
        let base =
            [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", jaas.as_str())];
        check(&base, Ok("PLAIN"));
        for (name, value) in [
            ("sasl.oauthbearer.assertion.file", "/nowhere"),
            ("sasl.oauthbearer.assertion.claim.iss", "a"),
            ("sasl.oauthbearer.jwt.retriever.class", "a.Retriever"),
            ("sasl.oauthbearer.jwt.validator.class", "a.Validator"),
            ("sasl.login.callback.handler.class", "a.Handler"),
        ] {
            let error = read(&[&base[..], &[(name, value)]].concat()).unwrap_err();
            assert!(error.contains(name) && !error.contains('\n'), "{name}={value}: {error}");
        }
    }

    #[test]
    fn values_are_checked_as_by_clients_of_kafka_also_without_sasl() {
        let number = |kind| format!("Not a number of type {kind}");
        for (name, value, why) in [
            ("sasl.login.connect.timeout.ms", "soon", number("INT")),
            ("sasl.login.retry.backoff.ms", "x", number("LONG")),
            ("sasl.login.refresh.buffer.seconds", "3601", "Value must be no more than 3600".to_owned()),
            ("sasl.login.refresh.min.period.seconds", "-1", "Value must be at least 0".to_owned()),
            ("sasl.login.refresh.window.factor", "0.4", "Value must be at least 0.5".to_owned()),
            ("sasl.login.refresh.window.factor", "1.5", "Value must be no more than 1.0".to_owned()),
            ("sasl.login.refresh.window.jitter", "x", number("DOUBLE")),
            ("sasl.oauthbearer.jwks.endpoint.refresh.ms", "x", number("LONG")),
            ("sasl.oauthbearer.assertion.claim.exp.seconds", "86401", "Value must be no more than 86400".to_owned()),
        ] {
            let expect = format!("Invalid value {value} for configuration {name}: {why}");
            check(&[(name, value)], Err(&expect));
        }
        let expect = "Invalid value maybe for configuration sasl.oauthbearer.header.urlencode: \
                      Expected value to be either true or false";
        check(&[("sasl.oauthbearer.header.urlencode", "maybe")], Err(expect));
        check(&[("sasl.login.refresh.window.factor", "0.9"), ("sasl.login.connect.timeout.ms", "10")], Ok(""));
    }

    #[test]
    fn password_of_a_truststore_without_the_store_is_refused() {
        let expect =
            "ssl.truststore.password is set, but there is no truststore; set ssl.truststore.location or remove it";
        check(&[("security.protocol", "SSL"), ("ssl.truststore.password", "secret")], Err(expect));
    }

    #[test]
    fn settings_that_clients_of_kafka_do_not_have_are_found() {
        let names = ["acks", "sasl.mechanism", "security.nonsense", "ssl.keystore.key", "ssl.nonsense"];
        let properties = names.into_iter().map(|name| (name.to_owned(), String::new())).in_order();
        assert_eq!(known::unknown(&properties), ["security.nonsense", "ssl.nonsense"]);
    }

    #[test]
    fn settings_of_tls_do_not_count_without_tls() {
        check(&[("ssl.provider", "a.Provider"), ("ssl.truststore.location", "/no/such/file")], Ok(""));
    }
}
