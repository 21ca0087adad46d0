//! A metadata log that Apache Kafka 4.3.1 wrote, and its snapshot of that log.
//!
//! The log contains: topics created by partition count and by manual assignment, with and without settings, with added
//! partitions, altered, deleted and created again; settings of brokers, groups and subscriptions; a client quota; a
//! SCRAM user; a stop of the broker, which leaves partitions without a leader, and a start, which elects leaders.

use super::*;
use ottla_wire::record;

const LOG: &[u8] = include_bytes!("kafka-4.3.1/metadata.log");
const SNAPSHOT: &[u8] = include_bytes!("kafka-4.3.1/00000000000000000164-0000000004.checkpoint");
/// The offset at which the snapshot ends.
const SNAPSHOT_END: i64 = 164;

/// Each record with its offset and its encoded value, without control records.
fn records() -> Vec<(i64, Bytes, MetadataRecord)> {
    let log = Bytes::from_static(LOG);
    let data = record::batches(&log).map(Result::unwrap).filter(|batch| !batch.header().is_control());
    let values = data.flat_map(|batch| batch.records()).map(|record| record.map(|it| (it.offset, it.value.unwrap())));
    values
        .map(Result::unwrap)
        .map(|(offset, value)| (offset, value.clone(), MetadataRecord::decode(&value).unwrap()))
        .collect()
}

fn replayed(until: i64) -> MetadataMachine {
    let mut machine = MetadataMachine::new(config());
    for (offset, _, record) in records().into_iter().filter(|(offset, ..)| *offset < until) {
        machine.replay(meta(offset), &record);
    }
    assert_eq!(machine.fault(), None);
    machine
}

#[test]
fn every_record_of_kafka_is_encoded_to_the_same_bytes() {
    assert!(records().len() > 100);
    for (offset, value, record) in records() {
        assert_eq!(record.encode().unwrap(), value, "offset {offset}: {record:?}");
    }
}

#[test]
fn image_of_kafkas_log_has_the_topics_and_settings_that_kafka_describes() {
    let machine = replayed(i64::MAX);
    let image = machine.image();
    let topics: Vec<String> = image
        .topics_by_name()
        .into_iter()
        .map(|topic| {
            let settings = image.topic_configs(&topic.name).iter().map(|(name, value)| format!(" {name}={value}"));
            let epochs: Vec<i32> = topic.partitions().map(|(_, partition)| partition.leader_epoch).collect();
            format!("{} {}{} {epochs:?}", topic.name, topic.id, settings.collect::<String>())
        })
        .collect();
    let expected = [
        "after-restart PzWC5h0uTRKb9u80ExK-sg [4, 4]",
        "compacted.log nFVd_5vDTvCis-kDa1Kjeg cleanup.policy=compact [6, 6]",
        "manual 3b4xPfvXTg-TZCDPbxgXog [6, 6]",
        "more-1 MajRHEENRFeLlnDYLa556Q [0, 0, 0, 0, 0, 0, 0, 0, 0]",
        "more-2 LPVyu3bCS9WGpc78peUjUg [0, 0, 0, 0, 0, 0, 0, 0, 0]",
        "more-3 ",
        "plain fYMsPJPeTzyTw_AIam21QQ cleanup.policy=compact,delete max.message.bytes=2000000 [6, 6, 6, 6, 6]",
        "short-lived XJNIDb7wSymIDRi2Hy2HTA [6, 6]",
    ];
    assert_eq!(topics.len(), expected.len());
    for (topic, expected) in topics.iter().zip(expected) {
        assert!(topic.starts_with(expected), "{topic} is not {expected}");
    }
    assert!(image.topics().all(|topic| topic.partitions().all(|(_, it)| it.leader == NODE && *it.isr == [NODE])));
    assert_eq!(image.default_broker_configs()["log.cleaner.threads"], "2");
    assert_eq!(image.broker_configs(NODE)["log.retention.ms"], "1000000");
    assert_eq!(image.group_configs("g1")["consumer.session.timeout.ms"], "50000");
    assert_eq!(image.next_producer_id(), 1000);
    assert_eq!(image.metadata_version(), Some(30));
}

/// Kafka's snapshot results in the same image as Kafka's log, with one exception: in the snapshot, the topic that was
/// deleted and created again has the settings of the deleted one.
#[test]
fn image_of_kafkas_snapshot_equals_image_of_its_log() {
    let mut from_snapshot = MetadataMachine::new(config());
    for record in read_snapshot(&Bytes::from_static(SNAPSHOT)).unwrap() {
        from_snapshot.replay(meta(SNAPSHOT_END - 1), &record);
    }
    assert_eq!(from_snapshot.fault(), None);
    let resurrected = ConfigResource::topic("short-lived");
    let unset = super::super::configs::config_record(&resurrected, "segment.bytes", None);
    from_snapshot.replay(meta(SNAPSHOT_END), &unset);

    let from_log = replayed(SNAPSHOT_END);
    // Kafka's snapshots have no leader epoch floor.
    assert_eq!((from_snapshot.image().leader_epoch_floor(), from_log.image().leader_epoch_floor()), (0, 1));
    let without_floor = |image: &Image| {
        let no_op = |record: &MetadataRecord| matches!(record.body, crate::metadata::records::RecordBody::NoOp(_));
        snapshot_records(image).into_iter().filter(|record| !no_op(record)).collect::<Vec<_>>()
    };
    let (from_snapshot, from_log) = (without_floor(from_snapshot.image()), without_floor(from_log.image()));
    assert_eq!(from_snapshot.iter().zip(&from_log).find(|(a, b)| a != b), None);
    assert_eq!(from_snapshot.len(), from_log.len());
}

/// This broker continues a log of Apache Kafka.
#[test]
fn machine_continues_kafkas_log() {
    let mut cluster = TestCluster::empty();
    for (_, _, record) in records() {
        cluster.write(&[record]);
    }
    let before = cluster.log.len();
    cluster = cluster.start();
    assert!(cluster.log.len() > before, "a new registration with another address");
    cluster.create_named("ours", 2);
    cluster.delete("plain").unwrap();
    cluster.create_named("plain", 1);
    assert_eq!(cluster.image().partition("plain", 0).unwrap().leader_epoch, 7);
    let (restarted, cut) = (cluster.restarted(), cluster.recovered_from_snapshot());
    assert_eq!(restarted.image(), cluster.image());
    assert_eq!(cut.image(), cluster.image());
}
