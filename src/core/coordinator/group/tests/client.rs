//! A client of a group, with the fields of its requests.

use std::sync::Arc;

use bytes::Bytes;

use crate::coordinator::ReplyTo;
use crate::coordinator::group::Protocol;

/// The state of a client, and the fields of its requests.
#[derive(Clone)]
pub struct Client {
    pub client_id: Arc<str>,
    pub member_id: Arc<str>,
    pub instance_id: Option<Arc<str>>,
    pub generation: i32,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub protocol_type: Arc<str>,
    pub protocols: Vec<Protocol>,
    pub member_id_required: bool,
    pub can_skip_assignment: bool,
    /// The request whose reply has not been taken yet.
    pub pending_request: Option<ReplyTo>,
}

impl Client {
    pub fn supports(&mut self, protocols: &[&str]) {
        self.protocols =
            protocols.iter().map(|&name| Protocol { name: name.into(), metadata: subscription(&["orders"]) }).collect();
    }

    pub fn subscribes_to(&mut self, topics: &[&str]) {
        for protocol in &mut self.protocols {
            protocol.metadata = subscription(topics);
        }
    }
}

/// A consumer's subscription, version 0.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 0];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}
