//! The ports for HTTP of Redpanda's files and flags: admin API, schema registry, and HTTP Proxy.

use super::address::Address;
use super::start::{Given, Settings};
use super::tls::Tls;
use super::yaml::Node;

/// A port for HTTP.
struct Port {
    /// The section of the file; its property with the listeners, and the one with their TLS.
    section: &'static str,
    listeners: &'static str,
    tls: &'static str,
    flag: &'static str,
    default_port: u16,
    /// What the names of its settings begin with.
    settings: &'static str,
}

const ADMIN: Port = Port {
    section: "redpanda",
    listeners: "admin",
    tls: "admin_api_tls",
    flag: "",
    default_port: 9644,
    settings: "ottla.admin",
};
const SCHEMA_REGISTRY: Port = Port {
    section: "schema_registry",
    listeners: "schema_registry_api",
    tls: "schema_registry_api_tls",
    flag: "--schema-registry-addr",
    default_port: 8081,
    settings: "ottla.registry",
};
const REST_PROXY: Port = Port {
    section: "pandaproxy",
    listeners: "pandaproxy_api",
    tls: "pandaproxy_api_tls",
    flag: "--pandaproxy-addr",
    default_port: 8082,
    settings: "ottla.rest.proxy",
};

/// Adds the three ports. `hosts` are the names by which clients reach the broker.
pub fn add(given: &Given<'_>, hosts: &str, settings: &mut Settings) -> Result<(), String> {
    ADMIN.add(given, None, hosts, settings)?;
    let needs_password = given.properties.get("admin_api_require_auth").is_true();
    match given.superusers().join(",") {
        names if needs_password && names.is_empty() => {
            return Err("admin_api_require_auth needs a user in superusers".to_owned());
        }
        names if needs_password => settings.set("ottla.admin.scram.users", names),
        _ => {}
    }
    if given.properties.get("schema_registry_enable_authorization").is_true() {
        return Err("schema_registry_enable_authorization is not supported; remove it, or set it to false".to_owned());
    }
    for (port, flag) in [(SCHEMA_REGISTRY, &given.arguments.schema_registry), (REST_PROXY, &given.arguments.rest_proxy)]
    {
        let is_section = |(name, _): &(String, Node)| name == port.section;
        if flag.is_some() || !given.has_file || given.node.entries().iter().any(is_section) {
            port.add(given, flag.as_deref(), hosts, settings)?;
        } else {
            // Also if the environment has one.
            settings.set(&format!("{}.listener", port.settings), "");
        }
    }
    Ok(())
}

impl Port {
    fn add(&self, given: &Given<'_>, flag: Option<&str>, hosts: &str, settings: &mut Settings) -> Result<(), String> {
        let section = given.node.get(self.section);
        let mut listeners = match flag {
            Some(list) => Address::parse_list(self.flag, list, self.default_port)?,
            None => Address::read_list(self.listeners, section.get(self.listeners), self.default_port)?,
        }
        .into_iter();
        let listener = listeners.next().unwrap_or_else(|| Address::new("0.0.0.0", self.default_port));
        for other in listeners {
            settings.ignore(format!("{} {}", self.listeners, other.host_and_port()));
        }
        settings.set(&format!("{}.listener", self.settings), listener.host_and_port());
        if !hosts.is_empty() {
            settings.set(&format!("{}.allowed.hosts", self.settings), hosts);
        }
        match listener.authentication.as_deref() {
            None | Some("none") => {}
            Some("http_basic") => settings.set(&format!("{}.scram.users", self.settings), "*"),
            Some(other) => {
                return Err(format!(
                    "{}: authentication_method \"{}\" is not none or http_basic",
                    self.listeners,
                    other.escape_debug()
                ));
            }
        }
        match Tls::find(given, self.tls, section.get(self.tls), &listener)? {
            Some(tls) => tls.add_to_http(self.tls, self.settings, settings),
            None => Ok(()),
        }
    }
}
