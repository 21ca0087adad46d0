//! The state of one partition's machine.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::driver::{DriveError, Driver, LoggedMachine};
use crate::state::partition::{Partition, PartitionError};
use ottla_core::machine::StateMachine;
use ottla_log::AppendError;

/// A machine, or the reason that there is none.
pub(super) enum State<M: StateMachine> {
    /// Not used yet, or dropped: the next request starts loading.
    Vacant,
    /// A blocking thread reads the log.
    Loading(Arc<Partition>),
    Active(Driver<M>),
    /// Loading failed; it is not tried again before `until`, on the monotonic clock.
    Failed {
        partition: Arc<Partition>,
        until: Duration,
    },
}

/// One partition's machine. Its lock makes decide → append → apply serial.
pub struct Slot<M: StateMachine> {
    state: Mutex<State<M>>,
    /// Notified when loading ends.
    pub(super) loaded: Notify,
    /// The failure that was logged last; `None` while the coordinator is available. It has its own lock, because it is
    /// also used after `state` is released.
    last_reported_failure: Mutex<Option<String>>,
}

impl<M: StateMachine> Default for Slot<M> {
    fn default() -> Self {
        Slot { state: Mutex::new(State::Vacant), loaded: Notify::new(), last_reported_failure: Mutex::default() }
    }
}

impl<M: StateMachine> State<M> {
    /// Whether the machine is being loaded from this partition.
    pub fn is_loading(&self, from: &Arc<Partition>) -> bool {
        matches!(self, State::Loading(partition) if Arc::ptr_eq(partition, from))
    }

    /// The partition that the machine is, or is to be, loaded from.
    pub fn partition(&self) -> Option<&Arc<Partition>> {
        match self {
            State::Vacant => None,
            State::Loading(partition) | State::Failed { partition, .. } => Some(partition),
            State::Active(driver) => Some(driver.partition()),
        }
    }
}

/// Why an operation on a machine failed.
pub enum WorkError {
    /// There is no machine now.
    NotActive,
    /// The log refused records in a producer's transaction, because of the producer's epoch or state. The machine is
    /// kept.
    Refused(AppendError),
    /// The decision was not appended. If the machine may be ahead of its log, it was dropped.
    Failed(DriveError),
}

impl<M: LoggedMachine> State<M> {
    /// Runs an operation on the machine. If the operation fails, the machine is dropped; see [`WorkError`] for
    /// exceptions.
    pub fn work<T>(&mut self, work: impl FnOnce(&mut Driver<M>) -> Result<T, DriveError>) -> Result<T, WorkError> {
        let State::Active(driver) = self else { return Err(WorkError::NotActive) };
        let error = match work(driver) {
            Ok(result) => return Ok(result),
            Err(DriveError::Partition(PartitionError::Append(refused))) if refused.is_producer_error() => {
                return Err(WorkError::Refused(refused));
            }
            Err(error) => error,
        };
        if !M::CHANGES_ONLY_BY_REPLAY || driver.partition().is_failed() {
            *self = State::Vacant;
        }
        Err(WorkError::Failed(error))
    }
}

impl<M: LoggedMachine> Slot<M> {
    /// Runs an operation on the machine; see `State::work`.
    pub fn work<T>(&self, work: impl FnOnce(&mut Driver<M>) -> Result<T, DriveError>) -> Result<T, WorkError> {
        self.state.lock().work(work)
    }
}

impl<M: StateMachine> Slot<M> {
    /// Makes a loaded machine active.
    pub fn put(&self, driver: Driver<M>) {
        *self.state.lock() = State::Active(driver);
    }

    /// Whether there is a machine.
    pub fn is_active(&self) -> bool {
        matches!(*self.state.lock(), State::Active(_))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock()
    }

    /// Drops the machine. Pending requests get no reply.
    pub fn clear(&self) {
        *self.state.lock() = State::Vacant;
        self.loaded.notify_waiters();
    }

    /// Queries the machine if it is active.
    pub(super) fn if_active<T>(&self, read: impl FnOnce(&Driver<M>) -> T) -> Option<T> {
        match &*self.state.lock() {
            State::Active(driver) => Some(read(driver)),
            _ => None,
        }
    }

    /// Logs why the coordinator cannot be used, unless the last logged failure was the same.
    pub(super) fn report_failure(&self, name: &str, partition: &Partition, error: &DriveError) {
        let partition = partition.id();
        match error {
            // Its topic was deleted meanwhile: not a fault.
            DriveError::Partition(PartitionError::Deleted) => {
                tracing::debug!(%partition, coordinator = name, "coordinator was deleted");
            }
            // The partition has logged it.
            DriveError::Partition(PartitionError::Storage(error)) => {
                tracing::debug!(%partition, coordinator = name, %error, "coordinator failed");
            }
            error => {
                let text = error.to_string();
                let mut last = self.last_reported_failure.lock();
                if last.as_ref() != Some(&text) {
                    tracing::error!(%partition, coordinator = name, %error, "coordinator failed");
                    *last = Some(text);
                }
            }
        }
    }

    pub(super) fn report_recovery(&self, name: &str, partition: &Partition) {
        if self.last_reported_failure.lock().take().is_some() {
            tracing::info!(partition = %partition.id(), coordinator = name, "coordinator is available again");
        }
    }
}
