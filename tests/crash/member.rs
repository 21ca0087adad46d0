//! A member of a consumer group that commits as it reads, and resumes after each crash.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla::client::{Client, ClientError, Member, Subscription};
use ottla::types::{ErrorCode, Offset, PartitionIndex};

use super::random::Random;
use super::{PARTITIONS, TOPIC, World, end_offset, expect_crash};

pub const GROUP: &str = "billing";
const FETCH_BYTES: i32 = 256 << 10;
const FETCH_WAIT: Duration = Duration::from_millis(20);

pub struct GroupMember {
    world: Arc<World>,
    random: Random,
    membership: Membership,
    partitions: Vec<Progress>,
    rebalances: usize,
}

/// What the member knows of its standing.
enum Membership {
    /// It joined and got its assignment: a crash changes nothing about that.
    Stable(Member),
    /// It was on its way in when the broker died; as whom it was known before, if at all.
    Unsettled(Option<Member>),
}

#[derive(Clone, Copy, Default)]
struct Progress {
    /// Next to read.
    position: Offset,
    /// The last commit that was sent; it may or may not be stored.
    attempted: Offset,
    /// The last commit that was acknowledged, or seen.
    committed: Offset,
}

/// What a member did, all in all.
pub struct Summary {
    pub rebalances: usize,
    /// The last committed offset, by partition.
    pub committed: Vec<Offset>,
}

impl GroupMember {
    pub fn new(world: Arc<World>, random: Random) -> GroupMember {
        let partitions = vec![Progress::default(); PARTITIONS as usize];
        GroupMember { world, random, membership: Membership::Unsettled(None), partitions, rebalances: 0 }
    }

    /// Reads and commits through all crashes until the world stops, then to the end.
    pub async fn run(mut self) -> Summary {
        loop {
            let client = self.world.connect().await;
            match self.consume(&client).await {
                Ok(()) => {
                    let committed = self.partitions.iter().map(|progress| progress.committed).collect();
                    return Summary { rebalances: self.rebalances, committed };
                }
                Err(error) => expect_crash(error),
            }
        }
    }

    /// Reads and commits until the connection is lost, or all is read.
    async fn consume(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut member = self.resume(client).await?;
        self.check_committed(client).await?;
        loop {
            let stopping = self.world.stopping();
            for partition in 0..PARTITIONS {
                self.read(client, partition).await?;
            }
            self.commit(client, &member).await?;
            client.heartbeat(&member).await?;
            if stopping && self.at_end(client).await? {
                return Ok(());
            }
            if self.random.one_in(20) {
                member = self.rejoin(client).await?;
            }
        }
    }

    /// A member of a stable group goes on where it was. One that wasn't settled, and now and then one
    /// that was, joins again and reads from what is committed.
    async fn resume(&mut self, client: &Client) -> Result<Member, ClientError> {
        match &self.membership {
            Membership::Stable(member) if !self.random.one_in(4) => {
                let member = member.clone();
                client.heartbeat(&member).await?;
                Ok(member)
            }
            _ => {
                let member = self.rejoin(client).await?;
                for (partition, committed) in self.fetch_committed(client).await?.into_iter().enumerate() {
                    self.partitions[partition].position = committed;
                }
                Ok(member)
            }
        }
    }

    async fn rejoin(&mut self, client: &Client) -> Result<Member, ClientError> {
        let (before, settled) = match &self.membership {
            Membership::Stable(member) => (Some(member.clone()), true),
            Membership::Unsettled(before) => (before.clone(), false),
        };
        self.membership = Membership::Unsettled(before.clone());
        let id = before.as_ref().map_or("", |member| &member.id);
        let joined = match client.join_group(&subscription(), id).await {
            // Its first assignment was never stored, so it is new again.
            Err(error) if error.code() == Some(ErrorCode::UnknownMemberId) && !settled => {
                client.join_group(&subscription(), "").await?
            }
            joined => joined?,
        };
        if let Some(before) = before {
            assert_eq!(joined.member.id, before.id, "the member is known");
            assert!(joined.member.generation > before.generation, "{joined:?} follows {before:?}");
        }
        let assignment = Bytes::from(format!("all of {TOPIC}, generation {}", joined.member.generation));
        let assigned = client.sync_group(&joined, &[(joined.member.id.clone(), assignment.clone())]).await?;
        assert_eq!(assigned, assignment);
        self.membership = Membership::Stable(joined.member.clone());
        self.rebalances += 1;
        Ok(joined.member)
    }

    /// What is committed was sent, and is not before what was acknowledged.
    async fn check_committed(&mut self, client: &Client) -> Result<(), ClientError> {
        let stored = self.fetch_committed(client).await?;
        for (partition, (progress, stored)) in self.partitions.iter_mut().zip(stored).enumerate() {
            let Progress { attempted, committed, .. } = *progress;
            assert!(
                (committed..=attempted).contains(&stored),
                "partition {partition}: {stored} is stored, {committed} was acknowledged, {attempted} sent"
            );
            progress.committed = stored;
        }
        Ok(())
    }

    async fn fetch_committed(&self, client: &Client) -> Result<Vec<Offset>, ClientError> {
        let partitions: Vec<PartitionIndex> = (0..PARTITIONS).collect();
        let stored = client.committed_offsets(GROUP, TOPIC, &partitions).await?;
        // Nothing committed is told as -1; reading begins at 0 then.
        Ok(stored.iter().map(|committed| committed.offset.max(0)).collect())
    }

    async fn read(&mut self, client: &Client, partition: PartitionIndex) -> Result<(), ClientError> {
        let progress = &mut self.partitions[partition as usize];
        let fetched = client.fetch(TOPIC, partition, progress.position, FETCH_BYTES, FETCH_WAIT).await?;
        progress.position = self.world.ledger.lock().read(partition, progress.position, &fetched.records);
        Ok(())
    }

    /// A consumer that reads again from an older commit doesn't commit backwards here.
    async fn commit(&mut self, client: &Client, member: &Member) -> Result<(), ClientError> {
        let ahead = |(_, progress): &(PartitionIndex, &Progress)| progress.position > progress.committed;
        let offsets: Vec<_> =
            (0..).zip(&self.partitions).filter(ahead).map(|(p, progress)| (p, progress.position)).collect();
        for &(partition, offset) in &offsets {
            let attempted = &mut self.partitions[partition as usize].attempted;
            *attempted = offset.max(*attempted);
        }
        client.commit_offsets(GROUP, Some(member), TOPIC, &offsets).await?;
        for (partition, offset) in offsets {
            self.partitions[partition as usize].committed = offset;
        }
        Ok(())
    }

    async fn at_end(&self, client: &Client) -> Result<bool, ClientError> {
        for (partition, progress) in (0..).zip(&self.partitions) {
            if progress.committed < end_offset(client, partition).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn subscription() -> Subscription {
    Subscription {
        group: GROUP.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), interest_in(TOPIC))],
        session_timeout: Duration::from_secs(45),
        rebalance_timeout: Duration::from_secs(60),
        instance_id: None,
    }
}

/// A consumer's subscription to one topic: version 0, the topics, no user data.
fn interest_in(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(topic.len() as i16);
    bytes.put_slice(topic.as_bytes());
    bytes.put_i32(-1);
    bytes.freeze()
}
