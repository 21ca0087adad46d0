//! The brokers that are measured, and how each is started and stopped.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Apache Kafka needs more than half a minute to recover 1,000 partitions.
const TIMEOUT: Duration = Duration::from_secs(240);
/// Setting with which files of deleted topics are removed fast, so that the kernel does not write them to the disk.
const DELETE_DELAY: (&str, &str) = ("log.segment.delete.delay.ms", "50");

/// The name in tables of the program of `--other`, or of the same one with other settings.
pub const OTHER: &str = "the other Ottla";

/// A broker program.
pub enum Contender {
    Ottla {
        binary: PathBuf,
        /// The name in tables.
        name: &'static str,
        /// Settings besides those of the measurement, as NAME=VALUE.
        settings: Vec<String>,
    },
    /// Jars of Apache Kafka, as a class path.
    Kafka {
        class_path: String,
    },
    Kfake {
        binary: PathBuf,
    },
}

/// A broker process; killed when dropped.
pub struct Running {
    child: Child,
    port: u16,
    /// Time from the start of the process to its first answer.
    pub first_answer: Duration,
    /// `ready_ms` of Ottla's ready file.
    pub ready_ms: Option<f64>,
    /// The URL of its admin port.
    pub admin_url: Option<String>,
    /// The URL of its schema registry.
    pub registry_url: Option<String>,
}

/// A directory for a broker's data, removed when dropped.
pub fn scratch() -> TempDir {
    TempDir::with_prefix_in("bench-", env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// Returns an unused port below the system's ephemeral range, so that it stays free for a while.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    // Two concurrent runs begin at different ports.
    let numbers = std::iter::repeat_with(|| std::process::id() * 101 + NEXT.fetch_add(1, Ordering::Relaxed));
    numbers.map(|number| 20_000 + (number % 10_000) as u16).find(is_free).expect("a free port")
}

impl Contender {
    /// Finds Apache Kafka's jars in `dir`, its `libs` or its `lib`.
    pub fn kafka(dir: &Path) -> Result<Contender, String> {
        let candidates = [dir.join("libs"), dir.join("lib"), dir.to_owned()];
        let jars = |dir: &&PathBuf| {
            let names = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
            names.into_iter().any(|name| name.to_string_lossy().starts_with("kafka_2.13-"))
        };
        let found =
            candidates.iter().find(jars).ok_or(format!("no kafka_2.13 jar is in {} or its libs", dir.display()))?;
        Ok(Contender::Kafka { class_path: format!("{}/*", found.display()) })
    }

    /// Builds kfake into `target`.
    pub fn kfake() -> Result<Contender, String> {
        let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("kfake");
        let mut go = Command::new("go");
        go.arg("build").arg("-o").arg(&binary).arg(".");
        go.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/kfake"));
        match go.status() {
            Ok(status) if status.success() => Ok(Contender::Kfake { binary }),
            Ok(status) => Err(format!("kfake could not be built: go build ended with {status}")),
            Err(error) => Err(format!("kfake needs Go: {error}")),
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Contender::Ottla { name, .. } => name,
            Contender::Kafka { .. } => "Apache Kafka",
            Contender::Kfake { .. } => "kfake",
        }
    }

    /// Returns whether the broker has its data after a restart.
    pub fn keeps_data(&self) -> bool {
        !matches!(self, Contender::Kfake { .. })
    }

    /// Returns the size of the binary in MB, if the broker is a single binary.
    pub fn binary_mb(&self) -> Option<f64> {
        match self {
            Contender::Ottla { binary, .. } | Contender::Kfake { binary } => {
                Some(fs::metadata(binary).expect("the binary").len() as f64 / 1e6)
            }
            Contender::Kafka { .. } => None,
        }
    }

    /// Prepares `dir` for a first start at `port`; this is not measured.
    pub fn prepare(&self, dir: &Path, port: u16) {
        let Contender::Kafka { class_path } = self else { return };
        let settings = dir.join("server.properties");
        fs::write(&settings, kafka_settings(dir, port)).expect("a settings file");
        let mut format = java(class_path, &["-Xmx256M"]);
        format.arg("kafka.tools.StorageTool").args(["format", "--cluster-id", "5L6g3nShT-eMCtK--X86sw", "--config"]);
        let output = format.arg(&settings).output().expect("java");
        assert!(output.status.success(), "Kafka's data could not be formatted: {output:?}");
    }

    fn command(&self, dir: &Path, port: u16) -> Command {
        match self {
            Contender::Ottla { binary, settings, .. } => {
                let mut command = Command::new(binary);
                command.arg("--data-dir").arg(dir.join("data")).arg("--ready-file").arg(dir.join("ready.json"));
                command.arg("--port").arg(port.to_string());
                command.arg("--set").arg(format!("{}={}", DELETE_DELAY.0, DELETE_DELAY.1));
                command.args(settings.iter().flat_map(|setting| ["--set", setting]));
                command
            }
            Contender::Kafka { class_path } => {
                // The options of Kafka's own start script.
                let mut command = java(class_path, &["-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC"]);
                command.args(["-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]);
                command.args(["-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true"]);
                command.arg("kafka.Kafka").arg(dir.join("server.properties"));
                command
            }
            Contender::Kfake { binary } => {
                let mut command = Command::new(binary);
                command.arg(port.to_string());
                command
            }
        }
    }

    /// Returns a directory and a port, prepared for a first start.
    pub fn prepared(&self) -> (TempDir, u16) {
        let (dir, port) = (scratch(), free_port());
        self.prepare(dir.path(), port);
        (dir, port)
    }

    /// Starts the broker on `dir` and waits until it answers ApiVersions.
    pub fn start(&self, dir: &Path, port: u16) -> Running {
        self.start_with(dir, port, &[])
    }

    /// Like [`Contender::start`], with these flags.
    pub fn start_with(&self, dir: &Path, port: u16, flags: &[&str]) -> Running {
        let log = File::create(dir.join("log.txt")).expect("a log file");
        let mut command = self.command(dir, port);
        command.args(flags);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KAFKA_")) {
            command.env_remove(name);
        }
        let started = Instant::now();
        let child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.name()));
        let mut running =
            Running { child, port, first_answer: Duration::ZERO, ready_ms: None, admin_url: None, registry_url: None };
        while let Err(error) = request_api_versions(port) {
            let ended = running.child.try_wait().expect("the process can be waited for");
            let log = || fs::read_to_string(dir.join("log.txt")).unwrap_or_default();
            assert!(ended.is_none(), "{} ended at start:\n{}", self.name(), log());
            assert!(started.elapsed() < TIMEOUT, "{} does not answer ({error}):\n{}", self.name(), log());
            std::thread::sleep(Duration::from_micros(500));
        }
        running.first_answer = started.elapsed();
        if let Contender::Ottla { .. } = self {
            let ready = read_ready_file(&dir.join("ready.json"));
            running.ready_ms = ready["ready_ms"].as_f64();
            running.admin_url = ready["admin_url"].as_str().map(str::to_owned);
            running.registry_url = ready["schema_registry_url"].as_str().map(str::to_owned);
        }
        running
    }

    /// Starts the broker with an empty directory.
    pub fn start_fresh(&self) -> (TempDir, Running) {
        let (dir, port) = self.prepared();
        let running = self.start(dir.path(), port);
        (dir, running)
    }
}

