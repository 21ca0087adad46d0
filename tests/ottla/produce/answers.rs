//! Produce and InitProducerId.

use bytes::Bytes;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_wire::record::{BatchBuilder, Codec};
use ottla_wire::types::ProducerIdEpoch;

use crate::fixture::{Fixture, LONG_AGO, batch, batch_at, code, text};
use common::{Broker, wait_until};

fn request(topic: &str, partition: i32, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData { index: partition, records };
    let topic = TopicProduceData { name: text(topic), partition_data: vec![data], ..Default::default() };
    ProduceRequest { acks: -1, timeout_ms: 5000, topic_data: vec![topic], ..Default::default() }
}

fn only(answer: &ProduceResponse) -> &PartitionProduceResponse {
    &answer.responses[0].partition_responses[0]
}

async fn produce(fixture: &Fixture, version: i16, topic: &str, records: impl Into<Bytes>) -> PartitionProduceResponse {
    let request = request(topic, 0, Some(records.into()));
    only(&fixture.client.call_at(request, version).await.unwrap()).clone()
}

/// Like [`batch`], with some bytes replaced and the original CRC.
fn corrupt(at: usize, with: &[u8]) -> Bytes {
    let mut bytes = batch("value").to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes.into()
}

/// Like [`corrupt`], with a matching CRC.
fn forged(at: usize, with: &[u8]) -> Bytes {
    let mut bytes = corrupt(at, with).to_vec();
    let crc = crc32c::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// A message of format 1, or of format 0, which has no timestamp. Both use the IEEE CRC.
fn old_message(magic: i8) -> Bytes {
    let mut message = vec![magic as u8, 0];
    if magic == 1 {
        message.extend(LONG_AGO.to_be_bytes());
    }
    message.extend([0, 0, 0, 1, b'k', 0, 0, 0, 1, b'v']);
    let mut set = vec![0; 8];
    set.extend((message.len() as i32 + 4).to_be_bytes());
    set.extend(crc32(&message).to_be_bytes());
    set.extend(message);
    set.into()
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[tokio::test]
async fn invalid_records_return_their_error_and_keep_the_connection() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let two = [batch("a"), batch("b")].concat();
    for (what, records, expect) in [
        ("nothing", Bytes::new(), "INVALID_RECORD"),
        ("a truncated batch", batch("value").slice(..70), "INVALID_RECORD"),
        ("two batches", two.into(), "INVALID_RECORD"),
        ("format 1", old_message(1), "INVALID_RECORD"),
        ("an unknown format", corrupt(16, &[3]), "CORRUPT_MESSAGE"),
        ("a wrong CRC", corrupt(70, b"?"), "CORRUPT_MESSAGE"),
        ("a base offset", forged(0, &[0, 0, 0, 0, 0, 0, 0, 7]), "INVALID_RECORD"),
        ("a control batch", forged(21, &[0, 32]), "INVALID_RECORD"),
        ("a count of two for one record", forged(57, &[0, 0, 0, 2]), "INVALID_RECORD"),
        ("an unknown codec", forged(21, &[0, 5]), "UNSUPPORTED_COMPRESSION_TYPE"),
        ("invalid gzip", forged(21, &[0, 1]), "INVALID_RECORD"),
        ("a time in the future", batch_at(4_000_000_000_000, "value"), "INVALID_TIMESTAMP"),
        ("too many bytes", batch(&"x".repeat(1_100_000)), "MESSAGE_TOO_LARGE"),
    ] {
        for version in [3, 7, 11] {
            let answer = produce(&fixture, version, "t", records.clone()).await;
            assert_eq!((code(answer.error_code), answer.base_offset), (expect, -1), "{what}, version {version}");
        }
    }
    assert_eq!(produce(&fixture, 11, "t", batch("good")).await.base_offset, 0);
}

#[tokio::test]
async fn produce_below_version_3_accepts_old_message_formats() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (version, records, expect, offset) in [
        (0, old_message(0), "NONE", 0),
        (1, old_message(0), "NONE", 1),
        (2, old_message(1), "NONE", 2),
        (2, batch("v2"), "NONE", 3),
        (2, Bytes::new(), "NONE", -1),
        // A truncated message is ignored.
        (0, old_message(0).slice(..20), "NONE", -1),
        (2, [&old_message(1)[..], &old_message(1)[..9]].concat().into(), "NONE", 4),
    ] {
        let answer = produce(&fixture, version, "t", records).await;
        assert_eq!((code(answer.error_code), answer.base_offset), (expect, offset), "version {version}");
    }
}

