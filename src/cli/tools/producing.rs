//! What the tools that write records share: a producer from its properties, and failures in the words of Kafka's.

use std::collections::BTreeMap;
use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

use super::connect::addresses;
use super::exceptions::exception_name;
use ottla_client::producer::{Observer, Producer, ProducerOptions, SendError};

/// A producer for the brokers in `bootstrap.servers`. The error is a line as Kafka's tools print it.
pub fn start<T: Send + 'static>(
    properties: &BTreeMap<String, String>,
    observer: impl Observer<T>,
) -> Result<Producer<T>, String> {
    const CONFIG_EXCEPTION: &str = "org.apache.kafka.common.config.ConfigException";
    let options = ProducerOptions::from_properties(properties).map_err(|why| format!("{CONFIG_EXCEPTION}: {why}"))?;
    let servers = properties.get("bootstrap.servers").map_or("", String::as_str);
    let addresses = addresses(servers).map_err(|why| {
        format!(
            "org.apache.kafka.common.KafkaException: Failed to construct kafka producer\n\
             Caused by: {CONFIG_EXCEPTION}: {why}"
        )
    })?;
    Ok(Producer::new(addresses, options, observer))
}

/// The Java class of what went wrong: `org.apache.kafka.common.errors.RecordTooLargeException`.
pub fn exception_class(error: &SendError) -> String {
    match error {
        SendError::BufferFull { .. } => "org.apache.kafka.clients.producer.BufferExhaustedException".to_owned(),
        SendError::Broken(_) => "org.apache.kafka.common.KafkaException".to_owned(),
        other => format!("org.apache.kafka.common.errors.{}", exception_name(other.code())),
    }
}

/// What went wrong, as Java prints it.
pub fn java_send_error(error: &SendError) -> String {
    format!("{}: {error}", exception_class(error))
}

/// `key=value` pairs of a command line, in the order given; a pair without a value has an empty one.
///
/// Source: `org.apache.kafka.server.util.CommandLineUtils.parseKeyValueArgs`.
pub fn key_values(pairs: &[String]) -> impl Iterator<Item = (String, String)> + '_ {
    pairs.iter().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    })
}

/// Waits until the process is asked to end: the exit code that says by what.
pub async fn asked_to_end() -> u8 {
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => 130,
        () = wait(SignalKind::terminate()) => 143,
    }
}
