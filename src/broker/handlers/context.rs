//! What every handler is given, and what it gives back.

use std::pin::Pin;
use std::sync::Arc;

use super::large_batches::LargeBatches;
use crate::server::{CloseReason, ConnectionInfo};
use crate::state::Broker;
use crate::state::advertised::Endpoint;
use ottla_wire::protocol::{RequestHeader, Response};

/// The outcome of a request, which the server makes a reply of.
pub(super) enum Answer {
    Ready(Box<Response>),
    /// A response that comes later. Whatever depends on the order of requests was done before.
    Parked(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// The protocol gives no response (Produce with acks 0).
    Nothing,
    /// The connection is closed, as in Kafka.
    Close(CloseReason),
}

impl Answer {
    pub fn parked(future: impl Future<Output = impl Into<Response>> + Send + 'static) -> Answer {
        Answer::Parked(Box::pin(async { future.await.into() }))
    }
}

impl<T: Into<Response>> From<T> for Answer {
    fn from(response: T) -> Answer {
        Answer::Ready(Box::new(response.into()))
    }
}

/// A request's broker, connection and header.
pub(super) struct Context {
    pub broker: Arc<Broker>,
    pub large_batches: Arc<LargeBatches>,
    pub connection: Arc<ConnectionInfo>,
    pub header: RequestHeader,
}

impl Context {
    /// The request's version.
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The address that this client is told to reach the broker at.
    pub fn endpoint(&self) -> Endpoint {
        self.broker.endpoint_for(&self.connection.listener, self.connection.peer.ip(), self.connection.local)
    }

    /// `client.id`; empty if the client gave none.
    pub fn client_id(&self) -> &str {
        self.header.client_id.as_deref().unwrap_or_default()
    }
}
