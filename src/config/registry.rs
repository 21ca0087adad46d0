//! The schema registry: where it listens, who may use it, and its topic.

use super::admin::bind_address;
use super::authorizer::AUTHORIZER;
use super::listener::{BindAddress, BindHost, Listener, SecurityProtocol};
use super::secure::{User, read_users};
use super::tls::TlsConfig;
use super::values::Values;

pub(super) const LISTENER: &str = "ottla.registry.listener";
const OPTIONAL_PORT: &str = "ottla.registry.optional.port";
const USERS: &str = "ottla.registry.users";
/// The longest name of a topic, as in Kafka.
const MAX_TOPIC_NAME: usize = 249;

/// The settings of the schema registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryConfig {
    /// `ottla.registry.listener`, or else `ottla.registry.optional.port`.
    pub bind: BindAddress,
    /// Whether the broker starts without the registry if its port is in use.
    pub is_optional: bool,
    /// `ottla.registry.allowed.hosts`: names that the Host header may contain, in addition to this machine's own.
    pub allowed_hosts: Vec<String>,
    /// `ottla.registry.users`; empty if requests need no password.
    pub users: Vec<User>,
    /// `ottla.registry.scram.users`; empty if requests need no password of a user of the broker.
    pub scram_users: Vec<String>,
    /// `ottla.registry.ssl.*`; `None` without a keystore.
    pub tls: Option<TlsConfig>,
    /// `ottla.registry.topic`.
    pub topic: String,
    /// `ottla.registry.compatibility.level`.
    pub compatibility_level: String,
    /// `ottla.registry.mode.mutability`.
    pub mode_mutability: bool,
}

/// Reads the settings; `None` if the registry is off. The error is one line.
pub(super) fn resolve(values: &Values, listeners: &[Listener]) -> Result<Option<RegistryConfig>, String> {
    let users = read_users(USERS, values.given(USERS).unwrap_or_default())?;
    let scram_users: Vec<String> = values.read("ottla.registry.scram.users");
    let has_users = !users.is_empty() || !scram_users.is_empty();
    let bind = match values.given(LISTENER) {
        Some("") => None,
        // A port alone is bound to localhost, because everybody who reaches it may change schemas.
        Some(text) => Some(bind_address(LISTENER, text, "localhost:8081")?),
        None => optional_port(values).filter(|_| has_users || !is_protected(values, listeners)),
    };
    let Some(bind) = bind else { return Ok(None) };
    let topic: String = values.read("ottla.registry.topic");
    check_topic(&topic)?;
    Ok(Some(RegistryConfig {
        bind,
        is_optional: values.given(LISTENER).is_none(),
        allowed_hosts: values.read("ottla.registry.allowed.hosts"),
        users,
        scram_users,
        tls: TlsConfig::of_http_port(values, "SCHEMA_REGISTRY", "ottla.registry.ssl"),
        topic,
        compatibility_level: values.read("ottla.registry.compatibility.level"),
        mode_mutability: values.read("ottla.registry.mode.mutability"),
    }))
}

fn optional_port(values: &Values) -> Option<BindAddress> {
    let port: Option<u16> = values.given(OPTIONAL_PORT)?.parse().ok();
    Some(BindAddress { host: BindHost::Any, port: port? })
}

/// Whether clients of the broker must authenticate, so that a registry for everybody is not what is wanted.
fn is_protected(values: &Values, listeners: &[Listener]) -> bool {
    let is_open = |listener: &Listener| listener.protocol == SecurityProtocol::Plaintext;
    !listeners.iter().any(is_open) || values.given(AUTHORIZER).is_some_and(|class| !class.is_empty())
}

