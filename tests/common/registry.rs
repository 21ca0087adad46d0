//! `ottla registry`: a schema registry as a process of its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::{Broker, command, wait_until};

/// A running registry before a broker. It is killed when this is dropped.
pub struct RegistryProcess {
    child: Child,
    log: PathBuf,
    url: String,
    _dir: TempDir,
}

impl RegistryProcess {
    /// Starts a registry with these variables, at a free port of all addresses, and waits until it is ready.
    pub fn start(broker: &Broker, variables: &[(&str, &str)]) -> RegistryProcess {
        let dir = TempDir::with_prefix("ottla-test-").expect("a temporary directory");
        let log = dir.path().join("log.txt");
        let file = || File::options().create(true).append(true).open(&log).expect("a log file");
        let variables: Vec<_> = [("SCHEMA_REGISTRY_HOST_NAME", "localhost")]
            .iter()
            .chain(variables)
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut registry = command(&variables);
        registry.args(["registry", "--port", "0", "--bootstrap-server", broker.bootstrap_servers()]);
        let child = registry.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().expect("the binary starts");
        let mut process = RegistryProcess { child, log, url: String::new(), _dir: dir };
        let line = "schema registry http://";
        wait_until("the registry", || {
            let log = process.log();
            log.contains("Server started, listening for requests...\n") && log.contains(line)
        });
        let log = process.log();
        let address = log.split_once(line).and_then(|(_, after)| after.split(',').next()).expect("a URL");
        process.url = format!("http://{address}");
        process
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it has written to stdout and stderr.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("the log")
    }

    /// Ends it with a signal.
    pub fn end(mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).expect("the process runs");
        self.child.wait().expect("the process can be waited for")
    }
}

impl Drop for RegistryProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
