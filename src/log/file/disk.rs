//! Folders, names and small files of a log directory, on a real or simulated disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::OpenLimits;
use super::mapping::{Mapping, MappingCount, faults};
use super::pool::Pool;
use super::simulated::{SimulatedFile, Simulation};

/// Number of pooled descriptors that are closed when the system has none left.
const CLOSED_ON_EXHAUSTION: usize = 16;

/// The way files are read and written, chosen once per log directory; cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    backing: Backing,
    pools: Arc<Pools>,
    /// False: all syncs are skipped.
    has_syncs: bool,
}

/// Pools that the files of all logs share.
#[derive(Debug)]
struct Pools {
    descriptors: Arc<Pool>,
    mappings: Arc<Pool>,
    mapping_count: MappingCount,
}

#[derive(Clone, Debug)]
enum Backing {
    Mapped,
    Plain,
    Simulated(Simulation),
}

impl Disk {
    /// Creates a disk whose records are written with system calls and read through mappings, without copying.
    pub fn mapped() -> Disk {
        Disk::on(Backing::Mapped)
    }

    /// Creates a disk whose records are written and read with system calls.
    pub fn plain() -> Disk {
        Disk::on(Backing::Plain)
    }

    /// Creates a disk in memory.
    pub fn simulated(disk: &Simulation) -> Disk {
        Disk::on(Backing::Simulated(disk.clone()))
    }

    /// Chooses the best backing that the file system under `folder` supports, by trying; returns the reason too if files
    /// can't be mapped. Limits are those of this process. Without the handler of SIGBUS ([`faults::install`]), files are
    /// never mapped.
    pub fn probe(folder: &Path) -> (Disk, Option<io::Error>) {
        match faults::is_installed() {
            true => Disk::probe_with(folder, Mapping::new),
            false => (Disk::plain().with_limits(OpenLimits::of_process()), None),
        }
    }

    /// Like [`Disk::probe`], with a given way to map a file.
    pub(super) fn probe_with(
        folder: &Path,
        map: impl FnOnce(&File, usize) -> io::Result<Mapping>,
    ) -> (Disk, Option<io::Error>) {
        let limits = OpenLimits::of_process();
        match try_mapping(folder, map) {
            Ok(()) => (Disk::mapped().with_limits(limits), None),
            Err(error) => (Disk::plain().with_limits(limits), Some(error)),
        }
    }

    fn on(backing: Backing) -> Disk {
        Disk { backing, pools: Arc::new(Pools::of(OpenLimits::default())), has_syncs: true }
    }

    /// Replaces the limits on open files.
    pub fn with_limits(self, limits: OpenLimits) -> Disk {
        Disk { pools: Arc::new(Pools::of(limits)), ..self }
    }

    /// Skips all syncs, for data that doesn't have to survive the process.
    pub fn without_syncs(self) -> Disk {
        Disk { has_syncs: false, ..self }
    }

