//! A small Kafka client that uses the broker's own codec: for the command line, tests and benchmarks.
//!
//! [`Client::connect`] negotiates the API versions; [`Client::call`] sends any request in the newest version that both
//! sides support and awaits its response; [`Client::submit`] sends now and lets the caller await the response later.
//! Modules add shorter calls for common tasks: topics (`admin`), batches (`records`), groups as a member (`group`) and
//! as an administrator (`group_admin`), a [`consumer`] and a [`producer`]. One client is one connection; clones share
//! it.
//!
//! A client does not retry, route by leader, batch or reconnect: there is one broker, and the caller decides what to do
//! about a lost connection.

mod admin;
mod authentication;
mod connection;
pub mod consumer;
mod error;
mod group;
mod group_admin;
pub mod producer;
mod records;
mod tls;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

pub use admin::{BrokerAddress, ClusterView, TopicView};
pub use authentication::{BearerToken, Sasl, Scram, TokenSource, Tokens};
pub use error::ClientError;
pub use group::{Committed, Joined, Member, Subscription};
pub use group_admin::{CommittedOffset, GroupDescription, GroupEpochs, ListedGroup, MemberDescription};
pub use records::{Fetched, ListedOffset, Produced, fetched, produced};
pub use tls::Tls;

use connection::{Connection, End, Outgoing, Stream};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_wire::protocol::{ApiKey, ApiRequest, RequestHeader, frame};
use ottla_wire::types::{ErrorCode, InOrder as _};

/// Limit for connecting without TLS and for the response, to find out whether a listener is without TLS.
const PLAIN_CHECK_TIMEOUT: Duration = Duration::from_secs(2);

pub type Result<T, E = ClientError> = std::result::Result<T, E>;

/// Settings of a client connection.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    pub client_id: Str,
    /// Limit for connecting and for each response.
    pub timeout: Duration,
    /// Size limit of a response, in bytes.
    pub max_response_bytes: usize,
    /// How connections are encrypted; `None` for a listener without TLS.
    pub tls: Option<Tls>,
    /// How to authenticate; `None` for a listener without SASL.
    pub sasl: Option<Sasl>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            client_id: Str::from_static("ottla"),
            timeout: Duration::from_secs(30),
            max_response_bytes: 256 << 20,
            tls: None,
            sasl: None,
        }
    }
}

/// A connection to a broker.
#[derive(Clone)]
pub struct Client {
    address: Arc<str>,
    connection: Arc<Connection>,
    options: Arc<ClientOptions>,
    correlation_ids: Arc<AtomicI32>,
    /// The oldest and newest version that the broker serves, by API key.
    served: Arc<BTreeMap<i16, (i16, i16)>>,
    /// The levels of the cluster's features, by name.
    feature_levels: Arc<BTreeMap<Str, i16>>,
    /// The number of responses until the connection was ready.
    preparatory: u64,
}

/// A response that has not arrived yet.
pub struct Pending<R: ApiRequest> {
    client: Client,
    version: i16,
    response: oneshot::Receiver<Bytes>,
    request: std::marker::PhantomData<fn(R)>,
}

impl Client {
    /// Connects to `address` (`host:port`) with the default options.
    pub async fn connect(address: &str) -> Result<Client> {
        Client::connect_with(address, ClientOptions::default()).await
    }

    /// Connects to `address` (`host:port`), negotiates the API versions, and authenticates.
    pub async fn connect_with(address: &str, options: ClientOptions) -> Result<Client> {
        let opening = timeout(options.timeout, open(address, options.tls.as_ref())).await;
        let stream = match opening.unwrap_or_else(|elapsed| Err(cannot_connect(address, elapsed.into()))) {
            // The broker closed it during the TLS handshake, as listeners without TLS do, but also a proxy whose broker
            // has not started yet. Only with the former it is useless to try again.
            Err(ClientError::Disconnected(_)) if answers_without_tls(address, &options).await => {
                return Err(ClientError::Tls { address: address.to_owned(), why: tls::listener_without_tls() });
            }
            opened => opened?,
        };
        let connection = Connection::new(stream, options.max_response_bytes);
        let mut client = Client::negotiated(address, connection, options).await?;
        if let Some(sasl) = &client.options.sasl {
            authentication::authenticate(&client, sasl).await?;
        }
        client.preparatory = client.connection.received();
        Ok(client)
    }

