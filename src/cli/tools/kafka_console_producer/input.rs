//! Input, line by line, without holding up the sending.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Stdin, Write as _};

use tokio::sync::mpsc;

/// Batches of items read ahead.
const AHEAD: usize = 16;
/// How much is read at a time.
const BUFFER: usize = 64 << 10;

/// What each line becomes, in groups of those that can be had at once; ends at the end of the input or with the first
/// error. Lines are counted from 1. With `prompt` there is Kafka's, `>`, on standard output before each line.
pub fn lines<T: Send + 'static>(
    input: impl Read + Send + 'static,
    prompt: bool,
    read: impl FnMut(&str, u64) -> Result<T, String> + Send + 'static,
) -> mpsc::Receiver<Vec<Result<T, String>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Not one of the runtime's threads: those have to end before the process can.
    std::thread::spawn(move || {
        let input = BufReader::with_capacity(BUFFER, input);
        read_lines(input, prompt, read, |group| sender.blocking_send(group).is_ok());
    });
    receiver
}

/// Standard input, and whether a person types it, who gets a prompt.
pub fn stdin() -> (Stdin, bool) {
    (io::stdin(), io::stdin().is_terminal() && io::stdout().is_terminal())
}

fn read_lines<T>(
    mut input: BufReader<impl Read>,
    prompt: bool,
    mut read: impl FnMut(&str, u64) -> Result<T, String>,
    mut take: impl FnMut(Vec<Result<T, String>>) -> bool,
) {
    let (mut group, mut line, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        if prompt {
            // A terminal that is gone is noticed by reading from it.
            let _ = io::stdout().write_all(b">").and_then(|()| io::stdout().flush());
        }
        line.clear();
        match input.read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                group.push(Err(format!("cannot read the input: {error}")));
                break;
            }
        }
        for line in java_lines(&line) {
            number += 1;
            let item = read(&String::from_utf8_lossy(line), number);
            let failed = item.is_err();
            group.push(item);
            if failed {
                take(group);
                return;
            }
        }
        let another_is_there = input.buffer().contains(&b'\n');
        if !another_is_there && !take(std::mem::take(&mut group)) {
            return;
        }
    }
    take(group);
}

/// What ends with LF is one line to most, but to Java so does what ends with CR.
fn java_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    bytes.split(|byte| *byte == b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(input: &str, buffer: usize) -> Vec<Vec<Result<String, String>>> {
        let mut groups = Vec::new();
        let read = |line: &str, number: u64| if line == "bad" { Err(number.to_string()) } else { Ok(line.to_owned()) };
        read_lines(BufReader::with_capacity(buffer, input.as_bytes()), false, read, |group| {
            groups.push(group);
            true
        });
        groups
    }

    #[test]
    fn lines_end_as_in_java() {
        let check = |input, expect: &[&str]| {
            let lines: Vec<_> = groups(input, 100).into_iter().flatten().map(Result::unwrap).collect();
            assert_eq!(lines, expect, "{input:?}");
        };
        check("a\nb\n", &["a", "b"]);
        check("a\r\nb", &["a", "b"]);
        check("a\rb\r", &["a", "b"]);
        check("\n\na", &["", "", "a"]);
        check("", &[]);
    }

    #[test]
    fn what_is_there_comes_at_once() {
        let sizes = |input, buffer| groups(input, buffer).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes("a\nb\nc\n", 100), [3, 0]);
        assert_eq!(sizes("a\nb\nc\n", 4), [2, 1, 0]);
    }

    #[test]
    fn the_first_mistake_ends_it() {
        assert_eq!(groups("a\nbad\nb\n", 100), [[Ok("a".to_owned()), Err("2".to_owned())]]);
    }
}
