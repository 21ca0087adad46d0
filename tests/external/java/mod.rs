//! Java programs for tests: Apache Kafka's artifacts, which Maven downloads to `target/java`, and our own programs
//! compiled against them.
//!
//! Without Java or Maven, tests that need them are skipped; with `OTTLA_REQUIRE=java` they fail.

pub mod bank;
pub mod clients;
pub mod connect;
pub mod dump_log;
pub mod process;
pub mod streams;
pub mod transactions;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::harness::skip;

/// Far longer than any command takes, including the download of all artifacts over a slow network.
const TIMEOUT: Duration = Duration::from_secs(300);
/// Options of a small virtual machine that starts fast.
const JVM: [&str; 5] = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", NO_PERFORMANCE_DATA];
/// Prevents the file in /tmp that each virtual machine creates for `jps`.
const NO_PERFORMANCE_DATA: &str = "-XX:-UsePerfData";
const PROGRAMS: [&str; 5] = [
    "today/Check.java",
    "today/ProduceAndConsume.java",
    "today/Administer.java",
    "today/RunTools.java",
    "today/FillDirectory.java",
];

pub struct Java {
    target: PathBuf,
}

/// Returns Java with all artifacts and compiled programs; without Java the calling test is skipped.
pub fn java() -> Option<&'static Java> {
    static JAVA: OnceLock<Result<Java, String>> = OnceLock::new();
    let java = JAVA.get_or_init(Java::prepare).as_ref();
    java.inspect_err(|missing| skip("java", missing)).ok()
}

impl Java {
    fn prepare() -> Result<Java, String> {
        if let Some(missing) = ["java", "javac", "mvn"].into_iter().find(|program| !is_installed(program)) {
            return Err(format!("{missing} is missing: install a JDK, 17 or later, and Apache Maven"));
        }
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target directory").join("java");
        let java = Java { target };
        java.fetch("libs", &source("pom.xml"));
        java.compile("classes", &PROGRAMS.map(source), &java.libs("today"));
        Ok(java)
    }

    /// Downloads the artifacts of a pom.xml into a directory and returns it. Does nothing if the directory was made
    /// from the same pom.xml.
    pub fn fetch(&self, name: &str, pom: &Path) -> PathBuf {
        self.make_once(name, &[pom.to_owned()], |libs| {
            print_progress(&format!("downloading the artifacts of {} with Maven", pom.display()));
            let mut mvn = Command::new("mvn");
            mvn.env("MAVEN_OPTS", NO_PERFORMANCE_DATA);
            mvn.arg("-q").arg("-B").arg("-f").arg(pom).arg("process-resources");
            run(mvn.arg(format!("-Dlibs={}", libs.display())));
        })
    }

    /// Compiles programs into a directory, for the oldest Java of today's Apache Kafka, and returns the directory.
    pub fn compile(&self, name: &str, programs: &[PathBuf], class_path: &str) -> PathBuf {
        self.compile_for("17", name, programs, class_path)
    }

    /// Like [`Java::compile`], for another version of Java.
    pub fn compile_for(&self, release: &str, name: &str, programs: &[PathBuf], class_path: &str) -> PathBuf {
        self.make_once(name, programs, |classes| {
            let mut javac = javac();
            run(javac.args(["--release", release, "-d"]).arg(classes).arg("-cp").arg(class_path).args(programs));
        })
    }

    /// Makes a directory again unless it was made from the same inputs, and returns its path.
    fn make_once(&self, name: &str, inputs: &[PathBuf], make: impl FnOnce(&Path)) -> PathBuf {
        let (directory, inputs_file) = (self.target.join(name), self.target.join(format!("{name}.made-of")));
        let text: String = inputs.iter().map(|input| fs::read_to_string(input).expect("a source file")).collect();
        if fs::read_to_string(&inputs_file).is_ok_and(|before| before == text) {
            return directory;
        }
        let _ = fs::remove_file(&inputs_file);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("a directory in the target directory");
        make(&directory);
        fs::write(&inputs_file, text).expect("a file in the target directory");
        directory
    }

    /// Compiles all programs of a directory in `tests/java` against these libraries, and returns the directory of the
    /// classes.
    pub fn classes(&self, directory: &str, libraries: &[&str]) -> String {
        self.classes_as(directory, directory, libraries)
    }

