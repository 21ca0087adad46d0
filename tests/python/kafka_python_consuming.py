"""Consuming with kafka-python: committed offsets, what is read again after a restart, seeks."""

import asyncio
import json
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaConfigurationError

from kafka_python_helpers import create_topic, poll_some, read_all, read_assigned, wait_for_assignment
from suite import YESTERDAY_MS, case, check, equal, now_ms, raises, run_cases, unique, wait_until

BEGIN = YESTERDAY_MS


def fill(bootstrap, topic, count, first=0, partitions=1):
    """Sends the numbers `first`.. as JSON, one second apart in event time, round robin over the partitions."""
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode())
    for n in range(first, first + count):
        producer.send(topic, {"n": n}, key=b"k%d" % n, partition=n % partitions, timestamp_ms=BEGIN + 1000 * n)
    producer.flush()
    producer.close()


def filled_topic(bootstrap, name, count, partitions=1):
    topic = create_topic(bootstrap, name, partitions)
    fill(bootstrap, topic, count, partitions=partitions)
    return topic


def member(bootstrap, topic, group, **options):
    settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "consumer_timeout_ms": 10_000}
    return KafkaConsumer(
        topic,
        bootstrap_servers=[bootstrap],
        group_id=group,
        value_deserializer=lambda data: json.loads(data.decode())["n"],
        **{**settings, **options},
    )


def take(consumer, count):
    """Iterates over the consumer, as most programs do, and stops after `count` messages."""
    taken = []
    for message in consumer:
        taken.append(message)
        if len(taken) == count:
            break
    return taken


def values(records):
    return [record.value for record in records]


@case
def from_the_beginning(bootstrap):
    """A group's first consumer reads all messages, with all their fields."""
    topic = filled_topic(bootstrap, "user-events", 20)
    consumer = member(bootstrap, topic, unique("ml-feature-processor"), enable_auto_commit=True)
    messages = take(consumer, 20)
    consumer.close()
    equal([message.offset for message in messages], list(range(20)))
    equal([message.value for message in messages], list(range(20)))
    equal([message.key for message in messages], [b"k%d" % n for n in range(20)])
    equal([message.timestamp for message in messages], [BEGIN + 1000 * n for n in range(20)])
    equal({(message.topic, message.partition) for message in messages}, {(topic, 0)})


@case
def closing_commits(bootstrap):
    """With automatic commits a closing consumer commits its position: the next one reads only new messages."""
    topic, group = filled_topic(bootstrap, "signups", 10), unique("welcome-email-sender")
    consumer = member(bootstrap, topic, group, enable_auto_commit=True, auto_commit_interval_ms=60_000)
    equal(values(poll_some(consumer, 10)), list(range(10)))
    consumer.close()
    fill(bootstrap, topic, 3, first=10)
    consumer = member(bootstrap, topic, group)
    equal(values(poll_some(consumer, 3)), [10, 11, 12])
    consumer.close()


@case
def commits_happen_while_polling(bootstrap):
    """Automatic commits happen every interval while the consumer polls, not only at the end."""
    topic, group = filled_topic(bootstrap, "clicks", 5), unique("auto")
    consumer = member(bootstrap, topic, group, enable_auto_commit=True, auto_commit_interval_ms=100)
    poll_some(consumer, 5)

    def committed():
        consumer.poll(timeout_ms=50)
        return consumer.committed(TopicPartition(topic, 0)) == 5

    wait_until(committed, "offset 5 is committed without being asked")
    consumer.close(autocommit=False)


@case
def commit_after_each_message(bootstrap):
    """Manual commits: the committed offset is the one after the handled message."""
    topic, group = filled_topic(bootstrap, "test-topic", 10), unique("manual")
    consumer = member(bootstrap, topic, group, max_poll_records=1)
    for message in consumer:
        check(message.timestamp == BEGIN + 1000 * message.value, "the time is readable beside the value")
        consumer.commit()
        equal(consumer.committed(TopicPartition(topic, 0)), message.offset + 1, "committed")
        if message.value == 6:
            break
    consumer.close()
    consumer = member(bootstrap, topic, group)
    equal(values(poll_some(consumer, 3)), [7, 8, 9])
    consumer.close()


@case
def missing_commits_repeat_everything(bootstrap):
    """Without commits the next consumer reads the same messages again."""
    topic, group = filled_topic(bootstrap, "orders", 8), unique("forgetful")
    for _ in range(2):
        consumer = member(bootstrap, topic, group)
        equal(values(poll_some(consumer, 8)), list(range(8)))
        equal(consumer.committed(TopicPartition(topic, 0)), None)
        consumer.close()


