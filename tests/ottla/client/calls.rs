//! The client against a broker that answers correctly, wrongly or not at all.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, ClientOptions, produced};
use ottla_broker::clock::Clock;
use ottla_broker::log_rate_limiter::LogRateLimiter;
use ottla_broker::server::{ConnectionInfo, Dispatch, Limits, Listener, Outcome, Server, serve};
use ottla_config::{BindAddress, BindHost};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use ottla_wire::protocol::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use ottla_wire::protocol::{ApiKey, Request, RequestHeader, Response, frame};
use ottla_wire::types::ErrorCode;

/// Serves ApiVersions up to 3, Metadata up to 9 and Produce. The group id of a heartbeat selects a way to fail.
struct Broker;

impl Dispatch for Broker {
    fn dispatch(&self, _: &Arc<ConnectionInfo>, bytes: Bytes) -> Outcome {
        let (header, request) = frame::decode_request(bytes).unwrap();
        let answer: Response = match request {
            Request::ApiVersions(_) if header.api_version > 3 => {
                let refusal = ApiVersionsResponse { error_code: ErrorCode::UnsupportedVersion.code(), ..versions() };
                return Outcome::Ready(
                    frame::encode_response(header.correlation_id, 0, &refusal.into()).unwrap().into(),
                );
            }
            Request::ApiVersions(_) => versions().into(),
            Request::Metadata(request) => {
                let topics = request.topics.unwrap_or_default().into_iter();
                let topics = topics.map(|topic| MetadataResponseTopic {
                    name: topic.name,
                    error_code: ErrorCode::UnknownTopicOrPartition.code(),
                    ..Default::default()
                });
                MetadataResponse { topics: topics.collect(), controller_id: 7, ..Default::default() }.into()
            }
            Request::Produce(request) if request.acks == 0 => return Outcome::NoReply,
            Request::Produce(request) => produce_answer(&header, &request.topic_data[0].name).into(),
            Request::Heartbeat(heartbeat) => return not_answered(&header, &heartbeat.group_id),
            request => panic!("not served: {request:?}"),
        };
        Outcome::Ready(frame::encode_response(header.correlation_id, header.api_version, &answer).unwrap().into())
    }
}

fn versions() -> ApiVersionsResponse {
    let serves = |key: ApiKey, max_version| ApiVersion { api_key: key as i16, min_version: 0, max_version };
    let api_keys = vec![
        serves(ApiKey::ApiVersions, 3),
        serves(ApiKey::Metadata, 9),
        serves(ApiKey::Produce, 100),
        serves(ApiKey::Heartbeat, 4),
        ApiVersion { api_key: ApiKey::Fetch as i16, min_version: 17, max_version: 18 },
    ];
    ApiVersionsResponse { api_keys, ..Default::default() }
}

/// The base offset is the correlation id of the request.
fn produce_answer(header: &RequestHeader, topic: &Str) -> ProduceResponse {
    let partition = match topic.starts_with("bad") {
        true => PartitionProduceResponse { error_code: 87, error_message: Some("no".into()), ..Default::default() },
        false => PartitionProduceResponse { base_offset: header.correlation_id.into(), ..Default::default() },
    };
    let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
    ProduceResponse { responses: vec![topic], ..Default::default() }
}

fn not_answered(header: &RequestHeader, how: &str) -> Outcome {
    match how {
        "never" => Outcome::Parked(Box::pin(std::future::pending())),
        "closed" => Outcome::Close("heartbeats are refused".into()),
        "wrong" => {
            let id = header.correlation_id + 1;
            let frame = [&8i32.to_be_bytes()[..], &id.to_be_bytes(), &[0; 4]].concat();
            Outcome::Ready(vec![frame.into()].into())
        }
        "garbage" => {
            let frame = [&5i32.to_be_bytes()[..], &header.correlation_id.to_be_bytes(), &[0]].concat();
            Outcome::Ready(vec![frame.into()].into())
        }
        "huge" => Outcome::Ready(vec![i32::MAX.to_be_bytes().to_vec().into()].into()),
        how => panic!("{how}?"),
    }
}

