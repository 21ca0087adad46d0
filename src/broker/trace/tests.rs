//! Tests of what is kept, and what is shown.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::server::{CloseReason, Ending, Excerpt, Times};
use ottla_core::security::sasl::Mechanism;
use ottla_wire::codec::{FieldRow, Shape};
use ottla_wire::protocol::frame::{decode_request, decode_response, encode_request, encode_response};
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreatableTopicConfig, CreateTopicsRequest};
use ottla_wire::protocol::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use ottla_wire::protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use ottla_wire::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla_wire::protocol::{Request, RequestHeader, Response};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::{ErrorCode, Uuid};

/// The contents of everything that must not be shown.
const SECRET: &str = "S3CRET";

fn connection() -> Arc<ConnectionInfo> {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    Arc::new(ConnectionInfo::new(7, address(40112), address(9092), "PLAINTEXT".into()))
}

/// A request that was done, as the server reports it.
fn exchange(hub: &TraceHub, connection: &ConnectionInfo, frame: &[u8], reply: &[Bytes]) -> Exchange {
    let millis = Duration::from_millis;
    let mut excerpts = hub.excerpts(connection, frame);
    if let Some(excerpts) = excerpts.as_mut().and_then(Arc::get_mut) {
        excerpts.reply = Excerpt::of_reply(reply, excerpts.reply_limit);
    }
    let times = Times {
        arrived: millis(10),
        dispatched: millis(11),
        returned: millis(13),
        known: millis(17),
        sending: millis(25),
        done: millis(41),
    };
    let response_bytes = reply.iter().map(Bytes::len).sum();
    Exchange {
        number: 0,
        head: frame.first_chunk().copied(),
        authenticating: false,
        request_bytes: frame.len(),
        response_bytes,
        ending: if response_bytes > 0 { Ending::Sent } else { Ending::NoReply },
        times,
        throttled: Duration::ZERO,
        refused: None,
        excerpts,
    }
}

fn header(api: ApiKey, api_version: i16) -> RequestHeader {
    RequestHeader { api_key: api as i16, api_version, correlation_id: 5, client_id: Some("c1".into()) }
}

/// The frame of a request, without its size.
fn frame(version: i16, request: impl Into<Request>) -> Vec<u8> {
    let request = request.into();
    encode_request(&header(request.key(), version), &request).unwrap().concat().split_off(4)
}

fn reply(version: i16, response: impl Into<Response>) -> Vec<Bytes> {
    encode_response(5, version, &response.into()).unwrap()
}

/// The events among items, of which none was left out.
fn events(items: Vec<Item>) -> Vec<Arc<Event>> {
    let event = |item| match item {
        Item::Event(event) => event,
        Item::LeftOut(count) => panic!("{count} events were left out"),
    };
    items.into_iter().map(event).collect()
}

/// Passes a request through a hub with a ring, and returns what it shows.
fn shown(frame: &[u8], reply: &[Bytes]) -> Value {
    let (hub, connection) = (TraceHub::new(1 << 20), connection());
    hub.done(|| 1_000, &connection, &exchange(&hub, &connection, frame, reply));
    let events = events(hub.since(0));
    serde_json::from_str(&events[0].show(&|_| Some("by-id".to_owned())).line).unwrap()
}

fn heartbeat(group: &str) -> Vec<u8> {
    frame(4, HeartbeatRequest { group_id: group.into(), ..HeartbeatRequest::default() })
}

fn heartbeat_reply(error: ErrorCode) -> Vec<Bytes> {
    reply(4, HeartbeatResponse { error_code: error.code(), ..HeartbeatResponse::default() })
}

#[test]
fn event_has_the_fields_of_kafkas_request_log() {
    let event = shown(&heartbeat("g1"), &heartbeat_reply(ErrorCode::RebalanceInProgress));
    let header = r#"{"requestApiKey":12,"requestApiVersion":4,"correlationId":5,"clientId":"c1","requestApiKeyName":"HEARTBEAT"}"#;
    assert_eq!(event["requestHeader"], serde_json::from_str::<Value>(header).unwrap());
    assert_eq!(event["request"]["groupId"], "g1");
    assert_eq!(event["request"]["groupInstanceId"], Value::Null);
    assert_eq!(event["response"]["errorCode"], "REBALANCE_IN_PROGRESS");
    assert_eq!(event["errors"], serde_json::json!(["REBALANCE_IN_PROGRESS"]));
    for (name, expect) in [
        ("timestamp", 1000.0),
        ("totalTimeMs", 31.0),
        ("requestQueueTimeMs", 1.0),
        ("localTimeMs", 2.0),
        ("remoteTimeMs", 4.0),
        ("responseQueueTimeMs", 8.0),
        ("sendTimeMs", 16.0),
        ("throttleTimeMs", 0.0),
    ] {
        assert_eq!(event[name].as_f64(), Some(expect), "{name}");
    }
    assert_eq!(event["connection"], "127.0.0.1:9092-127.0.0.1:40112-7");
    assert_eq!((&event["principal"], &event["listener"]), (&"User:ANONYMOUS".into(), &"PLAINTEXT".into()));
    assert_eq!(event["clientInformation"]["softwareName"], "unknown");
    assert_eq!((&event["ending"], event.get("truncated")), (&"sent".into(), None));
}

