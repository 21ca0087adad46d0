//! TLS of listeners in Redpanda's files.

use super::address::Address;
use super::start::{Given, Settings};
use super::yaml::Node;

/// The key and certificates of one listener, as PEM.
pub struct Tls {
    key: String,
    certificates: String,
    /// The certificates that clients' certificates must be signed by.
    truststore: Option<String>,
    needs_client_certificate: bool,
}

impl Tls {
    /// Reads the entry for a listener, if there is one that is enabled. The error, one line, names the property.
    pub fn find(given: &Given<'_>, property: &str, entries: &Node, listener: &Address) -> Result<Option<Tls>, String> {
        let is_of_listener = |entry: &&Node| entry.get("name").text() == listener.name.as_deref();
        let Some(entry) = entries.items().iter().find(is_of_listener) else { return Ok(None) };
        if !entry.get("enabled").is_true() {
            return Ok(None);
        }
        let read = |key: &str| match entry.get(key).text().filter(|path| !path.is_empty()) {
            Some(path) => (given.read)(path).map(Some).map_err(|why| format!("{property}: {key} {path}: {why}")),
            None => Ok(None),
        };
        let needed = |key: &str| read(key)?.ok_or_else(|| format!("{property}: {key} is missing"));
        Ok(Some(Tls {
            key: needed("key_file")?,
            certificates: needed("cert_file")?,
            truststore: read("truststore_file")?,
            needs_client_certificate: entry.get("require_client_auth").is_true(),
        }))
    }

    /// Adds the settings of a Kafka listener.
    pub fn add_to_listener(self, name: &str, needs_client_certificate: bool, settings: &mut Settings) {
        let mut set = |setting: &str, value: String| {
            settings.set(&format!("listener.name.{}.ssl.{setting}", name.to_ascii_lowercase()), value);
        };
        set("keystore.type", "PEM".to_owned());
        set("keystore.key", self.key);
        set("keystore.certificate.chain", self.certificates);
        if let Some(certificates) = self.truststore {
            set("truststore.type", "PEM".to_owned());
            set("truststore.certificates", certificates);
        }
        if self.needs_client_certificate || needs_client_certificate {
            set("client.auth", "required".to_owned());
        }
    }

    /// Adds the settings of a port for HTTP, whose names begin with `prefix`. The error is one line.
    pub fn add_to_http(self, property: &str, prefix: &str, settings: &mut Settings) -> Result<(), String> {
        if self.needs_client_certificate {
            return Err(format!("{property}: require_client_auth is not supported; remove it, or use a password"));
        }
        settings.set(&format!("{prefix}.ssl.keystore.key"), self.key);
        settings.set(&format!("{prefix}.ssl.keystore.certificate.chain"), self.certificates);
        Ok(())
    }
}
