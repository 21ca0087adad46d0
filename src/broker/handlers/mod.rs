//! The handlers of Kafka's APIs, one file per family of APIs. They use no sockets, files or clocks.
//!
//! A handler converts a protocol request to domain types, runs it, and converts the result to a protocol response.
//! Lower layers know no protocol structs, and only `errors` converts errors to Kafka error codes. The part of a
//! request that depends on the order of requests is done before the handler returns; the part that may wait is in a
//! parked answer.

mod acls;
mod alter_configs;
mod api_versions;
mod authorizer;
mod broker_loggers;
mod client_metrics;
mod client_quotas;
mod cluster;
mod commit_plan;
mod configs;
mod context;
mod delegation_tokens;
mod denied_topics;
mod described_configs;
mod error_versions;
mod errors;
mod eventual;
mod features;
mod fetch;
mod group_admin;
mod groups;
mod illegal_state;
mod large_batches;
mod list_offsets;
mod listener_security;
mod metadata;
mod offsets;
mod produce;
mod quorum;
mod reassignments;
mod records;
pub mod request_figures;
mod sasl;
mod schema_validation;
mod scram_users;
mod served;
mod spans;
mod throttling;
mod topics;
mod transactions;

#[cfg(test)]
mod authorization_tests;

use std::sync::Arc;

use bytes::Bytes;

pub use errors::ToErrorCode;

use authorizer::Authorizer;
use context::{Answer, Caller, Context};
use large_batches::LargeBatches;
use request_figures::RequestFigures;
use sasl::Gate;
pub use schema_validation::RecordSchemas;
use spans::RequestSpans;
use throttling::Metering;

use crate::server::{
    CloseReason, ConnectionInfo, ConnectionUse, Dispatch, Excerpts, Exchange, NewUse, Outcome, Reply, Then,
};
use crate::state::Broker;
use crate::state::arriving_clients::Arrival;
use crate::tls::TlsListeners;
use crate::trace::TraceHub;
use ottla_core::security::session::Identity;
use ottla_log::faults;
use ottla_metrics::Registry;
use ottla_wire::protocol::frame::{FrameError, decode_request, encode_response};
use ottla_wire::protocol::{ApiKey, Request, RequestHeader, Response};

/// The kind of log line for connections closed because of a request that is not supported.
const UNSUPPORTED: &str = "connections closed for a request that is not supported";

/// The target of the log line for each request, as Kafka's `kafka.request.logger`.
const REQUEST_LOG: &str = "ottla::request";

/// Handles the requests of all connections.
pub struct Handlers {
    broker: Arc<Broker>,
    large_batches: Arc<LargeBatches>,
    schemas: RecordSchemas,
    authorizer: Arc<dyn Authorizer>,
    tls: TlsListeners,
    trace: Arc<TraceHub>,
    figures: Arc<RequestFigures>,
}

impl Handlers {
    /// Creates the handlers. `batch_memory` is the largest decompressed size in bytes of a produced batch that must
    /// be held in memory.
    pub fn new(broker: Arc<Broker>, batch_memory: usize, metrics: &Registry) -> Handlers {
        let authorizer = authorizer::configured(&broker);
        let large_batches = Arc::new(LargeBatches::new(batch_memory));
        let figures = request_figures::registered(metrics);
        let (tls, trace) = (TlsListeners::default(), TraceHub::new(0));
        Handlers { broker, large_batches, schemas: RecordSchemas::default(), authorizer, tls, trace, figures }
    }

    /// Sets the schemas by which records are validated.
    pub fn with_schemas(self, schemas: RecordSchemas) -> Handlers {
        Handlers { schemas, ..self }
    }

    /// Sets the listeners with TLS, whose settings can be altered.
    pub fn with_tls(self, tls: TlsListeners) -> Handlers {
        Handlers { tls, ..self }
    }

    /// Sets what gets the requests that are done.
    pub fn with_trace(self, trace: Arc<TraceHub>) -> Handlers {
        Handlers { trace, ..self }
    }