    /// Creates a client for a stream that is not a socket, such as one inside this process, and negotiates the API versions.
    /// `name` stands for the address; such a client opens no further connections.
    pub async fn over(
        name: &str,
        stream: impl AsyncRead + AsyncWrite + Send + 'static,
        options: ClientOptions,
    ) -> Result<Client> {
        let connection = Connection::over(stream, options.max_response_bytes);
        Client::negotiated(name, connection, options).await
    }

    /// Creates a client for an open connection, and negotiates the API versions.
    async fn negotiated(address: &str, connection: Connection, options: ClientOptions) -> Result<Client> {
        let mut client = Client {
            address: Arc::from(address),
            connection: Arc::new(connection),
            options: Arc::new(options),
            correlation_ids: Arc::default(),
            served: Arc::default(),
            feature_levels: Arc::default(),
            preparatory: 0,
        };
        let response = client.negotiate().await?;
        let served = response.api_keys.iter().map(|api| (api.api_key, (api.min_version, api.max_version)));
        client.served = Arc::new(served.in_order());
        let levels = response.finalized_features.into_iter().map(|feature| (feature.name, feature.max_version_level));
        client.feature_levels = Arc::new(levels.in_order());
        Ok(client)
    }

    /// Opens another connection to the same broker.
    pub async fn new_connection(&self) -> Result<Client> {
        self.new_connection_with(self.options().clone()).await
    }

    /// Opens another connection to the same broker, with other options.
    pub async fn new_connection_with(&self, options: ClientOptions) -> Result<Client> {
        Client::connect_with(&self.address, options).await
    }

    pub fn options(&self) -> &ClientOptions {
        &self.options
    }

    /// Requests the served API versions; repeats the request in an older version if the broker does not support ours
    /// (KIP-511).
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
            // An UNSUPPORTED_VERSION response has the body of version 0, whatever version was requested.
            let too_new = frame.get(4..6) == Some(&ErrorCode::UnsupportedVersion.code().to_be_bytes());
            let response = decode::<ApiVersionsRequest>(if too_new { 0 } else { version }, frame)?;
            if !too_new || version == 0 {
                check_error_code(key, response.error_code, None)?;
                return Ok(response);
            }
            let served = response.api_keys.iter().find(|api| api.api_key == key as i16);
            version = served.map_or(0, |api| api.max_version.clamp(0, version - 1));
        }
    }

    /// The newest version of `key`, up to `newest`, that both sides support.
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

    /// The level of one of the cluster's features, such as `transaction.version`.
    pub fn feature_level(&self, name: &str) -> Option<i16> {
        self.feature_levels.get(name).copied()
    }

    /// Sends a request in the newest version that both sides support, and awaits the response. The caller checks the error
    /// codes in it.
    pub async fn call<R: ApiRequest>(&self, request: R) -> Result<R::ApiResponse> {
        let version = self.version_up_to(R::KEY, i16::MAX)?;
        self.call_at(request, version).await
    }

    /// Sends a request in this version, even if the broker does not serve it, and awaits the response.
    pub async fn call_at<R: ApiRequest>(&self, request: R, version: i16) -> Result<R::ApiResponse> {
        self.submit_at(request, version).await?.response().await
    }

    /// Sends a request; the returned [`Pending`] awaits the response. Requests are handled in the order of these calls.
    pub async fn submit<R: ApiRequest>(&self, request: R) -> Result<Pending<R>> {
        let version = self.version_up_to(R::KEY, i16::MAX)?;
        self.submit_at(request, version).await
    }

    /// Like [`Client::submit`], in this version.
    pub async fn submit_at<R: ApiRequest>(&self, request: R, version: i16) -> Result<Pending<R>> {
        let (sender, response) = oneshot::channel();
        self.send(request, version, Some(sender)).await?;
        Ok(Pending { client: self.clone(), version, response, request: std::marker::PhantomData })
    }

    /// Sends a request that has no response: Produce with acks 0.
    pub async fn send_without_response<R: ApiRequest>(&self, request: R, version: i16) -> Result<()> {
        self.send(request, version, None).await
    }

    async fn send<R: ApiRequest>(
        &self,
        request: R,
        version: i16,
        response: Option<oneshot::Sender<Bytes>>,
    ) -> Result<()> {
        let correlation_id = self.correlation_ids.fetch_add(1, Ordering::Relaxed);
        let client_id = Some(self.options.client_id.clone());
        let header = RequestHeader { api_key: R::KEY as i16, api_version: version, correlation_id, client_id };
        let chunks = frame::encode_request(&header, &request.into()).map_err(|error| ClientError::Encode {
            key: R::KEY,
            version,
            error,
        })?;
        let sending = self.connection.send(Outgoing { correlation_id, chunks, response });
        match timeout(self.options.timeout, sending).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.disconnected()),
            Err(_) => Err(self.timed_out(R::KEY)),
        }
    }

    /// Whether the connection has ended.
    pub fn is_disconnected(&self) -> bool {
        self.connection.end().is_some()
    }

    /// The error of requests after the connection ended. It names the likely cause if the broker never answered.
    fn disconnected(&self) -> ClientError {
        let why = match self.connection.end() {
            None => "it was closed",
            Some(End::Failed(why)) => why,
            Some(End::ExpectsTls) => return ClientError::ExpectsTls { address: self.address.to_string() },
            Some(End::Tls(why)) => return ClientError::Tls { address: self.address.to_string(), why: why.clone() },
            Some(End::Closed) => self.cause_of_close(),
        };
        ClientError::Disconnected(why.to_owned())
    }

    fn cause_of_close(&self) -> &'static str {
        let options = &self.options;
        match self.connection.received() {
            0 if options.tls.is_none() => {
                "the broker closed it without an answer; its port may demand TLS (set security.protocol to SSL or \
                 SASL_SSL), or may not be one for Kafka's clients"
            }
            0 => {
                "the broker closed it without an answer; it may demand a client certificate (set ssl.keystore.location)"
            }
            count if count == self.preparatory && options.sasl.is_none() => {
                "the broker closed it at the first request; it may demand a login (set security.protocol to SASL_SSL or \
                 SASL_PLAINTEXT, sasl.mechanism and sasl.jaas.config)"
            }
            _ => "the broker closed it",
        }
    }

    fn timed_out(&self, key: ApiKey) -> ClientError {
        ClientError::Timeout { key, after: self.options.timeout }
    }
}