#[test]
fn records_are_shown_by_their_first_batch_and_their_size() {
    let mut batch = BatchBuilder::new(Codec::Lz4);
    for at in 0..300 {
        batch.append(1_700_000_000_000 + at, None, Some(SECRET.as_bytes()), &[]);
    }
    let batch = batch.build().unwrap().bytes().clone();
    let size = batch.len();
    let partition = |index, records| PartitionProduceData { index, records: Some(records) };
    let two = Bytes::from([&batch[..], &batch].concat());
    let request = ProduceRequest {
        topic_data: vec![TopicProduceData {
            topic_id: Uuid([9; 16]),
            partition_data: vec![partition(0, batch), partition(1, two)],
            ..TopicProduceData::default()
        }],
        ..ProduceRequest::default()
    };
    let event = shown(&frame(13, request), &[]);
    let topic = &event["request"]["topicData"][0];
    assert_eq!(topic["topicName"], "by-id");
    let (one, two) = (&topic["partitionData"][0], &topic["partitionData"][1]);
    assert_eq!((&one["recordsSizeInBytes"], &one["batch"]["recordCount"]), (&size.into(), &300.into()));
    assert_eq!(one["batch"]["compressionType"], "lz4");
    assert_eq!((&two["recordsSizeInBytes"], &two["firstBatch"]["recordCount"]), (&(2 * size).into(), &300.into()));
    assert_eq!((&event["ending"], &event["response"]), (&"noResponse".into(), &Value::Null));
    assert!(event.get("truncated").is_none());
}

#[test]
fn fields_after_large_records_of_a_response_are_shown() {
    let partition = |partition_index, error: ErrorCode| PartitionData {
        partition_index,
        error_code: error.code(),
        records: Some(Bytes::from(vec![b'x'; 50_000])),
        ..PartitionData::default()
    };
    let partitions = vec![partition(0, ErrorCode::None), partition(1, ErrorCode::OffsetOutOfRange)];
    let topic = FetchableTopicResponse { topic: "t".into(), partitions, ..FetchableTopicResponse::default() };
    let response = FetchResponse { responses: vec![topic], ..FetchResponse::default() };
    let request = frame(12, ottla_wire::protocol::messages::fetch::FetchRequest::default());
    let event = shown(&request, &reply(12, response));
    assert_eq!(event["response"]["responses"][0]["partitions"][1]["errorCode"], "OFFSET_OUT_OF_RANGE");
    assert_eq!(event["response"]["responses"][0]["partitions"][1]["recordsSizeInBytes"], 50_000);
    assert!(event.get("truncated").is_none(), "{event}");
}

#[test]
fn long_request_is_shown_as_far_as_it_is_kept() {
    let topic = |at| CreatableTopic { name: format!("topic-{at}").into(), ..CreatableTopic::default() };
    let topics = (0..1000).map(topic).collect();
    let event = shown(&frame(7, CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }), &[]);
    assert_eq!(event["truncated"], true);
    let kept = event["request"]["topics"].as_array().unwrap();
    assert!((10..100).contains(&kept.len()), "{}", kept.len());
    assert_eq!(kept[0]["name"], "topic-0");
}

