//! The input and output of handlers: [`Context`] and [`Answer`].

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use tracing::Level;

use super::authorizer::{self, AuditLine, Authorizer, Denied, Operation, Resource, Verdict};
use super::denied_topics::DeniedTopics;
use super::large_batches::LargeBatches;
use super::schema_validation::RecordSchemas;
use super::throttling::{Metering, Mutations};
use crate::server::{CloseReason, ConnectionInfo};
use crate::state::Broker;
use crate::state::advertised::Endpoint;
use crate::state::quotas::ClientNames;
use crate::state::topic_cause::TopicCause;
use crate::tls::TlsListeners;
use ottla_core::metadata::MutationQuota;
use ottla_core::security::Principal;
use ottla_core::security::quota::Permits;
use ottla_wire::protocol::{ApiKey, RequestHeader, Response};

/// The target of the log lines with the authorizer's decisions, as Kafka's `kafka.authorizer.logger`.
const AUTHORIZER_LOG: &str = "ottla::authorizer";

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
    /// Whether the caller authenticated with a delegation token.
    pub by_token: bool,
}

/// A request's broker, connection, caller and header.
#[derive(Clone)]
pub(super) struct Context {
    pub broker: Arc<Broker>,
    pub large_batches: Arc<LargeBatches>,
    pub schemas: RecordSchemas,
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

    /// Checks that the caller may do an operation; logs the decision.
    pub fn authorize(&self, operation: Operation, resource: Resource<'_>) -> Result<(), Denied> {
        self.authorize_references(operation, resource, 1)
    }

    /// Checks that the caller may do an operation to a resource that the request names `references` times; logs the
    /// decision.
    pub fn authorize_references(
        &self,
        operation: Operation,
        resource: Resource<'_>,
        references: usize,
    ) -> Result<(), Denied> {
        let verdict = self.authorizer.decide(&self.caller, operation, resource);
        if verdict.allowed {
            self.log_allowed(&verdict, operation, resource, references);
            return Ok(());
        }
        let limiter = self.broker.log_rate_limiter();
        if verdict.rule.is_some()
            && tracing::enabled!(target: AUTHORIZER_LOG, Level::INFO)
            && limiter.admits(Level::INFO, self.caller.client_address.ip(), "denied operations")
        {
            let Caller { client_address, listener, .. } = &self.caller;
            tracing::info!(
                target: AUTHORIZER_LOG,
                client = %client_address, %listener, client_id = self.client_id(),
                "{}", self.audit_line(&verdict, operation, resource, references)
            );
        }
        Err(Denied::from(resource))
    }

    /// The topics on which the caller may not do an operation; logs them.
    pub fn denied_topics<'a>(&self, operation: Operation, names: impl Iterator<Item = &'a str>) -> DeniedTopics {
        DeniedTopics::find(self, operation, names)
    }

    /// Whether the caller may do an operation, for questions whose "no" is not an error: it is logged only at TRACE.
    pub fn allows(&self, operation: Operation, resource: Resource<'_>) -> bool {
        let verdict = self.authorizer.decide(&self.caller, operation, resource);
        match verdict.allowed {
            true => self.log_allowed(&verdict, operation, resource, 1),
            false => self.trace(&verdict, operation, resource),
        }
        verdict.allowed
    }

    fn log_allowed(&self, verdict: &Verdict, operation: Operation, resource: Resource<'_>, references: usize) {
        if verdict.rule.is_some() {
            tracing::debug!(target: AUTHORIZER_LOG, "{}", self.audit_line(verdict, operation, resource, references));
        }
    }

    fn trace(&self, verdict: &Verdict, operation: Operation, resource: Resource<'_>) {
        if verdict.rule.is_some() {
            tracing::trace!(target: AUTHORIZER_LOG, "{}", self.audit_line(verdict, operation, resource, 1));
        }
    }

    fn audit_line<'a>(
        &'a self,
        verdict: &'a Verdict,
        operation: Operation,
        resource: Resource<'a>,
        references: usize,
    ) -> AuditLine<'a> {
        AuditLine { verdict, caller: &self.caller, operation, resource, references, request: self.request_name() }
    }

    /// The name of the request's API.
    pub fn request_name(&self) -> &'static str {
        ApiKey::from_code(self.header.api_key).map_or("Unknown", ApiKey::name)
    }

    /// The bit field of what the caller may do to a resource, if the request asks for it.
    pub fn authorized_operations(&self, requested: bool, resource: Resource<'_>) -> i32 {
        match requested {
            true => authorizer::authorized_operations(resource, |operation| {
                let verdict = self.authorizer.decide(&self.caller, operation, resource);
                self.trace(&verdict, operation, resource);
                verdict.allowed
            }),
            false => authorizer::NOT_REQUESTED,
        }
    }
}
