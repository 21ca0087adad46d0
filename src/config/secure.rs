//! `ottla.secure`: listeners with TLS and SASL that need no other setting. The broker makes their certificates.
//!
//! What is derived here are settings like those that a user would write, so all else (DescribeConfigs, `ottla config`)
//! knows nothing of this. A given setting is never replaced.

use std::path::PathBuf;

use super::broker::BrokerConfig;
use super::listener::{self, ListenerSettings, SecurityProtocol};
use super::listener_values::full_name;
use super::password::Password;
use super::text;
use super::values::{Source, Values};

const SECURE: &str = "ottla.secure";
const ISSUER: &str = "ottla.oidc.issuer.enable";
const USERS: &str = "ottla.users";
const MECHANISMS: &str = "sasl.enabled.mechanisms";
const PLAIN_USERS: &str = "plain.sasl.jaas.config";
const KEYS_URL: &str = "sasl.oauthbearer.jwks.endpoint.url";

/// The file with the server's private key and certificates.
pub const SERVER_FILE: &str = "server.pem";
/// The file with the public keys of the OIDC issuer.
pub const ISSUER_KEYS_FILE: &str = "jwks.json";

/// What the broker makes at start for its listeners with TLS and SASL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecureConfig {
    /// Where keys, certificates and client configurations are: `ottla.secure.dir`, or the data directory. Apache Kafka
    /// ignores files there.
    pub dir: PathBuf,
    /// `ottla.secure`: whether certificates and client configurations are made.
    pub certificates: bool,
    /// `ottla.secure.hosts`, and the hosts of `advertised.listeners`.
    pub hosts: Vec<String>,
    /// The built-in OIDC issuer.
    pub issuer: Option<IssuerConfig>,
}

/// The built-in OIDC issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerConfig {
    /// `ottla.oidc.token.lifetime.seconds`.
    pub token_lifetime_seconds: u32,
}

/// A user of SASL listeners.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: Password,
}

/// Reads the settings; `None` if nothing is to be made.
pub(super) fn resolve(values: &Values) -> Option<SecureConfig> {
    let (certificates, issuer): (bool, _) = (values.read(SECURE), issuer(values));
    if !certificates && issuer.is_none() {
        return None;
    }
    let mut hosts: Vec<String> = values.read("ottla.secure.hosts");
    let advertised = values.given("advertised.listeners").unwrap_or_default();
    hosts.extend(listener::hosts(advertised));
    let dir = match values.given("ottla.secure.dir").filter(|dir| !dir.is_empty()) {
        Some(dir) => dir.into(),
        None => data_dir(values),
    };
    Some(SecureConfig { dir, certificates, hosts, issuer })
}

/// The first data directory.
fn data_dir(values: &Values) -> PathBuf {
    let dirs = values.given("log.dirs").map(str::to_owned).or_else(|| values.read("log.dir"));
    let first = dirs.as_deref().and_then(|dirs| text::list(dirs).next().map(PathBuf::from));
    first.unwrap_or_default()
}

fn issuer(values: &Values) -> Option<IssuerConfig> {
    let has_admin_port = values.given("ottla.admin.listener").is_some_and(|at| !at.is_empty());
    let enabled = match values.given(ISSUER) {
        Some(_) => values.read(ISSUER),
        None => values.read(SECURE) && has_admin_port,
    };
    enabled.then(|| IssuerConfig { token_lifetime_seconds: values.read("ottla.oidc.token.lifetime.seconds") })
}

