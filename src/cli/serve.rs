//! `ottla serve`: reads the settings, runs the broker, and stops it on a signal.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::ValueEnum as _;
use tokio::runtime::{self, Runtime};

use super::ServeArgs;
use super::ephemeral::EphemeralDir;
use super::healthcheck::Target;
use super::parent::Parent;
use super::ready_file::{Ready, ReadyFile};
use super::redpanda;
use super::shutdown::StopSignals;
use crate::logging::{Format, Logging};
use ottla_broker::clock::Clock;
use ottla_broker::secure::Secure;
use ottla_broker::service::bind::Moved;
use ottla_broker::service::{Service, Stopped};
use ottla_config::secure::join_users;
use ottla_config::{BrokerConfig, Resolved, Source, Sources, load};
use ottla_log::faults;

/// How long a stop waits until outstanding replies are sent.
const STOP_GRACE: Duration = Duration::from_millis(500);
/// How long a failed start waits for the news that the parent has ended.
const PARENT_GRACE: Duration = Duration::from_millis(100);
/// How long a broker that a signal has stopped waits for the same news, before it keeps its data for the next run: the signal
/// may have been for its parent as well.
const SIGNAL_GRACE: Duration = Duration::from_secs(1);
const LOG_LEVEL: &str = "ottla.log.level";

/// Runs a broker until a signal stops it. The error, one line, says why it could not start.
pub fn run(args: &ServeArgs, clock: Clock, logging: &Logging) -> Result<ExitCode, String> {
    let runtime = runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start threads: {error}"))?;
    // Before anything is created that must be closed again.
    let signals = runtime.block_on(async { StopSignals::listen() });
    let mut signals = signals.map_err(|error| format!("cannot listen for signals: {error}"))?;
    let mut parent = match args.exit_with_parent {
        true => Parent::watch()?,
        false => Parent::ignored(),
    };
    if let Err(error) = faults::install() {
        tracing::warn!(%error, "failed to install the SIGBUS handler, files are not mapped");
    }
    let mut ephemeral = args.ephemeral.then(|| EphemeralDir::create(args.data_dir.as_deref())).transpose()?;
    let Resolved { config, notices, without_effect } =
        load(&sources(args, ephemeral.as_ref().map(EphemeralDir::path))).map_err(|error| error.to_string())?;

    set_up_logging(&config, logging)?;

    let console = config.admin.as_ref().is_some_and(|admin| admin.console.is_some());
    let console = crate::web_console::routes(console.then(|| logging.keep_recent()));
    let ended = runtime.block_on(async {
        let mut ready_file = None;
        let service = Service::start(&config, clock, logging.loggers(), console, || {
            ready_file = args.ready_file.as_deref().map(claim_ready_file).transpose()?;
            Ok(())
        });
        let service = service.await?;
        notices.iter().for_each(|notice| tracing::warn!("{notice}"));
        if let Some(redpanda) = &args.redpanda {
            redpanda.log();
        }
        if !without_effect.is_empty() {
            tracing::info!("settings without effect: {}", without_effect.join(", "));
        }
        match announce(&service, ready_file.as_mut(), clock) {
            Ok(()) => {
                write_ready_lines(ready_lines(args, &config));
                Ok(until_stopped(service, &mut signals, &mut parent, ephemeral.as_mut(), clock).await)
            }
            // It runs already, so it is stopped as usual.
            Err(why) => match stop(service).await {
                End::Unclean(unclean) => Err(format!("{why}; the next start must recover the logs: {unclean}")),
                End::Clean | End::AtOnce => Err(why),
            },
        }
    });
    if let (Err(_), Some(dir)) = (&ended, &mut ephemeral) {
        // No other run follows if the parent has ended, which may be why this one failed.
        if runtime.block_on(clock.timeout(PARENT_GRACE, parent.ended())).is_some() {
            dir.set_kept(false);
        }
    }
    end(runtime, ended)
}

/// Applies the settings of logging.
fn set_up_logging(config: &BrokerConfig, logging: &Logging) -> Result<(), String> {
    if config.logging.format == "json" {
        logging.set_format(Format::Json);
    }
    let unknown = match level_source(config) {
        Some(_) => log_level_notices(config, |level| logging.set_levels(level))?,
        None => logging.rust_log().clone()?,
    };
    unknown.iter().for_each(|notice| tracing::warn!("{notice}"));
    Ok(())
}

