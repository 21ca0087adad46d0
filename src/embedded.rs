//! A broker inside the process that uses it, for tests written in Rust.
//!
//! ```
//! # fn main() -> Result<(), ottla::BrokerError> {
//! let broker = ottla::Broker::with().topic("orders", 3).set("message.max.bytes", "2000000").start()?;
//! let address = broker.bootstrap_servers(); // for any Kafka client: 127.0.0.1:40123
//! # assert!(address.starts_with("127.0.0.1:"));
//! broker.reset()?; // everything is deleted; the topic "orders" exists again, and is empty
//! # Ok(())
//! # }
//! ```
//!
//! All functions block, for milliseconds, and can be called with and without an async runtime: the broker has its own
//! threads. The only change to the process is a higher soft limit on open files. The broker uses no signals (except with
//! [`BrokerOptions::map_files`]), no environment variables, stdin, stdout or stderr. Its log lines go to the process's
//! `tracing` subscriber, if there is one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{self, Handle};
use tokio::sync::oneshot;

use ottla_broker::clock::Clock;
use ottla_broker::secure::Secure;
use ottla_broker::service::{Service, temporary};
use ottla_broker::state as broker;
use ottla_broker::state::loggers::NoLoggers;
use ottla_config::secure::join_users;
use ottla_config::{BrokerConfig, Password, Resolved, Sources, load};
use ottla_log::faults;

/// Time limit of start and reset, which take milliseconds.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(30);
/// Time limit for a dropped broker to stop its threads and close its files.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of worker threads; a test has few clients.
const WORKERS: usize = 2;
const CREATE_TOPICS: &str = "ottla.create.topics";

/// A broker on a free port of the loopback interface, with its own temporary directory. Drop stops it and removes the
/// directory.
pub struct Broker {
    bootstrap_servers: String,
    /// The addresses of all listeners, by name.
    listeners: BTreeMap<String, String>,
    #[cfg(feature = "registry")]
    schema_registry_url: Option<String>,
    secure_dir: Option<PathBuf>,
    ca_path: Option<PathBuf>,
    core: Arc<broker::Broker>,
    runtime: Handle,
    /// Dropped to stop the broker.
    stop: Option<oneshot::Sender<()>>,
    /// Disconnected when the broker has stopped.
    stopped: mpsc::Receiver<()>,
    _dir: TempDir,
}

/// The options of a broker; created by [`Broker::with`].
#[derive(Clone, Debug, Default)]
pub struct BrokerOptions {
    settings: Vec<(String, String)>,
    topics: Vec<String>,
    users: Vec<Secret>,
    map_files: bool,
}

/// A user's name and password.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}

/// Why an operation of a broker failed, as one line.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct BrokerError(String);

impl BrokerOptions {
    /// Sets a broker setting by Kafka's name, such as `num.partitions`; for each name, the last call counts.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Adds a topic that exists from the start, and again after each reset.
    pub fn topic(mut self, name: impl fmt::Display, partitions: i32) -> Self {
        self.topics.push(format!("{name}:{partitions}"));
        self
    }

