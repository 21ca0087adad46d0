"""Produces for two seconds with confluent-kafka, which pushes its metrics where the broker asks for them.

    python client_metrics.py localhost:9092
"""

import sys
import time

import confluent_kafka
from suite import unique

producer = confluent_kafka.Producer({"bootstrap.servers": sys.argv[1], "enable.metrics.push": True})
topic = unique("pushed")
end = time.monotonic() + 2
while time.monotonic() < end:
    producer.produce(topic, b"value")
    producer.poll(0.05)
assert producer.flush(10) == 0
