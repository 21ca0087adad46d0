use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::schema::{self, Any, Data, Gauge, MetricsData, PointValue, Sum, attribute, data_point, metric, pushed};
use crate::with_labels;

fn sum(temporality: i32, is_monotonic: bool, points: Vec<schema::NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points: points, aggregation_temporality: temporality, is_monotonic })
}

#[test]
fn sums_and_gauges_are_read_with_their_attributes() {
    let attributes = vec![
        attribute("topic", Any::Text("orders".to_owned())),
        attribute("node", Any::Int(-1)),
        attribute("ok", Any::Bool(true)),
        attribute("raw", Any::Bytes(vec![1])),
        attribute("share", Any::Double(0.5)),
    ];
    let point = || data_point(PointValue::Int(7), Vec::new());
    let message = pushed(
        &[("client_rack", "r1")],
        vec![
            metric("g", Data::Gauge(Gauge { data_points: vec![data_point(PointValue::Double(1.5), attributes)] })),
            metric("d", sum(1, true, vec![point()])),
            metric("c", sum(2, true, vec![point()])),
            metric("u", sum(2, false, vec![point()])),
        ],
    );
    let bytes = message.encode_to_vec();
    let read = read_points(&bytes).unwrap();
    let texts = [("topic", "orders"), ("node", "-1"), ("ok", "true"), ("share", "0.5")];
    let texts = texts.map(|(key, value)| (key, value.to_owned())).to_vec();
    let number = |name, delta, monotonic| Point {
        name,
        kind: PointKind::Sum { delta, monotonic },
        value: Number::Int(7),
        attributes: Vec::new(),
    };
    let gauge = Point { name: "g", kind: PointKind::Gauge, value: Number::Double(1.5), attributes: texts };
    let points = vec![gauge, number("d", true, true), number("c", false, true), number("u", false, false)];
    assert_eq!(read, Points { points, resource: vec![("client_rack", "r1".to_owned())], omitted: 0 });
}

#[test]
fn points_that_cannot_be_shown_are_omitted() {
    let point = || data_point(PointValue::Int(1), Vec::new());
    let many = (0..=MAX_ATTRIBUTES).map(|_| attribute("a", Any::Int(1))).collect();
    let points = vec![
        schema::NumberDataPoint { value: None, ..point() },
        schema::NumberDataPoint { flags: 1, ..point() },
        data_point(PointValue::Int(1), many),
    ];
    let gauge = |points| Data::Gauge(Gauge { data_points: points });
    let histogram = Data::Histogram(Gauge { data_points: vec![point(), point()] });
    let message =
        pushed(&[], vec![metric("g", gauge(points)), metric("h", histogram), metric("", gauge(vec![point()]))]);
    let bytes = message.encode_to_vec();
    assert_eq!(read_points(&bytes), Ok(Points { omitted: 6, ..Points::default() }));
    let message = pushed(&[], vec![metric("g", gauge((0..MAX_POINTS + 5).map(|_| point()).collect()))]);
    let bytes = message.encode_to_vec();
    let read = read_points(&bytes).unwrap();
    assert_eq!((read.points.len(), read.omitted), (MAX_POINTS, 5));
}

#[test]
fn labels_are_added_to_each_resource() {
    let point = data_point(PointValue::Int(7), Vec::new());
    let mut message = pushed(&[("a", "b")], vec![metric("m", sum(1, true, vec![point]))]);
    message.resource_metrics.push(schema::ResourceMetrics { schema_url: "u".to_owned(), ..Default::default() });
    let labelled = with_labels(&message.encode_to_vec(), &[("client_id", "c"), ("x", "")]).unwrap();
    for resource_metrics in &mut message.resource_metrics {
        let resource = resource_metrics.resource.get_or_insert_default();
        resource.attributes.push(attribute("client_id", Any::Text("c".to_owned())));
        resource.attributes.push(attribute("x", Any::Text(String::new())));
    }
    assert_eq!(MetricsData::decode(&labelled[..]), Ok(message));
}

/// Any message with numbers.
fn any_message() -> impl Strategy<Value = MetricsData> {
    let value = prop_oneof![any::<f64>().prop_map(PointValue::Double), any::<i64>().prop_map(PointValue::Int)];
    let text = prop_oneof!["[a-z]{0,3}".prop_map(Any::Text), any::<i64>().prop_map(Any::Int)];
    let attributes = prop::collection::vec(("[a-z]{1,3}", text).prop_map(|(key, value)| attribute(&key, value)), 0..3);
    let point = (value, attributes).prop_map(|(value, attributes)| data_point(value, attributes));
    let points = prop::collection::vec(point, 0..3);
    let data = (points, 0..3, any::<bool>()).prop_map(|(points, temporality, is_monotonic)| match temporality {
        0 => Data::Gauge(Gauge { data_points: points }),
        temporality => sum(temporality, is_monotonic, points),
    });
    let metrics = prop::collection::vec(("[a-z.]{1,5}", data).prop_map(|(name, data)| metric(&name, data)), 0..4);
    metrics.prop_map(|metrics| pushed(&[("k", "v")], metrics))
}

proptest! {
    #[test]
    fn every_point_of_a_message_is_read(message in any_message()) {
        let bytes = message.encode_to_vec();
        let read = read_points(&bytes).unwrap();
        let metrics = message.resource_metrics.iter().flat_map(|it| &it.scope_metrics).flat_map(|it| &it.metrics);
        let written = metrics.flat_map(|metric| {
            let points = match &metric.data {
                Some(Data::Gauge(gauge) | Data::Histogram(gauge)) => &gauge.data_points[..],
                Some(Data::Sum(sum)) => &sum.data_points,
                None => &[],
            };
            points.iter().map(|point| (metric.name.clone(), point.attributes.len(), match point.value {
                Some(PointValue::Double(value)) => value.to_bits(),
                Some(PointValue::Int(value)) => value.cast_unsigned(),
                None => 0,
            }))
        });
        let found = read.points.iter().map(|point| (point.name.to_owned(), point.attributes.len(), match point.value {
            Number::Double(value) => value.to_bits(),
            Number::Int(value) => value.cast_unsigned(),
        }));
        prop_assert_eq!(found.collect::<Vec<_>>(), written.collect::<Vec<_>>());
    }

    #[test]
    fn changed_messages_are_read_or_refused(message in any_message(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)) {
        let mut bytes = message.encode_to_vec();
        for (at, byte) in changes {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let read = read_points(&bytes);
        let labelled = with_labels(&bytes, &[("client_id", "c")]);
        if read.is_ok() {
            prop_assert!(labelled.is_ok());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_points(&bytes);
        let _ = with_labels(&bytes, &[("client_id", "c")]);
    }
}
