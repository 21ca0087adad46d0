//! A broker, a client of it, and short words for what every test does.

use bytes::Bytes;
use ottla::client::Client;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponseTopic};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, TopicId};

use common::{Broker, Options};

/// A time that is neither special nor near.
pub const LONG_AGO: i64 = 1_700_000_000_000;

/// DescribeConfigs' kinds of resources.
pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;

pub struct World {
    pub broker: Broker,
    pub client: Client,
}

impl World {
    pub async fn start() -> World {
        World::with(Broker::with()).await
    }

    pub async fn with(options: Options) -> World {
        let broker = options.start();
        let client = connect(&broker).await;
        World { broker, client }
    }

    /// A topic of one partition with these settings.
    pub async fn topic(&self, name: &str, settings: &[(&str, &str)]) -> TopicId {
        self.client.create_topic(name, 1, settings).await.unwrap()
    }

    /// Metadata of one topic; it is not created.
    pub async fn metadata(&self, name: &str) -> MetadataResponseTopic {
        let topic = MetadataRequestTopic { name: Some(name.into()), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
        self.client.call(request).await.unwrap().topics.remove(0)
    }

    /// Sets one setting of a resource: what became of it.
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

/// An error code by its name.
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
