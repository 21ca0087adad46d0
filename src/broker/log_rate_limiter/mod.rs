//! The log rate limiter, which prevents peers from flooding the log.
//!
//! Log lines that a peer can cause at any rate are written with `log_limited!`. In each window of time the first few
//! lines are logged; the others are counted, and one line reports their number when the window ends. Each peer and each
//! kind of line has windows of its own, so that many lines of one do not hide lines of another.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::Level;

use crate::clock::Clock;
use ottla_core::log_windows::{LogWindows, Report};

/// Logs a line that a peer caused, unless the limiter (an `Arc<LogRateLimiter>`) suppresses it.
///
/// `log_limited!(WARN, limiter, peer, "refused connections", "refused a connection from {peer}")`. The arguments are
/// the level, the limiter, the peer's address (`None` for lines that no single peer causes), the kind of line in the
/// plural, and then the arguments of [`tracing::event!`].
macro_rules! log_limited {
    ($level:ident, $limiter:expr, $peer:expr, $kind:expr, $($event:tt)+) => {
        if tracing::enabled!(tracing::Level::$level) && $limiter.admits(tracing::Level::$level, $peer, $kind) {
            tracing::event!(tracing::Level::$level, $($event)+);
        }
    };
}
pub(crate) use log_limited;

/// Logs a line as [`log_limited!`] does, but only once for each peer and reason, because a client that retries fails for
/// the same reason again. `$reason` identifies the reason, and must not contain what differs between retries.
macro_rules! log_limited_by_reason {
    ($level:ident, $limiter:expr, $peer:expr, $kind:expr, $reason:expr, $($event:tt)+) => {
        if tracing::enabled!(tracing::Level::$level)
            && $limiter.admits_reason(tracing::Level::$level, $peer, $kind, $reason)
        {
            tracing::event!(tracing::Level::$level, $($event)+);
        }
    };
}
pub(crate) use log_limited_by_reason;

/// Decides which lines are logged. A broker has one.
pub struct LogRateLimiter {
    /// The monotonic time.
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: LogWindows<Key>,
    /// Whether a task waits to report suppressed lines.
    is_reporting: bool,
}

/// The lines that share a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    level: Level,
    /// The kind of line, in the plural.
    kind: &'static str,
    peer: Option<Peer>,
    /// The hash of a reason that is logged once for a peer.
    reason: Option<u64>,
}

/// An address, or the network of addresses that one peer can easily use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    Address(IpAddr),
    /// The first 64 bits of an IPv6 address.
    Network([u16; 4]),
}

impl LogRateLimiter {
    /// Creates a limiter that has suppressed nothing.
    pub fn new(clock: Clock) -> Arc<LogRateLimiter> {
        Arc::new(LogRateLimiter { clock, state: Mutex::default() })
    }

    /// Whether a line that `peer` caused may be logged now. `kind` is the kind of line, in the plural.
    pub fn admits(self: &Arc<Self>, level: Level, peer: impl Into<Option<IpAddr>>, kind: &'static str) -> bool {
        self.admits_key(Key { level, kind, peer: peer.into().map(Peer::from_address), reason: None })
    }

    /// Whether a line that `peer` caused may be logged now, if it was not logged for the same reason lately.
    pub fn admits_reason(
        self: &Arc<Self>,
        level: Level,
        peer: impl Into<Option<IpAddr>>,
        kind: &'static str,
        reason: impl Hash,
    ) -> bool {
        let mut hasher = DefaultHasher::new();
        reason.hash(&mut hasher);
        let key = Key { level, kind, peer: peer.into().map(Peer::from_address), reason: None };
        // The kind is limited too, because a peer may cause any number of reasons.
        self.admits_key(Key { reason: Some(hasher.finish()), ..key }) && self.admits_key(key)
    }

    fn admits_key(self: &Arc<Self>, key: Key) -> bool {
        let now = self.clock.monotonic();
        let mut state = self.state.lock();
        let is_allowed = match key.reason {
            Some(_) => state.windows.allows_up_to(1, key, now),
            None => state.windows.allows(key, now),
        };
        if is_allowed {
            return true;
        }
        if !state.is_reporting
            && let Ok(runtime) = Handle::try_current()
        {
            state.is_reporting = true;
            runtime.spawn(Arc::clone(self).report());
        }
        false
    }

