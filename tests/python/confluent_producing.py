"""Producing with confluent-kafka: delivery reports are right, and delivered messages can be read."""

import json
import random
import threading
import time
from collections import Counter, defaultdict

from confluent_kafka import KafkaError, Producer, TopicPartition

from confluent_helpers import Deliveries, consumer, create_topic, next_message, produce, produce_all, read_all
from suite import YESTERDAY_MS, case, check, equal, now_ms, raises, run_cases, unique, wait_until

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


@case
def one_order_confirmed(bootstrap):
    """An order as JSON with a key; the callback gets topic, partition and offset."""
    topic = unique("orders")  # created by the broker at the first request
    producer = Producer({"bootstrap.servers": bootstrap, "client.id": "my-producer", "acks": "all"})
    deliveries = Deliveries()
    orders = [{"order_id": f"order-{n}", "customer_id": "cust-456", "amount": 99.99} for n in range(3)]
    for order in orders:
        producer.produce(
            topic=topic,
            key=order["order_id"].encode("utf-8"),
            value=json.dumps(order).encode("utf-8"),
            callback=deliveries,
        )
        producer.flush()
    equal(deliveries.errors, [])
    equal(deliveries.places, [(topic, 0, offset) for offset in range(3)])
    messages = read_all(bootstrap, topic)
    equal([json.loads(message.value()) for message in messages], orders)
    equal([message.key() for message in messages], [b"order-0", b"order-1", b"order-2"])


@case
def transactions_by_user(bootstrap):
    """lz4, linger, text keys: each user's transactions are in one partition, in order."""
    topic = create_topic(bootstrap, "synthetic-transactions", partitions=12)
    deliveries = Deliveries()
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 5, "compression.type": "lz4", "acks": "all", "retries": 10}
    )
    for n in range(1000):
        user = f"user_{n % 30:03}"
        producer.produce(
            topic=topic,
            key=user,
            value=json.dumps({"user": user, "amount": n}),
            callback=deliveries,
            headers={"n": str(n)},
        )
        if n % 100 == 0:
            producer.poll(0)
    equal(producer.flush(20), 0)
    equal((deliveries.errors, len(deliveries.places)), ([], 1000))
    amounts, homes = defaultdict(list), defaultdict(set)
    for message in read_all(bootstrap, topic):
        transaction = json.loads(message.value())
        equal(message.key().decode(), transaction["user"])
        equal(message.headers(), [("n", str(transaction["amount"]).encode())])
        amounts[transaction["user"]].append(transaction["amount"])
        homes[transaction["user"]].add(message.partition())
    equal(dict(amounts), {f"user_{u:03}": list(range(u, 1000, 30)) for u in range(30)}, "amounts by user")
    check(all(len(home) == 1 for home in homes.values()), "a user has one partition")


@case(seconds=90)
def hundred_thousand_events(bootstrap):
    """The fast settings: 100,000 messages, acks=1, snappy. None is missing, and each key is in order."""
    topic = create_topic(bootstrap, "events", partitions=3)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "client.id": "high-throughput-producer",
            "acks": "1",
            "linger.ms": 5,
            "batch.size": 16384,
            "queue.buffering.max.kbytes": 32768,
            "compression.type": "snappy",
            "retries": 3,
            "retry.backoff.ms": 100,
        }
    )
    deliveries = Deliveries()
    started = time.monotonic()
    for n in range(100_000):
        produce(
            producer,
            topic=topic,
            key=b"key-%d" % (n % 100),
            value=b'{"event_id": %d, "data": "test"}' % n,
            on_delivery=deliveries,
        )
        if n % 1000 == 0:
            producer.poll(0)
    equal(producer.flush(60), 0)
    print(f"       sent 100,000 messages in {time.monotonic() - started:.2f} s")
    equal((deliveries.errors, len(deliveries.places)), ([], 100_000))
    check(len(set(deliveries.places)) == 100_000, "every message has a place of its own")

    reader = consumer(bootstrap, fetch_wait_max_ms=50)
    reader.assign([TopicPartition(topic, index, 0) for index in range(3)])
    by_key, count = defaultdict(list), 0
    while count < 100_000:
        batch = reader.consume(num_messages=10_000, timeout=10)
        check(batch, f"more than {count} messages come")
        for message in batch:
            by_key[message.key()].append(json.loads(message.value())["event_id"])
        count += len(batch)
    reader.close()
    equal(len(by_key), 100, "keys")
    for n in range(100):
        equal(by_key[b"key-%d" % n], list(range(n, 100_000, 100)), f"events of key {n}")


