//! The operations that the main APIs check, their order, and the responses to denied operations.

use std::sync::Arc;

use parking_lot::Mutex;
use tempfile::TempDir;

use super::authorizer::{AllowAll, Authorizer, Operation, Resource, Verdict};
use super::context::{Answer, Caller, Context};
use super::handle;
use super::large_batches::LargeBatches;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::log_rate_limiter::LogRateLimiter;
use crate::server::ConnectionInfo;
use crate::state::Broker;
use crate::state::loggers::NoLoggers;
use ottla_config::{Sources, load};
use ottla_core::metadata::CONSUMER_OFFSETS;
use ottla_core::metadata::ConfigKind;
use ottla_core::security::Principal;
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla_wire::protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use ottla_wire::protocol::messages::delete_topics::{DeleteTopicState, DeleteTopicsRequest};
use ottla_wire::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_wire::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla_wire::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla_wire::protocol::messages::describe_transactions::DescribeTransactionsRequest;
use ottla_wire::protocol::messages::end_txn::EndTxnRequest;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::incremental_alter_configs::{AlterConfigsResource, IncrementalAlterConfigsRequest};
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::join_group::JoinGroupRequest;
use ottla_wire::protocol::messages::leave_group::LeaveGroupRequest;
use ottla_wire::protocol::messages::list_transactions::ListTransactionsRequest;
use ottla_wire::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::protocol::messages::sync_group::SyncGroupRequest;
use ottla_wire::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla_wire::protocol::{Request, RequestHeader, Response};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, ProducerIdEpoch, Uuid};

use ErrorCode::{
    ClusterAuthorizationFailed, GroupAuthorizationFailed, TopicAuthorizationFailed, TransactionalIdAuthorizationFailed,
};

/// Allows the listed operations only, and records every check.
#[derive(Default)]
struct Recorder {
    allowed: &'static [&'static str],
    checks: Mutex<Vec<String>>,
}

impl Authorizer for Recorder {
    fn decide(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> Verdict {
        assert_eq!(caller.principal.to_string(), "User:ANONYMOUS");
        let check = format!("{operation:?} {resource}");
        let is_allowed = self.allowed.contains(&&*check);
        self.checks.lock().push(check);
        Verdict { allowed: is_allowed, rule: None }
    }
}

/// A broker with the topic `orders`.
struct Fixture {
    broker: Arc<Broker>,
    _dir: TempDir,
}

impl Fixture {
    async fn start() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let log_dirs = dir.path().display().to_string();
        let command_line = vec![("log.dirs".to_owned(), log_dirs), ("ottla.ephemeral".to_owned(), "true".to_owned())];
        let config = load(&Sources { command_line, ..Default::default() }).unwrap().config;
        let clock = Clock::start();
        let limiter = LogRateLimiter::new(clock);
        let broker =
            Broker::open(config, Environment::system(clock), Vec::new(), Arc::new(NoLoggers), limiter).await.unwrap();
        let fixture = Fixture { broker, _dir: dir };
        let created = fixture.send(Arc::new(AllowAll), 7, create_topics(&["orders"]).into()).await;
        assert_eq!(error_codes(created), []);
        fixture
    }

    async fn send(&self, authorizer: Arc<dyn Authorizer>, version: i16, request: Request) -> Response {
        let peer = "127.0.0.1:40000".parse().unwrap();
        let connection = Arc::new(ConnectionInfo::new(1, peer, peer, "PLAINTEXT".into()));
        let context = Context {
            broker: Arc::clone(&self.broker),
            large_batches: Arc::new(LargeBatches::new(1 << 20)),
            schemas: Default::default(),
            authorizer,
            tls: Default::default(),
            caller: Caller {
                principal: Principal::anonymous(),
                client_address: peer,
                listener: Arc::clone(&connection.listener),
                by_token: false,
            },
            connection,
            header: RequestHeader {
                api_key: request.key() as i16,
                api_version: version,
                correlation_id: 1,
                client_id: None,
            },
            metering: None,
        };
        match handle(&context, request) {
            Answer::Ready(response) => *response,
            Answer::Parked(response) => response.await,
            Answer::Nothing | Answer::Close(_) => panic!("no response"),
        }
    }

