//! A transactional producer.

use std::collections::{BTreeMap, BTreeSet};

use super::client::{Client, Failed, Outcome, call, checked};
use ottla_wire::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_wire::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, Offset, ProducerIdEpoch};

/// The protocol of transactions (KIP-890).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    One,
    Two,
}

/// The state of a transactional producer, which outlives its connections.
#[derive(Clone, Debug)]
pub struct Producer {
    pub transactional_id: String,
    /// Changes only between transactions.
    pub protocol: Protocol,
    timeout_ms: i32,
    pub producer: ProducerIdEpoch,
    next_sequence: BTreeMap<i32, i32>,
    added: BTreeSet<i32>,
}

impl Producer {
    /// A producer that has to be initialized.
    pub fn new(transactional_id: &str, protocol: Protocol, timeout_ms: i32) -> Producer {
        Producer {
            transactional_id: transactional_id.to_owned(),
            protocol,
            timeout_ms,
            producer: ProducerIdEpoch::NONE,
            next_sequence: BTreeMap::new(),
            added: BTreeSet::new(),
        }
    }

    /// InitProducerId; with `continues` the producer says which one it is.
    pub async fn init(&mut self, client: &mut Client, continues: bool) -> Outcome<()> {
        let expected = if continues { self.producer } else { ProducerIdEpoch::NONE };
        let request = InitProducerIdRequest {
            transactional_id: Some((&*self.transactional_id).into()),
            transaction_timeout_ms: self.timeout_ms,
            producer_id: expected.producer_id,
            producer_epoch: expected.epoch,
        };
        let response = client
            .retrying(async |client| {
                let response = call!(client, InitProducerId, 4, request.clone());
                checked(response.error_code).map(|()| response)
            })
            .await?;
        self.set_producer(ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch });
        Ok(())
    }

    fn set_producer(&mut self, producer: ProducerIdEpoch) {
        if self.producer != producer {
            self.producer = producer;
            self.next_sequence.clear();
        }
        self.added.clear();
    }

    /// Produces a value to a partition, in a batch of its own. If the outcome is not known, the same value may be sent
    /// again, and is written once.
    pub async fn produce(&mut self, client: &mut Client, topic: &str, partition: i32, value: u64) -> Outcome<Offset> {
        if self.protocol == Protocol::One && !self.added.contains(&partition) {
            self.add_partition(client, topic, partition).await?;
        }
        let sequence = self.next_sequence.get(&partition).copied().unwrap_or(0);
        let mut batch = BatchBuilder::new(Codec::None).producer(self.producer, sequence).transactional();
        batch.append(client.clock().wall(), None, Some(&value.to_be_bytes()), &[]);
        let data = PartitionProduceData { index: partition, records: Some(batch.build().unwrap().bytes().clone()) };
        let request = ProduceRequest {
            transactional_id: Some((&*self.transactional_id).into()),
            acks: -1,
            timeout_ms: 30_000,
            topic_data: vec![TopicProduceData { name: topic.into(), partition_data: vec![data], ..Default::default() }],
        };
        let version = if self.protocol == Protocol::One { 11 } else { 12 };
        let offset = client
            .retrying(async |client| {
                let response = call!(client, Produce, version, request.clone());
                let result = &response.responses[0].partition_responses[0];
                checked(result.error_code)?;
                Ok(result.base_offset)
            })
            .await?;
        self.next_sequence.insert(partition, sequence + 1);
        Ok(offset)
    }

    async fn add_partition(&mut self, client: &mut Client, topic: &str, partition: i32) -> Outcome<()> {
        let request = AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: (&*self.transactional_id).into(),
            v3_and_below_producer_id: self.producer.producer_id,
            v3_and_below_producer_epoch: self.producer.epoch,
            v3_and_below_topics: vec![AddPartitionsToTxnTopic { name: topic.into(), partitions: vec![partition] }],
            ..Default::default()
        };
        client
            .retrying(async |client| {
                let response = call!(client, AddPartitionsToTxn, 3, request.clone());
                let results = &response.results_by_topic_v3_and_below[0].results_by_partition;
                checked(results[0].partition_error_code)
            })
            .await?;
        self.added.insert(partition);
        Ok(())
    }

    /// Commits a group's offset for a partition in the transaction.
    pub async fn commit_offset(
        &mut self,
        client: &mut Client,
        group: &str,
        (topic, partition): (&str, i32),
        offset: Offset,
    ) -> Outcome<()> {
        if self.protocol == Protocol::One {
            let request = AddOffsetsToTxnRequest {
                transactional_id: (&*self.transactional_id).into(),
                producer_id: self.producer.producer_id,
                producer_epoch: self.producer.epoch,
                group_id: group.into(),
            };
            client
                .retrying(async |client| checked(call!(client, AddOffsetsToTxn, 3, request.clone()).error_code))
                .await?;
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: (&*self.transactional_id).into(),
            group_id: group.into(),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.epoch,
            topics: vec![TxnOffsetCommitRequestTopic {
                name: topic.into(),
                partitions: vec![TxnOffsetCommitRequestPartition {
                    partition_index: partition,
                    committed_offset: offset,
                    ..Default::default()
                }],
                ..Default::default()
            }],
            ..Default::default()
        };
        let version = if self.protocol == Protocol::One { 3 } else { 5 };
        client
            .retrying(async |client| {
                let response = call!(client, TxnOffsetCommit, version, request.clone());
                checked(response.topics[0].partitions[0].error_code)
            })
            .await
    }

    /// Commits or aborts the transaction.
    pub async fn end(&mut self, client: &mut Client, commits: bool) -> Outcome<()> {
        let request = EndTxnRequest {
            transactional_id: (&*self.transactional_id).into(),
            producer_id: self.producer.producer_id,
            producer_epoch: self.producer.epoch,
            committed: commits,
        };
        let version = if self.protocol == Protocol::One { 3 } else { 5 };
        let response = client
            .retrying(async |client| {
                let response = call!(client, EndTxn, version, request.clone());
                checked(response.error_code).map(|()| response)
            })
            .await?;
        self.added.clear();
        if self.protocol == Protocol::Two {
            let producer = ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch };
            if producer == ProducerIdEpoch::NONE {
                return Err(Failed::Error(ErrorCode::UnknownServerError));
            }
            self.set_producer(producer);
        }
        Ok(())
    }
}
