//! The client instances, and the decisions on their requests.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::SubscriptionSettings;
use super::subscription::{Client, DEFAULT_INTERVAL_MS, Subscription};
use ottla_wire::record::Codec;
use ottla_wire::types::Uuid;

/// Client instances that are remembered, as in Kafka. The one that was not used for the longest time is forgotten first.
const MAX_INSTANCES: usize = 16_384;
/// Lists of metrics that instances share.
const MAX_SHARED: usize = 64;
/// How long an instance is remembered at least after its last request.
const MIN_LIFETIME: Duration = Duration::from_secs(60);
/// The subscription to all metrics.
const ALL_METRICS: &str = "*";

/// What a client is to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    pub subscription_id: i32,
    pub push_interval_ms: i32,
    /// Prefixes of names, sorted.
    pub metrics: Arc<[String]>,
}

/// The client asked before the time of its next push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled;

/// What is known of a push before its metrics are read.
#[derive(Clone, Copy, Debug)]
pub struct Push {
    pub subscription_id: i32,
    pub terminating: bool,
    pub compression_type: i8,
    pub bytes: usize,
    /// `telemetry.max.bytes`.
    pub max_bytes: usize,
}

/// Why a push is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushRefused {
    /// The id is reserved, or the client has pushed for the last time.
    InvalidRequest,
    Throttled,
    UnknownSubscriptionId,
    UnsupportedCompression,
    TooLarge,
}

/// The client instances of a broker.
#[derive(Debug)]
pub struct ClientInstances {
    settings: SubscriptionSettings,
    subscriptions: Vec<Subscription>,
    /// What instances were asked to push, so that many with the same share it.
    shared: HashSet<Arc<[String]>>,
    /// Increases with each change of the subscriptions.
    version: u64,
    instances: HashMap<Uuid, Instance>,
    /// When each instance was used last, with a number that makes it unique.
    by_use: BTreeSet<(u64, Uuid)>,
    uses: u64,
    /// The instance that a connection created.
    by_connection: HashMap<u64, Uuid>,
    capacity: usize,
}

#[derive(Debug)]
struct Instance {
    client: Client,
    subscribed: Subscribed,
    version: u64,
    connection: u64,
    last_use: u64,
    expires: Duration,
    last_get: Option<Duration>,
    last_push: Option<Duration>,
    terminating: bool,
    /// Whether the last push failed in a way after which the client asks for its subscription at once.
    has_to_ask: bool,
}

impl Default for ClientInstances {
    fn default() -> Self {
        ClientInstances::with_capacity(MAX_INSTANCES)
    }
}

impl ClientInstances {
    /// Without subscriptions, with room for this many instances.
    pub(super) fn with_capacity(capacity: usize) -> ClientInstances {
        ClientInstances {
            settings: Arc::default(),
            subscriptions: Vec::new(),
            shared: HashSet::new(),
            version: 0,
            instances: HashMap::new(),
            by_use: BTreeSet::new(),
            uses: 0,
            by_connection: HashMap::new(),
            capacity,
        }
    }

    /// Sets the subscriptions, if they have changed.
    pub fn set_subscriptions(&mut self, settings: &SubscriptionSettings) {
        if Arc::ptr_eq(&self.settings, settings) || self.settings == *settings {
            return;
        }
        self.settings = Arc::clone(settings);
        self.subscriptions = settings.iter().map(|(name, settings)| Subscription::read(name, settings)).collect();
        self.shared.clear();
        self.version += 1;
    }

    /// The number of instances that have not expired.
    pub fn count(&self, now: Duration) -> usize {
        self.instances.values().filter(|instance| instance.expires > now).count()
    }

    /// GetTelemetrySubscriptions: what the client is to push.
    pub fn subscription(&mut self, now: Duration, client: &Client, connection: u64) -> Result<Subscribed, Throttled> {
        let instance = self.used(now, client, connection);
        let last = instance.last_get.max(instance.last_push);
        if last.is_some_and(|last| now.saturating_sub(last) < instance.interval()) && !instance.has_to_ask {
            return Err(Throttled);
        }
        instance.last_get = Some(now);
        instance.has_to_ask = false;
        Ok(instance.subscribed.clone())
    }

    /// PushTelemetry: whether the metrics of a client are accepted. Returns for how long the instance is remembered.
    pub fn push(
        &mut self,
        now: Duration,
        client: &Client,
        connection: u64,
        push: &Push,
    ) -> Result<Duration, PushRefused> {
        if client.instance_id.is_zero() || client.instance_id == Uuid::METADATA {
            return Err(PushRefused::InvalidRequest);
        }
        let instance = self.used(now, client, connection);
        let checked = instance.check(now, push);
        instance.terminating = push.terminating;
        instance.has_to_ask =
            matches!(checked, Err(PushRefused::UnknownSubscriptionId | PushRefused::UnsupportedCompression));
        checked.map(|()| instance.lifetime())
    }

    /// Forgets the instance of a connection that has ended.
    pub fn disconnected(&mut self, connection: u64) {
        if let Some(id) = self.by_connection.remove(&connection) {
            self.forget(id);
        }
    }

