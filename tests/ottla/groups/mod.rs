//! Groups: the classic group protocol, committed offsets, and disconnected members.

mod answers;
mod disconnected_members;
