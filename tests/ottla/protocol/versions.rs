//! Every version that ApiVersions lists is answered; every other is refused with a log line.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use ottla::client::ClientError;
use ottla_wire::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_wire::protocol::messages::add_partitions_to_txn::AddPartitionsToTxnRequest;
use ottla_wire::protocol::messages::alter_client_quotas::AlterClientQuotasRequest;
use ottla_wire::protocol::messages::alter_configs::AlterConfigsRequest;
use ottla_wire::protocol::messages::alter_partition_reassignments::AlterPartitionReassignmentsRequest;
use ottla_wire::protocol::messages::alter_replica_log_dirs::AlterReplicaLogDirsRequest;
use ottla_wire::protocol::messages::alter_user_scram_credentials::AlterUserScramCredentialsRequest;
use ottla_wire::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla_wire::protocol::messages::create_acls::CreateAclsRequest;
use ottla_wire::protocol::messages::create_delegation_token::CreateDelegationTokenRequest;
use ottla_wire::protocol::messages::create_partitions::CreatePartitionsRequest;
use ottla_wire::protocol::messages::create_topics::CreateTopicsRequest;
use ottla_wire::protocol::messages::delete_acls::DeleteAclsRequest;
use ottla_wire::protocol::messages::delete_groups::DeleteGroupsRequest;
use ottla_wire::protocol::messages::delete_records::DeleteRecordsRequest;
use ottla_wire::protocol::messages::delete_topics::DeleteTopicsRequest;
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_wire::protocol::messages::describe_client_quotas::DescribeClientQuotasRequest;
use ottla_wire::protocol::messages::describe_cluster::DescribeClusterRequest;
use ottla_wire::protocol::messages::describe_configs::DescribeConfigsRequest;
use ottla_wire::protocol::messages::describe_delegation_token::DescribeDelegationTokenRequest;
use ottla_wire::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla_wire::protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use ottla_wire::protocol::messages::describe_producers::DescribeProducersRequest;
use ottla_wire::protocol::messages::describe_quorum::DescribeQuorumRequest;
use ottla_wire::protocol::messages::describe_topic_partitions::DescribeTopicPartitionsRequest;
use ottla_wire::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use ottla_wire::protocol::messages::describe_user_scram_credentials::DescribeUserScramCredentialsRequest;
use ottla_wire::protocol::messages::elect_leaders::ElectLeadersRequest;
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::expire_delegation_token::ExpireDelegationTokenRequest;
use ottla_wire::protocol::messages::fetch::FetchRequest;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::get_telemetry_subscriptions::GetTelemetrySubscriptionsRequest;
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::incremental_alter_configs::IncrementalAlterConfigsRequest;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::join_group::JoinGroupRequest;
use ottla_wire::protocol::messages::leave_group::LeaveGroupRequest;
use ottla_wire::protocol::messages::list_config_resources::ListConfigResourcesRequest;
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::protocol::messages::list_offsets::ListOffsetsRequest;
use ottla_wire::protocol::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use ottla_wire::protocol::messages::list_transactions::ListTransactionsRequest;
use ottla_wire::protocol::messages::metadata::MetadataRequest;
use ottla_wire::protocol::messages::offset_commit::OffsetCommitRequest;
use ottla_wire::protocol::messages::offset_delete::OffsetDeleteRequest;
use ottla_wire::protocol::messages::offset_fetch::OffsetFetchRequest;
use ottla_wire::protocol::messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use ottla_wire::protocol::messages::produce::ProduceRequest;
use ottla_wire::protocol::messages::push_telemetry::PushTelemetryRequest;
use ottla_wire::protocol::messages::renew_delegation_token::RenewDelegationTokenRequest;
use ottla_wire::protocol::messages::sasl_authenticate::SaslAuthenticateRequest;
use ottla_wire::protocol::messages::sasl_handshake::SaslHandshakeRequest;
use ottla_wire::protocol::messages::sync_group::SyncGroupRequest;
use ottla_wire::protocol::messages::txn_offset_commit::TxnOffsetCommitRequest;
use ottla_wire::protocol::messages::unregister_broker::UnregisterBrokerRequest;
use ottla_wire::protocol::messages::update_features::UpdateFeaturesRequest;
use ottla_wire::protocol::messages::write_txn_markers::WriteTxnMarkersRequest;
use ottla_wire::protocol::{ApiKey, ApiRequest, Response, frame};

