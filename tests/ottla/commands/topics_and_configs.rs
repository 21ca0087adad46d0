//! `ottla topics` and `ottla configs`.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Output, Stdio};

use common::{Broker, command, run_command};
use serde_json::{Value, json};

/// A broker, and a command line that uses it.
struct CommandLine {
    broker: Broker,
}

impl CommandLine {
    fn new() -> CommandLine {
        CommandLine { broker: Broker::with().set("ottla.ephemeral", "true").start() }
    }

    fn run(&self, line: &str) -> Output {
        let servers = ("KAFKA_BOOTSTRAP_SERVERS".to_owned(), self.broker.bootstrap_servers().to_owned());
        run_command(command(&[servers]).args(line.split_whitespace()))
    }

    /// Runs a command line and returns its stdout; panics if it fails.
    fn stdout(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.stdout(line)).unwrap()
    }

    /// Runs a command line that must fail with exit code 1, and returns its stderr.
    fn stderr_of_failure(&self, line: &str) -> String {
        let output = self.run(line);
        assert_eq!(output.status.code(), Some(1), "{line}");
        String::from_utf8(output.stderr).unwrap()
    }
}

#[test]
fn topics_commands_create_list_alter_describe_and_delete() {
    let ottla = CommandLine::new();
    assert_eq!(ottla.stdout("topics"), "No topics. Create one with: ottla topics create NAME\n");
    assert_eq!(ottla.stdout("topics create orders -p 3 -c retention.ms=60000"), "created orders\n");
    assert_eq!(ottla.stdout("topics create orders --if-not-exists"), "");
    assert_eq!(ottla.stdout("topics list"), "TOPIC   PARTITIONS  RECORDS  BYTES\norders           3        0      0\n");
    let listed = ottla.json("topics --json");
    assert_eq!((&listed[0]["name"], &listed[0]["partitions"]), (&json!("orders"), &json!(3)));

    assert_eq!(ottla.stdout("topics alter orders -p 4 -c flush.ms=9 --unset retention.ms"), "altered orders\n");
    let described = ottla.json("topics describe orders --json");
    assert_eq!(described[0]["settings"], json!({"flush.ms": "9"}));
    let last = json!({"partition": 3, "leader": 1, "replicas": [1], "isr": [1], "start_offset": 0, "end_offset": 0, "bytes": 0});
    assert_eq!(described[0]["partitions"][3], last);
    assert!(ottla.stdout("topics describe orders").ends_with("        3       1      0    0        0      0\n"));

    assert_eq!(ottla.json("topics delete orders --json"), json!({"deleted": ["orders"]}));
    assert_eq!(ottla.stdout("topics delete orders --if-exists"), "");
    assert_eq!(ottla.json("topics --json"), json!([]));
}

#[test]
fn failed_topics_command_prints_one_line() {
    let ottla = CommandLine::new();
    ottla.stdout("topics create a -p 2");
    let check =
        |line: &str, expect: &str| assert_eq!(ottla.stderr_of_failure(line), format!("ottla: {expect}\n"), "{line}");
    check("topics create a", "Topic 'a' already exists.");
    check("topics create b -c bogus=1", "unknown topic setting bogus");
    check("topics create b -c retention.m=1", "unknown topic setting retention.m; did you mean retention.ms?");
    check("topics alter a --unset retention.m", "unknown topic setting retention.m; did you mean retention.ms?");
    check("topics describe aa", "there is no topic aa; did you mean a?");
    check("topics alter a -p 1", "The topic a currently has 2 partition(s); 1 would not be an increase.");
    check("topics alter a", "nothing to change: give --partitions, --config or --unset");
    check("topics delete a nope", "there is no topic nope");
    check("topics describe nope", "there is no topic nope");
    assert_eq!(ottla.json("topics --json").as_array().unwrap().len(), 1);
}