/// Sets what `ottla.secure` and the OIDC issuer imply. The error is one line.
pub(super) fn apply(values: &mut Values) -> Result<(), String> {
    let users = users(values)?;
    if values.read(SECURE) {
        check_names(&users)?;
    }
    if issuer(values).is_some() && values.given("ottla.admin.listener").is_none_or(str::is_empty) {
        return Err(format!("{ISSUER}=true needs the admin port; set ottla.admin.listener, or use --admin-port"));
    }
    let Some(SecureConfig { dir, certificates, issuer, .. }) = resolve(values) else { return Ok(()) };
    let protocol_map = values.text("listener.security.protocol.map").unwrap_or_default().into_owned();
    let controllers = values.text("controller.listener.names").unwrap_or_default().into_owned();
    if certificates {
        let settings = ListenerSettings {
            listeners: values.given("listeners"),
            advertised: values.given("advertised.listeners"),
            protocol_map: &protocol_map,
            controllers: &controllers,
        };
        let secured = listener::with_secure(settings)?;
        values.set_static("listeners", &secured.listeners, Source::Setting(SECURE));
        if let Some(advertised) = secured.advertised {
            values.set_static("advertised.listeners", &advertised, Source::Setting(SECURE));
        }
        values.set_added_listeners(secured.added);
    }
    let dir = std::path::absolute(&dir).unwrap_or(dir);
    let settings = ListenerSettings {
        listeners: values.given("listeners"),
        advertised: values.given("advertised.listeners"),
        protocol_map: &protocol_map,
        controllers: &controllers,
    };
    for (name, protocol) in listener::protocols(settings)? {
        if certificates && protocol.is_tls() && !has_keystore(values, &name) {
            let keystore = dir.join(SERVER_FILE);
            set(values, SECURE, &name, "ssl.keystore.type", "PEM");
            set(values, SECURE, &name, "ssl.keystore.location", &keystore.display().to_string());
        }
        if protocol.is_sasl() {
            apply_sasl(
                values,
                &name,
                certificates,
                issuer.is_some(),
                &format!("file://{}", dir.join(ISSUER_KEYS_FILE).display()),
            );
        }
    }
    Ok(())
}

fn apply_sasl(values: &mut Values, listener: &str, certificates: bool, has_issuer: bool, keys_url: &str) {
    if certificates && !is_given(values, listener, MECHANISMS) {
        let bearer = if has_issuer { ",OAUTHBEARER" } else { "" };
        set(values, SECURE, listener, MECHANISMS, &format!("PLAIN,SCRAM-SHA-256,SCRAM-SHA-512{bearer}"));
        if values.given("ottla.jaas.file").is_none() && !is_given(values, listener, PLAIN_USERS) {
            // Without a user, which SASL refuses otherwise.
            let module = "org.apache.kafka.common.security.plain.PlainLoginModule required;";
            set(values, SECURE, listener, PLAIN_USERS, module);
        }
    }
    let mechanisms = values.of_listener(listener).text(MECHANISMS).unwrap_or_default().into_owned();
    let has_bearer = text::list(&mechanisms).any(|mechanism| mechanism == "OAUTHBEARER");
    let has_own_keys =
        is_given(values, listener, KEYS_URL) || is_given(values, listener, "oauthbearer.sasl.jaas.config");
    if has_issuer && has_bearer && !has_own_keys {
        set(values, ISSUER, listener, KEYS_URL, keys_url);
        // Only the issuer has the key. Its name is the URL by which a client reaches it, so there is more than one.
        for (allow, expected) in [
            ("sasl.oauthbearer.allow.unverified.issuer", "sasl.oauthbearer.expected.issuer"),
            ("sasl.oauthbearer.allow.unverified.audience", "sasl.oauthbearer.expected.audience"),
        ] {
            if !is_given(values, listener, expected) {
                set(values, ISSUER, listener, allow, "true");
            }
        }
    }
}

fn is_given(values: &Values, listener: &str, name: &str) -> bool {
    values.given(&full_name(listener, name)).or(values.given(name)).is_some()
}

fn has_keystore(values: &Values, listener: &str) -> bool {
    ["location", "key", "certificate.chain"]
        .iter()
        .any(|last| is_given(values, listener, &format!("ssl.keystore.{last}")))
}

fn set(values: &mut Values, from: &'static str, listener: &str, name: &str, value: &str) {
    values.set_static(&full_name(listener, name), value, Source::Setting(from));
}

/// The users of `ottla.users`. The error has no part of the value, which contains passwords.
pub(super) fn users(values: &Values) -> Result<Vec<User>, String> {
    read_users(USERS, values.given(USERS).unwrap_or_default())
}

/// Reads users from the text of a setting.
pub(super) fn read_users(setting: &str, text: &str) -> Result<Vec<User>, String> {
    let mut users: Vec<User> = Vec::new();
    for (entry, at) in split(text).iter().zip(1..) {
        let (name, password) = match entry.split_once(':') {
            Some((name, password)) if !name.trim().is_empty() && !password.is_empty() => (name.trim(), password),
            _ => return Err(format!("{setting}: user {at} is not name:password")),
        };
        if users.iter().any(|user| user.name == name) {
            return Err(format!("{setting}: the name of user {at} is listed twice"));
        }
        users.push(User { name: name.to_owned(), password: Password::new(password) });
    }
    Ok(users)
}

