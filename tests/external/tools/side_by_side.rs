//! Runs a command line by our tool and by Apache Kafka's, and compares.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use rustix::process::{Pid, Signal, kill_process};

use crate::java::java;
use common::{self, Broker};

/// How long a tool of Kafka's may take; then its virtual machine is ended, and the case fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a tool did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A broker with both kinds of tools pointed at it.
pub struct SideBySide {
    pub broker: Broker,
    /// Turns what differs from run to run (times, ids) into what doesn't.
    normalise: fn(&str) -> String,
}

impl SideBySide {
    pub fn new(broker: Broker) -> SideBySide {
        SideBySide { broker, normalise: str::to_owned }
    }

    /// Compares what this makes of the outputs.
    pub fn normalised(self, normalise: fn(&str) -> String) -> SideBySide {
        SideBySide { normalise, ..self }
    }

    /// Both print the same to stdout and end with the same exit code; gives what ours did.
    ///
    /// A command line is split at spaces (but not within single quotes), and gets `--bootstrap-server`. `{}` in it stands
    /// for `mine` in ours and `java` in Kafka's, and is put back in the output: for what can be done only once.
    pub fn check(&self, line: &str) -> Ran {
        self.check_with_input(line, "")
    }

    /// As [`SideBySide::check`], with something on stdin.
    pub fn check_with_input(&self, line: &str, input: &str) -> Ran {
        let line = format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers());
        check(&line, input, self.normalise)
    }

    /// As [`SideBySide::check`], and stderr says the same too, Java's stack traces and log lines left out.
    pub fn check_errors_too(&self, line: &str) -> Ran {
        let line = format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers());
        check_errors_too(&line, self.normalise)
    }

    /// Runs our tool alone.
    pub fn ours(&self, line: &str) -> Ran {
        ours(&split(&format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers())), "")
    }
}

/// Both print the same to stdout and end with the same exit code; gives what ours did. Nothing is added to the line.
pub fn check(line: &str, input: &str, normalise: fn(&str) -> String) -> Ran {
    let (ours, theirs) = both(line, input, normalise);
    if let Some(theirs) = theirs {
        let what =
            format!("{line}\nleft: ours, right: Apache Kafka's\nour stderr: {}\ntheirs: {}", ours.err, theirs.err);
        assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{what}");
    }
    ours
}

/// As [`check`], and stderr says the same too, Java's stack traces and log lines left out.
pub fn check_errors_too(line: &str, normalise: fn(&str) -> String) -> Ran {
    let (ours, theirs) = both(line, "", normalise);
    if let Some(theirs) = &theirs {
        let differing = ours.out.lines().zip(theirs.out.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differing, None, "{line}\nfirst: ours, second: Apache Kafka's");
        assert_eq!(ours.err, theirs.err, "{line}\nleft: ours, right: Apache Kafka's");
        assert_eq!(&ours, theirs, "{line}\nleft: ours, right: Apache Kafka's");
    }
    ours
}

/// What our tool did, and Apache Kafka's where there is Java.
fn both(line: &str, input: &str, normalise: fn(&str) -> String) -> (Ran, Option<Ran>) {
    let is_named = line.contains("{}");
    let ours = tidy(ours(&split(&line.replace("{}", "mine")), input), is_named.then_some("mine"), normalise);
    let theirs = apache_kafkas(&split(&line.replace("{}", "java")), input);
    (ours, theirs.map(|ran| tidy(ran, is_named.then_some("java"), normalise)))
}

/// `name` is what stood for `{}` in the line.
fn tidy(ran: Ran, name: Option<&str>, normalise: fn(&str) -> String) -> Ran {
    let tidy = |text: &str| normalise(&name.map_or_else(|| text.to_owned(), |name| text.replace(name, "{}")));
    Ran { code: ran.code, out: tidy(&ran.out), err: tidy(&without_traces(&ran.err)) }
}

/// Without Java's stack traces, what its clients log, and the class of an error that only carries text.
fn without_traces(text: &str) -> String {
    let text = text.replace("org.apache.kafka.tools.TerseException: ", "");
    let noise = |line: &&str| {
        !(line.starts_with("\tat ")
            || line.starts_with("\t... ")
            || line.starts_with("Caused by: ")
            || line.starts_with("java.")
            || line.starts_with("joptsimple.")
            || line.starts_with("org.apache.kafka.")
            || line.starts_with("[main] ")
            || line.contains(" WARN ")
            || line.trim().is_empty())
    };
    text.lines().filter(noise).map(|line| format!("{line}\n")).collect()
}

