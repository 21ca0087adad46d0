//! Writes spans.

use crate::TraceContext;
use crate::protobuf::Message;

/// The path of spans below a collector's endpoint.
pub const TRACES_PATH: &str = "/v1/traces";
/// The path of metrics.
pub const METRICS_PATH: &str = "/v1/metrics";

/// `SPAN_KIND_SERVER`.
const SERVER: u64 = 2;
/// `STATUS_CODE_ERROR`.
const ERROR: u64 = 2;
/// The trace flag of spans that are recorded.
const SAMPLED: u32 = 1;

/// A span's attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    Text(&'static str, String),
    Number(&'static str, i64),
}

/// A span of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// The span that caused this one.
    pub parent: Option<[u8; 8]>,
    pub name: String,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    pub end: u64,
    pub attributes: Vec<Attribute>,
    /// Spans that this one belongs to, if there are several.
    pub links: Vec<TraceContext>,
    /// A message, if the operation has failed.
    pub error: Option<String>,
}

impl Span {
    /// The span as a message.
    pub fn encode(&self) -> Vec<u8> {
        let mut span = Message::default();
        span.bytes(1, &self.trace_id).bytes(2, &self.span_id);
        if let Some(parent) = &self.parent {
            span.bytes(4, parent);
        }
        span.text(5, &self.name).number(6, SERVER).fixed64(7, self.start).fixed64(8, self.end);
        for attribute in &self.attributes {
            match attribute {
                Attribute::Text(key, value) => span.attribute(9, key, value),
                Attribute::Number(key, value) => span.number_attribute(9, key, *value),
            };
        }
        for link in &self.links {
            span.message(13, |message| {
                message.bytes(1, &link.trace_id).bytes(2, &link.span_id);
            });
        }
        if let Some(error) = &self.error {
            span.message(15, |status| {
                status.text(2, error).number(3, ERROR);
            });
        }
        span.fixed32(16, SAMPLED);
        span.into_bytes()
    }
}

/// A request to export spans that are encoded already. `resource` are the attributes of the process.
pub fn export_request<'a>(resource: &[(&str, &str)], spans: impl Iterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |resource_spans| {
        resource_spans.message(1, |message| {
            for (key, value) in resource {
                message.attribute(1, key, value);
            }
        });
        resource_spans.message(2, |scope_spans| {
            scope_spans.message(1, |scope| {
                scope.text(1, "ottla");
            });
            for span in spans {
                scope_spans.bytes(2, span);
            }
        });
    });
    request.into_bytes()
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::schema::{Any, ExportTraceServiceRequest, attribute};

    #[test]
    fn written_span_is_read_by_another_implementation() {
        let context = TraceContext { trace_id: [1; 16], span_id: [2; 8], sampled: true };
        let span = Span {
            trace_id: [3; 16],
            span_id: [4; 8],
            parent: Some([5; 8]),
            name: "send orders".to_owned(),
            start: 7,
            end: 9,
            attributes: vec![
                Attribute::Text("messaging.system", "kafka".to_owned()),
                Attribute::Number("messaging.kafka.offset", -1),
            ],
            links: vec![context],
            error: Some("why".to_owned()),
        };
        let request = export_request(&[("service.name", "ottla")], [span.encode()].iter());
        let read = ExportTraceServiceRequest::decode(&request[..]).unwrap();
        let resource = &read.resource_spans[0];
        assert_eq!(
            resource.resource.as_ref().unwrap().attributes,
            [attribute("service.name", Any::Text("ottla".to_owned()))]
        );
        let scope = &resource.scope_spans[0];
        assert_eq!(scope.scope.as_ref().unwrap().name, "ottla");
        let found = &scope.spans[0];
        assert_eq!((&found.trace_id[..], &found.span_id[..]), (&[3; 16][..], &[4; 8][..]));
        assert_eq!((&found.parent_span_id[..], &*found.name), (&[5; 8][..], "send orders"));
        assert_eq!((found.kind, found.start_time_unix_nano, found.end_time_unix_nano, found.flags), (2, 7, 9, 1));
        assert_eq!(
            found.attributes,
            [
                attribute("messaging.system", Any::Text("kafka".to_owned())),
                attribute("messaging.kafka.offset", Any::Int(-1)),
            ]
        );
        let links: Vec<_> = found.links.iter().map(|link| (&link.trace_id[..], &link.span_id[..])).collect();
        assert_eq!(links, [(&[1; 16][..], &[2; 8][..])]);
        let status = found.status.as_ref().unwrap();
        assert_eq!((&*status.message, status.code), ("why", 2));
    }
}
