//! Apache Kafka's dump-log on files of ours: it must find nothing wrong with them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Java, jvm, run_hearing_all};

const DUMP_LOG: &str = "org.apache.kafka.tools.DumpLogSegments";

/// Words in what dump-log says where something is wrong.
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
/// Between two offsets, where some between them are missing.
const GAP: &str = " is followed by ";
/// It takes each segment but a log's first to begin with a gap.
const NO_GAP: &str = "-1 is followed by ";

/// What dump-log says about these files; it must find nothing wrong with them.
pub fn dump(java: &Java, args: &[&str], files: &[PathBuf]) -> String {
    checked_dump(java, args, files, is_fault)
}

/// As [`dump`], of logs that were compacted: offsets may be missing, and the time index may have batches that are kept
/// for their producers, though they have lost their records.
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
    let (said, complained) = run_hearing_all(&mut tool);
    for name in names {
        assert!(said.contains(&format!("Dumping {name}")), "{name} is dumped:\n{said}");
    }
    let fault = said.lines().chain(complained.lines()).find(|line| is_fault(line));
    assert_eq!(fault, None, "{said}\n{complained}");
    said
}

/// How many records dump-log found in logs, all of them valid and each batch as many as it says.
pub fn dumped_records(said: &str) -> i32 {
    let batches: Vec<_> = said.lines().filter(|line| line.starts_with("baseOffset: ")).collect();
    let count = |line: &&str| line.split_once("count: ").and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    let announced: i32 = batches.iter().map(|line| count(line).unwrap_or(0)).sum();
    assert!(batches.iter().all(|line| line.contains("isvalid: true")), "{said}");
    let found = said.lines().filter(|line| line.starts_with("| offset: ")).count();
    assert_eq!(found, announced as usize);
    announced
}

/// The files in folders that begin with `folder` whose names end like this, in order.
pub fn files(data: &Path, folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let list = |path: &Path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    for path in list(data).into_iter().filter(|path| path.is_dir()) {
        if path.file_name().unwrap().to_str().unwrap().starts_with(folder) {
            let ends =
                |path: &PathBuf| path.extension().is_some_and(|ending| endings.iter().any(|each| ending == *each));
            found.extend(list(&path).into_iter().filter(ends));
        }
    }
    assert!(!found.is_empty(), "{folder}* in {} has files that end in {endings:?}", data.display());
    found.sort();
    found
}