    /// Returns whether data files are mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self.backing, Backing::Mapped)
    }

    /// Returns the number of pooled descriptors that are open, and of all mappings.
    pub fn open_now(&self) -> OpenLimits {
        OpenLimits { descriptors: self.pools.descriptors.open(), mappings: self.pools.mapping_count.get() }
    }

    pub(super) fn descriptors(&self) -> &Arc<Pool> {
        &self.pools.descriptors
    }

    pub(super) fn mappings(&self) -> &Arc<Pool> {
        &self.pools.mappings
    }

    pub(super) fn mapping_count(&self) -> &MappingCount {
        &self.pools.mapping_count
    }

    /// Runs `open`; if the system has no descriptors left, closes some pooled ones and tries again.
    fn opening<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match open() {
            Err(error) if is_fd_exhaustion(&error) && self.pools.descriptors.evict(CLOSED_ON_EXHAUSTION) => open(),
            outcome => outcome,
        }
    }

    /// Lists the names in a folder, in no order; `None` if there is no such folder.
    pub(crate) fn list(&self, folder: &Path) -> io::Result<Option<Vec<String>>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.list(folder),
            _ => self.opening(|| list_names(folder)),
        })
    }

    /// Lists the names of the folders in a folder, in no order.
    pub(crate) fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        match &self.backing {
            Backing::Simulated(disk) => disk.list_folders(folder),
            _ => {
                let mut names = Vec::new();
                for entry in self.opening(|| fs::read_dir(folder))? {
                    let entry = entry?;
                    if entry.file_type()?.is_dir() {
                        names.extend(entry.file_name().into_string());
                    }
                }
                Ok(names)
            }
        }
    }

    /// Creates a folder and its parents if they are missing.
    pub(crate) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        match &self.backing {
            Backing::Simulated(disk) => disk.create_folder(folder),
            _ => match fs::create_dir(folder) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir_all(folder),
                outcome => outcome,
            },
        }
    }

    /// Returns a file's length; `None` if there is no such file.
    pub(crate) fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.open(path, false).map(|file| file.len()),
            _ => fs::metadata(path).map(|metadata| metadata.len()),
        })
    }

    /// Returns a file's modification time, in milliseconds since the epoch; 0 if unknown.
    pub(crate) fn modified(&self, path: &Path) -> i64 {
        match &self.backing {
            Backing::Simulated(disk) => disk.modified(path).unwrap_or(0),
            _ => {
                let modified = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                let since_epoch = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
                since_epoch.map_or(0, |duration| duration.as_millis() as i64)
            }
        }
    }

    /// Sets a file's modification time, in milliseconds since the epoch.
    pub(crate) fn set_modified(&self, path: &Path, modified: i64) -> io::Result<()> {
        let since_epoch = std::time::Duration::from_millis(modified.max(0) as u64);
        match &self.backing {
            Backing::Simulated(disk) => disk.set_modified(path, modified),
            _ => OpenOptions::new().write(true).open(path)?.set_modified(std::time::UNIX_EPOCH + since_epoch),
        }
    }

    /// Reads a whole small file; `None` if there is none.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        match &self.backing {
            Backing::Simulated(_) => {
                let Some(file) = self.open_to_read(path)? else { return Ok(None) };
                let mut bytes = vec![0; file.len()? as usize];
                file.read_exact_at(0, &mut bytes)?;
                Ok(Some(bytes))
            }
            _ => found(self.opening(|| fs::read(path))),
        }
    }

    /// Replaces a whole small file atomically: writes a `.tmp` file beside it, then renames that one.
    ///
    /// With `sync` the content is durable before the name changes; syncing the folder is left to the caller.
    pub(crate) fn write_atomic(&self, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        match &self.backing {
            Backing::Simulated(_) => {
                let file = self.open_to_write(&temporary)?;
                file.set_len(0)?;
                file.write_all_at(0, bytes)?;
                if sync && self.has_syncs {
                    file.sync()?;
                }
            }
            _ => {
                let mut file = self.opening(|| File::create(&temporary))?;
                file.write_all(bytes)?;
                if sync && self.has_syncs {
                    file.sync_data()?;
                }
            }
        }
        self.rename(&temporary, path)
    }

    pub(super) fn is_simulated(&self) -> bool {
        matches!(self.backing, Backing::Simulated(_))
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.backing {
            Backing::Simulated(disk) => disk.rename(from, to),
            _ => fs::rename(from, to),
        }
    }

    /// Removes a file; succeeds if there is none.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.remove(path),
            _ => fs::remove_file(path),
        })
        .map(|_| ())
    }

    /// Removes a folder and its content; succeeds if there is none.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.remove_folder(path),
            _ => fs::remove_dir_all(path),
        })
        .map(|_| ())
    }

    /// Makes a file's content and length durable.
    pub(crate) fn sync_file(&self, file: &RawFile) -> io::Result<()> {
        if self.has_syncs { file.sync() } else { Ok(()) }
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match &self.backing {
            _ if !self.has_syncs => Ok(()),
            Backing::Simulated(disk) => disk.sync_folder(folder),
            _ => self.opening(|| File::open(folder))?.sync_all(),
        }
    }

    /// Returns whether the whole file system can be synced at once.
    pub(crate) fn can_sync_filesystem(&self) -> bool {
        cfg!(target_os = "linux") && self.has_syncs && !matches!(self.backing, Backing::Simulated { .. })
    }

    /// Syncs the whole file system of `folder` (syncfs(2)).
    #[cfg(target_os = "linux")]
    pub(crate) fn sync_filesystem(&self, folder: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.opening(|| File::open(folder))?)?)
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sync_filesystem(&self, _folder: &Path) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }

    /// Opens a file for reading; `None` if it doesn't exist.
    pub(crate) fn open_to_read(&self, path: &Path) -> io::Result<Option<RawFile>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.open(path, false).map(RawFile::Simulated),
            _ => self.opening(|| File::open(path)).map(|file| RawFile::System(Arc::new(file))),
        })
    }

    /// Opens a file for reading and writing; creates it if it doesn't exist.
    pub(crate) fn open_to_write(&self, path: &Path) -> io::Result<RawFile> {
        match &self.backing {
            Backing::Simulated(disk) => disk.open(path, true).map(RawFile::Simulated),
            _ => self.open_system(OpenOptions::new().read(true).write(true).create(true).truncate(false), path),
        }
    }

    /// Opens an existing file for reading and writing.
    pub(super) fn open_existing_to_write(&self, path: &Path) -> io::Result<RawFile> {
        match &self.backing {
            Backing::Simulated(disk) => disk.open(path, false).map(RawFile::Simulated),
            _ => self.open_system(OpenOptions::new().read(true).write(true), path),
        }
    }

    fn open_system(&self, options: &OpenOptions, path: &Path) -> io::Result<RawFile> {
        Ok(RawFile::System(Arc::new(self.opening(|| options.open(path))?)))
    }
}

