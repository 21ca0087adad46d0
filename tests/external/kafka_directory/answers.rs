//! All responses about a broker's data that clients can request.

use std::collections::{BTreeMap, BTreeSet};

use ottla::client::Client;
use ottla_wire::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_wire::protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use ottla_wire::protocol::messages::describe_producers::{self, DescribeProducersRequest, ProducerState};
use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic, PartitionData};
use ottla_wire::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla_wire::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestGroup};
use ottla_wire::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla_wire::record::{BatchHeader, headers};
use ottla_wire::types::{Offset, TopicId};

const UNCOMMITTED: i8 = 0;
const COMMITTED: i8 = 1;
/// The special timestamps of ListOffsets: log end, log start, largest timestamp.
const SPECIAL_TIMES: [i64; 3] = [-1, -2, -3];
const TOPIC_RESOURCE: i8 = 2;
/// The config source of a setting that was set for the topic.
const DYNAMIC_TOPIC_CONFIG: i8 = 1;
/// The last version of OffsetFetch that identifies topics by name.
const OFFSETS_BY_NAME: i16 = 9;
/// The size limit in bytes of fetches that read a whole partition.
const WHOLE_PARTITION_BYTES: i32 = 64 << 20;
/// The size of about one batch in most partitions.
const SMALL: i32 = 600;
/// Group types that both brokers support.
const GROUP_TYPES: [&str; 2] = ["classic", "consumer"];
/// Queries for timestamps where the first batch with a sufficient timestamp has no records. Apache Kafka searches only
/// the first segment whose largest timestamp is sufficient, and may return no offset; Ottla continues with the next
/// segment. Whether there is such a batch depends on which markers were written in the same millisecond.
const TIMES_OF_EMPTY_BATCHES: &str = "offsets by times of batches without records";
/// Queries for the last timestamps of producers. They are unknown after a crash, and Ottla returns the current time.
pub const TIMES_OF_PRODUCERS: &str = "times of producers";

/// The lines of each response, by query.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<String, Vec<String>>);

impl Answers {
    /// Asserts that the responses are equal, or shows the first lines that differ. Skips queries that end with
    /// `except`.
    #[track_caller]
    pub fn must_equal(&self, theirs: &Answers, what: &str, except: Option<&str>) {
        let questions: BTreeSet<_> = self.0.keys().chain(theirs.0.keys()).collect();
        let left_out =
            |query: &str| query.ends_with(TIMES_OF_EMPTY_BATCHES) || except.is_some_and(|end| query.ends_with(end));
        let questions = questions.into_iter().filter(|query| !left_out(query));
        let none = Vec::new();
        let mut differences = Vec::new();
        for query in questions {
            let (ours, theirs) = (self.0.get(query).unwrap_or(&none), theirs.0.get(query).unwrap_or(&none));
            let lines = ours.len().max(theirs.len());
            if let Some(line) = (0..lines).find(|line| ours.get(*line) != theirs.get(*line)) {
                let line_of =
                    |answers: &Vec<String>| answers.get(line).map_or("nothing more".to_owned(), String::clone);
                differences.push(format!("{query}, line {line}:\n  {}\n  {}", line_of(ours), line_of(theirs)));
            }
        }
        assert!(differences.is_empty(), "{what}: {} differ\n{}", differences.len(), differences.join("\n"));
    }

    fn note(&mut self, query: impl Into<String>, answer: impl Into<String>) {
        self.0.entry(query.into()).or_default().push(answer.into());
    }
}

/// A partition to query.
struct Partition {
    name: String,
    topic_id: TopicId,
    index: i32,
}