#[test]
fn request_that_cannot_be_read_is_shown_with_its_header_and_the_reason() {
    let (hub, connection) = (TraceHub::new(1 << 20), connection());
    for (version, name) in [(4, Some("HEARTBEAT")), (99, Some("HEARTBEAT"))] {
        let mut bytes = heartbeat("g1");
        bytes[2..4].copy_from_slice(&i16::to_be_bytes(version));
        bytes.truncate(13);
        let why = CloseReason::new("test", "cannot be read");
        let exchange = Exchange { refused: Some(why), ..exchange(&hub, &connection, &bytes, &[]) };
        hub.done(|| 0, &connection, &exchange);
        let event = events(hub.since(0)).pop().unwrap();
        assert!(event.failed);
        let event: Value = serde_json::from_str(&event.show(&|_| None).line).unwrap();
        assert_eq!(event["requestHeader"]["requestApiKeyName"].as_str(), name);
        assert_eq!((&event["closed"], &event["response"]), (&"cannot be read".into(), &Value::Null));
    }
    for bytes in [&b""[..], b"\0", b"\0\x0c\0\x04\0\0\0\0\0\x09c"] {
        hub.done(|| 1, &connection, &exchange(&hub, &connection, bytes, &[]));
        let line = events(hub.since(1)).pop().unwrap().show(&|_| None).line;
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["requestHeader"], Value::Null, "{line}");
    }
}

/// Writes a value of any type, in which everything that could be a secret is [`SECRET`].
struct Secrets {
    version: i16,
    flexible: bool,
    out: Vec<u8>,
}

impl Secrets {
    fn length(&mut self, length: usize, bytes: usize) {
        match self.flexible {
            true => self.out.push(u8::try_from(length + 1).unwrap()),
            false => self.out.extend_from_slice(&(length as u64).to_be_bytes()[8 - bytes..]),
        }
    }

    fn text(&mut self, text: &str) {
        self.length(text.len(), 2);
        self.out.extend_from_slice(text.as_bytes());
    }

    fn put(&mut self, shape: &'static Shape, row: &FieldRow, has_value: bool) {
        match shape {
            Shape::Bool | Shape::I8 => self.out.push(1),
            Shape::I16 | Shape::U16 => self.out.extend_from_slice(&[0, 3]),
            Shape::I32 | Shape::U32 => self.out.extend_from_slice(&[0, 0, 0, 1]),
            Shape::I64 | Shape::F64 => self.out.extend_from_slice(&[0; 8]),
            Shape::Uuid => self.out.extend_from_slice(&[7; 16]),
            Shape::Str => match row.name {
                "value" => self.text(SECRET),
                "name" if has_value => self.text("listener.name.x.plain.sasl.jaas.config"),
                name => self.text(name),
            },
            Shape::Bytes => {
                self.length(SECRET.len(), 4);
                self.out.extend_from_slice(SECRET.as_bytes());
            }
            Shape::Array(element) => {
                self.length(2, 4);
                (0..2).for_each(|_| self.put(element, row, false));
            }
            Shape::Nullable(inner) => {
                if matches!(inner, Shape::Struct { .. }) {
                    self.out.push(1);
                }
                self.put(inner, row, has_value);
            }
            Shape::Struct { fields, .. } => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &'static [FieldRow]) {
        let here: Vec<&FieldRow> = fields.iter().filter(|row| row.versions.contains(self.version)).collect();
        let has_value = here.iter().any(|row| row.name == "value");
        for row in here.iter().filter(|row| row.tag.is_none()) {
            self.put(row.shape, row, has_value);
        }
        if self.flexible {
            let tagged: Vec<&&FieldRow> = here.iter().filter(|row| row.tag.is_some()).collect();
            self.out.push(u8::try_from(tagged.len()).unwrap());
            for row in tagged {
                let mut inner = Secrets { version: self.version, flexible: true, out: Vec::new() };
                inner.put(row.shape, row, false);
                self.out.push(u8::try_from(row.tag.unwrap()).unwrap());
                let size = inner.out.len();
                assert!(size < 1 << 14);
                self.out.extend_from_slice(&[(size & 0x7f) as u8 | 0x80, (size >> 7) as u8]);
                self.out.extend_from_slice(&inner.out);
            }
        }
    }

    /// A message of an API after its header.
    fn message(shape: &'static Shape, api: ApiKey, version: i16, header: &[u8], has_tags: bool) -> Vec<u8> {
        let mut out = header.to_vec();
        out.extend(has_tags.then_some(0));
        let mut writer = Secrets { version, flexible: api.is_flexible(version), out };
        let Shape::Struct { fields, .. } = shape else { panic!("{api:?} is not a struct") };
        writer.fields(fields);
        writer.out
    }
}

#[test]
fn no_secret_is_kept_or_shown_of_any_api_in_any_version() {
    let (hub, connection) = (TraceHub::new(1 << 20), connection());
    let _follower = hub.follow(Filter::default(), None).unwrap();
    let mut count = 0;
    for api in ApiKey::ALL {
        for version in api.versions() {
            let mut head = [&(*api as i16).to_be_bytes()[..], &version.to_be_bytes(), &[0, 0, 0, 9]].concat();
            head.extend_from_slice(b"\0\x02c1");
            let has_tags = api.request_header_version(version) >= 2;
            let request = Secrets::message(api.shapes().0, *api, version, &head, has_tags);
            decode_request(Bytes::from(request.clone())).unwrap();
            let has_tags = api.response_header_version(version) >= 1;
            let response = Secrets::message(api.shapes().1, *api, version, &[0, 0, 0, 9], has_tags);
            let response = Bytes::from(response);
            decode_response(*api, version, response.clone()).unwrap();
            let response = Bytes::from([&(response.len() as u32).to_be_bytes()[..], &response].concat());

            let exchange = exchange(&hub, &connection, &request, &[response]);
            let kept = &exchange.excerpts.as_ref().unwrap().request;
            let line = Event::new(0, &connection, &exchange, false).show(&|_| None).line;
            let event: Value = serde_json::from_str(&line).unwrap();
            assert!(!line.contains(SECRET), "{api:?} {version}: {line}");
            assert!(event.get("truncated").is_none(), "{api:?} {version}: {line}");
            assert!(!event["request"].is_null() && !event["response"].is_null(), "{api:?} {version}");
            if !matches!(api, ApiKey::Produce) && !line.contains("[hidden]") {
                let found = kept.bytes().windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes());
                assert!(!found, "{api:?} {version}");
            }
            count += 1;
        }
    }
    assert!(count > 300, "{count}");
}

