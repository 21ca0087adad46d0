//! Files that only their owner can read.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::disk::Disk;

/// Reading and writing, by the owner alone.
const OWNER_ONLY: u32 = 0o600;
/// The permissions of the group and of all others.
const OF_OTHERS: u32 = 0o077;

impl Disk {
    /// Replaces a whole small file atomically and durably by one that only its owner can read, at any moment.
    pub(crate) fn write_secret(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        if self.is_simulated() {
            return self.write_atomic(path, bytes, true);
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        // One of a process that was killed may have other permissions.
        self.remove(&temporary)?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_data()?;
        self.rename(&temporary, path)
    }

    /// Takes the permissions of the group and of all others from a file, if they have some.
    pub(crate) fn hide(&self, path: &Path) -> io::Result<()> {
        match self.is_simulated() || fs::metadata(path)?.permissions().mode() & OF_OTHERS == 0 {
            true => Ok(()),
            false => fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY)),
        }
    }
}
