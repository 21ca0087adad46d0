//! The runtime with the transaction coordinators of a simulated broker.

use std::time::Duration;

use super::*;
use crate::testing::{Client, Host, Producer, Protocol, Running};
use ottla_core::coordinator::transaction::{
    AddPartitions, EndTxn, InitProducerId, TransactionError, TransactionMachine, TransactionState, partition_for,
};
use ottla_wire::types::TopicPartition;

const TIMEOUT_MS: i32 = 10_000;
const SYNCED: [(&str, &str); 1] = [("log.flush.interval.messages", "1")];

/// A runtime, and the partition of a transactional id.
struct Fixture<'a> {
    running: &'a Running,
    runtime: Arc<CoordinatorRuntime<TransactionMachine>>,
}

impl Fixture<'_> {
    fn new(running: &Running) -> Fixture<'_> {
        Fixture { running, runtime: Arc::clone(running.broker.transactions().runtime()) }
    }

    /// With the topics `d` and `__transaction_state`.
    async fn with_topics(running: &Running) -> Fixture<'_> {
        let mut client = running.client("c");
        client.create_topic("d", 1, &[]).await.unwrap();
        client.find_coordinator("a", true).await.unwrap();
        Fixture::new(running)
    }

    fn partition(&self, id: &str) -> Arc<Partition> {
        self.running.broker.transactions().partition_of(id).unwrap()
    }

    fn state(&self, id: &str) -> Result<Option<TransactionState>, Unavailable> {
        self.runtime.query(&self.partition(id), |machine| machine.describe(id).map(|id| id.state))
    }

    fn init(&self, id: &str) -> Result<PendingReply<InitProducerId>, Unavailable> {
        let command = InitProducerId {
            transactional_id: id.into(),
            timeout_ms: TIMEOUT_MS,
            expected: None,
            fresh_producer_id: Some(77),
        };
        self.runtime.submit(&self.partition(id), command)
    }

    fn add(&self, id: &str, producer: ProducerIdEpoch, verify_only: bool) -> PendingReply<AddPartitions> {
        let command = AddPartitions {
            transactional_id: id.into(),
            producer,
            partitions: vec![TopicPartition::new("d", 0)],
            verify_only,
            client_transaction_version: 0,
        };
        self.runtime.submit(&self.partition(id), command).unwrap()
    }

    fn end(&self, id: &str, producer: ProducerIdEpoch) -> PendingReply<EndTxn> {
        let command = EndTxn {
            transactional_id: id.into(),
            producer,
            outcome: Outcome::Commit,
            client_transaction_version: 0,
            fresh_producer_id: None,
        };
        self.runtime.submit(&self.partition(id), command).unwrap()
    }

    fn data(&self) -> Arc<Partition> {
        Arc::clone(self.running.broker.cluster().partition("d", 0).unwrap())
    }
}

async fn begin(client: &mut Client, id: &str) -> Producer {
    let mut producer = Producer::new(id, Protocol::One, TIMEOUT_MS);
    producer.init(client, false).await.unwrap();
    producer.produce(client, "d", 0, 1).await.unwrap();
    producer
}

#[test]
fn machine_that_loads_answers_loading_and_others_are_served() {
    let mut host = Host::new(1, &[("transaction.state.log.num.partitions", "2")]);
    let ids: Vec<String> = (0..2)
        .map(|partition| (0..).map(|n| format!("t{n}")).find(|id| partition_for(id, 2) == partition).unwrap())
        .collect();
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        for id in &ids {
            fixture.init(id).unwrap().reply().await.unwrap().unwrap();
        }
        fixture.runtime.slot(0).clear();
        assert!(matches!(fixture.state(&ids[0]), Err(Unavailable::Loading)));
        assert!(matches!(fixture.state(&ids[0]), Err(Unavailable::Loading)), "it is being loaded");
        assert_eq!(fixture.state(&ids[1]).unwrap(), Some(TransactionState::Empty));
        assert!(matches!(fixture.runtime.query_all(|_| ()), Err(Unavailable::Loading)));
        fixture.runtime.wait_until_all_loaded(Duration::from_secs(1)).await;
        assert_eq!(fixture.state(&ids[0]).unwrap(), Some(TransactionState::Empty));
    })
    .unwrap();
}

