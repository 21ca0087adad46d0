//! Export to a collector of OpenTelemetry: a stand-in that keeps what it gets.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::Bytes;
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::protocol::messages::push_telemetry::PushTelemetryRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::Uuid;

use super::client_metrics::{message, push, subscription};
use super::scrape;
use crate::fixture::{Fixture, LONG_AGO, text};
use common::{Broker, wait_until};

/// A collector that answers with these statuses, and then with 200.
struct CollectorStandIn {
    port: u16,
    received: Arc<Mutex<Vec<Received>>>,
}

#[derive(Clone, Debug)]
struct Received {
    head: String,
    body: Vec<u8>,
}

impl CollectorStandIn {
    fn start(statuses: &[u16]) -> CollectorStandIn {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (shared, statuses) = (Arc::clone(&received), Arc::new(Mutex::new(VecDeque::from(statuses.to_vec()))));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (shared, statuses) = (Arc::clone(&shared), Arc::clone(&statuses));
                thread::spawn(move || serve(stream, &shared, &statuses));
            }
        });
        CollectorStandIn { port, received }
    }

    fn at(&self, path: &str) -> Vec<Received> {
        let line = format!("POST {path} HTTP/1.1\r\n");
        self.received.lock().unwrap().iter().filter(|it| it.head.starts_with(&line)).cloned().collect()
    }
}

impl Received {
    fn contains(&self, wanted: &[u8]) -> bool {
        self.body.windows(wanted.len()).any(|window| window == wanted)
    }
}

fn serve(stream: TcpStream, received: &Mutex<Vec<Received>>, statuses: &Mutex<VecDeque<u16>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let lower = head.to_ascii_lowercase();
        let length = lower.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        received.lock().unwrap().push(Received { head, body });
        let status = statuses.lock().unwrap().pop_front().unwrap_or(200);
        let response = format!("HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n");
        if (&stream).write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn collector_gets_spans_in_the_traces_of_producers_and_what_clients_push() {
    // The first request is sent again after a second.
    let collector = CollectorStandIn::start(&[503]);
    let options = Broker::with()
        .set("ottla.admin.listener", "0")
        .set("ottla.otlp.endpoint", &format!("http://localhost:{}/", collector.port))
        .set("ottla.otlp.headers", "X-Key=hush")
        .set("ottla.otlp.traces.enable", "true");
    let fixture = Fixture::with(options).await;
    fixture.topic("orders", &[]).await;
    let records = |parents: &[&str]| -> Bytes {
        let mut batch = BatchBuilder::new(Codec::Gzip);
        for parent in parents {
            let headers = [(&b"traceparent"[..], Some(parent.as_bytes()))];
            batch.append(LONG_AGO, None, Some(b"value"), &headers);
        }
        batch.build().unwrap().bytes().clone()
    };
    let parent = |trace: char, span: char, flags: &str| {
        format!("00-{}-{}-{flags}", String::from(trace).repeat(32), String::from(span).repeat(16))
    };
    let [one, other, unsampled] = [parent('a', 'b', "01"), parent('c', 'd', "01"), parent('e', 'f', "00")];
    fixture.client.produce("orders", 0, records(&[&one, &one])).await.unwrap();
    fixture.client.produce("orders", 0, records(&[&one, &other])).await.unwrap();
    fixture.client.produce("orders", 0, records(&[&unsampled])).await.unwrap();
    let partition = FetchPartition { partition: 0, partition_max_bytes: 1 << 20, ..Default::default() };
    let topic = FetchTopic { topic: text("orders"), partitions: vec![partition], ..Default::default() };
    let fetch = FetchRequest { topics: vec![topic], max_bytes: 1 << 20, ..Default::default() };
    fixture.client.call_at(fetch, 11).await.unwrap();

    let client_instance_id = Uuid([1; 16]);
    let subscription_id = subscription(&fixture, client_instance_id).await.subscription_id;
    let metrics = message("org.apache.kafka.a", 3).into();
    let request = PushTelemetryRequest { client_instance_id, subscription_id, metrics, ..Default::default() };
    assert_eq!(push(&fixture, request).await, "NONE");

    let exported =
        |signal: &str| scrape(&fixture.broker).value(&format!("ottla_otlp_exported_total{{signal=\"{signal}\"}}"));
    wait_until("everything to be exported", || exported("metrics") == 1.0 && exported("traces") == 3.0);
    let traces = collector.at("/v1/traces");
    let spans = traces.last().unwrap();
    let head = spans.head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/x-protobuf\r\n") && head.contains("x-key: hush\r\n"), "{head}");
    assert!(spans.contains(b"service.name") && spans.contains(b"messaging.destination.partition.id"));
    let count = |wanted: &[u8]| spans.body.windows(wanted.len()).filter(|window| window == &wanted).count();
    // Trace and parent of the first span, which are fields 1 and 4, and the links of the second, which are fields 1 and 2.
    let of_parent = [&[1 << 3 | 2, 16][..], &[0xaa; 16], &[2 << 3 | 2, 8]].concat();
    assert_eq!(count(&of_parent), 2, "a span and a link");
    assert_eq!(count(&[&[4 << 3 | 2, 8][..], &[0xbb; 8]].concat()), 1, "the parent");
    assert_eq!(count(&[&[2 << 3 | 2, 8][..], &[0xdd; 8]].concat()), 1, "the other link");
    assert_eq!((count(&[0xee; 16]), count(&[0xcc; 16])), (0, 1));
    assert_eq!((count(b"send orders"), count(b"poll orders")), (2, 1));
    let pushed = collector.at("/v1/metrics");
    let pushed = pushed.last().unwrap();
    for wanted in ["org.apache.kafka.a", "client_rack", "client_instance_id", &client_instance_id.to_string()] {
        assert!(pushed.contains(wanted.as_bytes()), "{wanted}");
    }
    assert_eq!(traces.len() + collector.at("/v1/metrics").len(), 3, "one request was sent again");
    assert!(!fixture.broker.log().contains("hush"));
}

#[tokio::test]
async fn failures_of_the_collector_are_logged_and_counted_and_nobody_waits() {
    let collector = CollectorStandIn::start(&[400]);
    let options = Broker::with()
        .set("ottla.admin.listener", "0")
        .set("ottla.otlp.endpoint", &format!("http://user:pass@127.0.0.1:{}", collector.port));
    let fixture = Fixture::with(options).await;
    fixture.topic("orders", &[]).await;
    let client_instance_id = Uuid([1; 16]);
    let subscription_id = subscription(&fixture, client_instance_id).await.subscription_id;
    let metrics = message("org.apache.kafka.a", 3).into();
    let request = PushTelemetryRequest { client_instance_id, subscription_id, metrics, ..Default::default() };
    assert_eq!(push(&fixture, request).await, "NONE");
    fixture.broker.wait_for_log("failed to export to the collector, dropped the values");
    let log = fixture.broker.log();
    assert!(log.contains("status 400") && !log.contains("pass@"), "{log}");
    let scraped = scrape(&fixture.broker);
    assert_eq!(scraped.value("ottla_otlp_dropped_total{signal=\"metrics\"}"), 1.0);
    assert!(collector.at("/v1/traces").is_empty(), "spans are exported only where they are asked for");
}