@case
def guaranteed_alerts(bootstrap):
    """Idempotent, one request in flight, endless retries: each alert is flushed before the next is sent."""
    topic = create_topic(bootstrap, "fraud-alerts", partitions=6)
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "retries": 2147483647,
            "max.in.flight.requests.per.connection": 1,
            "enable.idempotence": True,
        }
    )
    deliveries = Deliveries()
    for n in range(8):
        alert = {"alert_id": f"a{n}", "user_id": f"user_{n % 4}"}
        producer.produce(topic=topic, key=alert["user_id"], value=json.dumps(alert), on_delivery=deliveries)
        equal(producer.flush(timeout=10), 0)
        equal(len(deliveries.places), n + 1)
    equal(deliveries.errors, [])
    alerts = [json.loads(message.value())["alert_id"] for message in read_all(bootstrap, topic)]
    equal(sorted(alerts), sorted(f"a{n}" for n in range(8)))


@case
def idempotent_in_flight(bootstrap):
    """Five requests in flight with sequence numbers, and every codec: contiguous offsets, no duplicates."""
    for codec in CODECS:
        topic = unique(f"idempotent-{codec}")
        messages = [{"value": b"%d" % n} for n in range(2000)]
        settings = {"enable.idempotence": True, "compression.type": codec, "linger.ms": 1, "batch.num.messages": 50}
        places = produce_all(bootstrap, topic, messages, **settings)
        equal(sorted(places), [(0, offset) for offset in range(2000)], f"{codec} places")
        equal([message.value() for message in read_all(bootstrap, topic)], [b"%d" % n for n in range(2000)], codec)


@case
def every_codec(bootstrap):
    """With each codec the same bytes, keys, headers and timestamps are read, for texts and for random bytes."""
    noise = random.Random(7)
    values = [f"message {n} ".encode() * (n % 40) for n in range(300)]
    values += [bytes(noise.choices(range(256), k=20_000)) for _ in range(20)]
    for codec in CODECS:
        topic = unique(f"compressed-{codec}")
        messages = [
            {"value": value, "key": f"k{n}", "timestamp": YESTERDAY_MS + n, "headers": [("n", b"%d" % n), ("n", None)]}
            for n, value in enumerate(values)
        ]
        produce_all(bootstrap, topic, messages, **{"compression.codec": codec, "linger.ms": 20})
        found = read_all(bootstrap, topic)
        equal([message.value() for message in found], values, f"{codec} value")
        equal([message.key() for message in found], [b"k%d" % n for n in range(len(values))], f"{codec} key")
        equal([message.offset() for message in found], list(range(len(values))), f"{codec} offset")
        equal([message.timestamp()[1] - YESTERDAY_MS for message in found], list(range(len(values))), "time")
        equal(found[7].headers(), [("n", b"7"), ("n", None)])


@case
def every_acks(bootstrap):
    """acks 1 and all report the offsets; acks 0 reports deliveries without offsets; all messages are stored."""
    for acks in ["0", "1", "all"]:
        topic = create_topic(bootstrap, f"acks-{acks}")
        places = produce_all(bootstrap, topic, [{"value": b"%d" % n} for n in range(50)], acks=acks)
        if acks != "0":
            equal(places, [(0, offset) for offset in range(50)], f"acks={acks}")
        found = wait_until(
            lambda: len(read_all(bootstrap, topic)) == 50 and read_all(bootstrap, topic), "fifty are there"
        )
        equal([message.value() for message in found], [b"%d" % n for n in range(50)], f"acks={acks}")


@case
def low_latency_settings(bootstrap):
    """No linger, small batches, short fetch waits: a message is read shortly after it was sent."""
    topic = create_topic(bootstrap, "low-latency")
    reader = consumer(bootstrap, fetch_min_bytes=1, fetch_wait_max_ms=10)
    reader.assign([TopicPartition(topic, 0, 0)])
    producer = Producer(
        {"bootstrap.servers": bootstrap, "linger.ms": 0, "acks": "1", "compression.type": "lz4", "batch.size": 1000}
    )
    delays = []
    for n in range(50):
        sent = time.monotonic()
        producer.produce(topic, value=b"%d" % n)
        producer.poll(0)
        equal(next_message(reader).value(), b"%d" % n)
        delays.append((time.monotonic() - sent) * 1000)
    reader.close()
    equal(producer.flush(10), 0)
    median = sorted(delays)[25]
    check(median < 100, f"half of the messages arrive within 100 ms: {median:.1f} ms")


@case
def high_throughput_settings(bootstrap):
    """Large gzip batches and large fetches: the same messages, in order."""
    topic = create_topic(bootstrap, "high-throughput")
    values = [b"transaction %d" % n for n in range(20_000)]
    settings = {"linger.ms": 100, "acks": "all", "compression.type": "gzip", "batch.size": 32768}
    produce_all(bootstrap, topic, [{"value": value} for value in values], **settings)
    reader = consumer(bootstrap, fetch_min_bytes=32768, fetch_wait_max_ms=1000)
    reader.assign([TopicPartition(topic, 0, 0)])
    found = []
    while len(found) < len(values):
        batch = reader.consume(num_messages=10_000, timeout=10)
        check(batch, f"more than {len(found)} messages come")
        found += [message.value() for message in batch]
    reader.close()
    equal(found, values, "value")


