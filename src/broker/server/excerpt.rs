//! Bounded copies of frames, for what is done with a request after its reply was sent.

use bytes::Bytes;

/// A part of a frame that was not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// The position in the copied bytes.
    pub at: usize,
    /// The number of bytes that are missing there.
    pub length: usize,
}

/// The first bytes of a frame, without those of large fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    bytes: Vec<u8>,
    /// In the order of their positions.
    holes: Vec<Hole>,
}

impl Excerpt {
    /// An empty excerpt with memory for this many bytes.
    pub fn with_capacity(bytes: usize) -> Excerpt {
        Excerpt { bytes: Vec::with_capacity(bytes), holes: Vec::new() }
    }

    /// The copied bytes, without those of the holes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is missing between the copied bytes. What is missing after them is not a hole.
    pub fn holes(&self) -> &[Hole] {
        &self.holes
    }

    /// The memory that it uses.
    pub fn size(&self) -> usize {
        self.bytes.capacity() + self.holes.capacity() * size_of::<Hole>()
    }

    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn leave_out(&mut self, length: usize) {
        self.holes.push(Hole { at: self.bytes.len(), length });
    }

    /// Copies at most `limit` bytes of a reply.
    ///
    /// Every second chunk is a large field of its own, such as records, as the encoder of responses makes them. It is left
    /// out, and must not be read here: it may be a slice of a mapped file that has become shorter.
    pub fn of_reply(chunks: &[Bytes], limit: usize) -> Excerpt {
        let mut excerpt = Excerpt::default();
        let fields = chunks.iter().step_by(2).map(Bytes::len).sum::<usize>();
        excerpt.bytes.reserve_exact(fields.min(limit));
        for (at, chunk) in chunks.iter().enumerate() {
            let room = limit.saturating_sub(excerpt.bytes.len());
            if room == 0 {
                break;
            }
            match at % 2 {
                0 => excerpt.push(chunk.get(..room).unwrap_or(chunk)),
                _ => excerpt.leave_out(chunk.len()),
            }
        }
        excerpt
    }
}

/// The excerpts of a request and its reply.
#[derive(Clone, Debug, Default)]
pub struct Excerpts {
    pub request: Excerpt,
    /// Empty while the reply is not known, and if there is none.
    pub reply: Excerpt,
    /// How many bytes of the reply are to be copied.
    pub reply_limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excerpt_of_a_reply_has_no_byte_of_every_second_chunk() {
        let chunks = [&b"abcd"[..], b"RECORDS", b"efgh", b"RECORDS", b"ij"].map(Bytes::from_static);
        let holes = |at: &[usize]| at.iter().map(|at| Hole { at: *at, length: 7 }).collect::<Vec<_>>();
        for (limit, bytes, expect) in [
            (100, &b"abcdefghij"[..], holes(&[4, 8])),
            (9, b"abcdefghi", holes(&[4, 8])),
            (8, b"abcdefgh", holes(&[4])),
            (3, b"abc", holes(&[])),
            (0, b"", holes(&[])),
        ] {
            let excerpt = Excerpt::of_reply(&chunks, limit);
            assert_eq!((excerpt.bytes(), excerpt.holes()), (bytes, &expect[..]), "{limit}");
        }
    }
}
