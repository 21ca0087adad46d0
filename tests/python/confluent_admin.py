"""The admin client of confluent-kafka: topics with settings, more partitions, lag, groups, records."""

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, OffsetSpec

from confluent_helpers import admin_client, consumer, create_topic, partitions_of, produce_all, read_all, take
from suite import YESTERDAY_MS, case, check, equal, raises, run_cases, unique, wait_until

DAY_MS = 24 * 60 * 60 * 1000


def refused(future):
    """Returns the error code of a failed request."""
    return raises(KafkaException, future.result, 10).args[0].code()


def settings_of(admin, topic):
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    return admin.describe_configs([resource])[resource].result(10)


@case
def topics_with_settings(bootstrap):
    """Twelve partitions with a week of retention, compacted alerts, actions with ninety days: described as created."""
    admin = admin_client(bootstrap)
    wanted = {
        unique("synthetic-transactions"): (12, {"retention.ms": str(7 * DAY_MS), "compression.type": "lz4"}),
        unique("fraud-alerts"): (
            6,
            {"retention.ms": str(30 * DAY_MS), "compression.type": "gzip", "cleanup.policy": "compact"},
        ),
        unique("user-actions"): (3, {"retention.ms": str(90 * DAY_MS), "compression.type": "gzip"}),
    }
    new = [NewTopic(name, count, 1, config=settings) for name, (count, settings) in wanted.items()]
    for future in admin.create_topics(new).values():
        equal(future.result(10), None)
    for name, (count, settings) in wanted.items():
        wait_until(lambda: partitions_of(admin, name) == list(range(count)), f"{name} has {count} partitions")
        found = settings_of(admin, name)
        equal({setting: found[setting].value for setting in settings}, settings)
        check(not found["retention.ms"].is_default, "a setting that was made is not a default")
        check(found["segment.bytes"].is_default, "what nobody set is a default")
        produce_all(bootstrap, name, [{"key": f"u{n}", "value": b"%d" % n} for n in range(24)])
        equal({message.value() for message in read_all(bootstrap, name)}, {b"%d" % n for n in range(24)})


@case(beyond_kafka=True)
def three_replicas_on_one_broker(bootstrap):
    """Production code requests three replicas. Ottla creates the topic with one replica, and logs a warning."""
    admin, topic = admin_client(bootstrap), unique("orders")
    equal(admin.create_topics([NewTopic(topic, 6, 3)])[topic].result(10), None)
    equal(partitions_of(admin, topic), [0, 1, 2, 3, 4, 5])
    described = admin.list_topics(topic, timeout=10).topics[topic].partitions
    equal([(len(p.replicas), len(p.isrs)) for p in described.values()], [(1, 1)] * 6)


@case
def cluster_description(bootstrap):
    """One broker, which is the controller, and a cluster id; the broker's settings can be read."""
    admin = admin_client(bootstrap)
    cluster = admin.list_topics(timeout=10)
    equal(len(cluster.brokers), 1, "brokers")
    check(cluster.controller_id in cluster.brokers and len(cluster.cluster_id) == 22, "controller and cluster id")
    resource = ConfigResource(ConfigResource.Type.BROKER, str(cluster.controller_id))
    settings = admin.describe_configs([resource])[resource].result(10)
    equal(settings["message.max.bytes"].value, "1048588")
    check(settings["log.retention.hours"].value == "168", "a week is the default retention")


@case
def invalid_topics_are_refused(bootstrap):
    """Each mistake has its own error; validate_only creates nothing."""
    admin, topic = admin_client(bootstrap), create_topic(bootstrap, "exists")
    new = [
        (NewTopic(topic, 1, 1), KafkaError.TOPIC_ALREADY_EXISTS),
        (NewTopic("no good!", 1, 1), KafkaError.TOPIC_EXCEPTION),
        (NewTopic(unique("none"), 1, 1, config={"cleanup.policy": "shred"}), KafkaError.INVALID_CONFIG),
        (NewTopic(unique("none"), 1, 1, config={"no.such.setting": "1"}), KafkaError.INVALID_CONFIG),
    ]
    for one, code in new:
        equal(refused(admin.create_topics([one])[one.topic]), code, one.topic)
    only_checked = unique("checked")
    equal(admin.create_topics([NewTopic(only_checked, 1, 1)], validate_only=True)[only_checked].result(10), None)
    check(only_checked not in admin.list_topics(timeout=10).topics, "validate_only makes nothing")


