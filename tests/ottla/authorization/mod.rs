//! What callers with different rights may do, compared with Apache Kafka: every API, with every version that checks
//! differently, with each set of ACLs of [`rights`].
//!
//! `tests/data/authorization-answers.tsv` has the requests, and Kafka's answers with the rights that get them; the answer
//! that most rights get has the word `others` instead. The caller connects from 127.0.0.1, and the admin, who may do
//! everything, from 127.0.0.2: both are `User:ANONYMOUS`, and ACLs name their hosts. Requests change nothing that later
//! answers depend on. Intended differences, with reasons, are in `authorization-departures.tsv`.
//!
//! To record Kafka's answers again, set `AUTHORIZATION_OF_4_3` to the address (an IPv4 address) of a new broker of Apache
//! Kafka 4.3 with an authorizer and the ACLs of [`admin_acls`], with one partition and replica for internal topics. A new
//! request needs no answer before that.

mod changes;
mod coverage;
mod log_lines;
mod own_commands;
mod rights;
mod settings;
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use ottla_wire::protocol::ApiKey;
use tempfile::TempDir;

use crate::wire::WireClient;
use common::{Broker, Options};
use rights::Rights;

const ANSWERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authorization-answers.tsv");
const DEPARTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/authorization-departures.tsv");
/// The word for the rights that are not listed.
const OTHERS: &str = "others";
/// Kafka's brokers learn of changed ACLs a little later.
const PROPAGATION: Duration = Duration::from_millis(100);

const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
const ADMIN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// APIs that this broker does not serve yet.
const NOT_SERVED: [ApiKey; 3] =
    [ApiKey::ConsumerGroupDescribe, ApiKey::ConsumerGroupHeartbeat, ApiKey::ShareGroupDescribe];

/// Answers to one request by the name of the rights.
type Answers = BTreeMap<String, String>;

/// A request: API, version and text.
type Probe = (ApiKey, i16, String);

/// A broker with an authorizer, at which the admin may do everything. Its directory is removed with the second value.
fn start(options: impl Fn() -> Options) -> (Broker, TempDir) {
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let with_super_users = |users| {
        let options = options().set("authorizer.class.name", AUTHORIZER).set("super.users", users);
        options.data_dir(dir.path()).start()
    };
    let mut first = with_super_users("User:ANONYMOUS");
    let created = WireClient::new(&address(&first), &[]).call(ApiKey::CreateAcls, 3, &admin_acls());
    assert!(!created.contains("error_code"), "{created}");
    first.stop();
    (with_super_users("User:nobody"), dir)
}

/// The request for the ACLs of the admin: everything on every resource, for its host.
fn admin_acls() -> String {
    let acl = |(kind, name): (i8, &str)| {
        format!(
            "{{resource_type={kind} resource_name={name} principal=User:ANONYMOUS host={ADMIN} operation=2 \
             permission_type=3}}"
        )
    };
    format!("creations=[{}]", [(2, "*"), (3, "*"), (4, "kafka-cluster"), (5, "*")].map(acl).join(" "))
}

fn address(broker: &Broker) -> String {
    format!("127.0.0.1:{}", broker.port())
}

/// A broker with the two callers.
struct Matrix {
    admin: WireClient,
    caller: WireClient,
    propagation: Duration,
}

impl Matrix {
    fn new(address: &str, propagation: Duration) -> Matrix {
        let caller = WireClient::new(address, &[]);
        let admin = WireClient::new(address, &[]).bound_to(ADMIN);
        let mut matrix = Matrix { admin, caller, propagation };
        matrix.prepare();
        matrix
    }