    /// The error codes of the response, and the operations checked.
    async fn check(
        &self,
        allowed: &'static [&'static str],
        version: i16,
        request: impl Into<Request>,
    ) -> (Vec<ErrorCode>, Vec<String>) {
        let recorder = Arc::new(Recorder { allowed, ..Default::default() });
        let response = self.send(Arc::clone(&recorder) as Arc<dyn Authorizer>, version, request.into()).await;
        let codes = error_codes(response);
        let checks = std::mem::take(&mut *recorder.checks.lock());
        (codes, checks)
    }

    /// Checks that a request is denied with one code, after one check.
    async fn check_denied(&self, version: i16, request: impl Into<Request>, code: ErrorCode, operation: &str) {
        let request = request.into();
        let key = request.key();
        let (codes, checks) = self.check(&[], version, request).await;
        assert_eq!((codes, checks), (vec![code], vec![operation.to_owned()]), "{key}");
    }
}

/// The error codes of a response other than NONE.
fn error_codes(mut response: Response) -> Vec<ErrorCode> {
    let mut codes = Vec::new();
    response.visit_error_codes(&mut |code| codes.push(ErrorCode::from_code(*code).unwrap()));
    codes.retain(|code| *code != ErrorCode::None);
    codes
}

fn create_topics(names: &[&'static str]) -> CreateTopicsRequest {
    let topic = |name: &&'static str| CreatableTopic {
        name: Str::from_static(name),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    CreateTopicsRequest { topics: names.iter().map(topic).collect(), ..Default::default() }
}

fn produce(topic: &'static str) -> ProduceRequest {
    let partition_data = vec![PartitionProduceData::default()];
    let topic = TopicProduceData { name: Str::from_static(topic), partition_data, ..Default::default() };
    ProduceRequest { acks: -1, topic_data: vec![topic], ..Default::default() }
}

fn fetch(topic: &'static str, topic_id: Uuid) -> FetchRequest {
    let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() }];
    let topic = FetchTopic { topic: Str::from_static(topic), topic_id, partitions };
    FetchRequest { max_bytes: 1 << 20, session_epoch: -1, topics: vec![topic], ..Default::default() }
}

fn metadata(name: &'static str, allow_auto_topic_creation: bool) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: Some(Str::from_static(name)), ..Default::default() };
    MetadataRequest { topics: Some(vec![topic]), allow_auto_topic_creation, ..Default::default() }
}

const WORKERS: Str = Str::from_static("workers");

#[tokio::test]
async fn produce_without_write_on_topic_returns_topic_authorization_failed() {
    let fixture = Fixture::start().await;
    fixture.check_denied(9, produce("orders"), TopicAuthorizationFailed, "Write Topic:orders").await;
    // A caller that may not write cannot find out whether a topic exists.
    fixture.check_denied(9, produce("unknown"), TopicAuthorizationFailed, "Write Topic:unknown").await;
    let with_invalid_acks = ProduceRequest { acks: 5, ..produce("orders") };
    fixture.check_denied(9, with_invalid_acks, TopicAuthorizationFailed, "Write Topic:orders").await;
}

#[tokio::test]
async fn fetch_without_read_on_topic_returns_topic_authorization_failed() {
    let fixture = Fixture::start().await;
    fixture.check_denied(12, fetch("orders", Uuid::ZERO), TopicAuthorizationFailed, "Read Topic:orders").await;
    fixture.check_denied(12, fetch("unknown", Uuid::ZERO), TopicAuthorizationFailed, "Read Topic:unknown").await;
    let id = fixture.broker.cluster().topic("orders").unwrap().id();
    fixture.check_denied(13, fetch("", id), TopicAuthorizationFailed, "Read Topic:orders").await;
}

#[tokio::test]
async fn fetch_of_unknown_topic_id_returns_unknown_topic_id_to_every_caller() {
    let fixture = Fixture::start().await;
    let (codes, checks) = fixture.check(&[], 13, fetch("", Uuid([7; 16]))).await;
    assert_eq!((codes, checks), (vec![ErrorCode::UnknownTopicId], Vec::new()));
}

