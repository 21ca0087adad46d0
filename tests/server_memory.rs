//! The memory used for a thousand clients that announce large requests and send little. It is a test program of its own,
//! because it measures the whole process.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use common::test_server::{TestServer, frame, wait_for};
use ottla_broker::server::Limits;

const CLIENTS: usize = 1000;
const MIB: usize = 1 << 20;

/// Returns the anonymous memory of this process, in bytes.
fn anonymous_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_use_little_memory_and_other_clients_are_served() {
    let limits = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let wanted = rustix::process::Rlimit { current: limits.maximum, maximum: limits.maximum };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, wanted).unwrap();

    let server = TestServer::start(Limits { request_memory: 64 * MIB, backlog: 1024, ..Limits::default() });
    server.connect().await.echo(&vec![1; MIB]).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(server.connect().await);
    }
    clients.last_mut().unwrap().echo(b"all are connected").await;
    let before = anonymous_memory();
    for client in &mut clients {
        client.send(&(MIB as u32).to_be_bytes()).await;
        client.send(&[1; 10]).await;
    }
    let began = Instant::now();
    let mut other = server.connect().await;
    other.echo(b"a small one").await;
    other.echo(&vec![2; MIB]).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let grown = anonymous_memory().saturating_sub(before);
    println!("{CLIENTS} half-sent requests of 1 MiB: {} KiB", grown / 1024);
    assert!(grown < 16 * MIB, "{} MiB", grown / MIB);

    // A client that sends the rest of its request is served.
    let rest = [&[1; MIB - 10][..], &frame(b"done")].concat();
    for client in clients.iter_mut().take(20) {
        client.send(&rest).await;
        assert_eq!(client.receive().await.len(), MIB);
        assert_eq!(client.receive().await, b"done");
    }
    drop(clients);
    wait_for("all clients to disconnect", || server.commands.disconnected.load(SeqCst) >= CLIENTS).await;
}
