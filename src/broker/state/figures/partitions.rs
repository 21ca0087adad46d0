//! Figures of partitions and their logs, under Kafka's names and those of kafka_exporter.

use super::super::Broker;
use super::super::cluster::Cluster;
use super::super::partition::{LogFigures, Partition};
use ottla_metrics::{Kind, Labels, Metric, Scrape, Value};
use ottla_wire::types::PartitionIndex;

/// Logs that one scrape opens, if they were never open. The next scrapes open the others.
const MAX_OPENED: usize = 100;

macro_rules! partition_metrics {
    ($($id:ident = $metric:expr, $value:expr;)*) => {
        $(static $id: Metric = $metric;)*

        /// The metrics with a series for each partition. A value is absent while the log was never open.
        const BY_PARTITION: &[(&Metric, fn(&Row) -> Option<Value>)] = &[$((&$id, $value),)*];
    };
}

const PARTITION: &[&str] = &["topic", "partition"];

const fn exporter(name: &'static str, help: &'static str) -> Metric {
    Metric::named(name, Kind::Gauge, PARTITION, help)
}

partition_metrics! {
    LOG_START_OFFSET = Metric::gauge(
        "kafka.log:type=Log,name=LogStartOffset,topic={topic},partition={partition}",
        "The first offset of the log.",
    ), |row| Some(row.log?.start.into());
    LOG_END_OFFSET = Metric::gauge(
        "kafka.log:type=Log,name=LogEndOffset,topic={topic},partition={partition}",
        "The offset of the next record.",
    ), |row| Some(row.log?.end.into());
    LOG_SIZE = Metric::gauge(
        "kafka.log:type=Log,name=Size,topic={topic},partition={partition}",
        "Bytes of the log's batches.",
    ), |row| Some(row.log?.size.into());
    LOG_SEGMENTS = Metric::gauge(
        "kafka.log:type=Log,name=NumLogSegments,topic={topic},partition={partition}",
        "Segments of the log.",
    ), |row| Some(row.log?.segments.into());
    LAST_STABLE_OFFSET_LAG = Metric::gauge(
        "kafka.cluster:type=Partition,name=LastStableOffsetLag,topic={topic},partition={partition}",
        "Records after the first one of the oldest open transaction; consumers with read_committed do not get them yet.",
    ), |row| Some((row.log?.end - row.log?.last_stable).max(0).into());
    UNDER_REPLICATED = Metric::gauge(
        "kafka.cluster:type=Partition,name=UnderReplicated,topic={topic},partition={partition}",
        "1 if the partition has replicas on other brokers, which do not run.",
    ), |row| Some(row.is_under_replicated().into());
    AT_MIN_ISR = Metric::gauge(
        "kafka.cluster:type=Partition,name=AtMinIsr,topic={topic},partition={partition}",
        "1 if the partition has one in-sync replica, which is the fewest: 1 for each partition that is served.",
    ), |row| Some((row.in_sync == 1).into());
    UNDER_MIN_ISR = Metric::gauge(
        "kafka.cluster:type=Partition,name=UnderMinIsr,topic={topic},partition={partition}",
        "1 if the partition has no in-sync replica.",
    ), |row| Some((row.in_sync == 0).into());
    REPLICAS_COUNT = Metric::gauge(
        "kafka.cluster:type=Partition,name=ReplicasCount,topic={topic},partition={partition}",
        "Replicas of the partition.",
    ), |row| Some(row.replicas.into());
    IN_SYNC_REPLICAS_COUNT = Metric::gauge(
        "kafka.cluster:type=Partition,name=InSyncReplicasCount,topic={topic},partition={partition}",
        "In-sync replicas of the partition.",
    ), |row| Some(row.in_sync.into());
    CURRENT_OFFSET = exporter("kafka_topic_partition_current_offset", "The offset of the next record (kafka_exporter)."),
        |row| Some(row.log?.end.into());
    OLDEST_OFFSET = exporter("kafka_topic_partition_oldest_offset", "The first offset (kafka_exporter)."),
        |row| Some(row.log?.start.into());
    LEADER = exporter("kafka_topic_partition_leader", "The leader's id (kafka_exporter)."),
        |row| Some(row.leader.into());
    LEADER_IS_PREFERRED = exporter(
        "kafka_topic_partition_leader_is_preferred",
        "1 if the leader is the first replica (kafka_exporter).",
    ), |row| Some(row.is_preferred.into());
    REPLICAS = exporter("kafka_topic_partition_replicas", "Replicas of the partition (kafka_exporter)."),
        |row| Some(row.replicas.into());
    IN_SYNC_REPLICA = exporter("kafka_topic_partition_in_sync_replica", "In-sync replicas (kafka_exporter)."),
        |row| Some(row.in_sync.into());
    UNDER_REPLICATED_PARTITION = exporter(
        "kafka_topic_partition_under_replicated_partition",
        "1 if not all replicas are in sync (kafka_exporter).",
    ), |row| Some(row.is_under_replicated().into());
}

static TOPIC_PARTITIONS: Metric =
    Metric::named("kafka_topic_partitions", Kind::Gauge, &["topic"], "Partitions of the topic (kafka_exporter).");