impl Pools {
    fn of(limits: OpenLimits) -> Pools {
        Pools {
            descriptors: Arc::new(Pool::new(limits.descriptors)),
            mappings: Arc::new(Pool::new(limits.mappings)),
            mapping_count: MappingCount::with_limit(limits.mappings.saturating_mul(3)),
        }
    }
}

/// Returns whether the process or the system has no descriptors left: not a fault of the disk, and temporary.
pub(crate) fn is_fd_exhaustion(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(rustix::io::Errno::from_raw_os_error);
    matches!(code, Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE))
}

/// An open file that is read and written at positions; clones share it.
#[derive(Clone, Debug)]
pub(crate) enum RawFile {
    System(Arc<File>),
    Simulated(SimulatedFile),
}

impl RawFile {
    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            RawFile::System(file) => Ok(file.metadata()?.len()),
            RawFile::Simulated(file) => Ok(file.len()),
        }
    }

    /// Like [`RawFile::len`], with the cheapest system call, for frequent checks.
    pub(crate) fn end(&self) -> io::Result<u64> {
        match self {
            // This moves the file position, which is not used: reads and writes are positioned.
            RawFile::System(file) => Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?),
            RawFile::Simulated(file) => Ok(file.len()),
        }
    }

    /// Returns whether the file has no name any more: it was removed or replaced.
    pub(crate) fn is_removed(&self) -> io::Result<bool> {
        match self {
            RawFile::System(file) => Ok(file.metadata()?.nlink() == 0),
            RawFile::Simulated(_) => Ok(false),
        }
    }

    /// Reads from `position` on until `into` is full or the file ends; returns the number of bytes.
    pub(crate) fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            let at = position + filled as u64;
            let read = match self {
                RawFile::System(file) => file.read_at(&mut into[filled..], at),
                RawFile::Simulated(file) => file.read_at(at, &mut into[filled..]),
            };
            match read {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    pub(crate) fn read_exact_at(&self, position: u64, into: &mut [u8]) -> io::Result<()> {
        match self.read_at(position, into)? {
            read if read == into.len() => Ok(()),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    pub(crate) fn write_all_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_parts_at(position, bytes, &[])
    }

    /// Writes two parts one behind the other: in one system call unless the system writes only a part.
    pub(crate) fn write_parts_at(&self, position: u64, head: &[u8], body: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < head.len() + body.len() {
            let head_left = head.get(written..).unwrap_or_default();
            let body_left = body.get(written.saturating_sub(head.len())..).unwrap_or_default();
            match self.write_some_at(position + written as u64, head_left, body_left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(some) => written += some,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write_some_at(&self, position: u64, head: &[u8], body: &[u8]) -> io::Result<usize> {
        match self {
            RawFile::System(file) => {
                Ok(rustix::io::pwritev(file, &[IoSlice::new(head), IoSlice::new(body)], position)?)
            }
            RawFile::Simulated(file) => file.write_at(position, head, body),
        }
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        match self {
            RawFile::System(file) => file.set_len(len),
            RawFile::Simulated(file) => file.set_len(len),
        }
    }

    /// Reserves disk space up to `len` without changing the file's length. Only an optimization: after an error the file
    /// grows as it is written.
    pub(crate) fn reserve(&self, len: u64) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            RawFile::System(file) => {
                let reserved = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len);
                if reserved.is_err() {
                    // A part may have been reserved, on a disk that is nearly full.
                    self.free_reserved()?;
                }
                Ok(reserved?)
            }
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Frees reserved disk space behind the file's end.
    pub(crate) fn free_reserved(&self) -> io::Result<()> {
        self.set_len(self.len()?)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        match self {
            RawFile::System(file) => file.sync_data(),
            RawFile::Simulated(file) => file.sync(),
        }
    }

    /// Returns the system's file, for mapping it; `None` on a simulated disk.
    pub(super) fn system(&self) -> Option<&File> {
        match self {
            RawFile::System(file) => Some(file),
            RawFile::Simulated(_) => None,
        }
    }
}

fn list_names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        // A name that isn't UTF-8 is neither Kafka's nor ours.
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn found<T>(outcome: io::Result<T>) -> io::Result<Option<T>> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Checks with a scratch file that a mapping shows what is written to the file afterwards.
fn try_mapping(folder: &Path, map: impl FnOnce(&File, usize) -> io::Result<Mapping>) -> io::Result<()> {
    let path = folder.join(".mapping-probe");
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path)?;
    let outcome = (|| {
        file.write_all_at(b"written", 0)?;
        let mapping = map(&file, 1 << 20)?;
        let before = mapping.slice(0, 7, 7).is_some_and(|bytes| bytes == b"written"[..]);
        file.write_all_at(&[7; 10_000], 7)?;
        let after = mapping.slice(0, 10_007, 10_007);
        let after = after.is_some_and(|bytes| bytes[..7] == b"written"[..] && bytes[7..] == [7; 10_000]);
        if before && after { Ok(()) } else { Err(io::Error::other("a mapping doesn't show what is written")) }
    })();
    fs::remove_file(&path)?;
    outcome
}
