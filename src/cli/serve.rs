//! `ottla serve`: from settings to a broker that answers, and back to nothing.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use super::ready_file::{Ready, ReadyFile};
use super::shutdown::StopSignals;
use super::{ServeArgs, bind, open_files};
use crate::broker::Broker;
use crate::broker::clock::Clock;
use crate::config::{BrokerConfig, Resolved, Sources, load};
use crate::handlers::Handlers;
use crate::server::{self, Server};

/// How long replies that clients still wait for may take to leave once a stop was asked for.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a broker until it is told to stop. An error is one plain line: why it could not start.
pub fn run(args: &ServeArgs, clock: Clock) -> Result<ExitCode, String> {
    open_files::raise_limit();
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    // Before anything is made that must be put away again.
    let signals = runtime.block_on(async { StopSignals::listen() });
    let mut signals = signals.map_err(|error| format!("cannot listen for signals: {error}"))?;
    let ephemeral = args.ephemeral.then(|| TempDir::with_prefix("ottla-")).transpose();
    let ephemeral = ephemeral.map_err(|error| format!("cannot make a temporary directory: {error}"))?;
    let Resolved { config, notices, without_effect } =
        load(&sources(args, ephemeral.as_ref())).map_err(|error| error.to_string())?;

    let ended = runtime.block_on(async {
        let mut ready_file = None;
        let running = start(&config, clock, || {
            ready_file = args.ready_file.as_deref().map(claim_ready_file).transpose()?;
            Ok(())
        });
        let running = running.await?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if !without_effect.is_empty() {
            tracing::info!("without effect here: {}", without_effect.join(", "));
        }
        running.announce(&config, ready_file.as_mut(), clock)?;
        Ok(running.until_stopped(&mut signals).await)
    });
    end(runtime, ended)
}

/// A broker that answers.
struct Running {
    broker: Arc<Broker>,
    server: Server,
    /// Where a client on this machine connects to, by listener.
    addresses: Vec<String>,
}

/// How a run ended that did start.
enum End {
    Clean,
    /// Not everything could be put away, and why.
    Unclean(String),
    /// A second signal came before everything was put away.
    AtOnce,
}

/// Claims the ports first, because that is where a second broker on one machine finds out; then opens the data; then
/// the doors.
///
/// `alone` runs once the ports are ours: before, another broker may still need what this one would take away.
async fn start(
    config: &BrokerConfig,
    clock: Clock,
    alone: impl FnOnce() -> Result<(), String>,
) -> Result<Running, String> {
    let limits = server::Limits::of(config).map_err(|error| error.to_string())?;
    let ports = bind::claim_ports(config, &limits)?;
    alone()?;
    let addresses = bind::addresses(config, &ports);
    let broker = Broker::open(config.clone(), clock, bind::endpoints(config, &ports));
    let broker = broker.await.map_err(|error| format!("cannot use the data directory: {error}"))?;
    broker.create_start_topics().await.map_err(|error| error.to_string())?;
    let handlers = Arc::new(Handlers::new(Arc::clone(&broker)));
    let server = server::serve(ports, handlers, &limits);
    let server = server.map_err(|error| format!("cannot accept connections: {error}"))?;
    Ok(Running { broker, server, addresses })
}

impl Running {
    /// Says that it is ready: to whoever reads the log, and to whoever waits for the ready file.
    fn announce(&self, config: &BrokerConfig, ready_file: Option<&mut ReadyFile>, clock: Clock) -> Result<(), String> {
        let data_dir = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
        let ready_ms = milliseconds(clock.monotonic());
        if let Some(file) = ready_file {
            let bootstrap_servers = self.addresses.first().map_or("", String::as_str);
            let ready = Ready { pid: std::process::id(), bootstrap_servers, data_dir: &data_dir, ready_ms };
            file.write(&ready).map_err(|error| format!("cannot write the ready file: {error}"))?;
        }
        let version = env!("CARGO_PKG_VERSION");
        let addresses = self.addresses.join(", ");
        tracing::info!(
            "ottla {version} listens on {addresses}, data in {}, ready in {ready_ms} ms",
            data_dir.display()
        );
        if config.announcement.ready_lines {
            write_ready_lines(config.node_id);
        }
        Ok(())
    }

    async fn until_stopped(self, signals: &mut StopSignals) -> End {
        let signal = signals.next().await;
        tracing::info!("{signal}: stopping; another one stops at once");
        tokio::select! {
            end = self.stop() => end,
            _ = signals.next() => End::AtOnce,
        }
    }

    /// Lets clients go, then closes the logs.
    async fn stop(self) -> End {
        let unanswered = self.server.stop(GRACE).await;
        if unanswered > 0 {
            tracing::info!("{unanswered} connections were closed with requests unanswered");
        }
        let broker = self.broker;
        match tokio::task::spawn_blocking(move || broker.close()).await {
            Ok(Ok(())) => End::Clean,
            Ok(Err(error)) => End::Unclean(error.to_string()),
            Err(panic) => End::Unclean(panic.to_string()),
        }
    }
}

/// Lets go of the threads; one that is stuck in a system call does not hold up the exit.
fn end(runtime: Runtime, ended: Result<End, String>) -> Result<ExitCode, String> {
    runtime.shutdown_background();
    match ended? {
        End::Clean => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        End::Unclean(why) => {
            tracing::error!("stopped, but the next start has to check the logs: {why}");
            Ok(ExitCode::FAILURE)
        }
        End::AtOnce => {
            tracing::warn!("stopped at once: the next start has to check the logs");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The lines by which Testcontainers' modules know Kafka to be ready. At once, so that whoever stops reading at the
/// one they know leaves no broken pipe behind for the others.
fn write_ready_lines(node_id: i32) {
    let lines = format!(
        "[BrokerLifecycleManager id={node_id}] Transitioning from RECOVERY to RUNNING\n\
         [KafkaServer id={node_id}] started\n\
         Kafka Server started\n"
    );
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush()) {
        tracing::warn!("nobody reads on stdout that the broker is ready: {error}");
    }
}

/// Where settings come from, the directory that a flag names included.
pub fn sources(args: &ServeArgs, ephemeral: Option<&TempDir>) -> Sources {
    let mut command_line = args.set.clone();
    let mut flag = |name: &str, value: String| command_line.push((name.to_owned(), value));
    if let Some(dir) = ephemeral {
        flag("log.dirs", dir.path().display().to_string());
        flag("ottla.ephemeral", "true".to_owned());
    }
    if let Some(dir) = &args.data_dir {
        flag("log.dirs", dir.display().to_string());
    }
    if !args.create_topic.is_empty() {
        flag("ottla.create.topics", args.create_topic.join(","));
    }
    Sources { file: args.config.clone(), environment: environment(), command_line, port: args.port }
}

/// All variables that are text; settings are.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn claim_ready_file(path: &Path) -> Result<ReadyFile, String> {
    ReadyFile::claim(path).map_err(|error| format!("cannot replace the ready file {}: {error}", path.display()))
}

/// With one decimal: a start is a matter of a few.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
