//! A broker inside of the process that uses it: for tests written in Rust.
//!
//! ```
//! # fn main() -> Result<(), ottla::BrokerError> {
//! let broker = ottla::Broker::with().topic("orders", 3).set("message.max.bytes", "2000000").start()?;
//! let address = broker.bootstrap_servers(); // for any Kafka client: 127.0.0.1:40123
//! # assert!(address.starts_with("127.0.0.1:"));
//! broker.reset()?; // nothing of what was done is left; the topic "orders" is there, and empty
//! # Ok(())
//! # }
//! ```
//!
//! Everything blocks, for milliseconds, and may be called from tests with and without a runtime of their own: the
//! broker has its own threads. Nothing of the process is touched but the soft limit on open files, which is raised:
//! no signals (unless [`BrokerOptions::map_files`] is asked for), no environment, no output. (Who sets up a `tracing` subscriber sees what a broker logs.)

use std::fmt;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use ottla_broker::clock::Clock;
use ottla_broker::service::{Service, temporary};
use ottla_broker::state as broker;
use ottla_broker::state::loggers::NoLoggers;
use ottla_config::{BrokerConfig, Resolved, Sources, load};
use ottla_log::faults;

/// How long anything may take before it is given up: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a broker that is dropped may take to let go of its threads and files.
const FAREWELL: Duration = Duration::from_secs(5);
/// Threads that serve clients; a test has few.
const WORKERS: usize = 2;
const CREATE_TOPICS: &str = "ottla.create.topics";

/// A broker on a free port of this machine alone, with a directory of its own. Dropping it stops it and removes the
/// directory.
pub struct Broker {
    bootstrap_servers: String,
    core: Arc<broker::Broker>,
    runtime: Handle,
    /// Dropped to have the broker stop.
    stop: Option<oneshot::Sender<()>>,
    /// Hangs up when the broker has stopped.
    stopped: mpsc::Receiver<()>,
    _dir: TempDir,
}

/// What a broker is to be like; made by [`Broker::with`].
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    settings: Vec<(String, String)>,
    topics: Vec<String>,
    map_files: bool,
}

/// Why a broker could not do what was asked, in one plain line.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BrokerError(String);

impl BrokerOptions {
    /// A broker setting by Kafka's name, such as `num.partitions`; the last one of a name counts.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// A topic that is there from the start, and after each reset.
    pub fn topic(mut self, name: impl fmt::Display, partitions: i32) -> Self {
        self.topics.push(format!("{name}:{partitions}"));
        self
    }

    /// Has records sent from mapped files, as `ottla serve` does, which spares a copy of what clients fetch. Without it
    /// files are read with system calls.
    ///
    /// A page of a mapped file that can't be read, because somebody cut the file or the disk fails, is a signal. So this
    /// installs a handler of SIGBUS for the whole process, for good, which has such a fault cost a partition of this
    /// broker (KAFKA_STORAGE_ERROR) and chains to the handler that it finds for every other one. A handler that is
    /// installed later has to chain to it. Brokers that are started later in this process map files, too.
    pub fn map_files(mut self, map: bool) -> Self {
        self.map_files = map;
        self
    }

    /// Starts the broker; when this returns, it answers.
    ///
    /// # Errors
    /// For a setting or a topic that isn't allowed; or without room for a directory, a port, threads.
    pub fn start(self) -> Result<Broker, BrokerError> {
        let dir = temporary::directory();
        let dir = dir.map_err(|error| BrokerError(format!("cannot make a temporary directory: {error}")))?;
        let config = self.config(&dir)?;
        if self.map_files {
            faults::install().map_err(|error| BrokerError(format!("cannot handle SIGBUS: {error}")))?;
        }
        let (stop, stop_asked) = oneshot::channel();
        let (tell_started, started) = mpsc::sync_channel(1);
        let (still_here, stopped) = mpsc::sync_channel(0);
        let run = move || {
            run(&config, &tell_started, stop_asked);
            drop(still_here);
        };
        let thread = thread::Builder::new().name("ottla".to_owned()).spawn(run);
        thread.map_err(|error| BrokerError(format!("cannot start a thread: {error}")))?;
        let started = started.recv_timeout(PATIENCE);
        let started = started.map_err(|_| BrokerError(format!("the broker was not ready in {PATIENCE:?}")))?;
        let Started { bootstrap_servers, core, runtime } = started.map_err(BrokerError)?;
        Ok(Broker { bootstrap_servers, core, runtime, stop: Some(stop), stopped, _dir: dir })
    }

