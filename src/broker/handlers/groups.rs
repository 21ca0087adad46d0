//! FindCoordinator (key 10, versions 0 to 6), JoinGroup (11, 0 to 9), Heartbeat (12, 0 to 4),
//! LeaveGroup (13, 0 to 5) and SyncGroup (14, 0 to 5): the classic group protocol.
//!
//! FindCoordinator also names the coordinator of a transactional id, and creates `__transaction_state`.
//!
//! This broker coordinates a group if it has the group's partition of `__consumer_offsets`. Otherwise the group has no
//! coordinator: COORDINATOR_NOT_AVAILABLE, and NOT_COORDINATOR for requests of the group. The first request that needs
//! `__consumer_offsets` creates it. From version 3 of LeaveGroup on, several members may leave at once.
//!
//! A client that looks for the coordinator of one group may be about to join it. The group is notified: unless
//! `group.initial.rebalance.delay.ms` is set, a group without members waits for such clients.
//!
//! Departures: a static member that replaces its predecessor is described with its own client id and host, whereas Kafka keeps the
//! predecessor's.

use std::sync::Arc;
use std::time::Duration;

use super::authorizer::{Denied, Operation, Resource};
use super::context::{Answer, Context};
use super::errors::{INVALID_REQUEST, ToErrorCode, code_of};
use super::eventual::Eventual;
use crate::state::Broker;
use crate::state::advertised::Endpoint;
use crate::state::runtime::Unavailable;
use crate::state::silent_clients;
use ottla_core::coordinator::group::{
    GroupClient, GroupCommand, GroupMachine, Heartbeat, JoinGroup, JoinRefused, Joined, LeaveGroup, LeavingMember,
    MemberLeft, Protocol, Sent, SyncGroup, Synced,
};
use ottla_core::machine::Command;
use ottla_core::metadata::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_wire::protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_wire::protocol::messages::join_group::{JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember};
use ottla_wire::protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};
use ottla_wire::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use ottla_wire::types::{ErrorCode, Uuid};

/// How long a request that no other depends on waits for a coordinator that is loading, before the answer says so: the
/// client's next try would come later than needed.
pub(super) const MAX_LOADING_WAIT: Duration = Duration::from_secs(1);

/// The key types of FindCoordinator.
const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
const SHARE: i8 = 2;
/// The first version with keys of the type SHARE.
const SHARE_FROM: i16 = 6;
/// The key types that Kafka knows: groups, transactions and partitions of share groups.
const KNOWN_TYPES: std::ops::RangeInclusive<i8> = 0..=2;

pub(super) fn find_coordinator(context: &Context, request: FindCoordinatorRequest) -> Answer {
    let batched = context.version() >= 4;
    let keys = if batched { request.coordinator_keys } else { vec![request.key] };
    let key_type = request.key_type;
    if key_type == SHARE && context.version() >= SHARE_FROM {
        return find_share_coordinators(context, keys).into();
    }
    let endpoint = context.endpoint();
    let node_id = context.broker.node_id();
    let broker = Arc::clone(&context.broker);
    let found_by = Arc::clone(&broker);
    let authorize = |key: Str| {
        let authorized = match key_type {
            GROUP => context.authorize(Operation::Describe, Resource::Group(&key)),
            TRANSACTION => context.authorize(Operation::Describe, Resource::TransactionalId(&key)),
            _ => Ok(()),
        };
        (key, authorized)
    };
    let keys: Vec<_> = keys.into_iter().map(authorize).collect();
    let coordinated: Vec<Str> =
        keys.iter().filter(|(_, authorized)| authorized.is_ok()).map(|(key, _)| key.clone()).collect();
    // Consumers look for one group; a request for several is an administrator's.
    let may_join = match keys.as_slice() {
        [(group_id, Ok(()))] if key_type == GROUP => {
            Some(GroupClient { group_id: (&**group_id).into(), client_id: context.client_id().into() })
        }
        _ => None,
    };
    let connection = Arc::clone(&context.connection);
    let all_denied = !keys.is_empty() && keys.iter().all(|(_, authorized)| authorized.is_err());
    let respond = move |available: bool| {
        if let Some(client) = may_join.filter(|client| available && found_by.groups().is_available(&client.group_id)) {
            found_by.groups().coordinator_asked(silent_clients::Client {
                peer: connection.peer.ip(),
                client_id: Arc::clone(&client.client_id),
                software: connection
                    .client_software()
                    .map(|it| format!("{} {}", it.name, it.version))
                    .unwrap_or_default(),
                group_id: (&*client.group_id).into(),
            });
            found_by.groups().coordinator_found(client, connection.id);
        }
        let found = keys.into_iter().map(|(key, authorized)| {
            if let Err(denied) = authorized {
                return denied_key(batched, denied, key);
            }
            let available = available
                && match key_type {
                    TRANSACTION => found_by.transactions().is_available(&key),
                    _ => found_by.groups().is_available(&key),
                };
            match coordinator_error(key_type, available) {
                // Kafka's messages for success, with and without batches.
                ErrorCode::None => found_here(node_id, &endpoint, if batched { "" } else { "NONE" }, key),
                error => not_found(error, coordinator_message(key_type, batched, error), key),
            }
        });
        coordinators(batched, found)
    };
    let topic = match key_type {
        GROUP => CONSUMER_OFFSETS,
        TRANSACTION => TRANSACTION_STATE,
        _ => return respond(true).into(),
    };
    let ready = match key_type {
        GROUP => are_loaded(&broker, &coordinated),
        _ => coordinated.iter().all(|id| transaction_is_loaded(&broker, id)),
    };
    if all_denied || broker.has_internal_topic(topic) && ready {
        return respond(true).into();
    }
    let cause = context.cause("FindCoordinator");
    Answer::parked(async move {
        let available = broker.ensure_internal_topic(topic, cause).await.is_ok();
        match key_type {
            GROUP => wait_until_loaded(&broker, &coordinated).await,
            _ => {
                for id in &coordinated {
                    broker.transactions().wait_until_loaded(id, MAX_LOADING_WAIT).await;
                }
            }
        }
        respond(available)
    })
}

