"""testcontainers-python's RedpandaContainer, unmodified, with the image in the first argument in place of its own."""

import json
import sys
import time

import requests
from confluent_kafka import Consumer, Producer
from testcontainers.community.kafka import RedpandaContainer

TIMEOUT = 60


def produce_and_consume(servers: str) -> None:
    producer = Producer({"bootstrap.servers": servers})
    producer.produce("orders", b"value")
    assert producer.flush(TIMEOUT) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "readers", "auto.offset.reset": "earliest"})
    consumer.subscribe(["orders"])
    deadline = time.monotonic() + TIMEOUT
    while (record := consumer.poll(0.1)) is None or record.error():
        assert time.monotonic() < deadline, "the record was not consumed"
    assert record.value() == b"value"
    consumer.close()


def register(url: str) -> None:
    schema = json.dumps({"schema": json.dumps({"type": "string"})})
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    response = requests.post(f"{url}/subjects/orders-value/versions", schema, headers=headers, timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    assert requests.get(f"{url}/subjects", timeout=TIMEOUT).json() == ["orders-value"]


began = time.monotonic()
with RedpandaContainer(sys.argv[1]) as container:
    ready = time.monotonic()
    produce_and_consume(container.get_bootstrap_server())
    register(container.get_schema_registry_address())
    print(f"RedpandaContainer in Python: ready in {(ready - began) * 1000:.0f} ms")
