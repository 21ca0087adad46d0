//! `ottla serve`: from settings to a broker that answers, and back to nothing.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use tempfile::TempDir;
use tokio::runtime::{self, Runtime};

use super::ServeArgs;
use super::parent::Parent;
use super::ready_file::{Ready, ReadyFile};
use super::shutdown::StopSignals;
use crate::logging::{Format, Logging};
use ottla_broker::clock::Clock;
use ottla_broker::service::{Service, Stopped, temporary};
use ottla_config::{BrokerConfig, Resolved, Source, Sources, load};
use ottla_log::faults;

/// How long replies that clients still wait for may take to leave once a stop was asked for.
const GRACE: Duration = Duration::from_millis(500);

/// Runs a broker until it is told to stop. An error is one plain line: why it could not start.
pub fn run(args: &ServeArgs, clock: Clock, logging: &Logging) -> Result<ExitCode, String> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    // Before anything is made that must be put away again.
    let signals = runtime.block_on(async { StopSignals::listen() });
    let mut signals = signals.map_err(|error| format!("cannot listen for signals: {error}"))?;
    let mut parent = match args.exit_with_parent {
        true => Parent::watch()?,
        false => Parent::ignored(),
    };
    if let Err(error) = faults::install() {
        tracing::warn!("files are not mapped, as a fault in one would end the process: {error}");
    }
    let ephemeral = args.ephemeral.then(temporary::directory).transpose();
    let ephemeral = ephemeral.map_err(|error| format!("cannot make a temporary directory: {error}"))?;
    let Resolved { config, notices, without_effect } =
        load(&sources(args, ephemeral.as_ref())).map_err(|error| error.to_string())?;

    set_up_logging(&config, logging)?;

    let ended = runtime.block_on(async {
        let mut ready_file = None;
        let service = Service::start(&config, clock, logging.loggers(), || {
            ready_file = args.ready_file.as_deref().map(claim_ready_file).transpose()?;
            Ok(())
        });
        let service = service.await?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if !without_effect.is_empty() {
            tracing::info!("without effect here: {}", without_effect.join(", "));
        }
        match announce(&service, &config, ready_file.as_mut(), clock) {
            Ok(()) => Ok(until_stopped(service, &mut signals, &mut parent).await),
            // It runs by now: what it has opened is put away as at any stop.
            Err(why) => match stop(service).await {
                End::Unclean(unclean) => Err(format!("{why}; and the next start has to check the logs: {unclean}")),
                End::Clean | End::AtOnce => Err(why),
            },
        }
    });
    end(runtime, ended)
}

/// Has what is logged follow the settings. `RUST_LOG` is weaker than the command line and the environment's
/// `KAFKA_OTTLA_LOG_LEVEL`, and stronger than a file, as the environment is.
fn set_up_logging(config: &BrokerConfig, logging: &Logging) -> Result<(), String> {
    if config.logging.format == "json" {
        logging.set_format(Format::Json);
    }
    let has_rust_log = std::env::var_os("RUST_LOG").is_some_and(|asked| !asked.is_empty());
    let level = "ottla.log.level";
    match config.values.source(level) {
        Some(source) if !(has_rust_log && matches!(source, Source::File { .. })) => {
            logging.set_levels(&config.logging.level).map_err(|mistake| format!("{level}: {mistake} ({source})"))
        }
        _ => logging.mistake().map_or(Ok(()), |mistake| Err(mistake.to_owned())),
    }
}

/// How a run ended that did start.
enum End {
    Clean,
    /// Not everything could be put away, and why.
    Unclean(String),
    /// A second signal came before everything was put away.
    AtOnce,
}

/// Says that it is ready: to whoever reads the log, and to whoever waits for the ready file.
fn announce(
    service: &Service,
    config: &BrokerConfig,
    ready_file: Option<&mut ReadyFile>,
    clock: Clock,
) -> Result<(), String> {
    let data_dir = service.broker().log_dir().path();
    let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
    let ready_ms = milliseconds(clock.monotonic());
    if let Some(file) = ready_file {
        let (bootstrap_servers, admin_url) = (service.bootstrap_servers(), service.admin_url());
        let ready = Ready { pid: std::process::id(), bootstrap_servers, admin_url, data_dir: &data_dir, ready_ms };
        file.write(&ready)
            .map_err(|error| format!("cannot write the ready file {}: {error}", file.path().display()))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let bound: Vec<_> = service.bound().iter().map(SocketAddr::to_string).collect();
    let (bound, addresses) = (bound.join(" and "), service.addresses().join(", "));
    let admin = service.admin_url().map(|url| format!(", admin port {url}")).unwrap_or_default();
    tracing::info!(
        "ottla {version} listening on {bound}, connect to {addresses}{admin}, data in {}, ready in {ready_ms} ms",
        data_dir.display()
    );
    if config.announcement.ready_lines {
        write_ready_lines(config.node_id);
    }
    Ok(())
}

async fn until_stopped(service: Service, signals: &mut StopSignals, parent: &mut Parent) -> End {
    tokio::select! {
        signal = signals.next() => tracing::info!("{signal}: stopping; another one stops at once"),
        why = parent.gone() => tracing::info!("{why}: stopping, as --exit-with-parent asks for"),
    }
    tokio::select! {
        end = stop(service) => end,
        () = signals.next_in_earnest() => End::AtOnce,
    }
}

async fn stop(service: Service) -> End {
    let Stopped { unanswered, closed } = service.stop(GRACE).await;
    if unanswered > 0 {
        tracing::info!("{unanswered} connections were closed with requests unanswered");
    }
    match closed {
        Ok(()) => End::Clean,
        Err(why) => End::Unclean(why),
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
/// one they know leaves no broken pipe behind for the others; and by a thread of its own, so that a pipe that nobody
/// reads holds up nobody.
fn write_ready_lines(node_id: i32) {
    let lines = format!(
        "[BrokerLifecycleManager id={node_id}] Transitioning from RECOVERY to RUNNING\n\
         [KafkaServer id={node_id}] started\n\
         Kafka Server started\n"
    );
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
    };
    let warn = |error| tracing::warn!("nobody reads on stdout that the broker is ready: {error}");
    let thread = thread::Builder::new().name("ready-lines".to_owned());
    if let Err(error) = thread.spawn(move || write().unwrap_or_else(warn)) {
        warn(error);
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
    if let Some(level) = &args.log_level {
        flag("ottla.log.level", level.clone());
    }
    if let Some(format) = args.log_format {
        flag(
            "ottla.log.format",
            format.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned()),
        );
    }
    if !args.create_topic.is_empty() {
        flag("ottla.create.topics", args.create_topic.join(","));
    }
    if let Some(port) = args.admin_port {
        flag("ottla.admin.listener", port.to_string());
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
