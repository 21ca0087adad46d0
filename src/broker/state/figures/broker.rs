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
    AT_MIN_ISR "kafka.server:type=ReplicaManager,name=AtMinIsrPartitionCount" "Served partitions with one in-sync replica, which is the fewest: all of them.";
    PRODUCER_ID_COUNT "kafka.server:type=ReplicaManager,name=ProducerIdCount" "Producers whose state is kept, summed up over all partitions.";
    LATE_TRANSACTIONS "kafka.server:type=ReplicaManager,name=PartitionsWithLateTransactionsCount" "Partitions with a transaction that is open for longer than transaction.max.timeout.ms and five minutes.";
    OFFLINE_DIRECTORIES "kafka.log:type=LogManager,name=OfflineLogDirectoryCount" "1 while the metadata log is offline. Partitions whose logs have failed are in OfflineReplicaCount.";
    TIMED_OUT_HEARTBEATS "kafka.controller:type=KafkaController,name=TimedOutBrokerHeartbeatCount" "Always 0: there are no other brokers.";
    NEW_CONTROLLERS "kafka.controller:type=KafkaController,name=NewActiveControllersCount" "Always 1: the controller never changes.";
    OPERATIONS "kafka.controller:type=KafkaController,name=EventQueueOperationsStartedCount" "Changes of the metadata since the start.";
    LAST_APPLIED_AT "kafka.controller:type=KafkaController,name=LastAppliedRecordTimestamp" "When the metadata was changed last, in milliseconds since the Unix epoch.";
    LAST_APPLIED_LAG "kafka.controller:type=KafkaController,name=LastAppliedRecordLagMs" "Always 0: a change is applied when it is decided.";
    CONTROLLER_ID "kafka.server:type=MetadataLoader,name=CurrentControllerId" "The node id of the controller, which is the broker's.";
    METADATA_VERSION "kafka.server:type=MetadataLoader,name=CurrentMetadataVersion" "The level of metadata.version.";
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
static FAILED_ISR_UPDATES: Metric =
    Metric::meter("kafka.server:type=ReplicaManager,name=FailedIsrUpdatesPerSec", "Always 0: there are no followers.");
static FINALIZED: Metric = Metric::gauge(
    "kafka.server:type=MetadataLoader,name=FinalizedLevel,featureName={feature}",
    "The level of a feature, such as transaction.version, in the metadata.",
);
static METADATA_OFFSET: Metric = Metric::attribute(
    "kafka.server:type=broker-metadata-metrics",
    "last-applied-record-offset",
    "The last offset of the metadata log that the broker has applied.",
);
static METADATA_TIMESTAMP: Metric = Metric::attribute(
    "kafka.server:type=broker-metadata-metrics",
    "last-applied-record-timestamp",
    "When the metadata was changed last, in milliseconds since the Unix epoch.",
);
static METADATA_LAG: Metric = Metric::attribute(
    "kafka.server:type=broker-metadata-metrics",
    "last-applied-record-lag-ms",
    "Always 0: a change is applied when it is decided.",
);
static METADATA_APPLY_ERRORS: Metric = Metric::attribute(
    "kafka.server:type=broker-metadata-metrics",
    "metadata-apply-error-count",
    "Always 0: a broker that cannot apply its metadata does not start.",
);
static METADATA_LOAD_ERRORS: Metric = Metric::attribute(
    "kafka.server:type=broker-metadata-metrics",
    "metadata-load-error-count",
    "Always 0: a broker that cannot read its metadata does not start.",
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

/// By how much an open transaction must exceed the longest timeout before it counts as late (Kafka's constant).
const LATE_AFTER_MS: i64 = 300_000;

/// The metrics that this module has, besides [`GAUGES`].
pub(super) const OTHERS: &[&Metric] = &[
    &ISR_SHRINKS,
    &ISR_EXPANDS,
    &FAILED_ISR_UPDATES,
    &UNCLEAN_ELECTIONS,
    &FINALIZED,
    &METADATA_OFFSET,
    &METADATA_TIMESTAMP,
    &METADATA_LAG,
    &METADATA_APPLY_ERRORS,
    &METADATA_LOAD_ERRORS,
    &START_TIME,
    &BUILD_INFO,
    &BROKERS,
    &TRANSACTIONS,
    &PRODUCER_IDS,
];

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
        self.collect_metadata(scrape);
        self.collect_transactions(scrape);
    }

    fn collect_metadata(&self, scrape: &mut Scrape) {
        let (broker, work, image) = (self.broker, self.broker.work_figures(), &self.cluster.image);
        let (last, changed_at) = (broker.metadata_end_offset() - 1, work.metadata_changed_at());
        for (metric, value) in [
            (&METADATA_OFFSET, last),
            (&METADATA_TIMESTAMP, changed_at),
            (&METADATA_LAG, 0),
            (&METADATA_APPLY_ERRORS, 0),
            (&METADATA_LOAD_ERRORS, 0),
            (&LAST_APPLIED_AT, changed_at),
            (&LAST_APPLIED_LAG, 0),
            (&TIMED_OUT_HEARTBEATS, 0),
            (&NEW_CONTROLLERS, 1),
            (&CONTROLLER_ID, broker.node_id().into()),
            (&METADATA_VERSION, image.metadata_version().unwrap_or_default().into()),
        ] {
            scrape.single(metric, value);
        }
        scrape.single(&OPERATIONS, work.metadata_changes());
        let mut features = scrape.family(&FINALIZED);
        for (name, level) in image.features() {
            features.sample(&[name], i64::from(*level));
        }
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
        scrape.single(&FAILED_ISR_UPDATES, 0u64);
        scrape.single(&AT_MIN_ISR, self.count(|row| !row.is_offline() && row.in_sync == 1));
        let producers = self.partitions.rows.iter().filter_map(|row| Some(row.log?.producers));
        scrape.single(&PRODUCER_ID_COUNT, producers.sum::<u64>());
        let longest = i64::from(self.cluster.config.transactions.max_timeout_ms) + LATE_AFTER_MS;
        let oldest_write = self.broker.now().wall.saturating_sub(longest);
        let is_late = |row: &Row| row.log.is_some_and(|log| log.transaction_written_at < oldest_write);
        scrape.single(&LATE_TRANSACTIONS, self.count(is_late));
        scrape.single(&OFFLINE_DIRECTORIES, self.broker.storage_health().metadata_failed);
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
