//! Addresses of listeners, in flags and in files.

use super::yaml::Node;

/// A listener or the address that it advertises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `None` without a name; names connect listeners with what is advertised and with their TLS.
    pub name: Option<String>,
    pub host: String,
    pub port: u16,
    /// `authentication_method`.
    pub authentication: Option<String>,
}

impl Address {
    /// An address without a name.
    pub fn new(host: &str, port: u16) -> Address {
        Address { name: None, host: host.to_owned(), port, authentication: None }
    }

    /// Parses a flag: entries `[name://]host[:port][|authentication]`, separated by commas. The error is one line.
    pub fn parse_list(flag: &str, text: &str, default_port: u16) -> Result<Vec<Address>, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries.map(|entry| Address::parse(flag, entry, default_port)).collect()
    }

    fn parse(flag: &str, entry: &str, default_port: u16) -> Result<Address, String> {
        let (address, authentication) = match entry.split_once('|') {
            Some((address, method)) => (address, Some(method.to_owned())),
            None => (entry, None),
        };
        let (name, address) = match address.split_once("://") {
            Some((name, address)) => (Some(name.to_owned()), address),
            None => (None, address),
        };
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !address.ends_with(']') => (host, parse_port(flag, port)?),
            _ => (address, default_port),
        };
        Ok(Address { name, host: without_brackets(host), port, authentication })
    }

    /// Reads the listeners of a file: maps with name, address, port and authentication_method. The error is one line.
    pub fn read_list(property: &str, node: &Node, default_port: u16) -> Result<Vec<Address>, String> {
        node.items().iter().map(|item| Address::read(property, item, default_port)).collect()
    }

    fn read(property: &str, node: &Node, default_port: u16) -> Result<Address, String> {
        let text = |key| node.get(key).text();
        let host = text("address").ok_or_else(|| format!("{property}: an address is missing"))?;
        Ok(Address {
            name: text("name").filter(|name| !name.is_empty()).map(str::to_owned),
            host: without_brackets(host),
            port: text("port").map_or(Ok(default_port), |port| parse_port(property, port))?,
            authentication: text("authentication_method").map(str::to_owned),
        })
    }

    /// `host:port`.
    pub fn host_and_port(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

fn parse_port(source: &str, text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{source}: \"{}\" is not a port, a number from 0 to 65535", text.escape_debug()))
}

fn without_brackets(host: &str) -> String {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flag_is_a_list_of_addresses_with_optional_parts() {
        let parse = |text| Address::parse_list("--kafka-addr", text, 9092);
        let named = |name: &str, host, port| Address { name: Some(name.to_owned()), ..Address::new(host, port) };
        assert_eq!(
            parse("PLAINTEXT://0.0.0.0:29092,OUTSIDE://[::]:1,"),
            Ok(vec![named("PLAINTEXT", "0.0.0.0", 29092), named("OUTSIDE", "::", 1)])
        );
        assert_eq!(parse("localhost"), Ok(vec![Address::new("localhost", 9092)]));
        assert_eq!(parse("[::1]"), Ok(vec![Address::new("::1", 9092)]));
        let sasl = Address { authentication: Some("sasl".to_owned()), ..named("a", "b", 3) };
        assert_eq!(parse("a://b:3|sasl"), Ok(vec![sasl]));
        assert_eq!(parse("a:x"), Err("--kafka-addr: \"x\" is not a port, a number from 0 to 65535".to_owned()));
        assert_eq!(Address::new("::1", 2).host_and_port(), "[::1]:2");
    }

    #[test]
    fn file_has_one_address_or_a_list() {
        let read = |text| Address::read_list("admin", &Node::parse(text).unwrap(), 9644);
        assert_eq!(read("address: 0.0.0.0\nport: 1"), Ok(vec![Address::new("0.0.0.0", 1)]));
        let expect =
            Address { name: Some("b".to_owned()), authentication: Some("none".to_owned()), ..Address::new("a", 9644) };
        assert_eq!(read("- {address: a, name: b, authentication_method: none}"), Ok(vec![expect]));
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("- port: 1"), Err("admin: an address is missing".to_owned()));
        assert_eq!(
            read("{address: a, port: 70000}"),
            Err("admin: \"70000\" is not a port, a number from 0 to 65535".to_owned())
        );
    }
}
