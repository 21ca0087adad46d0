"""The admin client of kafka-python: topics with settings, more partitions, lag, groups."""

import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, NewPartitions, NewTopic
from kafka.errors import (
    GroupIdNotFoundError,
    InvalidPartitionsError,
    InvalidReplicationFactorError,
    InvalidTopicError,
    NonEmptyGroupError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
)

from kafka_python_helpers import (
    IS_OLD,
    admin_client,
    committed_offsets,
    create_topic,
    group_names,
    group_state,
    poll_some,
    read_all,
)
from suite import case, check, equal, raises, run_cases, unique, wait_until

DAY_MS = 24 * 60 * 60 * 1000

# name: partitions, settings
FRAUD_TOPICS = {
    "synthetic-transactions": (12, {"retention.ms": str(7 * DAY_MS), "compression.type": "lz4"}),
    "fraud-alerts": (
        6,
        {"retention.ms": str(30 * DAY_MS), "compression.type": "gzip", "cleanup.policy": "compact"},
    ),
    "user-actions": (3, {"retention.ms": str(90 * DAY_MS), "compression.type": "gzip"}),
}


def settings_of(admin, topic):
    """{name: value} of all settings of a topic."""
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    if IS_OLD:
        described = admin.describe_configs([resource])[0]
        error, _, _, name, entries = described.resources[0]
        equal((error, name), (0, topic))
        return {entry[0]: entry[1] for entry in entries}
    found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
    return {name: setting["value"] for name, setting in found.items()}


def partition_count(admin, topic):
    return len(admin.describe_topics([topic])[0]["partitions"])


@case
def topics_for_fraud_detection(bootstrap):
    """Partitions and configs are as requested, other configs have defaults, and records are produced and consumed."""
    admin = admin_client(bootstrap)
    for name, (partitions, settings) in FRAUD_TOPICS.items():
        topic = unique(name)
        admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings)])
        wait_until(lambda: topic in admin.list_topics(), f"{topic} is listed")
        equal(partition_count(admin, topic), partitions, f"partitions of {name}")
        found = settings_of(admin, topic)
        equal({setting: found[setting] for setting in settings}, settings, f"settings of {name}")
        equal((found["max.message.bytes"], found["segment.bytes"]), ("1048588", "1073741824"))
        producer = KafkaProducer(bootstrap_servers=bootstrap, retries=5)
        for n in range(24):
            producer.send(topic, key=b"user_%d" % n, value=b"%d" % n)
        producer.close()
        # Sent uncompressed, stored with the topic's compression.type, and read.
        equal({record.value for record in read_all(bootstrap, topic)}, {b"%d" % n for n in range(24)})
    admin.close()


@case
def partitions_are_described(bootstrap):
    """Each partition has its leader, and the replicas are that one broker."""
    topic = create_topic(bootstrap, "described", partitions=3)
    admin = admin_client(bootstrap)
    (described,) = admin.describe_topics([topic])
    cluster = admin.describe_cluster()
    equal(len(cluster["brokers"]), 1, "brokers")
    node = cluster["brokers"][0].get("node_id", cluster["brokers"][0].get("broker_id"))
    equal(cluster["controller_id"], node, "controller")
    name = "partition" if IS_OLD else "partition_index"
    leader, replicas, in_sync = ("leader", "replicas", "isr") if IS_OLD else ("leader_id", "replica_nodes", "isr_nodes")
    found = sorted((p[name], p[leader], p[replicas], p[in_sync]) for p in described["partitions"])
    equal(found, [(index, node, [node], [node]) for index in range(3)])
    admin.close()


@case(beyond_kafka=True)
def three_replicas_on_one_broker(bootstrap):
    """Production code requests three replicas. Ottla creates the topic with one replica, and logs a warning."""
    topic = unique("replicated")
    admin = admin_client(bootstrap)
    admin.create_topics(
        [NewTopic(topic, 12, 3, topic_configs={"retention.ms": "604800000", "compression.type": "lz4"})]
    )
    equal(partition_count(admin, topic), 12)
    replicas = "replicas" if IS_OLD else "replica_nodes"
    equal([len(p[replicas]) for p in admin.describe_topics([topic])[0]["partitions"]], [1] * 12)
    admin.close()


