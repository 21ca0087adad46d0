//! What is produced to topics and fetched from them (Kafka's `BrokerTopicMetrics`).
//!
//! The counters of a topic are part of its partitions, so that a request looks nothing up. All topics together have
//! counters of their own, because deleted topics count in them.

use std::sync::Arc;

use ottla_metrics::{Counter, Metric, Scrape};

macro_rules! counters {
    ($($id:ident $field:ident $name:literal $help:literal;)*) => {
        $(static $id: Metric = Metric::meter(
            concat!("kafka.server:type=BrokerTopicMetrics,name=", $name, ",topic={topic}"),
            concat!($help, " Without a topic: all topics, with deleted ones."),
        );)*

        /// The counters of one topic, or of all.
        #[derive(Debug, Default)]
        pub struct Counters { $(pub $field: Counter,)* }

        const COUNTERS: &[(&Metric, fn(&Counters) -> &Counter)] = &[$((&$id, |all| &all.$field),)*];
    };
}

counters! {
    MESSAGES_IN messages_in "MessagesInPerSec" "Records appended.";
    BYTES_IN bytes_in "BytesInPerSec" "Bytes of batches appended.";
    BYTES_OUT bytes_out "BytesOutPerSec" "Bytes of batches fetched.";
    BYTES_REJECTED bytes_rejected "BytesRejectedPerSec" "Bytes of batches refused because they are too large.";
    PRODUCE_REQUESTS produce_requests "TotalProduceRequestsPerSec" "Appends to partitions by requests and coordinators.";
    FETCH_REQUESTS fetch_requests "TotalFetchRequestsPerSec" "Partitions in Fetch requests that were answered.";
    FAILED_PRODUCE failed_produce "FailedProduceRequestsPerSec" "Appends that were refused, except those for which Kafka blames the client or the disk.";
    FAILED_FETCH failed_fetch "FailedFetchRequestsPerSec" "Partitions in Fetch requests whose records could not be read.";
    CONVERTED converted "FetchMessageConversionsPerSec" "Partitions in Fetch responses that were converted to an old message format.";
    PRODUCE_CONVERTED produce_converted "ProduceMessageConversionsPerSec" "Records that were converted from an old message format.";
    INVALID_MAGIC invalid_magic "InvalidMagicNumberRecordsPerSec" "Batches refused because their format does not exist.";
    NO_KEY no_key "NoKeyCompactedTopicRecordsPerSec" "Records refused because they have no key, which compaction requires.";
    INVALID_CRC invalid_crc "InvalidMessageCrcRecordsPerSec" "Batches refused because their bytes are corrupt.";
    INVALID_OFFSET invalid_offset "InvalidOffsetOrSequenceRecordsPerSec" "Batches refused because of their sequence numbers.";
}

static REPLICATED_IN: Metric = Metric::meter(
    "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesInPerSec",
    "Always 0: there are no other brokers.",
);
static REPLICATED_OUT: Metric = Metric::meter(
    "kafka.server:type=BrokerTopicMetrics,name=ReplicationBytesOutPerSec",
    "Always 0: there are no other brokers.",
);

/// The metrics that this module has.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    COUNTERS.iter().map(|(metric, _)| *metric).chain([&REPLICATED_IN, &REPLICATED_OUT])
}

/// The counters of a topic, and of all.
#[derive(Debug, Default)]
pub struct TopicTraffic {
    topic: Counters,
    all: Arc<Counters>,
}

impl TopicTraffic {
    pub fn new(all: Arc<Counters>) -> TopicTraffic {
        TopicTraffic { topic: Counters::default(), all }
    }

    /// Adds to a counter of the topic, and of all topics.
    pub fn add(&self, counter: fn(&Counters) -> &Counter, count: u64) {
        counter(&self.topic).add(count);
        counter(&self.all).add(count);
    }
}

/// Writes the counters of all topics together, and those of each topic that are not zero.
pub fn collect(all: &Counters, topics: &[(&str, &TopicTraffic)], scrape: &mut Scrape) {
    scrape.single(&REPLICATED_IN, 0u64);
    scrape.single(&REPLICATED_OUT, 0u64);
    for (metric, counter) in COUNTERS {
        let mut family = scrape.family(metric);
        family.sample(&[], counter(all).get());
        for (name, traffic) in topics {
            match counter(&traffic.topic).get() {
                0 => {}
                count => family.sample(&[name], count),
            }
        }
    }
}
