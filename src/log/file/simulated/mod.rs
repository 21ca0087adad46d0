//! A disk in memory for tests: unsynced changes may be lost, and any operation can be made to fail.

mod contents;
mod names;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use contents::Contents;
use names::Names;

/// A disk in memory that distinguishes synced from unsynced changes.
///
/// To simulate a killed process, drop a log and open it again; [`Simulation::power_loss`] returns the disk as a machine
/// finds it after a power loss.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
}

/// A kind of operation on a simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOp {
    /// Listing a folder, opening a file, getting its length.
    Lookup,
    Read,
    Write,
    /// Creating, renaming, removing; changing a file's length.
    Change,
    Sync,
}

/// A fault of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error. Half of a write may have been done.
    Error,
    /// A short read or write. Not an error: callers must handle it.
    Short,
    /// No space is left on the device. Half of a write may have been done.
    NoSpace,
    /// A sync fails and its dirty pages become clean without having been written, as on ext4: they can be read until
    /// the power is lost, and the next sync succeeds without writing them.
    SyncDropsDirtyPages,
    /// A sync fails and its dirty pages are discarded: the file reads as it is on disk.
    SyncReverts,
    /// The process has no descriptors left for a lookup.
    NoDescriptors,
}

/// Chooses the fault of each operation, if any.
type FaultInjector = Box<dyn FnMut(DiskOp) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    files: Vec<Contents>,
    names: Names,
    syncs: u64,
    changes: u64,
    /// The machine stops at this sync.
    crash_at_sync: Option<u64>,
    /// Every change of the disk fails from this number of changes on.
    fail_at_change: Option<u64>,
    injector: Option<FaultInjector>,
    /// The modification time of files that are written.
    now_ms: i64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} files, {} syncs, {} changes", self.files.len(), self.syncs, self.changes)
    }
}

impl Simulation {
    /// Returns the number of syncs of files and folders so far.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// Returns the number of operations that have changed the disk.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// Makes the `n`th sync (counted from 1) and every later change fail, as if the machine stopped there.
    pub fn crash_at_sync(&self, n: u64) {
        self.state.lock().crash_at_sync = Some(n);
    }

    /// Makes every change of the disk fail after `n` more; `None` ends that.
    pub fn fail_after_changes(&self, n: Option<u64>) {
        let mut state = self.state.lock();
        state.fail_at_change = n.map(|n| state.changes + n);
    }

    /// Injects the faults that `injector` chooses, from now on.
    pub fn inject_faults(&self, injector: impl FnMut(DiskOp) -> Option<Fault> + Send + 'static) {
        self.state.lock().injector = Some(Box::new(injector));
    }

    /// Ends [`Simulation::inject_faults`].
    pub fn clear_faults(&self) {
        self.state.lock().injector = None;
    }

    /// Sets the modification time of files written from now on, in milliseconds since the epoch.
    pub fn set_time(&self, now_ms: i64) {
        self.state.lock().now_ms = now_ms;
    }

    /// Returns the disk after a power loss: synced pages and names, and a random part of the unsynced ones.
    ///
    /// `random` yields random numbers; changes of names survive in order, as in a journal.
    pub fn power_loss(&self, random: &mut dyn FnMut() -> u64) -> Simulation {
        let state = self.state.lock();
        let names = state.names.after_power_loss(random);
        let survives = |(at, file): (usize, &Contents)| match names.refers_to(at) {
            true => file.after_power_loss(random),
            false => Contents::default(),
        };
        let files = state.files.iter().enumerate().map(survives).collect();
        let survivor = State { files, names, now_ms: state.now_ms, ..State::default() };
        Simulation { state: Arc::new(Mutex::new(survivor)) }
    }