#[tokio::test]
async fn zstd_below_version_7_returns_unsupported_compression_type() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.append(LONG_AGO, None, Some(b"value"), &[]);
    let records = builder.build().unwrap().bytes().clone();
    for (version, expect) in [(3, "UNSUPPORTED_COMPRESSION_TYPE"), (6, "UNSUPPORTED_COMPRESSION_TYPE"), (7, "NONE")] {
        assert_eq!(
            code(produce(&fixture, version, "t", records.clone()).await.error_code),
            expect,
            "version {version}"
        );
    }
}

#[tokio::test]
async fn acks_other_than_0_1_or_all_return_invalid_required_acks() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (acks, expect) in [(-1, "NONE"), (1, "NONE"), (2, "INVALID_REQUIRED_ACKS"), (-2, "INVALID_REQUIRED_ACKS")] {
        let request = ProduceRequest { acks, ..request("t", 0, Some(batch("x"))) };
        assert_eq!(code(only(&fixture.client.call_at(request, 9).await.unwrap()).error_code), expect, "acks {acks}");
    }
    let unacknowledged = ProduceRequest { acks: 0, ..request("t", 0, Some(batch("x"))) };
    fixture.client.send_without_response(unacknowledged, 9).await.unwrap();
    assert_eq!(fixture.client.list_offset("t", 0, -1).await.unwrap().offset, 3);
    // With acks=0 a failure can only be reported by closing the connection.
    let failing = ProduceRequest { acks: 0, ..request("missing", 0, Some(batch("x"))) };
    fixture.client.send_without_response(failing, 9).await.unwrap();
    assert!(fixture.client.list_offset("t", 0, -1).await.is_err());
    fixture.broker.wait_for_log("acks=0");
}

#[tokio::test]
async fn produce_to_a_missing_partition_returns_unknown_topic_or_partition() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (topic, partition) in [("missing", 0), ("t", 1), ("t", -1), ("bad name", 0), ("", 0)] {
        let answer = fixture.client.call_at(request(topic, partition, Some(batch("x"))), 9).await.unwrap();
        assert_eq!(code(only(&answer).error_code), "UNKNOWN_TOPIC_OR_PARTITION", "{topic}-{partition}");
    }
    let mut mixed = request("missing", 0, Some(batch("x")));
    mixed.topic_data.extend(request("t", 0, Some(batch("x"))).topic_data);
    let answer = fixture.client.call_at(mixed, 9).await.unwrap();
    let codes: Vec<_> = answer.responses.iter().map(|topic| code(topic.partition_responses[0].error_code)).collect();
    assert_eq!(codes, ["UNKNOWN_TOPIC_OR_PARTITION", "NONE"]);
}

