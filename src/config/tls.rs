//! The TLS settings of one listener: `ssl.*`, with those of the listener itself before the general ones.

use std::borrow::Cow;

use super::broker::BrokerConfig;
use super::java_classes;
use super::listener::{Listener, SecurityProtocol};
use super::listener_values::{ListenerValues, full_name};
use super::password::Password;
use super::protection;
use super::setting::list;
use super::values::Values;

const CLIENT_AUTH: &str = "ssl.client.auth";

/// The TLS settings of a listener. Checked by themselves: whether the stores can be read is known when they are loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The listener's name.
    pub listener: String,
    pub keystore: StoreConfig,
    /// `ssl.key.password`.
    pub key_password: Option<Password>,
    pub truststore: StoreConfig,
    pub client_auth: ClientAuth,
    /// `ssl.enabled.protocols`, with the name under which it was given.
    pub enabled_protocols: Named<Vec<String>>,
    /// `ssl.protocol`.
    pub protocol: Named<String>,
    /// `ssl.cipher.suites`; empty for all that are supported.
    pub cipher_suites: Named<Vec<String>>,
    /// `ssl.principal.mapping.rules`.
    pub principal_mapping_rules: Named<String>,
    /// `ssl.engine.factory.class`, unless it is Kafka's own.
    pub engine_factory: Option<Named<String>>,
    /// `ssl.allow.dn.changes`.
    pub allow_dn_changes: bool,
    /// `ssl.allow.san.changes`.
    pub allow_san_changes: bool,
}

/// A value with the name of the setting that it was given for: with or without the listener's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named<T> {
    pub name: String,
    pub value: T,
}

/// Where a key or certificates come from: `ssl.keystore.*` or `ssl.truststore.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `type`, in upper case: JKS, PKCS12 or PEM.
    pub store_type: Named<String>,
    /// `location`.
    pub location: Option<Named<String>>,
    /// `password`.
    pub password: Option<Named<Password>>,
    /// `ssl.keystore.certificate.chain` or `ssl.truststore.certificates`: certificates as PEM.
    pub certificates: Option<Named<Password>>,
    /// `ssl.keystore.key`: a private key as PEM.
    pub key: Option<Named<Password>>,
}

/// `ssl.client.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    None,
    Requested,
    Required,
}

impl BrokerConfig {
    /// The TLS settings of each listener with TLS.
    pub fn tls(&self) -> Vec<TlsConfig> {
        let secured = self.listeners.iter().filter(|listener| listener.protocol.is_tls());
        secured.map(|listener| TlsConfig::read(self, listener)).collect()
    }

    /// Rejects settings that exchange a part of TLS which a listener has. The error is one plain line.
    pub fn check_tls_parts(&self) -> Result<(), String> {
        protection::check_tls_parts(&self.values, &self.listeners)
    }
}

impl TlsConfig {
    /// The TLS settings of a port for HTTP, whose names begin with `prefix`; `None` without a keystore. The protocols and
    /// cipher suites are those of listeners.
    pub(super) fn of_http_port(values: &Values, port: &str, prefix: &str) -> Option<TlsConfig> {
        let values = values.of_listener("");
        let keystore = StoreConfig::read(values, &format!("{prefix}.keystore"), "certificate.chain");
        if keystore.is_empty() {
            return None;
        }
        Some(TlsConfig {
            listener: port.to_owned(),
            keystore,
            key_password: password(values, &format!("{prefix}.key.password")).map(|password| password.value),
            truststore: StoreConfig::none(),
            client_auth: ClientAuth::None,
            enabled_protocols: entries(values, "ssl.enabled.protocols"),
            protocol: text(values, "ssl.protocol"),
            cipher_suites: entries(values, "ssl.cipher.suites"),
            principal_mapping_rules: Named {
                name: "ssl.principal.mapping.rules".to_owned(),
                value: "DEFAULT".to_owned(),
            },
            engine_factory: None,
            allow_dn_changes: true,
            allow_san_changes: true,
        })
    }

    fn read(config: &BrokerConfig, listener: &Listener) -> TlsConfig {
        let values = config.values.of_listener(&listener.name);
        TlsConfig {
            listener: listener.name.clone(),
            keystore: StoreConfig::read(values, "ssl.keystore", "certificate.chain"),
            key_password: password(values, "ssl.key.password").map(|password| password.value),
            truststore: StoreConfig::read(values, "ssl.truststore", "certificates"),
            client_auth: ClientAuth::of(listener, values),
            enabled_protocols: entries(values, "ssl.enabled.protocols"),
            protocol: text(values, "ssl.protocol"),
            cipher_suites: entries(values, "ssl.cipher.suites"),
            principal_mapping_rules: text(values, "ssl.principal.mapping.rules"),
            engine_factory: given(values, "ssl.engine.factory.class")
                .filter(|factory| java_classes::check_class("ssl.engine.factory.class", &factory.value).is_err()),
            // As in Kafka, nobody can turn off this check at run time.
            allow_dn_changes: values.read_of_start("ssl.allow.dn.changes"),
            allow_san_changes: values.read_of_start("ssl.allow.san.changes"),
        }
    }
}