#[test]
fn configs_commands_set_show_and_unset() {
    let ottla = CommandLine::new();
    ottla.stdout("topics create a");
    assert!(ottla.stdout("configs show topic a").starts_with("No settings are changed."));
    assert!(
        ottla.stdout("configs show topic a --all").contains("\nretention.ms                             604800000")
    );
    assert_eq!(
        ottla.stdout("configs set topic a retention.ms=7 cleanup.policy=compact,delete"),
        "SETTING         VALUE           FROM   EFFECT\nretention.ms    7               topic  yes\n\
         cleanup.policy  compact,delete  topic  yes\n"
    );
    let left = ottla.json("configs unset topic a retention.ms --json");
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!((&left[0]["name"], &left[0]["source"]), (&json!("cleanup.policy"), &json!("DYNAMIC_TOPIC_CONFIG")));
    let printed = ottla.stdout("configs set broker log.retention.ms=99");
    assert!(printed.lines().any(|line| line.split_whitespace().take(2).eq(["log.retention.ms", "99"])), "{printed}");
    let default = "SETTING           VALUE   FROM     EFFECT\nlog.retention.ms  (none)  default  yes\n";
    assert_eq!(ottla.stdout("configs unset broker log.retention.ms"), default);
    let without_effect = "SETTING                         VALUE  FROM             EFFECT\n\
                          unclean.leader.election.enable  true   broker, dynamic  none\n";
    let printed = ottla.stdout("configs set broker unclean.leader.election.enable=true");
    assert_eq!(printed.split_whitespace().collect::<Vec<_>>(), without_effect.split_whitespace().collect::<Vec<_>>());
    let group = ottla.json("configs set group g consumer.session.timeout.ms=50000 --json");
    assert_eq!(group[0]["value"], json!("50000"));

    let check =
        |line: &str, expect: &str| assert_eq!(ottla.stderr_of_failure(line), format!("ottla: {expect}\n"), "{line}");
    check("configs show topic nope", "there is no topic nope");
    check("configs set topic nope flush.ms=1", "there is no topic nope");
    let retention = "unknown broker setting log.retention.m; did you mean log.retention.ms?";
    check("configs set broker log.retention.m=5", retention);
    check("configs unset broker log.retention.m", retention);
    check(
        "configs set topic a num.partitions=5",
        "unknown topic setting num.partitions; num.partitions is a broker setting",
    );
    check(
        "configs set broker retention.ms=1",
        "unknown broker setting retention.ms; retention.ms is a topic setting, the broker setting is log.retention.ms",
    );
    check("configs set group g xyzzy=5", "unknown group setting xyzzy");
    check("configs set topic a", "no settings are given: name the resource, then its settings");
    check("configs set topic a retention.ms", "retention.ms has no value: give it as SETTING=VALUE");
    check(
        "configs set topic a retention.ms=x",
        "Invalid value x for configuration retention.ms: Not a number of type LONG",
    );
}

#[test]
fn consume_of_missing_topic_waits_and_names_the_nearest_one() {
    let ottla = CommandLine::new();
    ottla.stdout("topics create orders");
    let server = ottla.broker.bootstrap_servers();
    let mut process = command(&[]).args(["consume", "ordes", "-b", server]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stderr.take().unwrap()).read_line(&mut line).unwrap();
    process.kill().unwrap();
    process.wait().unwrap();
    assert!(line.contains("waiting for the topic: there is no topic ordes; did you mean orders?"), "{line}");
}

#[test]
fn produce_without_a_broker_fails_once_after_max_block_ms() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = unused.to_string();
    let line = ["produce", "t", "a", "b", "c", "--set", "max.block.ms=300", "-b", &server];
    let output = run_command(command(&[]).args(line));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let error = format!("ottla: Timed out waiting for a node assignment: no broker at {server}\n");
    assert!(stderr.ends_with(&error) && stderr.lines().count() == 2, "{stderr}");
}

#[test]
fn produce_to_a_missing_topic_stops_after_the_first_record() {
    let ottla = CommandLine { broker: Broker::with().set("auto.create.topics.enable", "false").start() };
    let stderr = ottla.stderr_of_failure("produce absent a b c --set max.block.ms=300");
    let expect = "ottla: record 1 was not stored: Topic absent not present in metadata after 300 ms.\n\
                  ottla: stopped after the first timeout: the remaining records were not sent\n";
    assert_eq!(stderr, expect);
}

#[test]
fn dump_log_of_a_file_that_is_not_a_log_fails_with_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let check = |name: &str, expect: &str| {
        let file = dir.path().join(name);
        let output = run_command(command(&[]).arg("dump-log").arg(&file));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expect = format!("ottla: {}{expect}\n", file.display());
        assert_eq!((output.status.code(), stderr), (Some(1), expect), "{name}");
    };
    check("00000000000000000000.log", " does not exist");
    let folder = format!(" is a directory: name files in it, such as {}/*.log", dir.path().join("t-0").display());
    std::fs::create_dir(dir.path().join("t-0")).unwrap();
    check("t-0", &folder);
    std::fs::write(dir.path().join("notes.txt"), "").unwrap();
    let endings = ".log, .checkpoint, .index, .timeindex, .snapshot, .txnindex";
    check("notes.txt", &format!(" is not a file of a log: their names end in {endings}"));
}

#[test]
fn unknown_group_error_suggests_the_nearest_name() {
    let ottla = CommandLine::new();
    ottla.stdout("topics create orders");
    ottla.stdout("produce orders hello");
    ottla.stdout("consume orders --from-beginning --count 1 --group billing");
    assert_eq!(
        ottla.stderr_of_failure("groups describe biling"),
        "ottla: Group biling not found. Did you mean billing?\n"
    );
    assert!(ottla.stderr_of_failure("groups delete biling").ends_with(" Did you mean billing?\n"));
    assert_eq!(ottla.stderr_of_failure("groups describe nope"), "ottla: Group nope not found.\n");
}
