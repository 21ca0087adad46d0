//! Everything that clients can ask about a broker's data, and what it answers.

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
/// The special times of ListOffsets.
const ENDS: [i64; 3] = [-1, -2, -3];
const TOPIC_RESOURCE: i8 = 2;
/// A setting that was made for the topic.
const OF_THE_TOPIC: i8 = 1;
const OFFSETS_BY_NAME: i16 = 9;
const WHOLE: i32 = 64 << 20;
/// A batch of most partitions.
const LITTLE: i32 = 600;
/// As far as groups of other types are concerned, brokers differ.
const GROUP_TYPES: [&str; 2] = ["classic", "consumer"];
/// The questions for times that a batch without records is the first to have. Apache Kafka looks into the first segment that
/// has such a time alone, by whichever batch, and may answer that there is no record; ours goes on to the next segment.
/// Whether there is such a batch depends on which markers share a millisecond.
const TIMES_OF_EMPTY_BATCHES: &str = "offsets by times of batches without records";
/// The questions about when producers were last seen. After a crash we can't tell, and say that it was now.
pub const TIMES_OF_PRODUCERS: &str = "times of producers";

/// What was answered, line by line, by what was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Answers(BTreeMap<String, Vec<String>>);

impl Answers {
    /// Fails where these differ, with the first lines that do; questions that end with `except` are left out.
    #[track_caller]
    pub fn must_equal(&self, theirs: &Answers, what: &str, except: Option<&str>) {
        let questions: BTreeSet<_> = self.0.keys().chain(theirs.0.keys()).collect();
        let left_out = |question: &str| {
            question.ends_with(TIMES_OF_EMPTY_BATCHES) || except.is_some_and(|end| question.ends_with(end))
        };
        let questions = questions.into_iter().filter(|question| !left_out(question));
        let none = Vec::new();
        let mut differences = Vec::new();
        for question in questions {
            let (ours, theirs) = (self.0.get(question).unwrap_or(&none), theirs.0.get(question).unwrap_or(&none));
            let lines = ours.len().max(theirs.len());
            if let Some(line) = (0..lines).find(|line| ours.get(*line) != theirs.get(*line)) {
                let told = |answers: &Vec<String>| answers.get(line).map_or("nothing more".to_owned(), String::clone);
                differences.push(format!("{question}, line {line}:\n  {}\n  {}", told(ours), told(theirs)));
            }
        }
        assert!(differences.is_empty(), "{what}: {} differ\n{}", differences.len(), differences.join("\n"));
    }

    fn note(&mut self, question: impl Into<String>, answer: impl Into<String>) {
        self.0.entry(question.into()).or_default().push(answer.into());
    }
}

/// A partition that is asked about.
struct Partition {
    name: String,
    topic_id: TopicId,
    index: i32,
}

/// Asks everything.
pub async fn ask(address: &str) -> Answers {
    let client = Client::connect(address).await.expect("the broker answers");
    let mut answers = Answers::default();
    let cluster = client.metadata(None).await.expect("metadata");
    answers.note("cluster", format!("{:?}", cluster.cluster_id));
    for topic in &cluster.topics {
        let name = topic.name.clone().expect("a name");
        let partitions: BTreeSet<_> = topic.partitions.iter().copied().collect();
        answers.note("topics", format!("{name} {} {partitions:?}", topic.topic_id));
        ask_settings(&client, &name, &mut answers).await;
        for index in partitions {
            let partition = Partition { name: name.clone(), topic_id: topic.topic_id, index };
            ask_partition(&client, &partition, &mut answers).await;
        }
    }
    ask_sizes(&client, &mut answers).await;
    ask_groups(&client, &mut answers).await;
    for lines in ["topics", "sizes"] {
        answers.0.entry(lines.to_owned()).or_default().sort();
    }
    answers
}

async fn ask_settings(client: &Client, topic: &str, answers: &mut Answers) {
    let resource = DescribeConfigsResource {
        resource_type: TOPIC_RESOURCE,
        resource_name: topic.into(),
        configuration_keys: None,
    };
    let answer = client.call(DescribeConfigsRequest { resources: vec![resource], ..Default::default() }).await;
    let configs = answer.expect("an answer").results.into_iter().flat_map(|result| result.configs);
    let set = configs.filter(|config| config.config_source == OF_THE_TOPIC);
    let mut lines: Vec<_> = set.map(|config| format!("{}={:?}", config.name, config.value)).collect();
    lines.sort();
    answers.0.insert(format!("{topic}: settings"), lines);
}

async fn ask_partition(client: &Client, partition: &Partition, answers: &mut Answers) {
    let mut asking = Asking { client, partition, answers };
    let batches = asking.everything(UNCOMMITTED, WHOLE).await;
    asking.everything(COMMITTED, WHOLE).await;
    asking.pairs(&batches).await;
    asking.starting_within(&batches).await;
    asking.offsets(&batches).await;
    asking.epochs(&batches).await;
    asking.producers(&batches).await;
}

