//! A client that sends one request at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use crate::clock::Clock;
use crate::server::in_memory::InMemoryListener;
use ottla_wire::protocol::frame::{decode_response, encode_request};
use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::protocol::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_wire::protocol::{Request, RequestHeader, Response};
use ottla_wire::types::ErrorCode;

/// How long a client waits for a response.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often, and after which pauses, a client repeats a request whose error says that this may help.
const ATTEMPTS: usize = 30;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(1);

const TRANSACTION_VERSION: &str = "transaction.version";
/// The types of a change of a feature's level.
const UPGRADE: i8 = 1;
const SAFE_DOWNGRADE: i8 = 2;

/// Why a request did not succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// No response came: it is not known what happened.
    NoResponse,
    Error(ErrorCode),
}

pub type Outcome<T> = Result<T, Failed>;

/// The error code of a response, as a result.
pub fn checked(code: i16) -> Outcome<()> {
    match ErrorCode::from_code(code).unwrap() {
        ErrorCode::None => Ok(()),
        error => Err(Failed::Error(error)),
    }
}

pub struct Client {
    listener: Arc<InMemoryListener>,
    clock: Clock,
    client_id: String,
    stream: Option<DuplexStream>,
    correlation_id: i32,
}

/// Sends a request and returns the response to it.
macro_rules! call {
    ($client:expr, $api:ident, $version:expr, $request:expr) => {
        match $client.send($version, $request.into()).await? {
            ottla_wire::protocol::Response::$api(response) => response,
            other => panic!("response {other:?}"),
        }
    };
}
pub(super) use call;

impl Client {
    pub fn new(listener: Arc<InMemoryListener>, clock: Clock, client_id: &str) -> Client {
        Client { listener, clock, client_id: client_id.to_owned(), stream: None, correlation_id: 0 }
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends a request that has no response.
    pub async fn send_without_response(&mut self, version: i16, request: Request) {
        let frame = self.frame(version, &request);
        let stream = self.stream.get_or_insert_with(|| self.listener.connect());
        stream.write_all(&frame).await.unwrap();
    }

    fn frame(&mut self, version: i16, request: &Request) -> Vec<u8> {
        self.correlation_id += 1;
        let header = RequestHeader {
            api_key: request.key() as i16,
            api_version: version,
            correlation_id: self.correlation_id,
            client_id: Some((&*self.client_id).into()),
        };
        encode_request(&header, request).unwrap().concat()
    }

    /// Sends a request and waits for its response. Without one, the connection is closed.
    pub async fn send(&mut self, version: i16, request: Request) -> Outcome<Response> {
        let key = request.key();
        let frame = self.frame(version, &request);
        let mut stream = self.stream.take().unwrap_or_else(|| self.listener.connect());
        let exchange = async {
            stream.write_all(&frame).await.ok()?;
            let size = stream.read_u32().await.ok()?;
            let mut response = vec![0; size as usize];
            stream.read_exact(&mut response).await.ok()?;
            Some(response)
        };
        let Some(Some(response)) = self.clock.timeout(REQUEST_TIMEOUT, exchange).await else {
            return Err(Failed::NoResponse);
        };
        self.stream = Some(stream);
        let (correlation_id, response) = decode_response(key, version, Bytes::from(response)).unwrap();
        assert_eq!(correlation_id, self.correlation_id);
        Ok(response)
    }

    /// Repeats a request while its error says that this may help.
    pub async fn retrying<T>(&mut self, mut request: impl AsyncFnMut(&mut Client) -> Outcome<T>) -> Outcome<T> {
        let (mut last, mut pause) = (Failed::NoResponse, FIRST_PAUSE);
        for _ in 0..ATTEMPTS {
            match request(self).await {
                Err(Failed::Error(error)) if is_worth_retrying(error) => last = Failed::Error(error),
                outcome => return outcome,
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
        Err(last)
    }

    pub async fn create_topic(&mut self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Outcome<()> {
        let configs = configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name: (*name).into(), value: Some((*value).into()) });
        let topic = CreatableTopic {
            name: name.into(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        };
        let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
        checked(call!(self, CreateTopics, 5, request).topics[0].error_code)
    }

    /// Sets the level of `transaction.version`.
    pub async fn set_transaction_version(&mut self, level: i16) -> Outcome<()> {
        let is_upgrade = level > self.transaction_version().await?;
        let update = FeatureUpdateKey {
            feature: TRANSACTION_VERSION.into(),
            max_version_level: level,
            upgrade_type: if is_upgrade { UPGRADE } else { SAFE_DOWNGRADE },
            ..Default::default()
        };
        let request = UpdateFeaturesRequest { feature_updates: vec![update], ..Default::default() };
        checked(call!(self, UpdateFeatures, 1, request).error_code)
    }

    /// The finalized level of `transaction.version`.
    pub async fn transaction_version(&mut self) -> Outcome<i16> {
        let request = ApiVersionsRequest {
            client_software_name: "ottla".into(),
            client_software_version: "1".into(),
            ..Default::default()
        };
        let response = call!(self, ApiVersions, 4, request);
        checked(response.error_code)?;
        let level = response.finalized_features.iter().find(|feature| &*feature.name == TRANSACTION_VERSION);
        Ok(level.map_or(0, |feature| feature.max_version_level))
    }
}

fn is_worth_retrying(error: ErrorCode) -> bool {
    matches!(
        error,
        ErrorCode::CoordinatorLoadInProgress
            | ErrorCode::CoordinatorNotAvailable
            | ErrorCode::NotCoordinator
            | ErrorCode::NotEnoughReplicas
            | ErrorCode::ConcurrentTransactions
            | ErrorCode::UnstableOffsetCommit
            | ErrorCode::KafkaStorageError
            | ErrorCode::NotLeaderOrFollower
    )
}
