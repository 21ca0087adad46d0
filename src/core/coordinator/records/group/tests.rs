//! Unless a comment says otherwise, Apache Kafka 4.3.1 wrote these bytes: for a console consumer, a static member with
//! the cooperative assignor, commands that reset and delete offsets and delete groups, and an old client.

use super::*;

fn hex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Checks that these bytes decode to this record, and that it encodes to them.
#[track_caller]
fn check(key: &str, value: Option<&str>, expect: GroupRecord) {
    let (key, value) = (hex(key), value.map(hex));
    assert_eq!(GroupRecord::decode(&key, value.as_ref()).as_ref(), Ok(&expect));
    assert_eq!(expect.encode(), Ok((key, value)));
}

fn offset_commit(group: &str, partition: i32, value: Option<CommittedOffset>) -> GroupRecord {
    GroupRecord::OffsetCommit { group: group.into(), topic: "orders".into(), partition, value }
}

fn group_metadata(group: &str, value: GroupMetadata) -> GroupRecord {
    GroupRecord::GroupMetadata { group: group.into(), value: Some(Arc::new(value)) }
}

#[test]
fn group_before_its_first_member_is_encoded_as_in_kafka() {
    let empty = GroupMetadata {
        protocol_type: None,
        generation: 0,
        protocol: None,
        leader: None,
        state_since: Some(1_795_266_211_071),
        members: Vec::new(),
    };
    check(
        "0002 0007 72656164657273",
        Some("0003 0000 00000000 ffff ffff 000001a1fe346cff 00000000"),
        group_metadata("readers", empty),
    );
}

#[test]
fn stable_group_is_encoded_as_in_kafka() {
    let member_id: MemberId = "console-consumer-15c2dcdf-ccac-4b9f-b8d7-615aceeb161d".into();
    let stable = GroupMetadata {
        protocol_type: Some("consumer".into()),
        generation: 1,
        protocol: Some("range".into()),
        leader: Some(member_id.clone()),
        state_since: Some(1_795_266_211_087),
        members: vec![MemberMetadata {
            member_id,
            instance_id: None,
            client_id: "console-consumer".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: hex("0003 00000001 0006 6f7264657273 ffffffff 00000000 ffffffff ffff"),
            assignment: hex("0003 00000001 0006 6f7264657273 00000003 00000000 00000001 00000002 ffffffff"),
        }],
    };
    check(
        "0002 0007 72656164657273",
        Some(
            "0003 0008 636f6e73756d6572 00000001 0005 72616e6765
             0035 636f6e736f6c652d636f6e73756d65722d31356332646364662d636361632d346239662d623864372d363135616365656231363164
             000001a1fe346d0f 00000001
             0035 636f6e736f6c652d636f6e73756d65722d31356332646364662d636361632d346239662d623864372d363135616365656231363164
             ffff 0010 636f6e736f6c652d636f6e73756d6572 000a 2f3132372e302e302e31 000493e0 0000afc8
             0000001c 0003 00000001 0006 6f7264657273 ffffffff 00000000 ffffffff ffff
             00000022 0003 00000001 0006 6f7264657273 00000003 00000000 00000001 00000002 ffffffff",
        ),
        group_metadata("readers", stable),
    );
}

#[test]
fn static_member_is_encoded_as_in_kafka() {
    let member_id: MemberId = "worker-1-03083f42-e7b2-453f-ba2c-7b9e4f6a230c".into();
    let stable = GroupMetadata {
        protocol_type: Some("consumer".into()),
        generation: 1,
        protocol: Some("cooperative-sticky".into()),
        leader: Some(member_id.clone()),
        state_since: Some(1_795_266_212_858),
        members: vec![MemberMetadata {
            member_id,
            instance_id: Some("worker-1".into()),
            client_id: "console-consumer".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 300_000,
            session_timeout_ms: 45_000,
            subscription: hex("0003 00000001 0006 6f7264657273 00000004 ffffffff 00000000 ffffffff ffff"),
            assignment: hex("0003 00000001 0006 6f7264657273 00000003 00000000 00000001 00000002 ffffffff"),
        }],
    };
    check(
        "0002 0006 70696e6e6564",
        Some(
            "0003 0008 636f6e73756d6572 00000001 0012 636f6f70657261746976652d737469636b79
             002d 776f726b65722d312d30333038336634322d653762322d343533662d626132632d376239653466366132333063
             000001a1fe3473fa 00000001
             002d 776f726b65722d312d30333038336634322d653762322d343533662d626132632d376239653466366132333063
             0008 776f726b65722d31 0010 636f6e736f6c652d636f6e73756d6572 000a 2f3132372e302e302e31 000493e0 0000afc8
             00000020 0003 00000001 0006 6f7264657273 00000004 ffffffff 00000000 ffffffff ffff
             00000022 0003 00000001 0006 6f7264657273 00000003 00000000 00000001 00000002 ffffffff",
        ),
        group_metadata("pinned", stable),
    );
}

