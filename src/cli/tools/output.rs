//! Prints to a pipe that may be closed, and lays out tables as Kafka's tools do.

use std::io::{self, BufWriter, Stdout, Write};

/// Buffered standard output. When the pipe is closed (`… | head -1`), the process exits with code 0.
pub struct Output {
    to: BufWriter<Stdout>,
}

impl Output {
    pub fn stdout() -> Output {
        Output { to: BufWriter::with_capacity(64 << 10, io::stdout()) }
    }

    pub fn line(&mut self, text: impl std::fmt::Display) {
        end_if_closed(writeln!(self.to, "{text}"));
    }

    /// Prints text without adding a line end.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Prints bytes unchanged.
    pub fn bytes(&mut self, bytes: &[u8]) {
        end_if_closed(self.to.write_all(bytes));
    }

    /// Flushes standard output, then prints a line on standard error.
    pub fn error_line(&mut self, text: impl std::fmt::Display) {
        self.flush();
        err_line!("{text}");
    }

    pub fn flush(&mut self) {
        end_if_closed(self.to.flush());
    }
}

/// Joins cells with a space, each padded with spaces to its width.
pub fn row<T: AsRef<str>>(cells: &[T], widths: &[usize]) -> String {
    let fill = |(cell, width): (&T, &usize)| format!("{:<width$}", cell.as_ref());
    cells.iter().zip(widths).map(fill).collect::<Vec<_>>().join(" ")
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Prints a table on stdout: each cell is padded to the width of its column and followed by a tab.
///
/// Source: `org.apache.kafka.tools.ToolsUtils.prettyPrintTable`.
pub fn print_table<const N: usize>(headers: [&str; N], rows: &[[String; N]]) {
    let mut widths = headers.map(|header| header.chars().count());
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |cells: &[String; N]| -> String {
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}\t")).collect()
    };
    let mut output = Output::stdout();
    output.line(line(&headers.map(str::to_owned)));
    rows.iter().for_each(|row| output.line(line(row)));
}

fn end_if_closed(result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            err_line!("cannot write to standard output: {error}");
            std::process::exit(1);
        }
    }
}