@case
def at_least_once(bootstrap):
    """Processing fails on message 4: after a restart it is read again, and no earlier message is."""
    topic, group = filled_topic(bootstrap, "orders", 10), unique("at-least-once")
    handled = []

    def handle(message, fail_at):
        if message.value == fail_at:
            raise RuntimeError("no database")
        handled.append(message.value)

    for fail_at in (4, None):
        consumer = member(bootstrap, topic, group, max_poll_records=1)
        try:
            while len(handled) < 10:
                for message in poll_some(consumer, 1):
                    handle(message, fail_at)
                    consumer.commit()
        except RuntimeError:
            equal(handled, [0, 1, 2, 3])
        consumer.close()
    equal(handled, list(range(10)))


@case
def at_most_once(bootstrap):
    """Committed before processing: a message whose processing fails is lost, as the course warns."""
    topic, group = filled_topic(bootstrap, "orders", 6), unique("at-most-once")
    consumer = member(bootstrap, topic, group, max_poll_records=3)
    first = poll_some(consumer, 1)
    consumer.commit()
    consumer.close()  # as if it crashed here, before handling anything
    consumer = member(bootstrap, topic, group)
    rest = poll_some(consumer, 6 - len(first))
    equal(values(rest), list(range(len(first), 6)))
    consumer.close()


@case
def idempotent_processing(bootstrap):
    """read_committed reads all non-transactional messages; duplicates by key are handled once."""
    topic = create_topic(bootstrap, "payments")
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode())
    for n in [0, 1, 2, 1, 3, 0, 4]:
        producer.send(topic, {"n": n}, key=b"payment-%d" % n)
    producer.close()
    if "isolation_level" not in KafkaConsumer.DEFAULT_CONFIG:
        # kafka-python 2.0.2 has no such setting, and raises an error before it connects.
        raises(KafkaConfigurationError, KafkaConsumer, bootstrap_servers=bootstrap, isolation_level="read_committed")
        options = {}
    else:
        options = {"isolation_level": "read_committed"}
    consumer = member(bootstrap, topic, unique("idempotent"), **options)
    seen, handled = set(), []
    for message in poll_some(consumer, 7):
        if message.key not in seen:
            seen.add(message.key)
            handled.append(message.value)
            consumer.commit()
    equal(handled, [0, 1, 2, 3, 4])
    consumer.close()


@case
def seek_to_a_time(bootstrap):
    """Looks up a timestamp in every partition, and reads from the found offsets."""
    topic = filled_topic(bootstrap, "timed", 30, partitions=3)
    partitions = [TopicPartition(topic, index) for index in range(3)]
    consumer = member(bootstrap, topic, unique("rewinder"))
    equal(len(poll_some(consumer, 30)), 30)
    # Number n is at second n, in partition n mod 3 with offset n // 3. The first at or after second 14.5 is 15.
    found = consumer.offsets_for_times({partition: BEGIN + 14_500 for partition in consumer.assignment()})
    expected = {partition: (5, BEGIN + 1000 * (15 + partition.partition)) for partition in partitions}
    equal({partition: (place.offset, place.timestamp) for partition, place in found.items()}, expected)
    for partition, place in found.items():
        consumer.seek(partition, place.offset)
    equal(sorted(values(poll_some(consumer, 15))), list(range(15, 30)))
    # The time of a record, a time before all records, and one after all.
    asked = dict(zip(partitions, [BEGIN + 9_000, 0, BEGIN + 30_000]))
    found = consumer.offsets_for_times(asked)
    equal([found[p] and found[p].offset for p in partitions], [3, 0, None])
    consumer.close()


@case
def seek_to_the_ends(bootstrap):
    """Beginning and end equal the beginning and end offsets; seeking to any offset works too."""
    topic = filled_topic(bootstrap, "ends", 10)
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, value_deserializer=lambda data: json.loads(data)["n"])
    consumer.assign([partition])
    equal(consumer.beginning_offsets([partition]), {partition: 0})
    equal(consumer.end_offsets([partition]), {partition: 10})
    consumer.seek_to_end(partition)
    equal(consumer.position(partition), 10)
    equal(consumer.poll(timeout_ms=100), {})
    consumer.seek(partition, 7)
    equal(values(poll_some(consumer, 3)), [7, 8, 9])
    consumer.seek_to_beginning(partition)
    equal(values(poll_some(consumer, 10)), list(range(10)))
    equal(consumer.highwater(partition), 10)
    consumer.close()


