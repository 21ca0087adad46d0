//! What connections may take.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use super::default_request_memory;
use super::listener::resolve;
use ottla_config::BrokerConfig;

/// The limits of a server. [`Limits::default`] is what applies with nothing configured.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the largest request (`socket.request.max.bytes`).
    pub max_request_bytes: usize,
    /// Bytes of all requests that are unanswered or on their way in (`queued.max.request.bytes`). A
    /// larger request is refused.
    pub request_memory: usize,
    /// `max.connections`: further ones wait with the system until one closes.
    pub max_connections: usize,
    /// `max.connections.per.ip`: further ones are closed at once.
    pub max_connections_per_ip: usize,
    /// `max.connection.creation.rate`: connections per second; further ones wait.
    pub max_connection_creation_rate: usize,
    /// `max.connections.per.ip.overrides`, names resolved.
    pub max_connections_per_ip_overrides: Vec<(IpAddr, usize)>,
    /// How long nothing may move on a connection (`connections.max.idle.ms`), `None` for ever.
    pub idle: Option<Duration>,
    /// How long a half-sent request may stand still; a tenth of it while others wait for its memory.
    pub stall_timeout: Duration,
    /// `socket.send.buffer.bytes`, `None` for what the system chooses.
    pub send_buffer: Option<usize>,
    /// `socket.receive.buffer.bytes`, `None` for what the system chooses.
    pub receive_buffer: Option<usize>,
    /// Connections that may wait to be accepted (`socket.listen.backlog.size`).
    pub backlog: i32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_request_bytes: 100 << 20,
            request_memory: default_request_memory(),
            max_connections: i32::MAX as usize,
            max_connections_per_ip: i32::MAX as usize,
            max_connection_creation_rate: i32::MAX as usize,
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
    /// What the settings say. Fails where `max.connections.per.ip.overrides` holds a name that cannot be
    /// resolved; resolving may block.
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
            request_memory: size(network.queued_max_request_bytes).unwrap_or_else(default_request_memory),
            max_connections: network.max_connections,
            max_connections_per_ip: network.max_connections_per_ip,
            max_connection_creation_rate: network.max_connection_creation_rate,
            max_connections_per_ip_overrides: overrides,
            idle,
            send_buffer: size(network.socket_send_buffer_bytes),
            receive_buffer: size(network.socket_receive_buffer_bytes),
            backlog: network.socket_listen_backlog_size,
            ..Limits::default()
        })
    }
}

/// A number of bytes, where nothing and less than nothing stand for "not set".
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
    fn with_nothing_configured_the_defaults_hold() {
        assert_eq!(format!("{:?}", limits(&[]).unwrap()), format!("{:?}", Limits::default()));
    }

    #[test]
    fn settings_are_heard() {
        let limits = limits(&[
            ("connections.max.idle.ms", "-1"),
            ("queued.max.request.bytes", "5000000"),
            ("max.connections.per.ip.overrides", "127.0.0.1:7"),
            ("socket.send.buffer.bytes", "102400"),
        ])
        .unwrap();
        assert_eq!((limits.idle, limits.request_memory, limits.send_buffer), (None, 5_000_000, Some(102_400)));
        assert_eq!(limits.max_connections_per_ip_overrides, [([127, 0, 0, 1].into(), 7)]);
    }

    #[test]
    fn an_override_for_nobody_is_an_error() {
        let error = limits(&[("max.connections.per.ip.overrides", "nobody.invalid:7")]).unwrap_err();
        assert!(error.to_string().contains("nobody.invalid"), "{error}");
    }
}
