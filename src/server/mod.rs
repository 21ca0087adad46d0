//! The only code that touches sockets: listeners, connections, limits, in-order replies, shutdown.

pub mod dispatch;

pub use dispatch::{ClientSoftware, CloseReason, ConnectionInfo, Dispatch, Outcome, ParkedReply, Reply};
