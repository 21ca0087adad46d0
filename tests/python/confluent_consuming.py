"""Consuming with confluent-kafka: poll and consume, automatic and manual commits, seeks, pauses, limits."""

import json
import time

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, Producer, TopicPartition

from confluent_helpers import consumer, create_topic, next_message, produce_all, take
from suite import YESTERDAY_MS, case, check, equal, raises, run_cases, unique, wait_until

BEGIN = YESTERDAY_MS


def fill(bootstrap, topic, count, first=0, partitions=1):
    """Sends the numbers `first`.. as JSON, one second apart in event time, round robin over the partitions."""
    messages = [
        {"value": json.dumps({"n": n}), "key": f"k{n}", "partition": n % partitions, "timestamp": BEGIN + 1000 * n}
        for n in range(first, first + count)
    ]
    produce_all(bootstrap, topic, messages)


def filled_topic(bootstrap, name, count, partitions=1):
    topic = create_topic(bootstrap, name, partitions)
    fill(bootstrap, topic, count, partitions=partitions)
    return topic


def member(bootstrap, topic, group=None, **settings):
    reader = consumer(bootstrap, group, **settings)
    reader.subscribe([topic])
    return reader


def number(message):
    return json.loads(message.value().decode("utf-8"))["n"]


def committed(reader, topic, partition=0):
    return reader.committed([TopicPartition(topic, partition)], timeout=10)[0].offset


def error_event(reader):
    """Returns the next event, which must be an error."""

    def poll():
        event = reader.poll(0.5)
        if event is not None:
            check(event.error(), "an error comes, not a message")
        return event is not None and [event]

    return wait_until(poll, "an error comes")[0]


def end_event(reader):
    """Returns the event for the end of a partition, which the consumer reports only if configured."""
    event = error_event(reader)
    equal(event.error().code(), KafkaError._PARTITION_EOF)
    return event


@case
def from_the_beginning(bootstrap):
    """Automatic commits, earliest: topic, partition, offset, key, value and timestamp of each; closing commits."""
    topic, group = filled_topic(bootstrap, "orders", 20), unique("my-consumer-group")
    reader = member(bootstrap, topic, group, enable_auto_commit=True, auto_commit_interval_ms=5000)
    messages = take(reader, 20)
    equal([(m.topic(), m.partition(), m.offset()) for m in messages], [(topic, 0, n) for n in range(20)])
    equal([m.key().decode("utf-8") for m in messages], [f"k{n}" for n in range(20)])
    equal([number(m) for m in messages], list(range(20)))
    equal([m.timestamp() for m in messages], [(1, BEGIN + 1000 * n) for n in range(20)])
    check(reader.poll(timeout=0.2) is None, "nothing more comes")
    reader.close()
    fill(bootstrap, topic, 2, first=20)
    reader = member(bootstrap, topic, group)
    equal([number(m) for m in take(reader, 2)], [20, 21])
    reader.close()


@case
def only_what_is_new(bootstrap):
    """latest: a new group reads what is sent after it has joined."""
    topic = filled_topic(bootstrap, "synthetic-transactions", 5)
    reader = member(
        bootstrap,
        topic,
        auto_offset_reset="latest",
        fetch_min_bytes=1,
        session_timeout_ms=30000,
        enable_partition_eof=True,
    )
    equal(end_event(reader).offset(), 5)
    fill(bootstrap, topic, 3, first=5)
    equal([number(m) for m in take(reader, 3)], [5, 6, 7])
    reader.close()


@case
def commit_each_message(bootstrap):
    """commit(message) commits the offset after it; a failed message is not committed, and is read again later."""
    topic, group = filled_topic(bootstrap, "orders", 10), unique("manual-commit-group")
    reader = member(bootstrap, topic, group)
    for message in take(reader, 6):
        if number(message) == 5:
            break  # processing failed
        reader.commit(message, asynchronous=False)
        equal(committed(reader, topic), message.offset() + 1)
    reader.close()
    reader = member(bootstrap, topic, group)
    equal([number(m) for m in take(reader, 5)], [5, 6, 7, 8, 9])
    results = reader.commit(asynchronous=False)  # up to the current position
    equal([(place.topic, place.partition, place.offset, place.error) for place in results], [(topic, 0, 10, None)])
    reader.close()


@case
def asynchronous_commit(bootstrap):
    """An asynchronous commit calls back with the committed offsets; explicit offsets carry metadata."""
    called = []
    topic, group = filled_topic(bootstrap, "orders", 4), unique("async")
    reader = member(bootstrap, topic, group, on_commit=lambda error, places: called.append((error, places[0].offset)))
    reader.commit(take(reader, 4)[1])
    wait_until(lambda: reader.poll(0.1) or called, "the commit is confirmed")
    equal(called, [(None, 2)])
    reader.commit(offsets=[TopicPartition(topic, 0, 3)], asynchronous=False)
    equal(committed(reader, topic), 3)
    reader.close()


