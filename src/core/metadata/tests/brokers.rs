//! Registration, elections and producer ids.

use super::*;
use crate::metadata::records::*;

#[test]
fn new_log_starts_with_metadata_version_and_levels_of_kafka_4_3() {
    let cluster = TestCluster::started();
    let first = MetadataRecord::decode(&cluster.log[0]).unwrap();
    let expected = FeatureLevelRecord { name: "metadata.version".into(), feature_level: 30 };
    assert_eq!(first, MetadataRecord::new(0, expected));
    assert_eq!(cluster.image().metadata_version(), Some(30));
    assert_eq!(cluster.image().features()["group.version"], 1);
    assert_eq!(cluster.image().features()["eligible.leader.replicas.version"], 1);
    assert_eq!(cluster.image().default_broker_configs()["min.insync.replicas"], "1");
    assert!(cluster.image().brokers()[&NODE].is_active());
}

#[test]
fn bootstrap_records_of_a_formatted_directory_start_a_new_log() {
    let formatted = vec![feature_record("metadata.version", 25), feature_record("group.version", 1)];
    let start = |mut cluster: TestCluster, bootstrap_records: &[MetadataRecord]| {
        cluster.run(MetadataCommand::RegisterBroker(RegisterBroker {
            bootstrap_records: bootstrap_records.to_vec(),
            ..registration()
        }));
        cluster
    };
    let cluster = start(TestCluster::empty(), &formatted);
    let features: Vec<_> = cluster.image().features().iter().map(|(name, level)| format!("{name}={level}")).collect();
    assert_eq!(features, ["group.version=1", "metadata.version=25"]);
    let registration = MetadataRecord::decode(&cluster.log[2]).unwrap();
    assert_eq!(registration.version, WriteVersions::at(25).register_broker);
    // They are ignored if the log is not empty, or if they lack a metadata.version.
    assert_eq!(start(cluster, &[feature_record("metadata.version", 26)]).image().metadata_version(), Some(25));
    assert_eq!(start(TestCluster::empty(), &formatted[1..]).image().metadata_version(), Some(30));
}

#[test]
fn restart_with_the_same_registration_writes_nothing() {
    let mut cluster = TestCluster::started().restarted();
    let (records, reply) = cluster
        .decide(MetadataCommand::RegisterBroker(RegisterBroker { incarnation_id: Uuid([10; 16]), ..registration() }));
    assert_eq!(records, []);
    assert_eq!(reply, MetadataReply::RegisterBroker(Ok(cluster.image().brokers()[&NODE].epoch)));
}

#[test]
fn registration_with_another_port_gets_a_higher_epoch() {
    let mut cluster = TestCluster::started().restarted();
    let before = cluster.image().brokers()[&NODE].epoch;
    let mut moved = registration();
    moved.endpoints[0].port = 19092;
    let MetadataReply::RegisterBroker(Ok(epoch)) = cluster.run(MetadataCommand::RegisterBroker(moved)) else {
        panic!()
    };
    assert!(epoch > before);
    assert_eq!(cluster.image().brokers()[&NODE].endpoints[0].port, 19092);
}

#[test]
fn unregister_broker_removes_other_brokers_only() {
    let mut cluster = TestCluster::started();
    let other = RegisterBrokerRecord { broker_id: 2, broker_epoch: 9, ..Default::default() };
    cluster.write(&[MetadataRecord::new(1, other)]);
    let mut unregister = |id| match cluster.run(MetadataCommand::UnregisterBroker(UnregisterBroker(id))) {
        MetadataReply::UnregisterBroker(result) => result.map_err(|error| error.to_string()),
        other => panic!("{other:?}"),
    };
    assert_eq!(unregister(2), Ok(()));
    assert_eq!(unregister(2), Err("Broker ID 2 is not currently registered".to_owned()));
    assert!(unregister(NODE).is_err());
    assert!(cluster.image().brokers().keys().eq(&[NODE]));
}

#[test]
fn create_topic_before_registration_returns_invalid_replication_factor() {
    let mut cluster = TestCluster::empty();
    let topic = cluster.topic("t");
    assert_eq!(kind(cluster.create(topic)), "InvalidReplicationFactor");
}

/// When Apache Kafka stops, it leaves every partition without a leader. The broker is then in the ISR or in the ELR.
#[test]
fn registration_elects_the_broker_for_partitions_without_leader() {
    let mut cluster = TestCluster::started();
    let id = cluster.create_named("t", 3).id;
    let remove_leader = |index, change: PartitionChangeRecord| {
        MetadataRecord::new(2, PartitionChangeRecord { partition_id: index, topic_id: id, leader: -1, ..change })
    };
    let empty = || Some(Vec::new());
    let this_node = || Some(vec![NODE]);
    let eligible = PartitionChangeRecord {
        isr: empty(),
        eligible_leader_replicas: this_node(),
        last_known_elr: this_node(),
        ..Default::default()
    };
    cluster.write(&[remove_leader(0, Default::default()), remove_leader(1, eligible)]);
    assert!(!cluster.image().partition("t", 1).unwrap().has_leader());

    cluster = cluster.start();
    for (index, epoch, changes) in [(0, 2, 2), (1, 2, 2), (2, 0, 0)] {
        let partition = cluster.image().partition("t", index).unwrap();
        assert_eq!((partition.leader, &*partition.isr), (NODE, &[NODE][..]), "partition {index}");
        assert_eq!((partition.leader_epoch, partition.partition_epoch), (epoch, changes), "partition {index}");
    }
}