fn check_topic(name: &str) -> Result<(), String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name.len() <= MAX_TOPIC_NAME && !matches!(name, "" | "." | "..") && name.bytes().all(is_allowed) {
        true => Ok(()),
        false => Err(format!("ottla.registry.topic: \"{}\" is not a name of a topic", name.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BindHost, Sources, load};
    use super::*;

    fn registry(pairs: &[(&str, &str)]) -> Result<Option<RegistryConfig>, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(|resolved| resolved.config.registry).map_err(|error| error.to_string())
    }

    #[test]
    fn registry_is_off_by_default_and_a_port_is_bound_to_localhost() {
        assert_eq!(registry(&[]), Ok(None));
        assert_eq!(registry(&[(LISTENER, "")]), Ok(None));
        let config = registry(&[(LISTENER, "8081")]).unwrap().unwrap();
        assert_eq!(config.bind, BindAddress { host: BindHost::Named("localhost".to_owned()), port: 8081 });
        assert_eq!((config.topic.as_str(), config.compatibility_level.as_str()), ("_schemas", "backward"));
        assert!(config.mode_mutability && config.users.is_empty() && config.tls.is_none());
    }

    #[test]
    fn given_values_are_read_and_passwords_are_hidden() {
        let config = registry(&[
            (LISTENER, "0.0.0.0:0"),
            ("ottla.registry.allowed.hosts", "registry.test,b"),
            (USERS, "ann:secret"),
            ("ottla.registry.ssl.keystore.location", "/k.p12"),
            ("ottla.registry.ssl.keystore.type", "PKCS12"),
            ("ottla.registry.topic", "other"),
            ("ottla.registry.compatibility.level", "FULL"),
            ("ottla.registry.mode.mutability", "false"),
        ]);
        let config = config.unwrap().unwrap();
        assert_eq!(config.bind.host, BindHost::AnyV4);
        assert_eq!(config.allowed_hosts, ["registry.test", "b"]);
        assert_eq!((config.users[0].name.as_str(), config.users[0].password.expose()), ("ann", "secret"));
        assert!(!format!("{config:?}").contains("secret"));
        assert_eq!(config.tls.unwrap().keystore.store_type.value, "PKCS12");
        assert_eq!((config.topic.as_str(), config.compatibility_level.as_str()), ("other", "FULL"));
        assert!(!config.mode_mutability);
    }

    #[test]
    fn optional_port_is_used_if_clients_need_no_login_or_the_registry_has_users() {
        let bound = |pairs: &[(&str, &str)]| {
            let config = registry(&[&[(OPTIONAL_PORT, "8081")], pairs].concat()).unwrap();
            config.map(|config| (config.bind.host, config.bind.port, config.is_optional))
        };
        let everywhere = Some((BindHost::Any, 8081, true));
        assert_eq!(bound(&[]), everywhere);
        assert_eq!(bound(&[("ottla.secure", "true")]), everywhere);
        let given = Some((BindHost::Named("localhost".to_owned()), 1, false));
        assert_eq!(bound(&[(LISTENER, "1")]), given);
        assert_eq!(bound(&[(LISTENER, "")]), None);
        let login = ("listeners", "SASL_PLAINTEXT://:9092");
        let authorizer = (AUTHORIZER, "org.apache.kafka.metadata.authorizer.StandardAuthorizer");
        for protection in [login, authorizer] {
            assert_eq!(bound(&[protection]), None);
            assert_eq!(bound(&[protection, (USERS, "a:b")]), everywhere);
            assert_eq!(bound(&[protection, (LISTENER, "1")]), given);
        }
    }

    #[test]
    fn invalid_values_are_rejected_with_one_line() {
        let refused = |pairs: &[(&str, &str)]| registry(&[&[(LISTENER, "0")], pairs].concat()).unwrap_err();
        assert_eq!(
            registry(&[(LISTENER, "here")]).unwrap_err(),
            "ottla.registry.listener: \"here\" is not host:port, such as localhost:8081"
        );
        assert_eq!(
            refused(&[("ottla.registry.topic", "a/b")]),
            "ottla.registry.topic: \"a/b\" is not a name of a topic"
        );
        assert_eq!(refused(&[(USERS, "secret")]), "ottla.registry.users: user 1 is not name:password");
        let level = refused(&[("ottla.registry.compatibility.level", "sideways")]);
        assert!(level.contains("ottla.registry.compatibility.level"), "{level}");
    }

    #[test]
    fn users_without_a_registry_are_a_notice() {
        let notices = |pairs: &[(&str, &str)]| {
            let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            load(&Sources { command_line, ..Sources::default() }).unwrap().notices
        };
        assert_eq!(notices(&[(USERS, "a:b")]).len(), 1);
        assert!(notices(&[(USERS, "a:b"), (LISTENER, "0")]).is_empty());
    }
}