@case
def invalid_topics_are_refused(bootstrap):
    """An existing topic, an invalid name, no partitions, no replicas: each is refused with its own error."""
    topic = create_topic(bootstrap, "exists")
    admin = admin_client(bootstrap)
    raises(TopicAlreadyExistsError, admin.create_topics, [NewTopic(topic, 1, 1)])
    raises(InvalidTopicError, admin.create_topics, [NewTopic("no good!", 1, 1)])
    raises(InvalidPartitionsError, admin.create_topics, [NewTopic(unique("none"), 0, 1)])
    raises(InvalidReplicationFactorError, admin.create_topics, [NewTopic(unique("none"), 1, 0)])
    only_checked = unique("checked")
    admin.create_topics([NewTopic(only_checked, 1, 1)], validate_only=True)
    check(only_checked not in admin.list_topics(), "validate_only makes nothing")
    admin.close()


@case
def partitions_only_increase(bootstrap):
    """Six partitions become twelve, records stay where they are, and twelve do not become six."""
    topic = create_topic(bootstrap, "orders", partitions=6)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(6):
        producer.send(topic, b"%d" % n, partition=n)
    producer.close()
    admin = admin_client(bootstrap)
    admin.create_partitions({topic: NewPartitions(12)})
    wait_until(lambda: partition_count(admin, topic) == 12, "there are twelve")
    raises(InvalidPartitionsError, admin.create_partitions, {topic: NewPartitions(6)})
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    equal(producer.send(topic, b"11", partition=11).get(timeout=10).offset, 0)
    producer.close()
    records = [(record.partition, record.value) for record in read_all(bootstrap, topic)]
    equal(records, [(n, b"%d" % n) for n in range(6)] + [(11, b"11")])
    admin.close()


@case
def settings_change(bootstrap):
    """One config of an existing topic is changed, and the others do not change."""
    topic = create_topic(bootstrap, "audit", settings={"retention.ms": "1000000"})
    admin = admin_client(bootstrap)
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs={"retention.ms": "2000000"})])
    wait_until(lambda: settings_of(admin, topic)["retention.ms"] == "2000000", "the new retention is described")
    equal(settings_of(admin, topic)["cleanup.policy"], "delete")
    admin.close()


@case
def deleted_and_recreated(bootstrap):
    """A topic created with the name of a deleted one is a new topic without records that starts at offset 0."""
    topic = create_topic(bootstrap, "temporary", partitions=2)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    equal(producer.send(topic, b"old", partition=0).get(timeout=10).offset, 0)
    producer.close()
    admin = admin_client(bootstrap)
    admin.delete_topics([topic])
    wait_until(lambda: topic not in admin.list_topics(), "the topic is gone")
    raises(UnknownTopicOrPartitionError, admin.delete_topics, [topic])
    admin.create_topics([NewTopic(topic, 1, 1)])
    wait_until(lambda: topic in admin.list_topics(), "the topic is back")
    equal(partition_count(admin, topic), 1)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    equal(producer.send(topic, b"new").get(timeout=10).offset, 0)
    producer.close()
    equal([record.value for record in read_all(bootstrap, topic)], [b"new"])
    admin.close()


@case(beyond_kafka=True)
def deleted_before_the_response(bootstrap):
    """Deleting and creating needs no pause between: ten times, as tests do."""
    admin = admin_client(bootstrap)
    topic = unique("again")
    for _ in range(10):
        admin.create_topics([NewTopic(topic, 1, 1)])
        check(topic in admin.list_topics(), "a topic is there when its creation is answered")
        admin.delete_topics([topic])
        check(topic not in admin.list_topics(), "a topic is gone when its deletion is answered")
    admin.close()


