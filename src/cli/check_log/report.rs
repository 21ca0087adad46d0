//! The report of a check, as text and as JSON.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::topics::METADATA;
use crate::cli::tools::output::Output;
use ottla_log::verify::{AtStart, Finding, OpenTransaction, Verdict};
use ottla_wire::types::TopicPartition;

const METADATA_LOSS: &str = "a repair of the metadata log loses the topics, settings and partitions in its lost records; \
                             topics that still have a directory are created again, and keep all records until their \
                             settings are set again";

/// The maximum number of misplaced ids of a partition in the text.
const SHOWN_IDS: usize = 10;

/// The result of a check.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Findings in the data directory's own files.
    pub findings: Vec<ShownFinding>,
    /// The repair of those files and of the metadata log; `None` without `--repair`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<DirectoryRepair>,
    /// Files that the next start removes.
    pub notes: Vec<ShownFinding>,
    pub partitions: Vec<Checked>,
}

/// One partition.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub partition: String,
    pub path: PathBuf,
    pub segments: usize,
    pub bytes: u64,
    pub batches: u64,
    pub records: u64,
    pub start_offset: i64,
    pub end_offset: i64,
    pub findings: Vec<ShownFinding>,
    /// Files that the next start removes or completes; they are not an error.
    pub notes: Vec<ShownFinding>,
    /// Transactions without a marker; they are not an error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_transactions: Vec<ShownTransaction>,
    /// Groups or transactional ids that another partition coordinates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub misplaced_ids: Vec<ShownMisplaced>,
    /// The consequence of lost records in the metadata log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_loss: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<ShownRepair>,
    /// The reason why the partition could not be checked or repaired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A finding.
#[derive(Debug, Serialize)]
pub struct ShownFinding {
    pub file: String,
    pub what: String,
    /// What the start of a broker does: `repairs`, `trusts`, `truncates`, `ignores` or `refuses`.
    pub at_start: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<ShownLoss>,
}

/// A transaction without a marker.
#[derive(Debug, Serialize)]
pub struct ShownTransaction {
    pub start_offset: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    /// Its transactional id, if the coordinator's log knows the transaction.
    pub transactional_id: Option<String>,
    /// The state of that transactional id, such as `Ongoing`.
    pub state: Option<&'static str>,
}

/// A group or transactional id with records in a partition that does not coordinate it, so that no request reaches them.
#[derive(Debug, Serialize)]
pub struct ShownMisplaced {
    pub id: String,
    pub first_offset: i64,
    /// The partition that coordinates it.
    pub belongs_to: String,
}

/// The records that a repair loses.
#[derive(Debug, Serialize)]
pub struct ShownLoss {
    pub first_offset: i64,
    /// `null` if the end of the lost part is unknown.
    pub last_offset: Option<i64>,
    pub bytes: u64,
}

/// The repair of a partition.
#[derive(Debug, Serialize)]
pub struct ShownRepair {
    pub start_offset: i64,
    pub end_offset: i64,
    /// Copies of the removed data.
    pub moved_aside: Vec<PathBuf>,
    /// Whether a second check found nothing.
    pub complete: bool,
}

/// The repair of a data directory's own files and of the metadata log.
#[derive(Debug, Default, Serialize)]
pub struct DirectoryRepair {
    /// Files and directories that were renamed.
    pub moved_aside: Vec<PathBuf>,
    /// The content of the new metadata log, if one was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
    /// Partitions without a directory that are empty in the new metadata log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub empty: Vec<String>,
    /// Partitions without a directory that are not served, because their records may be elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unavailable: Vec<String>,
    /// What was not repaired, and why.
    pub not_repaired: Vec<String>,
}

impl Checked {
    pub fn new(partition: &TopicPartition, path: &Path, verdict: &Verdict) -> Checked {
        let is_metadata = &*partition.topic == METADATA;
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
            open_transactions: verdict.open_transactions.iter().map(ShownTransaction::new).collect(),
            misplaced_ids: Vec::new(),
            metadata_loss: (is_metadata && verdict.findings.iter().any(|finding| finding.lost.is_some()))
                .then_some(METADATA_LOSS),
            repaired: None,
            error: None,
        }
    }

    /// The number of findings. All misplaced ids of a partition count as one, because they have one cause.
    fn findings(&self) -> usize {
        self.findings.len() + usize::from(!self.misplaced_ids.is_empty())
    }

    /// Whether there is nothing to print.
    fn is_silent(&self) -> bool {
        self.error.is_none()
            && self.findings.is_empty()
            && self.notes.is_empty()
            && self.open_transactions.is_empty()
            && self.misplaced_ids.is_empty()
    }

    /// Whether the partition has no problem, or no longer has one.
    pub fn is_fine(&self) -> bool {
        let is_repaired = self.repaired.as_ref().is_some_and(|done| done.complete);
        self.error.is_none() && self.misplaced_ids.is_empty() && (self.findings.is_empty() || is_repaired)
    }
}

/// Converts a finding for the report.
pub fn shown(finding: &Finding) -> ShownFinding {
    ShownFinding {
        file: finding.file.clone(),
        what: finding.what.clone(),
        at_start: match finding.at_start {
            AtStart::Repairs => "repairs",
            AtStart::Trusts => "trusts",
            AtStart::Truncates => "truncates",
            AtStart::Ignores => "ignores",
            AtStart::Refuses => "refuses",
        },
        lost: finding.lost.map(|lost| ShownLoss {
            first_offset: lost.first,
            last_offset: lost.last,
            bytes: lost.bytes,
        }),
    }
}

