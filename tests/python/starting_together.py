"""Consumers of a new group that start at once share its partitions without waiting for a heartbeat.

Heartbeats are a minute apart here, and a consumer that got all partitions first would keep them for a minute. So a
group settles in time only if all members are in its first generation, or had to join again at once. When each consumer
joins depends on the machine, so a case tries several groups, and one that settles is enough.
"""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../benches"))

import group_settling
import kafka
from suite import case, check, run_cases

try:
    import aiokafka
except ImportError:
    aiokafka = None

HEARTBEAT_MS = 60_000
GROUPS = 6
SECONDS = 4  # for one group; the first heartbeat is much later


def settles(bootstrap, client, assignor, count):
    for _ in range(GROUPS):
        topic = group_settling.create_topic(bootstrap, count)
        group = group_settling.Threads(client, bootstrap, topic, assignor, count, HEARTBEAT_MS)
        group.start()
        times = group_settling.wait_until_settled(group, count, SECONDS)
        group.stop()
        if times is not None:
            return
    check(False, f"{count} {client} consumers with {assignor} share the partitions before a heartbeat")


@case(seconds=60, beyond_kafka=True)
def confluent_kafka_range(bootstrap):
    settles(bootstrap, "confluent-kafka", "range", 3)
    settles(bootstrap, "confluent-kafka", "range", 10)


@case(seconds=60, beyond_kafka=True)
def confluent_kafka_cooperative(bootstrap):
    settles(bootstrap, "confluent-kafka", "cooperative-sticky", 3)
    settles(bootstrap, "confluent-kafka", "cooperative-sticky", 10)


@case(seconds=60, beyond_kafka=True)
def kafka_python_range(bootstrap):
    settles(bootstrap, "kafka-python", "range", 3)
    settles(bootstrap, "kafka-python", "range", 10)


@case(seconds=60, beyond_kafka=True)
def kafka_python_cooperative(bootstrap):
    if kafka.__version__.startswith("2."):
        return  # the old version has no such assignor
    settles(bootstrap, "kafka-python", "cooperative-sticky", 3)
    settles(bootstrap, "kafka-python", "cooperative-sticky", 10)


@case(seconds=60, beyond_kafka=True)
def aiokafka_range(bootstrap):
    if aiokafka is None:
        return  # the old environment has no aiokafka
    settles(bootstrap, "aiokafka", "range", 3)
    settles(bootstrap, "aiokafka", "range", 10)


if __name__ == "__main__":
    run_cases()
