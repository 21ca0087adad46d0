//! Packages from npm, installed once for each list of them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::skip;
use crate::java::run as run_to_end;
use parking_lot::Mutex;

/// The oldest Node.js that the packages support.
const OLDEST_NODE: u32 = 20;

/// Returns a directory in which the packages of a `package.json` are installed. Without Node.js the test is skipped.
pub fn installed(name: &str, manifest: &str) -> Option<PathBuf> {
    static IS_NODE_INSTALLED: OnceLock<bool> = OnceLock::new();
    if !*IS_NODE_INSTALLED.get_or_init(is_node_installed) {
        skip("node", "Node.js is missing: install Node.js 20 or later, with npm");
        return None;
    }
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock();
    let directory = common::target_folder().join("node").join(name);
    let complete = directory.join("complete");
    if fs::read_to_string(&complete).ok().as_deref() != Some(manifest) {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("package.json"), manifest).unwrap();
        let mut npm = Command::new("npm");
        run_to_end(npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&directory));
        fs::write(&complete, manifest).unwrap();
    }
    Some(directory)
}

fn is_node_installed() -> bool {
    let version = |program: &str| Command::new(program).arg("--version").output().ok();
    let node = version("node").and_then(|output| String::from_utf8(output.stdout).ok());
    let major = node.and_then(|text| text.strip_prefix('v')?.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= OLDEST_NODE) && version("npm").is_some()
}
