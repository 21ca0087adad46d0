//! Reads input lines on a thread of its own, so that sending is not blocked.

use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read, Stdin, Write as _};

use tokio::sync::mpsc;

/// The maximum number of groups that are read ahead.
const READ_AHEAD: usize = 16;
/// The size of the read buffer in bytes.
const BUFFER_SIZE: usize = 64 << 10;

/// Reads lines and converts each with `read`; sends the results in groups of lines that are available at once. Ends at
/// the end of the input or after the first error. Lines are counted from 1. With `prompt`, prints Kafka's prompt `>` on
/// standard output before each line.
pub fn lines<T: Send + 'static>(
    input: impl Read + Send + 'static,
    prompt: bool,
    read: impl FnMut(&str, u64) -> Result<T, String> + Send + 'static,
) -> mpsc::Receiver<Vec<Result<T, String>>> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    // Not a thread of the runtime: the process would wait for it to end.
    std::thread::spawn(move || {
        let input = BufReader::with_capacity(BUFFER_SIZE, input);
        read_lines(input, prompt, read, |group| sender.blocking_send(group).is_ok());
    });
    receiver
}

/// Returns standard input, and whether to print a prompt: true if input and output are a terminal.
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
            // Ignores errors: reading from a closed terminal ends the input.
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
        let has_another_line = input.buffer().contains(&b'\n');
        if !has_another_line && !take(std::mem::take(&mut group)) {
            return;
        }
    }
    take(group);
}

/// Splits a line that ends with LF at CR, because Java ends a line at CR, LF or CRLF.
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
    fn available_lines_are_sent_in_one_group() {
        let sizes = |input, buffer| groups(input, buffer).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes("a\nb\nc\n", 100), [3, 0]);
        assert_eq!(sizes("a\nb\nc\n", 4), [2, 1, 0]);
    }

    #[test]
    fn reading_ends_after_the_first_error() {
        assert_eq!(groups("a\nbad\nb\n", 100), [[Ok("a".to_owned()), Err("2".to_owned())]]);
    }
}
