//! The records of `__transaction_state`, decoded field by field from their bytes.

use std::fmt::Write as _;

use crate::wire::WireClient;

const TOPIC: &str = "__transaction_state";
const STATES: [&str; 8] = [
    "Empty",
    "Ongoing",
    "PrepareCommit",
    "PrepareAbort",
    "CompleteCommit",
    "CompleteAbort",
    "Dead",
    "PrepareEpochFence",
];

/// The records of a transactional id, in the order of the log. The request is the id; `id last N` shows the last N.
pub fn show(client: &mut WireClient, request: &str) -> String {
    let (transactional_id, last) = match request.split_once(" last ") {
        Some((id, last)) => (id, last.parse().expect("a number")),
        None => (request, usize::MAX),
    };
    let mut shown = Vec::new();
    for batch in client.batches(TOPIC, 0) {
        let header = batch.header();
        if header.is_control() {
            continue;
        }
        let attributes = header.attributes;
        for record in batch.records() {
            let record = record.expect("a readable record");
            let key = Bytes { rest: record.key.as_deref().expect("a key"), flexible: false }.key();
            if key != transactional_id {
                continue;
            }
            let mut text = record.value.as_deref().map_or("null".to_owned(), |value| {
                let mut value = Bytes { rest: value, flexible: false };
                value.value(client)
            });
            if attributes != 0 || header.producer_id != -1 || !record.headers.is_empty() {
                let _ = write!(text, " in a batch of {}, attributes {attributes:#x}", header.producer_id);
            }
            shown.push(format!("[{text}]"));
        }
    }
    shown.split_off(shown.len().saturating_sub(last)).join(" ")
}

/// The fields of a record's key or value.
pub struct Bytes<'a> {
    pub rest: &'a [u8],
    pub flexible: bool,
}

impl<'a> Bytes<'a> {
    fn key(mut self) -> String {
        let version = self.number(2);
        let id = self.text();
        assert!(version == 0 && self.rest.is_empty(), "key version {version}, {:?} left", self.rest);
        id
    }

    /// A value, in the order of its fields. Times are shown only where they mean none.
    fn value(&mut self, client: &WireClient) -> String {
        let version = self.number(2);
        self.flexible = version >= 1;
        let producer = client.producer(self.number(8));
        let epoch = self.number(2);
        let timeout = self.number(4);
        let state = usize::try_from(self.number(1)).ok().and_then(|state| STATES.get(state)).copied();
        let partitions = self.partitions();
        let (last_update, start) = (self.number(8), self.number(8));
        let mut text = format!("v{version} {} {producer}/{epoch} timeout={timeout}", state.unwrap_or("unknown state"));
        if let Some(partitions) = partitions {
            let _ = write!(text, " partitions=[{}]", partitions.join(" "));
        }
        let _ = write!(text, " updated={} started={}", time(last_update), time(start));
        if self.flexible {
            for _ in 0..self.uvarint() {
                let (tag, size) = (self.uvarint(), self.uvarint());
                let value = self.number(size);
                let _ = match tag {
                    0 => write!(text, " previous={}", client.producer(value)),
                    1 => write!(text, " next={}", client.producer(value)),
                    2 => write!(text, " client_version={value}"),
                    3 => write!(text, " next_epoch={value}"),
                    tag => write!(text, " tag{tag}={value}"),
                };
            }
        }
        assert!(self.rest.is_empty(), "{:?} left of a value", self.rest);
        text
    }

    /// The partitions by topic; `None` for null.
    fn partitions(&mut self) -> Option<Vec<String>> {
        let topics = self.length(4)?;
        let mut all = Vec::new();
        for _ in 0..topics {
            let topic = self.text();
            let indexes = self.length(4).expect("partitions");
            all.extend((0..indexes).map(|_| format!("{topic}-{}", self.number(4))));
            self.skip_tags();
        }
        all.sort();
        Some(all)
    }

    fn skip_tags(&mut self) {
        if self.flexible {
            assert_eq!(self.uvarint(), 0, "tagged fields of partitions");
        }
    }

    pub fn text(&mut self) -> String {
        let length = self.length(2).expect("text");
        String::from_utf8_lossy(self.take(length)).into_owned()
    }

    fn length(&mut self, size: usize) -> Option<usize> {
        match self.flexible {
            true => self.uvarint().checked_sub(1),
            false => usize::try_from(self.number(size)).ok(),
        }
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    pub fn number(&mut self, size: usize) -> i64 {
        let bytes = self.take(size);
        let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
        bytes.iter().fold(sign, |number: i64, byte| number << 8 | i64::from(*byte))
    }

    pub fn uvarint(&mut self) -> usize {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = self.take(1)[0];
            value |= usize::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }
}

pub fn time(time: i64) -> &'static str {
    if time < 0 { "none" } else { "N" }
}
