"""Producing with kafka-python: messages arrive complete, in order, with key, headers and timestamp."""

import json
import random
import threading
import time
from datetime import datetime, timezone

from kafka import KafkaProducer
from kafka.errors import KafkaError, MessageSizeTooLargeError

from kafka_python_helpers import create_topic, read_all
from suite import YESTERDAY_MS, case, check, equal, now_ms, raises, run_cases, unique

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]

# Version 3 is idempotent by default: then it accepts only acks=all, and stops after a refused message.
NOT_IDEMPOTENT = {"enable_idempotence": False} if "enable_idempotence" in KafkaProducer.DEFAULT_CONFIG else {}


def to_json(value):
    return json.dumps(value).encode("utf-8")


def from_json(data):
    return json.loads(data.decode("utf-8"))


def key_bytes(key):
    return key.encode("utf-8") if key else None


@case
def one_event_confirmed(bootstrap):
    """A JSON event with a key and acks=all: the future has topic, partition and offset."""
    topic = unique("user-events")  # created by the broker at the first request
    producer = KafkaProducer(
        bootstrap_servers=[bootstrap],
        value_serializer=to_json,
        key_serializer=key_bytes,
        acks="all",
        retries=3,
        max_in_flight_requests_per_connection=1,
    )
    events = [
        {"user_id": f"user_{n}", "event_type": "click", "at": datetime.now(timezone.utc).isoformat()} for n in range(3)
    ]
    for offset, event in enumerate(events):
        metadata = producer.send(topic=topic, key=event["user_id"], value=event).get(timeout=10)
        equal((metadata.topic, metadata.partition, metadata.offset), (topic, 0, offset))
    producer.flush()
    producer.close()
    records = read_all(bootstrap, topic, value_deserializer=from_json)
    equal([record.value for record in records], events)
    equal([record.key for record in records], [b"user_0", b"user_1", b"user_2"])
    equal([record.offset for record in records], [0, 1, 2])
    equal({record.topic for record in records}, {topic})


@case
def a_thousand_training_events(bootstrap):
    """The production-grade producer: gzip, linger, five requests in flight, headers, a callback for each message."""
    topic = unique("ml-training-events")
    producer = KafkaProducer(
        bootstrap_servers=[bootstrap],
        value_serializer=to_json,
        key_serializer=key_bytes,
        acks="all",
        retries=5,
        max_in_flight_requests_per_connection=5,
        compression_type="gzip",
        linger_ms=10,
        batch_size=32768,
        request_timeout_ms=30000,
        api_version=(2, 8, 0),
        **({"buffer_memory": 67108864} if "buffer_memory" in KafkaProducer.DEFAULT_CONFIG else {}),
    )
    delivered, refused, lock = [], [], threading.Lock()

    def on_success(metadata):
        with lock:
            delivered.append((metadata.topic, metadata.partition, metadata.offset))

    sent = []
    for n in range(1000):
        event = {"user_id": f"user_{n}", "feature_vector": [0.1, 0.2, 0.3], "label": n % 2, "_timestamp": time.time()}
        sent.append(event)
        future = producer.send(
            topic=topic, key=event["user_id"], value=event, headers=[("source", b"training-pipeline"), ("empty", b"")]
        )
        future.add_callback(on_success)
        future.add_errback(refused.append)
    producer.flush()
    equal(refused, [])
    equal(sorted(delivered), [(topic, 0, offset) for offset in range(1000)], "delivered")
    check(producer.metrics()["producer-metrics"]["record-send-rate"] > 0, "the producer counts what it sends")
    producer.close()
    records = read_all(bootstrap, topic, value_deserializer=from_json, key_deserializer=bytes.decode)
    equal([record.value for record in records], sent, "value")
    equal([record.key for record in records], [event["user_id"] for event in sent], "key")
    equal(
        [record.headers for record in records],
        [[("source", b"training-pipeline"), ("empty", b"")]] * 1000,
        "headers",
    )


@case
def every_codec(bootstrap):
    """With each codec the same bytes are read in the same order, for texts and for random bytes."""
    noise = random.Random(7)
    for codec in CODECS:
        topic = unique(f"compressed-{codec}")
        producer = KafkaProducer(bootstrap_servers=bootstrap, compression_type=codec, linger_ms=20, acks="all")
        values = [f"message {n} ".encode() * (n % 40) for n in range(300)]
        values += [
            noise.randbytes(20_000) if hasattr(noise, "randbytes") else bytes(noise.choices(range(256), k=20_000))
        ]
        for n, value in enumerate(values):
            producer.send(topic, value, key=b"k%d" % n, headers=[("n", b"%d" % n)], timestamp_ms=YESTERDAY_MS + n)
        producer.flush()
        producer.close()
        records = read_all(bootstrap, topic)
        equal([record.value for record in records], values, f"{codec} value")
        equal([record.key for record in records], [b"k%d" % n for n in range(len(values))], f"{codec} key")
        equal([record.offset for record in records], list(range(len(values))), f"{codec} offset")
        times = [record.timestamp for record in records]
        equal(times, [YESTERDAY_MS + n for n in range(len(values))], f"{codec} timestamp")


