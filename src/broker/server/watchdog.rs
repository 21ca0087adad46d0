//! Decides when a connection is idle or stalled. Pure: counts periods and reads no clock.

use std::time::Duration;

/// Alarms within `connections.max.idle.ms`: a connection is closed after that time and up to a quarter more.
const IDLE_ALARMS: u32 = 4;
/// Alarms within the time that a half-sent request may stand still.
const STALL_ALARMS: u32 = 20;
/// Alarms that it may stand still while others wait for the memory it has reserved.
const CONTENDED_ALARMS: u32 = 2;
/// Less than this between two alarms counts as standing still.
const LEAST_PROGRESS: u64 = 1 << 10;

/// The state of the connection at the end of a period.
pub(super) struct Seen {
    /// Bytes read since the connection began.
    pub received: u64,
    /// Bytes written since the connection began.
    pub sent: u64,
    /// Whether a large request is half-sent, and holds memory others may want.
    pub half_sent: bool,
    /// Whether the connection waits for us, and not for its peer.
    pub parked: bool,
    /// Whether others wait for memory.
    pub contended: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Alive,
    /// Nothing moved for the idle limit.
    Idle,
    /// A half-sent request stands still.
    Stalled,
}

pub(super) struct Watchdog {
    idle: Option<Duration>,
    stall_timeout: Duration,
    period: Duration,
    /// How long nothing has moved.
    quiet: Duration,
    moved: u64,
    /// For how many alarms the half-sent request has stood still, since it had this many bytes.
    standing: u32,
    received: u64,
}

impl Watchdog {
    /// `idle` is how long nothing may move, `None` for ever; `stall_timeout` is how long a half-sent request
    /// may stand still.
    pub fn new(idle: Option<Duration>, stall_timeout: Duration) -> Self {
        let mut watchdog = Watchdog {
            idle,
            stall_timeout,
            period: Duration::ZERO,
            quiet: Duration::ZERO,
            moved: 0,
            standing: 0,
            received: 0,
        };
        watchdog.period = watchdog.wanted_period(false);
        watchdog
    }

    /// How long after the last alarm the next one is due.
    pub fn period(&self) -> Duration {
        self.period
    }

    fn wanted_period(&self, half_sent: bool) -> Duration {
        let idle = self.idle.map_or(Duration::MAX, |idle| idle / IDLE_ALARMS);
        if half_sent { idle.min(self.stall_timeout / STALL_ALARMS) } else { idle }
    }

    /// Whether the period became shorter because a request is half-sent: the timer must be set again.
    pub fn shorten_period(&mut self, half_sent: bool, received: u64) -> bool {
        let wanted = self.wanted_period(half_sent);
        if wanted >= self.period {
            return false;
        }
        self.period = wanted;
        self.standing = 0;
        self.received = received;
        true
    }

    /// Judges what happened in the period that ended.
    pub fn check(&mut self, seen: Seen) -> Verdict {
        let moved = seen.received + seen.sent;
        let still = moved == self.moved && !seen.parked;
        self.quiet = if still { self.quiet + self.period } else { Duration::ZERO };
        self.moved = moved;

        // Also while a reply is parked: a slow earlier request must not let a half-sent one hold memory for longer.
        let standing = seen.half_sent && seen.received - self.received < LEAST_PROGRESS;
        self.standing = if standing { self.standing + 1 } else { 0 };
        self.received = seen.received;

        let stall_timeout = if seen.contended { CONTENDED_ALARMS } else { STALL_ALARMS };
        self.period = self.wanted_period(seen.half_sent);
        if self.standing >= stall_timeout {
            Verdict::Stalled
        } else if self.idle.is_some_and(|idle| self.quiet >= idle) {
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

    fn seen(received: u64) -> Seen {
        Seen { received, sent: 0, half_sent: false, parked: false, contended: false }
    }

    /// Rings until the verdict is no longer "alive", and says after which time it was which.
    fn until_closed(watchdog: &mut Watchdog, see: impl Fn(u64) -> Seen) -> (Duration, Verdict) {
        let mut time = Duration::ZERO;
        for round in 1..1000 {
            time += watchdog.period();
            let verdict = watchdog.check(see(round));
            if verdict != Verdict::Alive {
                return (time, verdict);
            }
        }
        (time, Verdict::Alive)
    }

    #[test]
    fn silence_is_closed_after_the_idle_limit() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert_eq!(until_closed(&mut watchdog, |_| seen(0)), (IDLE, Verdict::Idle));
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert_eq!(watchdog.check(seen(5)), Verdict::Alive);
        assert_eq!(until_closed(&mut watchdog, |_| seen(5)), (IDLE, Verdict::Idle));
    }

    #[test]
    fn a_connection_that_waits_for_us_is_not_idle() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        let (_, verdict) = until_closed(&mut watchdog, |_| Seen { parked: true, ..seen(0) });
        assert_eq!(verdict, Verdict::Alive);
    }

    #[test]
    fn without_a_limit_nothing_is_idle() {
        assert_eq!(Watchdog::new(None, STALL_TIMEOUT).period(), Duration::MAX);
    }

    fn half_sent(received: u64) -> Seen {
        Seen { half_sent: true, ..seen(received) }
    }

    #[test]
    fn a_half_sent_request_that_stands_still_is_closed_sooner() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        assert!(!watchdog.shorten_period(false, 10));
        assert!(watchdog.shorten_period(true, 10));
        assert!(!watchdog.shorten_period(true, 10));
        assert_eq!(until_closed(&mut watchdog, |_| half_sent(10)), (STALL_TIMEOUT, Verdict::Stalled));
    }

    #[test]
    fn and_sooner_still_when_others_wait() {
        let mut watchdog = Watchdog::new(None, STALL_TIMEOUT);
        watchdog.shorten_period(true, 10);
        let (time, verdict) = until_closed(&mut watchdog, |_| Seen { contended: true, ..half_sent(10) });
        assert_eq!((time, verdict), (STALL_TIMEOUT / 10, Verdict::Stalled));
    }

    #[test]
    fn waiting_for_a_reply_does_not_excuse_a_half_sent_request() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 10);
        let (time, verdict) = until_closed(&mut watchdog, |_| Seen { parked: true, ..half_sent(10) });
        assert_eq!((time, verdict), (STALL_TIMEOUT, Verdict::Stalled));
    }

    #[test]
    fn half_sent_request_with_progress_stays_open_and_a_trickle_is_closed() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 0);
        assert_eq!(until_closed(&mut watchdog, |round| half_sent(round * 2000)).1, Verdict::Alive);
        assert_eq!(until_closed(&mut watchdog, |round| half_sent(2_000_000 + round)).1, Verdict::Stalled);
    }

    #[test]
    fn when_the_request_is_whole_the_alarm_rings_rarely_again() {
        let mut watchdog = Watchdog::new(Some(IDLE), STALL_TIMEOUT);
        watchdog.shorten_period(true, 0);
        watchdog.check(seen(5000));
        assert_eq!(watchdog.period(), IDLE / IDLE_ALARMS);
    }
}