/// Sends all queries.
pub async fn query_all(address: &str) -> Answers {
    let client = Client::connect(address).await.expect("the broker answers");
    let mut answers = Answers::default();
    let cluster = client.metadata(None).await.expect("metadata");
    answers.note("cluster", format!("{:?}", cluster.cluster_id));
    for topic in &cluster.topics {
        let name = topic.name.clone().expect("a name");
        let partitions: BTreeSet<_> = topic.partitions.iter().copied().collect();
        answers.note("topics", format!("{name} {} {partitions:?}", topic.topic_id));
        query_settings(&client, &name, &mut answers).await;
        for index in partitions {
            let partition = Partition { name: name.clone(), topic_id: topic.topic_id, index };
            query_partition(&client, &partition, &mut answers).await;
        }
    }
    query_sizes(&client, &mut answers).await;
    query_groups(&client, &mut answers).await;
    for lines in ["topics", "sizes"] {
        answers.0.entry(lines.to_owned()).or_default().sort();
    }
    answers
}

async fn query_settings(client: &Client, topic: &str, answers: &mut Answers) {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: topic.into(),
        configuration_keys: None,
    };
    let answer = client.call(DescribeConfigsRequest { resources: vec![resource], ..Default::default() }).await;
    let configs = answer.expect("an answer").results.into_iter().flat_map(|result| result.configs);
    let set = configs.filter(|config| config.config_source == DYNAMIC_TOPIC_CONFIG);
    let mut lines: Vec<_> = set.map(|config| format!("{}={:?}", config.name, config.value)).collect();
    lines.sort();
    answers.0.insert(format!("{topic}: settings"), lines);
}

async fn query_partition(client: &Client, partition: &Partition, answers: &mut Answers) {
    let mut queries = PartitionQueries { client, partition, answers };
    let batches = queries.fetch_all(UNCOMMITTED, WHOLE_PARTITION_BYTES).await;
    queries.fetch_all(COMMITTED, WHOLE_PARTITION_BYTES).await;
    queries.fetch_pairs(&batches).await;
    queries.fetch_from_various_offsets(&batches).await;
    queries.offsets(&batches).await;
    queries.epochs(&batches).await;
    queries.producers(&batches).await;
}

/// The queries about one partition.
struct PartitionQueries<'a> {
    client: &'a Client,
    partition: &'a Partition,
    answers: &'a mut Answers,
}

