//! The limit on open files: a partition takes several, a connection one.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one; where that is refused, the limit stays as it is.
pub fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("the limit on open files stays as it is: {error}");
    }
}
