//! Several listeners: each client is told the address that belongs to the door it came in by.

mod common;

use common::Broker;
use ottla::client::Client;

/// The ports of all listeners, from the line that says the broker is ready.
fn ports(broker: &Broker) -> Vec<u16> {
    let log = broker.log();
    let line = log.lines().find(|line| line.contains(" listens on ")).expect("a line that says it is ready");
    let addresses = line.split(" listens on ").nth(1).and_then(|rest| rest.split(", data in ").next()).unwrap();
    addresses.split(", ").map(|address| address.rsplit(':').next().unwrap().parse().unwrap()).collect()
}

async fn told(port: u16) -> (String, i32) {
    let client = Client::connect(&format!("127.0.0.1:{port}")).await.unwrap();
    let view = client.metadata(Some(&[])).await.unwrap();
    let broker = view.brokers.first().unwrap();
    (broker.host.clone(), broker.port)
}

#[tokio::test]
async fn each_listener_tells_its_own_address() {
    let broker = Broker::with()
        .set("listeners", "INTERNAL://127.0.0.1:0,EXTERNAL-1://127.0.0.1:0")
        .set("listener.security.protocol.map", "INTERNAL:PLAINTEXT,EXTERNAL-1:PLAINTEXT")
        .set("advertised.listeners", "INTERNAL://kafka:29092,EXTERNAL-1://example.test:9192")
        .start();
    let ports = ports(&broker);
    assert_eq!(told(ports[0]).await, ("kafka".to_owned(), 29092));
    assert_eq!(told(ports[1]).await, ("example.test".to_owned(), 9192));
}

#[tokio::test]
async fn with_nothing_configured_a_local_client_is_told_localhost() {
    let broker = Broker::start();
    let port = broker.addr().port();
    assert_eq!(told(port).await, ("localhost".to_owned(), port.into()));
}
