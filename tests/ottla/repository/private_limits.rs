//! Limits in the code that are not settings. Each is listed in `tests/data/private-limits.tsv` with its value and either
//! the setting of Kafka that also applies, or the reason why it is not a setting: operators cannot change such a limit.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ottla_config::{Scope, table};

const LIMITS: &str = include_str!("../../data/private-limits.tsv");

/// The beginnings and parts of the names of constants that are limits.
const BEGINNINGS: [&str; 14] = [
    "MAX",
    "MOST",
    "LONGEST",
    "LARGEST",
    "ALWAYS",
    "FARTHEST",
    "PATIENCE",
    "BACKLOG",
    "QUEUE",
    "TRIES",
    "LINES",
    "STALL",
    "CONTENDED",
    "EXPIRY_BATCH",
];
const PARTS: [&str; 5] = ["LIMIT", "TIMEOUT", "_PATIENCE", "EVICTION", "GRACE"];

/// Constants with such a name that are not limits: ListOffsets' special timestamp, and names of clients' settings.
const NOT_LIMITS: [&str; 3] = ["MAX_TIMESTAMP", "MAX_BLOCK", "API_TIMEOUT"];

/// The value of each limit, by name and file.
fn limits_in_the_code() -> BTreeMap<(String, String), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut limits = BTreeMap::new();
    for file in files(&root.join("src")) {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if ["tests", "samples", "properties", "simulated", "testing"].iter().any(|folder| path.contains(folder)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (name, value) in code.lines().filter_map(constant).filter(|(name, _)| is_limit(name)) {
            limits.insert((name.to_owned(), path.clone()), value.to_owned());
        }
    }
    limits
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found.extend(files(&entry)),
            false if entry.extension().is_some_and(|extension| extension == "rs") => found.push(entry),
            false => {}
        }
    }
    found
}

/// Name and value of a line such as `pub const MAX: usize = 5;`.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (before, rest) = line.trim().split_once("const ")?;
    let (name, rest) = rest.split_once(": ")?;
    let (_, value) = rest.strip_suffix(';')?.split_once(" = ")?;
    (before.is_empty() || before.starts_with("pub")).then_some((name, value))
}

fn is_limit(name: &str) -> bool {
    let has_such_a_name =
        BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) || PARTS.iter().any(|part| name.contains(part));
    has_such_a_name && !NOT_LIMITS.contains(&name)
}

#[test]
fn every_limit_in_the_code_is_listed_with_its_value() {
    let listed: BTreeMap<(String, String), String> = LIMITS
        .lines()
        .skip(1)
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            let [name, value, file, decided_by, why] = columns[..] else { panic!("five columns: {line}") };
            let is_setting = table::find(Scope::Broker, decided_by).or(table::find(Scope::Topic, decided_by)).is_some();
            assert!(is_setting || ["stays", "internal"].contains(&decided_by), "{line}");
            assert!(!why.is_empty(), "{line}");
            ((name.to_owned(), file.to_owned()), value.to_owned())
        })
        .collect();
    let found = limits_in_the_code();
    let wrong: Vec<String> = found
        .iter()
        .filter(|(limit, value)| listed.get(limit) != Some(value))
        .map(|((name, file), value)| format!("{name}\t{value}\t{file}"))
        .chain(
            listed.keys().filter(|limit| !found.contains_key(limit)).map(|limit| format!("not in the code: {limit:?}")),
        )
        .collect();
    assert_eq!(wrong, Vec::<String>::new(), "to be listed in tests/data/private-limits.tsv, with a reason");
}
