"""Measures, for each client installed here, how long a new consumer takes from subscribe to its first message.

    python first_message.py localhost:9092 [RUNS]

prints one JSON object: for each client its version and, in milliseconds, the median and all runs. The message is
produced before the consumer starts; constructing the client (without imports) is part of the time.
"""

import asyncio
import json
import statistics
import sys
import time

import confluent_kafka
import kafka
from suite import unique

try:
    import aiokafka
except ImportError:
    aiokafka = None


def with_kafka_python(bootstrap, topic):
    consumer = kafka.KafkaConsumer(
        topic, bootstrap_servers=bootstrap, group_id=unique("first"), auto_offset_reset="earliest"
    )
    next(iter(consumer))
    yield
    consumer.close()


def with_confluent_kafka(bootstrap, topic):
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": bootstrap, "group.id": unique("first"), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    while (message := consumer.poll(10)) is None or message.error():
        pass
    yield
    consumer.close()


def with_aiokafka(bootstrap, topic):
    loop = asyncio.new_event_loop()

    async def first():
        consumer = aiokafka.AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap, group_id=unique("first"), auto_offset_reset="earliest"
        )
        await consumer.start()
        await consumer.getone()
        return consumer

    consumer = loop.run_until_complete(first())
    yield
    loop.run_until_complete(consumer.stop())
    loop.close()


def measure(client, bootstrap, topic, runs):
    """Returns the milliseconds of each run after one run that is not counted."""
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        steps = client(bootstrap, topic)
        next(steps)
        times.append(round((time.perf_counter() - started) * 1000, 1))
        next(steps, None)
    return times[1:]


def main(bootstrap, runs="5"):
    topic = unique("first-message")
    producer = confluent_kafka.Producer({"bootstrap.servers": bootstrap})
    producer.produce(topic, b"hello")
    if producer.flush(15):
        sys.exit("the message could not be sent")
    clients = [
        ("kafka-python", kafka.__version__, with_kafka_python),
        ("confluent-kafka", confluent_kafka.__version__, with_confluent_kafka),
    ]
    if aiokafka:
        clients.append(("aiokafka", aiokafka.__version__, with_aiokafka))
    report = {}
    for name, version, client in clients:
        times = measure(client, bootstrap, topic, int(runs))
        report[name] = {"version": version, "median_ms": statistics.median(times), "runs_ms": times}
    print(json.dumps(report))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: {sys.argv[0]} BOOTSTRAP [RUNS]")
    main(*sys.argv[1:])
