//! A simulated disk's names: in memory, on disk, and the changes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file of each name.
type Table = BTreeMap<PathBuf, usize>;

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    now: Table,
    durable: Table,
    /// Changes since their folder was synced, in order.
    unsynced: Vec<Change>,
    folders: BTreeSet<PathBuf>,
}

#[derive(Clone, Debug)]
enum Change {
    Create(PathBuf, usize),
    /// Old name, new name: a journal keeps both changes or none.
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    RenameFolder(PathBuf, PathBuf),
    RemoveFolder(PathBuf),
}

impl Change {
    /// Returns whether syncing `folder` makes the change durable.
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Change::Create(path, _) | Change::Rename(_, path) | Change::Remove(path) => path.parent() == Some(folder),
            // Syncing the renamed folder must make the rename durable too: later changes in it have its new name.
            Change::RenameFolder(_, path) => path == folder || path.parent() == Some(folder),
            Change::RemoveFolder(path) => path.parent() == Some(folder),
        }
    }

    fn apply(&self, names: &mut Table) {
        match self {
            Change::Create(path, file) => {
                names.insert(path.clone(), *file);
            }
            Change::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Change::Remove(path) => {
                names.remove(path);
            }
            Change::RenameFolder(from, to) => {
                *names = std::mem::take(names).into_iter().map(|(path, file)| (moved(path, from, to), file)).collect();
            }
            Change::RemoveFolder(folder) => names.retain(|path, _| !path.starts_with(folder)),
        }
    }
}

fn moved(path: PathBuf, from: &Path, to: &Path) -> PathBuf {
    match path.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => to.to_path_buf(),
        Ok(rest) => to.join(rest),
        Err(_) => path,
    }
}

impl Names {
    pub(super) fn get(&self, path: &Path) -> Option<usize> {
        self.now.get(path).copied()
    }

    pub(super) fn all(&self) -> Vec<PathBuf> {
        self.now.keys().cloned().collect()
    }

    pub(super) fn refers_to(&self, file: usize) -> bool {
        self.now.values().any(|known| *known == file)
    }

    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.folders.contains(path)
    }

    /// Lists the names of files and folders in `folder`; `None` if there is no such folder.
    pub(super) fn list(&self, folder: &Path) -> Option<Vec<String>> {
        let children = self.now.keys().chain(&self.folders).filter(|path| path.parent() == Some(folder));
        let names = children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        self.is_folder(folder).then(|| names.collect())
    }

    pub(super) fn list_folders(&self, folder: &Path) -> Vec<String> {
        let children = self.folders.iter().filter(|path| path.parent() == Some(folder));
        children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect()
    }

    pub(super) fn create_folder(&mut self, folder: &Path) {
        self.folders.extend(folder.ancestors().map(Path::to_path_buf));
    }

    pub(super) fn create(&mut self, path: &Path, file: usize) {
        self.change(Change::Create(path.to_path_buf(), file));
    }

    /// Creates a name durably.
    pub(super) fn put(&mut self, path: &Path, file: usize) {
        self.now.insert(path.to_path_buf(), file);
        self.durable.insert(path.to_path_buf(), file);
    }

    /// Renames a file or folder; returns whether it existed.
    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> bool {
        if self.is_folder(from) {
            let folders = std::mem::take(&mut self.folders);
            self.folders = folders.into_iter().map(|path| moved(path, from, to)).collect();
            self.change(Change::RenameFolder(from.to_path_buf(), to.to_path_buf()));
            return true;
        }
        let known = self.now.contains_key(from);
        if known {
            self.change(Change::Rename(from.to_path_buf(), to.to_path_buf()));
        }
        known
    }

    /// Removes a file; returns whether it existed.
    pub(super) fn remove(&mut self, path: &Path) -> bool {
        let known = self.now.contains_key(path);
        if known {
            self.change(Change::Remove(path.to_path_buf()));
        }
        known
    }

    /// Removes a folder and its content; returns whether it existed.
    pub(super) fn remove_folder(&mut self, folder: &Path) -> bool {
        let known = self.is_folder(folder);
        if known {
            self.folders.retain(|path| !path.starts_with(folder));
            self.change(Change::RemoveFolder(folder.to_path_buf()));
        }
        known
    }

    pub(super) fn sync(&mut self, folder: &Path) {
        let (synced, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|change| change.is_in(folder));
        for change in synced {
            change.apply(&mut self.durable);
        }
        self.unsynced = rest;
    }

    /// Returns the names after a power loss: those on disk, with a random number of the first unsynced changes applied.
    pub(super) fn after_power_loss(&self, random: &mut dyn FnMut() -> u64) -> Names {
        let applied = random() as usize % (self.unsynced.len() + 1);
        let mut names = self.durable.clone();
        for change in &self.unsynced[..applied] {
            change.apply(&mut names);
        }
        let mut folders = self.folders.clone();
        folders.extend(names.keys().flat_map(|path| path.ancestors().skip(1).map(Path::to_path_buf)));
        Names { now: names.clone(), durable: names, unsynced: Vec::new(), folders }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.now);
        self.unsynced.push(change);
    }
}