    /// Reports the lines suppressed so far, also in windows that have not ended.
    pub fn report_all(&self) {
        let reports = self.state.lock().windows.take_all(self.clock.monotonic());
        reports.into_iter().for_each(log_report);
    }

    /// Reports suppressed lines at the end of each window, until there are none.
    async fn report(self: Arc<Self>) {
        while let Some(at) = self.next_report() {
            self.clock.sleep(at.saturating_sub(self.clock.monotonic())).await;
            let reports = self.state.lock().windows.take_due(self.clock.monotonic());
            reports.into_iter().for_each(log_report);
        }
    }

    fn next_report(&self) -> Option<Duration> {
        let mut state = self.state.lock();
        let next = state.windows.next_report();
        state.is_reporting = next.is_some();
        next
    }
}

fn log_report(report: Report<Key>) {
    let Report { key, suppressed: count, seconds } = report;
    let Some(Key { level, kind, peer, reason: _ }) = key else {
        return tracing::warn!(count, seconds, "suppressed log lines about many peers");
    };
    let client = peer.map(tracing::field::display);
    match level {
        Level::ERROR => tracing::error!(count, seconds, client, "suppressed log lines: {kind}"),
        Level::WARN => tracing::warn!(count, seconds, client, "suppressed log lines: {kind}"),
        _ => tracing::info!(count, seconds, client, "suppressed log lines: {kind}"),
    }
}

impl Peer {
    fn from_address(address: IpAddr) -> Peer {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                Peer::Network([a, b, c, d])
            }
            address => Peer::Address(address),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Peer::Address(address) => write!(f, "{address}"),
            Peer::Network([a, b, c, d]) => write!(f, "{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)),
        }
    }
}

impl fmt::Debug for LogRateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogRateLimiter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_core::log_windows::{LINES, WINDOW};

    fn limiter() -> Arc<LogRateLimiter> {
        LogRateLimiter::new(Clock::start())
    }

    fn admitted(limiter: &Arc<LogRateLimiter>, times: u64, peer: &str) -> u64 {
        let peer: IpAddr = peer.parse().unwrap();
        (0..times).filter(|_| limiter.admits(Level::WARN, peer, "tests")).count() as u64
    }

    #[tokio::test(start_paused = true)]
    async fn suppressed_lines_are_reported_when_their_window_ends() {
        let limiter = limiter();
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
        assert!(limiter.state.lock().is_reporting);
        tokio::time::sleep(WINDOW + Duration::from_millis(1)).await;
        assert!(!limiter.state.lock().is_reporting, "reported, and no window is left");
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
    }

    #[tokio::test(start_paused = true)]
    async fn flood_of_one_peer_does_not_suppress_lines_of_another() {
        let limiter = limiter();
        assert_eq!(admitted(&limiter, 10_000, "10.0.0.1"), LINES);
        assert_eq!(admitted(&limiter, 1, "10.0.0.2"), 1);
        assert!(limiter.admits(Level::WARN, Some([10, 0, 0, 1].into()), "other tests"));
        assert!(limiter.admits(Level::WARN, None, "tests"));
    }

    #[tokio::test(start_paused = true)]
    async fn ipv6_addresses_of_one_network_share_a_window() {
        let limiter = limiter();
        let admitted: u64 = (0..100).map(|host| admitted(&limiter, 1, &format!("2001:db8::{host:x}"))).sum();
        assert_eq!(admitted, LINES);
        let address = |text: &str| Peer::from_address(text.parse().unwrap()).to_string();
        assert_eq!(address("2001:db8::7"), "2001:db8::/64");
        assert_eq!(address("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(address("::1"), "::1");
    }

    #[test]
    fn lines_are_limited_without_a_runtime() {
        let limiter = LogRateLimiter::new(Clock::start());
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
        limiter.report_all();
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
    }
}