    /// Creates the context of a request. `identity`: who has authenticated with SASL.
    fn context(&self, connection: &Arc<ConnectionInfo>, header: RequestHeader, identity: Option<Identity>) -> Context {
        let by_token = identity.as_ref().is_some_and(|identity| identity.by_token);
        let principal = identity.map_or_else(|| connection.principal.clone(), |identity| identity.principal);
        Context {
            broker: Arc::clone(&self.broker),
            large_batches: Arc::clone(&self.large_batches),
            schemas: self.schemas.clone(),
            authorizer: Arc::clone(&self.authorizer),
            tls: self.tls.clone(),
            connection: Arc::clone(connection),
            caller: Caller {
                principal,
                client_address: connection.peer,
                listener: Arc::clone(&connection.listener),
                by_token,
            },
            header,
            metering: None,
        }
    }

    /// Refuses a request that cannot be decoded or is not supported. The connection is closed, as in Kafka, except that
    /// ApiVersions is always answered, so that newer clients can fall back to a supported version.
    fn refuse(&self, error: FrameError) -> Outcome {
        if let Some(header) = error.header()
            && header.api_key == ApiKey::ApiVersions as i16
            && let FrameError::UnsupportedVersion { .. } = error
        {
            let response = api_versions::unsupported_version();
            return encode(header.correlation_id, 0, &response.into(), Then::Continue);
        }
        let kind = match error {
            FrameError::UnsupportedVersion { .. } => UNSUPPORTED,
            _ => "connections closed because a request cannot be read",
        };
        Outcome::Close(CloseReason::new(kind, refusal(&error)))
    }
}

/// The reason for closing the connection on a request that gets no response: the client, the request, and the supported
/// versions.
fn refusal(error: &FrameError) -> String {
    let client = match error.header().and_then(|header| header.client_id.as_ref()) {
        Some(client_id) => format!("client '{client_id}' sent"),
        None => "the client sent".to_owned(),
    };
    match error {
        FrameError::UnsupportedVersion { key, header } | FrameError::BadBody { key, header, .. } => {
            let version = header.api_version;
            match served::versions(*key) {
                // The version is supported, but the request is malformed.
                Some(range) if range.contains(&version) => format!("{client} a request that cannot be read: {error}"),
                Some(range) => {
                    let (oldest, newest) = (range.start(), range.end());
                    format!("{client} {key} version {version}, but the supported versions are {oldest} to {newest}")
                }
                None => format!("{client} {key} version {version}, which is not supported"),
            }
        }
        error => format!("{client} a request that cannot be read: {error}"),
    }
}

impl Dispatch for Handlers {
    fn faults(&self) -> u64 {
        faults::count()
    }

    fn is_intact(&self, chunk: &[u8]) -> bool {
        faults::is_intact(chunk)
    }

    fn on_unreadable(&self, chunk: &[u8]) {
        faults::note_unreadable(chunk);
    }

    fn excerpts(&self, connection: &ConnectionInfo, frame: &[u8]) -> Option<Arc<Excerpts>> {
        self.trace.excerpts(connection, frame)
    }

    fn on_done(&self, connection: &Arc<ConnectionInfo>, exchange: &Exchange) {
        self.figures.record(exchange);
        self.trace.done(|| self.broker.clock().wall(), connection, exchange);
    }

