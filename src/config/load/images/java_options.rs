//! Java system properties about security, in the variables with options of the Java virtual machine.

use super::{Found, Variables, from_variable};
use crate::load::LoadError;

/// The variables, those with precedence first.
const VARIABLES: [&str; 3] = ["KAFKA_OPTS", "KAFKA_JVM_PERFORMANCE_OPTS", "JAVA_TOOL_OPTIONS"];

const JAAS_PROPERTY: &str = "java.security.auth.login.config";
const JAAS_FILE: &str = "ottla.jaas.file";
/// A file with properties that replace Java's: to forbid algorithms, or for FIPS.
const PROPERTIES_FILE: &str = "java.security.properties";
/// Bitnami's name of the file with Java's own properties.
const ORIGINAL_PROPERTIES: &str = "java.security.original";
/// The URLs that OAUTHBEARER may use.
const ALLOWED_URLS: &str = "org.apache.kafka.sasl.oauthbearer.allowed.urls";
const KEYS_URL: &str = "sasl.oauthbearer.jwks.endpoint.url";
/// Login modules that JAAS may not have.
const DISALLOWED_MODULES: &str = "org.apache.kafka.disallowed.login.modules";

/// Properties that restrict what TLS of a server offers, and the setting that does the same.
const TLS_RESTRICTIONS: [(&str, &str); 3] = [
    ("jdk.tls.server.cipherSuites", "ssl.cipher.suites"),
    ("jdk.tls.server.protocols", "ssl.enabled.protocols"),
    ("jdk.tls.namedGroups", "ssl.cipher.suites"),
];

pub(super) fn apply(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    if let Some((variable, path)) = property(variables, JAAS_PROPERTY)? {
        // A path after a second equals sign replaces Java's other configurations, of which there are none here.
        let path = path.trim_start_matches('=').trim_matches(['"', '\'']).to_owned();
        if !path.is_empty() && !found.is_given_after_file(JAAS_FILE) {
            found.set(JAAS_FILE, &path, from_variable(&variable))?;
        }
    }
    if found.has_tls() || found.has_sasl() {
        check_properties_file(variables)?;
    }
    if found.has_tls() {
        check_tls(variables)?;
    }
    if found.has_sasl() {
        check_modules(variables)?;
        check_urls(variables, found)?;
    }
    Ok(())
}

/// The variable and the value of a system property; of several, the last one of a variable counts.
fn property(variables: Variables<'_>, name: &str) -> Result<Option<(String, String)>, LoadError> {
    let start = format!("-D{name}=");
    for variable in VARIABLES {
        let Some((given, options)) = variables.read(variable)? else { continue };
        let value = options.split_whitespace().filter_map(|option| option.strip_prefix(&start)).next_back();
        if let Some(value) = value {
            return Ok(Some((given, value.to_owned())));
        }
    }
    Ok(None)
}

fn refuse<T>(variable: &str, property: &str, why: &str) -> Result<T, LoadError> {
    Err(LoadError::Unprotected(format!("{variable} (environment) has the Java property {property}: {why}")))
}

fn check_properties_file(variables: Variables<'_>) -> Result<(), LoadError> {
    match property(variables, PROPERTIES_FILE)? {
        Some((variable, path)) if !path.ends_with(ORIGINAL_PROPERTIES) => refuse(
            &variable,
            PROPERTIES_FILE,
            "files that change Java's cryptography have no meaning here; remove it, and set ssl.enabled.protocols or \
             ssl.cipher.suites",
        ),
        _ => Ok(()),
    }
}

fn check_tls(variables: Variables<'_>) -> Result<(), LoadError> {
    for (name, setting) in TLS_RESTRICTIONS {
        if let Some((variable, _)) = property(variables, name)? {
            let why = format!("Java's TLS is not used here; remove it, and set {setting}");
            return refuse(&variable, name, &why);
        }
    }
    Ok(())
}

fn check_modules(variables: Variables<'_>) -> Result<(), LoadError> {
    match property(variables, DISALLOWED_MODULES)? {
        Some((variable, modules)) if modules.contains("org.apache.kafka.common.security.") => refuse(
            &variable,
            DISALLOWED_MODULES,
            "login modules of Kafka cannot be disallowed; remove it, and leave their mechanisms out of \
             sasl.enabled.mechanisms",
        ),
        _ => Ok(()),
    }
}

/// Kafka does not start if a URL is not among the allowed ones. Without the property, all are allowed here.
fn check_urls(variables: Variables<'_>, found: &Found<'_>) -> Result<(), LoadError> {
    let Some((variable, allowed)) = property(variables, ALLOWED_URLS)? else { return Ok(()) };
    let is_allowed = |url: &str| allowed.split(',').map(str::trim).any(|entry| entry == url || entry == "*");
    let urls = found.values.given_at_start().filter(|(name, ..)| name.ends_with(KEYS_URL));
    match urls.into_iter().find(|(_, url, _)| !is_allowed(url)) {
        Some((name, url, _)) => {
            refuse(&variable, ALLOWED_URLS, &format!("{name}={} is not among its URLs", url.escape_debug()))
        }
        None => Ok(()),
    }
}
