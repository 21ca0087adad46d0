//! Advertised addresses: each client gets the address of the listener that it is connected to.

use common::Broker;
use ottla::client::Client;

/// The ports of all listeners, from the log line of the start.
fn ports(broker: &Broker) -> Vec<u16> {
    // The ready file is written before that line.
    broker.wait_for_log(" ready in ");
    let log = broker.log();
    let line = log.lines().find(|line| line.contains(", connect to ")).expect("the log line of the start");
    let addresses = line.split(", connect to ").nth(1).and_then(|rest| rest.split(", data in ").next()).unwrap();
    addresses.split(", ").map(|address| address.rsplit(':').next().unwrap().parse().unwrap()).collect()
}

async fn advertised(port: u16) -> (String, i32) {
    let client = Client::connect(&format!("127.0.0.1:{port}")).await.unwrap();
    let metadata = client.metadata(Some(&[])).await.unwrap();
    let broker = metadata.brokers.first().unwrap();
    (broker.host.clone(), broker.port)
}

#[tokio::test]
async fn metadata_returns_the_advertised_address_of_the_listener_in_use() {
    let broker = Broker::with()
        .set("listeners", "INTERNAL://127.0.0.1:0,EXTERNAL-1://127.0.0.1:0")
        .set("listener.security.protocol.map", "INTERNAL:PLAINTEXT,EXTERNAL-1:PLAINTEXT")
        .set("advertised.listeners", "INTERNAL://kafka:29092,EXTERNAL-1://example.test:9192")
        .start();
    let ports = ports(&broker);
    assert_eq!(advertised(ports[0]).await, ("kafka".to_owned(), 29092));
    assert_eq!(advertised(ports[1]).await, ("example.test".to_owned(), 9192));
}

#[tokio::test]
async fn metadata_without_advertised_listeners_returns_localhost_to_local_clients() {
    let broker = Broker::start();
    let port = broker.addr().port();
    assert_eq!(advertised(port).await, ("localhost".to_owned(), port.into()));
}

/// As in compose files: a controller listener, an empty host, a name with a dash, trailing commas.
#[tokio::test]
async fn listener_lists_with_spaces_and_trailing_commas_are_accepted() {
    let broker = Broker::with()
        .env("KAFKA_LISTENERS", "PLAINTEXT://:0,CONTROLLER://:9093,MY-HOST://127.0.0.1:0,")
        .env("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:29092, MY-HOST://localhost:9092,")
        .env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MY-HOST:PLAINTEXT,")
        .start();
    broker.wait_for_log("settings without effect: listener CONTROLLER");
    let ports = ports(&broker);
    assert_eq!(ports.len(), 2);
    assert_eq!(advertised(ports[0]).await, ("kafka".to_owned(), 29092));
    assert_eq!(advertised(ports[1]).await, ("localhost".to_owned(), 9092));
}

#[tokio::test]
async fn advertised_wildcard_address_is_replaced() {
    for zeros in ["0.0.0.0", "", "[::]"] {
        let broker = Broker::with().set("advertised.listeners", &format!("PLAINTEXT://{zeros}:0")).start();
        broker.wait_for_log("clients can't connect to PLAINTEXT://");
        let port = broker.addr().port();
        assert_eq!(advertised(port).await, ("localhost".to_owned(), port.into()), "{zeros}");
    }
}

#[tokio::test]
async fn derived_advertised_address_is_logged_once() {
    let broker = Broker::start();
    let port = broker.addr().port();
    for _ in 0..2 {
        advertised(port).await;
    }
    let line = format!("advertised=localhost:{port} reason=advertised.listeners names no host");
    broker.wait_for_log(&line);
    assert_eq!(broker.log().matches("advertised address for clients on this machine").count(), 1, "{}", broker.log());
}
