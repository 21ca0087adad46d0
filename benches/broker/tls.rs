//! Produce and fetch over TLS, and handshakes: bytes per second, and CPU of the broker.
//!
//! All brokers have the same certificate, with a key on the curve P-256, and negotiate TLS 1.3. The client encrypts on the
//! same machine, so its cost limits the throughput; the CPU is that of the broker alone. Rounds are interleaved as in
//! [`throughput`](crate::throughput).
//!
//! Apache Kafka 4.3.1 on Java 17 sends a ticket for each session and refuses all of them ("Stateless session ticket
//! invalid" in Java's debug output), so its cells for resumed handshakes say so.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::certificates::Authority;
use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tempfile::TempDir;

use crate::admin::Admin;
use crate::contender::{Contender, Running, scratch};
use crate::load::{Load, Socket, Target, connect_tls};
use crate::report::{Samples, Table, significant};
use crate::system;

const CONNECTIONS: [u64; 2] = [1, 8];
/// Rounds that are not counted, for caches and Java's compiler.
const WARM_UP: usize = 2;
/// Handshakes of a round, one after the other.
const HANDSHAKES: u64 = 200;
const ROWS: [&str; 4] =
    ["produce, 1 connection", "fetch, 1 connection", "produce, 8 connections", "fetch, 8 connections"];

/// The figures of one row of one broker, over all rounds.
#[derive(Clone, Debug, Default)]
struct Figures {
    /// MB or handshakes per second.
    rate: Samples,
    cpu: Duration,
    amount: u64,
}

/// What [`Figures`] of handshakes that were not resumed say.
const NOT_RESUMED: &str = "not resumed";

impl Figures {
    fn add(&mut self, amount: u64, unit: f64, took: Duration, cpu: Duration) {
        self.rate.push(amount as f64 / unit / took.as_secs_f64());
        self.cpu += cpu;
        self.amount += amount;
    }

    /// CPU seconds for each GB, or for each handshake, over all rounds together, because one round takes few clock ticks.
    fn cpu_each(&self, unit: f64) -> f64 {
        self.cpu.as_secs_f64() / (self.amount as f64 / unit)
    }
}

/// A broker with a listener with TLS.
struct Secured {
    _dir: TempDir,
    running: Running,
    address: SocketAddr,
}

pub fn measure(contenders: &[Contender], rounds: usize, burst: u64) -> Vec<Table> {
    let limit = system::dirty_limit();
    assert!(burst < limit / 2, "a burst of {burst} bytes is too large: the kernel starts to write back at {limit}");
    let contenders: Vec<&Contender> = contenders.iter().filter(|one| !matches!(one, Contender::Kfake { .. })).collect();
    let (keystore, trusted, _dir) = certificates();
    let start = |contender: &&Contender| {
        let (dir, running, address) = contender.start_with_tls(&keystore);
        Secured { _dir: dir, running, address }
    };
    let brokers: Vec<Secured> = contenders.iter().map(start).collect();
    let mut throughput = vec![vec![Figures::default(); ROWS.len()]; brokers.len()];
    let mut handshakes = vec![vec![Figures::default(); 2]; brokers.len()];
    for round in 0..WARM_UP + rounds {
        let counted = round >= WARM_UP;
        let order = || (0..brokers.len()).map(|step| (step + round) % brokers.len());
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let load = Load::new(connections, burst).with_tls(config(&trusted, true));
            for index in order() {
                system::wait_until_clean(limit / 4);
                let samples = produce_and_fetch(&load, &brokers[index], round);
                for (figures, (took, cpu)) in throughput[index][2 * at..].iter_mut().zip(samples) {
                    if counted {
                        figures.add(load.bytes(), 1e6, took, cpu);
                    }
                }
            }
        }
        for (at, resumed) in [false, true].into_iter().enumerate() {
            for index in order() {
                let sample = connect_often(&brokers[index], &config(&trusted, resumed), resumed);
                if let Some((took, cpu)) = sample.filter(|_| counted) {
                    handshakes[index][at].add(HANDSHAKES, 1.0, took, cpu);
                }
            }
        }
    }
    tables(&contenders, &throughput, &handshakes)
}

