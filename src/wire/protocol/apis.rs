//! The list of APIs: keys, versions, and enums for exhaustive matches.

use std::fmt;
use std::ops::RangeInclusive;

use super::messages::*;
use crate::codec::{DecodeError, EncodeError, Message, Reader, Shape, Writer};

/// A request struct with its response struct, for typed calls.
pub trait ApiRequest: Message + Into<Request> {
    const KEY: ApiKey;
    type ApiResponse: Message;

    /// Extracts the response struct; `None` if the response belongs to another API.
    fn from_response(response: Response) -> Option<Self::ApiResponse>;
}

/// Defines, for each row `Name = key, versions 0..=newest, flexible first: module::{Request, Response};`, a variant of
/// [`ApiKey`], [`Request`] and [`Response`], and the impls of [`Message`] and [`ApiRequest`].
macro_rules! apis {
    ($(
        $api:ident = $key:literal, versions $from:literal..=$to:literal $(, flexible $flexible:literal)?:
            $module:ident::{$request:ident, $response:ident};
    )*) => {
        /// The API of a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $($api = $key,)*
        }

        impl ApiKey {
            /// All APIs, in the order of their keys.
            pub const ALL: &'static [ApiKey] = &[$(ApiKey::$api,)*];

            /// The API with this key, if it is an API for clients.
            pub const fn from_code(key: i16) -> Option<ApiKey> {
                match key {
                    $($key => Some(ApiKey::$api),)*
                    _ => None,
                }
            }

            /// Kafka's name, such as `ListOffsets`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$api => stringify!($api),)*
                }
            }

            /// The versions that this codec supports. The broker may serve fewer.
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(ApiKey::$api => $from..=$to,)*
                }
            }

            /// The first version with compact lengths and tagged fields (KIP-482), if there is one.
            const fn flexible_from(self) -> Option<i16> {
                match self {
                    $(ApiKey::$api => [$(Some($flexible),)? None][0],)*
                }
            }

            /// The shapes of the request and the response.
            pub const fn shapes(self) -> (&'static Shape, &'static Shape) {
                match self {
                    $(ApiKey::$api => (
                        <$module::$request as crate::codec::Field>::SHAPE,
                        <$module::$response as crate::codec::Field>::SHAPE,
                    ),)*
                }
            }
        }

        /// A request of any API.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Request {
            $($api($module::$request),)*
        }

        /// A response of any API.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Response {
            $($api($module::$response),)*
        }

        impl Request {
            /// The API that it belongs to.
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Request::$api(_) => ApiKey::$api,)*
                }
            }

            /// Decodes the body of a request.
            pub fn read(key: ApiKey, r: &mut Reader, version: i16) -> Result<Request, DecodeError> {
                match key {
                    $(ApiKey::$api => Message::read(r, version).map(Request::$api),)*
                }
            }

            /// Encodes the body of a request.
            pub fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Request::$api(request) => request.write(w, version),)*
                }
            }
        }

        impl Response {
            /// The API that it belongs to.
            pub const fn key(&self) -> ApiKey {
                match self {
                    $(Response::$api(_) => ApiKey::$api,)*
                }
            }

            /// Decodes the body of a response.
            pub fn read(key: ApiKey, r: &mut Reader, version: i16) -> Result<Response, DecodeError> {
                match key {
                    $(ApiKey::$api => Message::read(r, version).map(Response::$api),)*
                }
            }

            /// Encodes the body of a response.
            pub fn write(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {
                match self {
                    $(Response::$api(response) => response.write(w, version),)*
                }
            }

            /// Calls `visit` with every error code in the response.
            pub fn visit_error_codes(&mut self, visit: &mut dyn FnMut(&mut i16)) {
                let visit = &mut |name: &'static str, code: &mut i16| {
                    if name.ends_with("error_code") {
                        visit(code);
                    }
                };
                match self {
                    $(Response::$api(response) => crate::codec::Field::visit_i16(response, stringify!($api), visit),)*
                }
            }

            /// For how many milliseconds the client is throttled; `None` if the API has no such field. Versions without
            /// the field are encoded without it.
            pub fn throttle_time_ms(&mut self) -> Option<&mut i32> {
                match self {
                    $(Response::$api(response) => crate::codec::Field::i32_field(response, "throttle_time_ms"),)*
                }
            }
        }

        $(
            crate::codec::messages! {
                $module::$request, versions $from..=$to $(, flexible $flexible)?;
                $module::$response, versions $from..=$to $(, flexible $flexible)?;
            }

            impl ApiRequest for $module::$request {
                const KEY: ApiKey = ApiKey::$api;
                type ApiResponse = $module::$response;

                fn from_response(response: Response) -> Option<Self::ApiResponse> {
                    match response {
                        Response::$api(response) => Some(response),
                        _ => None,
                    }
                }
            }

            impl From<$module::$request> for Request {
                fn from(request: $module::$request) -> Self {
                    Request::$api(request)
                }
            }

            impl From<$module::$response> for Response {
                fn from(response: $module::$response) -> Self {
                    Response::$api(response)
                }
            }
        )*
    };
}

