//! Reads the numbers of a `MetricsData` message.
//!
//! KIP-714 has clients send sums and gauges. Histograms and summaries are not read.

use crate::protobuf::{FieldValue, Fields, Malformed};

/// The data points of one message that are read; a client has a few hundred. Others are left out.
pub const MAX_POINTS: usize = 10_000;
/// Attributes of one data point that are read; clients send a handful. A point with more is left out.
const MAX_ATTRIBUTES: usize = 16;

/// The value of a data point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Int(i64),
    Double(f64),
}

/// What a data point is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PointKind {
    Gauge,
    /// `delta`: the value is the difference since the point before. `monotonic`: it only grows.
    Sum {
        delta: bool,
        monotonic: bool,
    },
}

/// One data point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point<'a> {
    pub name: &'a str,
    pub kind: PointKind,
    pub value: Number,
    /// Names and values in the order of the message. Only texts, numbers and booleans are read.
    pub attributes: Vec<(&'a str, String)>,
}

/// What a message contains.
#[derive(Debug, Default, PartialEq)]
pub struct Points<'a> {
    pub points: Vec<Point<'a>>,
    /// Attributes of the client as a whole.
    pub resource: Vec<(&'a str, String)>,
    /// Points that are not read: histograms, points without a value, and those above a limit.
    pub omitted: u64,
}

/// Reads a message. A message that is malformed anywhere is refused as a whole.
pub fn read_points(message: &[u8]) -> Result<Points<'_>, Malformed> {
    let mut found = Points::default();
    for field in Fields::new(message) {
        if let (1, resource_metrics) = field? {
            found.read_resource_metrics(resource_metrics.bytes())?;
        }
    }
    Ok(found)
}

/// Copies of the fields' values with a certain number.
fn all(message: &[u8], number: u32) -> impl Iterator<Item = Result<FieldValue<'_>, Malformed>> {
    Fields::new(message).filter_map(move |field| match field {
        Ok((found, value)) => (found == number).then_some(Ok(value)),
        Err(error) => Some(Err(error)),
    })
}

impl<'a> Points<'a> {
    fn read_resource_metrics(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        for field in Fields::new(message) {
            match field? {
                (1, resource) => {
                    for attribute in all(resource.bytes(), 1) {
                        if let Some(pair) = attribute_of(attribute?.bytes())?
                            && self.resource.len() < MAX_ATTRIBUTES
                        {
                            self.resource.push(pair);
                        }
                    }
                }
                (2, scope_metrics) => {
                    for metric in all(scope_metrics.bytes(), 2) {
                        self.read_metric(metric?.bytes())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_metric(&mut self, message: &'a [u8]) -> Result<(), Malformed> {
        let mut name = "";
        for field in all(message, 1) {
            name = field?.text()?;
        }
        for field in Fields::new(message) {
            match field? {
                (5, gauge) => self.read_data_points(name, PointKind::Gauge, gauge.bytes())?,
                (7, sum) => self.read_data_points(name, kind_of_sum(sum.bytes())?, sum.bytes())?,
                // Histograms and summaries.
                (9..=11, other) => {
                    for point in all(other.bytes(), 1) {
                        point?;
                        self.omitted += 1;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn read_data_points(&mut self, name: &'a str, kind: PointKind, message: &'a [u8]) -> Result<(), Malformed> {
        for point in all(message, 1) {
            match read_point(name, kind, point?.bytes())? {
                Some(point) if self.points.len() < MAX_POINTS => self.points.push(point),
                _ => self.omitted += 1,
            }
        }
        Ok(())
    }
}

/// The kind of the points in a `Sum`. The fields that decide it follow the points.
fn kind_of_sum(message: &[u8]) -> Result<PointKind, Malformed> {
    const DELTA: u64 = 1;
    let (mut delta, mut monotonic) = (false, false);
    for field in Fields::new(message) {
        match field? {
            (2, temporality) => delta = temporality.number() == DELTA,
            (3, flag) => monotonic = flag.number() != 0,
            _ => {}
        }
    }
    Ok(PointKind::Sum { delta, monotonic })
}

/// Reads a `NumberDataPoint`; `None` if it has no value or too many attributes.
fn read_point<'a>(name: &'a str, kind: PointKind, message: &'a [u8]) -> Result<Option<Point<'a>>, Malformed> {
    const NO_RECORDED_VALUE: u64 = 1;
    let (mut value, mut attributes, mut flags, mut count) = (None, Vec::new(), 0, 0);
    for field in Fields::new(message) {
        match field? {
            (4, FieldValue::Fixed64(bits)) => value = Some(Number::Double(f64::from_bits(bits))),
            (6, FieldValue::Fixed64(bits)) => value = Some(Number::Int(bits.cast_signed())),
            (7, attribute) => {
                count += 1;
                if let Some(pair) = attribute_of(attribute.bytes())?
                    && count <= MAX_ATTRIBUTES
                {
                    attributes.push(pair);
                }
            }
            (8, number) => flags = number.number(),
            _ => {}
        }
    }
    let value = value.filter(|_| flags & NO_RECORDED_VALUE == 0 && count <= MAX_ATTRIBUTES && !name.is_empty());
    Ok(value.map(|value| Point { name, kind, value, attributes }))
}

/// Reads a `KeyValue`; `None` if its value is neither a text nor a number nor a boolean.
fn attribute_of(message: &[u8]) -> Result<Option<(&str, String)>, Malformed> {
    let (mut key, mut text) = ("", None);
    for field in Fields::new(message) {
        match field? {
            (1, name) => key = name.text()?,
            (2, any) => {
                for field in Fields::new(any.bytes()) {
                    text = match field? {
                        (1, value) => Some(value.text()?.to_owned()),
                        (2, value) => Some((value.number() != 0).to_string()),
                        (3, value) => Some(value.number().cast_signed().to_string()),
                        (4, value) => Some(f64::from_bits(value.number()).to_string()),
                        _ => None,
                    };
                }
            }
            _ => {}
        }
    }
    Ok(text.map(|text| (key, text)))
}

#[cfg(test)]
mod tests;
