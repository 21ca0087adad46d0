//! A directory for data that ends with the broker.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::{Builder, TempDir};

/// Makes a fresh directory in the system's temporary one, which all users share: records in it are for its owner alone.
pub fn directory() -> io::Result<TempDir> {
    Builder::new().prefix("ottla-").permissions(Permissions::from_mode(0o700)).tempdir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_directory_is_closed_to_other_users() {
        let dir = directory().unwrap();
        assert_eq!(dir.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }
}
