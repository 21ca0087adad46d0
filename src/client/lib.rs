//! A small Kafka client on the broker's own codec: for the command line, tests and benchmarks.
//!
//! [`Client::connect`] asks the broker which versions it serves; [`Client::call`] sends any request and
//! awaits its answer, in the newest version both sides know; [`Client::submit`] sends now and awaits
//! later. On these stand short forms of what tools and tests do all the time: topics (`admin`), batches
//! (`records`), groups as members (`group`) and as administrators see them (`group_admin`); and a whole
//! consumer ([`consumer`]). One client is one connection; clones share it.
//!
//! Absent from a client: retries, routing by leader, batching, reconnecting. There is one broker, and
//! whoever calls knows better what to do about a lost connection.

mod admin;
mod connection;
pub mod consumer;
mod error;
mod group;
mod group_admin;
pub mod producer;
mod records;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use admin::{BrokerAddress, ClusterView, TopicView};
pub use error::ClientError;
pub use group::{Committed, Joined, Member, Subscription};
pub use group_admin::{CommittedOffset, GroupDescription, GroupEpochs, ListedGroup, MemberDescription};
pub use records::{Fetched, ListedOffset, Produced, fetched, produced};

use connection::{Connection, Outgoing};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_wire::protocol::{ApiKey, Ask, RequestHeader, frame};
use ottla_wire::types::{ErrorCode, InOrder as _};

pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// How a client presents itself, and what it puts up with.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub client_id: Str,
    /// How long to wait for a connection, and for each answer.
    pub timeout: Duration,
    /// Bytes of the largest answer.
    pub max_answer: usize,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions { client_id: Str::from_static("ottla"), timeout: Duration::from_secs(30), max_answer: 256 << 20 }
    }
}

/// A connection to a broker.
#[derive(Clone)]
pub struct Client {
    address: Arc<str>,
    connection: Arc<Connection>,
    options: Arc<ClientOptions>,
    correlation_ids: Arc<AtomicI32>,
    /// By API key, the oldest and newest version served.
    served: Arc<BTreeMap<i16, (i16, i16)>>,
}

/// An answer that is on its way.
pub struct Pending<R: Ask> {
    client: Client,
    version: i16,
    answer: oneshot::Receiver<Bytes>,
    request: std::marker::PhantomData<fn(R)>,
}

impl Client {
    /// Connects to `address` (`host:port`) with the default options.
    pub async fn connect(address: &str) -> Result<Client> {
        Client::connect_with(address, ClientOptions::default()).await
    }

    /// Connects to `address` (`host:port`) and asks for the versions served there.
    pub async fn connect_with(address: &str, options: ClientOptions) -> Result<Client> {
        let failed = |source| ClientError::Connect { address: address.to_owned(), source };
        let socket = timeout(options.timeout, TcpStream::connect(address)).await;
        let socket = socket.unwrap_or_else(|late| Err(late.into())).map_err(failed)?;
        let mut client = Client {
            address: Arc::from(address),
            connection: Arc::new(Connection::new(socket, options.max_answer).map_err(failed)?),
            options: Arc::new(options),
            correlation_ids: Arc::default(),
            served: Arc::default(),
        };
        let answer = client.negotiate().await?;
        let served = answer.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        client.served = Arc::new(served.in_order());
        Ok(client)
    }

    /// Another connection to the same broker.
    pub async fn again(&self) -> Result<Client> {
        self.again_with(self.options().clone()).await
    }

    /// Another connection to the same broker, with other options.
    pub async fn again_with(&self, options: ClientOptions) -> Result<Client> {
        Client::connect_with(&self.address, options).await
    }

    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Asks for the versions served, and once more in an older version if the broker says that it does
    /// not know ours (KIP-511).
    async fn negotiate(&self) -> Result<ApiVersionsResponse> {
        let key = ApiKey::ApiVersions;
        let request = ApiVersionsRequest {
            client_software_name: Str::from_static("ottla"),
            client_software_version: Str::from_static(env!("CARGO_PKG_VERSION")),
            ..Default::default()
        };
        let mut version = *key.versions().end();
        loop {
            let pending = self.submit_at(request.clone(), version).await?;
            let frame = pending.frame().await?;
            // Such an answer has the body of version 0, whatever was asked.
            let too_new = frame.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
            let answer = decode::<ApiVersionsRequest>(if too_new { 0 } else { version }, frame)?;
            if !too_new || version == 0 {
                refuse(key, answer.error_code, None)?;
                return Ok(answer);
            }
            let served = answer.api_keys.iter().find(|api| api.api_key == key as i16);
            version = served.map_or(0, |api| api.max_version.clamp(0, version - 1));
        }
    }

