//! The limit on open files. A partition uses several, a connection one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit, if the system allows it.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!(%error, "failed to raise the limit on open files");
    }
}
