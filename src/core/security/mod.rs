//! Security decisions: pure, without sockets and clocks.

pub mod acl;
