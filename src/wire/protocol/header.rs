//! The headers of requests and responses (Kafka's `RequestHeader` and `ResponseHeader` schemas).

use crate::codec::{DecodeError, EncodeError, Field, Reader, Str, Writer};

/// The header of a request.
///
/// Whether it ends with tagged fields depends on the version of the request, so it is coded by hand and not in rows. That
/// is the only difference between header versions 1 and 2. Version 0, without a client id, belonged to one API between
/// brokers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// The API's number; see [`ApiKey::from_code`](super::ApiKey::from_code).
    pub api_key: i16,
    pub api_version: i16,
    /// The client's number for this request, which the response repeats.
    pub correlation_id: i32,
    /// The client's name for logs and quotas.
    pub client_id: Option<Str>,
}

impl RequestHeader {
    /// Decodes the fields that every version has, without the tagged fields.
    pub(super) fn read_fixed(r: &mut Reader) -> Result<Self, DecodeError> {
        // The client id has a 16-bit length even in flexible versions, so that a broker can decode it in a request of
        // an unknown version.
        r.set_version(1, false);
        Ok(RequestHeader {
            api_key: r.field("api_key")?,
            api_version: r.field("api_version")?,
            correlation_id: r.field("correlation_id")?,
            client_id: r.field("client_id")?,
        })
    }

    /// Skips the tagged fields at the end of header version 2.
    pub(super) fn read_tags(r: &mut Reader, header_version: i16) -> Result<(), DecodeError> {
        r.set_version(header_version, header_version >= 2);
        r.tagged_fields(|_, _| Ok(false))
    }

    pub(super) fn write(&self, w: &mut Writer, header_version: i16) -> Result<(), EncodeError> {
        w.set_version(header_version, false);
        w.i16(self.api_key);
        w.i16(self.api_version);
        w.i32(self.correlation_id);
        w.field("client_id", &self.client_id)?;
        write_no_tags(w, header_version >= 2);
        Ok(())
    }
}

/// Decodes a response header and returns its correlation id.
pub(super) fn read_response_header(r: &mut Reader, header_version: i16) -> Result<i32, DecodeError> {
    r.set_version(header_version, header_version >= 1);
    let correlation_id = i32::get(r)?;
    r.tagged_fields(|_, _| Ok(false))?;
    Ok(correlation_id)
}

/// Encodes a response header.
pub(super) fn write_response_header(w: &mut Writer, correlation_id: i32, header_version: i16) {
    w.i32(correlation_id);
    write_no_tags(w, header_version >= 1);
}

fn write_no_tags(w: &mut Writer, flexible: bool) {
    if flexible {
        w.uvarint(0);
    }
}
