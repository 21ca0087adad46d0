//! docs/metrics.md is generated from the declarations. After a change of them:
//! `OTTLA_WRITE_DOCS=1 cargo test --test ottla the_reference_of_metrics_is_up_to_date`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ottla_broker::metrics::declared;
use ottla_metrics::{Kind, Metric};

#[test]
fn the_reference_of_metrics_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let reference = reference();
    if std::env::var_os("OTTLA_WRITE_DOCS").is_some() {
        fs::write(&path, &reference).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == reference,
        "docs/metrics.md is stale; write it with: OTTLA_WRITE_DOCS=1 cargo test --test ottla \
         the_reference_of_metrics_is_up_to_date"
    );
}

/// The test data has what a real broker has.
#[test]
fn every_declared_mbean_and_attribute_exists_in_kafka() {
    let known: HashSet<(String, &str)> = include_str!("../../data/kafka-jmx-names.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut columns = line.split('\t');
            (shape(columns.next().unwrap()), columns.next().unwrap())
        })
        .collect();
    let mbeans = all().into_iter().filter_map(Metric::mbean);
    // Of some meters of topics, only the one of all topics exists before the first count.
    let is_known = |mbean: &str, attribute: &'static str| {
        let resource = if attribute == "request-time" { "Request" } else { "Produce" };
        let shape = shape(&mbean.replace("{resource}", resource));
        let of_all = shape.strip_suffix(",topic").unwrap_or(&shape).to_owned();
        known.contains(&(shape, attribute)) || known.contains(&(of_all, attribute))
    };
    let unknown: Vec<_> = mbeans.filter(|(mbean, attribute)| !is_known(mbean, attribute)).collect();
    assert_eq!(unknown, [("", ""); 0]);
}

#[test]
fn every_metric_is_declared_once_with_a_help_text() {
    let mut names = HashSet::new();
    for metric in all() {
        assert!(names.insert(metric.name().to_owned()), "{}", metric.name());
        assert!(metric.help.ends_with('.'), "{}: {}", metric.name(), metric.help);
    }
}

fn all() -> Vec<&'static Metric> {
    declared().into_iter().flat_map(|(_, metrics)| metrics).collect()
}

/// An MBean's domain, its type and name, and its other keys.
fn shape(mbean: &str) -> String {
    let (domain, properties) = mbean.split_once(':').unwrap();
    let part = |property: &str| match property.split_once('=') {
        Some(("type" | "name", _)) => property.to_owned(),
        Some((key, _)) => key.to_owned(),
        None => property.to_owned(),
    };
    format!("{domain}:{}", properties.split(',').map(part).collect::<Vec<_>>().join(","))
}

const INTRODUCTION: &str = "\
# Metrics

`GET /metrics` on the admin port (`--admin-port`) has the broker's metrics for Prometheus, in its text format or in
OpenMetrics, by the request's header `Accept`. `ottla.metrics.listener` opens a port for metrics alone. The ready file has the
URL as `metrics_url`.

```yaml
scrape_configs:
  - job_name: ottla
    static_configs:
      - targets: [\"localhost:9644\"]
```

If the broker runs in a container, Prometheus reaches it by the name of its service. The broker answers only requests for names
that it knows, so name the service in `ottla.metrics.allowed.hosts` or, for the admin port, in `ottla.admin.allowed.hosts`.
[docker/monitoring/compose.yaml](../docker/monitoring/compose.yaml) starts a broker with Prometheus and Grafana, which shows
[grafana-dashboard.json](grafana-dashboard.json). The board can also be imported into another Grafana.

