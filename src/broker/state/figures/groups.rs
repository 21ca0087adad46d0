//! Figures of consumer groups, under Kafka's names and those of kafka_exporter and kafka-lag-exporter.
//!
//! Groups of a coordinator that is loading or failed are left out.

use super::super::Broker;
use super::super::cluster::Cluster;
use super::lag::Timestamps;
use ottla_core::coordinator::GroupId;
use ottla_core::coordinator::group::{GroupState, ListedGroup, TopicOffsets, WantedOffsets};
use ottla_metrics::{Family, Kind, Labels, Metric, Scrape, Value};
use ottla_wire::types::{Offset, PartitionIndex, TopicName};

macro_rules! states {
    ($($id:ident $state:ident $name:literal $help:literal;)*) => {
        $(static $id: Metric =
            Metric::gauge(concat!("kafka.coordinator.group:type=GroupMetadataManager,name=", $name), $help);)*
        const STATES: &[(&Metric, GroupState)] = &[$((&$id, GroupState::$state),)*];
    };
}

states! {
    NUM_PREPARING PreparingRebalance "NumGroupsPreparingRebalance" "Groups that wait for members to join.";
    NUM_COMPLETING CompletingRebalance "NumGroupsCompletingRebalance" "Groups that wait for the leader's assignment.";
    NUM_STABLE Stable "NumGroupsStable" "Groups whose members have their assignments.";
    NUM_EMPTY Empty "NumGroupsEmpty" "Groups without members.";
    NUM_DEAD Dead "NumGroupsDead" "Always 0: a deleted group is forgotten at once.";
}

static NUM_GROUPS: Metric =
    Metric::gauge("kafka.coordinator.group:type=GroupMetadataManager,name=NumGroups", "Groups.");
static NUM_OFFSETS: Metric =
    Metric::gauge("kafka.coordinator.group:type=GroupMetadataManager,name=NumOffsets", "Committed offsets.");
static GROUP_COUNT: Metric = Metric::attribute(
    "kafka.server:type=group-coordinator-metrics,protocol={protocol}",
    "group-count",
    "Groups by protocol.",
);
static MEMBERS: Metric =
    Metric::named("kafka_consumergroup_members", Kind::Gauge, &["consumergroup"], "Members (kafka_exporter).");
static CURRENT_OFFSET: Metric = Metric::named(
    "kafka_consumergroup_current_offset",
    Kind::Gauge,
    &["consumergroup", "topic", "partition"],
    "The committed offset (kafka_exporter).",
);
static CURRENT_OFFSET_SUM: Metric = Metric::named(
    "kafka_consumergroup_current_offset_sum",
    Kind::Gauge,
    &["consumergroup", "topic"],
    "The sum of the committed offsets of a topic (kafka_exporter).",
);
static LAG: Metric = Metric::named(
    "kafka_consumergroup_lag",
    Kind::Gauge,
    &["consumergroup", "topic", "partition"],
    "Offsets from the committed one to the end of the log (kafka_exporter).",
);
static LAG_SUM: Metric = Metric::named(
    "kafka_consumergroup_lag_sum",
    Kind::Gauge,
    &["consumergroup", "topic"],
    "The sum of the lags of a topic (kafka_exporter).",
);

const OF_PARTITION: &[&str] = &["cluster_name", "group", "topic", "partition"];
const OF_GROUP: &[&str] = &["cluster_name", "group"];

static GROUP_OFFSET: Metric = Metric::named(
    "kafka_consumergroup_group_offset",
    Kind::Gauge,
    OF_PARTITION,
    "The committed offset (kafka-lag-exporter). The cluster's name is its id.",
);
static GROUP_LAG: Metric = Metric::named(
    "kafka_consumergroup_group_lag",
    Kind::Gauge,
    OF_PARTITION,
    "Offsets from the committed one to the end of the log (kafka-lag-exporter).",
);
static GROUP_LAG_SECONDS: Metric = Metric::named(
    "kafka_consumergroup_group_lag_seconds",
    Kind::Gauge,
    OF_PARTITION,
    "The age of the next record that the group will read (kafka-lag-exporter): the time since the timestamp of the first \
     record of the batch at the committed offset; 0 at the end of the log. One scrape reads at most 1,000 batches for it.",
);
static GROUP_MAX_LAG: Metric = Metric::named(
    "kafka_consumergroup_group_max_lag",
    Kind::Gauge,
    OF_GROUP,
    "The largest lag of the group's partitions (kafka-lag-exporter).",
);
static GROUP_SUM_LAG: Metric = Metric::named(
    "kafka_consumergroup_group_sum_lag",
    Kind::Gauge,
    OF_GROUP,
    "The sum of the lags of the group's partitions (kafka-lag-exporter).",
);
static GROUP_MAX_LAG_SECONDS: Metric = Metric::named(
    "kafka_consumergroup_group_max_lag_seconds",
    Kind::Gauge,
    OF_GROUP,
    "The largest lag of the group's partitions in seconds (kafka-lag-exporter).",
);

