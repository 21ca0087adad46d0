//! A disk in memory for tests: what was not synced may be lost, and any operation can be made to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

const PAGE: usize = 4096;

/// A disk in memory that remembers what was synced.
///
/// A killed process is simulated by dropping a log and opening it again; [`Simulation::power_loss`] gives the
/// disk that a machine would find after its power came back.
#[derive(Clone, Debug, Default)]
pub struct Simulation {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since their folder was synced, in order.
    unsynced_names: Vec<NameChange>,
    folders: BTreeSet<PathBuf>,
    syncs: u64,
    changes: u64,
    /// The disk is gone as of this many syncs.
    crash_at_sync: Option<u64>,
    /// Everything that changes the disk fails as of this many changes.
    fail_at_change: Option<u64>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty_pages: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(PathBuf, usize),
    /// Old name, new name: journals keep both changes or none.
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl NameChange {
    fn path(&self) -> &Path {
        match self {
            NameChange::Set(path, _) | NameChange::Rename(_, path, _) | NameChange::Remove(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            NameChange::Set(path, file) => names.insert(path.clone(), *file),
            NameChange::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file)
            }
            NameChange::Remove(path) => names.remove(path),
        };
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

    /// The disk after a power loss: synced pages and names, and a random part of the others.
    ///
    /// `random` yields numbers; names survive in the order in which they changed, as journals keep them.
    pub fn power_loss(&self, random: &mut dyn FnMut() -> u64) -> Simulation {
        let state = self.state.lock();
        let files: Vec<Contents> = state.files.iter().map(|file| file.after_power_loss(random)).collect();
        let mut names = state.durable_names.clone();
        let kept = random() as usize % (state.unsynced_names.len() + 1);
        for change in &state.unsynced_names[..kept] {
            change.apply(&mut names);
        }
        let state =
            State { files, durable_names: names.clone(), names, folders: state.folders.clone(), ..State::default() };
        Simulation { state: Arc::new(Mutex::new(state)) }
    }

    /// Replaces a file's bytes behind everybody's back; for corruption tests.
    pub fn tamper(&self, path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.lock();
        if let Some(&file) = state.names.get(path) {
            change(&mut state.files[file].now);
            state.files[file].durable = state.files[file].now.clone();
        }
    }

    /// Every file there is.
    pub fn all_files(&self) -> Vec<PathBuf> {
        self.state.lock().names.keys().cloned().collect()
    }

    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state.lock();
        if !state.folders.contains(folder) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let children = state.names.keys().chain(&state.folders).filter(|path| path.parent() == Some(folder));
        Ok(children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    pub(super) fn list_folders(&self, folder: &Path) -> Vec<String> {
        let state = self.state.lock();
        let children = state.folders.iter().filter(|path| path.parent() == Some(folder));
        children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    /// Folders are durable at once: the broker derives them from metadata anyway.
    pub(super) fn create_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        for ancestor in folder.ancestors() {
            state.folders.insert(ancestor.to_path_buf());
        }
        Ok(())
    }

    pub(super) fn open(&self, path: &Path, create: bool) -> io::Result<SimulatedFile> {
        let mut state = self.state.lock();
        let known = state.names.get(path).copied();
        let file = match known {
            Some(file) => file,
            None if create => {
                state.change()?;
                state.files.push(Contents::default());
                let file = state.files.len() - 1;
                state.change_name(NameChange::Set(path.to_path_buf(), file));
                file
            }
            None => return Err(io::ErrorKind::NotFound.into()),
        };
        Ok(SimulatedFile { disk: self.clone(), file })
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        if state.folders.contains(from) {
            state.rename_folder(from, to);
            return Ok(());
        }
        let file = state.names.get(from).copied().ok_or(io::ErrorKind::NotFound)?;
        state.change_name(NameChange::Rename(from.to_path_buf(), to.to_path_buf(), file));
        Ok(())
    }

    pub(super) fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(path.to_path_buf()));
        Ok(())
    }

