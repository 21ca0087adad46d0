//! Client metrics (KIP-714): what clients push, and what of it a scrape has.
//!
//! The broker always takes client metrics, as Kafka does with a `ClientTelemetry` receiver. Which clients push what is in
//! the metadata, as settings of client metrics resources.

mod names;
mod scrape;
mod values;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::blocking;
use crate::clock::Clock;
use crate::otlp::Exporter;
use ottla_config::BrokerConfig;
use ottla_core::client_metrics::{
    Client, ClientInstances, Push, PushRefused, Subscribed, SubscriptionSettings, Throttled,
};
use ottla_metrics::Counter;
use ottla_otlp::{Malformed, read_points, with_labels};
use ottla_wire::record::{Codec, RecordError, compress};

pub use scrape::{metrics, register};
use values::PushedValues;
pub use values::{Accepted, PushedClient, RESOURCE as RESOURCE_ATTRIBUTES, Series, SeriesKey};

/// Bytes of a push once they are decompressed; `telemetry.max.bytes`, if that is more.
const MAX_DECOMPRESSED_BYTES: usize = 8 << 20;
/// Pushes that are read at a time. Others wait.
const MAX_READING: usize = 2;

/// The client metrics of a broker.
pub struct ClientMetrics {
    clock: Clock,
    max_bytes: usize,
    node_id: i32,
    exporter: Option<Arc<Exporter>>,
    instances: Mutex<ClientInstances>,
    values: Mutex<PushedValues>,
    reading: Semaphore,
    counts: Counts,
}

/// What a broker counts.
#[derive(Default)]
struct Counts {
    unknown_subscriptions: Counter,
    throttled: Counter,
    pushes: Counter,
    unreadable: Counter,
}

/// Why the metrics of an accepted push were not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("they have more than {0} bytes once decompressed")]
    TooLarge(usize),
    #[error("they cannot be decompressed: {0}")]
    Compression(RecordError),
    #[error("they are not OTLP: {0}")]
    Malformed(#[from] Malformed),
    #[error("the broker is stopping")]
    Stopping,
}

impl ClientMetrics {
    /// `exporter` gets what clients push, too.
    pub fn new(config: &BrokerConfig, clock: Clock, exporter: Option<Arc<Exporter>>) -> Arc<ClientMetrics> {
        Arc::new(ClientMetrics {
            clock,
            max_bytes: config.client_metrics.telemetry_max_bytes,
            node_id: config.node_id,
            exporter,
            instances: Mutex::default(),
            values: Mutex::new(PushedValues::new(config.client_metrics.max_series)),
            reading: Semaphore::new(MAX_READING),
            counts: Counts::default(),
        })
    }

    /// `telemetry.max.bytes`.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// GetTelemetrySubscriptions: what a client is to push.
    pub fn subscription(
        &self,
        settings: &SubscriptionSettings,
        client: &Client,
        connection: u64,
    ) -> Result<Subscribed, Throttled> {
        let mut instances = self.instances.lock();
        instances.set_subscriptions(settings);
        let answer = instances.subscription(self.clock.monotonic(), client, connection);
        if answer.is_err() {
            self.counts.throttled.increment();
        }
        answer
    }

    /// PushTelemetry: whether a client's metrics are accepted. Those of an accepted push are to be [read](Self::read).
    pub fn push(
        &self,
        settings: &SubscriptionSettings,
        client: &Client,
        connection: u64,
        push: &Push,
    ) -> Result<Accepted, PushRefused> {
        let mut instances = self.instances.lock();
        instances.set_subscriptions(settings);
        match instances.push(self.clock.monotonic(), client, connection, push) {
            Ok(lifetime) => Ok(Accepted { client: client.clone(), terminating: push.terminating, lifetime }),
            Err(refused) => {
                match refused {
                    PushRefused::Throttled => self.counts.throttled.increment(),
                    PushRefused::UnknownSubscriptionId => self.counts.unknown_subscriptions.increment(),
                    _ => {}
                }
                Err(refused)
            }
        }
    }

    /// Reads the metrics of an accepted push, off the runtime's threads.
    pub async fn read(self: Arc<Self>, accepted: Accepted, codec: Codec, metrics: Bytes) -> Result<(), Unreadable> {
        let Ok(_permit) = self.reading.acquire().await else { return Err(Unreadable::Stopping) };
        let reader = Arc::clone(&self);
        let read = blocking::run(move || reader.take(&accepted, codec, &metrics)).await;
        let read = read.unwrap_or(Err(Unreadable::Stopping));
        match read {
            Ok(()) => self.counts.pushes.increment(),
            Err(_) => self.counts.unreadable.increment(),
        }
        read
    }

    fn take(&self, accepted: &Accepted, codec: Codec, metrics: &[u8]) -> Result<(), Unreadable> {
        let limit = MAX_DECOMPRESSED_BYTES.max(self.max_bytes);
        let plain = match codec {
            Codec::None => Cow::Borrowed(metrics),
            codec => Cow::Owned(compress::decompress_within(codec, metrics, limit).map_err(|error| match error {
                RecordError::ExpandsTooFar { .. } => Unreadable::TooLarge(limit),
                error => Unreadable::Compression(error),
            })?),
        };
        let points = read_points(&plain)?;
        let now = self.clock.now();
        self.values.lock().apply(now.monotonic, now.wall, accepted, &points);
        if let Some(exporter) = &self.exporter {
            exporter.export_metrics(self.labelled(&accepted.client, &plain)?);
        }
        Ok(())
    }

    /// A client's message with the attributes that KIP-714 has a broker add.
    fn labelled(&self, client: &Client, message: &[u8]) -> Result<Vec<u8>, Malformed> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let labels = [
            ("client_instance_id", client.instance_id.to_string()),
            ("client_id", text(&client.client_id)),
            ("client_software_name", text(&client.software_name)),
            ("client_software_version", text(&client.software_version)),
            ("client_source_address", client.source_address.clone()),
            ("client_source_port", client.source_port.to_string()),
            ("broker_id", self.node_id.to_string()),
        ];
        with_labels(message, &labels.each_ref().map(|(key, value)| (*key, value.as_str())))
    }

    /// Notes that a connection has ended.
    pub fn disconnected(&self, connection: u64) {
        self.instances.lock().disconnected(connection);
    }

    /// Calls `show` for each client whose values are remembered, in the order of their ids.
    pub fn each_client(&self, show: impl FnMut(&PushedClient)) {
        self.values.lock().clients(self.clock.monotonic()).into_iter().for_each(show);
    }
}
