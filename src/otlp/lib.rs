//! The parts of OTLP, the protocol of OpenTelemetry, that the broker uses: it reads the metrics that clients push
//! (KIP-714), adds labels to them, and writes spans. Pure.
//!
//! Messages are read field by field and never held as a whole. A message of a client may have a data point in two bytes,
//! which is a struct of more than a hundred bytes in code that is generated from the schemas (`prost`), so its memory would
//! have no useful limit. The tests compare with `prost`.

mod labels;
mod partial_success;
mod points;
mod protobuf;
#[cfg(test)]
mod schema;
mod spans;
mod trace_context;

pub use labels::with_labels;
pub use partial_success::rejected;
pub use points::{Number, Point, PointKind, Points, read_points};
pub use protobuf::Malformed;
pub use spans::{Attribute, METRICS_PATH, Span, TRACES_PATH, export_request};
pub use trace_context::TraceContext;
