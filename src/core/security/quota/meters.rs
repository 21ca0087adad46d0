//! The measured use of each client, per quota type. The number of clients is bounded.

use std::collections::HashMap;

use super::limits::{Applicable, Limits};
use super::{Rate, TokenBucket, Windows};

/// The largest number of clients whose use is measured at a time, per quota type. Above it, the one that was not seen
/// for the longest time is forgotten, so that clients with ever new names use no more memory.
pub(super) const MAX_SENSORS: usize = 10_000;

/// A client that sent nothing for this long is forgotten, as in Kafka.
pub(super) const SENSOR_EXPIRY_MS: i64 = 3_600_000;

/// The use of each client, by name.
#[derive(Debug)]
pub(super) struct Sensors<S> {
    by_name: HashMap<String, Sensor<S>>,
    next_purge_ms: i64,
}

#[derive(Debug)]
struct Sensor<S> {
    stat: S,
    last_used_ms: i64,
}

impl<S> Default for Sensors<S> {
    fn default() -> Self {
        Sensors { by_name: HashMap::new(), next_purge_ms: i64::MIN }
    }
}

impl<S: Default> Sensors<S> {
    /// The sensor of a name; it is created if there is none.
    pub fn get(&mut self, name: String, now_ms: i64) -> &mut S {
        self.purge(now_ms);
        if self.by_name.len() >= MAX_SENSORS && !self.by_name.contains_key(&name) {
            self.remove_least_recently_used();
        }
        let new = || Sensor { stat: S::default(), last_used_ms: now_ms };
        let sensor = self.by_name.entry(name).or_insert_with(new);
        sensor.last_used_ms = now_ms;
        &mut sensor.stat
    }

    /// All sensors with their names.
    fn all(&mut self) -> impl Iterator<Item = (&str, &mut S)> {
        self.by_name.iter_mut().map(|(name, sensor)| (name.as_str(), &mut sensor.stat))
    }

    /// The number of sensors.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Removes unused sensors, at most once in a hundredth of their time.
    fn purge(&mut self, now_ms: i64) {
        if now_ms < self.next_purge_ms {
            return;
        }
        self.next_purge_ms = now_ms + SENSOR_EXPIRY_MS / 100;
        self.by_name.retain(|_, sensor| now_ms - sensor.last_used_ms < SENSOR_EXPIRY_MS);
    }

    fn remove_least_recently_used(&mut self) {
        let oldest = self.by_name.iter().min_by_key(|(_, sensor)| sensor.last_used_ms).map(|(name, _)| name.clone());
        if let Some(name) = oldest {
            self.by_name.remove(&name);
        }
    }
}

/// The name of the sensor that a client's use counts towards.
fn sensor_name(applicable: &Applicable) -> String {
    let mut name = String::with_capacity(applicable.user.len() + applicable.client_id.len() + 1);
    name.push_str(applicable.user);
    // Not part of any client id or user that could collide: the first one ends the user's name.
    name.push('\0');
    name.push_str(applicable.client_id);
    name
}

/// The rates of clients: bytes of requests or responses, or handler time.
#[derive(Debug)]
pub struct ByteMeters {
    windows: Windows,
    /// The longest throttle time; `None` if it is not limited.
    max_throttle_ms: Option<i64>,
    sensors: Sensors<Use>,
}

/// What a client uses, and how it was throttled for that.
#[derive(Debug, Default)]
struct Use {
    rate: Rate,
    /// Milliseconds of all throttle times of the last windows, and their number.
    throttled_ms: Rate,
    throttles: Rate,
}

/// What a user and a client id use, of which either may be empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientUse {
    pub user: String,
    pub client_id: String,
    /// Per second.
    pub rate: f64,
    /// The mean of the throttle times of the last windows in milliseconds; 0 if there are none.
    pub throttle_ms: f64,
}

impl ByteMeters {
    pub fn new(windows: Windows, max_throttle_ms: Option<i64>) -> ByteMeters {
        ByteMeters { windows, max_throttle_ms, sensors: Sensors::default() }
    }

