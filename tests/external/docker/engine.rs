//! The Docker engine: its commands, the image under test, and containers, volumes and networks that are removed when
//! dropped.

use std::fs::File;
use std::io::{Read as _, Write as _, stderr};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::wait_until;

use crate::harness::skip;

/// The image under test. Its tag is a version, because some modules of Testcontainers parse it.
pub const IMAGE: &str = "ottla-test:99.0.0";
/// The label of everything that these tests create on the engine.
pub const LABEL: &str = "ottla-test";
/// Limit of one command, with room for a busy engine.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// Limit of a build without a cache and with a slow network.
const BUILD_TIMEOUT: Duration = Duration::from_secs(1200);

/// The base images of docker/Dockerfile.
const BASES: [&str; 2] = ["rust:1-bookworm", "debian:bookworm-slim"];

/// The result of building the image under test: the error says why there is none.
static BUILT: OnceLock<Result<(), String>> = OnceLock::new();

/// Returns whether the image under test exists; the first call builds it. Without a usable engine the calling test is
/// skipped.
pub fn docker_available() -> bool {
    let built = BUILT.get_or_init(|| {
        find_engine().and_then(|()| find_bases())?;
        build();
        Ok(())
    });
    built.as_ref().inspect_err(|why| skip("docker", why)).is_ok()
}

/// Returns whether the image was built.
pub fn is_built() -> bool {
    matches!(BUILT.get(), Some(Ok(())))
}

fn find_engine() -> Result<(), String> {
    for (args, otherwise) in [
        (["info", "--format", "{{.OSType}}"], "no Docker engine answers: start one (`docker info` shows it)"),
        (["buildx", "version", ""], "Docker has no BuildKit: install its plugin buildx"),
        (["compose", "version", ""], "Docker has no Compose 2: install its plugin compose"),
    ] {
        let args = args.into_iter().filter(|arg| !arg.is_empty());
        let output = Command::new("docker").args(args).stdin(Stdio::null()).output();
        if !output.is_ok_and(|output| output.status.success() && !output.stdout.is_empty()) {
            return Err(otherwise.to_owned());
        }
    }
    Ok(())
}

fn find_bases() -> Result<(), String> {
    for base in BASES {
        let exists = docker(&["image", "inspect", base]).status.success();
        if !exists && !run_for(Command::new("docker").args(["pull", "--quiet", base]), BUILD_TIMEOUT).status.success() {
            return Err(format!("the base image {base} is not there and cannot be pulled"));
        }
    }
    Ok(())
}

fn build() {
    let project = env!("CARGO_MANIFEST_DIR");
    let dockerfile = Path::new(project).join("docker/Dockerfile");
    let mut build = Command::new("docker");
    build.args(["build", "--quiet", "--tag", IMAGE, "--label", LABEL, "--file"]).arg(dockerfile);
    if let Some(folder) = std::env::var_os("OTTLA_DOCKER_BINARY") {
        build.arg("--build-context").arg(format!("build={}", folder.display()));
    }
    print_progress("building the image");
    let started = Instant::now();
    stdout_of_success(run_for(build.arg(project), BUILD_TIMEOUT));
    print_progress(&format!("built the image in {:.1} s", started.elapsed().as_secs_f64()));
}

/// Runs a docker command and asserts that it ends in time.
pub fn docker(args: &[&str]) -> Output {
    run_for(Command::new("docker").args(args), COMMAND_TIMEOUT)
}

/// Runs a docker command, asserts that it succeeds, and returns its stdout.
pub fn docker_stdout(args: &[&str]) -> String {
    stdout_of_success(docker(args))
}

