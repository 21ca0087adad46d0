//! Listeners: the addresses that the broker binds, and the addresses that it advertises to clients.

mod endpoint;

use std::collections::BTreeMap;
use std::fmt;

use super::secure::ADDED;
use super::text;
use endpoint::{Endpoint, join};

/// A client listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// As in the settings: `PLAINTEXT`, `INTERNAL`, ...
    pub name: String,
    pub protocol: SecurityProtocol,
    pub bind: BindAddress,
    pub advertised: Advertised,
    /// Whether `ottla.secure` chose the port, so that another one can be used if it is taken.
    pub is_added: bool,
}

/// The address to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindAddress {
    pub host: BindHost,
    /// 0 means that the system chooses a free port.
    pub port: u16,
}

/// The host part of a bind address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindHost {
    /// All addresses: IPv6 and IPv4 on one socket if IPv6 is enabled, else IPv4 only.
    Any,
    /// All IPv4 addresses.
    AnyV4,
    /// The addresses that this name resolves to.
    Named(String),
}

/// The address that a listener advertises to its clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// `None`: the address at which the client reached the broker.
    pub host: Option<String>,
    /// `None`: the port the listener is bound to.
    pub port: Option<u16>,
}

/// The security protocol of a listener (Kafka's `SecurityProtocol`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext,
    Ssl,
    SaslPlaintext,
    SaslSsl,
}

impl SecurityProtocol {
    /// Kafka's id, in the metadata log.
    pub fn id(self) -> i16 {
        match self {
            SecurityProtocol::Plaintext => 0,
            SecurityProtocol::Ssl => 1,
            SecurityProtocol::SaslPlaintext => 2,
            SecurityProtocol::SaslSsl => 3,
        }
    }

    /// Whether connections are encrypted with TLS.
    pub fn is_tls(self) -> bool {
        matches!(self, SecurityProtocol::Ssl | SecurityProtocol::SaslSsl)
    }

    /// Whether clients authenticate with SASL.
    pub fn is_sasl(self) -> bool {
        matches!(self, SecurityProtocol::SaslPlaintext | SecurityProtocol::SaslSsl)
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

/// The settings that define the listeners.
#[derive(Debug, Clone, Copy)]
pub(super) struct ListenerSettings<'a> {
    /// `listeners`; `None` if not given.
    pub listeners: Option<&'a str>,
    pub advertised: Option<&'a str>,
    pub protocol_map: &'a str,
    /// `controller.listener.names`.
    pub controllers: &'a str,
}

/// The client listeners, with notices about them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listeners {
    pub listeners: Vec<Listener>,
    /// The names of controller listeners, which are not opened: the controller is in the same process.
    pub controller_listeners: Vec<String>,
    pub notices: Vec<String>,
}

/// The listeners if neither `listeners` nor `advertised.listeners` is given.
const DEFAULT_LISTENERS: &str = "PLAINTEXT://:9092";
const DEFAULT_NAME: &str = "PLAINTEXT";

impl Default for Listeners {
    /// [`DEFAULT_LISTENERS`].
    fn default() -> Self {
        let listener = Listener {
            name: DEFAULT_NAME.to_owned(),
            protocol: SecurityProtocol::Plaintext,
            bind: BindAddress { host: BindHost::Any, port: 9092 },
            advertised: Advertised { host: None, port: None },
            is_added: false,
        };
        Listeners { listeners: vec![listener], controller_listeners: Vec::new(), notices: Vec::new() }
    }
}

/// Builds the listeners from the four settings. Errors are one line.
pub(super) fn resolve(settings: ListenerSettings<'_>) -> Result<Listeners, String> {
    let protocols = parse_protocol_map(settings.protocol_map)?;
    let advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let bound = bound_endpoints(settings.listeners, &advertised)?;
    let (mut notices, mut controller_listeners) = (Vec::new(), Vec::new());
    let mut listeners: Vec<Listener> = Vec::new();
    for endpoint in bound {
        if is_controller(settings.controllers, &endpoint.name) {
            controller_listeners.push(endpoint.name);
            continue;
        }
        if listeners.iter().any(|listener| listener.name == endpoint.name) {
            return Err(format!("listeners: the name {} is listed twice", endpoint.name));
        }
        let clashes = |l: &&Listener| endpoint.port != 0 && l.bind == bind_address(&endpoint);
        if let Some(other) = listeners.iter().find(clashes) {
            return Err(format!("listeners: {} and {} both use port {}", other.name, endpoint.name, endpoint.port));
        }
        listeners.push(Listener {
            protocol: protocol_of(&endpoint.name, &protocols)?,
            advertised: advertise(&endpoint, &advertised, &mut notices),
            bind: bind_address(&endpoint),
            is_added: false,
            name: endpoint.name,
        });
    }
    if listeners.is_empty() {
        return Err("listeners: there is no client listener; add one such as PLAINTEXT://:9092".to_owned());
    }
    for endpoint in &advertised {
        if !is_controller(settings.controllers, &endpoint.name)
            && !listeners.iter().any(|listener| listener.name == endpoint.name)
        {
            return Err(format!("advertised.listeners: {} is not among listeners", endpoint.name));
        }
    }
    Ok(Listeners { listeners, controller_listeners, notices })
}

