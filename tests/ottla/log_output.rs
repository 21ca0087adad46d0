//! The log on stderr: it never blocks the broker, whatever stderr is, and clients can neither forge lines nor flood it.

use std::fs::{self, OpenOptions};
use std::io::{BufRead as _, BufReader, PipeWriter, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use common::{Broker, wait_until};
use ottla::client::Client;
use ottla_wire::protocol::messages::metadata::MetadataRequest;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

/// A filter that logs a line for each request.
const REQUESTS: &str = "info,ottla::request=debug";
/// Requests whose log lines exceed the capacity of a pipe and of the queue of lines several times.
const FLOOD: usize = 6_000;
/// Far longer than a stop takes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A broker with given stdout and stderr.
struct Process {
    child: Child,
    dir: TempDir,
}

impl Process {
    fn start(stdout: impl Into<Stdio>, stderr: impl Into<Stdio>) -> Process {
        let dir = TempDir::with_prefix("ottla-test-").unwrap();
        let mut command = common::command(&[("RUST_LOG".to_owned(), REQUESTS.to_owned())]);
        command.args(["--port", "0"]).arg("--data-dir").arg(dir.path().join("data"));
        command.arg("--ready-file").arg(dir.path().join("ready.json"));
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let process = Process { child, dir };
        wait_until("the ready file", || process.ready_file().exists());
        process
    }

    fn ready_file(&self) -> PathBuf {
        self.dir.path().join("ready.json")
    }

    /// Sends this number of requests to the broker.
    async fn serve(&self, requests: usize) {
        let ready: common::Ready = serde_json::from_str(&fs::read_to_string(self.ready_file()).unwrap()).unwrap();
        let client = Client::connect(&ready.bootstrap_servers).await.unwrap();
        for _ in 0..requests {
            client.call(MetadataRequest::default()).await.unwrap();
        }
    }

    fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the broker did not stop in {TIMEOUT:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn stop(&mut self) {
        self.terminate();
        let status = self.wait();
        assert!(status.success(), "stopped with {status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes writes to a pipe non-blocking.
fn set_nonblocking(writer: &PipeWriter) {
    let flags = fcntl_getfl(writer).unwrap();
    fcntl_setfl(writer, flags | OFlags::NONBLOCK).unwrap();
}

#[tokio::test]
async fn unread_stderr_blocks_neither_requests_nor_the_stop() {
    let (_stdout, writer) = std::io::pipe().unwrap();
    let mut process = Process::start(writer, Stdio::piped());
    process.serve(FLOOD).await;
    process.stop();
}

#[tokio::test]
async fn dropped_log_lines_are_counted_and_later_lines_are_written() {
    for is_blocking in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        if !is_blocking {
            set_nonblocking(&writer);
        }
        let mut process = Process::start(Stdio::null(), writer);
        process.serve(FLOOD).await;
        let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
        let mut logged = 0;
        let notice = lines.by_ref().inspect(|_| logged += 1).find(|line| line.contains("WARN dropped "));
        let dropped: usize = notice.unwrap().split(' ').find_map(|word| word.parse().ok()).unwrap();
        process.terminate();
        let rest: Vec<String> = lines.collect();
        assert!(process.wait().success());
        assert!(rest.last().is_some_and(|line| line.contains("stopped")), "{rest:?}");
        assert!(rest.iter().all(|line| line.starts_with("20")), "lines are complete: {rest:?}");
        let total = logged + dropped + rest.len();
        assert!((FLOOD..FLOOD + 100).contains(&total), "{logged} lines, {dropped} dropped, {} lines", rest.len());
    }
}

#[tokio::test]
async fn full_disk_behind_stderr_loses_only_log_lines() {
    let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut process = Process::start(full(), full());
    process.serve(FLOOD).await;
    process.stop();
}

#[tokio::test]
async fn closed_stderr_pipe_loses_only_log_lines() {
    let closed = || std::io::pipe().unwrap().1;
    let mut process = Process::start(closed(), closed());
    process.serve(FLOOD).await;
    process.stop();
}

#[test]
fn failed_start_exits_with_its_reason_whatever_stderr_is() {
    let fail = |stderr: Stdio| {
        let mut command = common::command(&[]);
        command.args(["--port", "0", "--set", "nonsense=1"]).stdout(Stdio::null()).stderr(stderr);
        let dir = TempDir::with_prefix("ottla-test-").unwrap();
        let child = command.current_dir(dir.path()).spawn().unwrap();
        let mut process = Process { child, dir };
        assert_eq!(process.wait().code(), Some(2));
    };
    fail(OpenOptions::new().write(true).open("/dev/full").unwrap().into());
    fail(std::io::pipe().unwrap().1.into());
    let (mut reader, writer) = std::io::pipe().unwrap();
    fail(writer.into());
    let mut line = String::new();
    reader.read_to_string(&mut line).unwrap();
    assert!(line.lines().count() == 1 && line.contains("nonsense"), "{line}");
    // A full pipe that is not read.
    let (_reader, mut writer) = std::io::pipe().unwrap();
    set_nonblocking(&writer);
    while writer.write(&[b'x'; 4096]).is_ok() {}
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags - OFlags::NONBLOCK).unwrap();
    fail(writer.into());
}

/// An ApiVersions request with a client id.
fn api_versions(client_id: &str) -> Vec<u8> {
    let mut request = [18_i16.to_be_bytes(), 0_i16.to_be_bytes()].concat();
    request.extend(7_i32.to_be_bytes());
    request.extend(i16::try_from(client_id.len()).unwrap().to_be_bytes());
    request.extend(client_id.as_bytes());
    [&i32::try_from(request.len()).unwrap().to_be_bytes()[..], &request].concat()
}

#[test]
fn client_id_with_control_characters_is_escaped_in_the_log() {
    let broker = Broker::with().env("RUST_LOG", REQUESTS).start();
    let forged = "x\n2026-01-01T00:00:00.000000Z  INFO all is well\r\u{1b}[2J\u{9b}2J\u{2028}\u{202e}";
    let long = "\n".repeat(i16::MAX as usize);
    for client_id in [forged, &long, "the last"] {
        let mut stream = broker.connect();
        stream.write_all(&api_versions(client_id)).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
    }
    broker.wait_for_log("the last");
    let log = broker.log();
    assert!(log.contains("x\\\\n2026-01-01") || log.contains("x\\n2026-01-01"), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2026-01-01")), "{log}");
    assert!(log.chars().all(|c| c == '\n' || !c.is_control() && !"\u{2028}\u{202e}".contains(c)), "{log}");
    let longest = log.lines().map(str::len).max().unwrap();
    assert!((1_000..4_000).contains(&longest), "the longest line has {longest} bytes");
}

/// Sends bytes from an address of this machine, and waits until the broker closes the connection.
async fn send_from(host: Ipv4Addr, broker: &Broker, bytes: &[u8]) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(IpAddr::V4(host), 0)).unwrap();
    let mut stream: TcpStream = socket.connect(broker.addr()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn flood_of_bad_connections_is_rate_limited_per_client_and_reason() {
    let mut broker = Broker::start();
    let (flooding, other) = (Ipv4Addr::LOCALHOST, Ipv4Addr::new(127, 0, 0, 2));
    for _ in 0..500 {
        send_from(flooding, &broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    }
    send_from(flooding, &broker, &(-1_i32).to_be_bytes()).await;
    send_from(other, &broker, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    broker.wait_for_log("client=127.0.0.2:");
    broker.stop();
    let log = broker.log();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("client=127.0.0.2:"), 1, "the line of the other client: {log}");
    assert_eq!(count("the request size is -1 bytes"), 1, "the line with another reason: {log}");
    let listed = count("the client sent HTTP data") - 1;
    // The limit is one line in ten seconds.
    assert!((1..=10).contains(&listed), "{listed} lines: {log}");
    let summaries: usize = log
        .lines()
        .filter(|line| line.ends_with(" client=127.0.0.1"))
        .filter_map(|line| {
            line.split_once("suppressed log lines: connections closed because of another protocol count=")
        })
        .map(|(_, after)| after.split(' ').next().unwrap().parse::<usize>().unwrap())
        .sum();
    assert_eq!(listed + summaries, 500, "{log}");
}

/// Starts a broker that must fail; returns its exit code and stderr.
fn failed_start(environment: &[(&str, &str)], args: &[&str]) -> (Option<i32>, String) {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let output = common::run_command(
        common::command(&environment).args(["--port", "0", "--data-dir"]).arg(dir.path()).args(args),
    );
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn invalid_log_level_refuses_the_start_with_one_line() {
    let mistake = "\"inof\" is neither a log level nor a logger; did you mean info?";
    let check = |environment: &[(&str, &str)], args: &[&str], expect: String| {
        assert_eq!(failed_start(environment, args), (Some(2), expect));
    };
    check(&[("RUST_LOG", "inof")], &[], format!("ottla: RUST_LOG: {mistake}\n"));
    check(&[], &["--log-level", "inof"], format!("ottla: ottla.log.level: {mistake} (command line)\n"));
    let (code, stderr) = failed_start(&[], &["--log-format", "xml"]);
    assert_eq!((code, stderr.as_str()), (Some(2), "ottla: --log-format cannot be \"xml\"; allowed: text, json\n"));
}

#[test]
fn log_level_flag_overrides_rust_log() {
    let mut broker = Broker::with().env("RUST_LOG", "inof").arg("--log-level").arg("error").start();
    broker.stop();
    assert_eq!(broker.log(), "");
}

#[test]
fn json_log_format_writes_one_object_per_line() {
    let mut broker = Broker::with().arg("--log-format").arg("json").arg("--create-topic").arg("orders:3").start();
    broker.stop();
    let log = broker.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.len() >= 3 && lines.iter().all(|line| line["level"] == "INFO"), "{log}");
    let created = lines.iter().find(|line| line["message"] == "created topic").expect(&log);
    assert_eq!(
        created["fields"],
        serde_json::json!({"topic": "orders", "partitions": 3, "cause": "ottla.create.topics"})
    );
}

#[tokio::test]
async fn created_topic_is_logged_and_validated_topic_is_not() {
    use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};

    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let topic =
        CreatableTopic { name: "validated".into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1_000, validate_only: true };
    client.call(request).await.unwrap();
    client.create_topic("orders", 2, &[]).await.unwrap();
    broker.wait_for_log("INFO created topic topic=orders partitions=2 cause=\"CreateTopics\" client=\"127.0.0.1:");
    assert!(broker.log().contains("client_id=\"ottla\""), "{}", broker.log());
    assert!(!broker.log().contains("validated"), "{}", broker.log());
}

/// The first bytes of a TLS client.
const CLIENT_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x00, 0x05, 0x01, 0x00, 0x00, 0x01, 0x00];

#[tokio::test]
async fn tls_client_that_retries_is_logged_once() {
    let mut broker = Broker::start();
    for _ in 0..16 {
        send_from(Ipv4Addr::LOCALHOST, &broker, CLIENT_HELLO).await;
    }
    broker.stop();
    let log = broker.log();
    assert_eq!(log.lines().filter(|line| line.contains("closed the connection")).count(), 1, "{log}");
    assert!(log.contains("suppressed log lines: connections closed because of another protocol count=15 "), "{log}");
}

#[tokio::test]
async fn client_that_only_repeats_find_coordinator_is_logged_once() {
    use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;

    let broker = Broker::start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    for _ in 0..4 {
        client
            .call(FindCoordinatorRequest { coordinator_keys: vec!["billing".into()], ..Default::default() })
            .await
            .unwrap();
    }
    broker.wait_for_log("ConsumerGroupHeartbeat is not served yet");
    let log = broker.log();
    let line = log.lines().find(|line| line.contains("ConsumerGroupHeartbeat")).unwrap();
    for field in ["peer=127.0.0.1", "client_id=", "software=", "group=billing", "group.protocol=classic"] {
        assert!(line.contains(field), "{line}");
    }
}
