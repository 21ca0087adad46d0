//! The group coordinators in service: one machine per partition of `__consumer_offsets`.
//!
//! Commands of one group run one after the other, in the order of the calls; a reply leaves when
//! its records are applied (and synced, where `flush.messages` asks for that).

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use thiserror::Error;
use tokio::sync::{Notify, oneshot};

use super::arriving_clients::ArrivingClients;
use super::cluster::Cluster;
use super::driver::{Committed, DriveError, Driver, RecordSerde};
use super::partition::{Partition, PartitionError};
use super::publisher::Publisher;
use super::silent_clients::{self, SilentClients};
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use ottla_core::coordinator::ConnectionId;
use ottla_core::coordinator::group::{
    self, EXPECTED_FOR, GroupClient, GroupCommand, GroupConfig, GroupMachine, GroupReply, GroupRequest,
};
use ottla_core::coordinator::records::{GroupRecord, RecordError};
use ottla_core::machine::Machine;
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_wire::record::Codec;
use ottla_wire::types::{PartitionIndex, TopicName};

/// Why a group's coordinator cannot be used now. Kafka has error codes of the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GroupsUnavailable {
    /// `__consumer_offsets` doesn't exist yet, or its partition is offline.
    #[error("the group coordinator is not available")]
    CoordinatorNotAvailable,
    /// The partition of `__consumer_offsets` is another broker's, or lies in a log directory that isn't here: what its
    /// groups have committed is not known.
    #[error("this broker is not the group's coordinator")]
    NotCoordinator,
}

/// A reply that is still to come.
pub type PendingReply = oneshot::Receiver<GroupReply>;

type GroupDriver = Driver<GroupMachine, GroupRecordSerde>;

/// Encodes group records as `__consumer_offsets` holds them.
pub struct GroupRecordSerde;

impl RecordSerde<GroupRecord> for GroupRecordSerde {
    const SKIP_CORRUPT_BATCHES: bool = true;

    fn encode(record: &GroupRecord) -> Result<(Option<Bytes>, Option<Bytes>), String> {
        let (key, value) = record.encode().map_err(|error| error.to_string())?;
        Ok((Some(key), value))
    }

    fn decode(key: Option<Bytes>, value: Option<Bytes>) -> Result<Option<GroupRecord>, String> {
        let key = key.ok_or("it has no key")?;
        match GroupRecord::decode(&key, value.as_ref()) {
            Ok(record) => Ok(Some(record)),
            // Another broker wrote it, of groups that speak a protocol we don't serve: there may be many.
            Err(error @ RecordError::UnknownType(_)) => {
                tracing::debug!(%error, "skipped a record of another group protocol");
                Ok(None)
            }
            // No record of a coordinator at all. One such record must not cost all groups beside it.
            Err(error @ RecordError::Malformed(_)) => {
                tracing::warn!(%error, "skipped a malformed record of the group coordinator");
                Ok(None)
            }
        }
    }
}

/// The group coordinators of all partitions of `__consumer_offsets`.
pub struct Groups {
    clock: Clock,
    config: Arc<GroupConfig>,
    /// `offsets.topic.compression.codec`.
    codec: Codec,
    publisher: Arc<Publisher>,
    shards: RwLock<HashMap<PartitionIndex, Arc<Shard>>>,
    /// Wakes the timer task: a machine has an earlier deadline than the one it sleeps until.
    timer: Notify,
    /// What the timer task sleeps until; none while it is awake, or has nothing to wait for.
    sleeping_until: Mutex<Option<Duration>>,
    /// Until when, in monotonic milliseconds, a machine may expect members that asked for their coordinator. After
    /// that, requests which concern those alone cost nothing.
    expecting_until: AtomicU64,
    /// Clients that may be about to join a group. A lock of its own: connections that open and close concern no machine.
    arriving: Mutex<ArrivingClients>,
    silent: Arc<SilentClients>,
    /// The newest connection that is known of.
    newest_connection: AtomicU64,
    /// The logs are about to be closed: no machine may be loaded any more.
    stopped: AtomicBool,
}

