//! Lines for stdout and stderr. `println!` and `eprintln!` panic where a line can't be written (a pipe that nobody reads
//! any more, a full disk), so they are not used here.

use std::fmt::Arguments;
use std::io::{Write as _, stderr};

use super::tools::output::Output;

/// Prints a line on stdout; see [`Output`].
macro_rules! out_line {
    ($($text:tt)*) => { $crate::cli::print::out_line(format_args!($($text)*)) };
}

/// Prints a line on stderr, if that can be done.
macro_rules! err_line {
    ($($text:tt)*) => { $crate::cli::print::err_text(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text on stderr, if that can be done.
macro_rules! err_text {
    ($($text:tt)*) => { $crate::cli::print::err_text(format_args!($($text)*)) };
}

pub fn out_line(text: Arguments<'_>) {
    Output::stdout().line(text);
}

pub fn err_text(text: Arguments<'_>) {
    // Nobody is left to tell if this fails; what the program does goes on.
    let _ = stderr().write_fmt(text);
}