/// Refuses names that SCRAM cannot log in: Kafka's grammar of its messages is ASCII, and the client configurations have
/// SCRAM. Names do not appear in the error, as an entry that is not split as it was meant may have a password.
fn check_names(users: &[User]) -> Result<(), String> {
    match users.iter().zip(1..).find(|(user, _)| !is_of_scram(user)) {
        None => Ok(()),
        Some((_, at)) => Err(format!(
            "{USERS}: the name of user {at} has a character outside of ASCII, with which SCRAM cannot log in; use other \
             letters"
        )),
    }
}

/// Whether SCRAM can log in this user.
fn is_of_scram(user: &User) -> bool {
    user.name.is_ascii() && !user.name.contains('\0')
}

/// Notices about users that can log in nowhere, or not with every mechanism.
pub(super) fn notices(config: &BrokerConfig) -> Vec<String> {
    let has_scram = |listener: &listener::Listener| {
        let mechanisms = config.values.of_listener(&listener.name).text(MECHANISMS).unwrap_or_default();
        listener.protocol.is_sasl() && text::list(&mechanisms).any(|mechanism| mechanism.starts_with("SCRAM-"))
    };
    let without_scram = config.users.iter().zip(1..).find(|(user, _)| !is_of_scram(user));
    let without_scram = without_scram.filter(|_| config.listeners.iter().any(has_scram)).map(|(_, at)| {
        format!("{USERS}: user {at} cannot log in with SCRAM, as in Kafka, because its name has a character outside of ASCII")
    });
    without_login(config).into_iter().chain(without_scram).collect()
}

/// A notice about users that can log in nowhere.
fn without_login(config: &BrokerConfig) -> Option<String> {
    let has_login = config.listeners.iter().any(|listener| listener.protocol.is_sasl());
    let has_issuer = config.secure.as_ref().is_some_and(|secure| secure.issuer.is_some());
    (!config.users.is_empty() && !has_login && !has_issuer).then(|| {
        format!("{USERS}: no listener demands a login, so clients need none; add --secure, or a listener with SASL_SSL")
    })
}

/// Joins users for `ottla.users`: commas and backslashes get a backslash.
pub fn join_users<'a>(users: impl IntoIterator<Item = &'a str>) -> String {
    let escaped = users.into_iter().map(|user| user.replace('\\', "\\\\").replace(',', "\\,"));
    escaped.collect::<Vec<_>>().join(",")
}

/// Splits at commas and line ends.
fn split(text: &str) -> Vec<String> {
    let (mut entries, mut entry) = (Vec::new(), String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => entry.extend(characters.next()),
            ',' | '\n' => entries.push(std::mem::take(&mut entry)),
            '\r' => {}
            other => entry.push(other),
        }
    }
    entries.push(entry);
    entries.retain(|entry| !entry.trim().is_empty());
    entries
}

/// The protocols of listeners that `ottla.secure` adds, with their ports.
pub(super) const ADDED: [(SecurityProtocol, u16); 2] =
    [(SecurityProtocol::Ssl, 9093), (SecurityProtocol::SaslSsl, 9094)];

#[cfg(test)]
mod tests {
    use super::super::{Sources, load};
    use super::*;

    fn config(port: Option<u16>, pairs: &[(&str, &str)]) -> Result<BrokerConfig, String> {
        let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let loaded = load(&Sources { command_line, port, ..Sources::default() });
        loaded.map(|resolved| resolved.config).map_err(|error| error.to_string())
    }

    /// Checks the listeners and their advertised addresses.
    #[track_caller]
    fn check(port: Option<u16>, pairs: &[(&str, &str)], expect: &str) {
        let config = config(port, &[&[(SECURE, "true"), ("log.dirs", "/d")], pairs].concat()).unwrap();
        let listener = |it: &super::super::Listener| {
            let host = it.advertised.host.as_deref().unwrap_or("-");
            format!("{}={}:{}@{host}", it.name, it.protocol, it.bind.port)
        };
        let listeners: Vec<_> = config.listeners.iter().map(listener).collect();
        assert_eq!(listeners.join(" "), expect);
    }

