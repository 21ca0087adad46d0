//! Requests with their own memory, for drivers that decide on another thread.

use super::Request;

/// A request with its own memory; [`OwnedRequest::borrowed`] is what [`super::handle`] gets.
#[derive(Clone, Default)]
pub struct OwnedRequest {
    pub method: String,
    /// The path, with escapes.
    pub path: String,
    /// The query without the question mark; empty if there is none.
    pub query: String,
    pub content_type: Option<String>,
    pub accept: Option<String>,
    /// The header Authorization, which a driver passes on with the request.
    pub authorization: Option<String>,
    /// Whether another registry of the group has passed the request on. It is not passed on again.
    pub is_forwarded: bool,
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
