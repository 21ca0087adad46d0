//! DescribeGroups (key 15, versions 0 to 6), ListGroups (16, 0 to 5), DeleteGroups (42, 0 to 3) and
//! OffsetDelete (47, version 0): administration of groups.
//!
//! A group that does not exist is described as `Dead`; from version 6 on, with GROUP_ID_NOT_FOUND.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::authorizer::{Operation, Resource};
use super::context::{Answer, Context};
use super::denied_topics::DeniedTopics;
use super::errors::{ToErrorCode, code_of};
use super::groups::{MAX_LOADING_WAIT, optional, run, text};
use crate::state::runtime::Unavailable;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::{
    DeleteGroups, DeleteOffsets, GroupDescription, GroupError, GroupState, ListedGroup as GroupOverview,
    MemberDescription,
};
use ottla_core::machine::Command;
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::delete_groups::{DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse};
use ottla_wire::protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use ottla_wire::protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use ottla_wire::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use ottla_wire::types::{ErrorCode, PartitionIndex, TopicName};

pub(super) fn describe(context: &Context, request: DescribeGroupsRequest) -> Answer {
    let groups = request.groups.into_iter().map(|group_id| {
        if let Err(denied) = context.authorize(Operation::Describe, Resource::Group(&group_id)) {
            return DescribedGroup { error_code: denied.error_code().code(), group_id, ..Default::default() };
        }
        let authorized_operations =
            context.authorized_operations(request.include_authorized_operations, Resource::Group(&group_id));
        context.broker.groups().not_joining(&group_id, context.connection.id);
        let found = match context.broker.has_internal_topic(CONSUMER_OFFSETS) {
            true => context.broker.groups().query(&group_id, |machine| machine.describe(&group_id)),
            false => Ok(None),
        };
        match found {
            Ok(Some(group)) => DescribedGroup { authorized_operations, ..described(group) },
            Ok(None) if context.version() >= 6 => not_found(group_id),
            Ok(None) => DescribedGroup { authorized_operations, ..dead(group_id) },
            Err(unavailable) => {
                DescribedGroup { error_code: unavailable.error_code().code(), group_id, ..Default::default() }
            }
        }
    });
    DescribeGroupsResponse { groups: groups.collect(), ..Default::default() }.into()
}

fn described(group: GroupDescription) -> DescribedGroup {
    DescribedGroup {
        group_id: text(&group.group_id),
        group_state: Str::from_static(group.state.name()),
        protocol_type: text(&group.protocol_type),
        protocol_data: text(&group.protocol),
        members: group.members.into_iter().map(described_member).collect(),
        ..Default::default()
    }
}

fn described_member(member: MemberDescription) -> DescribedGroupMember {
    DescribedGroupMember {
        member_id: text(&member.member_id),
        group_instance_id: optional(member.instance_id.as_ref()),
        client_id: text(&member.client_id),
        client_host: text(&member.client_host),
        member_metadata: member.metadata,
        member_assignment: member.assignment,
    }
}

fn dead(group_id: Str) -> DescribedGroup {
    DescribedGroup { group_id, group_state: Str::from_static(GroupState::Dead.name()), ..Default::default() }
}

fn not_found(group_id: Str) -> DescribedGroup {
    DescribedGroup {
        error_code: ErrorCode::GroupIdNotFound.code(),
        error_message: Some(format!("Group {group_id} not found.").into()),
        ..dead(group_id)
    }
}

pub(super) fn list(context: &Context, request: ListGroupsRequest) -> Answer {
    let listed = list_all(context, &request);
    if !matches!(listed, Err(Unavailable::Loading)) {
        return respond_listed(context, listed).into();
    }
    let context = context.clone();
    Answer::parked(async move {
        context.broker.groups().runtime().wait_until_all_loaded(MAX_LOADING_WAIT).await;
        respond_listed(&context, list_all(&context, &request))
    })
}

/// The groups of all coordinators.
type Listed = Result<Vec<Vec<GroupOverview>>, Unavailable>;

fn list_all(context: &Context, request: &ListGroupsRequest) -> Listed {
    let groups = context.broker.groups().runtime();
    groups.query_all(|machine| machine.list(&request.states_filter, &request.types_filter))
}

fn respond_listed(context: &Context, listed: Listed) -> ListGroupsResponse {
    match listed {
        Ok(shards) => {
            let sees_all = context.allows(Operation::Describe, Resource::Cluster);
            let visible = |group_id: &str| sees_all || context.allows(Operation::Describe, Resource::Group(group_id));
            let groups = shards.into_iter().flatten().filter(|group| visible(&group.group_id));
            let groups = groups.map(|group| ListedGroup {
                group_id: text(&group.group_id),
                protocol_type: text(&group.protocol_type),
                group_state: Str::from_static(group.state.name()),
                group_type: Str::from_static(group.group_type.name()),
            });
            ListGroupsResponse { groups: groups.collect(), ..Default::default() }
        }
        Err(unavailable) => ListGroupsResponse { error_code: unavailable.error_code().code(), ..Default::default() },
    }
}

