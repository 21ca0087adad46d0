//! Settings of security of the ports for HTTP that protect nothing: of ports that are not open, and parts of keystores.

use super::broker::BrokerConfig;
use super::setting::Setting;
use super::table::{self, Scope};
use super::values::Values;

/// A port for HTTP.
struct Port {
    /// The beginning of the names of its settings.
    prefix: &'static str,
    is_open: fn(&BrokerConfig) -> bool,
    /// What is missing if it is not open.
    missing: &'static str,
}

const PORTS: [Port; 4] = [
    Port {
        prefix: "ottla.admin.",
        is_open: |config| config.admin.is_some(),
        missing: "the admin port; set ottla.admin.listener, or use --admin-port",
    },
    Port {
        prefix: "ottla.metrics.",
        is_open: |config| config.metrics.port.is_some(),
        missing: "ottla.metrics.listener",
    },
    Port {
        prefix: "ottla.registry.",
        is_open: |config| config.registry.is_some(),
        missing: "the schema registry; set ottla.registry.listener, or use --registry-port",
    },
    Port {
        prefix: "ottla.rest.proxy.",
        is_open: |config| config.rest_proxy.is_some(),
        missing: "the REST proxy; set ottla.rest.proxy.listener",
    },
];

/// The keystores of these ports.
const STORES: [&str; 3] = ["ottla.admin.ssl", "ottla.registry.ssl", "ottla.rest.proxy.ssl"];

/// Notices about tokens, users and keystores that protect nothing.
pub(super) fn notices(config: &BrokerConfig) -> Vec<String> {
    let given = config.values.given_at_start().filter(|(name, value, _)| {
        let default = table::find(Scope::Broker, name).and_then(|setting: &Setting| setting.default);
        !value.is_empty() && default != Some(value)
    });
    let notice = |name: &str| {
        let port = PORTS.iter().find(|port| name.starts_with(port.prefix))?;
        let rest = name.strip_prefix(port.prefix)?;
        let protects = ["token", "users", "scram.users", "allowed.hosts"].contains(&rest) || rest.starts_with("ssl.");
        // The port for metrics has the keystore and the hosts of the admin port.
        let is_shared = port.prefix == "ottla.admin." && (rest.starts_with("ssl.") || rest == "allowed.hosts");
        let is_used = (port.is_open)(config) || is_shared && config.metrics.port.is_some();
        (protects && !is_used).then(|| format!("{name} has no effect without {}", port.missing))
    };
    given.filter_map(|(name, ..)| notice(name)).chain(of_files(config)).collect()
}

/// Notices about settings for what is not enabled.
fn of_files(config: &BrokerConfig) -> Vec<String> {
    let is_given = |name: &str| config.values.source(name).is_some();
    let has_sasl = config.listeners.iter().any(|listener| listener.protocol.is_sasl());
    let has_console = config.admin.as_ref().is_some_and(|admin| admin.console.is_some());
    let has_issuer = config.secure.as_ref().is_some_and(|secure| secure.issuer.is_some());
    let needs = [
        ("ottla.jaas.file", has_sasl, "a listener with SASL"),
        ("ottla.console.principal", has_console, "ottla.console.enable=true"),
        ("ottla.secure.hosts", config.secure.is_some(), "ottla.secure=true"),
        ("ottla.secure.dir", config.secure.is_some(), "ottla.secure=true"),
        ("ottla.oidc.token.lifetime.seconds", has_issuer, "ottla.oidc.issuer.enable=true"),
    ];
    let unused = needs.into_iter().filter(|(name, is_used, _)| is_given(name) && !is_used);
    unused.map(|(name, _, what)| format!("{name} has no effect without {what}")).collect()
}

/// Rejects a password of a keystore that is missing: without it, the port would have no TLS.
pub(super) fn check(values: &Values) -> Result<(), String> {
    let is_given = |name: &str| values.given(name).is_some_and(|value| !value.is_empty());
    for prefix in STORES {
        let of_store = ["location", "key", "certificate.chain"];
        if of_store.iter().any(|last| is_given(&format!("{prefix}.keystore.{last}"))) {
            continue;
        }
        for name in [format!("{prefix}.keystore.password"), format!("{prefix}.key.password")] {
            if is_given(&name) {
                return Err(format!(
                    "{name} is set, but there is no keystore; set {prefix}.keystore.location, or remove the password"
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::setting::Kind;
    use super::super::{Sources, load};
    use super::*;

    fn start(given: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let command_line = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, ..Sources::default() });
        loaded.map(|resolved| resolved.notices).map_err(|error| error.to_string())
    }

    #[test]
    fn every_setting_of_security_without_its_port_is_refused_or_a_notice() {
        let is_of_security = |setting: &&Setting| {
            let last = |end| setting.name.ends_with(end);
            setting.name.starts_with("ottla.")
                && (setting.kind == Kind::Password
                    || setting.name.contains(".ssl.")
                    || last(".users")
                    || last(".hosts")
                    || last(".principal")
                    || last(".dir")
                    || last(".file"))
        };
        let mut count = 0;
        for setting in table::all(Scope::Broker).filter(is_of_security) {
            count += 1;
            let value =
                if setting.kind == Kind::Password || setting.name.ends_with("users") { "ann:secret" } else { "x" };
            match start(&[(setting.name, value)]) {
                Ok(notices) => {
                    assert!(notices.iter().any(|line| line.starts_with(setting.name)), "{}: {notices:?}", setting.name);
                }
                Err(error) => assert!(error.contains(setting.name) && !error.contains("secret"), "{error}"),
            }
        }
        assert!(count > 25, "{count}");
    }

    #[test]
    fn settings_of_an_open_port_are_no_notice() {
        let port = |prefix: &str| (format!("{prefix}listener"), "0".to_owned());
        for (prefix, name, value) in [
            ("ottla.admin.", "ottla.admin.scram.users", "ann"),
            ("ottla.metrics.", "ottla.metrics.token", "secret"),
            ("ottla.metrics.", "ottla.admin.ssl.keystore.location", "/store.pem"),
            ("ottla.registry.", "ottla.registry.ssl.keystore.location", "/store.pem"),
            ("ottla.rest.proxy.", "ottla.rest.proxy.scram.users", "ann"),
        ] {
            let (listener, at) = port(prefix);
            assert_eq!(start(&[(&listener, &at), (name, value)]), Ok(Vec::new()), "{name}");
            let notices = start(&[(name, value)]).unwrap();
            assert!(
                notices.len() == 1 && notices[0].starts_with(&format!("{name} has no effect without ")),
                "{notices:?}"
            );
        }
    }

    #[test]
    fn password_of_a_missing_keystore_is_refused() {
        let expect = "ottla.registry.ssl.keystore.password is set, but there is no keystore; set \
                      ottla.registry.ssl.keystore.location, or remove the password";
        let given = [("ottla.registry.listener", "0"), ("ottla.registry.ssl.keystore.password", "secret")];
        assert_eq!(start(&given), Err(expect.to_owned()));
    }
}
