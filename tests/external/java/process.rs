//! A program that runs beside a test: its lines as they arrive, kill -9, and what it wrote to stderr if the test fails.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

/// Far longer than any wait takes on a busy machine: it includes starts of virtual machines, four at the same time.
const TIMEOUT: Duration = Duration::from_secs(120);

pub struct Running {
    name: String,
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    dir: TempDir,
}

impl Running {
    /// Starts a program. `name` is what messages of a failed test call it.
    pub fn start(name: &str, command: &mut Command) -> Running {
        let dir = TempDir::with_prefix("ottla-running-").expect("a temporary directory");
        let errors = File::create(dir.path().join("errors")).expect("a file for stderr");
        let process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut process = process.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let output = BufReader::new(process.stdout.take().expect("stdout is a pipe"));
        let kept = Arc::clone(&lines);
        // A line that a kill has cut off is not a line.
        let reader = thread::spawn(move || read_lines(output, |line| kept.lock().push(line)));
        Running { name: name.to_owned(), process, lines, reader: Some(reader), dir }
    }

    /// Returns and forgets the lines that have arrived.
    pub fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }

    /// Waits until a line has arrived, which is kept.
    pub fn wait_for(&mut self, line: &str) {
        let what = format!("\"{line}\" from {}", self.name);
        let lines = Arc::clone(&self.lines);
        wait_until(&what, || {
            let ended = self.ended();
            let found = lines.lock().iter().any(|found| found == line);
            assert!(found || ended.is_none(), "{} ended with {ended:?}, {what} did not arrive", self.name);
            found
        });
    }

    /// Returns how the program ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("the process can be waited for")
    }

    /// Kills the program (SIGKILL) and returns the lines that had arrived.
    pub fn kill(&mut self) -> Vec<String> {
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.rest()
    }

    /// Closes the program's stdin, asserts that it then ends well, and returns its lines.
    pub fn finish(mut self) -> Vec<String> {
        drop(self.process.stdin.take());
        wait_until(&format!("the end of {}", self.name), || self.ended().is_some());
        let status = self.ended();
        assert!(status.is_some_and(|status| status.success()), "{} ended with {status:?}", self.name);
        self.rest()
    }

    fn rest(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the lines were read");
        }
        self.take_lines()
    }

    fn errors(&self) -> PathBuf {
        self.dir.path().join("errors")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            let errors = fs::read(self.errors()).unwrap_or_default();
            let errors = String::from_utf8_lossy(&errors);
            let lines: Vec<_> = errors.lines().rev().take(40).collect();
            eprintln!("--- last lines that {} wrote to stderr", self.name);
            lines.iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

fn read_lines(mut output: impl BufRead, mut keep: impl FnMut(String)) {
    loop {
        let mut line = Vec::new();
        match output.read_until(b'\n', &mut line) {
            Ok(length) if length > 0 && line.ends_with(b"\n") => {
                line.pop();
                keep(String::from_utf8_lossy(&line).into_owned());
            }
            _ => return,
        }
    }
}

/// Waits until `condition` holds; panics with `what` when it does not hold in time.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {TIMEOUT:?} for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
