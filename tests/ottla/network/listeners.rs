//! Several listeners: each client is told the address that belongs to the door it came in by.

use common::Broker;
use ottla::client::Client;

/// The ports of all listeners, from the line that says the broker is ready.
fn ports(broker: &Broker) -> Vec<u16> {
    // The ready file comes first.
    broker.wait_for_log(" ready in ");
    let log = broker.log();
    let line = log.lines().find(|line| line.contains(", connect to ")).expect("a line that says it is ready");
    let addresses = line.split(", connect to ").nth(1).and_then(|rest| rest.split(", data in ").next()).unwrap();
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

/// As compose files have them: a controller's listener, an empty host, a name with a dash, commas at the end.
#[tokio::test]
async fn lists_are_read_as_people_write_them() {
    let broker = Broker::with()
        .env("KAFKA_LISTENERS", "PLAINTEXT://:0,CONTROLLER://:9093,MY-HOST://127.0.0.1:0,")
        .env("KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:29092, MY-HOST://localhost:9092,")
        .env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,MY-HOST:PLAINTEXT,")
        .start();
    broker.wait_for_log("settings without effect: listener CONTROLLER");
    let ports = ports(&broker);
    assert_eq!(ports.len(), 2);
    assert_eq!(told(ports[0]).await, ("kafka".to_owned(), 29092));
    assert_eq!(told(ports[1]).await, ("localhost".to_owned(), 9092));
}

#[tokio::test]
async fn an_address_of_zeros_is_replaced() {
    for zeros in ["0.0.0.0", "", "[::]"] {
        let broker = Broker::with().set("advertised.listeners", &format!("PLAINTEXT://{zeros}:0")).start();
        broker.wait_for_log("clients can't connect to PLAINTEXT://");
        let port = broker.addr().port();
        assert_eq!(told(port).await, ("localhost".to_owned(), port.into()), "{zeros}");
    }
}

#[tokio::test]
async fn advertised_address_is_logged_once_for_each_kind_of_client() {
    let broker = Broker::start();
    let port = broker.addr().port();
    for _ in 0..2 {
        told(port).await;
    }
    let line = format!(
        "advertised address for clients on this machine listener=\"PLAINTEXT\" advertised=localhost:{port} \
         reason=advertised.listeners is not set"
    );
    broker.wait_for_log(&line);
    assert_eq!(broker.log().matches("advertised address for clients").count(), 1, "{}", broker.log());
}