/// Settings of a keystore with PEM.
fn keystore_settings(keystore: &Path) -> [(&'static str, String); 2] {
    [("ssl.keystore.type", "PEM".to_owned()), ("ssl.keystore.location", keystore.display().to_string())]
}

impl Contender {
    /// Starts the broker with an empty directory and a second listener, which has TLS. Returns the listener's address too.
    pub fn start_with_tls(&self, keystore: &Path) -> (TempDir, Running, SocketAddr) {
        let ((dir, port), tls) = (self.prepared(), free_port());
        let mut flags = Vec::new();
        let listeners = format!("PLAINTEXT://localhost:{port},SSL://localhost:{tls}");
        match self {
            Contender::Kafka { .. } => {
                let path = dir.path().join("server.properties");
                let mut settings = fs::read_to_string(&path).expect("a settings file");
                let plain = format!("listeners=PLAINTEXT://localhost:{port},");
                assert!(settings.contains(&plain));
                settings = settings.replace(&plain, &format!("listeners={listeners},"));
                settings = settings.replace("PLAINTEXT:PLAINTEXT", "PLAINTEXT:PLAINTEXT,SSL:SSL");
                for (name, value) in keystore_settings(keystore) {
                    settings.push_str(&format!("{name}={value}\n"));
                }
                fs::write(&path, settings).expect("a settings file");
            }
            _ => {
                let settings = keystore_settings(keystore).into_iter().chain([("listeners", listeners)]);
                settings.for_each(|(name, value)| flags.extend(["--set".to_owned(), format!("{name}={value}")]));
            }
        }
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let running = self.start_with(dir.path(), port, &flags);
        (dir, running, SocketAddr::from((Ipv4Addr::LOCALHOST, tls)))
    }
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the value of a client's `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        format!("localhost:{}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Sends SIGKILL and waits for the end of the process.
    pub fn kill(mut self) {
        self.end();
    }

    /// Sends SIGTERM and waits for the end of the process.
    pub fn stop(mut self) {
        let pid = self.child.id().try_into().ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, Signal::TERM).expect("the signal can be sent");
        let status = self.child.wait().expect("the process can be waited for");
        // 143 is the exit code of a Java virtual machine after SIGTERM.
        assert!(status.success() || status.code() == Some(143), "stopped with {status}");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

fn java(class_path: &str, flags: &[&str]) -> Command {
    let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    let mut command = Command::new(home.unwrap_or_else(|| PathBuf::from("java")));
    command.args(flags).arg("-cp").arg(class_path);
    command
}

fn kafka_settings(dir: &Path, port: u16) -> String {
    let (data, controller) = (dir.join("data"), free_port());
    let (name, delay) = DELETE_DELAY;
    format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         controller.listener.names=CONTROLLER\n\
         controller.quorum.voters=1@localhost:{controller}\n\
         log.dirs={}\n\
         {name}={delay}\n\
         group.initial.rebalance.delay.ms=0\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n",
        data.display()
    )
}

/// Sends an ApiVersions request of version 0 and waits for the response.
fn request_api_versions(port: u16) -> io::Result<()> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    ask_api_versions(&mut socket)
}

/// Sends an ApiVersions request of version 0 and reads the begin of the response.
pub fn ask_api_versions(socket: &mut (impl Read + Write)) -> io::Result<()> {
    /// Size, key 18, version 0, correlation id 7, no client id.
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255];
    socket.write_all(&REQUEST)?;
    let mut answer = [0; 10];
    socket.read_exact(&mut answer)?;
    match answer[4..] {
        [0, 0, 0, 7, 0, 0] => Ok(()),
        _ => Err(io::Error::other("not the response of this request")),
    }
}

/// Waits for the read_ready_file file, which appears shortly before or after the first answer, and returns its content.
fn read_ready_file(path: &Path) -> serde_json::Value {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Ok(text) = fs::read_to_string(path) {
            return serde_json::from_str(&text).expect("a complete ready file");
        }
        assert!(Instant::now() < deadline, "no ready file at {}", path.display());
        std::thread::sleep(Duration::from_millis(1));
    }
}
