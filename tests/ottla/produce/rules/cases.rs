//! The cases: valid and slightly invalid batches, each sent to a topic of its own.

use bytes::Bytes;
use ottla_wire::record::{Codec, compress};

use super::handmade::{Handmade, HandmadeRecord, Message, batch_of, corrupted, message, record, wrapper};

/// One Produce request, and the settings of its topic.
pub struct Case {
    pub name: String,
    pub settings: Vec<(&'static str, &'static str)>,
    /// The version of Produce.
    pub version: i16,
    pub records: Option<Bytes>,
}

const NEWEST: i16 = 11;
const HOUR_MS: i64 = 3_600_000;
const CODECS: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

/// All cases, with timestamps near `t`.
pub fn all(t: i64) -> Vec<Case> {
    let mut cases = Cases { t, all: Vec::new() };
    cases.framing();
    cases.headers();
    cases.records();
    cases.timestamps();
    cases.compacted();
    cases.sizes();
    cases.codecs();
    cases.broken_streams();
    cases.old_formats();
    cases.all
}

struct Cases {
    t: i64,
    all: Vec<Case>,
}

impl Cases {
    fn add(&mut self, name: impl Into<String>, settings: &[(&'static str, &'static str)], records: impl Into<Bytes>) {
        self.add_at(NEWEST, name, settings, records);
    }

    fn add_at(
        &mut self,
        version: i16,
        name: impl Into<String>,
        settings: &[(&'static str, &'static str)],
        records: impl Into<Bytes>,
    ) {
        let records = Some(records.into());
        self.all.push(Case { name: name.into(), settings: settings.to_vec(), version, records });
    }

    /// A batch of three records.
    fn batch(&self) -> Handmade {
        batch_of(self.t, &[record(0), record(1), record(2)])
    }

    fn framing(&mut self) {
        let good = self.batch().bytes();
        self.all.push(Case { name: "null".to_owned(), settings: Vec::new(), version: NEWEST, records: None });
        self.add("empty", &[], Bytes::new());
        self.add("good", &[], good.clone());
        self.add_at(3, "good in version 3", &[], good.clone());
        self.add("cut by a byte", &[], good.slice(..good.len() - 1));
        self.add("cut in its header", &[], good.slice(..40));
        self.add("cut in its length", &[], good.slice(..10));
        self.add("twice", &[], [&good[..], &good].concat());
        self.add("followed by a cut one", &[], [&good[..], &good[..40]].concat());
        self.add("followed by 5 bytes", &[], [&good[..], &[1, 2, 3, 4, 5]].concat());
        self.add("followed by zeros", &[], [&good[..], &[0; 30]].concat());
        for magic in [-1, 0, 1, 3] {
            self.add(format!("magic {magic}"), &[], self.batch().with(|batch| batch.magic = magic).bytes());
        }
        for length in [-1i32, 0, 13, 14, 48, 49, i32::MAX] {
            self.add(format!("length {length}"), &[], corrupted(&good, 8, &length.to_be_bytes()));
        }
        for at in [17, 21, good.len() - 1] {
            let byte = good[at] ^ 0x20;
            self.add(format!("byte {at} flipped"), &[], corrupted(&good, at, &[byte]));
        }
    }

    fn header(&mut self, name: &str, change: impl FnOnce(&mut Handmade)) {
        let records = self.batch().with(change).bytes();
        self.add(name, &[], records);
    }