/// The metrics that this module has.
pub(super) const METRICS: &[&Metric] = &[
    &NUM_GROUPS,
    &NUM_PREPARING,
    &NUM_COMPLETING,
    &NUM_STABLE,
    &NUM_EMPTY,
    &NUM_DEAD,
    &NUM_OFFSETS,
    &GROUP_COUNT,
    &MEMBERS,
    &CURRENT_OFFSET,
    &CURRENT_OFFSET_SUM,
    &LAG,
    &LAG_SUM,
    &GROUP_OFFSET,
    &GROUP_LAG,
    &GROUP_LAG_SECONDS,
    &GROUP_MAX_LAG,
    &GROUP_SUM_LAG,
    &GROUP_MAX_LAG_SECONDS,
];

/// All groups at one time, sorted by id.
pub(super) struct GroupFigures(Vec<Group>);

struct Group {
    id: GroupId,
    state: GroupState,
    members: usize,
    offsets: Vec<(TopicName, Vec<(PartitionIndex, Offset)>)>,
}

/// A committed offset and what is left to read.
struct Progress<'a> {
    group: &'a str,
    topic: &'a str,
    /// Those of kafka_exporter.
    labels: Labels,
    /// Those of kafka-lag-exporter.
    cluster_labels: Labels,
    offset: Offset,
    /// `None` if the log's end is not known, or the topic was deleted.
    lag: Option<i64>,
    lag_seconds: Option<f64>,
}

impl GroupFigures {
    pub fn of(broker: &Broker) -> GroupFigures {
        let runtime = broker.groups().runtime();
        let mut groups = Vec::new();
        for partition in runtime.served_partitions() {
            let queried = runtime.query(&partition, |machine| {
                let listed = machine.list(&[""; 0], &[""; 0]);
                let group = |listed: ListedGroup| Group {
                    members: machine.member_count(&listed.group_id),
                    offsets: offsets(machine.fetch_offsets(&listed.group_id, WantedOffsets::All, false)),
                    id: listed.group_id,
                    state: listed.state,
                };
                listed.into_iter().map(group).collect::<Vec<_>>()
            });
            groups.extend(queried.into_iter().flatten());
        }
        groups.sort_by(|a, b| a.id.cmp(&b.id));
        GroupFigures(groups)
    }

    pub fn collect_states(&self, scrape: &mut Scrape) {
        scrape.single(&NUM_GROUPS, self.0.len());
        for (metric, state) in STATES {
            scrape.single(metric, self.0.iter().filter(|group| group.state == *state).count());
        }
        let offsets = self.0.iter().flat_map(|group| &group.offsets).map(|(_, partitions)| partitions.len());
        scrape.single(&NUM_OFFSETS, offsets.sum::<usize>());
        scrape.family(&GROUP_COUNT).sample(&["classic"], self.0.len());
    }