@case
def only_what_is_new(bootstrap):
    """Without auto_offset_reset a new group starts at the end."""
    topic = filled_topic(bootstrap, "live", 5)
    consumer = member(bootstrap, topic, unique("live"), auto_offset_reset="latest")
    wait_for_assignment(consumer)
    equal(consumer.position(TopicPartition(topic, 0)), 5)
    fill(bootstrap, topic, 2, first=5)
    equal(values(poll_some(consumer, 2)), [5, 6])
    consumer.close()


@case
def out_of_range_resets(bootstrap):
    """A position after the end falls back to the reset policy."""
    topic = filled_topic(bootstrap, "short", 4)
    for policy, expected in [("earliest", [0, 1, 2, 3]), ("latest", [])]:
        group = unique("lost")
        commit_offset(bootstrap, group, TopicPartition(topic, 0), 1)
        consumer = member(bootstrap, topic, group, auto_offset_reset=policy)
        poll_some(consumer, 1)
        consumer.seek(TopicPartition(topic, 0), 1000)
        if expected:
            equal(values(poll_some(consumer, 4)), expected)
        else:
            wait_until(
                lambda: not consumer.poll(timeout_ms=50) and consumer.position(TopicPartition(topic, 0)) == 4,
                "the position is back at the end",
            )
        consumer.close()


def commit_offset(bootstrap, group, partition, offset):
    """Commits an offset for a new group."""
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group)
    consumer.assign([partition])
    consumer.seek(partition, offset)
    consumer.commit()
    consumer.close()


@case
def pausing(bootstrap):
    """A paused partition returns nothing while the others continue; after a resume no message is missing."""
    topic = filled_topic(bootstrap, "paused", 20, partitions=2)
    quiet, loud = TopicPartition(topic, 0), TopicPartition(topic, 1)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, value_deserializer=lambda data: json.loads(data)["n"])
    consumer.assign([quiet, loud])
    consumer.seek_to_beginning()
    consumer.pause(quiet)
    equal(consumer.paused(), {quiet})
    equal(values(poll_some(consumer, 10)), list(range(1, 20, 2)))
    equal(consumer.poll(timeout_ms=100), {})
    consumer.resume(quiet)
    equal(values(poll_some(consumer, 10)), list(range(0, 20, 2)))
    consumer.close()


@case
def poll_sizes(bootstrap):
    """max_poll_records limits each poll, and all messages are read."""
    topic = filled_topic(bootstrap, "many", 1200)
    consumer = member(
        bootstrap,
        topic,
        unique("feature-processor-group"),
        max_poll_records=500,
        max_poll_interval_ms=300_000,
        session_timeout_ms=10_000,
        heartbeat_interval_ms=3000,
    )
    sizes, seen = [], []

    def all_seen():
        for batch in consumer.poll(timeout_ms=1000).values():
            sizes.append(len(batch))
            seen.extend(values(batch))
        return len(seen) == 1200

    wait_until(all_seen, "1,200 messages")
    check(max(sizes) <= 500, f"no poll brings more than 500: {sizes}")
    equal(seen, list(range(1200)), "values")
    equal(len(take(member(bootstrap, topic, unique("few"), max_poll_records=7), 20)), 20)
    consumer.close()


@case
def fetch_settings(bootstrap):
    """fetch_min_bytes waits for enough data, fetch_max_wait_ms ends the wait, and neither delays a full response."""
    topic = create_topic(bootstrap, "trickle")
    partition = TopicPartition(topic, 0)
    consumer = KafkaConsumer(
        bootstrap_servers=[bootstrap],
        max_poll_records=500,
        max_partition_fetch_bytes=1_048_576,
        fetch_min_bytes=1024,
        fetch_max_wait_ms=500,
        auto_commit_interval_ms=5000,
    )
    consumer.assign([partition])
    consumer.seek_to_beginning(partition)
    consumer.position(partition)
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    producer.send(topic, b"a few bytes").get(timeout=10)
    started = time.monotonic()
    equal(len(poll_some(consumer, 1)), 1)
    waited = time.monotonic() - started
    check(0.2 < waited < 3, f"one small message comes when half a second is over, not after {waited:.3f} s")
    # At least a kilobyte is available: the next fetch returns at once.
    waits = []
    for _ in range(3):
        producer.send(topic, b"x" * 2000).get(timeout=10)
        started = time.monotonic()
        equal(len(poll_some(consumer, 1)), 1)
        waits.append(time.monotonic() - started)
    check(min(waits) < 0.3, f"a kilobyte is answered without waiting: {waits}")
    producer.close()
    consumer.close()