apis! {
    Produce = 0, versions 0..=13, flexible 9: produce::{ProduceRequest, ProduceResponse};
    Fetch = 1, versions 0..=18, flexible 12: fetch::{FetchRequest, FetchResponse};
    ListOffsets = 2, versions 0..=11, flexible 6: list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
    Metadata = 3, versions 0..=13, flexible 9: metadata::{MetadataRequest, MetadataResponse};
    OffsetCommit = 8, versions 0..=10, flexible 8: offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
    OffsetFetch = 9, versions 0..=10, flexible 6: offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
    FindCoordinator = 10, versions 0..=6, flexible 3:
        find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
    JoinGroup = 11, versions 0..=9, flexible 6: join_group::{JoinGroupRequest, JoinGroupResponse};
    Heartbeat = 12, versions 0..=4, flexible 4: heartbeat::{HeartbeatRequest, HeartbeatResponse};
    LeaveGroup = 13, versions 0..=5, flexible 4: leave_group::{LeaveGroupRequest, LeaveGroupResponse};
    SyncGroup = 14, versions 0..=5, flexible 4: sync_group::{SyncGroupRequest, SyncGroupResponse};
    DescribeGroups = 15, versions 0..=6, flexible 5: describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
    ListGroups = 16, versions 0..=5, flexible 3: list_groups::{ListGroupsRequest, ListGroupsResponse};
    SaslHandshake = 17, versions 0..=1: sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
    ApiVersions = 18, versions 0..=5, flexible 3: api_versions::{ApiVersionsRequest, ApiVersionsResponse};
    CreateTopics = 19, versions 0..=7, flexible 5: create_topics::{CreateTopicsRequest, CreateTopicsResponse};
    DeleteTopics = 20, versions 0..=6, flexible 4: delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
    DeleteRecords = 21, versions 0..=2, flexible 2: delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
    InitProducerId = 22, versions 0..=5, flexible 2: init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
    OffsetForLeaderEpoch = 23, versions 0..=4, flexible 4:
        offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
    AddPartitionsToTxn = 24, versions 0..=5, flexible 3:
        add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
    AddOffsetsToTxn = 25, versions 0..=4, flexible 3:
        add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
    EndTxn = 26, versions 0..=5, flexible 3: end_txn::{EndTxnRequest, EndTxnResponse};
    WriteTxnMarkers = 27, versions 0..=2, flexible 1:
        write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
    TxnOffsetCommit = 28, versions 0..=6, flexible 3:
        txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
    DescribeAcls = 29, versions 0..=3, flexible 2: describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
    CreateAcls = 30, versions 0..=3, flexible 2: create_acls::{CreateAclsRequest, CreateAclsResponse};
    DeleteAcls = 31, versions 0..=3, flexible 2: delete_acls::{DeleteAclsRequest, DeleteAclsResponse};
    DescribeConfigs = 32, versions 0..=4, flexible 4:
        describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
    AlterConfigs = 33, versions 0..=2, flexible 2: alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
    AlterReplicaLogDirs = 34, versions 0..=2, flexible 2:
        alter_replica_log_dirs::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
    DescribeLogDirs = 35, versions 0..=5, flexible 2:
        describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
    SaslAuthenticate = 36, versions 0..=2, flexible 2:
        sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
    CreatePartitions = 37, versions 0..=3, flexible 2:
        create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
    CreateDelegationToken = 38, versions 0..=3, flexible 2:
        create_delegation_token::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
    RenewDelegationToken = 39, versions 0..=2, flexible 2:
        renew_delegation_token::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};
    ExpireDelegationToken = 40, versions 0..=2, flexible 2:
        expire_delegation_token::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};
    DescribeDelegationToken = 41, versions 0..=3, flexible 2:
        describe_delegation_token::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};
    DeleteGroups = 42, versions 0..=3, flexible 2: delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
    ElectLeaders = 43, versions 0..=2, flexible 2: elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};
    IncrementalAlterConfigs = 44, versions 0..=1, flexible 1:
        incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
    AlterPartitionReassignments = 45, versions 0..=1, flexible 0:
        alter_partition_reassignments::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
    ListPartitionReassignments = 46, versions 0..=0, flexible 0:
        list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
    OffsetDelete = 47, versions 0..=0: offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
    DescribeClientQuotas = 48, versions 0..=1, flexible 1:
        describe_client_quotas::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
    AlterClientQuotas = 49, versions 0..=1, flexible 1:
        alter_client_quotas::{AlterClientQuotasRequest, AlterClientQuotasResponse};
    DescribeUserScramCredentials = 50, versions 0..=0, flexible 0:
        describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
    AlterUserScramCredentials = 51, versions 0..=0, flexible 0:
        alter_user_scram_credentials::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
    DescribeQuorum = 55, versions 0..=2, flexible 0: describe_quorum::{DescribeQuorumRequest, DescribeQuorumResponse};
    UpdateFeatures = 57, versions 0..=2, flexible 0: update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse};
    DescribeCluster = 60, versions 0..=2, flexible 0:
        describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
    DescribeProducers = 61, versions 0..=0, flexible 0:
        describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
    UnregisterBroker = 64, versions 0..=0, flexible 0:
        unregister_broker::{UnregisterBrokerRequest, UnregisterBrokerResponse};
    DescribeTransactions = 65, versions 0..=0, flexible 0:
        describe_transactions::{DescribeTransactionsRequest, DescribeTransactionsResponse};
    ListTransactions = 66, versions 0..=2, flexible 0:
        list_transactions::{ListTransactionsRequest, ListTransactionsResponse};
    ConsumerGroupHeartbeat = 68, versions 0..=1, flexible 0:
        consumer_group_heartbeat::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
    ConsumerGroupDescribe = 69, versions 0..=1, flexible 0:
        consumer_group_describe::{ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse};
    GetTelemetrySubscriptions = 71, versions 0..=0, flexible 0:
        get_telemetry_subscriptions::{GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse};
    PushTelemetry = 72, versions 0..=0, flexible 0: push_telemetry::{PushTelemetryRequest, PushTelemetryResponse};
    ListConfigResources = 74, versions 0..=1, flexible 0:
        list_config_resources::{ListConfigResourcesRequest, ListConfigResourcesResponse};
    DescribeTopicPartitions = 75, versions 0..=0, flexible 0:
        describe_topic_partitions::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
    ShareGroupHeartbeat = 76, versions 0..=1, flexible 0:
        share_group_heartbeat::{ShareGroupHeartbeatRequest, ShareGroupHeartbeatResponse};
    ShareGroupDescribe = 77, versions 0..=1, flexible 0:
        share_group_describe::{ShareGroupDescribeRequest, ShareGroupDescribeResponse};
    ShareFetch = 78, versions 0..=2, flexible 0: share_fetch::{ShareFetchRequest, ShareFetchResponse};
    ShareAcknowledge = 79, versions 0..=2, flexible 0:
        share_acknowledge::{ShareAcknowledgeRequest, ShareAcknowledgeResponse};
    StreamsGroupHeartbeat = 88, versions 0..=1, flexible 0:
        streams_group_heartbeat::{StreamsGroupHeartbeatRequest, StreamsGroupHeartbeatResponse};
    StreamsGroupDescribe = 89, versions 0..=1, flexible 0:
        streams_group_describe::{StreamsGroupDescribeRequest, StreamsGroupDescribeResponse};
    DescribeShareGroupOffsets = 90, versions 0..=1, flexible 0:
        describe_share_group_offsets::{DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsResponse};
    AlterShareGroupOffsets = 91, versions 0..=0, flexible 0:
        alter_share_group_offsets::{AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse};
    DeleteShareGroupOffsets = 92, versions 0..=0, flexible 0:
        delete_share_group_offsets::{DeleteShareGroupOffsetsRequest, DeleteShareGroupOffsetsResponse};
    StreamsGroupTopologyDescriptionUpdate = 93, versions 0..=0, flexible 0:
        streams_group_topology_description_update::{
            StreamsGroupTopologyDescriptionUpdateRequest, StreamsGroupTopologyDescriptionUpdateResponse
        };
}

impl ApiKey {
    /// The version of the request header (Kafka's `ApiMessageType`).
    pub const fn request_header_version(self, api_version: i16) -> i16 {
        if self.is_flexible(api_version) { 2 } else { 1 }
    }

    /// The version of the response header. The one of ApiVersions never has tagged fields, because the client does not know
    /// yet which versions the broker supports (KIP-511).
    pub const fn response_header_version(self, api_version: i16) -> i16 {
        if matches!(self, ApiKey::ApiVersions) || !self.is_flexible(api_version) { 0 } else { 1 }
    }

    /// Whether requests and responses of this version have compact lengths and tagged fields (KIP-482).
    pub const fn is_flexible(self, api_version: i16) -> bool {
        match self.flexible_from() {
            Some(first) => api_version >= first,
            None => false,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
