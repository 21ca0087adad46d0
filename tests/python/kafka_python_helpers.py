"""What the kafka-python programs share, and the few calls that kafka-python 2 and 3 name differently."""

import warnings

import kafka
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

import suite

VERSION = tuple(int(part) for part in kafka.__version__.split(".")[:2])
IS_OLD = VERSION < (3, 0)

# A poll ends when something comes, so a long limit costs nothing. A short one does: version 3.0.12 forgets the
# partitions it is given when the limit of a poll runs out in the very moment that it is given them.
POLL_MS = 3000

# Version 3 would like serializers to be classes; functions, which the courses use, still work.
warnings.filterwarnings("ignore", category=DeprecationWarning)


def admin_client(bootstrap):
    return KafkaAdminClient(bootstrap_servers=[bootstrap])


def create_topic(bootstrap, name, partitions=1, settings=None):
    """Makes a topic with a name of its own, and returns that name."""
    topic = suite.unique(name)
    admin = admin_client(bootstrap)
    admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings or {})])
    suite.wait_until(lambda: topic in admin.list_topics(), f"{topic} is listed")
    admin.close()
    # Apache Kafka lists a topic a moment before it takes records for all of its partitions.
    consumer = KafkaConsumer(bootstrap_servers=[bootstrap])
    consumer.end_offsets([TopicPartition(topic, index) for index in range(partitions)])
    consumer.close()
    return topic


def read_all(bootstrap, topic, **options):
    """Everything in a topic, by partition and offset, read without a group. Asks for the end first, so it never waits
    for a record that will not come."""
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
    """Polls until `count` records have come; returns them in the order they came."""
    records = []

    def enough():
        for batch in consumer.poll(timeout_ms=POLL_MS).values():
            records.extend(batch)
        return len(records) >= count

    suite.wait_until(enough, f"{count} records", seconds)
    return records


def wait_for_assignment(consumer, seconds=15):
    """Polls (nothing may be there to read yet) until the group has given this consumer partitions."""

    def assigned():
        suite.check(not consumer.poll(timeout_ms=1000), "no record comes before one is sent")
        return consumer.assignment()

    return suite.wait_until(assigned, "partitions are assigned", seconds)


def partitioner(choose):
    """A custom partitioner out of `choose(key, all_partitions, available_partitions)`, which is what version 2 takes;
    version 3 wants an object."""
    if IS_OLD:
        return choose
    from kafka.partitioner import Partitioner

    class Chosen(Partitioner):
        def partition(self, topic, key, serialized_key, value, serialized_value, cluster):
            everywhere = sorted(cluster.partitions_for_topic(topic))
            return choose(serialized_key, everywhere, sorted(cluster.available_partitions_for_topic(topic)))

    return Chosen()


def committed_offsets(admin, group):
    """{TopicPartition: offset} of all that a group has committed."""
    if IS_OLD:
        offsets = admin.list_consumer_group_offsets(group)
    else:
        offsets = admin.list_group_offsets(group)[group]
    return {partition: found.offset for partition, found in offsets.items()}


def group_state(admin, group):
    """(state, number of members) of a group."""
    if IS_OLD:
        described = admin.describe_consumer_groups([group])[0]
        return described.state, len(described.members)
    described = admin.describe_groups([group])[group]
    return described["group_state"], len(described["members"])


def group_names(admin):
    if IS_OLD:
        return [name for name, _ in admin.list_consumer_groups()]
    return [group["group_id"] for group in admin.list_groups()]
