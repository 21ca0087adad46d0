//! The parts of a request's and a response's frame, and what is copied of a request.

use super::cursor::{Cursor, Stop};
use super::walk::{Value, Visitor, Walk};
use crate::server::Excerpt;
use ottla_wire::codec::Shape;
use ottla_wire::protocol::ApiKey;
use ottla_wire::record::BATCH_OVERHEAD;
use ottla_wire::types::ErrorCode;

/// Bytes of a response before its header.
const SIZE_BYTES: usize = 4;
/// Bytes that are enough for the excerpts of most requests.
const USUAL_EXCERPT: usize = 256;
/// Where the code of the error is in the response to ApiVersions, in every version.
const API_VERSIONS_ERROR: std::ops::Range<usize> = 8..10;

/// The header of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header<'a> {
    pub key: i16,
    pub version: i16,
    pub correlation_id: i32,
    pub client_id: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    /// Reads the fields that the headers of all versions have.
    pub fn read(cursor: &mut Cursor<'a>) -> Result<Header<'a>, Stop> {
        let (key, version, correlation_id) = (cursor.i16()?, cursor.i16()?, cursor.i32()?);
        let length = cursor.string_length(false)?;
        Ok(Header { key, version, correlation_id, client_id: length.map(|length| cursor.take(length)).transpose()? })
    }

    /// The API, if its body can be read in this version.
    pub fn api(&self) -> Option<ApiKey> {
        ApiKey::from_code(self.key).filter(|api| api.versions().contains(&self.version))
    }
}

/// Visits the fields of a request's body; the cursor is after the fields of the header.
pub(super) fn visit_request<V: Visitor>(
    cursor: &mut Cursor<'_>,
    api: ApiKey,
    version: i16,
    visitor: &mut V,
) -> Result<(), Stop> {
    if api.request_header_version(version) >= 2 {
        skip_tags(cursor)?;
    }
    visit(cursor, api.shapes().0, api.is_flexible(version), version, visitor)
}

/// Visits the fields of a response's body.
pub(super) fn visit_response<V: Visitor>(
    excerpt: &Excerpt,
    api: ApiKey,
    version: i16,
    visitor: &mut V,
) -> Result<(), Stop> {
    // A version of ApiVersions that is not supported is answered with version 0.
    let unsupported = ErrorCode::UnsupportedVersion.code().to_be_bytes();
    let is_refusal = api == ApiKey::ApiVersions && excerpt.bytes().get(API_VERSIONS_ERROR) == Some(&unsupported);
    let version = if is_refusal { 0 } else { version };
    let mut cursor = Cursor::of(excerpt);
    cursor.take(SIZE_BYTES)?;
    cursor.i32()?;
    if api.response_header_version(version) >= 1 {
        skip_tags(&mut cursor)?;
    }
    visit(&mut cursor, api.shapes().1, api.is_flexible(version), version, visitor)
}

fn visit<V: Visitor>(
    cursor: &mut Cursor<'_>,
    shape: &'static Shape,
    flexible: bool,
    version: i16,
    visitor: &mut V,
) -> Result<(), Stop> {
    Walk { cursor, version, flexible, visitor }.visit(shape)
}

fn skip_tags(cursor: &mut Cursor<'_>) -> Result<(), Stop> {
    for _ in 0..cursor.uvarint()? {
        cursor.uvarint()?;
        let size = cursor.uvarint()? as usize;
        cursor.field(size)?;
    }
    Ok(())
}

/// Copies about `limit` bytes of a request: its header, and its body without the contents of fields of bytes, where secrets
/// and records are. Of records, the header of the first batch is copied.
pub(super) fn excerpt_of_request(frame: &[u8], limit: usize) -> Excerpt {
    let excerpt = Excerpt::with_capacity(limit.min(frame.len()).min(USUAL_EXCERPT));
    let mut copy = Copy { frame, limit, copied_to: 0, is_records: false, excerpt };
    let mut cursor = Cursor::whole(frame);
    let Ok(header) = Header::read(&mut cursor) else { return copy.excerpt };
    let done = match header.api() {
        Some(api) => visit_request(&mut cursor, api, header.version, &mut copy),
        None => Err(Stop::Invalid),
    };
    // Nothing is copied that was not understood.
    let end = match done {
        Ok(()) | Err(Stop::Enough) => cursor.position(),
        Err(Stop::CutOff | Stop::Invalid) => copy.copied_to.max(header_end(&header)),
    };
    copy.copy_to(end);
    copy.excerpt
}

fn header_end(header: &Header<'_>) -> usize {
    10 + header.client_id.map_or(0, <[u8]>::len)
}

/// Copies what a walk through a whole frame visits.
struct Copy<'a> {
    frame: &'a [u8],
    limit: usize,
    copied_to: usize,
    /// Whether the next value is a field of records.
    is_records: bool,
    excerpt: Excerpt,
}

impl Copy<'_> {
    fn copy_to(&mut self, end: usize) {
        let room = self.limit.saturating_sub(self.excerpt.bytes().len());
        let end = end.min(self.copied_to.saturating_add(room));
        if let Some(bytes) = self.frame.get(self.copied_to..end) {
            self.excerpt.push(bytes);
            self.copied_to = end;
        }
    }
}

impl Visitor for Copy<'_> {
    fn field(&mut self, of: &'static str, name: &'static str) -> Result<(), Stop> {
        self.is_records = name == "records" && of == "PartitionProduceData";
        Ok(())
    }

    fn value(&mut self, value: Value<'_>, end: usize) -> Result<(), Stop> {
        if let Value::Bytes(length, _) = value {
            let keep = if self.is_records { length.min(BATCH_OVERHEAD) } else { 0 };
            let start = end - length;
            self.copy_to(start + keep);
            if self.copied_to < start + keep {
                return Err(Stop::Enough);
            }
            if length > keep {
                self.excerpt.leave_out(length - keep);
            }
            self.copied_to = end;
        }
        let copied = self.excerpt.bytes().len() + (end - self.copied_to);
        if copied < self.limit { Ok(()) } else { Err(Stop::Enough) }
    }
}

/// The codes of errors in a message.
#[derive(Debug, Default)]
struct Errors {
    is_code: bool,
}

impl Visitor for Errors {
    fn field(&mut self, _: &'static str, name: &'static str) -> Result<(), Stop> {
        self.is_code = is_error_code(name);
        Ok(())
    }

    /// Stops at the first error.
    fn value(&mut self, value: Value<'_>, _: usize) -> Result<(), Stop> {
        match value {
            Value::Int(code) if self.is_code && code != 0 => Err(Stop::Enough),
            _ => Ok(()),
        }
    }
}

/// Whether a field of this name has the code of an error.
pub(super) fn is_error_code(name: &str) -> bool {
    name.ends_with("error_code")
}

/// Whether a response has an error, as far as it was copied.
pub(super) fn has_error(response: &Excerpt, header: &Header<'_>) -> bool {
    let mut errors = Errors::default();
    header.api().is_some_and(|api| visit_response(response, api, header.version, &mut errors) == Err(Stop::Enough))
}
