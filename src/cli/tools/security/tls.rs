//! `ssl.*` of a client.

use super::Settings;
use ottla_client::Tls;
use ottla_config::{Named, Password, StoreConfig};
use ottla_tls::client::ClientTls;

const HOST_CHECK: &str = "ssl.endpoint.identification.algorithm";

/// Reads TLS, with the files. The error is one plain line.
pub fn read(settings: Settings<'_>) -> Result<Tls, String> {
    settings.refuse_other("ssl.provider", &[])?;
    settings.refuse_other("ssl.secure.random.implementation", &[])?;
    settings.refuse_other("ssl.keymanager.algorithm", &["SunX509", "PKIX"])?;
    settings.refuse_other("ssl.trustmanager.algorithm", &["PKIX", "SunX509"])?;
    settings.refuse_other(HOST_CHECK, &["https"])?;
    let tls = ClientTls {
        keystore: store(settings, "ssl.keystore", "certificate.chain"),
        key_password: settings.text("ssl.key.password").map(Password::new),
        truststore: store(settings, "ssl.truststore", "certificates"),
        enabled_protocols: entries(settings, "ssl.enabled.protocols"),
        protocol: named("ssl.protocol", settings.given("ssl.protocol").unwrap_or("TLSv1.3").to_owned()),
        cipher_suites: entries(settings, "ssl.cipher.suites"),
        // An empty value accepts every host, as in Kafka.
        checks_host: settings.text(HOST_CHECK) != Some(""),
    };
    check_password(&tls.keystore, "keystore")?;
    check_password(&tls.truststore, "truststore")?;
    tls.load().map(Tls::new)
}

/// Refuses a password without a store, as Kafka does.
fn check_password(store: &StoreConfig, kind: &str) -> Result<(), String> {
    match &store.password {
        Some(password) if store.is_empty() => {
            Err(format!("{} is set, but there is no {kind}; set ssl.{kind}.location or remove it", password.name))
        }
        _ => Ok(()),
    }
}

/// The store of `ssl.keystore.*` or `ssl.truststore.*`.
pub fn store(settings: Settings<'_>, prefix: &str, certificates: &str) -> StoreConfig {
    let full = |last: &str| format!("{prefix}.{last}");
    let secret = |last: &str| {
        let name = full(last);
        settings.text(&name).map(|value| named(&name, Password::new(value)))
    };
    let store_type = settings.given(&full("type")).unwrap_or("JKS").to_ascii_uppercase();
    StoreConfig {
        store_type: named(&full("type"), store_type),
        location: settings.given(&full("location")).map(|path| named(&full("location"), path.to_owned())),
        password: secret("password"),
        certificates: secret(certificates),
        key: secret("key"),
    }
}

fn entries(settings: Settings<'_>, name: &str) -> Named<Vec<String>> {
    let entries = settings.text(name).unwrap_or_default().split(',').map(str::trim);
    named(name, entries.filter(|entry| !entry.is_empty()).map(str::to_owned).collect())
}

fn named<T>(name: &str, value: T) -> Named<T> {
    Named { name: name.to_owned(), value }
}
