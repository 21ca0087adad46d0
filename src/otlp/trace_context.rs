//! W3C Trace Context: the header `traceparent`.

/// The trace and span that a `traceparent` header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext {
    pub trace_id: [u8; 16],
    pub span_id: [u8; 8],
    /// Whether the caller records its spans.
    pub sampled: bool,
}

/// Characters of the fields that every version has: `00-<32>-<16>-<2>`.
const LENGTH: usize = 55;

impl TraceContext {
    /// Parses a header's value. `None` if it is invalid, which the specification has ignored.
    pub fn parse(header: &[u8]) -> Option<TraceContext> {
        let fields = header.get(..LENGTH)?;
        let rest = header.get(LENGTH..)?;
        let version = hex::<1>(fields.get(..2)?)?;
        let is_whole = match version {
            [0xff] => false,
            [0] => rest.is_empty(),
            _ => matches!(rest, [] | [b'-', ..]),
        };
        let separators = [2, 35, 52].iter().all(|at| fields.get(*at) == Some(&b'-'));
        let trace_id = hex(fields.get(3..35)?)?;
        let span_id = hex(fields.get(36..52)?)?;
        let [flags] = hex(fields.get(53..)?)?;
        let is_valid = is_whole && separators && trace_id != [0; 16] && span_id != [0; 8];
        is_valid.then_some(TraceContext { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Lower-case hexadecimal digits.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair.try_into().ok()?;
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traceparent_is_parsed_as_the_specification_says() {
        let context = |sampled| TraceContext {
            trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
            span_id: 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(),
            sampled,
        };
        let check = |header: &str, expect| assert_eq!(TraceContext::parse(header.as_bytes()), expect, "{header}");
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(context(true)));
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", Some(context(false)));
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03-more", Some(context(true)));
        check("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03more", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", None);
        check("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None);
        check("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None);
        check("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None);
        check("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", None);
        check("", None);
    }
}
