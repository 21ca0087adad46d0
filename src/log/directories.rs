//! What the directories that settings name hold, and which of them a broker is to use. Nothing is changed here: a
//! refused start leaves everything as it was.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::IoContext;
use super::log_dir::{METADATA_FOLDER, PartitionState, partitions_of};
use super::meta_properties::META_PROPERTIES;
use super::{Disk, LogDirError, LogError};
use ottla_wire::types::sort_by;

/// How many partitions of a directory are named.
const SHOWN_PARTITIONS: usize = 3;

/// The directories that a broker uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// Where partitions are.
    pub data: PathBuf,
    /// Where the metadata log is, if not there as well.
    pub metadata: Option<PathBuf>,
    /// What there is to say of the choice, a line each.
    pub notices: Vec<String>,
}

/// What one directory holds.
#[derive(Clone, Debug, Default)]
struct Contents {
    path: PathBuf,
    formatted: bool,
    has_metadata_log: bool,
    /// Folders of partitions other than the metadata log's.
    partitions: Vec<String>,
}

/// Chooses among `log.dirs`, of which one at most may hold partitions; `metadata_dir` is `metadata.log.dir`.
///
/// As in Kafka the metadata log lies in `metadata.log.dir` or else in the first of `log.dirs`; where it is in another of
/// these, it is used there.
///
/// # Errors
/// When more than one directory holds data, and when one holds data that belongs to nobody.
pub fn choose(log_dirs: &[PathBuf], metadata_dir: Option<&Path>) -> Result<Directories, LogDirError> {
    let found = log_dirs.iter().map(|path| Contents::of(path, log_dirs.len() > 1)).collect::<Result<Vec<_>, _>>()?;
    let explicit = metadata_dir.map(|path| Contents::of(path, true)).transpose()?;
    let explicit = explicit.filter(|explicit| !found.iter().any(|dir| is_same(&dir.path, &explicit.path)));
    let named = |dir: &Contents| metadata_dir.is_some_and(|named| is_same(named, &dir.path));
    // Kafka looks nowhere else where `metadata.log.dir` has one.
    let decided = explicit.iter().chain(&found).any(|dir| named(dir) && dir.has_metadata_log);
    let counts = |dir: &&Contents| dir.has_metadata_log && (!decided || named(dir));
    let with_metadata: Vec<&Contents> = explicit.iter().chain(&found).filter(counts).collect();
    let with_data: Vec<&Contents> = found.iter().filter(|dir| !dir.partitions.is_empty()).collect();
    if with_data.len() > 1 || with_metadata.len() > 1 {
        let holds_data =
            |dir: &&Contents| !dir.partitions.is_empty() || with_metadata.iter().any(|it| it.path == dir.path);
        let all: Vec<&Contents> = explicit.iter().chain(&found).filter(holds_data).collect();
        return Err(several(&all, with_metadata.first().copied()));
    }
    let first = found.iter().find(|dir| dir.formatted).or(found.first());
    let data = with_data
        .first()
        .copied()
        .or(with_metadata.first().copied().filter(|it| found.iter().any(|dir| dir.path == it.path)));
    let Some(data) = data.or(first) else { return Err(LogDirError::NoDirectory) };
    let metadata =
        with_metadata.first().copied().or(explicit.as_ref()).or(found.iter().find(|dir| named(dir))).unwrap_or(data);
    for dir in [data, metadata] {
        dir.check_identity()?;
    }
    let mut notices = Vec::new();
    let unused: Vec<String> =
        found.iter().filter(|dir| dir.path != data.path).map(|dir| dir.path.display().to_string()).collect();
    if !unused.is_empty() {
        notices.push(format!(
            "log.dirs names {} directories and one is used: {}. Nothing is kept in {}",
            found.len(),
            data.path.display(),
            unused.join(", ")
        ));
    }
    if let Some(named) = metadata_dir.filter(|named| !is_same(named, &metadata.path)) {
        notices.push(format!(
            "metadata.log.dir names {}, which has no metadata log; that of {} is used",
            named.display(),
            metadata.path.display()
        ));
    }
    let elsewhere = !is_same(&data.path, &metadata.path);
    Ok(Directories { data: data.path.clone(), metadata: elsewhere.then(|| metadata.path.clone()), notices })
}

