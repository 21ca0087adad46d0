use super::*;

const SECOND: Duration = Duration::from_secs(1);
const COUNTER: PointKind = PointKind::Sum { delta: false, monotonic: true };
const DELTA: PointKind = PointKind::Sum { delta: true, monotonic: true };

fn accepted(id: u8) -> Accepted {
    let client = Client {
        instance_id: Uuid([id; 16]),
        client_id: Some("c".to_owned()),
        software_name: None,
        software_version: None,
        source_address: "10.0.0.7".to_owned(),
        source_port: 4711,
    };
    Accepted { client, terminating: false, lifetime: 60 * SECOND }
}

fn point(name: &str, kind: PointKind, value: Number) -> Point<'_> {
    Point { name, kind, value, attributes: Vec::new() }
}

fn points(points: Vec<Point<'_>>) -> Points<'_> {
    Points { points, ..Points::default() }
}

/// `name{label=value} kind number` of each series.
fn shown(values: &mut PushedValues, now: Duration) -> Vec<String> {
    let series = |(key, series): (&SeriesKey, &Series)| {
        let labels: Vec<String> = key.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("{}{{{}}} {:?} {:?}", key.name, labels.join(","), series.kind, series.value)
    };
    values.clients(now).iter().flat_map(|client| client.series.iter().map(series)).collect()
}

#[test]
fn differences_are_summed_up_and_other_values_replaced() {
    let mut values = PushedValues::new(10);
    for (counter, delta, gauge) in [(3, 3, 3), (5, 2, 1)] {
        let pushed = points(vec![
            point("org.apache.kafka.a", COUNTER, Number::Int(counter)),
            point("org.apache.kafka.b.total", DELTA, Number::Int(delta)),
            point("org.apache.kafka.c", PointKind::Gauge, Number::Double(gauge.into())),
            point("org.apache.kafka.d", DELTA, Number::Double(0.5)),
        ]);
        assert_eq!(values.apply(SECOND, 1, &accepted(1), &pushed), 0);
    }
    let expect = [
        "org_apache_kafka_a{} Counter Int(5)",
        "org_apache_kafka_b{} Counter Int(5)",
        "org_apache_kafka_c{} Gauge Double(1.0)",
        "org_apache_kafka_d{} Counter Double(1.0)",
    ];
    assert_eq!(shown(&mut values, SECOND), expect);
}

#[test]
fn labels_of_the_broker_cannot_be_pushed() {
    let mut values = PushedValues::new(10);
    let attributes =
        ["client_id", "client.instance.id", "topic", "node.id"].map(|name| (name, "x".to_owned())).to_vec();
    let pushed = Point { attributes, ..point("org.apache.kafka.a", COUNTER, Number::Int(1)) };
    values.apply(SECOND, 1, &accepted(1), &points(vec![pushed]));
    assert_eq!(shown(&mut values, SECOND), ["org_apache_kafka_a{node_id=x,topic=x} Counter Int(1)"]);
}

#[test]
fn series_above_the_limit_are_left_out_and_counted() {
    let mut values = PushedValues::new(2);
    let pushed = || points(["a", "b", "c"].map(|name| point(name, COUNTER, Number::Int(1))).to_vec());
    assert_eq!(values.apply(SECOND, 1, &accepted(1), &pushed()), 1);
    assert_eq!(values.apply(SECOND, 1, &accepted(2), &pushed()), 3);
    assert_eq!((shown(&mut values, SECOND).len(), values.omitted()), (2, 4));
    // Those of the first client expire, and there is room again.
    assert_eq!(values.apply(61 * SECOND, 1, &accepted(2), &pushed()), 1);
    assert_eq!(shown(&mut values, 61 * SECOND).len(), 2);
    let mut none = PushedValues::new(0);
    assert_eq!(none.apply(SECOND, 1, &accepted(1), &pushed()), 3);
    assert!(none.clients(SECOND).is_empty());
}

#[test]
fn name_has_one_kind_until_its_last_series_expires() {
    let mut values = PushedValues::new(10);
    let counter = || points(vec![point("a", COUNTER, Number::Int(1))]);
    let gauge = |name| points(vec![point(name, PointKind::Gauge, Number::Int(1))]);
    values.apply(SECOND, 1, &accepted(1), &counter());
    assert_eq!(values.apply(SECOND, 1, &accepted(2), &gauge("a")), 1);
    assert_eq!(values.apply(SECOND, 1, &accepted(2), &gauge("a.total")), 1);
    assert_eq!(values.apply(SECOND, 1, &accepted(1), &gauge("a")), 1);
    assert_eq!(values.apply(61 * SECOND, 1, &accepted(2), &gauge("a")), 0);
}

#[test]
fn series_with_long_texts_is_left_out() {
    let mut values = PushedValues::new(10);
    let attributes = vec![("topic", "x".repeat(MAX_SERIES_BYTES))];
    let long = Point { attributes, ..point("a", COUNTER, Number::Int(1)) };
    assert_eq!(values.apply(SECOND, 1, &accepted(1), &points(vec![long])), 1);
}

#[test]
fn resource_attributes_are_those_of_the_last_push() {
    let mut values = PushedValues::new(10);
    let pushed = |rack: &str| Points { resource: vec![("client_rack", rack.to_owned())], ..Points::default() };
    for (rack, expect) in [("r1", "r1"), ("r2", "r2"), (&"r".repeat(MAX_RESOURCE_BYTES + 1), "")] {
        values.apply(SECOND, 1, &accepted(1), &pushed(rack));
        assert_eq!(values.clients(SECOND)[0].resource[0], expect);
    }
}