/// Finds the coordinators of partitions of share groups, for which brokers ask. As in Apache Kafka, each has one, also if
/// there is no such group; the requests to it are not served.
fn find_share_coordinators(context: &Context, keys: Vec<Str>) -> FindCoordinatorResponse {
    let denied = match keys.is_empty() {
        true => None,
        false => context.authorize(Operation::ClusterAction, Resource::Cluster).err(),
    };
    let endpoint = context.endpoint();
    let found = keys.into_iter().map(|key| match denied {
        Some(denied) => not_found(denied.error_code(), denied.message(), key),
        None if is_share_key(&key) => found_here(context.broker.node_id(), &endpoint, "", key),
        None => not_found(ErrorCode::InvalidRequest, "", key),
    });
    coordinators(true, found)
}

/// Whether a key is `<group>:<topic id>:<partition>`.
fn is_share_key(key: &str) -> bool {
    let [group, topic_id, partition] = key.split(':').collect::<Vec<_>>()[..] else { return false };
    !group.trim().is_empty() && Uuid::parse(topic_id).is_some() && partition.parse::<i32>().is_ok()
}

fn found_here(node_id: i32, endpoint: &Endpoint, message: &'static str, key: Str) -> Coordinator {
    Coordinator {
        key,
        node_id,
        host: endpoint.host.as_str().into(),
        port: endpoint.port.into(),
        error_message: Some(Str::from_static(message)),
        ..Default::default()
    }
}

fn transaction_is_loaded(broker: &Broker, transactional_id: &str) -> bool {
    !matches!(broker.transactions().query(transactional_id, |_| ()), Err(Unavailable::Loading))
}

/// Whether no coordinator of these groups is loading.
pub(super) fn are_loaded(broker: &Broker, group_ids: &[Str]) -> bool {
    !group_ids.iter().any(|id| broker.groups().is_loading(id))
}

/// Waits for the coordinators of these groups, for a bounded time. Only for requests on which no other depends: while a
/// request waits, the next one of its connection is handled.
pub(super) async fn wait_until_loaded(broker: &Broker, group_ids: &[Str]) {
    for id in group_ids {
        broker.groups().wait_until_loaded(id, MAX_LOADING_WAIT).await;
    }
}

/// The error for a key. This broker coordinates every group and transaction.
fn coordinator_error(key_type: i8, available: bool) -> ErrorCode {
    match key_type {
        GROUP | TRANSACTION if available => ErrorCode::None,
        GROUP | TRANSACTION => ErrorCode::CoordinatorNotAvailable,
        _ => ErrorCode::InvalidRequest,
    }
}

/// Kafka's message for a key without a coordinator. Keys of a batch have no message.
fn coordinator_message(key_type: i8, batched: bool, error: ErrorCode) -> &'static str {
    match error {
        _ if batched && KNOWN_TYPES.contains(&key_type) => "",
        ErrorCode::CoordinatorNotAvailable => "The coordinator is not available.",
        _ => INVALID_REQUEST,
    }
}