/// One coordinator. Loaded under its lock at first use, so that a request never meets a half-loaded one.
#[derive(Default)]
struct Shard {
    driver: Mutex<Option<GroupDriver>>,
    /// The failure that was logged last; `None` while the coordinator works.
    last_reported_failure: Mutex<Option<String>>,
}

impl Groups {
    /// `codec` is what records are compressed with.
    pub fn new(
        clock: Clock,
        config: GroupConfig,
        codec: Codec,
        publisher: Arc<Publisher>,
        log_rate_limiter: Arc<LogRateLimiter>,
    ) -> Groups {
        Groups {
            clock,
            config: Arc::new(config),
            codec,
            publisher,
            shards: RwLock::default(),
            timer: Notify::new(),
            sleeping_until: Mutex::default(),
            expecting_until: AtomicU64::new(0),
            arriving: Mutex::default(),
            silent: SilentClients::new(log_rate_limiter),
            newest_connection: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
        }
    }

    /// Which partition of `__consumer_offsets` coordinates the group.
    pub fn partition_of(&self, group_id: &str) -> Result<Arc<Partition>, GroupsUnavailable> {
        let cluster = self.publisher.current();
        let topic = cluster.topic(CONSUMER_OFFSETS).ok_or(GroupsUnavailable::CoordinatorNotAvailable)?;
        let index = group::partition_for(group_id, topic.image.partition_count());
        topic.partition(index).cloned().map_err(|_| GroupsUnavailable::NotCoordinator)
    }

    /// Runs a command of one group. Decided and applied before this returns; the reply may take longer.
    pub fn submit(&self, group_id: &str, request: impl Into<GroupRequest>) -> Result<PendingReply, GroupsUnavailable> {
        self.silent.group_used(group_id);
        let partition = self.partition_of(group_id)?;
        self.submit_to(&partition, request.into())
    }

    fn submit_to(&self, partition: &Arc<Partition>, request: GroupRequest) -> Result<PendingReply, GroupsUnavailable> {
        let (receiver, committed, deadline) = self.with_driver(partition, |driver| {
            let (receiver, committed) = driver.run(self.clock.now(), request)?;
            Ok((receiver, committed, driver.poll_timeout()))
        })?;
        release(partition, committed);
        self.wake_timer_by(deadline);
        Ok(receiver)
    }

    /// Asks the group's machine something that changes nothing.
    pub fn query<T>(&self, group_id: &str, ask: impl FnOnce(&GroupMachine) -> T) -> Result<T, GroupsUnavailable> {
        self.silent.group_used(group_id);
        let partition = self.partition_of(group_id)?;
        self.with_driver(&partition, |driver| Ok(ask(driver.machine())))
    }

    /// Asks a machine that has nothing: what there is before anything was written.
    pub fn query_empty<T>(&self, ask: impl FnOnce(&GroupMachine) -> T) -> T {
        ask(&GroupMachine::new(Arc::clone(&self.config)))
    }

    /// Queries every machine of this broker. A machine that cannot be loaded is an error.
    pub fn query_all<T>(&self, mut ask: impl FnMut(&GroupMachine) -> T) -> Result<Vec<T>, GroupsUnavailable> {
        let cluster = self.publisher.current();
        let Some(topic) = cluster.topic(CONSUMER_OFFSETS) else { return Ok(Vec::new()) };
        topic
            .served_partitions()
            .map(|partition| self.with_driver(partition, |driver| Ok(ask(driver.machine()))))
            .collect()
    }