impl PartitionQueries<'_> {
    fn note(&mut self, query: &str, answer: String) {
        self.answers.note(format!("{}-{}: {query}", self.partition.name, self.partition.index), answer);
    }

    async fn fetch(&self, from: Offset, isolation_level: i8, max_bytes: i32) -> PartitionData {
        let partition = FetchPartition {
            partition: self.partition.index,
            fetch_offset: from,
            partition_max_bytes: max_bytes,
            ..Default::default()
        };
        let request = FetchRequest {
            max_bytes: WHOLE_PARTITION_BYTES,
            isolation_level,
            topics: vec![FetchTopic {
                topic: self.partition.name.as_str().into(),
                topic_id: self.partition.topic_id,
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let mut answer = self.client.call(request).await.expect("an answer");
        answer.responses.pop().and_then(|mut topic| topic.partitions.pop()).expect("the partition")
    }

    /// Fetches all batches from the log start on, in portions, with the other fields of the responses.
    async fn fetch_all(&mut self, isolation_level: i8, max_bytes: i32) -> Vec<BatchHeader> {
        let query = format!("all batches, isolation {isolation_level}, in {max_bytes} bytes");
        let mut from = self.list_offset(-2, UNCOMMITTED).await.1;
        let mut all = Vec::new();
        loop {
            let data = self.fetch(from, isolation_level, max_bytes).await;
            let (batches, next) = whole_batches(&data);
            self.note(&query, describe_fetch(from, &data, next));
            for (header, line) in &batches {
                self.note(&query, line.clone());
                all.push(*header);
            }
            match next {
                Some(next) => from = next,
                None => return all,
            }
        }
    }

    /// Fetches two batches at a time, with their aborted transactions.
    async fn fetch_pairs(&mut self, batches: &[BatchHeader]) {
        for pair in batches.chunks(2) {
            let size: usize = pair.iter().map(BatchHeader::size).sum();
            let from = pair.first().map_or(0, |header| header.base_offset);
            let data = self.fetch(from, COMMITTED, size as i32).await;
            let (found, next) = whole_batches(&data);
            let answer = describe_fetch(from, &data, next);
            let found: Vec<_> = found.iter().map(|(header, _)| header.base_offset).collect();
            self.note("pairs of batches", format!("{answer}: {found:?}"));
        }
    }

    /// Fetches from offsets inside batches, between them, and outside the log.
    async fn fetch_from_various_offsets(&mut self, batches: &[BatchHeader]) {
        let (start, end) = (self.list_offset(-2, UNCOMMITTED).await.1, self.list_offset(-1, UNCOMMITTED).await.1);
        let mut offsets = vec![start - 1, start, start + 1, end - 1, end, end + 1];
        offsets.extend(batches.iter().step_by(3).map(|header| (header.base_offset + header.last_offset()) / 2));
        offsets.extend(batches.iter().step_by(5).map(BatchHeader::next_offset));
        for from in offsets {
            let data = self.fetch(from, COMMITTED, SMALL).await;
            let (batches, next) = whole_batches(&data);
            let (answer, first) = (describe_fetch(from, &data, next), batches.first().map(|(_, line)| line));
            self.note("from various offsets", format!("{answer}: {first:?}"));
        }
    }

    async fn list_offset(&self, timestamp: i64, isolation_level: i8) -> (i16, Offset, i64, i32) {
        let partition = ListOffsetsPartition { partition_index: self.partition.index, timestamp, ..Default::default() };
        let topic = ListOffsetsTopic { name: self.partition.name.as_str().into(), partitions: vec![partition] };
        let request = ListOffsetsRequest { replica_id: -1, isolation_level, topics: vec![topic], ..Default::default() };
        let mut answer = self.client.call(request).await.expect("an answer");
        let found = answer.topics.pop().and_then(|mut topic| topic.partitions.pop()).expect("the partition");
        (found.error_code, found.offset, found.timestamp, found.leader_epoch)
    }

    async fn offsets(&mut self, batches: &[BatchHeader]) {
        let mut times: BTreeSet<i64> = SPECIAL_TIMES.into_iter().chain([i64::MAX]).collect();
        for header in batches {
            times.extend([header.base_timestamp, header.max_timestamp, header.max_timestamp + 1]);
        }
        for time in times {
            let first = batches.iter().find(|header| header.max_timestamp >= time);
            let is_without_records = first.is_some_and(|header| header.record_count == 0);
            for isolation in [UNCOMMITTED, COMMITTED] {
                let (error, offset, timestamp, epoch) = self.list_offset(time, isolation).await;
                // The log end offset has the current leader epoch, which grows with each start of a broker.
                let epoch = if time == SPECIAL_TIMES[0] || batches.is_empty() { 0 } else { epoch };
                let answer = format!("{time}: {error} {offset} {timestamp} epoch {epoch}");
                match is_without_records && time >= 0 {
                    true => self.note(TIMES_OF_EMPTY_BATCHES, answer),
                    false => self.note(&format!("offsets by time, isolation {isolation}"), answer),
                }
            }
        }
    }

    /// Queries the end offsets of epochs: unknown ones, those of the records, the first after them, a future one.
    async fn epochs(&mut self, batches: &[BatchHeader]) {
        let last = batches.iter().map(|header| header.partition_leader_epoch).max().unwrap_or(0);
        for leader_epoch in (-1..=last).chain([last + 1000]) {
            let partition =
                OffsetForLeaderPartition { partition: self.partition.index, leader_epoch, ..Default::default() };
            let topic =
                OffsetForLeaderTopic { topic: self.partition.name.as_str().into(), partitions: vec![partition] };
            let request = OffsetForLeaderEpochRequest { topics: vec![topic], ..Default::default() };
            let mut answer = self.client.call(request).await.expect("an answer");
            let found = answer.topics.pop().and_then(|mut topic| topic.partitions.pop()).expect("the partition");
            let answer = format!("{leader_epoch}: {} {} {}", found.error_code, found.leader_epoch, found.end_offset);
            self.note("ends of epochs", answer);
        }
    }

    /// Queries the producers that have records in this log: Ottla keeps the others for longer than Apache Kafka does.
    async fn producers(&mut self, batches: &[BatchHeader]) {
        let ids: BTreeSet<_> = batches.iter().map(|header| header.producer_id).collect();
        let topic = describe_producers::TopicRequest {
            name: self.partition.name.as_str().into(),
            partition_indexes: vec![self.partition.index],
        };
        let answer = self.client.call(DescribeProducersRequest { topics: vec![topic] }).await.expect("an answer");
        let mut partitions: Vec<_> = answer.topics.into_iter().flat_map(|topic| topic.partitions).collect();
        let mut partition = partitions.pop().expect("the partition");
        partition.active_producers.sort_by_key(|producer| producer.producer_id);
        for producer in partition.active_producers.into_iter().filter(|producer| ids.contains(&producer.producer_id)) {
            self.note(TIMES_OF_PRODUCERS, format!("{} {}", producer.producer_id, producer.last_timestamp));
            let timeless = ProducerState { last_timestamp: 0, ..producer };
            self.note("producers", format!("{} {timeless:?}", partition.error_code));
        }
    }
}

/// Formats the response fields of a fetch whose records end before `next`.
///
/// Includes only the aborted transactions that begin before `next`: Apache Kafka may return later ones, up to the next
/// entry of its offset index.
fn describe_fetch(from: Offset, data: &PartitionData, next: Option<Offset>) -> String {
    let within = |first: Offset| next.is_some_and(|next| first < next);
    let aborted = data.aborted_transactions.as_ref().map(|aborted| {
        let within = aborted.iter().filter(|aborted| within(aborted.first_offset));
        within.map(|aborted| (aborted.producer_id, aborted.first_offset)).collect::<Vec<_>>()
    });
    format!(
        "from {from}: error {}, ends {} {}, start {}, aborted {aborted:?}",
        data.error_code, data.high_watermark, data.last_stable_offset, data.log_start_offset
    )
}

/// Returns the complete batches, each with a line that shows any difference in its bytes, and the next offset.
fn whole_batches(data: &PartitionData) -> (Vec<(BatchHeader, String)>, Option<Offset>) {
    let records: &[u8] = data.records.as_deref().unwrap_or_default();
    let line = |(at, header): (usize, BatchHeader)| {
        let bytes = &records[at..at + header.size()];
        (header, format!("{header:?}, of bytes {:08x}", crc32c::crc32c(bytes)))
    };
    let batches: Vec<_> = headers(records).map_while(Result::ok).map(line).collect();
    let next = batches.last().map(|(header, _)| header.next_offset());
    (batches, next)
}

async fn query_sizes(client: &Client, answers: &mut Answers) {
    let answer = client.call(DescribeLogDirsRequest::default()).await.expect("an answer");
    for topic in answer.results.iter().flat_map(|result| &result.topics) {
        for partition in &topic.partitions {
            answers.note("sizes", format!("{}-{} {}", topic.name, partition.partition_index, partition.partition_size));
        }
    }
}

/// Queries the committed offsets of groups, with and without those of open transactions.
async fn query_groups(client: &Client, answers: &mut Answers) {
    let groups = client.list_groups(&[], &GROUP_TYPES).await.expect("the groups");
    for group in groups.iter().map(|group| group.id.as_str()) {
        for require_stable in [false, true] {
            let request = OffsetFetchRequest {
                groups: vec![OffsetFetchRequestGroup { group_id: group.into(), ..Default::default() }],
                require_stable,
                ..Default::default()
            };
            let answer = client.call_at(request, OFFSETS_BY_NAME).await.expect("an answer");
            let answer = answer.groups.into_iter().next().expect("the group");
            let mut lines: Vec<_> = answer
                .topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|partition| format!("{} {partition:?}", topic.name)))
                .collect();
            lines.sort();
            lines.push(format!("error {}", answer.error_code));
            answers.0.insert(format!("offsets of {group}, stable: {require_stable}"), lines);
        }
    }
}
