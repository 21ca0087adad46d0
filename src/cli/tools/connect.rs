//! From a bootstrap address to a broker that answers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::ToSocketAddrs as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Termination};
use std::time::{Duration, Instant};

use super::exceptions::Exception;
use ottla_client::{Client, ClientError, ClientOptions};
use ottla_config as config;
use ottla_wire::codec::Str;
use ottla_wire::types::InOrder as _;

/// How long tools try to reach a broker, and wait for an answer (`default.api.timeout.ms`).
const DEFAULT_API_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two lines that say that the broker isn't there yet.
const REMINDER: Duration = Duration::from_secs(10);

/// A client's settings, from a properties file (`--command-config` and its like) and the command line.
#[derive(Clone, Debug, Default)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Those of a file in the form of Java's properties. The error is one plain line.
    pub fn read(path: &Path) -> Result<Properties, String> {
        let file = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let entries = config::properties(&file).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(Properties(entries.into_iter().in_order()))
    }

    /// Those of a file, or none.
    pub fn read_optional(path: Option<&Path>) -> Result<Properties, String> {
        path.map_or_else(|| Ok(Properties::default()), Properties::read)
    }

    /// All of them by name, values as they were written.
    pub fn into_entries(self) -> BTreeMap<String, String> {
        self.0
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    /// As [`Properties::get`], with the spaces around it: a separator may be one.
    pub fn untrimmed(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them by name, values as they were written.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Sets one, in place of what the file said.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A number, or the default. The error is one plain line.
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

/// Where our own commands find the broker: this machine's, unless told otherwise.
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
    /// Connects there. The error is one plain line. Who waits for our own commands is told soon that there is no broker.
    pub async fn connect(&self) -> Result<Client, String> {
        const API_TIMEOUT: &str = "default.api.timeout.ms";
        let mut properties = Properties::read_optional(self.command_config.as_deref())?;
        if properties.get(API_TIMEOUT).is_none() {
            properties.set(API_TIMEOUT, "5000");
        }
        Ok(connect(&self.bootstrap_server, &properties).await?)
    }
}

/// Why there is no connection. Displays as one plain line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// What was asked for can't be.
    #[error("{0}")]
    Misconfigured(String),
    /// No broker answered in time.
    #[error("{0}")]
    Unreachable(String),
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
            ConnectError::Misconfigured(_) => "org.apache.kafka.common.config.ConfigException",
            ConnectError::Unreachable(_) => "org.apache.kafka.common.errors.TimeoutException",
        };
        Exception::new(class, error.to_string())
    }
}

/// Does the work of a tool on this thread.
pub fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
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

/// Connects to the first of these addresses (`host:port,host:port`) that answers. As Kafka's tools do, it waits for
/// a broker that isn't there yet: for `default.api.timeout.ms`, and says so on stderr.
pub async fn connect(bootstrap_servers: &str, properties: &Properties) -> Result<Client, ConnectError> {
    let addresses = addresses(bootstrap_servers)?;
    let patience = properties.milliseconds("default.api.timeout.ms", DEFAULT_API_TIMEOUT)?;
    let mut options = ClientOptions::default();
    options.timeout = properties.milliseconds("request.timeout.ms", options.timeout)?;
    if let Some(id) = properties.get("client.id") {
        options.client_id = Str::from(id);
    }
    match properties.get("security.protocol") {
        None | Some("PLAINTEXT") => {}
        Some(other) => {
            let why = format!("security.protocol={other} is not supported: only PLAINTEXT is");
            return Err(ConnectError::Misconfigured(why));
        }
    }
    let started = Instant::now();
    let mut reminded: Option<Instant> = None;
    loop {
        for address in &addresses {
            match Client::connect_with(address, options.clone()).await {
                Ok(client) => return Ok(client),
                Err(error @ (ClientError::Connect { .. } | ClientError::Disconnected(_))) => {
                    if reminded.is_none_or(|last| last.elapsed() >= REMINDER) {
                        reminded = Some(Instant::now());
                        err_line!("WARN {error}. The broker may not be available; trying again.");
                    }
                }
                Err(error) => return Err(ConnectError::Unreachable(error.to_string())),
            }
        }
        if started.elapsed() + PAUSE >= patience {
            let why = format!("Timed out waiting for a node assignment: no broker at {bootstrap_servers}");
            return Err(ConnectError::Unreachable(why));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The addresses of a list, each with a port and a host that is known.
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
    fn bootstrap_servers() {
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
