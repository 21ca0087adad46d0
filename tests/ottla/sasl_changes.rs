//! SASL settings of listeners that change while the broker runs.

use common::{Broker, Options};
use ottla::client::{Client, ClientOptions, Sasl};
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};

use crate::fixture::{BROKER, code};

const USERS: &str = "listener.name.sasl.plain.sasl.jaas.config";

fn users(password: &str) -> String {
    format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_ann=\"{password}\";")
}

/// A broker with the listeners PLAINTEXT and SASL.
fn broker() -> Options {
    listeners().set(USERS, &users("static"))
}

fn listeners() -> Options {
    Broker::with()
        .set("listeners", "PLAINTEXT://127.0.0.1:0,SASL://127.0.0.1:0")
        .set("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT")
        .set("sasl.enabled.mechanisms", "PLAIN")
        .set("connection.failed.authentication.delay.ms", "0")
}

/// Sets a setting of the broker. Returns the error and its message.
async fn set(client: &Client, name: &str, value: &str) -> (&'static str, String) {
    let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
    let resource = AlterConfigsResource { resource_type: BROKER, resource_name: "1".into(), configs: vec![config] };
    let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
    let response = client.call(request).await.unwrap().responses.remove(0);
    (code(response.error_code), response.error_message.unwrap_or_default().to_string())
}

async fn can_log_in(broker: &Broker, password: &str) -> bool {
    let sasl = Sasl::Plain { user: "ann".to_owned(), password: password.to_owned() };
    let options = ClientOptions { sasl: Some(sasl), ..Default::default() };
    Client::connect_with(&broker.ready().listeners["SASL"], options).await.is_ok()
}

#[tokio::test]
async fn changed_users_are_in_force_after_a_restart_and_what_cannot_be_used_is_refused() {
    let mut broker = broker().start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for (name, value, part) in [
        ("listener.name.sasl.sasl.enabled.mechanisms", "PLAIN,GSSAPI", "has GSSAPI (Kerberos), which is not supported"),
        (
            "listener.name.sasl.plain.sasl.server.callback.handler.class",
            "com.example.X",
            "Class com.example.X could not be found.",
        ),
        (USERS, "com.example.X required;", "the login module com.example.X is not supported for PLAIN"),
    ] {
        let (code, message) = set(&client, name, value).await;
        assert!(code == "INVALID_REQUEST" && message.contains(part), "{name}={value}: {code} {message}");
        assert!(!message.contains('\n'), "{message}");
    }
    assert_eq!(set(&client, USERS, &users("changed")).await, ("NONE", String::new()));
    // The change is applied in the background.
    let mut tries = 0;
    while !can_log_in(&broker, "changed").await {
        tries += 1;
        assert!(tries < 1000, "the changed password is accepted");
        tokio::task::yield_now().await;
    }
    let unused = "listener.name.absent.sasl.oauthbearer.expected.audience";
    assert_eq!(set(&client, unused, "kafka").await, ("NONE", String::new()));
    broker.wait_for_log(&format!("settings=\"{unused}\""));
    broker.stop();
    broker.restart();
    assert!(!can_log_in(&broker, "static").await, "the replaced password is refused");
    assert!(can_log_in(&broker, "changed").await);
    broker.stop();
    let without_users = listeners().data_dir(broker.data_dir()).start();
    assert!(can_log_in(&without_users, "changed").await, "the stored users complete the settings of the start");
    assert!(without_users.log().contains(&format!("stored settings of TLS and SASL without effect: {unused}")));
}
