//! Logs panics. The default hook would write to stderr directly, and block if stderr is not read.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};

/// Logs later panics as errors, with a backtrace if `RUST_BACKTRACE` is set.
pub(super) fn log() {
    panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let (name, message) = (thread.name().unwrap_or("<unnamed>"), message(info));
        match info.location() {
            Some(location) => tracing::error!("thread '{name}' panicked at {location}: {message}"),
            None => tracing::error!("thread '{name}' panicked: {message}"),
        }
        let backtrace = Backtrace::capture();
        if backtrace.status() == BacktraceStatus::Captured {
            backtrace.to_string().lines().for_each(|line| tracing::error!("{line}"));
        }
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload: &(dyn Any + Send) = info.payload();
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
