//! The responses with ILLEGAL_SASL_STATE to requests that have no place in a SASL exchange: one form for each API, that of
//! Kafka's `AbstractRequest.getErrorResponse`. Some clients go on after a failed exchange, and show what they get.

use ottla_wire::codec::Str;
use ottla_wire::protocol::messages as m;
use ottla_wire::protocol::{ApiKey, Request, Response};
use ottla_wire::types::ErrorCode;

const ERROR: i16 = ErrorCode::IllegalSaslState.code();
/// Kafka's general message for the error.
const GENERAL: Str = Str::from_static("Request is not valid given the current SASL state.");
/// The first version of DescribeQuorum with a message.
const QUORUM_MESSAGE_FROM: i16 = 2;
/// The first version of JoinGroup in which the protocol's name may be null.
const NULL_PROTOCOL_FROM: i16 = 7;

/// A response of one error code.
macro_rules! code {
    ($module:ident::$response:ident $(, $field:ident: $value:expr)*) => {
        m::$module::$response { error_code: ERROR, $($field: $value,)* ..Default::default() }.into()
    };
}

mod elements;

/// The response to a request during the exchange; `None` if it gets none.
pub(super) fn response(version: i16, request: Request) -> Option<Response> {
    let message: Str =
        format!("Unexpected Kafka request of type {} during SASL authentication.", name(&request)).into();
    let some = Some(message.clone());
    Some(match request {
        Request::Produce(request) if request.acks == 0 => return None,
        Request::Produce(request) => elements::produce(request, &message),
        Request::Fetch(request) => elements::fetch(version, request),
        Request::ListOffsets(request) => elements::list_offsets(request),
        Request::Metadata(request) => elements::metadata(request),
        Request::OffsetCommit(request) => elements::offset_commit(request),
        Request::OffsetFetch(request) => elements::offset_fetch(version, request),
        Request::FindCoordinator(request) => elements::find_coordinator(version, request),
        Request::DescribeGroups(request) => elements::describe_groups(request),
        Request::CreateTopics(request) => {
            let topic = |topic: m::create_topics::CreatableTopic| m::create_topics::CreatableTopicResult {
                name: topic.name,
                error_code: ERROR,
                error_message: some.clone(),
                configs: Some(Vec::new()),
                ..Default::default()
            };
            let topics = request.topics.into_iter().map(topic).collect();
            m::create_topics::CreateTopicsResponse { topics, ..Default::default() }.into()
        }
        Request::DeleteTopics(request) => elements::delete_topics(request),
        Request::DeleteRecords(request) => elements::delete_records(request),
        Request::OffsetForLeaderEpoch(request) => elements::offset_for_leader_epoch(request),
        Request::AddPartitionsToTxn(request) => elements::add_partitions_to_txn(version, request),
        Request::WriteTxnMarkers(request) => elements::write_txn_markers(request),
        Request::TxnOffsetCommit(request) => elements::txn_offset_commit(request),
        Request::CreateAcls(request) => {
            let result = m::create_acls::AclCreationResult { error_code: ERROR, error_message: some };
            let results = vec![result; request.creations.len()];
            m::create_acls::CreateAclsResponse { results, ..Default::default() }.into()
        }
        Request::DeleteAcls(request) => {
            let result = m::delete_acls::DeleteAclsFilterResult {
                error_code: ERROR,
                error_message: some,
                matching_acls: Vec::new(),
            };
            let filter_results = vec![result; request.filters.len()];
            m::delete_acls::DeleteAclsResponse { filter_results, ..Default::default() }.into()
        }
        Request::DescribeConfigs(request) => elements::describe_configs(request),
        Request::AlterConfigs(request) => {
            let result = |it: m::alter_configs::AlterConfigsResource| m::alter_configs::AlterConfigsResourceResponse {
                error_code: ERROR,
                error_message: some.clone(),
                resource_type: it.resource_type,
                resource_name: it.resource_name,
            };
            let responses = request.resources.into_iter().map(result).collect();
            m::alter_configs::AlterConfigsResponse { responses, ..Default::default() }.into()
        }
        Request::IncrementalAlterConfigs(request) => {
            use m::incremental_alter_configs::{AlterConfigsResource, AlterConfigsResourceResponse};
            let result = |it: AlterConfigsResource| AlterConfigsResourceResponse {
                error_code: ERROR,
                error_message: some.clone(),
                resource_type: it.resource_type,
                resource_name: it.resource_name,
            };
            let responses = request.resources.into_iter().map(result).collect();
            m::incremental_alter_configs::IncrementalAlterConfigsResponse { responses, ..Default::default() }.into()
        }
        Request::AlterReplicaLogDirs(request) => elements::alter_replica_log_dirs(request),
        Request::CreatePartitions(request) => {
            let result =
                |it: m::create_partitions::CreatePartitionsTopic| m::create_partitions::CreatePartitionsTopicResult {
                    name: it.name,
                    error_code: ERROR,
                    error_message: some.clone(),
                };
            let results = request.topics.into_iter().map(result).collect();
            m::create_partitions::CreatePartitionsResponse { results, ..Default::default() }.into()
        }
        Request::DeleteGroups(request) => {
            let result =
                |group_id| m::delete_groups::DeletableGroupResult { group_id, error_code: ERROR, ..Default::default() };
            let results = request.groups_names.into_iter().map(result).collect();
            m::delete_groups::DeleteGroupsResponse { results, ..Default::default() }.into()
        }
        Request::ElectLeaders(request) => elements::elect_leaders(request, &message),
        Request::AlterPartitionReassignments(request) => elements::alter_partition_reassignments(request, &message),
        Request::AlterClientQuotas(request) => elements::alter_client_quotas(request),
        Request::AlterUserScramCredentials(request) => {
            let deleted = request.deletions.into_iter().map(|it| it.name);
            let mut users: Vec<Str> = deleted.chain(request.upsertions.into_iter().map(|it| it.name)).collect();
            users.sort_unstable();
            users.dedup();
            let result = |user| m::alter_user_scram_credentials::AlterUserScramCredentialsResult {
                user,
                error_code: ERROR,
                error_message: some.clone(),
            };
            let results = users.into_iter().map(result).collect();
            m::alter_user_scram_credentials::AlterUserScramCredentialsResponse { results, ..Default::default() }.into()
        }
        Request::DescribeProducers(request) => elements::describe_producers(request),
        Request::DescribeTransactions(request) => {
            let state = |transactional_id| m::describe_transactions::TransactionState {
                error_code: ERROR,
                transactional_id,
                ..Default::default()
            };
            let transaction_states = request.transactional_ids.into_iter().map(state).collect();
            m::describe_transactions::DescribeTransactionsResponse { transaction_states, ..Default::default() }.into()
        }
        Request::DescribeTopicPartitions(request) => {
            let topic = |topic: m::describe_topic_partitions::TopicRequest| {
                m::describe_topic_partitions::DescribeTopicPartitionsResponseTopic {
                    error_code: ERROR,
                    name: Some(topic.name),
                    ..Default::default()
                }
            };
            let topics = request.topics.into_iter().map(topic).collect();
            m::describe_topic_partitions::DescribeTopicPartitionsResponse { topics, ..Default::default() }.into()
        }
        Request::DescribeUserScramCredentials(request) => {
            use m::describe_user_scram_credentials::DescribeUserScramCredentialsResult as UserResult;
            let one = UserResult { error_code: ERROR, error_message: some.clone(), ..Default::default() };
            let results = vec![one; request.users.map_or(0, |users| users.len())];
            code!(describe_user_scram_credentials::DescribeUserScramCredentialsResponse, error_message: some, results: results)
        }
        other => return of_one_code(version, other, &message),
    })
}

