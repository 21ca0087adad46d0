//! Loading of machines on blocking threads.

use std::sync::Arc;
use std::time::Duration;

use super::driver::{DriveError, Driver, LoggedMachine};
use super::slot::State;
use super::{CoordinatorRuntime, Unavailable};
use crate::blocking;
use crate::state::partition::Partition;
use ottla_core::metadata::ImageDelta;

/// The minimum time between a failed load of a machine and the next load.
const RELOAD_DELAY: Duration = Duration::from_secs(1);

impl<M> CoordinatorRuntime<M>
where
    M: LoggedMachine + Send + 'static,
    M::Reply: Send,
    M::Action: Send,
{
    /// Loads the machines of all partitions, so that their timers and unfinished actions continue. Blocks on the disk.
    pub fn load_all(self: &Arc<Self>) {
        let partitions = self.served_partitions();
        let vacant: Vec<_> = partitions
            .into_iter()
            .filter(|partition| {
                let slot = self.slot(partition.id().partition);
                let mut state = slot.state();
                let is_vacant = matches!(*state, State::Vacant);
                if is_vacant {
                    *state = State::Loading(Arc::clone(partition));
                }
                is_vacant
            })
            .collect();
        for partition in vacant {
            self.load(&partition);
        }
    }

    /// Loads the machine of a partition whose log was opened again. The log may lack the last records that the earlier
    /// machine appended, so that machine cannot be used further. Blocks on the disk.
    pub fn reload(self: &Arc<Self>, partition: &Arc<Partition>) {
        *self.slot(partition.id().partition).state() = State::Loading(Arc::clone(partition));
        self.load(partition);
    }

    /// Waits until the load of the partition's machine has ended, at most `limit`. Starts loading if needed.
    pub async fn wait_until_loaded(self: &Arc<Self>, partition: &Arc<Partition>, limit: Duration) {
        let slot = self.slot(partition.id().partition);
        let loaded = async {
            loop {
                let notified = slot.loaded.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                if !matches!(self.query(partition, |_| ()), Err(Unavailable::Loading)) {
                    return;
                }
                notified.await;
            }
        };
        let _ = self.clock.timeout(limit, loaded).await;
    }

    /// Waits until all machines are loaded, at most `limit`.
    pub async fn wait_until_all_loaded(self: &Arc<Self>, limit: Duration) {
        let all = async {
            for partition in self.served_partitions() {
                self.wait_until_loaded(&partition, limit).await;
            }
        };
        let _ = self.clock.timeout(limit, all).await;
    }

    pub(super) fn start_loading(self: &Arc<Self>, state: &mut State<M>, partition: &Arc<Partition>) {
        *state = State::Loading(Arc::clone(partition));
        let (runtime, partition) = (Arc::clone(self), Arc::clone(partition));
        blocking::spawn(move || runtime.load(&partition));
    }

    fn load(self: &Arc<Self>, partition: &Arc<Partition>) {
        let started = self.clock.monotonic();
        match Driver::load((self.hosted.new_machine)(), Arc::clone(partition), self.hosted.codec) {
            Ok(driver) => {
                self.load_times.record(self.clock.monotonic().saturating_sub(started));
                self.activate(partition, driver);
            }
            Err(error) => self.loading_failed(partition, &error),
        }
    }

    fn loading_failed(&self, partition: &Arc<Partition>, error: &DriveError) {
        let slot = self.slot(partition.id().partition);
        let mut state = slot.state();
        if state.is_loading(partition) {
            let until = self.clock.monotonic().saturating_add(RELOAD_DELAY);
            *state = State::Failed { partition: Arc::clone(partition), until };
        }
        drop(state);
        slot.report_failure(self.hosted.name, partition, error);
        slot.loaded.notify_waiters();
    }

    /// Ends a machine's recovery, passes it the current metadata and makes it active.
    pub(super) fn activate(self: &Arc<Self>, partition: &Arc<Partition>, mut driver: Driver<M>) {
        let slot = self.slot(partition.id().partition);
        let mut state = slot.state();
        if self.is_stopped() || partition.is_deleted() || !state.is_loading(partition) {
            return;
        }
        let now = self.clock.now();
        // Later images are passed to the machine as changes, after the lock is released.
        let image = self.publisher.current().image.clone();
        let decided = driver.recovered(now).and_then(|recovered| {
            let changed = driver.metadata_changed(now, &ImageDelta::first(&image))?;
            Ok([recovered, changed])
        });
        let deadline = driver.poll_timeout();
        match decided {
            Ok(decided) => {
                *state = State::Active(driver);
                drop(state);
                slot.report_recovery(self.hosted.name, partition);
                decided.into_iter().for_each(|committed| self.release(partition, committed));
                slot.loaded.notify_waiters();
                self.alarm.wake_by(deadline);
            }
            Err(error) => {
                drop(state);
                self.loading_failed(partition, &error);
            }
        }
    }
}
