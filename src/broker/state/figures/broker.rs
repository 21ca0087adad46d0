//! Figures of the broker as a whole, of its replicas, and of the controller that it is too.

use super::super::Broker;
use super::super::cluster::Cluster;
use super::partitions::{Partitions, Row};
use ottla_core::coordinator::transaction::TransactionFilter;
use ottla_metrics::{Kind, Metric, Scrape};

macro_rules! gauges {
    ($($id:ident $mbean:literal $help:literal;)*) => {
        $(static $id: Metric = Metric::gauge($mbean, $help);)*
        pub(super) const GAUGES: &[&Metric] = &[$(&$id,)*];
    };
}

gauges! {
    PARTITION_COUNT "kafka.server:type=ReplicaManager,name=PartitionCount" "Partitions whose logs are in the log directory.";
    LEADER_COUNT "kafka.server:type=ReplicaManager,name=LeaderCount" "Partitions that this broker serves.";
    UNDER_REPLICATED "kafka.server:type=ReplicaManager,name=UnderReplicatedPartitions" "Partitions with replicas on other brokers, which do not run.";
    UNDER_MIN_ISR "kafka.server:type=ReplicaManager,name=UnderMinIsrPartitionCount" "Served partitions without an in-sync replica; always 0.";
    OFFLINE_REPLICAS "kafka.server:type=ReplicaManager,name=OfflineReplicaCount" "Partitions whose log has failed and could not be opened again yet.";
    REASSIGNING "kafka.server:type=ReplicaManager,name=ReassigningPartitions" "Always 0.";
    ACTIVE_CONTROLLER "kafka.controller:type=KafkaController,name=ActiveControllerCount" "Always 1: the broker is its own controller.";
    ACTIVE_BROKERS "kafka.controller:type=KafkaController,name=ActiveBrokerCount" "Always 1.";
    FENCED_BROKERS "kafka.controller:type=KafkaController,name=FencedBrokerCount" "Always 0.";
    TOPICS "kafka.controller:type=KafkaController,name=GlobalTopicCount" "Topics, with internal ones.";
    PARTITIONS "kafka.controller:type=KafkaController,name=GlobalPartitionCount" "Partitions of all topics.";
    OFFLINE_PARTITIONS "kafka.controller:type=KafkaController,name=OfflinePartitionsCount" "Partitions without a leader that runs.";
    IMBALANCE "kafka.controller:type=KafkaController,name=PreferredReplicaImbalanceCount" "Partitions whose leader is not the first replica.";
    METADATA_ERRORS "kafka.controller:type=KafkaController,name=MetadataErrorCount" "Always 0: a broker that cannot read its metadata does not start.";
    LAST_APPLIED "kafka.controller:type=KafkaController,name=LastAppliedRecordOffset" "The last offset of the metadata log that was applied.";
    LAST_COMMITTED "kafka.controller:type=KafkaController,name=LastCommittedRecordOffset" "The last offset of the metadata log that is durable.";
}

static ISR_SHRINKS: Metric =
    Metric::meter("kafka.server:type=ReplicaManager,name=IsrShrinksPerSec", "Always 0: there are no followers.");
static ISR_EXPANDS: Metric =
    Metric::meter("kafka.server:type=ReplicaManager,name=IsrExpandsPerSec", "Always 0: there are no followers.");
static UNCLEAN_ELECTIONS: Metric = Metric::meter(
    "kafka.controller:type=ControllerStats,name=UncleanLeaderElectionsPerSec",
    "Always 0: there is one replica.",
);
static START_TIME: Metric = Metric::attribute(
    "kafka.server:type=app-info",
    "start-time-ms",
    "When the broker was started, in milliseconds since the Unix epoch.",
);
static BUILD_INFO: Metric = Metric::named(
    "ottla_build_info",
    Kind::Gauge,
    &["version", "cluster_id"],
    "1, with the broker's version and the cluster's id as labels.",
);
static BROKERS: Metric = Metric::named("kafka_brokers", Kind::Gauge, &[], "Brokers of the cluster (kafka_exporter).");
static TRANSACTIONS: Metric = Metric::named(
    "ottla_transactions",
    Kind::Gauge,
    &["state"],
    "Transactional ids by the state of their transactions, under Kafka's names.",
);
static PRODUCER_IDS: Metric = Metric::named(
    "ottla_producer_ids_allocated_total",
    Kind::Counter,
    &[],
    "Producer ids that were allocated in blocks since the cluster began.",
);

