//! Apache Kafka's dump-log on files that Ottla wrote: it must find no fault in them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Java, jvm, run_with_stderr};

const DUMP_LOG: &str = "org.apache.kafka.tools.DumpLogSegments";

/// Words that dump-log prints for a fault.
const FAULTS: [&str; 10] = [
    "isvalid: false",
    "ismatch",
    "Index timestamp: ",
    "invalid bytes",
    "not found in :",
    "out of order",
    "failed",
    "Exception",
    "corrupt",
    "do not match",
];
/// What dump-log prints between two offsets that are not consecutive.
const GAP: &str = " is followed by ";
/// dump-log reports a gap at the start of each segment except a log's first.
const NO_GAP: &str = "-1 is followed by ";

/// Returns what dump-log prints for these files, and asserts that it finds no fault.
pub fn dump(java: &Java, args: &[&str], files: &[PathBuf]) -> String {
    checked_dump(java, args, files, is_fault)
}

/// Like [`dump`], for compacted logs: offsets may be missing, and the time index may name batches that have no records
/// and stay for their producers' sequence numbers.
pub fn dump_compacted(java: &Java, args: &[&str], files: &[PathBuf]) -> String {
    let of_compaction = |line: &str| {
        line.contains(GAP) || line.starts_with("Found timestamp mismatch") || line.ends_with("log timestamp: -1")
    };
    checked_dump(java, args, files, move |line| is_fault(line) && !of_compaction(line))
}

fn is_fault(line: &str) -> bool {
    FAULTS.iter().any(|words| line.contains(words)) || (line.contains(GAP) && !line.contains(NO_GAP))
}

fn checked_dump(java: &Java, args: &[&str], files: &[PathBuf], is_fault: impl Fn(&str) -> bool) -> String {
    let names: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
    let mut tool = jvm(&java.libs("today"));
    tool.arg(DUMP_LOG).args(args).args(["--files", &names.join(",")]);
    let (output, errors) = run_with_stderr(&mut tool);
    for name in names {
        assert!(output.contains(&format!("Dumping {name}")), "{name} is dumped:\n{output}");
    }
    let fault = output.lines().chain(errors.lines()).find(|line| is_fault(line));
    assert_eq!(fault, None, "{output}\n{errors}");
    output
}

/// Returns how many records dump-log found, and asserts that all are valid and that each batch's count is right.
pub fn dumped_records(output: &str) -> i32 {
    let batches: Vec<_> = output.lines().filter(|line| line.starts_with("baseOffset: ")).collect();
    let count = |line: &&str| line.split_once("count: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let announced: i32 = batches.iter().map(|line| count(line).unwrap_or(0)).sum();
    assert!(batches.iter().all(|line| line.contains("isvalid: true")), "{output}");
    let found = output.lines().filter(|line| line.starts_with("| offset: ")).count();
    assert_eq!(found, announced as usize);
    announced
}

/// Returns the files, sorted, with these extensions in all directories whose names begin with `prefix`.
pub fn files(data: &Path, prefix: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let list = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for path in list(data).into_iter().filter(|path| path.is_dir()) {
        if path.file_name().unwrap().to_str().unwrap().starts_with(prefix) {
            let ends =
                |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|each| ending == *each));
            found.extend(list(&path).into_iter().filter(ends));
        }
    }
    assert!(!found.is_empty(), "{prefix}* in {} has files that end in {endings:?}", data.display());
    found.sort();
    found
}
