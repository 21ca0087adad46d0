"""Faust (faust-streaming): agents, tables and their changelog topics, windows, recovery after a restart."""

import json
import os
import sys
import tempfile
from collections import defaultdict

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import ConfigResource, NewTopic

from confluent_helpers import admin_client, partitions_of, produce_all, read_all
from suite import Child, case, check, equal, run_cases, unique, wait_until

PARTITIONS = 4
TOPICS = ["user-events", "user-features", "sensor-data", "orders", "processed_orders"]
BEGIN = 1_763_999_700  # a multiple of five minutes


def new_app(bootstrap):
    """Creates the topics of an application, and returns its name."""
    name, admin = unique("feature-processor"), admin_client(bootstrap)
    for future in admin.create_topics([NewTopic(f"{name}.{topic}", PARTITIONS, 1) for topic in TOPICS]).values():
        future.result(10)
    return name


def start_worker(bootstrap, name, directory, app="faust_app"):
    """Starts a worker, and waits until it is ready."""
    environment = {"FAUST_APP_NAME": name, "FAUST_BROKER": bootstrap, "FAUST_FOLDER": directory}
    here = os.path.dirname(os.path.abspath(__file__))
    command = [sys.executable, "-m", "faust", "-A", app, "worker", "--without-web", "-l", "info"]
    worker = Child("worker", command=command, environment={**environment, "PYTHONPATH": here, "PYTHONUNBUFFERED": "1"})
    worker.wait_for("ready", seconds=40)
    return worker


def send_events(bootstrap, name, numbers):
    """Sends events: event n is of user n mod 5, has the value n, and happens n minutes after the beginning."""
    events = [
        {"user_id": f"u{n % 5}", "event_type": "click", "amount": float(n), "timestamp": BEGIN + 60.0 * n}
        for n in numbers
    ]
    produce_all(bootstrap, f"{name}.user-events", [{"key": e["user_id"], "value": json.dumps(e)} for e in events])


def last_by_key(bootstrap, topic):
    """Returns the last value of each key in a table's changelog."""
    return {message.key(): message.value() and json.loads(message.value()) for message in read_all(bootstrap, topic)}


def features(bootstrap, name):
    found = defaultdict(list)
    for message in read_all(bootstrap, f"{name}.user-features"):
        row = json.loads(message.value())
        found[row["user_id"]].append((row["event_count"], row["total_amount"], row["avg_amount"]))
    return dict(found)


def expected_features(count):
    rows = defaultdict(list)
    for n in range(count):
        seen, total = (rows[f"u{n % 5}"][-1][:2]) if rows[f"u{n % 5}"] else (0, 0.0)
        rows[f"u{n % 5}"].append((seen + 1, total + n, (total + n) / (seen + 1)))
    return dict(rows)


@case(seconds=120)
def totals_survive_a_restart(bootstrap):
    """Each event updates the user's totals and sends features. The worker is stopped, and another continues after its
    commit with a table restored from the changelog topic; then that worker is killed, and a third does the same."""
    name = new_app(bootstrap)
    topic = f"{name}.user-features"

    def sent():
        return len(read_all(bootstrap, topic))

    with tempfile.TemporaryDirectory() as directory:
        worker = start_worker(bootstrap, name, directory)
        send_events(bootstrap, name, range(50))
        wait_until(lambda: sent() == 50, "fifty features", 30)
        equal(features(bootstrap, name), expected_features(50), "features")
        totals = {user: rows[-1] for user, rows in expected_features(50).items()}
        changelog = f"{name}-user_stats-changelog"
        stored = {json.loads(key): value for key, value in last_by_key(bootstrap, changelog).items()}
        equal(stored, {user: {"count": last[0], "sum": last[1]} for user, last in totals.items()}, "table")
        admin = admin_client(bootstrap)
        equal(len(partitions_of(admin, changelog)), PARTITIONS, "partitions of the changelog")
        resource = ConfigResource(ConfigResource.Type.TOPIC, changelog)
        settings = admin.describe_configs([resource])[resource].result(10)
        equal(settings["cleanup.policy"].value, "compact")
        check(f"{name}-__assignor-__leader" in admin.list_topics(timeout=10).topics, "the leader's topic is there")
        worker.terminate()
        worker.wait(30)
    with tempfile.TemporaryDirectory() as directory:
        worker = start_worker(bootstrap, name, directory)
        send_events(bootstrap, name, range(50, 80))
        wait_until(lambda: sent() >= 80, "eighty features", 30)
        equal(features(bootstrap, name), expected_features(80), "features")
        # Killed only after its last commit, so that the next worker processes nothing twice.
        wait_until(lambda: committed(admin, name) == 80, "all places are committed")
        worker.kill()
    with tempfile.TemporaryDirectory() as directory:
        start_worker(bootstrap, name, directory)
        send_events(bootstrap, name, range(80, 100))
        wait_until(lambda: sent() >= 100, "a hundred features", 30)
        equal(features(bootstrap, name), expected_features(100), "features")


