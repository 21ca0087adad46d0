//! The client of the group coordinator: joins, heartbeats, offsets. [`Membership`] decides what the responses mean.
//!
//! It has a connection of its own, because responses arrive in the order of the requests and a fetch may wait. A task
//! sends heartbeats, so that an application that is busy between polls stays a member.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::ConsumerError;
use super::assignors::Assignor;
use super::config::GroupConfig;
use super::member_state::{self, Membership};
use super::positions::Progress;
use crate::group::{COMMIT_BY_NAME, FETCH_ONE_GROUP, join_request};
use crate::{
    Client, ClientError, ClientOptions, Joined, Member, Result as ClientResult, Subscription, check_error_code,
};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::join_group::JoinGroupResponse;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_wire::types::{ErrorCode, InOrder as _, LeaderEpoch, Offset, TopicName, TopicPartition};

/// How long a JoinGroup response may take beyond the rebalance timeout.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// A join and the sync after it, in flight; resolves to the assignment.
pub type Joining = Pin<Box<dyn Future<Output = Result<BTreeSet<TopicPartition>, ConsumerError>> + Send>>;

/// The error that ended the heartbeats.
pub type HeartbeatError = ClientError;

pub struct CoordinatorClient {
    client: Client,
    config: GroupConfig,
    request_timeout: Duration,
    /// Whether FindCoordinator succeeded on this connection. The response is always this broker.
    found: bool,
    /// Shared with the join in flight, so that a member whose join was dropped half-way can still leave.
    pub membership: Arc<Mutex<Membership>>,
    heartbeat_task: Option<JoinHandle<HeartbeatError>>,
    /// Notified when the response to a heartbeat is REBALANCE_IN_PROGRESS.
    rebalance: Arc<Notify>,
    last_poll: LastPoll,
}

/// When the last poll ended; `None` during a poll.
type LastPoll = Arc<Mutex<Option<Instant>>>;

/// Marks a poll as running until it is dropped.
pub struct PollGuard(LastPoll);

impl Drop for PollGuard {
    fn drop(&mut self) {
        *self.0.lock() = Some(Instant::now());
    }
}

impl CoordinatorClient {
    /// Opens a connection of its own to the broker of `client`. Does not join yet.
    pub async fn connect(
        client: &Client,
        config: GroupConfig,
        request_timeout: Duration,
    ) -> ClientResult<CoordinatorClient> {
        let client = client.new_connection_with(options(client, &config, request_timeout)).await?;
        let membership = Arc::new(Mutex::new(Membership::new(&config.assignors)));
        let last_poll = Arc::new(Mutex::new(Some(Instant::now())));
        let rebalance = Arc::default();
        Ok(CoordinatorClient {
            client,
            config,
            request_timeout,
            found: false,
            membership,
            heartbeat_task: None,
            rebalance,
            last_poll,
        })
    }

    /// Starts a poll, which ends when the guard is dropped.
    pub fn start_poll(&self) -> PollGuard {
        *self.last_poll.lock() = None;
        PollGuard(self.last_poll.clone())
    }

    /// Reconnects if the connection ended, and finds the coordinator if it is not known.
    pub async fn ensure_ready(&mut self) -> ClientResult<()> {
        if self.client.is_disconnected() {
            self.client = self.client.new_connection().await?;
            self.found = false;
        }
        if !self.found {
            self.client.find_coordinator(&self.config.id).await?;
            self.found = true;
        }
        Ok(())
    }

    /// Makes the next call find the coordinator again.
    pub fn forget_coordinator(&mut self) {
        self.found = false;
    }

    /// Starts a join with these topics. Stops the heartbeats: the coordinator keeps joining members alive without them.
    pub fn join(&mut self, topics: &BTreeSet<TopicName>) -> Result<Joining, ConsumerError> {
        self.stop_heartbeats();
        let subscription = Subscription {
            group: self.config.id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: self.membership.lock().protocols(topics)?,
            session_timeout: self.config.session_timeout,
            rebalance_timeout: self.config.max_poll_interval,
            instance_id: self.config.instance_id.clone(),
        };
        Ok(Box::pin(join_and_sync(self.client.clone(), subscription, self.membership.clone())))
    }

    /// Whether this is a member without a heartbeat task.
    pub fn needs_heartbeats(&self) -> bool {
        self.heartbeat_task.is_none() && self.membership.lock().is_in_group()
    }

    /// Starts the heartbeat task for the member's current generation.
    pub fn start_heartbeats(&mut self) {
        self.stop_heartbeats();
        let task = HeartbeatTask {
            client: self.client.clone(),
            member: self.member(),
            interval: self.config.heartbeat_interval,
            session_timeout: self.config.session_timeout,
            max_poll_interval: self.config.max_poll_interval,
            membership: self.membership.clone(),
            rebalance: self.rebalance.clone(),
            last_poll: self.last_poll.clone(),
        };
        self.heartbeat_task = Some(tokio::spawn(task.run()));
    }

    pub fn stop_heartbeats(&mut self) {
        if let Some(task) = self.heartbeat_task.take() {
            task.abort();
        }
    }

