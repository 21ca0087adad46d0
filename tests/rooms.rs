//! The borders between rooms, and a few habits, as a test: docs/ARCHITECTURE.md says why each stands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Code of a room's files without comments and without what follows the first `#[cfg(test)]`.
struct Source {
    path: PathBuf,
    /// Line number and text.
    lines: Vec<(usize, String)>,
}

const PURE: &[&str] = &["types", "codec", "protocol", "record", "metadata", "coordinator", "machine.rs"];

#[test]
fn pure_rooms_know_no_world() {
    let world = ["tokio", "std::net", "std::fs", "std::env", "Instant::now", "SystemTime::now", "getrandom", "rustix"];
    check(PURE, &world, &[]);
}

#[test]
fn storage_knows_no_network_and_no_clock() {
    check(&["log"], &["tokio", "std::net", "Instant::now", "SystemTime::now", "getrandom"], &[]);
}

#[test]
fn wire_structs_stop_at_the_handlers() {
    let below = ["broker", "coordinator", "log", "record", "config", "types", "machine.rs", "codec"];
    check(&below, &["crate::protocol"], &[]);
    // The metadata machine's records stand on the codec, not on the protocol.
    check(&["metadata"], &["crate::protocol"], &[]);
}

#[test]
fn rooms_use_rooms_below() {
    let top = ["crate::cli", "crate::client", "crate::embedded", "crate::service"];
    let doors = ["crate::handlers", "crate::server", "crate::http"];
    check(&["cli"], &["crate::embedded"], &[]);
    check(&["embedded"], &["crate::cli"], &[]);
    check(&["service"], &["crate::cli", "crate::client", "crate::embedded"], &[]);
    check(&["http"], &["crate::handlers", "crate::protocol"], &[]);
    check(&["server"], &["crate::broker", "crate::handlers", "crate::http"], &[]);
    check(&["handlers", "http", "server", "broker"], &top, &[]);
    check(&["handlers"], &["crate::http"], &[]);
    check(&["broker"], &doors, &[]);
    let up = [&top[..], &doors, &["crate::broker"]].concat();
    check(&["coordinator", "metadata", "log", "record", "protocol", "codec", "config", "types"], &up, &[]);
    check(&["log", "record", "codec", "types"], &["crate::metadata", "crate::coordinator", "crate::config"], &[]);
}

#[test]
fn clocks_are_read_in_one_file() {
    let reads = ["Instant::now", "SystemTime::now", "UNIX_EPOCH"];
    // A command that asks a broker is a client, with a clock of its own.
    check(&["broker", "handlers", "config", "http", "service", "embedded"], &reads, &["broker/clock.rs"]);
}

#[test]
fn unsafe_stands_in_one_place() {
    check(&["."], &["unsafe {", "unsafe fn", "unsafe impl", "unsafe trait", "unsafe extern"], &["log/file/"]);
}

#[test]
fn nothing_a_peer_or_a_disk_does_can_panic() {
    check(&["."], &[".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "dbg!("], &[]);
}

#[test]
fn printing_cannot_panic() {
    check(&["."], &["println!(", "print!("], &[]);
}

/// Fails with every line of `rooms` that has one of `patterns`, files under `except` aside.
fn check(rooms: &[&str], patterns: &[&str], except: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = String::new();
    for source in rooms.iter().flat_map(|room| sources(&root.join(room))) {
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
    let code = text.lines().enumerate().take_while(|(_, line)| !line.trim_start().starts_with("#[cfg(test)]"));
    let lines = code
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(at, line)| (at + 1, line.split(" // ").next().unwrap_or(line).to_owned()))
        .collect();
    vec![Source { path: path.to_owned(), lines }]
}

/// Whether the module that declares this file, or one of its folders, does so for tests alone.
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