#[test]
fn producer_id_blocks_do_not_repeat_after_a_restart() {
    let mut cluster = TestCluster::started();
    let block = |cluster: &mut TestCluster| match cluster.run(MetadataCommand::AllocateProducerIds(AllocateProducerIds))
    {
        MetadataReply::AllocateProducerIds(Ok(block)) => (block.first, block.count),
        other => panic!("{other:?}"),
    };
    assert_eq!(block(&mut cluster), (0, 1000));
    assert_eq!(block(&mut cluster), (1000, 1000));
    assert_eq!(block(&mut cluster.restarted()), (2000, 1000));
    assert_eq!(block(&mut cluster.recovered_from_snapshot()), (2000, 1000));
}

#[test]
fn allocate_producer_ids_without_free_ids_returns_internal() {
    let mut cluster = TestCluster::started();
    let ids = ProducerIdsRecord { broker_id: NODE, broker_epoch: 1, next_producer_id: i64::MAX - 999 };
    cluster.write(&[MetadataRecord::new(0, ids)]);
    let MetadataReply::AllocateProducerIds(result) =
        cluster.run(MetadataCommand::AllocateProducerIds(AllocateProducerIds))
    else {
        panic!()
    };
    assert_eq!(kind(result), "Internal");
}

#[test]
fn record_that_cannot_be_applied_is_reported_as_fault() {
    let faults = |record: RecordBody| {
        let mut cluster = TestCluster::started();
        cluster.machine.replay(meta(77), &MetadataRecord::new(0, record));
        cluster.machine.fault().map(|(offset, fault)| format!("{offset}: {fault}")).unwrap_or_default()
    };
    let feature = |name: &str, level| FeatureLevelRecord { name: name.into(), feature_level: level }.into();
    assert!(faults(feature("metadata.version", 34)).contains("level 34"));
    assert!(faults(feature("from.the.future", 1)).starts_with("77: feature from.the.future"));
    assert!(faults(RemoveTopicRecord { topic_id: Uuid([1; 16]) }.into()).contains("no topic"));
    assert!(faults(PartitionRecord::default().into()).contains("no topic"));
    assert!(faults(PartitionChangeRecord::default().into()).contains("no topic"));
    assert!(faults(ConfigRecord { resource_type: 99, ..Default::default() }.into()).contains("99"));
    assert!(faults(FenceBrokerRecord { id: 5, epoch: 0 }.into()).contains("broker 5"));
    assert!(faults(ProducerIdsRecord { next_producer_id: -1, ..Default::default() }.into()).contains("decrease"));
}

#[test]
fn unknown_or_malformed_record_is_rejected() {
    use crate::metadata::records::RecordDecodeError::*;
    let decode = |bytes: &'static [u8]| MetadataRecord::decode(&Bytes::from_static(bytes));
    assert!(matches!(decode(&[1, 99, 0]), Err(UnknownKind(99))));
    assert!(matches!(decode(&[1, 20, 1, 0]), Err(Malformed(_))));
    assert!(matches!(decode(&[2, 20, 0, 0]), Err(Malformed(_))));
    assert!(matches!(decode(&[1, 20, 0, 0, 0]), Err(TrailingBytes { kind: 20, extra: 1 })));
    assert!(matches!(decode(&[]), Err(Malformed(_))));
    assert!(decode(&[1, 20, 0, 0]).is_ok());
}

#[test]
fn decision_of_several_batches_is_applied_only_if_complete() {
    let mut cluster = TestCluster::started();
    let topic = NewTopic { partitions: 100, ..cluster.topic("t") };
    let request = MetadataCommand::CreateTopics(CreateTopics {
        topics: vec![topic],
        validate_only: false,
        quota: Default::default(),
    });
    let (records, _) = cluster.decide(request.clone());
    let parts = batches(records, 1000).unwrap();
    assert!(parts.len() > 2);

    // After a crash before the last batch none of it is applied. The next decision aborts the transaction in the log.
    let (last, rest) = parts.split_last().unwrap();
    rest.iter().for_each(|part| cluster.write(part));
    assert_eq!(cluster.image().topic("t"), None);
    let mut crashed = cluster.restarted();
    assert_eq!(crashed.image().topic("t"), None);
    let (records, _) = crashed.decide(request);
    assert!(matches!(records[0].body, RecordBody::AbortTransaction(_)));
    crashed.write(&records);
    assert_eq!(crashed.image().partition_count(), 100);
    assert_eq!(crashed.restarted().image(), crashed.image());

    cluster.write(last);
    assert_eq!(cluster.image().topic("t").unwrap().partition_count(), 100);
    assert_eq!(cluster.restarted().image(), cluster.image());
}