impl<R: ApiRequest> Pending<R> {
    /// Awaits the response.
    pub async fn response(self) -> Result<R::ApiResponse> {
        let version = self.version;
        decode::<R>(version, self.frame().await?)
    }

    async fn frame(self) -> Result<Bytes> {
        match timeout(self.client.options.timeout, self.client.connection.response(self.response)).await {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.client.disconnected()),
            Err(_) => Err(self.client.timed_out(R::KEY)),
        }
    }
}

fn cannot_connect(address: &str, source: std::io::Error) -> ClientError {
    ClientError::Connect { address: address.to_owned(), source }
}

/// Connects, with TLS if it is configured.
async fn open(address: &str, tls: Option<&Tls>) -> Result<Stream> {
    let socket = TcpStream::connect(address).await.and_then(|socket| socket.set_nodelay(true).map(|()| socket));
    let socket = socket.map_err(|error| cannot_connect(address, error))?;
    let Some(tls) = tls else { return Ok(Stream::Plain(socket)) };
    Ok(Stream::Tls(Box::new(tls.connect(address, socket).await?)))
}

/// Whether a broker answers ApiVersions at this address without TLS.
async fn answers_without_tls(address: &str, options: &ClientOptions) -> bool {
    let timeout_of_check = options.timeout.min(PLAIN_CHECK_TIMEOUT);
    let options = ClientOptions { tls: None, sasl: None, timeout: timeout_of_check, ..options.clone() };
    match timeout(timeout_of_check, open(address, None)).await {
        Ok(Ok(stream)) => {
            let connection = Connection::new(stream, options.max_response_bytes);
            Client::negotiated(address, connection, options).await.is_ok()
        }
        _ => false,
    }
}

fn decode<R: ApiRequest>(version: i16, frame: Bytes) -> Result<R::ApiResponse> {
    let (_, response) = frame::decode_response(R::KEY, version, frame).map_err(|error| ClientError::Decode {
        key: R::KEY,
        version,
        error,
    })?;
    R::from_response(response).ok_or(ClientError::Incomplete { key: R::KEY })
}

/// Returns an error unless the code is 0.
fn check_error_code(key: ApiKey, code: i16, message: Option<&Str>) -> Result<()> {
    match code {
        0 => Ok(()),
        code => Err(ClientError::Refused { key, code, message: message.map(Str::to_string) }),
    }
}
