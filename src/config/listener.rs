//! Listeners: where the broker accepts connections, and what it tells clients to connect to.

use std::collections::BTreeMap;
use std::fmt;

use super::setting;

/// One listener that clients connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// As in the settings: `PLAINTEXT`, `INTERNAL`, ...
    pub name: String,
    pub protocol: SecurityProtocol,
    pub bind: BindAddress,
    pub advertised: Advertised,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    pub host: BindHost,
    /// 0 picks a free one.
    pub port: u16,
}

/// Which addresses to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindHost {
    /// Every address: IPv6 and IPv4 on one socket where IPv6 is on, else IPv4 alone.
    Any,
    /// Every IPv4 address.
    AnyV4,
    /// What this name or address resolves to.
    Named(String),
}

/// What clients of a listener are told to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// `None`: the address at which the asking client reached us, so that one it can reach.
    pub host: Option<String>,
    /// `None`: the port the listener is bound to.
    pub port: Option<u16>,
}

/// How bytes travel on a listener (Kafka's SecurityProtocol).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's number for it, in the metadata log.
    pub fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    fn parse(text: &str) -> Option<SecurityProtocol> {
        [Self::Plaintext, Self::Ssl, Self::SaslPlaintext, Self::SaslSsl]
            .into_iter()
            .find(|protocol| protocol.to_string().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SecurityProtocol::Plaintext => "PLAINTEXT",
            SecurityProtocol::Ssl => "SSL",
            SecurityProtocol::SaslPlaintext => "SASL_PLAINTEXT",
            SecurityProtocol::SaslSsl => "SASL_SSL",
        })
    }
}

/// The settings that together say what the listeners are.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListenerSettings<'a> {
    /// `listeners`; `None` where nobody gave it.
    pub listeners: Option<&'a str>,
    pub advertised: Option<&'a str>,
    pub protocol_map: &'a str,
    /// `controller.listener.names`.
    pub controllers: &'a str,
}

/// The client listeners, and what is to be said about them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listeners {
    pub listeners: Vec<Listener>,
    /// Names of those that are for controllers: the controller is inside.
    pub unopened: Vec<String>,
    pub notices: Vec<String>,
}

/// Where `listeners` is not given and `advertised.listeners` is not either.
const DEFAULT_LISTENERS: &str = "PLAINTEXT://:9092";

impl Default for Listeners {
    /// Where nothing is configured: [`DEFAULT_LISTENERS`].
    fn default() -> Self {
        let listener = Listener {
            name: "PLAINTEXT".to_owned(),
            protocol: SecurityProtocol::Plaintext,
            bind: BindAddress { host: BindHost::Any, port: 9092 },
            advertised: Advertised { host: None, port: None },
        };
        Listeners { listeners: vec![listener], unopened: Vec::new(), notices: Vec::new() }
    }
}