@case
def every_acks(bootstrap):
    """acks 1 and all return the offset; acks 0 has no response, and the messages are stored all the same."""
    for acks in [0, 1, "all"]:
        topic = create_topic(bootstrap, f"acks-{acks}")
        producer = KafkaProducer(bootstrap_servers=bootstrap, acks=acks, **NOT_IDEMPOTENT)
        futures = [producer.send(topic, b"%d" % n) for n in range(50)]
        offsets = [future.get(timeout=10).offset for future in futures]
        check(acks == 0 or offsets == list(range(50)), f"with acks={acks} the offsets {offsets} are 0 to 49")
        producer.flush()
        producer.close()
        equal([record.value for record in read_all(bootstrap, topic)], [b"%d" % n for n in range(50)], f"acks={acks}")


@case
def fast_settings_keep_order(bootstrap):
    """snappy, 32 KB batches, five in flight: 5,000 messages arrive in the order they were sent."""
    topic = unique("optimized")
    producer = KafkaProducer(
        bootstrap_servers=[bootstrap],
        acks="all",
        compression_type="snappy",
        linger_ms=10,
        batch_size=32768,
        max_in_flight_requests_per_connection=5,
    )
    for n in range(5000):
        producer.send(topic, b"event-%d" % n)
    producer.flush()
    producer.close()
    equal([record.value for record in read_all(bootstrap, topic)], [b"event-%d" % n for n in range(5000)], "value")


@case
def ten_messages_one_by_one(bootstrap):
    """A plain string for the bootstrap address, no serializer, flush at the end."""
    topic = unique("test-topic")
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    for n in range(10):
        producer.send(topic, f"Message {n}".encode("utf-8"))
    producer.flush()
    producer.close()
    equal([record.value.decode() for record in read_all(bootstrap, topic)], [f"Message {n}" for n in range(10)])


@case
def hundred_sensor_readings(bootstrap):
    """The exercise: a hundred temperatures half a second apart (in event time), each under its sensor's key."""
    topic = unique("temperature")
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=to_json)
    begin = YESTERDAY_MS
    for n in range(100):
        reading = {"sensor": f"s{n % 4}", "celsius": 20 + n / 10}
        producer.send(topic, reading, key=reading["sensor"].encode(), timestamp_ms=begin + 500 * n)
    producer.flush()
    producer.close()
    records = read_all(bootstrap, topic, value_deserializer=from_json)
    equal([record.value["celsius"] for record in records], [20 + n / 10 for n in range(100)])
    equal([record.timestamp for record in records], [begin + 500 * n for n in range(100)])


@case
def times_of_messages(bootstrap):
    """The producer's timestamp is stored, by default the current time; a topic with LogAppendTime has the broker's."""
    topic = create_topic(bootstrap, "create-time")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    before = now_ms()
    metadata = producer.send(topic, b"then", timestamp_ms=YESTERDAY_MS + 123).get(timeout=10)
    equal(metadata.timestamp, YESTERDAY_MS + 123)
    producer.send(topic, b"now").get(timeout=10)
    then, now = read_all(bootstrap, topic)
    equal((then.timestamp, then.timestamp_type), (YESTERDAY_MS + 123, 0))
    check(
        before <= now.timestamp <= now_ms() and now.timestamp_type == 0, "the second message has the time it was sent"
    )

    topic = create_topic(bootstrap, "append-time", settings={"message.timestamp.type": "LogAppendTime"})
    before = now_ms()
    metadata = producer.send(topic, b"late", timestamp_ms=YESTERDAY_MS + 123).get(timeout=10)
    producer.close()
    (record,) = read_all(bootstrap, topic)
    check(before <= record.timestamp <= now_ms(), "the broker's time stands in the message")
    equal((metadata.timestamp, record.timestamp_type), (record.timestamp, 1))


@case
def null_differs_from_empty(bootstrap):
    """A missing key or value stays missing, an empty one stays empty."""
    topic = unique("empty")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    pairs = [(b"key", None), (b"key", b""), (b"", b"value"), (None, b"value")]
    for key, value in pairs:
        producer.send(topic, key=key, value=value)
    producer.flush()
    producer.close()
    equal([(record.key, record.value) for record in read_all(bootstrap, topic)], pairs)


@case
def large_messages(bootstrap):
    """900 kB pass with default settings. A message over the broker's limit is refused with the matching error, the
    errback is called, and the producer continues."""
    topic = create_topic(bootstrap, "large")
    producer = KafkaProducer(bootstrap_servers=bootstrap, max_request_size=4_000_000, **NOT_IDEMPOTENT)
    equal(producer.send(topic, b"x" * 900_000).get(timeout=10).offset, 0)
    heard = threading.Event()
    future = producer.send(topic, b"x" * 2_000_000)
    future.add_errback(lambda error: heard.set())
    raises(MessageSizeTooLargeError, future.get, timeout=10)
    check(issubclass(MessageSizeTooLargeError, KafkaError), "the error is a KafkaError")
    check(heard.wait(5), "the errback is called")
    equal(producer.send(topic, b"small").get(timeout=10).offset, 1)
    producer.close()
    equal([len(record.value) for record in read_all(bootstrap, topic)], [900_000, 5])


if __name__ == "__main__":
    run_cases()
