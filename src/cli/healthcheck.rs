//! `ottla healthcheck`: checks that the broker answers; the result is the exit code.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tokio::runtime;
use tokio::time::timeout;

use super::ready_file::Announced;
use super::{ServeArgs, serve};
use ottla_broker::service::bind;
use ottla_client::{Client, ClientError, ClientOptions};
use ottla_config::load;
use ottla_wire::codec::Str;

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

/// Sends ApiVersions. Exit code 0: the broker answered; 1: it did not, and the reason is on stderr. An error, one line, is
/// about the settings.
pub fn run(args: &HealthcheckArgs) -> Result<ExitCode, String> {
    let address = match announced(args.serve.ready_file.as_deref())? {
        Some(address) => address,
        None => configured(&args.serve)?,
    };
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
    let limit = Duration::from_millis(args.timeout_ms);
    let answered = runtime.block_on(async { timeout(limit, connect(&address, limit)).await });
    match answered {
        Ok(Ok(())) => return Ok(ExitCode::SUCCESS),
        Ok(Err(why)) => err_line!("ottla: {why}"),
        Err(_) => err_line!("ottla: {address} did not answer in {} ms", args.timeout_ms),
    }
    Ok(ExitCode::FAILURE)
}

/// Connects, which includes an ApiVersions request.
async fn connect(address: &str, timeout: Duration) -> Result<(), String> {
    let options =
        ClientOptions { client_id: Str::from_static("ottla-healthcheck"), timeout, ..ClientOptions::default() };
    match Client::connect_with(address, options).await {
        // The alert of TLS is an answer, too: the broker serves this port.
        Ok(_) | Err(ClientError::ExpectsTls { .. }) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The address in the ready file; `None` without a file, as the broker may have been started without one.
fn announced(ready_file: Option<&Path>) -> Result<Option<String>, String> {
    let Some(path) = ready_file else { return Ok(None) };
    let unusable = |error: String| format!("cannot use the ready file {}: {error}", path.display());
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let announced: Announced = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    Ok(Some(announced.bootstrap_servers))
}

/// The address of the first listener.
fn configured(args: &ServeArgs) -> Result<String, String> {
    let config = load(&serve::sources(args, None)).map_err(|error| error.to_string())?.config;
    let listener = config.listeners.first().ok_or("there is no listener for clients")?;
    Ok(bind::bootstrap_server(listener, listener.bind.port))
}