/// Asserts success and returns stdout without the last newline.
pub fn stdout_of_success(output: Output) -> String {
    assert!(output.status.success(), "{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// Runs a command and asserts that it ends in time.
pub fn run_for(command: &mut Command, timeout: Duration) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let file = |path: &Path| File::create(path).expect("a file for output");
    let process = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + timeout;
    let status = loop {
        if let Some(status) = process.try_wait().expect("the process can be waited for") {
            break status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            break process.wait().expect("the process can be waited for");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).expect("output");
        bytes
    };
    Output { status, stdout: read(&out), stderr: read(&err) }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes to stderr directly: the test harness hides what `eprintln!` writes in tests that pass.
pub fn print_progress(line: &str) {
    let _ = writeln!(stderr(), "docker: {line}");
}

/// Returns a name that is unique on the engine.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("ottla-test-{}-{what}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A container of the image under test, running or stopped.
pub struct Container {
    pub name: String,
}

impl Container {
    /// Starts a container with these options of `docker run` and this command in place of the image's own. Port 9092 is
    /// published at a free port of the loopback address.
    pub fn run(options: &[&str], command: &[&str]) -> Container {
        let name = unique("c");
        let own = ["run", "--detach", "--name", &name, "--label", LABEL, "--publish", "127.0.0.1::9092"];
        let container = Container { name: name.clone() };
        docker_stdout(&[&own, options, &[IMAGE], command].concat());
        container
    }

    /// Starts a container and waits for its ready line.
    pub fn ready(options: &[&str]) -> Container {
        let container = Container::run(options, &[]);
        container.wait_until_ready(1);
        container
    }

    /// Waits until the ready line has been written `times` times.
    pub fn wait_until_ready(&self, times: usize) {
        wait_until(&format!("{} to be ready", self.name), || {
            let (stdout, stderr) = self.logs();
            assert!(self.inspect("{{.State.Status}}") != "exited", "it stopped: {stderr}");
            stdout.matches("Kafka Server started").count() >= times
        });
    }

    /// Returns the address for clients on this machine.
    pub fn bootstrap_server(&self) -> String {
        self.published("9092/tcp")
    }

    /// Returns the host address that a port is published at.
    pub fn published(&self, port: &str) -> String {
        let published = docker_stdout(&["port", &self.name, port]);
        published.lines().next().expect("a published port").to_owned()
    }

    /// Returns what it has written so far, to stdout and to stderr.
    pub fn logs(&self) -> (String, String) {
        let output = docker(&["logs", &self.name]);
        (text(&output.stdout), text(&output.stderr))
    }

    /// Runs a command in the container.
    pub fn exec(&self, command: &[&str]) -> Output {
        docker(&[&["exec", &self.name], command].concat())
    }

    /// Runs a shell script in the container, asserts that it succeeds, and returns its stdout.
    pub fn shell(&self, script: &str) -> String {
        stdout_of_success(self.exec(&["sh", "-c", script]))
    }

    /// Returns a field of `docker inspect`, given as a Go template.
    pub fn inspect(&self, template: &str) -> String {
        docker_stdout(&["inspect", "--format", template, &self.name])
    }

    /// Waits until its health check reports `healthy`.
    pub fn wait_until_healthy(&self) {
        wait_until(&format!("{} to be healthy", self.name), || self.inspect("{{.State.Health.Status}}") == "healthy");
    }

    /// Waits until the container has exited, and returns its exit code.
    pub fn exit_code(&self) -> String {
        wait_until(&format!("{} to stop", self.name), || self.inspect("{{.State.Running}}") == "false");
        self.inspect("{{.State.ExitCode}}")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let (stdout, stderr) = self.logs();
            eprintln!("--- {} wrote\n{stdout}---\n{stderr}---", self.name);
        }
        docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// A named volume.
pub struct Volume {
    pub name: String,
}

impl Volume {
    pub fn new() -> Volume {
        let name = unique("v");
        docker_stdout(&["volume", "create", "--label", LABEL, &name]);
        Volume { name }
    }

    /// Returns the option of `docker run` that mounts it.
    pub fn at(&self, path: &str) -> String {
        format!("--volume={}:{path}", self.name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", &self.name]);
    }
}

/// A network in which containers resolve each other by name.
pub struct Network {
    pub name: String,
}

impl Network {
    pub fn new() -> Network {
        let name = unique("n");
        docker_stdout(&["network", "create", "--label", LABEL, &name]);
        Network { name }
    }

    /// Returns the option of `docker run` that connects a container to it.
    pub fn option(&self) -> String {
        format!("--network={}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.name]);
    }
}
