//! Decides when a connection is idle or stalled. Pure: it counts periods and reads no clock.

use std::time::Duration;

/// Checks within `connections.max.idle.ms`: a connection is closed after that time and at most a quarter more.
const IDLE_CHECKS: u32 = 4;
/// Checks within the stall timeout of a partly received request.
const STALL_CHECKS: u32 = 20;
/// Checks without progress after which such a request is closed if other requests wait for memory.
const CONTENDED_CHECKS: u32 = 2;
/// Fewer bytes than this between two checks are no progress.
const MIN_PROGRESS: u64 = 1 << 10;

/// The state of a connection at the end of a period.
pub(super) struct Activity {
    /// Bytes read since the connection began.
    pub received: u64,
    /// Bytes written since the connection began.
    pub sent: u64,
    /// Whether a large request has been received in part, so that it holds a reservation.
    pub has_partial_request: bool,
    /// Whether the peer waits for a parked reply.
    pub parked: bool,
    /// Whether nothing is read from the connection for a time (throttling).
    pub muted: bool,
    /// Whether other requests wait for memory.
    pub contended: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    /// No byte was sent or received for the idle timeout.
    Idle,
    /// A partly received request made no progress for the stall timeout.
    Stalled,
}

/// The watchdog of one connection.
pub(super) struct Watchdog {
    idle_timeout: Option<Duration>,
    stall_timeout: Duration,
    period: Duration,
    /// How long no byte was sent or received.
    idle_for: Duration,
    /// Bytes sent and received at the last check.
    transferred: u64,
    /// Checks in a row without progress of the partly received request.
    stalled_checks: u32,
    /// Bytes received at the last check.
    received: u64,
}

impl Watchdog {
    /// Creates a watchdog. `idle_timeout` is the longest time without a byte sent or received, `None` for no limit;
    /// `stall_timeout` is the longest time without progress of a partly received request.
    pub fn new(idle_timeout: Option<Duration>, stall_timeout: Duration) -> Self {
        let mut watchdog = Watchdog {
            idle_timeout,
            stall_timeout,
            period: Duration::ZERO,
            idle_for: Duration::ZERO,
            transferred: 0,
            stalled_checks: 0,
            received: 0,
        };
        watchdog.period = watchdog.period_for(false);
        watchdog
    }

    /// The time between the last check and the next.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The period with or without a partly received request.
    fn period_for(&self, has_partial_request: bool) -> Duration {
        let period = self.idle_timeout.map_or(Duration::MAX, |timeout| timeout / IDLE_CHECKS);
        if has_partial_request { period.min(self.stall_timeout / STALL_CHECKS) } else { period }
    }

    /// Shortens the period if a request has been received in part. Returns whether it did: then the timer must be set
    /// again.
    pub fn shorten_period(&mut self, has_partial_request: bool, received: u64) -> bool {
        let period = self.period_for(has_partial_request);
        if period >= self.period {
            return false;
        }
        self.period = period;
        self.stalled_checks = 0;
        self.received = received;
        true
    }

