//! Metrics that clients push (KIP-714), by hand-made requests. Real clients are in tests/external.

use bytes::Bytes;
use ottla_wire::protocol::messages::get_telemetry_subscriptions::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse,
};
use ottla_wire::protocol::messages::push_telemetry::PushTelemetryRequest;
use ottla_wire::record::{Codec, compress};
use ottla_wire::types::Uuid;

use super::{get, scrape};
use crate::fixture::{Fixture, code};
use common::Broker;

/// The resource type of client metrics.
const CLIENT_METRICS: i8 = 16;

pub(super) async fn subscription(fixture: &Fixture, client_instance_id: Uuid) -> GetTelemetrySubscriptionsResponse {
    fixture.client.call_at(GetTelemetrySubscriptionsRequest { client_instance_id }, 0).await.unwrap()
}

pub(super) async fn push(fixture: &Fixture, request: PushTelemetryRequest) -> &'static str {
    code(fixture.client.call_at(request, 0).await.unwrap().error_code)
}

/// A field of a protobuf message with bytes, and one with a number.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
}

/// A message with one sum of differences.
pub(super) fn message(name: &str, value: u8) -> Vec<u8> {
    let attribute = field(7, &[field(1, b"topic"), field(2, &field(1, b"orders"))].concat());
    let point = [&[6 << 3 | 1, value, 0, 0, 0, 0, 0, 0, 0][..], &attribute].concat();
    let sum = [field(1, &point), vec![2 << 3, 1, 3 << 3, 1]].concat();
    let metric = [field(1, name.as_bytes()), field(7, &sum)].concat();
    let resource = field(1, &field(1, &[field(1, b"client_rack"), field(2, &field(1, b"r1"))].concat()));
    field(1, &[resource, field(2, &field(2, &metric))].concat())
}

