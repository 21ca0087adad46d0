//! Requests with their own memory, for drivers that decide on another thread.

use super::Request;

/// A request with its own memory; [`OwnedRequest::borrowed`] is what [`super::handle`] gets.
#[derive(Clone, Debug, Default)]
pub struct OwnedRequest {
    pub method: String,
    /// The path, with escapes.
    pub path: String,
    /// The query without the question mark; empty if there is none.
    pub query: String,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    pub body: Vec<u8>,
}

impl OwnedRequest {
    pub fn borrowed(&self) -> Request<'_> {
        Request {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            content_type: self.content_type.as_deref(),
            accept: self.accept.as_deref(),
            body: &self.body,
        }
    }
}
