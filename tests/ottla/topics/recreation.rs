//! A topic deleted is gone when that is answered, and its name free for another at once.

use ottla_wire::protocol::messages::fetch::{FetchPartition, FetchRequest, FetchTopic};
use ottla_wire::types::TopicId;

use crate::world::{World, batch, code};

const END: i64 = -1;

/// The error of a fetch from partition 0 by a topic's id.
async fn fetch_by_id(world: &World, topic_id: TopicId) -> &'static str {
    let partitions = vec![FetchPartition { partition_max_bytes: 1 << 20, ..Default::default() }];
    let topics = vec![FetchTopic { topic_id, partitions, ..Default::default() }];
    let request = FetchRequest { topics, ..Default::default() };
    let answer = world.client.call_at(request, 13).await.unwrap();
    code(answer.responses[0].partitions[0].error_code)
}

#[tokio::test]
async fn recreated_topic_has_a_new_id_and_a_later_epoch() {
    let world = World::start().await;
    let mut stale: Option<TopicId> = None;
    let mut epoch = -1;
    for round in 0..20 {
        let settings: &[_] = if round == 0 { &[("retention.ms", "777")] } else { &[] };
        let id = world.topic("again", settings).await;
        let seen = world.metadata("again").await;
        assert_eq!((code(seen.error_code), seen.topic_id), ("NONE", id));
        assert!(seen.partitions[0].leader_epoch > epoch, "round {round}");
        epoch = seen.partitions[0].leader_epoch;
        if let Some(stale) = stale {
            assert_ne!(stale, id);
            assert_eq!(fetch_by_id(&world, stale).await, "UNKNOWN_TOPIC_ID");
        }
        assert_eq!(world.client.list_offset("again", 0, END).await.unwrap().offset, 0);
        assert_eq!(world.client.produce("again", 0, batch("x")).await.unwrap().base_offset, 0);
        assert_eq!(world.client.list_offset("again", 0, END).await.unwrap().leader_epoch, epoch);
        assert_eq!(fetch_by_id(&world, id).await, "NONE");
        world.client.delete_topic("again").await.unwrap();
        assert_eq!(code(world.metadata("again").await.error_code), "UNKNOWN_TOPIC_OR_PARTITION");
        assert_eq!(fetch_by_id(&world, id).await, "UNKNOWN_TOPIC_ID");
        stale = Some(id);
    }
}

#[tokio::test]
async fn recreated_topic_has_no_old_settings_or_offsets() {
    let world = World::start().await;
    world.topic("again", &[("max.message.bytes", "50")]).await;
    assert!(world.client.produce("again", 0, batch("x")).await.is_err());
    world.client.commit_offsets("group", None, "again", &[(0, 5)]).await.unwrap();
    world.client.delete_topic("again").await.unwrap();
    world.topic("again", &[]).await;
    assert_eq!(world.client.produce("again", 0, batch("x")).await.unwrap().base_offset, 0);
    assert_eq!(world.client.committed_offsets("group", "again", &[0]).await.unwrap()[0].offset, -1);
}

#[tokio::test]
async fn deleting_consumer_offsets_removes_committed_offsets() {
    let world = World::start().await;
    world.topic("t", &[]).await;
    for round in 1..=3 {
        world.client.commit_offsets("group", None, "t", &[(0, round)]).await.unwrap();
        assert_eq!(world.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, round);
        world.client.delete_topic("__consumer_offsets").await.unwrap();
        assert_eq!(world.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, -1);
        world.client.find_coordinator("group").await.unwrap();
        assert_eq!(world.client.committed_offsets("group", "t", &[0]).await.unwrap()[0].offset, -1);
    }
}
