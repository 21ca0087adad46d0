"""Partitioning with kafka-python: by key, without a key, with a custom partitioner."""

import json
from collections import Counter, defaultdict

from kafka import KafkaConsumer, KafkaProducer
from kafka.partitioner.default import murmur2

from kafka_python_helpers import create_topic, partitioner, read_all
from suite import case, check, equal, run_cases


def java_partition(key, count):
    """Returns the partition that Kafka's own producer selects for a key."""
    return (murmur2(key) & 0x7FFFFFFF) % count


def send_all(producer, topic, pairs):
    """Sends (key, value) pairs; returns the partition of each from the broker's response."""
    futures = [producer.send(topic, key=key, value=value) for key, value in pairs]
    producer.flush()
    return [future.get(timeout=10).partition for future in futures]


@case
def a_key_stays_in_its_partition(bootstrap):
    """Twelve partitions: all messages of a user are in the partition that murmur2 selects, in order."""
    topic = create_topic(bootstrap, "user-events", partitions=12)
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode())
    users = [f"user_{n:03}".encode() for n in range(40)]
    pairs = [(user, {"user": user.decode(), "step": step}) for step in range(10) for user in users]
    partitions = send_all(producer, topic, pairs)
    producer.close()
    equal(partitions, [java_partition(key, 12) for key, _ in pairs], "partition")
    check(len(set(partitions)) > 8, "forty keys use most of the twelve partitions")
    steps = defaultdict(list)
    for record in read_all(bootstrap, topic):
        value = json.loads(record.value)
        equal(record.partition, java_partition(record.key, 12), f"partition of {record.key}")
        steps[record.key].append(value["step"])
    equal(dict(steps), {user: list(range(10)) for user in users}, "steps by user")


@case
def murmur2_known_values(bootstrap):
    """Fixed hash values from Kafka's own tests, so that producers in other languages agree."""
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536, b"abc": 479470107}
    equal({key: (murmur2(key) + 2**31) % 2**32 - 2**31 for key in known}, known)
    topic = create_topic(bootstrap, "known", partitions=7)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    equal(
        send_all(producer, topic, [(key, b"") for key in known]),
        [(value & 0x7FFFFFFF) % 7 for value in known.values()],
    )
    producer.close()


@case
def messages_without_key_are_spread(bootstrap):
    """Log lines without a key use every partition, and none is lost."""
    topic = create_topic(bootstrap, "logs", partitions=6)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    used = Counter(send_all(producer, topic, [(None, b"line %d" % n) for n in range(600)]))
    producer.close()
    equal(set(used), set(range(6)), "partitions used")
    records = read_all(bootstrap, topic)
    equal(Counter(record.partition for record in records), used, "messages by partition")
    equal({record.value for record in records}, {b"line %d" % n for n in range(600)}, "lines")


@case
def manual_round_robin(bootstrap):
    """The producer names the partition: message n is in partition n mod 3, and each partition has its own offsets."""
    topic = create_topic(bootstrap, "round-robin", partitions=3)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    futures = [producer.send(topic, b"%d" % n, partition=n % 3) for n in range(30)]
    where = [(future.get(timeout=10).partition, future.get(timeout=10).offset) for future in futures]
    producer.close()
    equal(where, [(n % 3, n // 3) for n in range(30)])


@case
def by_region(bootstrap):
    """A function selects: the United States partition 0, Europe 1, the rest 2."""

    def region(key, all_partitions, available):
        return 0 if key.startswith(b"US") else 1 if key.startswith(b"EU") else 2

    topic = create_topic(bootstrap, "geo", partitions=3)
    producer = KafkaProducer(bootstrap_servers=bootstrap, partitioner=partitioner(region))
    keys = [b"US-1", b"EU-1", b"JP-1", b"US-2", b"EU-2", b"BR-1"]
    equal(send_all(producer, topic, [(key, b"order") for key in keys]), [0, 1, 2, 0, 1, 2])
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap)
    equal(consumer.partitions_for_topic(topic), {0, 1, 2})
    consumer.close()
    by_partition = defaultdict(list)
    for record in read_all(bootstrap, topic):
        by_partition[record.partition].append(record.key)
    equal(dict(by_partition), {0: [b"US-1", b"US-2"], 1: [b"EU-1", b"EU-2"], 2: [b"JP-1", b"BR-1"]})


@case
def by_model(bootstrap):
    """Predictions of one model are in one partition for all users; a message without a key is in the first."""

    def model(key, all_partitions, available):
        if key is None:
            return available[0]
        return available[sum(key.split(b"_")[0]) % len(available)]

    topic = create_topic(bootstrap, "model-predictions", partitions=4)
    producer = KafkaProducer(
        bootstrap_servers=bootstrap, key_serializer=lambda key: key and key.encode(), partitioner=partitioner(model)
    )
    keys = [f"model{m}_user{u}" for u in range(5) for m in range(4)]
    partitions = send_all(producer, topic, [(key, b"0.9") for key in keys])
    homes = defaultdict(set)
    for key, partition in zip(keys, partitions):
        homes[key.split("_")[0]].add(partition)
    check(all(len(home) == 1 for home in homes.values()), f"each model has one partition: {dict(homes)}")
    equal(len(set(partitions)), 4, "partitions used")
    equal(send_all(producer, topic, [(None, b"?")]), [0])
    producer.close()


@case
def by_user_number(bootstrap):
    """The exercise: the user's number selects the partition."""
    topic = create_topic(bootstrap, "users", partitions=5)
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        partitioner=partitioner(lambda key, everywhere, available: int(key) % len(everywhere)),
    )
    equal(send_all(producer, topic, [(b"%d" % user, b"hi") for user in range(20)]), [user % 5 for user in range(20)])
    producer.close()


if __name__ == "__main__":
    run_cases()
