//! `NAME://host:port`: parsing and formatting of one entry of `listeners` or `advertised.listeners`.

use std::fmt;
use std::net::Ipv6Addr;

use crate::text;

/// The parts of `NAME://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// In upper case.
    pub name: String,
    /// Without brackets; empty means all addresses.
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
    /// Parses one entry. The error is the fault, without the entry.
    pub fn parse(entry: &str) -> Result<Endpoint, String> {
        if let Some(placeholder) = placeholder(entry) {
            return Err(format!("{placeholder} is a placeholder: replace it by a value"));
        }
        let (name, address) = entry.split_once("://").ok_or_else(|| format!("NAME:// is missing; {FORM}"))?;
        if name.is_empty() {
            return Err(format!("the name before :// is missing; {FORM}"));
        }
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)) {
            return Err(format!(
                "\"{name}\" is not a valid listener name: use letters, digits, \"_\", \"-\" and \".\""
            ));
        }
        Endpoint::of_address(name.to_ascii_uppercase(), address)
    }

    /// Parses `host:port`.
    pub fn of_address(name: String, address: &str) -> Result<Endpoint, String> {
        let is_without_port = address.ends_with(']') || address.parse::<Ipv6Addr>().is_ok() && !has_port(address);
        let (host, port) = match address.rsplit_once(':') {
            Some((host, port)) if !is_without_port && !port.is_empty() => (host, port),
            _ => return Err(format!("the port is missing; {FORM}")),
        };
        let port = parse_port(port)?;
        let bare = host.strip_prefix('[').map_or(Some(host), |host| host.strip_suffix(']'));
        let bare = bare.ok_or_else(|| format!("the bracket in {host} is not closed"))?;
        if host.contains(':') && !host.starts_with('[') && bare.parse::<Ipv6Addr>().is_err() {
            return Err(format!("\"{host}\" is not a valid host; {FORM}; put an IPv6 address in brackets"));
        }
        if let Some(wrong) = bare.chars().find(|c| !(c.is_ascii_alphanumeric() || "_-.:%".contains(*c))) {
            return Err(format!("{wrong:?} is not allowed in a host; {FORM}"));
        }
        Ok(Endpoint { name, host: bare.to_owned(), port })
    }
}

/// Whether the last part of an IPv6 address without brackets is a port, because what precedes it is an address too.
fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv6Addr>().is_ok())
}

/// Parses a port.
pub(super) fn parse_port(text: &str) -> Result<u16, String> {
    text.parse::<u16>().map_err(|_| match text.parse::<u64>() {
        Ok(number) => format!("the port {number} is more than 65535"),
        Err(_) => format!("\"{text}\" is not a port, a number from 0 to 65535"),
    })
}

/// Finds an unreplaced placeholder of a template: `${HOST}`, `$HOST`, `{{ host }}`, `<host>`, `%HOST%`, `@HOST@`, or
/// `[host]` if it is not an IPv6 address.
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

/// Parses all entries of `setting`. The error is one line.
pub(super) fn parse_all(setting: &str, text: &str) -> Result<Vec<Endpoint>, String> {
    text::list(text)
        .map(|entry| Endpoint::parse(entry).map_err(|fault| format!("{setting}: \"{entry}\": {fault}")))
        .collect()
}

/// Formats the entries as a value of the setting.
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
    fn valid_entries_are_parsed() {
        check("PLAINTEXT://:9092", Ok("PLAINTEXT://:9092"));
        check("plaintext://Kafka-1.example:0", Ok("PLAINTEXT://Kafka-1.example:0"));
        check("A://[::1]:65535", Ok("A://[::1]:65535"));
        check("A://::1:9092", Ok("A://[::1]:9092"));
        check("A://[fe80::1%eth0]:1", Ok("A://[fe80::1%eth0]:1"));
    }

    #[test]
    fn invalid_entry_is_rejected_with_its_fault() {
        let form = |what: &str| format!("{what}; {FORM}");
        let faults = [
            ("localhost:9092", form("NAME:// is missing")),
            ("://h:1", form("the name before :// is missing")),
            (
                "A B://h:1",
                "\"A B\" is not a valid listener name: use letters, digits, \"_\", \"-\" and \".\"".to_owned(),
            ),
            ("PLAINTEXT://localhost", form("the port is missing")),
            ("PLAINTEXT://localhost:", form("the port is missing")),
            ("PLAINTEXT://[::1]", form("the port is missing")),
            ("PLAINTEXT://h:99999", "the port 99999 is more than 65535".to_owned()),
            ("PLAINTEXT://h:9092/", "\"9092/\" is not a port, a number from 0 to 65535".to_owned()),
            ("PLAINTEXT://h:-1", "\"-1\" is not a port, a number from 0 to 65535".to_owned()),
            ("PLAINTEXT://a b:1", form("' ' is not allowed in a host")),
            ("PLAINTEXT://a:b:1", format!("\"a:b\" is not a valid host; {FORM}; put an IPv6 address in brackets")),
            ("PLAINTEXT://[::1:9092", "the bracket in [::1 is not closed".to_owned()),
        ];
        for (entry, fault) in faults {
            check(entry, Err(&fault));
        }
    }

    #[test]
    fn placeholder_is_rejected_by_name() {
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
            check(entry, Err(&format!("{placeholder} is a placeholder: replace it by a value")));
        }
    }
}