/// Returns the value of `listeners` with the first client listener's port replaced, for `--port`.
pub(super) fn with_port(settings: ListenerSettings<'_>, port: u16) -> Result<String, String> {
    let advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let mut endpoints = bound_endpoints(settings.listeners, &advertised)?;
    let is_for_clients = |endpoint: &&mut Endpoint| !is_controller(settings.controllers, &endpoint.name);
    if let Some(first) = endpoints.iter_mut().find(is_for_clients) {
        first.port = port;
    }
    Ok(join(&endpoints))
}

/// `listeners` and, if it is given, `advertised.listeners` with the listeners of `ottla.secure`.
#[derive(Debug)]
pub(super) struct Secured {
    pub listeners: String,
    pub advertised: Option<String>,
    /// The names of the new listeners.
    pub added: Vec<String>,
}

/// Adds a listener for each protocol of [`ADDED`] that no listener has. If the first client listener has a port that the
/// system chooses, the new ones do too; a port that is taken is replaced by the next free one; if it advertises a host, the new ones advertise the same.
pub(super) fn with_secure(settings: ListenerSettings<'_>) -> Result<Secured, String> {
    let protocols = parse_protocol_map(settings.protocol_map)?;
    let mut advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let mut bound = bound_endpoints(settings.listeners, &advertised)?;
    let mut clients: Vec<Endpoint> =
        bound.iter().filter(|endpoint| !is_controller(settings.controllers, &endpoint.name)).cloned().collect();
    let Some(first) = clients.first().cloned() else {
        return Ok(Secured { listeners: join(&bound), advertised: None, added: Vec::new() });
    };
    let first_advertised = advertised.iter().find(|endpoint| endpoint.name == first.name).cloned();
    let mut added = Vec::new();
    for (protocol, port) in ADDED {
        let has = |endpoint: &Endpoint| protocol_of(&endpoint.name, &protocols).is_ok_and(|found| found == protocol);
        if clients.iter().any(has) {
            continue;
        }
        let name = protocol.to_string();
        let mapped = protocol_of(&name, &protocols)?;
        if mapped != protocol {
            return Err(format!(
                "ottla.secure adds the listener {name}, but listener.security.protocol.map has {name}:{mapped}; use \
                 {name}:{name}, or another name for the listener with {mapped}"
            ));
        }
        let is_free = |port: &u16| clients.iter().all(|endpoint| endpoint.port != *port);
        let port = if first.port == 0 { 0 } else { (port..u16::MAX).find(is_free).unwrap_or_default() };
        let new = Endpoint { name, port, host: first.host.clone() };
        if let Some(first) = &first_advertised {
            advertised.push(Endpoint { host: first.host.clone(), ..new.clone() });
        }
        added.push(new.name.clone());
        clients.push(new.clone());
        bound.push(new);
    }
    Ok(Secured { listeners: join(&bound), advertised: first_advertised.map(|_| join(&advertised)), added })
}

/// Marks the listeners that `ottla.secure` added. They advertise the port that they get.
pub(super) fn mark_added(listeners: &mut [Listener], added: &[String]) {
    for listener in listeners.iter_mut().filter(|listener| added.contains(&listener.name)) {
        listener.is_added = true;
        listener.advertised.port = None;
    }
}

/// The names and protocols of the client listeners.
pub(super) fn protocols(settings: ListenerSettings<'_>) -> Result<Vec<(String, SecurityProtocol)>, String> {
    let map = parse_protocol_map(settings.protocol_map)?;
    let advertised = endpoint::parse_all("advertised.listeners", settings.advertised.unwrap_or_default())?;
    let bound = bound_endpoints(settings.listeners, &advertised)?;
    let clients = bound.into_iter().filter(|endpoint| !is_controller(settings.controllers, &endpoint.name));
    clients.map(|endpoint| protocol_of(&endpoint.name, &map).map(|protocol| (endpoint.name, protocol))).collect()
}

