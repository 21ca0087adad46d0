//! How the bearer tokens of a listener are validated.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::issuer_keys::{IssuerKeys, Place, Times};
use super::{CALLBACK_HANDLER, InvalidSasl, JAAS};
use ottla_config::{Listener, ListenerValues, MechanismValues, Named, StoreConfig, check_class};
use ottla_core::security::bearer::{JwtSettings, UnsecuredSettings};
use ottla_core::security::jaas::{KnownModule, LoginModule};
use ottla_core::security::sasl::{BearerRejection, BearerToken};
use ottla_tls::keystore;
use ottla_wire::types::TimestampMs;
use rustls::pki_types::CertificateDer;

const KEYS_URL: &str = "sasl.oauthbearer.jwks.endpoint.url";

/// How bearer tokens are validated.
#[derive(Debug)]
pub(super) enum Bearer {
    /// Unsigned tokens are accepted, for development.
    Unsecured(UnsecuredSettings),
    Signed {
        settings: JwtSettings,
        keys: Arc<IssuerKeys>,
    },
}

impl Bearer {
    /// Reads how the tokens of a listener are validated: with the keys of an issuer if the callback handler
    /// or the URL of the keys says so, otherwise as unsecured tokens. Kafka ignores the URL without the handler, and accepts anything.
    pub fn read(
        values: ListenerValues<'_>,
        modules: &[LoginModule],
        listener: &Listener,
        in_use: &[Arc<IssuerKeys>],
    ) -> Result<Bearer, InvalidSasl> {
        let values = &values.of_mechanism("OAUTHBEARER");
        check_validator_class(values)?;
        let url = values.text(KEYS_URL);
        let handler = values.own(CALLBACK_HANDLER);
        let validates = handler.is_some_and(|(_, class, _)| class.ends_with(".OAuthBearerValidatorCallbackHandler"));
        if url.is_none() && !validates {
            let module = modules.iter().find(|module| module.known() == Some(KnownModule::OAuthBearer));
            let Some(module) = module else {
                return Err(InvalidSasl::Incomplete(format!(
                    "listener {} has OAUTHBEARER in sasl.enabled.mechanisms, but nothing says how tokens are validated: \
                     set {KEYS_URL}, or for unsigned tokens {} to `{} required;`",
                    listener.name,
                    values.full_name(JAAS),
                    KnownModule::OAuthBearer.class()
                )));
            };
            let settings = UnsecuredSettings::of_options(module);
            return settings
                .map(Bearer::Unsecured)
                .map_err(|why| InvalidSasl::Wrong(format!("{}: {why}", values.full_name(JAAS))));
        }
        let url =
            url.ok_or_else(|| InvalidSasl::Incomplete(format!("listener {}: {KEYS_URL} is not set", listener.name)))?;
        let settings = jwt_settings(values);
        settings.check().map_err(|why| InvalidSasl::Wrong(format!("listener {}: {why}", listener.name)))?;
        let ms = |name: &str| Duration::from_millis(values.text(name).and_then(|ms| ms.parse().ok()).unwrap_or(0));
        let times = Times {
            refresh: ms("sasl.oauthbearer.jwks.endpoint.refresh.ms"),
            backoff: ms("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"),
            max_backoff: ms("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"),
        };
        let place = Place::new(&url, times, trusted(modules, values)?)
            .map_err(|why| InvalidSasl::Wrong(format!("{}: {why}", values.name_of(KEYS_URL))))?;
        let keys = match in_use.iter().find(|keys| keys.is_at(&place)) {
            Some(keys) => Arc::clone(keys),
            None => Arc::new(IssuerKeys::new(place)),
        };
        Ok(Bearer::Signed { settings, keys })
    }

    pub fn validate(&self, token: &str, now: TimestampMs) -> Result<BearerToken, BearerRejection> {
        match self {
            Bearer::Unsecured(settings) => settings.validate(token, now),
            Bearer::Signed { settings, keys } => settings.validate(token, &keys.current(), now).map_err(|fault| {
                if fault.unknown_key {
                    keys.note_unknown_key();
                }
                fault.into()
            }),
        }
    }
}

