use common::certificates::Validity;
use ottla::client::Client;
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use rcgen::DnType;

use super::*;
use crate::fixture::{BROKER, code};

/// The broker's certificate, as a new connection gets it.
fn certificate(broker: &Broker, certificates: &Certificates) -> Vec<u8> {
    let stream = connect(tls_address(broker), certificates.client(None)).unwrap();
    stream.conn.peer_certificates().unwrap()[0].to_vec()
}

/// Alters settings of the listener SSL. Returns the error and its message.
async fn alter(client: &Client, settings: &[(&str, &str)]) -> (&'static str, String) {
    let settings: Vec<_> = settings.iter().map(|(name, value)| (format!("listener.name.ssl.{name}"), *value)).collect();
    alter_broker(client, "1", &settings).await
}

/// Alters settings of the broker of this id, or of all without one.
async fn alter_broker(client: &Client, id: &str, settings: &[(String, &str)]) -> (&'static str, String) {
    let configs = settings.iter().map(|(name, value)| AlterableConfig {
        name: name.as_str().into(),
        config_operation: 0,
        value: Some((*value).into()),
    });
    let resource = AlterConfigsResource { resource_type: BROKER, resource_name: id.into(), configs: configs.collect() };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.call(request).await.unwrap().responses.remove(0);
    (code(response.error_code), response.error_message.unwrap_or_default().to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_keystore_is_used_by_new_connections_and_what_is_not_supported_is_refused() {
    let certificates = Certificates::new();
    let mut broker = certificates.broker().start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let mut old = connect(tls_address(&broker), certificates.client(None)).unwrap();
    let before = certificate(&broker, &certificates);

    let refused = |answer: (&'static str, String), part: &str| {
        assert!(answer.0 == "INVALID_REQUEST" && answer.1.contains(part), "{answer:?}");
        let kafka = "Invalid value org.apache.kafka.common.config.ConfigException: Validation of dynamic config update of \
                     SSLFactory failed: ";
        assert!(answer.1.starts_with(kafka), "{answer:?}");
    };
    let nowhere = text(&certificates.path("nowhere.pem"));
    refused(alter(&client, &[("ssl.keystore.location", &nowhere)]).await, "cannot read the file");
    let name = [(DnType::CommonName, "other")];
    let other = certificates.authority.issue(&name, &["localhost", "127.0.0.1"], Validity::Valid);
    let other = text(&other.write(&certificates.path("other.pem")));
    refused(alter(&client, &[("ssl.keystore.location", &other)]).await, "DistinguishedName does not match");
    let fewer = text(&certificates.authority.server(&["localhost"]).write(&certificates.path("fewer.pem")));
    refused(alter(&client, &[("ssl.keystore.location", &fewer)]).await, "SubjectAltNames do not match");
    refused(alter(&client, &[("ssl.enabled.protocols", "TLSv1.1")]).await, "TLSv1.1 is not supported");
    for (part, value) in [
        ("ssl.trustmanager.algorithm", "Own"),
        ("ssl.keymanager.algorithm", "Own"),
        ("ssl.provider", "BCJSSE"),
        ("ssl.secure.random.implementation", "Own"),
        ("security.providers", "com.example.Provider"),
    ] {
        let own = format!("listener.name.ssl.{part}");
        let line = |name: &str| format!("{name}={value} is not supported, and listener SSL has TLS; ");
        refused(alter_broker(&client, "1", &[(own.clone(), value)]).await, &line(&own));
        assert_eq!(alter_broker(&client, "1", &[(format!("listener.name.plaintext.{part}"), value)]).await.0, "NONE");
        // Kafka cannot change it without a listener's name.
        if part != "security.providers" {
            refused(alter_broker(&client, "1", &[(part.to_owned(), value)]).await, &line(part));
        }
    }
    let (code, message) = alter(&client, &[("ssl.engine.factory.class", "com.example.F")]).await;
    assert!(code == "INVALID_REQUEST" && message.contains("Class com.example.F could not be found."), "{message}");
    assert_eq!(alter(&client, &[("ssl.trustmanager.algorithm", "SunX509")]).await.0, "NONE");
    assert!(certificate(&broker, &certificates) == before, "refused changes change nothing");

    let new = certificates.authority.server(&["localhost", "127.0.0.1"]);
    let location = text(&new.write(&certificates.path("new.pem")));
    assert_eq!(alter(&client, &[("ssl.keystore.location", &location)]).await.0, "NONE");
    common::wait_until("new connections get the new certificate", || certificate(&broker, &certificates) == new.der);
    ask(&mut old).unwrap();
    broker.stop();
    broker.restart();
    assert!(certificate(&broker, &certificates) == new.der, "the change is durable");
}

#[test]
fn changed_file_is_used_without_a_request_and_a_bad_one_is_logged() {
    let certificates = Certificates::new();
    let broker = certificates.broker().start();
    let mut old = connect(tls_address(&broker), certificates.client(None)).unwrap();
    std::fs::write(certificates.path("broker.pem"), "damaged").unwrap();
    broker.wait_for_log("changed TLS settings or files cannot be used, keeping the previous ones");
    connect(tls_address(&broker), certificates.client(None)).unwrap();
    let new = certificates.authority.server(&["localhost", "127.0.0.1"]);
    new.write(&certificates.path("broker.pem"));
    common::wait_until("new connections get the new certificate", || certificate(&broker, &certificates) == new.der);
    ask(&mut old).unwrap();
}