    /// The instance of a client, which is created if it is not known; its subscription is determined again if the
    /// subscriptions have changed.
    fn used(&mut self, now: Duration, client: &Client, connection: u64) -> &mut Instance {
        let id = client.instance_id;
        if self.instances.get(&id).is_some_and(|instance| instance.expires <= now) {
            self.forget(id);
        }
        let room = self.capacity.saturating_sub(usize::from(!self.instances.contains_key(&id)));
        self.forget_unused(now, room);
        let known = self.forget(id);
        let instance = match known {
            Some(known) if known.version == self.version => known,
            known => {
                let client = known.map_or_else(|| client.clone(), |known| known.client);
                let subscribed = self.subscribed(&client);
                Instance::new(client, subscribed, self.version, connection)
            }
        };
        self.uses += 1;
        let expires = now.saturating_add(instance.lifetime());
        self.by_connection.insert(instance.connection, id);
        self.by_use.insert((self.uses, id));
        self.instances.entry(id).insert_entry(Instance { last_use: self.uses, expires, ..instance }).into_mut()
    }

    /// Forgets expired instances, a few at a time; and those not used for the longest time, if there are more than `room`.
    fn forget_unused(&mut self, now: Duration, room: usize) {
        /// Instances that are looked at, so that a request takes a bounded time.
        const LOOKED_AT: usize = 4;
        for _ in 0..LOOKED_AT {
            let Some((_, oldest)) = self.by_use.first().copied() else { return };
            let has_expired = self.instances.get(&oldest).is_none_or(|instance| instance.expires <= now);
            if !has_expired && self.instances.len() <= room {
                return;
            }
            self.forget(oldest);
        }
    }

    fn forget(&mut self, id: Uuid) -> Option<Instance> {
        let instance = self.instances.remove(&id)?;
        self.by_use.remove(&(instance.last_use, id));
        if self.by_connection.get(&instance.connection) == Some(&id) {
            self.by_connection.remove(&instance.connection);
        }
        Some(instance)
    }

    /// What all subscriptions together demand of a client.
    fn subscribed(&mut self, client: &Client) -> Subscribed {
        let matching = || self.subscriptions.iter().filter(|subscription| subscription.matches(client));
        let interval = matching().map(|subscription| subscription.interval_ms).min();
        let push_interval_ms = interval.unwrap_or(DEFAULT_INTERVAL_MS).min(DEFAULT_INTERVAL_MS);
        let metrics: BTreeSet<&String> = matching().flat_map(|subscription| &subscription.metrics).collect();
        let metrics: Arc<[String]> = match metrics.iter().any(|name| *name == ALL_METRICS) {
            true => Arc::new([ALL_METRICS.to_owned()]),
            false => metrics.into_iter().cloned().collect(),
        };
        let text = format!("[{}]{push_interval_ms}", metrics.join(", "));
        let words = client.instance_id.0.chunks_exact(4).map(|word| word.try_into().map_or(0, u32::from_be_bytes));
        let subscription_id = words.fold(crc32c::crc32c(text.as_bytes()), |id, word| id ^ word).cast_signed();
        let metrics = match self.shared.get(&metrics) {
            Some(shared) => Arc::clone(shared),
            None => {
                if self.shared.len() < MAX_SHARED {
                    self.shared.insert(Arc::clone(&metrics));
                }
                metrics
            }
        };
        Subscribed { subscription_id, push_interval_ms, metrics }
    }
}

impl Instance {
    fn new(client: Client, subscribed: Subscribed, version: u64, connection: u64) -> Instance {
        Instance {
            client,
            subscribed,
            version,
            connection,
            last_use: 0,
            expires: Duration::MAX,
            last_get: None,
            last_push: None,
            terminating: false,
            has_to_ask: false,
        }
    }

    fn interval(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.subscribed.push_interval_ms).unwrap_or(0))
    }

    fn lifetime(&self) -> Duration {
        MIN_LIFETIME.max(self.interval().saturating_mul(3))
    }

    fn check(&mut self, now: Duration, push: &Push) -> Result<(), PushRefused> {
        if self.terminating {
            return Err(PushRefused::InvalidRequest);
        }
        // The first push follows the answer to the client's question at any time, because clients spread their pushes.
        let is_due = self.last_get > self.last_push
            || self.last_push.is_none_or(|last| now.saturating_sub(last) >= self.interval());
        if is_due {
            self.last_push = Some(now);
        } else if !push.terminating {
            return Err(PushRefused::Throttled);
        }
        if push.subscription_id != self.subscribed.subscription_id {
            return Err(PushRefused::UnknownSubscriptionId);
        }
        if !u8::try_from(push.compression_type).is_ok_and(|id| Codec::from_id(id).is_ok()) {
            return Err(PushRefused::UnsupportedCompression);
        }
        match push.bytes > push.max_bytes {
            true => Err(PushRefused::TooLarge),
            false => Ok(()),
        }
    }
}
