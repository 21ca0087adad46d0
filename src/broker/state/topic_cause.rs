//! Why topics are created, for the log.

/// Why topics are created, and for which client.
#[derive(Clone, Debug)]
pub struct TopicCause {
    why: &'static str,
    client: Option<String>,
    client_id: Option<String>,
}

impl TopicCause {
    /// The setting `ottla.create.topics`.
    pub const START_TOPICS: TopicCause = TopicCause { why: "ottla.create.topics", client: None, client_id: None };

    /// A request to the admin port.
    pub const ADMIN_PORT: TopicCause = TopicCause { why: "admin port", client: None, client_id: None };

    /// The first record of the schema registry.
    #[cfg(feature = "registry")]
    pub const SCHEMA_REGISTRY: TopicCause = TopicCause { why: "schema registry", client: None, client_id: None };

    /// A request of a client. `why` names the API.
    pub fn request(why: &'static str, client: String, client_id: &str) -> TopicCause {
        TopicCause { why, client: Some(client), client_id: Some(client_id.to_owned()) }
    }

    /// The cause, as the log shows it.
    pub fn why(&self) -> &'static str {
        self.why
    }

    /// The address of the client.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// Its `client.id`.
    pub fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }
}
