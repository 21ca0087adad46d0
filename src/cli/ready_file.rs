//! The file that tells whoever started the broker that it answers, and where.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A ready file that is removed when the broker stops.
#[derive(Debug)]
pub struct ReadyFile {
    path: PathBuf,
    /// What stands there is ours to remove.
    written: bool,
}

/// What the file says, as JSON.
#[derive(Debug, Serialize)]
pub struct Ready<'a> {
    pub pid: u32,
    /// As a client's setting takes it.
    pub bootstrap_servers: &'a str,
    /// Where the admin port is; left out where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<&'a str>,
    pub data_dir: &'a Path,
    /// Milliseconds from the start of the process until it answered.
    pub ready_ms: f64,
}

/// What a reader of the file needs of it.
#[derive(Debug, Deserialize)]
pub struct Announced {
    pub bootstrap_servers: String,
}

impl ReadyFile {
    /// Takes away what an earlier run left at `path`. What is not a file, such as a pipe or `/dev/stdout`, is left alone
    /// and an error.
    pub fn claim(path: &Path) -> io::Result<ReadyFile> {
        // A link too, such as /dev/stdout: what is removed below would be the link.
        if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(ReadyFile { path: path.to_owned(), written: false }),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the file appear whole: it is written aside and renamed.
    pub fn write(&mut self, ready: &Ready<'_>) -> io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{}", ready.pid));
        let ready = serde_json::to_string(ready)?;
        let written = fs::write(&aside, ready).and_then(|()| fs::rename(&aside, &self.path));
        match &written {
            Ok(()) => self.written = true,
            // Part of it may be there, on a disk that is full.
            Err(_) => drop(fs::remove_file(&aside)),
        }
        written
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.written {
            // Whoever waits for a file that is gone has nothing to find either way.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appears_whole_and_goes_with_the_broker() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        fs::write(&path, "of an earlier run").unwrap();
        let mut file = ReadyFile::claim(&path).unwrap();
        assert!(!path.exists());
        let (bootstrap_servers, data_dir) = ("localhost:1", Path::new("/d"));
        let ready = Ready { pid: 7, bootstrap_servers, admin_url: None, data_dir, ready_ms: 1.5 };
        file.write(&ready).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, r#"{"pid":7,"bootstrap_servers":"localhost:1","data_dir":"/d","ready_ms":1.5}"#);
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_a_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let (mode, kind) = (rustix::fs::Mode::RWXU, rustix::fs::FileType::Fifo);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [pipe.as_path(), dir.path(), link.as_path()] {
            let error = ReadyFile::claim(path).unwrap_err();
            assert!(fs::symlink_metadata(path).is_ok() && error.to_string().contains("not a regular file"), "{error}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let mut file = ReadyFile::claim(&path).unwrap();
        // A rename onto a directory fails.
        fs::create_dir(&path).unwrap();
        let ready =
            Ready { pid: 7, bootstrap_servers: "localhost:1", admin_url: None, data_dir: dir.path(), ready_ms: 1.0 };
        assert!(file.write(&ready).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
