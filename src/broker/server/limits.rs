//! The limits of a server and its connections.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::default_request_memory;
use super::listener::resolve;
use ottla_config::{BrokerConfig, Listener};
use ottla_core::security::quota::Windows;

/// The limits of a server. [`Limits::default`] has the values of the settings' defaults.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the largest request (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// Bytes of the largest frame of a client that has not authenticated yet (`sasl.server.max.receive.size`).
    pub max_sasl_bytes: usize,
    /// The same for single listeners: `listener.name.<name>.sasl.server.max.receive.size`.
    pub listener_sasl_bytes: Vec<(Arc<str>, usize)>,
    /// Bytes of all requests that are being received or are unanswered (`queued.max.request.bytes`). A larger request
    /// is refused.
    pub request_memory: usize,
    /// `max.connections`: further connections stay in the listen backlog until one is closed.
    pub max_connections: usize,
    /// `max.connections.per.ip`: further connections are closed at once.
    pub max_connections_per_ip: usize,
    /// `max.connection.creation.rate`, in connections per second: further connections wait.
    pub max_connection_creation_rate: usize,
    /// The same for single listeners: `listener.name.<name>.max.connection.creation.rate`.
    pub listener_creation_rates: Vec<(Arc<str>, usize)>,
    /// `quota.window.*`: the windows in which these rates are measured.
    pub quota_windows: Windows,
    /// `max.connections.per.ip.overrides`, with resolved names.
    pub max_connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// The time without a byte sent or received after which a connection is closed (`connections.max.idle.ms`); `None`
    /// is no limit.
    pub idle: Option<Duration>,
    /// The time without progress after which a connection with a partly received request is closed. A tenth of it
    /// applies while other requests wait for memory.
    pub stall_timeout: Duration,
    /// `socket.send.buffer.bytes`, `None` is the default of the system.
    pub send_buffer: Option<usize>,
    /// `socket.receive.buffer.bytes`, `None` is the default of the system.
    pub receive_buffer: Option<usize>,
    /// Connections that may wait to be accepted (`socket.listen.backlog.size`).
    pub backlog: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_request_bytes: 100 << 20,
            max_sasl_bytes: 512 << 10,
            listener_sasl_bytes: Vec::new(),
            request_memory: default_request_memory(),
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            max_connection_creation_rate: i32::MAX as usize,
            listener_creation_rates: Vec::new(),
            quota_windows: Windows { samples: 11, window_ms: 1_000 },
            max_connections_per_ip_overrides: Vec::new(),
            idle: Some(Duration::from_secs(600)),
            stall_timeout: Duration::from_secs(30),
            send_buffer: None,
            receive_buffer: None,
            backlog: 1024,
        }
    }
}

impl Limits {
    /// Reads the limits from the settings. Fails if a name in `max.connections.per.ip.overrides` cannot be resolved.
    /// Resolving may block.
    pub fn of(config: &BrokerConfig) -> io::Result<Limits> {
        let network = &config.network;
        let mut overrides = Vec::new();
        for (host, count) in &config.max_connections_per_ip_overrides {
            let addresses = resolve(host).map_err(|error| {
                io::Error::new(error.kind(), format!("max.connections.per.ip.overrides: {host}: {error}"))
            })?;
            overrides.extend(addresses.into_iter().map(|address| (address, *count)));
        }
        let idle = u64::try_from(network.connections_max_idle_ms).ok().map(Duration::from_millis);
        Ok(Limits {
            max_request_bytes: network.socket_request_max_bytes,
            max_sasl_bytes: network.sasl_server_max_receive_size,
            listener_sasl_bytes: of_listeners(config, "sasl.server.max.receive.size"),
            request_memory: size(network.queued_max_request_bytes).unwrap_or_else(default_request_memory),
            max_connections: network.max_connections,
            max_connections_per_ip: network.max_connections_per_ip,
            max_connection_creation_rate: network.max_connection_creation_rate,
            listener_creation_rates: of_listeners(config, "max.connection.creation.rate"),
            quota_windows: Windows {
                samples: config.quotas.window_num,
                window_ms: config.quotas.window_size_seconds.saturating_mul(1_000),
            },
            max_connections_per_ip_overrides: overrides,
            idle,
            send_buffer: size(network.socket_send_buffer_bytes),
            receive_buffer: size(network.socket_receive_buffer_bytes),
            backlog: network.socket_listen_backlog_size,
            ..Limits::default()
        })
    }
}

/// The values of a setting that are given for single listeners.
fn of_listeners(config: &BrokerConfig, setting: &str) -> Vec<(Arc<str>, usize)> {
    let own = |listener: &Listener| {
        let (_, number, _) = config.values.of_listener(&listener.name).own(setting)?;
        Some((Arc::from(&*listener.name), number.trim().parse().ok()?))
    };
    config.listeners.iter().filter_map(own).collect()
}

/// A number of bytes; `None` for 0 and negative numbers, which mean "not set".
fn size(setting: i64) -> Option<usize> {
    usize::try_from(setting).ok().filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Sources, load};

    fn limits(settings: &[(&str, &str)]) -> io::Result<Limits> {
        let command_line = settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Limits::of(&load(&Sources { command_line, ..Sources::default() }).unwrap().config)
    }

    #[test]
    fn limits_without_settings_are_the_defaults() {
        assert_eq!(format!("{:?}", limits(&[]).unwrap()), format!("{:?}", Limits::default()));
    }

    #[test]
    fn limits_follow_settings() {
        let limits = limits(&[
            ("connections.max.idle.ms", "-1"),
            ("queued.max.request.bytes", "5000000"),
            ("max.connections.per.ip.overrides", "127.0.0.1:7"),
            ("socket.send.buffer.bytes", "102400"),
            ("listener.name.plaintext.max.connection.creation.rate", "7"),
            ("listener.name.plaintext.sasl.server.max.receive.size", "900"),
            ("quota.window.size.seconds", "3"),
        ])
        .unwrap();
        assert_eq!(limits.listener_creation_rates, [("PLAINTEXT".into(), 7)]);
        assert_eq!(limits.listener_sasl_bytes, [("PLAINTEXT".into(), 900)]);
        assert_eq!(limits.quota_windows, Windows { samples: 11, window_ms: 3_000 });
        assert_eq!((limits.idle, limits.request_memory, limits.send_buffer), (None, 5_000_000, Some(102_400)));
        assert_eq!(limits.max_connections_per_ip_overrides, [([127, 0, 0, 1].into(), 7)]);
    }

    #[test]
    fn override_for_unknown_host_is_an_error() {
        let error = limits(&[("max.connections.per.ip.overrides", "unknown.invalid:7")]).unwrap_err();
        assert!(error.to_string().contains("unknown.invalid"), "{error}");
    }
}
