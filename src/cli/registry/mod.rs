//! `ottla registry`: the schema registry as a process of its own, before any Kafka broker.
//!
//! | module | content |
//! |---|---|
//! | `settings` | flags, environment and properties, with Confluent's names |
//! | `topic` | the connection to the topic |
//! | `follower` | the replayed topic |
//! | `election` | the group of registries and its leader |
//! | `forward` | requests passed on to the leader |
//! | `backend` | decisions and writes |
//!
//! One registry writes: the leader. If another one writes all the same, for example while the leader changes, the offset of
//! what was written shows it, and the request is decided again with what is in the topic then.

mod backend;
mod election;
mod follower;
mod forward;
mod settings;
mod topic;

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::name_and_value;
use super::shutdown::StopSignals;
use super::tools::connect::{Properties, connect};
use crate::logging::Logging;
use backend::Backend;
use election::{Election, Identity, Leader};
use follower::Follower;
use forward::Forwarder;
use ottla_broker::clock::Clock;
use ottla_broker::http::listener::HttpServer;
use ottla_broker::http::registry::RegistryPort;
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_broker::tls::TlsListener;
use ottla_registry::compatibility::CompatibilityLevel;
use ottla_registry::store::RegistrySettings;
use settings::Settings;
use topic::{Cluster, Topic};

/// How long a request to the broker may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a stop waits until the group of registries is left.
const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// The arguments of `ottla registry`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RegistryArgs {
    /// The brokers that keep the schemas (kafkastore.bootstrap.servers)
    #[arg(long, short = 'b', value_name = "HOST:PORT,…")]
    bootstrap_server: Option<String>,

    /// Where to listen (listeners) [default: http://0.0.0.0:8081]
    #[arg(long, value_name = "URL")]
    listeners: Option<String>,

    /// Listen at this port of all addresses; 0 chooses a free port
    #[arg(long, value_name = "N", conflicts_with = "listeners")]
    port: Option<u16>,

    /// The name by which other registries of the group reach this one (host.name) [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    host_name: Option<String>,

    /// Read settings from FILE, which is in the format of schema-registry.properties
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Set any setting by Confluent's name; may be given many times
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,

    /// The log level: off, error, warn, info, debug or trace; or LOGGER=LEVEL for single loggers, separated by commas
    /// [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

const AFTER_HELP: &str = "\
Settings are those of Confluent's schema registry. They are read from FILE, then from environment variables
(SCHEMA_REGISTRY_KAFKASTORE_TOPIC means kafkastore.topic), then from the command line; the last one counts.
docs/schema-registry.md has a list.

Examples:
  ottla registry --bootstrap-server kafka:9092
  ottla registry --config schema-registry.properties --set host.name=registry-1

The registry stops on SIGINT (Ctrl-C) or SIGTERM, and at once on a second signal.
Exit code 0: stopped cleanly. 1: stopped at once. 2: could not start; the reason is on stderr.";

fn setting(text: &str) -> Result<(String, String), String> {
    name_and_value(text, "kafkastore.topic=_schemas")
}

/// Runs the registry until a signal stops it. The error, one line, says why it could not start.
pub fn run(args: &RegistryArgs, clock: Clock, logging: &Logging) -> Result<ExitCode, String> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    let settings = args.settings()?;
    if let Some(level) = &settings.log_level {
        let unknown = logging.set_levels(level).map_err(|error| format!("the log level: {error}"))?;
        unknown.iter().for_each(|notice| tracing::warn!("{notice}"));
    }
    if !settings.without_effect.is_empty() {
        tracing::warn!("settings without effect: {}", settings.without_effect.join(", "));
    }
    let ended = runtime.block_on(serve(settings, clock));
    runtime.shutdown_background();
    ended
}

impl RegistryArgs {
    fn settings(&self) -> Result<Settings, String> {
        let mut given: BTreeMap<String, String> = Properties::read_optional(self.config.as_deref())?.into_entries();
        let variables = std::env::vars_os();
        let variables =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        given.extend(settings::of_environment(variables));
        given.extend(self.set.iter().cloned());
        let port = self.port.map(|port| format!("http://0.0.0.0:{port}"));
        for (name, value) in [
            ("kafkastore.bootstrap.servers", &self.bootstrap_server),
            ("listeners", &self.listeners),
            ("listeners", &port),
            ("host.name", &self.host_name),
        ] {
            if let Some(value) = value {
                given.insert(name.to_owned(), value.clone());
            }
        }
        let mut settings = Settings::read(given)?;
        settings.log_level = self.log_level.clone().or(settings.log_level);
        Ok(settings)
    }
}

/// The end of a start or of a stop that a signal interrupted.
const AT_ONCE: ExitCode = ExitCode::FAILURE;

