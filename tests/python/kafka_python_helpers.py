"""Helpers of the kafka-python programs, and wrappers of calls that differ between kafka-python 2 and 3."""

import warnings

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

import suite

VERSION = tuple(int(part) for part in kafka.__version__.split(".")[:2])
IS_OLD = VERSION < (3, 0)

# A poll returns when messages arrive, so a long timeout costs nothing. A short one is a problem: version 3.0.12 loses
# its assigned partitions if the timeout of a poll ends at the moment of the assignment.
POLL_MS = 3000

# Version 3 recommends classes as serializers; functions, which the courses use, still work.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def admin_client(bootstrap):
    return KafkaAdminClient(bootstrap_servers=[bootstrap])


def create_topic(bootstrap, name, partitions=1, settings=None):
    """Creates a topic with a unique name, and returns the name."""
    topic = suite.unique(name)
    admin = admin_client(bootstrap)
    admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings or {})])
    suite.wait_until(lambda: topic in admin.list_topics(), f"{topic} is listed")
    admin.close()
    # Apache Kafka lists a new topic shortly before all its partitions accept records.
    consumer = KafkaConsumer(bootstrap_servers=[bootstrap])
    consumer.end_offsets([TopicPartition(topic, index) for index in range(partitions)])
    consumer.close()
    return topic


def read_all(bootstrap, topic, **options):
    """Returns all messages of a topic, by partition and offset, read without a group. Reads up to the end offsets, so
    that it does not wait for more."""
    consumer = KafkaConsumer(bootstrap_servers=[bootstrap], auto_offset_reset="earliest", **options)
    records = read_assigned(consumer, topic)
    consumer.close()
    return records


def read_assigned(consumer, topic):
    partitions = [TopicPartition(topic, index) for index in sorted(consumer.partitions_for_topic(topic))]
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    records = []

    def complete():
        for batch in consumer.poll(timeout_ms=200).values():
            records.extend(batch)
        return all(consumer.position(partition) >= ends[partition] for partition in partitions)

    suite.wait_until(complete, f"{topic} is read up to {ends}", seconds=20)
    return sorted(records, key=lambda record: (record.partition, record.offset))


def poll_some(consumer, count, seconds=15):
    """Polls until `count` records have arrived; returns them in order of arrival."""
    records = []

    def enough():
        for batch in consumer.poll(timeout_ms=POLL_MS).values():
            records.extend(batch)
        return len(records) >= count

    suite.wait_until(enough, f"{count} records", seconds)
    return records


def wait_for_assignment(consumer, seconds=15):
    """Polls until this consumer has assigned partitions; there may be no messages yet."""

    def assigned():
        suite.check(not consumer.poll(timeout_ms=1000), "no record comes before one is sent")
        return consumer.assignment()

    return suite.wait_until(assigned, "partitions are assigned", seconds)


def partitioner(choose):
    """Returns a custom partitioner from `choose(key, all_partitions, available_partitions)`: version 2 accepts the
    function, version 3 requires an object."""
    if IS_OLD:
        return choose
    from kafka.partitioner import Partitioner

    class Chosen(Partitioner):
        def partition(self, topic, key, serialized_key, value, serialized_value, cluster):
            everywhere = sorted(cluster.partitions_for_topic(topic))
            return choose(serialized_key, everywhere, sorted(cluster.available_partitions_for_topic(topic)))

    return Chosen()


def committed_offsets(admin, group):
    """Returns {TopicPartition: offset} of all committed offsets of a group."""
    if IS_OLD:
        offsets = admin.list_consumer_group_offsets(group)
    else:
        offsets = admin.list_group_offsets(group)[group]
    return {partition: found.offset for partition, found in offsets.items()}


def group_state(admin, group):
    """Returns (state, number of members) of a group."""
    if IS_OLD:
        described = admin.describe_consumer_groups([group])[0]
        return described.state, len(described.members)
    described = admin.describe_groups([group])[group]
    return described["group_state"], len(described["members"])


def group_names(admin):
    if IS_OLD:
        return [name for name, _ in admin.list_consumer_groups()]
    return [group["group_id"] for group in admin.list_groups()]