    fn headers(&mut self) {
        self.header("base offset 1", |batch| batch.base_offset = 1);
        self.header("base offset -1", |batch| batch.base_offset = -1);
        self.header("leader epoch 5", |batch| batch.leader_epoch = 5);
        for count in [-1, 0, 2, 4] {
            self.header(&format!("count {count}"), |batch| batch.count = count);
        }
        for delta in [-1, 0, 1, 3] {
            self.header(&format!("last offset delta {delta}"), |batch| batch.last_offset_delta = delta);
        }
        self.header("claims 4", |batch| (batch.count, batch.last_offset_delta) = (4, 3));
        self.header("claims 2", |batch| (batch.count, batch.last_offset_delta) = (2, 1));
        self.header("control", |batch| batch.attributes = 0x20);
        self.header("delete horizon", |batch| batch.attributes = 0x40);
        self.header("attribute bit 7", |batch| batch.attributes = 0x80);
        self.header("attribute bit 15", |batch| batch.attributes = i16::MIN);
        for codec in [5, 6, 7] {
            self.header(&format!("codec {codec}"), |batch| batch.attributes = codec);
        }
        self.header("max timestamp too large", |batch| batch.max_timestamp += 77);
        self.header("max timestamp too small", |batch| batch.max_timestamp -= 77);
        self.header("no max timestamp", |batch| batch.max_timestamp = -1);
        self.header("producer id -2", |batch| batch.producer_id = -2);
        self.header("producer without sequence", |batch| (batch.producer_id, batch.producer_epoch) = (7, 0));
        self.header("producer without epoch", |batch| (batch.producer_id, batch.base_sequence) = (7, 0));
        self.header("epoch without producer", |batch| (batch.producer_epoch, batch.base_sequence) = (3, 4));
        for sequence in [0, 5] {
            self.header(&format!("new producer at sequence {sequence}"), |batch| {
                (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (7, 0, sequence);
            });
        }
        for codec in [Codec::Gzip, Codec::Zstd] {
            let name = |what: &str| format!("{what}, {}", codec.name());
            let batch = self.batch().compressed(codec);
            let claims =
                |count: i32| batch.clone().with(|b| (b.count, b.last_offset_delta) = (count, count - 1)).bytes();
            self.add(name("claims 4"), &[], claims(4));
            self.add(name("claims 2"), &[], claims(2));
            self.add(name("control"), &[], batch.clone().with(|batch| batch.attributes |= 0x20).bytes());
            self.add(name("max timestamp too large"), &[], batch.clone().with(|b| b.max_timestamp += 77).bytes());
        }
    }

    /// Adds a batch as it is and compressed.
    fn both(&mut self, name: &str, settings: &[(&'static str, &'static str)], batch: Handmade) {
        self.add(name, settings, batch.bytes());
        self.add(format!("{name}, lz4"), settings, batch.compressed(Codec::Lz4).bytes());
    }

    fn record(&mut self, name: &str, change: impl FnOnce(&mut HandmadeRecord)) {
        let mut odd = record(1);
        change(&mut odd);
        self.both(name, &[], batch_of(self.t, &[record(0), odd, record(2)]));
    }

    fn records(&mut self) {
        self.record("record attributes 1", |record| record.attributes = 1);
        self.record("record attributes 255", |record| record.attributes = 255);
        self.record("offset delta 0 twice", |record| record.offset_delta = 0);
        self.record("offset delta 5", |record| record.offset_delta = 5);
        self.record("offset delta -1", |record| record.offset_delta = -1);
        self.record("record shorter than its fields", |record| record.length_error = -1);
        self.record("record longer than its fields", |record| record.length_error = 1);
        self.record("record of negative length", |record| record.length_error = -100);
        self.record("record far too long", |record| record.length_error = 1 << 20);
        self.record("no headers at all", |record| record.headers = Vec::new());
        self.record("header count -1", |record| record.headers = vec![1]);
        self.record("header count 1 without one", |record| record.headers = vec![2]);
        self.record("header with a null key", |record| record.headers = vec![2, 1, 2, b'v']);
        self.record("header with a null value", |record| record.headers = vec![2, 2, b'h', 1]);
        self.record("header with an empty key", |record| record.headers = vec![2, 0, 0]);
        self.record("null value", |record| record.value = None);
        let reversed = [record(2), record(1), record(0)];
        self.both("offset deltas reversed", &[], batch_of(self.t, &reversed));
        let all_zero = [record(0), record(0), record(0)];
        self.both("all offset deltas 0", &[], batch_of(self.t, &all_zero));
        let from_one = [record(1), record(2), record(3)];
        self.both("offset deltas from 1", &[], batch_of(self.t, &from_one));
        self.both("no records", &[], batch_of(self.t, &[]).with(|b| (b.count, b.last_offset_delta) = (1, 0)));
        self.both("bytes after the records", &[], self.batch().with(|batch| batch.payload.extend([0, 0, 0])));
        self.both("records cut", &[], self.batch().with(|batch| batch.payload.truncate(batch.payload.len() - 2)));
        self.both("key length -2", &[], self.batch().with(|batch| batch.payload[4] = 3));
    }

    fn timestamps(&mut self) {
        let before = [("message.timestamp.before.max.ms", "7200000")];
        let after = [("message.timestamp.after.max.ms", "7200000")];
        let append_time = [("message.timestamp.type", "LogAppendTime")];
        let at = |time: i64| batch_of(time, &[record(0), record(1)]);
        self.both("just recent enough", &before, at(self.t));
        self.both("too old", &before, at(self.t - 3 * HOUR_MS));
        self.both("of 1970", &[], at(0));
        self.both("not too early", &after, at(self.t + 2 * HOUR_MS));
        self.both("too early", &after, at(self.t + 4 * HOUR_MS));
        self.both("too early by default", &[], at(self.t + 3 * HOUR_MS));
        self.both("without a time", &before, batch_of(-1, &[record(0)]));
        self.both("before 1970", &[], at(-5_000));
        let mut late = record(1);
        late.timestamp_delta = -3 * HOUR_MS;
        self.both("one of three too old", &before, batch_of(self.t, &[record(0), late, record(2)]));
        let mut overflowing = record(1);
        overflowing.timestamp_delta = i64::MAX;
        self.both("a time beyond all times", &[], batch_of(self.t, &[record(0), overflowing]));
        let mut newest_first = record(0);
        newest_first.timestamp_delta = 50;
        self.both("newest first", &[], batch_of(self.t, &[newest_first, record(1)]));
        self.both("stamped by the broker", &append_time, at(self.t));
        self.both("too old and stamped by the broker", &[before[0], append_time[0]], at(0));
        let claimed = || at(self.t).with(|batch| batch.attributes = 8);
        let claimed_too_old = || at(self.t).with(|batch| (batch.attributes, batch.max_timestamp) = (8, 1));
        let (plain, old) = (claimed(), claimed_too_old());
        self.both("claims the broker's time", &[], plain.clone());
        self.both("claims the broker's time where the broker stamps", &append_time, plain);
        self.both("claims an old time as the broker's", &before, old);
        for codec in CODECS {
            let target = codec_name(codec);
            let settings = [append_time[0], ("compression.type", target)];
            self.add(format!("stamped by the broker, to {target}"), &settings, at(self.t).bytes());
        }
    }

    fn compacted(&mut self) {
        let compact = [("cleanup.policy", "compact")];
        let mut keyless = record(1);
        keyless.key = None;
        self.both("keys in a compacted topic", &compact, self.batch());
        self.both("one without a key", &compact, batch_of(self.t, &[record(0), keyless.clone(), record(2)]));
        let mut many = Vec::new();
        for delta in 0..5 {
            many.push(HandmadeRecord { offset_delta: delta, ..keyless.clone() });
        }
        self.both("five without keys", &compact, batch_of(self.t, &many));
        self.both("without keys in compact,delete", &[("cleanup.policy", "compact,delete")], batch_of(self.t, &many));
        let mut empty = record(0);
        empty.key = Some(b"");
        self.both("an empty key in a compacted topic", &compact, batch_of(self.t, &[empty]));
        let mut old_too = many.clone();
        old_too.push(HandmadeRecord { timestamp_delta: -3 * HOUR_MS, ..record(5) });
        let both = [compact[0], ("message.timestamp.before.max.ms", "7200000")];
        self.both("without keys and one too old", &both, batch_of(self.t, &old_too));
        self.add("tombstone", &compact, batch_of(self.t, &[HandmadeRecord { value: None, ..record(0) }]).bytes());
        self.add("claims 4 without keys", &compact, batch_of(self.t, &many).with(|b| b.count = 4).bytes());
    }

    fn sizes(&mut self) {
        let t = self.t;
        let batch = |len| batch_of(t, &[HandmadeRecord { value: Some(vec![b'x'; len]), ..record(0) }]);
        let limit = [("max.message.bytes", "1000")];
        let (small, big, huge) = (batch(800), batch(1200), batch(300_000));
        self.both("within max.message.bytes", &limit, small);
        self.add("beyond max.message.bytes", &limit, big.bytes());
        self.add("beyond max.message.bytes once expanded", &limit, big.clone().compressed(Codec::Gzip).bytes());
        let uncompressed = [limit[0], ("compression.type", "uncompressed")];
        self.add("too large for storing", &uncompressed, big.clone().compressed(Codec::Gzip).bytes());
        let gzip = [limit[0], ("compression.type", "gzip")];
        self.add("small enough for storing", &gzip, big.bytes());
        let segment = [("internal.segment.bytes", "1000")];
        self.add("larger than a segment", &segment, big.bytes());
        self.add("smaller than a segment", &segment, big.clone().compressed(Codec::Gzip).bytes());
        self.add("expanding 300 times", &[], huge.compressed(Codec::Zstd).bytes());
        self.add("max.message.bytes 0", &[("max.message.bytes", "0")], batch(1).bytes());
    }

    fn codecs(&mut self) {
        for from in CODECS {
            for target in ["producer", "uncompressed", "gzip", "snappy", "lz4", "zstd"] {
                let name = format!("{} to {target}", from.name());
                let batch = self.batch().compressed(from);
                self.add(name, &[("compression.type", target)], batch.bytes());
            }
        }
        for (target, setting, levels) in [
            ("gzip", "compression.gzip.level", ["-1", "1", "9"]),
            ("lz4", "compression.lz4.level", ["1", "9", "17"]),
            ("zstd", "compression.zstd.level", ["-131072", "3", "22"]),
        ] {
            for level in levels {
                let settings = [("compression.type", target), (setting, level)];
                self.add(format!("to {target} at level {level}"), &settings, self.batch().bytes());
            }
        }
        let producer = |batch: &mut Handmade| {
            (batch.producer_id, batch.producer_epoch, batch.base_sequence) = (7, 1, 2);
        };
        let idempotent = self.batch().compressed(Codec::Gzip).with(producer);
        self.add("an idempotent producer's to zstd", &[("compression.type", "zstd")], idempotent.bytes());
        for version in [3, 6, 7] {
            let name = format!("zstd in version {version}");
            self.add_at(version, name, &[], self.batch().compressed(Codec::Zstd).bytes());
            let target = [("compression.type", "zstd")];
            self.add_at(version, format!("to zstd in version {version}"), &target, self.batch().bytes());
        }
    }

    fn broken_streams(&mut self) {
        for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
            let with = |payload: Vec<u8>| {
                self.batch().with(|batch| (batch.attributes, batch.payload) = (i16::from(codec.id()), payload)).bytes()
            };
            let good = self.batch().compressed(codec).payload;
            let name = |what: &str| format!("{} {what}", codec.name());
            let cases = [
                ("of nothing", with(Vec::new())),
                ("that is none", with(b"this is no stream of any codec".to_vec())),
                ("cut", with(good[..good.len() / 2].to_vec())),
                ("without its last byte", with(good[..good.len() - 1].to_vec())),
                ("and 3 bytes more", with([&good[..], &[1, 2, 3]].concat())),
                ("twice", with([&good[..], &good].concat())),
                ("of no records", with(compress::compress(codec, None, b"").unwrap())),
            ];
            for (what, records) in cases {
                self.add(name(what), &[], records);
            }
        }
    }

