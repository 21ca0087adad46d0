//! Metrics: how many series a scrape may have, and a port of their own.

use super::admin::bind_address;
use super::listener::BindAddress;
use super::password::Password;
use super::tls::TlsConfig;
use super::values::Values;

const LISTENER: &str = "ottla.metrics.listener";
const TOKEN: &str = "ottla.metrics.token";

/// The settings of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsConfig {
    /// `ottla.metrics.max.series`.
    pub max_series: usize,
    /// `None` without a port of their own.
    pub port: Option<MetricsPortConfig>,
}

/// The settings of a port for metrics alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricsPortConfig {
    /// `ottla.metrics.listener`.
    pub bind: BindAddress,
    /// `ottla.metrics.allowed.hosts`, and those of the admin port.
    pub allowed_hosts: Vec<String>,
    /// `ottla.metrics.token`.
    pub token: Option<Password>,
    /// As the admin port: `ottla.admin.ssl.*`.
    pub tls: Option<TlsConfig>,
}

/// Reads the settings. The error is one line.
pub(super) fn resolve(values: &Values) -> Result<MetricsConfig, String> {
    let max_series = max_series(values);
    let Some(text) = values.given(LISTENER).filter(|text| !text.is_empty()) else {
        return Ok(MetricsConfig { max_series, port: None });
    };
    let mut allowed_hosts: Vec<String> = values.read("ottla.metrics.allowed.hosts");
    allowed_hosts.extend(values.read::<Vec<String>>("ottla.admin.allowed.hosts"));
    let port = MetricsPortConfig {
        bind: bind_address(LISTENER, text, "localhost:9645")?,
        allowed_hosts,
        token: values.given(TOKEN).map(Password::new).filter(|token| !token.expose().is_empty()),
        tls: TlsConfig::of_http_port(values, "METRICS", "ottla.admin.ssl"),
    };
    Ok(MetricsConfig { max_series, port: Some(port) })
}

fn max_series(values: &Values) -> usize {
    usize::try_from(values.read::<i32>("ottla.metrics.max.series")).unwrap_or(0)
}

impl MetricsConfig {
    /// The settings without a port, if [`resolve`] refuses them.
    pub(super) fn without_port(values: &Values) -> MetricsConfig {
        MetricsConfig { max_series: max_series(values), port: None }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BindHost, Sources, load};
    use super::*;

    fn metrics(pairs: &[(&str, &str)]) -> Result<MetricsConfig, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(|resolved| resolved.config.metrics).map_err(|error| error.to_string())
    }

    #[test]
    fn port_of_metrics_is_off_by_default_and_on_localhost_without_a_host() {
        let off = metrics(&[(LISTENER, "")]).unwrap();
        assert_eq!((off.max_series, off.port), (100_000, None));
        let port = metrics(&[(LISTENER, "9645")]).unwrap().port.unwrap();
        assert_eq!(port.bind, BindAddress { host: BindHost::Named("localhost".to_owned()), port: 9645 });
        assert_eq!((port.token, port.tls), (None, None));
        let error = metrics(&[(LISTENER, "here")]).unwrap_err();
        assert_eq!(error, "ottla.metrics.listener: \"here\" is not host:port, such as localhost:9645");
    }

    #[test]
    fn token_without_a_port_for_metrics_is_a_notice() {
        let command_line = vec![(TOKEN.to_owned(), "hush".to_owned())];
        let notices = load(&Sources { command_line, ..Sources::default() }).unwrap().notices;
        assert_eq!(notices, ["ottla.metrics.token has no effect without ottla.metrics.listener"]);
    }

    #[test]
    fn port_of_metrics_accepts_its_own_host_names_and_those_of_the_admin_port() {
        let pairs = [
            (LISTENER, ":0"),
            ("ottla.metrics.allowed.hosts", "ottla"),
            ("ottla.admin.allowed.hosts", "kafka"),
            (TOKEN, "secret"),
        ];
        let port = metrics(&pairs).unwrap().port.unwrap();
        assert_eq!(port.allowed_hosts, ["ottla", "kafka"]);
        assert_eq!(port.token.as_ref().map(Password::expose), Some("secret"));
    }
}