    /// Waits for the next event of the heartbeat task, forever if there is no task: `None` if a rebalance is in
    /// progress, or the error that ended the heartbeats. Cancel-safe.
    pub async fn heartbeat_event(&mut self) -> Option<HeartbeatError> {
        let Some(task) = &mut self.heartbeat_task else { return std::future::pending().await };
        let end = tokio::select! {
           end = task => end,
            () = self.rebalance.notified() => return None,
        };
        self.heartbeat_task = None;
        Some(end.unwrap_or_else(|error| ClientError::Disconnected(error.to_string())))
    }

    /// Whether the heartbeat task ended and its error was not handled yet.
    pub fn have_heartbeats_ended(&self) -> bool {
        self.heartbeat_task.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Commits offsets as a member, or without a member id if this is not a member.
    pub async fn commit(&mut self, progress: &[Progress]) -> ClientResult<()> {
        self.ensure_ready().await?;
        let key = ApiKey::OffsetCommit;
        let version = self.client.version_up_to(key, COMMIT_BY_NAME)?;
        let member = self.member();
        let in_group = member.generation != member_state::NO_GENERATION;
        let request = OffsetCommitRequest {
            group_id: Str::from(member.group.as_str()),
            generation_id_or_member_epoch: member.generation,
            member_id: if in_group { Str::from(member.id.as_str()) } else { Str::default() },
            group_instance_id: member.instance_id.as_deref().filter(|_| in_group).map(Str::from),
            topics: commit_topics(progress),
            ..Default::default()
        };
        let response = self.with_request_timeout(key, self.client.call_at(request, version)).await?;
        let mut partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.try_for_each(|partition| check_error_code(key, partition.error_code, None))
    }

    /// Fetches the committed offsets of these partitions. Partitions without one are left out.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> ClientResult<BTreeMap<TopicPartition, (Offset, LeaderEpoch)>> {
        self.ensure_ready().await?;
        let key = ApiKey::OffsetFetch;
        let version = self.client.version_up_to(key, FETCH_ONE_GROUP)?;
        let topics = by_topic(partitions, |partition| partition).into_iter();
        let topics = topics.map(|(topic, partitions)| OffsetFetchRequestTopic {
            name: Str::from(topic),
            partition_indexes: partitions.iter().map(|partition| partition.partition).collect(),
        });
        let request = OffsetFetchRequest {
            group_id: Str::from(self.config.id.as_str()),
            topics: Some(topics.collect()),
            require_stable: true,
            ..Default::default()
        };
        let response = self.with_request_timeout(key, self.client.call_at(request, version)).await?;
        check_error_code(key, response.error_code, None)?;
        let mut found = BTreeMap::new();
        for topic in &response.topics {
            for partition in &topic.partitions {
                check_error_code(key, partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let key = TopicPartition::new(&*topic.name, partition.partition_index);
                    found.insert(key, (partition.committed_offset, partition.committed_leader_epoch));
                }
            }
        }
        Ok(found)
    }

    /// Leaves the group, if this is a dynamic member. Static members stay in the group until their session expires
    /// (KIP-345).
    pub async fn leave(&mut self) -> ClientResult<()> {
        self.stop_heartbeats();
        let member = self.member();
        if member.id.is_empty() || member.instance_id.is_some() {
            return Ok(());
        }
        self.with_request_timeout(ApiKey::LeaveGroup, self.client.leave_group(&member)).await
    }

    fn member(&self) -> Member {
        let membership = self.membership.lock();
        Member {
            group: self.config.id.clone(),
            id: membership.member_id.clone(),
            instance_id: self.config.instance_id.clone(),
            generation: membership.generation,
        }
    }

    /// Applies the request timeout: the connection's own timeout is long enough for a join.
    async fn with_request_timeout<T>(
        &self,
        key: ApiKey,
        response: impl Future<Output = ClientResult<T>>,
    ) -> ClientResult<T> {
        let after = self.request_timeout;
        timeout(after, response).await.unwrap_or(Err(ClientError::Timeout { key, after }))
    }
}

impl Drop for CoordinatorClient {
    fn drop(&mut self) {
        self.stop_heartbeats();
    }
}

/// The client's options with a timeout that is long enough for a join.
fn options(client: &Client, config: &GroupConfig, request_timeout: Duration) -> ClientOptions {
    let timeout = request_timeout.max(config.max_poll_interval.saturating_add(JOIN_GRACE));
    ClientOptions { timeout, ..client.options().clone() }
}

async fn join_and_sync(
    client: Client,
    subscription: Subscription,
    membership: Arc<Mutex<Membership>>,
) -> Result<BTreeSet<TopicPartition>, ConsumerError> {
    let response = join(&client, &subscription, &membership).await?;
    let joined = Joined {
        member: Member {
            group: subscription.group,
            id: response.member_id.to_string(),
            instance_id: subscription.instance_id,
            generation: response.generation_id,
        },
        leader: response.leader.to_string(),
        protocol_type: subscription.protocol_type,
        protocol: response.protocol_name.as_ref().map(Str::to_string),
        members: Vec::new(),
    };
    let must_assign = response.leader == response.member_id && !response.skip_assignment;
    let assignments = if must_assign { assign_as_leader(&client, &response).await? } else { Vec::new() };
    let assignment = client.sync_group(&joined, &assignments).await?;
    member_state::decode_assignment(&assignment)
}

