//! A consumer's side of its group's coordinator: joining, heartbeats, offsets. What any of it means, [`Membership`] says.
//!
//! It has a connection of its own, since answers come in the order of the requests and a fetch may wait; and heartbeats
//! are sent by a task, so that a reader that is busy stays a member.

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
use crate::{Client, ClientError, ClientOptions, Joined, Member, Result as ClientResult, Subscription, refuse};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::join_group::JoinGroupResponse;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use ottla_wire::types::{ErrorCode, InOrder as _, LeaderEpoch, Offset, TopicName, TopicPartition};

/// How much longer than others wait for a member the answer to its join may take.
const JOIN_GRACE: Duration = Duration::from_secs(5);

/// A join and the sync after it, on their way.
pub type Joining = Pin<Box<dyn Future<Output = Result<BTreeSet<TopicPartition>, ConsumerError>> + Send>>;

/// Why heartbeats ended.
pub type HeartbeatEnd = ClientError;

pub struct Coordination {
    client: Client,
    config: GroupConfig,
    request_timeout: Duration,
    /// Whether the coordinator was asked for; that it is this broker goes without saying.
    found: bool,
    /// Shared with the join on its way: a member that was taken in can leave, even if it never heard the rest.
    pub membership: Arc<Mutex<Membership>>,
    heart: Option<JoinHandle<HeartbeatEnd>>,
    /// A heartbeat was told that a rebalance is on.
    rebalance: Arc<Notify>,
    last_poll: LastPoll,
}

/// When the reader was last in a poll; `None` while it is.
type LastPoll = Arc<Mutex<Option<Instant>>>;

/// The reader is in a poll, as long as this lives: a poll that is dropped has ended.
pub struct Polling(LastPoll);

impl Drop for Polling {
    fn drop(&mut self) {
        *self.0.lock() = Some(Instant::now());
    }
}

impl Coordination {
    /// A member-to-be, with a connection of its own to the broker of `client`.
    pub async fn connect(
        client: &Client,
        config: GroupConfig,
        request_timeout: Duration,
    ) -> ClientResult<Coordination> {
        let client = client.again_with(options(client, &config, request_timeout)).await?;
        let membership = Arc::new(Mutex::new(Membership::new(&config.assignors)));
        let last_poll = Arc::new(Mutex::new(Some(Instant::now())));
        let rebalance = Arc::default();
        Ok(Coordination {
            client,
            config,
            request_timeout,
            found: false,
            membership,
            heart: None,
            rebalance,
            last_poll,
        })
    }

    /// The reader starts to poll.
    pub fn polling(&self) -> Polling {
        *self.last_poll.lock() = None;
        Polling(self.last_poll.clone())
    }

    /// Connects anew if need be, and sees to it that the coordinator is ready for the group.
    pub async fn ready(&mut self) -> ClientResult<()> {
        if self.client.end().is_some() {
            self.client = self.client.again().await?;
            self.found = false;
        }
        if !self.found {
            self.client.find_coordinator(&self.config.id).await?;
            self.found = true;
        }
        Ok(())
    }

    /// Another broker may coordinate now, or this one may have to get ready.
    pub fn forget(&mut self) {
        self.found = false;
    }

