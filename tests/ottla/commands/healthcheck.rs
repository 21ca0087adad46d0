//! `ottla healthcheck`: at listeners with TLS and SASL, and of a broker whose storage has failed.

use std::net::TcpListener;

use common::{Broker, Options, run};
use ottla::client::Client;
use serde_json::json;

use crate::admin::http::request;

/// Checks the health of a broker with these options by its ready file; the broker must log nothing about it.
fn check(options: Options) {
    let broker = options.secure("ann", "secret").start();
    broker.wait_for_log(", ready in ");
    let before = broker.log();
    for _ in 0..3 {
        let output = run(&["healthcheck", "--ready-file", broker.ready_file().to_str().unwrap()]);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    assert_eq!(broker.log(), before);
}

#[test]
fn health_check_of_a_broker_with_tls_and_sasl_alone_succeeds_and_logs_nothing() {
    check(Broker::with().set("listeners", "SSL://127.0.0.1:0"));
    check(
        Broker::with()
            .set("listeners", "SSL://127.0.0.1:0")
            .set("ssl.client.auth", "required")
            .set(
                "ssl.truststore.location",
                concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/keystores/v1-authority.pem"),
            )
            .set("ssl.truststore.type", "PEM"),
    );
    check(Broker::with().set("listeners", "SASL_SSL://127.0.0.1:0,SASL_PLAINTEXT://127.0.0.1:0"));
}

#[test]
fn health_check_of_a_broker_with_tls_that_does_not_answer_fails() {
    // Connections wait in the kernel's queue.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let listeners = format!("listeners=SSL://{}", silent.local_addr().unwrap());
    let output = run(&["healthcheck", "--timeout-ms", "200", "--set", &listeners]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("did not answer in 200 ms"), "{output:?}");
    drop(silent);
    let output = run(&["healthcheck", "--set", &listeners]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("ottla: cannot connect to 127.0.0.1:"), "{output:?}");
}

#[tokio::test]
async fn health_check_of_a_broker_whose_metadata_log_has_failed_fails_with_the_reason() {
    let broker = Broker::with().set("ottla.admin.listener", "0").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, &[]).await.unwrap();
    let check = || run(&["healthcheck", "--ready-file", broker.ready_file().to_str().unwrap()]);
    assert!(check().status.success());
    let ready = request(&broker, "GET", "/ready", &[]);
    assert_eq!((ready.status, &ready.body["reasons"]), (200, &json!([])));

    let log = broker.data_dir().join("__cluster_metadata-0/00000000000000000000.log");
    std::fs::OpenOptions::new().write(true).open(log).unwrap().set_len(0).unwrap();
    client.create_topic("u", 1, &[]).await.unwrap_err();
    let output = check();
    let reason = "the storage has failed: the metadata log is offline";
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), format!("ottla: {reason}\n"));
    for path in ["/health", "/ready"] {
        let answer = request(&broker, "GET", path, &[]);
        assert_eq!((answer.status, &answer.body["reasons"]), (503, &json!([reason])), "{path}");
    }
}
