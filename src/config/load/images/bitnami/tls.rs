//! `KAFKA_TLS_…`, and the files with certificates.

use std::fs;
use std::path::{Path, PathBuf};

use super::{config_dirs, dir_with, is_set};
use crate::listener::SecurityProtocol;
use crate::listener_values::full_name;
use crate::load::LoadError;
use crate::load::images::{Found, Variables, from_variable, join};
use crate::text;
use crate::values::Source;

/// The format of the files, under its name and that of old releases.
const TYPE: [&str; 2] = ["KAFKA_TLS_TYPE", "KAFKA_CFG_TLS_TYPE"];
const CLIENT_AUTH: [&str; 2] = ["KAFKA_TLS_CLIENT_AUTH", "KAFKA_CFG_TLS_CLIENT_AUTH"];
const TRUSTSTORE_FILE: &str = "KAFKA_TLS_TRUSTSTORE_FILE";
const PASSWORD: &str = "KAFKA_CERTIFICATE_PASSWORD";
/// The subdirectory with certificates of a directory with mounted files.
const CERTIFICATES: &str = "certs";
/// The setting from which the values follow that no variable has.
const LISTENERS: &str = "listeners";

/// A format of the files, with their names.
struct Format {
    /// The value of the settings with the type of a store.
    store_type: &'static str,
    keystore: &'static [&'static str],
    truststore: &'static str,
}

const JKS: Format = Format { store_type: "JKS", keystore: &["kafka.keystore.jks"], truststore: "kafka.truststore.jks" };
const PEM: Format = Format {
    store_type: "PEM",
    keystore: &["kafka.keystore.pem", "kafka.keystore.key"],
    truststore: "kafka.truststore.pem",
};

/// The listener in `TLS_<LISTENER>_CLIENT_AUTH`.
pub(super) fn listener_of(rest: &str) -> Option<&str> {
    let listener = rest.strip_prefix("TLS_")?.strip_suffix("_CLIENT_AUTH")?;
    Some(listener).filter(|listener| !listener.is_empty())
}

pub(super) fn apply(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    let format = format(variables)?;
    if !found.has_tls() {
        let all = TYPE.into_iter().chain(CLIENT_AUTH).chain([TRUSTSTORE_FILE, PASSWORD]);
        for name in all.filter(|name| is_set(variables, name)) {
            found.has_no_effect(name);
        }
    }
    apply_to_listeners(variables, found)?;
    // The certificate that `ottla.secure` makes is for listeners without one.
    let makes_own = found.values.given("ottla.secure").and_then(text::parse_bool) == Some(true);
    if !found.has_tls() || makes_own {
        return Ok(());
    }
    apply_client_auth(variables, found)?;
    let password = variables.read(PASSWORD)?;
    apply_keystore(variables, found, &format, password.as_ref())?;
    apply_truststore(variables, found, &format, password.as_ref())
}

fn format(variables: Variables<'_>) -> Result<Format, LoadError> {
    let Some((variable, value)) = first(variables, TYPE)? else { return Ok(JKS) };
    match value.to_ascii_uppercase().as_str() {
        "JKS" => Ok(JKS),
        "PEM" => Ok(PEM),
        _ => Err(LoadError::Conflict(format!("{variable}={} is neither JKS nor PEM", value.escape_debug()))),
    }
}

/// The first variable that is set.
fn first(variables: Variables<'_>, names: [&str; 2]) -> Result<Option<(String, String)>, LoadError> {
    let [name, old] = names;
    Ok(match variables.read(name)? {
        Some(found) => Some(found),
        None => variables.read(old)?,
    })
}

/// `KAFKA_TLS_<LISTENER>_CLIENT_AUTH`.
fn apply_to_listeners(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    for variable in variables.names() {
        let Some(listener) = variable.strip_prefix("KAFKA_").and_then(listener_of) else { continue };
        let has_tls =
            |(name, protocol): &(String, SecurityProtocol)| name.eq_ignore_ascii_case(listener) && protocol.is_tls();
        match (found.listeners.iter().any(has_tls), variables.given(variable)) {
            (true, Some(value)) => {
                found.set_if_not_given(&full_name(listener, "ssl.client.auth"), value, from_variable(variable))?;
            }
            _ => found.has_no_effect(variable),
        }
    }
    Ok(())
}

