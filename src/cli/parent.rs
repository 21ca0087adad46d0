//! The process that started this one, for `--exit-with-parent`.
//!
//! The end of stdin says that it is gone, where stdin is a pipe or a socket that it holds: however it ended, the system
//! closes what it had open. On Linux the system also says so itself, whatever stdin is. (A signal at the parent's death,
//! `PR_SET_PDEATHSIG`, comes when the thread ends that started this process, which in a test may be long before.)

use std::io;
use std::os::fd::OwnedFd;
use std::thread;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use tokio::sync::mpsc;

/// The parent, watched or not.
pub struct Parent {
    gone: mpsc::Receiver<&'static str>,
    /// Where nothing is watched, this keeps `gone` open.
    watcher: mpsc::Sender<&'static str>,
}

/// What the system says of the parent process.
enum Process {
    Watched(OwnedFd),
    Gone,
    /// The system can't say.
    Unknown,
}

impl Parent {
    /// Watches nothing: the parent doesn't matter.
    pub fn ignored() -> Parent {
        let (watcher, gone) = mpsc::channel(1);
        Parent { gone, watcher }
    }

    /// Watches the parent, by a thread of its own. The error is one plain line.
    pub fn watch() -> Result<Parent, String> {
        let parent = Parent::ignored();
        let stdin = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let has_pipe = matches!(stdin, Ok(FileType::Fifo | FileType::Socket));
        let failed = |error: io::Error| format!("--exit-with-parent: cannot watch the parent process: {error}");
        let process = match parent_process().map_err(failed)? {
            Process::Watched(process) => Some(process),
            Process::Gone => {
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
            // Nobody waits for it where the broker stops already.
            let _ = watcher.try_send(wait(has_pipe, process.as_ref()));
        };
        thread::Builder::new().name("parent".to_owned()).spawn(run).map_err(failed)?;
        Ok(parent)
    }

    /// Waits until the parent is gone; what said so.
    pub async fn gone(&mut self) -> &'static str {
        match self.gone.recv().await {
            Some(what) => what,
            None => std::future::pending().await,
        }
    }
}

const STDIN_ENDED: &str = "stdin ended";
const PROCESS_ENDED: &str = "the parent process ended";

/// Waits until one of them says that the parent is gone.
fn wait(has_pipe: bool, process: Option<&OwnedFd>) -> &'static str {
    let stdin = io::stdin();
    loop {
        let mut watched = Vec::from_iter(process.map(|process| PollFd::new(process, PollFlags::IN)));
        if has_pipe {
            watched.push(PollFd::new(&stdin, PollFlags::IN));
        }
        match poll(&mut watched, None) {
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => {}
            // Nothing can be said any more; better a broker too few than one too many.
            Err(_) => return PROCESS_ENDED,
        }
        let has_said = |at: usize| watched.get(at).is_some_and(|one| !one.revents().is_empty());
        if process.is_some() && has_said(0) {
            return PROCESS_ENDED;
        }
        // What it writes there is of no interest.
        if has_pipe && has_said(watched.len().saturating_sub(1)) {
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

    // A parent outside of this container's processes has no number here.
    let Some(pid) = getppid() else { return Ok(Process::Unknown) };
    match pidfd_open(pid, PidfdFlags::empty()) {
        // Its number may be another's now if it ended before it was watched.
        Ok(process) if getppid() == Some(pid) => Ok(Process::Watched(process)),
        Ok(_) | Err(Errno::SRCH) => Ok(Process::Gone),
        Err(Errno::NOSYS | Errno::PERM) => Ok(Process::Unknown),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn parent_process() -> io::Result<Process> {
    Ok(Process::Unknown)
}