#[tokio::test]
async fn metadata_without_describe_on_topic_returns_topic_authorization_failed() {
    let fixture = Fixture::start().await;
    fixture.check_denied(12, metadata("orders", true), TopicAuthorizationFailed, "Describe Topic:orders").await;
}

#[tokio::test]
async fn metadata_of_all_topics_leaves_out_topics_without_describe() {
    let fixture = Fixture::start().await;
    let request = MetadataRequest { topics: None, ..Default::default() };
    let names = |response| match response {
        Response::Metadata(response) => response.topics.into_iter().map(|topic| topic.name.unwrap()).collect(),
        _ => Vec::new(),
    };
    let denied = Arc::new(Recorder::default());
    assert_eq!(names(fixture.send(denied, 12, request.clone().into()).await), Vec::<Str>::new());
    assert_eq!(names(fixture.send(Arc::new(AllowAll), 12, request.into()).await), ["orders"]);
}

#[tokio::test]
async fn metadata_without_create_does_not_create_the_topic() {
    let fixture = Fixture::start().await;
    let (codes, checks) = fixture.check(&["Describe Topic:new"], 12, metadata("new", true)).await;
    assert_eq!(codes, [TopicAuthorizationFailed]);
    assert_eq!(checks, ["Describe Topic:new", "Create Cluster:kafka-cluster", "Create Topic:new"]);
    assert!(fixture.broker.cluster().topic("new").is_none());
    let (codes, _) = fixture.check(&["Describe Topic:new", "Create Topic:new"], 12, metadata("new", true)).await;
    assert_eq!(codes, []);
    assert!(fixture.broker.cluster().topic("new").is_some());
}

#[tokio::test]
async fn group_apis_without_the_operation_return_group_authorization_failed() {
    let fixture = Fixture::start().await;
    let read = "Read Group:workers";
    let join = JoinGroupRequest { group_id: WORKERS, ..Default::default() };
    fixture.check_denied(9, join, GroupAuthorizationFailed, read).await;
    let sync = SyncGroupRequest { group_id: WORKERS, ..Default::default() };
    fixture.check_denied(4, sync, GroupAuthorizationFailed, read).await;
    let heartbeat = HeartbeatRequest { group_id: WORKERS, ..Default::default() };
    fixture.check_denied(4, heartbeat, GroupAuthorizationFailed, read).await;
    let leave = LeaveGroupRequest { group_id: WORKERS, ..Default::default() };
    fixture.check_denied(5, leave, GroupAuthorizationFailed, read).await;
    let describe = DescribeGroupsRequest { groups: vec![WORKERS], ..Default::default() };
    fixture.check_denied(6, describe, GroupAuthorizationFailed, "Describe Group:workers").await;
    let find = FindCoordinatorRequest { coordinator_keys: vec![WORKERS], ..Default::default() };
    fixture.check_denied(6, find, GroupAuthorizationFailed, "Describe Group:workers").await;
    assert!(!fixture.broker.has_internal_topic(CONSUMER_OFFSETS));
}

#[tokio::test]
async fn find_coordinator_of_a_transaction_without_describe_returns_transactional_id_authorization_failed() {
    let fixture = Fixture::start().await;
    let find = FindCoordinatorRequest { key_type: 1, coordinator_keys: vec![WORKERS], ..Default::default() };
    let code = TransactionalIdAuthorizationFailed;
    fixture.check_denied(6, find, code, "Describe TransactionalId:workers").await;
}

#[tokio::test]
async fn offset_commit_checks_the_group_and_then_each_topic() {
    let fixture = Fixture::start().await;
    let topic = OffsetCommitRequestTopic {
        name: Str::from_static("orders"),
        partitions: vec![OffsetCommitRequestPartition::default()],
        ..Default::default()
    };
    let commit = OffsetCommitRequest { group_id: WORKERS, topics: vec![topic], ..Default::default() };
    fixture.check_denied(9, commit.clone(), GroupAuthorizationFailed, "Read Group:workers").await;
    let (codes, checks) = fixture.check(&["Read Group:workers"], 9, commit).await;
    assert_eq!(codes, [TopicAuthorizationFailed]);
    assert_eq!(checks, ["Read Group:workers", "Read Topic:orders"]);
}

