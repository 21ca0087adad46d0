use std::sync::mpsc;

use super::*;

/// The result of one write call.
enum Act {
    /// Writes at most this many bytes.
    Take(usize),
    Fail(io::ErrorKind),
}

/// A sink that blocks at each write until the test sends an act.
struct ScriptedSink {
    acts: mpsc::Receiver<Act>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Sink for ScriptedSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.acts.recv() {
            Ok(Act::Take(count)) => {
                let count = count.min(bytes.len());
                self.written.lock().extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            Ok(Act::Fail(kind)) => Err(kind.into()),
            // The test is done: writes everything.
            Err(_) => {
                self.written.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn wait(&mut self, _timeout: Duration) {}
}

struct World {
    writer: LineWriter,
    acts: mpsc::Sender<Act>,
    written: Arc<Mutex<Vec<u8>>>,
}

fn world() -> World {
    let (acts, received) = mpsc::channel();
    let written = Arc::default();
    let sink = ScriptedSink { acts: received, written: Arc::clone(&written) };
    World { writer: LineWriter::with_retry_delay(Box::new(sink), Duration::from_millis(1)), acts, written }
}

impl World {
    fn push(&self, line: impl AsRef<str>) {
        self.writer.push(format!("{}\n", line.as_ref()).into_bytes(), false);
    }

    /// Lets everything be written, and returns all lines.
    fn lines(self) -> Vec<String> {
        drop(self.acts);
        assert!(self.writer.flush());
        let written = self.written.lock();
        String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
    }
}

#[test]
fn lines_are_written_in_order() {
    let world = world();
    let lines: Vec<String> = (0..5_000).map(|at| format!("line {at}")).collect();
    lines.iter().for_each(|line| world.push(line));
    assert_eq!(world.lines(), lines);
}

#[test]
fn push_to_full_queue_drops_the_line_without_blocking_and_counts_it() {
    let world = world();
    let line = "x".repeat(999);
    (0..1_000).for_each(|_| world.push(&line));
    let lines = world.lines();
    let (kept, notices): (Vec<&String>, Vec<&String>) = lines.iter().partition(|kept| **kept == line);
    let dropped = 1_000 - kept.len();
    assert!((700..1_000).contains(&dropped), "{dropped}");
    let counts = notices.iter().map(|notice| {
        let (_, notice) = notice.split_once(" WARN dropped ").unwrap();
        notice.strip_suffix(" log lines: stderr was not read fast enough").unwrap()
    });
    assert_eq!(counts.map(|count| count.parse::<usize>().unwrap()).sum::<usize>(), dropped);
    assert!(notices.len() <= 2, "{notices:?}");
}

#[test]
fn warning_is_queued_when_other_lines_are_dropped() {
    let world = world();
    (0..1_000).for_each(|_| world.push("x".repeat(999)));
    world.writer.push(b"a warning\n".to_vec(), true);
    let lines = world.lines();
    assert_eq!(lines.iter().filter(|line| *line == "a warning").count(), 1);
}

#[test]
fn rest_of_a_partly_written_line_follows_after_any_error() {
    use io::ErrorKind::{BrokenPipe, Interrupted, StorageFull, WouldBlock};
    let world = world();
    world.push("0123456789");
    world.push("the next");
    for act in [Act::Take(3), Act::Fail(StorageFull), Act::Take(0), Act::Fail(WouldBlock), Act::Take(1)] {
        world.acts.send(act).unwrap();
    }
    for kind in [Interrupted, BrokenPipe, StorageFull, WouldBlock] {
        world.acts.send(Act::Fail(kind)).unwrap();
    }
    assert_eq!(world.lines(), ["0123456789", "the next"]);
}

#[test]
fn notice_about_lines_dropped_on_a_full_disk_has_the_reason() {
    let world = world();
    world.acts.send(Act::Fail(io::ErrorKind::StorageFull)).unwrap();
    (0..1_000).for_each(|_| world.push("x".repeat(999)));
    let lines = world.lines();
    let reason = "log lines: cannot write to stderr: no storage space";
    assert!(lines.iter().any(|line| line.contains(reason)), "{:?}", lines.last());
}

#[test]
fn flush_returns_false_when_nothing_is_written() {
    let world = world();
    world.push("stuck");
    assert!(!world.writer.flush());
    assert_eq!(world.lines(), ["stuck"]);
}

#[test]
fn flush_continues_while_bytes_are_written() {
    let world = world();
    world.push("0123456789");
    let acts = world.acts.clone();
    let slow = thread::spawn(move || {
        for _ in 0..11 {
            thread::sleep(STALL_TIMEOUT / 5);
            acts.send(Act::Take(1)).unwrap();
        }
    });
    assert!(world.writer.flush());
    slow.join().unwrap();
}
