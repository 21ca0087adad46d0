//! A producer's settings, with the names of Kafka's producer configuration.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::{Sasl, Tls};
use ottla_wire::codec::Str;
use ottla_wire::record::Codec;

/// The settings of a producer; the defaults are those of Apache Kafka 4.3.
///
/// Source: `org.apache.kafka.clients.producer.ProducerConfig`.
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerOptions {
    pub client_id: Str,
    /// 0, 1, or -1 for all.
    pub acks: i16,
    /// Whether batches have sequence numbers, so that the broker drops duplicates.
    pub idempotence: bool,
    /// Size limit of a batch before compression, in bytes.
    pub batch_size: usize,
    /// How long a batch waits for more records.
    pub linger: Duration,
    pub codec: Codec,
    /// The compression level; the codec's default if `None`.
    pub level: Option<i32>,
    /// Limit of requests without a response yet.
    pub max_in_flight: usize,
    /// Size limit of a request, and of a record, in bytes.
    pub max_request_size: usize,
    /// Memory limit of undelivered batches, in bytes.
    pub buffer_memory: usize,
    /// How long a record may wait for metadata and memory.
    pub max_block: Duration,
    /// How often a batch is retried.
    pub retries: u32,
    pub retry_backoff: Duration,
    pub reconnect_backoff: Duration,
    pub reconnect_backoff_max: Duration,
    pub request_timeout: Duration,
    /// Limit from the creation of a batch to its delivery, retries included.
    pub delivery_timeout: Duration,
    /// Metadata is refreshed after this time.
    pub metadata_max_age: Duration,
    /// Whether keys are ignored when partitions are chosen.
    pub ignore_keys: bool,
    /// The name under which the producer's transactions are coordinated; `None` for a producer without transactions.
    pub transactional_id: Option<Str>,
    /// The broker aborts a transaction that is open longer.
    pub transaction_timeout: Duration,
    /// How connections are encrypted; `None` for listeners without TLS. Not read by [`ProducerOptions::from_properties`].
    pub tls: Option<Tls>,
    /// How to authenticate; `None` for listeners without SASL. Not read by [`ProducerOptions::from_properties`].
    pub sasl: Option<Sasl>,
}

impl Default for ProducerOptions {
    fn default() -> ProducerOptions {
        ProducerOptions {
            client_id: Str::from_static("producer-1"),
            acks: -1,
            idempotence: true,
            batch_size: 16 << 10,
            linger: Duration::from_millis(5),
            codec: Codec::None,
            level: None,
            max_in_flight: 5,
            max_request_size: 1 << 20,
            buffer_memory: 32 << 20,
            max_block: Duration::from_secs(60),
            retries: i32::MAX as u32,
            retry_backoff: Duration::from_millis(100),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            request_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(120),
            metadata_max_age: Duration::from_secs(300),
            ignore_keys: false,
            transactional_id: None,
            transaction_timeout: Duration::from_secs(60),
            tls: None,
            sasl: None,
        }
    }
}

/// Limit of requests in flight with which the broker detects duplicate batches.
const MAX_IN_FLIGHT_IDEMPOTENT: usize = 5;

impl ProducerOptions {
    /// Reads settings by Kafka's names. Unknown names are ignored, as in Kafka.
    ///
    /// The error is the message of Kafka's `ConfigException`.
    pub fn from_properties(properties: &BTreeMap<String, String>) -> Result<ProducerOptions, String> {
        let read = Reader(properties);
        let default = ProducerOptions::default();
        let client_id = read.text("client.id").map_or(default.client_id, Str::from);
        let codec = read.one_of("compression.type", &["none", "gzip", "snappy", "lz4", "zstd"])?;
        let codec = codec.and_then(Codec::from_name).unwrap_or_default();
        let level = read.number::<i32>(&format!("compression.{}.level", codec.name()))?;
        let acks = match read.one_of("acks", &["all", "-1", "0", "1"])? {
            Some("0") => 0,
            Some("1") => 1,
            _ => -1,
        };
        let max_in_flight = read.at_least("max.in.flight.requests.per.connection", 1, default.max_in_flight)?;
        let retries = read.at_least("retries", 0, default.retries)?;
        let mut options = ProducerOptions {
            client_id,
            acks,
            idempotence: read.idempotence(acks, retries, max_in_flight)?,
            batch_size: read.at_least("batch.size", 0, default.batch_size)?,
            linger: read.milliseconds("linger.ms", default.linger)?,
            codec,
            level,
            max_in_flight,
            max_request_size: read.at_least("max.request.size", 0, default.max_request_size)?,
            buffer_memory: read.at_least("buffer.memory", 0, default.buffer_memory)?,
            max_block: read.milliseconds("max.block.ms", default.max_block)?,
            retries,
            retry_backoff: read.milliseconds("retry.backoff.ms", default.retry_backoff)?,
            reconnect_backoff: read.milliseconds("reconnect.backoff.ms", default.reconnect_backoff)?,
            reconnect_backoff_max: read.milliseconds("reconnect.backoff.max.ms", default.reconnect_backoff_max)?,
            request_timeout: read.milliseconds("request.timeout.ms", default.request_timeout)?,
            delivery_timeout: read.milliseconds("delivery.timeout.ms", default.delivery_timeout)?,
            metadata_max_age: read.milliseconds("metadata.max.age.ms", default.metadata_max_age)?,
            ignore_keys: read.boolean("partitioner.ignore.keys")?.unwrap_or(false),
            transactional_id: read.text("transactional.id").map(Str::from),
            transaction_timeout: read.milliseconds("transaction.timeout.ms", default.transaction_timeout)?,
            tls: None,
            sasl: None,
        };
        if options.transactional_id.is_some() && !options.idempotence {
            return Err("Cannot set a transactional.id without also enabling idempotence.".to_owned());
        }
        options.validate_delivery_timeout(read.text("delivery.timeout.ms").is_some())?;
        Ok(options)
    }