pub(super) fn delete(context: &Context, request: DeleteGroupsRequest) -> Answer {
    let broker = Arc::clone(&context.broker);
    // All commands are submitted before the first reply is awaited, because replies may wait for a sync.
    let mut named = HashSet::new();
    let submitted: Vec<_> = request
        .groups_names
        .into_iter()
        // A group that the request names twice is answered once.
        .filter(|name| named.insert(name.clone()))
        .map(|name| {
            if let Err(denied) = context.authorize(Operation::Delete, Resource::Group(&name)) {
                return (name, Err(denied.error_code()));
            }
            let group: GroupId = (&*name).into();
            let pending = match broker.has_internal_topic(CONSUMER_OFFSETS) {
                true => broker.groups().submit(&group, DeleteGroups(vec![Arc::clone(&group)])).map(Some),
                false => Ok(None),
            };
            (name, pending.map_err(|unavailable| unavailable.error_code()))
        })
        .collect();
    Answer::parked(async move {
        let mut results = Vec::with_capacity(submitted.len());
        for (group_id, pending) in submitted {
            let result = match pending {
                Ok(Some(pending)) => deletion(pending.reply().await),
                Ok(None) => Err(GroupError::GroupIdNotFound.error_code()),
                Err(error) => Err(error),
            };
            let error = result.err().unwrap_or(ErrorCode::None);
            // Clients have their own messages for these codes.
            results.push(DeletableGroupResult { group_id, error_code: error.code(), error_message: None });
        }
        DeleteGroupsResponse { results, ..Default::default() }
    })
}

fn deletion(reply: Result<<DeleteGroups as Command>::Reply, Unavailable>) -> Result<(), ErrorCode> {
    match reply {
        Ok(mut results) => match results.pop() {
            Some((_, result)) => result.map_err(|error| error.error_code()),
            None => Err(ErrorCode::UnknownServerError),
        },
        Err(unavailable) => Err(unavailable.error_code()),
    }
}

pub(super) fn delete_offsets(context: &Context, request: OffsetDeleteRequest) -> Answer {
    let cluster = context.broker.cluster();
    if let Err(denied) = context.authorize(Operation::Delete, Resource::Group(&request.group_id)) {
        return OffsetDeleteResponse { error_code: denied.error_code().code(), ..Default::default() }.into();
    }
    let group_id: Arc<str> = (&*request.group_id).into();
    let exists = |topic: &str, index: PartitionIndex| cluster.image.partition(topic, index).is_some();
    // The coordinator gets the partitions that exist and may be read; each of the others is refused.
    let denied = context.denied_topics(Operation::Read, request.topics.iter().map(|topic| &*topic.name));
    let topics: Vec<(TopicName, Vec<PartitionIndex>)> = request
        .topics
        .iter()
        .filter(|topic| !denied.contains(&topic.name))
        .map(|topic| {
            let indexes = topic.partitions.iter().map(|partition| partition.partition_index);
            (TopicName::from(&*topic.name), indexes.filter(|&index| exists(&topic.name, index)).collect())
        })
        .collect();
    let command = DeleteOffsets { group_id: Arc::clone(&group_id), topics };
    if !context.broker.has_internal_topic(CONSUMER_OFFSETS) {
        let error_code = GroupError::GroupIdNotFound.error_code().code();
        return OffsetDeleteResponse { error_code, ..Default::default() }.into();
    }
    run(context, &group_id, command, move |reply| match reply {
        Ok(Ok(results)) => {
            let outcomes: HashMap<(TopicName, PartitionIndex), i16> = results
                .into_iter()
                .flat_map(|topic| {
                    let name = topic.topic;
                    topic
                        .partitions
                        .into_iter()
                        .map(move |(index, result)| ((Arc::clone(&name), index), code_of(&result)))
                })
                .collect();
            OffsetDeleteResponse { topics: deleted_offsets(request, &outcomes, &denied), ..Default::default() }
        }
        Ok(Err(error)) => OffsetDeleteResponse { error_code: error.error_code().code(), ..Default::default() },
        Err(unavailable) => OffsetDeleteResponse { error_code: unavailable.error_code().code(), ..Default::default() },
    })
}

fn deleted_offsets(
    request: OffsetDeleteRequest,
    outcomes: &HashMap<(TopicName, PartitionIndex), i16>,
    denied: &DeniedTopics,
) -> Vec<OffsetDeleteResponseTopic> {
    let topic = |topic: ottla_wire::protocol::messages::offset_delete::OffsetDeleteRequestTopic| {
        let name = TopicName::from(&*topic.name);
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            let refusal = match denied.contains(&topic.name) {
                true => ErrorCode::TopicAuthorizationFailed,
                false => ErrorCode::UnknownTopicOrPartition,
            };
            let error_code = outcomes.get(&(Arc::clone(&name), index)).copied().unwrap_or(refusal.code());
            OffsetDeleteResponsePartition { partition_index: index, error_code }
        });
        OffsetDeleteResponseTopic { partitions: partitions.collect(), name: topic.name }
    };
    request.topics.into_iter().filter(|topic| !topic.partitions.is_empty()).map(topic).collect()
}
