//! Detects the end of the parent process, for `--exit-with-parent`.
//!
//! If stdin is a pipe or socket that the parent holds, its end means that the parent ended: the system closes the files of
//! every process that ends. On Linux a pidfd also reports the end, whatever stdin is. (`PR_SET_PDEATHSIG` is not used: its
//! signal comes when the thread that started this process ends, which in a test may be long before.)

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// The parent, watched or not.
pub struct Parent {
    ended: mpsc::Receiver<&'static str>,
    /// Keeps `ended` open if nothing is watched.
    watcher: mpsc::Sender<&'static str>,
}

/// The parent process, as the system reports it.
enum Process {
    Watched(OwnedFd),
    Ended,
    /// The system can't report it.
    Unknown,
}

impl Parent {
    /// Watches nothing.
    pub fn ignored() -> Parent {
        let (watcher, ended) = mpsc::channel(1);
        Parent { ended, watcher }
    }

    /// Watches the parent on a separate thread. The error is one line.
    pub fn watch() -> Result<Parent, String> {
        let parent = Parent::ignored();
        let stdin = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let has_pipe = matches!(stdin, Ok(FileType::Fifo | FileType::Socket));
        let failed = |error: io::Error| format!("--exit-with-parent: cannot watch the parent process: {error}");
        let process = match parent_process().map_err(failed)? {
            Process::Watched(process) => Some(process),
            Process::Ended => {
                let _ = parent.watcher.try_send(PROCESS_ENDED);
                return Ok(parent);
            }
            Process::Unknown if has_pipe => None,
            Process::Unknown => {
                return Err("--exit-with-parent: stdin has to be a pipe that the parent process holds".to_owned());
            }
        };
        let watcher = parent.watcher.clone();
        let run = move || {
            // The receiver is dropped if the broker already stops.
            let _ = watcher.try_send(wait(has_pipe, process.as_ref()));
        };
        thread::Builder::new().name("parent".to_owned()).spawn(run).map_err(failed)?;
        Ok(parent)
    }

    /// Waits until the parent ends, and returns how that was detected.
    pub async fn ended(&mut self) -> &'static str {
        match self.ended.recv().await {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }
}

const STDIN_ENDED: &str = "stdin ended";
const PROCESS_ENDED: &str = "the parent process ended";

/// Waits until stdin or the pidfd reports the end of the parent.
fn wait(has_pipe: bool, process: Option<&OwnedFd>) -> &'static str {
    let stdin = io::stdin();
    loop {
        let mut watched = Vec::from_iter(process.map(|process| PollFd::new(process, PollFlags::IN)));
        if has_pipe {
            watched.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            // The end can't be detected any more: stop now rather than leave an orphaned broker.
            Err(_) => return PROCESS_ENDED,
        }
        let is_ready = |at: usize| watched.get(at).is_some_and(|one| !one.revents().is_empty());
        if process.is_some() && is_ready(0) {
            return PROCESS_ENDED;
        }
        // The content of stdin is ignored.
        if has_pipe && is_ready(watched.len().saturating_sub(1)) {
            match rustix::io::read(&stdin, &mut [0; 512]) {
                Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => {}
                Ok(0) | Err(_) => return STDIN_ENDED,
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn parent_process() -> io::Result<Process> {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    // A parent outside of this pid namespace has no id here.
    let Some(pid) = getppid() else { return Ok(Process::Unknown) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The id may have been reused if the parent ended before this.
        Ok(process) if getppid() == Some(pid) => Ok(Process::Watched(process)),
        Ok(_) | Err(Errno::SRCH) => Ok(Process::Ended),
        Err(Errno::NOSYS | Errno::PERM) => Ok(Process::Unknown),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn parent_process() -> io::Result<Process> {
    Ok(Process::Unknown)
}
