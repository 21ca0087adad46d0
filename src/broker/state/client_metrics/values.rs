//! The last values that clients pushed. They are remembered for three push intervals, so that a scrape sees those of a
//! client's last push. Pure.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::names::{label_name, metric_name};
use ottla_core::client_metrics::Client;
use ottla_metrics::Kind;
use ottla_otlp::{Number, Point, PointKind, Points};
use ottla_wire::types::{TimestampMs, Uuid};

/// Clients whose values are remembered, as many as Kafka remembers clients.
const MAX_CLIENTS: usize = 16_384;
/// Bytes of the names and values of one series. One with more is left out.
const MAX_SERIES_BYTES: usize = 1024;
/// Bytes of one attribute of a client. A longer one is left out.
const MAX_RESOURCE_BYTES: usize = 256;

/// Attributes of the client's resource that are shown, by the names that Kafka's clients give them.
pub const RESOURCE: [&str; 5] = ["client_rack", "group_id", "group_instance_id", "group_member_id", "transactional_id"];
/// Labels that the broker sets, and that no client can.
const RESERVED: [&str; 2] = ["client_instance_id", "client_id"];

/// The values of all clients.
#[derive(Debug)]
pub struct PushedValues {
    clients: HashMap<Uuid, PushedClient>,
    /// The kind of each name, and how many series have it. A name has one kind.
    names: BTreeMap<String, (Kind, usize)>,
    series: usize,
    max_series: usize,
    omitted: u64,
}

/// The values of one client.
#[derive(Debug)]
pub struct PushedClient {
    pub client: Client,
    /// The values of [`RESOURCE`]; empty if the client did not send one.
    pub resource: [String; RESOURCE.len()],
    pub series: BTreeMap<SeriesKey, Series>,
    pub last_push: TimestampMs,
    pub pushes: u64,
    pub terminated: bool,
    expires: Duration,
}

/// What distinguishes a series from the others of its client.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeriesKey {
    pub name: String,
    /// By name.
    pub labels: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Series {
    pub kind: Kind,
    pub value: Number,
}

/// A push that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub client: Client,
    pub terminating: bool,
    /// For how long its values are remembered.
    pub lifetime: Duration,
}

impl PushedValues {
    pub fn new(max_series: usize) -> PushedValues {
        PushedValues { clients: HashMap::new(), names: BTreeMap::new(), series: 0, max_series, omitted: 0 }
    }

    /// The clients whose values are remembered, in the order of their ids.
    pub fn clients(&mut self, now: Duration) -> Vec<&PushedClient> {
        self.forget_expired(now);
        let mut clients: Vec<_> = self.clients.values().collect();
        clients.sort_unstable_by_key(|client| client.client.instance_id);
        clients
    }

    /// The values that were pushed and left out, since the broker started.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// Applies a push. Returns how many of its values were left out.
    pub fn apply(&mut self, now: Duration, wall: TimestampMs, push: &Accepted, points: &Points<'_>) -> u64 {
        self.forget_expired(now);
        let id = push.client.instance_id;
        let mut omitted = points.omitted;
        let is_full = self.clients.len() >= MAX_CLIENTS && !self.clients.contains_key(&id);
        if self.max_series == 0 || is_full {
            omitted += points.points.len() as u64;
            self.omitted += omitted;
            return omitted;
        }
        let client = self.clients.entry(id).or_insert_with(|| PushedClient::new(push.client.clone()));
        client.last_push = wall;
        client.pushes += 1;
        client.terminated = push.terminating;
        client.expires = now.saturating_add(push.lifetime);
        client.set_resource(&points.resource);
        for point in &points.points {
            let Some((key, series)) = series_of(point) else {
                omitted += 1;
                continue;
            };
            if let Some(known) = client.series.get_mut(&key).filter(|known| known.kind == series.kind) {
                known.value = match point.kind {
                    PointKind::Sum { delta: true, .. } => sum(known.value, series.value),
                    _ => series.value,
                };
                continue;
            }
            let name = canonical(&key.name);
            let has_other_kind = self.names.get(name).is_some_and(|(kind, _)| *kind != series.kind);
            if self.series >= self.max_series || has_other_kind {
                omitted += 1;
                continue;
            }
            self.names.entry(name.to_owned()).or_insert((series.kind, 0)).1 += 1;
            self.series += 1;
            client.series.insert(key, series);
        }
        self.omitted += omitted;
        omitted
    }

    fn forget_expired(&mut self, now: Duration) {
        let expired: Vec<Uuid> =
            self.clients.iter().filter(|(_, client)| client.expires <= now).map(|(id, _)| *id).collect();
        for client in expired.iter().filter_map(|id| self.clients.remove(id)).collect::<Vec<_>>() {
            self.series -= client.series.len();
            for key in client.series.keys() {
                let name = canonical(&key.name);
                if let Some((_, count)) = self.names.get_mut(name) {
                    *count -= 1;
                    if *count == 0 {
                        self.names.remove(name);
                    }
                }
            }
        }
    }
}

impl PushedClient {
    fn new(client: Client) -> PushedClient {
        PushedClient {
            client,
            resource: Default::default(),
            series: BTreeMap::new(),
            last_push: 0,
            pushes: 0,
            terminated: false,
            expires: Duration::MAX,
        }
    }

    fn set_resource(&mut self, attributes: &[(&str, String)]) {
        for (field, name) in self.resource.iter_mut().zip(RESOURCE) {
            let given = attributes.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
            *field = given.filter(|value| value.len() <= MAX_RESOURCE_BYTES).cloned().unwrap_or_default();
        }
    }
}

/// The name that a counter and a gauge cannot both have: `x_total` is the name of the counter `x`.
fn canonical(name: &str) -> &str {
    name.strip_suffix("_total").unwrap_or(name)
}

/// The series of a data point; `None` if its texts are too long.
fn series_of(point: &Point<'_>) -> Option<(SeriesKey, Series)> {
    let kind = match point.kind {
        PointKind::Sum { monotonic: true, .. } => Kind::Counter,
        PointKind::Sum { .. } | PointKind::Gauge => Kind::Gauge,
    };
    let texts = point.attributes.iter().map(|(name, value)| name.len() + value.len());
    if point.name.len() + texts.sum::<usize>() > MAX_SERIES_BYTES {
        return None;
    }
    let labels = point.attributes.iter().filter_map(|(name, value)| Some((label_name(name)?, value.clone())));
    let labels: BTreeMap<String, String> = labels.filter(|(name, _)| !RESERVED.contains(&name.as_str())).collect();
    let key = SeriesKey { name: metric_name(point.name, kind), labels: labels.into_iter().collect() };
    Some((key, Series { kind, value: point.value }))
}

fn sum(a: Number, b: Number) -> Number {
    match (a, b) {
        (Number::Int(a), Number::Int(b)) => Number::Int(a.saturating_add(b)),
        (a, b) => Number::Double(float(a) + float(b)),
    }
}

/// The number as a float.
pub fn float(number: Number) -> f64 {
    match number {
        Number::Int(number) => number as f64,
        Number::Double(number) => number,
    }
}

#[cfg(test)]
mod tests;