    fn on_disconnect(&self, connection: &Arc<ConnectionInfo>) {
        self.broker.groups().connection_closed(connection.id);
        self.broker.client_metrics().disconnected(connection.id);
    }

    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Outcome {
        let metering = Metering::begin(self.broker.quotas(), self.broker.clock(), frame.len());
        let (frame, identity) = match &connection.sasl {
            None => (frame, None),
            Some(session) => match self.gate(connection, &mut session.lock(), frame) {
                Gate::Request(frame, identity) => (frame, Some(identity)),
                Gate::Handled(outcome) => return outcome,
            },
        };
        let (header, request) = match decode_request(frame) {
            Ok(read) => read,
            Err(error) => return self.refuse(error),
        };
        let (correlation_id, version, key) = (header.correlation_id, header.api_version, request.key());
        if !served::versions(key).is_some_and(|range| range.contains(&version)) {
            return self.refuse(FrameError::UnsupportedVersion { key, header });
        }
        let context = Context { metering, ..self.context(connection, header, identity) };
        tracing::debug!(
            target: REQUEST_LOG,
            client = %connection, client_id = context.client_id(), version, correlation_id, "{key}"
        );
        if let Some(new_use) = connection.first_use.note(use_of(&request)) {
            note_use(&context, new_use);
        }
        if let Request::Fetch(_) = &request {
            self.broker.groups().silent().fetched(context.client_id());
        }
        let spans = RequestSpans::begin(&context, &request);
        let answer = handle(&context, request);
        match throttling::measured(&context, answer) {
            Answer::Ready(mut response) => {
                let then = throttling::mute(&context, &mut response);
                error_versions::translate(version, &mut response);
                self.figures.count_errors(&mut response);
                if let Some(spans) = spans {
                    spans.end(&context, Some(&response));
                }
                encode(correlation_id, version, &response, then)
            }
            Answer::Parked(future) => {
                let figures = Arc::clone(&self.figures);
                Outcome::Parked(Box::pin(async move {
                    let mut response = future.await;
                    let then = throttling::mute(&context, &mut response);
                    error_versions::translate(version, &mut response);
                    figures.count_errors(&mut response);
                    if let Some(spans) = spans {
                        spans.end(&context, Some(&response));
                    }
                    let frame = encode_response(correlation_id, version, &response);
                    frame.map(|chunks| Reply { chunks, then }).map_err(|error| unencodable(key, &error))
                }))
            }
            Answer::Nothing => {
                if let Some(spans) = spans {
                    spans.end(&context, None);
                }
                throttling::without_reply(&context)
            }
            Answer::Close(why) => Outcome::Close(why),
        }
    }
}

/// The use of a connection that a request shows.
fn use_of(request: &Request) -> ConnectionUse {
    match request {
        Request::ApiVersions(_) => ConnectionUse::Handshake,
        Request::Metadata(request) if request.topics.as_ref().is_some_and(Vec::is_empty) => ConnectionUse::FindBrokers,
        Request::FindCoordinator(_) => ConnectionUse::FindCoordinator,
        Request::JoinGroup(_) => ConnectionUse::JoinGroup,
        _ => ConnectionUse::Work,
    }
}

/// Notifies the groups of a connection's use, because its client may be about to join one.
fn note_use(context: &Context, new: NewUse) {
    let (groups, client_id, connection) = (context.broker.groups(), context.client_id(), context.connection.id);
    let client = Arrival { client_id, connection, found_brokers: new.found_brokers };
    match new.connection_use {
        ConnectionUse::Handshake => groups.connection_opened(client_id, connection),
        ConnectionUse::FindBrokers => {}
        ConnectionUse::FindCoordinator => groups.arriving(|now, clients| clients.asked(now, client)),
        ConnectionUse::JoinGroup => groups.arriving(|_, clients| clients.joins(connection)),
        ConnectionUse::Work => groups.arriving(|now, clients| clients.works(now, client, new.found_coordinator)),
    }
}

fn encode(correlation_id: i32, version: i16, response: &Response, then: Then) -> Outcome {
    match encode_response(correlation_id, version, response) {
        Ok(chunks) => Outcome::Ready(Reply { chunks, then }),
        Err(error) => Outcome::Close(unencodable(response.key(), &error)),
    }
}

fn unencodable(key: ApiKey, error: &ottla_wire::codec::EncodeError) -> CloseReason {
    format!("the response to {key} cannot be encoded: {error}").into()
}

