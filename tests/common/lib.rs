//! A broker to test against: the built `ottla` binary, on a free port, with a data directory of its own.
//!
//! ```ignore
//! use common::Broker;
//!
//! let broker = Broker::start();                      // default settings, a new directory
//! let client = connect(broker.bootstrap_servers());  // "localhost:40123"; or broker.addr(), a SocketAddr
//!
//! let mut broker = Broker::with().set("num.partitions", "3").arg("--verbose").start();
//! broker.kill();                                     // kill -9, returns when the process has ended
//! broker.restart();                                  // same directory, same port, same settings
//! broker.stop();                                     // SIGTERM; panics unless it exits cleanly in time
//! let text = broker.log();                           // stdout and stderr of all its runs so far
//! broker.data_dir();                                 // to read or change while the broker is stopped
//!
//! // A run that is expected to fail at start: exit code, stdout and stderr.
//! let output = common::run(&["--set", "nonsense=1"]);
//! ```
//!
//! Every wait is bounded. A dropped broker is killed by its pid and its directory removed; if the test failed, the
//! end of the log is printed first.

pub mod certificates;
pub mod messages;
pub mod python_env;
mod registry;
pub mod test_server;
pub mod transactions;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use registry::RegistryProcess;

/// Far longer than any wait takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The path of the binary under test: from Cargo's variable, which is set at run time since Cargo 1.94, or else in the
/// folder of the build profile, where Cargo puts it for the package's tests and benchmarks.
pub fn ottla() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        std::env::var_os("CARGO_BIN_EXE_ottla").map_or_else(|| profile_folder().join("ottla"), PathBuf::from)
    });
    &PATH
}

/// Cargo's target folder, where a test may keep files for later runs.
pub fn target_folder() -> &'static Path {
    profile_folder().parent().expect("a folder of a build profile is within the target folder")
}

/// `target/debug`, the folder above `deps`, which contains this program.
fn profile_folder() -> &'static Path {
    static PATH: LazyLock<PathBuf> = LazyLock::new(|| {
        let program = std::env::current_exe().expect("the path of this program");
        program.ancestors().nth(2).expect("a folder two levels above").to_owned()
    });
    &PATH
}

/// A broker process that can be killed, stopped and started again.
pub struct Broker {
    options: Options,
    /// Contains the ready file, the log and, unless the test named another directory, the data.
    dir: TempDir,
    data_dir: PathBuf,
    process: Option<Child>,
    ready: Ready,
}

/// Options to start a broker with; made by [`Broker::with`].
#[derive(Default)]
pub struct Options {
    args: Vec<String>,
    environment: Vec<(String, String)>,
    data_dir: Option<PathBuf>,
}

/// The content of the ready file.
#[derive(Debug, Clone, Default, serde::Deserialize)]
pub struct Ready {
    pub pid: u32,
    pub bootstrap_servers: String,
    /// The addresses of all listeners, by name.
    pub listeners: BTreeMap<String, String>,
    /// The authority's certificate, with `--secure`.
    pub ca: Option<PathBuf>,
    /// The folder with client configurations, with `--secure`.
    pub secure_dir: Option<PathBuf>,
    /// The URL of the admin port, if there is one: `http://localhost:40124`.
    pub admin_url: Option<String>,
    /// The URL of the metrics, if there is a port that has them.
    pub metrics_url: Option<String>,
    /// The URL of the schema registry, if there is one: `http://localhost:40125`.
    pub schema_registry_url: Option<String>,
    pub data_dir: PathBuf,
    pub ready_ms: f64,
}

impl Options {
    /// Sets a setting by Kafka's name.
    pub fn set(self, name: &str, value: &str) -> Self {
        self.arg("--set").arg(&format!("{name}={value}"))
    }

    /// Adds listeners with TLS, and with TLS and SASL, and a user.
    pub fn secure(self, name: &str, password: &str) -> Self {
        self.arg("--secure").arg("--user").arg(&format!("{name}:{password}"))
    }

    /// Adds a command-line argument.
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Sets an environment variable. Variables of the test process that begin with `KAFKA_` are not passed on.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses this directory, which is not removed, in place of a new one.
    pub fn data_dir(mut self, path: &Path) -> Self {
        self.data_dir = Some(path.to_owned());
        self
    }

    /// Starts the broker and waits until it is ready.
    pub fn start(self) -> Broker {
        let dir = TempDir::with_prefix("ottla-test-").expect("a temporary directory");
        let data_dir = self.data_dir.clone().unwrap_or_else(|| dir.path().join("data"));
        let mut broker = Broker { options: self, dir, data_dir, process: None, ready: Ready::default() };
        broker.launch(0);
        broker
    }
}

impl Broker {
    /// Starts a broker with default settings and waits until it is ready.
    pub fn start() -> Broker {
        Options::default().start()
    }

    /// Options to start a broker with.
    pub fn with() -> Options {
        Options::default()
    }

    /// The value for a client's `bootstrap.servers`: `localhost:40123`.
    pub fn bootstrap_servers(&self) -> &str {
        &self.ready.bootstrap_servers
    }

