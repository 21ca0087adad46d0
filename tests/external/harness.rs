//! Runs tests as Rust's own harness does, with one difference: a test that needs a program that is not installed skips
//! itself. It then counts as ignored, not as passed, and a summary at the end lists how many tests were skipped, why,
//! and what to install. A test that misses what `OTTLA_REQUIRE` lists fails instead.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use parking_lot::Mutex;

/// Maximum number of tests that run at the same time: many start a Java VM, a container or dozens of processes.
const MAX_CONCURRENT_TESTS: usize = 4;

/// What a test may miss, as `OTTLA_REQUIRE` names it.
const NEEDS: [&str; 12] = [
    "java",
    "node",
    "chromium",
    "go",
    "docker",
    "python",
    "old-python",
    "binutils",
    "dpkg",
    "systemd",
    "lintian",
    "cargo-cyclonedx",
];

/// Number of skipped tests by what they miss and by reason.
static SKIPPED: Mutex<BTreeMap<Missing, usize>> = Mutex::new(BTreeMap::new());

/// What a test misses.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
struct Missing {
    need: &'static str,
    reason: String,
}

thread_local! {
    /// The reason why the test that runs on this thread is skipped, completely or in part.
    static MISSING: RefCell<Option<Missing>> = const { RefCell::new(None) };
}

/// Marks the test of this thread as skipped, in whole or in part: it counts as ignored unless it fails in the rest.
/// `need` is one of [`NEEDS`]; `reason` is one line that says what is missing and what to install. Panics if the need is required.
pub fn skip(need: &'static str, reason: &str) {
    assert!(NEEDS.contains(&need), "{need} is not listed in NEEDS");
    assert!(!required().iter().any(|one| one == need || one == "all"), "{reason} (OTTLA_REQUIRE has {need})");
    MISSING.set(Some(Missing { need, reason: reason.to_owned() }));
}

/// The names of `OTTLA_REQUIRE`.
fn required() -> Vec<String> {
    let text = std::env::var("OTTLA_REQUIRE").unwrap_or_default();
    text.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Runs the tests that the command line selects, and prints which were skipped.
///
/// With `OTTLA_NOT_TESTED`, a path, writes a line for each need of skipped tests to that file.
pub fn run(mut tests: Vec<Trial>) -> ExitCode {
    if let Some(unknown) = required().iter().find(|name| *name != "all" && !NEEDS.contains(&name.as_str())) {
        eprintln!("OTTLA_REQUIRE has the unknown name {unknown}; the names are all, {}", NEEDS.join(", "));
        return ExitCode::FAILURE;
    }
    let (filters, flags) = split(std::env::args());
    let mut arguments = Arguments::from_iter(flags);
    if !filters.is_empty() {
        let wanted = |test: &Trial, filter: &String| match arguments.exact {
            true => test.name() == filter,
            false => test.name().contains(filter.as_str()),
        };
        tests.retain(|test| filters.iter().any(|filter| wanted(test, filter)));
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    arguments.test_threads.get_or_insert(cores.min(MAX_CONCURRENT_TESTS));
    let conclusion = libtest_mimic::run(&arguments, tests);
    let mut by_need: BTreeMap<&str, usize> = BTreeMap::new();
    for (Missing { need, reason }, count) in SKIPPED.lock().iter() {
        let (tests, are) = if *count == 1 { ("test", "is") } else { ("tests", "are") };
        eprintln!("{count} {tests} {are} skipped: {reason}");
        *by_need.entry(need).or_default() += count;
    }
    if let Some(path) = std::env::var_os("OTTLA_NOT_TESTED") {
        let lines: String = by_need.iter().map(|(need, count)| format!("{need} ({count})\n")).collect();
        std::fs::write(path, lines).expect("the file of OTTLA_NOT_TESTED can be written");
    }
    conclusion.exit_code()
}

/// Splits a command line into filters and flags. `cargo test -- ONE OTHER` passes several filters to every test
/// program; Rust's own harness accepts them, but this library accepts one.
fn split(line: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const FLAGS_WITH_VALUE: [&str; 6] = ["--test-threads", "--logfile", "--skip", "--color", "--format", "-Z"];
    let (mut filters, mut flags) = (Vec::new(), Vec::new());
    for word in line {
        let is_value = flags.last().is_none_or(|last: &String| FLAGS_WITH_VALUE.contains(&last.as_str()));
        if is_value || word.starts_with('-') { flags.push(word) } else { filters.push(word) }
    }
    (filters, flags)
}

/// Makes a test, named by the module from `module_path!` and the function.
pub fn plain(module: &str, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    // Rust's own harness prints the path without the name of the program.
    let (_, module) = module.split_once("::").unwrap_or_default();
    Trial::ignorable_test(format!("{module}::{name}"), move || {
        MISSING.take();
        test();
        let Some(missing) = MISSING.take() else { return Ok(Completion::Completed) };
        *SKIPPED.lock().entry(missing.clone()).or_default() += 1;
        Ok(Completion::ignored_with(missing.reason))
    })
}

/// As [`plain`], for an asynchronous test.
pub fn on_tokio<F: Future<Output = ()>>(module: &str, name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial {
    plain(module, name, || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        // On this thread, because the reason of a skip is thread-local.
        runtime.expect("a runtime").block_on(test());
    })
}

/// The tests of a module: functions without arguments, `plain` and asynchronous ones.
macro_rules! trials {
    ($($kind:ident: $($name:ident),+ $(,)?);+ $(;)?) => {
        vec![$($($crate::harness::$kind(module_path!(), stringify!($name), $name)),+),+]
    };
}

pub(crate) use trials;