    pub fn collect(&self, broker: &Broker, cluster: &Cluster, timestamps: &Timestamps, scrape: &mut Scrape) {
        let cluster_name = broker.cluster_id();
        let all = self.progress(cluster_name, cluster, timestamps, broker.now().wall);
        let mut members = scrape.family(&MEMBERS);
        for group in &self.0 {
            members.sample(&[&group.id], group.members);
        }
        let mut family = scrape.family(&CURRENT_OFFSET);
        for it in &all {
            family.labelled(&it.labels, it.offset);
        }
        let mut family = scrape.family(&LAG);
        for (it, lag) in all.iter().filter_map(|it| Some((it, it.lag?))) {
            family.labelled(&it.labels, lag);
        }
        by_topic(&mut scrape.family(&CURRENT_OFFSET_SUM), &all, |it| it.offset);
        by_topic(&mut scrape.family(&LAG_SUM), &all, |it| it.lag.unwrap_or(0));
        let mut family = scrape.family(&GROUP_OFFSET);
        for it in &all {
            family.labelled(&it.cluster_labels, it.offset);
        }
        let mut family = scrape.family(&GROUP_LAG);
        for (it, lag) in all.iter().filter_map(|it| Some((it, it.lag?))) {
            family.labelled(&it.cluster_labels, lag);
        }
        let mut family = scrape.family(&GROUP_LAG_SECONDS);
        for (it, lag) in all.iter().filter_map(|it| Some((it, it.lag_seconds?))) {
            family.labelled(&it.cluster_labels, lag);
        }
        let mut family = scrape.family(&GROUP_MAX_LAG);
        for of_group in all.chunk_by(|a, b| a.group == b.group) {
            let lag = of_group.iter().filter_map(|it| it.lag).max();
            sample_group(&mut family, cluster_name, of_group, lag);
        }
        let mut family = scrape.family(&GROUP_SUM_LAG);
        for of_group in all.chunk_by(|a, b| a.group == b.group) {
            let lag: i64 = of_group.iter().filter_map(|it| it.lag).sum();
            sample_group(&mut family, cluster_name, of_group, Some(lag));
        }
        let mut family = scrape.family(&GROUP_MAX_LAG_SECONDS);
        for of_group in all.chunk_by(|a, b| a.group == b.group) {
            let lag = of_group.iter().filter_map(|it| it.lag_seconds).reduce(f64::max);
            sample_group(&mut family, cluster_name, of_group, lag);
        }
    }

    fn progress<'a>(
        &'a self,
        cluster_name: &str,
        cluster: &Cluster,
        timestamps: &Timestamps,
        now: i64,
    ) -> Vec<Progress<'a>> {
        let mut lookup = timestamps.begin();
        let mut all = Vec::new();
        for group in &self.0 {
            for (topic, partitions) in &group.offsets {
                let served = cluster.topic(topic);
                for &(index, offset) in partitions {
                    let partition = served.and_then(|topic| topic.partition(index).ok());
                    let log = partition.and_then(|partition| Some((partition, partition.figures()?)));
                    let lag_seconds = log.and_then(|(partition, log)| lookup.lag_seconds(partition, &log, offset, now));
                    let (id, number) = (&*group.id, index.to_string());
                    all.push(Progress {
                        group: id,
                        topic,
                        labels: Labels::new(&[("consumergroup", id), ("topic", topic), ("partition", &number)]),
                        cluster_labels: Labels::new(&[
                            ("cluster_name", cluster_name),
                            ("group", id),
                            ("topic", topic),
                            ("partition", &number),
                        ]),
                        offset,
                        lag: log.map(|(_, log)| (log.end - offset).max(0)),
                        lag_seconds,
                    });
                }
            }
        }
        all
    }
}

/// The committed offsets, sorted.
fn offsets(fetched: Vec<TopicOffsets>) -> Vec<(TopicName, Vec<(PartitionIndex, Offset)>)> {
    let of_topic = |TopicOffsets { topic, partitions }| {
        let committed = partitions.into_iter().filter_map(|(index, offset)| Some((index, offset.ok()??.offset)));
        let mut committed: Vec<_> = committed.collect();
        committed.sort_unstable();
        (topic, committed)
    };
    let mut topics: Vec<_> = fetched.into_iter().map(of_topic).collect();
    topics.sort_unstable();
    topics
}

/// Writes the sum for each topic of each group.
fn by_topic(family: &mut Family<'_>, all: &[Progress], value: impl Fn(&Progress) -> i64) {
    for of_topic in all.chunk_by(|a, b| a.group == b.group && a.topic == b.topic) {
        let Some(first) = of_topic.first() else { continue };
        family.sample(&[first.group, first.topic], of_topic.iter().map(&value).sum::<i64>());
    }
}

/// Writes the value of a group, if it is known.
fn sample_group(family: &mut Family<'_>, cluster_name: &str, of_group: &[Progress], value: Option<impl Into<Value>>) {
    if let (Some(first), Some(value)) = (of_group.first(), value) {
        family.sample(&[cluster_name, first.group], value);
    }
}
