use std::sync::mpsc;

use super::*;

/// What a sink does with the bytes that it is offered next.
enum Act {
    /// Takes so many of them.
    Take(usize),
    Fail(io::ErrorKind),
}

/// A sink that does what it is told, and blocks until it is.
struct Told {
    acts: mpsc::Receiver<Act>,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Sink for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.acts.recv() {
            Ok(Act::Take(count)) => {
                let count = count.min(bytes.len());
                self.written.lock().extend_from_slice(&bytes[..count]);
                Ok(count)
            }
            Ok(Act::Fail(kind)) => Err(kind.into()),
            // Told nothing more: takes everything.
            Err(_) => {
                self.written.lock().extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn wait(&mut self, _at_most: Duration) {}
}

struct World {
    writer: LineWriter,
    acts: mpsc::Sender<Act>,
    written: Arc<Mutex<Vec<u8>>>,
}

fn world() -> World {
    let (acts, told) = mpsc::channel();
    let written = Arc::default();
    let sink = Told { acts: told, written: Arc::clone(&written) };
    World { writer: LineWriter::with_wait(Box::new(sink), Duration::from_millis(1)), acts, written }
}

impl World {
    fn push(&self, line: impl AsRef<str>) {
        self.writer.push(format!("{}\n", line.as_ref()).into_bytes(), false);
    }

    /// Has everything written from now on, and gives all lines.
    fn lines(self) -> Vec<String> {
        drop(self.acts);
        assert!(self.writer.flush());
        let written = self.written.lock();
        String::from_utf8_lossy(&written).lines().map(str::to_owned).collect()
    }
}

#[test]
fn lines_are_written_in_their_order() {
    let world = world();
    let lines: Vec<String> = (0..5_000).map(|at| format!("line {at}")).collect();
    lines.iter().for_each(|line| world.push(line));
    assert_eq!(world.lines(), lines);
}

#[test]
fn a_sink_that_takes_nothing_holds_up_nobody_and_the_lines_that_were_dropped_are_counted() {
    let world = world();
    let line = "x".repeat(999);
    (0..1_000).for_each(|_| world.push(&line));
    let lines = world.lines();
    let (kept, said): (Vec<&String>, Vec<&String>) = lines.iter().partition(|kept| **kept == line);
    let dropped = 1_000 - kept.len();
    assert!((700..1_000).contains(&dropped), "{dropped}");
    let counts = said.iter().map(|said| {
        let (_, said) = said.split_once(" WARN ").unwrap();
        said.strip_suffix(" log lines were dropped: stderr was not read as fast as they came").unwrap()
    });
    assert_eq!(counts.map(|count| count.parse::<usize>().unwrap()).sum::<usize>(), dropped);
    assert!(said.len() <= 2, "{said:?}");
}

#[test]
fn warnings_have_room_where_other_lines_have_none() {
    let world = world();
    (0..1_000).for_each(|_| world.push("x".repeat(999)));
    world.writer.push(b"a warning\n".to_vec(), true);
    let lines = world.lines();
    assert_eq!(lines.iter().filter(|line| *line == "a warning").count(), 1);
}

#[test]
fn part_of_a_line_is_followed_by_its_rest_whatever_goes_wrong_in_between() {
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
fn what_was_dropped_while_the_disk_was_full_is_told_with_the_reason() {
    let world = world();
    world.acts.send(Act::Fail(io::ErrorKind::StorageFull)).unwrap();
    (0..1_000).for_each(|_| world.push("x".repeat(999)));
    let lines = world.lines();
    let reason = "log lines were dropped: cannot write to stderr: no storage space";
    assert!(lines.iter().any(|line| line.contains(reason)), "{:?}", lines.last());
}

#[test]
fn a_flush_gives_up_when_nothing_moves() {
    let world = world();
    world.push("stuck");
    assert!(!world.writer.flush());
    assert_eq!(world.lines(), ["stuck"]);
}

#[test]
fn a_flush_goes_on_while_bytes_move() {
    let world = world();
    world.push("0123456789");
    let acts = world.acts.clone();
    let slow = thread::spawn(move || {
        for _ in 0..11 {
            thread::sleep(STALL / 5);
            acts.send(Act::Take(1)).unwrap();
        }
    });
    assert!(world.writer.flush());
    slow.join().unwrap();
}