#[tokio::test]
async fn topic_settings_decide_which_records_are_accepted() {
    let fixture = Fixture::start().await;
    fixture.topic("small", &[("max.message.bytes", "80")]).await;
    fixture.topic("compacted", &[("cleanup.policy", "compact")]).await;
    fixture.topic("recent", &[("message.timestamp.before.max.ms", "1000")]).await;
    fixture.topic("stamped", &[("message.timestamp.type", "LogAppendTime")]).await;
    assert_eq!(code(produce(&fixture, 9, "small", batch(&"x".repeat(50))).await.error_code), "MESSAGE_TOO_LARGE");
    assert_eq!(code(produce(&fixture, 9, "recent", batch("x")).await.error_code), "INVALID_TIMESTAMP");
    assert!(produce(&fixture, 9, "stamped", batch("x")).await.log_append_time_ms > LONG_AGO);

    let mut builder = BatchBuilder::new(Codec::None);
    builder.append(LONG_AGO, Some(b"key"), Some(b"value"), &[]);
    builder.append(LONG_AGO, None, Some(b"value"), &[]);
    let refused = produce(&fixture, 9, "compacted", builder.build().unwrap().bytes().clone()).await;
    assert_eq!(code(refused.error_code), "INVALID_RECORD");
    // The whole batch is refused, and the response names the invalid record.
    let faults: Vec<_> = refused.record_errors.iter().map(|fault| fault.batch_index).collect();
    assert_eq!((faults, refused.base_offset, refused.log_start_offset), (vec![1], -1, 0));
}

async fn idempotent(fixture: &Fixture, epoch: i16, sequence: i32, count: usize) -> (&'static str, i64) {
    let producer = ProducerIdEpoch { producer_id: 4000, epoch };
    let mut builder = BatchBuilder::new(Codec::None).producer(producer, sequence);
    (0..count).for_each(|_| builder.append(LONG_AGO, None, Some(b"x"), &[]));
    let answer = produce(fixture, 9, "t", builder.build().unwrap().bytes().clone()).await;
    (code(answer.error_code), answer.base_offset)
}

#[tokio::test]
async fn idempotent_producer_gaps_and_duplicates_are_detected() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for (epoch, sequence, count, expect) in [
        (0, 0, 1, ("NONE", 0)),
        (0, 0, 1, ("NONE", 0)),
        (0, 5, 1, ("OUT_OF_ORDER_SEQUENCE_NUMBER", -1)),
        (0, 1, 2, ("NONE", 1)),
        (0, 1, 2, ("NONE", 1)),
        (0, 2, 1, ("OUT_OF_ORDER_SEQUENCE_NUMBER", -1)),
        (1, 3, 1, ("OUT_OF_ORDER_SEQUENCE_NUMBER", -1)),
        (1, 0, 1, ("NONE", 3)),
        (0, 3, 1, ("INVALID_PRODUCER_EPOCH", -1)),
        (1, -1, 1, ("INVALID_RECORD", -1)),
        (1, 1, 1, ("NONE", 4)),
        (1, 2, 1, ("NONE", 5)),
        (1, 3, 1, ("NONE", 6)),
        (1, 4, 1, ("NONE", 7)),
        (1, 5, 1, ("NONE", 8)),
        // The broker remembers five batches.
        (1, 1, 1, ("NONE", 4)),
        (1, 0, 1, ("OUT_OF_ORDER_SEQUENCE_NUMBER", -1)),
    ] {
        assert_eq!(idempotent(&fixture, epoch, sequence, count).await, expect, "epoch {epoch}, sequence {sequence}");
    }
}

#[tokio::test]
async fn transactional_batch_without_a_known_transactional_id_is_refused() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let producer = ProducerIdEpoch { producer_id: 5, epoch: 0 };
    let mut builder = BatchBuilder::new(Codec::None).producer(producer, 0).transactional();
    builder.append(LONG_AGO, None, Some(b"x"), &[]);
    let records = builder.build().unwrap().bytes().clone();
    let mut without_id = request("t", 0, Some(batch("not in a transaction")));
    without_id.topic_data.extend(request("t", 0, Some(records.clone())).topic_data);
    let answer = fixture.client.call_at(without_id, 9).await.unwrap();
    let codes: Vec<_> = answer.responses.iter().map(|topic| code(topic.partition_responses[0].error_code)).collect();
    assert_eq!(codes, ["TRANSACTIONAL_ID_AUTHORIZATION_FAILED"; 2]);
    let unknown = ProduceRequest { transactional_id: Some(text("missing")), ..request("t", 0, Some(records)) };
    // The first request for a coordinator of transactions creates __transaction_state.
    for expect in ["NOT_ENOUGH_REPLICAS", "INVALID_PRODUCER_ID_MAPPING"] {
        let answer = fixture.client.call_at(unknown.clone(), 9).await.unwrap();
        assert_eq!(code(only(&answer).error_code), expect);
        fixture.transaction_coordinator("missing").await;
    }
    assert_eq!(fixture.client.list_offset("t", 0, -1).await.unwrap().offset, 0);
}

