//! The admin port: where it listens, and by which names it may be called.

use super::listener::{BindAddress, parse_host_and_port};
use super::values::Values;

/// An admin port that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// `ottla.admin.listener`.
    pub bind: BindAddress,
    /// `ottla.admin.allowed.hosts`: names beside those of this machine itself that requests may give as their host.
    pub allowed_hosts: Vec<String>,
}

/// Reads the settings; `None` where there shall be no admin port. The error is one plain line.
pub(super) fn resolve(values: &Values) -> Result<Option<AdminConfig>, String> {
    let Some(text) = values.given("ottla.admin.listener").filter(|text| !text.is_empty()) else { return Ok(None) };
    // A port alone is on this machine's own addresses: whoever reaches the admin port can wipe the broker.
    let bind = match text.contains(':') {
        true => parse_host_and_port(text),
        false => parse_host_and_port(&format!("localhost:{text}")),
    };
    let bind = bind.ok_or_else(|| match text.rsplit(':').next().map(str::parse::<u64>) {
        Some(Ok(port)) if port > u16::MAX.into() => {
            format!("ottla.admin.listener: the port {port} is more than 65535")
        }
        _ => format!("ottla.admin.listener: \"{text}\" is not of the form host:port, such as localhost:9644"),
    })?;
    Ok(Some(AdminConfig { bind, allowed_hosts: values.read("ottla.admin.allowed.hosts") }))
}

#[cfg(test)]
mod tests {
    use super::super::{BindHost, Sources, load};
    use super::*;

    fn admin(pairs: &[(&str, &str)]) -> Result<Option<AdminConfig>, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(|resolved| resolved.config.admin).map_err(|error| error.to_string())
    }

    #[test]
    fn nobody_gets_one_unasked() {
        assert_eq!(admin(&[]), Ok(None));
        assert_eq!(admin(&[("ottla.admin.listener", "")]), Ok(None));
    }

    #[test]
    fn a_port_alone_is_this_machines() {
        let check = |text, host, port| {
            let bind = admin(&[("ottla.admin.listener", text)]).unwrap().unwrap().bind;
            assert_eq!(bind, BindAddress { host, port }, "{text}");
        };
        let named = |host: &str| BindHost::Named(host.to_owned());
        check("0", named("localhost"), 0);
        check("9644", named("localhost"), 9644);
        check("localhost:9644", named("localhost"), 9644);
        check("127.0.0.1:9644", named("127.0.0.1"), 9644);
        check("[::1]:9644", named("::1"), 9644);
        check("0.0.0.0:9644", BindHost::AnyV4, 9644);
        check(":9644", BindHost::Any, 9644);
    }

    #[test]
    fn hosts_are_a_list() {
        let pairs = [("ottla.admin.listener", "0"), ("ottla.admin.allowed.hosts", "kafka, broker.test")];
        assert_eq!(admin(&pairs).unwrap().unwrap().allowed_hosts, ["kafka", "broker.test"]);
    }

    #[test]
    fn what_is_no_address_is_refused_in_one_line() {
        for text in ["here", "localhost:", "http://localhost:1", "a b:1"] {
            let said = admin(&[("ottla.admin.listener", text)]).unwrap_err();
            assert!(said.starts_with(&format!("ottla.admin.listener: \"{text}\" is not of the form")), "{said}");
        }
        for text in ["localhost:99999", "99999"] {
            let said = admin(&[("ottla.admin.listener", text)]).unwrap_err();
            assert_eq!(said, "ottla.admin.listener: the port 99999 is more than 65535");
        }
    }
}
