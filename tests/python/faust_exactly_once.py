"""Faust with processing_guarantee="exactly_once": a worker is killed and restarted."""

import json
import os
import random
import sys
import tempfile
import time

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import NewTopic

from confluent_helpers import admin_client, produce_all, read_committed
from suite import Child, case, equal, run_cases, unique, wait_until

PARTITIONS, KEYS, KILLS = 3, 5, 2


def start(bootstrap, name, directory):
    here = os.path.dirname(os.path.abspath(__file__))
    environment = {"FAUST_APP_NAME": name, "FAUST_BROKER": bootstrap, "FAUST_FOLDER": directory, "PYTHONPATH": here}
    environment |= {"PYTHONUNBUFFERED": "1", "PARTITIONS": str(PARTITIONS)}
    command = [sys.executable, "-m", "faust", "-A", "faust_exactly_once_app", "worker", "--without-web", "-l", "info"]
    worker = Child("worker", command=command, environment=environment)
    worker.wait_for("ready", seconds=40)
    return worker


def send(bootstrap, name, numbers):
    messages = [{"key": f"k{n % KEYS}", "value": json.dumps(n)} for n in numbers]
    produce_all(bootstrap, f"{name}.events", messages)


def committed(admin, name):
    """How many events the group has committed."""
    places = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result(10).topic_partitions
    return sum(max(place.offset, 0) for place in places if place.topic == f"{name}.events")


def changes(bootstrap, name):
    """The committed changes of the table, by key: its counts."""
    found = {}
    for message in read_committed(bootstrap, f"{name}-counts-changelog"):
        found.setdefault(json.loads(message.key()), []).append(json.loads(message.value()))
    return found


def process_all(bootstrap, admin, name, total):
    """Waits until all of `total` events are counted and the changes are committed; returns how many events there are now.
    Now and then Faust commits the offset of an event and leaves its change in a transaction that it commits with the
    next event only. Then there is one more event for each key."""
    for _ in range(6):
        wait_until(lambda: committed(admin, name) == total, f"{total} events are committed", 40)
        expected = {f"k{key}": list(range(1, total // KEYS + 1)) for key in range(KEYS)}
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            if changes(bootstrap, name) == expected:
                return total
        send(bootstrap, name, range(total, total + KEYS))
        total += KEYS
    raise AssertionError(f"the changes of {total} events are not committed: {changes(bootstrap, name)}")


@case(seconds=240)
def counts_survive_kills(bootstrap):
    """A killed worker leaves its transactions open; the next one fences it, restores the table from committed changes
    and continues. The changes are exact, because each worker is killed after its last commit: Faust commits a change and
    the offset of its event in different transactions now and then, so that a kill between them loses the change. Then a
    worker is killed in the middle of its work: the next processes what is left, and nothing waits for the dead one."""
    name, admin = unique("faust-once"), admin_client(bootstrap)
    admin.create_topics([NewTopic(f"{name}.events", PARTITIONS, 1)])[f"{name}.events"].result(10)
    total = 0
    for _ in range(KILLS):
        with tempfile.TemporaryDirectory() as directory:
            worker = start(bootstrap, name, directory)
            send(bootstrap, name, range(total, total + 100))
            total = process_all(bootstrap, admin, name, total + 100)
            worker.kill()
    for _ in range(2):
        with tempfile.TemporaryDirectory() as directory:
            worker = start(bootstrap, name, directory)
            send(bootstrap, name, range(total, total + 200))
            total += 200
            wanted = random.randint(1, 190)
            wait_until(lambda: len(worker.all("counted")) >= wanted, f"{wanted} events are counted", 40)
            worker.kill()
    with tempfile.TemporaryDirectory() as directory:
        worker = start(bootstrap, name, directory)
        wait_until(lambda: committed(admin, name) == total, f"{total} events are committed", 40)
        worker.terminate()
        worker.wait(30)
    for key, counts in changes(bootstrap, name).items():
        equal(counts, list(range(1, len(counts) + 1)), f"counts of {key}: none twice, and none missing before the last")


if __name__ == "__main__":
    run_cases()