#[test]
fn machine_whose_append_failed_is_dropped_and_loaded_again_when_the_log_is_open() {
    let mut host = Host::new(1, &[]);
    let disk = host.disk.clone();
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        fixture.init("a").unwrap().reply().await.unwrap().unwrap();
        disk.fail_after_changes(Some(0));
        assert!(matches!(fixture.init("b"), Err(Unavailable::NotAvailable)));
        assert!(!fixture.runtime.slot(0).is_active(), "it may be ahead of its log");
        disk.fail_after_changes(None);
        assert!(matches!(fixture.state("a"), Err(Unavailable::NotAvailable)));
        running.sleep(Duration::from_secs(5)).await;
        assert_eq!(fixture.state("a").unwrap(), Some(TransactionState::Empty));
        assert_eq!(fixture.state("b").unwrap(), None);
    })
    .unwrap();
}

#[test]
fn machine_of_a_topic_that_was_deleted_and_created_again_is_empty() {
    let mut host = Host::new(1, &[]);
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        fixture.init("a").unwrap().reply().await.unwrap().unwrap();
        let deleted = fixture.partition("a");
        Arc::clone(&running.broker).reset().await.unwrap();
        assert!(matches!(fixture.runtime.query(&deleted, |_| ()), Err(Unavailable::NotAvailable)));
        assert!(running.broker.transactions().partition_of("a").is_err());
        running.client("c").find_coordinator("a", true).await.unwrap();
        assert_eq!(fixture.state("a").unwrap(), None);
        assert!(matches!(fixture.runtime.query(&deleted, |_| ()), Err(Unavailable::NotAvailable)));
        fixture.init("a").unwrap().reply().await.unwrap().unwrap();
    })
    .unwrap();
}

#[test]
fn timers_run_without_requests() {
    let mut host = Host::new(1, &[]);
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        begin(&mut running.client("c"), "a").await;
        running.sleep(Duration::from_secs(9)).await;
        assert_eq!(fixture.state("a").unwrap(), Some(TransactionState::Ongoing));
        running.sleep(Duration::from_secs(12)).await;
        assert_eq!(fixture.state("a").unwrap(), Some(TransactionState::CompleteAbort));
        let offsets = fixture.data().offsets().unwrap();
        assert_eq!((offsets.last_stable, offsets.end), (2, 2));
    })
    .unwrap();
}

#[test]
fn actions_run_before_the_reply() {
    let mut host = Host::new(1, &[]);
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        let producer = begin(&mut running.client("c"), "a").await;
        let reply = fixture.end("a", producer.producer).try_reply();
        assert!(matches!(reply, Ok(Ok(Ok(_)))), "the reply comes at once");
        assert_eq!(fixture.data().offsets().unwrap().end, 2, "the marker is written");
        assert_eq!(fixture.state("a").unwrap(), Some(TransactionState::CompleteCommit));
    })
    .unwrap();
}

#[test]
fn actions_and_replies_wait_for_the_sync_of_their_records() {
    let mut host = Host::new(1, &SYNCED);
    let disk = host.disk.clone();
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        let producer = begin(&mut running.client("c"), "a").await;
        let syncs = disk.syncs();
        let Err(pending) = fixture.end("a", producer.producer).try_reply() else { panic!("replied before the sync") };
        assert_eq!(fixture.data().offsets().unwrap().end, 1, "no marker before the decision is durable");
        assert!(pending.reply().await.unwrap().is_ok());
        assert!(disk.syncs() > syncs);
        assert_eq!(fixture.data().offsets().unwrap().end, 2);
    })
    .unwrap();
}

#[test]
fn reply_without_records_waits_for_the_sync_of_what_it_repeats() {
    let mut host = Host::new(1, &SYNCED);
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        let producer = fixture.init("a").unwrap().reply().await.unwrap().unwrap();
        let adding = fixture.add("a", producer, false);
        let Err(pending) = fixture.add("a", producer, true).try_reply() else { panic!("replied before the sync") };
        assert_eq!(pending.reply().await.unwrap(), Ok(vec![(TopicPartition::new("d", 0), Ok(()))]));
        assert!(adding.reply().await.unwrap().is_ok());
        let other = ProducerIdEpoch { epoch: 7, ..producer };
        let refused = fixture.add("a", other, true).try_reply().map_err(|_| "nothing is unsynced");
        assert_eq!(refused.unwrap().unwrap(), Err(TransactionError::ProducerFenced));
    })
    .unwrap();
}

#[test]
fn failed_sync_leaves_the_callers_without_a_reply() {
    let mut host = Host::new(1, &SYNCED);
    let disk = host.disk.clone();
    host.run(async |running| {
        let fixture = Fixture::with_topics(running).await;
        let pending = fixture.init("a").unwrap();
        disk.fail_after_changes(Some(0));
        assert!(matches!(pending.reply().await, Err(Unavailable::NotAvailable)));
        disk.fail_after_changes(None);
    })
    .unwrap();
}
