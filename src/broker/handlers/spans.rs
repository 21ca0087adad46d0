//! OpenTelemetry spans of Produce and Fetch requests, one for each topic-partition with records or an error, by the semantic
//! conventions for messaging. Only if the settings name a collector and ask for them.
//!
//! A span of a Produce request belongs to the trace of its producer: the `traceparent` headers of the first records are read,
//! from one piece of 32 KiB where the batch is compressed. If they name one span, it is the parent; if several, they are links,
//! because a span has one parent. If the producer does not record that trace, the broker doesn't either. Without such a header, the
//! span begins a trace.
//!
//! A span lasts from the decoding of the request until its response is known.

use std::sync::Arc;
use std::time::Duration;

use super::context::Context;
use crate::otlp::Exporter;
use ottla_otlp::{Attribute, Span, TraceContext};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::fetch::FetchResponse;
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_wire::protocol::{Request, Response};
use ottla_wire::record::{BatchHeader, first_header_values};
use ottla_wire::types::{ErrorCode, Uuid};

/// Spans of one request. The partitions after them have none.
const MAX_SPANS: usize = 16;
/// Records of a batch whose headers are read.
const MAX_RECORDS: usize = 10;
/// The header of W3C Trace Context.
const TRACE_PARENT: &str = "traceparent";

/// The spans of a request that is being handled.
pub(super) struct RequestSpans {
    exporter: Arc<Exporter>,
    /// Nanoseconds since the Unix epoch.
    start: u64,
    started: Duration,
    /// Of Produce; those of Fetch follow from the response.
    produced: Vec<Produced>,
}

/// The batch of a partition.
struct Produced {
    topic: Str,
    topic_id: Uuid,
    partition: i32,
    records: i64,
    contexts: Vec<TraceContext>,
}

/// What one span says.
struct Described<'a> {
    operation: &'static str,
    operation_type: &'static str,
    topic: &'a str,
    partition: i32,
    error: ErrorCode,
    contexts: &'a [TraceContext],
    more: Vec<Attribute>,
}

impl RequestSpans {
    /// Begins the spans of a request, if it is to have any.
    pub fn begin(context: &Context, request: &Request) -> Option<RequestSpans> {
        let exporter = context.broker.otlp().filter(|exporter| exporter.has_traces())?;
        let produced = match request {
            Request::Produce(request) => produced(request),
            Request::Fetch(_) => Vec::new(),
            _ => return None,
        };
        let now = context.broker.now();
        let start = u64::try_from(now.wall).unwrap_or(0).saturating_mul(1_000_000);
        Some(RequestSpans { exporter: Arc::clone(exporter), start, started: now.monotonic, produced })
    }

    /// Ends the spans with the response; `None` if there is none.
    pub fn end(self, context: &Context, response: Option<&Response>) {
        match response {
            Some(Response::Fetch(response)) => self.end_fetch(context, response),
            Some(Response::Produce(response)) => self.end_produce(context, Some(response)),
            Some(_) => {}
            None => self.end_produce(context, None),
        }
    }

    fn end_produce(&self, context: &Context, response: Option<&ProduceResponse>) {
        let cluster = context.broker.cluster();
        for produced in &self.produced {
            let answers = response.into_iter().flat_map(|response| &response.responses);
            let mut answers = answers
                .filter(|topic| topic.name == produced.topic && topic.topic_id == produced.topic_id)
                .flat_map(|topic| &topic.partition_responses);
            let answer = answers.find(|answer| answer.index == produced.partition);
            let topic = cluster.topic_of(&produced.topic, produced.topic_id);
            let mut more = vec![Attribute::Number("messaging.batch.message_count", produced.records)];
            if let Some(offset) = answer.map(|answer| answer.base_offset).filter(|offset| *offset >= 0) {
                more.push(Attribute::Number("messaging.kafka.offset", offset));
            }
            self.export(
                context,
                Described {
                    operation: "send",
                    operation_type: "send",
                    topic: topic.map_or(&produced.topic, |topic| topic.name()),
                    partition: produced.partition,
                    error: error(answer.map_or(0, |answer| answer.error_code)),
                    contexts: &produced.contexts,
                    more,
                },
            );
        }
    }

