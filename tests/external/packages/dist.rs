//! Runs src/packages/dist, and reads what it made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::harness::skip;
use tempfile::TempDir;

/// One run at a time: the working directories are shared.
static RUNNING: Mutex<()> = Mutex::new(());

/// The directory with the files of one run; it is removed when dropped.
pub struct Made {
    dir: TempDir,
}

impl Made {
    /// Makes packages of these kinds with this program, and asserts that this succeeds.
    pub fn new(kinds: &[&str], binary: &Path) -> Made {
        Made::with(kinds, binary, &[])
    }

    /// As [`Made::new`], with variables for the environment. `UMASK` is the umask of the run.
    pub fn with(kinds: &[&str], binary: &Path, environment: &[(&str, &str)]) -> Made {
        let dir = TempDir::with_prefix("ottla-dist-").unwrap();
        let _alone = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut command = Command::new("sh");
        command
            .args(["-c", "umask ${UMASK:-022}; exec python3 \"$@\"", "sh"])
            .arg(root().join("src/packages/dist"))
            .args(kinds)
            .arg("--binary")
            .arg(binary)
            .arg("--out")
            .arg(dir.path());
        stdout(command.envs(environment.iter().copied()).env("OTTLA_MAINTAINER", "Tests <tests@example.org>"));
        Made { dir }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Returns the one file of this kind whose name ends so.
    pub fn file(&self, kind: &str, end: &str) -> PathBuf {
        let files = files(&self.path().join(kind));
        let mut found = files.iter().filter(|path| path.to_string_lossy().ends_with(end));
        let first = found.next().unwrap_or_else(|| panic!("no {end} in {files:?}"));
        assert!(found.next().is_none(), "several {end} in {files:?}");
        first.clone()
    }
}

/// All files below a directory, sorted.
pub fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A small stand-in for the program, which runs the program under test.
pub fn stand_in() -> &'static Path {
    static STAND_IN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = STAND_IN.get_or_init(|| {
        let dir = TempDir::with_prefix("ottla-stand-in-").unwrap();
        let path = dir.path().join("ottla");
        fs::write(&path, format!("#!/bin/sh\nexec '{}' \"$@\"\n", common::ottla().display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        (dir, path)
    });
    path
}

/// Runs a command, asserts that it succeeds, and returns its stdout.
pub fn stdout(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&stdout).into_owned(), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?} ended with {status}\n{stdout}{stderr}");
    stdout
}

/// Returns whether the program is installed; otherwise the test is skipped, for this need.
pub fn is_installed(program: &str, need: &'static str, install: &str) -> bool {
    let found = Command::new(program).arg("--version").stdin(Stdio::null()).output().is_ok();
    if !found {
        skip(need, &format!("{program} is missing: install {install}"));
    }
    found
}