    /// Creates what the requests are about.
    fn prepare(&mut self) {
        let admin = &mut self.admin;
        let topics = ["topic1", "topic2"].map(|name| format!("{{name={name} num_partitions=1 replication_factor=1}}"));
        admin.until("topic1", ApiKey::CreateTopics, 7, &format!("topics=[{}]", topics.join(" ")));
        for group in ["group1", "group2"] {
            admin.until("node_id", ApiKey::FindCoordinator, 4, &format!("coordinator_keys=[{group}]"));
            let topics =
                ["topic1", "topic2"].map(|name| format!("{{name={name} partitions=[{{committed_offset=5}}]}}"));
            let commit = format!("group_id={group} generation_id_or_member_epoch=-1 topics=[{}]", topics.join(" "));
            admin.until("topics=[{name=topic1 partitions=[{}]}", ApiKey::OffsetCommit, 8, &commit);
        }
        for id in ["txn1", "txn2"] {
            admin.until("node_id=1", ApiKey::FindCoordinator, 4, &format!("key_type=1 coordinator_keys=[{id}]"));
            let init = format!("transactional_id={id} transaction_timeout_ms=60000");
            admin.until("producer_id", ApiKey::InitProducerId, 4, &init);
        }
    }

    /// Gives the caller these rights and no others.
    fn grant(&mut self, rights: &Rights) {
        let filter = format!(
            "filters=[{{resource_type_filter=1 pattern_type_filter=1 host_filter={} operation=1 permission_type=1}}]",
            rights::HOST
        );
        self.admin.call(ApiKey::DeleteAcls, 3, &filter);
        let created = self.admin.call(ApiKey::CreateAcls, 3, &format!("creations=[{}]", rights.creations.trim()));
        assert!(!created.contains("error_code"), "{}: {created}", rights.name);
        std::thread::sleep(self.propagation);
    }

    /// Sends all requests with all rights.
    fn run(&mut self, probes: &[Probe]) -> Vec<Answers> {
        let mut answers = vec![Answers::new(); probes.len()];
        for rights in rights::all() {
            self.grant(&rights);
            if rights.name == "everything" {
                // The caller learns the ids of topics.
                self.caller.call(ApiKey::Metadata, 12, "topics=null");
            }
            for ((api, version, request), answers) in probes.iter().zip(&mut answers) {
                let answer = normalized(&self.caller.call(*api, *version, request));
                answers.insert(rights.name.clone(), answer);
            }
        }
        answers
    }
}

/// An answer without what differs from run to run: producer ids that the request made, directories, and messages with
/// Java objects, for which this broker has the message of the error.
fn normalized(answer: &str) -> String {
    let answer = replace_each(answer, "@idempotent.", |c| !c.is_ascii_digit(), "@new");
    let answer = replace_each(&answer, "log_dir=/", |c| " ]}".contains(c), "log_dir=DIR");
    replace_each(&answer, "\"Request Request(", |c| c == '"', "\"Cluster authorization failed.")
}

/// Replaces each text that begins with `start` and ends before the first letter `is_end`.
fn replace_each(text: &str, start: &str, is_end: impl Fn(char) -> bool, with: &str) -> String {
    let mut parts = text.split(start);
    let mut replaced = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        replaced.push_str(with);
        replaced.push_str(&part[part.find(&is_end).unwrap_or(part.len())..]);
    }
    replaced
}

/// The lines of a table: comments, or a request with an answer and the rights that get it. A line without a request has
/// another answer to the request before it.
fn read(table: &str) -> Vec<(Probe, String, String)> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("api\t"));
    let mut read = Vec::new();
    let mut before = Default::default();
    for line in lines {
        let columns: Vec<&str> = line.split('\t').collect();
        if !columns[0].is_empty() {
            before = (columns[0], columns[1], columns[2]);
        }
        let (api, versions, request) = before;
        let api = ApiKey::ALL.iter().find(|known| known.name() == api).unwrap_or_else(|| panic!("{line}"));
        for version in versions.split(',') {
            let probe = (*api, version.parse().unwrap(), request.to_owned());
            let column = |index: usize| columns.get(index).copied().unwrap_or_default().to_owned();
            read.push((probe, column(3), column(4)));
        }
    }
    read
}

/// Each request once, in the order of the table.
fn probes(table: &str) -> Vec<Probe> {
    let mut probes: Vec<Probe> = Vec::new();
    for (probe, _, _) in read(table) {
        if !probes.contains(&probe) {
            probes.push(probe);
        }
    }
    probes
}

