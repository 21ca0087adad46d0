//! Headers of a batch's first records, at a bounded cost.

use super::compress::{Codec, Expansion, MAX_EXPANSION};
use super::header::{BATCH_OVERHEAD, BatchHeader};
use super::parse::{RawRecord, take_body};

/// Bytes of a header's value that is returned. A longer one is left out.
const MAX_VALUE_BYTES: usize = 256;

/// The values of the headers with this name in the first `count` records of a batch of format 2. Of compressed records one
/// piece of 32 KiB is decompressed, so that the time does not depend on the batch's size. Nothing is verified: what cannot be
/// read is left out.
pub fn first_header_values(batch: &[u8], name: &str, count: usize) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    let Ok(header) = BatchHeader::parse(batch) else { return found };
    if header.is_old() {
        return found;
    }
    let Some(payload) = batch.get(BATCH_OVERHEAD..header.size().min(batch.len())) else { return found };
    let mut plain = Vec::new();
    let mut rest = match header.codec() {
        Ok(Codec::None) => payload,
        Ok(codec) => {
            let expanded = Expansion::new(codec, payload, MAX_EXPANSION).and_then(|mut it| it.read_more(&mut plain));
            match expanded {
                Ok(_) => &plain[..],
                Err(_) => return found,
            }
        }
        Err(_) => return found,
    };
    for _ in 0..count.min(usize::try_from(header.record_count).unwrap_or(0)) {
        let Ok(Some(body)) = take_body(&mut rest) else { break };
        let Ok(record) = RawRecord::parse(body) else { break };
        let values = record.headers().filter(|(key, _)| *key == name.as_bytes()).filter_map(|(_, value)| value);
        found.extend(values.filter(|value| value.len() <= MAX_VALUE_BYTES).take(1).map(<[u8]>::to_vec));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::builder::BatchBuilder;
    use super::*;

    fn batch(codec: Codec, records: usize, value: &[u8]) -> Vec<u8> {
        let mut batch = BatchBuilder::new(codec);
        for number in 0..records {
            let id = number.to_string();
            let headers = [("other", Some(&b"x"[..])), ("traceparent", Some(id.as_bytes()))];
            let headers = headers.map(|(name, value)| (name.as_bytes(), value));
            batch.append(1, None, Some(value), &headers[usize::from(number == 1)..2 - usize::from(number == 1)]);
        }
        batch.build().unwrap().bytes().to_vec()
    }

    #[test]
    fn headers_of_the_first_records_are_found_in_every_codec() {
        for codec in Codec::ALL {
            let values = first_header_values(&batch(codec, 5, b"v"), "traceparent", 3);
            assert_eq!(values, [b"0".to_vec(), b"2".to_vec()], "{codec:?}");
        }
    }

    #[test]
    fn only_the_first_piece_of_compressed_records_is_read() {
        let values = first_header_values(&batch(Codec::Zstd, 5, &[7; 20 << 10]), "traceparent", 5);
        assert_eq!(values, [b"0".to_vec()]);
    }

    #[test]
    fn batch_that_cannot_be_read_has_no_headers() {
        let whole = batch(Codec::Gzip, 5, b"v");
        for len in [0, 20, BATCH_OVERHEAD, BATCH_OVERHEAD + 5] {
            assert_eq!(first_header_values(&whole[..len], "traceparent", 5), Vec::<Vec<u8>>::new(), "{len}");
        }
    }
}