    /// Ensures that the delivery timeout allows at least one request: raises the default, rejects an explicit value.
    fn validate_delivery_timeout(&mut self, is_explicit: bool) -> Result<(), String> {
        let least = self.linger.saturating_add(self.request_timeout);
        if self.delivery_timeout >= least {
            return Ok(());
        }
        if is_explicit {
            return Err(
                "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms".to_owned()
            );
        }
        self.delivery_timeout = least;
        Ok(())
    }
}

/// Settings by name, read as Kafka's `ConfigDef` reads them.
struct Reader<'a>(&'a BTreeMap<String, String>);

impl Reader<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim())
    }

    fn one_of(&self, name: &str, allowed: &[&str]) -> Result<Option<&str>, String> {
        match self.text(name) {
            Some(value) if !allowed.contains(&value) => {
                let allowed = allowed.join(", ");
                Err(format!("Invalid value {value} for configuration {name}: String must be one of: {allowed}"))
            }
            value => Ok(value),
        }
    }

    fn boolean(&self, name: &str) -> Result<Option<bool>, String> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(format!(
                "Invalid value {other} for configuration {name}: Expected value to be either true or false"
            )),
        }
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let number = |value: &str| {
            let kind = if size_of::<T>() == 4 { "32-bit integer" } else { "64-bit integer" };
            value
                .parse()
                .map_err(|_| format!("Invalid value {value} for configuration {name}: Not a number of type {kind}"))
        };
        self.text(name).map(number).transpose()
    }

    /// Reads a number that must be at least `least` and fit into `T`.
    fn at_least<T: TryFrom<i64>>(&self, name: &str, least: i64, default: T) -> Result<T, String> {
        let Some(number) = self.number::<i64>(name)? else { return Ok(default) };
        if number < least {
            return Err(format!("Invalid value {number} for configuration {name}: Value must be at least {least}"));
        }
        T::try_from(number).map_err(|_| format!("Invalid value {number} for configuration {name}"))
    }

    fn milliseconds(&self, name: &str, default: Duration) -> Result<Duration, String> {
        self.at_least::<u64>(name, 0, default.as_millis() as u64).map(Duration::from_millis)
    }

    /// Reads `enable.idempotence`. The default is `true`, or `false` if other settings conflict with idempotence. An
    /// explicit `true` is then an error.
    fn idempotence(&self, acks: i16, retries: u32, max_in_flight: usize) -> Result<bool, String> {
        let requested = self.boolean("enable.idempotence")?;
        let conflict = if retries == 0 {
            Some("Must set retries to non-zero when using the idempotent producer.")
        } else if acks != -1 {
            Some(
                "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee idempotence.",
            )
        } else if max_in_flight > MAX_IN_FLIGHT_IDEMPOTENT {
            Some("Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent producer.")
        } else {
            None
        };
        match (requested, conflict) {
            (Some(true), Some(conflict)) => Err(conflict.to_owned()),
            (requested, conflict) => Ok(requested.unwrap_or(true) && conflict.is_none()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<ProducerOptions, String> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ProducerOptions::from_properties(&settings.collect())
    }

    #[test]
    fn missing_settings_have_kafkas_defaults_and_unknown_ones_are_ignored() {
        assert_eq!(read(&[]), Ok(ProducerOptions::default()));
        assert_eq!(read(&[("key.serializer", "x"), ("unknown.setting", "1")]), Ok(ProducerOptions::default()));
    }

    #[test]
    fn idempotence_is_on_unless_settings_conflict() {
        let check = |settings: &[(&str, &str)], expect: bool| assert_eq!(read(settings).unwrap().idempotence, expect);
        check(&[("acks", "all")], true);
        check(&[("acks", "1")], false);
        check(&[("retries", "0")], false);
        check(&[("max.in.flight.requests.per.connection", "6")], false);
        check(&[("enable.idempotence", "false")], false);
        assert!(
            read(&[("enable.idempotence", "true"), ("acks", "1")]).unwrap_err().starts_with("Must set acks to all")
        );
    }

    #[test]
    fn transactional_id_needs_idempotence() {
        let options = read(&[("transactional.id", "mover"), ("transaction.timeout.ms", "5000")]).unwrap();
        assert_eq!(options.transactional_id.as_deref(), Some("mover"));
        assert_eq!(options.transaction_timeout, Duration::from_secs(5));
        assert!(read(&[("transactional.id", "mover"), ("acks", "1")]).is_err());
    }

    #[test]
    fn delivery_timeout_covers_linger_and_one_request() {
        let check = |settings: &[(&str, &str)], expect: Result<u64, ()>| {
            let found = read(settings).map(|options| options.delivery_timeout.as_secs()).map_err(drop);
            assert_eq!(found, expect, "{settings:?}");
        };
        check(&[("request.timeout.ms", "200000"), ("linger.ms", "1000")], Ok(201));
        check(&[("delivery.timeout.ms", "31000")], Ok(31));
        check(&[("delivery.timeout.ms", "20000")], Err(()));
    }

    #[test]
    fn invalid_settings_are_rejected_with_kafkas_text() {
        let check = |name, value, expect: &str| assert_eq!(read(&[(name, value)]).unwrap_err(), expect);
        check("acks", "7", "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1");
        check(
            "compression.type",
            "foo",
            "Invalid value foo for configuration compression.type: String must be one of: none, gzip, snappy, lz4, zstd",
        );
        check("linger.ms", "-1", "Invalid value -1 for configuration linger.ms: Value must be at least 0");
    }
}