use crate::fixture::{Fixture, code, connect, text};

/// A resource of ListConfigResources.
const CLIENT_METRICS: i8 = 16;

/// Sends `request` in every served version; returns 1, the number of APIs.
async fn answered<R: ApiRequest + Clone>(fixture: &Fixture, request: R) -> usize {
    let (oldest, newest) = fixture.client.served(R::KEY).unwrap_or_else(|| panic!("{} is served", R::KEY));
    for version in oldest..=newest {
        let answer = fixture.client.call_at(request.clone(), version).await;
        assert!(answer.is_ok(), "{} version {version}: {:?}", R::KEY, answer.err());
    }
    1
}

#[tokio::test]
async fn every_served_version_is_answered_and_keeps_the_connection() {
    let mut fixture = Fixture::start().await;
    assert_eq!(fixture.set(CLIENT_METRICS, "all", "metrics", "*").await, "NONE");
    fixture.client = connect(&fixture.broker).await;
    let w = &fixture;
    let apis = answered(w, ProduceRequest { acks: -1, ..Default::default() }).await
        + answered(w, FetchRequest::default()).await
        + answered(w, ListOffsetsRequest::default()).await
        + answered(w, MetadataRequest { topics: Some(Vec::new()), ..Default::default() }).await
        + answered(w, OffsetCommitRequest::default()).await
        + answered(w, OffsetFetchRequest { topics: Some(Vec::new()), ..Default::default() }).await
        + answered(w, FindCoordinatorRequest::default()).await
        + answered(w, JoinGroupRequest::default()).await
        + answered(w, HeartbeatRequest::default()).await
        + answered(w, LeaveGroupRequest::default()).await
        + answered(w, SyncGroupRequest::default()).await
        + answered(w, DescribeGroupsRequest::default()).await
        + answered(w, ListGroupsRequest::default()).await
        + answered(w, ApiVersionsRequest::default()).await
        + answered(w, CreateTopicsRequest::default()).await
        + answered(w, DeleteTopicsRequest::default()).await
        + answered(w, DeleteRecordsRequest::default()).await
        + answered(w, InitProducerIdRequest::default()).await
        + answered(w, AddPartitionsToTxnRequest::default()).await
        + answered(w, AddOffsetsToTxnRequest::default()).await
        + answered(w, EndTxnRequest::default()).await
        + answered(w, WriteTxnMarkersRequest::default()).await
        + answered(w, TxnOffsetCommitRequest::default()).await
        + answered(w, OffsetForLeaderEpochRequest::default()).await
        + answered(w, DescribeConfigsRequest::default()).await
        + answered(w, AlterConfigsRequest::default()).await
        + answered(w, DescribeLogDirsRequest::default()).await
        + answered(w, CreatePartitionsRequest::default()).await
        + answered(w, DeleteGroupsRequest::default()).await
        + answered(w, IncrementalAlterConfigsRequest::default()).await
        + answered(w, OffsetDeleteRequest::default()).await
        + answered(w, DescribeClusterRequest::default()).await
        + answered(w, DescribeTopicPartitionsRequest::default()).await
        + answered(w, AlterPartitionReassignmentsRequest::default()).await
        + answered(w, AlterReplicaLogDirsRequest::default()).await
        + answered(w, AlterClientQuotasRequest::default()).await
        + answered(w, AlterUserScramCredentialsRequest::default()).await
        + answered(w, CreateDelegationTokenRequest::default()).await
        + answered(w, RenewDelegationTokenRequest::default()).await
        + answered(w, ExpireDelegationTokenRequest::default()).await
        + answered(w, DescribeDelegationTokenRequest::default()).await
        + answered(w, CreateAclsRequest::default()).await
        + answered(w, DeleteAclsRequest::default()).await
        + answered(
            w,
            DescribeAclsRequest { resource_type_filter: 1, operation: 1, permission_type: 1, ..Default::default() },
        )
        .await
        + answered(w, DescribeClientQuotasRequest::default()).await
        + answered(w, DescribeProducersRequest::default()).await
        + answered(w, DescribeQuorumRequest::default()).await
        + answered(w, DescribeTransactionsRequest::default()).await
        + answered(w, DescribeUserScramCredentialsRequest::default()).await
        + answered(w, ElectLeadersRequest::default()).await
        + answered(w, ListConfigResourcesRequest::default()).await
        + answered(w, GetTelemetrySubscriptionsRequest::default()).await
        + answered(w, PushTelemetryRequest::default()).await
        + answered(w, ListPartitionReassignmentsRequest::default()).await
        + answered(w, ListTransactionsRequest::default()).await
        + answered(w, UpdateFeaturesRequest::default()).await
        + answered(w, SaslAuthenticateRequest::default()).await
        + answered(w, SaslHandshakeRequest::default()).await
        + answered(w, UnregisterBrokerRequest::default()).await;
    let listed = fixture.client.call(api_versions()).await.unwrap().api_keys.len();
    assert_eq!(apis, listed, "an API is served and not tested here");
}

