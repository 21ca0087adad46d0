//! The listings of docs/testing.md, run without changes. Each begins with a comment that names its file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::trials;
use crate::python::python_of;
use common::python_env::Environment;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The Python environment of the pytest listings.
static TESTING_PAGE: Environment =
    Environment::new("testing-page", include_str!("../python/requirements-testing-page.txt"), (11, None));

const PAGE: &str = include_str!("../../docs/testing.md");

/// Returns the listings of this page in `language` by file name.
fn listings(language: &str) -> BTreeMap<&'static str, &'static str> {
    listings_of(PAGE, language)
}

/// Returns a page's listings in `language` by file name.
pub fn listings_of(page: &'static str, language: &str) -> BTreeMap<&'static str, &'static str> {
    let blocks = page.split("\n```").skip(1).step_by(2);
    let of_language = blocks.filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'));
    let named = of_language.map(|text| {
        let first = text.lines().next().expect("a listing has lines");
        (first.trim_start_matches(['#', '/', ' ']), text)
    });
    named.collect()
}

/// Writes a page's listings in `language` to a temporary directory.
pub fn write_listings(page: &'static str, language: &str) -> TempDir {
    let dir = TempDir::with_prefix("ottla-page-").unwrap();
    for (name, text) in listings_of(page, language) {
        fs::write(dir.path().join(name), format!("{text}\n")).unwrap();
    }
    dir
}

/// Returns the PATH for the listings, with the program under test first.
pub fn path() -> OsString {
    let ours = common::ottla().parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&others))).unwrap()
}

/// Runs a command in `dir`, and asserts that it succeeds and that no directory of a broker remains.
pub fn run(dir: &Path, command: &mut Command) -> String {
    let temporary = TempDir::with_prefix("page-tmp-").unwrap();
    let text = run_with(dir, command.env("TMPDIR", temporary.path()));
    assert_eq!(leftovers(temporary.path()), Vec::<OsString>::new(), "{text}");
    text
}

/// Returns what fixtures and brokers have left in the directory.
pub fn leftovers(temporary: &Path) -> Vec<OsString> {
    let names = fs::read_dir(temporary).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().starts_with("ottla-")).collect()
}

fn run_with(dir: &Path, command: &mut Command) -> String {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("KAFKA_")) {
        command.env_remove(name);
    }
    let output = command.current_dir(dir).env("PATH", path()).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{command:?} ended with {}\n{text}", output.status);
    text
}

fn listings_of_every_language_are_found() {
    let names = |language| listings(language).into_keys().collect::<Vec<_>>();
    assert_eq!(names("python"), ["conftest.py", "test_orders.py"]);
    assert_eq!(names("rust"), ["tests/orders.rs"]);
    assert_eq!(names("toml"), ["Cargo.toml"]);
}

fn pytest_listings_pass() {
    let Some(python) = python_of(&TESTING_PAGE) else { return };
    let dir = write_listings(PAGE, "python");
    for workers in [&[][..], &["-n", "3"]] {
        let mut pytest = Command::new(&python);
        pytest
            .args(["-m", "pytest", "-p", "no:cacheprovider", "--basetemp", "temporary"])
            .args(workers)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        let output = run(dir.path(), &mut pytest);
        assert!(output.contains("4 passed"), "{output}");
    }
}

/// The listing equals a test of this repository, which Cargo runs.
fn rust_listing_equals_the_test_of_this_repository() {
    let ours = include_str!("../ottla/repository/orders.rs");
    let (_, ours) = ours.split_once("\n\n").unwrap();
    let (_, listed) = listings("rust")["tests/orders.rs"].split_once('\n').unwrap();
    assert_eq!(ours.trim_end(), listed);
}

/// A package of the listings alone builds, in a directory beside this project's.
fn rust_package_of_the_page_alone_passes_its_tests() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A permanent directory, so that the next run can use what was built.
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("testing-page");
    let package = dir.join("orders");
    fs::create_dir_all(package.join("tests")).unwrap();
    fs::create_dir_all(package.join("src")).unwrap();
    fs::write(package.join("src/lib.rs"), "").unwrap();
    if !dir.join("ottla").exists() {
        std::os::unix::fs::symlink(project, dir.join("ottla")).unwrap();
    }
    // The package is below this project's directory but not part of its workspace.
    let manifest = format!("{}\n\n[workspace]\n", listings("toml")["Cargo.toml"]);
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("tests/orders.rs"), listings("rust")["tests/orders.rs"]).unwrap();
    // The versions that are already downloaded.
    fs::copy(project.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--offline"]).env("CARGO_TARGET_DIR", dir.join("target")).env_remove("RUSTFLAGS");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    let output = run(&package, &mut cargo);
    assert!(output.contains("2 passed"), "{output}");
}

/// A killed test run with the fixture of the page leaves neither a broker nor its data.
fn killed_pytest_run_leaves_no_broker() {
    let Some(python) = python_of(&TESTING_PAGE) else { return };
    let dir = write_listings(PAGE, "python");
    let program = "import os, pathlib; from conftest import Ottla; Ottla(pathlib.Path('.')); \
                   print(open('ready.json').read(), flush=True); os.kill(os.getpid(), 9)";
    let mut command = Command::new(&python);
    command.current_dir(dir.path()).args(["-c", program]).env("PATH", path()).stdin(Stdio::null());
    let output = command.output().unwrap();
    let ready: common::Ready = serde_json::from_slice(&output.stdout).unwrap();
    common::wait_until("the broker's directory to be removed", || !ready.data_dir.exists());
    common::wait_until("the ready file to be removed", || !dir.path().join("ready.json").exists());
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: listings_of_every_language_are_found, pytest_listings_pass, rust_listing_equals_the_test_of_this_repository,
            rust_package_of_the_page_alone_passes_its_tests, killed_pytest_run_leaves_no_broker
    ]
}
