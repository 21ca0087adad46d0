//! `ottla healthcheck`: checks that the broker answers; the result is the exit code.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::time::timeout;
use ureq::Agent;

use super::ready_file::Announced;
use super::{ServeArgs, serve};
use ottla_broker::service::bind;
use ottla_client::{Client, ClientOptions};
use ottla_config::{SecurityProtocol, load};
use ottla_wire::codec::Str;

/// The largest answer of the admin port that is read.
const MAX_HEALTH_BYTES: u64 = 64 << 10;

/// The arguments of `ottla healthcheck`.
#[derive(Debug, Clone, Args)]
pub struct HealthcheckArgs {
    /// Check the broker with these settings; with --ready-file, the broker that wrote the file.
    #[command(flatten)]
    serve: ServeArgs,

    /// Fail after MS milliseconds
    #[arg(long, value_name = "MS", default_value_t = 2_000)]
    timeout_ms: u64,
}

/// The listener that is checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// `host:port`.
    pub address: String,
    pub tls: bool,
}

impl Target {
    /// The first listener without TLS, or else the first one.
    pub fn of(listeners: impl IntoIterator<Item = (SecurityProtocol, String)>) -> Option<Target> {
        let targets = listeners.into_iter().map(|(protocol, address)| Target { address, tls: protocol.is_tls() });
        // Of equal ones, this is the first.
        targets.min_by_key(|target| target.tls)
    }
}

/// Asks the broker whether it answers. Exit code 0: it did; 1: it did not, and the reason is on stderr. An error, one line,
/// is about the settings.
pub fn run(args: &HealthcheckArgs) -> Result<ExitCode, String> {
    let Checked { target, admin_url } = match announced(args.serve.ready_file.as_deref())? {
        Some(checked) => checked,
        None => configured(&args.serve)?,
    };
    let address = &target.address;
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let limit = Duration::from_millis(args.timeout_ms);
    let answered = runtime.block_on(async { timeout(limit, check(&target, limit)).await });
    let health = admin_url.and_then(|url| health(&url, limit));
    let reasons = health.as_ref().map(|health| health.reasons.as_slice()).unwrap_or_default();
    match answered {
        Ok(Ok(())) if health.as_ref().is_none_or(|health| !health.has_failed) => return Ok(ExitCode::SUCCESS),
        Ok(Ok(())) => {}
        Ok(Err(why)) => err_line!("ottla: {why}"),
        Err(_) => err_line!("ottla: {address} did not answer in {} ms", args.timeout_ms),
    }
    reasons.iter().for_each(|reason| err_line!("ottla: {reason}"));
    Ok(ExitCode::FAILURE)
}

/// What the admin port says of the broker.
#[derive(Debug)]
struct Health {
    has_failed: bool,
    /// What does not work, or not yet.
    reasons: Vec<String>,
}

/// Asks the admin port, which needs no token for this. `None` if it does not answer, or has TLS: then only the listener
/// decides.
fn health(url: &str, limit: Duration) -> Option<Health> {
    if !url.starts_with("http:") {
        return None;
    }
    let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(limit));
    // A proxy of the environment is not for this machine.
    let config = config.proxy(None).build();
    let mut response = Agent::from(config).get(format!("{url}/health")).call().ok()?;
    let has_failed = response.status().is_server_error();
    let text = response.body_mut().with_config().limit(MAX_HEALTH_BYTES).read_to_string().ok()?;
    let body: Value = serde_json::from_str(&text).ok()?;
    let reasons = body.get("reasons").and_then(Value::as_array);
    let texts = reasons.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    Some(Health { has_failed, reasons: texts.collect() })
}

/// Sends ApiVersions, which needs no login. At a listener with TLS, where a handshake could need a certificate, the client
/// closes its side without sending a byte: then the broker closes the connection, too, and logs nothing.
async fn check(target: &Target, timeout: Duration) -> Result<(), String> {
    if target.tls {
        let closed = closed_by_broker(&target.address).await;
        return closed.map_err(|error| format!("cannot connect to {}: {error}", target.address));
    }
    let options =
        ClientOptions { client_id: Str::from_static("ottla-healthcheck"), timeout, ..ClientOptions::default() };
    Client::connect_with(&target.address, options).await.map(|_| ()).map_err(|error| error.to_string())
}

async fn closed_by_broker(address: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.shutdown().await?;
    stream.read(&mut [0]).await.map(|_| ())
}

/// What is checked.
struct Checked {
    target: Target,
    /// The URL of the admin port, if there is one.
    admin_url: Option<String>,
}

/// What the ready file names; `None` without a file, as the broker may have been started without one.
fn announced(ready_file: Option<&Path>) -> Result<Option<Checked>, String> {
    let Some(path) = ready_file else { return Ok(None) };
    let unusable = |error: String| format!("cannot use the ready file {}: {error}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let announced: Announced = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let first = Target { address: announced.bootstrap_servers, tls: false };
    let target = announced.health_check.unwrap_or(first);
    Ok(Some(Checked { target, admin_url: announced.admin_url }))
}

/// What to check with these settings.
fn configured(args: &ServeArgs) -> Result<Checked, String> {
    let config = load(&serve::sources(args, None)).map_err(|error| error.to_string())?.config;
    let address = |listener| bind::bootstrap_server(listener, listener.bind.port);
    let listeners = config.listeners.iter().map(|listener| (listener.protocol, address(listener)));
    let admin = config.admin.as_ref().filter(|admin| admin.tls.is_none());
    let admin_url = admin.map(|it| format!("http://{}", bind::local_address(&it.bind.host, it.bind.port)));
    let target = Target::of(listeners).ok_or_else(|| "there is no listener for clients".to_owned())?;
    Ok(Checked { target, admin_url })
}
