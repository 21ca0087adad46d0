//! The runtime of coordinators: one state machine per partition of an internal topic.
//!
//! Commands of one machine run one after the other, in the order of the calls: decide → append → apply, then, where
//! `flush.messages` asks for it after a sync, actions and replies. Loading reads the log on a blocking thread; requests
//! get [`Unavailable::Loading`] meanwhile, and other machines are served. A machine that may be ahead of its log,
//! because an append failed, is dropped here and loaded again; callers do not see that.

mod driver;
mod load_times;
mod loading;
mod pending;
mod slot;
#[cfg(test)]
mod tests;
mod timers;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use thiserror::Error;

pub use driver::{Committed, DriveError, Driver, LoggedMachine};
pub use load_times::{LoadTimes, MachineStates};
pub use pending::PendingReply;
use slot::State;
pub use slot::{Slot, WorkError};
use timers::Alarm;

use super::cluster::NotServed;
use super::partition::Partition;
use super::publisher::Publisher;
use crate::clock::Clock;
use ottla_core::machine::{Command, NoAction, Outcome};
use ottla_core::metadata::{Image, ImageDelta};
use ottla_log::{AppendError, Origin, TxnVerification};
use ottla_wire::record::{Codec, Verified};
use ottla_wire::types::{Offset, PartitionIndex, ProducerIdEpoch};

/// Why a coordinator cannot be used now. Kafka has error codes of the same names, except for `Refused`.
#[derive(Clone, Debug, Error)]
pub enum Unavailable {
    /// The internal topic does not exist yet, or its partition is offline.
    #[error("the coordinator is not available")]
    NotAvailable,
    /// The partition of the internal topic belongs to another broker, or to a log directory that this broker does not
    /// have: its state is not known.
    #[error("this broker is not the coordinator")]
    NotCoordinator,
    #[error("the coordinator is loading")]
    Loading,
    /// The log refused records in a producer's transaction, because of the producer's epoch or state. Nothing changed.
    #[error("{0}")]
    Refused(AppendError),
}

/// What is specific to the machines of one runtime.
pub struct Hosted<M: LoggedMachine> {
    /// What the machine coordinates, for log lines: `group` or `transaction`.
    pub name: &'static str,
    /// The internal topic.
    pub topic: &'static str,
    /// The compression of records.
    pub codec: Codec,
    /// Creates a machine without state.
    pub new_machine: Box<dyn Fn() -> M + Send + Sync>,
    /// Performs an action.
    pub act: Box<dyn Fn(M::Action) + Send + Sync>,
}

/// The `act` of a machine without actions.
pub fn no_actions(action: NoAction) {
    match action {}
}

/// The machines of all partitions of one internal topic that this broker serves.
pub struct CoordinatorRuntime<M: LoggedMachine> {
    clock: Clock,
    publisher: Arc<Publisher>,
    hosted: Hosted<M>,
    /// By partition. A slot is added at first use and never removed.
    slots: RwLock<HashMap<PartitionIndex, Arc<Slot<M>>>>,
    alarm: Alarm,
    load_times: LoadTimes,
    /// Whether the logs are about to be closed. Then no machine may be loaded any more.
    stopped: AtomicBool,
}