**Names** are those that boards and alerts for Apache Kafka query: the names that
[jmx_exporter](https://github.com/prometheus/jmx_exporter) gives to Kafka's MBeans with its example `kafka-2_0_0.yml`; those of
[kafka_exporter](https://github.com/danielqsj/kafka_exporter) for topics and groups; and those of kafka-lag-exporter for lag
in seconds. Where the example has no rule for an MBean, it has the name that jmx_exporter gives without rules, in lower case.
Names that begin with `ottla_` are Ottla's.

**Summaries** have the quantiles 0.50, 0.75, 0.95, 0.98, 0.99 and 0.999, a sum and a count. The quantiles are about the last
five to six minutes, if metrics are scraped at least once a minute; with fewer scrapes, about the time since an earlier one.
Kafka's are about a sample in which older values count less and less. A value is known to about 6 %.

**Limits.** A scrape has at most `ottla.metrics.max.series` series. A partition has 19 series; a topic has one and up to 14 for what
is produced and fetched, which begin with the first count, as in Kafka; a committed offset has 5; a group has 4 and 2 for each topic.
So 1,000 partitions and 100 groups with 10 offsets each have about 26,000, which are 2.2 MB of text; a scrape of them takes 2 to 4 ms
with a release build (`cargo bench --bench broker -- --only metrics`). An API has 66 and one for each version and error code.

**What is absent.** Rates and means that Kafka computes itself: Prometheus computes them from counters and sums. Of replication, the
figures that would only be 0 and that no board needs (`ReplicaFetcherManager`, `ReplicaAlterLogDirsManager`, `AssignmentsManager`,
`ReassignmentBytesInPerSec`), and the requests that brokers send each other (`alter-partition-metrics`, `heartbeat-metrics`,
`node-to-controller-channel-metrics`). The queues and threads that Ottla does not have: `RequestChannel` (a request is handled when
it is read; `requestqueuetimems` has how long it waited), `AcceptorBlockedPercent`, `event-queue-size` and the times of the group
coordinator's threads (`localtimems` of the APIs has them), `ControllerEventManager`'s `EventQueueTimeMs`. `SnapshotEmitter`: there are no
snapshots of the metadata. Groups of the new protocols, which are not served. Texts (`ClusterId`, `version`, `commit-id`), which
Prometheus cannot have as values: `ottla_build_info` has the cluster's id and the version as labels. The JVM.

**A reset** of the admin port keeps counters and summaries. The series of removed topics, groups and quotas end.

**Clients push metrics too** (KIP-714), if a subscription asks them to. `kafka-client-metrics` makes one:

```sh
ottla kafka-client-metrics --bootstrap-server localhost:9092 --alter --generate-name --metrics '*' --interval 60000
```

Apache Kafka does this with a plug-in; Ottla needs none. ApiVersions lists the two requests while there is a subscription, so that
clients do not ask in vain: start clients after the first subscription is made. `/metrics` has what clients pushed under
OpenTelemetry's names with underscores: `org.apache.kafka.consumer.fetch.manager.records.lag.max` is
`org_apache_kafka_consumer_fetch_manager_records_lag_max`. A count ends in `_total`. A name that does not begin with
`org.apache.kafka.` gets the prefix `client_`. Each series has the labels `client_instance_id` and `client_id`, and those that the client
gives it, such as `topic`. `ottla_client_instance_info` has more about each client. A client's values are shown for three push intervals
after its last push, and at least a minute. All clients together have at most `ottla.client.metrics.max.series` series, which
one client can use up; a Java consumer has about 130. `GET /client-metrics` on the admin port, and the console, show them by client.

**A collector of OpenTelemetry** gets what clients push, too, if `ottla.otlp.endpoint` names one, such as `http://localhost:4318`: by
OTLP over HTTP with protobuf, as the clients sent it and with their ids, names and addresses as attributes of the resource. With
`ottla.otlp.traces.enable` it gets spans of Produce and Fetch requests: one for each topic-partition with records or an error, up to
16 of a request, with the attributes of OpenTelemetry's conventions for messaging. A span of a Produce request belongs to the trace
that the header `traceparent` of the batch's first 10 records names; if they name several spans, it has links to them, and if the producer does
not record its trace, there is no span. Of a compressed batch the first 32 KiB are decompressed for this. Nothing waits for the collector:
what it does not take in time is counted in `ottla_otlp_dropped_total` and logged. What has not been sent when the broker stops is lost.
The broker's own metrics are not sent: collectors scrape `/metrics` with their Prometheus receiver.

**Cost.** What requests count are additions to counters that they have at hand. A scrape takes no lock that appends and fetches
need, with two exceptions: it opens up to 100 logs that were not open since the start, because nothing else knows their offsets;
and for `kafka_consumergroup_group_lag_seconds` it reads batches at committed offsets, once for each offset. Coordinators of
groups and transactions are locked one after the other, as for ListGroups. Beside a build without any metrics, in 120 rounds of
256 MB by turns (`cargo bench --bench broker -- --only throughput --other FILE`), produce had 98.7 % of its throughput with 1
connection (95 % interval 96.2 to 101.4) and 98.8 % with 8 (96.7 to 100.6), fetch 99.9 % (99.3 to 100.6) and 100.3 % (98.8 to
102.0).
";

fn reference() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (subject, metrics) in declared() {
        write!(text, "\n## {subject}\n\n| Metric | Kind | Labels | Meaning | MBean |\n|---|---|---|---|---|\n")
            .unwrap();
        for metric in metrics {
            let (kind, ending) = match metric.kind {
                Kind::Counter => ("counter", "_total"),
                Kind::Gauge => ("gauge", ""),
                Kind::Summary => ("summary", ""),
            };
            let labels: Vec<String> = metric.label_names().map(|label| format!("`{label}`")).collect();
            let mbean = metric.mbean().map(|(mbean, attribute)| match attribute {
                "Count" | "Value" => format!("`{mbean}`"),
                attribute => format!("`{mbean}`, `{attribute}`"),
            });
            let (name, labels, mbean) = (metric.name(), labels.join(", "), mbean.unwrap_or_default());
            writeln!(text, "| `{name}{ending}` | {kind} | {labels} | {} | {mbean} |", metric.help).unwrap();
        }
    }
    text
}