async fn connect() -> (Server, Client) {
    let limits = Limits::default();
    let at = BindAddress { host: BindHost::Named("127.0.0.1".to_owned()), port: 0 };
    let listener = Listener::bind("PLAINTEXT", &at, &limits).unwrap();
    let address = listener.address().to_string();
    let limiter = LogRateLimiter::new(Clock::start());
    let server =
        serve(vec![listener], Arc::new(Broker), &limits, Clock::start(), limiter, &Default::default()).unwrap();
    let options = ClientOptions { timeout: Duration::from_millis(500), ..ClientOptions::default() };
    (server, Client::connect_with(&address, options).await.unwrap())
}

fn heartbeat(how: &'static str) -> HeartbeatRequest {
    HeartbeatRequest { group_id: Str::from_static(how), ..Default::default() }
}

#[tokio::test]
async fn client_uses_versions_that_both_sides_support() {
    let (_server, client) = connect().await;
    assert_eq!(client.served(ApiKey::Metadata), Some((0, 9)));
    assert_eq!(client.version_up_to(ApiKey::Metadata, 4).unwrap(), 4);
    assert_eq!(client.version_up_to(ApiKey::Produce, i16::MAX).unwrap(), *ApiKey::Produce.versions().end());
    let cluster = client.metadata(Some(&["missing"])).await.unwrap();
    assert_eq!((cluster.controller_id, cluster.topics[0].error_code), (7, 3));
    let error = client.fetch("t", 0, 0, 1000, Duration::ZERO).await.unwrap_err();
    assert_eq!(error.to_string(), "the broker does not serve Fetch in a requested version (it serves 17 to 18)");
    let error = client.create_topic("t", 1, &[]).await.unwrap_err();
    assert!(matches!(error, ClientError::Unsupported { key: ApiKey::CreateTopics, served: None }));
}

#[tokio::test]
async fn pipelined_responses_are_matched_to_their_requests() {
    let (_server, client) = connect().await;
    let mut pending = Vec::new();
    for _ in 0..200 {
        pending.push(client.submit_produce("t", 0, Bytes::from_static(b"batch")).await.unwrap());
        client.produce_unacknowledged("t", 0, Bytes::from_static(b"batch")).await.unwrap();
    }
    let mut offsets = Vec::new();
    for request in pending {
        offsets.push(produced(request.response().await.unwrap()).unwrap().base_offset);
    }
    assert!(offsets.windows(2).all(|pair| pair[1] == pair[0] + 2), "{offsets:?}");
}

#[tokio::test]
async fn failed_call_error_names_the_cause() {
    let (_server, client) = connect().await;
    let error = client.produce("bad", 0, Bytes::new()).await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string()),
        (Some(ErrorCode::InvalidRecord), "Produce: INVALID_RECORD no".into())
    );

    let check = async |how: &'static str, expect: &str| {
        let (_server, client) = connect().await;
        let error = client.call(heartbeat(how)).await.unwrap_err();
        assert!(error.to_string().contains(expect), "{how}: {error}");
    };
    check("never", "no response to Heartbeat within 500ms").await;
    check("closed", "lost: the broker closed it").await;
    check("wrong", "responded out of order").await;
    check("garbage", "cannot decode the response to Heartbeat version 4").await;
    check("huge", "a response over the size limit").await;
}

#[tokio::test]
async fn response_to_a_dropped_call_is_not_used_for_the_next() {
    let (_server, client) = connect().await;
    let dropped = client.submit_produce("t", 0, Bytes::new()).await.unwrap();
    drop(dropped);
    let first = client.produce("t", 0, Bytes::new()).await.unwrap();
    assert_eq!(client.produce("t", 0, Bytes::new()).await.unwrap().base_offset, first.base_offset + 1);
}

#[tokio::test]
async fn connect_to_a_closed_port_returns_a_connect_error() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect(&closed.to_string()).await.err().unwrap();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
}
