//! The packages for Node.js, Go and JUnit: their own suites with the program under test, the listings of their pages, run
//! without changes, and killed test runs.

mod go;
mod junit;
pub mod node;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::testing_page::leftovers;

/// Returns the path of a file of the packages.
fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packages").join(name)
}

/// Returns a language's page.
fn page(language: &str) -> &'static str {
    match language {
        "go" => include_str!("../../../docs/testing/go.md"),
        "java" => include_str!("../../../docs/testing/java.md"),
        _ => include_str!("../../../docs/testing/node.md"),
    }
}

/// A command without the environment of this test run that could change its outcome. The program under test is the first on
/// the PATH.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    for name in ["OTTLA_BINARY", "NODE_OPTIONS", "GOFLAGS"] {
        command.env_remove(name);
    }
    command.env("PATH", crate::testing_page::path()).stdin(Stdio::null());
    command
}

/// Starts a test run in `dir` whose tests write their brokers' directories into the file `directories` there, kills the
/// runner when all have, and asserts that the brokers end and that no directory remains.
fn kill_test_run(dir: &Path, tests: usize, command: &mut Command) {
    let temporary = TempDir::with_prefix("killed-tmp-").unwrap();
    let (list, output) = (dir.join("directories"), dir.join("output"));
    let _ = fs::remove_file(&list);
    let file = fs::File::create(&output).unwrap();
    command.current_dir(dir).env("TMPDIR", temporary.path()).stdout(file.try_clone().unwrap()).stderr(file);
    // A group of its own, so that workers which outlive the runner can be ended too.
    let runner = Group(command.process_group(0).spawn().unwrap());
    let started = || fs::read_to_string(&list).unwrap_or_default().lines().count();
    common::wait_until(&format!("the brokers of {command:?}"), || started() == tests);
    assert_eq!(leftovers(temporary.path()).len(), tests, "{command:?}: brokers run");
    runner.kill_runner();
    let removed = format!("the directories of the brokers of {command:?} to be removed");
    common::wait_until(&removed, || leftovers(temporary.path()).is_empty());
}

/// A process and its group; dropping it kills the group.
struct Group(Child);

impl Group {
    fn kill_runner(&self) {
        rustix::process::kill_process(Pid::from_child(&self.0), Signal::KILL).unwrap();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        let _ = self.0.wait();
    }
}

pub fn tests() -> Vec<Trial> {
    [go::tests(), junit::tests(), node::tests()].into_iter().flatten().collect()
}
