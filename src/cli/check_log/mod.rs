//! `ottla check-log`: verifies a data directory, or folders of partitions, while no broker runs; mends them when told to.

use std::collections::HashSet;
use std::io::{IsTerminal as _, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::say::say_json;
use super::{ServeArgs, serve};
use clap::Args;
use metadata::MetadataLog;
use ottla_broker::clock::Clock;
use ottla_config::load;
use ottla_core::metadata::{FoundFolder, Host};
use ottla_log::verify::{AtStart, Directory, Finding, Known, Loss, Repaired, Traces, Verdict, repair, verify};
use ottla_log::{Disk, OpenAt, PartitionState};
use ottla_wire::types::{ProducerId, TimestampMs, TopicPartition, Uuid};
use report::{Checked, DirectoryRepair, Report, ShownRepair, shown};
use topics::Topics;

mod groups;
mod metadata;
mod records;
mod report;
mod topics;

/// The exit code when something is wrong with what was asked for.
const USAGE: u8 = 2;
const META_PROPERTIES: &str = "meta.properties";

/// What to check, and whether to mend it.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Exit code 0: all is well, or was mended. 1: something was found. 2: nothing could be checked.")]
pub struct CheckLogArgs {
    /// Data directories, or folders of partitions [default: those of the broker's settings]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,

    /// Read settings from FILE, as the broker does, to find its data directories
    #[arg(long, value_name = "FILE", conflicts_with = "folders")]
    config: Option<PathBuf>,

    /// Mend what is found: damaged stretches are cut out, and kept in files ending in .cut
    #[arg(long)]
    repair: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks them.
pub fn run(args: &CheckLogArgs, clock: Clock) -> ExitCode {
    let folders = match args.folders() {
        Ok(folders) => folders,
        Err(why) => {
            err_line!("ottla: {why}");
            return ExitCode::from(USAGE);
        }
    };
    let mut check = Check {
        repair: args.repair,
        now: clock.now().wall,
        metadata: folders.iter().find_map(|folder| MetadataLog::of(folder)),
        found: Vec::new(),
        traces: Vec::new(),
        noted: HashSet::new(),
        highest_producer_id: -1,
        report: Report::default(),
        progress: Progress::new(),
    };
    let checked = folders.iter().try_for_each(|folder| check.folder(folder)).and_then(|()| check.metadata(&folders));
    if let Err(why) = checked {
        check.progress.clear();
        err_line!("ottla: {why}");
        return ExitCode::from(USAGE);
    }
    check.progress.clear();
    let fine = check.report.is_fine();
    if args.json {
        if let Err(why) = say_json(&check.report) {
            err_line!("ottla: {why}");
        }
    } else {
        check.report.print(args.repair);
    }
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl CheckLogArgs {
    /// What to check: what was named, or else the directories that the broker would use, as far as they exist.
    fn folders(&self) -> Result<Vec<PathBuf>, String> {
        if !self.folders.is_empty() {
            return Ok(self.folders.clone());
        }
        let broker = ServeArgs { config: self.config.clone(), ..ServeArgs::default() };
        let config = load(&serve::sources(&broker, None)).map_err(|error| error.to_string())?.config;
        let mut folders = config.log_dirs;
        folders.extend(config.metadata_log_dir.filter(|dir| !folders.contains(dir)));
        let (there, missing): (Vec<_>, Vec<_>) = folders.into_iter().partition(|dir| dir.exists());
        match (there.is_empty(), missing.first()) {
            (true, Some(missing)) => {
                Err(format!("there is no data directory {}: name one, or give --config", missing.display()))
            }
            _ => Ok(there),
        }
    }
}

struct Check {
    repair: bool,
    now: TimestampMs,
    /// Where the metadata log lies among the directories that were given.
    metadata: Option<MetadataLog>,
    /// The partitions of whole directories.
    found: Vec<FoundFolder>,
    /// Who has used these directories.
    traces: Vec<Traces>,
    /// Partitions that one of them is known to have had records of, and has no folder of.
    noted: HashSet<TopicPartition>,
    highest_producer_id: ProducerId,
    report: Report,
    progress: Progress,
}

impl Check {
    fn folder(&mut self, folder: &Path) -> Result<(), String> {
        if !folder.is_dir() {
            return Err(match folder.exists() {
                true => format!("{} is not a directory", folder.display()),
                false => format!("{} does not exist", folder.display()),
            });
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
        let directory = if self.repair { Directory::lock(path) } else { Directory::lock_to_read(path) };
        let mut directory = directory.map_err(|error| error.to_string())?;
        let mut found = directory.partitions().map_err(|error| error.to_string())?;
        if found.is_empty() && !path.join(META_PROPERTIES).exists() {
            return Err(format!("{} is neither a data directory nor a partition's folder", path.display()));
        }
        ottla_wire::types::sort_by(&mut found, |a, b| a.partition.cmp(&b.partition));
        let topics = self.metadata.as_ref().map(|metadata| metadata.topics()).unwrap_or_default();
        let directory_id = directory.meta().map_or(Uuid::ZERO, |meta| meta.directory_id);
        let without_folder = directory.partitions_without_folder(&found);
        if only.is_none() {
            self.report.findings.extend(directory.findings().iter().map(shown));
            self.traces.push(directory.traces());
            self.noted.extend(without_folder.iter().map(|(partition, _)| partition.clone()));
        }
        // First, as what is noted of repaired partitions is written into such files.
        if self.repair && only.is_none() && !directory.findings().is_empty() {
            let kept = directory.repair().map_err(|error| error.to_string())?;
            let done = self.report.repaired.get_or_insert_default();
            done.set_aside.extend(kept);
            let left = directory.findings().iter().filter(|finding| finding.at_start == AtStart::Refuses);
            let left = left.filter(|finding| finding.file == META_PROPERTIES);
            done.left.extend(left.map(|finding| format!("{} is left as it is: {}", finding.file, finding.what)));
        }
        let mut repaired = Vec::new();
        for found in found.iter().filter(|found| only.is_none_or(|only| *only == found.partition)) {
            match found.state {
                PartitionState::Live => {}
                PartitionState::Deleted if only.is_none() => {
                    let file = found.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    let what = "is left of a deleted partition".to_owned();
                    self.report.notes.push(shown(&Finding { file, what, at_start: AtStart::Repairs, lost: None }));
                    continue;
                }
                PartitionState::Deleted | PartitionState::Other => continue,
            }
            let was_compacted = directory.was_compacted(&found.partition);
            let compacted = topics.is_compacted(&found.partition) || was_compacted;
            let at = directory.open_at(&found.partition, topics.id(&found.partition), self.now);
            let known = Known { at, compacted };
            let (verdict, done) = self.partition(directory.disk(), &found.path, &found.partition, known);
            self.highest_producer_id = self.highest_producer_id.max(verdict.highest_producer_id);
            self.found.extend(metadata::folder(found, &verdict, was_compacted, directory_id));
            repaired.extend(done.map(|done| (found.partition.clone(), done)));
        }
        if only.is_none() && !without_folder.is_empty() {
            let log = self.metadata.as_ref().map(|metadata| MetadataLog::read(&metadata.data)).unwrap_or_default();
            for (partition, lost) in without_folder {
                let is_elsewhere = directory.meta().is_some_and(|meta| log.has_elsewhere(&partition, &meta));
                if topics.id(&partition).is_none() || *partition.topic == *topics::METADATA || is_elsewhere {
                    continue;
                }
                let done = self.without_folder(path, &partition, lost);
                repaired.extend(done.map(|done| (partition, done)));
            }
        }
        if !repaired.is_empty() {
            directory.write_checkpoints(&repaired).map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// A partition whose folder is gone. Mended, its log goes on behind the records that are lost.
    fn without_folder(
        &mut self,
        data: &Path,
        partition: &TopicPartition,
        lost: std::ops::Range<i64>,
    ) -> Option<Repaired> {
        let path = data.join(partition.to_string());
        let finding = Finding {
            file: partition.to_string(),
            what: format!("its folder is gone, which was known to have offsets {} to {}", lost.start, lost.end - 1),
            at_start: AtStart::Ignores,
            lost: Some(Loss { first: lost.start, last: Some(lost.end - 1), bytes: 0 }),
        };
        let verdict = Verdict::without_folder(lost.start, finding);
        let mut checked = Checked::new(partition, &path, &verdict);
        let done = self.repair.then(|| Repaired { start: lost.end, end: lost.end, ..Repaired::default() });
        checked.repaired = done.is_some().then(|| ShownRepair {
            start_offset: lost.end,
            end_offset: lost.end,
            set_aside: Vec::new(),
            mended: true,
        });
        self.report.partitions.push(checked);
        done
    }

    /// What only all directories together can tell: whether the metadata log has what the partitions need.
    fn metadata(&mut self, folders: &[PathBuf]) -> Result<(), String> {
        let nothing = self.found.is_empty() && self.metadata.is_none();
        if nothing || folders.iter().all(|folder| metadata::is_partition(folder)) {
            return Ok(());
        }
        let name = format!("{}-0", topics::METADATA);
        let of_log = self.report.partitions.iter().find(|checked| checked.partition == name);
        let damaged = of_log.is_some_and(|checked| checked.forgets.is_some());
        let log = match &self.metadata {
            Some(log) => MetadataLog::read(&log.data),
            None => MetadataLog::missing(folders.iter().find(|folder| folder.is_dir()).ok_or("there is no folder")?),
        };
        let unknown = damaged && self.found.iter().any(|folder| log.salvage.is_unknown(folder));
        let Some(what) =
            log.why_refused().or_else(|| unknown.then(|| "topics of which there are folders are lost".to_owned()))
        else {
            return Ok(());
        };
        let finding = Finding { file: name, what, at_start: AtStart::Refuses, lost: None };
        if !damaged {
            self.report.findings.push(shown(&finding));
        }
        if self.repair {
            let of_log = log.rebuild(folders, &self.found, self.host(), self.highest_producer_id, self.now)?;
            let DirectoryRepair { mut set_aside, mut left, .. } = self.report.repaired.take().unwrap_or_default();
            set_aside.extend(of_log.set_aside);
            left.extend(of_log.left);
            self.report.repaired = Some(DirectoryRepair { set_aside, left, ..of_log });
        }
        Ok(())
    }

    /// What the directories say of the node, but for its number.
    fn host(&self) -> Host {
        let first = self.found.first().map(|folder| folder.directory_id).filter(|id| !id.is_zero());
        let is_only = |id: &Uuid| self.found.iter().all(|folder| folder.directory_id == *id);
        let only_directory = first.filter(|id| is_only(id) && Traces::only_ottla(&self.traces));
        Host { only_directory, had_records: self.noted.clone(), ..Host::default() }
    }

    /// Checks one; what was found, and what its repair came to, if there was one.
    fn partition(
        &mut self,
        disk: &Disk,
        path: &Path,
        partition: &TopicPartition,
        known: Known,
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
        let mut done = None;
        if self.repair && !verdict.findings.is_empty() {
            match repair(disk, path, known, &verdict) {
                Ok(repaired) => {
                    let (recovery_point, log_start) = (repaired.end, known.at.log_start.map(|_| repaired.start));
                    let at = OpenAt { recovery_point, log_start, validated: None, ..known.at };
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
        (verdict, done)
    }
}

/// The partition that a folder is, by its name.
fn partition_of(path: &Path) -> Option<TopicPartition> {
    let (topic, number) = path.file_name()?.to_str()?.rsplit_once('-')?;
    Some(TopicPartition::new(topic, number.parse().ok()?))
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
        err_text!("\r\x1b[K{:.1} MB, {partition}", self.bytes as f64 / 1e6);
    }

    fn clear(&self) {
        if self.shown.is_some() {
            err_text!("\r\x1b[K");
        }
    }
}
