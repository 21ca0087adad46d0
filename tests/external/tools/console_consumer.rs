//! kafka-console-consumer.

use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

use super::side_by_side::SideBySide;
use crate::harness::trials;
use common::Broker;
use libtest_mimic::Trial;

const DESERIALIZERS: &str = "org.apache.kafka.common.serialization";
const FORMATTERS: &str = "org.apache.kafka.tools.consumer";

/// Starts a broker with a topic of five records of different kinds for each compression type.
async fn broker() -> SideBySide {
    let broker = Broker::with().set("ottla.ephemeral", "true").set("log.retention.ms", "-1").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", 1, &[]).await.unwrap();
    client.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).await.unwrap();
    for codec in Codec::ALL {
        let mut batch = BatchBuilder::new(codec);
        batch.append(1_000, Some(b"key"), Some(codec.name().as_bytes()), &[]);
        batch.append(2_000, None, Some("\u{e4}\0\n".as_bytes()), &[(b"a", Some(b"1")), (b"b", None)]);
        batch.append(3_000, Some(b""), None, &[(b"", Some(b""))]);
        batch.append(4_000, Some(b"\xff\xfe"), Some(&[0, 0, 0, 7]), &[]);
        batch.append(5_000, Some(b"long"), Some(&[255; 8]), &[]);
        client.produce("t", 0, batch.build().unwrap().bytes().clone()).await.unwrap();
    }
    SideBySide::new(broker)
}

async fn formatters_and_properties_print_the_same() {
    let side = broker().await;
    let check = |arguments: &str| side.check(&format!("kafka-console-consumer --topic t --partition 0 {arguments}"));
    let ran = check("--from-beginning --max-messages 25");
    assert!(ran.out.starts_with("none\n") && ran.err.ends_with("Processed a total of 25 messages\n"), "{ran:?}");
    check("--offset 20 --max-messages 5");
    check("--offset earliest --max-messages 1 --timeout-ms 60000");
    let all = "--offset 0 --max-messages 6 --formatter-property print.key=true --formatter-property print.timestamp=true \
               --formatter-property print.offset=true --formatter-property print.partition=true \
               --formatter-property print.headers=true --formatter-property print.epoch=true \
               --formatter-property print.delivery=true";
    assert!(check(all).out.starts_with("CreateTime:1000\tPartition:0\tOffset:0\tDelivery:NOT_PRESENT\t"));
    check(&format!(
        "{all} --formatter-property 'key.separator= : ' --formatter-property headers.separator=; --formatter-property \
         line.separator=| --formatter-property null.literal=nothing"
    ));
    check("--offset 0 --max-messages 5 --property print.key=true --property print.value=false");
    check(&format!("--offset 0 --max-messages 5 --formatter {FORMATTERS}.LoggingMessageFormatter"));
    check(&format!("--offset 0 --max-messages 5 --formatter {FORMATTERS}.NoOpMessageFormatter"));
    check("--offset 0 --max-messages 5 --formatter a.B");
    check("--offset 0 --max-messages 5 --formatter-property value.deserializer=a.B");
    for kind in ["String", "Integer", "Long", "Short", "Float", "Double", "Boolean", "UUID", "Void", "Bytes"] {
        let deserializer = format!("--formatter-property value.deserializer={DESERIALIZERS}.{kind}Deserializer");
        check(&format!(
            "--offset 0 --max-messages 5 --skip-message-on-error {deserializer} --formatter-property print.offset=true"
        ));
        check(&format!(
            "--offset 0 --max-messages 5 {deserializer} --key-deserializer {DESERIALIZERS}.StringDeserializer"
        ));
    }
}

async fn offsets_and_filters_read_the_same() {
    let side = broker().await;
    let check = |arguments: &str| side.check(&format!("kafka-console-consumer {arguments}"));
    check("--topic t --from-beginning --max-messages 2");
    // The group commits only the records that were printed.
    let ran = check("--topic t --from-beginning --max-messages 2 --group {} --formatter-property print.offset=true");
    assert!(ran.out.contains("Offset:1\t"), "{ran:?}");
    let ran = check("--topic t --from-beginning --max-messages 3 --group {} --formatter-property print.offset=true");
    assert!(ran.out.starts_with("Offset:2\t"), "{ran:?}");
    let ran = check("--topic t --timeout-ms 3000 --group {}");
    assert!(ran.err.contains("ERROR Error processing message, terminating consumer process: "), "{ran:?}");
    check("--include 't|u' --from-beginning --max-messages 4");
    check("--topic t --partition 0 --timeout-ms 300");
    check("--topic t --partition 7 --timeout-ms 300 --from-beginning");
    check("--topic t --partition 0 --offset 1000 --timeout-ms 300");
    check("--topic absent --timeout-ms 300");
    check("--topic 'not a name' --timeout-ms 3000");
    check("--topic t --isolation-level read_committed --from-beginning --max-messages 25");
    check("--topic t --partition 0 --max-messages 0");
    check("--topic t --group none --command-property auto.offset.reset=none --timeout-ms 10000");
}

async fn wrong_options_give_the_same_errors() {
    let side = broker().await;
    let check = |arguments: &str, expect: &str| {
        let ran = side.check(&format!("kafka-console-consumer {arguments}"));
        assert!(ran.err.contains(expect), "{arguments}: {}", ran.err);
        assert!(ran.code != 0, "{arguments}");
    };
    check("", "Exactly one of the following arguments is required: [topic], [include]\n");
    check("--topic t --include t", "Exactly one of the following arguments is required: [topic], [include]\n");
    check("--include t --partition 0", "The topic is required when partition is specified.\n");
    check("--topic t --offset 1", "The partition is required when offset is specified.\n");
    let both = "Options from-beginning and offset cannot be specified together.\n";
    check("--topic t --partition 0 --offset 1 --from-beginning", both);
    let values = "Valid values are 'earliest', 'latest', or a non-negative long.\n";
    check("--topic t --partition 0 --offset -1", &format!("The provided offset value '-1' is incorrect. {values}"));
    check("--topic t --group a --partition 0", "Options group and partition cannot be specified together.\n");
    check("--topic t --group a --command-property group.id=b", "Detected group ids: 'a', 'b'\n");
    check("--topic t --property a=b --formatter-property c=d", "cannot be specified together.\n");
    check("--topic t --from-beginning --consumer-property auto.offset.reset=latest", "please remove one option\n");
    check("--topic t --max-messages x", "ERROR Unknown error when running consumer: ");
    check("--topic t --partition x", "Cannot parse argument 'x' of option partition");
    check("--topic t --isolation-level x", "ERROR Unknown error when running consumer: ");
    check("--topic t --command-property max.poll.records=0", "ERROR Unknown error when running consumer: ");
    check("--topic t --bogus", "bogus is not a recognized option\n");
    check("--topic t --command-config /nowhere", "/nowhere");
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: formatters_and_properties_print_the_same, offsets_and_filters_read_the_same, wrong_options_give_the_same_errors
    ]
}