@case
def lag_of_a_group(bootstrap):
    """Lag: end offsets from a consumer minus committed offsets from the admin client."""
    topic, group = create_topic(bootstrap, "user-events", partitions=3), unique("feature-processor-group")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(300):
        producer.send(topic, b"%d" % n, partition=n % 3)
    producer.flush()
    worker = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    equal(len(poll_some(worker, 300)), 300)
    worker.commit()
    for n in range(45):
        producer.send(topic, b"more", partition=n % 2)
    producer.close()

    admin, consumer = admin_client(bootstrap), KafkaConsumer(bootstrap_servers=[bootstrap])
    lag = {}
    for partition, committed in committed_offsets(admin, group).items():
        consumer.assign([partition])
        consumer.seek_to_end(partition)
        lag[partition] = consumer.position(partition) - committed
    equal(lag, {TopicPartition(topic, 0): 23, TopicPartition(topic, 1): 22, TopicPartition(topic, 2): 0})
    ends = consumer.end_offsets(list(lag))
    equal(sum(ends.values()) - sum(committed_offsets(admin, group).values()), 45, "lag by end_offsets")
    equal(committed_offsets(admin, unique("nobody")), {})
    for client in (worker, consumer, admin):
        client.close()


@case
def group_life_cycle(bootstrap):
    """A group is listed, stable with a member, empty after it has left, and not listed after its deletion."""
    topic, group = create_topic(bootstrap, "grouped"), unique("group")
    admin = admin_client(bootstrap)
    KafkaProducer(bootstrap_servers=bootstrap).send(topic, b"x").get(timeout=10)
    worker = KafkaConsumer(topic, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest")
    poll_some(worker, 1)
    worker.commit()
    check(group in group_names(admin), "the group is listed")
    equal(group_state(admin, group), ("Stable", 1))
    delete = admin.delete_consumer_groups if IS_OLD else admin.delete_groups
    equal(outcome_of_delete(delete, group), NonEmptyGroupError.__name__)
    worker.close()
    wait_until(lambda: group_state(admin, group) == ("Empty", 0), "the group is empty")
    equal(committed_offsets(admin, group), {TopicPartition(topic, 0): 1})
    equal(outcome_of_delete(delete, group), "OK")
    check(group not in group_names(admin), "the group is not listed any more")
    equal(outcome_of_delete(delete, group), GroupIdNotFoundError.__name__)
    equal(committed_offsets(admin, group), {})
    admin.close()


def outcome_of_delete(delete, group):
    """ "OK" or the name of the error."""
    outcome = dict(delete([group]))[group]
    if isinstance(outcome, str):
        return outcome
    return "OK" if outcome.errno == 0 else outcome.__name__


@case
def old_records_deleted(bootstrap):
    """Records below an offset are deleted: the log start moves, and the other records keep their offsets."""
    if IS_OLD:
        return  # kafka-python 2.0.2 has no such request
    topic = create_topic(bootstrap, "trimmed")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(10):
        producer.send(topic, b"%d" % n)
    producer.close()
    partition = TopicPartition(topic, 0)
    admin = admin_client(bootstrap)
    equal(admin.delete_records({partition: 4})[partition]["low_watermark"], 4)
    admin.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    equal(consumer.beginning_offsets([partition]), {partition: 4})
    consumer.close()
    equal(
        [(record.offset, record.value) for record in read_all(bootstrap, topic)], [(n, b"%d" % n) for n in range(4, 10)]
    )


@case
def requests_are_fast(bootstrap):
    """Fifty topics are created, listed and deleted in one request each, within a second."""
    admin = admin_client(bootstrap)
    topics = [unique("bulk") for _ in range(50)]
    started = time.monotonic()
    admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    wait_until(lambda: set(topics) <= set(admin.list_topics()), "all are listed")
    admin.delete_topics(topics)
    wait_until(lambda: not set(topics) & set(admin.list_topics()), "none is listed")
    check(time.monotonic() - started < 20, "it takes less than 20 s")
    admin.close()


if __name__ == "__main__":
    run_cases()
