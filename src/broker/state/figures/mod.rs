//! Metrics that are read from the broker's state when they are asked for.
//!
//! No lock is taken that appends and fetches need: what they change, they publish ([`Partition::figures`],
//! [`SessionFigures`]). There are two exceptions. A log that was never open is opened, because nothing else knows its
//! offsets. And for the age of what a group has not read, a batch is read (`lag`), as for one fetch. Group coordinators are
//! locked one after the other, as for ListGroups, and the meters of quotas while their values are copied.
//!
//! [`Partition::figures`]: super::partition::Partition::figures

mod broker;
mod groups;
mod lag;
mod partitions;
mod quotas;
mod sessions;
mod work;

use std::sync::{Arc, Weak};

use super::{Broker, traffic};
use broker::BrokerFigures;
use groups::GroupFigures;
use lag::Timestamps;
use ottla_metrics::{Collector, Metric, Registry, Scrape};
use ottla_wire::types::{Offset, TopicPartition};
use partitions::Partitions;
pub use sessions::SessionFigures;
pub use work::WorkFigures;

/// Kafka's state of a broker that serves clients.
const RUNNING: i32 = 3;

/// The metrics of the state.
pub fn metrics() -> Vec<&'static Metric> {
    let own = [
        broker::GAUGES,
        broker::OTHERS,
        sessions::METRICS,
        work::METRICS,
        quotas::METRICS,
        groups::METRICS,
        partitions::METRICS,
    ];
    own.into_iter().flatten().copied().chain(traffic::metrics()).collect()
}

impl Broker {
    /// The lag in seconds at each committed offset, as `kafka_consumergroup_group_lag_seconds` has it; `None` where it is not known. Reads from the logs.
    pub fn lag_seconds(&self, committed: &[(TopicPartition, Offset)]) -> Vec<Option<f64>> {
        let (cluster, timestamps, now) = (self.cluster(), Timestamps::default(), self.now().wall);
        let mut lookup = timestamps.begin();
        let mut of = |(place, offset): &(TopicPartition, Offset)| {
            let partition = cluster.topic(&place.topic)?.partition(place.partition).ok()?;
            lookup.lag_seconds(partition, &partition.figures()?, *offset, now)
        };
        committed.iter().map(&mut of).collect()
    }
}

/// Adds the metrics of a broker to a registry.
pub(super) fn register(broker: &Arc<Broker>, registry: &Registry) {
    registry.register(Arc::new(State { broker: Arc::downgrade(broker), timestamps: Timestamps::default() }));
}

struct State {
    broker: Weak<Broker>,
    timestamps: Timestamps,
}

impl Collector for State {
    fn is_unbounded(&self) -> bool {
        true
    }

    fn collect(&self, scrape: &mut Scrape) {
        let Some(broker) = self.broker.upgrade() else { return };
        let cluster = broker.cluster();
        // What has few series comes first, because a limit leaves out what comes last.
        let partitions = Partitions::of(&broker, &cluster);
        let groups = GroupFigures::of(&broker);
        BrokerFigures { broker: &broker, cluster: &cluster, partitions: &partitions }.collect(scrape);
        broker.session_figures.collect(scrape);
        broker.publisher.work().collect(scrape);
        groups.collect_states(scrape);
        quotas::collect(&broker, scrape);
        let mut topics: Vec<_> = cluster.topics_by_name().into_iter().map(|it| (&**it.name(), &*it.traffic)).collect();
        topics.truncate(scrape.series_left());
        traffic::collect(broker.publisher.traffic(), &topics, scrape);
        groups.collect(&broker, &cluster, &self.timestamps, scrape);
        partitions.collect(&broker, scrape);
    }
}