    /// Like [`Java::classes`], for programs that are compiled against several versions: `name` has the version.
    pub fn classes_as(&self, name: &str, directory: &str, libraries: &[&str]) -> String {
        static COMPILING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = COMPILING.lock();
        let files = fs::read_dir(source(directory)).expect("a directory of programs");
        let mut programs: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        programs.retain(|file| file.extension().is_some_and(|end| end == "java"));
        programs.sort();
        let classes = self.compile(&format!("classes-{name}"), &programs, &libraries.join(":"));
        classes.display().to_string()
    }

    /// Returns a class path of all artifacts in this directory: `today`, or a version.
    pub fn libs(&self, name: &str) -> String {
        format!("{}/*", self.target.join("libs").join(name).display())
    }

    /// Runs one of our programs with the current Apache Kafka, and asserts that it succeeds.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let class_path = format!("{}:{}", self.target.join("classes").display(), self.libs("today"));
        run(jvm(&class_path).arg(program).args(args))
    }

    /// Starts one of our programs with the current Apache Kafka; its stdin and stdout are pipes.
    pub fn start_program(&self, program: &str) -> Child {
        let class_path = format!("{}:{}", self.target.join("classes").display(), self.libs("today"));
        let mut command = jvm(&class_path);
        let process = command.arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        process.unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }

    /// Compiles the programs in `directory` with JUnit and these libraries, runs their tests and asserts that they pass.
    /// `path` is their PATH.
    pub fn run_junit(&self, directory: &Path, libraries: &str, path: &OsStr, temporary: &Path) -> String {
        let files = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
        let sources: Vec<_> = files.filter(|file| file.extension().is_some_and(|end| end == "java")).collect();
        let (today, junit) = (self.libs("today"), self.libs("junit"));
        let class_path = format!("{}:{libraries}:{today}:{junit}", directory.display());
        run(javac().arg("-d").arg(directory).arg("-cp").arg(&class_path).args(sources));
        let console = "org.junit.platform.console.ConsoleLauncher";
        let mut junit = jvm(&class_path);
        let java_temporary = format!("-Djava.io.tmpdir={}", temporary.display());
        junit.env("TMPDIR", temporary).env("JAVA_TOOL_OPTIONS", java_temporary);
        run(junit.arg(console).arg("execute").arg("--scan-class-path").arg(directory).env("PATH", path))
    }

    /// Runs `tests/java/old/OldClient.java` with that version of Kafka's clients, and asserts that it succeeds.
    pub fn run_old_client(&self, version: &str, args: &[&str]) -> String {
        let class_path = format!("{}:{}", self.libs(version), self.libs("shared"));
        run(jvm(&class_path).arg(source("old/OldClient.java")).args(args))
    }
}

fn javac() -> Command {
    let mut javac = Command::new("javac");
    javac.arg(format!("-J{NO_PERFORMANCE_DATA}")).args(["-encoding", "UTF-8"]);
    javac
}

/// Returns the command of a small virtual machine with this class path; the caller adds the class to run.
pub fn jvm(class_path: &str) -> Command {
    let mut java = Command::new("java");
    // Under `target`: a virtual machine that is killed does not remove the native libraries that it unpacked.
    java.arg(concat!("-Djava.io.tmpdir=", env!("CARGO_TARGET_TMPDIR")));
    java.args(JVM).arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn").arg("-cp").arg(class_path);
    java
}

/// Returns the path of a file in `tests/java`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java").join(name)
}

fn is_installed(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else { return false };
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn print_progress(line: &str) {
    let _ = writeln!(stderr(), "java: {line}");
}

/// Runs a program, asserts that it succeeds in time, and returns its stdout.
pub fn run(command: &mut Command) -> String {
    run_with_stderr(command).0
}

/// Like [`run`], but returns stdout and stderr.
fn run_with_stderr(command: &mut Command) -> (String, String) {
    let dir = tempfile::TempDir::with_prefix("ottla-java-").expect("a temporary directory");
    let (out, err) = (dir.path().join("out"), dir.path().join("err"));
    let file = |path: &Path| File::create(path).expect("a file for output");
    let process = command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).spawn();
    let mut process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let deadline = Instant::now() + TIMEOUT;
    let status = loop {
        if let Some(status) = process.try_wait().expect("the process can be waited for") {
            break Some(status);
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            let _ = process.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("output")).into_owned();
    let (out, err) = (text(&out), text(&err));
    let succeeded = status.is_some_and(|status| status.success());
    assert!(succeeded, "{command:?} ended with {status:?}\n{out}\n{err}");
    (out, err)
}