/// The authorities of the issuer's server. As in Kafka, options of the login module name them. Reads their file.
fn trusted(
    modules: &[LoginModule],
    values: &MechanismValues<'_>,
) -> Result<Option<Vec<CertificateDer<'static>>>, InvalidSasl> {
    let module = modules.iter().find(|module| module.known() == Some(KnownModule::OAuthBearer));
    let Some(module) = module else { return Ok(None) };
    let wrong = |why: String| InvalidSasl::Wrong(format!("{}: {why}", values.full_name(JAAS)));
    let known = ["type", "location", "password", "certificates"].map(|last| format!("ssl.truststore.{last}"));
    let mut names = module.options().map(|(name, _)| name);
    if let Some(other) = names.find(|name| name.starts_with("ssl.") && !known.iter().any(|known| known == name)) {
        return Err(wrong(format!("the option {other} is not supported; only those of ssl.truststore are")));
    }
    let secret = |name: &String| Some(Named { name: name.clone(), value: module.option(name)?.clone() });
    let [store_type, location, password, certificates] = known;
    let text = |name: &String| module.option(name).map(|value| value.expose().trim().to_owned());
    let value = text(&store_type).unwrap_or_else(|| "JKS".to_owned()).to_ascii_uppercase();
    let store = StoreConfig {
        location: text(&location).map(|value| Named { name: location, value }),
        password: secret(&password),
        certificates: secret(&certificates),
        key: None,
        store_type: Named { name: store_type, value },
    };
    keystore::load_trusted(&store).map_err(wrong)
}

/// Checks the URL of the keys, if it is this setting. `name` is the full name.
pub(super) fn check_keys_url(setting: &str, name: &str, value: &str) -> Result<(), InvalidSasl> {
    if setting != KEYS_URL {
        return Ok(());
    }
    let place = Place::new(value, Times::default(), None);
    place.map(drop).map_err(|why| InvalidSasl::Wrong(format!("{name}: {why}")))
}

/// Refuses a class that would validate tokens in its own way, also where Kafka would not use it. At the start it is refused
/// before; a data directory of Apache Kafka may have one.
fn check_validator_class(values: &MechanismValues<'_>) -> Result<(), InvalidSasl> {
    const CLASS: &str = "sasl.oauthbearer.jwt.validator.class";
    let class = values.text(CLASS).unwrap_or_default();
    check_class(CLASS, &class).map_err(|_| {
        InvalidSasl::Wrong(format!(
            "{}={} is a Java class, and those are not supported; remove it",
            values.name_of(CLASS),
            class.escape_debug()
        ))
    })
}

fn jwt_settings(values: &MechanismValues<'_>) -> JwtSettings {
    let text = |name: &str| values.text(&format!("sasl.oauthbearer.{name}")).map(Cow::into_owned);
    let flag = |name: &str| text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let list = text("expected.audience").unwrap_or_default();
    JwtSettings {
        expected_audience: list.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect(),
        expected_issuer: text("expected.issuer").filter(|issuer| !issuer.is_empty()),
        allow_unverified_audience: flag("allow.unverified.audience"),
        allow_unverified_issuer: flag("allow.unverified.issuer"),
        clock_skew_seconds: text("clock.skew.seconds").and_then(|skew| skew.parse().ok()).unwrap_or_default(),
        scope_claim: text("scope.claim.name").unwrap_or_default(),
        user_claim: text("sub.claim.name").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use ottla_config::{Sources, load};

    #[test]
    fn options_of_the_login_module_name_the_authorities_of_the_issuers_server() {
        let start = |options: &str| {
            let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required";
            let given = [
                ("listeners", "SASL_PLAINTEXT://:0"),
                ("sasl.enabled.mechanisms", "OAUTHBEARER"),
                ("sasl.oauthbearer.jwks.endpoint.url", "https://localhost/keys"),
                ("sasl.oauthbearer.expected.issuer", "issuer"),
                ("sasl.oauthbearer.expected.audience", "kafka"),
                ("listener.name.sasl_plaintext.oauthbearer.sasl.jaas.config", &format!("{module} {options};")),
            ];
            let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            check(&load(&Sources { command_line, ..Sources::default() }).unwrap().config)
                .map_err(|error| error.to_string())
        };
        let store = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/keystores/v1-authority.pem");
        assert_eq!(start(""), Ok(()));
        assert_eq!(start(&format!("ssl.truststore.type=PEM ssl.truststore.location=\"{store}\"")), Ok(()));
        let error = start("ssl.truststore.type=PEM ssl.truststore.location=\"/no/such.pem\"").unwrap_err();
        assert!(error.contains("sasl.jaas.config: ssl.truststore.location=/no/such.pem"), "{error}");
        let error = start("ssl.keystore.location=\"/k.p12\"").unwrap_err();
        assert!(error.contains("the option ssl.keystore.location is not supported"), "{error}");
    }
}