    /// Counts a value for a client. Returns for how many milliseconds it must be throttled.
    pub fn record(&mut self, limits: &Limits, (user, client_id): (&str, &str), value: f64, now_ms: i64) -> i64 {
        let applicable = limits.applicable(user, client_id);
        let Use { rate, throttled_ms, throttles } = self.sensors.get(sensor_name(&applicable), now_ms);
        rate.record(self.windows, value, now_ms);
        let Some(limit) = applicable.limit else { return 0 };
        let throttle_ms = rate.throttle_ms(self.windows, limit, now_ms);
        let throttle_ms = throttle_ms.min(self.max_throttle_ms.unwrap_or(i64::MAX));
        if throttle_ms > 0 {
            throttled_ms.record(self.windows, throttle_ms as f64, now_ms);
            throttles.record(self.windows, 1.0, now_ms);
        }
        throttle_ms
    }

    /// Takes back a value that was counted at the same time, because nothing is sent for it.
    pub fn unrecord(&mut self, limits: &Limits, (user, client_id): (&str, &str), value: f64, now_ms: i64) {
        let applicable = limits.applicable(user, client_id);
        self.sensors.get(sensor_name(&applicable), now_ms).rate.record(self.windows, -value, now_ms);
    }

    /// Forgets all clients.
    pub fn clear(&mut self) {
        self.sensors = Sensors::default();
    }

    /// The use of each user and client id that is measured.
    pub fn uses(&mut self, now_ms: i64) -> Vec<ClientUse> {
        let windows = self.windows;
        let of_client = |(name, it): (&str, &mut Use)| {
            let (user, client_id) = name.split_once('\0').unwrap_or((name, ""));
            let throttles = it.throttles.measure(windows, now_ms);
            let throttled_ms = it.throttled_ms.measure(windows, now_ms);
            ClientUse {
                user: user.to_owned(),
                client_id: client_id.to_owned(),
                rate: it.rate.measure(windows, now_ms),
                throttle_ms: if throttles > 0.0 { throttled_ms / throttles } else { 0.0 },
            }
        };
        let mut uses: Vec<_> = self.sensors.all().map(of_client).collect();
        uses.sort_by(|a, b| (&a.user, &a.client_id).cmp(&(&b.user, &b.client_id)));
        uses
    }

    /// The largest value that is not throttled if nothing else was counted; `None` if it is not limited.
    pub fn max_value(&self, limits: &Limits, (user, client_id): (&str, &str)) -> Option<f64> {
        let limit = limits.applicable(user, client_id).limit?;
        Some(limit * (self.windows.samples as f64 - 1.0) * (self.windows.window_ms as f64 / 1000.0))
    }
}

/// How a request can use a controller mutation quota (KIP-599).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permits {
    /// Nothing is permitted while tokens are missing; the request gets an error.
    Strict,
    /// Everything is permitted; the client is throttled afterwards. For request versions without the error code.
    Permissive,
}

/// The token buckets of clients that change topics.
#[derive(Debug)]
pub struct MutationMeters {
    windows: Windows,
    sensors: Sensors<TokenBucket>,
}

impl MutationMeters {
    pub fn new(windows: Windows) -> MutationMeters {
        MutationMeters { windows, sensors: Sensors::default() }
    }

    /// Forgets all clients.
    pub fn clear(&mut self) {
        self.sensors = Sensors::default();
    }

    /// Takes tokens for a number of partitions. Returns for how many milliseconds the client must be throttled.
    ///
    /// # Errors
    /// If the change is not permitted: the time until it will be, in milliseconds.
    pub fn record(
        &mut self,
        limits: &Limits,
        (user, client_id): (&str, &str),
        permits: Permits,
        partitions: usize,
        now_ms: i64,
    ) -> Result<i64, i64> {
        let applicable = limits.applicable(user, client_id);
        let Some(limit) = applicable.limit else { return Ok(0) };
        let bucket = self.sensors.get(sensor_name(&applicable), now_ms);
        let windows = self.windows;
        if permits == Permits::Strict {
            match bucket.throttle_ms(windows, limit, now_ms) {
                0 if bucket.measure(windows, limit, now_ms) >= 0.0 => {}
                missing_ms => return Err(missing_ms),
            }
        }
        bucket.record(windows, limit, partitions as f64, now_ms);
        match permits {
            Permits::Strict => Ok(0),
            Permits::Permissive => Ok(bucket.throttle_ms(windows, limit, now_ms)),
        }
    }
}
