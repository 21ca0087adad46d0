//! A group member that commits while it reads, and resumes after each crash.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use ottla::client::{Client, ClientError, Member, Subscription};
use ottla_wire::types::{Offset, PartitionIndex};

use super::random::Random;
use super::{PARTITIONS, Shared, TOPIC, end_offset, expect_crash};

pub const GROUP: &str = "billing";
const FETCH_BYTES: i32 = 256 << 10;
const FETCH_WAIT: Duration = Duration::from_millis(20);

pub struct GroupMember {
    shared: Arc<Shared>,
    random: Random,
    /// The member as of its last assignment.
    member: Member,
    /// Whether it has not sent a JoinGroup since then; if so, it is still a member after a crash.
    is_assigned: bool,
    partitions: Vec<Progress>,
    rebalances: usize,
}

#[derive(Clone, Copy, Default)]
struct Progress {
    /// The next offset to read.
    position: Offset,
    /// The last offset that was sent in a commit; it may or may not be stored.
    attempted: Offset,
    /// The last committed offset that was acknowledged or fetched.
    committed: Offset,
}

/// The result of a member's run.
pub struct Summary {
    pub rebalances: usize,
    /// The last committed offset, by partition.
    pub committed: Vec<Offset>,
}

impl GroupMember {
    /// Joins as a new member; the broker must not be killed meanwhile.
    pub async fn new(shared: Arc<Shared>, random: Random) -> GroupMember {
        let member = join(&shared.connect().await, "").await.unwrap();
        let partitions = vec![Progress::default(); PARTITIONS as usize];
        GroupMember { shared, random, member, is_assigned: true, partitions, rebalances: 0 }
    }

    /// Reads and commits across all crashes until the test stops, then reads to the end.
    pub async fn run(mut self) -> Summary {
        loop {
            let client = self.shared.connect().await;
            match self.consume(&client).await {
                Ok(()) => {
                    let committed = self.partitions.iter().map(|progress| progress.committed).collect();
                    return Summary { rebalances: self.rebalances, committed };
                }
                Err(error) => expect_crash(error),
            }
        }
    }

    /// Reads and commits until the connection is lost or everything is read.
    async fn consume(&mut self, client: &Client) -> Result<(), ClientError> {
        self.resume(client).await?;
        self.check_committed(client).await?;
        loop {
            let stopping = self.shared.stopping();
            for partition in 0..PARTITIONS {
                self.read(client, partition).await?;
            }
            self.commit(client).await?;
            client.heartbeat(&self.member).await?;
            if stopping && self.at_end(client).await? {
                return Ok(());
            }
            if self.random.one_in(20) {
                self.rejoin(client).await?;
            }
        }
    }

    /// Continues as a member of a stable group. A member without an assignment, and sometimes one with, joins again and
    /// reads from the committed offsets or from offset 0.
    async fn resume(&mut self, client: &Client) -> Result<(), ClientError> {
        if self.is_assigned && !self.random.one_in(4) {
            return client.heartbeat(&self.member).await;
        }
        self.rejoin(client).await?;
        let committed = self.fetch_committed(client).await?;
        let from_the_start = self.random.one_in(8);
        for (progress, committed) in self.partitions.iter_mut().zip(committed) {
            progress.position = if from_the_start { 0 } else { committed };
        }
        Ok(())
    }

    async fn rejoin(&mut self, client: &Client) -> Result<(), ClientError> {
        self.is_assigned = false;
        let member = join(client, &self.member.id).await?;
        assert_eq!(member.id, self.member.id, "the member is known");
        assert!(member.generation > self.member.generation, "{member:?} follows {:?}", self.member);
        (self.member, self.is_assigned) = (member, true);
        self.rebalances += 1;
        Ok(())
    }

    /// Checks that the committed offset was sent and is not below the last acknowledged one.
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
        // Without a committed offset (-1) reading starts at 0.
        Ok(stored.iter().map(|committed| committed.offset.max(0)).collect())
    }

    async fn read(&mut self, client: &Client, partition: PartitionIndex) -> Result<(), ClientError> {
        let progress = &mut self.partitions[partition as usize];
        let fetched = client.fetch(TOPIC, partition, progress.position, FETCH_BYTES, FETCH_WAIT).await?;
        progress.position = self.shared.ledger.lock().read(partition, progress.position, &fetched.records);
        Ok(())
    }

    /// Commits the positions that are above the committed offsets, so that no commit decreases an offset.
    async fn commit(&mut self, client: &Client) -> Result<(), ClientError> {
        let ahead = |(_, progress): &(PartitionIndex, &Progress)| progress.position > progress.committed;
        let offsets: Vec<_> =
            (0..).zip(&self.partitions).filter(ahead).map(|(p, progress)| (p, progress.position)).collect();
        for &(partition, offset) in &offsets {
            let attempted = &mut self.partitions[partition as usize].attempted;
            *attempted = offset.max(*attempted);
        }
        client.commit_offsets(GROUP, Some(&self.member), TOPIC, &offsets).await?;
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

/// Joins the group and assigns the whole topic to this member.
async fn join(client: &Client, member_id: &str) -> Result<Member, ClientError> {
    let joined = client.join_group(&subscription(), member_id).await?;
    let assignment = Bytes::from(format!("all of {TOPIC}, generation {}", joined.member.generation));
    let assigned = client.sync_group(&joined, &[(joined.member.id.clone(), assignment.clone())]).await?;
    assert_eq!(assigned, assignment);
    Ok(joined.member)
}

fn subscription() -> Subscription {
    Subscription {
        group: GROUP.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), subscription_to(TOPIC))],
        session_timeout: Duration::from_secs(45),
        rebalance_timeout: Duration::from_secs(60),
        instance_id: None,
    }
}

/// The ConsumerProtocolSubscription of one topic: version 0, without user data.
fn subscription_to(topic: &str) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    bytes.put_i16(topic.len() as i16);
    bytes.put_slice(topic.as_bytes());
    bytes.put_i32(-1);
    bytes.freeze()
}
