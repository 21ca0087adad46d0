//! Shared by the tools that consume: creates a consumer from properties, runs its heartbeats, and handles signals.

use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use super::connect::{Properties, connect};
use super::exceptions::Exception;
use crate::cli::shutdown::StopSignals;
use ottla_client::consumer::{Consumer, ConsumerConfig, ConsumerError};

/// How long consumers try to connect to a broker: one year, which is practically without a limit.
const ONE_YEAR_MS: &str = "31536000000";

/// Runs the work of a tool on this thread, and the tasks that it spawns on another thread, so that a group member sends
/// heartbeats while its output blocks, for example on a pager.
pub fn block_on_multi_thread(work: impl Future<Output = ExitCode>) -> ExitCode {
    // In a box, because tokio's loop would be compiled once more for the work of each tool.
    let work: Pin<Box<dyn Future<Output = ExitCode> + '_>> = Box::pin(work);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Does not wait for a DNS lookup that may still run on a blocking thread.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            err_line!("cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Opens a consumer with these properties; retries until a broker can be reached.
pub async fn open(bootstrap_servers: &str, properties: &Properties) -> Result<Consumer, Exception> {
    let config = config(properties)?;
    let mut properties = properties.clone();
    properties.set("default.api.timeout.ms", ONE_YEAR_MS);
    let client = connect(bootstrap_servers, &properties).await?;
    Ok(Consumer::new(client, config).await?)
}

/// Reads the consumer's settings from properties, as Kafka's consumer does.
pub fn config(properties: &Properties) -> Result<ConsumerConfig, Exception> {
    ConsumerConfig::read(|name| properties.get(name))
        .map_err(|why| Exception::new("org.apache.kafka.common.config.ConfigException", why))
}

/// Reads the properties of a file, if there is one, and those of the command line (each `key=value`), which take
/// precedence.
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

/// Listens for the signals that stop a tool.
pub struct Stop(StopSignals);

impl Stop {
    pub fn listen() -> Result<Stop, Exception> {
        StopSignals::listen().map(Stop).map_err(|error| Exception::new("java.io.IOException", error.to_string()))
    }

    /// Waits for a signal, and returns the exit code for it (128 + its number).
    pub async fn next(&mut self) -> u8 {
        match self.0.next().await {
            "SIGINT" => 130,
            "SIGTERM" => 143,
            _ => 129,
        }
    }
}

/// Prints a warning on stderr.
pub fn warn(text: &str) {
    err_line!("WARN {text}");
}

/// Converts milliseconds to a duration; negative ones to zero.
pub fn millis(count: i64) -> Duration {
    Duration::from_millis(u64::try_from(count).unwrap_or(0))
}