    /// Deletes the offsets committed for deleted topics.
    pub fn topics_deleted(&self, topics: &[TopicName]) {
        let cluster = self.publisher.current();
        if topics.iter().any(|topic| **topic == *CONSUMER_OFFSETS) {
            self.forget_deleted(&cluster);
        }
        for partition in cluster.topic(CONSUMER_OFFSETS).into_iter().flat_map(|topic| topic.served_partitions()) {
            // The reply is not needed; a partition that is offline has logged that.
            let _ = self.submit_to(partition, GroupCommand::TopicsDeleted(topics.to_vec()).into());
        }
    }

    /// A connection was opened; they are numbered in the order in which they are.
    pub fn connection_opened(&self, client_id: &str, connection: ConnectionId) {
        self.newest_connection.fetch_max(connection, Ordering::Relaxed);
        self.arriving(|now, clients| clients.connected(now, client_id, connection));
    }

    /// Notes something about arriving clients; `note` gets the monotonic time.
    pub fn arriving(&self, note: impl FnOnce(Duration, &mut ArrivingClients)) {
        if self.config.initial_rebalance_delay.is_none() {
            note(self.clock.monotonic(), &mut self.arriving.lock());
        }
    }

    /// Until when, on the monotonic clock, further clients with this id may come to a new group; none if none may.
    pub fn others_expected_until(&self, client_id: &str) -> Option<Duration> {
        self.arriving.lock().expected_until(self.clock.monotonic(), client_id)
    }

    /// Clients that may wait in silence.
    pub fn silent(&self) -> &SilentClients {
        &self.silent
    }

    /// A client asked for the group's coordinator, and may wait in silence from now on.
    pub fn coordinator_asked(&self, client: silent_clients::Client) {
        self.silent.asked(self.clock, client);
    }

    /// A client asked for the group's coordinator: it may be about to join.
    pub fn coordinator_found(&self, client: GroupClient, connection: ConnectionId) {
        if self.config.initial_rebalance_delay.is_some() {
            // No group waits for anybody in particular.
            return;
        }
        let until = millis(self.clock.monotonic().saturating_add(EXPECTED_FOR));
        self.expecting_until.fetch_max(until, Ordering::Relaxed);
        self.notify(&client.group_id.clone(), GroupCommand::CoordinatorFound(client), connection);
    }

    /// The client of this connection asks something of the group that members do not ask before they join.
    pub fn not_joining(&self, group_id: &str, connection: ConnectionId) {
        if self.may_expect_members() {
            self.notify(group_id, GroupCommand::NotJoining(group_id.into()), connection);
        }
    }

    fn may_expect_members(&self) -> bool {
        millis(self.clock.monotonic()) <= self.expecting_until.load(Ordering::Relaxed)
    }

    /// Runs a command whose reply is not needed; a coordinator that is not available
    /// does not need it.
    fn notify(&self, group_id: &str, command: GroupCommand, connection: ConnectionId) {
        if let Ok(partition) = self.partition_of(group_id) {
            let _ = self.submit_to(&partition, GroupRequest { command, connection: Some(connection) });
        }
    }

    /// The connection was closed: members that last used it may have ended
    /// (`ottla.group.disconnected.member.timeout.ms`), and clients that asked for a coordinator by it may reconnect.
    pub fn connection_closed(&self, connection: ConnectionId) {
        let newest = self.newest_connection.load(Ordering::Relaxed).max(connection);
        self.arriving(|now, clients| clients.closed(now, connection, newest));
        let cuts_sessions = self.config.disconnected_member_timeout.is_some();
        if !cuts_sessions && !self.may_expect_members() {
            return;
        }
        let closed = GroupCommand::ConnectionClosed { connection, newest };
        let shards: Vec<Arc<Shard>> = self.shards.read().values().cloned().collect();
        for shard in shards {
            // A machine that is not loaded has no connections.
            let concerned = |driver: &&GroupDriver| cuts_sessions || driver.machine().expects_member_on(connection);
            let partition = shard.driver.lock().as_ref().filter(concerned).map(|driver| Arc::clone(driver.partition()));
            if let Some(partition) = partition {
                // The reply is not needed; a partition that is offline has logged that.
                let _ = self.submit_to(&partition, closed.clone().into());
            }
        }
    }