@case
def stored_offsets(bootstrap):
    """Automatic commits of offsets that the program stores after it has handled the messages."""
    topic, group = filled_topic(bootstrap, "orders", 6), unique("stored")
    reader = member(
        bootstrap, topic, group, enable_auto_commit=True, auto_commit_interval_ms=100, enable_auto_offset_store=False
    )
    messages = take(reader, 6)
    reader.store_offsets(messages[2])
    wait_until(lambda: reader.poll(0.05) or committed(reader, topic) == 3, "three are committed")
    reader.close()
    reader = member(bootstrap, topic, group)
    equal(number(next_message(reader)), 3)
    reader.close()


@case
def batches(bootstrap):
    """consume(10,000) returns what is available; one commit at the end covers the batch."""
    topic, group = filled_topic(bootstrap, "synthetic-transactions", 5000, partitions=3), unique("analytics-group")
    reader = member(bootstrap, topic, group, fetch_wait_max_ms=500)
    found = []
    while len(found) < 5000:
        batch = reader.consume(num_messages=10_000, timeout=2)
        check(batch and not any(message.error() for message in batch), f"more than {len(found)} messages come")
        found += [number(message) for message in batch]
        reader.commit(asynchronous=False)
    equal(sorted(found), list(range(5000)), "numbers")
    places = reader.committed([TopicPartition(topic, index) for index in range(3)], timeout=10)
    equal([place.offset for place in places], [1667, 1667, 1666])
    reader.close()


@case
def seek_to_a_time(bootstrap):
    """offsets_for_times finds the first message at or after a time, and the end when there is none."""
    topic = filled_topic(bootstrap, "timed", 30, partitions=3)
    reader = consumer(bootstrap)
    asked = [
        TopicPartition(topic, 0, BEGIN + 9_000),
        TopicPartition(topic, 1, 0),
        TopicPartition(topic, 2, BEGIN + 99_000),
    ]
    found = reader.offsets_for_times(asked, timeout=10)
    equal([(place.partition, place.offset) for place in found], [(0, 3), (1, 0), (2, OFFSET_END)])
    found = reader.offsets_for_times([TopicPartition(topic, p, BEGIN + 14_500) for p in range(3)], timeout=10)
    equal([place.offset for place in found], [5, 5, 5])
    reader.assign(found)
    equal(sorted(number(m) for m in take(reader, 15)), list(range(15, 30)))
    reader.close()


@case
def seek_anywhere(bootstrap):
    """Beginning, end, an offset; the watermarks; the position after each."""
    topic = filled_topic(bootstrap, "ends", 10)
    place = TopicPartition(topic, 0)
    reader = consumer(bootstrap)
    equal(reader.get_watermark_offsets(place, timeout=10), (0, 10))
    reader.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    equal([number(m) for m in take(reader, 10)], list(range(10)))
    equal(reader.position([place])[0].offset, 10)
    reader.seek(TopicPartition(topic, 0, 7))
    equal([number(m) for m in take(reader, 3)], [7, 8, 9])
    reader.close()
    reader = consumer(bootstrap, enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, OFFSET_END)])
    equal(end_event(reader).offset(), 10)
    fill(bootstrap, topic, 1, first=10)
    equal(number(next_message(reader)), 10)
    reader.close()


@case
def end_of_partition(bootstrap):
    """With enable.partition.eof the consumer reports the end of a partition."""
    topic = filled_topic(bootstrap, "eof", 3)
    reader = consumer(bootstrap, enable_partition_eof=True)
    reader.assign([TopicPartition(topic, 0, 0)])
    equal([number(m) for m in take(reader, 3)], [0, 1, 2])
    equal(end_event(reader).offset(), 3)
    reader.close()


@case
def out_of_range(bootstrap):
    """A position after the end falls back to the reset policy; with the policy `error` the program gets an error."""
    topic = filled_topic(bootstrap, "short", 4)
    reader = consumer(bootstrap)
    reader.assign([TopicPartition(topic, 0, 1000)])
    equal(number(next_message(reader)), 0)
    reader.close()
    reader = consumer(bootstrap, auto_offset_reset="error")
    reader.assign([TopicPartition(topic, 0, 1000)])
    event = error_event(reader)
    check(event.error().code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE), str(event.error()))
    reader.close()


@case
def pausing(bootstrap):
    """A paused partition returns nothing while the other continues; after a resume no message is missing."""
    topic = filled_topic(bootstrap, "paused", 20, partitions=2)
    reader = consumer(bootstrap)
    reader.assign([TopicPartition(topic, 0, 0), TopicPartition(topic, 1, 0)])
    reader.pause([TopicPartition(topic, 0)])
    equal([number(m) for m in take(reader, 10)], list(range(1, 20, 2)))
    check(reader.poll(0.2) is None, "the paused partition is silent")
    reader.resume([TopicPartition(topic, 0)])
    equal([number(m) for m in take(reader, 10)], list(range(0, 20, 2)))
    reader.close()


