//! Groups: the protocol of members, offsets, and members whose connection is lost.

mod answers;
mod disconnected_members;
