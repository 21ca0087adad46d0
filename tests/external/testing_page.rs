//! The listings of the pages for Python and Rust in docs/testing, run without changes. Each begins with a comment that names
//! its file. Those of the other pages are in `bindings`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::trials;
use crate::python::python_of;
use crate::python_packages::{PYTEST_TODAY, with_packages};
use libtest_mimic::Trial;
use tempfile::TempDir;

const PYTHON_PAGE: &str = include_str!("../../docs/testing/python.md");
const RUST_PAGE: &str = include_str!("../../docs/testing/rust.md");

/// Returns a page's listings in `language` by file name.
fn listings_of(page: &'static str, language: &str) -> BTreeMap<&'static str, &'static str> {
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
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
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
    let names = |page, language| listings_of(page, language).into_keys().collect::<Vec<_>>();
    let python = [
        "conftest.py",
        "example.py",
        "example_asyncio.py",
        "secure/conftest.py",
        "secure/test_users.py",
        "test_clients.py",
        "test_marker.py",
        "test_orders.py",
    ];
    assert_eq!(names(PYTHON_PAGE, "python"), python);
    assert_eq!(names(PYTHON_PAGE, "ini"), ["pytest.ini"]);
    assert_eq!(names(RUST_PAGE, "rust"), ["tests/orders.rs"]);
    assert_eq!(names(RUST_PAGE, "toml"), ["Cargo.toml"]);
}

fn python_listings_pass() {
    let Some(python) = python_of(&PYTEST_TODAY) else { return };
    let dir = write_listings(PYTHON_PAGE, "python");
    fs::write(dir.path().join("pytest.ini"), listings_of(PYTHON_PAGE, "ini")["pytest.ini"]).unwrap();
    for workers in [&[][..], &["-n", "3"]] {
        let mut pytest = with_packages(&python);
        pytest.args(["-m", "pytest", "-p", "no:cacheprovider", "--basetemp", "temporary"]).args(workers);
        let output = run(dir.path(), &mut pytest);
        assert!(output.contains("6 passed"), "{output}");
    }
    for example in ["example.py", "example_asyncio.py"] {
        run(dir.path(), with_packages(&python).arg(example));
    }
}

/// The listing equals a test of this repository, which Cargo runs.
fn rust_listing_equals_the_test_of_this_repository() {
    let ours = include_str!("../ottla/repository/orders.rs");
    let (_, ours) = ours.split_once("\n\n").unwrap();
    let (_, listed) = listings_of(RUST_PAGE, "rust")["tests/orders.rs"].split_once('\n').unwrap();
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
    let manifest = format!("{}\n\n[workspace]\n", listings_of(RUST_PAGE, "toml")["Cargo.toml"]);
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("tests/orders.rs"), listings_of(RUST_PAGE, "rust")["tests/orders.rs"]).unwrap();
    // The versions that are already downloaded.
    fs::copy(project.join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--offline"]).env("CARGO_TARGET_DIR", dir.join("target")).env_remove("RUSTFLAGS");
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
    let output = run(&package, &mut cargo);
    assert!(output.contains("2 passed"), "{output}");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: listings_of_every_language_are_found, python_listings_pass, rust_listing_equals_the_test_of_this_repository,
            rust_package_of_the_page_alone_passes_its_tests
    ]
}
