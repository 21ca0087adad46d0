//! Folders, names and small files of a log directory, on the real disk or a simulated one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IoSlice, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::limits::OpenLimits;
use super::mapping::{Mapped, Mapping, faults};
use super::pool::Pool;
use super::simulated::{SimulatedFile, Simulation};

/// How many descriptors are taken from files in use when the system has no more.
const GIVEN_UP_AT_ONCE: usize = 16;

/// How files are read and written, chosen once per log directory; cheap to clone.
#[derive(Clone, Debug)]
pub struct Disk {
    backing: Backing,
    pools: Arc<Pools>,
}

/// What the files of all logs share.
#[derive(Debug)]
struct Pools {
    descriptors: Arc<Pool>,
    mappings: Arc<Pool>,
    mapped: Mapped,
}

#[derive(Clone, Debug)]
enum Backing {
    Mapped,
    Plain,
    Simulated(Simulation),
}

impl Disk {
    /// Records are written with system calls and read through mappings, without copying them.
    pub fn mapped() -> Disk {
        Disk::on(Backing::Mapped)
    }

    /// Records are written and read with system calls.
    pub fn plain() -> Disk {
        Disk::on(Backing::Plain)
    }

    /// Everything stays in memory.
    pub fn simulated(disk: &Simulation) -> Disk {
        Disk::on(Backing::Simulated(disk.clone()))
    }

    /// The best backing that the file system under `folder` allows, found by trying; why not the best, if so. It keeps
    /// as much open as this process may. Nothing is mapped in a process that would not outlive a fault in a mapping
    /// ([`faults::install`]).
    pub fn probe(folder: &Path) -> (Disk, Option<io::Error>) {
        match faults::is_installed() {
            true => Disk::probe_with(folder, Mapping::new),
            false => (Disk::plain().with_limits(OpenLimits::of_process()), None),
        }
    }

    /// As [`Disk::probe`], with another way to map a file.
    pub(super) fn probe_with(
        folder: &Path,
        map: impl FnOnce(&File, usize) -> io::Result<Mapping>,
    ) -> (Disk, Option<io::Error>) {
        let limits = OpenLimits::of_process();
        match try_mapping(folder, map) {
            Ok(()) => (Disk::mapped().with_limits(limits), None),
            Err(why) => (Disk::plain().with_limits(limits), Some(why)),
        }
    }

    fn on(backing: Backing) -> Disk {
        Disk { backing, pools: Arc::new(Pools::of(OpenLimits::default())) }
    }

    /// The same files, of which so many are kept open.
    pub fn with_limits(self, limits: OpenLimits) -> Disk {
        Disk { pools: Arc::new(Pools::of(limits)), ..self }
    }

