//! The machine itself: which decision answers which command, and how records come back.

use std::sync::Arc;
use std::time::Duration;

use super::MetadataConfig;
use super::commands::{Command, Reply};
use super::image::{ConfigKind, Image, ReplayFault};
use super::records::{AbortTransactionRecord, MetadataRecord, RecordBody};
use crate::machine::{Effects, Machine, Outcome, RecordMeta, ReplyTo};
use ottla_config::BrokerConfig;
use ottla_wire::types::{Now, Offset, ProducerIdEpoch};

/// Decides over the metadata log; see [`Command`] for what it can be asked.
///
/// Invariant: `image` is what the log says up to the last record replayed, leaving out a
/// transaction that has begun and not ended.
#[derive(Debug)]
pub struct MetadataMachine {
    pub(super) config: MetadataConfig,
    pub(super) image: Image,
    /// The broker's settings with what `image` says was changed of them while running.
    pub(super) effective_broker_config: Arc<BrokerConfig>,
    /// Where the next record will stand, at the least.
    pub(super) next_offset: Offset,
    /// What was read since BeginTransaction.
    transaction: Option<Vec<MetadataRecord>>,
    fault: Option<(Offset, ReplayFault)>,
}

/// The records that a command leads to and its answer once they are applied.
pub(super) struct Decision {
    records: Vec<MetadataRecord>,
    reply: Reply,
}

impl Decision {
    pub fn new(records: Vec<MetadataRecord>, reply: Reply) -> Self {
        Decision { records, reply }
    }

    /// The same answer without its deeds, if that is what was asked for.
    pub fn drop_records_if(mut self, validate_only: bool) -> Self {
        if validate_only {
            self.records.clear();
        }
        self
    }
}

impl MetadataMachine {
    pub fn new(config: MetadataConfig) -> Self {
        let effective_broker_config = Arc::clone(&config.broker);
        MetadataMachine {
            config,
            image: Image::default(),
            effective_broker_config,
            next_offset: 0,
            transaction: None,
            fault: None,
        }
    }

    /// What the log says. A clone of it is cheap and stays as it is.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The first record that could not be applied, and its offset. A broker whose log has one must
    /// not run: what it would serve is not what was written.
    pub fn fault(&self) -> Option<&(Offset, ReplayFault)> {
        self.fault.as_ref()
    }

    fn decide(&self, command: Command) -> Decision {
        match command {
            Command::RegisterBroker(request) => self.register_broker(request),
            Command::UnregisterBroker(id) => self.unregister_broker(id),
            Command::CreateTopics(request) => self.create_topics(request),
            Command::DeleteTopics(topics) => self.delete_topics(&topics),
            Command::CreatePartitions(request) => self.create_partitions(request),
            Command::AlterConfigs(request) => self.alter_configs(request),
            Command::UpdateFeatures(request) => self.update_features(request),
            Command::AllocateProducerIds => self.allocate_producer_ids(),
            Command::Reset(topics) => self.reset(topics),
        }
    }

    pub(super) fn apply(&mut self, offset: Offset, record: &MetadataRecord) {
        if let Err(fault) = self.image.apply(record) {
            self.fault.get_or_insert((offset, fault));
        }
        if let RecordBody::Config(record) = &record.body
            && record.resource_type == ConfigKind::Broker.code()
        {
            let for_all = self.image.default_broker_configs();
            let for_this = self.image.broker_configs(self.config.node_id);
            self.effective_broker_config = Arc::new(self.config.broker.with_dynamic(for_all, for_this));
        }
    }
}

impl Machine for MetadataMachine {
    type Command = Command;
    type Record = MetadataRecord;
    type Reply = Reply;

    fn handle(&mut self, _now: Now, to: ReplyTo, command: Command) -> Effects<MetadataRecord, Reply> {
        let Decision { mut records, reply } = self.decide(command);
        if self.transaction.is_some() && !records.is_empty() {
            // Left by a crash between the batches of one decision: nothing of it was answered.
            records.insert(0, MetadataRecord::new(0, AbortTransactionRecord { reason: None }));
        }
        Effects { records, replies: vec![(to, reply)] }
    }

    /// Nothing here waits.
    fn handle_timeout(&mut self, _now: Now) -> Effects<MetadataRecord, Reply> {
        Effects::default()
    }

    fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    fn replay(&mut self, at: RecordMeta, record: &MetadataRecord) {
        self.next_offset = at.offset.saturating_add(1);
        match (&record.body, &mut self.transaction) {
            (RecordBody::BeginTransaction(_), transaction) => *transaction = Some(Vec::new()),
            (RecordBody::AbortTransaction(_), transaction) => *transaction = None,
            (RecordBody::EndTransaction(_), transaction) => {
                for record in transaction.take().unwrap_or_default() {
                    self.apply(at.offset, &record);
                }
            }
            (_, Some(pending)) => pending.push(record.clone()),
            (_, None) => self.apply(at.offset, record),
        }
    }

    /// Producers write no metadata: there is nothing to end.
    fn replay_end_txn(&mut self, _producer: ProducerIdEpoch, _outcome: Outcome) {}

    fn recovered(&mut self, _now: Now) {}
}
