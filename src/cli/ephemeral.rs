//! The data directory of `--ephemeral`: a new one that is removed at exit, or the one of `--data-dir`.
//!
//! A directory that was named is for several runs of a test's broker, one after the other: a signal stops a run and keeps
//! the data for the next one, unless the parent process ends as well; the end of the parent process ends them all. As the directory is then removed, it must not
//! have other data: it has to be empty, or to have the mark of an earlier run.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use ottla_broker::service::temporary;

/// The file that marks a named directory as one that may be removed.
const MARK: &str = ".ottla-ephemeral";

/// The directory. Dropping it removes it, unless it is kept for the next run.
#[derive(Debug)]
pub struct EphemeralDir(Kind);

#[derive(Debug)]
enum Kind {
    New(TempDir),
    Named(Named),
}

#[derive(Debug)]
struct Named {
    path: PathBuf,
    is_removed: bool,
}

impl EphemeralDir {
    /// Creates a new directory, or `named` if it does not exist. The error is one line.
    pub fn create(named: Option<&Path>) -> Result<EphemeralDir, String> {
        let Some(path) = named else {
            let dir = temporary::directory();
            let dir = dir.map_err(|error| format!("cannot create a temporary directory: {error}"))?;
            return Ok(EphemeralDir(Kind::New(dir)));
        };
        let cannot = |error: io::Error| format!("cannot use {} for --ephemeral: {error}", path.display());
        // Kept when the start fails, as all that was there before.
        let mut dir = Named { path: path.to_owned(), is_removed: false };
        match DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => dir.is_removed = true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(error)),
        }
        let is_new = fs::read_dir(path).map_err(cannot)?.next().is_none();
        let mark = path.join(MARK);
        match fs::exists(&mark) {
            Ok(true) => {}
            Ok(false) if is_new => fs::write(&mark, "").map_err(cannot)?,
            Ok(false) => {
                return Err(format!(
                    "cannot use {} for --ephemeral: it has other files, which would be removed",
                    path.display()
                ));
            }
            Err(error) => return Err(cannot(error)),
        }
        Ok(EphemeralDir(Kind::Named(dir)))
    }

    pub fn path(&self) -> &Path {
        match &self.0 {
            Kind::New(dir) => dir.path(),
            Kind::Named(dir) => &dir.path,
        }
    }

    /// Whether it is a named directory, which can be kept.
    pub fn is_named(&self) -> bool {
        matches!(self.0, Kind::Named(_))
    }

    /// Sets whether a named directory is kept for the next run. A new directory is always removed.
    pub fn set_kept(&mut self, is_kept: bool) {
        if let Kind::Named(dir) = &mut self.0 {
            dir.is_removed = !is_kept;
        }
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if self.is_removed {
            // If the removal fails, there is nothing else to do.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_directory_is_removed_unless_it_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("data");
        drop(EphemeralDir::create(Some(&path)).unwrap());
        assert!(!path.exists(), "a failed first start removes it");

        let mut dir = EphemeralDir::create(Some(&path)).unwrap();
        dir.set_kept(true);
        drop(dir);
        drop(EphemeralDir::create(Some(&path)).unwrap());
        assert!(path.exists(), "a failed later start keeps it");

        let mut dir = EphemeralDir::create(Some(&path)).unwrap();
        dir.set_kept(false);
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn directory_with_other_files_is_refused_and_not_changed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("meta.properties"), "").unwrap();
        let refused = EphemeralDir::create(Some(dir.path())).unwrap_err();
        assert!(refused.contains("other files"), "{refused}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn empty_directory_is_used_and_kept_when_the_start_fails() {
        let dir = tempfile::tempdir().unwrap();
        drop(EphemeralDir::create(Some(dir.path())).unwrap());
        assert!(dir.path().join(MARK).exists());
    }
}