/// The source of `ottla.log.level`, if the setting counts. `RUST_LOG` has precedence over a file, as the environment
/// has, but not over the command line and `KAFKA_OTTLA_LOG_LEVEL`.
fn level_source(config: &BrokerConfig) -> Option<&Source> {
    let has_rust_log = std::env::var_os("RUST_LOG").is_some_and(|text| !text.is_empty());
    config.values.source(LOG_LEVEL).filter(|source| !(has_rust_log && matches!(source, Source::File { .. })))
}

/// Applies or checks `ottla.log.level`, and adds the setting's name and source to the outcome.
pub fn log_level_notices(
    config: &BrokerConfig,
    apply: impl FnOnce(&str) -> Result<Vec<String>, String>,
) -> Result<Vec<String>, String> {
    let source = config.values.source(LOG_LEVEL).map_or_else(String::new, |source| format!(" ({source})"));
    let named = |text: String| format!("{LOG_LEVEL}: {text}{source}");
    let unknown = apply(&config.logging.level).map_err(named)?;
    Ok(unknown.into_iter().map(named).collect())
}

/// The end of a broker that had started.
enum End {
    Clean,
    /// Not everything could be closed; the reason.
    Unclean(String),
    /// A second signal came before everything was closed.
    AtOnce,
}

/// Announces that the broker is ready: in the log and in the ready file.
fn announce(service: &Service, ready_file: Option<&mut ReadyFile>, clock: Clock) -> Result<(), String> {
    let data_dir = service.broker().log_dir().path();
    let data_dir = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.to_path_buf());
    let ready_ms = milliseconds(clock.monotonic());
    if let Some(file) = ready_file {
        let (bootstrap_servers, admin_url) = (service.bootstrap_servers(), service.admin_url());
        let listeners = service.listeners().iter().map(|it| (it.name.as_str(), it.address.as_str())).collect();
        let secure = service.secure();
        let protocols = service.listeners().iter().map(|it| it.protocol);
        let target = Target::of(protocols.zip(service.addresses().iter().cloned()));
        let ready = Ready {
            pid: std::process::id(),
            bootstrap_servers,
            listeners,
            admin_url,
            metrics_url: service.metrics_url(),
            schema_registry_url: service.schema_registry_url(),
            ca: secure.and_then(Secure::ca),
            secure_dir: secure.map(Secure::dir),
            health_check: target.filter(|target| target.tls || target.address != bootstrap_servers),
            data_dir: &data_dir,
            ready_ms,
        };
        file.write(&ready)
            .map_err(|error| format!("cannot write the ready file {}: {error}", file.path().display()))?;
    }
    let version = env!("CARGO_PKG_VERSION");
    let bound: Vec<_> = service.bound().iter().map(SocketAddr::to_string).collect();
    let (bound, addresses) = (bound.join(" and "), service.addresses().join(", "));
    let moved = |it: &Moved| format!(", {} at port {} because {} is in use", it.listener, it.port, it.wanted);
    let moved: String = service.moved().iter().map(moved).collect();
    let admin = service.admin_url().map(|url| format!(", admin port {url}")).unwrap_or_default();
    let console = service.console_url().map(|url| format!(", console {url}")).unwrap_or_default();
    let has_own_port = |url: &&str| service.admin_url().is_none_or(|admin| !url.starts_with(admin));
    let metrics = service.metrics_url().filter(has_own_port).map(|url| format!(", metrics {url}")).unwrap_or_default();
    let registry = service.schema_registry_url().map(|url| format!(", schema registry {url}")).unwrap_or_default();
    let proxy = service.rest_proxy_url().map(|url| format!(", REST proxy {url}")).unwrap_or_default();
    let secure = service.secure().and_then(|secure| secure.ca().map(|_| secure.dir().display()));
    let secure = secure.map(|dir| format!(", certificates and client configurations in {dir}")).unwrap_or_default();
    tracing::info!(
        "ottla {version} listening on {bound}, connect to {addresses}{moved}{admin}{console}{metrics}{registry}{proxy}, data in {}{secure}, ready in {ready_ms} ms",
        data_dir.display()
    );
    Ok(())
}