/// The image demands certificates of clients unless it is told otherwise; as in Kafka, not at SASL_SSL listeners.
fn apply_client_auth(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    if let Some((variable, value)) = first(variables, CLIENT_AUTH)? {
        return match found.is_given_after_file("ssl.client.auth") {
            true => {
                found.has_no_effect(variable);
                Ok(())
            }
            false => found.set("ssl.client.auth", &value, from_variable(&variable)),
        };
    }
    let has_ssl = found.listeners.iter().any(|(_, protocol)| *protocol == SecurityProtocol::Ssl);
    // A mounted file replaces all that the image derives.
    let is_of_environment = ["listeners", "advertised.listeners"]
        .iter()
        .any(|name| matches!(found.values.source(name), Some(Source::Environment(_))));
    match has_ssl && is_of_environment {
        true => found.set_if_not_given("ssl.client.auth", "required", Source::Setting(LISTENERS)),
        false => Ok(()),
    }
}

fn apply_keystore(
    variables: Variables<'_>,
    found: &mut Found<'_>,
    format: &Format,
    password: Option<&(String, String)>,
) -> Result<(), LoadError> {
    if ["location", "key", "certificate.chain"].iter().any(|last| found.is_given(&format!("ssl.keystore.{last}"))) {
        return apply_password(found, "ssl.keystore", password);
    }
    let without = found.listeners.iter().find(|(name, protocol)| {
        let has_own = |last: &str| found.is_given(&full_name(name, &format!("ssl.keystore.{last}")));
        protocol.is_tls() && !["location", "key"].into_iter().any(has_own)
    });
    let Some((listener, _)) = without else { return Ok(()) };
    let Some(dir) = dir_with(certificate_dirs(variables), format.keystore) else {
        return Err(LoadError::Conflict(format!(
            "the listener {listener} needs a certificate; mount {} in /opt/bitnami/kafka/config/certs, or set \
             ssl.keystore.location",
            format.keystore.join(" and ")
        )));
    };
    let from = || Source::Setting(LISTENERS);
    found.set("ssl.keystore.type", format.store_type, from())?;
    match format.keystore {
        [certificate, key] => {
            found.set("ssl.keystore.certificate.chain", &read(&dir.join(certificate))?, from())?;
            found.set("ssl.keystore.key", &read(&dir.join(key))?, from())?;
        }
        files => found.set("ssl.keystore.location", &join(&dir, &files.concat()), from())?,
    }
    apply_password(found, "ssl.keystore", password)
}

/// One password is for both stores and the private key. A PEM file has none for itself.
fn apply_password(found: &mut Found<'_>, store: &str, password: Option<&(String, String)>) -> Result<(), LoadError> {
    let Some((variable, password)) = password else { return Ok(()) };
    let is_pem = |value: &str| value.eq_ignore_ascii_case(PEM.store_type);
    if !found.values.text(&format!("{store}.type")).is_some_and(|value| is_pem(&value)) {
        found.set_if_not_given(&format!("{store}.password"), password, from_variable(variable))?;
    }
    found.set_if_not_given("ssl.key.password", password, from_variable(variable))
}

fn apply_truststore(
    variables: Variables<'_>,
    found: &mut Found<'_>,
    format: &Format,
    password: Option<&(String, String)>,
) -> Result<(), LoadError> {
    if ["location", "certificates"].iter().any(|last| found.is_given(&format!("ssl.truststore.{last}"))) {
        return apply_password(found, "ssl.truststore", password);
    }
    let (path, from) = match variables.given(TRUSTSTORE_FILE) {
        Some(path) => (PathBuf::from(path), from_variable(TRUSTSTORE_FILE)),
        None => match dir_with(certificate_dirs(variables), &[format.truststore]) {
            Some(dir) => (dir.join(format.truststore), Source::Setting(LISTENERS)),
            None => return Ok(()),
        },
    };
    found.set("ssl.truststore.type", format.store_type, from.clone())?;
    match format.store_type == PEM.store_type {
        true => found.set("ssl.truststore.certificates", &read(&path)?, from)?,
        false => found.set("ssl.truststore.location", &path.display().to_string(), from)?,
    }
    apply_password(found, "ssl.truststore", password)
}

fn certificate_dirs(variables: Variables<'_>) -> impl Iterator<Item = PathBuf> {
    config_dirs(variables).map(|dir| dir.join(CERTIFICATES))
}

/// Reads a PEM file, which becomes the value of a setting.
fn read(path: &Path) -> Result<String, LoadError> {
    fs::read_to_string(path).map_err(|error| LoadError::File { path: path.to_owned(), error })
}