/// Whether two paths name one folder, which may not be there yet.
fn is_same(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    a == b || resolved(a).is_some_and(|a| resolved(b).is_some_and(|b| a == b))
}

fn several(holding: &[&Contents], metadata: Option<&Contents>) -> LogDirError {
    let target = metadata.or(holding.first().copied());
    LogDirError::MultipleWithData {
        found: holding.iter().map(|dir| dir.describe()).collect::<Vec<_>>().join("; "),
        target: target.map(|dir| dir.path.clone()).unwrap_or_default(),
    }
}

impl Contents {
    /// Partitions are looked for only if the directory isn't the only one, or isn't formatted.
    fn of(path: &Path, one_of_many: bool) -> Result<Contents, LogDirError> {
        check_folder(path)?;
        if !path.exists() {
            return Ok(Contents { path: path.to_path_buf(), ..Contents::default() });
        }
        let metadata = path.join(METADATA_FOLDER);
        let formatted = path.join(META_PROPERTIES).exists();
        let folders = if one_of_many || !formatted { partitions_of(&Disk::plain(), path)? } else { Vec::new() };
        let live = folders.into_iter().filter(|found| found.state == PartitionState::Live && found.path != metadata);
        let mut partitions: Vec<String> = live.map(|found| found.partition.to_string()).collect();
        sort_by(&mut partitions, String::cmp);
        Ok(Contents { path: path.to_path_buf(), formatted, has_metadata_log: has_metadata(&metadata)?, partitions })
    }

    /// Refuses data of which nobody can tell whose it is.
    pub(super) fn check_identity(&self) -> Result<(), LogDirError> {
        match self.formatted || (self.partitions.is_empty() && !self.has_metadata_log) {
            true => Ok(()),
            false => Err(LogDirError::NoMetaProperties { path: self.path.clone(), holds: self.holds() }),
        }
    }

    fn describe(&self) -> String {
        format!("{} holds {}", self.path.display(), self.holds())
    }

    /// In words, without the names of all partitions.
    fn holds(&self) -> String {
        let (count, named) = (self.partitions.len(), self.partitions.iter().take(SHOWN_PARTITIONS));
        let more = if count > SHOWN_PARTITIONS { ", …" } else { "" };
        let names = named.map(String::as_str).collect::<Vec<_>>().join(", ");
        let plural = if count == 1 { "" } else { "s" };
        match (count, self.has_metadata_log) {
            (0, _) => "the metadata log".to_owned(),
            (_, true) => format!("the metadata log and {count} partition{plural} ({names}{more})"),
            (_, false) => format!("{count} partition{plural} ({names}{more})"),
        }
    }
}

/// Refuses data in `path` that has no `meta.properties`.
pub(super) fn check_identity(path: &Path) -> Result<(), LogDirError> {
    Contents::of(path, false)?.check_identity()
}

/// Refuses a path that names something else than a folder, or something that is not there to be made.
fn check_folder(path: &Path) -> Result<(), LogDirError> {
    let is_folder = match fs::metadata(path) {
        Ok(found) => found.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => return Err(LogDirError::DanglingLink { path: path.to_path_buf(), target }),
            Err(_) => true,
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => true,
        Err(error) => return Err(LogError::io("looking at", path, error).into()),
    };
    match is_folder {
        true => Ok(()),
        false => Err(LogDirError::NotADirectory { path: path.to_path_buf() }),
    }
}

/// Whether the folder has records or a snapshot of a metadata log.
fn has_metadata(folder: &Path) -> Result<bool, LogError> {
    let names = Disk::plain().list(folder).doing("listing", folder)?.unwrap_or_default();
    Ok(names.iter().any(|name| name.ends_with(".log") || name.ends_with(".checkpoint")))
}
