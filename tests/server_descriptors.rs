//! A server that runs out of file descriptors, and recovers. Alone in its program, because it takes them
//! from the whole process.

use std::fs::File;
use std::time::Duration;

use common::server_toy::{House, frame, logged};
use ottla_broker::server::Limits;
use rustix::process::{Resource, Rlimit, setrlimit};

#[tokio::test(flavor = "multi_thread")]
async fn without_descriptors_clients_wait_and_nobody_is_lost() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), maximum: Some(100) }).unwrap();
    let house = House::open(Limits::default());
    let mut first = house.connect().await;
    first.echo(b"one").await;
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files.pop(); // for the client's own end
    let mut second = house.connect().await;
    second.send(&frame(b"two")).await;
    logged("ERROR", &["failed to accept a connection, retrying"]).await;
    first.echo(b"the others are served").await;
    files.clear();
    let answer = tokio::time::timeout(Duration::from_secs(5), second.receive()).await;
    assert_eq!(answer.expect("it is let in"), b"two");
    logged("INFO", &["accepting connections again"]).await;
}