/// The expected answers to each request by rights.
fn expected(table: &str) -> BTreeMap<String, Answers> {
    let names: Vec<String> = rights::all().into_iter().map(|rights| rights.name).collect();
    let mut expected: BTreeMap<String, Answers> = BTreeMap::new();
    for (probe, answer, with) in read(table) {
        let answers = expected.entry(key(&probe)).or_default();
        match &*with {
            OTHERS => {
                for name in &names {
                    answers.entry(name.clone()).or_insert_with(|| answer.clone());
                }
            }
            with => answers.extend(rights::names(with).map(|name| (name, answer.clone()))),
        }
    }
    expected
}

/// The answers that are to differ: by request, Kafka's and the one here.
fn departures() -> BTreeMap<String, (String, String)> {
    let table = std::fs::read_to_string(DEPARTURES).unwrap();
    read(&table).into_iter().map(|(probe, kafka, here)| (key(&probe), (kafka, here))).collect()
}

fn key((api, version, request): &Probe) -> String {
    format!("{}\t{version}\t{request}", api.name())
}

/// The lines for one request: its answers from the rarest to the most common one.
fn write(probe: &Probe, answers: &Answers) -> String {
    let mut rights_by_answer: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (rights, answer) in answers {
        rights_by_answer.entry(answer).or_default().push(rights);
    }
    let mut all: Vec<(&str, Vec<&str>)> = rights_by_answer.into_iter().collect();
    all.sort_by_key(|(answer, rights)| (rights.len(), *answer));
    let most = all.len() - 1;
    let mut lines = String::new();
    for (index, (answer, rights)) in all.iter().enumerate() {
        let rights = if index == most { OTHERS.to_owned() } else { rights::list(rights) };
        let request = if index == 0 { key(probe) } else { "\t\t".to_owned() };
        let _ = writeln!(lines, "{request}\t{answer}\t{rights}");
    }
    lines
}

fn record(address: &str) {
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let probes = probes(&table);
    let answers = Matrix::new(address, PROPAGATION).run(&probes);
    let mut recorded: String = "api\tversion\trequest\tanswer\trights\n".to_owned();
    for (probe, answers) in probes.iter().zip(&answers) {
        recorded.push_str(&write(probe, answers));
    }
    std::fs::write(ANSWERS, recorded).unwrap();
}

#[test]
fn every_api_with_every_right_answers_as_kafka() {
    if let Ok(address) = std::env::var("AUTHORIZATION_OF_4_3") {
        record(&address);
    }
    let table = std::fs::read_to_string(ANSWERS).unwrap();
    let options = || {
        Broker::with()
            .set("ottla.cluster.id", "5L6g3nShT-eMCtK--X86sw")
            .set("offsets.topic.num.partitions", "1")
            .set("transaction.state.log.num.partitions", "1")
            .set("group.initial.rebalance.delay.ms", "0")
    };
    let (broker, _dir) = start(options);
    let mut matrix = Matrix::new(&address(&broker), Duration::ZERO);
    let probes = probes(&table);
    let (kafkas, mut departures) = (expected(&table), departures());
    let mut differ = String::new();
    for (probe, answers) in probes.iter().zip(matrix.run(&probes)) {
        let key = key(probe);
        if NOT_SERVED.contains(&probe.0) {
            assert!(answers.values().all(|answer| answer == "no answer"), "{key} is served");
            continue;
        }
        let departing = departures.remove(&key);
        let mut wrong: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (rights, ours) in answers {
            let kafka = kafkas[&key].get(&rights).cloned().unwrap_or_default();
            let expected = match &departing {
                Some((of_kafka, here)) if *of_kafka == kafka => here.clone(),
                _ => kafka,
            };
            if ours != expected {
                wrong.entry((expected, ours)).or_default().push(rights);
            }
        }
        for ((expected, ours), rights) in wrong {
            let _ =
                writeln!(differ, "{key}\n  with     {}\n  expected {expected}\n  here     {ours}", rights.join(" "));
        }
    }
    for key in departures.keys() {
        let _ = writeln!(differ, "{key}\n  departs, but is not in the table");
    }
    assert!(differ.is_empty(), "\n{differ}");
}