impl<M> CoordinatorRuntime<M>
where
    M: LoggedMachine + Send + 'static,
    M::Reply: Send,
    M::Action: Send,
{
    pub fn new(clock: Clock, publisher: Arc<Publisher>, hosted: Hosted<M>) -> Self {
        CoordinatorRuntime {
            clock,
            publisher,
            hosted,
            slots: RwLock::default(),
            alarm: Alarm::default(),
            load_times: LoadTimes::default(),
            stopped: AtomicBool::new(false),
        }
    }

    /// The partition of the internal topic that `choose` selects. It gets the number of partitions, and returns the
    /// index.
    pub fn partition(
        &self,
        choose: impl FnOnce(PartitionIndex) -> PartitionIndex,
    ) -> Result<Arc<Partition>, Unavailable> {
        let cluster = self.publisher.current();
        let topic = cluster.topic(self.hosted.topic).ok_or(Unavailable::NotAvailable)?;
        let index = choose(topic.image.partition_count());
        topic.partition(index).cloned().map_err(|_: NotServed| Unavailable::NotCoordinator)
    }

    /// The internal topic's partitions that this broker serves.
    pub fn served_partitions(&self) -> Vec<Arc<Partition>> {
        let cluster = self.publisher.current();
        cluster.topic(self.hosted.topic).into_iter().flat_map(|topic| topic.served_partitions().cloned()).collect()
    }

    /// Runs a command. It is decided and applied when this returns; the reply may arrive later.
    pub fn submit<C: Command<Machine = M>>(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        command: C,
    ) -> Result<PendingReply<C>, Unavailable> {
        self.submit_verified(partition, command, TxnVerification::NotVerified)
    }

    /// As [`CoordinatorRuntime::submit`]; the command's records may begin a producer's transaction in the log if
    /// `verification` allows it.
    pub fn submit_verified<C: Command<Machine = M>>(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        command: C,
        verification: TxnVerification,
    ) -> Result<PendingReply<C>, Unavailable> {
        let command = command.into();
        let receiver = self.run(partition, |driver| driver.run(self.clock.now(), command, verification))?;
        Ok(PendingReply::new(receiver))
    }

    /// Ends a producer's transaction in the machine's log. Returns the log end offset; the caller may have to sync up
    /// to it.
    pub fn end_transaction(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        marker: &Verified,
        origin: Origin,
        producer: ProducerIdEpoch,
        outcome: Outcome,
    ) -> Result<Offset, Unavailable> {
        self.with_driver(partition, |driver| {
            driver.end_transaction(self.clock.now(), marker, origin, producer, outcome)
        })
    }

    /// Queries a machine.
    pub fn query<T>(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        query: impl FnOnce(&M) -> T,
    ) -> Result<T, Unavailable> {
        self.with_driver(partition, |driver| Ok(query(driver.machine())))
    }

    /// Queries a machine without state, for the result before any record was written.
    pub fn query_empty<T>(&self, query: impl FnOnce(&M) -> T) -> T {
        query(&(self.hosted.new_machine)())
    }

    /// Queries every machine of this broker. A machine that is not loaded is an error.
    pub fn query_all<T>(self: &Arc<Self>, mut query: impl FnMut(&M) -> T) -> Result<Vec<T>, Unavailable> {
        self.served_partitions().iter().map(|partition| self.query(partition, &mut query)).collect()
    }

    /// Runs `command` on each loaded machine for which it returns one.
    pub fn submit_to_loaded<C: Command<Machine = M>>(self: &Arc<Self>, command: impl Fn(&M) -> Option<C>) {
        for slot in self.loaded_slots() {
            let decided = slot.if_active(|driver| Some((Arc::clone(driver.partition()), command(driver.machine())?)));
            if let Some(Some((partition, command))) = decided {
                // The reply is not needed. A partition that is offline has logged its failure.
                let _ = self.submit(&partition, command);
            }
        }
    }

    /// Passes a published change of the metadata to every machine. Drops the machines of deleted partitions, whose
    /// pending requests get [`Unavailable::NotAvailable`].
    pub fn metadata_changed(self: &Arc<Self>, delta: &ImageDelta) {
        let topic_changed = |image: Option<&Image>| image.and_then(|image| image.topic_id(self.hosted.topic));
        if delta.before().is_some() && topic_changed(delta.before()) != topic_changed(Some(delta.after())) {
            self.replace_machines();
        }
        for slot in self.loaded_slots() {
            let Some(partition) = slot.if_active(|driver| Arc::clone(driver.partition())) else { continue };
            let _ = self.run(&partition, |driver| Ok(((), driver.metadata_changed(self.clock.now(), delta)?)));
        }
    }

    /// Replaces all machines after the internal topic was created or deleted. A new topic's logs are empty, so its
    /// machines need no loading.
    fn replace_machines(self: &Arc<Self>) {
        for slot in self.loaded_slots() {
            slot.clear();
        }
        for partition in self.served_partitions() {
            *self.slot(partition.id().partition).state() = State::Loading(Arc::clone(&partition));
            let machine = (self.hosted.new_machine)();
            let driver = Driver::empty(machine, Arc::clone(&partition), self.hosted.codec);
            self.activate(&partition, driver);
        }
    }

    /// Runs `decide`, then performs the actions of its decision and sends the replies.
    fn run<T>(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        decide: impl FnOnce(&mut Driver<M>) -> Result<(T, Committed<M>), DriveError>,
    ) -> Result<T, Unavailable> {
        let (result, committed, deadline) = self.with_driver(partition, |driver| {
            let (result, committed) = decide(driver)?;
            Ok((result, committed, driver.poll_timeout()))
        })?;
        self.release(partition, committed);
        self.alarm.wake_by(deadline);
        Ok(result)
    }

    fn with_driver<T>(
        self: &Arc<Self>,
        partition: &Arc<Partition>,
        work: impl FnOnce(&mut Driver<M>) -> Result<T, DriveError>,
    ) -> Result<T, Unavailable> {
        let slot = self.slot(partition.id().partition);
        let mut state = slot.state();
        if self.is_stopped() || partition.is_deleted() {
            return Err(Unavailable::NotAvailable);
        }
        if partition.is_failed() {
            // The machine is loaded again when the log is open again.
            *state = State::Vacant;
            return Err(Unavailable::NotAvailable);
        }
        if state.partition().is_some_and(|loaded| !Arc::ptr_eq(loaded, partition)) {
            // The topic was deleted and created again.
            *state = State::Vacant;
        }
        match state.work(work) {
            Ok(result) => return Ok(result),
            Err(WorkError::Refused(error)) => return Err(Unavailable::Refused(error)),
            Err(WorkError::Failed(error)) => {
                slot.report_failure(self.hosted.name, partition, &error);
                return Err(Unavailable::NotAvailable);
            }
            Err(WorkError::NotActive) => {}
        }
        match &*state {
            State::Failed { until, .. } if self.clock.monotonic() < *until => Err(Unavailable::NotAvailable),
            State::Loading(_) => Err(Unavailable::Loading),
            _ => {
                self.start_loading(&mut state, partition);
                Err(Unavailable::Loading)
            }
        }
    }

    /// Performs the actions and sends the replies, after a sync where `flush.messages` asks for one.
    fn release(self: &Arc<Self>, partition: &Arc<Partition>, committed: Committed<M>) {
        let end = committed.applied_to;
        if !partition.must_sync_before_ack(end) {
            return self.finish(committed);
        }
        let (runtime, partition) = (Arc::clone(self), Arc::clone(partition));
        tokio::spawn(async move {
            // A failed sync has closed the partition. The callers get an error, because the senders of the replies are
            // dropped.
            if partition.sync_to(end).await.is_ok() {
                runtime.finish(committed);
            }
        });
    }

    /// Performs the actions, then sends the replies: when a client gets its reply, the actions that succeed at once are
    /// done.
    fn finish(&self, mut committed: Committed<M>) {
        for action in std::mem::take(&mut committed.actions) {
            (self.hosted.act)(action);
        }
        committed.reply();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    fn slot(&self, index: PartitionIndex) -> Arc<Slot<M>> {
        if let Some(slot) = self.slots.read().get(&index) {
            return Arc::clone(slot);
        }
        Arc::clone(self.slots.write().entry(index).or_default())
    }

    fn loaded_slots(&self) -> Vec<Arc<Slot<M>>> {
        self.slots.read().values().cloned().collect()
    }

    /// Drops the machines before their logs are closed. No timer runs after this.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        for slot in self.loaded_slots() {
            slot.clear();
        }
    }
}