#[tokio::test]
async fn offset_fetch_checks_the_group_and_then_each_topic() {
    let fixture = Fixture::start().await;
    let topic =
        OffsetFetchRequestTopics { name: Str::from_static("orders"), partition_indexes: vec![0], ..Default::default() };
    let group = OffsetFetchRequestGroup { group_id: WORKERS, topics: Some(vec![topic]), ..Default::default() };
    let fetch = OffsetFetchRequest { groups: vec![group], ..Default::default() };
    fixture.check_denied(9, fetch.clone(), GroupAuthorizationFailed, "Describe Group:workers").await;
    let (codes, checks) = fixture.check(&["Describe Group:workers"], 9, fetch).await;
    assert_eq!(codes, [TopicAuthorizationFailed]);
    assert_eq!(checks, ["Describe Group:workers", "Describe Topic:orders"]);
}

#[tokio::test]
async fn create_topics_without_create_on_cluster_or_topic_returns_topic_authorization_failed() {
    let fixture = Fixture::start().await;
    let (codes, checks) = fixture.check(&["Create Topic:mine"], 7, create_topics(&["mine", "other"])).await;
    // The settings of the created topic are hidden, which is an error code of its own.
    assert_eq!(codes, [TopicAuthorizationFailed; 2]);
    let expected =
        ["Create Cluster:kafka-cluster", "Create Topic:mine", "Create Topic:other", "DescribeConfigs Topic:mine"];
    assert_eq!(checks, expected);
    let cluster = fixture.broker.cluster();
    assert!(cluster.topic("mine").is_some() && cluster.topic("other").is_none());
}

#[tokio::test]
async fn delete_topics_without_delete_returns_topic_authorization_failed() {
    let fixture = Fixture::start().await;
    let id = fixture.broker.cluster().topic("orders").unwrap().id();
    let by_id = DeleteTopicState { topic_id: id, ..Default::default() };
    let request = DeleteTopicsRequest { topics: vec![by_id], ..Default::default() };
    let (codes, checks) = fixture.check(&[], 6, request.clone()).await;
    let expected = ["Delete Cluster:kafka-cluster", "Describe Topic:orders"].map(str::to_owned);
    assert_eq!((codes, checks), (vec![TopicAuthorizationFailed], expected.to_vec()));
    let names = |response| match response {
        Response::DeleteTopics(response) => response.responses.into_iter().map(|topic| topic.name).collect(),
        _ => Vec::new(),
    };
    // The name belongs to callers that may see the topic.
    let blind = Arc::new(Recorder::default());
    assert_eq!(names(fixture.send(blind, 6, request.clone().into()).await), [None]);
    let reader = Arc::new(Recorder { allowed: &["Describe Topic:orders"], ..Default::default() });
    assert_eq!(names(fixture.send(reader, 6, request.into()).await), [Some(Str::from_static("orders"))]);
    assert!(fixture.broker.cluster().topic("orders").is_some());
}

#[tokio::test]
async fn configs_without_the_operation_return_the_code_of_the_resource_type() {
    let fixture = Fixture::start().await;
    let cases = [
        (ConfigKind::Topic, "orders", TopicAuthorizationFailed, "Topic:orders"),
        (ConfigKind::Broker, "1", ClusterAuthorizationFailed, "Cluster:kafka-cluster"),
        (ConfigKind::ClientMetrics, "metrics", ClusterAuthorizationFailed, "Cluster:kafka-cluster"),
        (ConfigKind::Group, "workers", GroupAuthorizationFailed, "Group:workers"),
    ];
    for (kind, name, code, resource) in cases {
        let (resource_type, resource_name) = (kind.code(), Str::from_static(name));
        let described =
            DescribeConfigsResource { resource_type, resource_name: resource_name.clone(), ..Default::default() };
        let describe = DescribeConfigsRequest { resources: vec![described], ..Default::default() };
        fixture.check_denied(4, describe, code, &format!("DescribeConfigs {resource}")).await;
        let altered = AlterConfigsResource { resource_type, resource_name, ..Default::default() };
        let alter = IncrementalAlterConfigsRequest { resources: vec![altered], ..Default::default() };
        fixture.check_denied(1, alter, code, &format!("AlterConfigs {resource}")).await;
    }
}

