//! `ottla check-log`: verifies a data directory, or folders of partitions, while no broker runs; mends them when told to.

use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;

use super::say::say_json;
use super::tools::output::Output;
use crate::broker::clock::Clock;
use crate::log::verify::{AtStart, Directory, Finding, Known, Repaired, Verdict, repair, verify};
use crate::log::{Disk, OpenAt, PartitionState};
use crate::types::{TimestampMs, TopicPartition};
use topics::Topics;

mod topics;

/// The exit code when something is wrong with what was asked for.
const USAGE: u8 = 2;
const FORGETS: &str = "topics, settings and partitions that were decided in what a repair of the metadata log gives up are \
                       forgotten; the next start moves folders of partitions that no topic has to names ending in -stray";
const META_PROPERTIES: &str = "meta.properties";

/// What to check, and whether to mend it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code 0: all is well, or was mended. 1: something was found. 2: nothing could be checked.")]
pub struct CheckLogArgs {
    /// A data directory, or folders of partitions [default: ./ottla-data]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Mend what is found: damaged stretches are cut out, and kept in files ending in .cut
    #[arg(long)]
    repair: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// All that was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Of the directory's own files.
    findings: Vec<ShownFinding>,
    /// What the next start clears away.
    notes: Vec<ShownFinding>,
    partitions: Vec<Checked>,
}

/// One partition.
#[derive(Debug, Serialize)]
struct Checked {
    partition: String,
    path: PathBuf,
    segments: usize,
    bytes: u64,
    batches: u64,
    records: u64,
    start_offset: i64,
    end_offset: i64,
    findings: Vec<ShownFinding>,
    /// What the next start clears away or finishes: nothing is wrong with it.
    notes: Vec<ShownFinding>,
    /// What giving up records of the metadata log comes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    forgets: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<ShownRepair>,
    /// Why it could not be checked or mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct ShownFinding {
    file: String,
    what: String,
    at_start: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<ShownLoss>,
}

