//! The queue of log lines, and the thread that writes them.
//!
//! A line is appended to a bounded queue in memory, or dropped if the queue is full; callers never wait for stderr. The
//! thread writes whole lines, up to [`CHUNK`] bytes at a time, without holding a lock. If a write fails (a full disk, a
//! broken pipe, a non-blocking descriptor), it retries the same bytes with increasing delay. A notice in the place of
//! dropped lines says how many there were.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rustix::event::{PollFd, PollFlags, Timespec};
use tracing::Level;

use super::line::{Format, Line};
use super::recent::Recent;
use ottla_broker::clock::Clock;

/// Size limit of the queue, in bytes.
const CAPACITY: usize = 256 << 10;
/// The part of [`CAPACITY`] that only warnings and errors may use.
const RESERVE: usize = 64 << 10;
/// Bytes per write call. Writes of this size to a pipe are atomic (PIPE_BUF), so lines of several processes don't mix.
const CHUNK: usize = 4 << 10;
/// The delay before the first retry after an error; doubled for each further one, up to [`MAX_RETRY_DELAY`].
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(10);
/// How long a flush waits while nothing is written, and in all.
const STALL_TIMEOUT: Duration = Duration::from_millis(500);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The destination of lines.
pub(super) trait Sink: Send + 'static {
    /// Writes some of the bytes, like [`io::Write::write`]; may block.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until a write may succeed, or for `timeout`, after [`io::ErrorKind::WouldBlock`].
    fn wait(&mut self, timeout: Duration);
}

/// The process's stderr, without the lock of [`io::Stderr`], which a thread that prints a panic holds.
pub(super) struct Stderr;

impl Sink for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(io::stderr(), bytes)?)
    }

    fn wait(&mut self, timeout: Duration) {
        let stderr = io::stderr();
        let mut ready = [PollFd::new(&stderr, PollFlags::OUT)];
        let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
        if rustix::event::poll(&mut ready, Some(&timeout)).is_err() {
            thread::sleep(FIRST_RETRY_DELAY);
        }
    }
}

/// A bounded queue of lines with a thread that writes them.
pub(super) struct LineWriter {
    shared: Arc<Shared>,
    recent: Recent,
    /// The destination, until the thread has taken it.
    sink: Mutex<Option<Box<dyn Sink>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Notified of new lines and of written bytes.
    changed: Condvar,
    first_retry_delay: Duration,
}

#[derive(Default)]
struct Queue {
    /// The format of the notice about dropped lines.
    format: Format,
    /// Whole lines.
    lines: VecDeque<Vec<u8>>,
    /// Total bytes of `lines`.
    bytes: usize,
    /// Lines dropped since the last notice.
    dropped: u64,
    /// How many of `lines` are older than the first dropped one.
    before_dropped: usize,
    /// Whether the thread is writing lines that it has taken from the queue.
    is_writing: bool,
    /// Bytes written so far.
    written: u64,
    /// The reason of the last failed write.
    failure: Option<String>,
}

impl LineWriter {
    pub fn new(sink: Box<dyn Sink>) -> LineWriter {
        LineWriter::with_retry_delay(sink, FIRST_RETRY_DELAY)
    }

    fn with_retry_delay(sink: Box<dyn Sink>, first_retry_delay: Duration) -> LineWriter {
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), first_retry_delay };
        LineWriter { shared: Arc::new(shared), recent: Recent::default(), sink: Mutex::new(Some(sink)) }
    }

    /// The last lines, also those that were dropped.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Sets the format of the notice about dropped lines.
    pub fn set_format(&self, format: Format) {
        self.shared.queue.lock().format = format;
    }

    /// Appends a line to the queue, or drops it if the queue is full. Never blocks on stderr.
    pub fn push(&self, line: Vec<u8>, is_important: bool) {
        self.recent.add(&line);
        let mut queue = self.shared.queue.lock();
        let capacity = if is_important { CAPACITY } else { CAPACITY - RESERVE };
        if queue.bytes + line.len() > capacity {
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

    /// Starts the thread at the first line. If that fails, the next line tries again.
    fn start(&self) {
        let Some(mut sink) = self.sink.try_lock() else { return };
        if sink.is_none() {
            return;
        }
        // The thread takes it when it runs. If no thread can be started, it goes back.
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

    /// Waits until the queue is written, until nothing was written for [`STALL_TIMEOUT`], or for [`FLUSH_TIMEOUT`]. Returns
    /// whether everything is written.
    pub fn flush(&self) -> bool {
        let clock = Clock::start();
        let mut queue = self.shared.queue.lock();
        while !queue.is_done() {
            let before = queue.written;
            let waited = self.shared.changed.wait_while_for(
                &mut queue,
                |queue| queue.written == before && !queue.is_done(),
                STALL_TIMEOUT,
            );
            if waited.timed_out() || clock.monotonic() > FLUSH_TIMEOUT {
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

    /// Takes the next lines to write: as many as fit in one write call, at least one. In the place of dropped lines, returns
    /// the notice.
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
            // Frees the memory of a burst.
            self.lines = VecDeque::new();
        }
        Some(chunk)
    }

    fn take_notice(&mut self) -> Vec<u8> {
        let count = std::mem::take(&mut self.dropped);
        let mut line = Line::begin(Level::WARN, self.format, false);
        match self.failure.take() {
            Some(why) => line.message(format_args!("dropped {count} log lines: cannot write to stderr: {why}")),
            None => line.message(format_args!("dropped {count} log lines: stderr was not read fast enough")),
        }
        line.finish()
    }
}

impl Shared {
    /// Writes lines until the process ends.
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

    /// Writes a whole chunk, with as many retries as needed.
    fn write(&self, sink: &mut dyn Sink, mut chunk: &[u8]) {
        let mut wait = self.first_retry_delay;
        while !chunk.is_empty() {
            match sink.write(chunk) {
                Ok(count) if count > 0 => {
                    chunk = chunk.get(count..).unwrap_or_default();
                    wait = self.first_retry_delay;
                    self.queue.lock().written += count as u64;
                    self.changed.notify_all();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sink.wait(MAX_RETRY_DELAY),
                result => {
                    let why = result.map_or_else(|error| error.to_string(), |_| "no bytes were written".to_owned());
                    self.queue.lock().failure = Some(why);
                    thread::sleep(wait);
                    wait = (wait * 2).min(MAX_RETRY_DELAY);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