    /// Decides at the end of a period.
    pub fn check(&mut self, activity: Activity) -> Verdict {
        let transferred = activity.received + activity.sent;
        let is_idle = transferred == self.transferred && !activity.parked && !activity.muted;
        self.idle_for = if is_idle { self.idle_for + self.period } else { Duration::ZERO };
        self.transferred = transferred;

        // Also while a reply is parked: a slow earlier request must not let a partly received one hold memory for
        // longer.
        let is_partial = activity.has_partial_request && activity.received - self.received < MIN_PROGRESS;
        // A muted client cannot send the rest, but may not hold memory that others wait for.
        let is_stalled = is_partial && (!activity.muted || activity.contended);
        self.stalled_checks = if is_stalled { self.stalled_checks + 1 } else { 0 };
        self.received = activity.received;

        let max_stalled_checks = if activity.contended { CONTENDED_CHECKS } else { STALL_CHECKS };
        self.period = self.period_for(activity.has_partial_request);
        if self.stalled_checks >= max_stalled_checks {
            Verdict::Stalled
        } else if self.idle_timeout.is_some_and(|timeout| self.idle_for >= timeout) {
            Verdict::Idle
        } else {
            Verdict::Alive
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(600);
    const STALL_TIMEOUT: Duration = Duration::from_secs(30);

    fn received(received: u64) -> Activity {
        Activity { received, sent: 0, has_partial_request: false, parked: false, muted: false, contended: false }
    }

    /// Checks until the verdict is not `Alive`. Returns the time until then and the verdict.
    fn until_closed(watchdog: &mut Watchdog, activity: impl Fn(u64) -> Activity) -> (Duration, Verdict) {
        let mut time = Duration::ZERO;
        for round in 1..1000 {
            time += watchdog.period();
            let verdict = watchdog.check(activity(round));
            if verdict != Verdict::Alive {
                return (time, verdict);
            }
        }
        (time, Verdict::Alive)
    }

    #[test]
    fn idle_connection_is_closed_after_the_idle_timeout() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert_eq!(until_closed(&mut watchdog, |_| received(0)), (IDLE, Verdict::Idle));
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert_eq!(watchdog.check(received(5)), Verdict::Alive);
        assert_eq!(until_closed(&mut watchdog, |_| received(5)), (IDLE, Verdict::Idle));
    }

    #[test]
    fn connection_with_parked_reply_is_not_idle() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        let (_, verdict) = until_closed(&mut watchdog, |_| Activity { parked: true, ..received(0) });
        assert_eq!(verdict, Verdict::Alive);
    }

    #[test]
    fn without_idle_timeout_no_connection_is_idle() {
        assert_eq!(Watchdog::new(None, STALL_TIMEOUT).period(), Duration::MAX);
    }

    fn partial(bytes: u64) -> Activity {
        Activity { has_partial_request: true, ..received(bytes) }
    }

    #[test]
    fn partial_request_without_progress_is_closed_after_the_stall_timeout() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert!(!watchdog.shorten_period(false, 10));
        assert!(watchdog.shorten_period(true, 10));
        assert!(!watchdog.shorten_period(true, 10));
        assert_eq!(until_closed(&mut watchdog, |_| partial(10)), (STALL_TIMEOUT, Verdict::Stalled));
    }

    #[test]
    fn partial_request_without_progress_is_closed_sooner_if_others_wait() {
        let mut watchdog = Watchdog::new(None, STALL_TIMEOUT);
        watchdog.shorten_period(true, 10);
        let (time, verdict) = until_closed(&mut watchdog, |_| Activity { contended: true, ..partial(10) });
        assert_eq!((time, verdict), (STALL_TIMEOUT / 10, Verdict::Stalled));
    }

    #[test]
    fn partial_request_without_progress_is_closed_while_a_reply_is_parked() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 10);
        let (time, verdict) = until_closed(&mut watchdog, |_| Activity { parked: true, ..partial(10) });
        assert_eq!((time, verdict), (STALL_TIMEOUT, Verdict::Stalled));
    }

    #[test]
    fn partial_request_of_a_muted_client_is_closed_only_if_others_wait() {
        let mut watchdog = Watchdog::new(None, STALL_TIMEOUT);
        let muted = || Activity { muted: true, ..partial(10) };
        assert!((0..10 * STALL_CHECKS).all(|_| watchdog.check(muted()) == Verdict::Alive));
        let (_, verdict) = until_closed(&mut watchdog, |_| Activity { contended: true, ..muted() });
        assert_eq!(verdict, Verdict::Stalled);
    }

    #[test]
    fn partial_request_with_progress_stays_open_and_a_trickle_is_closed() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 0);
        assert_eq!(until_closed(&mut watchdog, |round| partial(round * 2000)).1, Verdict::Alive);
        assert_eq!(until_closed(&mut watchdog, |round| partial(2_000_000 + round)).1, Verdict::Stalled);
    }

    #[test]
    fn complete_request_restores_the_long_period() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 0);
        watchdog.check(received(5000));
        assert_eq!(watchdog.period(), IDLE / IDLE_CHECKS);
    }
}
