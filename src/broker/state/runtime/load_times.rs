//! How long machines took to load, and how many are in which state.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::slot::State;
use super::{CoordinatorRuntime, LoggedMachine};

/// The times of all loads since the start.
#[derive(Debug, Default)]
pub struct LoadTimes {
    count: AtomicU64,
    total_us: AtomicU64,
    longest_us: AtomicU64,
}

impl LoadTimes {
    pub(super) fn record(&self, time: Duration) {
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.total_us.fetch_add(us, Ordering::Relaxed);
        self.longest_us.fetch_max(us, Ordering::Relaxed);
    }

    /// The mean in milliseconds; 0 before the first load.
    pub fn mean_ms(&self) -> f64 {
        match self.count.load(Ordering::Relaxed) {
            0 => 0.0,
            count => self.total_us.load(Ordering::Relaxed) as f64 / count as f64 / 1e3,
        }
    }

    /// The longest in milliseconds; 0 before the first load.
    pub fn longest_ms(&self) -> f64 {
        self.longest_us.load(Ordering::Relaxed) as f64 / 1e3
    }
}

/// The number of machines in each state. Those of partitions that were not used yet are in none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineStates {
    pub loading: usize,
    pub active: usize,
    pub failed: usize,
}

impl<M> CoordinatorRuntime<M>
where
    M: LoggedMachine + Send + 'static,
    M::Reply: Send,
    M::Action: Send,
{
    /// The times of loads.
    pub fn load_times(&self) -> &LoadTimes {
        &self.load_times
    }

    /// Counts the machines by state. Locks them one after the other.
    pub fn machine_states(&self) -> MachineStates {
        let mut states = MachineStates::default();
        for slot in self.loaded_slots() {
            match &*slot.state() {
                State::Vacant => {}
                State::Loading(_) => states.loading += 1,
                State::Active(_) => states.active += 1,
                State::Failed { .. } => states.failed += 1,
            }
        }
        states
    }
}