    /// Whether data files are mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self.backing, Backing::Mapped)
    }

    /// Descriptors that are kept open, and mappings that there are.
    pub fn open_now(&self) -> OpenLimits {
        OpenLimits { descriptors: self.pools.descriptors.open(), mappings: self.pools.mapped.count() }
    }

    pub(super) fn descriptors(&self) -> &Arc<Pool> {
        &self.pools.descriptors
    }

    pub(super) fn mappings(&self) -> &Arc<Pool> {
        &self.pools.mappings
    }

    pub(super) fn mapped_now(&self) -> &Mapped {
        &self.pools.mapped
    }

    /// Opens something; if the system has no descriptors left, with some that were kept.
    fn opening<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        match open() {
            Err(error) if ran_out(&error) && self.pools.descriptors.give_up(GIVEN_UP_AT_ONCE) => open(),
            outcome => outcome,
        }
    }

    /// Names in a folder, in no order; `None` if there is no such folder.
    pub(crate) fn list(&self, folder: &Path) -> io::Result<Option<Vec<String>>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.list(folder),
            _ => self.opening(|| list_names(folder)),
        })
    }

    /// Names of the folders in a folder, in no order.
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

    /// Creates a folder and those above it, if they are missing.
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

    /// A file's length; `None` if there is no such file.
    pub(crate) fn len(&self, path: &Path) -> io::Result<Option<u64>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.open(path, false).map(|file| file.len()),
            _ => fs::metadata(path).map(|metadata| metadata.len()),
        })
    }

    /// When a file was last written, in milliseconds since the epoch; 0 if unknown.
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

    /// Says that a file was last written at `modified`, in milliseconds since the epoch.
    pub(crate) fn set_modified(&self, path: &Path, modified: i64) -> io::Result<()> {
        let since_epoch = std::time::Duration::from_millis(modified.max(0) as u64);
        match &self.backing {
            Backing::Simulated(disk) => disk.set_modified(path, modified),
            _ => OpenOptions::new().write(true).open(path)?.set_modified(std::time::UNIX_EPOCH + since_epoch),
        }
    }

    /// A whole small file; `None` if there is none.
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

    /// Writes a whole small file so that it has either its old content or its new one: aside, then renamed.
    ///
    /// With `sync` the content is durable before the name changes; the folder is the caller's to sync.
    pub(crate) fn write_aside(&self, path: &Path, bytes: &[u8], sync: bool) -> io::Result<()> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        match &self.backing {
            Backing::Simulated(_) => {
                let file = self.open_to_write(&aside)?;
                file.set_len(0)?;
                file.write_all_at(0, bytes)?;
                if sync {
                    file.sync()?;
                }
            }
            _ => {
                let mut file = self.opening(|| File::create(&aside))?;
                file.write_all(bytes)?;
                if sync {
                    file.sync_data()?;
                }
            }
        }
        self.rename(&aside, path)
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match &self.backing {
            Backing::Simulated(disk) => disk.rename(from, to),
            _ => fs::rename(from, to),
        }
    }

    /// Removes a file; that it is gone already is no error.
    pub(crate) fn remove(&self, path: &Path) -> io::Result<()> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.remove(path),
            _ => fs::remove_file(path),
        })
        .map(|_| ())
    }

    /// Removes a folder and what is in it; that it is gone already is no error.
    pub(crate) fn remove_folder(&self, path: &Path) -> io::Result<()> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.remove_folder(path),
            _ => fs::remove_dir_all(path),
        })
        .map(|_| ())
    }

    /// Makes the names in a folder durable.
    pub(crate) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match &self.backing {
            Backing::Simulated(disk) => disk.sync_folder(folder),
            _ => self.opening(|| File::open(folder))?.sync_all(),
        }
    }

    /// Whether everything on the file system can be synced at once.
    pub(crate) fn can_sync_filesystem(&self) -> bool {
        !matches!(self.backing, Backing::Simulated { .. })
    }

    /// Syncs all of the file system that `folder` is on (syncfs(2)).
    pub(crate) fn sync_filesystem(&self, folder: &Path) -> io::Result<()> {
        Ok(rustix::fs::syncfs(self.opening(|| File::open(folder))?)?)
    }

    /// Opens a file for reading; `None` if there is none.
    pub(crate) fn open_to_read(&self, path: &Path) -> io::Result<Option<RawFile>> {
        found(match &self.backing {
            Backing::Simulated(disk) => disk.open(path, false).map(RawFile::Simulated),
            _ => self.opening(|| File::open(path)).map(|file| RawFile::System(Arc::new(file))),
        })
    }

    /// Opens a file for reading and writing, creating it if there is none.
    pub(crate) fn open_to_write(&self, path: &Path) -> io::Result<RawFile> {
        match &self.backing {
            Backing::Simulated(disk) => disk.open(path, true).map(RawFile::Simulated),
            _ => self.open_system(OpenOptions::new().read(true).write(true).create(true).truncate(false), path),
        }
    }

    /// Opens a file for reading and writing that was there before.
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
            mapped: Mapped::at_most(limits.mappings.saturating_mul(3)),
        }
    }
}

/// Whether the process or the system has no descriptors left: no fault of the disk, and over when others are closed.
pub(crate) fn ran_out(error: &io::Error) -> bool {
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

    /// As [`RawFile::len`], for often: the cheapest system call that tells.
    pub(crate) fn end(&self) -> io::Result<u64> {
        match self {
            // Nobody uses the position that this moves.
            RawFile::System(file) => Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?),
            RawFile::Simulated(file) => Ok(file.len()),
        }
    }

    /// Whether the file has no name any more: it was removed, or another one was put in its place.
    pub(crate) fn is_removed(&self) -> io::Result<bool> {
        match self {
            RawFile::System(file) => Ok(file.metadata()?.nlink() == 0),
            RawFile::Simulated(_) => Ok(false),
        }
    }

    /// Fills as much of `into` as the file has from `position` on; returns how much.
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

    /// Writes two parts as one: in one system call, if the system takes all of it at once.
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

    /// Asks the file system for room up to `len` without changing the length. It is a wish: an error means that the
    /// file grows as it is written.
    pub(crate) fn reserve(&self, len: u64) -> io::Result<()> {
        match self {
            #[cfg(target_os = "linux")]
            RawFile::System(file) => {
                let reserved = rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, len);
                if reserved.is_err() {
                    // A part of the room may have been found, which others need now.
                    self.give_back()?;
                }
                Ok(reserved?)
            }
            _ => Err(ErrorKind::Unsupported.into()),
        }
    }

    /// Gives back the room behind the end.
    pub(crate) fn give_back(&self) -> io::Result<()> {
        self.set_len(self.len()?)
    }

    /// Makes content and length durable, stores through mappings included.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match self {
            RawFile::System(file) => file.sync_data(),
            RawFile::Simulated(file) => file.sync(),
        }
    }

    /// The file for mapping it; only a real one has one.
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

/// Does once, in a scratch file, what a mapped data file does: what is written has to be seen in a mapping that
/// was made before.
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