#[tokio::test]
async fn apis_for_client_metrics_are_listed_while_there_is_a_subscription() {
    let fixture = Fixture::start().await;
    let are_listed = async || {
        let keys: Vec<_> =
            fixture.client.call(api_versions()).await.unwrap().api_keys.iter().map(|api| api.api_key).collect();
        [ApiKey::GetTelemetrySubscriptions, ApiKey::PushTelemetry].map(|key| keys.contains(&(key as i16)))
    };
    assert_eq!(are_listed().await, [false; 2]);
    assert_eq!(fixture.set(CLIENT_METRICS, "all", "metrics", "*").await, "NONE");
    assert_eq!(are_listed().await, [true; 2]);
}

fn api_versions() -> ApiVersionsRequest {
    ApiVersionsRequest { client_software_name: text("test"), client_software_version: text("1"), ..Default::default() }
}

#[tokio::test]
async fn served_version_ranges_identify_the_broker_version() {
    let fixture = Fixture::start().await;
    let served = |key| fixture.client.served(key).unwrap();
    assert_eq!(served(ApiKey::Produce), (0, 13));
    assert_eq!(served(ApiKey::Fetch), (0, 18));
    assert_eq!(served(ApiKey::Metadata), (0, 13));
    assert_eq!(served(ApiKey::OffsetFetch), (0, 10));
    let answer = fixture.client.call(api_versions()).await.unwrap();
    let features: Vec<_> =
        answer.finalized_features.iter().map(|feature| (&*feature.name, feature.max_version_level)).collect();
    assert_eq!(
        features,
        [("eligible.leader.replicas.version", 1), ("metadata.version", 30), ("transaction.version", 2)]
    );
}

#[tokio::test]
async fn api_versions_with_an_invalid_software_name_returns_invalid_request() {
    let fixture = Fixture::start().await;
    for (name, version, expect) in [
        ("a.b-c", "1.2-x", "NONE"),
        ("", "1", "INVALID_REQUEST"),
        ("a", "", "INVALID_REQUEST"),
        ("a b", "1", "INVALID_REQUEST"),
        ("-a", "1", "INVALID_REQUEST"),
        ("a", "1_2", "INVALID_REQUEST"),
    ] {
        let request = ApiVersionsRequest {
            client_software_name: text(name),
            client_software_version: text(version),
            ..Default::default()
        };
        let answer = fixture.client.call_at(request, 3).await.unwrap();
        assert_eq!(code(answer.error_code), expect, "{name:?} {version:?}");
    }
}