@case
def partitions_only_increase(bootstrap):
    """Six become twelve; twelve do not become six."""
    admin, topic = admin_client(bootstrap), create_topic(bootstrap, "orders", partitions=6)
    equal(admin.create_partitions([NewPartitions(topic, 12)])[topic].result(10), None)
    wait_until(lambda: partitions_of(admin, topic) == list(range(12)), "there are twelve")
    equal(refused(admin.create_partitions([NewPartitions(topic, 6)])[topic]), KafkaError.INVALID_PARTITIONS)
    missing = unique("missing")
    equal(refused(admin.create_partitions([NewPartitions(missing, 6)])[missing]), KafkaError.UNKNOWN_TOPIC_OR_PART)


@case
def settings_change(bootstrap):
    """One config is set and then deleted; the others do not change."""
    admin = admin_client(bootstrap)
    topic = create_topic(bootstrap, "audit", settings={"retention.ms": "1000000", "max.message.bytes": "5000"})

    def alter(value, operation):
        entry = ConfigEntry("retention.ms", value, incremental_operation=operation)
        resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
        equal(admin.incremental_alter_configs([resource])[resource].result(10), None)

    def described():
        found = settings_of(admin, topic)
        return found["retention.ms"].value, found["max.message.bytes"].value

    alter("2000000", AlterConfigOpType.SET)
    wait_until(lambda: described() == ("2000000", "5000"), "the new retention is described")
    alter(None, AlterConfigOpType.DELETE)
    wait_until(lambda: described() == (str(7 * DAY_MS), "5000"), "the default is back")
    missing = ConfigResource(ConfigResource.Type.TOPIC, unique("missing"))
    equal(refused(admin.describe_configs([missing])[missing]), KafkaError.UNKNOWN_TOPIC_OR_PART)


@case
def deleted_and_recreated(bootstrap):
    """A topic created with the name of a deleted one is a new topic, and clients of the old one continue with it."""
    admin, topic = admin_client(bootstrap), create_topic(bootstrap, "temporary", partitions=2)
    produce_all(bootstrap, topic, [{"value": b"old"}])
    equal(admin.delete_topics([topic])[topic].result(10), None)
    wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, "the topic is gone")
    equal(refused(admin.delete_topics([topic])[topic]), KafkaError.UNKNOWN_TOPIC_OR_PART)
    equal(admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10), None)
    wait_until(lambda: partitions_of(admin, topic) == [0], "the topic is back")
    equal(produce_all(bootstrap, topic, [{"value": b"new"}]), [(0, 0)])
    equal([message.value() for message in read_all(bootstrap, topic)], [b"new"])


@case(beyond_kafka=True)
def deleted_before_the_response(bootstrap):
    """Deleting and creating needs no pause between: an open producer and an open consumer continue, ten times."""
    admin, topic = admin_client(bootstrap), unique("again")
    for n in range(10):
        admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(10)
        equal(produce_all(bootstrap, topic, [{"value": b"%d" % n}]), [(0, 0)])
        equal([message.value() for message in read_all(bootstrap, topic)], [b"%d" % n])
        admin.delete_topics([topic])[topic].result(10)
        check(topic not in admin.list_topics(timeout=10).topics, "a topic is gone when its deletion is answered")