    /// Adds listeners with TLS (SSL) and with TLS and SASL (SASL_SSL), with certificates of their own:
    /// [`Broker::ssl_bootstrap_servers`], [`Broker::sasl_ssl_bootstrap_servers`], [`Broker::ca_path`].
    ///
    /// ```
    /// # fn main() -> Result<(), ottla::BrokerError> {
    /// let broker = ottla::Broker::with().secure().user("ann", "secret").start()?;
    /// let (address, trusted) = (broker.sasl_ssl_bootstrap_servers(), broker.ca_path());
    /// # assert!(address.is_some_and(|address| address.starts_with("127.0.0.1:")));
    /// # assert!(std::fs::read_to_string(trusted.unwrap()).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn secure(self) -> Self {
        self.set("ottla.secure", "true")
    }

    /// Adds a schema registry (Confluent's REST API): [`Broker::schema_registry_url`]. [`Broker::reset`] empties it.
    ///
    /// ```
    /// # fn main() -> Result<(), ottla::BrokerError> {
    /// let broker = ottla::Broker::with().schema_registry().start()?;
    /// let url = broker.schema_registry_url(); // for schema.registry.url: http://127.0.0.1:40124
    /// # assert!(url.is_some_and(|url| url.starts_with("http://127.0.0.1:")));
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "registry")]
    pub fn schema_registry(self) -> Self {
        self.set("ottla.registry.listener", "127.0.0.1:0")
    }

    /// Adds a user, who can authenticate with PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub fn user(mut self, name: impl fmt::Display, password: impl fmt::Display) -> Self {
        self.users.push(Secret(format!("{name}:{password}")));
        self
    }

    /// Sends records to clients from mapped files, as `ottla serve` does, without copying them. Without this option, files are
    /// read with system calls.
    ///
    /// Access to a page of a mapped file raises SIGBUS if the file was truncated or the disk fails. So this option installs a
    /// handler of SIGBUS for the whole process, permanently: such a fault closes one partition of this broker
    /// (KAFKA_STORAGE_ERROR); all others are passed to the handler that was installed before. A handler that is installed
    /// later must call this one. Brokers that are started later in this process map files too.
    pub fn map_files(mut self, map: bool) -> Self {
        self.map_files = map;
        self
    }

    /// Starts the broker. It is ready when this returns.
    ///
    /// # Errors
    /// If a setting or a topic is invalid, or if the directory, the listener or a thread can't be created.
    pub fn start(self) -> Result<Broker, BrokerError> {
        let dir = temporary::directory();
        let dir = dir.map_err(|error| BrokerError(format!("cannot create a temporary directory: {error}")))?;
        let config = self.config(&dir)?;
        if self.map_files {
            faults::install().map_err(|error| BrokerError(format!("cannot handle SIGBUS: {error}")))?;
        }
        let (stop, stop_rx) = oneshot::channel();
        let (started_tx, started) = mpsc::sync_channel(1);
        let (stopped_tx, stopped) = mpsc::sync_channel(0);
        let run = move || {
            run(&config, &started_tx, stop_rx);
            drop(stopped_tx);
        };
        let thread = thread::Builder::new().name("ottla".to_owned()).spawn(run);
        thread.map_err(|error| BrokerError(format!("cannot start a thread: {error}")))?;
        let started = started.recv_timeout(OPERATION_TIMEOUT);
        let started = started.map_err(|_| BrokerError(format!("the broker was not ready in {OPERATION_TIMEOUT:?}")))?;
        let Started { bootstrap_servers, listeners, schema_registry_url, secure_dir, ca_path, core, runtime } =
            started.map_err(BrokerError)?;
        #[cfg(not(feature = "registry"))]
        drop(schema_registry_url);
        Ok(Broker {
            bootstrap_servers,
            listeners,
            #[cfg(feature = "registry")]
            schema_registry_url,
            secure_dir,
            ca_path,
            core,
            runtime,
            stop: Some(stop),
            stopped,
            _dir: dir,
        })
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
        if !self.users.is_empty() {
            let users = join_users(self.users.iter().map(|user| user.0.as_str()));
            command_line.push(own("ottla.users", users));
        }
        let loaded = load(&Sources { command_line, ..Sources::default() });
        let Resolved { config, notices, .. } = loaded.map_err(|error| BrokerError(error.to_string()))?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        Ok(config)
    }
}

impl Broker {
    /// Starts a broker with default settings. It is ready when this returns.
    ///
    /// # Errors
    /// Like [`BrokerOptions::start`].
    pub fn start() -> Result<Broker, BrokerError> {
        BrokerOptions::default().start()
    }

    /// Options for a broker with other settings.
    pub fn with() -> BrokerOptions {
        BrokerOptions::default()
    }

    /// The address for a client's `bootstrap.servers`: `127.0.0.1:40123`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The address of the listener with TLS; `None` without [`BrokerOptions::secure`].
    pub fn ssl_bootstrap_servers(&self) -> Option<&str> {
        self.listeners.get("SSL").map(String::as_str)
    }

