//! The state machine: dispatch of commands, and replay of records.

use std::sync::Arc;
use std::time::Duration;

use super::MetadataConfig;
use super::commands::{
    AllocateProducerIds, CreateAcls, DeleteAcls, MetadataCommand, MetadataReply, Reset, UnregisterBroker,
};
use super::image::{ConfigKind, Image, ImageDelta, ReplayFault};
use super::records::{AbortTransactionRecord, MetadataRecord, RecordBody};
use crate::machine::{Effects, NoAction, Outcome, RecordMeta, ReplyTo, StateMachine};
use ottla_config::BrokerConfig;
use ottla_wire::types::{Now, Offset, ProducerIdEpoch};

/// The state machine over the metadata log; see [`MetadataCommand`].
///
/// Invariant: `image` is the result of all replayed records, without those of a transaction that has not ended.
#[derive(Debug)]
pub struct MetadataMachine {
    pub(super) config: MetadataConfig,
    pub(super) image: Image,
    /// The broker's settings, with the dynamic settings of `image` applied.
    pub(super) effective_broker_config: Arc<BrokerConfig>,
    /// The lowest offset that the next record can have.
    pub(super) next_offset: Offset,
    /// The records since BeginTransaction.
    transaction: Option<Vec<MetadataRecord>>,
    fault: Option<(Offset, ReplayFault)>,
}

/// The records that a command appends, and the reply once they are applied.
pub(super) struct Decision {
    records: Vec<MetadataRecord>,
    reply: MetadataReply,
}

impl Decision {
    pub fn new(records: Vec<MetadataRecord>, reply: MetadataReply) -> Self {
        Decision { records, reply }
    }

    /// Removes the records of a request that only validates.
    pub fn drop_records_if(mut self, validate_only: bool) -> Self {
        if validate_only {
            self.records.clear();
        }
        self
    }
}

type MetadataEffects = Effects<MetadataRecord, MetadataReply, NoAction>;

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

    /// The current image. It is cheap to clone, and clones do not change.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// The first record that could not be applied, and its offset. A broker must not run on such a log: its image
    /// would differ from the one that was written.
    pub fn fault(&self) -> Option<&(Offset, ReplayFault)> {
        self.fault.as_ref()
    }

    fn decide(&self, command: MetadataCommand) -> Decision {
        match command {
            MetadataCommand::RegisterBroker(request) => self.register_broker(request),
            MetadataCommand::UnregisterBroker(UnregisterBroker(id)) => self.unregister_broker(id),
            MetadataCommand::CreateTopics(request) => self.create_topics(request),
            MetadataCommand::DeleteTopics(request) => self.delete_topics(&request),
            MetadataCommand::CreatePartitions(request) => self.create_partitions(request),
            MetadataCommand::AlterConfigs(request) => self.alter_configs(request),
            MetadataCommand::UpdateFeatures(request) => self.update_features(request),
            MetadataCommand::AlterClientQuotas(request) => self.alter_client_quotas(&request),
            MetadataCommand::CreateAcls(CreateAcls(acls)) => self.create_acls(acls),
            MetadataCommand::DeleteAcls(DeleteAcls(filters)) => self.delete_acls(&filters),
            MetadataCommand::AllocateProducerIds(AllocateProducerIds) => self.allocate_producer_ids(),
            MetadataCommand::Reset(Reset(topics)) => self.reset(topics),
            MetadataCommand::AlterUserScramCredentials(request) => self.alter_user_scram_credentials(&request),
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

impl StateMachine for MetadataMachine {
    type Command = MetadataCommand;
    type Record = MetadataRecord;
    type Reply = MetadataReply;
    type Action = NoAction;

    fn handle(&mut self, _now: Now, to: ReplyTo, command: MetadataCommand) -> MetadataEffects {
        let Decision { mut records, reply } = self.decide(command);
        if self.transaction.is_some() && !records.is_empty() {
            // A crash between the batches of one decision left this transaction open. No reply to it was sent.
            records.insert(0, MetadataRecord::new(0, AbortTransactionRecord { reason: None }));
        }
        Effects { records, replies: vec![(to, reply)], ..Effects::default() }
    }

    /// Does nothing: there are no timers.
    fn handle_timeout(&mut self, _now: Now) -> MetadataEffects {
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

    /// Does nothing: producers do not write metadata.
    fn replay_end_txn(&mut self, _producer: ProducerIdEpoch, _outcome: Outcome) {}

    /// Does nothing: images are made of this machine's own state.
    fn metadata_changed(&mut self, _now: Now, _delta: &ImageDelta) -> MetadataEffects {
        Effects::default()
    }

    fn recovered(&mut self, _now: Now) -> MetadataEffects {
        Effects::default()
    }
}