@case
def long_timeouts(bootstrap):
    """The timeouts recommended against expired messages are accepted, and messages are delivered."""
    settings = {"request.timeout.ms": 60000, "delivery.timeout.ms": 120000, "retries": 10, "retry.backoff.ms": 1000}
    equal(produce_all(bootstrap, unique("patient"), [{"value": b"x"}], **settings), [(0, 0)])


@case
def times_of_messages(bootstrap):
    """The producer's timestamp is stored; a topic with LogAppendTime has the broker's time and timestamp type."""
    topic = create_topic(bootstrap, "create-time")
    produce_all(bootstrap, topic, [{"value": b"then", "timestamp": YESTERDAY_MS + 123}])
    equal(read_all(bootstrap, topic)[0].timestamp(), (1, YESTERDAY_MS + 123))
    topic = create_topic(bootstrap, "append-time", settings={"message.timestamp.type": "LogAppendTime"})
    before = now_ms()
    produce_all(bootstrap, topic, [{"value": b"late", "timestamp": YESTERDAY_MS + 123}])
    kind, time_ms = read_all(bootstrap, topic)[0].timestamp()
    check(kind == 2 and before <= time_ms <= now_ms(), f"({kind}, {time_ms}) is the time of the append")


@case
def null_differs_from_empty(bootstrap):
    """A missing key or value stays missing, an empty one stays empty."""
    topic = unique("empty")
    pairs = [("key", None), ("key", b""), (b"", b"value"), (None, b"value")]
    produce_all(bootstrap, topic, [{"key": key, "value": value} for key, value in pairs])
    found = [(message.key(), message.value()) for message in read_all(bootstrap, topic)]
    equal(found, [(b"key", None), (b"key", b""), (b"", b"value"), (None, b"value")])


@case
def partitioners(bootstrap):
    """Explicit partitions, Java's murmur2, consistent hashing, random: each message is in the right partition."""
    topic = create_topic(bootstrap, "by-hand", partitions=3)
    places = produce_all(bootstrap, topic, [{"value": b"x", "partition": n % 3} for n in range(30)])
    equal(sorted(places), [(partition, offset) for partition in range(3) for offset in range(10)])

    keys = [b"21", b"foobar", b"a-little-bit-long-string", b"abc"]
    hashes = [-973932308, -790332482, -985981536, 479470107]
    topic = create_topic(bootstrap, "murmur2", partitions=7)
    produce_all(bootstrap, topic, [{"key": key, "value": b""} for key in keys], partitioner="murmur2_random")
    homes = {message.key(): message.partition() for message in read_all(bootstrap, topic)}
    equal(homes, {key: (value & 0x7FFFFFFF) % 7 for key, value in zip(keys, hashes)})

    topic = create_topic(bootstrap, "spread", partitions=6)
    messages = [{"value": b"line"} for _ in range(600)]
    used = Counter(p for p, _ in produce_all(bootstrap, topic, messages, **{"sticky.partitioning.linger.ms": 0}))
    equal(set(used), set(range(6)), "partitions used without a key")


@case
def refused_messages(bootstrap):
    """A message over the broker's limit fails with the matching error; the producer continues."""
    topic = create_topic(bootstrap, "large")
    deliveries = Deliveries()
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 4_000_000})
    producer.produce(topic, b"x" * 900_000, on_delivery=deliveries)
    producer.produce(topic, b"x" * 2_000_000, on_delivery=deliveries)
    equal(producer.flush(20), 0)
    producer.produce(topic, b"small", on_delivery=deliveries)
    equal(producer.flush(20), 0)
    equal([error.code() for error in deliveries.errors], [KafkaError.MSG_SIZE_TOO_LARGE])
    equal(deliveries.places, [(topic, 0, 0), (topic, 0, 1)])
    error = raises(Exception, producer.produce, topic, b"x" * 5_000_000)
    check("too large" in str(error).lower() or "MSG_SIZE_TOO_LARGE" in str(error), f"the client's own limit: {error}")
    small = create_topic(bootstrap, "small-only", settings={"max.message.bytes": "1000"})
    deliveries = Deliveries()
    producer.produce(small, b"x" * 2000, on_delivery=deliveries)
    producer.flush(20)
    equal([error.code() for error in deliveries.errors], [KafkaError.MSG_SIZE_TOO_LARGE])


@case
def from_many_threads(bootstrap):
    """One producer, eight threads: no message is lost, and each thread's messages are in order."""
    topic = create_topic(bootstrap, "threads")
    producer, deliveries = Producer({"bootstrap.servers": bootstrap}), Deliveries()

    def run(name):
        for n in range(500):
            producer.produce(topic, value=b"%d" % n, key=b"%d" % name, on_delivery=deliveries)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal(producer.flush(20), 0)
    equal((deliveries.errors, len(deliveries.places)), ([], 4000))
    by_thread = defaultdict(list)
    for message in read_all(bootstrap, topic):
        by_thread[message.key()].append(int(message.value()))
    equal(dict(by_thread), {b"%d" % name: list(range(500)) for name in range(8)}, "numbers by thread")


if __name__ == "__main__":
    run_cases()