/// The name of Kafka's `ApiKeys` constant.
fn name(request: &Request) -> String {
    let mut name = String::new();
    for letter in request.key().name().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_uppercase());
    }
    name
}

/// Responses with one code for the whole request.
fn of_one_code(version: i16, request: Request, message: &Str) -> Option<Response> {
    let some = Some(message.clone());
    let endpoint_type = 1;
    Some(match request.key() {
        ApiKey::JoinGroup => {
            code!(join_group::JoinGroupResponse, protocol_name: (version < NULL_PROTOCOL_FROM).then(Str::new))
        }
        ApiKey::Heartbeat => code!(heartbeat::HeartbeatResponse),
        ApiKey::LeaveGroup => code!(leave_group::LeaveGroupResponse),
        ApiKey::SyncGroup => code!(sync_group::SyncGroupResponse),
        ApiKey::ListGroups => code!(list_groups::ListGroupsResponse),
        ApiKey::SaslHandshake => code!(sasl_handshake::SaslHandshakeResponse),
        ApiKey::ApiVersions => code!(api_versions::ApiVersionsResponse),
        ApiKey::InitProducerId => code!(init_producer_id::InitProducerIdResponse, producer_id: -1, producer_epoch: -1),
        ApiKey::AddOffsetsToTxn => code!(add_offsets_to_txn::AddOffsetsToTxnResponse),
        ApiKey::EndTxn => code!(end_txn::EndTxnResponse),
        ApiKey::DescribeAcls => code!(describe_acls::DescribeAclsResponse, error_message: some),
        ApiKey::DescribeLogDirs => code!(describe_log_dirs::DescribeLogDirsResponse),
        ApiKey::CreateDelegationToken => code!(
            create_delegation_token::CreateDelegationTokenResponse,
            principal_type: "User".into(),
            principal_name: "ANONYMOUS".into(),
            token_requester_principal_type: "User".into(),
            token_requester_principal_name: "ANONYMOUS".into(),
            issue_timestamp_ms: -1,
            expiry_timestamp_ms: -1,
            max_timestamp_ms: -1
        ),
        ApiKey::RenewDelegationToken => code!(renew_delegation_token::RenewDelegationTokenResponse),
        ApiKey::ExpireDelegationToken => code!(expire_delegation_token::ExpireDelegationTokenResponse),
        ApiKey::DescribeDelegationToken => code!(describe_delegation_token::DescribeDelegationTokenResponse),
        ApiKey::ListPartitionReassignments => {
            code!(list_partition_reassignments::ListPartitionReassignmentsResponse, error_message: some)
        }
        ApiKey::OffsetDelete => code!(offset_delete::OffsetDeleteResponse),
        ApiKey::DescribeClientQuotas => {
            code!(describe_client_quotas::DescribeClientQuotasResponse, error_message: some)
        }
        ApiKey::DescribeQuorum => code!(
            describe_quorum::DescribeQuorumResponse,
            error_message: (version >= QUORUM_MESSAGE_FROM).then_some(GENERAL)
        ),
        ApiKey::UpdateFeatures => code!(update_features::UpdateFeaturesResponse, error_message: some),
        ApiKey::DescribeCluster => {
            code!(describe_cluster::DescribeClusterResponse, error_message: some, endpoint_type: endpoint_type)
        }
        ApiKey::UnregisterBroker => code!(unregister_broker::UnregisterBrokerResponse, error_message: some),
        ApiKey::ListTransactions => code!(list_transactions::ListTransactionsResponse),
        ApiKey::GetTelemetrySubscriptions => code!(get_telemetry_subscriptions::GetTelemetrySubscriptionsResponse),
        ApiKey::PushTelemetry => code!(push_telemetry::PushTelemetryResponse),
        ApiKey::ListConfigResources => code!(list_config_resources::ListConfigResourcesResponse),
        _ => return None,
    })
}
