//! The Docker engine: its commands, the image under test, and containers, volumes and networks that go when dropped.

use std::fs::File;
use std::io::{Read as _, Write as _, stderr};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::wait_until;

use crate::harness::leave_out;

/// The image under test. Its tag reads as a version, because some modules of Testcontainers look at it.
pub const IMAGE: &str = "ottla-test:99.0.0";
/// On everything that is made here.
pub const LABEL: &str = "ottla-test";
/// For a command on an engine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// For a build that begins with nothing, over a slow line.
const BUILD_PATIENCE: Duration = Duration::from_secs(1200);

/// What docker/Dockerfile begins with.
const BASES: [&str; 2] = ["rust:1-bookworm", "debian:bookworm-slim"];

/// Whether there is an image under test, or why not.
static BUILT: OnceLock<Result<(), String>> = OnceLock::new();

/// Whether there is an engine that can build the image; the first call does. Where there is none the test is left out.
pub fn is_here() -> bool {
    let built = BUILT.get_or_init(|| {
        find_engine().and_then(|()| find_bases()).inspect_err(|why| {
            assert!(std::env::var_os("OTTLA_REQUIRE_DOCKER").is_none_or(|value| value != "1"), "{why}");
        })?;
        build();
        Ok(())
    });
    built.as_ref().inspect_err(|why| leave_out(why)).is_ok()
}

/// Whether the image was built.
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
        let is_here = docker(&["image", "inspect", base]).status.success();
        if !is_here && !run_for(Command::new("docker").args(["pull", "--quiet", base]), BUILD_PATIENCE).status.success()
        {
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
    say("building the image");
    let started = Instant::now();
    succeeds(run_for(build.arg(project), BUILD_PATIENCE));
    say(&format!("built the image in {:.1} s", started.elapsed().as_secs_f64()));
}

/// Runs docker to its end, which must come in time.
pub fn docker(args: &[&str]) -> Output {
    run_for(Command::new("docker").args(args), PATIENCE)
}

/// What docker wrote to stdout; it must succeed.
pub fn docker_says(args: &[&str]) -> String {
    succeeds(docker(args))
}

/// What it wrote to stdout, without the last line's end.
pub fn succeeds(output: Output) -> String {
    assert!(output.status.success(), "{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout).trim_end().to_owned()
}

/// Runs a command to its end, which must come in time.
pub fn run_for(command: &mut Command, patience: Duration) -> Output {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let file = |path: &Path| File::create(path).expect("a file for output");
    let process = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + patience;
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

/// Not with `eprintln!`: this shall be seen in tests that pass, too.
pub fn say(line: &str) {
    let _ = writeln!(stderr(), "docker: {line}");
}

/// A name that nothing else on the engine has.
pub fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("ottla-test-{}-{what}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A container of the image under test, running or stopped.
pub struct Container {
    pub name: String,
}

impl Container {
    /// Starts one with these options of `docker run`, and this command in place of the image's own. Port 9092 is
    /// published at a free port of the loopback.
    pub fn run(options: &[&str], command: &[&str]) -> Container {
        let name = unique("c");
        let own = ["run", "--detach", "--name", &name, "--label", LABEL, "--publish", "127.0.0.1::9092"];
        let container = Container { name: name.clone() };
        docker_says(&[&own, options, &[IMAGE], command].concat());
        container
    }

    /// Starts one and waits until it says that it is ready.
    pub fn ready(options: &[&str]) -> Container {
        let container = Container::run(options, &[]);
        container.wait_until_ready(1);
        container
    }

    /// Waits until it has been ready for the `times`th time.
    pub fn wait_until_ready(&self, times: usize) {
        wait_until(&format!("{} to be ready", self.name), || {
            let (stdout, stderr) = self.logs();
            assert!(self.inspect("{{.State.Status}}") != "exited", "it stopped: {stderr}");
            stdout.matches("Kafka Server started").count() >= times
        });
    }

    /// Where a client on this machine connects to.
    pub fn bootstrap_server(&self) -> String {
        self.published("9092/tcp")
    }

    /// Where a port of it is published.
    pub fn published(&self, port: &str) -> String {
        let published = docker_says(&["port", &self.name, port]);
        published.lines().next().expect("a published port").to_owned()
    }

    /// What it wrote so far, to stdout and to stderr.
    pub fn logs(&self) -> (String, String) {
        let output = docker(&["logs", &self.name]);
        (text(&output.stdout), text(&output.stderr))
    }

    /// Runs a command in it.
    pub fn exec(&self, command: &[&str]) -> Output {
        docker(&[&["exec", &self.name], command].concat())
    }

    /// Runs a command in it that must succeed; what it wrote to stdout.
    pub fn shell(&self, script: &str) -> String {
        succeeds(self.exec(&["sh", "-c", script]))
    }

    /// A field of `docker inspect`, as a Go template.
    pub fn inspect(&self, template: &str) -> String {
        docker_says(&["inspect", "--format", template, &self.name])
    }

    /// Waits until its health check says that it is well.
    pub fn wait_until_healthy(&self) {
        wait_until(&format!("{} to be healthy", self.name), || self.inspect("{{.State.Health.Status}}") == "healthy");
    }

    /// Waits until it has stopped by itself; its exit code.
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
        docker_says(&["volume", "create", "--label", LABEL, &name]);
        Volume { name }
    }

    /// The option of `docker run` that mounts it.
    pub fn at(&self, path: &str) -> String {
        format!("--volume={}:{path}", self.name)
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        docker(&["volume", "rm", "--force", &self.name]);
    }
}

/// A network of containers that find each other by name.
pub struct Network {
    pub name: String,
}

impl Network {
    pub fn new() -> Network {
        let name = unique("n");
        docker_says(&["network", "create", "--label", LABEL, &name]);
        Network { name }
    }

    /// The option of `docker run` that puts a container into it.
    pub fn option(&self) -> String {
        format!("--network={}", self.name)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(&["network", "rm", &self.name]);
    }
}