/// Calls the handler of the request's API. Every API listed in [`served`] has one.
fn handle(context: &Context, request: Request) -> Answer {
    match request {
        Request::ApiVersions(request) => api_versions::handle(context, request),
        Request::Metadata(request) => metadata::handle(context, request),
        Request::Produce(request) => produce::handle(context, request),
        Request::Fetch(request) => fetch::handle(context, request),
        Request::ListOffsets(request) => list_offsets::handle(context, request),
        Request::FindCoordinator(request) => groups::find_coordinator(context, request),
        Request::JoinGroup(request) => groups::join(context, request),
        Request::SyncGroup(request) => groups::sync(context, request),
        Request::Heartbeat(request) => groups::heartbeat(context, request),
        Request::LeaveGroup(request) => groups::leave(context, request),
        Request::OffsetCommit(request) => offsets::commit(context, request),
        Request::OffsetFetch(request) => offsets::fetch(context, request),
        Request::DescribeGroups(request) => group_admin::describe(context, request),
        Request::ListGroups(request) => group_admin::list(context, request),
        Request::DeleteGroups(request) => group_admin::delete(context, request),
        Request::OffsetDelete(request) => group_admin::delete_offsets(context, request),
        Request::CreateTopics(request) => topics::create(context, request),
        Request::DeleteTopics(request) => topics::delete(context, request),
        Request::CreatePartitions(request) => topics::create_partitions(context, request),
        Request::DescribeConfigs(request) => configs::describe(context, request),
        Request::AlterConfigs(request) => alter_configs::alter(context, request),
        Request::IncrementalAlterConfigs(request) => alter_configs::alter_incrementally(context, request),
        Request::DescribeLogDirs(request) => cluster::describe_log_dirs(context, request),
        Request::DescribeCluster(request) => cluster::describe_cluster(context, request),
        Request::UnregisterBroker(request) => cluster::unregister_broker(context, request),
        Request::DescribeTopicPartitions(request) => cluster::describe_topic_partitions(context, request),
        Request::DeleteRecords(request) => records::delete(context, request),
        Request::OffsetForLeaderEpoch(request) => records::offset_for_leader_epoch(context, request),
        Request::InitProducerId(request) => transactions::init_producer_id(context, request),
        Request::DescribeAcls(request) => acls::describe(context, request),
        Request::CreateAcls(request) => acls::create(context, request),
        Request::DeleteAcls(request) => acls::delete(context, request),
        Request::AlterReplicaLogDirs(request) => reassignments::alter_log_dirs(context, request),
        Request::ElectLeaders(request) => reassignments::elect_leaders(context, request),
        Request::AlterPartitionReassignments(request) => reassignments::alter(context, request),
        Request::ListPartitionReassignments(request) => reassignments::list(context, request),
        Request::DescribeClientQuotas(request) => client_quotas::describe(context, request),
        Request::AlterClientQuotas(request) => client_quotas::alter(context, request),
        Request::DescribeUserScramCredentials(request) => scram_users::describe(context, request),
        Request::AlterUserScramCredentials(request) => scram_users::alter(context, request),
        Request::CreateDelegationToken(request) => delegation_tokens::create(context, request),
        Request::RenewDelegationToken(request) => delegation_tokens::renew(context, request),
        Request::ExpireDelegationToken(request) => delegation_tokens::expire(context, request),
        Request::DescribeDelegationToken(request) => delegation_tokens::describe(context, request),
        Request::DescribeQuorum(request) => quorum::describe(context, request),
        Request::UpdateFeatures(request) => features::update(context, request),
        Request::DescribeProducers(request) => transactions::describe_producers(context, request),
        Request::DescribeTransactions(request) => transactions::describe(context, request),
        Request::ListTransactions(request) => transactions::list(context, request),
        Request::AddPartitionsToTxn(request) => transactions::add_partitions(context, request),
        Request::AddOffsetsToTxn(request) => transactions::add_offsets(context, request),
        Request::EndTxn(request) => transactions::end(context, request),
        Request::WriteTxnMarkers(request) => transactions::write_markers(context, request),
        Request::TxnOffsetCommit(request) => transactions::commit_offsets(context, request),
        Request::SaslHandshake(request) => sasl::handshake(request),
        Request::SaslAuthenticate(request) => sasl::authenticate(request),
        Request::GetTelemetrySubscriptions(request) => client_metrics::subscription(context, &request),
        Request::PushTelemetry(request) => client_metrics::push(context, request),
        Request::ListConfigResources(request) => configs::list_resources(context, request),
        other => Answer::Close(CloseReason::new(UNSUPPORTED, format!("sent {}, which is not supported", other.key()))),
    }
}