    pub(super) fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.change()?;
        let inside: Vec<PathBuf> = state.names.keys().filter(|path| path.starts_with(folder)).cloned().collect();
        for path in inside {
            state.change_name(NameChange::Remove(path));
        }
        state.folders.retain(|path| !path.starts_with(folder));
        Ok(())
    }

    pub(super) fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut state = self.state.lock();
        state.sync()?;
        let (synced, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut state.unsynced_names)
            .into_iter()
            .partition(|change| change.path().parent() == Some(folder));
        for change in synced {
            change.apply(&mut state.durable_names);
        }
        state.unsynced_names = rest;
        Ok(())
    }
}

impl State {
    fn change(&mut self) -> io::Result<()> {
        if self.crash_at_sync.is_some_and(|n| self.syncs >= n) {
            return Err(io::Error::other("the simulated machine has stopped"));
        }
        if self.fail_at_change.is_some_and(|n| self.changes >= n) {
            return Err(io::Error::other("a simulated fault"));
        }
        self.changes += 1;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.crash_at_sync == Some(self.syncs + 1) {
            self.syncs += 1;
        }
        self.change()?;
        self.syncs += 1;
        Ok(())
    }

    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    fn rename_folder(&mut self, from: &Path, to: &Path) {
        let moved = |path: &Path| path.strip_prefix(from).map(|rest| to.join(rest)).ok();
        let inside: Vec<(PathBuf, usize)> = self
            .names
            .iter()
            .filter(|(path, _)| path.starts_with(from))
            .map(|(path, file)| (path.clone(), *file))
            .collect();
        for (path, file) in inside {
            if let Some(new) = moved(&path) {
                self.change_name(NameChange::Set(new, file));
                self.change_name(NameChange::Remove(path));
            }
        }
        self.folders = self.folders.iter().map(|path| moved(path).unwrap_or_else(|| path.clone())).collect();
    }
}

impl Contents {
    fn after_power_loss(&self, random: &mut dyn FnMut() -> u64) -> Contents {
        let mut kept = self.durable.clone();
        if !self.dirty_pages.is_empty() || self.now.len() != self.durable.len() {
            if random().is_multiple_of(2) {
                kept.resize(self.now.len(), 0);
            }
            for &page in &self.dirty_pages {
                if random().is_multiple_of(2) {
                    self.copy_page(page, &mut kept);
                }
            }
        }
        Contents { now: kept.clone(), durable: kept, dirty_pages: BTreeSet::new() }
    }

    fn copy_page(&self, page: usize, to: &mut [u8]) {
        let start = page * PAGE;
        let end = (start + PAGE).min(self.now.len()).min(to.len());
        if start < end {
            to[start..end].copy_from_slice(&self.now[start..end]);
        }
    }
}

/// An open file of a [`Simulation`].
#[derive(Clone, Debug)]
pub(crate) struct SimulatedFile {
    disk: Simulation,
    file: usize,
}

impl SimulatedFile {
    pub(super) fn len(&self) -> u64 {
        self.disk.state.lock().files[self.file].now.len() as u64
    }

    pub(super) fn read_at(&self, position: u64, into: &mut [u8]) -> usize {
        let state = self.disk.state.lock();
        let bytes = &state.files[self.file].now;
        let start = (position as usize).min(bytes.len());
        let len = into.len().min(bytes.len() - start);
        into[..len].copy_from_slice(&bytes[start..start + len]);
        len
    }

    pub(super) fn write_at(&self, position: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        let outcome = state.change();
        // A write that fails may have been half done.
        let bytes = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let file = &mut state.files[self.file];
        let (start, end) = (position as usize, position as usize + bytes.len());
        if file.now.len() < end {
            file.now.resize(end, 0);
        }
        file.now[start..end].copy_from_slice(bytes);
        file.dirty_pages.extend(start / PAGE..end.div_ceil(PAGE));
        outcome
    }

    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.change()?;
        let file = &mut state.files[self.file];
        file.now.resize(len as usize, 0);
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state.lock();
        state.sync()?;
        let file = &mut state.files[self.file];
        file.durable = file.now.clone();
        file.dirty_pages.clear();
        Ok(())
    }
}
