//! The program from outside: how it starts, what it prints, how it stops.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::{Broker, run};
use ottla::client::Client;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
use rustix::process::Signal;

/// Checks that the start with `args` fails within a second, with exit code 2 and this line on stderr.
fn check_refused(args: &[&str], expect: &str) {
    let started = Instant::now();
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr, format!("ottla: {expect}\n"));
    assert!(output.stdout.is_empty());
    assert!(started.elapsed() < Duration::from_secs(1), "took {:?}", started.elapsed());
}

#[test]
fn unknown_setting_refuses_the_start() {
    let expect = "unknown setting num.partition (command line); did you mean num.partitions?";
    check_refused(&["--ephemeral", "--port", "0", "--set", "num.partition=1"], expect);
    let expect = "unknown setting retention.ms (command line); retention.ms is a topic setting, the broker setting is \
                  log.retention.ms";
    check_refused(&["--ephemeral", "--port", "0", "--set", "retention.ms=1"], expect);
}

#[test]
fn invalid_value_refuses_the_start() {
    let expect = "Invalid value many for configuration num.partitions: Not a number of type INT (command line); \
                  allowed: 1 or more";
    check_refused(&["--ephemeral", "--port", "0", "--set", "num.partitions=many"], expect);
}

#[test]
fn invalid_flag_refuses_the_start() {
    check_refused(&["--prot", "0"], "unknown flag --prot; did you mean --port?");
    check_refused(&["--port", "many"], "--port cannot be \"many\": invalid digit found in string");
    check_refused(&["serv"], "unknown command serv; did you mean serve?");
    check_refused(
        &["--ephemeral", "--create-topic", "a:x"],
        "Invalid value a:x for configuration ottla.create.topics: \
        A topic must be of the form NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]] (command line)",
    );
}

#[test]
fn invalid_value_in_the_environment_names_its_variable() {
    let environment = [("KAFKA_CFG_NUM_PARTITIONS".to_owned(), "many".to_owned())];
    let output = common::run_command(common::command(&environment).args(["--ephemeral", "--port", "0"]));
    let expect = "ottla: Invalid value many for configuration num.partitions: Not a number of type INT \
                  (environment variable KAFKA_CFG_NUM_PARTITIONS); allowed: 1 or more\n";
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(2), expect));
}

#[test]
fn missing_config_file_refuses_the_start() {
    let expect = "cannot read /nowhere/at-all.properties: No such file or directory (os error 2)";
    check_refused(&["--config", "/nowhere/at-all.properties"], expect);
}

#[test]
fn port_in_use_refuses_the_start() {
    let taken = TcpListener::bind("[::]:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let expect = format!(
        "port {port} is in use (listener PLAINTEXT); stop the program that uses it, or choose another port with --port (first listener) or listeners"
    );
    check_refused(&["--ephemeral", "--port", &port], &expect);
}

#[test]
fn data_directory_that_is_a_file_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let output = run(&["--port", "0", "--data-dir", file.to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(file.to_str().unwrap()), "{stderr}");
}