/// Puts the four settings together. Errors are one plain line.
pub(super) fn resolve(settings: ListenerSettings<'_>) -> Result<Listeners, String> {
    let protocols = parse_protocol_map(settings.protocol_map)?;
    let advertised = parse_endpoints("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let bound = bound_endpoints(settings.listeners, &advertised)?;
    let (mut notices, mut unopened) = (Vec::new(), Vec::new());
    let mut listeners: Vec<Listener> = Vec::new();
    for endpoint in bound {
        if is_controller(settings.controllers, &endpoint.name) {
            unopened.push(endpoint.name);
            continue;
        }
        if listeners.iter().any(|listener| listener.name == endpoint.name) {
            return Err(format!("listeners: the name {} stands twice", endpoint.name));
        }
        let clashes = |l: &&Listener| endpoint.port != 0 && l.bind == bind_address(&endpoint);
        if let Some(other) = listeners.iter().find(clashes) {
            return Err(format!(
                "listeners: {} and {} both listen at port {}",
                other.name, endpoint.name, endpoint.port
            ));
        }
        listeners.push(Listener {
            protocol: protocol_of(&endpoint.name, &protocols)?,
            advertised: advertise(&endpoint, &advertised, &mut notices),
            bind: bind_address(&endpoint),
            name: endpoint.name,
        });
    }
    if listeners.is_empty() {
        return Err("listeners: none is for clients; give one such as PLAINTEXT://:9092".to_owned());
    }
    for endpoint in &advertised {
        if !is_controller(settings.controllers, &endpoint.name)
            && !listeners.iter().any(|listener| listener.name == endpoint.name)
        {
            return Err(format!("advertised.listeners: {} is not among listeners", endpoint.name));
        }
    }
    Ok(Listeners { listeners, unopened, notices })
}

/// The value of `listeners` with the first client listener's port replaced: what `--port` does.
pub(super) fn with_port(settings: ListenerSettings<'_>, port: u16) -> Result<String, String> {
    let advertised = parse_endpoints("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let mut endpoints = bound_endpoints(settings.listeners, &advertised)?;
    let is_for_clients = |endpoint: &&mut Endpoint| !is_controller(settings.controllers, &endpoint.name);
    if let Some(first) = endpoints.iter_mut().find(is_for_clients) {
        first.port = port;
    }
    Ok(join(&endpoints))
}

fn join(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
}

/// The value of `listeners` where only `advertised` is given, if it can be read.
pub(super) fn that_follow_from(advertised: &str) -> Result<String, String> {
    let advertised = parse_endpoints("advertised.listeners", advertised)?;
    Ok(join(&bound_endpoints(None, &advertised)?))
}

/// What `advertised.host.name` and `advertised.port` stand for, as the settings that came after them.
pub(super) struct OldNames {
    pub listeners: String,
    pub advertised: String,
}

/// Advertises `host`, and `port` where it is given, for the first client listener; where nothing is said of
/// listeners, for the usual one.
pub(super) fn of_old_names(settings: ListenerSettings<'_>, host: &str, port: Option<u16>) -> Result<OldNames, String> {
    let listeners = settings.listeners.unwrap_or(DEFAULT_LISTENERS).to_owned();
    let bound = parse_endpoints("listeners", &listeners)?;
    let first = bound.into_iter().find(|endpoint| !is_controller(settings.controllers, &endpoint.name));
    let advertised = first.map_or_else(String::new, |endpoint| {
        Endpoint { host: host.to_owned(), port: port.unwrap_or(endpoint.port), name: endpoint.name }.to_string()
    });
    Ok(OldNames { listeners, advertised })
}

/// Whether `controller.listener.names` has a listener's name.
fn is_controller(controllers: &str, name: &str) -> bool {
    setting::list(controllers).any(|controller| controller.eq_ignore_ascii_case(name))
}

/// `NAME://host:port` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    name: String,
    /// Without brackets; empty for every address.
    host: String,
    port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.name, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.name, self.host, self.port),
        }
    }
}

/// What to listen at: `listeners`, or what follows from the advertised ones, as Kafka's images have it: their ports,
/// on every address.
fn bound_endpoints(listeners: Option<&str>, advertised: &[Endpoint]) -> Result<Vec<Endpoint>, String> {
    match listeners {
        Some(text) => parse_endpoints("listeners", text),
        None if !advertised.is_empty() => {
            Ok(advertised.iter().map(|endpoint| Endpoint { host: String::new(), ..endpoint.clone() }).collect())
        }
        None => parse_endpoints("listeners", DEFAULT_LISTENERS),
    }
}

fn parse_endpoints(setting: &str, text: &str) -> Result<Vec<Endpoint>, String> {
    setting::list(text)
        .map(|entry| {
            parse_endpoint(entry).ok_or_else(|| {
                format!(
                    "{setting}: \"{entry}\" is not of the form NAME://host:port, such as PLAINTEXT://localhost:9092"
                )
            })
        })
        .collect()
}

