//! The client quotas of the published image, and what clients use of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::clock::Clock;
use ottla_config::QuotasConfig;
use ottla_core::metadata::{Image, PermitMutations};
use ottla_core::security::quota::{
    ByteMeters, ClientUse, IpLimits, MutationMeters, Permits, QuotaLimits, QuotaType, Windows,
};

/// A user and a client id.
pub type ClientNames<'a> = (&'a str, &'a str);

/// The limits and the measured use of all clients. Requests of a broker without quotas cost one atomic read.
#[derive(Debug)]
pub struct Quotas {
    clock: Clock,
    windows: Windows,
    /// A bit for each quota type that has a limit.
    active: AtomicU8,
    limits: RwLock<Arc<QuotaLimits>>,
    ip_limits: watch::Sender<IpLimits>,
    produce: Mutex<ByteMeters>,
    fetch: Mutex<ByteMeters>,
    request: Mutex<ByteMeters>,
    mutations: Mutex<MutationMeters>,
}

impl Quotas {
    pub fn new(clock: Clock, config: &QuotasConfig) -> Quotas {
        let windows = windows(config.window_num, config.window_size_seconds);
        let controller = windows_of_controller(config);
        Quotas {
            clock,
            windows,
            active: AtomicU8::new(0),
            limits: RwLock::default(),
            ip_limits: watch::Sender::default(),
            produce: Mutex::new(ByteMeters::new(windows, None)),
            fetch: Mutex::new(ByteMeters::new(windows, None)),
            // As in Kafka, one window is the longest time for which handler time is throttled.
            request: Mutex::new(ByteMeters::new(windows, Some(windows.window_ms))),
            mutations: Mutex::new(MutationMeters::new(controller)),
        }
    }

    /// Applies the quotas of an image.
    pub fn set_limits(&self, image: &Image) {
        let limits =
            QuotaLimits::new(image.client_quotas().map(|(entity, key, value)| (entity.as_slice(), key, value)));
        let set = QuotaType::ALL.into_iter().filter(|quota| !limits.of(*quota).is_empty());
        let active = set.fold(0, |bits, quota| bits | bit(quota));
        self.ip_limits.send_if_modified(|ips| {
            let changed = ips != limits.ips();
            ips.clone_from(limits.ips());
            changed
        });
        *self.limits.write() = Arc::new(limits);
        self.active.store(active, Ordering::Relaxed);
    }

    /// The limits of IP addresses, and their changes.
    pub fn ip_limits(&self) -> watch::Receiver<IpLimits> {
        self.ip_limits.subscribe()
    }