/// The result for a key that the caller may not describe. Keys of a batch have no message.
fn denied_key(batched: bool, denied: Denied, key: Str) -> Coordinator {
    let message = if batched { "" } else { denied.message() };
    not_found(denied.error_code(), message, key)
}

fn not_found(error: ErrorCode, message: &'static str, key: Str) -> Coordinator {
    Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: error.code(),
        error_message: Some(Str::from_static(message)),
        ..Default::default()
    }
}

fn coordinators(batched: bool, mut found: impl Iterator<Item = Coordinator>) -> FindCoordinatorResponse {
    match batched {
        true => FindCoordinatorResponse { coordinators: found.collect(), ..Default::default() },
        false => one_found(found.next()),
    }
}

fn one_found(found: Option<Coordinator>) -> FindCoordinatorResponse {
    let found = found.unwrap_or_default();
    FindCoordinatorResponse {
        error_code: found.error_code,
        error_message: found.error_message,
        node_id: found.node_id,
        host: found.host,
        port: found.port,
        ..Default::default()
    }
}

/// Runs a command on a group, and builds the response from its reply or its error.
pub(super) fn run<C, Response>(
    context: &Context,
    group_id: &str,
    command: C,
    respond: impl FnOnce(Result<C::Reply, Unavailable>) -> Response + Send + 'static,
) -> Answer
where
    C: Command<Machine = GroupMachine> + Into<GroupCommand> + Send + 'static,
    Response: Into<ottla_wire::protocol::Response> + 'static,
{
    let broker = Arc::clone(&context.broker);
    let request = Sent { command, connection: context.connection.id };
    if !broker.has_internal_topic(CONSUMER_OFFSETS) {
        let group_id = group_id.to_owned();
        let cause = context.cause("first use of a group");
        return Answer::parked(async move {
            let reply = match broker.ensure_internal_topic(CONSUMER_OFFSETS, cause).await {
                Ok(()) => match broker.groups().submit(&group_id, request) {
                    Ok(pending) => pending.reply().await,
                    Err(unavailable) => Err(unavailable),
                },
                Err(_) => Err(Unavailable::NotAvailable),
            };
            respond(reply)
        });
    }
    match broker.groups().submit(group_id, request) {
        Err(unavailable) => respond(Err(unavailable)).into().into(),
        Ok(pending) => Eventual::of(pending, |reply| reply).answer(respond),
    }
}

pub(super) fn join(context: &Context, request: JoinGroupRequest) -> Answer {
    let version = context.version();
    if let Err(denied) = context.authorize(Operation::Read, Resource::Group(&request.group_id)) {
        return join_refused(version, "", denied.error_code()).into();
    }
    let group_id: Arc<str> = (&*request.group_id).into();
    let requested_member: Arc<str> = (&*request.member_id).into();
    let command = JoinGroup {
        group_id: Arc::clone(&group_id),
        member_id: Arc::clone(&requested_member),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        client_id: context.client_id().into(),
        client_host: format!("/{}", context.connection.peer.ip()).into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        protocol_type: (&*request.protocol_type).into(),
        protocols: request
            .protocols
            .iter()
            // Copied: members outlive the request, and its fields are slices of the request.
            .map(|protocol| Protocol {
                name: (&*protocol.name).into(),
                metadata: bytes::Bytes::copy_from_slice(&protocol.metadata),
            })
            .collect(),
        reason: request.reason.as_deref().map(str::to_owned),
        member_id_required: version >= 4,
        can_skip_assignment: version >= 9,
        random: context.broker.random_bits(),
        others_expected_until: context.broker.groups().others_expected_until(context.client_id()),
    };
    run(context, &group_id, command, move |reply| match reply {
        Ok(Ok(joined)) => joined_response(version, joined),
        Ok(Err(JoinRefused { member_id, error })) => join_refused(version, &member_id, error.error_code()),
        Err(unavailable) => join_refused(version, &requested_member, unavailable.error_code()),
    })
}

fn joined_response(version: i16, joined: Joined) -> JoinGroupResponse {
    JoinGroupResponse {
        generation_id: joined.generation,
        protocol_type: optional(joined.protocol_type.as_ref()),
        protocol_name: protocol_name(version, joined.protocol.as_ref()),
        leader: text(&joined.leader),
        skip_assignment: joined.skip_assignment,
        member_id: text(&joined.member_id),
        members: joined
            .members
            .into_iter()
            .map(|member| JoinGroupResponseMember {
                member_id: text(&member.member_id),
                group_instance_id: optional(member.instance_id.as_ref()),
                metadata: member.metadata,
            })
            .collect(),
        ..Default::default()
    }
}

