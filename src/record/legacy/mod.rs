//! Message formats 0 and 1, which Produce v0–v2 carry and Fetch v0–v3 expect.
//!
//! Logs hold format 2 only: verification converts what old producers send (`verify/upgrade.rs`), and
//! [`down_convert`] what old consumers are served.

mod down;
mod message;

pub use down::{OldFormat, down_convert};
pub(super) use message::take_message;
pub use message::{Message, expand_wrapper};
