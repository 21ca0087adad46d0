//! What the first generation of a group without members waits for.
//!
//! With `group.initial.rebalance.delay.ms` given, for that time, as in Apache Kafka. Without it, for those who are about
//! to join ([`ExpectedMembers`](crate::coordinator::group::expected::ExpectedMembers)) or to connect, and not at all if
//! nobody is. Once
//! two members have joined, consumers are evidently starting together, and those that have not asked yet have a moment too.
//! The same holds for a group that has lost all its members, or was found without any after a restart.

use std::time::Duration;

use super::{ClassicGroup, Phase};
use crate::coordinator::group::config::GroupConfig;
use crate::coordinator::group::decision::{Decision, Timer};

/// How long a group waits for further members after one has joined. (librdkafka may have closed its first connection
/// without asking for the coordinator, and asks 50 ms later.)
const WAIT_AFTER_JOIN: Duration = Duration::from_millis(100);

/// The longest that a group waits for further members in all.
const MAX_WAIT: Duration = Duration::from_millis(400);

/// What a group waits for that was empty until its first member joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InitialWait {
    /// For a time, which each newcomer extends.
    Delay {
        /// The wait under way.
        delay: Duration,
        /// What may still be added.
        remaining: Duration,
        /// Someone came during the wait under way.
        newcomer: bool,
    },
    /// For members that are expected, or likely.
    Expected {
        /// When the first member joined, on the monotonic clock.
        since: Duration,
        /// When the last one joined.
        last_join: Duration,
        /// Until when clients were about to connect when the first member joined.
        others_until: Option<Duration>,
    },
}

impl InitialWait {
    pub fn newcomer_joined(&mut self, now: Duration) {
        match self {
            InitialWait::Delay { newcomer, .. } => *newcomer = true,
            InitialWait::Expected { last_join, .. } => *last_join = now,
        }
    }

    /// What is added to a wait that is over; none if nothing is.
    pub fn extension(&mut self, config: &GroupConfig) -> Option<Duration> {
        match self {
            InitialWait::Delay { delay, remaining, newcomer } if *newcomer && !remaining.is_zero() => {
                let waited = *delay;
                *newcomer = false;
                *delay = config.initial_rebalance_delay.unwrap_or_default().min(*remaining);
                *remaining = remaining.saturating_sub(waited);
                Some(*delay)
            }
            _ => None,
        }
    }
}

impl ClassicGroup {
    /// Begins the first generation, or waits for more members.
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
        let initial = Some(InitialWait::Delay { delay, remaining, newcomer: false });
        self.enter(decision, Phase::Preparing { initial });
        decision.set_timer(&self.id, Timer::Join, delay);
    }

    /// Whether whoever is about to join would be waited for.
    pub fn awaits_first_generation(&self) -> bool {
        matches!(self.phase, Phase::Empty | Phase::Preparing { initial: Some(InitialWait::Expected { .. }) })
    }

    /// Waits on for further members, or begins the first generation if it has waited long enough or none are expected.
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