/// The questions about one partition.
struct Asking<'a> {
    client: &'a Client,
    partition: &'a Partition,
    answers: &'a mut Answers,
}

impl Asking<'_> {
    fn note(&mut self, question: &str, answer: String) {
        self.answers.note(format!("{}-{}: {question}", self.partition.name, self.partition.index), answer);
    }

    async fn fetch(&self, from: Offset, isolation_level: i8, max_bytes: i32) -> PartitionData {
        let partition = FetchPartition {
            partition: self.partition.index,
            fetch_offset: from,
            partition_max_bytes: max_bytes,
            ..Default::default()
        };
        let request = FetchRequest {
            max_bytes: WHOLE,
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

    /// All batches from the log's start on, in portions, and what is told with them.
    async fn everything(&mut self, isolation_level: i8, max_bytes: i32) -> Vec<BatchHeader> {
        let question = format!("everything, isolation {isolation_level}, in {max_bytes} bytes");
        let mut from = self.list_offset(-2, UNCOMMITTED).await.1;
        let mut all = Vec::new();
        loop {
            let data = self.fetch(from, isolation_level, max_bytes).await;
            let (batches, next) = whole_batches(&data);
            self.note(&question, said(from, &data, next));
            for (header, line) in &batches {
                self.note(&question, line.clone());
                all.push(*header);
            }
            match next {
                Some(next) => from = next,
                None => return all,
            }
        }
    }

    /// Two batches at a time, all of them and nothing else, with the transactions that were aborted there.
    async fn pairs(&mut self, batches: &[BatchHeader]) {
        for pair in batches.chunks(2) {
            let size: usize = pair.iter().map(BatchHeader::size).sum();
            let from = pair.first().map_or(0, |header| header.base_offset);
            let data = self.fetch(from, COMMITTED, size as i32).await;
            let (found, next) = whole_batches(&data);
            let answer = said(from, &data, next);
            let found: Vec<_> = found.iter().map(|(header, _)| header.base_offset).collect();
            self.note("pairs", format!("{answer}: {found:?}"));
        }
    }

    /// From offsets within batches and between them, beyond both ends, and of no batch at all.
    async fn starting_within(&mut self, batches: &[BatchHeader]) {
        let (start, end) = (self.list_offset(-2, UNCOMMITTED).await.1, self.list_offset(-1, UNCOMMITTED).await.1);
        let mut offsets = vec![start - 1, start, start + 1, end - 1, end, end + 1];
        offsets.extend(batches.iter().step_by(3).map(|header| (header.base_offset + header.last_offset()) / 2));
        offsets.extend(batches.iter().step_by(5).map(BatchHeader::next_offset));
        for from in offsets {
            let data = self.fetch(from, COMMITTED, LITTLE).await;
            let (batches, next) = whole_batches(&data);
            let (answer, first) = (said(from, &data, next), batches.first().map(|(_, line)| line));
            self.note("from within", format!("{answer}: {first:?}"));
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
        let mut times: BTreeSet<i64> = ENDS.into_iter().chain([i64::MAX]).collect();
        for header in batches {
            times.extend([header.base_timestamp, header.max_timestamp, header.max_timestamp + 1]);
        }
        for time in times {
            let first = batches.iter().find(|header| header.max_timestamp >= time);
            let is_of_empty = first.is_some_and(|header| header.record_count == 0);
            for isolation in [UNCOMMITTED, COMMITTED] {
                let (error, offset, timestamp, epoch) = self.list_offset(time, isolation).await;
                // What comes next is of the leader's epoch, and each start of a broker is one.
                let epoch = if time == ENDS[0] || batches.is_empty() { 0 } else { epoch };
                let answer = format!("{time}: {error} {offset} {timestamp} epoch {epoch}");
                match is_of_empty && time >= 0 {
                    true => self.note(TIMES_OF_EMPTY_BATCHES, answer),
                    false => self.note(&format!("offsets by time, isolation {isolation}"), answer),
                }
            }
        }
    }

    /// Where epochs end: unknown ones, those of the records, the first after them, one that is yet to come.
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

    /// Those that have records here: the others we remember for longer than Apache Kafka.
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

/// What comes with the records of a fetch that end before `next`.
///
/// Of aborted transactions, those that begin there: Apache Kafka may tell of some behind it, up to where its offset
/// index has an entry.
fn said(from: Offset, data: &PartitionData, next: Option<Offset>) -> String {
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

/// The batches that are all there, each with a line that tells any byte that differs, and the offset that follows.
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

async fn ask_sizes(client: &Client, answers: &mut Answers) {
    let answer = client.call(DescribeLogDirsRequest::default()).await.expect("an answer");
    for topic in answer.results.iter().flat_map(|result| &result.topics) {
        for partition in &topic.partitions {
            answers.note("sizes", format!("{}-{} {}", topic.name, partition.partition_index, partition.partition_size));
        }
    }
}

/// What groups have committed; with and without what open transactions commit.
async fn ask_groups(client: &Client, answers: &mut Answers) {
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
