//! The Kafka listeners of Redpanda's files and flags, with their security.

use super::address::Address;
use super::start::{Given, Settings};
use super::tls::Tls;
use ottla_config::secure::join_users;

const DEFAULT_PORT: u16 = 9092;
/// The listener's name in the broker's settings, if it has none.
const UNNAMED: &str = "DEFAULT";
const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";

/// Adds the listeners, SASL and the authorizer.
pub fn add(given: &Given<'_>, settings: &mut Settings) -> Result<(), String> {
    let (listeners, advertised) = addresses(given)?;
    let (mut bound, mut protocols, mut has_sasl) = (Vec::new(), Vec::new(), false);
    for listener in &listeners {
        let name = listener.name.as_deref().unwrap_or(UNNAMED);
        let tls = Tls::find(given, "kafka_api_tls", given.node.get("redpanda").get("kafka_api_tls"), listener)?;
        let authentication = authentication(given, listener)?;
        bound.push(format!("{name}://{}", listener.host_and_port()));
        protocols.push(format!("{name}:{}", authentication.protocol(name, tls.is_some())?));
        has_sasl |= authentication == Authentication::Sasl;
        if let Some(tls) = tls {
            tls.add_to_listener(name, authentication == Authentication::Certificate, settings);
        }
    }
    settings.set("listeners", bound.join(","));
    settings.set("listener.security.protocol.map", protocols.join(","));
    add_advertised(&listeners, &advertised, settings);
    if has_sasl {
        add_sasl(given, settings);
    }
    add_authorizer(given, settings);
    add_bootstrap_user(given, settings)
}

/// The listeners and what they advertise.
pub fn addresses(given: &Given<'_>) -> Result<(Vec<Address>, Vec<Address>), String> {
    let redpanda = given.node.get("redpanda");
    let read = |flag: &str, value: &Option<String>, property: &str| match value {
        Some(list) => Address::parse_list(flag, list, DEFAULT_PORT),
        None => Address::read_list(property, redpanda.get(property), DEFAULT_PORT),
    };
    let mut listeners = read("--kafka-addr", &given.arguments.kafka, "kafka_api")?;
    if listeners.is_empty() {
        listeners.push(Address::new("0.0.0.0", DEFAULT_PORT));
    }
    let advertised = read("--advertise-kafka-addr", &given.arguments.advertised_kafka, "advertised_kafka_api")?;
    Ok((listeners, advertised))
}

fn add_advertised(listeners: &[Address], advertised: &[Address], settings: &mut Settings) {
    let mut addresses = Vec::new();
    for address in advertised {
        let name = address.name.as_deref().unwrap_or(UNNAMED);
        match listeners.iter().any(|listener| listener.name == address.name) {
            true => addresses.push(format!("{name}://{}", address.host_and_port())),
            false => settings.ignore(format!("advertised_kafka_api {name}")),
        }
    }
    if !addresses.is_empty() {
        settings.set("advertised.listeners", addresses.join(","));
    }
}

/// How the clients of a listener authenticate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Authentication {
    None,
    Sasl,
    Certificate,
}

impl Authentication {
    fn protocol(self, name: &str, has_tls: bool) -> Result<&'static str, String> {
        match (self, has_tls) {
            (Authentication::None, false) => Ok("PLAINTEXT"),
            (Authentication::Sasl, false) => Ok("SASL_PLAINTEXT"),
            (Authentication::None | Authentication::Certificate, true) => Ok("SSL"),
            (Authentication::Sasl, true) => Ok("SASL_SSL"),
            (Authentication::Certificate, false) => {
                Err(format!("kafka_api {name}: authentication_method mtls_identity needs TLS (kafka_api_tls)"))
            }
        }
    }
}

fn authentication(given: &Given<'_>, listener: &Address) -> Result<Authentication, String> {
    match listener.authentication.as_deref() {
        // `kafka_enable_authorization` separates authorization from authentication, which `enable_sasl` set together.
        None if given.properties.get("kafka_enable_authorization").is_null()
            && given.properties.get("enable_sasl").is_true() =>
        {
            Ok(Authentication::Sasl)
        }
        None | Some("none") => Ok(Authentication::None),
        Some("sasl") => Ok(Authentication::Sasl),
        Some("mtls_identity") => Ok(Authentication::Certificate),
        Some(other) => Err(format!(
            "kafka_api: authentication_method \"{}\" is not none, sasl or mtls_identity",
            other.escape_debug()
        )),
    }
}

fn add_sasl(given: &Given<'_>, settings: &mut Settings) {
    for mechanism in given.properties.get("sasl_mechanisms").items().iter().filter_map(|item| item.text()) {
        if mechanism != "SCRAM" {
            settings.ignore(format!("sasl_mechanisms {mechanism}"));
        }
    }
    settings.set("sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512");
}

fn add_authorizer(given: &Given<'_>, settings: &mut Settings) {
    let rules = given.properties.get("kafka_mtls_principal_mapping_rules").items();
    if !rules.is_empty() {
        let rules: Vec<&str> = rules.iter().filter_map(|rule| rule.text()).collect();
        settings.set("ssl.principal.mapping.rules", rules.join(","));
    }
    let authorization = match given.properties.get("kafka_enable_authorization") {
        unset if unset.is_null() => given.properties.get("enable_sasl").is_true(),
        value => value.is_true(),
    };
    if authorization {
        let super_users: Vec<String> = given.superusers().into_iter().map(|name| format!("User:{name}")).collect();
        settings.set("authorizer.class.name", AUTHORIZER);
        settings.set("super.users", super_users.join(";"));
    }
}

/// Adds the user of `RP_BOOTSTRAP_USER`: name:password, or name:password:mechanism.
fn add_bootstrap_user(given: &Given<'_>, settings: &mut Settings) -> Result<(), String> {
    let Some(user) = (given.variable)("RP_BOOTSTRAP_USER").filter(|user| !user.is_empty()) else { return Ok(()) };
    let credentials = match user.rsplit_once(':') {
        Some((credentials, "SCRAM-SHA-256" | "SCRAM-SHA-512")) => credentials,
        _ => user.as_str(),
    };
    if !credentials.contains(':') {
        return Err("RP_BOOTSTRAP_USER is not name:password".to_owned());
    }
    settings.set("ottla.users", join_users([credentials]));
    Ok(())
}