#[tokio::test]
async fn init_producer_id_without_a_transactional_id_returns_a_new_id_each_time() {
    let fixture = Fixture::start().await;
    let mut ids = Vec::new();
    for version in 0..=5 {
        let answer = fixture.client.call_at(InitProducerIdRequest::default(), version).await.unwrap();
        assert_eq!((code(answer.error_code), answer.producer_epoch), ("NONE", 0), "version {version}");
        ids.push(answer.producer_id);
    }
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    for (producer_id, producer_epoch, expect) in
        [(7, 3, "NONE"), (7, -1, "INVALID_REQUEST"), (-1, 3, "INVALID_REQUEST")]
    {
        let request = InitProducerIdRequest { producer_id, producer_epoch, ..Default::default() };
        let answer = fixture.client.call_at(request, 3).await.unwrap();
        assert_eq!(code(answer.error_code), expect, "{producer_id} {producer_epoch}");
        assert_ne!(answer.producer_id, 7);
    }
}

/// As in Kafka, a topic never requires more in-sync replicas than it has.
#[tokio::test]
async fn min_insync_replicas_above_the_replica_count_refuses_no_records() {
    for policy in ["clamp", "strict"] {
        let options = Broker::with().set("ottla.replication.factor.policy", policy).set("min.insync.replicas", "3");
        let fixture = Fixture::with(options).await;
        fixture.topic("t", &[("min.insync.replicas", "2")]).await;
        fixture.topic("u", &[]).await;
        for topic in ["t", "u"] {
            assert_eq!(code(produce(&fixture, 9, topic, batch("value")).await.error_code), "NONE", "{policy} {topic}");
        }
    }
}

#[tokio::test]
async fn refused_produce_requests_are_rate_limited_in_the_log() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[("max.message.bytes", "10")]).await;
    for _ in 0..50 {
        assert_eq!(code(produce(&fixture, 9, "t", batch("value")).await.error_code), "MESSAGE_TOO_LARGE");
    }
    let logged = || fixture.broker.log().matches("error=MESSAGE_TOO_LARGE").count();
    wait_until("the log", || logged() >= 10);
    assert_eq!(logged(), 10);
}

/// 40 MB of zeros are a few kilobytes on the wire. As in Kafka they are accepted, also where the broker must decompress
/// them.
#[tokio::test]
async fn highly_compressed_record_is_accepted_up_to_max_decompressed_message_bytes() {
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.append(LONG_AGO, Some(b"key"), Some(&vec![0; 40_000_000]), &[]);
    let sent = builder.build().unwrap().bytes().clone();
    assert!(sent.len() < 16 << 10);
    let fixture = Fixture::with(Broker::with().set("queued.max.request.bytes", "400000000")).await;
    for (topic, settings) in [
        ("kept", &[][..]),
        ("compressed-anew", &[("compression.type", "lz4")]),
        ("compacted", &[("cleanup.policy", "compact")]),
    ] {
        fixture.topic(topic, settings).await;
        let produced = fixture.client.produce(topic, 0, sent.clone()).await;
        assert!(produced.is_ok(), "{topic}: {produced:?}");
    }
    fixture.topic("limited", &[("max.decompressed.message.bytes", "39000000")]).await;
    let refused = fixture.client.produce("limited", 0, sent).await.unwrap_err().to_string();
    assert!(refused.contains("more than max.decompressed.message.bytes, which is 39000000"), "{refused}");
}
