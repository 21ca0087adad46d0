"""Clients above a quota of theirs are slowed, and their metrics show the throttle time that the broker sent."""

import json
import time

import confluent_helpers
import kafka_python_helpers
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaConsumer, KafkaProducer
from quota_helpers import client_id, set_quota
from suite import case, check, run_cases, unique, wait_until

RATE = 100_000
"""Bytes per second. Ten seconds of it are allowed at once, as a burst."""

MESSAGES = [bytes(10_000)] * 140
"""Four seconds more than the burst."""

LEAST_SECONDS = 3
"""The last requests are sent before their own throttle time."""


def took(started):
    return time.monotonic() - started


def highest_throttle_time(client):
    """The highest throttle time in a kafka-python client's metrics, in ms."""
    metrics = [values for values in client.metrics().values() if isinstance(values, dict)]
    found = [value for values in metrics for name, value in values.items() if name.endswith("throttle-time-max")]
    return max(value for value in found if value == value)


class Statistics:
    """The highest throttle time in the statistics of a confluent-kafka client, in ms."""

    def __init__(self):
        self.highest = 0

    def __call__(self, text):
        brokers = json.loads(text)["brokers"].values()
        self.highest = max([self.highest, *(broker["throttle"]["max"] for broker in brokers)])

    def settings(self):
        return {"stats_cb": self, "statistics.interval.ms": 200}


@case(seconds=90)
def kafka_python_producer_is_slowed(bootstrap):
    topic, name = kafka_python_helpers.create_topic(bootstrap, "quotas"), unique("producer")
    set_quota(bootstrap, client_id(name), producer_byte_rate=RATE)
    producer = KafkaProducer(bootstrap_servers=[bootstrap], client_id=name, acks=1)
    started = time.monotonic()
    sent = [producer.send(topic, message) for message in MESSAGES]
    for future in sent:
        future.get(60)
    check(took(started) > LEAST_SECONDS, f"slowed: took {took(started)} s")
    check(highest_throttle_time(producer) > 0, "the metrics show the throttle time")
    producer.close()


@case(seconds=90)
def kafka_python_consumer_is_slowed(bootstrap):
    topic, name = kafka_python_helpers.create_topic(bootstrap, "quotas"), unique("consumer")
    producer = KafkaProducer(bootstrap_servers=[bootstrap])
    for message in MESSAGES:
        producer.send(topic, message)
    producer.close()
    set_quota(bootstrap, client_id(name), consumer_byte_rate=RATE)
    consumer = KafkaConsumer(
        bootstrap_servers=[bootstrap], client_id=name, auto_offset_reset="earliest", fetch_max_bytes=200_000
    )
    started = time.monotonic()
    check(len(kafka_python_helpers.read_assigned(consumer, topic)) == len(MESSAGES), "everything arrives")
    check(took(started) > LEAST_SECONDS, f"slowed: took {took(started)} s")
    check(highest_throttle_time(consumer) > 0, "the metrics show the throttle time")
    consumer.close()


@case(seconds=90)
def confluent_producer_is_slowed(bootstrap):
    topic, name, statistics = confluent_helpers.create_topic(bootstrap, "quotas"), unique("producer"), Statistics()
    set_quota(bootstrap, client_id(name), producer_byte_rate=RATE)
    settings = {"bootstrap.servers": bootstrap, "client.id": name, "batch.size": 50_000, **statistics.settings()}
    producer, deliveries = Producer(settings), confluent_helpers.Deliveries()
    started = time.monotonic()
    for message in MESSAGES:
        producer.produce(topic, message, on_delivery=deliveries)
    check(producer.flush(60) == 0 and not deliveries.errors, "everything is delivered")
    check(took(started) > LEAST_SECONDS, f"slowed: took {took(started)} s")
    wait_until(lambda: producer.poll(0.1) is not None and statistics.highest > 0, "the statistics show the throttle time")


@case(seconds=90)
def confluent_consumer_is_slowed(bootstrap):
    topic, name, statistics = confluent_helpers.create_topic(bootstrap, "quotas"), unique("consumer"), Statistics()
    confluent_helpers.produce_all(bootstrap, topic, [{"value": message} for message in MESSAGES])
    set_quota(bootstrap, client_id(name), consumer_byte_rate=RATE)
    settings = {
        "bootstrap.servers": bootstrap,
        "client.id": name,
        "group.id": name,
        "fetch.max.bytes": 200_000,
        "message.max.bytes": 200_000,
        "fetch.message.max.bytes": 100_000,
        **statistics.settings(),
    }
    consumer = Consumer(settings)
    consumer.assign([TopicPartition(topic, 0, 0)])
    started, read = time.monotonic(), 0
    while read < len(MESSAGES):
        message = consumer.poll(1)
        read += message is not None and message.error() is None
    check(took(started) > LEAST_SECONDS, f"slowed: took {took(started)} s")
    wait_until(lambda: consumer.poll(0.1) is None and statistics.highest > 0, "the statistics show the throttle time")
    consumer.close()


if __name__ == "__main__":
    run_cases()
