//! Runs tests as Rust's own harness does, with one difference: a test may find out that it needs what is not installed
//! here. It then counts as ignored, not as passed, and a summary at the end says what was left out, why, and how to have
//! it run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};
use parking_lot::Mutex;

/// Tests that run at once, at most: many start a virtual machine, a container or dozens of processes.
const MOST_AT_ONCE: usize = 4;

/// How many tests were left out for each reason.
static LEFT_OUT: Mutex<BTreeMap<String, usize>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Why the test that runs on this thread is left out, in whole or in part.
    static MISSING: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Notes that the test of this thread is left out, in whole or in part: unless it fails in what it still does, it counts
/// as ignored. `reason` is one line that says what is missing and what to install.
pub fn leave_out(reason: &str) {
    MISSING.set(Some(reason.to_owned()));
}

/// Runs what the command line asks for, and prints what was left out.
pub fn run(mut tests: Vec<Trial>) -> ExitCode {
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
    arguments.test_threads.get_or_insert(cores.min(MOST_AT_ONCE));
    let conclusion = libtest_mimic::run(&arguments, tests);
    for (reason, count) in LEFT_OUT.lock().iter() {
        let (tests, are) = if *count == 1 { ("test", "is") } else { ("tests", "are") };
        eprintln!("{count} {tests} {are} left out: {reason}");
    }
    conclusion.exit_code()
}

/// Takes the filters out of a command line: Rust's own harness takes several, as `cargo test -- ONE OTHER` gives every
/// test program, where the library takes one.
fn split(line: impl Iterator<Item = String>) -> (Vec<String>, Vec<String>) {
    const WITH_VALUE: [&str; 6] = ["--test-threads", "--logfile", "--skip", "--color", "--format", "-Z"];
    let (mut filters, mut flags) = (Vec::new(), Vec::new());
    for word in line {
        let is_value = flags.last().is_none_or(|last: &String| WITH_VALUE.contains(&last.as_str()));
        if is_value || word.starts_with('-') { flags.push(word) } else { filters.push(word) }
    }
    (filters, flags)
}

/// A test by its path, as `module_path!` begins it.
pub fn plain(module: &str, name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    // Without the name of this program, as Rust's own harness prints it.
    let (_, module) = module.split_once("::").unwrap_or_default();
    Trial::ignorable_test(format!("{module}::{name}"), move || {
        MISSING.take();
        test();
        let Some(reason) = MISSING.take() else { return Ok(Completion::Completed) };
        *LEFT_OUT.lock().entry(reason.clone()).or_default() += 1;
        Ok(Completion::ignored_with(reason))
    })
}

/// As [`plain`], for an asynchronous test.
pub fn on_tokio<F: Future<Output = ()>>(module: &str, name: &str, test: impl FnOnce() -> F + Send + 'static) -> Trial {
    plain(module, name, || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        // On this thread, as what is left out is noted for it.
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
