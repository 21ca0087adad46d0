//! The input and output of handlers: [`Context`] and [`Answer`].

use std::collections::HashSet;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use super::authorizer::{self, Authorizer, Denied, Operation, Resource};
use super::large_batches::LargeBatches;
use super::throttling::{Metering, Mutations};
use crate::log_rate_limiter::log_limited;
use crate::server::{CloseReason, ConnectionInfo};
use crate::state::Broker;
use crate::state::advertised::Endpoint;
use crate::state::quotas::ClientNames;
use crate::state::topic_cause::TopicCause;
use crate::tls::TlsListeners;
use ottla_core::metadata::MutationQuota;
use ottla_core::security::Principal;
use ottla_core::security::quota::Permits;
use ottla_wire::codec::Str;
use ottla_wire::protocol::{RequestHeader, Response};

/// The outcome of a request.
pub(super) enum Answer {
    Ready(Box<Response>),
    /// A response that comes later. Everything that depends on the order of requests is already done.
    Parked(Pin<Box<dyn Future<Output = Response> + Send>>),
    /// No response (Produce with acks 0).
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

/// The sender of a request, as authorizers see it.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub principal: Principal,
    pub client_address: SocketAddr,
    pub listener: Arc<str>,
}

/// A request's broker, connection, caller and header.
#[derive(Clone)]
pub(super) struct Context {
    pub broker: Arc<Broker>,
    pub large_batches: Arc<LargeBatches>,
    pub authorizer: Arc<dyn Authorizer>,
    /// The listeners with TLS.
    pub tls: TlsListeners,
    pub connection: Arc<ConnectionInfo>,
    pub caller: Caller,
    pub header: RequestHeader,
    /// What is measured for quotas; `None` if there are none.
    pub metering: Option<Arc<Metering>>,
}

impl Context {
    /// The request's version.
    pub fn version(&self) -> i16 {
        self.header.api_version
    }

    /// The address at which this client can reach the broker.
    pub fn endpoint(&self) -> Endpoint {
        self.broker.endpoint_for(&self.connection.listener, self.connection.peer.ip(), self.connection.local)
    }

    /// `client.id`; empty if the client sent none.
    pub fn client_id(&self) -> &str {
        self.header.client_id.as_deref().unwrap_or_default()
    }

    /// This request as the cause of new topics; `why` is its API, or the setting that lets it create them.
    pub fn cause(&self, why: &'static str) -> TopicCause {
        TopicCause::request(why, self.connection.to_string(), self.client_id())
    }

    /// The user and the client id that quotas are for.
    pub fn client(&self) -> ClientNames<'_> {
        (&self.caller.principal.name, self.client_id())
    }

    /// The controller mutation quota of the request, and how the client is throttled for it. Requests of version
    /// `strict_from` and above get an error when they exceed it.
    pub fn mutation_quota(&self, strict_from: i16) -> (MutationQuota, Mutations) {
        let permits = if self.version() >= strict_from { Permits::Strict } else { Permits::Permissive };
        let mutations = self.broker.quotas().mutations(self.client(), permits);
        (MutationQuota(mutations.clone().map(|mutations| mutations as _)), Mutations(mutations))
    }

    /// Checks that the caller may do an operation; logs it if not.
    pub fn authorize(&self, operation: Operation, resource: Resource<'_>) -> Result<(), Denied> {
        if self.allows(operation, resource) {
            return Ok(());
        }
        let Caller { principal, client_address, listener } = &self.caller;
        log_limited!(
            INFO, self.broker.log_rate_limiter(), client_address.ip(), "denied operations",
            %principal, client = %client_address, listener = %listener, client_id = self.client_id(),
            ?operation, %resource, "denied an operation"
        );
        Err(Denied::from(resource))
    }

    /// The topics on which the caller may not do an operation; logs them.
    pub fn denied_topics<'a>(&self, operation: Operation, names: impl Iterator<Item = &'a Str>) -> HashSet<Str> {
        names.filter(|name| self.authorize(operation, Resource::Topic(name)).is_err()).cloned().collect()
    }

    /// Whether the caller may do an operation, for questions whose "no" is not an error.
    pub fn allows(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.authorizer.allows(&self.caller, operation, resource)
    }

    /// The bit field of what the caller may do to a resource, if the request asks for it.
    pub fn authorized_operations(&self, requested: bool, resource: Resource<'_>) -> i32 {
        match requested {
            true => authorizer::authorized_operations(resource, |operation| self.allows(operation, resource)),
            false => authorizer::NOT_REQUESTED,
        }
    }
}
