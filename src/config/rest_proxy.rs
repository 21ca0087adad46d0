//! The REST proxy's port: where it listens, and who may use it.

use super::admin::bind_address;
use super::listener::BindAddress;
use super::tls::TlsConfig;
use super::values::Values;

const LISTENER: &str = "ottla.rest.proxy.listener";

/// The settings of the REST proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestProxyConfig {
    /// `ottla.rest.proxy.listener`.
    pub bind: BindAddress,
    /// `ottla.rest.proxy.allowed.hosts`: names that the Host header may contain, in addition to this machine's own.
    pub allowed_hosts: Vec<String>,
    /// `ottla.rest.proxy.scram.users`; empty if requests need no password.
    pub scram_users: Vec<String>,
    /// `ottla.rest.proxy.ssl.*`; `None` without a keystore.
    pub tls: Option<TlsConfig>,
}

/// Reads the settings; `None` if the REST proxy is off. The error is one line.
pub(super) fn resolve(values: &Values) -> Result<Option<RestProxyConfig>, String> {
    let Some(text) = values.given(LISTENER).filter(|text| !text.is_empty()) else { return Ok(None) };
    Ok(Some(RestProxyConfig {
        bind: bind_address(LISTENER, text, "localhost:8082")?,
        allowed_hosts: values.read("ottla.rest.proxy.allowed.hosts"),
        scram_users: values.read("ottla.rest.proxy.scram.users"),
        tls: TlsConfig::of_http_port(values, "REST_PROXY", "ottla.rest.proxy.ssl"),
    }))
}

#[cfg(test)]
mod tests {
    use super::super::{BindHost, Sources, load};
    use super::*;

    fn rest_proxy(pairs: &[(&str, &str)]) -> Result<Option<RestProxyConfig>, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(|resolved| resolved.config.rest_proxy).map_err(|error| error.to_string())
    }

    #[test]
    fn rest_proxy_is_off_by_default_and_a_port_is_bound_to_localhost() {
        assert_eq!(rest_proxy(&[]), Ok(None));
        let config = rest_proxy(&[(LISTENER, "8082"), ("ottla.rest.proxy.scram.users", "ann,bob")]).unwrap().unwrap();
        assert_eq!(config.bind, BindAddress { host: BindHost::Named("localhost".to_owned()), port: 8082 });
        assert_eq!((config.scram_users, config.tls), (vec!["ann".to_owned(), "bob".to_owned()], None));
        assert_eq!(
            rest_proxy(&[(LISTENER, "here")]).unwrap_err(),
            "ottla.rest.proxy.listener: \"here\" is not host:port, such as localhost:8082"
        );
    }
}
