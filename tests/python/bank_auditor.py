"""Prints the committed records of `transfers` from its beginning until it is killed, one line each: topic, partition,
offset, key and value with a tab between.

    python bank_auditor.py BOOTSTRAP PARTITIONS_OF_TRANSFERS
"""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

consumer = Consumer(
    {
        "bootstrap.servers": sys.argv[1],
        "group.id": "auditor",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "reconnect.backoff.max.ms": 200,
    }
)
consumer.assign([TopicPartition("transfers", partition, OFFSET_BEGINNING) for partition in range(int(sys.argv[2]))])
while True:
    for record in consumer.consume(500, 0.1):
        if record.error() is None:
            fields = record.topic(), record.partition(), record.offset(), record.key().decode(), record.value().decode()
            print(*fields, sep="\t", flush=True)