fn join_refused(version: i16, member_id: &str, error: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: error.code(),
        generation_id: -1,
        protocol_name: protocol_name(version, None),
        member_id: member_id.into(),
        ..Default::default()
    }
}

/// Null from version 7 on; before, the empty name means no protocol.
fn protocol_name(version: i16, name: Option<&Arc<str>>) -> Option<Str> {
    match name {
        None if version < 7 => Some(Str::new()),
        name => optional(name),
    }
}

pub(super) fn sync(context: &Context, request: SyncGroupRequest) -> Answer {
    // From version 5 on, both are required.
    if context.version() >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return sync_refused(ErrorCode::InconsistentGroupProtocol).into();
    }
    if let Err(denied) = context.authorize(Operation::Read, Resource::Group(&request.group_id)) {
        return sync_refused(denied.error_code()).into();
    }
    let group_id: Arc<str> = (&*request.group_id).into();
    let command = SyncGroup {
        group_id: Arc::clone(&group_id),
        member_id: (&*request.member_id).into(),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_deref().map(Arc::from),
        protocol: request.protocol_name.as_deref().map(Arc::from),
        assignments: request
            .assignments
            .iter()
            .map(|one| ((&*one.member_id).into(), bytes::Bytes::copy_from_slice(&one.assignment)))
            .collect(),
    };
    run(context, &group_id, command, |reply| match reply {
        Ok(Ok(synced)) => synced_response(synced),
        Ok(Err(error)) => sync_refused(error.error_code()),
        Err(unavailable) => sync_refused(unavailable.error_code()),
    })
}

fn synced_response(synced: Synced) -> SyncGroupResponse {
    SyncGroupResponse {
        protocol_type: optional(synced.protocol_type.as_ref()),
        protocol_name: optional(synced.protocol.as_ref()),
        assignment: synced.assignment,
        ..Default::default()
    }
}

fn sync_refused(error: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: error.code(), ..Default::default() }
}

pub(super) fn heartbeat(context: &Context, request: HeartbeatRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Read, Resource::Group(&request.group_id)) {
        return HeartbeatResponse { error_code: denied.error_code().code(), ..Default::default() }.into();
    }
    let group_id: Arc<str> = (&*request.group_id).into();
    let command = Heartbeat {
        group_id: Arc::clone(&group_id),
        member_id: (&*request.member_id).into(),
        instance_id: request.group_instance_id.as_deref().map(Arc::from),
        generation: request.generation_id,
    };
    run(context, &group_id, command, |reply| {
        let error_code = match reply {
            Ok(result) => code_of(&result),
            Err(unavailable) => unavailable.error_code().code(),
        };
        HeartbeatResponse { error_code, ..Default::default() }
    })
}

pub(super) fn leave(context: &Context, request: LeaveGroupRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Read, Resource::Group(&request.group_id)) {
        return leave_refused(denied.error_code()).into();
    }
    let batched = context.version() >= 3;
    let group_id: Arc<str> = (&*request.group_id).into();
    let members = match batched {
        true => request
            .members
            .iter()
            .map(|member| LeavingMember {
                member_id: (&*member.member_id).into(),
                instance_id: member.group_instance_id.as_deref().map(Arc::from),
                reason: member.reason.as_deref().map(str::to_owned),
            })
            .collect(),
        false => vec![LeavingMember { member_id: (&*request.member_id).into(), instance_id: None, reason: None }],
    };
    let command = LeaveGroup { group_id: Arc::clone(&group_id), members };
    run(context, &group_id, command, move |reply| match reply {
        Ok(Ok(left)) if batched => {
            LeaveGroupResponse { members: left.into_iter().map(member_left).collect(), ..Default::default() }
        }
        Ok(Ok(left)) => {
            let error_code = left.first().map_or(0, |left| code_of(&left.result));
            LeaveGroupResponse { error_code, ..Default::default() }
        }
        Ok(Err(error)) => leave_refused(error.error_code()),
        Err(unavailable) => leave_refused(unavailable.error_code()),
    })
}

fn member_left(left: MemberLeft) -> MemberResponse {
    MemberResponse {
        error_code: code_of(&left.result),
        member_id: text(&left.member_id),
        group_instance_id: optional(left.instance_id.as_ref()),
    }
}

fn leave_refused(error: ErrorCode) -> LeaveGroupResponse {
    LeaveGroupResponse { error_code: error.code(), ..Default::default() }
}

pub(super) fn text(text: &Arc<str>) -> Str {
    Str::from(&**text)
}

pub(super) fn optional(optional: Option<&Arc<str>>) -> Option<Str> {
    optional.map(text)
}
