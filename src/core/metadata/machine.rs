//! The state machine: dispatch of commands, and replay of records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::MetadataConfig;
use super::commands::{
    AllocateProducerIds, CreateAcls, DeleteAcls, MetadataCommand, MetadataReply, Reset, SweepDelegationTokens,
    UnregisterBroker,
};
use super::image::{ConfigKind, Image, ImageDelta, ReplayFault};
use super::records::{AbortTransactionRecord, MetadataRecord, RecordBody};
use crate::machine::{Effects, NoAction, Outcome, RecordMeta, ReplyTo, StateMachine};
use crate::security::SecretBytes;
use crate::security::tokens::TokenKey;
use ottla_config::BrokerConfig;
use ottla_wire::codec::Str;
use ottla_wire::types::{Now, Offset, ProducerIdEpoch, TimestampMs};

/// The state machine over the metadata log; see [`MetadataCommand`].
///
/// Invariant: `image` is the result of all replayed records, without those of a transaction that has not ended.
#[derive(Debug)]
pub struct MetadataMachine {
    pub(super) config: MetadataConfig,
    pub(super) image: Image,
    /// The broker's settings, with the dynamic settings of `image` applied.
    pub(super) effective_broker_config: Arc<BrokerConfig>,
    /// The key that makes HMACs of delegation tokens; `None` if they are disabled.
    pub(super) token_key: Option<TokenKey>,
    /// The ids of delegation tokens by HMAC.
    pub(super) token_ids: HashMap<SecretBytes, Str>,
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
        let token_key = config.broker.tokens.secret_key.as_ref().and_then(TokenKey::new);
        MetadataMachine {
            config,
            image: Image::default(),
            effective_broker_config,
            token_key,
            token_ids: HashMap::new(),
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

    fn decide(&self, now: TimestampMs, command: MetadataCommand) -> Decision {
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
            MetadataCommand::Reset(Reset { topics, users }) => self.reset(&topics, &users),
            MetadataCommand::AlterUserScramCredentials(request) => self.alter_user_scram_credentials(&request),
            MetadataCommand::CreateDelegationToken(request) => self.create_delegation_token(now, request),
            MetadataCommand::RenewDelegationToken(request) => self.renew_delegation_token(now, &request),
            MetadataCommand::ExpireDelegationToken(request) => self.expire_delegation_token(now, &request),
            MetadataCommand::SweepDelegationTokens(SweepDelegationTokens) => self.sweep_delegation_tokens(now),
        }
    }

    pub(super) fn apply(&mut self, offset: Offset, record: &MetadataRecord) {
        if let Err(fault) = self.image.apply(record) {
            self.fault.get_or_insert((offset, fault));
        }
        match &record.body {
            RecordBody::Config(record) if record.resource_type == ConfigKind::Broker.code() => {
                let for_all = self.image.default_broker_configs();
                let for_this = self.image.broker_configs(self.config.node_id);
                self.effective_broker_config = Arc::new(self.config.broker.with_dynamic(for_all, for_this));
            }
            RecordBody::DelegationToken(token) => {
                if let Some(key) = &self.token_key {
                    self.token_ids.insert(key.hmac(&token.token_id), Str::from(&*token.token_id));
                }
            }
            RecordBody::RemoveDelegationToken(token) => {
                if let Some(key) = &self.token_key {
                    self.token_ids.remove(&key.hmac(&token.token_id));
                }
            }
            _ => {}
        }
    }
}

impl StateMachine for MetadataMachine {
    type Command = MetadataCommand;
    type Record = MetadataRecord;
    type Reply = MetadataReply;
    type Action = NoAction;

    fn handle(&mut self, now: Now, to: ReplyTo, command: MetadataCommand) -> MetadataEffects {
        let Decision { mut records, reply } = self.decide(now.wall, command);
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
