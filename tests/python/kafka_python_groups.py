"""Consumer groups with kafka-python: members in separate processes share a topic's partitions, and get those of a
member that leaves or is killed."""

import json
import signal
import sys
from collections import Counter

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer

from kafka_python_helpers import admin_client, committed_offsets, create_topic, group_state
from suite import Child, case, check, equal, report, role_of_this_process, run_cases, unique, wait_until

SESSION_MS = 6000  # the shortest that a broker allows by default


def worker(bootstrap, topic, group):
    """Reads, handles, commits; reports each change of its assignment and every handled message; leaves the group on
    SIGTERM."""

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            pass

        def on_partitions_assigned(self, assigned):
            report("assigned", partitions=sorted(partition.partition for partition in assigned))

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # raises KeyboardInterrupt, as Ctrl-C does
    consumer = KafkaConsumer(
        bootstrap_servers=[bootstrap],
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        max_poll_records=500,
        max_poll_interval_ms=300_000,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=300,
        value_deserializer=lambda data: json.loads(data.decode()),
        key_deserializer=lambda key: key.decode() if key else None,
    )
    consumer.subscribe([topic], listener=Listener())
    try:
        while True:
            records = consumer.poll(timeout_ms=20_000)
            done = [
                [message.partition, message.offset, message.value] for batch in records.values() for message in batch
            ]
            if done:
                report("handled", messages=done)
                consumer.commit()
    except KeyboardInterrupt:
        consumer.close()
        report("left")


def start(topic, group, count):
    return [Child("worker", topic, group) for _ in range(count)]


def assignments(workers):
    """Returns the current partitions of each worker."""
    return [(worker.last("assigned") or {"partitions": []})["partitions"] for worker in workers]


def wait_for_shares(workers, shares, seconds=20):
    wait_until(
        lambda: sorted(assignments(workers)) == sorted(shares),
        f"the shares are {shares}, not {assignments(workers)}",
        seconds,
    )


def handled(workers):
    return [tuple(message) for worker in workers for told in worker.all("handled") for message in told["messages"]]


def produce(bootstrap, topic, values, partitions):
    producer = KafkaProducer(bootstrap_servers=bootstrap, value_serializer=lambda value: json.dumps(value).encode())
    for value in values:
        producer.send(topic, value, partition=value % partitions)
    producer.flush()
    producer.close()


def wait_for_values(workers, values):
    wait_until(
        lambda: {value for _, _, value in handled(workers)} >= set(values),
        f"{len(values)} values are handled",
        seconds=20,
    )


@case(seconds=60)
def three_share_then_one_is_killed(bootstrap):
    """Three consumers have four partitions each of twelve. One is killed: after its session timeout the others have six
    each, continue after its last commit, and no message is missing."""
    topic, group = create_topic(bootstrap, "synthetic-transactions", partitions=12), unique("fraud-detection-group")
    workers = start(topic, group, 3)
    wait_for_shares(workers, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]])
    produce(bootstrap, topic, range(600), 12)
    wait_for_values(workers, range(600))
    equal(len(handled(workers)), 600, "each message is handled by one consumer only, count")
    for one in workers:
        equal({partition for partition, _, _ in handled([one])}, set(assignments([one])[0]), "partitions of a worker")
    admin = admin_client(bootstrap)
    equal(group_state(admin, group), ("Stable", 3))
    wait_until(lambda: sum(committed_offsets(admin, group).values()) == 600, "all 600 are committed")

    workers[1].kill()
    survivors = [workers[0], workers[2]]
    produce(bootstrap, topic, range(600, 1200), 12)
    wait_for_shares(survivors, [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]], seconds=15)
    wait_for_values(survivors, range(600, 1200))
    again = [value for value, times in Counter(value for _, _, value in handled(workers)).items() if times > 1]
    check(all(value >= 600 for value in again), f"what was committed does not come again: {again}")
    equal(group_state(admin, group), ("Stable", 2))
    admin.close()


@case(seconds=60)
def joining_and_leaving(bootstrap):
    """One has all three partitions; two more join and each has one; a fourth has none; a member stopped with SIGTERM
    leaves at once, long before its session times out."""
    topic, group = create_topic(bootstrap, "user-signups", partitions=3), unique("welcome-email-sender")
    workers = start(topic, group, 1)
    wait_for_shares(workers, [[0, 1, 2]])
    produce(bootstrap, topic, range(30), 3)
    wait_for_values(workers, range(30))
    workers += start(topic, group, 2)
    wait_for_shares(workers, [[0], [1], [2]])
    workers += start(topic, group, 1)
    admin = admin_client(bootstrap)
    wait_until(lambda: group_state(admin, group) == ("Stable", 4), "four are in the group")
    admin.close()
    wait_for_shares(workers, [[], [0], [1], [2]])
    produce(bootstrap, topic, range(30, 60), 3)
    wait_for_values(workers, range(60))
    equal(len(handled(workers)), 60, "nothing is handled twice, count")
    for one in workers[:3]:
        one.terminate()
    for one in workers[:3]:
        one.wait_for("left")
        one.wait()
    wait_for_shares(workers[3:], [[0, 1, 2]], seconds=SESSION_MS / 1000 - 2)
    produce(bootstrap, topic, range(60, 90), 3)
    wait_for_values(workers[3:], range(60, 90))


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        worker(sys.argv[1], *role[1])
    else:
        run_cases()