    /// The address of the listener with TLS and SASL; `None` without [`BrokerOptions::secure`].
    pub fn sasl_ssl_bootstrap_servers(&self) -> Option<&str> {
        self.listeners.get("SASL_SSL").map(String::as_str)
    }

    /// The URL of the schema registry; `None` without [`BrokerOptions::schema_registry`].
    #[cfg(feature = "registry")]
    pub fn schema_registry_url(&self) -> Option<&str> {
        self.schema_registry_url.as_deref()
    }

    /// The certificate that clients of listeners with TLS must trust, as PEM; `None` without [`BrokerOptions::secure`].
    pub fn ca_path(&self) -> Option<&Path> {
        self.ca_path.as_deref()
    }

    /// The folder with client configurations; `None` without [`BrokerOptions::secure`].
    pub fn secure_dir(&self) -> Option<&Path> {
        self.secure_dir.as_deref()
    }

    /// Resets the broker to its state after the start: only the topics it was started with, empty; no groups, committed
    /// offsets, producers, transactions or changed settings. Clients stay connected; [`broker::Broker::reset`] says what
    /// they see. A producer with a transactional id continues after `init_transactions`.
    ///
    /// # Errors
    /// If the disk fails.
    pub fn reset(&self) -> Result<(), BrokerError> {
        let (done_tx, done) = mpsc::sync_channel(1);
        let core = Arc::clone(&self.core);
        self.runtime.spawn(async move {
            // The receiver is dropped after the timeout.
            let _ = done_tx.send(core.reset().await);
        });
        match done.recv_timeout(OPERATION_TIMEOUT) {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(BrokerError(error.to_string())),
            Err(_) => Err(BrokerError(format!("the broker was not reset in {OPERATION_TIMEOUT:?}"))),
        }
    }
}

impl Drop for Broker {
    /// Returns when the broker has stopped, or after `STOP_TIMEOUT` if one of its threads is stuck.
    fn drop(&mut self) {
        self.stop = None;
        // Nothing is ever sent: this returns when the sender is dropped.
        let _ = self.stopped.recv_timeout(STOP_TIMEOUT);
    }
}

impl fmt::Debug for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broker({})", self.bootstrap_servers)
    }
}

/// The handles of a started broker.
struct Started {
    bootstrap_servers: String,
    listeners: BTreeMap<String, String>,
    schema_registry_url: Option<String>,
    secure_dir: Option<PathBuf>,
    ca_path: Option<PathBuf>,
    core: Arc<broker::Broker>,
    runtime: Handle,
}

/// Runs a broker until it is stopped; on a separate thread.
fn run(config: &BrokerConfig, started_tx: &mpsc::SyncSender<Result<Started, String>>, stop_rx: oneshot::Receiver<()>) {
    let clock = Clock::start();
    let runtime =
        runtime::Builder::new_multi_thread().worker_threads(WORKERS).thread_name("ottla").enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = started_tx.send(Err(format!("cannot start threads: {error}")));
            return;
        }
    };
    runtime.block_on(async {
        let service =
            match Service::start(config, clock, Arc::new(NoLoggers), crate::web_console::routes(None), || Ok(())).await
            {
                Ok(service) => service,
                Err(why) => {
                    let _ = started_tx.send(Err(why));
                    return;
                }
            };
        let started = Started {
            bootstrap_servers: service.bootstrap_servers().to_owned(),
            listeners: service.listeners().iter().map(|it| (it.name.clone(), it.address.clone())).collect(),
            schema_registry_url: service.schema_registry_url().map(str::to_owned),
            secure_dir: service.secure().map(|secure| secure.dir().to_owned()),
            ca_path: service.secure().and_then(Secure::ca),
            core: Arc::clone(service.broker()),
            runtime: Handle::current(),
        };
        if started_tx.send(Ok(started)).is_ok() {
            // Completes when the sender is dropped.
            let _ = stop_rx.await;
        }
        // No grace period: replies and the directory are no longer needed.
        service.stop(Duration::ZERO).await;
    });
    runtime.shutdown_timeout(STOP_TIMEOUT / 2);
}