/// Runs the built program as a tool.
pub fn ours(words: &[String], input: &str) -> Ran {
    let mut command = common::command(&[]);
    command.args(words);
    let output = if input.is_empty() {
        common::run_command(&mut command)
    } else {
        let mut file = tempfile::tempfile().expect("a temporary file");
        std::io::Write::write_all(&mut file, input.as_bytes()).expect("a file that can be written");
        std::io::Seek::rewind(&mut file).expect("a file");
        common::run_command(command.stdin(Stdio::from(file)))
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}

/// Runs Apache Kafka's tool, or does nothing where Java is absent.
pub fn apache_kafkas(words: &[String], input: &str) -> Option<Ran> {
    static MACHINE: OnceLock<Mutex<Option<Machine>>> = OnceLock::new();
    let java = java()?;
    let machine = MACHINE.get_or_init(|| Mutex::new(None));
    // A case that failed left the machine as it was: each run is a line to it and a line from it.
    let mut machine = machine.lock().unwrap_or_else(PoisonError::into_inner);
    let machine = machine.get_or_insert_with(|| Machine::of(java.converse_with("RunTools")));
    let (tool, arguments) = words.split_first().expect("a command line");
    Some(machine.run(class_of(tool), input, arguments))
}

/// One virtual machine for all runs of this test program. It ends when its stdin does: with this process.
struct Machine {
    process: Child,
    runs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Machine {
    fn of(mut process: Child) -> Machine {
        let runs = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Machine { process, runs, answers }
    }

    fn run(&mut self, class: &str, input: &str, arguments: &[String]) -> Ran {
        let words = [class, input].into_iter().chain(arguments.iter().map(String::as_str));
        let line: Vec<_> = words.map(|word| BASE64.encode(word)).collect();
        writeln!(self.runs, "{}", line.join(" ")).expect("Java reads");
        let mut answer = String::new();
        let (answered, unanswered) = mpsc::channel::<()>();
        let process = Pid::from_child(&self.process);
        let watchdog = thread::spawn(move || {
            if unanswered.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                kill_process(process, Signal::KILL).expect("Java can be ended");
            }
        });
        self.answers.read_line(&mut answer).expect("Java answers");
        drop(answered);
        watchdog.join().expect("a watchdog");
        let parts: Vec<_> = answer.trim_end_matches('\n').split(' ').collect();
        let [code, out, err] = parts[..] else { panic!("Java answers {answer:?} to {class} {arguments:?}") };
        let text = |part: &str| String::from_utf8_lossy(&BASE64.decode(part).expect("Base64")).into_owned();
        Ran { code: code.parse().expect("an exit code"), out: text(out), err: text(err) }
    }
}

fn class_of(tool: &str) -> &'static str {
    let known = CLASSES.iter().find(|(name, _)| *name == tool);
    known.unwrap_or_else(|| panic!("which class is {tool}?")).1
}

/// What Kafka's scripts of these names run.
const CLASSES: &[(&str, &str)] = &[
    ("kafka-acls", "org.apache.kafka.tools.AclCommand"),
    ("kafka-broker-api-versions", "org.apache.kafka.tools.BrokerApiVersionsCommand"),
    ("kafka-client-metrics", "org.apache.kafka.tools.ClientMetricsCommand"),
    ("kafka-cluster", "org.apache.kafka.tools.ClusterTool"),
    ("kafka-configs", "kafka.admin.ConfigCommand"),
    ("kafka-console-consumer", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
    ("kafka-console-producer", "org.apache.kafka.tools.ConsoleProducer"),
    ("kafka-consumer-groups", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"),
    ("kafka-consumer-perf-test", "org.apache.kafka.tools.ConsumerPerformance"),
    ("kafka-delete-records", "org.apache.kafka.tools.DeleteRecordsCommand"),
    ("kafka-dump-log", "org.apache.kafka.tools.DumpLogSegments"),
    ("kafka-e2e-latency", "org.apache.kafka.tools.EndToEndLatency"),
    ("kafka-features", "org.apache.kafka.tools.FeatureCommand"),
    ("kafka-get-offsets", "org.apache.kafka.tools.GetOffsetShell"),
    ("kafka-groups", "org.apache.kafka.tools.GroupsCommand"),
    ("kafka-leader-election", "org.apache.kafka.tools.LeaderElectionCommand"),
    ("kafka-log-dirs", "org.apache.kafka.tools.LogDirsCommand"),
    ("kafka-metadata-quorum", "org.apache.kafka.tools.MetadataQuorumCommand"),
    ("kafka-producer-perf-test", "org.apache.kafka.tools.ProducerPerformance"),
    ("kafka-reassign-partitions", "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"),
    ("kafka-storage", "kafka.tools.StorageTool"),
    ("kafka-topics", "org.apache.kafka.tools.TopicCommand"),
    ("kafka-transactions", "org.apache.kafka.tools.TransactionsCommand"),
    ("kafka-verifiable-consumer", "org.apache.kafka.tools.VerifiableConsumer"),
    ("kafka-verifiable-producer", "org.apache.kafka.tools.VerifiableProducer"),
];

/// Words at spaces; what stands in single quotes is one.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}
