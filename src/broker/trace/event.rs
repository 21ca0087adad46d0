//! A request that is done, as it is kept, and as JSON in the form of Kafka's request log.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::json::{Found, JsonWriter, TopicNames, push_text};
use super::message::{Header, has_error, visit_request, visit_response};
use crate::server::{ConnectionInfo, Ending, Exchange};
use ottla_core::security::Principal;
use ottla_wire::protocol::ApiKey;
use ottla_wire::types::TimestampMs;

/// What an event uses beside its excerpts: itself, and its share of its connection.
const OVERHEAD: usize = size_of::<Event>() + 256;

/// A request that is done.
#[derive(Debug)]
pub struct Event {
    /// When it was done.
    pub at: TimestampMs,
    connection: Arc<ConnectionInfo>,
    principal: Principal,
    exchange: Exchange,
    /// Whether the response has an error, or the connection was closed because of the request.
    pub failed: bool,
}

/// An event as text, with what filters compare.
#[derive(Debug)]
pub struct Shown {
    /// A line of JSON.
    pub line: String,
    pub topics: Vec<String>,
    pub groups: Vec<String>,
}

/// Whether the response has an error, as far as it was copied, or the connection was closed because of the request.
pub(super) fn has_failed(exchange: &Exchange) -> bool {
    let response_has_error = || {
        let excerpts = exchange.excerpts.as_ref()?;
        Some(has_error(&excerpts.reply, &header(exchange)?))
    };
    exchange.refused.is_some() || response_has_error().unwrap_or(false)
}

fn header(exchange: &Exchange) -> Option<Header<'_>> {
    let excerpts = exchange.excerpts.as_ref()?;
    Header::read(&mut Cursor::of(&excerpts.request)).ok()
}

impl Event {
    pub fn new(at: TimestampMs, connection: &Arc<ConnectionInfo>, exchange: &Exchange, failed: bool) -> Event {
        let identity = connection.sasl.as_ref().map(|session| session.lock().identity().cloned());
        let principal = match identity {
            None => connection.principal.clone(),
            Some(identity) => identity.map_or_else(Principal::anonymous, |identity| identity.principal),
        };
        Event { at, connection: Arc::clone(connection), principal, exchange: exchange.clone(), failed }
    }

    /// The memory that it uses, about.
    pub fn size(&self) -> usize {
        let excerpts = self.exchange.excerpts.as_ref();
        OVERHEAD
            + excerpts.map_or(0, |excerpts| size_of_val(&**excerpts) + excerpts.request.size() + excerpts.reply.size())
    }

    fn header(&self) -> Option<Header<'_>> {
        header(&self.exchange)
    }

    pub fn api(&self) -> Option<ApiKey> {
        ApiKey::from_code(self.header()?.key)
    }

    /// The client id; `None` if there is none.
    pub fn client_id(&self) -> Option<&[u8]> {
        self.header()?.client_id
    }

    /// Writes the event as JSON. `topic_names` finds the names of topics that the request names by id.
    pub fn show(&self, topic_names: TopicNames<'_>) -> Shown {
        let mut out = String::with_capacity(1024);
        let _ = write!(out, "{{\"timestamp\":{},", self.at);
        let found = self.push_messages(&mut out, topic_names);
        let ConnectionInfo { id, local, peer, listener, .. } = &*self.connection;
        out.push_str(",\"errors\":");
        push_list(&mut out, &found.errors);
        if let Some(why) = &self.exchange.refused {
            out.push_str(",\"closed\":");
            push_text(&mut out, &why.to_string());
        }
        let _ = write!(out, ",\"connection\":\"{local}-{peer}-{id}\"");
        self.push_times(&mut out);
        out.push_str(",\"principal\":");
        push_text(&mut out, &self.principal.to_string());
        out.push_str(",\"listener\":");
        push_text(&mut out, listener);
        let software = self.connection.client_software();
        let (name, version) = software.map_or(("unknown", "unknown"), |software| (&software.name, &software.version));
        for (key, text) in [(",\"clientInformation\":{\"softwareName\":", name), (",\"softwareVersion\":", version)] {
            out.push_str(key);
            push_text(&mut out, text);
        }
        let ending = match self.exchange.ending {
            Ending::Sent => "sent",
            Ending::NoReply => "noResponse",
            Ending::Dropped => "dropped",
        };
        let _ = write!(
            out,
            "}},\"requestSizeInBytes\":{},\"responseSizeInBytes\":{},\"ending\":\"{ending}\"}}",
            self.exchange.request_bytes, self.exchange.response_bytes
        );
        Shown { line: out, topics: found.topics, groups: found.groups }
    }

    /// Writes the header, the request and the response. `truncated` says that parts of them were not kept.
    fn push_messages(&self, out: &mut String, topic_names: TopicNames<'_>) -> Found {
        let excerpts = self.exchange.excerpts.as_deref();
        let (Some(header), Some(excerpts)) = (self.header(), excerpts) else {
            // A message of SASL without a header.
            out.push_str("\"requestHeader\":null,\"request\":null,\"response\":null");
            return Found::default();
        };
        push_header(out, &header);
        let mut cursor = Cursor::of(&excerpts.request);
        let mut writer = JsonWriter::new(topic_names);
        let mut truncated = false;
        if Header::read(&mut cursor).is_ok()
            && let Some(api) = header.api()
        {
            truncated = visit_request(&mut cursor, api, header.version, &mut writer).is_err();
        }
        out.push_str(",\"request\":");
        push_or_null(out, &writer.out);
        writer.out.clear();
        if let Some(api) = header.api().filter(|_| self.exchange.response_bytes > 0) {
            truncated |= visit_response(&excerpts.reply, api, header.version, &mut writer).is_err();
        }
        out.push_str(",\"response\":");
        push_or_null(out, &writer.out);
        if truncated {
            out.push_str(",\"truncated\":true");
        }
        writer.found
    }

    fn push_times(&self, out: &mut String) {
        let times = &self.exchange.times;
        for (key, time) in [
            ("totalTimeMs", times.total()),
            ("requestQueueTimeMs", times.queued()),
            ("localTimeMs", times.local()),
            ("remoteTimeMs", times.remote()),
            ("throttleTimeMs", self.exchange.throttled),
            ("responseQueueTimeMs", times.response_queued()),
            ("sendTimeMs", times.send()),
        ] {
            let _ = write!(out, ",\"{key}\":{}", milliseconds(time));
        }
    }
}

fn push_header(out: &mut String, header: &Header<'_>) {
    let Header { key, version, correlation_id, client_id } = header;
    let _ = write!(
        out,
        "\"requestHeader\":{{\"requestApiKey\":{key},\"requestApiVersion\":{version},\"correlationId\":{correlation_id},\
         \"clientId\":"
    );
    match client_id {
        Some(client_id) => push_text(out, &String::from_utf8_lossy(client_id)),
        None => out.push_str("null"),
    }
    if let Some(api) = ApiKey::from_code(*key) {
        out.push_str(",\"requestApiKeyName\":\"");
        push_constant(out, api.name());
        out.push('"');
    }
    out.push('}');
}

/// The name of Java's constant: `ListOffsets` is `LIST_OFFSETS`.
fn push_constant(out: &mut String, name: &str) {
    for (at, letter) in name.char_indices() {
        if at > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
}

fn push_or_null(out: &mut String, json: &str) {
    out.push_str(if json.is_empty() { "null" } else { json });
}

fn push_list(out: &mut String, texts: &[String]) {
    let _ = write!(out, "{}", serde_json::Value::from(texts));
}

/// Milliseconds with three decimals.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
