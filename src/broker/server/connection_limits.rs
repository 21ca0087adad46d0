//! Connection limits: `max.connections`, `max.connections.per.ip` with its overrides, `max.connection.creation.rate`.
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
    /// `max.connection.creation.rate`, in connections per second.
    rate: usize,
    /// The number of open connections.
    open: usize,
    /// The number of open connections of each address.
    open_per_ip: HashMap<IpAddr, usize>,
    /// The time when a full [`BURST`] will be available again.
    burst_refilled_at: Option<Duration>,
}

/// The size of a burst: as many connections as the configured rate allows in this time.
const BURST: Duration = Duration::from_secs(1);
/// The longest sleep before the rate is read again, because it can change.
const MAX_RATE_WAIT: Duration = Duration::from_secs(1);
/// The default of `max.connection.creation.rate`, which means no limit.
const NO_RATE: usize = i32::MAX as usize;

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
            rate: 0,
            open: 0,
            open_per_ip: HashMap::new(),
            burst_refilled_at: None,
        };
        state.set(limits);
        ConnectionLimits { clock, state: Mutex::new(state), changed: Notify::new() }
    }

    /// Replaces the limits.
    pub fn set(&self, limits: &Limits) {
        self.state.lock().set(limits);
        self.changed.notify_waiters();
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

    /// Waits until `max.connection.creation.rate` allows one more connection (KIP-612).
    pub async fn wait_for_rate(&self) {
        loop {
            let token = self.state.lock().take_token(self.clock.monotonic());
            match token {
                Ok(()) => return,
                Err(wait) => self.clock.sleep(wait.min(MAX_RATE_WAIT)).await,
            }
        }
    }

    /// Takes a permit for a connection from `ip`.
    ///
    /// # Errors
    /// The limit of that address, if it was reached.
    pub fn admit(&self, ip: IpAddr, permit: Permit) -> Result<IpPermit, usize> {
        let mut state = self.state.lock();
        let limit = state.overrides.get(&ip).copied().unwrap_or(state.max_per_ip);
        let open = state.open_per_ip.get(&ip).copied().unwrap_or(0);
        if open >= limit {
            // The permit's drop takes the lock.
            drop(state);
            return Err(limit);
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
        self.rate = limits.max_connection_creation_rate;
        self.burst_refilled_at = None;
    }

    /// Takes the token of one connection.
    ///
    /// # Errors
    /// The time until a token may be available.
    fn take_token(&mut self, now: Duration) -> Result<(), Duration> {
        let interval = match self.rate {
            NO_RATE.. => return Ok(()),
            0 => return Err(MAX_RATE_WAIT),
            rate => Duration::from_secs(1).div_f64(rate as f64),
        };
        let burst_refilled_at = self.burst_refilled_at.unwrap_or(now).max(now).saturating_add(interval);
        let wait = burst_refilled_at.saturating_sub(now).saturating_sub(BURST);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.burst_refilled_at = Some(burst_refilled_at);
        Ok(())
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
        let admit = |ip| connection_limits.admit(ip, connection_limits.try_acquire().unwrap());
        let first = admit(DEFAULT);
        assert!(first.is_ok());
        assert_eq!(admit(DEFAULT).err(), Some(1));
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
        assert!(connection_limits.admit(DEFAULT, connection_limits.try_acquire().unwrap()).is_ok());
        connection_limits.set(&Limits { max_connections_per_ip: 0, ..limits() });
        assert_eq!(connection_limits.admit(DEFAULT, connection_limits.try_acquire().unwrap()).err(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_above_the_creation_rate_wait() {
        let connection_limits = connection_limits(&Limits { max_connection_creation_rate: 10, ..limits() });
        let began = tokio::time::Instant::now();
        for _ in 0..30 {
            connection_limits.wait_for_rate().await;
        }
        // A burst of ten, and then ten per second.
        let took = began.elapsed().as_millis();
        assert!((1_990..2_100).contains(&took), "{took} ms");
        connection_limits.set(&limits());
        for _ in 0..1_000 {
            connection_limits.wait_for_rate().await;
        }
        assert_eq!(began.elapsed().as_millis(), took);
    }

    #[tokio::test(start_paused = true)]
    async fn creation_rate_of_zero_accepts_no_connection_until_it_changes() {
        let connection_limits = Arc::new(connection_limits(&Limits { max_connection_creation_rate: 0, ..limits() }));
        let waiting = tokio::spawn({
            let connection_limits = Arc::clone(&connection_limits);
            async move { connection_limits.wait_for_rate().await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!waiting.is_finished());
        connection_limits.set(&limits());
        waiting.await.unwrap();
    }
}
