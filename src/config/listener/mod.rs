//! Listeners: where the broker accepts connections, and what it tells clients to connect to.

mod endpoint;

use std::collections::BTreeMap;
use std::fmt;

use super::text;
use endpoint::{Endpoint, join};

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
const DEFAULT_NAME: &str = "PLAINTEXT";

impl Default for Listeners {
    /// Where nothing is configured: [`DEFAULT_LISTENERS`].
    fn default() -> Self {
        let listener = Listener {
            name: DEFAULT_NAME.to_owned(),
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
    let advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
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
    let advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let mut endpoints = bound_endpoints(settings.listeners, &advertised)?;
    let is_for_clients = |endpoint: &&mut Endpoint| !is_controller(settings.controllers, &endpoint.name);
    if let Some(first) = endpoints.iter_mut().find(is_for_clients) {
        first.port = port;
    }
    Ok(join(&endpoints))
}

/// The value of `listeners` where only `advertised` is given, if it can be read.
pub(super) fn that_follow_from(advertised: &str) -> Result<String, String> {
    let advertised = endpoint::parse_all("advertised.listeners", advertised)?;
    Ok(join(&bound_endpoints(None, &advertised)?))
}

/// What Kafka up to 2.8 had in place of `listeners` and `advertised.listeners`, as far as it is given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OldNames<'a> {
    /// `host.name`.
    pub host: Option<&'a str>,
    /// `port`.
    pub port: Option<&'a str>,
    /// `advertised.host.name`.
    pub advertised_host: Option<&'a str>,
    /// `advertised.port`.
    pub advertised_port: Option<&'a str>,
}

/// What old names stand for: values for `listeners` and for `advertised.listeners`, each where it is not given and they
/// say it. As in Kafka 2.8 they are about the one listener PLAINTEXT; with others, about the first for clients.
pub(super) fn of_old_names(
    settings: ListenerSettings<'_>,
    old: OldNames<'_>,
) -> Result<(Option<String>, Option<String>), String> {
    let port = |name: &str, text: Option<&str>| {
        text.map(|text| endpoint::parse_port(text).map_err(|fault| format!("{name}: {fault}"))).transpose()
    };
    let given = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let (bind_port, advertised_port) =
        (port("port", old.port)?, port("advertised.port", old.advertised_port)?.filter(|_| given.is_empty()));
    let advertised_host = old.advertised_host.filter(|_| given.is_empty());
    let binds = settings.listeners.is_none() && (old.host.is_some() || bind_port.is_some());
    let advertises = advertised_host.is_some() || advertised_port.is_some();
    if !binds && !advertises {
        return Ok((None, None));
    }
    let is_for_clients = |endpoint: &&Endpoint| !is_controller(settings.controllers, &endpoint.name);
    let of_the_one = given.iter().filter(is_for_clients).all(|endpoint| endpoint.name == DEFAULT_NAME);
    let mut bound = match settings.listeners {
        None if of_the_one => endpoint::parse_all("listeners", DEFAULT_LISTENERS)?,
        listeners => bound_endpoints(listeners, &given)?,
    };
    if binds {
        let host = old.host.unwrap_or_default();
        bound.iter_mut().for_each(|endpoint| host.clone_into(&mut endpoint.host));
        if let Some(first) = bound.iter_mut().find(|endpoint| is_for_clients(&&**endpoint)) {
            first.port = bind_port.unwrap_or(first.port);
        }
    }
    let first = bound.iter().find(is_for_clients);
    let advertised = first.filter(|_| advertises).map(|endpoint| Endpoint {
        host: advertised_host.or(old.host).unwrap_or(&endpoint.host).to_owned(),
        port: advertised_port.unwrap_or(endpoint.port),
        name: endpoint.name.clone(),
    });
    Ok((Some(join(&bound)).filter(|_| settings.listeners.is_none()), advertised.map(|endpoint| endpoint.to_string())))
}

/// Whether `controller.listener.names` has a listener's name.
fn is_controller(controllers: &str, name: &str) -> bool {
    text::list(controllers).any(|controller| controller.eq_ignore_ascii_case(name))
}

/// What to listen at: `listeners`, or what follows from the advertised ones, as Kafka's images have it: their ports,
/// on every address.
fn bound_endpoints(listeners: Option<&str>, advertised: &[Endpoint]) -> Result<Vec<Endpoint>, String> {
    match listeners {
        Some(text) => endpoint::parse_all("listeners", text),
        None if !advertised.is_empty() => {
            Ok(advertised.iter().map(|endpoint| Endpoint { host: String::new(), ..endpoint.clone() }).collect())
        }
        None => endpoint::parse_all("listeners", DEFAULT_LISTENERS),
    }
}

/// Reads `host:port`; a host that is empty or of zeros is every address.
pub(super) fn parse_host_and_port(address: &str) -> Option<BindAddress> {
    Endpoint::of_address(String::new(), address).ok().map(|endpoint| bind_address(&endpoint))
}

fn parse_protocol_map(text: &str) -> Result<BTreeMap<String, SecurityProtocol>, String> {
    text::list(text)
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

/// The protocol of a listener of this name, as `listener.security.protocol.map` or the name itself says it.
pub(super) fn protocol_named(name: &str, map: &str) -> Option<SecurityProtocol> {
    let map = parse_protocol_map(map).unwrap_or_default();
    map.get(&name.to_ascii_uppercase()).copied().or_else(|| SecurityProtocol::parse(name))
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
    for endpoint in text::list(advertised).filter_map(|entry| Endpoint::parse(entry).ok()) {
        if let Some(listener) = listeners.iter_mut().find(|listener| listener.name == endpoint.name) {
            listener.advertised = endpoint.advertised();
        }
    }
}

/// What is wrong with an entry of `listeners` or `advertised.listeners`.
pub(super) fn endpoint_fault(entry: &str) -> Option<String> {
    Endpoint::parse(entry).err()
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
