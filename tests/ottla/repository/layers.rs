//! Rules between and within crates that Cargo cannot check; docs/ARCHITECTURE.md has their reasons.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file without comments and without the part after the first `#[cfg(test)]`.
struct Source {
    path: PathBuf,
    /// Line numbers and text.
    lines: Vec<(usize, String)>,
}

/// Crates that do no I/O and read no clock.
const PURE: &[&str] = &["wire", "core", "registry", "metrics", "otlp"];

#[test]
fn pure_crates_read_no_files_network_environment_or_clock() {
    check(PURE, &["std::net", "std::fs", "std::env", "std::thread", "Instant::now", "SystemTime::now"], &[]);
}

/// Cargo limits a crate to the dependencies in its manifest; this test refuses some of them.
#[test]
fn manifests_of_pure_crates_name_no_runtime_and_no_system_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let impure = ["tokio", "axum", "getrandom", "rustix", "libc", "socket2", "memmap2", "tempfile", "ottla-log"];
    for (name, refused) in [
        ("wire", &impure[..]),
        ("core", &impure),
        ("registry", &impure),
        ("metrics", &[&impure[..], &["ottla-wire", "ottla-config", "ottla-core"]].concat()),
        ("otlp", &[&impure[..], &["ottla-wire", "ottla-config", "ottla-core", "ottla-metrics"]].concat()),
        ("config", &["tokio", "ottla-core"]),
        ("log", &["tokio", "getrandom"]),
    ] {
        let manifest = fs::read_to_string(root.join(name).join("Cargo.toml")).unwrap();
        let (_, dependencies) = manifest.split_once("[dependencies]\n").unwrap();
        let dependencies = dependencies.split("\n[").next().unwrap();
        let named = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        let found: Vec<&str> = named.filter(|dependency| refused.contains(dependency)).collect();
        assert_eq!(found, Vec::<&str>::new(), "dependencies of ottla-{name}");
    }
}

#[test]
fn log_crate_uses_no_network_and_no_clock() {
    check(&["log"], &["std::net", "Instant::now", "SystemTime::now"], &[]);
}

#[test]
fn protocol_messages_are_not_used_below_the_handlers() {
    check(&["broker/state", "broker/http", "broker/server", "core", "log", "config"], &["ottla_wire::protocol"], &[]);
    check(&["wire/record", "wire/codec", "wire/types"], &["crate::protocol"], &[]);
}

#[test]
fn modules_use_only_modules_below_them() {
    check(&["cli"], &["crate::embedded"], &[]);
    check(&["embedded.rs"], &["crate::cli", "crate::logging", "ottla_client"], &[]);
    check(
        &["broker/state"],
        &["crate::service", "crate::handlers", "crate::server", "crate::http", "crate::trace"],
        &[],
    );
    check(
        &["broker/otlp"],
        &["crate::service", "crate::state", "crate::handlers", "crate::server", "crate::http", "crate::trace"],
        &[],
    );
    check(
        &["broker/server"],
        &["crate::service", "crate::state", "crate::handlers", "crate::http", "crate::trace"],
        &[],
    );
    let above_tls = ["crate::service", "crate::state", "crate::handlers", "crate::http", "crate::server"];
    check(&["broker/tls"], &above_tls, &[]);
    check(&["broker/http"], &["crate::service", "crate::handlers"], &[]);
    check(&["broker/trace"], &["crate::service", "crate::state", "crate::handlers", "crate::http"], &[]);
    check(&["broker/handlers"], &["crate::service", "crate::http"], &[]);
    check(&["wire/codec"], &["crate::record"], &[]);
    check(&["wire/types"], &["crate::record", "crate::codec"], &[]);
    check(&["wire/record/header.rs", "wire/record/decoded.rs"], &["legacy", "batch::"], &[]);
    check(&["wire/record/legacy"], &["batch::", "down_convert"], &[]);
}

#[test]
fn clocks_are_read_and_tasks_sleep_in_one_file() {
    let reads = ["Instant::now", "SystemTime::now", "UNIX_EPOCH"];
    let sleeps = ["tokio::time", "thread::sleep"];
    let waits = ["park_timeout", "recv_timeout", "wait_timeout", "wait_while_for"];
    // Commands are clients of a broker and may read the clock themselves.
    let serving = ["broker", "config", "embedded.rs"];
    check(&serving, &[&reads[..], &sleeps].concat(), &["broker/clock.rs"]);
    // The functions of the embedded broker wait in the thread of their caller.
    check(&["broker", "config"], &waits, &["broker/clock.rs"]);
}

/// In a simulated broker these threads are the test's own.
#[test]
fn blocking_threads_are_used_in_one_file() {
    check(&["broker"], &["spawn_blocking"], &["broker/blocking.rs"]);
}

#[test]
fn random_values_come_from_one_source() {
    check(&["broker"], &["getrandom::"], &["broker/state/random.rs"]);
}

#[test]
fn unsafe_code_is_in_one_module() {
    check(&["."], &["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"], &["log/file/"]);
    // Only this module disables the lint against unsafe code.
    check(&["."], &["(unsafe_code)"], &["log/file/mod.rs"]);
}

#[test]
fn sources_contain_no_panicking_calls() {
    check(&["."], &[".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!("], &[]);
}

#[test]
fn sources_contain_no_println() {
    check(&["."], &["println!(", "print!("], &[]);
}

/// Panics with every line of `folders` under src that contains one of `patterns`, except in files under `except`.
fn check(folders: &[&str], patterns: &[&str], except: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = String::new();
    for source in folders.iter().flat_map(|folder| sources(&root.join(folder))) {
        let name = source.path.strip_prefix(&root).unwrap().display().to_string();
        if except.iter().any(|except| name.starts_with(except)) {
            continue;
        }
        for (number, line) in &source.lines {
            if let Some(pattern) = patterns.iter().find(|pattern| line.contains(**pattern)) {
                writeln!(found, "src/{name}:{number}: {pattern}: {}", line.trim()).unwrap();
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

fn sources(path: &Path) -> Vec<Source> {
    if path.is_dir() {
        let mut entries: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        return entries.iter().flat_map(|entry| sources(entry)).collect();
    }
    if path.extension().is_none_or(|extension| extension != "rs") || is_test_module(path) {
        return Vec::new();
    }
    let text = fs::read_to_string(path).unwrap();
    let all: Vec<&str> = text.lines().collect();
    // Declarations of test modules may be anywhere.
    let is_declaration = |at: usize| all.get(at + 1).is_some_and(|next| next.contains("mod ") && next.ends_with(';'));
    let begins_tests = |at: usize, line: &str| line.trim_start().starts_with("#[cfg(test)]") && !is_declaration(at);
    let code = all.iter().enumerate().take_while(|(at, line)| !begins_tests(*at, line));
    let lines = code
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line.split(" // ").next().unwrap_or(line).to_owned()))
        .collect();
    vec![Source { path: path.to_owned(), lines }]
}

/// Whether this file or one of its folders is declared as a module with `#[cfg(test)]`.
fn is_test_module(path: &Path) -> bool {
    path.ancestors().take_while(|place| !place.ends_with("src")).any(|place| {
        let (Some(name), Some(folder)) = (place.file_stem().and_then(|stem| stem.to_str()), place.parent()) else {
            return false;
        };
        let declared = format!("#[cfg(test)]\nmod {name};");
        [folder.join("mod.rs"), folder.with_extension("rs"), folder.join("lib.rs")]
            .iter()
            .filter_map(|parent| fs::read_to_string(parent).ok())
            .any(|parent| parent.contains(&declared))
    })
}