    /// The newest version of `key`, up to `newest`, that both sides know.
    pub fn version_up_to(&self, key: ApiKey, newest: i16) -> Result<i16> {
        let served = self.served.get(&(key as i16)).copied();
        let (ours_from, ours_to) = key.versions().into_inner();
        let version = served.map(|(from, to)| (from.max(ours_from), to.min(ours_to).min(newest)));
        match version {
            Some((oldest, newest)) if oldest <= newest => Ok(newest),
            _ => Err(ClientError::Unsupported { key, served }),
        }
    }

    /// The versions of `key` that the broker serves.
    pub fn served(&self, key: ApiKey) -> Option<(i16, i16)> {
        self.served.get(&(key as i16)).copied()
    }

    /// Asks in the newest version both sides know, and awaits the answer. Error codes in it are the
    /// caller's to look at.
    pub async fn call<R: Ask>(&self, request: R) -> Result<R::Answer> {
        let version = self.version_up_to(R::KEY, i16::MAX)?;
        self.call_at(request, version).await
    }

    /// Asks in that version, served or not, and awaits the answer.
    pub async fn call_at<R: Ask>(&self, request: R, version: i16) -> Result<R::Answer> {
        self.submit_at(request, version).await?.answer().await
    }

    /// Sends a request, and leaves the answer for later. Requests are handled in the order of these calls.
    pub async fn submit<R: Ask>(&self, request: R) -> Result<Pending<R>> {
        let version = self.version_up_to(R::KEY, i16::MAX)?;
        self.submit_at(request, version).await
    }

    /// As [`Client::submit`], in that version.
    pub async fn submit_at<R: Ask>(&self, request: R, version: i16) -> Result<Pending<R>> {
        let (sender, answer) = oneshot::channel();
        self.send(request, version, Some(sender)).await?;
        Ok(Pending { client: self.clone(), version, answer, request: std::marker::PhantomData })
    }

    /// Sends a request that is not answered: Produce with acks 0.
    pub async fn send_unanswered<R: Ask>(&self, request: R, version: i16) -> Result<()> {
        self.send(request, version, None).await
    }

    async fn send<R: Ask>(&self, request: R, version: i16, answer: Option<oneshot::Sender<Bytes>>) -> Result<()> {
        let correlation_id = self.correlation_ids.fetch_add(1, Ordering::Relaxed);
        let client_id = Some(self.options.client_id.clone());
        let header = RequestHeader { api_key: R::KEY as i16, api_version: version, correlation_id, client_id };
        let chunks = frame::encode_request(&header, &request.into()).map_err(|error| ClientError::Encode {
            key: R::KEY,
            version,
            error,
        })?;
        let sending = self.connection.send(Outgoing { correlation_id, chunks, answer });
        match timeout(self.options.timeout, sending).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.gone()),
            Err(_) => Err(self.late(R::KEY)),
        }
    }

    /// Why the connection ended, if it has.
    pub fn end(&self) -> Option<&str> {
        self.connection.end()
    }

    fn gone(&self) -> ClientError {
        ClientError::Disconnected(self.end().unwrap_or("it was closed").to_owned())
    }

    fn late(&self, key: ApiKey) -> ClientError {
        ClientError::Timeout { key, after: self.options.timeout }
    }
}

impl<R: Ask> Pending<R> {
    /// Awaits the answer.
    pub async fn answer(self) -> Result<R::Answer> {
        let version = self.version;
        decode::<R>(version, self.frame().await?)
    }

    async fn frame(self) -> Result<Bytes> {
        match timeout(self.client.options.timeout, self.client.connection.answer(self.answer)).await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.client.gone()),
            Err(_) => Err(self.client.late(R::KEY)),
        }
    }
}

fn decode<R: Ask>(version: i16, frame: Bytes) -> Result<R::Answer> {
    let (_, response) = frame::decode_response(R::KEY, version, frame).map_err(|error| ClientError::Decode {
        key: R::KEY,
        version,
        error,
    })?;
    R::answer(response).ok_or(ClientError::Incomplete { key: R::KEY })
}

/// An error code as a result.
fn refuse(key: ApiKey, code: i16, message: Option<&Str>) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(ClientError::Refused { key, code, message: message.map(Str::to_string) }),
    }
}
