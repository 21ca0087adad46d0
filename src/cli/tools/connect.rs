//! Connects a tool to a broker, by its bootstrap servers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{ExitCode, Termination};
use std::time::{Duration, Instant};

use super::exceptions::Exception;
use super::security::Security;
use ottla_client::{Client, ClientError, ClientOptions};
use ottla_config as config;
use ottla_wire::codec::Str;
use ottla_wire::types::InOrder as _;

/// How long tools try to connect to a broker, by default (`default.api.timeout.ms`).
const DEFAULT_API_TIMEOUT: Duration = Duration::from_secs(60);
/// The time between two attempts to connect.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);
/// The time between two warnings that the broker can't be reached.
const WARN_INTERVAL: Duration = Duration::from_secs(10);

/// A client's settings, from a properties file (such as that of `--command-config`) and the command line.
#[derive(Clone, Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Reads a Java properties file. The error is one plain line.
    pub fn read(path: &Path) -> Result<Properties, String> {
        let file = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let entries = config::properties(&file).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Properties(entries.into_iter().in_order()))
    }

    /// Reads a properties file if there is a path; otherwise returns no properties.
    pub fn read_optional(path: Option<&Path>) -> Result<Properties, String> {
        path.map_or_else(|| Ok(Properties::default()), Properties::read)
    }

    /// Returns all properties by name, values untrimmed.
    pub fn into_entries(self) -> BTreeMap<String, String> {
        self.0
    }

    /// Returns the value of a property, trimmed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// Like [`Properties::get`], but untrimmed: a separator can be a space.
    pub fn untrimmed(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Iterates over all properties by name, values untrimmed.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets a property; replaces the value from the file.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Returns a property as a number, or the default. The error is one plain line.
    pub fn number<T: std::str::FromStr>(&self, name: &str, default: T) -> Result<T, String> {
        match self.get(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| format!("Invalid value {text} for configuration {name}")),
        }
    }

    fn milliseconds(&self, name: &str, default: Duration) -> Result<Duration, String> {
        let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
        self.number(name, default).map(Duration::from_millis)
    }
}

/// Options for the broker that Ottla's own commands connect to; by default `localhost:9092`.
#[derive(Clone, Debug, clap::Args)]
pub struct Bootstrap {
    /// The broker to talk to
    #[arg(
        long,
        short = 'b',
        value_name = "HOST:PORT",
        env = "KAFKA_BOOTSTRAP_SERVERS",
        hide_env_values = true,
        default_value = "localhost:9092",
        global = true
    )]
    pub bootstrap_server: String,

    /// Properties for the client, such as request.timeout.ms
    #[arg(long, value_name = "FILE", global = true)]
    pub command_config: Option<PathBuf>,
}

impl Bootstrap {
    /// Connects to the broker. The error is one plain line. Unlike Kafka's tools, Ottla's own commands give up after
    /// 5 s by default.
    pub async fn connect(&self) -> Result<Client, String> {
        const API_TIMEOUT: &str = "default.api.timeout.ms";
        let mut properties = Properties::read_optional(self.command_config.as_deref())?;
        if properties.get(API_TIMEOUT).is_none() {
            properties.set(API_TIMEOUT, "5000");
        }
        Ok(connect(&self.bootstrap_server, &properties).await?)
    }
}

/// Why connecting failed. Displays as one plain line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The settings are invalid.
    #[error("{0}")]
    Misconfigured(String),
    /// No broker answered before the timeout.
    #[error("{0}")]
    Unreachable(String),
    /// A broker and this client do not accept each other: the certificate, the password, the versions.
    #[error("{}", .0.message)]
    Refused(Exception),
}

impl From<String> for ConnectError {
    fn from(why: String) -> ConnectError {
        ConnectError::Misconfigured(why)
    }
}

impl From<ConnectError> for String {
    fn from(error: ConnectError) -> String {
        error.to_string()
    }
}

impl From<ConnectError> for Exception {
    fn from(error: ConnectError) -> Exception {
        let class = match &error {
            ConnectError::Refused(exception) => return exception.clone(),
            ConnectError::Misconfigured(_) => "org.apache.kafka.common.config.ConfigException",
            ConnectError::Unreachable(_) => "org.apache.kafka.common.errors.TimeoutException",
        };
        Exception::new(class, error.to_string())
    }
}

