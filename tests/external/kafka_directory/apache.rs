//! Apache Kafka: a broker with its controller, in a separate process.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ottla::client::Client;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::java::{Java, jvm};

/// Far longer than a start or a stop takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Settings of a single node.
const SETTINGS: &str = "process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
offsets.topic.num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=2
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.index.size.max.bytes=65536
";
/// Settings with which the cleaner and retention run often.
pub const BUSY: &str = "log.cleaner.backoff.ms=100
log.retention.check.interval.ms=300
log.initial.task.delay.ms=100
";
/// Settings without compaction.
pub const UNCLEANED: &str = "log.cleaner.enable=false
log.retention.check.interval.ms=300
log.initial.task.delay.ms=100
";
/// Settings without background changes of the logs.
pub const QUIET: &str = "log.cleaner.enable=false
log.retention.check.interval.ms=3600000
log.initial.task.delay.ms=3600000
";

/// A broker of Apache Kafka that serves a data directory.
pub struct ApacheKafka {
    process: Child,
    address: String,
    dir: TempDir,
}

impl ApacheKafka {
    /// Formats `data` if it is new, starts a broker on it, and returns when the broker serves.
    pub async fn start(java: &Java, data: &Path, settings: &str) -> ApacheKafka {
        let dir = TempDir::with_prefix("ottla-apache-kafka-").expect("a temporary directory");
        let [port, controller] = free_ports();
        let text = format!(
            "{SETTINGS}{settings}log.dirs={}\ncontroller.quorum.voters=1@localhost:{controller}\n\
             listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\n",
            data.display()
        );
        let properties = dir.path().join("server.properties");
        fs::write(&properties, text).expect("a file in the directory");
        if !data.join("meta.properties").exists() {
            let file = properties.to_str().expect("a path in UTF-8");
            let formatted = common::run(&["kafka-storage", "format", "-t", "5L6g3nShT-eMCtK--X86sw", "-c", file]);
            assert!(formatted.status.success(), "{formatted:?}");
        }
        let log = |name: &str| File::create(dir.path().join(name)).expect("a log file");
        let mut command = jvm(&java.libs("today"));
        command.args(["-Xmx512m", "kafka.Kafka"]).arg(&properties).stdin(Stdio::null());
        let process = command.stdout(log("out.txt")).stderr(log("err.txt")).spawn().expect("java starts");
        let mut kafka = ApacheKafka { process, address: format!("localhost:{port}"), dir };
        kafka.wait_until_it_serves().await;
        kafka
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    async fn wait_until_it_serves(&mut self) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Ok(client) = Client::connect(&self.address).await
                && client.metadata(None).await.is_ok_and(|cluster| !cluster.brokers.is_empty())
            {
                return;
            }
            let status = self.process.try_wait().expect("the process can be waited for");
            assert!(status.is_none() && Instant::now() < deadline, "Apache Kafka doesn't serve: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it cleanly.
    pub fn stop(mut self) {
        let pid = Pid::from_raw(self.process.id().try_into().expect("a pid")).expect("a pid");
        kill_process(pid, Signal::TERM).expect("the signal can be sent");
        let status = self.wait();
        // The exit code of a Java virtual machine after SIGTERM.
        assert_eq!(status.code(), Some(143), "{}", self.log_tail());
    }

    /// Kills it, as a crash of the process does.
    pub fn kill(mut self) {
        self.process.kill().expect("the process can be killed");
        self.wait();
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.process.try_wait().expect("the process can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "Apache Kafka doesn't end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log_tail(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.dir.path().join(name)).unwrap_or_default();
        let text = read("out.txt") + &read("err.txt");
        let lines: Vec<_> = text.lines().rev().take(30).collect();
        lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for ApacheKafka {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            eprintln!("--- end of Apache Kafka's log\n{}", self.log_tail());
        }
    }
}

/// Returns free ports: Apache Kafka's settings must name the ports, since its nodes connect to each other.
fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// Copies a data directory as it is on disk.
pub fn copy(from: &Path, to: &Path) -> PathBuf {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file can be copied");
        }
    }
    to.to_owned()
}
