//! The web console of a broker and its HTTP API, under `/console/` and `/api/v1/`.
//!
//! The API is a Kafka client: each request opens a connection through [`Connect`] and does what any client could do, so the
//! checks and limits of clients apply to it. The pages (`web/`) use nothing but the API. Nothing here knows the broker, and
//! the port's own protection (hosts, origins, the token) is in front of these routes.
//!
//! `docs/console-api.md` describes the API, which is stable.

mod api;
mod assets;
mod error;
mod filter;
mod query;
mod schemas;
mod value;

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use tokio::sync::Semaphore;

use error::ApiError;
use ottla_client::{Client, ClientError};
use ottla_wire::types::{Offset, TopicPartition};

pub use schemas::{Decode, Decoded, Part, RegistryRequest, RegistryResponse, Responding, Schemas};

/// The number of requests that read records at a time. They use threads that the broker needs as well.
const MAX_SCANS: usize = 16;

/// The number of threads that look through records at a time. A decoded value can take 64 MiB for a moment.
const MAX_SEARCHES: usize = 4;

/// A connection that is being opened.
pub type Connecting = Pin<Box<dyn Future<Output = Result<Client, ClientError>> + Send>>;

/// Lags in seconds that are being looked up; `None` where one is not known.
pub type LagSeconds = Pin<Box<dyn Future<Output = Vec<Option<f64>>> + Send>>;

/// Opens connections to the broker, and has what the Kafka protocol does not say.
pub trait Connect: Send + Sync + 'static {
    /// Opens a connection on behalf of a client at this address.
    fn connect(&self, peer: IpAddr) -> Connecting;

    /// Looks up the lags at committed offsets, in their order.
    fn lag_seconds(&self, committed: Vec<(TopicPartition, Offset)>) -> LagSeconds;

    /// The schema registry; `None` if the broker has none.
    fn schemas(&self) -> Option<Arc<dyn Schemas>>;
}

/// The last lines of the broker's log, oldest first.
pub type LogLines = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// The console of one broker.
pub struct Console {
    connect: Arc<dyn Connect>,
    log: Option<LogLines>,
    /// Chooses the partitions of records without a key, in rotation.
    next_partition: AtomicUsize,
    /// Limits how many requests read records at a time.
    scans: Arc<Semaphore>,
    /// Limits how many of these look through records at a time.
    searches: Arc<Semaphore>,
}

impl Console {
    pub fn new(connect: Arc<dyn Connect>) -> Console {
        let semaphore = |permits| Arc::new(Semaphore::new(permits));
        Console {
            connect,
            log: None,
            next_partition: AtomicUsize::new(0),
            scans: semaphore(MAX_SCANS),
            searches: semaphore(MAX_SEARCHES),
        }
    }

    /// Shows the last lines of a log.
    pub fn with_log(mut self, log: LogLines) -> Console {
        self.log = Some(log);
        self
    }

    /// The routes. Requests need the client's [`SocketAddr`] as an extension.
    pub fn routes(self) -> Router {
        api::routes(Arc::new(self)).merge(assets::routes())
    }
}

/// A connection for one request.
struct Kafka(Client);

impl FromRequestParts<Arc<Console>> for Kafka {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, console: &Arc<Console>) -> Result<Kafka, ApiError> {
        let peer = parts.extensions.get::<SocketAddr>().map(SocketAddr::ip);
        let peer = peer.ok_or_else(|| ApiError::internal("the address of the client is unknown"))?;
        Ok(Kafka(console.connect.connect(peer).await?))
    }
}