    /// Drops the machines of deleted partitions. Pending requests get COORDINATOR_NOT_AVAILABLE, and the next one of a
    /// member UNKNOWN_MEMBER_ID.
    fn forget_deleted(&self, cluster: &Cluster) {
        for (index, shard) in self.shards.read().iter() {
            let in_service = cluster.partition(CONSUMER_OFFSETS, *index).ok();
            let is_deleted = |driver: &GroupDriver| in_service.is_none_or(|it| !Arc::ptr_eq(it, driver.partition()));
            shard.driver.lock().take_if(|driver| is_deleted(driver));
        }
    }

    /// Loads every machine, so that the first request of a group finds it ready and its members'
    /// sessions run from now on. Drops offsets of topics whose deletion a crash cut short.
    pub fn load_all(&self) {
        // A partition that cannot be loaded has logged that; requests of its groups are refused.
        let Ok(loaded) = self.query_all(|machine| (machine.poll_timeout(), machine.topics_with_offsets())) else {
            return;
        };
        self.wake_timer_by(loaded.iter().filter_map(|(deadline, _)| *deadline).min());
        let cluster = self.publisher.current();
        let mut deleted: Vec<TopicName> = loaded.into_iter().flat_map(|(_, topics)| topics).collect();
        deleted.retain(|topic| cluster.topic(topic).is_none());
        deleted.sort_unstable();
        deleted.dedup();
        if !deleted.is_empty() {
            self.topics_deleted(&deleted);
        }
    }

    /// Loads the machine of a partition whose log was opened again: what it was about to write when the log failed may
    /// be there or not. Members' sessions run from now on.
    pub fn reload(&self, partition: &Arc<Partition>) {
        let shard = self.shard(partition.id().partition);
        *shard.driver.lock() = None;
        // If that fails, the partition logs it.
        if let Ok(deadline) = self.with_driver(partition, |driver| Ok(driver.poll_timeout())) {
            self.wake_timer_by(deadline);
        }
    }

    /// Whether the group's coordinator has a log to write to.
    pub fn is_available(&self, group_id: &str) -> bool {
        self.partition_of(group_id).is_ok_and(|partition| !partition.is_failed())
    }

    fn with_driver<T>(
        &self,
        partition: &Arc<Partition>,
        work: impl FnOnce(&mut GroupDriver) -> Result<T, DriveError>,
    ) -> Result<T, GroupsUnavailable> {
        let shard = self.shard(partition.id().partition);
        let mut slot = shard.driver.lock();
        if self.stopped.load(Ordering::Relaxed) {
            return Err(GroupsUnavailable::CoordinatorNotAvailable);
        }
        if partition.is_failed() {
            // Loaded again when its log is open again.
            *slot = None;
            return Err(GroupsUnavailable::CoordinatorNotAvailable);
        }
        if let Some(driver) = &*slot
            && !Arc::ptr_eq(driver.partition(), partition)
        {
            // `__consumer_offsets` was deleted and made again.
            if partition.leader_epoch() < driver.partition().leader_epoch() {
                // The caller found its partition before that.
                return Err(GroupsUnavailable::CoordinatorNotAvailable);
            }
            *slot = None;
        }
        let outcome = match &mut *slot {
            Some(driver) => work(driver),
            empty => {
                let machine = GroupMachine::new(Arc::clone(&self.config));
                match Driver::load(machine, Arc::clone(partition), self.clock.now()) {
                    Ok(driver) => {
                        let outcome = work(empty.insert(driver.compress_with(self.codec)));
                        outcome.inspect(|_| shard.report_recovery(partition))
                    }
                    Err(error) => Err(error),
                }
            }
        };
        outcome.map_err(|error| {
            // Memory may be ahead of the log now: the next request loads it again.
            *slot = None;
            shard.report_failure(partition, &error);
            GroupsUnavailable::CoordinatorNotAvailable
        })
    }

