"""Each client reads what the others wrote: every codec, keys, headers, timestamps, null values.

Without a role it runs as cases with the clients of one environment. For two environments, so that old clients read what
new ones wrote and the reverse, it is run in parts:

    OLD/python   cross_client.py localhost:9092 --role=write TOPIC
    TODAY/python cross_client.py localhost:9092 --role=read TOPIC
"""

import asyncio
import sys

import confluent_helpers
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from suite import case, equal, role_of_this_process, run_cases, unique, wait_until

try:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka import TopicPartition as AioPartition
except ImportError:  # the pinned environment has no aiokafka
    AIOKafkaProducer = None

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
BEGIN = 1_700_000_000_000  # years ago, so the topic needs unlimited retention
COUNT = 60


def record(n):
    """Returns (key, value, headers, timestamp) of record n; some have a null key, a null value or an empty value."""
    key = None if n % 7 == 0 and n % 11 != 5 else b"key-%d" % n
    value = None if n % 11 == 5 else b"" if n % 11 == 6 else b"value %d " % n * (n % 50)
    headers = [("n", b"%d" % n), ("text", "blåbær".encode())] if n % 2 else []
    return key, value, headers, BEGIN + 10 * n


def write_with_kafka_python(bootstrap, topic, partition, codec):
    compression = None if codec == "none" else codec
    producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=compression, linger_ms=50, retries=5)
    for n in range(COUNT):
        key, value, headers, time = record(n)
        producer.send(topic, key=key, value=value, headers=headers, timestamp_ms=time, partition=partition)
    producer.flush()
    producer.close()


def write_with_confluent(bootstrap, topic, partition, codec):
    messages = []
    for n in range(COUNT):
        key, value, headers, time = record(n)
        messages.append({"key": key, "value": value, "headers": headers, "timestamp": time, "partition": partition})
    confluent_helpers.produce_all(bootstrap, topic, messages, **{"compression.type": codec, "linger.ms": 50})


def write_with_aiokafka(bootstrap, topic, partition, codec):
    async def write():
        compression = None if codec == "none" else codec
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, compression_type=compression, linger_ms=50
        ) as producer:
            for n in range(COUNT):
                key, value, headers, time = record(n)
                await producer.send(
                    topic, key=key, value=value, headers=headers, timestamp_ms=time, partition=partition
                )

    asyncio.run(write())


def read_with_kafka_python(bootstrap, topic):
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, index) for index in sorted(consumer.partitions_for_topic(topic))]
    ends = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    consumer.seek_to_beginning()
    found = []

    def complete():
        for batch in consumer.poll(timeout_ms=3000).values():
            found.extend((m.partition, m.offset, m.key, m.value, list(m.headers), m.timestamp) for m in batch)
        return len(found) >= sum(ends.values())

    wait_until(complete, "all is read", 20)
    consumer.close()
    return sorted(found)


def read_with_confluent(bootstrap, topic):
    messages = confluent_helpers.read_all(bootstrap, topic)
    return [(m.partition(), m.offset(), m.key(), m.value(), m.headers() or [], m.timestamp()[1]) for m in messages]


def read_with_aiokafka(bootstrap, topic):
    async def read():
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        partitions = [AioPartition(topic, index) for index in range(partition_count(bootstrap, topic))]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        found = []
        while len(found) < sum(ends.values()):
            m = await asyncio.wait_for(consumer.getone(), 15)
            found.append((m.partition, m.offset, m.key, m.value, list(m.headers), m.timestamp))
        await consumer.stop()
        return sorted(found, key=lambda one: one[:2])

    return asyncio.run(read())


WRITERS = [write_with_kafka_python, write_with_confluent] + ([write_with_aiokafka] if AIOKafkaProducer else [])
READERS = [read_with_kafka_python, read_with_confluent] + ([read_with_aiokafka] if AIOKafkaProducer else [])


def partition_count(bootstrap, topic):
    return len(confluent_helpers.partitions_of(confluent_helpers.admin_client(bootstrap), topic))


def write(bootstrap, topic):
    """Creates the topic; each combination of writer and codec has its own partition."""
    admin, count = confluent_helpers.admin_client(bootstrap), len(WRITERS) * len(CODECS)
    admin.create_topics([confluent_helpers.NewTopic(topic, count, 1, config={"retention.ms": "-1"})])[topic].result(10)
    wait_until(lambda: partition_count(bootstrap, topic) == count, "the partitions are there")
    confluent_helpers.wait_until_served(bootstrap, topic, count)
    for w, writer in enumerate(WRITERS):
        for c, codec in enumerate(CODECS):
            writer(bootstrap, topic, w * len(CODECS) + c, codec)


def read(bootstrap, topic):
    """Every reader reads the same records from every partition."""
    partitions = partition_count(bootstrap, topic)
    for reader in READERS:
        found = reader(bootstrap, topic)
        for partition in range(partitions):
            writer, codec = divmod(partition, len(CODECS))
            what = f"{reader.__name__}, written by client {writer} with {CODECS[codec]}"
            expected = []
            for n in range(COUNT):
                key, value, headers, time = record(n)
                expected.append((partition, n, key, value, headers, time))
            equal([one for one in found if one[0] == partition], expected, what)


@case(seconds=60)
def each_client_reads_all_others(bootstrap):
    topic = unique("cross")
    write(bootstrap, topic)
    read(bootstrap, topic)


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        {"write": write, "read": read}[role[0]](sys.argv[1], *role[1])
    else:
        run_cases()
