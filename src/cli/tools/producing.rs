//! Shared by the tools that write records: creates a producer from properties, and formats send errors as Kafka does.

use std::collections::BTreeMap;
use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

use super::connect::addresses;
use super::exceptions::{SSL_EXCEPTION, exception_name};
use super::security::Security;
use ottla_client::producer::{Observer, Producer, ProducerOptions, SendError};

/// Starts a producer for the brokers in `bootstrap.servers`. The error is a line as Kafka's tools print it.
pub fn start<T: Send + 'static>(
    properties: &BTreeMap<String, String>,
    observer: impl Observer<T>,
) -> Result<Producer<T>, String> {
    const CONFIG_EXCEPTION: &str = "org.apache.kafka.common.config.ConfigException";
    let refused = |why| format!("{CONFIG_EXCEPTION}: {why}");
    let mut options = ProducerOptions::from_properties(properties).map_err(refused)?;
    Security { tls: options.tls, sasl: options.sasl } = Security::read(properties).map_err(refused)?;
    let servers = properties.get("bootstrap.servers").map_or("", String::as_str);
    let addresses = addresses(servers).map_err(|why| {
        format!(
            "org.apache.kafka.common.KafkaException: Failed to construct kafka producer\n\
             Caused by: {CONFIG_EXCEPTION}: {why}"
        )
    })?;
    Ok(Producer::new(addresses, options, observer))
}

/// Returns the Java class of an error: `org.apache.kafka.common.errors.RecordTooLargeException`.
pub fn exception_class(error: &SendError) -> String {
    match error {
        SendError::BufferFull { .. } => "org.apache.kafka.clients.producer.BufferExhaustedException".to_owned(),
        SendError::Broken(_) => "org.apache.kafka.common.KafkaException".to_owned(),
        SendError::Tls(_) => SSL_EXCEPTION.to_owned(),
        other => format!("org.apache.kafka.common.errors.{}", exception_name(other.code())),
    }
}

/// Formats an error as Java does.
pub fn java_send_error(error: &SendError) -> String {
    format!("{}: {error}", exception_class(error))
}

/// Splits `key=value` pairs of a command line, in the order given; a pair without `=` has an empty value.
///
/// Source: `org.apache.kafka.server.util.CommandLineUtils.parseKeyValueArgs`.
pub fn key_values(pairs: &[String]) -> impl Iterator<Item = (String, String)> + '_ {
    pairs.iter().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.to_owned(), value.to_owned())
    })
}

/// Waits for SIGINT or SIGTERM, and returns the exit code for that signal (128 + its number).
pub async fn wait_for_stop_signal() -> u8 {
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::interrupt()) => 130,
        () = wait(SignalKind::terminate()) => 143,
    }
}
