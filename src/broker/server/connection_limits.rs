//! Connection limits: `max.connections`, `max.connections.per.ip` with its overrides, `max.connection.creation.rate` of
//! the broker and of single listeners, and the client quotas on connections of IP addresses.
//!
//! All limits can change while the server runs. Open connections stay open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Limits;
use crate::clock::Clock;
use ottla_core::security::quota::ConnectionRates;

/// The limits of all listeners, and the open connections that count towards them.
pub(super) struct ConnectionLimits {
    clock: Clock,
    state: Mutex<State>,
    /// Notified when a connection was closed or the limits were changed.
    changed: Notify,
}

struct State {
    /// `max.connections`.
    max_connections: usize,
    /// `max.connections.per.ip`.
    max_per_ip: usize,
    /// `max.connections.per.ip.overrides`.
    overrides: HashMap<IpAddr, usize>,
    rates: ConnectionRates,
    /// The number of open connections.
    open: usize,
    /// The number of open connections of each address.
    open_per_ip: HashMap<IpAddr, usize>,
}

/// The sleep before a rate of zero is read again, because it can change.
const RATE_OF_ZERO_WAIT: Duration = Duration::from_secs(1);

/// Why a connection is not served.
pub(super) enum Refused {
    /// Its address has as many connections as it may have.
    TooMany { limit: usize },
    /// Its address makes connections faster than its quota allows. As in Kafka (KIP-612), it is closed after this time.
    TooFast { after: Duration, permit: Permit },
}

/// One of `max.connections`, released when dropped.
pub(super) struct Permit {
    connection_limits: Arc<ConnectionLimits>,
}

/// One of the connections that an address may have, released when dropped.
pub(super) struct IpPermit {
    ip: IpAddr,
    permit: Permit,
}

impl ConnectionLimits {
    /// Creates limits without connections.
    pub fn new(limits: &Limits, clock: Clock) -> Self {
        let mut state = State {
            max_connections: 0,
            max_per_ip: 0,
            overrides: HashMap::new(),
            rates: ConnectionRates::new(limits.quota_windows),
            open: 0,
            open_per_ip: HashMap::new(),
        };
        state.set(limits);
        ConnectionLimits { clock, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Replaces the limits.
    pub fn set(&self, limits: &Limits) {
        self.state.lock().set(limits);
        self.changed.notify_waiters();
    }

    /// Replaces the quotas of IP addresses.
    pub fn set_ip_rates(&self, by_ip: HashMap<IpAddr, f64>, default: Option<f64>) {
        self.state.lock().rates.set_ip_limits(by_ip, default);
    }

    /// Takes a permit for one more connection, if `max.connections` allows it.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        let free = state.open < state.max_connections;
        free.then(|| {
            state.open += 1;
            Permit { connection_limits: Arc::clone(self) }
        })
    }

    /// Waits for a permit for one more connection. As in Kafka (KIP-402), connections stay in the listen backlog
    /// meanwhile.
    pub async fn acquire(self: &Arc<Self>) -> Permit {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the limits are read, so that no change is missed.
            changed.as_mut().enable();
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            changed.await;
        }
    }

    /// Waits as long as `max.connection.creation.rate` of the broker and of the listener demands for one more connection
    /// (KIP-612).
    pub async fn wait_for_rate(&self, listener: &Arc<str>) {
        while self.state.lock().rates.is_zero(listener) {
            self.clock.sleep(RATE_OF_ZERO_WAIT).await;
        }
        let wait_ms = self.state.lock().rates.record(listener, self.now_ms());
        if let Some(wait_ms) = u64::try_from(wait_ms).ok().filter(|wait_ms| *wait_ms > 0) {
            self.clock.sleep(Duration::from_millis(wait_ms)).await;
        }
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock.monotonic().as_millis()).unwrap_or(i64::MAX)
    }

    /// Takes a permit for a connection from `ip`.
    ///
    /// # Errors
    /// The limit of that address that was reached.
    pub fn admit(&self, listener: &Arc<str>, ip: IpAddr, permit: Permit) -> Result<IpPermit, Refused> {
        let mut state = self.state.lock();
        if let Err(throttle_ms) = state.rates.record_ip(listener, ip, self.now_ms()) {
            let after = Duration::from_millis(u64::try_from(throttle_ms).unwrap_or_default());
            return Err(Refused::TooFast { after, permit });
        }
        let limit = state.overrides.get(&ip).copied().unwrap_or(state.max_per_ip);
        let open = state.open_per_ip.get(&ip).copied().unwrap_or(0);
        if open >= limit {
            // The permit's drop takes the lock.
            drop(state);
            return Err(Refused::TooMany { limit });
        }
        state.open_per_ip.insert(ip, open + 1);
        Ok(IpPermit { ip, permit })
    }
}

impl State {
    fn set(&mut self, limits: &Limits) {
        self.max_connections = limits.max_connections;
        self.max_per_ip = limits.max_connections_per_ip;
        self.overrides = limits.max_connections_per_ip_overrides.iter().copied().collect();
        let of_listeners = limits.listener_creation_rates.iter().map(|(name, rate)| (Arc::clone(name), *rate as f64));
        self.rates.set_limits(limits.max_connection_creation_rate as f64, of_listeners.collect());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.connection_limits.state.lock().open -= 1;
        self.connection_limits.changed.notify_waiters();
    }
}

