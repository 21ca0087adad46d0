//! What the tools that consume share: a consumer from its properties, a runtime that keeps heartbeats going, signals.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use super::connect::{Properties, connect};
use super::exceptions::Exception;
use crate::cli::shutdown::StopSignals;
use ottla_client::consumer::{Consumer, ConsumerConfig, ConsumerError};

/// How long consumers wait for a broker: they have nothing else to do.
const PATIENCE_MS: &str = "31536000000";

/// Does the work of a tool on this thread, and beside it, on another, what it spawns: members of groups send their
/// heartbeats while a pager holds their output up.
pub fn block_on_beside(work: impl Future<Output = ExitCode>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // A lookup of a name may still be under way in a thread of its own.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            err_line!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A consumer with these properties; it waits for a broker that isn't there yet.
pub async fn open(bootstrap_servers: &str, properties: &Properties) -> Result<Consumer, Exception> {
    let config = config(properties)?;
    let mut properties = properties.clone();
    properties.set("default.api.timeout.ms", PATIENCE_MS);
    let client = connect(bootstrap_servers, &properties).await?;
    Ok(Consumer::new(client, config).await?)
}

/// The settings among properties, read as Kafka's consumer reads them.
pub fn config(properties: &Properties) -> Result<ConsumerConfig, Exception> {
    ConsumerConfig::read(|name| properties.get(name))
        .map_err(|why| Exception::new("org.apache.kafka.common.config.ConfigException", why))
}

/// The properties of a file, if any, and over them those of a command line, each `key=value`.
pub fn properties(file: Option<&str>, given: &[String]) -> Result<Properties, Exception> {
    let unreadable = |why| Exception::new("java.nio.file.NoSuchFileException", why);
    let mut properties = Properties::read_optional(file.map(Path::new)).map_err(unreadable)?;
    for entry in given {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        properties.set(name, value);
    }
    Ok(properties)
}

impl From<ConsumerError> for Exception {
    fn from(error: ConsumerError) -> Exception {
        let class = match &error {
            ConsumerError::Client(error) => return Exception::from(error),
            ConsumerError::NoOffset(_) => "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
            ConsumerError::OutOfRange { .. } => "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
            ConsumerError::InvalidTopics(_) => "org.apache.kafka.common.errors.InvalidTopicException",
            ConsumerError::Refused(code) => {
                let refused = Exception::refused(code.code(), None);
                return Exception { message: error.to_string(), ..refused };
            }
            ConsumerError::Unreadable { .. } | ConsumerError::Protocol { .. } | ConsumerError::UnknownAssignor(_) => {
                "org.apache.kafka.common.KafkaException"
            }
        };
        Exception::new(class, error.to_string())
    }
}

/// The signals by which a tool is stopped, and how it ends then.
pub struct Stop(StopSignals);

impl Stop {
    pub fn listen() -> Result<Stop, Exception> {
        StopSignals::listen().map(Stop).map_err(|error| Exception::new("java.io.IOException", error.to_string()))
    }

    /// Waits for one; the exit code of a process that it ended.
    pub async fn next(&mut self) -> u8 {
        match self.0.next().await {
            "SIGINT" => 130,
            "SIGTERM" => 143,
            _ => 129,
        }
    }
}

/// A warning on stderr.
pub fn warn(text: &str) {
    err_line!("WARN {text}");
}

/// Milliseconds that may be as many as there are.
pub fn millis(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}