    fn end_fetch(&self, context: &Context, response: &FetchResponse) {
        let cluster = context.broker.cluster();
        let partitions = response.responses.iter().flat_map(|topic| topic.partitions.iter().map(move |it| (topic, it)));
        let size = |records: &Option<bytes::Bytes>| records.as_ref().map_or(0, bytes::Bytes::len);
        let shown = partitions.filter(|(_, it)| it.error_code != 0 || size(&it.records) > 0);
        for (answer, partition) in shown.take(MAX_SPANS) {
            let topic = cluster.topic_of(&answer.topic, answer.topic_id);
            let bytes = i64::try_from(size(&partition.records)).unwrap_or(i64::MAX);
            self.export(
                context,
                Described {
                    operation: "poll",
                    operation_type: "receive",
                    topic: topic.map_or(&answer.topic, |topic| topic.name()),
                    partition: partition.partition_index,
                    error: error(partition.error_code),
                    contexts: &[],
                    more: vec![Attribute::Number("ottla.response.bytes", bytes)],
                },
            );
        }
    }

    fn export(&self, context: &Context, described: Described<'_>) {
        let Described { operation, operation_type, topic, partition, error, contexts, more } = described;
        if !contexts.is_empty() && contexts.iter().all(|context| !context.sampled) {
            return;
        }
        let (random, ids) = (context.broker.random_bits(), context.broker.random_bits());
        let parent = match contexts {
            [one] => Some(one),
            _ => None,
        };
        let peer = context.connection.peer;
        let mut attributes = vec![
            Attribute::Text("messaging.system", "kafka".to_owned()),
            Attribute::Text("messaging.operation.name", operation.to_owned()),
            Attribute::Text("messaging.operation.type", operation_type.to_owned()),
            Attribute::Text("messaging.destination.name", topic.to_owned()),
            Attribute::Text("messaging.destination.partition.id", partition.to_string()),
            Attribute::Text("messaging.client.id", context.client_id().to_owned()),
            Attribute::Text("client.address", peer.ip().to_string()),
            Attribute::Number("client.port", peer.port().into()),
        ];
        attributes.extend(more);
        let failed = error != ErrorCode::None;
        if failed {
            attributes.push(Attribute::Text("error.type", error.name().to_owned()));
        }
        let took = context.broker.now().monotonic.saturating_sub(self.started);
        let span = Span {
            trace_id: parent.map_or(random.to_be_bytes(), |parent| parent.trace_id),
            span_id: (ids as u64 | 1).to_be_bytes(),
            parent: parent.map(|parent| parent.span_id),
            name: format!("{operation} {topic}"),
            start: self.start,
            end: self.start.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)),
            attributes,
            links: if parent.is_some() { Vec::new() } else { contexts.to_vec() },
            error: failed.then(|| error.name().to_owned()),
        };
        self.exporter.export_span(span.encode());
    }
}

fn error(code: i16) -> ErrorCode {
    ErrorCode::from_code(code).unwrap_or(ErrorCode::UnknownServerError)
}

fn produced(request: &ProduceRequest) -> Vec<Produced> {
    let partitions = request.topic_data.iter().flat_map(|topic| topic.partition_data.iter().map(move |it| (topic, it)));
    let draft = |(topic, data): (&TopicProduceData, &PartitionProduceData)| {
        let records = data.records.as_deref().unwrap_or_default();
        let mut contexts = Vec::new();
        for value in first_header_values(records, TRACE_PARENT, MAX_RECORDS) {
            if let Some(context) = TraceContext::parse(&value)
                && !contexts.contains(&context)
            {
                contexts.push(context);
            }
        }
        let records = BatchHeader::parse(records).map_or(0, |header| header.record_count.into());
        let (topic, topic_id, partition) = (topic.name.clone(), topic.topic_id, data.index);
        Produced { topic, topic_id, partition, records, contexts }
    };
    partitions.take(MAX_SPANS).map(draft).collect()
}
