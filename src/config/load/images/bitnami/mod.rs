//! The variables of bitnami/kafka about security: certificates, users, and what its scripts do without being asked.
//!
//! Departures: the image has default passwords, which are known to everyone (`user` with `bitnami`). Here there are none,
//! and a listener with SASL needs users. Credentials of controllers have no effect, because their listeners are not opened.

mod sasl;
mod tls;

use std::path::PathBuf;

use super::{Found, Variables};
use crate::load::LoadError;

/// Variables, without `KAFKA_`, that only this image has. `tls` reads a few more, with the name of a listener.
const NAMES: [&str; 20] = [
    "BROKER_PASSWORD",
    "BROKER_USER",
    "CERTIFICATE_PASSWORD",
    "CFG_TLS_CLIENT_AUTH",
    "CFG_TLS_TYPE",
    "CLIENT_LISTENER",
    "CLIENT_LISTENER_NAME",
    "CLIENT_PASSWORD",
    "CLIENT_PASSWORDS",
    "CLIENT_SASL_MECHANISM",
    "CLIENT_USER",
    "CLIENT_USERS",
    "CONTROLLER_PASSWORD",
    "CONTROLLER_USER",
    "INTER_BROKER_PASSWORD",
    "INTER_BROKER_USER",
    "MOUNTED_CONF_DIR",
    "TLS_CLIENT_AUTH",
    "TLS_TRUSTSTORE_FILE",
    "TLS_TYPE",
];
/// Variables that configure clients of the image and other nodes, which are not here.
const WITHOUT_EFFECT: [&str; 5] = [
    "KAFKA_CLIENT_LISTENER",
    "KAFKA_CLIENT_LISTENER_NAME",
    "KAFKA_CLIENT_SASL_MECHANISM",
    "KAFKA_CONTROLLER_PASSWORD",
    "KAFKA_CONTROLLER_USER",
];
/// Prefix of settings as variables of this image.
const SETTINGS_PREFIX: &str = "KAFKA_CFG_";

/// Directories with mounted files of the image, in its releases. A subdirectory has certificates.
const CONFIG_DIRS: [&str; 4] =
    ["/opt/bitnami/kafka/config", "/bitnami/kafka/config", "/opt/bitnami/kafka/conf", "/bitnami/kafka/conf"];
const MOUNTED_CONFIG_DIR: &str = "KAFKA_MOUNTED_CONF_DIR";
/// Of the image with FIPS; `yes` demands cryptography that was validated.
const FIPS: &str = "OPENSSL_FIPS";

pub(super) fn is_read(rest: &str) -> bool {
    NAMES.contains(&rest) || tls::listener_of(rest).is_some()
}

pub(super) fn apply(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    if variables.given(FIPS).is_some_and(is_yes) && (found.has_tls() || found.has_sasl()) {
        let why = "(environment) demands cryptography that was validated for FIPS 140, which this broker does not have";
        return Err(LoadError::Unprotected(format!("{FIPS}=yes {why}; set it to no")));
    }
    for name in WITHOUT_EFFECT.into_iter().filter(|name| is_set(variables, name)) {
        found.has_no_effect(name);
    }
    if variables.names().any(is_of_this_image) {
        tls::apply(variables, found)?;
        sasl::apply(variables, found)?;
    }
    Ok(())
}

fn is_of_this_image(variable: &str) -> bool {
    variable.starts_with(SETTINGS_PREFIX) || variable.strip_prefix("KAFKA_").is_some_and(is_read_or_its_file)
}

fn is_read_or_its_file(rest: &str) -> bool {
    is_read(rest) || rest.strip_suffix(super::FILE_SUFFIX).is_some_and(is_read)
}

/// Whether the variable or the one with its file is set.
fn is_set(variables: Variables<'_>, name: &str) -> bool {
    variables.given(name).is_some() || variables.given(&format!("{name}{}", super::FILE_SUFFIX)).is_some()
}

fn is_yes(value: &str) -> bool {
    ["yes", "true", "1"].iter().any(|yes| value.eq_ignore_ascii_case(yes))
}

/// The directories in which a mounted file can be.
fn config_dirs(variables: Variables<'_>) -> impl Iterator<Item = PathBuf> {
    let own = variables.given(MOUNTED_CONFIG_DIR).map(PathBuf::from);
    own.into_iter().chain(CONFIG_DIRS.map(PathBuf::from))
}

/// The first of these directories that has all files.
fn dir_with(mut dirs: impl Iterator<Item = PathBuf>, files: &[&str]) -> Option<PathBuf> {
    dirs.find(|dir| files.iter().all(|file| dir.join(file).is_file()))
}
