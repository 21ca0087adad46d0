"""testcontainers-python's KafkaContainer, unmodified, with the image in the first argument in place of its own."""

import sys
import time

from confluent_kafka import Consumer, Producer
from testcontainers.community.kafka import KafkaContainer

TIMEOUT = 60


def produce_and_consume(servers: str) -> None:
    failures = []
    producer = Producer({"bootstrap.servers": servers})
    producer.produce("orders", b"value", on_delivery=lambda error, _: failures.append(error) if error else None)
    assert producer.flush(TIMEOUT) == 0 and not failures, failures
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    deadline = time.monotonic() + TIMEOUT
    while (record := consumer.poll(0.1)) is None or record.error():
        assert time.monotonic() < deadline, "the record was not consumed"
    assert record.value() == b"value"
    consumer.close()


def check(what: str, container: KafkaContainer) -> None:
    began = time.monotonic()
    with container:
        ready = time.monotonic()
        produce_and_consume(container.get_bootstrap_server())
        print(f"{what}: ready in {(ready - began) * 1000:.0f} ms")


image = sys.argv[1]
check("with ZooKeeper", KafkaContainer(image))
check("with KRaft", KafkaContainer(image).with_kraft())