#[tokio::test]
async fn init_producer_id_needs_idempotent_write_on_cluster_or_write_on_a_topic() {
    let fixture = Fixture::start().await;
    let request =
        InitProducerIdRequest { producer_id: NO_PRODUCER_ID, producer_epoch: NO_PRODUCER_EPOCH, ..Default::default() };
    let (codes, checks) = fixture.check(&[], 5, request.clone()).await;
    assert_eq!(codes, [ClusterAuthorizationFailed]);
    assert_eq!(checks, ["IdempotentWrite Cluster:kafka-cluster", "Write Topic:*"]);
    assert_eq!(fixture.check(&["Write Topic:*"], 5, request).await.0, []);
}

const TXN: Str = Str::from_static("txn");
const ORDERS: Str = Str::from_static("orders");
const WRITE_TXN: &str = "Write TransactionalId:txn";
const CLUSTER_ACTION: &str = "ClusterAction Cluster:kafka-cluster";

fn add_partitions(topics: &[&'static str]) -> AddPartitionsToTxnRequest {
    let topics =
        topics.iter().map(|name| AddPartitionsToTxnTopic { name: Str::from_static(name), partitions: vec![0] });
    AddPartitionsToTxnRequest {
        v3_and_below_transactional_id: TXN,
        v3_and_below_topics: topics.collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn transactional_apis_without_write_on_the_id_return_transactional_id_authorization_failed() {
    let fixture = Fixture::start().await;
    let code = TransactionalIdAuthorizationFailed;
    // Before the producer id and epoch are validated.
    let init =
        InitProducerIdRequest { transactional_id: Some(TXN), producer_id: 1, producer_epoch: -1, ..Default::default() };
    fixture.check_denied(5, init, code, WRITE_TXN).await;
    let end = EndTxnRequest { transactional_id: TXN, ..Default::default() };
    fixture.check_denied(5, end, code, WRITE_TXN).await;
    // Before it is checked whether topics exist.
    fixture.check_denied(3, add_partitions(&["unknown"]), code, WRITE_TXN).await;
    let offsets = AddOffsetsToTxnRequest { transactional_id: TXN, group_id: WORKERS, ..Default::default() };
    fixture.check_denied(4, offsets, code, WRITE_TXN).await;
    fixture.check_denied(5, commit_offsets(), code, WRITE_TXN).await;
    assert!(!fixture.broker.has_internal_topic(CONSUMER_OFFSETS));
}

fn commit_offsets() -> TxnOffsetCommitRequest {
    let partitions = vec![TxnOffsetCommitRequestPartition::default()];
    let topic = TxnOffsetCommitRequestTopic { name: ORDERS, partitions, ..Default::default() };
    TxnOffsetCommitRequest { transactional_id: TXN, group_id: WORKERS, topics: vec![topic], ..Default::default() }
}

#[tokio::test]
async fn offsets_in_transactions_check_the_id_the_group_and_then_each_topic() {
    let fixture = Fixture::start().await;
    let (write, read) = (WRITE_TXN.to_owned(), "Read Group:workers".to_owned());
    let offsets = AddOffsetsToTxnRequest { transactional_id: TXN, group_id: WORKERS, ..Default::default() };
    let checked = fixture.check(&[WRITE_TXN], 4, offsets).await;
    assert_eq!(checked, (vec![GroupAuthorizationFailed], vec![write.clone(), read.clone()]));
    let checked = fixture.check(&[WRITE_TXN], 5, commit_offsets()).await;
    assert_eq!(checked, (vec![GroupAuthorizationFailed], vec![write.clone(), read.clone()]));
    let checked = fixture.check(&[WRITE_TXN, "Read Group:workers"], 5, commit_offsets()).await;
    assert_eq!(checked, (vec![TopicAuthorizationFailed], vec![write, read, "Read Topic:orders".to_owned()]));
}

#[tokio::test]
async fn add_partitions_of_a_client_checks_the_id_and_then_each_topic() {
    let fixture = Fixture::start().await;
    let allowed = &[WRITE_TXN, "Write Topic:orders"];
    let (codes, checks) = fixture.check(allowed, 3, add_partitions(&["orders", "secret"])).await;
    assert_eq!(codes, [ErrorCode::OperationNotAttempted, TopicAuthorizationFailed]);
    assert_eq!(checks, [WRITE_TXN, "Write Topic:orders", "Write Topic:secret"]);
}

#[tokio::test]
async fn add_partitions_of_a_client_does_not_add_internal_topics() {
    let fixture = Fixture::start().await;
    let (codes, checks) = fixture.check(&[WRITE_TXN], 3, add_partitions(&[CONSUMER_OFFSETS])).await;
    assert_eq!((codes, checks), (vec![TopicAuthorizationFailed], vec![WRITE_TXN.to_owned()]));
}

#[tokio::test]
async fn add_partitions_of_a_broker_checks_cluster_action_only() {
    let fixture = Fixture::start().await;
    let topics = add_partitions(&["orders"]).v3_and_below_topics;
    let transaction = AddPartitionsToTxnTransaction { transactional_id: TXN, topics, ..Default::default() };
    let request = AddPartitionsToTxnRequest { transactions: vec![transaction], ..Default::default() };
    fixture.check_denied(5, request.clone(), ClusterAuthorizationFailed, CLUSTER_ACTION).await;
    let (codes, checks) = fixture.check(&[CLUSTER_ACTION], 5, request).await;
    assert_eq!((codes, checks), (vec![ErrorCode::NotCoordinator], vec![CLUSTER_ACTION.to_owned()]));
}

#[tokio::test]
async fn write_txn_markers_needs_alter_or_cluster_action_on_the_cluster() {
    let fixture = Fixture::start().await;
    let topic = WritableTxnMarkerTopic { name: ORDERS, partition_indexes: vec![0, 1] };
    let marker = WritableTxnMarker { topics: vec![topic], ..Default::default() };
    let request = WriteTxnMarkersRequest { markers: vec![marker] };
    let (codes, checks) = fixture.check(&[], 1, request.clone()).await;
    assert_eq!(codes, [ClusterAuthorizationFailed; 2]);
    assert_eq!(checks, ["Alter Cluster:kafka-cluster", CLUSTER_ACTION]);
    for allowed in [&["Alter Cluster:kafka-cluster"], &[CLUSTER_ACTION]] {
        assert_eq!(fixture.check(allowed, 1, request.clone()).await.0, [ErrorCode::UnknownTopicOrPartition]);
    }
}

#[tokio::test]
async fn descriptions_of_transactions_need_describe_on_the_id_and_read_on_the_topic() {
    let fixture = Fixture::start().await;
    let describe = DescribeTransactionsRequest { transactional_ids: vec![TXN] };
    let code = TransactionalIdAuthorizationFailed;
    fixture.check_denied(0, describe, code, "Describe TransactionalId:txn").await;
    let producers = |name| {
        let topic = TopicRequest { name: Str::from_static(name), partition_indexes: vec![0] };
        DescribeProducersRequest { topics: vec![topic] }
    };
    fixture.check_denied(0, producers("orders"), TopicAuthorizationFailed, "Read Topic:orders").await;
    fixture.check_denied(0, producers("unknown"), TopicAuthorizationFailed, "Read Topic:unknown").await;
    let (codes, _) = fixture.check(&[], 0, producers("a b")).await;
    assert_eq!(codes, [ErrorCode::InvalidTopicException]);
    // An empty list has nothing to check.
    assert_eq!(fixture.check(&[], 2, ListTransactionsRequest::default()).await, (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn produce_of_a_transactional_batch_checks_the_id_before_acks_and_topics() {
    let fixture = Fixture::start().await;
    let producer = ProducerIdEpoch { producer_id: 1, epoch: 0 };
    let mut batch = BatchBuilder::new(Codec::None).producer(producer, 0).transactional();
    batch.append(0, None, None, &[]);
    let records = Some(batch.build().unwrap().bytes().clone());
    let mut request = produce("orders");
    request.topic_data[0].partition_data[0].records = records;
    request.acks = 7;
    let without_id = fixture.check(&[], 11, request.clone()).await;
    assert_eq!(without_id, (vec![TransactionalIdAuthorizationFailed], Vec::new()));
    request.transactional_id = Some(TXN);
    fixture.check_denied(11, request, TransactionalIdAuthorizationFailed, WRITE_TXN).await;
}
