//! `NAME://host:port`: one entry of `listeners` or `advertised.listeners`, taken apart and put together.

use std::fmt;
use std::net::Ipv6Addr;

use crate::text;

/// `NAME://host:port` taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// In capitals.
    pub name: String,
    /// Without brackets; empty for every address.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "{}://[{}]:{}", self.name, self.host, self.port),
            false => write!(f, "{}://{}:{}", self.name, self.host, self.port),
        }
    }
}

const FORM: &str = "the form is NAME://host:port, such as PLAINTEXT://localhost:9092";

impl Endpoint {
    /// Reads one entry. The error says what is wrong with it, without naming the entry.
    pub fn parse(entry: &str) -> Result<Endpoint, String> {
        if let Some(placeholder) = placeholder(entry) {
            return Err(format!("{placeholder} is a placeholder: put what it stands for"));
        }
        let (name, address) = entry.split_once("://").ok_or_else(|| format!("no NAME:// is in front; {FORM}"))?;
        if name.is_empty() {
            return Err(format!("no name is in front of ://; {FORM}"));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            return Err(format!("\"{name}\" is not a listener's name: letters, digits, \"_\", \"-\" and \".\" are"));
        }
        Endpoint::of_address(name.to_ascii_uppercase(), address)
    }

    /// Reads `host:port`.
    pub fn of_address(name: String, address: &str) -> Result<Endpoint, String> {
        let is_without_port = address.ends_with(']') || address.parse::<Ipv6Addr>().is_ok() && !has_port(address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !is_without_port && !port.is_empty() => (host, port),
            _ => return Err(format!("no port is at the end; {FORM}")),
        };
        let port = parse_port(port)?;
        let bare = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'));
        let bare = bare.ok_or_else(|| format!("the bracket in {host} is not closed"))?;
        if host.contains(':') && !host.starts_with('[') && bare.parse::<Ipv6Addr>().is_err() {
            return Err(format!("\"{host}\" is not a host; {FORM}; an IPv6 address stands in brackets"));
        }
        if let Some(wrong) = bare.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.:%".contains(*c))) {
            return Err(format!("a host has no {wrong:?} in it; {FORM}"));
        }
        Ok(Endpoint { name, host: bare.to_owned(), port })
    }
}

/// Whether the last group of an IPv6 address without brackets can't belong to it, since it is longer than a group.
fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
}

/// Reads a port.
pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    text.parse::<u16>().map_err(|_| match text.parse::<u64>() {
        Ok(number) => format!("the port {number} is more than 65535"),
        Err(_) => format!("\"{text}\" is not a port, a number from 0 to 65535"),
    })
}

/// What templates and documentation have for a value that somebody is to put in: `${HOST}`, `$HOST`, `{{ host }}`,
/// `<host>`, `%HOST%`, `@HOST@`, and `[host]`, which is not an IPv6 address.
fn placeholder(entry: &str) -> Option<&str> {
    const MARKS: [(&str, &str); 7] =
        [("${", "}"), ("$(", ")"), ("{{", "}}"), ("{", "}"), ("<", ">"), ("%", "%"), ("@", "@")];
    let enclosed = MARKS.iter().find_map(|(opens, closes)| {
        let from = entry.find(opens)?;
        let inside = from + opens.len();
        let to = inside + entry[inside..].find(closes)?;
        (to > inside).then(|| &entry[from..to + closes.len()])
    });
    let variable = || {
        let (_, rest) = entry.split_once('$')?;
        let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let from = entry.len() - rest.len() - 1;
        (len > 0).then(|| &entry[from..=from + len])
    };
    let bracketed = || {
        let from = entry.find('[')?;
        let to = from + entry[from..].find(']')?;
        let inside = &entry[from + 1..to];
        (!inside.is_empty() && !inside.contains(':')).then(|| &entry[from..=to])
    };
    enclosed.or_else(variable).or_else(bracketed)
}

/// Reads all entries of `setting`. The error is one plain line.
pub(super) fn parse_all(setting: &str, text: &str) -> Result<Vec<Endpoint>, String> {
    text::list(text)
        .map(|entry| Endpoint::parse(entry).map_err(|fault| format!("{setting}: \"{entry}\": {fault}")))
        .collect()
}

/// The entries as the setting has them.
pub(super) fn join(endpoints: &[Endpoint]) -> String {
    endpoints.iter().map(Endpoint::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(entry: &str, expect: Result<&str, &str>) {
        let parsed = Endpoint::parse(entry).map(|endpoint| endpoint.to_string());
        assert_eq!(parsed.as_deref().map_err(String::as_str), expect, "{entry}");
    }

    #[test]
    fn entries_are_read() {
        check("PLAINTEXT://:9092", Ok("PLAINTEXT://:9092"));
        check("plaintext://Kafka-1.example:0", Ok("PLAINTEXT://Kafka-1.example:0"));
        check("A://[::1]:65535", Ok("A://[::1]:65535"));
        check("A://::1:9092", Ok("A://[::1]:9092"));
        check("A://[fe80::1%eth0]:1", Ok("A://[fe80::1%eth0]:1"));
    }

    #[test]
    fn a_fault_says_what_is_wrong() {
        let form = |what: &str| format!("{what}; {FORM}");
        let faults = [
            ("localhost:9092", form("no NAME:// is in front")),
            ("://h:1", form("no name is in front of ://")),
            ("A B://h:1", "\"A B\" is not a listener's name: letters, digits, \"_\", \"-\" and \".\" are".to_owned()),
            ("PLAINTEXT://localhost", form("no port is at the end")),
            ("PLAINTEXT://localhost:", form("no port is at the end")),
            ("PLAINTEXT://[::1]", form("no port is at the end")),
            ("PLAINTEXT://h:99999", "the port 99999 is more than 65535".to_owned()),
            ("PLAINTEXT://h:9092/", "\"9092/\" is not a port, a number from 0 to 65535".to_owned()),
            ("PLAINTEXT://h:-1", "\"-1\" is not a port, a number from 0 to 65535".to_owned()),
            ("PLAINTEXT://a b:1", form("a host has no ' ' in it")),
            ("PLAINTEXT://a:b:1", format!("\"a:b\" is not a host; {FORM}; an IPv6 address stands in brackets")),
            ("PLAINTEXT://[::1:9092", "the bracket in [::1 is not closed".to_owned()),
        ];
        for (entry, fault) in faults {
            check(entry, Err(&fault));
        }
    }

    #[test]
    fn placeholders_are_named() {
        for (entry, placeholder) in [
            ("PLAINTEXT://${HOST}:9092", "${HOST}"),
            ("PLAINTEXT://${env:HOST:-localhost}:9092", "${env:HOST:-localhost}"),
            ("PLAINTEXT://$HOST:9092", "$HOST"),
            ("PLAINTEXT://$(hostname):9092", "$(hostname)"),
            ("PLAINTEXT://{{ host }}:9092", "{{ host }}"),
            ("PLAINTEXT://{host}:9092", "{host}"),
            ("PLAINTEXT://<host>:9092", "<host>"),
            ("PLAINTEXT://%HOST%:9092", "%HOST%"),
            ("PLAINTEXT://@HOST@:9092", "@HOST@"),
            ("PLAINTEXT://[host]:9092", "[host]"),
            ("PLAINTEXT://localhost:${PORT}", "${PORT}"),
            ("${LISTENER}", "${LISTENER}"),
        ] {
            check(entry, Err(&format!("{placeholder} is a placeholder: put what it stands for")));
        }
    }
}