async fn until_stopped(
    service: Service,
    signals: &mut StopSignals,
    parent: &mut Parent,
    mut ephemeral: Option<&mut EphemeralDir>,
    clock: Clock,
) -> End {
    let is_kept = tokio::select! {
        signal = signals.next() => {
            tracing::info!("{signal}: stopping; another signal stops at once");
            true
        }
        reason = parent.ended() => {
            tracing::info!("{reason}: stopping because of --exit-with-parent");
            false
        }
    };
    if let Some(dir) = &mut ephemeral {
        dir.set_kept(is_kept);
    }
    let end = tokio::select! {
        end = stop(service) => end,
        () = signals.next_distinct() => End::AtOnce,
    };
    if let Some(dir) = ephemeral.filter(|dir| is_kept && dir.is_named()) {
        let ends_too = tokio::select! {
            ends_too = clock.timeout(SIGNAL_GRACE, parent.ends_too()) => ends_too.unwrap_or(false),
            () = signals.next_distinct() => false,
        };
        dir.set_kept(!ends_too);
    }
    end
}

async fn stop(service: Service) -> End {
    let Stopped { unanswered, closed } = service.stop(STOP_GRACE).await;
    if unanswered > 0 {
        tracing::info!("closed {unanswered} connections that had requests without a response");
    }
    match closed {
        Ok(()) => End::Clean,
        Err(why) => End::Unclean(why),
    }
}

/// Stops the runtime without waiting for threads that are stuck in a system call, and returns the exit code.
fn end(runtime: Runtime, ended: Result<End, String>) -> Result<ExitCode, String> {
    runtime.shutdown_background();
    match ended? {
        End::Clean => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        End::Unclean(why) => {
            tracing::error!(error = %why, "stopped; the next start must recover the logs");
            Ok(ExitCode::FAILURE)
        }
        End::AtOnce => {
            tracing::warn!("stopped at once; the next start must recover the logs");
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The lines by which Testcontainers' modules recognize that Kafka or Redpanda is ready.
fn ready_lines(args: &ServeArgs, config: &BrokerConfig) -> String {
    let node_id = config.node_id;
    let mut lines = String::new();
    if config.announcement.ready_lines {
        lines = format!(
            "[BrokerLifecycleManager id={node_id}] Transitioning from RECOVERY to RUNNING\n\
             [KafkaServer id={node_id}] started\n\
             Kafka Server started\n"
        );
    }
    if args.redpanda.is_some() {
        lines.push_str(redpanda::READY_LINES);
    }
    lines
}

/// Writes all lines in one write, so that a reader that stops at its line doesn't break the pipe for the others; on a
/// separate thread, so that an unread pipe doesn't block the broker.
fn write_ready_lines(lines: String) {
    if lines.is_empty() {
        return;
    }
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(lines.as_bytes()).and_then(|()| stdout.flush())
    };
    let warn = |error| tracing::warn!(%error, "failed to write the ready lines to stdout");
    let thread = thread::Builder::new().name("ready-lines".to_owned());
    if let Err(error) = thread.spawn(move || write().unwrap_or_else(warn)) {
        warn(error);
    }
}

/// The sources of settings. Flags with their own names become settings of the command line.
pub fn sources(args: &ServeArgs, ephemeral: Option<&Path>) -> Sources {
    let mut command_line = args.set.clone();
    let mut flag = |name: &str, value: String| command_line.push((name.to_owned(), value));
    if ephemeral.is_some() {
        flag("ottla.ephemeral", "true".to_owned());
    }
    if let Some(dir) = ephemeral.or(args.data_dir.as_deref()) {
        flag("log.dirs", dir.display().to_string());
    }
    if let Some(level) = &args.log_level {
        flag(LOG_LEVEL, level.clone());
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
    if args.secure {
        flag("ottla.secure", "true".to_owned());
    }
    if !args.user.is_empty() {
        flag("ottla.users", join_users(args.user.iter().map(String::as_str)));
    }
    if args.console {
        flag("ottla.console.enable", "true".to_owned());
    }
    if let Some(port) = args.admin_port {
        flag("ottla.admin.listener", port.to_string());
    }
    if let Some(port) = args.registry_port {
        flag("ottla.registry.listener", port.to_string());
    }
    Sources { file: args.config.clone(), environment: environment(), command_line, port: args.port }
}

/// The environment variables that are valid UTF-8.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn claim_ready_file(path: &Path) -> Result<ReadyFile, String> {
    ReadyFile::claim(path).map_err(|error| format!("cannot replace the ready file {}: {error}", path.display()))
}

/// Milliseconds with one decimal.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}
