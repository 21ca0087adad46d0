//! `ottla check-log`: verifies data directories or directories of partitions while no broker runs, and repairs them
//! with `--repair`.

use std::collections::HashSet;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::outcome::print_json;
use super::{ServeArgs, serve};
use clap::Args;
use metadata::MetadataLog;
use ottla_broker::clock::Clock;
use ottla_config::load;
use ottla_core::metadata::{FoundFolder, Host, TRANSACTION_STATE};
use ottla_log::verify::{AtStart, Directory, Finding, Loss, PartitionFacts, Repaired, Traces, Verdict, repair, verify};
use ottla_log::{Disk, OpenParams, PartitionState};
use ottla_wire::types::{PartitionIndex, ProducerId, TimestampMs, TopicPartition, Uuid};
use report::{Checked, DirectoryRepair, Report, ShownRepair, shown};
use topics::Topics;
use transactions::FoundTransactions;

mod groups;
mod metadata;
mod misplaced;
mod records;
mod report;
mod topics;
mod transactions;

/// The exit code if nothing could be checked.
const USAGE: u8 = 2;
const META_PROPERTIES: &str = "meta.properties";

/// What to check, and whether to repair it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code 0: no faults found, or all repaired. 1: faults found. 2: nothing could be checked.")]
pub struct CheckLogArgs {
    /// Data directories, or directories of partitions [default: the data directories of the broker's settings]
    #[arg(value_name = "DIR")]
    directories: Vec<PathBuf>,

    /// Read settings from FILE, as the broker does, to find its data directories
    #[arg(long, value_name = "FILE", conflicts_with = "directories")]
    config: Option<PathBuf>,

