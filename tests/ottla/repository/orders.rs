//! The Rust listing of docs/testing/rust.md. tests/external/testing_page.rs checks that both are the same.

use ottla::{Broker, BrokerError};

/// A broker for one test: on a free port, with threads and a directory of its own. Dropping it ends it.
#[test]
fn broker_for_one_test_starts_and_resets() -> Result<(), BrokerError> {
    let broker = Broker::with().topic("orders", 3).set("message.max.bytes", "2000000").start()?;
    let address = broker.bootstrap_servers(); // for the client of your choice: 127.0.0.1:40123
    assert!(std::net::TcpStream::connect(address).is_ok());
    broker.reset()?; // as it was when it started
    Ok(())
}

/// In tests with a runtime as well; here with the small client that comes with the library.
#[tokio::test]
async fn created_topic_is_listed() -> Result<(), Box<dyn std::error::Error>> {
    let broker = Broker::start()?;
    let client = ottla::client::Client::connect(broker.bootstrap_servers()).await?;
    client.create_topic("orders", 1, &[]).await?;
    assert_eq!(client.metadata(Some(&["orders"])).await?.topics[0].partitions, [0]);
    Ok(())
}