/// Like [`shown`], for the metadata log: a start reads all of it, and is refused if a record is lost.
fn shown_of_metadata(finding: &Finding) -> ShownFinding {
    let refuses = match finding.lost {
        // A crash may truncate the end: these records were never acknowledged.
        Some(lost) => finding.at_start == AtStart::Ignores || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Repairs,
    };
    let at_start = if refuses { AtStart::Refuses } else { finding.at_start };
    shown(&Finding { at_start, ..finding.clone() })
}

impl ShownTransaction {
    fn new(open: &OpenTransaction) -> ShownTransaction {
        ShownTransaction {
            start_offset: open.start,
            producer_id: open.producer.producer_id,
            producer_epoch: open.producer.epoch,
            transactional_id: None,
            state: None,
        }
    }
}

impl fmt::Display for ShownTransaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownTransaction { start_offset, producer_id, producer_epoch, .. } = self;
        write!(f, "open transaction from offset {start_offset}, producer {producer_id}, epoch {producer_epoch}")?;
        match (&self.transactional_id, self.state) {
            (Some(id), Some(state)) => write!(f, ", transactional id {id} ({state})"),
            _ => write!(f, ": no transactional id is known for it"),
        }
    }
}

impl fmt::Display for ShownMisplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownMisplaced { id, first_offset, belongs_to } = self;
        write!(f, "the records of {id} from offset {first_offset} belong to {belongs_to}: no request finds them here")
    }
}

impl ShownFinding {
    /// Describes what a start does.
    fn consequence(&self) -> &'static str {
        match self.at_start {
            "repairs" => "a start repairs it",
            "trusts" => "a start uses it as it is",
            "truncates" => "a start truncates the log there and keeps a copy of the rest",
            "ignores" => "a start does not detect it, and reads of it fail",
            _ => "a start is refused",
        }
    }

    /// Describes what a repair loses.
    fn cost(&self) -> String {
        match &self.lost {
            None => "--repair loses nothing".to_owned(),
            Some(ShownLoss { first_offset, last_offset: Some(last), .. }) if last >= first_offset => {
                let count = last - first_offset + 1;
                format!("--repair loses offsets {first_offset} to {last}, at most {count} records")
            }
            Some(ShownLoss { first_offset, last_offset: None, bytes }) => {
                format!("--repair loses {bytes} bytes after offset {first_offset}")
            }
            Some(ShownLoss { bytes, .. }) => format!("--repair removes {bytes} bytes and loses no offset"),
        }
    }
}

impl Report {
    /// Whether nothing was found, or all of it was repaired.
    pub fn is_fine(&self) -> bool {
        let repaired = self.repaired.as_ref().is_some_and(|done| done.not_repaired.is_empty());
        (self.findings.is_empty() || repaired) && self.partitions.iter().all(Checked::is_fine)
    }

    /// Prints the report as text. `repaired`: whether `--repair` was given.
    pub fn print(&self, repaired: bool) {
        let mut output = Output::stdout();
        for finding in &self.findings {
            output.line(format_args!("{}: {}", finding.file, finding.what));
            if !repaired {
                output.line(format_args!("    {}", finding.consequence()));
            }
        }
        if let Some(done) = &self.repaired {
            done.print(&mut output);
        }
        for note in &self.notes {
            output.line(format_args!("note: {}: {}; the next start removes it", note.file, note.what));
        }
        for checked in self.partitions.iter().filter(|checked| !checked.is_silent()) {
            checked.print(repaired, &mut output);
        }
        let sum = |of: fn(&Checked) -> u64| self.partitions.iter().map(of).sum::<u64>();
        let (segments, records) = (sum(|checked| checked.segments as u64), sum(|checked| checked.records));
        let megabytes = sum(|checked| checked.bytes) as f64 / 1e6;
        let findings = self.findings.len() + self.partitions.iter().map(Checked::findings).sum::<usize>();
        let outcome = match (findings, self.is_fine()) {
            (0, true) => "no faults found".to_owned(),
            (_, true) => format!("{}, repaired", count(findings, "finding")),
            (_, false) => count(findings, "finding"),
        };
        output.line(format_args!(
            "{} partitions, {segments} segments, {megabytes:.1} MB, {records} records: {outcome}",
            self.partitions.len()
        ));
    }
}

/// "1 finding", "2 findings".
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
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
            output.line(format_args!("  note: {}: {}; the next start removes it", note.file, note.what));
        }
        for open in &self.open_transactions {
            output.line(format_args!("  {open}"));
        }
        for misplaced in self.misplaced_ids.iter().take(SHOWN_IDS) {
            output.line(format_args!("  {misplaced}"));
        }
        if self.misplaced_ids.len() > SHOWN_IDS {
            output.line(format_args!("  and {} more ids", self.misplaced_ids.len() - SHOWN_IDS));
        }
        if let Some(loss) = self.metadata_loss {
            output.line(format_args!("  {loss}"));
        }
        if let Some(done) = &self.repaired {
            let how = if done.complete { "repaired" } else { "not everything could be repaired" };
            output.line(format_args!("  {how}: offsets {} to {}", done.start_offset, done.end_offset));
            for path in &done.moved_aside {
                output.line(format_args!("  moved aside: {}", path.display()));
            }
        }
        if let Some(why) = &self.error {
            output.line(format_args!("  {why}"));
        }
    }
}

impl DirectoryRepair {
    fn print(&self, output: &mut Output) {
        for path in &self.moved_aside {
            output.line(format_args!("moved aside: {}", path.display()));
        }
        for line in self.rebuilt.iter().chain(&self.not_repaired) {
            output.line(line);
        }
    }
}