    /// Whether any user or client id has a quota.
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed) != 0
    }

    /// Whether any user or client id has a quota of this type.
    pub fn is_active_for(&self, quota: QuotaType) -> bool {
        self.active.load(Ordering::Relaxed) & bit(quota) != 0
    }

    /// Counts the bytes of a Produce request. Returns for how many milliseconds the client is throttled.
    pub fn produced(&self, client: ClientNames, bytes: usize) -> i64 {
        match self.is_active_for(QuotaType::Produce) {
            true => {
                self.produce.lock().record(self.limits().of(QuotaType::Produce), client, bytes as f64, self.now_ms())
            }
            false => 0,
        }
    }

    /// Counts the time that a request spent in handlers. Returns for how many milliseconds the client is throttled.
    pub fn handled(&self, client: ClientNames, time: Duration) -> i64 {
        let percent = time.as_secs_f64() * 100.0;
        match self.is_active_for(QuotaType::Request) {
            true => self.request.lock().record(self.limits().of(QuotaType::Request), client, percent, self.now_ms()),
            false => 0,
        }
    }

    /// Counts the bytes of a Fetch response. Returns for how many milliseconds the client is throttled: then it gets an
    /// empty response instead, and the bytes do not count. `request_throttle_ms` is its throttle time for another
    /// quota, which has the same effect.
    pub fn fetched(&self, client: ClientNames, bytes: usize, request_throttle_ms: i64) -> i64 {
        if !self.is_active_for(QuotaType::Fetch) {
            return request_throttle_ms;
        }
        let (all, now_ms, mut meters) = (self.limits(), self.now_ms(), self.fetch.lock());
        let limits = all.of(QuotaType::Fetch);
        let throttle_ms = meters.record(limits, client, bytes as f64, now_ms).max(request_throttle_ms);
        if throttle_ms > 0 {
            meters.unrecord(limits, client, bytes as f64, now_ms);
        }
        throttle_ms
    }

    /// The largest fetch that the client's quota allows after a pause; `None` if there is no limit.
    pub fn max_fetch_bytes(&self, client: ClientNames) -> Option<usize> {
        if !self.is_active_for(QuotaType::Fetch) {
            return None;
        }
        let limits = self.limits();
        self.fetch.lock().max_value(limits.of(QuotaType::Fetch), client).map(|bytes| bytes as usize)
    }

    /// The controller mutation quota for one request; `None` if there is no limit.
    pub fn mutations(self: &Arc<Self>, client: ClientNames, permits: Permits) -> Option<Arc<RequestMutations>> {
        self.is_active_for(QuotaType::ControllerMutation).then(|| {
            let (user, client_id) = (client.0.to_owned(), client.1.to_owned());
            Arc::new(RequestMutations {
                quotas: Arc::clone(self),
                user,
                client_id,
                permits,
                until_ms: Mutex::default(),
            })
        })
    }

    /// The rates of clients, of requests and responses in bytes and of handler time in percent, while there are quotas
    /// of that type.
    pub fn uses(&self) -> Vec<(QuotaType, Vec<ClientUse>)> {
        let meters =
            [(QuotaType::Produce, &self.produce), (QuotaType::Fetch, &self.fetch), (QuotaType::Request, &self.request)];
        let active = meters.into_iter().filter(|(quota, _)| self.is_active_for(*quota));
        active.map(|(quota, meters)| (quota, meters.lock().uses(self.now_ms()))).collect()
    }

    /// Forgets what all clients used.
    pub fn forget_clients(&self) {
        [&self.produce, &self.fetch, &self.request].into_iter().for_each(|meters| meters.lock().clear());
        self.mutations.lock().clear();
    }

    fn limits(&self) -> Arc<QuotaLimits> {
        Arc::clone(&self.limits.read())
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// The windows in which connection creation rates are measured.
    pub fn windows(&self) -> Windows {
        self.windows
    }
}

/// The controller mutation quota as one request uses it.
pub struct RequestMutations {
    quotas: Arc<Quotas>,
    user: String,
    client_id: String,
    permits: Permits,
    /// Until when the client is throttled.
    until_ms: Mutex<i64>,
}

impl RequestMutations {
    /// For how many milliseconds the client is throttled from now on.
    pub fn throttle_ms(&self) -> i64 {
        (*self.until_ms.lock() - self.quotas.now_ms()).max(0)
    }
}

impl PermitMutations for RequestMutations {
    fn permit(&self, partitions: usize) -> bool {
        let (limits, now_ms) = (self.quotas.limits(), self.quotas.now_ms());
        let client = (self.user.as_str(), self.client_id.as_str());
        let limits = limits.of(QuotaType::ControllerMutation);
        let recorded = self.quotas.mutations.lock().record(limits, client, self.permits, partitions, now_ms);
        let (Ok(throttle_ms) | Err(throttle_ms)) = recorded;
        if throttle_ms > 0 {
            *self.until_ms.lock() = now_ms.saturating_add(throttle_ms);
        }
        recorded.is_ok()
    }
}

/// The windows of the settings `quota.window.*`.
pub fn windows(samples: usize, seconds: i64) -> Windows {
    Windows { samples, window_ms: seconds.saturating_mul(1_000) }
}

fn windows_of_controller(config: &QuotasConfig) -> Windows {
    windows(config.controller_window_num, config.controller_window_size_seconds)
}

fn bit(quota: QuotaType) -> u8 {
    1 << quota as u8
}