static LATEST_OFFSET: Metric = Metric::named(
    "kafka_partition_latest_offset",
    Kind::Gauge,
    &["cluster_name", "topic", "partition"],
    "The offset of the next record (kafka-lag-exporter). The cluster's name is its id.",
);
static EARLIEST_OFFSET: Metric = Metric::named(
    "kafka_partition_earliest_offset",
    Kind::Gauge,
    &["cluster_name", "topic", "partition"],
    "The first offset (kafka-lag-exporter).",
);
static UNOPENED: Metric = Metric::named(
    "ottla_log_unopened",
    Kind::Gauge,
    &[],
    "Logs whose offsets and sizes are absent, because they were not opened since the start. Each scrape opens some of \
     them.",
);

/// A metric with the cluster's name, and its value.
type OfCluster = (&'static Metric, fn(&LogFigures) -> i64);

const OFFSETS: [OfCluster; 2] = [(&LATEST_OFFSET, |log| log.end), (&EARLIEST_OFFSET, |log| log.start)];

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[
    &TOPIC_PARTITIONS,
    &LOG_START_OFFSET,
    &LOG_END_OFFSET,
    &LOG_SIZE,
    &LOG_SEGMENTS,
    &LAST_STABLE_OFFSET_LAG,
    &UNDER_REPLICATED,
    &AT_MIN_ISR,
    &UNDER_MIN_ISR,
    &REPLICAS_COUNT,
    &IN_SYNC_REPLICAS_COUNT,
    &CURRENT_OFFSET,
    &OLDEST_OFFSET,
    &LEADER,
    &LEADER_IS_PREFERRED,
    &REPLICAS,
    &IN_SYNC_REPLICA,
    &UNDER_REPLICATED_PARTITION,
    &LATEST_OFFSET,
    &EARLIEST_OFFSET,
    &UNOPENED,
];

/// All partitions at one time, sorted by topic.
pub(super) struct Partitions<'a> {
    topics: Vec<(&'a str, i32)>,
    pub rows: Vec<Row<'a>>,
}

/// One partition.
pub(super) struct Row<'a> {
    pub topic: &'a str,
    pub index: PartitionIndex,
    pub leader: i32,
    pub is_preferred: bool,
    pub is_local: bool,
    pub replicas: usize,
    pub in_sync: usize,
    pub log: Option<LogFigures>,
}

impl Row<'_> {
    pub fn is_under_replicated(&self) -> bool {
        self.in_sync < self.replicas
    }

    /// Whether the partition has no leader that runs.
    pub fn is_offline(&self) -> bool {
        self.leader < 0
    }
}

impl<'a> Partitions<'a> {
    pub fn of(broker: &Broker, cluster: &'a Cluster) -> Partitions<'a> {
        let mut opened = 0;
        let mut figures = |partition: &Partition| {
            if partition.figures().is_none() && !partition.is_failed() && opened < MAX_OPENED {
                opened += 1;
                // A failure is logged there.
                drop(partition.log());
            }
            partition.figures()
        };
        let (mut topics, mut rows) = (Vec::new(), Vec::new());
        for topic in cluster.topics_by_name() {
            topics.push((&**topic.name(), topic.image.partition_count()));
            for (index, image) in topic.image.partitions() {
                let leader = topic.leader(index).unwrap_or(-1);
                let local = topic.local_partition(index);
                rows.push(Row {
                    topic: topic.name(),
                    index,
                    leader,
                    is_preferred: image.replicas.first() == Some(&leader),
                    is_local: local.is_some(),
                    replicas: image.replicas.len(),
                    in_sync: if leader == broker.node_id() { image.isr.len() } else { 0 },
                    log: local.and_then(|partition| figures(partition)),
                });
            }
        }
        Partitions { topics, rows }
    }

    pub fn collect(&self, broker: &Broker, scrape: &mut Scrape) {
        let unopened = self.rows.iter().filter(|row| row.is_local && row.log.is_none()).count();
        scrape.single(&UNOPENED, unopened);
        let mut partitions = scrape.family(&TOPIC_PARTITIONS);
        for (topic, count) in &self.topics {
            partitions.sample(&[topic], *count);
        }
        let labels = |cluster_name: &str| -> Vec<Labels> {
            let of_row = |row: &Row| {
                let index = row.index.to_string();
                Labels::new(&[("cluster_name", cluster_name), ("topic", row.topic), ("partition", &index)])
            };
            self.rows.iter().map(of_row).collect()
        };
        let (of_partition, of_cluster) = (labels(""), labels(broker.cluster_id()));
        for (metric, value) in BY_PARTITION {
            let mut family = scrape.family(metric);
            for (row, labels) in self.rows.iter().zip(&of_partition) {
                if let Some(value) = value(row) {
                    family.labelled(labels, value);
                }
            }
        }
        for (metric, offset) in OFFSETS {
            let mut family = scrape.family(metric);
            for (row, labels) in self.rows.iter().zip(&of_cluster) {
                if let Some(log) = &row.log {
                    family.labelled(labels, offset(log));
                }
            }
        }
    }
}