    /// Starts to join with these topics. Heartbeats rest until then: the coordinator knows that a member that joins is
    /// alive.
    pub fn join(&mut self, topics: &BTreeSet<TopicName>) -> Result<Joining, ConsumerError> {
        self.stop_heart();
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

    /// Whether heartbeats should be sent and are not.
    pub fn lacks_heart(&self) -> bool {
        self.heart.is_none() && self.membership.lock().is_in_group()
    }

    /// Starts to send heartbeats, on behalf of the generation that the member is in.
    pub fn start_heart(&mut self) {
        self.stop_heart();
        let beat = Beat {
            client: self.client.clone(),
            member: self.member(),
            interval: self.config.heartbeat_interval,
            session_timeout: self.config.session_timeout,
            max_poll_interval: self.config.max_poll_interval,
            membership: self.membership.clone(),
            rebalance: self.rebalance.clone(),
            last_poll: self.last_poll.clone(),
        };
        self.heart = Some(tokio::spawn(beat.run()));
    }

    pub fn stop_heart(&mut self) {
        if let Some(heart) = self.heart.take() {
            heart.abort();
        }
    }

    /// Waits until heartbeats bring news, for ever if there are none: nothing, if there is a rebalance to take part in, or
    /// why they ended. May be dropped at any time.
    pub async fn heart_news(&mut self) -> Option<HeartbeatEnd> {
        let Some(heart) = &mut self.heart else { return std::future::pending().await };
        let end = tokio::select! {
            end = heart => end,
            () = self.rebalance.notified() => return None,
        };
        self.heart = None;
        Some(end.unwrap_or_else(|error| ClientError::Disconnected(error.to_string())))
    }

    /// Whether they ended and nobody heard of it yet.
    pub fn has_stopped_heart(&self) -> bool {
        self.heart.as_ref().is_some_and(JoinHandle::is_finished)
    }

    /// Commits, as a member; without one's group, as one who commits from outside.
    pub async fn commit(&mut self, progress: &[Progress]) -> ClientResult<()> {
        self.ready().await?;
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
        let answer = self.in_time(key, self.client.call_at(request, version)).await?;
        let mut partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.try_for_each(|partition| refuse(key, partition.error_code, None))
    }

    /// What is committed for these partitions, where anything is.
    pub async fn committed(
        &mut self,
        partitions: &[TopicPartition],
    ) -> ClientResult<BTreeMap<TopicPartition, (Offset, LeaderEpoch)>> {
        self.ready().await?;
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
        let answer = self.in_time(key, self.client.call_at(request, version)).await?;
        refuse(key, answer.error_code, None)?;
        let mut found = BTreeMap::new();
        for topic in &answer.topics {
            for partition in &topic.partitions {
                refuse(key, partition.error_code, None)?;
                if partition.committed_offset >= 0 {
                    let place = TopicPartition::new(&*topic.name, partition.partition_index);
                    found.insert(place, (partition.committed_offset, partition.committed_leader_epoch));
                }
            }
        }
        Ok(found)
    }

    /// Leaves, if there is anything to leave. Static members stay: they are expected back (KIP-345).
    pub async fn leave(&mut self) -> ClientResult<()> {
        self.stop_heart();
        let member = self.member();
        if member.id.is_empty() || member.instance_id.is_some() {
            return Ok(());
        }
        self.in_time(ApiKey::LeaveGroup, self.client.leave_group(&member)).await
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

    /// The connection's own patience is that of a join.
    async fn in_time<T>(&self, key: ApiKey, answer: impl Future<Output = ClientResult<T>>) -> ClientResult<T> {
        let after = self.request_timeout;
        timeout(after, answer).await.unwrap_or(Err(ClientError::Timeout { key, after }))
    }
}

impl Drop for Coordination {
    fn drop(&mut self) {
        self.stop_heart();
    }
}

/// Those of the client, with patience for a join.
fn options(client: &Client, config: &GroupConfig, request_timeout: Duration) -> ClientOptions {
    let patience = request_timeout.max(config.max_poll_interval.saturating_add(JOIN_GRACE));
    ClientOptions { timeout: patience, ..client.options().clone() }
}

async fn join_and_sync(
    client: Client,
    subscription: Subscription,
    membership: Arc<Mutex<Membership>>,
) -> Result<BTreeSet<TopicPartition>, ConsumerError> {
    let answer = join(&client, &subscription, &membership).await?;
    let joined = Joined {
        member: Member {
            group: subscription.group,
            id: answer.member_id.to_string(),
            instance_id: subscription.instance_id,
            generation: answer.generation_id,
        },
        leader: answer.leader.to_string(),
        protocol_type: subscription.protocol_type,
        protocol: answer.protocol_name.as_ref().map(Str::to_string),
        members: Vec::new(),
    };
    let leads = answer.leader == answer.member_id && !answer.skip_assignment;
    let assignments = if leads { lead(&client, &answer).await? } else { Vec::new() };
    let told = client.sync_group(&joined, &assignments).await?;
    member_state::assignment(&told)
}

/// Joins; once more if the coordinator wants a new member to say the id it was given (KIP-394).
async fn join(
    client: &Client,
    subscription: &Subscription,
    membership: &Mutex<Membership>,
) -> ClientResult<JoinGroupResponse> {
    loop {
        let member_id = membership.lock().member_id.clone();
        let answer = client.call(join_request(subscription, &member_id)).await?;
        if answer.error_code == ErrorCode::MemberIdRequired.code() && member_id.is_empty() {
            membership.lock().member_id = answer.member_id.to_string();
            continue;
        }
        refuse(ApiKey::JoinGroup, answer.error_code, None)?;
        membership.lock().joined(&answer.member_id, answer.generation_id);
        return Ok(answer);
    }
}

/// The leader's work: shares the partitions of all topics that any member reads.
async fn lead(client: &Client, answer: &JoinGroupResponse) -> Result<Vec<(String, Bytes)>, ConsumerError> {
    let chosen = answer.protocol_name.as_deref().unwrap_or_default();
    let assignor = Assignor::from_name(chosen).ok_or_else(|| ConsumerError::UnknownAssignor(chosen.to_owned()))?;
    let candidate = |member: &ottla_wire::protocol::messages::join_group::JoinGroupResponseMember| {
        member_state::candidate(&member.member_id, member.group_instance_id.as_deref(), &member.metadata)
    };
    let candidates = answer.members.iter().map(candidate).collect::<Result<Vec<_>, _>>()?;
    let topics: BTreeSet<&str> =
        candidates.iter().flat_map(|candidate| &candidate.topics).map(|topic| &**topic).in_order();
    let topics: Vec<&str> = topics.into_iter().collect();
    let cluster = client.metadata(Some(&topics)).await?;
    let counts = cluster.topics.into_iter().filter(|topic| topic.error_code == 0).filter_map(|topic| {
        Some((TopicName::from(topic.name?), i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)))
    });
    member_state::assignments(&assignor.assign(&candidates, &counts.in_order()))
}

struct Beat {
    client: Client,
    member: Member,
    interval: Duration,
    session_timeout: Duration,
    max_poll_interval: Duration,
    membership: Arc<Mutex<Membership>>,
    rebalance: Arc<Notify>,
    last_poll: LastPoll,
}

impl Beat {
    async fn run(self) -> HeartbeatEnd {
        let mut ticks = interval_at(Instant::now() + self.interval, self.interval.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let idle = self.last_poll.lock().map_or(Duration::ZERO, |last| last.elapsed());
            if idle > self.max_poll_interval {
                return self.leave_idle().await;
            }
            let late = ClientError::Timeout { key: ApiKey::Heartbeat, after: self.session_timeout };
            let beat = timeout(self.session_timeout, self.client.heartbeat(&self.member)).await;
            match beat.unwrap_or(Err(late)) {
                Ok(()) => {}
                // It goes on until whoever polls takes part, or has not polled for too long.
                Err(told) if told.code() == Some(ErrorCode::RebalanceInProgress) => {
                    self.membership.lock().rejoin();
                    self.rebalance.notify_one();
                }
                Err(end) => return end,
            }
        }
    }

    /// Nobody polls: the partitions are better off with others. Whoever polls again finds that it has to join anew.
    async fn leave_idle(&self) -> HeartbeatEnd {
        if self.member.instance_id.is_none()
            && let Err(error) = self.client.leave_group(&self.member).await
        {
            return error;
        }
        let code = ErrorCode::UnknownMemberId.code();
        let message = Some(format!("nothing was polled for {:?}", self.max_poll_interval));
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

/// What belongs to each topic, topics in the order in which they come first.
pub(super) fn by_topic<T>(items: &[T], partition: impl Fn(&T) -> &TopicPartition) -> Vec<(&str, Vec<&T>)> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut topics: Vec<(&str, Vec<&T>)> = Vec::new();
    for item in items {
        let topic: &str = &partition(item).topic;
        let place = *places.entry(topic).or_insert(topics.len());
        match topics.get_mut(place) {
            Some((_, items)) => items.push(item),
            None => topics.push((topic, vec![item])),
        }
    }
    topics
}