    fn config(&self, dir: &TempDir) -> Result<BrokerConfig, BrokerError> {
        let own = |name: &str, value: String| (name.to_owned(), value);
        let mut command_line = vec![
            own("listeners", "PLAINTEXT://127.0.0.1:0".to_owned()),
            own("log.dirs", dir.path().display().to_string()),
            own("ottla.ephemeral", "true".to_owned()),
        ];
        command_line.extend(self.settings.iter().cloned());
        if !self.topics.is_empty() {
            let set =
                self.settings.iter().filter(|(name, _)| name == CREATE_TOPICS).map(|(_, topics)| topics).next_back();
            let topics: Vec<&str> = set.into_iter().chain(&self.topics).map(String::as_str).collect();
            command_line.push(own(CREATE_TOPICS, topics.join(",")));
        }
        let loaded = load(&Sources { command_line, ..Sources::default() });
        let Resolved { config, notices, .. } = loaded.map_err(|error| BrokerError(error.to_string()))?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        Ok(config)
    }
}

impl Broker {
    /// Starts a broker with nothing configured; when this returns, it answers.
    ///
    /// # Errors
    /// As [`BrokerOptions::start`].
    pub fn start() -> Result<Broker, BrokerError> {
        BrokerOptions::default().start()
    }

    /// Options to start a broker with.
    pub fn with() -> BrokerOptions {
        BrokerOptions::default()
    }

    /// As a client's setting takes it: `127.0.0.1:40123`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// Leaves the broker as it was when it started: no topics but those it was started with, and these empty; no
    /// groups, offsets, producers or changed settings. Clients may stay connected; see
    /// [`broker::Broker::reset`] for what they notice.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn reset(&self) -> Result<(), BrokerError> {
        let (tell, told) = mpsc::sync_channel(1);
        let core = Arc::clone(&self.core);
        self.runtime.spawn(async move {
            // Nobody to tell: whoever asked has lost patience.
            let _ = tell.send(core.reset().await);
        });
        match told.recv_timeout(PATIENCE) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(BrokerError(error.to_string())),
            Err(_) => Err(BrokerError(format!("the broker was not reset in {PATIENCE:?}"))),
        }
    }
}

impl Drop for Broker {
    /// Returns when the broker is gone, or after some seconds where a thread of its is stuck.
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: this ends when the other side is dropped.
        let _ = self.stopped.recv_timeout(FAREWELL);
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.bootstrap_servers)
    }
}

/// What there is to know of a broker that has started.
struct Started {
    bootstrap_servers: String,
    core: Arc<broker::Broker>,
    runtime: Handle,
}

/// A broker's life, on a thread of its own.
fn run(
    config: &BrokerConfig,
    tell_started: &mpsc::SyncSender<Result<Started, String>>,
    stop_asked: oneshot::Receiver<()>,
) {
    let clock = Clock::start();
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(WORKERS).thread_name("ottla").enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell_started.send(Err(format!("cannot start threads: {error}")));
            return;
        }
    };
    runtime.block_on(async {
        let service = match Service::start(config, clock, Arc::new(NoLoggers), || Ok(())).await {
            Ok(service) => service,
            Err(why) => {
                let _ = tell_started.send(Err(why));
                return;
            }
        };
        let started = Started {
            bootstrap_servers: service.bootstrap_servers().to_owned(),
            core: Arc::clone(service.broker()),
            runtime: Handle::current(),
        };
        if tell_started.send(Ok(started)).is_ok() {
            // By being dropped, that is.
            let _ = stop_asked.await;
        }
        // Nobody is left to look at replies, nor at what is in the directory.
        service.stop(Duration::ZERO).await;
    });
    runtime.shutdown_timeout(FAREWELL / 2);
}