#[tokio::test]
async fn api_versions_for_another_node_or_cluster_returns_rebootstrap_required() {
    let fixture = Fixture::start().await;
    let cluster = fixture.client.metadata(Some(&[])).await.unwrap();
    let (ours, node) = (cluster.cluster_id.unwrap(), cluster.brokers[0].node_id);
    for (cluster_id, node_id, expect) in [
        (Some(&*ours), node, "NONE"),
        (None, node + 1, "NONE"),
        (Some(&*ours), node + 1, "REBOOTSTRAP_REQUIRED"),
        (Some("another"), node, "REBOOTSTRAP_REQUIRED"),
    ] {
        let request = ApiVersionsRequest { cluster_id: cluster_id.map(text), node_id, ..api_versions() };
        let answer = fixture.client.call_at(request, 5).await.unwrap();
        assert_eq!(code(answer.error_code), expect, "{cluster_id:?} {node_id}");
    }
}

/// A frame of a request header from the client "old-timer", without a body.
fn bare_request(api_key: i16, version: i16) -> Vec<u8> {
    let header = [&api_key.to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 7, 0, 9], b"old-timer"].concat();
    [&(header.len() as u32).to_be_bytes()[..], &header].concat()
}

#[tokio::test]
async fn api_versions_of_an_unknown_version_returns_a_version_0_body() {
    let fixture = Fixture::start().await;
    let mut stream = fixture.broker.connect();
    stream.write_all(&bare_request(ApiKey::ApiVersions as i16, 99)).unwrap();
    let mut size = [0; 4];
    stream.read_exact(&mut size).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(size) as usize];
    stream.read_exact(&mut answer).unwrap();
    let (correlation_id, answer) = frame::decode_response(ApiKey::ApiVersions, 0, Bytes::from(answer)).unwrap();
    let Response::ApiVersions(ApiVersionsResponse { error_code, api_keys, .. }) = answer else { panic!() };
    assert_eq!((correlation_id, code(error_code)), (7, "UNSUPPORTED_VERSION"));
    let ranges: Vec<_> = api_keys.iter().map(|api| (api.api_key, api.min_version, api.max_version)).collect();
    assert_eq!(ranges, [(18, 0, 5)]);
}

#[tokio::test]
async fn unserved_request_is_logged_once_and_its_connection_closed() {
    let fixture = Fixture::start().await;
    for (api_key, version, expect) in [
        (
            ApiKey::Produce as i16,
            14,
            "client 'old-timer' sent Produce version 14, but the supported versions are 0 to 13",
        ),
        (ApiKey::Fetch as i16, 99, "client 'old-timer' sent Fetch version 99, but the supported versions are 0 to 18"),
        (
            ApiKey::StreamsGroupTopologyDescriptionUpdate as i16,
            0,
            "client 'old-timer' sent StreamsGroupTopologyDescriptionUpdate version 0, which is not supported",
        ),
        (999, 3, "client 'old-timer' sent a request that cannot be read: unknown API key 999 (version 3)"),
    ] {
        let mut stream = fixture.broker.connect();
        stream.write_all(&bare_request(api_key, version)).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{expect}");
        fixture.broker.wait_for_log(expect);
        assert_eq!(fixture.broker.log().matches(expect).count(), 1);
    }
}

#[tokio::test]
async fn client_call_of_an_unserved_api_fails_before_sending() {
    let fixture = Fixture::start().await;
    let error = fixture.client.version_up_to(ApiKey::StreamsGroupTopologyDescriptionUpdate, i16::MAX).unwrap_err();
    assert!(matches!(error, ClientError::Unsupported { served: None, .. }), "{error}");
}