#[test]
fn value_of_a_known_setting_is_shown_and_those_of_passwords_and_unknown_ones_are_not() {
    let config = |name: &str| CreatableTopicConfig { name: name.into(), value: Some("1000".into()) };
    let configs = ["retention.ms", "ssl.key.password", "made.up"].map(config).to_vec();
    let topics = vec![CreatableTopic { configs, ..CreatableTopic::default() }];
    let event = shown(&frame(7, CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }), &[]);
    let values: Vec<&Value> =
        event["request"]["topics"][0]["configs"].as_array().unwrap().iter().map(|config| &config["value"]).collect();
    assert_eq!(values, ["1000", "[hidden]", "[hidden]"]);
}

#[test]
fn message_of_sasl_without_a_header_is_not_kept() {
    let hub = TraceHub::new(1 << 20);
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let connection = ConnectionInfo::new(7, address(1), address(2), "SASL".into()).with_sasl();
    let kept = |frame: &[u8]| hub.excerpts(&connection, frame).unwrap().request.clone();
    // A user's name can look like the key of an API.
    let token = b"\0$\0\0\0\0\0\0\0\x02pw and more";
    assert_eq!(kept(token), Excerpt::default());
    let session = connection.sasl.as_ref().unwrap();
    session.lock().handshake(0, "PLAIN", &[Mechanism::Plain], [0; 24]).unwrap();
    assert_eq!(kept(token), Excerpt::default());
    assert_eq!(kept(&heartbeat("g")), Excerpt::default());
}

/// The groups of events, in order.
fn groups(events: &[Arc<Event>]) -> Vec<String> {
    events.iter().map(|event| event.show(&|_| None).groups.concat()).collect()
}

#[test]
fn ring_keeps_failed_requests_longer_than_others() {
    let (hub, connection) = (TraceHub::new(40_000), connection());
    let push = |at: i64, error| {
        let exchange = exchange(&hub, &connection, &heartbeat(&at.to_string()), &heartbeat_reply(error));
        hub.done(|| at, &connection, &exchange);
    };
    push(1, ErrorCode::None);
    push(2, ErrorCode::UnknownMemberId);
    (3..200).for_each(|at| push(at, ErrorCode::None));
    let kept = groups(&events(hub.since(0)));
    assert_eq!(kept[0], "2", "{kept:?}");
    assert!(kept.len() < 100 && kept.ends_with(&["198".to_owned(), "199".to_owned()]), "{kept:?}");
    assert_eq!(groups(&events(hub.since(198))), ["198", "199"]);
    assert!(events(hub.since(0)).iter().map(|event| event.size()).sum::<usize>() <= 40_000);
}

