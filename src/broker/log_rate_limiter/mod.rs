//! The log rate limiter: keeps a peer from flooding the log.
//!
//! Lines that a peer can cause as often as it likes pass here first (`log_limited!`). The first few of a time pass, the
//! others are counted, and told of in one line when that time is over. Peers and kinds of lines are limited each by
//! itself, so that a flood of one hides no line of another.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tracing::Level;

use ottla_core::log_windows::{LogWindows, Report};

/// Logs a line that a peer caused, unless the limiter (an `Arc<LogRateLimiter>`) holds it back.
///
/// `log_limited!(WARN, limiter, peer, "refused connections", "refused a connection from {peer}")`: the level; the
/// limiter; the peer's address, or `None` where nobody in particular causes the line; what such lines tell of, in the
/// plural; then what [`tracing::event!`] takes.
macro_rules! log_limited {
    ($level:ident, $limiter:expr, $peer:expr, $of:expr, $($event:tt)+) => {
        if tracing::enabled!(tracing::Level::$level) && $limiter.admits(tracing::Level::$level, $peer, $of) {
            tracing::event!(tracing::Level::$level, $($event)+);
        }
    };
}
pub(crate) use log_limited;

/// Logs a line as [`log_limited!`] does, but once for each peer and reason: a client that tries again does so for the
/// same reason. `$reason` is what tells one such line from another, and has nothing that differs with each try.
macro_rules! log_limited_by_reason {
    ($level:ident, $limiter:expr, $peer:expr, $of:expr, $reason:expr, $($event:tt)+) => {
        if tracing::enabled!(tracing::Level::$level)
            && $limiter.admits_reason(tracing::Level::$level, $peer, $of, $reason)
        {
            tracing::event!(tracing::Level::$level, $($event)+);
        }
    };
}
pub(crate) use log_limited_by_reason;

/// Decides which lines pass. One for a whole broker.
pub struct LogRateLimiter {
    /// The monotonic time.
    now: Box<dyn Fn() -> Duration + Send + Sync>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    windows: LogWindows<Kind>,
    /// Whether a task is about to report what was held back.
    is_reporting: bool,
}

/// Lines that are limited together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Kind {
    level: Level,
    /// What they tell of, in the plural.
    of: &'static str,
    peer: Option<Peer>,
    /// The hash of a reason that is logged once for a peer.
    reason: Option<u64>,
}

/// An address, or all addresses that one peer can easily have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Peer {
    Address(IpAddr),
    /// The first 64 bits of IPv6 addresses.
    Network([u16; 4]),
}

impl LogRateLimiter {
    /// A limiter that takes the monotonic time from `now`.
    pub fn new(now: impl Fn() -> Duration + Send + Sync + 'static) -> Arc<LogRateLimiter> {
        Arc::new(LogRateLimiter { now: Box::new(now), state: Mutex::default() })
    }

    /// Whether a line may be logged now that `peer` caused. `of` says in the plural what such lines tell of.
    pub fn admits(self: &Arc<Self>, level: Level, peer: impl Into<Option<IpAddr>>, of: &'static str) -> bool {
        self.admits_kind(Kind { level, of, peer: peer.into().map(Peer::of), reason: None })
    }

    /// Whether a line may be logged now that `peer` caused for a reason which was not logged lately.
    pub fn admits_reason(
        self: &Arc<Self>,
        level: Level,
        peer: impl Into<Option<IpAddr>>,
        of: &'static str,
        reason: impl Hash,
    ) -> bool {
        let mut hasher = DefaultHasher::new();
        reason.hash(&mut hasher);
        let kind = Kind { level, of, peer: peer.into().map(Peer::of), reason: None };
        // Also by its kind: a peer may have any number of reasons.
        self.admits_kind(Kind { reason: Some(hasher.finish()), ..kind }) && self.admits_kind(kind)
    }

    fn admits_kind(self: &Arc<Self>, kind: Kind) -> bool {
        let now = (self.now)();
        let mut state = self.state.lock();
        let is_allowed = match kind.reason {
            Some(_) => state.windows.allows_up_to(1, kind, now),
            None => state.windows.allows(kind, now),
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

    /// Tells what was held back so far, whether its time is over or not.
    pub fn report_all(&self) {
        let reports = self.state.lock().windows.take_all((self.now)());
        reports.into_iter().for_each(tell);
    }

    /// Tells what was held back, each time that a window ends, until nothing is.
    async fn report(self: Arc<Self>) {
        while let Some(at) = self.next_report() {
            tokio::time::sleep(at.saturating_sub((self.now)())).await;
            let reports = self.state.lock().windows.take_due((self.now)());
            reports.into_iter().for_each(tell);
        }
    }

    fn next_report(&self) -> Option<Duration> {
        let mut state = self.state.lock();
        let next = state.windows.next_report();
        state.is_reporting = next.is_some();
        next
    }
}

fn tell(report: Report<Kind>) {
    let Report { key, suppressed, seconds } = report;
    let Some(Kind { level, of, peer, reason: _ }) = key else {
        return tracing::warn!("{suppressed} more lines about many peers in the last {seconds} s are not listed");
    };
    let line = match peer {
        Some(peer) => format!("{suppressed} more {of} from {peer} in the last {seconds} s are not listed"),
        None => format!("{suppressed} more {of} in the last {seconds} s are not listed"),
    };
    match level {
        Level::ERROR => tracing::error!("{line}"),
        Level::WARN => tracing::warn!("{line}"),
        _ => tracing::info!("{line}"),
    }
}

impl Peer {
    fn of(address: IpAddr) -> Peer {
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
        let began = tokio::time::Instant::now();
        LogRateLimiter::new(move || began.elapsed())
    }

    fn admitted(limiter: &Arc<LogRateLimiter>, times: u64, peer: &str) -> u64 {
        let peer: IpAddr = peer.parse().unwrap();
        (0..times).filter(|_| limiter.admits(Level::WARN, peer, "tests")).count() as u64
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_held_back_is_reported_when_its_window_ends() {
        let limiter = limiter();
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
        assert!(limiter.state.lock().is_reporting);
        tokio::time::sleep(WINDOW + Duration::from_millis(1)).await;
        assert!(!limiter.state.lock().is_reporting, "reported, and nothing left");
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_one_peer_hides_no_line_of_another() {
        let limiter = limiter();
        assert_eq!(admitted(&limiter, 10_000, "10.0.0.1"), LINES);
        assert_eq!(admitted(&limiter, 1, "10.0.0.2"), 1);
        assert!(limiter.admits(Level::WARN, Some([10, 0, 0, 1].into()), "other tests"));
        assert!(limiter.admits(Level::WARN, None, "tests"));
    }

    #[tokio::test(start_paused = true)]
    async fn ipv6_addresses_of_one_network_are_one_peer() {
        let limiter = limiter();
        let admitted: u64 = (0..100).map(|host| admitted(&limiter, 1, &format!("2001:db8::{host:x}"))).sum();
        assert_eq!(admitted, LINES);
        let address = |text: &str| Peer::of(text.parse().unwrap()).to_string();
        assert_eq!(address("2001:db8::7"), "2001:db8::/64");
        assert_eq!(address("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(address("::1"), "::1");
    }

    #[test]
    fn without_a_runtime_lines_are_limited_all_the_same() {
        let limiter = LogRateLimiter::new(|| Duration::from_secs(7));
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
        limiter.report_all();
        assert_eq!(admitted(&limiter, 100, "10.0.0.1"), LINES);
    }
}