#[derive(Debug, Serialize)]
struct ShownLoss {
    first_offset: i64,
    /// `null` where nobody knows how far it went.
    last_offset: Option<i64>,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct ShownRepair {
    start_offset: i64,
    end_offset: i64,
    set_aside: Vec<PathBuf>,
    /// Whether a second look found nothing any more.
    mended: bool,
}

/// Checks them.
pub fn run(args: &CheckLogArgs, clock: Clock) -> ExitCode {
    let folders = if args.folders.is_empty() { vec![PathBuf::from("ottla-data")] } else { args.folders.clone() };
    let mut check =
        Check { repair: args.repair, now: clock.now().wall, report: Report::default(), progress: Progress::new() };
    for folder in &folders {
        if let Err(why) = check.folder(folder) {
            check.progress.clear();
            eprintln!("ottla: {why}");
            return ExitCode::from(USAGE);
        }
    }
    check.progress.clear();
    let fine = check.report.is_fine();
    if args.json {
        if let Err(why) = say_json(&check.report) {
            eprintln!("ottla: {why}");
        }
    } else {
        check.report.print(args.repair);
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Check {
    repair: bool,
    now: TimestampMs,
    report: Report,
    progress: Progress,
}

impl Check {
    fn folder(&mut self, folder: &Path) -> Result<(), String> {
        if !folder.is_dir() {
            return Err(format!("{} is no folder", folder.display()));
        }
        let partition = folder.canonicalize().ok().and_then(|path| partition_of(&path));
        match partition.filter(|_| !folder.join(META_PROPERTIES).exists()) {
            Some(partition) => self.single(folder, &partition),
            None => self.directory(folder),
        }
    }

    /// A partition's folder. If it lies in a data directory, that one says more of it, and is locked.
    fn single(&mut self, folder: &Path, partition: &TopicPartition) -> Result<(), String> {
        let above = folder.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        match above.filter(|above| above.join(META_PROPERTIES).exists()) {
            Some(above) => self.partitions(&above, Some(partition)),
            None => {
                let known = Known { at: OpenAt::fresh(self.now), compacted: Topics::default().is_compacted(partition) };
                self.partition(&Disk::plain(), folder, partition, known);
                Ok(())
            }
        }
    }

    fn directory(&mut self, path: &Path) -> Result<(), String> {
        self.partitions(path, None)
    }

    fn partitions(&mut self, path: &Path, only: Option<&TopicPartition>) -> Result<(), String> {
        let mut directory = Directory::lock(path).map_err(|error| error.to_string())?;
        let mut found = directory.partitions().map_err(|error| error.to_string())?;
        if found.is_empty() && !path.join(META_PROPERTIES).exists() {
            return Err(format!("{} is neither a data directory nor a partition's folder", path.display()));
        }
        crate::types::sort_by(&mut found, |a, b| a.partition.cmp(&b.partition));
        let topics = Topics::read(path);
        if only.is_none() {
            self.report.findings.extend(directory.findings().iter().map(shown));
        }
        let mut repaired = Vec::new();
        for found in found.iter().filter(|found| only.is_none_or(|only| *only == found.partition)) {
            match found.state {
                PartitionState::Live => {}
                PartitionState::Deleted if only.is_none() => {
                    let file = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let what = "is left of a deleted partition".to_owned();
                    self.report.notes.push(shown(&Finding { file, what, at_start: AtStart::Mends, lost: None }));
                    continue;
                }
                PartitionState::Deleted | PartitionState::Other => continue,
            }
            let compacted = topics.is_compacted(&found.partition) || directory.was_compacted(&found.partition);
            let at = directory.open_at(&found.partition, topics.id(&found.partition), self.now);
            let done = self.partition(directory.disk(), &found.path, &found.partition, Known { at, compacted });
            repaired.extend(done.map(|done| (found.partition.clone(), done)));
        }
        if !repaired.is_empty() {
            directory.note(&repaired).map_err(|error| error.to_string())?;
        }
        if self.repair && only.is_none() && !directory.findings().is_empty() {
            directory.repair().map_err(|error| error.to_string())?;
            self.report.findings = directory.findings().iter().map(shown).collect();
        }
        Ok(())
    }

    /// Checks one; what its repair came to, if there was one.
    fn partition(&mut self, disk: &Disk, path: &Path, partition: &TopicPartition, known: Known) -> Option<Repaired> {
        let name = partition.to_string();
        let progress = &mut self.progress;
        let verdict = match verify(disk, path, known, &mut |bytes| progress.read(&name, bytes)) {
            Ok(verdict) => verdict,
            Err(error) => {
                let failed =
                    Checked { error: Some(error.to_string()), ..Checked::new(partition, path, &Verdict::default()) };
                self.report.partitions.push(failed);
                return None;
            }
        };
        let mut checked = Checked::new(partition, path, &verdict);
        let mut done = None;
        if self.repair && !verdict.findings.is_empty() {
            match repair(disk, path, known, &verdict) {
                Ok(repaired) => {
                    let at = OpenAt { recovery_point: repaired.end, validated: None, ..known.at };
                    let again = verify(disk, path, Known { at, ..known }, &mut |bytes| progress.read(&name, bytes));
                    let mended = again.is_ok_and(|again| again.findings.is_empty());
                    checked.repaired = Some(ShownRepair {
                        start_offset: repaired.start,
                        end_offset: repaired.end,
                        set_aside: repaired.set_aside.clone(),
                        mended,
                    });
                    done = Some(repaired);
                }
                Err(error) => checked.error = Some(error.to_string()),
            }
        }
        self.report.partitions.push(checked);
        done
    }
}

/// The partition that a folder is, by its name.
fn partition_of(path: &Path) -> Option<TopicPartition> {
    let (topic, number) = path.file_name()?.to_str()?.rsplit_once('-')?;
    Some(TopicPartition::new(topic, number.parse().ok()?))
}

impl Checked {
    fn new(partition: &TopicPartition, path: &Path, verdict: &Verdict) -> Checked {
        let is_metadata = &*partition.topic == topics::METADATA;
        let shown_of = if is_metadata { shown_of_metadata } else { shown };
        Checked {
            partition: partition.to_string(),
            path: path.to_path_buf(),
            segments: verdict.segments,
            bytes: verdict.bytes,
            batches: verdict.batches,
            records: verdict.records,
            start_offset: verdict.start,
            end_offset: verdict.end,
            findings: verdict.findings.iter().map(shown_of).collect(),
            notes: verdict.notes.iter().map(shown).collect(),
            forgets: (is_metadata && verdict.findings.iter().any(|finding| finding.lost.is_some())).then_some(FORGETS),
            repaired: None,
            error: None,
        }
    }

    /// Whether there is nothing to tell of it.
    fn is_silent(&self) -> bool {
        self.error.is_none() && self.findings.is_empty() && self.notes.is_empty()
    }

    fn is_fine(&self) -> bool {
        self.error.is_none() && (self.findings.is_empty() || self.repaired.as_ref().is_some_and(|done| done.mended))
    }
}

fn shown(finding: &Finding) -> ShownFinding {
    ShownFinding {
        file: finding.file.clone(),
        what: finding.what.clone(),
        at_start: match finding.at_start {
            AtStart::Mends => "mends",
            AtStart::Believes => "believes",
            AtStart::Cuts => "cuts",
            AtStart::Overlooks => "overlooks",
            AtStart::Refuses => "refuses",
        },
        lost: finding.lost.map(|lost| ShownLoss {
            first_offset: lost.first,
            last_offset: lost.last,
            bytes: lost.bytes,
        }),
    }
}

/// As [`shown`], of the metadata log: a start reads all of it, and doesn't go on without what was decided.
fn shown_of_metadata(finding: &Finding) -> ShownFinding {
    let refuses = match finding.lost {
        // A crash may tear off the end, of which nobody was told.
        Some(lost) => finding.at_start == AtStart::Overlooks || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Mends,
    };
    let at_start = if refuses { AtStart::Refuses } else { finding.at_start };
    shown(&Finding { at_start, ..finding.clone() })
}

impl ShownFinding {
    /// What a start does, in words.
    fn consequence(&self) -> &'static str {
        match self.at_start {
            "mends" => "a start mends it",
            "believes" => "a start believes it",
            "cuts" => "a start ends the log there and sets the rest aside",
            "overlooks" => "a start doesn't look there, reading there fails",
            _ => "a start is refused",
        }
    }

    /// What a repair costs, in words.
    fn cost(&self) -> String {
        match &self.lost {
            None => "--repair loses nothing".to_owned(),
            Some(ShownLoss { first_offset, last_offset: Some(last), .. }) if last >= first_offset => {
                let count = last - first_offset + 1;
                format!("--repair gives up offsets {first_offset} to {last}, {count} records at most")
            }
            Some(ShownLoss { first_offset, last_offset: None, bytes }) => {
                format!("--repair gives up {bytes} bytes behind offset {first_offset}")
            }
            Some(ShownLoss { bytes, .. }) => format!("--repair cuts out {bytes} bytes that no offset is missing for"),
        }
    }
}

impl Report {
    fn is_fine(&self) -> bool {
        self.findings.is_empty() && self.partitions.iter().all(Checked::is_fine)
    }

    fn print(&self, repaired: bool) {
        let mut output = Output::stdout();
        for finding in &self.findings {
            output.line(format_args!("{}: {}", finding.file, finding.what));
            output.line(format_args!("    {}", finding.consequence()));
        }
        for note in &self.notes {
            output.line(format_args!("note: {}: {}; the next start clears it away", note.file, note.what));
        }
        for checked in self.partitions.iter().filter(|checked| !checked.is_silent()) {
            checked.print(repaired, &mut output);
        }
        let sum = |of: fn(&Checked) -> u64| self.partitions.iter().map(of).sum::<u64>();
        let (segments, records) = (sum(|checked| checked.segments as u64), sum(|checked| checked.records));
        let megabytes = sum(|checked| checked.bytes) as f64 / 1e6;
        let findings =
            self.findings.len() + self.partitions.iter().map(|checked| checked.findings.len()).sum::<usize>();
        let outcome = match (findings, self.is_fine()) {
            (0, true) => "all is well".to_owned(),
            (_, true) => format!("{findings} findings, mended"),
            (_, false) => format!("{findings} findings"),
        };
        output.line(format_args!(
            "{} partitions, {segments} segments, {megabytes:.1} MB, {records} records: {outcome}",
            self.partitions.len()
        ));
    }
}

impl Checked {
    fn print(&self, repaired: bool, output: &mut Output) {
        output.line(format_args!(
            "{}: offsets {} to {}, {} records in {} segments",
            self.partition, self.start_offset, self.end_offset, self.records, self.segments
        ));
        for finding in &self.findings {
            output.line(format_args!("  {}: {}", finding.file, finding.what));
            if !repaired {
                output.line(format_args!("    {}; {}", finding.consequence(), finding.cost()));
            }
        }
        for note in &self.notes {
            output.line(format_args!("  note: {}: {}; the next start clears it away", note.file, note.what));
        }
        if let Some(forgets) = self.forgets {
            output.line(format_args!("  {forgets}"));
        }
        if let Some(done) = &self.repaired {
            let how = if done.mended { "mended" } else { "not all could be mended" };
            output.line(format_args!("  {how}: offsets {} to {}", done.start_offset, done.end_offset));
            for path in &done.set_aside {
                output.line(format_args!("  kept aside: {}", path.display()));
            }
        }
        if let Some(why) = &self.error {
            output.line(format_args!("  {why}"));
        }
    }
}

/// Tells on a terminal how far it is.
struct Progress {
    shown: Option<Instant>,
    bytes: u64,
}

impl Progress {
    fn new() -> Progress {
        Progress { shown: stderr().is_terminal().then(Instant::now), bytes: 0 }
    }

    fn read(&mut self, partition: &str, bytes: u64) {
        self.bytes += bytes;
        let Some(shown) = self.shown.as_mut().filter(|shown| shown.elapsed() > Duration::from_millis(300)) else {
            return;
        };
        *shown = Instant::now();
        eprint!("\r\x1b[K{:.1} MB, {partition}", self.bytes as f64 / 1e6);
    }

    fn clear(&self) {
        if self.shown.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}
