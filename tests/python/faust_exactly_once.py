"""Faust with processing_guarantee="exactly_once": counts stay exact when the worker is killed and restarted."""

import json
import os
import random
import sys
import tempfile

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import NewTopic

from confluent_helpers import admin_client, produce_all
from confluent_transactions import Reader
from suite import Child, case, equal, run_cases, unique, wait_until

PARTITIONS, KEYS, KILLS = 3, 5, 4


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


@case(seconds=240)
def counts_are_exact_after_kills(bootstrap):
    """Killed at random moments of its work and restarted: in the table's changelog, read committed, each key's counts
    are 1, 2, 3, ... without a gap or a repetition."""
    name, admin = unique("faust-once"), admin_client(bootstrap)
    for future in admin.create_topics([NewTopic(f"{name}.events", PARTITIONS, 1)]).values():
        future.result(10)
    total = 0
    for _ in range(KILLS):
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
    reader, rows = Reader(bootstrap, [f"{name}-counts-changelog"]), []
    wait_until(lambda: rows.extend(reader.read(0.3)) or len(rows) >= total, f"{total} changes", 20)
    equal(reader.read(1), [], "more changes")
    reader.close()
    expected = sorted(list(range(1, total // KEYS + 1)) * KEYS)
    equal(sorted(int(value) for *_, value in rows), expected, "counts of all keys")


if __name__ == "__main__":
    run_cases()
