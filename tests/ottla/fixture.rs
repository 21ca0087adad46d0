//! A broker with a client, and helpers that many tests use.

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, TopicId};

use common::{Broker, Options};

/// A timestamp in the past, November 2023.
pub const LONG_AGO: i64 = 1_700_000_000_000;

/// Resource types of DescribeConfigs.
pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;

/// The key type of FindCoordinator for transactional ids.
const TRANSACTION: i8 = 1;

/// A broker and a client that is connected to it.
pub struct Fixture {
    pub broker: Broker,
    pub client: Client,
}

impl Fixture {
    pub async fn start() -> Fixture {
        Fixture::with(Broker::with()).await
    }

    pub async fn with(options: Options) -> Fixture {
        let broker = options.start();
        let client = connect(&broker).await;
        Fixture { broker, client }
    }

    /// Creates a topic of one partition with these settings.
    pub async fn topic(&self, name: &str, settings: &[(&str, &str)]) -> TopicId {
        self.client.create_topic(name, 1, settings).await.unwrap()
    }

    /// Metadata of one topic, without creating it.
    pub async fn metadata(&self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
        self.client.call(request).await.unwrap().topics.remove(0)
    }

    /// Finds the coordinator of a transactional id; the first request creates `__transaction_state`.
    pub async fn transaction_coordinator(&self, transactional_id: &str) {
        let request = FindCoordinatorRequest {
            key_type: TRANSACTION,
            coordinator_keys: vec![transactional_id.into()],
            ..Default::default()
        };
        let found = self.client.call(request).await.unwrap();
        assert_eq!(code(found.coordinators[0].error_code), "NONE");
    }

    /// Sets one setting of a resource and returns the name of the error code.
    pub async fn set(&self, resource_type: i8, resource: &str, name: &str, value: &str) -> &'static str {
        let config = AlterableConfig { name: name.into(), config_operation: 0, value: Some(value.into()) };
        let resource = AlterConfigsResource { resource_type, resource_name: resource.into(), configs: vec![config] };
        let request = IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false };
        code(self.client.call(request).await.unwrap().responses[0].error_code)
    }
}

pub async fn connect(broker: &Broker) -> Client {
    Client::connect(&broker.addr().to_string()).await.unwrap()
}

/// The name of an error code.
pub fn code(code: i16) -> &'static str {
    ErrorCode::from_code(code).map_or("not an error code", ErrorCode::name)
}

pub fn text(text: &str) -> Str {
    Str::from(text)
}

/// A batch of one record with this value.
pub fn batch(value: &str) -> Bytes {
    batch_at(LONG_AGO, value)
}

pub fn batch_at(timestamp: i64, value: &str) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(timestamp, Some(b"key"), Some(value.as_bytes()), &[]);
    builder.build().unwrap().bytes().clone()
}
