//! Adds attributes to the resources of a `MetricsData` message.

use crate::protobuf::{FieldValue, Fields, Malformed, Message};

/// The message with further attributes in each of its resources. What else it contains stays as it is.
pub fn with_labels(message: &[u8], labels: &[(&str, &str)]) -> Result<Vec<u8>, Malformed> {
    let mut out = Message::default();
    for field in Fields::new(message) {
        if let (1, resource_metrics) = field? {
            let changed = resource_metrics_with(resource_metrics.bytes(), labels)?;
            out.raw(&changed);
        }
    }
    Ok(out.into_bytes())
}

fn resource_metrics_with(message: &[u8], labels: &[(&str, &str)]) -> Result<Vec<u8>, Malformed> {
    let (mut resource, mut others) = (Message::default(), Message::default());
    for field in Fields::new(message) {
        match field? {
            // A message that occurs twice is the concatenation of both.
            (1, given) => resource.raw(given.bytes()),
            (number, FieldValue::Bytes(bytes)) => others.bytes(number, bytes),
            // The schema has no other fields.
            _ => &mut others,
        };
    }
    for (key, value) in labels {
        resource.attribute(1, key, value);
    }
    let mut out = Message::default();
    out.message(1, |resource_metrics| {
        resource_metrics.bytes(1, &resource.into_bytes()).raw(&others.into_bytes());
    });
    Ok(out.into_bytes())
}