#[tokio::test]
async fn pushed_metrics_are_in_the_scrape_and_wrong_pushes_are_refused() {
    let options = Broker::with().set("ottla.admin.listener", "0").set("telemetry.max.bytes", "1000");
    let fixture = Fixture::with(options).await;
    let unsubscribed = subscription(&fixture, Uuid::ZERO).await;
    assert_eq!((code(unsubscribed.error_code), unsubscribed.push_interval_ms), ("NONE", 300_000));
    assert!(unsubscribed.requested_metrics.is_empty() && !unsubscribed.client_instance_id.is_zero());
    assert_eq!(
        code(subscription(&fixture, unsubscribed.client_instance_id).await.error_code),
        "THROTTLING_QUOTA_EXCEEDED"
    );

    let set = async |name, value| fixture.set(CLIENT_METRICS, "all", name, value).await;
    assert_eq!(set("match", "client_software_name=another").await, "NONE");
    assert_eq!(set("metrics", "org.apache.kafka.a").await, "NONE");
    let other = subscription(&fixture, unsubscribed.client_instance_id).await;
    assert_eq!((code(other.error_code), &other.requested_metrics[..]), ("NONE", &[][..]));
    assert_eq!(set("match", "client_source_address=127.*|::1").await, "NONE");
    let subscribed = subscription(&fixture, unsubscribed.client_instance_id).await;
    assert_eq!(subscribed.requested_metrics, ["org.apache.kafka.a"]);
    assert_eq!((subscribed.telemetry_max_bytes, subscribed.delta_temporality), (1000, true));
    assert_eq!(subscribed.accepted_compression_types, [4, 3, 1, 2]);

    let id = subscribed.client_instance_id;
    let plain = message("org.apache.kafka.a.total", 3);
    let request = |codec: Codec, terminating, bytes: &[u8]| PushTelemetryRequest {
        client_instance_id: id,
        subscription_id: subscribed.subscription_id,
        terminating,
        compression_type: codec.id().cast_signed(),
        metrics: compress::compress(codec, None, bytes).unwrap().into(),
    };
    assert_eq!(push(&fixture, request(Codec::Zstd, false, &plain)).await, "NONE");
    assert_eq!(push(&fixture, request(Codec::Zstd, false, &plain)).await, "THROTTLING_QUOTA_EXCEEDED");
    // Others push for the first time, and for the last time: nothing follows that.
    for (number, codec) in (2..).zip(Codec::ALL) {
        let id = Uuid([number; 16]);
        let of = |terminating| PushTelemetryRequest { client_instance_id: id, ..request(codec, terminating, &plain) };
        let subscription_id = subscription(&fixture, id).await.subscription_id;
        let with_id = |request| PushTelemetryRequest { subscription_id, ..request };
        assert_eq!(push(&fixture, with_id(of(false))).await, "NONE", "{codec:?}");
        assert_eq!(push(&fixture, with_id(of(true))).await, "NONE");
        assert_eq!(push(&fixture, with_id(of(true))).await, "INVALID_REQUEST");
    }
    let refused = async |number: u8, change: &dyn Fn(&mut PushTelemetryRequest)| {
        let client_instance_id = Uuid([number; 16]);
        let subscription_id = subscription(&fixture, client_instance_id).await.subscription_id;
        let base = request(Codec::None, false, &plain);
        let mut changed = PushTelemetryRequest { client_instance_id, subscription_id, ..base };
        change(&mut changed);
        push(&fixture, changed).await
    };
    assert_eq!(refused(101, &|push| push.client_instance_id = Uuid::ZERO).await, "INVALID_REQUEST");
    assert_eq!(refused(102, &|push| push.subscription_id += 1).await, "UNKNOWN_SUBSCRIPTION_ID");
    assert_eq!(refused(103, &|push| push.compression_type = 5).await, "UNSUPPORTED_COMPRESSION_TYPE");
    assert_eq!(refused(104, &|push| push.metrics = Bytes::from_static(&[0; 1001])).await, "TELEMETRY_TOO_LARGE");
    assert_eq!(refused(105, &|push| push.metrics = Bytes::from_static(b"no protobuf")).await, "INVALID_RECORD");
    let bomb = compress::compress(Codec::Zstd, None, &vec![0; 9 << 20]).unwrap();
    assert!(bomb.len() <= 1000, "{}", bomb.len());
    let expands = |push: &mut PushTelemetryRequest| {
        push.compression_type = Codec::Zstd.id().cast_signed();
        push.metrics = bomb.clone().into();
    };
    assert_eq!(refused(106, &expands).await, "TELEMETRY_TOO_LARGE");
    fixture.broker.wait_for_log("failed to read the metrics that a client has pushed");

    let scraped = scrape(&fixture.broker);
    let series = |id: Uuid, name: &str| {
        scraped.families.get(name).unwrap().samples.iter().find(|(series, _)| series.contains(&id.to_string()))
    };
    let (labels, value) = series(id, "org_apache_kafka_a_total").unwrap();
    assert!(labels.ends_with(",topic=\"orders\"}"), "{labels}");
    assert_eq!(*value, 3.0);
    assert_eq!(series(Uuid([2; 16]), "org_apache_kafka_a_total").unwrap().1, &6.0, "differences are summed up");
    let (info, _) = series(id, "ottla_client_instance_info").unwrap();
    assert!(info.contains(",client_source_address=\"") && info.ends_with(",client_rack=\"r1\"}"), "{info}");
    let admin = |path: &str| -> serde_json::Value {
        let (status, _, body) = get(
            &format!("{}/client-metrics{path}", fixture.broker.ready().admin_url.as_ref().unwrap()),
            &["X-Ottla-Admin: 1"],
        );
        assert!(status == 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    let all = admin("");
    let clients: Vec<_> =
        all["clients"].as_array().unwrap().iter().map(|it| (&it["client_instance_id"], &it["pushes"])).collect();
    assert_eq!(clients.len(), 6, "{all}");
    assert!(clients.contains(&(&serde_json::json!(id.to_string()), &serde_json::json!(1))), "{all}");
    let one = admin(&format!("?client-instance-id={id}"));
    let metric = serde_json::json!({"name": "org_apache_kafka_a_total", "kind": "counter", "labels": {"topic": "orders"}, "value": 3});
    assert_eq!(
        (&one["metrics"], &one["attributes"]["client_rack"]),
        (&serde_json::json!([metric]), &serde_json::json!("r1"))
    );
    for (name, expect) in [
        ("kafka_server_client_metrics_unknown_subscription_request_count_total", 1.0),
        ("ottla_client_metrics_pushes_total", 11.0),
        ("ottla_client_metrics_unreadable_total", 2.0),
        ("ottla_client_metrics_throttled_total", 2.0),
        ("ottla_client_metrics_omitted_total", 0.0),
    ] {
        assert_eq!(scraped.value(name), expect, "{name}");
    }
}

#[tokio::test]
async fn pushed_series_above_the_limit_are_left_out_and_names_are_no_broker_metrics() {
    let options = Broker::with().set("ottla.admin.listener", "0").set("ottla.client.metrics.max.series", "1");
    let fixture = Fixture::with(options).await;
    for (id, name, expect) in [(1, "kafka_brokers", 0.0), (2, "more", 1.0)] {
        let client_instance_id = Uuid([id; 16]);
        let subscription_id = subscription(&fixture, client_instance_id).await.subscription_id;
        let metrics = message(name, 1).into();
        let request =
            PushTelemetryRequest { client_instance_id, subscription_id, metrics, ..PushTelemetryRequest::default() };
        assert_eq!(push(&fixture, request).await, "NONE");
        assert_eq!(scrape(&fixture.broker).value("ottla_client_metrics_omitted_total"), expect);
    }
    let scraped = scrape(&fixture.broker);
    assert!(scraped.families.contains_key("client_kafka_brokers_total"));
    assert_eq!(scraped.value("kafka_brokers"), 1.0);
}