@case
def lag_of_a_group(bootstrap):
    """Lag: end offsets minus committed offsets, both from the admin client."""
    admin, group = admin_client(bootstrap), unique("feature-processor-group")
    topic = create_topic(bootstrap, "user-events", partitions=3)
    produce_all(bootstrap, topic, [{"value": b"%d" % n, "partition": n % 3} for n in range(300)])
    worker = consumer(bootstrap, group)
    worker.subscribe([topic])
    take(worker, 300)
    worker.commit(asynchronous=False)
    produce_all(bootstrap, topic, [{"value": b"more", "partition": n % 2} for n in range(45)])
    request = ConsumerGroupTopicPartitions(group)
    committed = admin.list_consumer_group_offsets([request])[group].result(10).topic_partitions
    if hasattr(admin, "list_offsets"):
        ends = {
            place: future.result(10).offset
            for place, future in admin.list_offsets(
                {TopicPartition(place.topic, place.partition): OffsetSpec.latest() for place in committed}
            ).items()
        }
        ends = {place.partition: offset for place, offset in ends.items()}
    else:
        ends = {place.partition: worker.get_watermark_offsets(place, timeout=10)[1] for place in committed}
    equal({place.partition: ends[place.partition] - place.offset for place in committed}, {0: 23, 1: 22, 2: 0})
    worker.close()


@case
def group_life_cycle(bootstrap):
    """A group is listed, stable with a member, empty after it has left; its offsets are altered, and it is deleted."""
    admin, topic, group = admin_client(bootstrap), create_topic(bootstrap, "grouped"), unique("group")

    def described():
        return admin.describe_consumer_groups([group])[group].result(10)

    produce_all(bootstrap, topic, [{"value": b"%d" % n} for n in range(5)])
    worker = consumer(bootstrap, group, client_id="the-worker")
    worker.subscribe([topic])
    take(worker, 1)
    worker.commit(asynchronous=False)
    check(group in [one.group_id for one in admin.list_consumer_groups().result(10).valid], "the group is listed")
    equal(
        (described().state, [member.client_id for member in described().members]),
        (ConsumerGroupState.STABLE, ["the-worker"]),
    )
    equal(described().members[0].assignment.topic_partitions, [TopicPartition(topic, 0)])
    equal(refused(admin.delete_consumer_groups([group])[group]), KafkaError.NON_EMPTY_GROUP)
    worker.close()
    wait_until(lambda: described().state == ConsumerGroupState.EMPTY, "the group is empty")
    request = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, 3)])
    admin.alter_consumer_group_offsets([request])[group].result(10)
    worker = consumer(bootstrap, group)
    worker.subscribe([topic])
    equal(take(worker, 1)[0].value(), b"3")
    worker.close()
    wait_until(lambda: described().state == ConsumerGroupState.EMPTY, "the group is empty again")
    equal(admin.delete_consumer_groups([group])[group].result(10), None)
    check(group not in [one.group_id for one in admin.list_consumer_groups().result(10).valid], "the group is gone")
    equal(refused(admin.delete_consumer_groups([group])[group]), KafkaError.GROUP_ID_NOT_FOUND)


@case
def offsets_by_name(bootstrap):
    """The admin client finds earliest, latest, by time and by largest time (newer versions only)."""
    admin, topic = admin_client(bootstrap), create_topic(bootstrap, "offsets")
    if not hasattr(admin, "list_offsets"):
        return
    times = [1000, 5000, 9000, 3000]
    produce_all(bootstrap, topic, [{"value": b"x", "timestamp": YESTERDAY_MS + time} for time in times])

    def offset(spec):
        place = TopicPartition(topic, 0)
        return admin.list_offsets({place: spec})[place].result(10).offset

    equal(offset(OffsetSpec.earliest()), 0)
    equal(offset(OffsetSpec.latest()), 4)
    equal(offset(OffsetSpec.max_timestamp()), 2)
    equal(offset(OffsetSpec.for_timestamp(YESTERDAY_MS + 4000)), 1)
    equal(offset(OffsetSpec.for_timestamp(1_800_000_000_000)), -1)


@case
def old_records_deleted(bootstrap):
    """Records below an offset are deleted: the log start moves, and the other records keep their offsets."""
    admin, topic = admin_client(bootstrap), create_topic(bootstrap, "trimmed")
    if not hasattr(admin, "delete_records"):
        return
    produce_all(bootstrap, topic, [{"value": b"%d" % n} for n in range(10)])
    place = TopicPartition(topic, 0, 4)
    equal(admin.delete_records([place])[place].result(10).low_watermark, 4)
    equal(
        [(message.offset(), message.value()) for message in read_all(bootstrap, topic)],
        [(n, b"%d" % n) for n in range(4, 10)],
    )


if __name__ == "__main__":
    run_cases()