/// Runs the work of a tool on this thread.
pub fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    // In a box, because tokio's loop would be compiled once more for the work of each tool.
    let work: Pin<Box<dyn Future<Output = ExitCode> + '_>> = Box::pin(work);
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => {
            err_line!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Like [`block_on`]; an error is printed and makes the tool fail.
pub fn run_to_exit<T: Termination, E: fmt::Display>(work: impl Future<Output = Result<T, E>>) -> ExitCode {
    block_on(async {
        match work.await {
            Ok(done) => done.report(),
            Err(why) => {
                err_line!("{why}");
                ExitCode::FAILURE
            }
        }
    })
}

/// Connects to the first of these addresses (`host:port,host:port`) that answers. Like Kafka's tools, it retries for
/// `default.api.timeout.ms`, with warnings on stderr.
pub async fn connect(bootstrap_servers: &str, properties: &Properties) -> Result<Client, ConnectError> {
    let addresses = addresses(bootstrap_servers)?;
    let timeout = properties.milliseconds("default.api.timeout.ms", DEFAULT_API_TIMEOUT)?;
    let mut options = ClientOptions::default();
    options.timeout = properties.milliseconds("request.timeout.ms", options.timeout)?;
    if let Some(id) = properties.get("client.id") {
        options.client_id = Str::from(id);
    }
    Security { tls: options.tls, sasl: options.sasl } = Security::read(&properties.0)?;
    let started = Instant::now();
    let mut last_warning: Option<Instant> = None;
    loop {
        let mut last = None;
        for address in &addresses {
            match Client::connect_with(address, options.clone()).await {
                Ok(client) => return Ok(client),
                Err(error @ (ClientError::Connect { .. } | ClientError::Disconnected(_))) => {
                    if last_warning.is_none_or(|last| last.elapsed() >= WARN_INTERVAL) {
                        last_warning = Some(Instant::now());
                        err_line!("WARN {error}. The broker may not be available; trying again.");
                    }
                    if matches!(error, ClientError::Disconnected(_)) {
                        last = Some(error);
                    }
                }
                Err(error @ ClientError::Timeout { .. }) => return Err(ConnectError::Unreachable(error.to_string())),
                Err(error) => return Err(ConnectError::Refused(error.into())),
            }
        }
        if started.elapsed() + RETRY_BACKOFF >= timeout {
            // It may say more than that there is no broker.
            let cause = last.map(|error| format!(" ({error})")).unwrap_or_default();
            let why = format!("Timed out waiting for a node assignment: no broker at {bootstrap_servers}{cause}");
            return Err(ConnectError::Unreachable(why));
        }
        tokio::time::sleep(RETRY_BACKOFF).await;
    }
}

/// Parses a list of addresses, and keeps those whose host can be resolved. An address without a port is an error, and
/// so is a list without a resolvable host.
pub fn addresses(bootstrap_servers: &str) -> Result<Vec<String>, String> {
    let listed = bootstrap_servers.split(',').map(str::trim).filter(|address| !address.is_empty());
    let mut known = Vec::new();
    for address in listed {
        let address = address.split_once("://").map_or(address, |(_, address)| address);
        let has_port =
            address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !has_port {
            return Err(format!("Invalid url in bootstrap.servers: {address}"));
        }
        if address.to_socket_addrs().is_ok_and(|mut found| found.next().is_some()) {
            known.push(address.to_owned());
        } else {
            err_line!("WARN Couldn't resolve server {address} from bootstrap.servers");
        }
    }
    if known.is_empty() {
        return Err("No resolvable bootstrap urls given in bootstrap.servers".to_owned());
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_servers_without_a_port_are_refused() {
        let check = |text, expect: Result<&[&str], &str>| {
            let found = addresses(text);
            let found = found.as_ref().map(|list| list.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(|error| error.as_str()), expect, "{text}");
        };
        check("127.0.0.1:9092", Ok(&["127.0.0.1:9092"]));
        check("127.0.0.1:1, [::1]:2,", Ok(&["127.0.0.1:1", "[::1]:2"]));
        check("PLAINTEXT://127.0.0.1:1", Ok(&["127.0.0.1:1"]));
        check("127.0.0.1", Err("Invalid url in bootstrap.servers: 127.0.0.1"));
        check("127.0.0.1:x", Err("Invalid url in bootstrap.servers: 127.0.0.1:x"));
        check("", Err("No resolvable bootstrap urls given in bootstrap.servers"));
    }
}
