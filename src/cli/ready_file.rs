//! The ready file: announces that the broker is ready, and its address.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::healthcheck::Target;

/// The path that stands for stdout.
const STDOUT: &str = "-";

/// A ready file, which is removed when the broker stops; or stdout.
#[derive(Debug)]
pub struct ReadyFile {
    path: PathBuf,
    /// Whether this process has written the file, and removes it.
    written: bool,
}

/// The content of the file, as JSON.
#[derive(Debug, Serialize)]
pub struct Ready<'a> {
    pub pid: u32,
    /// For a client's `bootstrap.servers`.
    pub bootstrap_servers: &'a str,
    /// The addresses of all listeners, by name.
    pub listeners: BTreeMap<&'a str, &'a str>,
    /// The URL of the admin port; absent without an admin port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_url: Option<&'a str>,
    /// The URL of the metrics; absent without a port that has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_url: Option<&'a str>,
    /// The URL of the schema registry; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_registry_url: Option<&'a str>,
    /// The certificate that clients of listeners with TLS must trust; absent without `ottla.secure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// The folder with client configurations; absent without `ottla.secure`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secure_dir: Option<&'a Path>,
    /// The listener that `ottla healthcheck` connects to, if it is not the first one or has TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<Target>,
    pub data_dir: &'a Path,
    /// Milliseconds from the start of the process until it was ready.
    pub ready_ms: f64,
}

/// The part of the file that `ottla healthcheck` and `ottla trace` read.
#[derive(Debug, Deserialize)]
pub struct Announced {
    pub bootstrap_servers: String,
    pub admin_url: Option<String>,
    pub health_check: Option<Target>,
}

impl ReadyFile {
    /// Removes the file of an earlier run at `path`, unless that is `-`, which stands for stdout. Returns an error, and changes
    /// nothing, if `path` is not a regular file but for example a pipe or `/dev/stdout`.
    pub fn claim(path: &Path) -> io::Result<ReadyFile> {
        if path.as_os_str() == STDOUT {
            return Ok(ReadyFile { path: path.to_owned(), written: false });
        }
        // A link such as /dev/stdout is an error too: below, the link itself would be removed.
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

    /// Writes the file atomically: writes a temporary file and renames it. To stdout, writes one line.
    pub fn write(&mut self, ready: &Ready<'_>) -> io::Result<()> {
        if self.path.as_os_str() == STDOUT {
            let line = format!("{}\n", serde_json::to_string(ready)?);
            let mut stdout = io::stdout().lock();
            return stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
        }
        let mut temporary = self.path.clone().into_os_string();
        temporary.push(format!(".{}", ready.pid));
        let ready = serde_json::to_string(ready)?;
        let written = fs::write(&temporary, ready).and_then(|()| fs::rename(&temporary, &self.path));
        match &written {
            Ok(()) => self.written = true,
            // A part of it may exist if the disk is full.
            Err(_) => drop(fs::remove_file(&temporary)),
        }
        written
    }
}

impl Drop for ReadyFile {
    fn drop(&mut self) {
        if self.written {
            // If the removal fails, there is nothing else to do.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(data_dir: &Path) -> Ready<'_> {
        Ready {
            pid: 7,
            bootstrap_servers: "localhost:1",
            listeners: BTreeMap::from([("PLAINTEXT", "localhost:1")]),
            admin_url: None,
            metrics_url: None,
            schema_registry_url: None,
            ca: None,
            secure_dir: None,
            health_check: None,
            data_dir,
            ready_ms: 1.0,
        }
    }

    #[test]
    fn ready_file_is_complete_and_removed_on_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        fs::write(&path, "of an earlier run").unwrap();
        let mut file = ReadyFile::claim(&path).unwrap();
        assert!(!path.exists());
        let ready = Ready { ready_ms: 1.5, ..ready(Path::new("/d")) };
        file.write(&ready).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            r#"{"pid":7,"bootstrap_servers":"localhost:1","listeners":{"PLAINTEXT":"localhost:1"},"data_dir":"/d","ready_ms":1.5}"#
        );
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn claim_of_other_than_a_regular_file_is_refused_without_change() {
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
    fn failed_write_leaves_no_temporary_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        let mut file = ReadyFile::claim(&path).unwrap();
        // A rename onto a directory fails.
        fs::create_dir(&path).unwrap();
        assert!(file.write(&ready(dir.path())).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