async fn serve(settings: Settings, clock: Clock) -> Result<ExitCode, String> {
    let mut signals = StopSignals::listen().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let port = bind(&settings)?;
    let url = port.url();
    let (stop, stopped) = watch::channel(false);
    let started = tokio::select! {
        started = start(&settings, port, stopped, clock) => started?,
        signal = signals.next() => {
            tracing::info!("{signal}: stopped before the registry was ready");
            return Ok(ExitCode::SUCCESS);
        }
    };
    announce(&settings, &url, clock);
    let signal = signals.next().await;
    tracing::info!("{signal}: stopping; another signal stops at once");
    let Started { server, election } = started;
    drop(server);
    stop.send_replace(true);
    tokio::select! {
        _ = timeout(STOP_TIMEOUT, election) => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        () = signals.next_distinct() => {
            tracing::warn!("stopped at once");
            Ok(AT_ONCE)
        }
    }
}

fn bind(settings: &Settings) -> Result<RegistryPort, String> {
    let config = &settings.registry;
    let tls = config.tls.clone().map(TlsListener::load).transpose()?;
    let port = RegistryPort::bind(config, tls.map(Arc::new)).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!(
                "the port {} is in use; stop the program that uses it, or choose another one with --port",
                config.bind.port
            )
        }
        _ => format!("cannot listen at the port {}: {error}", config.bind.port),
    })?;
    if port.is_unprotected() {
        tracing::info!("other machines can change schemas without a password; ottla.registry.users sets users");
    }
    Ok(port)
}

struct Started {
    server: HttpServer,
    election: tokio::task::JoinHandle<()>,
}

/// Replays the topic, joins the group, and accepts requests.
async fn start(
    settings: &Settings,
    port: RegistryPort,
    stopped: watch::Receiver<bool>,
    clock: Clock,
) -> Result<Started, String> {
    let client = connect(&settings.bootstrap_servers, &settings.client).await?;
    let metadata = client.metadata(Some(&[])).await.map_err(|error| error.to_string())?;
    let mut options = client.options().clone();
    options.timeout = REQUEST_TIMEOUT;
    drop(client);
    let cluster = Cluster { bootstrap_servers: settings.bootstrap_servers.clone(), options };
    let topic = Arc::new(Topic::new(cluster.clone(), &settings.registry.topic, settings.replication));
    // Errors such as a topic with two partitions end the start.
    drop(topic.open().await?);
    let state = registry_settings(settings, metadata.cluster_id.unwrap_or_default());
    let limiter = LogRateLimiter::new(clock);
    let follower = Arc::new(Follower::new(Arc::clone(&topic), state, Arc::clone(&limiter)));
    let following = Arc::clone(&follower);
    tokio::spawn(async move { following.run().await });
    let in_time = |_| format!("the topic {} could not be read in time", settings.registry.topic);
    timeout(settings.init_timeout, async { while follower.catch_up().await.is_err() {} }).await.map_err(in_time)?;

    let (host, bound) = (host_name(settings), port_of(&port.url()));
    let identity = Identity::new(settings.scheme, &host, bound, settings.is_eligible);
    let election = Election::new(cluster, &settings.group, identity);
    let mut leader = election.leader();
    let backend = Backend::new(topic, follower, leader.clone(), Forwarder::new(), Arc::clone(&limiter));
    let election = tokio::spawn(async move { election.run(stopped).await });
    // Without a leader, requests that write wait for one.
    let _ = timeout(settings.init_timeout, leader.wait_for(|leader| *leader != Leader::Unknown)).await;
    let server = port.open(Arc::new(backend), clock, limiter);
    let server = server.map_err(|error| format!("cannot accept connections: {error}"))?;
    Ok(Started { server, election })
}

fn registry_settings(settings: &Settings, kafka_cluster_id: String) -> RegistrySettings {
    let defaults = RegistrySettings::default();
    let level = CompatibilityLevel::from_name(&settings.registry.compatibility_level);
    RegistrySettings {
        // The setting's rule allows known levels only.
        compatibility_level: level.unwrap_or(defaults.compatibility_level),
        mode_mutability: settings.registry.mode_mutability,
        kafka_cluster_id,
        group_id: settings.group.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..defaults
    }
}

fn host_name(settings: &Settings) -> String {
    let own = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    settings.host_name.clone().unwrap_or_else(own)
}

fn port_of(url: &str) -> u16 {
    url.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or_default()
}

/// Logs that the registry is ready, and writes the line to stdout for which scripts for Confluent's registry wait.
fn announce(settings: &Settings, url: &str, clock: Clock) {
    let (version, servers, topic) = (env!("CARGO_PKG_VERSION"), &settings.bootstrap_servers, &settings.registry.topic);
    let ready_ms = clock.monotonic().as_millis();
    tracing::info!(
        "ottla {version} schema registry {url}, schemas in the topic {topic} of {servers}, ready in {ready_ms} ms"
    );
    let mut stdout = io::stdout().lock();
    let written = writeln!(stdout, "Server started, listening for requests...").and_then(|()| stdout.flush());
    if let Err(error) = written {
        tracing::warn!(%error, "failed to write the ready line to stdout");
    }
}