    /// Repair the faults: corrupt data is removed, with a copy in files that end with .cut
    #[arg(long)]
    repair: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the check and prints its report.
pub fn run(args: &CheckLogArgs, clock: Clock) -> ExitCode {
    let directories = match args.directories() {
        Ok(directories) => directories,
        Err(why) => {
            err_line!("ottla: {why}");
            return ExitCode::from(USAGE);
        }
    };
    let mut check = Check {
        repair: args.repair,
        now: clock.now().wall,
        metadata: directories.iter().find_map(|directory| MetadataLog::of(directory)),
        found: Vec::new(),
        traces: Vec::new(),
        had_records: HashSet::new(),
        highest_producer_id: -1,
        transactions: FoundTransactions::default(),
        report: Report::default(),
        progress: Progress::new(),
    };
    let checked = directories
        .iter()
        .try_for_each(|directory| check.directory(directory))
        .and_then(|()| check.metadata(&directories));
    if let Err(why) = checked {
        check.progress.clear();
        err_line!("ottla: {why}");
        return ExitCode::from(USAGE);
    }
    check.progress.clear();
    check.name_open_transactions();
    let fine = check.report.is_fine();
    if args.json {
        if let Err(why) = print_json(&check.report) {
            err_line!("ottla: {why}");
        }
    } else {
        check.report.print(args.repair);
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl CheckLogArgs {
    /// The directories to check: those on the command line, or else the existing directories of the broker's settings.
    fn directories(&self) -> Result<Vec<PathBuf>, String> {
        if !self.directories.is_empty() {
            return Ok(self.directories.clone());
        }
        let broker = ServeArgs { config: self.config.clone(), ..ServeArgs::default() };
        let config = load(&serve::sources(&broker, None)).map_err(|error| error.to_string())?.config;
        let mut directories = config.log_dirs;
        directories.extend(config.metadata_log_dir.filter(|dir| !directories.contains(dir)));
        let (existing, missing): (Vec<_>, Vec<_>) = directories.into_iter().partition(|dir| dir.exists());
        match (existing.is_empty(), missing.first()) {
            (true, Some(missing)) => {
                Err(format!("there is no data directory {}: name one, or give --config", missing.display()))
            }
            _ => Ok(existing),
        }
    }
}

struct Check {
    repair: bool,
    now: TimestampMs,
    /// The metadata log, if one of the given directories has it.
    metadata: Option<MetadataLog>,
    /// The partitions of whole data directories.
    found: Vec<FoundFolder>,
    /// Traces of the brokers that used these directories.
    traces: Vec<Traces>,
    /// Partitions without a directory that had records, as the checkpoints show.
    had_records: HashSet<TopicPartition>,
    highest_producer_id: ProducerId,
    /// The transactions in the coordinator's log.
    transactions: FoundTransactions,
    report: Report,
    progress: Progress,
}

impl Check {
    fn directory(&mut self, path: &Path) -> Result<(), String> {
        if !path.is_dir() {
            return Err(match path.exists() {
                true => format!("{} is not a directory", path.display()),
                false => format!("{} does not exist", path.display()),
            });
        }
        let partition = path.canonicalize().ok().and_then(|path| partition_of(&path));
        match partition.filter(|_| !path.join(META_PROPERTIES).exists()) {
            Some(partition) => self.single(path, &partition),
            None => self.partitions(path, None),
        }
    }

    /// Checks one partition's directory. If it is in a data directory, that directory is locked, and its checkpoints
    /// are used.
    fn single(&mut self, path: &Path, partition: &TopicPartition) -> Result<(), String> {
        let data = path.canonicalize().ok().and_then(|path| path.parent().map(Path::to_path_buf));
        match data.filter(|data| data.join(META_PROPERTIES).exists()) {
            Some(data) => self.partitions(&data, Some(partition)),
            None => {
                let known = PartitionFacts {
                    at: OpenParams::fresh(self.now),
                    compacted: Topics::default().is_compacted(partition),
                };
                self.partition(&Disk::plain(), path, partition, known, None);
                Ok(())
            }
        }
    }

    /// Checks the partitions of a data directory; only one of them if `only` is given.
    fn partitions(&mut self, path: &Path, only: Option<&TopicPartition>) -> Result<(), String> {
        let directory = if self.repair { Directory::lock(path) } else { Directory::lock_to_read(path) };
        let mut directory = directory.map_err(|error| error.to_string())?;
        let mut found = directory.partitions().map_err(|error| error.to_string())?;
        if found.is_empty() && !path.join(META_PROPERTIES).exists() {
            return Err(format!("{} is neither a data directory nor a partition's directory", path.display()));
        }
        ottla_wire::types::sort_by(&mut found, |a, b| a.partition.cmp(&b.partition));
        let topics = self.metadata.as_ref().map(|metadata| metadata.topics()).unwrap_or_default();
        let directory_id = directory.meta().map_or(Uuid::ZERO, |meta| meta.directory_id);
        let without_directory = directory.partitions_without_folder(&found);
        if only.is_none() {
            self.report.findings.extend(directory.findings().iter().map(shown));
            self.traces.push(directory.traces());
            self.had_records.extend(without_directory.iter().map(|(partition, _)| partition.clone()));
        }
        // The directory's own files first: the checkpoints of repaired partitions are written into them.
        if self.repair && only.is_none() && !directory.findings().is_empty() {
            let copies = directory.repair().map_err(|error| error.to_string())?;
            let done = self.report.repaired.get_or_insert_default();
            done.moved_aside.extend(copies);
            let refused = directory.findings().iter().filter(|finding| finding.at_start == AtStart::Refuses);
            let refused = refused.filter(|finding| finding.file == META_PROPERTIES);
            done.not_repaired
                .extend(refused.map(|finding| format!("{} was not changed: {}", finding.file, finding.what)));
        }
        let mut repaired = Vec::new();
        for found in found.iter().filter(|found| only.is_none_or(|only| *only == found.partition)) {
            match found.state {
                PartitionState::Live => {}
                PartitionState::Deleted if only.is_none() => {
                    let file = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let what = "belongs to a deleted partition".to_owned();
                    self.report.notes.push(shown(&Finding { file, what, at_start: AtStart::Repairs, lost: None }));
                    continue;
                }
                PartitionState::Deleted | PartitionState::Other => continue,
            }
            let was_compacted = directory.was_compacted(&found.partition);
            let compacted = topics.is_compacted(&found.partition) || was_compacted;
            let at = directory.open_at(&found.partition, topics.id(&found.partition), self.now);
            let known = PartitionFacts { at, compacted };
            let count = topics.partition_count(&found.partition);
            let (verdict, done) = self.partition(directory.disk(), &found.path, &found.partition, known, count);
            self.highest_producer_id = self.highest_producer_id.max(verdict.highest_producer_id);
            self.found.extend(metadata::found_partition(found, &verdict, was_compacted, directory_id));
            repaired.extend(done.map(|done| (found.partition.clone(), done)));
        }
        if only.is_none() && !without_directory.is_empty() {
            let log = self.metadata.as_ref().map(|metadata| MetadataLog::read(&metadata.data)).unwrap_or_default();
            for (partition, lost) in without_directory {
                let is_elsewhere = directory.meta().is_some_and(|meta| log.is_hosted_elsewhere(&partition, &meta));
                if topics.id(&partition).is_none() || *partition.topic == *topics::METADATA || is_elsewhere {
                    continue;
                }
                let done = self.without_directory(path, &partition, lost);
                repaired.extend(done.map(|done| (partition, done)));
            }
        }
        if !repaired.is_empty() {
            directory.write_checkpoints(&repaired).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Reports a partition whose directory is missing. A repair continues its log after the lost records.
    fn without_directory(
        &mut self,
        data: &Path,
        partition: &TopicPartition,
        lost: std::ops::Range<i64>,
    ) -> Option<Repaired> {
        let path = data.join(partition.to_string());
        let finding = Finding {
            file: partition.to_string(),
            what: format!("the directory is missing; it had offsets {} to {}", lost.start, lost.end - 1),
            at_start: AtStart::Ignores,
            lost: Some(Loss { first: lost.start, last: Some(lost.end - 1), bytes: 0 }),
        };
        let verdict = Verdict::without_folder(lost.start, finding);
        let mut checked = Checked::new(partition, &path, &verdict);
        let done = self.repair.then(|| Repaired { start: lost.end, end: lost.end, ..Repaired::default() });
        checked.repaired = done.is_some().then(|| ShownRepair {
            start_offset: lost.end,
            end_offset: lost.end,
            moved_aside: Vec::new(),
            complete: true,
        });
        self.report.partitions.push(checked);
        done
    }

    /// Checks that the metadata log has the topics of the partitions; this needs all directories.
    fn metadata(&mut self, directories: &[PathBuf]) -> Result<(), String> {
        let nothing = self.found.is_empty() && self.metadata.is_none();
        if nothing || directories.iter().all(|directory| metadata::is_partition(directory)) {
            return Ok(());
        }
        let name = format!("{}-0", topics::METADATA);
        let of_log = self.report.partitions.iter().find(|checked| checked.partition == name);
        let is_corrupt = of_log.is_some_and(|checked| checked.metadata_loss.is_some());
        let log = match &self.metadata {
            Some(log) => MetadataLog::read(&log.data),
            None => {
                let data = directories.iter().find(|directory| directory.is_dir());
                MetadataLog::missing(data.ok_or("there is no directory")?)
            }
        };
        let unknown = is_corrupt && self.found.iter().any(|found| log.salvage.is_unknown(found));
        let Some(what) =
            log.why_refused().or_else(|| unknown.then(|| "it has lost topics that still have directories".to_owned()))
        else {
            return Ok(());
        };
        let finding = Finding { file: name, what, at_start: AtStart::Refuses, lost: None };
        if !is_corrupt {
            self.report.findings.push(shown(&finding));
        }
        if self.repair {
            let of_log = log.rebuild(directories, &self.found, self.host(), self.highest_producer_id, self.now)?;
            let of_files = self.report.repaired.take().unwrap_or_default();
            let DirectoryRepair { mut moved_aside, mut not_repaired, .. } = of_files;
            moved_aside.extend(of_log.moved_aside);
            not_repaired.extend(of_log.not_repaired);
            self.report.repaired = Some(DirectoryRepair { moved_aside, not_repaired, ..of_log });
        }
        Ok(())
    }

    /// Names the transactional ids of open transactions.
    fn name_open_transactions(&mut self) {
        for checked in &mut self.report.partitions {
            for open in &mut checked.open_transactions {
                if let Some((id, state)) = self.transactions.find(&checked.partition, open.producer_id) {
                    (open.transactional_id, open.state) = (Some(id), Some(state));
                }
            }
        }
    }

    /// What the directories show about the node, except its id.
    fn host(&self) -> Host {
        let first = self.found.first().map(|found| found.directory_id).filter(|id| !id.is_zero());
        let is_only = |id: &Uuid| self.found.iter().all(|found| found.directory_id == *id);
        let only_directory = first.filter(|id| is_only(id) && Traces::only_ottla(&self.traces));
        Host { only_directory, had_records: self.had_records.clone(), ..Host::default() }
    }

    /// Checks one partition, and repairs it with `--repair`. Returns the result of both. `partition_count`: the number of
    /// partitions of its topic, if that is known.
    fn partition(
        &mut self,
        disk: &Disk,
        path: &Path,
        partition: &TopicPartition,
        known: PartitionFacts,
        partition_count: Option<PartitionIndex>,
    ) -> (Verdict, Option<Repaired>) {
        let name = partition.to_string();
        let progress = &mut self.progress;
        let verdict = match verify(disk, path, known, &mut |bytes| progress.read(&name, bytes)) {
            Ok(verdict) => verdict,
            Err(error) => {
                let failed =
                    Checked { error: Some(error.to_string()), ..Checked::new(partition, path, &Verdict::default()) };
                self.report.partitions.push(failed);
                return (Verdict::default(), None);
            }
        };
        let mut checked = Checked::new(partition, path, &verdict);
        checked.misplaced_ids =
            partition_count.map(|count| misplaced::misplaced(path, partition, count)).unwrap_or_default();
        if *partition.topic == *TRANSACTION_STATE {
            self.transactions.read(path);
        }
        let mut done = None;
        if self.repair && !verdict.findings.is_empty() {
            match repair(disk, path, known, &verdict) {
                Ok(repaired) => {
                    let (recovery_point, log_start) = (repaired.end, known.at.log_start.map(|_| repaired.start));
                    let at = OpenParams { recovery_point, log_start, validated: None, ..known.at };
                    let again =
                        verify(disk, path, PartitionFacts { at, ..known }, &mut |bytes| progress.read(&name, bytes));
                    let complete = again.is_ok_and(|again| again.findings.is_empty());
                    checked.repaired = Some(ShownRepair {
                        start_offset: repaired.start,
                        end_offset: repaired.end,
                        moved_aside: repaired.set_aside.clone(),
                        complete,
                    });
                    done = Some(repaired);
                }
                Err(error) => checked.error = Some(error.to_string()),
            }
        }
        self.report.partitions.push(checked);
        (verdict, done)
    }
}

/// The partition of a directory, from its name.
fn partition_of(path: &Path) -> Option<TopicPartition> {
    let (topic, number) = path.file_name()?.to_str()?.rsplit_once('-')?;
    Some(TopicPartition::new(topic, number.parse().ok()?))
}

/// Shows progress on stderr, if that is a terminal.
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
        err_text!("\r\x1b[K{:.1} MB, {partition}", self.bytes as f64 / 1e6);
    }

    fn clear(&self) {
        if self.shown.is_some() {
            err_text!("\r\x1b[K");
        }
    }
}
