"""Produces a record with confluent-kafka and consumes it, once for each line of standard input.

Each line is the address of a broker. Prints "consumed" when the record has been consumed, and "closed" when the broker
may stop. The client library is imported before; constructing the clients is part of the measured time.
"""

import sys
import uuid

import confluent_kafka


def produce_and_consume(bootstrap):
    name = f"first-{uuid.uuid4().hex[:8]}"
    common = {"bootstrap.servers": bootstrap, "log_level": 3}
    producer = confluent_kafka.Producer(common)
    producer.produce(name, b"hello")
    consumer = confluent_kafka.Consumer({**common, "group.id": name, "auto.offset.reset": "earliest"})
    if producer.flush(60):
        sys.exit("the record was not delivered")
    consumer.subscribe([name])
    while (message := consumer.poll(1)) is None or message.error():
        pass
    assert message.value() == b"hello"
    return consumer


print("imported", flush=True)
for line in sys.stdin:
    consumer = produce_and_consume(line.strip())
    print("consumed", flush=True)
    consumer.close()
    print("closed", flush=True)