    fn old(&mut self, version: i16, name: &str, settings: &[(&'static str, &'static str)], messages: &[Message]) {
        let records: Vec<u8> = messages.iter().flat_map(Message::bytes).collect();
        self.add_at(version, name, settings, records);
    }

    fn old_formats(&mut self) {
        let t = self.t;
        let compact = [("cleanup.policy", "compact")];
        let append_time = [("message.timestamp.type", "LogAppendTime")];
        for (magic, version) in [(0, 0), (0, 1), (1, 2), (0, 2)] {
            let name = |what: &str| format!("{what} of magic {magic} in version {version}");
            let two = [message(magic, t, 0), message(magic, t + 1, 1)];
            let keyless = [two[0].clone(), two[1].clone().with(|message| message.key = None)];
            self.old(version, &name("one"), &[], &two[..1]);
            self.old(version, &name("two"), &[], &two);
            self.old(version, &name("one without a key"), &compact, &keyless);
            self.old(version, &name("stamped"), &append_time, &two);
            self.add_at(version, name("damaged"), &[], corrupted(&two[0].bytes(), 30, b"?"));
            self.add_at(version, name("cut"), &[], two[0].bytes().slice(..20));
            self.old(version, &name("too large"), &[("max.message.bytes", "30")], &two);
            for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4] {
                let wrapped = wrapper(codec, &two);
                self.old(version, &name(&format!("{} wrapper", codec.name())), &[], &[wrapped]);
            }
            let wrapped = wrapper(Codec::Gzip, &two);
            self.old(version, &name("two wrappers"), &[], &[wrapped.clone(), wrapped.clone()]);
            self.old(version, &name("a message and a wrapper"), &[], &[two[0].clone(), wrapped.clone()]);
            self.old(version, &name("wrapper without a key inside"), &compact, &[wrapper(Codec::Gzip, &keyless)]);
            self.old(
                version,
                &name("wrapper in a wrapper"),
                &[],
                &[wrapper(Codec::Gzip, std::slice::from_ref(&wrapped))],
            );
            let other = message(1 - magic, t, 0);
            self.old(version, &name("two formats"), &[], &[two[0].clone(), other.clone()]);
            self.old(
                version,
                &name("a wrapper of another format"),
                &[],
                &[wrapped.clone().with(|m| m.magic = 1 - magic)],
            );
            self.old(
                version,
                &name("a broken wrapper"),
                &[],
                &[wrapped.clone().with(|m| m.value = Some(vec![1, 2, 3]))],
            );
            self.old(version, &name("an empty wrapper"), &[], &[wrapped.clone().with(|m| m.value = None)]);
            self.old(version, &name("to lz4"), &[("compression.type", "lz4")], &two);
            self.old(version, &name("wrapper to none"), &[("compression.type", "uncompressed")], &[wrapped]);
            self.add_at(version, name("a v2 batch instead"), &[], self.batch().bytes());
        }
        self.add_at(2, "zstd in version 2", &[], self.batch().compressed(Codec::Zstd).bytes());
        let before = [("message.timestamp.before.max.ms", "7200000")];
        self.old(2, "magic 1 too old", &before, &[message(1, t - 3 * HOUR_MS, 0)]);
        self.old(2, "magic 1 that claims the broker's time", &[], &[message(1, t, 0).with(|m| m.attributes = 8)]);
        self.old(2, "magic 1 without a time", &[], &[message(1, -1, 0)]);
        let inner = [message(1, t, 7), message(1, t, 9)];
        self.old(
            2,
            "magic 1 wrappers with a plain message between, to none",
            &[("compression.type", "uncompressed")],
            &{
                let wrapped = wrapper(Codec::Snappy, &[message(1, t, 0), message(1, t + 1, 1)]);
                [wrapped.clone(), message(1, t + 2, 0), wrapped]
            },
        );
        self.old(
            2,
            "magic 1 wrappers of two codecs",
            &[],
            &[Codec::Gzip, Codec::Snappy].map(|codec| wrapper(codec, &[message(1, t, 0)])),
        );
        let many: Vec<Message> = (0..20).map(|offset| message(1, t + offset, offset)).collect();
        self.old(2, "twenty of magic 1 beyond max.message.bytes together", &[("max.message.bytes", "200")], &many);
        self.old(2, "magic 1 wrapper with odd offsets", &[], &[wrapper(Codec::Gzip, &inner)]);
        let first = message(1, t, 0).bytes();
        self.add_at(2, "magic 1 and half of another", &[], [&first[..], &first[..9]].concat());
        for version in [0, 2] {
            self.add_at(version, format!("empty in version {version}"), &[], Bytes::new());
        }
    }
}

/// The codec's name in `compression.type`.
fn codec_name(codec: Codec) -> &'static str {
    if codec == Codec::None { "uncompressed" } else { codec.name() }
}
