//! The settings of Confluent's registry: from flags, the environment and a properties file.
//!
//! A setting about security that cannot be honoured is refused. Others that are not known have no effect, and a warning
//! names them. What the registry of the broker has as well becomes a setting of a broker (`ottla.registry.*`), whose
//! parsers read it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::tools::connect::Properties;
use ottla_config::{RegistryConfig, Sources, load};

/// How many replicas a new topic has, if there are enough brokers.
const DEFAULT_REPLICATION: usize = 3;
/// How long the start waits for a broker (`kafkastore.init.timeout.ms`).
const DEFAULT_INIT_TIMEOUT: Duration = Duration::from_secs(60);
const LISTENERS: &str = "listeners";
const DEFAULT_LISTENER: &str = "http://0.0.0.0:8081";
const BOOTSTRAP: &str = "kafkastore.bootstrap.servers";
const PROTOCOL: &str = "kafkastore.security.protocol";
const STORE: &str = "kafkastore.";
const ENVIRONMENT: &str = "SCHEMA_REGISTRY_";

/// What the registry needs to start.
#[derive(Debug)]
pub struct Settings {
    pub bootstrap_servers: String,
    /// Settings of the client, without the prefix `kafkastore.`.
    pub client: Properties,
    pub registry: RegistryConfig,
    pub scheme: &'static str,
    /// The name by which the other registries of the group reach this one; `None` for the machine's name.
    pub host_name: Option<String>,
    pub group: String,
    pub is_eligible: bool,
    pub replication: usize,
    pub init_timeout: Duration,
    /// For the log; `None` to keep `RUST_LOG`.
    pub log_level: Option<String>,
    /// Names of settings without effect.
    pub without_effect: Vec<String>,
}

/// Settings with names of their own among those of a broker: Confluent's name, and the broker's.
const OF_THE_REGISTRY: &[(&str, &str)] = &[
    ("kafkastore.topic", "ottla.registry.topic"),
    ("avro.compatibility.level", "ottla.registry.compatibility.level"),
    ("schema.compatibility.level", "ottla.registry.compatibility.level"),
    ("mode.mutability", "ottla.registry.mode.mutability"),
    ("ssl.keystore.location", "ottla.registry.ssl.keystore.location"),
    ("ssl.keystore.password", "ottla.registry.ssl.keystore.password"),
    ("ssl.keystore.type", "ottla.registry.ssl.keystore.type"),
    ("ssl.key.password", "ottla.registry.ssl.key.password"),
    ("ottla.registry.users", "ottla.registry.users"),
    ("ottla.registry.allowed.hosts", "ottla.registry.allowed.hosts"),
];

/// Beginnings of settings about security, which are refused if they are not known.
const SECURITY: [&str; 6] = [
    "authentication.",
    "ssl.client",
    "ssl.keystore.",
    "confluent.schema.registry.auth",
    "ottla.registry.scram",
    "ottla.registry.ssl",
];

/// Settings about security that are refused unless they have one of these values (or none).
const REFUSED: &[(&str, &[&str])] = &[
    ("authentication.method", &["NONE"]),
    ("authentication.realm", &[]),
    ("authentication.roles", &["*"]),
    ("ssl.client.auth", &["false"]),
    ("ssl.client.authentication", &["NONE"]),
    ("ssl.provider", &[]),
    ("ssl.cipher.suites", &[]),
    ("ssl.enabled.protocols", &["TLSv1.2,TLSv1.3", "TLSv1.3,TLSv1.2", "TLSv1.3", "TLSv1.2"]),
    ("confluent.schema.registry.authorizer.class", &[]),
    ("confluent.schema.registry.auth.mechanism", &[]),
    ("schema.registry.resource.extension.class", &[]),
    ("resource.extension.class", &[]),
    ("rest.servlet.initializor.classes", &[]),
    ("websocket.servlet.initializor.classes", &[]),
    ("schema.registry.inter.instance.protocol", &["http", "https"]),
    ("inter.instance.protocol", &["http", "https"]),
];

