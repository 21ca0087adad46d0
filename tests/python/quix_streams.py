"""quixstreams: counts that stay exact when the application is killed and restarted."""

import json
import os
import random
import sys
import tempfile

from confluent_kafka.admin import NewTopic

from confluent_helpers import admin_client, produce_all, read_committed
from suite import Child, case, equal, run_cases, unique, wait_until

PARTITIONS, KEYS, KILLS = 3, 5, 6


def start(bootstrap, name, directory):
    here = os.path.dirname(os.path.abspath(__file__))
    environment = {"QUIX_APP_NAME": name, "QUIX_BROKER": bootstrap, "QUIX_FOLDER": directory, "PYTHONPATH": here}
    return Child("application", command=[sys.executable, os.path.join(here, "quix_app.py")], environment=environment)


def send(bootstrap, name, numbers):
    events = [{"key": f"k{n % KEYS}", "number": n} for n in numbers]
    produce_all(bootstrap, f"{name}.events", [{"key": e["key"], "value": json.dumps(e)} for e in events])


@case(seconds=180)
def counts_are_exact_after_kills(bootstrap):
    """Killed at random moments of its work and restarted, three times with its state and three times without: each
    event is counted once, in order, and every count is in the output of committed messages once."""
    name, admin = unique("quix"), admin_client(bootstrap)
    for future in admin.create_topics([NewTopic(f"{name}.{topic}", PARTITIONS, 1) for topic in ("events", "counts")]).values():
        future.result(10)
    with tempfile.TemporaryDirectory() as parent:
        directory, total = os.path.join(parent, "0"), 0
        for kill in range(KILLS):
            application = start(bootstrap, name, directory)
            send(bootstrap, name, range(total, total + 200))
            total += 200
            wanted = random.randint(1, 190)
            wait_until(lambda: len(application.all("counted")) >= wanted, f"{wanted} events are counted", 40)
            application.kill()
            if kill % 2:
                directory = os.path.join(parent, str(kill))  # the state is restored from its changelog topic
        application = start(bootstrap, name, directory)
        wait_until(lambda: len(read_committed(bootstrap, f"{name}.counts")) >= total, f"{total} counts", 40)
        application.terminate()
        application.wait(30)
    by_key = {f"k{n}": [] for n in range(KEYS)}
    for row in (json.loads(message.value()) for message in read_committed(bootstrap, f"{name}.counts")):
        by_key[row["key"]].append((row["number"], row["count"]))
    expected = {f"k{k}": [(n, i + 1) for i, n in enumerate(range(k, total, KEYS))] for k in range(KEYS)}
    equal(by_key, expected, "counts")


if __name__ == "__main__":
    run_cases()