/// Joins; repeats the join with the assigned member id if the coordinator requires that (KIP-394).
async fn join(
    client: &Client,
    subscription: &Subscription,
    membership: &Mutex<Membership>,
) -> ClientResult<JoinGroupResponse> {
    loop {
        let member_id = membership.lock().member_id.clone();
        let response = client.call(join_request(subscription, &member_id)).await?;
        if response.error_code == ErrorCode::MemberIdRequired.code() && member_id.is_empty() {
            membership.lock().member_id = response.member_id.to_string();
            continue;
        }
        check_error_code(ApiKey::JoinGroup, response.error_code, None)?;
        membership.lock().joined(&response.member_id, response.generation_id);
        return Ok(response);
    }
}

/// Assigns the partitions of all topics that any member subscribes to.
async fn assign_as_leader(
    client: &Client,
    response: &JoinGroupResponse,
) -> Result<Vec<(String, Bytes)>, ConsumerError> {
    let name = response.protocol_name.as_deref().unwrap_or_default();
    let assignor = Assignor::from_name(name).ok_or_else(|| ConsumerError::UnknownAssignor(name.to_owned()))?;
    let decode = |member: &ottla_wire::protocol::messages::join_group::JoinGroupResponseMember| {
        member_state::decode_subscription(&member.member_id, member.group_instance_id.as_deref(), &member.metadata)
    };
    let members = response.members.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let topics: BTreeSet<&str> = members.iter().flat_map(|member| &member.topics).map(|topic| &**topic).in_order();
    let topics: Vec<&str> = topics.into_iter().collect();
    let cluster = client.metadata(Some(&topics)).await?;
    let counts = cluster.topics.into_iter().filter(|topic| topic.error_code == 0).filter_map(|topic| {
        Some((TopicName::from(topic.name?), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
    });
    member_state::encode_assignments(&assignor.assign(&members, &counts.in_order()))
}

struct HeartbeatTask {
    client: Client,
    member: Member,
    interval: Duration,
    session_timeout: Duration,
    max_poll_interval: Duration,
    membership: Arc<Mutex<Membership>>,
    rebalance: Arc<Notify>,
    last_poll: LastPoll,
}

impl HeartbeatTask {
    async fn run(self) -> HeartbeatError {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let idle = self.last_poll.lock().map_or(Duration::ZERO, |last| last.elapsed());
            if idle > self.max_poll_interval {
                return self.leave_after_poll_timeout().await;
            }
            let timed_out = ClientError::Timeout { key: ApiKey::Heartbeat, after: self.session_timeout };
            let response = timeout(self.session_timeout, self.client.heartbeat(&self.member)).await;
            match response.unwrap_or(Err(timed_out)) {
                Ok(()) => {}
                // Heartbeats go on until the next poll rejoins, or max.poll.interval.ms passes.
                Err(error) if error.code() == Some(ErrorCode::RebalanceInProgress) => {
                    self.membership.lock().rejoin();
                    self.rebalance.notify_one();
                }
                Err(error) => return error,
            }
        }
    }

    /// Leaves the group because the application stopped polling. The next poll has to join again.
    async fn leave_after_poll_timeout(&self) -> HeartbeatError {
        if self.member.instance_id.is_none()
            && let Err(error) = self.client.leave_group(&self.member).await
        {
            return error;
        }
        let code = ErrorCode::UnknownMemberId.code();
        let message = Some(format!("no poll for {:?} (max.poll.interval.ms)", self.max_poll_interval));
        ClientError::Refused { key: ApiKey::Heartbeat, code, message }
    }
}

fn commit_topics(progress: &[Progress]) -> Vec<OffsetCommitRequestTopic> {
    let partition = |progress: &&Progress| OffsetCommitRequestPartition {
        partition_index: progress.partition.partition,
        committed_offset: progress.offset,
        committed_leader_epoch: progress.epoch,
        committed_metadata: Some(Str::default()),
        ..Default::default()
    };
    let topics = by_topic(progress, |progress| &progress.partition).into_iter();
    let topics = topics.map(|(topic, progress)| OffsetCommitRequestTopic {
        name: Str::from(topic),
        partitions: progress.iter().map(partition).collect(),
        ..Default::default()
    });
    topics.collect()
}

/// Groups items by topic; topics are in the order of their first item.
pub(super) fn by_topic<T>(items: &[T], partition: impl Fn(&T) -> &TopicPartition) -> Vec<(&str, Vec<&T>)> {
    let mut indexes: HashMap<&str, usize> = HashMap::new();
    let mut topics: Vec<(&str, Vec<&T>)> = Vec::new();
    for item in items {
        let topic: &str = &partition(item).topic;
        let index = *indexes.entry(topic).or_insert(topics.len());
        match topics.get_mut(index) {
            Some((_, items)) => items.push(item),
            None => topics.push((topic, vec![item])),
        }
    }
    topics
}
