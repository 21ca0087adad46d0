"""Helpers of the confluent-kafka programs."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import suite


def admin_client(bootstrap):
    return AdminClient({"bootstrap.servers": bootstrap})


def create_topic(bootstrap, name, partitions=1, settings=None):
    """Creates a topic with a unique name, and returns the name."""
    topic = suite.unique(name)
    admin = admin_client(bootstrap)
    admin.create_topics([NewTopic(topic, partitions, 1, config=settings or {})])[topic].result(10)
    suite.wait_until(lambda: len(partitions_of(admin, topic)) == partitions, f"{topic} is listed")
    wait_until_served(bootstrap, topic, partitions)
    return topic


def wait_until_served(bootstrap, topic, partitions):
    """Waits until all partitions accept records: Apache Kafka lists a new topic shortly before."""
    reader = consumer(bootstrap)

    def served():
        try:
            return all(reader.get_watermark_offsets(TopicPartition(topic, n), timeout=10) for n in range(partitions))
        except KafkaException:
            return False

    suite.wait_until(served, f"{topic} is served")
    reader.close()


def partitions_of(client, topic):
    """Returns the indexes of a topic's partitions that have a leader; empty for a missing topic."""
    described = client.list_topics(topic, timeout=10).topics[topic]
    return sorted(index for index, partition in described.partitions.items() if partition.leader >= 0)


class Deliveries:
    """Collects delivery reports: use the instance as the callback."""

    def __init__(self):
        self.errors = []
        self.places = []

    def __call__(self, error, message):
        if error is not None:
            self.errors.append(error)
        else:
            self.places.append((message.topic(), message.partition(), message.offset()))


def produce_all(bootstrap, topic, messages, **settings):
    """Sends keyword arguments of Producer.produce, one dict for each message, and fails unless all are delivered.
    Returns (partition, offset) in the order of delivery."""
    deliveries = Deliveries()
    producer = Producer({"bootstrap.servers": bootstrap, **settings})
    for message in messages:
        produce(producer, topic=topic, on_delivery=deliveries, **message)
    suite.equal(producer.flush(20), 0, "messages left in the producer")
    suite.equal(deliveries.errors, [])
    return [(partition, offset) for _, partition, offset in deliveries.places]


def produce(producer, **message):
    """Calls Producer.produce, and waits while the producer's queue is full."""
    while True:
        try:
            return producer.produce(**message)
        except BufferError:
            producer.poll(0.1)


def consumer(bootstrap, group=None, **settings):
    """Returns a consumer that starts at the beginning and without automatic commits; `fetch_min_bytes=1` sets
    fetch.min.bytes. Callbacks keep the underscore in their names."""
    names = {name if callable(value) else name.replace("_", "."): value for name, value in settings.items()}
    defaults = {"auto.offset.reset": "earliest", "enable.auto.commit": False}
    return Consumer({"bootstrap.servers": bootstrap, "group.id": group or suite.unique("group"), **defaults, **names})


def next_message(reader, seconds=15):
    """Returns the next message; an error event fails the case."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = reader.poll(timeout=0.5)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        return message
    raise AssertionError(f"after {seconds} s still no message")


def take(reader, count):
    return [next_message(reader) for _ in range(count)]


def read_all(bootstrap, topic):
    """Returns all messages of a topic, by partition and offset."""
    reader = consumer(bootstrap)
    places = [TopicPartition(topic, index) for index in partitions_of(reader, topic)]
    marks = [reader.get_watermark_offsets(place, timeout=10) for place in places]
    for place, (low, _) in zip(places, marks):
        place.offset = low
    reader.assign(places)
    messages = take(reader, sum(high - low for low, high in marks))
    reader.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))


def read_committed(bootstrap, topic):
    """Returns all committed messages of a topic, by partition and offset: up to the first open transaction."""
    reader = consumer(bootstrap, enable_partition_eof=True, isolation_level="read_committed")
    unread = set(partitions_of(reader, topic))
    reader.assign([TopicPartition(topic, index, 0) for index in unread])
    messages = []

    def complete():
        for message in reader.consume(1000, 0.2):
            if message.error() is None:
                messages.append(message)
            elif message.error().code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
        return not unread

    suite.wait_until(complete, f"{topic} is read to its end", seconds=20)
    reader.close()
    return sorted(messages, key=lambda message: (message.partition(), message.offset()))