impl Drop for IpPermit {
    fn drop(&mut self) {
        let mut state = self.permit.connection_limits.state.lock();
        match state.open_per_ip.get_mut(&self.ip) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.open_per_ip.remove(&self.ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const DEFAULT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const OVERRIDDEN: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn connection_limits(limits: &Limits) -> ConnectionLimits {
        ConnectionLimits::new(limits, Clock::start())
    }

    #[derive(Debug, PartialEq)]
    enum Reason {
        TooMany(usize),
        TooFast(Duration),
    }
    use Reason::*;

    fn admit(connection_limits: &Arc<ConnectionLimits>, ip: IpAddr) -> Result<IpPermit, Reason> {
        let admitted = connection_limits.admit(&"L".into(), ip, connection_limits.try_acquire().unwrap());
        admitted.map_err(|refused| match refused {
            Refused::TooMany { limit } => TooMany(limit),
            Refused::TooFast { after, .. } => TooFast(after),
        })
    }

    fn limits() -> Limits {
        Limits {
            max_connections: 3,
            max_connections_per_ip: 1,
            max_connections_per_ip_overrides: vec![(OVERRIDDEN, 2)],
            ..Limits::default()
        }
    }

    #[test]
    fn addresses_have_their_own_limits_and_dropped_permits_are_free_again() {
        let connection_limits = Arc::new(connection_limits(&limits()));
        let admit = |ip| admit(&connection_limits, ip);
        let first = admit(DEFAULT);
        assert!(first.is_ok());
        assert_eq!(admit(DEFAULT).err(), Some(TooMany(1)));
        let others = [admit(OVERRIDDEN), admit(OVERRIDDEN)];
        assert!(others.iter().all(Result::is_ok));
        assert!(connection_limits.try_acquire().is_none());
        drop(first);
        assert!(admit(DEFAULT).is_ok());
        drop(others);
        let state = connection_limits.state.lock();
        assert_eq!((state.open, state.open_per_ip.len()), (0, 0));
    }

    #[tokio::test]
    async fn changed_limits_apply_to_new_connections_and_wake_waiting_ones() {
        let connection_limits = Arc::new(connection_limits(&limits()));
        let mut open: Vec<Permit> = (0..3).map(|_| connection_limits.try_acquire().unwrap()).collect();
        connection_limits.set(&Limits { max_connections: 2, ..limits() });
        open.pop();
        assert!(connection_limits.try_acquire().is_none(), "2 connections are open, and the limit is 2");
        let waiting = tokio::spawn({
            let connection_limits = Arc::clone(&connection_limits);
            async move { connection_limits.acquire().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection_limits.set(&Limits { max_connections: 3, ..limits() });
        drop(waiting.await.unwrap());
        assert!(admit(&connection_limits, DEFAULT).is_ok());
        connection_limits.set(&Limits { max_connections_per_ip: 0, ..limits() });
        assert_eq!(admit(&connection_limits, DEFAULT).err(), Some(TooMany(0)));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_above_the_creation_rate_of_broker_or_listener_wait() {
        let listener_creation_rates = vec![("SLOW".into(), 1)];
        let limited = Limits { max_connection_creation_rate: 10, listener_creation_rates, ..limits() };
        let connection_limits = connection_limits(&limited);
        let began = tokio::time::Instant::now();
        let (slow, fast): (Arc<str>, Arc<str>) = ("SLOW".into(), "FAST".into());
        for _ in 0..10 {
            connection_limits.wait_for_rate(&slow).await;
        }
        for _ in 0..90 {
            connection_limits.wait_for_rate(&fast).await;
        }
        assert_eq!(began.elapsed(), Duration::ZERO, "a burst as large as ten seconds allow");
        connection_limits.wait_for_rate(&slow).await;
        assert_eq!(began.elapsed().as_millis(), 1_000);
        connection_limits.set(&limits());
        for _ in 0..1_000 {
            connection_limits.wait_for_rate(&fast).await;
        }
        assert_eq!(began.elapsed().as_millis(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn address_above_its_quota_is_refused_until_its_rate_is_lower() {
        let connection_limits = Arc::new(connection_limits(&Limits { max_connections_per_ip: 2, ..limits() }));
        connection_limits.set_ip_rates(HashMap::from([(DEFAULT, 1.0)]), None);
        for _ in 0..10 {
            assert!(admit(&connection_limits, DEFAULT).is_ok());
        }
        assert_eq!(admit(&connection_limits, DEFAULT).err(), Some(TooFast(Duration::from_secs(1))));
        assert!(admit(&connection_limits, OVERRIDDEN).is_ok());
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert!(admit(&connection_limits, DEFAULT).is_ok());
        assert_eq!(connection_limits.state.lock().open, 0, "nothing of a refused connection stays");
    }

    #[tokio::test(start_paused = true)]
    async fn creation_rate_of_zero_accepts_no_connection_until_it_changes() {
        let connection_limits = Arc::new(connection_limits(&Limits { max_connection_creation_rate: 0, ..limits() }));
        let waiting = tokio::spawn({
            let connection_limits = Arc::clone(&connection_limits);
            async move { connection_limits.wait_for_rate(&"L".into()).await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        connection_limits.set(&limits());
        waiting.await.unwrap();
    }
}
