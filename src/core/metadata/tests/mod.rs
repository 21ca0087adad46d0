//! Tests of the metadata machine, with the steps of the driver: decide, append, apply, reply.

mod acls;
mod broker_settings;
mod brokers;
mod client_quotas;
mod configs;
mod equality;
mod feature_levels;
mod min_insync;
mod real_log;
mod reset;
mod tokens;
mod topics;
mod users;

use bytes::Bytes;

use super::*;
use crate::machine::{RecordMeta, ReplyTo, StateMachine};
use crate::metadata::records::MetadataRecord;
use ottla_config::ReplicationFactorPolicy;
use ottla_wire::types::{Now, ProducerIdEpoch, TopicId, TopicName, Uuid};

pub(super) const NODE: BrokerId = 1;
pub(super) const DIRECTORY: Uuid = Uuid([7; 16]);

/// A machine and its log of encoded records.
pub(super) struct TestCluster {
    pub machine: MetadataMachine,
    pub log: Vec<Bytes>,
    ids_drawn: u16,
}

impl TestCluster {
    /// An empty log.
    pub fn empty() -> TestCluster {
        TestCluster::with(config())
    }

    pub fn with(config: MetadataConfig) -> TestCluster {
        TestCluster { machine: MetadataMachine::new(config), log: Vec::new(), ids_drawn: 0 }
    }

    /// A broker after its first start.
    pub fn started() -> TestCluster {
        TestCluster::empty().start()
    }

    pub fn start(mut self) -> TestCluster {
        assert!(matches!(
            self.run(MetadataCommand::RegisterBroker(registration())),
            MetadataReply::RegisterBroker(Ok(_))
        ));
        self
    }

    /// Runs one command. Its records are encoded and decoded before they are applied.
    pub fn run(&mut self, command: MetadataCommand) -> MetadataReply {
        let (records, reply) = self.decide(command);
        for batch in batches(records, MAX_BATCH_BYTES).unwrap() {
            self.write(&batch);
        }
        reply
    }

    pub fn decide(&mut self, command: MetadataCommand) -> (Vec<MetadataRecord>, MetadataReply) {
        let mut effects = self.machine.handle(now(), ReplyTo(1), command);
        let (to, reply) = effects.replies.pop().unwrap();
        assert_eq!((to, effects.replies.len()), (ReplyTo(1), 0));
        (effects.records, reply)
    }

    pub fn write(&mut self, records: &[MetadataRecord]) {
        for record in records {
            let value = record.encode().unwrap();
            let read = MetadataRecord::decode(&value).unwrap();
            assert_eq!(&read, record, "a record is decoded as it was encoded");
            self.machine.replay(meta(self.log.len() as i64), &read);
            self.log.push(value);
        }
        assert_eq!(self.machine.fault(), None);
    }

    /// The same broker after a restart, recovered from the log.
    pub fn restarted(&self) -> TestCluster {
        let mut machine = MetadataMachine::new(self.machine.config.clone());
        for (offset, value) in (0..).zip(&self.log) {
            machine.replay(meta(offset), &MetadataRecord::decode(value).unwrap());
        }
        assert!(machine.recovered(now()).records.is_empty());
        TestCluster { machine, log: self.log.clone(), ids_drawn: self.ids_drawn }
    }

    /// The same broker after a snapshot replaced its log.
    pub fn recovered_from_snapshot(&self) -> TestCluster {
        let mut cluster = TestCluster::with(self.machine.config.clone());
        cluster.write(&snapshot_records(self.image()));
        cluster.ids_drawn = self.ids_drawn;
        cluster
    }

    pub fn image(&self) -> &Image {
        self.machine.image()
    }

    pub fn id(&mut self) -> TopicId {
        self.ids_drawn += 1;
        Uuid(std::array::from_fn(|i| self.ids_drawn.to_be_bytes()[i % 2]))
    }

    /// A topic to create, with the broker's defaults.
    pub fn topic(&mut self, name: &str) -> NewTopic {
        NewTopic::new(name, self.id())
    }

    pub fn create(&mut self, topic: NewTopic) -> Result<CreatedTopic, MetadataError> {
        let request = CreateTopics { topics: vec![topic], validate_only: false, quota: Default::default() };
        match self.run(MetadataCommand::CreateTopics(request)) {
            MetadataReply::CreateTopics(mut results) if results.len() == 1 => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    /// Creates a topic; panics if it is rejected.
    pub fn create_named(&mut self, name: &str, partitions: i32) -> CreatedTopic {
        let topic = NewTopic { partitions, ..self.topic(name) };
        self.create(topic).unwrap()
    }

    pub fn delete(&mut self, name: &str) -> Result<(), MetadataError> {
        match self.run(MetadataCommand::DeleteTopics(DeleteTopics {
            topics: vec![TopicRef::Name(name.into())],
            ..Default::default()
        })) {
            MetadataReply::DeleteTopics(mut results) if results.len() == 1 => results.remove(0).result,
            other => panic!("{other:?}"),
        }
    }

    pub fn grow(&mut self, name: &str, count: i32, assignments: Option<Vec<Vec<i32>>>) -> Result<(), MetadataError> {
        let topics = vec![NewPartitions { name: name.into(), count, assignments }];
        match self.run(MetadataCommand::CreatePartitions(CreatePartitions {
            topics,
            validate_only: false,
            quota: Default::default(),
        })) {
            MetadataReply::CreatePartitions(mut results) if results.len() == 1 => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    }

    pub fn alter(&mut self, resource: ConfigResource, how: Alteration) -> Result<(), MetadataError> {
        let request = AlterConfigs { changes: vec![ConfigChange { resource, how }], validate_only: false };
        match self.run(MetadataCommand::AlterConfigs(request)) {
            MetadataReply::AlterConfigs(mut results) if results.len() == 1 => results.remove(0).1,
            other => panic!("{other:?}"),
        }
    }
}

pub(super) fn config() -> MetadataConfig {
    MetadataConfig {
        node_id: NODE,
        default_partitions: 1,
        default_replication_factor: 1,
        replication: ReplicationFactorPolicy::Clamp,
        topic_deletion: true,
        broker: Default::default(),
    }
}

pub(super) fn registration() -> RegisterBroker {
    RegisterBroker {
        incarnation_id: Uuid([9; 16]),
        endpoints: vec![Endpoint {
            listener: "PLAINTEXT".to_owned(),
            host: "localhost".to_owned(),
            port: 9092,
            security_protocol: 0,
        }],
        features: vec![SupportedFeature { name: features::METADATA_VERSION.to_owned(), min: 7, max: 30 }],
        rack: None,
        directory_id: DIRECTORY,
        has_metadata_log: true,
        found_in_directory: Default::default(),
        bootstrap_records: Vec::new(),
    }
}

pub(super) fn now() -> Now {
    Now { monotonic: std::time::Duration::ZERO, wall: 1_700_000_000_000 }
}

pub(super) fn meta(offset: i64) -> RecordMeta {
    RecordMeta { offset, timestamp: now().wall, producer: ProducerIdEpoch::NONE }
}

/// The name of the error's variant, such as `InvalidTopic`.
pub(super) fn kind<T: std::fmt::Debug>(result: Result<T, MetadataError>) -> String {
    let text = format!("{:?}", result.unwrap_err());
    text.split(['(', ' ']).next().unwrap_or_default().to_owned()
}

pub(super) fn names(image: &Image) -> Vec<TopicName> {
    image.topics_by_name().into_iter().map(|topic| topic.name.clone()).collect()
}
