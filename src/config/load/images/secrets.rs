//! The TLS settings that the scripts of apache/kafka and confluentinc/cp-kafka derive from names of files.

use std::path::Path;

use super::{Found, Variables, from_variable, join, read_value_file};
use crate::listener_values;
use crate::load::LoadError;

/// The directory of the files.
const SECRETS: &str = "/etc/kafka/secrets";

const PREFIX: &str = "KAFKA_";
/// Variables with the names of stores, and the settings with their paths.
const STORE_FILES: [(&str, &str); 2] = [
    ("KAFKA_SSL_KEYSTORE_FILENAME", "ssl.keystore.location"),
    ("KAFKA_SSL_TRUSTSTORE_FILENAME", "ssl.truststore.location"),
];
/// Variables with the names of files that contain a password, and the settings.
const PASSWORD_FILES: [(&str, &str); 3] = [
    ("KAFKA_SSL_KEYSTORE_CREDENTIALS", "ssl.keystore.password"),
    ("KAFKA_SSL_KEY_CREDENTIALS", "ssl.key.password"),
    ("KAFKA_SSL_TRUSTSTORE_CREDENTIALS", "ssl.truststore.password"),
];
const CLIENT_AUTH: &str = "ssl.client.auth";

pub(super) fn is_read(rest: &str) -> bool {
    let names = STORE_FILES.iter().chain(&PASSWORD_FILES).map(|(variable, _)| *variable);
    names.filter_map(|name| name.strip_prefix(PREFIX)).any(|name| name == rest)
}

/// As in the scripts, the variables count only with a listener with TLS, and those of the truststore only if clients may
/// present a certificate.
pub(super) fn apply(variables: Variables<'_>, found: &mut Found<'_>) -> Result<(), LoadError> {
    let (has_tls, asks_clients) = (found.has_tls(), asks_clients(found));
    for (variable, setting) in STORE_FILES.into_iter().chain(PASSWORD_FILES) {
        let Some(file) = variables.given(variable) else { continue };
        let counts = has_tls && (asks_clients || !setting.starts_with("ssl.truststore."));
        if !counts || found.is_given_after_file(setting) {
            found.has_no_effect(variable);
            continue;
        }
        let path = join(Path::new(SECRETS), file);
        let value = match setting.ends_with(".location") {
            true => path,
            false => read_value_file(variable, &path)?,
        };
        found.set(setting, &value, from_variable(variable))?;
    }
    Ok(())
}

/// Whether clients of some listener may present a certificate.
fn asks_clients(found: &Found<'_>) -> bool {
    let of_auth = found.values.given_at_start().filter(|(name, ..)| {
        *name == CLIENT_AUTH || listener_values::find(name).is_some_and(|setting| setting.name == CLIENT_AUTH)
    });
    of_auth.into_iter().any(|(_, value, _)| matches!(value, "required" | "requested"))
}