impl Settings {
    /// Reads settings by their names; a later source has replaced those of earlier ones. The error is one line.
    pub fn read(mut given: BTreeMap<String, String>) -> Result<Settings, String> {
        for (name, allowed) in REFUSED {
            let Some(value) = given.remove(*name) else { continue };
            let value = value.trim();
            if !value.is_empty() && !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)) {
                return Err(format!("{name}={} is not supported; remove it", value.escape_debug()));
            }
        }
        if let Some(url) = take(&mut given, "kafkastore.connection.url") {
            return Err(format!(
                "kafkastore.connection.url={} is an address of ZooKeeper; set {BOOTSTRAP}",
                url.escape_debug()
            ));
        }
        let protocol = take(&mut given, PROTOCOL).unwrap_or_else(|| "PLAINTEXT".to_owned());
        let servers = take(&mut given, BOOTSTRAP)
            .ok_or_else(|| format!("no broker is given; use --bootstrap-server or set {BOOTSTRAP}"))?;
        let bootstrap_servers = servers_of(&servers, &protocol)?;
        let listeners = take(&mut given, LISTENERS).unwrap_or_else(|| DEFAULT_LISTENER.to_owned());
        let (scheme, address) = listener(&listeners)?;
        let host_name = take(&mut given, "host.name");
        let eligible = take(&mut given, "leader.eligibility").or_else(|| take(&mut given, "master.eligibility"));
        let group = take(&mut given, "schema.registry.group.id").or_else(|| take(&mut given, "group.id"));
        let replication = number(&mut given, "kafkastore.topic.replication.factor", DEFAULT_REPLICATION)?;
        let init_timeout = number(&mut given, "kafkastore.init.timeout.ms", millis(DEFAULT_INIT_TIMEOUT))?;
        let is_debug = take(&mut given, "debug").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let level = take(&mut given, "log4j.root.loglevel").map(|level| log_level(&level)).transpose()?;
        let registry = registry(&mut given, scheme, address, host_name.as_deref())?;
        let is_https = scheme == "https";
        let of_security = |name: &str| {
            let counts = is_https || !name.starts_with("ssl.");
            counts && SECURITY.iter().any(|beginning| name.starts_with(beginning))
        };
        if let Some(name) = given.keys().find(|name| of_security(name)) {
            return Err(format!("{name} is not supported; remove it"));
        }
        let mut client = Properties::default();
        client.set("security.protocol", &protocol);
        client.set("client.id", "schema-registry");
        client.set("default.api.timeout.ms", &init_timeout.to_string());
        let of_client = |name: &str| {
            let name = name.strip_prefix(STORE)?;
            ["ssl.", "sasl.", "security."].iter().any(|prefix| name.starts_with(prefix)).then(|| name.to_owned())
        };
        let mut without_effect = Vec::new();
        for (name, value) in given {
            match of_client(&name) {
                Some(name) => client.set(&name, &value),
                None => without_effect.push(name),
            }
        }
        Ok(Settings {
            bootstrap_servers,
            client,
            registry,
            scheme,
            host_name,
            group: group.unwrap_or_else(|| "schema-registry".to_owned()),
            is_eligible: eligible.is_none_or(|value| !value.eq_ignore_ascii_case("false")),
            replication,
            init_timeout: Duration::from_millis(init_timeout),
            log_level: if is_debug { Some("debug".to_owned()) } else { level },
            without_effect,
        })
    }
}

/// The settings in the environment: `SCHEMA_REGISTRY_HOST_NAME` is `host.name`. Two underscores are one, three a hyphen.
pub fn of_environment(variables: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let name = |variable: &str| {
        let name = variable.strip_prefix(ENVIRONMENT)?.to_ascii_lowercase();
        let name = name.replace("___", "-").replace("__", "\0").replace('_', ".").replace('\0', "_");
        (!name.is_empty() && !IGNORED_VARIABLES.contains(&name.as_str())).then_some(name)
    };
    variables.filter_map(|(variable, value)| Some((name(&variable)?, value))).collect()
}

