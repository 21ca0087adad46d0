//! Crash tests.

use super::*;

#[test]
fn transaction_is_read_when_it_is_committed() {
    for protocol in [Protocol::One, Protocol::Two] {
        let mut host = Host::new(1, &[]);
        let read = host.run(async |running| {
            let mut client = running.client("c");
            client.create_topic("d", 2, &[]).await.unwrap();
            client.find_coordinator("p", true).await.unwrap();
            client.find_coordinator("g", false).await.unwrap();
            let mut producer = Producer::new("p", protocol, 60_000);
            producer.init(&mut client, false).await.unwrap();
            producer.produce(&mut client, "d", 0, 7).await.unwrap();
            producer.commit_offset(&mut client, "g", ("d", 0), 5).await.unwrap();
            producer.end(&mut client, true).await.unwrap();
            let offset = client.committed_offset("g", "d", 0).await.unwrap();
            (client.read_committed("d", 0, 0).await.unwrap(), offset)
        });
        assert_eq!(read.unwrap(), ((vec![7], 2), 5));
    }
}