#[test]
fn decision_below_the_limit_is_one_batch() {
    let mut cluster = TestCluster::started();
    let (records, _) = cluster.decide(MetadataCommand::AllocateProducerIds(AllocateProducerIds));
    assert_eq!(batches(records.clone(), MAX_BATCH_BYTES).unwrap(), [records]);
    assert!(batches(Vec::new(), MAX_BATCH_BYTES).unwrap().is_empty());
}

#[test]
fn records_of_security_are_in_snapshots_until_they_are_removed() {
    let mut cluster = TestCluster::started();
    let quota = |remove| ClientQuotaRecord {
        entity: vec![EntityData { entity_type: "client-id".into(), entity_name: Some("c".into()) }],
        key: "producer_byte_rate".into(),
        value: 1024.0,
        remove,
    };
    let acl = AccessControlEntryRecord {
        id: Uuid([3; 16]),
        resource_type: 2,
        resource_name: "t".into(),
        pattern_type: 3,
        principal: "User:a".into(),
        host: "*".into(),
        operation: 3,
        permission_type: 3,
    };
    let user = UserScramCredentialRecord { name: "a".into(), mechanism: 1, iterations: 4096, ..Default::default() };
    let token = DelegationTokenRecord {
        token_id: "t".into(),
        owner: "User:a".into(),
        requester: "User:b".into(),
        renewers: vec!["User:c".into()],
        ..Default::default()
    };
    let controller = RegisterControllerRecord { controller_id: 1, ..Default::default() };
    let records: Vec<MetadataRecord> = vec![
        MetadataRecord::new(0, controller),
        MetadataRecord::new(0, quota(false)),
        MetadataRecord::new(0, acl),
        MetadataRecord::new(0, user),
        MetadataRecord::new(0, token),
    ];
    cluster.write(&records);
    let snapshot = snapshot_records(cluster.image());
    assert!(records.iter().all(|record| snapshot.contains(record)));
    assert_eq!(cluster.recovered_from_snapshot().image(), cluster.image());

    cluster.write(&[
        MetadataRecord::new(0, UnregisterControllerRecord { controller_id: 1 }),
        MetadataRecord::new(0, quota(true)),
        MetadataRecord::new(0, RemoveAccessControlEntryRecord { id: Uuid([3; 16]) }),
        MetadataRecord::new(0, RemoveUserScramCredentialRecord { name: "a".into(), mechanism: 1 }),
        MetadataRecord::new(0, RemoveDelegationTokenRecord { token_id: "t".into() }),
    ]);
    assert_eq!(snapshot_records(cluster.image()), snapshot_records(TestCluster::started().image()));
}

/// A cluster in which this broker was registered with `registered`, with one partition in `assigned`.
fn assigned(registered: &[Uuid], assigned: Uuid) -> TestCluster {
    let mut cluster = TestCluster::started();
    let registration =
        RegisterBrokerRecord { broker_id: NODE, broker_epoch: 50, log_dirs: registered.to_vec(), ..Default::default() };
    let partition = PartitionRecord {
        partition_id: 0,
        topic_id: Uuid([4; 16]),
        replicas: vec![NODE],
        isr: vec![NODE],
        leader: -1,
        directories: vec![assigned],
        ..Default::default()
    };
    cluster.write(&[
        MetadataRecord::new(3, registration),
        MetadataRecord::new(0, TopicRecord { name: "t".into(), topic_id: Uuid([4; 16]) }),
        MetadataRecord::new(1, partition),
    ]);
    cluster
}

/// The directory and the leader of the partition after registration.
fn after_registration(mut cluster: TestCluster, request: RegisterBroker) -> (Uuid, i32) {
    cluster.run(MetadataCommand::RegisterBroker(request));
    let partition = cluster.image().partition("t", 0).unwrap();
    (partition.directories[0], partition.leader)
}

#[test]
fn registration_elects_no_leader_for_partition_in_an_absent_directory() {
    let absent = Uuid([8; 16]);
    let found = || [(Uuid([4; 16]), 0)].into_iter().collect();
    // The only log directory has a new id.
    assert_eq!(after_registration(assigned(&[absent], absent), registration()), (DIRECTORY, NODE));
    // The broker had two log directories, so the absent one is another directory.
    assert_eq!(after_registration(assigned(&[DIRECTORY, absent], absent), registration()), (absent, -1));
    // The metadata log is not in the log directory, so it may be another directory.
    let without_metadata = RegisterBroker { has_metadata_log: false, ..registration() };
    assert_eq!(after_registration(assigned(&[absent], absent), without_metadata), (absent, -1));
    // The partition's folder was moved to the log directory.
    let moved = RegisterBroker { found_in_directory: found(), ..registration() };
    assert_eq!(after_registration(assigned(&[DIRECTORY, absent], absent), moved), (DIRECTORY, NODE));
    assert_eq!(after_registration(assigned(&[DIRECTORY], DIRECTORY), registration()), (DIRECTORY, NODE));
}
