//! A server that runs out of file descriptors and recovers. It is a test program of its own, because the limit applies to
//! the whole process.

use std::fs::File;
use std::time::Duration;

use common::test_server::{TestServer, frame, wait_for_log_line};
use ottla_broker::server::Limits;
use rustix::process::{Resource, Rlimit, setrlimit};

#[tokio::test(flavor = "multi_thread")]
async fn connection_without_descriptors_waits_and_is_accepted_later() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(100), maximum: Some(100) }).unwrap();
    let server = TestServer::start(Limits::default());
    let mut first = server.connect().await;
    first.echo(b"one").await;
    let mut files = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        files.push(file);
    }
    files.pop(); // for the socket of the client
    let mut second = server.connect().await;
    second.send(&frame(b"two")).await;
    wait_for_log_line("ERROR", &["failed to accept a connection, retrying"]).await;
    first.echo(b"other clients are served").await;
    files.clear();
    let answer = tokio::time::timeout(Duration::from_secs(5), second.receive()).await;
    assert_eq!(answer.expect("it is accepted"), b"two");
    wait_for_log_line("INFO", &["accepting connections again"]).await;
}
