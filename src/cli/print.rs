//! Prints lines on stdout and stderr. `println!` and `eprintln!` are not used, because they panic if a line can't be written
//! (a closed pipe, a full disk).

use std::fmt::Arguments;
use std::io::{Write as _, stderr};

use super::tools::output::Output;

/// Prints a line on stdout with [`Output`].
macro_rules! out_line {
    ($($text:tt)*) => { $crate::cli::print::out_line(format_args!($($text)*)) };
}

/// Prints a line on stderr; errors are ignored.
macro_rules! err_line {
    ($($text:tt)*) => { $crate::cli::print::err_text(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text on stderr; errors are ignored.
macro_rules! err_text {
    ($($text:tt)*) => { $crate::cli::print::err_text(format_args!($($text)*)) };
}

pub fn out_line(text: Arguments<'_>) {
    Output::stdout().line(text);
}

pub fn err_text(text: Arguments<'_>) {
    // There is nowhere to report a failure to.
    let _ = stderr().write_fmt(text);
}
