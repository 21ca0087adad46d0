//! The choice of the directory among `log.dirs`. Nothing is changed here, so a refused start leaves no trace.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::IoContext;
use super::log_dir::{METADATA_FOLDER, PartitionState, partitions_of};
use super::meta_properties::META_PROPERTIES;
use super::{Disk, LogDirError, LogError};
use ottla_wire::types::sort_by;

/// The number of partitions of a directory that a message names.
const SHOWN_PARTITIONS: usize = 3;

/// The directories that a broker uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    /// The directory of the partitions.
    pub data: PathBuf,
    /// The directory of the metadata log, if it is another one.
    pub metadata: Option<PathBuf>,
    /// Messages about the choice for the operator.
    pub notices: Vec<String>,
}

/// The content of one directory.
#[derive(Clone, Debug, Default)]
struct Contents {
    path: PathBuf,
    formatted: bool,
    has_metadata_log: bool,
    /// Partitions, without the metadata log.
    partitions: Vec<String>,
}

/// Chooses the directories to use. At most one of `log_dirs` may hold partitions; `metadata_dir` is `metadata.log.dir`.
///
/// As in Kafka, a new metadata log is in `metadata.log.dir` or else in the first of `log.dirs`. An existing one is used
/// in any of these directories.
///
/// # Errors
/// If more than one directory holds data, or if a directory has data but no `meta.properties`.
pub fn choose(log_dirs: &[PathBuf], metadata_dir: Option<&Path>) -> Result<Directories, LogDirError> {
    let found = log_dirs.iter().map(|path| Contents::of(path, log_dirs.len() > 1)).collect::<Result<Vec<_>, _>>()?;
    let explicit = metadata_dir.map(|path| Contents::of(path, true)).transpose()?;
    let explicit = explicit.filter(|explicit| !found.iter().any(|dir| is_same(&dir.path, &explicit.path)));
    let named = |dir: &Contents| metadata_dir.is_some_and(|named| is_same(named, &dir.path));
    // Like Kafka, ignore other metadata logs if `metadata.log.dir` has one.
    let is_explicit = explicit.iter().chain(&found).any(|dir| named(dir) && dir.has_metadata_log);
    let counts = |dir: &&Contents| dir.has_metadata_log && (!is_explicit || named(dir));
    let with_metadata: Vec<&Contents> = explicit.iter().chain(&found).filter(counts).collect();
    let with_data: Vec<&Contents> = found.iter().filter(|dir| !dir.partitions.is_empty()).collect();
    if with_data.len() > 1 || with_metadata.len() > 1 {
        let holds_data =
            |dir: &&Contents| !dir.partitions.is_empty() || with_metadata.iter().any(|it| it.path == dir.path);
        let all: Vec<&Contents> = explicit.iter().chain(&found).filter(holds_data).collect();
        return Err(multiple_with_data(&all, with_metadata.first().copied()));
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
            "log.dirs names {} directories and one is used: {}. Nothing is stored in {}",
            found.len(),
            data.path.display(),
            unused.join(", ")
        ));
    }
    if let Some(named) = metadata_dir.filter(|named| !is_same(named, &metadata.path)) {
        notices.push(format!(
            "metadata.log.dir names {}, which has no metadata log; the one in {} is used",
            named.display(),
            metadata.path.display()
        ));
    }
    let elsewhere = !is_same(&data.path, &metadata.path);
    Ok(Directories { data: data.path.clone(), metadata: elsewhere.then(|| metadata.path.clone()), notices })
}

/// Whether two paths name the same folder, which may not exist yet.
fn is_same(a: &Path, b: &Path) -> bool {
    let resolved = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path)).ok();
    a == b || resolved(a).is_some_and(|a| resolved(b).is_some_and(|b| a == b))
}

fn multiple_with_data(holding: &[&Contents], metadata: Option<&Contents>) -> LogDirError {
    let target = metadata.or(holding.first().copied());
    LogDirError::MultipleWithData {
        found: holding.iter().map(|dir| dir.describe()).collect::<Vec<_>>().join("; "),
        target: target.map(|dir| dir.path.clone()).unwrap_or_default(),
    }
}

impl Contents {
    /// Reads a directory. Its partitions are listed only if it isn't the only directory or isn't formatted.
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

    /// Fails if the directory has data but no `meta.properties`.
    pub(super) fn check_identity(&self) -> Result<(), LogDirError> {
        match self.formatted || (self.partitions.is_empty() && !self.has_metadata_log) {
            true => Ok(()),
            false => Err(LogDirError::NoMetaProperties { path: self.path.clone(), holds: self.holds() }),
        }
    }

    fn describe(&self) -> String {
        format!("{} holds {}", self.path.display(), self.holds())
    }

    /// Describes the content in words, with the names of some partitions.
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

/// Fails if `path` has data but no `meta.properties`.
pub(super) fn check_identity(path: &Path) -> Result<(), LogDirError> {
    Contents::of(path, false)?.check_identity()
}

/// Fails if the path is a file or a dangling link.
fn check_folder(path: &Path) -> Result<(), LogDirError> {
    let is_folder = match fs::metadata(path) {
        Ok(found) => found.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => match fs::read_link(path) {
            Ok(target) => return Err(LogDirError::DanglingLink { path: path.to_path_buf(), target }),
            Err(_) => true,
        },
        Err(error) if error.kind() == ErrorKind::NotADirectory => true,
        Err(error) => return Err(LogError::io("reading the attributes of", path, error).into()),
    };
    match is_folder {
        true => Ok(()),
        false => Err(LogDirError::NotADirectory { path: path.to_path_buf() }),
    }
}

/// Whether the folder has segments or a snapshot of a metadata log.
fn has_metadata(folder: &Path) -> Result<bool, LogError> {
    let names = Disk::plain().list(folder).doing("listing", folder)?.unwrap_or_default();
    Ok(names.iter().any(|name| name.ends_with(".log") || name.ends_with(".checkpoint")))
}