@case
def read_committed(bootstrap):
    """read_committed, librdkafka's default, and read_uncommitted read the same non-transactional messages."""
    topic = filled_topic(bootstrap, "plain", 10)
    for isolation in ("read_committed", "read_uncommitted"):
        reader = member(bootstrap, topic, isolation_level=isolation)
        equal([number(m) for m in take(reader, 10)], list(range(10)), isolation)
        reader.close()


@case
def small_fetch_limits_make_progress(bootstrap):
    """A limit smaller than one message never stops the consumer."""
    topic = create_topic(bootstrap, "big-ones")
    produce_all(bootstrap, topic, [{"value": b"%d" % n * 50_000} for n in range(5)], **{"linger.ms": 0})
    reader = consumer(bootstrap, fetch_message_max_bytes=1000, fetch_max_bytes=1000, message_max_bytes=1000)
    reader.assign([TopicPartition(topic, 0, 0)])
    equal([len(message.value()) for message in take(reader, 5)], [50_000] * 5)
    reader.close()


@case
def waiting_fetch_returns_new_messages(bootstrap):
    """A consumer that waits at the end gets a new message at once, long before its fetch would time out."""
    topic = create_topic(bootstrap, "wake")
    reader = consumer(bootstrap, fetch_wait_max_ms=5000)
    reader.assign([TopicPartition(topic, 0, 0)])
    check(reader.poll(0.5) is None, "nothing is there yet")
    started = time.monotonic()
    produce_all(bootstrap, topic, [{"value": b"x"}])
    equal(next_message(reader).value(), b"x")
    waited = time.monotonic() - started
    check(waited < 3, f"the message comes when it is there, not after {waited:.2f} s")
    reader.close()


@case
def several_topics(bootstrap):
    """One consumer for two topics; a pattern subscribes to the matching topics only."""
    name = unique("multi")
    topics = [filled_topic(bootstrap, f"{name}.{suffix}", 5) for suffix in ("a", "b")]
    filled_topic(bootstrap, f"other.{name}", 5)
    for subscription in (topics, [f"^{name}[.].*"]):
        reader = consumer(bootstrap)
        reader.subscribe(subscription)
        equal({message.topic() for message in take(reader, 10)}, set(topics))
        reader.close()


@case
def missing_topic_is_reported(bootstrap):
    """The program gets an unknown topic error; after the topic is created its messages arrive."""
    topic = unique("later")
    reader = member(bootstrap, topic, **{"topic.metadata.refresh.interval.ms": 300})
    event = error_event(reader)
    equal(event.error().code(), KafkaError.UNKNOWN_TOPIC_OR_PART)
    fill(bootstrap, topic, 2)
    found = []

    def both():
        message = reader.poll(0.5)
        if message is not None and not message.error():
            found.append(number(message))
        return found == [0, 1]

    wait_until(both, "two messages come")
    reader.close()


@case
def lag_of_the_consumer(bootstrap):
    """Lag: the end of each partition minus the position."""
    topic = filled_topic(bootstrap, "lagging", 60, partitions=3)
    reader = member(bootstrap, topic)

    def lag():
        places = reader.position(reader.assignment())
        return sum(reader.get_watermark_offsets(p, timeout=10)[1] - max(p.offset, 0) for p in places)

    take(reader, 20)
    equal(lag(), 40)
    take(reader, 40)
    equal(lag(), 0)
    reader.close()


@case
def failures_go_to_a_dead_letter_queue(bootstrap):
    """A message that fails three times is sent to a dead letter queue with the reason; the others are processed."""
    topic, letters = filled_topic(bootstrap, "risky", 10), unique("dead-letters")
    reader, producer = member(bootstrap, topic), Producer({"bootstrap.servers": bootstrap})
    tries, done = [], []

    def process(message):
        tries.append(number(message))
        if number(message) == 4:
            raise RuntimeError("poisonous")
        done.append(number(message))

    for message in take(reader, 10):
        for attempt in range(3):
            try:
                process(message)
                break
            except RuntimeError as error:
                if attempt == 2:
                    producer.produce(letters, key=message.key(), value=message.value(), headers={"error": str(error)})
                    producer.flush(10)
        reader.commit(message, asynchronous=False)
    reader.close()
    equal(done, [0, 1, 2, 3, 5, 6, 7, 8, 9])
    equal(tries.count(4), 3)
    reader = member(bootstrap, letters)
    letter = next_message(reader)
    equal((number(letter), letter.key(), letter.headers()), (4, b"k4", [("error", b"poisonous")]))
    reader.close()


@case
def nothing_to_commit(bootstrap):
    """A commit before anything was read is refused by the client itself."""
    topic = create_topic(bootstrap, "silent")
    reader = member(bootstrap, topic)
    error = raises(KafkaException, reader.commit, asynchronous=False)
    equal(error.args[0].code(), KafkaError._NO_OFFSET)
    reader.close()


if __name__ == "__main__":
    run_cases()
