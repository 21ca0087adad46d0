"""Produces a record with confluent-kafka and consumes it, as often as it is told to.

Reads the addresses of brokers from standard input, one a line, and answers each with "consumed" once its record has
been, and with "closed" when the broker may go. The clients are imported before; their construction is part of the time.
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
        sys.exit("the record could not be sent")
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
