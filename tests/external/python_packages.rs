//! The Python module and the pytest plug-in of src/packages: their own suites, with the oldest and today's pytest, types, and
//! two hundred small tests on four workers.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{plain, trials};
use crate::python::python_of;
use common::python_env::Environment;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// The oldest pytest that the plug-in supports, on the oldest Python.
static PYTEST_OLD: Environment =
    Environment::new("pytest-old", include_str!("../python/requirements-pytest-old.txt"), (9, Some(9)));

/// Today's pytest.
pub static PYTEST_TODAY: Environment =
    Environment::new("pytest-today", include_str!("../python/requirements-pytest-today.txt"), (11, None));

/// The folder of the packages' sources.
fn packages() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/packages")
}

/// Returns a command that runs `python` with the packages, without installing them, and with the broker under test.
pub fn with_packages(python: &Path) -> Command {
    let paths = [packages().join("python"), packages().join("pytest-ottla")];
    let mut command = Command::new(python);
    command
        .env("PYTHONPATH", std::env::join_paths(paths).unwrap())
        .env("PYTEST_PLUGINS", "pytest_ottla.plugin")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("OTTLA_BINARY", common::ottla())
        .stdin(Stdio::null());
    command
}

/// Runs pytest in a temporary directory and returns its output; panics unless all tests pass.
fn run_pytest(environment: &Environment, arguments: &[&Path], flags: &[&str]) -> Option<String> {
    let python = python_of(environment)?;
    let dir = TempDir::with_prefix("packages-").unwrap();
    let mut command = with_packages(&python);
    command.current_dir(dir.path()).args(["-m", "pytest", "-p", "no:cacheprovider", "--basetemp", "temporary"]);
    let output = command.args(flags).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    Some(text)
}

fn module_suite(environment: &Environment) {
    run_pytest(environment, &[&packages().join("python/tests")], &[]);
}

fn plugin_suite(environment: &Environment) {
    run_pytest(environment, &[&packages().join("pytest-ottla/tests")], &["-n", "2"]);
}

fn two_hundred_tests_pass_on_four_workers() {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/two_hundred");
    if let Some(output) = run_pytest(&PYTEST_TODAY, &[&suite], &["-n", "4"]) {
        assert!(output.contains("200 passed"), "{output}");
    }
}

fn sources_have_strict_types() {
    let Some(python) = python_of(&PYTEST_TODAY) else { return };
    let cache = TempDir::new().unwrap();
    let mut mypy = Command::new(python);
    mypy.args(["-m", "mypy", "--strict", "--cache-dir"]).arg(cache.path());
    mypy.args(["-p", "ottla", "-p", "pytest_ottla"]).env("MYPYPATH", packages().join("python"));
    let output = mypy.current_dir(packages().join("pytest-ottla")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

pub fn tests() -> Vec<Trial> {
    let mut tests = trials![plain: two_hundred_tests_pass_on_four_workers, sources_have_strict_types];
    for (name, environment) in [("pytest_old", &PYTEST_OLD), ("pytest_today", &PYTEST_TODAY)] {
        let module = |suite: &str| format!("{}::{suite}", module_path!());
        tests.push(plain(&module("module_suite"), name, || module_suite(environment)));
        tests.push(plain(&module("plugin_suite"), name, || plugin_suite(environment)));
    }
    tests
}