#[test]
fn empty_group_is_encoded_as_in_kafka() {
    let empty = GroupMetadata {
        protocol_type: Some("consumer".into()),
        generation: 2,
        protocol: None,
        leader: None,
        state_since: Some(1_795_266_211_301),
        members: Vec::new(),
    };
    check(
        "0002 0007 72656164657273",
        Some("0003 0008 636f6e73756d6572 00000002 ffff ffff 000001a1fe346de5 00000000"),
        group_metadata("readers", empty),
    );
}

#[test]
fn offset_with_topic_id_is_encoded_as_in_kafka() {
    let committed = CommittedOffset {
        offset: 9,
        leader_epoch: 0,
        metadata: "".into(),
        commit_timestamp: 1_795_266_211_275,
        expire_timestamp: None,
        topic_id: TopicId::parse("9SDbX2AHRcGHd--kqJrInw").unwrap(),
    };
    check(
        "0001 0007 72656164657273 0006 6f7264657273 00000000",
        Some("0004 0000000000000009 00000000 01 000001a1fe346dcb 01 00 10 f520db5f600745c18777efa4a89ac89f"),
        offset_commit("readers", 0, Some(committed)),
    );
}

#[test]
fn tombstones_are_encoded_as_in_kafka() {
    check("0001 0006 73696d706c65 0006 6f7264657273 00000001", None, offset_commit("simple", 1, None));
    check("0002 0006 73696d706c65", None, GroupRecord::GroupMetadata { group: "simple".into(), value: None });
}

/// From OffsetCommit v2 with a retention time of one hour.
#[test]
fn offset_with_expiry_is_encoded_as_in_kafka() {
    let committed = CommittedOffset {
        offset: 8,
        leader_epoch: -1,
        metadata: "".into(),
        commit_timestamp: 1_795_268_138_377,
        expire_timestamp: Some(1_795_271_738_377),
        topic_id: TopicId::ZERO,
    };
    check(
        "0001 0004 6e6f6733 0006 6f7264657273 00000000",
        Some("0001 0000000000000008 0000 000001a1fe51d589 000001a1fe88c409"),
        offset_commit("nog3", 0, Some(committed)),
    );
}

/// Written by the schema, because Kafka always has a topic id.
#[test]
fn offset_without_topic_id_is_encoded_by_the_schema() {
    let committed = CommittedOffset {
        offset: 7,
        leader_epoch: 2,
        metadata: "hi".into(),
        commit_timestamp: 16,
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    };
    check(
        "0001 0001 67 0006 6f7264657273 00000002",
        Some("0003 0000000000000007 00000002 0002 6869 0000000000000010"),
        offset_commit("g", 2, Some(committed)),
    );
}

#[test]
fn records_of_old_versions_are_decoded() {
    let key = hex("0000 0001 67 0006 6f7264657273 00000000");
    let value = hex("0000 0000000000000007 0000 0000000000000010");
    let committed = CommittedOffset {
        offset: 7,
        leader_epoch: -1,
        metadata: "".into(),
        commit_timestamp: 16,
        expire_timestamp: None,
        topic_id: TopicId::ZERO,
    };
    assert_eq!(GroupRecord::decode(&key, Some(&value)), Ok(offset_commit("g", 0, Some(committed))));

    let key = hex("0002 0001 67");
    let value = hex(
        "0000 0008 636f6e73756d6572 00000003 0001 70 0001 61 00000001 0001 61 0001 63 0001 68 00002710 00000000 00000000",
    );
    let Ok(GroupRecord::GroupMetadata { value: Some(group), .. }) = GroupRecord::decode(&key, Some(&value)) else {
        panic!("not read");
    };
    assert_eq!((group.generation, group.state_since), (3, None));
    assert_eq!((group.members[0].rebalance_timeout_ms, group.members[0].session_timeout_ms), (-1, 10_000));
}

#[test]
fn unknown_or_malformed_record_is_rejected() {
    assert_eq!(GroupRecord::decode(&hex("0003 0001 67"), None), Err(RecordError::UnknownType(3)));
    for bytes in ["", "00", "0001", "0001 0009 67", "0002 ffff"] {
        assert!(matches!(GroupRecord::decode(&hex(bytes), None), Err(RecordError::Malformed(_))), "{bytes}");
    }
    let unknown_version = GroupRecord::decode(&hex("0002 0001 67"), Some(&hex("0005")));
    assert!(matches!(unknown_version, Err(RecordError::Malformed(_))));
}

#[test]
fn truncated_record_is_rejected() {
    let key = hex("0002 0001 67");
    let value = hex(
        "0003 0001 63 00000001 0001 70 0001 6d 0000000000000010 00000001 0001 6d ffff 0001 63 0001 68 00000001 00000002 00000001 73 00000001 61",
    );
    assert!(GroupRecord::decode(&key, Some(&value)).is_ok());
    for end in 0..value.len() {
        let truncated = GroupRecord::decode(&key, Some(&value.slice(..end)));
        assert!(matches!(truncated, Err(RecordError::Malformed(_))), "{end} bytes");
    }
}