    fn shard(&self, index: PartitionIndex) -> Arc<Shard> {
        if let Some(shard) = self.shards.read().get(&index) {
            return Arc::clone(shard);
        }
        Arc::clone(self.shards.write().entry(index).or_default())
    }

    /// Has the timer task wake by `deadline`.
    fn wake_timer_by(&self, deadline: Option<Duration>) {
        let Some(deadline) = deadline else { return };
        let sleeps_longer = self.sleeping_until.lock().is_none_or(|until| deadline < until);
        if sleeps_longer {
            self.timer.notify_one();
        }
    }

    /// Drops the machines before their logs are closed. No timer runs after this.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
        for shard in self.shards.read().values() {
            *shard.driver.lock() = None;
        }
    }

    /// Runs the timers of all machines when they are due; never returns.
    pub async fn run_timers(&self) {
        loop {
            // While the task is awake, every new deadline stores a permit in `timer`.
            *self.sleeping_until.lock() = None;
            let next = self.run_due_timers();
            *self.sleeping_until.lock() = next;
            match next {
                Some(at) => {
                    let sleep = tokio::time::sleep_until(self.clock.instant_at(at));
                    tokio::select! { () = sleep => {}, () = self.timer.notified() => {} }
                }
                None => self.timer.notified().await,
            }
        }
    }

    /// Runs due timers and returns when the next one is due.
    fn run_due_timers(&self) -> Option<Duration> {
        let loaded: Vec<Arc<Shard>> = self.shards.read().values().cloned().collect();
        let mut next: Option<Duration> = None;
        for shard in loaded {
            let mut slot = shard.driver.lock();
            let Some(driver) = &mut *slot else { continue };
            let now = self.clock.now();
            if driver.poll_timeout().is_some_and(|at| at <= now.monotonic) {
                let partition = Arc::clone(driver.partition());
                match driver.run_timeouts(now) {
                    Ok(committed) => release(&partition, committed),
                    Err(error) => {
                        shard.report_failure(&partition, &error);
                        // As above.
                        *slot = None;
                        continue;
                    }
                }
            }
            next = [next, slot.as_ref().and_then(|driver| driver.poll_timeout())].into_iter().flatten().min();
        }
        next
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Shard {
    /// Logs why the coordinator cannot be used, unless that was logged last.
    fn report_failure(&self, partition: &Partition, error: &DriveError) {
        let partition = partition.id();
        match error {
            // Its topic went away between the look at it and its use: no fault of anything.
            DriveError::Partition(PartitionError::Deleted) => {
                tracing::debug!(%partition, "the group coordinator was deleted");
            }
            // The partition has logged it.
            DriveError::Partition(PartitionError::Storage(error)) => {
                tracing::debug!(%partition, %error, "the group coordinator failed");
            }
            error => {
                let text = error.to_string();
                let mut last = self.last_reported_failure.lock();
                if last.as_ref() != Some(&text) {
                    tracing::error!(%partition, %error, "the group coordinator failed");
                    *last = Some(text);
                }
            }
        }
    }

    fn report_recovery(&self, partition: &Partition) {
        if self.last_reported_failure.lock().take().is_some() {
            tracing::info!(partition = %partition.id(), "the group coordinator is available again");
        }
    }
}

/// Sends the replies, after a sync where `flush.messages` asks for one.
fn release(partition: &Arc<Partition>, committed: Committed<GroupReply>) {
    match committed.appended_to {
        Some(end) if partition.must_sync_before_ack(end) => {
            let partition = Arc::clone(partition);
            tokio::spawn(async move {
                // A failed sync has latched the partition; the callers learn of it by their closed channels.
                if partition.sync_to(end).await.is_ok() {
                    committed.release();
                }
            });
        }
        _ => committed.release(),
    }
}
