//! Settings of security whose value is a Java class. Java classes are not supported, except those of Kafka that do what is
//! done here anyway.
//!
//! Any other class prevents the start, with and without the names of a listener and of a mechanism before the setting,
//! and also where Kafka would not use it: a user who names a class expects that it is in force.

use super::listener_values;
use super::values::Values;

/// A setting of security whose value is a Java class.
struct ClassSetting {
    name: &'static str,
    /// What such a class does.
    what: &'static str,
    /// Kafka's own classes that need nothing else than what is done here, without packages.
    own: &'static [&'static str],
    remedy: &'static str,
}

const REMOVE: &str = "remove it";

const SETTINGS: [ClassSetting; 9] = [
    ClassSetting {
        name: "principal.builder.class",
        what: "names users",
        own: &["DefaultKafkaPrincipalBuilder"],
        remedy: "remove it, users of TLS have the names of ssl.principal.mapping.rules",
    },
    ClassSetting {
        name: "ssl.engine.factory.class",
        what: "makes connections of TLS",
        own: &["DefaultSslEngineFactory"],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "sasl.server.callback.handler.class",
        what: "checks credentials",
        own: &[
            "PlainServerCallbackHandler",
            "ScramServerCallbackHandler",
            "OAuthBearerValidatorCallbackHandler",
            "OAuthBearerUnsecuredValidatorCallbackHandler",
        ],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "sasl.client.callback.handler.class",
        what: "supplies credentials",
        own: &["SaslClientCallbackHandler", "OAuthBearerSaslClientCallbackHandler", "KerberosClientCallbackHandler"],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "sasl.login.callback.handler.class",
        what: "supplies credentials",
        own: &[
            "AbstractLogin$DefaultLoginCallbackHandler",
            "OAuthBearerLoginCallbackHandler",
            "OAuthBearerUnsecuredLoginCallbackHandler",
        ],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "sasl.login.class",
        what: "logs in",
        own: &["DefaultLogin", "KerberosLogin", "OAuthBearerRefreshingLogin"],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "sasl.oauthbearer.jwt.retriever.class",
        what: "gets tokens",
        own: &["DefaultJwtRetriever", "ClientCredentialsJwtRetriever", "FileJwtRetriever", "JwtBearerJwtRetriever"],
        remedy: REMOVE,
    },
    ClassSetting {
        name: "client.quota.callback.class",
        what: "decides client quotas",
        own: &[],
        remedy: "remove it, the quotas of users and clients are enforced without it",
    },
    ClassSetting {
        name: "sasl.oauthbearer.jwt.validator.class",
        what: "checks tokens",
        own: &["DefaultJwtValidator", "BrokerJwtValidator"],
        remedy: REMOVE,
    },
];

/// Java classes that fetch values from elsewhere. Without them, the text `${file:/run/secrets:password}` would itself be the
/// password.
const PROVIDERS: &str = "config.providers";

/// Rejects classes other than Kafka's own in the settings of the start.
pub(super) fn check(values: &Values) -> Result<(), String> {
    values.given_at_start().try_for_each(|(name, class, from)| {
        check_class(name, class).map_err(|why| format!("{name}={} ({from}) {why}", class.escape_debug()))
    })
}

/// Rejects Java classes that fetch the values of settings. The error does not name the setting.
fn check_providers(name: &str, value: &str) -> Result<(), &'static str> {
    match name == PROVIDERS && !value.trim().is_empty() {
        true => {
            Err("demands Java classes that fetch values from elsewhere, and Java classes are not supported; write the \
                     values themselves, or give them in variables of the environment")
        }
        false => Ok(()),
    }
}

/// Rejects a class other than Kafka's own. The setting may be one of a listener. The error does not name the setting.
pub(super) fn check_class(name: &str, class: &str) -> Result<(), String> {
    check_providers(name, class)?;
    let Some(setting) = listener_values::find_with_listener(name) else { return Ok(()) };
    let Some(setting) = SETTINGS.iter().find(|known| known.name == setting.name) else { return Ok(()) };
    if class.trim().is_empty() || setting.is_own(class.trim()) {
        return Ok(());
    }
    Err(format!("demands a Java class that {}, and Java classes are not supported; {}", setting.what, setting.remedy))
}

impl ClassSetting {
    fn is_own(&self, class: &str) -> bool {
        let simple = class.strip_prefix("org.apache.kafka.").and_then(|rest| rest.rsplit('.').next());
        simple.is_some_and(|simple| self.own.contains(&simple))
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::Kind;
    use super::super::table::{self, Scope};
    use super::super::{Sources, load};
    use super::*;

    fn start(name: &str, class: &str) -> Result<(), String> {
        let command_line = vec![(name.to_owned(), class.to_owned())];
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn java_class_of_others_prevents_the_start_with_every_prefix_and_without_a_listener_that_uses_it() {
        for setting in &SETTINGS {
            for prefix in ["", "listener.name.plaintext.", "listener.name.no.", "listener.name.no.oauthbearer."] {
                let name = format!("{prefix}{}", setting.name);
                let error = start(&name, "com.example.X").unwrap_err();
                let expect = format!("{name}=com.example.X (command line) demands a Java class that ");
                assert!(error.starts_with(&expect) && !error.contains('\n'), "{error}");
                assert!(start(&name, "com.example.DefaultJwtValidator").is_err(), "{name}");
                for own in setting.own {
                    assert_eq!(start(&name, &format!("org.apache.kafka.common.{own}")), Ok(()), "{name}");
                }
                assert_eq!(start(&name, ""), Ok(()), "{name}");
            }
        }
    }

    #[test]
    fn every_java_class_of_security_is_checked() {
        let is_of_security = |name: &str| ["sasl.", "ssl.", "principal."].iter().any(|prefix| name.starts_with(prefix));
        let classes = table::all(Scope::Broker).filter(|setting| setting.kind == Kind::Class);
        let unchecked = classes.map(|setting| setting.name).filter(|name| is_of_security(name));
        let unchecked: Vec<_> = unchecked.filter(|name| SETTINGS.iter().all(|known| known.name != *name)).collect();
        assert_eq!(unchecked, [""; 0]);
    }
}
