//! The admin port: its bind address, the host names that it accepts, and the console.

use super::listener::{BindAddress, parse_host_and_port};
use super::password::Password;
use super::tls::TlsConfig;
use super::values::{Source, Values};

const LISTENER: &str = "ottla.admin.listener";
const TOKEN: &str = "ottla.admin.token";
const CONSOLE: &str = "ottla.console.enable";
/// The admin port if the console is enabled and no other is set.
const CONSOLE_PORT: &str = "9644";

/// The settings of the admin port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminConfig {
    /// `ottla.admin.listener`.
    pub bind: BindAddress,
    /// `ottla.admin.allowed.hosts`: names that the Host header may contain, in addition to this machine's own.
    pub allowed_hosts: Vec<String>,
    /// `ottla.admin.token`.
    pub token: Option<Password>,
    /// `ottla.admin.scram.users`; empty if requests need no password.
    pub scram_users: Vec<String>,
    /// `ottla.admin.ssl.*`; `None` without a keystore.
    pub tls: Option<TlsConfig>,
    /// `None` without `ottla.console.enable`.
    pub console: Option<ConsoleConfig>,
    /// `ottla.trace.ring.bytes`.
    pub trace_ring_bytes: usize,
}

/// The settings of the console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleConfig {
    /// `ottla.console.principal`, such as `User:ANONYMOUS`.
    pub principal: String,
}

/// Opens the admin port if the console is enabled and no admin port is set. The error is one line.
pub(super) fn apply(values: &mut Values) -> Result<(), String> {
    if !values.read::<bool>(CONSOLE) {
        return Ok(());
    }
    match values.given(LISTENER) {
        Some("") => Err(format!("{CONSOLE}=true needs the admin port; set {LISTENER}, or use --admin-port")),
        Some(_) => Ok(()),
        None => {
            values.set_static(LISTENER, CONSOLE_PORT, Source::Setting(CONSOLE));
            Ok(())
        }
    }
}

/// Reads the settings; `None` if the admin port is off. The error is one line.
pub(super) fn resolve(values: &Values) -> Result<Option<AdminConfig>, String> {
    let Some(text) = values.given(LISTENER).filter(|text| !text.is_empty()) else { return Ok(None) };
    // A port alone is bound to localhost, because the admin port can delete all data.
    let bind = bind_address(LISTENER, text, "localhost:9644")?;
    let token = values.given(TOKEN).map(Password::new).filter(|token| !token.expose().is_empty());
    let tls = TlsConfig::of_http_port(values, "ADMIN", "ottla.admin.ssl");
    let console =
        values.read::<bool>(CONSOLE).then(|| ConsoleConfig { principal: values.read("ottla.console.principal") });
    Ok(Some(AdminConfig {
        bind,
        allowed_hosts: values.read("ottla.admin.allowed.hosts"),
        token,
        scram_users: values.read("ottla.admin.scram.users"),
        tls,
        console,
        trace_ring_bytes: values.read("ottla.trace.ring.bytes"),
    }))
}

/// Reads the address of a port for HTTP: `host:port`, or a port, which is bound to localhost.
pub(super) fn bind_address(name: &str, text: &str, example: &str) -> Result<BindAddress, String> {
    let bind = match text.contains(':') {
        true => parse_host_and_port(text),
        false => parse_host_and_port(&format!("localhost:{text}")),
    };
    bind.ok_or_else(|| match text.rsplit(':').next().map(str::parse::<u64>) {
        Some(Ok(port)) if port > u16::MAX.into() => format!("{name}: the port {port} is more than 65535"),
        _ => format!("{name}: \"{text}\" is not host:port, such as {example}"),
    })
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
    fn admin_port_is_off_by_default() {
        assert_eq!(admin(&[]), Ok(None));
        assert_eq!(admin(&[("ottla.admin.listener", "")]), Ok(None));
    }

    #[test]
    fn token_or_keystore_without_an_admin_port_is_a_notice() {
        let notices = |pairs: &[(&str, &str)]| {
            let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            load(&Sources { command_line, ..Sources::default() }).unwrap().notices
        };
        let expect =
            "ottla.admin.token has no effect without the admin port; set ottla.admin.listener, or use --admin-port";
        assert_eq!(notices(&[(TOKEN, "hush")]), [expect]);
        let keystore = "ottla.admin.ssl.keystore.location";
        assert_eq!(notices(&[(keystore, "/k")]), [expect.replace(TOKEN, keystore)]);
        assert!(notices(&[(keystore, "/k"), (LISTENER, "0")]).is_empty());
        assert!(notices(&[(TOKEN, "")]).is_empty());
        assert!(notices(&[(TOKEN, "hush"), (LISTENER, "0")]).is_empty());
    }

    #[test]
    fn port_without_host_is_bound_to_localhost() {
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
    fn allowed_hosts_are_a_list() {
        let pairs = [("ottla.admin.listener", "0"), ("ottla.admin.allowed.hosts", "kafka, broker.test")];
        assert_eq!(admin(&pairs).unwrap().unwrap().allowed_hosts, ["kafka", "broker.test"]);
    }

    #[test]
    fn token_is_hidden_and_keystore_gives_tls() {
        let of = |pairs: &[(&str, &str)]| admin(&[&[("ottla.admin.listener", "0")], pairs].concat()).unwrap().unwrap();
        assert_eq!((of(&[]).token, of(&[]).tls), (None, None));
        assert_eq!(of(&[("ottla.admin.token", "")]).token, None);
        let config = of(&[("ottla.admin.token", "secret"), ("ottla.admin.ssl.keystore.location", "/k.pem")]);
        assert_eq!(config.token.as_ref().map(Password::expose), Some("secret"));
        assert!(!format!("{config:?}").contains("secret"));
        let keystore = config.tls.unwrap().keystore;
        assert_eq!((keystore.store_type.value.as_str(), keystore.location.unwrap().value.as_str()), ("PEM", "/k.pem"));
    }

    #[test]
    fn console_opens_the_admin_port_unless_it_is_off() {
        let enabled = (CONSOLE, "true");
        let config = admin(&[enabled]).unwrap().unwrap();
        assert_eq!(config.bind, BindAddress { host: BindHost::Named("localhost".to_owned()), port: 9644 });
        assert_eq!(config.console.unwrap().principal, "User:ANONYMOUS");
        let config = admin(&[enabled, (LISTENER, "0"), ("ottla.console.principal", "User:ann")]).unwrap().unwrap();
        assert_eq!((config.bind.port, config.console.unwrap().principal.as_str()), (0, "User:ann"));
        assert_eq!(admin(&[(LISTENER, "0")]).unwrap().unwrap().console, None);
        let expect = "ottla.console.enable=true needs the admin port; set ottla.admin.listener, or use --admin-port";
        assert_eq!(admin(&[enabled, (LISTENER, "")]).unwrap_err(), expect);
    }

    #[test]
    fn invalid_admin_address_is_rejected_with_one_line() {
        for text in ["here", "localhost:", "http://localhost:1", "a b:1"] {
            let message = admin(&[("ottla.admin.listener", text)]).unwrap_err();
            assert!(message.starts_with(&format!("ottla.admin.listener: \"{text}\" is not host:port")), "{message}");
        }
        for text in ["localhost:99999", "99999"] {
            let message = admin(&[("ottla.admin.listener", text)]).unwrap_err();
            assert_eq!(message, "ottla.admin.listener: the port 99999 is more than 65535");
        }
    }
}
