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
use tokio::sync::{mpsc, watch};

/// The parent, watched or not.
pub struct Parent {
    ended: mpsc::Receiver<&'static str>,
    is_watched: bool,
    /// Whether the parent has written to stdin.
    has_written: watch::Receiver<bool>,
    /// Keeps the channels open if nothing is watched.
    watcher: Watcher,
}

/// What reports to a [`Parent`].
#[derive(Clone)]
struct Watcher {
    ended: mpsc::Sender<&'static str>,
    has_written: watch::Sender<bool>,
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
        let (end, ended) = mpsc::channel(1);
        let (write, has_written) = watch::channel(false);
        Parent { ended, is_watched: false, has_written, watcher: Watcher { ended: end, has_written: write } }
    }

    /// Watches the parent on a separate thread. The error is one line.
    pub fn watch() -> Result<Parent, String> {
        let parent = Parent { is_watched: true, ..Parent::ignored() };
        let stdin = fstat(io::stdin()).map(|stat| FileType::from_raw_mode(stat.st_mode));
        let has_pipe = matches!(stdin, Ok(FileType::Fifo | FileType::Socket));
        let failed = |error: io::Error| format!("--exit-with-parent: cannot watch the parent process: {error}");
        let process = match parent_process().map_err(failed)? {
            Process::Watched(process) => Some(process),
            Process::Ended => {
                let _ = parent.watcher.ended.try_send(PROCESS_ENDED);
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
            let _ = watcher.ended.try_send(wait(has_pipe, process.as_ref(), &watcher.has_written));
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

    /// After a signal: waits until the parent ends too, or says that it uses the data again by a write to stdin. Returns
    /// whether it ends; at once if nothing is watched.
    pub async fn ends_too(&mut self) -> bool {
        let mut has_written = self.has_written.clone();
        tokio::select! {
            biased;
            _ = self.ended() => true,
            _ = has_written.wait_for(|written| *written) => false,
            () = std::future::ready(()), if !self.is_watched => false,
        }
    }
}

const STDIN_ENDED: &str = "stdin ended";
const PROCESS_ENDED: &str = "the parent process ended";

/// Waits until stdin or the pidfd reports the end of the parent. Meanwhile, reports a write to stdin.
fn wait(has_pipe: bool, process: Option<&OwnedFd>, has_written: &watch::Sender<bool>) -> &'static str {
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
        // What is written to stdin does not matter.
        if has_pipe && is_ready(watched.len().saturating_sub(1)) {
            match rustix::io::read(&stdin, &mut [0; 512]) {
                Ok(1..) => drop(has_written.send_replace(true)),
                Err(Errno::INTR | Errno::AGAIN) => {}
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const WAIT: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn parent_that_writes_to_stdin_or_is_not_watched_does_not_end_with_the_broker() {
        let ends_too = async |parent: &mut Parent| tokio::time::timeout(WAIT, parent.ends_too()).await.ok();
        assert_eq!(ends_too(&mut Parent::ignored()).await, Some(false));
        let mut parent = Parent { is_watched: true, ..Parent::ignored() };
        assert_eq!(ends_too(&mut parent).await, None, "it waits");
        parent.watcher.has_written.send_replace(true);
        assert_eq!(ends_too(&mut parent).await, Some(false));
        parent.watcher.ended.send(STDIN_ENDED).await.unwrap();
        assert_eq!(ends_too(&mut parent).await, Some(true), "it has ended since");
    }
}