/// The hosts in a value of `advertised.listeners`.
pub(super) fn hosts(advertised: &str) -> Vec<String> {
    let endpoints = text::list(advertised).filter_map(|entry| Endpoint::parse(entry).ok());
    endpoints.map(|endpoint| endpoint.host).filter(|host| !is_any(host)).collect()
}

/// Derives the value of `listeners` from `advertised.listeners`.
pub(super) fn from_advertised(advertised: &str) -> Result<String, String> {
    let advertised = endpoint::parse_all("advertised.listeners", advertised)?;
    Ok(join(&bound_endpoints(None, &advertised)?))
}

/// Old settings of Kafka up to 2.8 that `listeners` and `advertised.listeners` replaced.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OldListenerSettings<'a> {
    /// `host.name`.
    pub host: Option<&'a str>,
    /// `port`.
    pub port: Option<&'a str>,
    /// `advertised.host.name`.
    pub advertised_host: Option<&'a str>,
    /// `advertised.port`.
    pub advertised_port: Option<&'a str>,
}

/// Derives `listeners` and `advertised.listeners` from old settings; one that is given itself is not derived. As in
/// Kafka 2.8, the old settings define the listener PLAINTEXT. If other listeners are given, they apply to the first
/// client listener.
pub(super) fn from_old_names(
    settings: ListenerSettings<'_>,
    old: OldListenerSettings<'_>,
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
    let is_default_only = given.iter().filter(is_for_clients).all(|endpoint| endpoint.name == DEFAULT_NAME);
    let mut bound = match settings.listeners {
        None if is_default_only => endpoint::parse_all("listeners", DEFAULT_LISTENERS)?,
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

/// Whether `controller.listener.names` contains a listener's name.
fn is_controller(controllers: &str, name: &str) -> bool {
    text::list(controllers).any(|controller| controller.eq_ignore_ascii_case(name))
}

/// The endpoints to bind: `listeners`, or else the ports of the advertised listeners on all addresses, as in Kafka's
/// images.
fn bound_endpoints(listeners: Option<&str>, advertised: &[Endpoint]) -> Result<Vec<Endpoint>, String> {
    match listeners {
        Some(text) => endpoint::parse_all("listeners", text),
        None if !advertised.is_empty() => {
            Ok(advertised.iter().map(|endpoint| Endpoint { host: String::new(), ..endpoint.clone() }).collect())
        }
        None => endpoint::parse_all("listeners", DEFAULT_LISTENERS),
    }
}

/// Parses `host:port`; an empty host, 0.0.0.0 or [::] means all addresses.
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
                format!("listener.security.protocol.map: \"{entry}\" is not NAME:PROTOCOL ({allowed})")
            })
        })
        .collect()
}

fn protocol_of(name: &str, map: &BTreeMap<String, SecurityProtocol>) -> Result<SecurityProtocol, String> {
    match map.get(name).copied().or_else(|| SecurityProtocol::parse(name)) {
        Some(protocol) => Ok(protocol),
        None => Err(format!(
            "listeners: {name} has no protocol; add {name}:SSL (or PLAINTEXT, SASL_PLAINTEXT, SASL_SSL) to listener.security.protocol.map"
        )),
    }
}

/// The protocol of a listener, from `listener.security.protocol.map` or from its name.
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

/// Updates the advertised addresses of the listeners in `advertised`; others keep theirs.
pub(super) fn update_advertised(listeners: &mut [Listener], advertised: &str) {
    for endpoint in text::list(advertised).filter_map(|entry| Endpoint::parse(entry).ok()) {
        if let Some(listener) = listeners.iter_mut().find(|listener| listener.name == endpoint.name) {
            listener.advertised = endpoint.advertised();
        }
    }
}

/// The reason why an entry of `listeners` or `advertised.listeners` is invalid; `None` for a valid one.
pub(super) fn endpoint_error(entry: &str) -> Option<String> {
    Endpoint::parse(entry).err()
}

impl Endpoint {
    /// The address to advertise: clients can't connect to 0.0.0.0, [::] or port 0.
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
                    "advertised.listeners: clients can't connect to {endpoint}; \
                    each client gets the address at which it reached the broker"
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
