//! Topics that are deleted and created again under the same name.

use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::types::TopicId;

use crate::fixture::{Fixture, batch, code};

const END: i64 = -1;

/// Fetches partition 0 by topic id and returns the error.
async fn fetch_by_id(fixture: &Fixture, topic_id: TopicId) -> &'static str {
    let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() }];
    let topics = vec![FetchTopic { topic_id, partitions, ..Default::default() }];
    let request = FetchRequest { topics, ..Default::default() };
    let answer = fixture.client.call_at(request, 13).await.unwrap();
    code(answer.responses[0].partitions[0].error_code)
}

#[tokio::test]
async fn recreated_topic_has_a_new_id_and_a_later_epoch() {
    let fixture = Fixture::start().await;
    let mut stale: Option<TopicId> = None;
    let mut epoch = -1;
    for round in 0..20 {
        let settings: &[_] = if round == 0 { &[("retention.ms", "777")] } else { &[] };
        let id = fixture.topic("again", settings).await;
        let seen = fixture.metadata("again").await;
        assert_eq!((code(seen.error_code), seen.topic_id), ("NONE", id));
        assert!(seen.partitions[0].leader_epoch > epoch, "round {round}");
        epoch = seen.partitions[0].leader_epoch;
        if let Some(stale) = stale {
            assert_ne!(stale, id);
            assert_eq!(fetch_by_id(&fixture, stale).await, "UNKNOWN_TOPIC_ID");
        }
        assert_eq!(fixture.client.list_offset("again", 0, END).await.unwrap().offset, 0);
        assert_eq!(fixture.client.produce("again", 0, batch("x")).await.unwrap().base_offset, 0);
        assert_eq!(fixture.client.list_offset("again", 0, END).await.unwrap().leader_epoch, epoch);
        assert_eq!(fetch_by_id(&fixture, id).await, "NONE");
        fixture.client.delete_topic("again").await.unwrap();
        assert_eq!(code(fixture.metadata("again").await.error_code), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(fetch_by_id(&fixture, id).await, "UNKNOWN_TOPIC_ID");
        stale = Some(id);
    }
}

#[tokio::test]
async fn recreated_topic_has_no_old_settings_or_offsets() {
    let fixture = Fixture::start().await;
    fixture.topic("again", &[("max.message.bytes", "50")]).await;
    assert!(fixture.client.produce("again", 0, batch("x")).await.is_err());
    fixture.client.commit_offsets("group", None, "again", &[(0, 5)]).await.unwrap();
    fixture.client.delete_topic("again").await.unwrap();
    fixture.topic("again", &[]).await;
    assert_eq!(fixture.client.produce("again", 0, batch("x")).await.unwrap().base_offset, 0);
    assert_eq!(fixture.client.committed_offsets("group", "again", &[0]).await.unwrap()[0].offset, -1);
}

#[tokio::test]
async fn deleting_consumer_offsets_removes_committed_offsets() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    for round in 1..=3 {
        fixture.client.commit_offsets("group", None, "t", &[(0, round)]).await.unwrap();
        assert_eq!(fixture.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, round);
        fixture.client.delete_topic("__consumer_offsets").await.unwrap();
        assert_eq!(fixture.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, -1);
        fixture.client.find_coordinator("group").await.unwrap();
        assert_eq!(fixture.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, -1);
    }
}