/// The broker's keystore as PEM, and the certificate that clients trust.
fn certificates() -> (PathBuf, Vec<u8>, TempDir) {
    let (dir, authority) = (scratch(), Authority::new());
    let keystore = authority.server(&["localhost"]).write(&dir.path().join("broker.pem"));
    assert!(fs::exists(&keystore).unwrap_or_default());
    (keystore, authority.der(), dir)
}

fn config(trusted: &[u8], resumes: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(trusted)).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    if !resumes {
        config.resumption = Resumption::disabled();
    }
    Arc::new(config)
}

/// The times and CPU times of producing and fetching.
fn produce_and_fetch(load: &Load, broker: &Secured, round: usize) -> [(Duration, Duration); 2] {
    let admin = Admin::connect(&broker.running);
    let topic = format!("tls-{round}-{}", load.connections());
    admin.create_topic(&topic, load.connections() as i32);
    let target = Target { produce: broker.address, fetch: broker.address, topic };
    let pid = broker.running.pid();
    system::warm(load.bytes() as usize);
    let before = system::cpu(pid);
    let produced = load.produce(&target);
    let between = system::cpu(pid);
    let fetched = load.fetch(&target);
    let after = system::cpu(pid);
    admin.delete_topic(&target.topic);
    [(produced, between - before), (fetched, after - between)]
}

/// The time and CPU time of [`HANDSHAKES`] connections, one after the other. `None` if the broker did not resume a session
/// that the client wanted to resume.
fn connect_often(broker: &Secured, config: &Arc<ClientConfig>, resumed: bool) -> Option<(Duration, Duration)> {
    let expected = if resumed { HandshakeKind::Resumed } else { HandshakeKind::Full };
    let connect = || connect_once(broker.address, config).expect("the broker answers");
    // The first one has no session to resume.
    connect();
    let (started, before) = (Instant::now(), system::cpu(broker.running.pid()));
    let as_expected = (0..HANDSHAKES).all(|_| connect() == expected);
    let sample = (started.elapsed(), system::cpu(broker.running.pid()) - before);
    as_expected.then_some(sample)
}

/// Connects and sends one request, because with TLS 1.3 the broker's session follows the handshake.
fn connect_once(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<HandshakeKind> {
    let mut socket = connect_tls(address, config);
    crate::contender::ask_api_versions(&mut socket)?;
    let Socket::Tls(stream) = &socket else { return Err(io::Error::other("no TLS")) };
    stream.conn.handshake_kind().ok_or_else(|| io::Error::other("no handshake"))
}

fn tables(contenders: &[&Contender], throughput: &[Vec<Figures>], handshakes: &[Vec<Figures>]) -> Vec<Table> {
    let names = || contenders.iter().map(|contender| contender.name());
    let mut speed = Table::new("throughput over TLS", names());
    let mut cost = Table::new("broker CPU per GB over TLS", names());
    let mut times = Table::new("bytes per CPU second over TLS, as multiples of the last broker's", names());
    for (at, row) in ROWS.into_iter().enumerate() {
        speed.medians(row, "MB/s", throughput.iter().map(|figures| &figures[at].rate));
        let costs: Vec<f64> = throughput.iter().map(|figures| figures[at].cpu_each(1e9)).collect();
        cost.row(row, costs.iter().map(|cost| format!("{} s", significant(*cost))));
        let last = costs.last().copied().unwrap_or(f64::NAN);
        times.row(row, costs.iter().map(|cost| significant(last / cost)));
    }
    let mut hands = Table::new("TLS handshakes, one after the other", names());
    for (at, row) in ["full", "resumed"].into_iter().enumerate() {
        let cell = |figures: &Figures, text: String| match figures.amount {
            0 => NOT_RESUMED.to_owned(),
            _ => text,
        };
        let rate = |of: &Vec<Figures>| cell(&of[at], format!("{} /s", significant(of[at].rate.median())));
        hands.row(row, handshakes.iter().map(rate));
        let cost = |of: &Vec<Figures>| cell(&of[at], format!("{} ms", significant(of[at].cpu_each(1e3))));
        hands.row(&format!("{row}, broker CPU each"), handshakes.iter().map(cost));
    }
    vec![speed, cost, times, hands]
}