impl ClientAuth {
    /// With SASL, only a value for the listener itself counts, as in Kafka.
    fn of(listener: &Listener, values: ListenerValues<'_>) -> ClientAuth {
        let given = match listener.protocol {
            SecurityProtocol::SaslSsl => values.own(CLIENT_AUTH).map(|(_, value, _)| value.to_owned()),
            _ => values.text(CLIENT_AUTH).map(Cow::into_owned),
        };
        match given.as_deref() {
            Some("required") => ClientAuth::Required,
            Some("requested") => ClientAuth::Requested,
            _ => ClientAuth::None,
        }
    }
}

/// Notices about settings that do not apply to a listener although they may be meant for it.
pub(super) fn notices(values: &Values, listeners: &[Listener]) -> Vec<String> {
    let general = values.given(CLIENT_AUTH).filter(|auth| *auth != "none");
    let is_skipped = |listener: &&Listener| {
        listener.protocol == SecurityProtocol::SaslSsl && values.of_listener(&listener.name).own(CLIENT_AUTH).is_none()
    };
    let Some(auth) = general else { return Vec::new() };
    let notice = |listener: &Listener| {
        let own = full_name(&listener.name, CLIENT_AUTH);
        format!("{CLIENT_AUTH}={auth} does not apply to SASL_SSL listeners; set {own} for {}", listener.name)
    };
    listeners.iter().filter(is_skipped).map(notice).collect()
}

impl StoreConfig {
    fn none() -> StoreConfig {
        let store_type = Named { name: "ssl.truststore.type".to_owned(), value: "PEM".to_owned() };
        StoreConfig { store_type, location: None, password: None, certificates: None, key: None }
    }

    fn read(values: ListenerValues<'_>, prefix: &str, certificates: &str) -> StoreConfig {
        let name = |last: &str| format!("{prefix}.{last}");
        let mut store_type = text(values, &name("type"));
        store_type.value.make_ascii_uppercase();
        StoreConfig {
            store_type,
            location: given(values, &name("location")),
            password: password(values, &name("password")),
            certificates: password(values, &name(certificates)),
            key: password(values, &name("key")),
        }
    }

    /// Whether nothing is given.
    pub fn is_empty(&self) -> bool {
        self.location.is_none() && self.certificates.is_none() && self.key.is_none()
    }
}

fn named<T>(values: ListenerValues<'_>, name: &str, value: T) -> Named<T> {
    Named { name: values.name_of(name), value }
}

fn text(values: ListenerValues<'_>, name: &str) -> Named<String> {
    named(values, name, values.text(name).unwrap_or_default().into_owned())
}

fn entries(values: ListenerValues<'_>, name: &str) -> Named<Vec<String>> {
    let text = values.text(name).unwrap_or_default();
    named(values, name, list(&text).map(str::to_owned).collect())
}

/// A value that is neither null nor empty.
fn given(values: ListenerValues<'_>, name: &str) -> Option<Named<String>> {
    let value = values.text(name).filter(|value| !value.is_empty())?;
    Some(named(values, name, value.into_owned()))
}

/// A secret. An empty one counts: it is a valid password.
fn password(values: ListenerValues<'_>, name: &str) -> Option<Named<Password>> {
    values.text(name).map(|value| named(values, name, Password::new(value)))
}

#[cfg(test)]
mod tests {
    use super::super::values::Source;
    use super::*;

    #[test]
    fn client_auth_of_a_listener_with_sasl_needs_the_name_of_the_listener() {
        let mut values = Values::default();
        let listeners = "A://:1,B://:2,C://:3";
        for (name, value) in [
            ("listeners", listeners),
            ("listener.security.protocol.map", "A:SSL,B:SASL_SSL,C:SASL_SSL"),
            (CLIENT_AUTH, "required"),
            ("listener.name.c.ssl.client.auth", "requested"),
            ("listener.name.c.ssl.keystore.type", "pem"),
        ] {
            values.set_static(name, value, Source::CommandLine);
        }
        let resolved = BrokerConfig::resolve(values).unwrap();
        let tls = resolved.config.tls();
        let auth: Vec<_> = tls.iter().map(|tls| (tls.listener.as_str(), tls.client_auth)).collect();
        assert_eq!(auth, [("A", ClientAuth::Required), ("B", ClientAuth::None), ("C", ClientAuth::Requested)]);
        let notice = "ssl.client.auth=required does not apply to SASL_SSL listeners; set \
                      listener.name.b.ssl.client.auth for B";
        assert_eq!(resolved.notices, [notice]);
        let store_type = &tls[2].keystore.store_type;
        assert_eq!((store_type.name.as_str(), store_type.value.as_str()), ("listener.name.c.ssl.keystore.type", "PEM"));
    }
}