@case
def small_fetch_limits_make_progress(bootstrap):
    """A limit smaller than one message does not stop the consumer: a fetch returns one message."""
    topic = create_topic(bootstrap, "big-ones")
    producer = KafkaProducer(bootstrap_servers=bootstrap)
    for n in range(5):
        producer.send(topic, b"%d" % n * 50_000).get(timeout=10)
    producer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, max_partition_fetch_bytes=1000, fetch_max_bytes=1000)
    equal([len(record.value) for record in read_assigned(consumer, topic)], [50_000] * 5)
    consumer.close()


@case
def batches_of_a_hundred(bootstrap):
    """A hundred rows are collected, written together, and committed after the write."""
    topic, group = filled_topic(bootstrap, "rows", 250), unique("batch-writer")
    consumer = member(bootstrap, topic, group, max_poll_records=50)
    batch, written = [], []
    for message in consumer:
        batch.append(message.value)
        if len(batch) >= 100:
            written.append(batch)
            batch = []
            consumer.commit()
        if len(written) == 2:
            break
    consumer.close()
    equal(written, [list(range(100)), list(range(100, 200))])
    consumer = member(bootstrap, topic, group)
    rest = values(poll_some(consumer, 50))
    check(rest[-1] == 249 and rest[0] <= 200, "what was not written comes to the next consumer")
    consumer.close()


@case
def enriched_concurrently(bootstrap):
    """Fifty messages at a time are handled by one coroutine each, concurrently."""
    topic = filled_topic(bootstrap, "enrich", 100)

    async def enrich(value):
        await asyncio.sleep(0.01)
        return {"n": value, "country": "SE"}

    async def enrich_all(batch):
        return await asyncio.gather(*(enrich(message.value) for message in batch))

    consumer = member(bootstrap, topic, unique("enricher"))
    started, enriched, batch = time.monotonic(), [], []
    for message in consumer:
        batch.append(message)
        if len(batch) >= 50:
            enriched += asyncio.run(enrich_all(batch))
            batch = []
        if len(enriched) == 100:
            break
    check(time.monotonic() - started < 10, "a hundred do not wait for one another")
    consumer.close()
    equal([row["n"] for row in enriched], list(range(100)))


@case
def lag_of_the_consumer(bootstrap):
    """Lag is end offset minus position, and shrinks to 0."""
    topic = filled_topic(bootstrap, "lagging", 60, partitions=3)
    consumer = member(bootstrap, topic, unique("lagging"), max_poll_records=10)

    def lag():
        return {p: consumer.end_offsets([p])[p] - consumer.position(p) for p in consumer.assignment()}

    seen = len(poll_some(consumer, 1))
    equal(sum(lag().values()), 60 - seen, "lag")
    poll_some(consumer, 60 - seen)
    equal(lag(), {TopicPartition(topic, index): 0 for index in range(3)})
    fill(bootstrap, topic, 5, first=60, partitions=3)
    wait_until(lambda: sum(lag().values()) == 5, "five new ones count as lag")
    consumer.close()


@case
def several_topics(bootstrap):
    """One consumer reads two topics; a pattern subscribes to the matching topics only."""
    name = unique("multi")
    topics = [filled_topic(bootstrap, f"{name}.{suffix}", 5) for suffix in ("a", "b")]
    filled_topic(bootstrap, f"other.{name}", 5)
    consumer = KafkaConsumer(*topics, bootstrap_servers=bootstrap, group_id=unique("two"), auto_offset_reset="earliest")
    equal({record.topic for record in poll_some(consumer, 10)}, set(topics))
    consumer.close()
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=unique("pattern"), auto_offset_reset="earliest")
    consumer.subscribe(pattern=f"^{name}[.].*")
    equal({record.topic for record in poll_some(consumer, 10)}, set(topics))
    consumer.close()


@case
def topic_created_after_subscribe(bootstrap):
    """A consumer that subscribed before the topic existed gets its messages."""
    topic = unique("later")
    consumer = member(bootstrap, topic, unique("early-bird"), metadata_max_age_ms=300)
    consumer.poll(timeout_ms=1000)
    fill(bootstrap, topic, 3)
    equal(values(poll_some(consumer, 3)), [0, 1, 2])
    consumer.close()


@case
def poll_of_an_empty_topic_waits(bootstrap):
    """A poll of an empty topic waits for its timeout and returns nothing."""
    topic = create_topic(bootstrap, "silent")
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, consumer_timeout_ms=300)
    consumer.assign([TopicPartition(topic, 0)])
    started = now_ms()
    equal(consumer.poll(timeout_ms=300), {})
    check(now_ms() - started >= 250, "the poll waits for its timeout")
    equal([message for message in consumer], [])
    consumer.close()
    equal(read_all(bootstrap, topic), [])


if __name__ == "__main__":
    run_cases()
