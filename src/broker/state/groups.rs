//! The group coordinators: a [`CoordinatorRuntime`] over `__consumer_offsets`, and what is known about clients that may
//! join a group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::arriving_clients::ArrivingClients;
use super::partition::Partition;
use super::publisher::Publisher;
use super::runtime::{CoordinatorRuntime, Hosted, LoggedMachine, PendingReply, Unavailable, no_actions};
use super::silent_clients::{self, SilentClients};
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;
use ottla_core::coordinator::ConnectionId;
use ottla_core::coordinator::group::{
    self, CommitTxnOffsets, ConnectionClosed, CoordinatorFound, EXPECTED_FOR, GroupClient, GroupCommand, GroupConfig,
    GroupCounts, GroupMachine, NotJoining, Sent,
};
use ottla_core::coordinator::records::{GroupRecord, RecordError};
use ottla_core::machine::Command;
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_log::TxnVerification;
use ottla_wire::record::Codec;

impl LoggedMachine for GroupMachine {
    const SKIP_CORRUPT_BATCHES: bool = true;
    const CHANGES_ONLY_BY_REPLAY: bool = false;

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
    runtime: Arc<CoordinatorRuntime<GroupMachine>>,
    counts: Arc<GroupCounts>,
    /// Until when, in monotonic milliseconds, a machine may expect members that asked for their coordinator. After
    /// that, requests which concern those alone cost nothing.
    expecting_until: AtomicU64,
    /// Clients that may be about to join a group. A lock of its own: connections that open and close concern no
    /// machine.
    arriving: Mutex<ArrivingClients>,
    silent: Arc<SilentClients>,
    /// The newest connection that is known of.
    newest_connection: AtomicU64,
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
        let config = Arc::new(config);
        let counts: Arc<GroupCounts> = Arc::default();
        let (of_machines, counted) = (Arc::clone(&config), Arc::clone(&counts));
        let hosted = Hosted {
            name: "group",
            topic: CONSUMER_OFFSETS,
            codec,
            new_machine: Box::new(move || {
                GroupMachine::new(Arc::clone(&of_machines)).with_counts(Arc::clone(&counted))
            }),
            act: Box::new(no_actions),
        };
        Groups {
            clock,
            config,
            runtime: Arc::new(CoordinatorRuntime::new(clock, publisher, hosted)),
            counts,
            expecting_until: AtomicU64::new(0),
            arriving: Mutex::default(),
            silent: SilentClients::new(log_rate_limiter),
            newest_connection: AtomicU64::new(0),
        }
    }

    /// The runtime of the machines.
    pub fn runtime(&self) -> &Arc<CoordinatorRuntime<GroupMachine>> {
        &self.runtime
    }

    /// What the machines count.
    pub fn counts(&self) -> &GroupCounts {
        &self.counts
    }

    /// The partition of `__consumer_offsets` that coordinates the group.
    pub fn partition_of(&self, group_id: &str) -> Result<Arc<Partition>, Unavailable> {
        self.runtime.partition(|count| group::partition_for(group_id, count))
    }

    /// Runs a command of one group; see [`CoordinatorRuntime::submit`].
    pub fn submit<C>(&self, group_id: &str, command: C) -> Result<PendingReply<C>, Unavailable>
    where
        C: Command<Machine = GroupMachine>,
    {
        self.silent.group_used(group_id);
        self.runtime.submit(&self.partition_of(group_id)?, command)
    }

    /// Runs a commit of offsets in a transaction; see [`CoordinatorRuntime::submit_verified`].
    pub fn submit_verified(
        &self,
        group_id: &str,
        command: CommitTxnOffsets,
        verification: TxnVerification,
    ) -> Result<PendingReply<CommitTxnOffsets>, Unavailable> {
        self.silent.group_used(group_id);
        self.runtime.submit_verified(&self.partition_of(group_id)?, command, verification)
    }

    /// Queries the group's machine.
    pub fn query<T>(&self, group_id: &str, query: impl FnOnce(&GroupMachine) -> T) -> Result<T, Unavailable> {
        self.silent.group_used(group_id);
        self.runtime.query(&self.partition_of(group_id)?, query)
    }

    /// Whether the group's coordinator is loading. Unlike a query, this is not a use of the group by its clients.
    pub fn is_loading(&self, group_id: &str) -> bool {
        let queried = self.partition_of(group_id).and_then(|partition| self.runtime.query(&partition, |_| ()));
        matches!(queried, Err(Unavailable::Loading))
    }

    /// Waits until the group's machine is loaded, at most `limit`.
    pub async fn wait_until_loaded(&self, group_id: &str, limit: Duration) {
        if let Ok(partition) = self.partition_of(group_id) {
            self.runtime.wait_until_loaded(&partition, limit).await;
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
        self.notify(&client.group_id.clone(), CoordinatorFound(client), connection);
    }

    /// The client of this connection asks something of the group that members do not ask before they join.
    pub fn not_joining(&self, group_id: &str, connection: ConnectionId) {
        if self.may_expect_members() {
            self.notify(group_id, NotJoining(group_id.into()), connection);
        }
    }

    fn may_expect_members(&self) -> bool {
        millis(self.clock.monotonic()) <= self.expecting_until.load(Ordering::Relaxed)
    }

    /// Runs a command whose reply is not needed; a coordinator that is not available
    /// does not need it.
    fn notify<C>(&self, group_id: &str, command: C, connection: ConnectionId)
    where
        C: Command<Machine = GroupMachine> + Into<GroupCommand>,
    {
        if let Ok(partition) = self.partition_of(group_id) {
            let _ = self.runtime.submit(&partition, Sent { command, connection });
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
        self.runtime.submit_to_loaded(|machine| {
            let concerned = cuts_sessions || machine.expects_member_on(connection);
            concerned.then_some(ConnectionClosed { connection, newest })
        });
    }

    /// Whether the group's coordinator has a log to write to.
    pub fn is_available(&self, group_id: &str) -> bool {
        self.partition_of(group_id).is_ok_and(|partition| !partition.is_failed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
