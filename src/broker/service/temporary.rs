//! Temporary data directories.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::{Builder, TempDir};

/// Creates a directory that only its owner can read, in the system's temporary directory, which all users share.
pub fn directory() -> io::Result<TempDir> {
    Builder::new().prefix("ottla-").permissions(Permissions::from_mode(0o700)).tempdir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_directory_has_no_permissions_for_other_users() {
        let dir = directory().unwrap();
        assert_eq!(dir.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
