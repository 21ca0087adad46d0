//! The queue of log lines, and the thread that writes them.
//!
//! A line is put into the queue in memory, or dropped where the queue is full; no caller ever waits for stderr. The
//! thread writes whole lines, up to [`CHUNK`] bytes at a time, with no lock held. Where stderr refuses (a full disk, a
//! broken pipe, a descriptor that does not block) it keeps what it has and tries again, ever more rarely. Lines that
//! were dropped are counted, and told of where they are missing.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec};
use tracing::Level;

use super::line::{Format, Line};
use ottla_broker::clock::Clock;

/// Bytes of lines that may wait.
const CAPACITY: usize = 256 << 10;
/// Of these, what only warnings and errors may take.
const RESERVE: usize = 64 << 10;
/// Bytes that are written in one call: a pipe takes so many whole, or not at all (PIPE_BUF), so that lines of several
/// processes stay whole.
const CHUNK: usize = 4 << 10;
/// The wait before stderr is tried again after an error, doubled with each one that follows, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How long a flush goes on while nothing is written, and at most.
const STALL: Duration = Duration::from_millis(500);
const LONGEST_FLUSH: Duration = Duration::from_secs(5);

/// Where lines go.
pub(super) trait Sink: Send + 'static {
    /// Writes some bytes, as [`io::Write::write`] does; may block.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits for a while until it may take bytes, after [`io::ErrorKind::WouldBlock`].
    fn wait(&mut self, at_most: Duration);
}

/// The process's stderr, without the lock of [`io::Stderr`]: who prints a panic holds it.
pub(super) struct Stderr;

impl Sink for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), bytes)?)
    }

    fn wait(&mut self, at_most: Duration) {
        let stderr = io::stderr();
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        let at_most = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
        if rustix::event::poll(&mut ready, Some(&at_most)).is_err() {
            thread::sleep(FIRST_WAIT);
        }
    }
}

/// A bounded queue of lines with a thread that writes them.
pub(super) struct LineWriter {
    shared: Arc<Shared>,
    /// Where the lines go, until there is a thread.
    sink: Mutex<Option<Box<dyn Sink>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Told of lines that came and of bytes that were written.
    changed: Condvar,
    first_wait: Duration,
}

#[derive(Default)]
struct Queue {
    /// The form of the notice of lines that were dropped.
    format: Format,
    /// Whole lines.
    lines: VecDeque<Vec<u8>>,
    /// Bytes of them.
    bytes: usize,
    /// Lines that found no room since this was last told.
    dropped: u64,
    /// How many of `lines` came before the first of those.
    before_dropped: usize,
    /// Whether the thread has lines in hand.
    is_writing: bool,
    /// Bytes written so far.
    written: u64,
    /// Why stderr did not take the last bytes that it was offered.
    failure: Option<String>,
}

impl LineWriter {
    pub fn new(sink: Box<dyn Sink>) -> LineWriter {
        LineWriter::with_wait(sink, FIRST_WAIT)
    }

