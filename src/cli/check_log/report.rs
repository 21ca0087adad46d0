//! What a check found, as it is shown.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::topics::METADATA;
use crate::cli::tools::output::Output;
use ottla_log::verify::{AtStart, Finding, Verdict};
use ottla_wire::types::TopicPartition;

const FORGETS: &str = "topics, settings and partitions that were decided in what a repair of the metadata log gives up are \
                       forgotten; topics of which there are folders are made again, and keep all records until their \
                       settings are made again";

/// All that was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Of the directory's own files.
    pub findings: Vec<ShownFinding>,
    /// What became of these where they were to be mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<DirectoryRepair>,
    /// What the next start clears away.
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
    /// What the next start clears away or finishes: nothing is wrong with it.
    pub notes: Vec<ShownFinding>,
    /// What giving up records of the metadata log comes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgets: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repaired: Option<ShownRepair>,
    /// Why it could not be checked or mended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct ShownFinding {
    pub file: String,
    pub what: String,
    pub at_start: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<ShownLoss>,
}

#[derive(Debug, Serialize)]
pub struct ShownLoss {
    pub first_offset: i64,
    /// `null` where nobody knows how far it went.
    pub last_offset: Option<i64>,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct ShownRepair {
    pub start_offset: i64,
    pub end_offset: i64,
    pub set_aside: Vec<PathBuf>,
    /// Whether a second look found nothing any more.
    pub mended: bool,
}

/// What was done about a directory's own files, and its metadata log.
#[derive(Debug, Default, Serialize)]
pub struct DirectoryRepair {
    pub set_aside: Vec<PathBuf>,
    /// What a new metadata log was made of, if one was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rebuilt: Option<String>,
    /// Partitions without a folder that are new and empty in the new metadata log.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub empty: Vec<String>,
    /// Partitions without a folder that aren't served by it: their records may lie elsewhere.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<String>,
    /// What can't be mended here, and why.
    pub left: Vec<String>,
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
            forgets: (is_metadata && verdict.findings.iter().any(|finding| finding.lost.is_some())).then_some(FORGETS),
            repaired: None,
            error: None,
        }
    }

    /// Whether there is nothing to tell of it.
    fn is_silent(&self) -> bool {
        self.error.is_none() && self.findings.is_empty() && self.notes.is_empty()
    }

    pub fn is_fine(&self) -> bool {
        self.error.is_none() && (self.findings.is_empty() || self.repaired.as_ref().is_some_and(|done| done.mended))
    }
}

pub fn shown(finding: &Finding) -> ShownFinding {
    ShownFinding {
        file: finding.file.clone(),
        what: finding.what.clone(),
        at_start: match finding.at_start {
            AtStart::Repairs => "mends",
            AtStart::Trusts => "believes",
            AtStart::Truncates => "cuts",
            AtStart::Ignores => "overlooks",
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
        Some(lost) => finding.at_start == AtStart::Ignores || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Repairs,
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
    pub fn is_fine(&self) -> bool {
        let mended = self.repaired.as_ref().is_some_and(|done| done.left.is_empty());
        (self.findings.is_empty() || mended) && self.partitions.iter().all(Checked::is_fine)
    }

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

impl DirectoryRepair {
    fn print(&self, output: &mut Output) {
        for path in &self.set_aside {
            output.line(format_args!("kept aside: {}", path.display()));
        }
        for line in self.rebuilt.iter().chain(&self.left) {
            output.line(line);
        }
    }
}
