//! One suite for all backings.
