//! A disk in memory for tests: what was not synced may be lost, and any operation can be made to fail.

mod contents;
mod names;

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use contents::Contents;
use names::Names;

/// A disk in memory that remembers what was synced.
///
/// A killed process is simulated by dropping a log and opening it again; [`Simulation::power_loss`] gives the
/// disk that a machine would find after its power came back.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
}

/// What is about to be done to a simulated disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Listing a folder, asking for a file's length, opening it.
    Look,
    Read,
    Write,
    /// Creating, renaming, removing; changing a file's length.
    Change,
    Sync,
}

/// What goes wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error. Half of a write may have been done.
    Error,
    /// Less is read or written than was asked for: no error, and nothing that a caller may be surprised at.
    Short,
    /// No space is left on the device. Half of a write may have been done.
    Full,
    /// A sync fails, and what it was to write counts as written from then on, as on ext4: it can be read until
    /// the power goes, and the next sync, which knows nothing of it, succeeds.
    Forgets,
    /// A sync fails, and what it was to write is gone: the file reads as it is on disk.
    Reverts,
    /// The process has no descriptors left to look with.
    NoDescriptors,
}

/// Says of each act whether something goes wrong with it.
type Mishaps = Box<dyn FnMut(Act) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    files: Vec<Contents>,
    names: Names,
    syncs: u64,
    changes: u64,
    /// The disk is gone as of this many syncs.
    crash_at_sync: Option<u64>,
    /// Everything that changes the disk fails as of this many changes.
    fail_at_change: Option<u64>,
    mishaps: Option<Mishaps>,
    /// What files that are written get as their time.
    now_ms: i64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} files, {} syncs, {} changes", self.files.len(), self.syncs, self.changes)
    }
}

impl Simulation {
    /// How many syncs of files and folders there have been.
    pub fn syncs(&self) -> u64 {
        self.state.lock().syncs
    }

    /// How many operations have changed the disk.
    pub fn changes(&self) -> u64 {
        self.state.lock().changes
    }

    /// The `n`th sync (counted from 1) and everything after it fails, as if the machine stopped there.
    pub fn crash_at_sync(&self, n: u64) {
        self.state.lock().crash_at_sync = Some(n);
    }

    /// Every change of the disk fails once `n` more have been made; `None` heals it.
    pub fn fail_after_changes(&self, n: Option<u64>) {
        let mut state = self.state.lock();
        state.fail_at_change = n.map(|n| state.changes + n);
    }

    /// From now on `mishaps` says of each act what goes wrong with it.
    pub fn set_mishaps(&self, mishaps: impl FnMut(Act) -> Option<Fault> + Send + 'static) {
        self.state.lock().mishaps = Some(Box::new(mishaps));
    }

    /// From now on nothing goes wrong that wasn't asked for otherwise.
    pub fn heal(&self) {
        self.state.lock().mishaps = None;
    }

    /// Files that are written from now on have been written at this time, in milliseconds since the epoch.
    pub fn set_time(&self, now_ms: i64) {
        self.state.lock().now_ms = now_ms;
    }

    /// The disk after a power loss: synced pages and names, and a random part of the others.
    ///
    /// `random` yields numbers; names survive in the order in which they changed, as journals keep them.
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