def committed(admin, name):
    """Returns how many user events the application's group has committed."""
    places = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(name)])[name].result(10).topic_partitions
    return sum(max(place.offset, 0) for place in places if place.topic == f"{name}.user-events")


@case(seconds=90)
def windows_and_orders(bootstrap):
    """Counts in windows of five minutes of event time, also after a restart; dicts are forwarded, and counted by
    customer."""
    name = new_app(bootstrap)
    with tempfile.TemporaryDirectory() as directory:
        worker = start_worker(bootstrap, name, directory)
        send_events(bootstrap, name, range(100))
        orders = [{"order_id": n, "customer_id": f"c{n % 3}"} for n in range(30)]
        messages = [{"key": order["customer_id"], "value": json.dumps(order)} for order in orders]
        produce_all(bootstrap, f"{name}.orders", messages)

        # User u has one event every five minutes: one in each window.
        windows = wait_until(lambda: len(worker.all("window")) == 100 and worker.all("window"), "a hundred windows", 30)
        equal({told["count"] for told in windows}, {1}, "counts")
        counts = wait_until(lambda: len(worker.all("order")) == 30 and worker.all("order"), "thirty orders")
        equal(
            sorted((told["customer"], told["count"]) for told in counts),
            [(f"c{c}", n) for c in range(3) for n in range(1, 11)],
        )
        topic = f"{name}.processed_orders"
        done = wait_until(
            lambda: len(read_all(bootstrap, topic)) == 30 and read_all(bootstrap, topic), "thirty processed"
        )
        rows = sorted((json.loads(message.value()) for message in done), key=lambda row: row["order_id"])
        equal(rows, [{**order, "processed": True} for order in orders])
        admin = admin_client(bootstrap)
        wait_until(lambda: committed(admin, name) == 100, "all places are committed")
        worker.terminate()
        worker.wait(30)
    with tempfile.TemporaryDirectory() as directory:
        worker = start_worker(bootstrap, name, directory)
        # The same minutes again: the count of each window in the restored table goes from one to two.
        send_events(bootstrap, name, range(100))
        windows = wait_until(lambda: len(worker.all("window")) == 100 and worker.all("window"), "a hundred windows", 30)
        equal({told["count"] for told in windows}, {2}, "counts")


def process_readings(bootstrap, name):
    with tempfile.TemporaryDirectory() as directory:
        worker = start_worker(bootstrap, name, directory, app="faust_sensors")
        readings = [{"id": f"s{n}", "value": n / 2} for n in range(20)]
        produce_all(bootstrap, f"{name}.sensor-data", [{"value": json.dumps(reading)} for reading in readings])
        seen = wait_until(lambda: len(worker.all("sensor")) == 20 and worker.all("sensor"), "twenty readings", 20)
        equal(sorted((one["id"], one["value"]) for one in seen), sorted((r["id"], r["value"]) for r in readings))


@case(seconds=60)
def sensors(bootstrap):
    """The smallest application: one agent, plain records."""
    process_readings(bootstrap, new_app(bootstrap))


@case(seconds=60, beyond_kafka=True)
def missing_topic_is_created(bootstrap):
    """The same, started before its topic exists: the first metadata request creates the topic and returns it, so that
    Faust does not wait minutes for its next metadata request."""
    process_readings(bootstrap, unique("kafka-stream"))


if __name__ == "__main__":
    run_cases()