/// Reads `host:port`; a host that is empty or of zeros is every address.
pub(super) fn parse_host_and_port(address: &str) -> Option<BindAddress> {
    parse_endpoint_address(String::new(), address).map(|endpoint| bind_address(&endpoint))
}

fn parse_endpoint(entry: &str) -> Option<Endpoint> {
    let (name, address) = entry.split_once("://")?;
    let name_ok = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    name_ok.then(|| parse_endpoint_address(name.to_ascii_uppercase(), address))?
}

fn parse_endpoint_address(name: String, address: &str) -> Option<Endpoint> {
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'))?;
    let host_ok = bare.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:%".contains(&b));
    let colon_ok = !host.contains(':') || host.starts_with('[') || bare.parse::<std::net::Ipv6Addr>().is_ok();
    (host_ok && colon_ok).then_some(())?;
    Some(Endpoint { name, host: bare.to_owned(), port: port.parse().ok()? })
}

fn parse_protocol_map(text: &str) -> Result<BTreeMap<String, SecurityProtocol>, String> {
    setting::list(text)
        .map(|entry| {
            let parsed = entry.split_once(':').and_then(|(name, protocol)| {
                Some((name.trim().to_ascii_uppercase(), SecurityProtocol::parse(protocol.trim())?))
            });
            parsed.ok_or_else(|| {
                let allowed = "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
                format!("listener.security.protocol.map: \"{entry}\" is not of the form NAME:PROTOCOL ({allowed})")
            })
        })
        .collect()
}

fn protocol_of(name: &str, map: &BTreeMap<String, SecurityProtocol>) -> Result<SecurityProtocol, String> {
    match map.get(name).copied().or_else(|| SecurityProtocol::parse(name)) {
        Some(SecurityProtocol::Plaintext) => Ok(SecurityProtocol::Plaintext),
        Some(other) => Err(format!("listeners: {name} wants {other}, which is not served yet; PLAINTEXT is")),
        None => {
            Err(format!("listeners: {name} has no protocol; add {name}:PLAINTEXT to listener.security.protocol.map"))
        }
    }
}

fn bind_address(endpoint: &Endpoint) -> BindAddress {
    let host = match endpoint.host.as_str() {
        "" | "::" => BindHost::Any,
        "0.0.0.0" => BindHost::AnyV4,
        host => BindHost::Named(host.to_owned()),
    };
    BindAddress { host, port: endpoint.port }
}

/// Has listeners advertise what `advertised` says of them; the others keep what they have.
pub(super) fn advertise_anew(listeners: &mut [Listener], advertised: &str) {
    for endpoint in setting::list(advertised).filter_map(parse_endpoint) {
        if let Some(listener) = listeners.iter_mut().find(|listener| listener.name == endpoint.name) {
            listener.advertised = endpoint.advertised();
        }
    }
}

/// Whether an entry of `listeners` or `advertised.listeners` is `NAME://host:port`.
pub(super) fn is_endpoint(entry: &str) -> bool {
    parse_endpoint(entry).is_some()
}

impl Endpoint {
    /// What clients are told; nobody can connect to every address, or to port 0.
    fn advertised(&self) -> Advertised {
        Advertised {
            host: (!is_any(&self.host)).then(|| self.host.clone()),
            port: (self.port != 0).then_some(self.port),
        }
    }
}

fn advertise(bound: &Endpoint, advertised: &[Endpoint], notices: &mut Vec<String>) -> Advertised {
    match advertised.iter().find(|endpoint| endpoint.name == bound.name) {
        Some(endpoint) => {
            if is_any(&endpoint.host) {
                notices.push(format!(
                    "advertised.listeners: nobody can connect to {endpoint}; \
                     each client is told the address at which it reached this broker"
                ));
            }
            endpoint.advertised()
        }
        None => Advertised { port: None, ..bound.advertised() },
    }
}

fn is_any(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "::")
}

#[cfg(test)]
mod tests;
