//! Runs a command line with Ottla's tool and with Apache Kafka's, and compares the outputs.

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

/// Limit of one run of a Kafka tool: then its virtual java is killed and the case fails.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The result of running a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// A broker that both tools connect to.
pub struct SideBySide {
    pub broker: Broker,
    /// Replaces what differs between runs (times, ids) by constants.
    normalise: fn(&str) -> String,
}

impl SideBySide {
    pub fn new(broker: Broker) -> SideBySide {
        SideBySide { broker, normalise: str::to_owned }
    }

    /// Applies this function to the outputs before they are compared.
    pub fn normalised(self, normalise: fn(&str) -> String) -> SideBySide {
        SideBySide { normalise, ..self }
    }

    /// Asserts that both tools print the same to stdout and end with the same exit code, and returns the result of
    /// Ottla's tool.
    ///
    /// The command line is split at spaces outside single quotes, and `--bootstrap-server` is added. `{}` in it is
    /// `mine` for Ottla's tool and `java` for Kafka's, and these names are `{}` again in the compared output. It is for
    /// actions that succeed only once.
    pub fn check(&self, line: &str) -> Ran {
        self.check_with_input(line, "")
    }

    /// Like [`SideBySide::check`], with `input` on stdin.
    pub fn check_with_input(&self, line: &str, input: &str) -> Ran {
        let line = format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers());
        check(&line, input, self.normalise)
    }

    /// Like [`SideBySide::check`], and stderr must be equal too, without Java's stack traces and log lines.
    pub fn check_errors_too(&self, line: &str) -> Ran {
        let line = format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers());
        check_errors_too(&line, self.normalise)
    }

    /// Runs only Ottla's tool.
    pub fn ours(&self, line: &str) -> Ran {
        ours(&split(&format!("{line} --bootstrap-server {}", self.broker.bootstrap_servers())), "")
    }
}

/// Asserts that both tools print the same to stdout and end with the same exit code, and returns the result of Ottla's
/// tool. Nothing is added to the line.
pub fn check(line: &str, input: &str, normalise: fn(&str) -> String) -> Ran {
    let (ours, theirs) = run_both(line, input, normalise);
    if let Some(theirs) = theirs {
        let what =
            format!("{line}\nleft: ours, right: Apache Kafka's\nour stderr: {}\ntheirs: {}", ours.err, theirs.err);
        assert_eq!((ours.code, &ours.out), (theirs.code, &theirs.out), "{what}");
    }
    ours
}

/// Like [`check`], and stderr must be equal too, without Java's stack traces and log lines.
pub fn check_errors_too(line: &str, normalise: fn(&str) -> String) -> Ran {
    let (ours, theirs) = run_both(line, "", normalise);
    if let Some(theirs) = &theirs {
        let differing = ours.out.lines().zip(theirs.out.lines()).find(|(ours, theirs)| ours != theirs);
        assert_eq!(differing, None, "{line}\nfirst: ours, second: Apache Kafka's");
        assert_eq!(ours.err, theirs.err, "{line}\nleft: ours, right: Apache Kafka's");
        assert_eq!(&ours, theirs, "{line}\nleft: ours, right: Apache Kafka's");
    }
    ours
}

/// Runs Ottla's tool, and Apache Kafka's if there is Java.
fn run_both(line: &str, input: &str, normalise: fn(&str) -> String) -> (Ran, Option<Ran>) {
    let is_named = line.contains("{}");
    let ours =
        normalise_output(ours(&split(&line.replace("{}", "mine")), input), is_named.then_some("mine"), normalise);
    let theirs = apache_kafkas(&split(&line.replace("{}", "java")), input);
    (ours, theirs.map(|ran| normalise_output(ran, is_named.then_some("java"), normalise)))
}

/// Normalises the outputs; `name` is the name that replaced `{}` in the line.
fn normalise_output(ran: Ran, name: Option<&str>, normalise: fn(&str) -> String) -> Ran {
    let normalised = |text: &str| normalise(&name.map_or_else(|| text.to_owned(), |name| text.replace(name, "{}")));
    Ran { code: ran.code, out: normalised(&ran.out), err: normalised(&without_traces(&ran.err)) }
}

/// Removes Java's stack traces, the log lines of its clients, and the class name of an error that only has a message.
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

/// Runs Apache Kafka's tool; without Java returns `None`.
pub fn apache_kafkas(words: &[String], input: &str) -> Option<Ran> {
    static JAVA_PROCESS: OnceLock<Mutex<Option<JavaProcess>>> = OnceLock::new();
    let java = java()?;
    let process = JAVA_PROCESS.get_or_init(|| Mutex::new(None));
    // After a failed case the process can still be used: a run is one line to its stdin and one line from its stdout.
    let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
    let process = process.get_or_insert_with(|| JavaProcess::of(java.start_program("RunTools")));
    let (tool, arguments) = words.split_first().expect("a command line");
    Some(process.run(class_of(tool), input, arguments))
}

/// One Java virtual machine for all runs of this test program. It ends when its stdin is closed, with this process.
struct JavaProcess {
    process: Child,
    runs: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl JavaProcess {
    fn of(mut process: Child) -> JavaProcess {
        let runs = process.stdin.take().expect("a pipe");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        JavaProcess { process, runs, answers }
    }

    fn run(&mut self, class: &str, input: &str, arguments: &[String]) -> Ran {
        let words = [class, input].into_iter().chain(arguments.iter().map(String::as_str));
        let line: Vec<_> = words.map(|word| BASE64.encode(word)).collect();
        writeln!(self.runs, "{}", line.join(" ")).expect("Java reads");
        let mut answer = String::new();
        let (answered, unanswered) = mpsc::channel::<()>();
        let process = Pid::from_child(&self.process);
        let watchdog = thread::spawn(move || {
            if unanswered.recv_timeout(TIMEOUT) == Err(RecvTimeoutError::Timeout) {
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

/// The classes that Kafka's scripts of these names run.
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

/// Splits at spaces; text in single quotes is one word.
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
