//! Connection limits: `max.connections`, `max.connections.per.ip` with its overrides, `max.connection.creation.rate`.
//!
//! All of them may change while the server runs. Open connections stay open.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Limits;

/// The limits in force, and what is used of them.
pub(super) struct ConnectionLimits {
    state: Mutex<State>,
    /// A connection closed, or the limits changed.
    changed: Notify,
}

struct State {
    /// All connections together.
    most: usize,
    per_ip: usize,
    overrides: HashMap<IpAddr, usize>,
    /// Connections per second.
    rate: usize,
    open: usize,
    connected: HashMap<IpAddr, usize>,
    /// When a full [`BURST`] will be available again.
    burst_refilled_at: Option<Instant>,
}

/// The connections of this time, at the configured rate, may be accepted at once.
const BURST: Duration = Duration::from_secs(1);
/// The longest sleep before the rate is read again, which may have changed.
const MAX_RATE_WAIT: Duration = Duration::from_secs(1);
/// The default of the setting, which means no limit.
const NO_RATE: usize = i32::MAX as usize;

/// One of `max.connections`, released when dropped.
pub(super) struct Permit {
    connection_limits: Arc<ConnectionLimits>,
}

/// One of the connections that a host may have, released when dropped.
pub(super) struct HostPermit {
    ip: IpAddr,
    permit: Permit,
}

impl ConnectionLimits {
    pub fn new(limits: &Limits) -> Self {
        let mut state = State {
            most: 0,
            per_ip: 0,
            overrides: HashMap::new(),
            rate: 0,
            open: 0,
            connected: HashMap::new(),
            burst_refilled_at: None,
        };
        state.set(limits);
        ConnectionLimits { state: Mutex::new(state), changed: Notify::new() }
    }

    /// Applies other limits.
    pub fn set(&self, limits: &Limits) {
        self.state.lock().set(limits);
        self.changed.notify_waiters();
    }

    /// Takes a permit for one more connection, if one is free.
    pub fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.state.lock();
        let free = state.open < state.most;
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
            // From here on every change wakes this task.
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
            let token = self.state.lock().take_token(Instant::now());
            match token {
                Ok(()) => return,
                Err(wait) => tokio::time::sleep(wait.min(MAX_RATE_WAIT)).await,
            }
        }
    }

    /// Takes a permit for a connection from `ip`.
    ///
    /// # Errors
    /// The limit of that address, if it is reached.
    pub fn admit(&self, ip: IpAddr, permit: Permit) -> Result<HostPermit, usize> {
        let mut state = self.state.lock();
        let allowed = state.overrides.get(&ip).copied().unwrap_or(state.per_ip);
        let count = state.connected.entry(ip).or_default();
        if *count >= allowed {
            let none = *count == 0;
            if none {
                state.connected.remove(&ip);
            }
            drop(state);
            return Err(allowed);
        }
        *count += 1;
        Ok(HostPermit { ip, permit })
    }
}

impl State {
    fn set(&mut self, limits: &Limits) {
        self.most = limits.max_connections;
        self.per_ip = limits.max_connections_per_ip;
        self.overrides = limits.max_connections_per_ip_overrides.iter().copied().collect();
        self.rate = limits.max_connection_creation_rate;
        self.burst_refilled_at = None;
    }

    /// Lets one connection in, or tells how long it has to wait.
    fn take_token(&mut self, now: Instant) -> Result<(), Duration> {
        let each = match self.rate {
            NO_RATE.. => return Ok(()),
            0 => return Err(MAX_RATE_WAIT),
            rate => Duration::from_secs(1).div_f64(rate as f64),
        };
        let burst_refilled_at = self.burst_refilled_at.unwrap_or(now).max(now) + each;
        let beyond = (burst_refilled_at - now).saturating_sub(BURST);
        if !beyond.is_zero() {
            return Err(beyond);
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

impl Drop for HostPermit {
    fn drop(&mut self) {
        let mut state = self.permit.connection_limits.state.lock();
        match state.connected.get_mut(&self.ip) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(state.connected.remove(&self.ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    fn limits() -> Limits {
        Limits {
            max_connections: 3,
            max_connections_per_ip: 1,
            max_connections_per_ip_overrides: vec![(THERE, 2)],
            ..Limits::default()
        }
    }

    #[test]
    fn an_address_has_its_limit_and_places_come_free() {
        let connection_limits = Arc::new(ConnectionLimits::new(&limits()));
        let enter = |ip| connection_limits.admit(ip, connection_limits.try_acquire().unwrap());
        let first = enter(HERE);
        assert!(first.is_ok());
        assert_eq!(enter(HERE).err(), Some(1));
        let others = [enter(THERE), enter(THERE)];
        assert!(others.iter().all(Result::is_ok));
        assert!(connection_limits.try_acquire().is_none());
        drop(first);
        assert!(enter(HERE).is_ok());
        drop(others);
        let state = connection_limits.state.lock();
        assert_eq!((state.open, state.connected.len()), (0, 0));
    }

    #[tokio::test]
    async fn limits_change_while_connections_are_open() {
        let connection_limits = Arc::new(ConnectionLimits::new(&limits()));
        let mut open: Vec<Permit> = (0..3).map(|_| connection_limits.try_acquire().unwrap()).collect();
        connection_limits.set(&Limits { max_connections: 2, ..limits() });
        open.pop();
        assert!(connection_limits.try_acquire().is_none(), "2 are open, and 2 may be");
        let waiting = tokio::spawn({
            let connection_limits = Arc::clone(&connection_limits);
            async move { connection_limits.acquire().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        connection_limits.set(&Limits { max_connections: 3, ..limits() });
        drop(waiting.await.unwrap());
        assert!(connection_limits.admit(HERE, connection_limits.try_acquire().unwrap()).is_ok());
        connection_limits.set(&Limits { max_connections_per_ip: 0, ..limits() });
        assert_eq!(connection_limits.admit(HERE, connection_limits.try_acquire().unwrap()).err(), Some(0));
    }

    #[tokio::test(start_paused = true)]
    async fn connections_come_at_a_rate() {
        let connection_limits = ConnectionLimits::new(&Limits { max_connection_creation_rate: 10, ..limits() });
        let began = Instant::now();
        for _ in 0..30 {
            connection_limits.wait_for_rate().await;
        }
        // Ten at once, and ten each second after.
        let took = began.elapsed().as_millis();
        assert!((1_990..2_100).contains(&took), "{took} ms");
        connection_limits.set(&limits());
        for _ in 0..1_000 {
            connection_limits.wait_for_rate().await;
        }
        assert_eq!(began.elapsed().as_millis(), took);
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_of_none_lets_nobody_in_until_it_changes() {
        let connection_limits =
            Arc::new(ConnectionLimits::new(&Limits { max_connection_creation_rate: 0, ..limits() }));
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