#[test]
fn ring_leaves_out_requests_without_an_error_above_the_limit_of_a_second() {
    let (hub, connection) = (TraceHub::new(10 << 20), connection());
    let push = |at: i64, error| {
        let exchange = exchange(&hub, &connection, &heartbeat("g"), &heartbeat_reply(error));
        hub.done(|| at, &connection, &exchange);
    };
    (0..1_005).for_each(|at| push(at % 1_000, ErrorCode::None));
    push(999, ErrorCode::UnknownMemberId);
    (0..7).for_each(|_| push(999, ErrorCode::None));
    push(1_000, ErrorCode::None);
    (0..1_002).for_each(|_| push(2_000, ErrorCode::None));
    let mut runs: Vec<(u64, bool)> = Vec::new();
    for item in hub.since(0) {
        match (item, runs.last_mut()) {
            (Item::Event(_), Some((count, true))) => *count += 1,
            (Item::Event(_), _) => runs.push((1, true)),
            (Item::LeftOut(count), _) => runs.push((count, false)),
        }
    }
    assert_eq!(runs, [(1_000, true), (5, false), (1, true), (7, false), (1_001, true), (2, false)]);
}

#[test]
fn nothing_is_kept_without_a_ring_and_a_follower() {
    let (hub, connection) = (TraceHub::new(0), connection());
    let limit = || hub.excerpts(&connection, &heartbeat("g")).map(|excerpts| excerpts.reply_limit);
    assert_eq!(limit(), None);
    let follower = hub.follow(Filter::default(), None).unwrap();
    assert_eq!(limit(), Some(FOLLOWED_EXCERPT));
    drop(follower);
    assert_eq!(limit(), None);
    let ring = TraceHub::new(1);
    assert_eq!(ring.excerpts(&connection, b"").map(|excerpts| excerpts.reply_limit), Some(RING_EXCERPT));
}

#[tokio::test]
async fn slow_follower_gets_the_number_of_events_that_were_left_out() {
    let (hub, connection) = (TraceHub::new(0), connection());
    let (_, follower) = hub.follow(Filter::default(), None).unwrap();
    let exchange = exchange(&hub, &connection, &heartbeat("g"), &heartbeat_reply(ErrorCode::None));
    let push = |count| (0..count).for_each(|_| hub.done(|| 0, &connection, &exchange));
    let mut kept = 0;
    push(20_000);
    let left_out = loop {
        match follower.try_next().unwrap() {
            Item::Event(_) => kept += 1,
            Item::LeftOut(count) => break count,
        }
        if kept == 1 {
            push(10);
        }
    };
    assert!((100..=4096).contains(&kept), "{kept}");
    assert_eq!(kept + left_out, 20_010);
    push(1);
    assert!(matches!(follower.next().await, Some(Item::Event(_))));
    hub.close();
    assert!(follower.next().await.is_none());
    assert!(hub.follow(Filter::default(), None).is_none());
}

#[test]
fn number_of_followers_is_limited() {
    let hub = TraceHub::new(0);
    let mut followers: Vec<_> = (0..MAX_FOLLOWERS).map(|_| hub.follow(Filter::default(), None).unwrap()).collect();
    assert!(hub.follow(Filter::default(), None).is_none());
    followers.pop();
    assert!(hub.follow(Filter::default(), None).is_some());
}

#[test]
fn filter_admits_events_that_have_a_value_of_each_list() {
    let (hub, connection) = (TraceHub::new(1 << 20), connection());
    let exchange = exchange(&hub, &connection, &heartbeat("g1"), &heartbeat_reply(ErrorCode::None));
    let event = Event::new(0, &connection, &exchange, false);
    let check = |filter: Filter, expect: bool| {
        let admits = filter.may_admit(&event) && filter.admits(&event.show(&|_| None));
        assert_eq!(admits, expect, "{filter:?}");
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let apis = |names: &[&str]| names.iter().map(|name| Filter::api(name).unwrap()).collect::<Vec<_>>();
    check(Filter::default(), true);
    check(Filter { client_ids: names(&["a", "c1"]), ..Filter::default() }, true);
    check(Filter { client_ids: names(&["a"]), ..Filter::default() }, false);
    check(Filter { apis: apis(&["heartbeat", "Fetch"]), groups: names(&["g1"]), ..Filter::default() }, true);
    check(Filter { apis: apis(&["FETCH"]), ..Filter::default() }, false);
    check(Filter { groups: names(&["g2"]), ..Filter::default() }, false);
    check(Filter { topics: names(&["g1"]), ..Filter::default() }, false);
    check(Filter { errors: true, ..Filter::default() }, false);
}