    /// The IPv4 address to connect to.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub fn port(&self) -> u16 {
        let (_, port) = self.ready.bootstrap_servers.rsplit_once(':').expect("a port in the ready file");
        port.parse().expect("a port in the ready file")
    }

    /// Opens a TCP connection with a timeout on reads and writes.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr()).expect("the broker accepts");
        stream.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_write_timeout(Some(TIMEOUT)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        stream
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The ready file of the latest start.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The path of the ready file.
    pub fn ready_file(&self) -> PathBuf {
        self.dir.path().join("ready.json")
    }

    pub fn pid(&self) -> u32 {
        self.ready.pid
    }

    /// The stdout and stderr of all its runs.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Waits until the log contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_until(&format!("\"{text}\" in the log"), || self.log().contains(text));
    }

    /// Kills the process (SIGKILL) and waits until it has ended.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("the process can be killed");
            process.wait().expect("the process can be waited for");
        }
    }

    /// Sends SIGTERM and waits. Panics unless the broker exits with code 0 in time.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "stopped with {status}");
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the broker runs");
        let pid = Pid::from_raw(process.id().try_into().expect("a pid")).expect("a pid");
        kill_process(pid, signal).expect("the signal can be sent");
    }

    /// Waits until the process exits by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let process = self.process.as_mut().expect("the broker runs");
        let status = wait_for_exit(process);
        self.process = None;
        status.unwrap_or_else(|| panic!("the broker did not exit in {TIMEOUT:?}"))
    }

    /// Starts the broker again after `kill`, `stop` or `wait`, with the same directory, settings and port.
    pub fn restart(&mut self) {
        self.kill();
        self.launch(self.port());
    }

    /// Starts the broker again as `restart` does, and kills it this long after the start, ready or not.
    pub fn kill_at_start(&mut self, after: Duration) {
        self.kill();
        self.spawn(self.port());
        std::thread::sleep(after);
        self.kill();
    }

    fn launch(&mut self, port: u16) {
        let ready_file = self.spawn(port);
        self.wait_until_ready(&ready_file);
    }

    /// Starts the process and returns the path of its ready file.
    fn spawn(&mut self, port: u16) -> PathBuf {
        let ready_file = self.ready_file();
        let _ = fs::remove_file(&ready_file);
        let log = || OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log file");
        let mut command = command(&self.options.environment);
        command.arg("--data-dir").arg(&self.data_dir).arg("--ready-file").arg(&ready_file);
        command.arg("--port").arg(port.to_string()).args(&self.options.args);
        // This process has the other end of the pipe, so that the broker also stops when this process is killed.
        command.arg("--exit-with-parent").stdin(Stdio::piped());
        let process = command.stdout(log()).stderr(log()).spawn().expect("the binary starts");
        self.process = Some(process);
        ready_file
    }

    fn wait_until_ready(&mut self, ready_file: &Path) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if let Ok(text) = fs::read_to_string(ready_file) {
                self.ready = serde_json::from_str(&text).expect("a complete ready file");
                return;
            }
            let process = self.process.as_mut().expect("the broker was started");
            if let Some(status) = process.try_wait().expect("the process can be waited for") {
                self.process = None;
                panic!("the broker exited at start with {status}");
            }
            assert!(Instant::now() < deadline, "the broker was not ready in {TIMEOUT:?}");
            pause();
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("log.txt")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            eprintln!("--- last lines of the broker's log");
            tail.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Runs the binary until it exits; panics when it does not exit in time.
pub fn run(args: &[&str]) -> Output {
    run_command(command(&[]).args(args))
}

/// Runs a command made by [`command`] until it exits; panics when it does not exit in time.
pub fn run_command(command: &mut Command) -> Output {
    let dir = TempDir::with_prefix("ottla-test-").expect("a temporary directory");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let file = |path: &Path| File::create(path).expect("a file for output");
    let read = |path: &Path| fs::read(path).expect("output");
    let mut process = command.stdout(file(&out)).stderr(file(&err)).spawn().expect("the binary starts");
    let status = wait_for_exit(&mut process).unwrap_or_else(|| {
        let wrote = |path: &Path| String::from_utf8_lossy(&read(path)).into_owned();
        panic!("{command:?} did not exit in {TIMEOUT:?}\nstdout: {}\nstderr: {}", wrote(&out), wrote(&err))
    });
    Output { status, stdout: read(&out), stderr: read(&err) }
}

/// The binary, with this environment and no other variables that begin with `KAFKA_`.
pub fn command(environment: &[(String, String)]) -> Command {
    let mut command = Command::new(ottla());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KAFKA_")) {
        command.env_remove(name);
    }
    command.envs(environment.iter().cloned()).stdin(Stdio::null());
    command
}

/// Waits until `condition` holds; panics with `what` when it does not hold in time.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {TIMEOUT:?} for {what}");
        pause();
    }
}

/// Waits until a process exits; kills it when it does not exit in time.
fn wait_for_exit(process: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(status) = process.try_wait().expect("the process can be waited for") {
            return Some(status);
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            let _ = process.wait();
            return None;
        }
        pause();
    }
}

fn pause() {
    std::thread::sleep(Duration::from_millis(2));
}