    #[test]
    fn only_ports_that_the_user_did_not_name_can_be_replaced() {
        let added = |port, pairs: &[(&str, &str)]| {
            let config = config(port, &[&[(SECURE, "true")], pairs].concat()).unwrap();
            // They advertise the port that they get.
            assert!(config.listeners.iter().all(|it| !it.is_added || it.advertised.port.is_none()));
            let added = config.listeners.iter().filter(|it| it.is_added).map(|it| it.name.clone());
            added.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(added(None, &[]), "SSL SASL_SSL");
        assert_eq!(added(Some(7), &[]), "SSL SASL_SSL");
        assert_eq!(added(None, &[("listeners", "PLAINTEXT://:9092,SSL://:9093")]), "SASL_SSL");
        let advertised = [("listeners", "PLAINTEXT://:9092"), ("advertised.listeners", "PLAINTEXT://kafka:9092")];
        assert_eq!(added(None, &advertised), "SSL SASL_SSL");
        let config = config(None, &[("listeners", "PLAINTEXT://:9092,SSL://:9093")]).unwrap();
        assert!(!config.listeners.iter().any(|it| it.is_added));
    }

    #[test]
    fn users_without_a_listener_that_demands_a_login_are_a_notice() {
        let notices = |pairs: &[(&str, &str)]| {
            let command_line = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let loaded = load(&Sources { command_line, ..Sources::default() }).unwrap();
            loaded.notices.iter().filter(|notice| notice.starts_with(USERS)).count()
        };
        let user = (USERS, "ann:secret");
        assert_eq!(notices(&[user]), 1);
        assert_eq!(notices(&[user, (SECURE, "true")]), 0);
        assert_eq!(notices(&[user, ("listeners", "SASL_PLAINTEXT://:9092")]), 0);
        assert_eq!(notices(&[user, (ISSUER, "true"), ("ottla.admin.listener", "0")]), 0);
        assert_eq!(notices(&[]), 0);
    }

    #[test]
    fn listeners_are_added_beside_those_that_are_given() {
        check(None, &[], "PLAINTEXT=PLAINTEXT:9092@- SSL=SSL:9093@- SASL_SSL=SASL_SSL:9094@-");
        check(Some(0), &[], "PLAINTEXT=PLAINTEXT:0@- SSL=SSL:0@- SASL_SSL=SASL_SSL:0@-");
        check(
            None,
            &[("listeners", "PLAINTEXT://:9093,CONTROLLER://:9094"), ("controller.listener.names", "CONTROLLER")],
            "PLAINTEXT=PLAINTEXT:9093@- SSL=SSL:9094@- SASL_SSL=SASL_SSL:9095@-",
        );
        check(Some(7), &[], "PLAINTEXT=PLAINTEXT:7@- SSL=SSL:9093@- SASL_SSL=SASL_SSL:9094@-");
        check(
            None,
            &[
                ("listeners", "PLAINTEXT://:1,TLS://:2"),
                ("listener.security.protocol.map", "TLS:SSL,PLAINTEXT:PLAINTEXT"),
            ],
            "PLAINTEXT=PLAINTEXT:1@- TLS=SSL:2@- SASL_SSL=SASL_SSL:9094@-",
        );
        check(
            None,
            &[("advertised.listeners", "PLAINTEXT://kafka:1")],
            "PLAINTEXT=PLAINTEXT:1@kafka SSL=SSL:9093@kafka SASL_SSL=SASL_SSL:9094@kafka",
        );
        check(
            None,
            &[("advertised.listeners", "PLAINTEXT://kafka:1,SSL://kafka:2,SASL_SSL://kafka:3")],
            "PLAINTEXT=PLAINTEXT:1@kafka SSL=SSL:2@kafka SASL_SSL=SASL_SSL:3@kafka",
        );
    }

    #[test]
    fn added_listener_with_another_protocol_in_the_map_is_refused() {
        for (map, name, protocol) in [
            ("SSL:PLAINTEXT", "SSL", "PLAINTEXT"),
            ("SASL_SSL:SASL_PLAINTEXT", "SASL_SSL", "SASL_PLAINTEXT"),
            ("SASL_SSL:SSL", "SASL_SSL", "SSL"),
        ] {
            let expect = format!(
                "ottla.secure adds the listener {name}, but listener.security.protocol.map has {name}:{protocol}; use \
                 {name}:{name}, or another name for the listener with {protocol}"
            );
            let given = [(SECURE, "true"), ("listener.security.protocol.map", map), ("listeners", "PLAINTEXT://:1")];
            assert_eq!(config(None, &given).unwrap_err(), expect);
        }
    }

    #[test]
    fn given_keystore_and_mechanisms_are_kept() {
        let text = |pairs: &[(&str, &str)], listener: &str, name: &str| {
            let config = config(None, &[&[(SECURE, "true"), ("log.dirs", "/d")], pairs].concat()).unwrap();
            config.values.of_listener(listener).text(name).map(std::borrow::Cow::into_owned).unwrap_or_default()
        };
        assert_eq!(text(&[], "SSL", "ssl.keystore.location"), "/d/server.pem");
        assert_eq!(text(&[("ottla.secure.dir", "/s")], "SASL_SSL", "ssl.keystore.location"), "/s/server.pem");
        assert_eq!(text(&[("ssl.keystore.location", "/k")], "SSL", "ssl.keystore.location"), "/k");
        assert_eq!(text(&[], "SASL_SSL", MECHANISMS), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
        assert_eq!(text(&[(MECHANISMS, "PLAIN")], "SASL_SSL", MECHANISMS), "PLAIN");
        let admin = [("ottla.admin.listener", "0")];
        assert_eq!(text(&admin, "SASL_SSL", MECHANISMS), "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER");
        assert_eq!(text(&admin, "SASL_SSL", KEYS_URL), "file:///d/jwks.json");
        assert_eq!(text(&[admin[0], (KEYS_URL, "https://x")], "SASL_SSL", KEYS_URL), "https://x");
    }

    #[test]
    fn users_are_pairs_and_errors_have_no_password() {
        let users = |text: &str| config(None, &[(USERS, text)]).map(|config| config.users);
        let names =
            |text: &str| users(text).unwrap().into_iter().map(|user| (user.name, user.password.expose().to_owned()));
        let check = |text: &str, expect: &[(&str, &str)]| {
            let expect: Vec<_> = expect.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            assert_eq!(names(text).collect::<Vec<_>>(), expect, "{text}");
        };
        check("", &[]);
        check("a:b", &[("a", "b")]);
        check("a:b:c, d:e", &[("a", "b:c"), ("d", "e")]);
        check("a:b\nc:d\r\n", &[("a", "b"), ("c", "d")]);
        check(&join_users(["a:x,y\\", "b:z"]), &[("a", "x,y\\"), ("b", "z")]);
        for (text, at) in [("secret", 1), ("a:b,secret:", 2), (":secret", 1)] {
            assert_eq!(users(text).unwrap_err(), format!("ottla.users: user {at} is not name:password"));
        }
        assert_eq!(users("a:b,a:c").unwrap_err(), "ottla.users: the name of user 2 is listed twice");
        assert!(!format!("{:?}", users("a:secret").unwrap()).contains("secret"));
    }

    #[test]
    fn name_that_scram_cannot_log_in_is_refused_where_clients_are_configured_with_scram_and_else_a_notice() {
        let user = (USERS, "ann:secret,n\u{e9}:secret");
        assert_eq!(
            config(None, &[(SECURE, "true"), user]).unwrap_err(),
            "ottla.users: the name of user 2 has a character outside of ASCII, with which SCRAM cannot log in; use other \
             letters"
        );
        let notices = |mechanisms: &str| {
            let given = [user, ("listeners", "SASL_PLAINTEXT://:1"), (MECHANISMS, mechanisms)];
            let command_line = given.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
            load(&Sources { command_line, ..Sources::default() }).unwrap().notices
        };
        let expect = "ottla.users: user 2 cannot log in with SCRAM, as in Kafka, because its name has a character outside \
                      of ASCII";
        assert_eq!(notices("PLAIN,SCRAM-SHA-256"), [expect]);
        assert!(notices("PLAIN").is_empty());
    }

    #[test]
    fn issuer_without_admin_port_is_refused() {
        assert_eq!(
            config(None, &[(ISSUER, "true")]).unwrap_err(),
            "ottla.oidc.issuer.enable=true needs the admin port; set ottla.admin.listener, or use --admin-port"
        );
        assert_eq!(config(None, &[(SECURE, "true")]).unwrap().secure.unwrap().issuer, None);
    }
}
