//! The wait before the first generation of a group without members.
//!
//! If `group.initial.rebalance.delay.ms` is set, the group waits for that time, as in Apache Kafka. Otherwise it waits
//! for clients that are expected to join ([`ExpectedMembers`](crate::coordinator::group::expected::ExpectedMembers)) or
//! to connect, and does not wait if there are none. Once two members have joined, several consumers are starting
//! together, so the group also waits a short time for clients that have not requested the coordinator yet.
//!
//! The same applies to a group that has lost all its members, and to a group without members after a restart.

use std::time::Duration;

use super::{ClassicGroup, Phase};
use crate::coordinator::group::config::GroupConfig;
use crate::coordinator::group::decision::{Decision, Timer};

/// How long a group waits for further members after each join. (librdkafka may close its first connection before it
/// requests the coordinator, and requests it 50 ms later.)
const WAIT_AFTER_JOIN: Duration = Duration::from_millis(100);

/// The maximum time that a group waits for further members in total.
const MAX_WAIT: Duration = Duration::from_millis(400);

/// The initial wait of a group that was empty until its first member joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitialWait {
    /// A fixed delay, which each new member extends.
    Delay {
        /// The current delay.
        delay: Duration,
        /// The time by which the wait can still be extended.
        remaining: Duration,
        /// Whether a new member joined during the current delay.
        extend: bool,
    },
    /// A wait for expected members.
    Expected {
        /// When the first member joined, in monotonic time.
        since: Duration,
        /// When the last member joined.
        last_join: Duration,
        /// Until when further clients were expected to connect, according to the first JoinGroup.
        others_until: Option<Duration>,
    },
}

impl InitialWait {
    pub fn member_joined(&mut self, now: Duration) {
        match self {
            InitialWait::Delay { extend, .. } => *extend = true,
            InitialWait::Expected { last_join, .. } => *last_join = now,
        }
    }

    /// The next delay, if the wait is extended after the current delay.
    pub fn extension(&mut self, config: &GroupConfig) -> Option<Duration> {
        match self {
            InitialWait::Delay { delay, remaining, extend } if *extend && !remaining.is_zero() => {
                let waited = *delay;
                *extend = false;
                *delay = config.initial_rebalance_delay.unwrap_or_default().min(*remaining);
                *remaining = remaining.saturating_sub(waited);
                Some(*delay)
            }
            _ => None,
        }
    }
}

impl ClassicGroup {
    /// Begins the first generation, or the wait for more members.
    pub(super) fn begin_initial_wait(&mut self, decision: &mut Decision) {
        let Some(delay) = decision.config.initial_rebalance_delay else {
            let now = decision.now.monotonic;
            let initial = Some(InitialWait::Expected {
                since: now,
                last_join: now,
                others_until: decision.others_expected_until,
            });
            self.enter(decision, Phase::Preparing { initial });
            self.recheck_expected_members(decision);
            return;
        };
        if delay.is_zero() {
            self.enter(decision, Phase::Preparing { initial: None });
            self.complete_join(decision);
            return;
        }
        let remaining = self.rebalance_timeout().saturating_sub(delay);
        let initial = Some(InitialWait::Delay { delay, remaining, extend: false });
        self.enter(decision, Phase::Preparing { initial });
        decision.set_timer(&self.id, Timer::Join, delay);
    }

    /// Whether the group waits, or would wait, for clients that are expected to join.
    pub fn awaits_first_generation(&self) -> bool {
        matches!(self.phase, Phase::Empty | Phase::Preparing { initial: Some(InitialWait::Expected { .. }) })
    }

    /// Continues to wait for further members, or begins the first generation if the time is over or none are expected.
    pub fn recheck_expected_members(&mut self, decision: &mut Decision) {
        let Phase::Preparing { initial: Some(InitialWait::Expected { since, last_join, others_until }) } = self.phase
        else {
            return;
        };
        let now = decision.now.monotonic;
        let limit = last_join.saturating_add(WAIT_AFTER_JOIN).min(since.saturating_add(MAX_WAIT));
        let until = match self.members.len() {
            0 | 1 => {
                decision.expected.expected_until(now, &self.id).max(others_until).map_or(now, |until| until.min(limit))
            }
            _ => limit,
        };
        match until > now {
            true => decision.set_timer_at(&self.id, Timer::Join, until),
            false => self.complete_join(decision),
        }
    }
}
