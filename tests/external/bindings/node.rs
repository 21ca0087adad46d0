//! The npm package, with vitest, jest and `node:test`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::{command, kill_test_run, package, page};
use crate::harness::{skip, trials};
use crate::java::run as run_to_end;
use crate::testing_page::{run, write_listings};
use libtest_mimic::Trial;
use tempfile::TempDir;

const RUNNERS: &str = include_str!("../node/package.json");
const VITEST: &str = "node_modules/vitest/vitest.mjs";
const JEST: &str = "node_modules/jest/bin/jest.js";

/// Returns `node_modules` with the test runners, which the first call installs; without Node.js the test is skipped.
pub fn runners() -> Option<&'static Path> {
    static RUNNERS_ONCE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let runners = RUNNERS_ONCE.get_or_init(install_runners).as_deref();
    if runners.is_none() {
        skip("node", "Node.js is missing: install Node.js 20 or later, with npm");
    }
    runners
}

fn install_runners() -> Option<PathBuf> {
    let version = Command::new("node").arg("--version").output().ok()?.stdout;
    let major: u32 = String::from_utf8(version).ok()?.strip_prefix('v')?.split('.').next()?.parse().ok()?;
    if major < 20 || Command::new("npm").arg("--version").output().is_err() {
        return None;
    }
    let directory = common::target_folder().join("node/runners");
    let (manifest, complete) = (directory.join("package.json"), directory.join("complete"));
    if fs::read_to_string(&complete).ok().as_deref() != Some(RUNNERS) {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap();
        fs::write(&manifest, RUNNERS).unwrap();
        run_to_end(
            Command::new("npm")
                .args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
                .current_dir(&directory),
        );
        fs::write(&complete, RUNNERS).unwrap();
    }
    Some(directory.join("node_modules"))
}

/// Adds `node_modules` with the runners and with a copy of the package as npm installs it.
fn add_modules(dir: &Path, runners: &Path) {
    let modules = dir.join("node_modules");
    fs::create_dir(&modules).unwrap();
    for entry in fs::read_dir(runners).unwrap().map(Result::unwrap) {
        symlink(entry.path(), modules.join(entry.file_name())).unwrap();
    }
    run_to_end(Command::new("cp").arg("-r").arg(package("npm/ottla")).arg(modules.join("ottla")));
    fs::write(dir.join("package.json"), "{}").unwrap();
}

fn npm_package_passes_its_own_tests() {
    if runners().is_none() {
        return;
    }
    // Run in place, where it is found by its own name.
    let mut node = command("node");
    node.args(["--test", "--test-reporter", "tap", "test/"]).env("OTTLA_BINARY", common::ottla());
    let output = run(&package("npm/ottla"), &mut node);
    assert!(output.contains("\n# pass 22\n") && output.contains("\n# fail 0\n"), "{output}");
}

/// Four files at a time, each with a broker of its own.
fn vitest_listing_passes_in_parallel_workers() {
    let Some(runners) = runners() else { return };
    let dir = write_listings(page("node"), "typescript");
    add_modules(dir.path(), runners);
    for copy in 1..4 {
        fs::copy(dir.path().join("orders.test.ts"), dir.path().join(format!("copy{copy}.test.ts"))).unwrap();
    }
    for pool in ["forks", "threads"] {
        let mut vitest = command("node");
        vitest.args([VITEST, "run", "--maxWorkers=4", "--testTimeout=60000", "--hookTimeout=60000"]);
        let output = run(dir.path(), vitest.args(["--reporter=json", "--pool", pool]));
        assert!(output.contains(r#""numPassedTests":16,"#), "{output}");
    }
}

fn jest_listing_passes() {
    let Some(runners) = runners() else { return };
    let dir = write_listings(page("node"), "javascript");
    add_modules(dir.path(), runners);
    fs::copy(dir.path().join("orders.test.js"), dir.path().join("copy.test.js")).unwrap();
    let output = run(dir.path(), command("node").args([JEST, "--maxWorkers=2", "--testTimeout=60000"]));
    assert!(output.contains("Tests:       4 passed, 4 total"), "{output}");
    // It ends by itself: no handle of a broker keeps it running.
    assert!(!output.contains("did not exit"), "{output}");
}

fn node_test_listing_passes() {
    let Some(runners) = runners() else { return };
    let dir = write_listings(page("node"), "mjs");
    add_modules(dir.path(), runners);
    let output = run(dir.path(), command("node").args(["--test", "--test-reporter", "tap"]));
    assert!(output.contains("\n# pass 2\n"), "{output}");
}

/// The types, seen from an ES module and with require().
fn types_accept_the_listing_and_refuse_mistakes() {
    let Some(runners) = runners() else { return };
    let dir = write_listings(page("node"), "typescript");
    add_modules(dir.path(), runners);
    let text = include_str!("../node/types.ts");
    for name in ["types.mts", "types.cts"] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut compiler = command("node");
    compiler.args([
        "node_modules/typescript/bin/tsc",
        "--noEmit",
        "--strict",
        "--module",
        "nodenext",
        "--target",
        "esnext",
    ]);
    compiler.args(["--skipLibCheck", "false", "--types", "node", "types.mts", "types.cts"]);
    run(dir.path(), &mut compiler);
    let mut listing = command("node");
    listing.args([
        "node_modules/typescript/bin/tsc",
        "--noEmit",
        "--strict",
        "--module",
        "esnext",
        "--target",
        "esnext",
    ]);
    listing.args(["--moduleResolution", "bundler", "--skipLibCheck", "--types", "node", "orders.test.ts"]);
    run(dir.path(), &mut listing);
}

fn killed_test_run_of_each_runner_leaves_nothing() {
    let Some(runners) = runners() else { return };
    let dir = TempDir::with_prefix("ottla-node-").unwrap();
    add_modules(dir.path(), runners);
    for name in ["one.test.cjs", "two.test.cjs"] {
        fs::write(dir.path().join(name), include_str!("../node/hang.test.cjs")).unwrap();
    }
    for arguments in [
        &[VITEST, "run", "--globals", "--maxWorkers=2", "--pool=forks"][..],
        &[VITEST, "run", "--globals", "--maxWorkers=2", "--pool=threads"],
        &[JEST, "--maxWorkers=2"],
        &["--test", "--test-concurrency=2"],
    ] {
        kill_test_run(dir.path(), 2, command("node").args(arguments));
    }
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: npm_package_passes_its_own_tests, vitest_listing_passes_in_parallel_workers, jest_listing_passes,
            node_test_listing_passes, types_accept_the_listing_and_refuse_mistakes,
            killed_test_run_of_each_runner_leaves_nothing
    ]
}
