//! Produce and fetch over TLS, and handshakes: bytes per second, and CPU of the broker.
//!
//! All brokers have the same certificate, with a key on the curve P-256, and negotiate TLS 1.3. The client encrypts on the
//! same machine, so its cost limits the throughput; the CPU is that of the broker alone.

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

impl Figures {
    fn add(&mut self, amount: u64, unit: f64, took: Duration, cpu: Duration) {
        self.rate.push(amount as f64 / unit / took.as_secs_f64());
        self.cpu += cpu;
        self.amount += amount;
    }
}

/// A broker with a listener with TLS.
struct Secured {
    _dir: TempDir,
    running: Running,
    address: SocketAddr,
}

pub fn measure(contenders: &[Contender], rounds: usize, burst: u64) -> Vec<Table> {
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
        for step in 0..brokers.len() {
            let index = (step + round) % brokers.len();
            let counted = round >= WARM_UP;
            for (at, connections) in CONNECTIONS.into_iter().enumerate() {
                let load = Load::new(connections, burst).with_tls(config(&trusted, true));
                system::wait_until_clean(system::dirty_limit() / 4);
                let samples = produce_and_fetch(&load, &brokers[index], round);
                for (figures, (took, cpu)) in throughput[index][2 * at..].iter_mut().zip(samples) {
                    if counted {
                        figures.add(load.bytes(), 1e6, took, cpu);
                    }
                }
            }
            for (figures, resumed) in handshakes[index].iter_mut().zip([false, true]) {
                let (took, cpu) = connect_often(&brokers[index], &config(&trusted, resumed), resumed);
                if counted {
                    figures.add(HANDSHAKES, 1.0, took, cpu);
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

/// The time and CPU time of [`HANDSHAKES`] connections, one after the other.
fn connect_often(broker: &Secured, config: &Arc<ClientConfig>, resumed: bool) -> (Duration, Duration) {
    let connect = || connect_once(broker.address, config).expect("the broker answers");
    // The first one has no session to resume.
    connect();
    let (started, before) = (Instant::now(), system::cpu(broker.running.pid()));
    for _ in 0..HANDSHAKES {
        assert_eq!(connect() == HandshakeKind::Resumed, resumed);
    }
    (started.elapsed(), system::cpu(broker.running.pid()) - before)
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
    for (at, row) in ROWS.into_iter().enumerate() {
        speed.medians(row, "MB/s", throughput.iter().map(|figures| &figures[at].rate));
        let cell = |figures: &Vec<Figures>| {
            let gigabytes = figures[at].amount as f64 / 1e9;
            format!("{} s", significant(figures[at].cpu.as_secs_f64() / gigabytes))
        };
        cost.row(row, throughput.iter().map(cell));
    }
    let mut hands = Table::new("TLS handshakes, one after the other", names());
    for (at, row) in ["full", "resumed"].into_iter().enumerate() {
        hands.medians(row, "/s", handshakes.iter().map(|figures| &figures[at].rate));
        let cell = |figures: &Vec<Figures>| {
            let milliseconds = figures[at].cpu.as_secs_f64() * 1e3 / figures[at].amount as f64;
            format!("{} ms", significant(milliseconds))
        };
        hands.row(&format!("{row}, broker CPU each"), handshakes.iter().map(cell));
    }
    vec![speed, cost, hands]
}