/// Variables that start scripts of Java programs read, and those that Kubernetes and Docker set for a service called
/// `schema-registry`.
const IGNORED_VARIABLES: &[&str] = &[
    "heap.opts",
    "opts",
    "jvm.performance.opts",
    "jmx.opts",
    "jmx.port",
    "jmx.hostname",
    "log4j.opts",
    "log4j.loggers",
    "cub.kafka.timeout",
    "cub.kafka.min.brokers",
    "classpath",
    "port",
    "service.host",
    "service.port",
];

/// A setting that is not empty.
fn take(given: &mut BTreeMap<String, String>, name: &str) -> Option<String> {
    given.remove(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
}

fn number<T: std::str::FromStr>(given: &mut BTreeMap<String, String>, name: &str, default: T) -> Result<T, String> {
    match take(given, name) {
        None => Ok(default),
        Some(text) => text.parse().map_err(|_| format!("{name}={} is not a number", text.escape_debug())),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn log_level(text: &str) -> Result<String, String> {
    match text.to_ascii_uppercase().as_str() {
        "FATAL" => Ok("error".to_owned()),
        "ALL" => Ok("trace".to_owned()),
        "OFF" | "ERROR" | "WARN" | "INFO" | "DEBUG" | "TRACE" => Ok(text.to_ascii_lowercase()),
        _ => Err(format!("log4j.root.loglevel={} is not a level", text.escape_debug())),
    }
}

/// The bootstrap servers without their protocols. Those with another protocol than the client's do not count, as in
/// Confluent's registry.
fn servers_of(servers: &str, protocol: &str) -> Result<String, String> {
    let mut usable = Vec::new();
    for server in servers.split(',').map(str::trim).filter(|server| !server.is_empty()) {
        match server.split_once("://") {
            Some((other, address)) if other.eq_ignore_ascii_case(protocol) => usable.push(address),
            Some(_) => {}
            None => usable.push(server),
        }
    }
    match usable.is_empty() {
        false => Ok(usable.join(",")),
        true => Err(format!("{BOOTSTRAP} has no server with the protocol {protocol}; see {PROTOCOL}")),
    }
}

/// The scheme and the address of the only listener.
fn listener(listeners: &str) -> Result<(&'static str, &str), String> {
    if listeners.contains(',') {
        return Err(format!("{LISTENERS}={} has more than one listener; give one", listeners.escape_debug()));
    }
    let listener = listeners.trim().trim_end_matches('/');
    match listener.split_once("://") {
        Some(("http", address)) => Ok(("http", address)),
        Some(("https", address)) => Ok(("https", address)),
        _ => Err(format!("{LISTENERS}={} does not begin with http:// or https://", listeners.escape_debug())),
    }
}

/// What the registry of a broker has as well.
fn registry(
    given: &mut BTreeMap<String, String>,
    scheme: &str,
    address: &str,
    host_name: Option<&str>,
) -> Result<RegistryConfig, String> {
    let mut settings = vec![("ottla.registry.listener".to_owned(), address.to_owned())];
    for (name, of_broker) in OF_THE_REGISTRY {
        let Some(value) = take(given, name) else { continue };
        // Without TLS, its settings do not count, as in Confluent's registry.
        if scheme == "https" || !name.starts_with("ssl.") {
            settings.push(((*of_broker).to_owned(), value));
        }
    }
    let sources = Sources { command_line: settings, ..Sources::default() };
    let loaded = load(&sources).map_err(|error| error.to_string())?;
    let mut registry = loaded.config.registry.ok_or("the registry has no listener")?;
    if scheme == "https" && registry.tls.is_none() {
        return Err(format!("{LISTENERS} has https, which needs ssl.keystore.location"));
    }
    registry.allowed_hosts.extend(host_name.map(str::to_owned));
    Ok(registry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let variables = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut given = of_environment(variables);
        given.entry(BOOTSTRAP.to_owned()).or_insert_with(|| "kafka:9092".to_owned());
        Settings::read(given)
    }

    #[test]
    fn environment_of_cp_schema_registry_is_read() {
        let settings = read(&[
            ("SCHEMA_REGISTRY_HOST_NAME", "schema-registry"),
            ("SCHEMA_REGISTRY_LISTENERS", "http://0.0.0.0:8085"),
            ("SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS", "PLAINTEXT://a:1,SSL://b:2, SASL_SSL://c:3"),
            ("SCHEMA_REGISTRY_KAFKASTORE_SECURITY_PROTOCOL", "SASL_SSL"),
            ("SCHEMA_REGISTRY_KAFKASTORE_SASL_MECHANISM", "PLAIN"),
            ("SCHEMA_REGISTRY_KAFKASTORE_TOPIC", "other"),
            ("SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL", "full"),
            ("SCHEMA_REGISTRY_MODE_MUTABILITY", "false"),
            ("SCHEMA_REGISTRY_GROUP_ID", "group"),
            ("SCHEMA_REGISTRY_LOG4J_ROOT_LOGLEVEL", "WARN"),
            ("SCHEMA_REGISTRY_ACCESS_CONTROL_ALLOW_ORIGIN", "*"),
            ("SCHEMA_REGISTRY_HEAP_OPTS", "-Xmx1g"),
            ("PATH", "/bin"),
        ]);
        let settings = settings.unwrap();
        assert_eq!(settings.bootstrap_servers, "c:3");
        assert_eq!(settings.client.get("sasl.mechanism"), Some("PLAIN"));
        assert_eq!(settings.client.get("security.protocol"), Some("SASL_SSL"));
        assert_eq!((settings.registry.topic.as_str(), settings.registry.bind.port), ("other", 8085));
        assert_eq!(settings.registry.compatibility_level, "full");
        assert!(!settings.registry.mode_mutability && settings.is_eligible);
        assert_eq!(settings.registry.allowed_hosts, ["schema-registry"]);
        assert_eq!((settings.group.as_str(), settings.log_level.as_deref()), ("group", Some("warn")));
        assert_eq!(settings.without_effect, ["access.control.allow.origin"]);
    }

    #[test]
    fn security_that_cannot_be_honoured_is_refused() {
        for (name, value) in [
            ("AUTHENTICATION_METHOD", "BASIC"),
            ("AUTHENTICATION_SKIP_PATHS", "/"),
            ("OTTLA_REGISTRY_SCRAM_USERS", "*"),
            ("SSL_CLIENT_AUTHENTICATION", "REQUIRED"),
            ("RESOURCE_EXTENSION_CLASS", "a.B"),
            ("LISTENERS", "https://0.0.0.0:8081"),
            ("KAFKASTORE_CONNECTION_URL", "zookeeper:2181"),
            ("KAFKASTORE_SECURITY_PROTOCOL", "SSL"),
        ] {
            let pairs = [
                (format!("SCHEMA_REGISTRY_{name}"), value),
                ("SCHEMA_REGISTRY_KAFKASTORE_BOOTSTRAP_SERVERS".to_owned(), "PLAINTEXT://a:1"),
            ];
            let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (name.as_str(), *value)).collect();
            let error = read(&pairs).unwrap_err();
            assert!(!error.contains('\n'), "{name}: {error}");
        }
        assert!(read(&[("SCHEMA_REGISTRY_AUTHENTICATION_METHOD", "NONE")]).is_ok());
        assert!(Settings::read(BTreeMap::new()).unwrap_err().contains("--bootstrap-server"));
    }
}
