//! The connection to the leader of the topic's partition, and the topic itself.

use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::super::tools::connect::addresses;
use ottla_client::{Client, ClientError, ClientOptions, Fetched};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic, MetadataResponse};
use ottla_wire::types::{ErrorCode, Offset, TopicId};

/// Bytes that a fetch asks for. A larger batch is returned as well.
const FETCH_BYTES: i32 = 4 << 20;
/// How long a fetch waits for records.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// How long the broker may take to create the topic.
const CREATE_TIMEOUT_MS: i32 = 30_000;
/// The timestamps of ListOffsets for the end and the start.
const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// How to connect to the cluster.
#[derive(Clone)]
pub struct Cluster {
    pub bootstrap_servers: String,
    pub options: ClientOptions,
}

impl Cluster {
    /// Connects to the first bootstrap server that answers.
    pub async fn connect(&self) -> Result<Client, String> {
        let mut why = String::new();
        for address in addresses(&self.bootstrap_servers)? {
            match Client::connect_with(&address, self.options.clone()).await {
                Ok(client) => return Ok(client),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }

    /// Connects to a broker of the cluster. `client` is used if there is only one broker: then it need not be reachable at
    /// the address that it advertises.
    pub async fn connect_to(&self, client: Client, metadata: &MetadataResponse, node: i32) -> Result<Client, String> {
        if metadata.brokers.len() <= 1 {
            return Ok(client);
        }
        let broker = metadata.brokers.iter().find(|broker| broker.node_id == node);
        let broker = broker.ok_or_else(|| format!("the broker {node} is unknown"))?;
        let address = format!("{}:{}", broker.host, broker.port);
        Client::connect_with(&address, self.options.clone()).await.map_err(|error| error.to_string())
    }
}

/// The topic of schemas in a cluster.
pub struct Topic {
    cluster: Cluster,
    name: String,
    /// The largest replication factor of a new topic.
    replication: usize,
    /// The connection for writing; the follower has its own.
    connection: Mutex<Option<Client>>,
}

/// What the topic is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: TopicId,
    leader: i32,
}

impl Topic {
    pub fn new(cluster: Cluster, name: &str, replication: usize) -> Topic {
        Topic { cluster, name: name.to_owned(), replication, connection: Mutex::new(None) }
    }

    /// Opens a connection to the partition's leader. Creates the topic if it is missing.
    pub async fn open(&self) -> Result<(Client, Found), String> {
        let client = self.cluster.connect().await?;
        let metadata = self.metadata(&client).await?;
        let found = match self.found(&metadata)? {
            Some(found) => found,
            None => {
                self.create(&client, metadata.brokers.len()).await?;
                let created = self.found(&self.metadata(&client).await?)?;
                created.ok_or_else(|| format!("the topic {} is not known yet", self.name))?
            }
        };
        let client = self.cluster.connect_to(client, &metadata, found.leader).await?;
        Ok((client, found))
    }

    /// The connection for writing.
    async fn client(&self) -> Result<Client, String> {
        let open = self.connection.lock().clone().filter(|client| !client.is_disconnected());
        if let Some(client) = open {
            return Ok(client);
        }
        let (client, _) = self.open().await?;
        *self.connection.lock() = Some(client.clone());
        Ok(client)
    }

    /// The offset after the last record.
    pub async fn end(&self) -> Result<Offset, String> {
        // The first attempt may meet a connection that has ended, or a broker that has ceased to be the leader.
        for is_last in [false, true] {
            let client = self.client().await?;
            match client.list_offset(&self.name, 0, LATEST).await {
                Ok(listed) => return Ok(listed.offset),
                Err(error) => {
                    self.close();
                    if is_last {
                        return Err(error.to_string());
                    }
                }
            }
        }
        Err("no answer".to_owned())
    }

    /// Appends a batch with `acks=all`, and returns its first offset.
    pub async fn append(&self, batch: Bytes) -> Result<Offset, String> {
        let client = self.client().await?;
        let produced = client.produce(&self.name, 0, batch).await;
        produced.map(|produced| produced.base_offset).map_err(|error| {
            self.close();
            format!("the records cannot be written: {error}")
        })
    }

    fn close(&self) {
        *self.connection.lock() = None;
    }

    pub async fn start(&self, client: &Client) -> Result<Offset, ClientError> {
        client.list_offset(&self.name, 0, EARLIEST).await.map(|listed| listed.offset)
    }

    pub async fn fetch(&self, client: &Client, from: Offset) -> Result<Fetched, ClientError> {
        client.fetch(&self.name, 0, from, FETCH_BYTES, FETCH_WAIT).await
    }

    async fn metadata(&self, client: &Client) -> Result<MetadataResponse, String> {
        let topic = MetadataRequestTopic { name: Some(Str::from(self.name.as_str())), ..Default::default() };
        let request =
            MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation: false, ..Default::default() };
        client.call(request).await.map_err(|error| error.to_string())
    }

    /// The topic; `None` if it does not exist.
    fn found(&self, metadata: &MetadataResponse) -> Result<Option<Found>, String> {
        let missing = || format!("the broker does not know the topic {}", self.name);
        let topic = metadata.topics.first().ok_or_else(missing)?;
        match ErrorCode::from_code(topic.error_code) {
            Some(ErrorCode::None) => {}
            Some(ErrorCode::UnknownTopicOrPartition) => return Ok(None),
            Some(error) => return Err(format!("the topic {}: {}", self.name, error.name())),
            None => return Err(format!("the topic {}: error {}", self.name, topic.error_code)),
        }
        match topic.partitions.as_slice() {
            [partition] => Ok(Some(Found { id: topic.topic_id, leader: partition.leader_id })),
            partitions => Err(format!("the topic {} must have one partition, and has {}", self.name, partitions.len())),
        }
    }

    async fn create(&self, client: &Client, brokers: usize) -> Result<(), String> {
        let policy = CreatableTopicConfig { name: Str::from("cleanup.policy"), value: Some(Str::from("compact")) };
        let topic = CreatableTopic {
            name: Str::from(self.name.as_str()),
            num_partitions: 1,
            replication_factor: i16::try_from(self.replication.min(brokers)).unwrap_or(1).max(1),
            configs: vec![policy],
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: CREATE_TIMEOUT_MS, ..Default::default() };
        let response = client.call(request).await.map_err(|error| error.to_string())?;
        let created = response.topics.first().map(|topic| (topic.error_code, topic.error_message.clone()));
        let (code, message) = created.unwrap_or_default();
        match ErrorCode::from_code(code) {
            Some(ErrorCode::None | ErrorCode::TopicAlreadyExists) => Ok(()),
            error => {
                let name = error.map_or_else(|| code.to_string(), |error| error.name().to_owned());
                let message = message.unwrap_or_default();
                Err(format!("the topic {} cannot be created: {name} {message}", self.name))
            }
        }
    }
}