/// The metrics that this module has, besides [`GAUGES`].
pub(super) const OTHERS: &[&Metric] =
    &[&ISR_SHRINKS, &ISR_EXPANDS, &UNCLEAN_ELECTIONS, &START_TIME, &BUILD_INFO, &BROKERS, &TRANSACTIONS, &PRODUCER_IDS];

/// What the figures are read from.
pub(super) struct BrokerFigures<'a> {
    pub broker: &'a Broker,
    pub cluster: &'a Cluster,
    pub partitions: &'a Partitions<'a>,
}

impl BrokerFigures<'_> {
    pub fn collect(&self, scrape: &mut Scrape) {
        let BrokerFigures { broker, cluster, .. } = self;
        scrape.family(&BUILD_INFO).sample(&[env!("CARGO_PKG_VERSION"), broker.cluster_id()], 1u64);
        let now = broker.now();
        let uptime = i64::try_from(now.monotonic.as_millis()).unwrap_or(0);
        scrape.single(&START_TIME, now.wall.saturating_sub(uptime));
        scrape.single(&BROKERS, 1u64);
        self.collect_replicas(scrape);
        scrape.single(&ACTIVE_CONTROLLER, 1u64);
        scrape.single(&ACTIVE_BROKERS, 1u64);
        scrape.single(&FENCED_BROKERS, 0u64);
        scrape.single(&TOPICS, cluster.image.topic_count());
        scrape.single(&PARTITIONS, cluster.image.partition_count());
        scrape.single(&OFFLINE_PARTITIONS, self.count(|row| row.is_offline()));
        scrape.single(&IMBALANCE, self.count(|row| !row.is_offline() && !row.is_preferred));
        scrape.single(&METADATA_ERRORS, 0u64);
        let last = broker.metadata_end_offset() - 1;
        scrape.single(&LAST_APPLIED, last);
        scrape.single(&LAST_COMMITTED, last);
        scrape.single(&UNCLEAN_ELECTIONS, 0u64);
        scrape.single(&PRODUCER_IDS, cluster.image.next_producer_id());
        self.collect_transactions(scrape);
    }

    fn collect_replicas(&self, scrape: &mut Scrape) {
        let failed = self.cluster.local_partitions().filter(|partition| partition.is_failed()).count();
        scrape.single(&PARTITION_COUNT, self.count(|row| row.is_local));
        scrape.single(&LEADER_COUNT, self.count(|row| !row.is_offline()));
        scrape.single(&UNDER_REPLICATED, self.count(|row| row.is_under_replicated()));
        scrape.single(&UNDER_MIN_ISR, self.count(|row| !row.is_offline() && row.in_sync == 0));
        scrape.single(&OFFLINE_REPLICAS, failed);
        scrape.single(&REASSIGNING, 0u64);
        scrape.single(&ISR_SHRINKS, 0u64);
        scrape.single(&ISR_EXPANDS, 0u64);
    }

    fn count(&self, is_counted: impl Fn(&Row) -> bool) -> usize {
        self.partitions.rows.iter().filter(|row| is_counted(row)).count()
    }

    /// Coordinators that are not loaded are left out.
    fn collect_transactions(&self, scrape: &mut Scrape) {
        let (runtime, now) = (self.broker.transactions().runtime(), self.broker.now().wall);
        let mut states: Vec<(&str, u64)> = Vec::new();
        for partition in runtime.served_partitions() {
            let listed = runtime.query(&partition, |machine| machine.list(&TransactionFilter::default(), now));
            for listed in listed.into_iter().flatten() {
                let name = listed.state.name();
                match states.iter_mut().find(|(state, _)| *state == name) {
                    Some((_, count)) => *count += 1,
                    None => states.push((name, 1)),
                }
            }
        }
        let mut family = scrape.family(&TRANSACTIONS);
        for (state, count) in states {
            family.sample(&[state], count);
        }
    }
}