    /// Creates a file durably, with its parent folders, as if it had been on the disk before.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock();
        if let Some(folder) = path.parent() {
            state.names.create_folder(folder);
        }
        let file = state.files.len();
        let mut contents = Contents::default();
        contents.corrupt(|content| content.extend_from_slice(bytes));
        state.files.push(contents);
        state.names.put(path, file);
    }

    /// Changes a file's bytes in the page cache and on disk, without counting it as an operation.
    pub fn corrupt(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if let Some(file) = state.names.get(path) {
            state.files[file].corrupt(change);
        }
    }

    /// Returns a hash of all names and contents.
    pub fn digest(&self) -> u64 {
        let state = self.state.lock();
        let mut hasher = DefaultHasher::new();
        for path in state.names.all() {
            let contents = state.names.get(&path).map(|file| state.files[file].bytes());
            (path, contents).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Lists all files.
    pub fn all_files(&self) -> Vec<PathBuf> {
        self.state.lock().names.all()
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.lookup()?;
        state.names.list(folder).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.lookup()?;
        Ok(state.names.list_folders(folder))
    }

    /// Creates a folder, durably at once: the broker derives folders from metadata anyway.
    pub(super) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(DiskOp::Change)?;
        state.names.create_folder(folder);
        Ok(())
    }

    pub(super) fn open(&self, path: &Path, create: bool) -> io::Result<SimulatedFile> {
        let mut state = self.state.lock();
        state.lookup()?;
        let file = match state.names.get(path) {
            Some(file) => file,
            None if create => {
                if !path.parent().is_some_and(|folder| state.names.is_folder(folder)) {
                    return Err(ErrorKind::NotFound.into());
                }
                state.change(DiskOp::Change)?;
                let file = state.files.len();
                let contents = Contents::created(state.now_ms);
                state.files.push(contents);
                state.names.create(path, file);
                file
            }
            None => return Err(ErrorKind::NotFound.into()),
        };
        Ok(SimulatedFile { disk: self.clone(), file })
    }

    /// Returns a file's modification time; `None` if there is no such file.
    pub(super) fn modified(&self, path: &Path) -> Option<i64> {
        let state = self.state.lock();
        Some(state.files[state.names.get(path)?].modified_ms)
    }

    pub(super) fn set_modified(&self, path: &Path, modified_ms: i64) -> io::Result<()> {
        let mut state = self.state.lock();
        let file = state.names.get(path).ok_or(ErrorKind::NotFound)?;
        state.files[file].modified_ms = modified_ms;
        Ok(())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(DiskOp::Change)?;
        if state.names.rename(from, to) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(DiskOp::Change)?;
        if state.names.remove(path) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(DiskOp::Change)?;
        if state.names.remove_folder(folder) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.sync()? {
            None => state.names.sync(folder),
            // A journal that couldn't be written is tried again: unsynced names stay unsynced.
            Some(_) => return Err(io_fault()),
        }
        Ok(())
    }
}

impl State {
    fn fault_of(&mut self, op: DiskOp) -> Option<Fault> {
        self.injector.as_mut().and_then(|injector| injector(op))
    }

    fn lookup(&mut self) -> io::Result<()> {
        match self.fault_of(DiskOp::Lookup) {
            None => Ok(()),
            Some(Fault::NoDescriptors) => Err(rustix::io::Errno::MFILE.into()),
            Some(_) => Err(io_fault()),
        }
    }

    /// Counts a change; fails if it can't be made. Faults of syncs and short writes are returned, for the caller to apply.
    fn change(&mut self, op: DiskOp) -> io::Result<Option<Fault>> {
        if self.crash_at_sync.is_some_and(|n| self.syncs >= n) {
            return Err(io::Error::other("the simulated machine has stopped"));
        }
        if self.fail_at_change.is_some_and(|n| self.changes >= n) {
            return Err(io_fault());
        }
        self.changes += 1;
        match self.fault_of(op) {
            Some(Fault::NoSpace) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Short) if op == DiskOp::Write => Ok(Some(Fault::Short)),
            Some(fault) if op == DiskOp::Sync => Ok(Some(fault)),
            Some(Fault::Short) | None => Ok(None),
            Some(_) => Err(io_fault()),
        }
    }

    /// Counts a sync; returns its fault, if the machine hasn't stopped.
    fn sync(&mut self) -> io::Result<Option<Fault>> {
        if self.crash_at_sync == Some(self.syncs + 1) {
            self.syncs += 1;
        }
        let outcome = self.change(DiskOp::Sync)?;
        self.syncs += 1;
        Ok(outcome)
    }
}

fn io_fault() -> io::Error {
    io::Error::other("a simulated fault")
}

/// An open file of a [`Simulation`].
#[derive(Clone, Debug)]
pub(crate) struct SimulatedFile {
    disk: Simulation,
    file: usize,
}

impl SimulatedFile {
    pub(super) fn len(&self) -> u64 {
        self.disk.state.lock().files[self.file].len()
    }

    /// Reads up to `into.len()` bytes, like pread(2).
    pub(super) fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let len = match state.fault_of(DiskOp::Read) {
            Some(Fault::Short) => into.len().div_ceil(2),
            Some(_) => return Err(io_fault()),
            None => into.len(),
        };
        Ok(state.files[self.file].read(position, &mut into[..len]))
    }

    /// Writes up to the whole of two parts, one behind the other, like pwritev(2).
    pub(super) fn write_at(&self, position: u64, head: &[u8], body: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let bytes = [head, body].concat();
        let outcome = state.change(DiskOp::Write);
        // A failed write may have been half done.
        let len = if matches!(outcome, Ok(None)) { bytes.len() } else { bytes.len() / 2 };
        let now_ms = state.now_ms;
        state.files[self.file].write(position, &bytes[..len], now_ms);
        match outcome {
            Ok(Some(Fault::Short)) if len == 0 => Err(ErrorKind::Interrupted.into()),
            Ok(_) => Ok(len),
            Err(error) => Err(error),
        }
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.change(DiskOp::Change)?;
        let now_ms = state.now_ms;
        state.files[self.file].set_len(len, now_ms);
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let outcome = state.sync()?;
        let file = &mut state.files[self.file];
        match outcome {
            None => file.sync(),
            Some(Fault::SyncDropsDirtyPages) => file.drop_dirty_pages(),
            Some(Fault::SyncReverts) => file.revert(),
            Some(_) => {}
        }
        if outcome.is_some() { Err(io_fault()) } else { Ok(()) }
    }
}