    fn with_wait(sink: Box<dyn Sink>, first_wait: Duration) -> LineWriter {
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), first_wait };
        LineWriter { shared: Arc::new(shared), sink: Mutex::new(Some(sink)) }
    }

    /// Has lines of the queue's own written in this form.
    pub fn set_format(&self, format: Format) {
        self.shared.queue.lock().format = format;
    }

    /// Has a line written, soon. Never waits for that.
    pub fn push(&self, line: Vec<u8>, is_important: bool) {
        let mut queue = self.shared.queue.lock();
        let room = if is_important { CAPACITY } else { CAPACITY - RESERVE };
        if queue.bytes + line.len() > room {
            if queue.dropped == 0 {
                queue.before_dropped = queue.lines.len();
            }
            queue.dropped += 1;
            return;
        }
        queue.bytes += line.len();
        queue.lines.push_back(line);
        drop(queue);
        self.shared.changed.notify_all();
        self.start();
    }

    /// Starts the thread with the first line. Where there can be none, the next line tries again.
    fn start(&self) {
        let Some(mut sink) = self.sink.try_lock() else { return };
        if sink.is_none() {
            return;
        }
        // Taken by the thread itself: where there is no thread, it stays here.
        let handed = Arc::new(Mutex::new(sink.take()));
        let (shared, taken) = (Arc::clone(&self.shared), Arc::clone(&handed));
        let run = move || {
            let sink = taken.lock().take();
            if let Some(sink) = sink {
                shared.write_all(sink);
            }
        };
        if thread::Builder::new().name("log".to_owned()).spawn(run).is_err() {
            *sink = handed.lock().take();
        }
    }

    /// Waits until everything that was pushed is written. Gives up when nothing was written for [`STALL`], or after
    /// [`LONGEST_FLUSH`]: whether it is all written.
    pub fn flush(&self) -> bool {
        let clock = Clock::start();
        let mut queue = self.shared.queue.lock();
        while !queue.is_done() {
            let before = queue.written;
            let waited = self.shared.changed.wait_while_for(
                &mut queue,
                |queue| queue.written == before && !queue.is_done(),
                STALL,
            );
            if waited.timed_out() || clock.monotonic() > LONGEST_FLUSH {
                return queue.is_done();
            }
        }
        true
    }
}

impl Queue {
    fn is_done(&self) -> bool {
        self.lines.is_empty() && !self.is_writing && self.dropped == 0
    }

    /// The next lines to write, as many as fit in one call, and at least one. Where lines were dropped, it is told.
    fn take(&mut self) -> Option<Vec<u8>> {
        if self.dropped > 0 && self.before_dropped == 0 {
            return Some(self.take_notice());
        }
        let most = if self.dropped > 0 { self.before_dropped } else { usize::MAX };
        let mut chunk = self.lines.pop_front()?;
        let mut taken = 1;
        while taken < most
            && let Some(next) = self.lines.front().filter(|next| chunk.len() + next.len() <= CHUNK)
        {
            chunk.extend_from_slice(next);
            self.lines.pop_front();
            taken += 1;
        }
        self.bytes -= chunk.len();
        self.before_dropped = self.before_dropped.saturating_sub(taken);
        if self.lines.is_empty() {
            // A burst leaves no memory behind.
            self.lines = VecDeque::new();
        }
        Some(chunk)
    }

    fn take_notice(&mut self) -> Vec<u8> {
        let count = std::mem::take(&mut self.dropped);
        let mut line = Line::begin(Level::WARN, self.format, false);
        match self.failure.take() {
            Some(why) => line.message(format_args!("{count} log lines were dropped: cannot write to stderr: {why}")),
            None => {
                line.message(format_args!("{count} log lines were dropped: stderr was not read as fast as they came"))
            }
        }
        line.finish()
    }
}

impl Shared {
    /// Writes for as long as the process lives.
    fn write_all(&self, mut sink: Box<dyn Sink>) {
        loop {
            let mut queue = self.queue.lock();
            queue.is_writing = false;
            let chunk = loop {
                match queue.take() {
                    Some(chunk) => break chunk,
                    None => {
                        self.changed.notify_all();
                        self.changed.wait(&mut queue);
                    }
                }
            };
            queue.is_writing = true;
            drop(queue);
            self.write(sink.as_mut(), &chunk);
        }
    }

    /// Writes a chunk to its end, however often it takes.
    fn write(&self, sink: &mut dyn Sink, mut chunk: &[u8]) {
        let mut wait = self.first_wait;
        while !chunk.is_empty() {
            match sink.write(chunk) {
                Ok(count) if count > 0 => {
                    chunk = chunk.get(count..).unwrap_or_default();
                    wait = self.first_wait;
                    self.queue.lock().written += count as u64;
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sink.wait(LONGEST_WAIT),
                result => {
                    let why = result.map_or_else(|error| error.to_string(), |_| "it takes no bytes".to_owned());
                    self.queue.lock().failure = Some(why);
                    thread::sleep(wait);
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