    /// Puts a file there, durably, with the folders above it: what others have left on the disk.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state.lock();
        if let Some(folder) = path.parent() {
            state.names.create_folder(folder);
        }
        let file = state.files.len();
        let mut contents = Contents::default();
        contents.tamper(|content| content.extend_from_slice(bytes));
        state.files.push(contents);
        state.names.put(path, file);
    }

    /// Replaces a file's bytes behind everybody's back; for corruption tests.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if let Some(file) = state.names.get(path) {
            state.files[file].tamper(change);
        }
    }

    /// Every file there is.
    pub fn all_files(&self) -> Vec<PathBuf> {
        self.state.lock().names.all()
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.look()?;
        state.names.list(folder).ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(super) fn list_folders(&self, folder: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state.lock();
        state.look()?;
        Ok(state.names.list_folders(folder))
    }

    /// Folders are durable at once: the broker derives them from metadata anyway.
    pub(super) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(Act::Change)?;
        state.names.create_folder(folder);
        Ok(())
    }

    pub(super) fn open(&self, path: &Path, create: bool) -> io::Result<SimulatedFile> {
        let mut state = self.state.lock();
        state.look()?;
        let file = match state.names.get(path) {
            Some(file) => file,
            None if create => {
                if !path.parent().is_some_and(|folder| state.names.is_folder(folder)) {
                    return Err(ErrorKind::NotFound.into());
                }
                state.change(Act::Change)?;
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

    /// When a file was last written; `None` if there is no such file.
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
        state.change(Act::Change)?;
        if state.names.rename(from, to) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(Act::Change)?;
        if state.names.remove(path) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change(Act::Change)?;
        if state.names.remove_folder(folder) { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    }

    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.sync()? {
            None => state.names.sync(folder),
            // A journal that couldn't be written is tried again: names stay as uncertain as they were.
            Some(_) => return Err(fault()),
        }
        Ok(())
    }
}

impl State {
    fn mishap(&mut self, act: Act) -> Option<Fault> {
        self.mishaps.as_mut().and_then(|mishaps| mishaps(act))
    }

    fn look(&mut self) -> io::Result<()> {
        match self.mishap(Act::Look) {
            None => Ok(()),
            Some(Fault::NoDescriptors) => Err(rustix::io::Errno::MFILE.into()),
            Some(_) => Err(fault()),
        }
    }

    /// Counts a change; an error if it can't be made. `Short` is for those who know what it means.
    fn change(&mut self, act: Act) -> io::Result<Option<Fault>> {
        if self.crash_at_sync.is_some_and(|n| self.syncs >= n) {
            return Err(io::Error::other("the simulated machine has stopped"));
        }
        if self.fail_at_change.is_some_and(|n| self.changes >= n) {
            return Err(fault());
        }
        self.changes += 1;
        match self.mishap(act) {
            Some(Fault::Full) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Short) if act == Act::Write => Ok(Some(Fault::Short)),
            Some(forgetful) if act == Act::Sync => Ok(Some(forgetful)),
            Some(Fault::Short) | None => Ok(None),
            Some(_) => Err(fault()),
        }
    }

    /// Counts a sync; how it fails, if the disk lives on.
    fn sync(&mut self) -> io::Result<Option<Fault>> {
        if self.crash_at_sync == Some(self.syncs + 1) {
            self.syncs += 1;
        }
        let outcome = self.change(Act::Sync)?;
        self.syncs += 1;
        Ok(outcome)
    }
}

fn fault() -> io::Error {
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

    /// Reads at most as much as `into` holds, as pread(2) does.
    pub(super) fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let most = match state.mishap(Act::Read) {
            Some(Fault::Short) => into.len().div_ceil(2),
            Some(_) => return Err(fault()),
            None => into.len(),
        };
        Ok(state.files[self.file].read(position, &mut into[..most]))
    }

    /// Writes at most the two parts, one behind the other, as pwritev(2) does.
    pub(super) fn write_at(&self, position: u64, head: &[u8], body: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state.lock();
        let bytes = [head, body].concat();
        let outcome = state.change(Act::Write);
        // A write that fails may have been half done.
        let most = if matches!(outcome, Ok(None)) { bytes.len() } else { bytes.len() / 2 };
        let now_ms = state.now_ms;
        state.files[self.file].write(position, &bytes[..most], now_ms);
        match outcome {
            Ok(Some(Fault::Short)) if most == 0 => Err(ErrorKind::Interrupted.into()),
            Ok(_) => Ok(most),
            Err(error) => Err(error),
        }
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.change(Act::Change)?;
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
            Some(Fault::Forgets) => file.forget(),
            Some(Fault::Reverts) => file.revert(),
            Some(_) => {}
        }
        if outcome.is_some() { Err(fault()) } else { Ok(()) }
    }
}