#[test]
fn help_lists_flags_and_defaults() {
    let output = run(&["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for word in
        ["--config", "--data-dir", "--ephemeral", "--port", "--ready-file", "--set", "9092", "./ottla-data", "SIGTERM"]
    {
        assert!(text.contains(word), "{word} is missing from:\n{text}");
    }
}

#[test]
fn ready_file_contains_address_and_data_directory() {
    let broker = Broker::start();
    let ready = broker.ready();
    assert_eq!(ready.bootstrap_servers, format!("localhost:{}", broker.port()));
    assert_eq!(ready.data_dir, broker.data_dir());
    assert!(ready.ready_ms > 0.0);
    broker.connect();
}

#[test]
fn unwritable_ready_file_stops_the_broker_cleanly() {
    let dir = tempfile::TempDir::with_prefix("ottla-test-").unwrap();
    let (data, ready) = (dir.path().join("data"), dir.path().join("missing/ready.json"));
    let args = ["--data-dir", data.to_str().unwrap(), "--port", "0", "--ready-file", ready.to_str().unwrap()];
    let output = common::run(&args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    let expected = format!("ottla: cannot write the ready file {}: No such file or directory", ready.display());
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert!(data.join(".kafka_cleanshutdown").exists());
}

#[test]
fn closed_stderr_does_not_change_the_exit_code() {
    let broken = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        std::process::Stdio::from(writer)
    };
    let lines: [&[&str]; 8] = [
        &["--no-such-flag"],
        &["--set", "nonsense=1"],
        &["kafka-nonsense"],
        &["check-log", "/no/such/folder"],
        &["topics", "--bootstrap-server", "localhost:1"],
        &["healthcheck", "--set", "listeners=PLAINTEXT://localhost:1"],
        &["kafka-topics", "--list"],
        &["kafka-run-class"],
    ];
    for args in lines {
        let expected = common::run(args).status.code();
        let mut command = common::command(&[]);
        let status = command.args(args).stdout(std::process::Stdio::null()).stderr(broken()).status().unwrap();
        assert!(status.code() == expected && expected != Some(0), "{args:?}: {status:?}, not {expected:?}");
    }
}

#[test]
fn start_logs_one_line_when_ready() {
    let broker = Broker::start();
    let ready = broker.ready();
    let (address, dir, ms) = (&ready.bootstrap_servers, ready.data_dir.display(), ready.ready_ms);
    let port = broker.port();
    broker.wait_for_log(&format!(
        " listening on [::]:{port} and 0.0.0.0:{port}, connect to {address}, data in {dir}, ready in {ms} ms"
    ));
    assert_eq!(broker.log().lines().count(), 1, "{}", broker.log());
}

/// Starts a broker with a shell script and waits until it is ready.
fn start_by_a_shell(dir: &Path, script: &str, stdin: Stdio) -> (std::process::Child, common::Ready) {
    let ready_file = dir.join("ready.json");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", script]).arg(common::ottla()).arg(&ready_file).stdin(stdin).stderr(Stdio::null());
    let shell = shell.spawn().unwrap();
    common::wait_until("the ready file", || ready_file.exists());
    (shell, serde_json::from_str(&fs::read_to_string(ready_file).unwrap()).unwrap())
}

const START: &str = "\"$0\" --ephemeral --port 0 --exit-with-parent --ready-file \"$1\"";

#[test]
fn exit_with_parent_stops_cleanly_when_stdin_ends() {
    let dir = tempfile::tempdir().unwrap();
    let (mut broker, ready) = start_by_a_shell(dir.path(), &format!("exec {START}"), Stdio::piped());
    assert!(ready.data_dir.exists());
    drop(broker.stdin.take());
    assert!(broker.wait().unwrap().success());
    assert!(!ready.data_dir.exists() && !dir.path().join("ready.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn exit_with_parent_stops_when_the_parent_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let (mut shell, ready) = start_by_a_shell(dir.path(), &format!("{START} </dev/null & wait"), Stdio::null());
    shell.kill().unwrap();
    shell.wait().unwrap();
    common::wait_until("the removal of the broker's directory", || !ready.data_dir.exists());
    common::wait_until("the removal of the ready file", || !dir.path().join("ready.json").exists());
}

#[test]
fn sigint_and_sigterm_stop_the_broker_cleanly() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut broker = Broker::start();
        broker.signal(signal);
        assert_eq!(broker.wait().code(), Some(0), "{}", broker.log());
    }
}

/// A client with a fetch that waits in the broker for 20 s.
async fn waiting_client(bootstrap_servers: String) -> (Client, impl Sized) {
    let client = Client::connect(&bootstrap_servers).await.unwrap();
    client.create_topic("quiet", 1, &[]).await.unwrap();
    let fetch = client.submit_fetch("quiet", 0, 0, 1, Duration::from_secs(20)).await.unwrap();
    // The broker executes the next request of the connection before it answers the fetch.
    let topic = CreatableTopic { name: "after".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let create = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() };
    let create = client.submit(create).await.unwrap();
    let other = Client::connect(&bootstrap_servers).await.unwrap();
    while other.metadata(Some(&["after"])).await.unwrap().topics[0].error_code != 0 {}
    (client, (fetch, create))
}

/// A stop gives a waiting fetch some time; a second signal ends that time.
#[tokio::test]
async fn waiting_fetch_delays_a_stop_only_briefly() {
    let mut broker = Broker::start();
    let _waiting = waiting_client(broker.bootstrap_servers().to_owned()).await;
    let started = Instant::now();
    broker.signal(Signal::TERM);
    // The timeout command of coreutils signals the process and then its process group.
    broker.signal(Signal::TERM);
    assert_eq!(broker.wait().code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
}

#[tokio::test]
async fn second_signal_stops_the_broker_at_once() {
    let mut broker = Broker::start();
    let _waiting = waiting_client(broker.bootstrap_servers().to_owned()).await;
    broker.signal(Signal::INT);
    broker.wait_for_log("SIGINT: stopping");
    // A signal right after the first one is ignored as a repetition of it.
    common::wait_until("the second signal to take effect", || {
        broker.signal(Signal::INT);
        broker.log().contains("stopped at once")
    });
    assert_eq!(broker.wait().code(), Some(1));
    broker.restart();
}

#[test]
fn restarted_broker_keeps_its_port() {
    let mut broker = Broker::start();
    let port = broker.port();
    broker.stop();
    broker.restart();
    broker.kill();
    broker.restart();
    assert_eq!(broker.port(), port);
}

#[test]
fn ephemeral_directory_is_removed_at_the_stop() {
    let dir = tempfile::tempdir().unwrap();
    let ready_file = dir.path().join("ready.json");
    let mut command = common::command(&[]);
    command.env("TMPDIR", dir.path()).args(["--ephemeral", "--port", "0", "--ready-file"]).arg(&ready_file);
    let mut process = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    common::wait_until("the ready file", || ready_file.exists());
    let ready: common::Ready = serde_json::from_str(&fs::read_to_string(&ready_file).unwrap()).unwrap();
    assert!(ready.data_dir.starts_with(dir.path()) && ready.data_dir.is_dir());
    rustix::process::kill_process(rustix::process::Pid::from_child(&process), Signal::TERM).unwrap();
    assert!(process.wait().unwrap().success());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "files are left");
}

#[test]
fn setting_in_the_environment_takes_effect() {
    let broker = Broker::with().env("KAFKA_LISTENERS", "PLAINTEXT://127.0.0.1:1").start();
    assert!(broker.bootstrap_servers().starts_with("127.0.0.1:"), "{}", broker.bootstrap_servers());
}
