"""Consumer groups with confluent-kafka: a killed member of three, cooperative rebalancing, static members."""

import signal
import sys
from collections import Counter

from confluent_kafka import Consumer, ConsumerGroupState, KafkaException, TopicPartition

from confluent_helpers import admin_client, create_topic, produce_all
from suite import Child, case, check, equal, report, role_of_this_process, run_cases, unique, wait_until

SESSION_MS = 6000  # the shortest that a broker allows by default


def worker(bootstrap, topic, group, strategy, instance):
    """Reads, handles, commits; reports assigned and revoked partitions and every handled message."""
    running = True

    def stop(signum, frame):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    held = set()

    def on_assign(consumer, partitions):
        held.update(partition.partition for partition in partitions)
        report("given", partitions=sorted(partition.partition for partition in partitions))
        report("assigned", partitions=sorted(held))

    def on_revoke(consumer, partitions):
        held.difference_update(partition.partition for partition in partitions)
        report("taken", partitions=sorted(partition.partition for partition in partitions))
        report("assigned", partitions=sorted(held))
        try:
            consumer.commit(asynchronous=False)
        except KafkaException:
            pass  # nothing was read yet

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "session.timeout.ms": SESSION_MS,
            "heartbeat.interval.ms": 300,
            "partition.assignment.strategy": strategy,
            **({"group.instance.id": instance} if instance != "-" else {}),
        }
    )
    consumer.subscribe([topic], on_assign=on_assign, on_revoke=on_revoke)
    while running:
        message = consumer.poll(timeout=0.3)
        if message is None:
            continue
        if message.error():
            report("error", text=str(message.error()))
            continue
        consumer.commit(message, asynchronous=False)
        report("handled", partition=message.partition(), offset=message.offset(), value=int(message.value()))
    consumer.close()
    report("left")


def start(topic, group, count, strategy="range", instances=None):
    return [Child("worker", topic, group, strategy, instances[n] if instances else "-") for n in range(count)]


def assignments(workers):
    return [(worker.last("assigned") or {"partitions": []})["partitions"] for worker in workers]


def wait_for_shares(workers, shares, seconds=20):
    wait_until(
        lambda: sorted(assignments(workers)) == sorted(shares),
        f"the shares are {shares}; they are {assignments(workers)}",
        seconds,
    )


def produce(bootstrap, topic, values, partitions):
    produce_all(bootstrap, topic, [{"value": str(value), "partition": value % partitions} for value in values])


def handled(workers):
    return [told["value"] for worker in workers for told in worker.all("handled")]


def wait_for_values(workers, values):
    wait_until(lambda: set(handled(workers)) >= set(values), f"{len(values)} values are handled", seconds=20)


@case(seconds=60)
def three_share_then_one_is_killed(bootstrap):
    """Six partitions, two for each of three consumers. One is killed: after its session timeout the others have three
    each, continue after its last commit, and no message is missing."""
    topic, group = create_topic(bootstrap, "orders", partitions=6), unique("my-consumer-group")
    workers = start(topic, group, 3)
    wait_for_shares(workers, [[0, 1], [2, 3], [4, 5]])
    produce(bootstrap, topic, range(300), 6)
    wait_for_values(workers, range(300))
    equal(len(handled(workers)), 300, "each message is handled by one consumer only, count")
    admin = admin_client(bootstrap)
    described = admin.describe_consumer_groups([group])[group].result(10)
    equal((described.state, len(described.members)), (ConsumerGroupState.STABLE, 3))
    members = [[p.partition for p in member.assignment.topic_partitions] for member in described.members]
    equal(sorted(map(sorted, members)), [[0, 1], [2, 3], [4, 5]])
    workers[0].kill()
    survivors = workers[1:]
    produce(bootstrap, topic, range(300, 600), 6)
    wait_for_shares(survivors, [[0, 1, 2], [3, 4, 5]], seconds=15)
    wait_for_values(survivors, range(300, 600))
    again = [value for value, times in Counter(handled(workers)).items() if times > 1]
    equal(again, [], "everything was committed, so nothing comes twice")


@case(seconds=60)
def cooperative_members_keep_their_partitions(bootstrap):
    """cooperative-sticky: a new member gets only its share; the others keep reading the rest. The partitions of a
    member that leaves are assigned to the others at once."""
    topic, group = create_topic(bootstrap, "orders", partitions=6), unique("my-group")
    workers = start(topic, group, 1, "cooperative-sticky")
    wait_for_shares(workers, [[0, 1, 2, 3, 4, 5]])
    produce(bootstrap, topic, range(60), 6)
    wait_for_values(workers, range(60))
    for count in (2, 3):
        before = assignments(workers)
        workers += start(topic, group, 1, "cooperative-sticky")
        wait_until(
            lambda: sorted(map(len, assignments(workers))) == [6 // count] * count
            and sorted(sum(assignments(workers), [])) == [0, 1, 2, 3, 4, 5],
            "partitions are shared evenly",
            20,
        )
        for kept, had in zip(assignments(workers), before):
            check(set(kept) <= set(had), f"a member keeps a part of what it had: {had} -> {kept}")
        for one, had in zip(workers, before):
            taken = {p for told in one.all("taken") for p in told["partitions"]}
            check(not taken & set(assignments([one])[0]), "what a member keeps was never taken from it")
    produce(bootstrap, topic, range(60, 120), 6)
    wait_for_values(workers, range(120))
    equal(len(handled(workers)), 120, "nothing is handled twice, count")
    workers[1].terminate()
    workers[1].wait()
    wait_until(
        lambda: sorted(map(len, assignments([workers[0], workers[2]]))) == [3, 3],
        "the other two share",
        SESSION_MS / 1000 - 2,
    )
    equal([told["text"] for one in workers for told in one.all("error")], [])


@case(seconds=60)
def roundrobin_and_idle_members(bootstrap):
    """Round robin assigns the partitions one by one; a fourth member of a three-partition topic has none."""
    topic, group = create_topic(bootstrap, "dealt", partitions=3), unique("dealt")
    workers = start(topic, group, 4, "roundrobin")
    wait_for_shares(workers, [[], [0], [1], [2]])
    produce(bootstrap, topic, range(30), 3)
    wait_for_values(workers, range(30))
    equal(len(handled(workers)), 30, "count")


@case(seconds=60)
def restarted_static_member_keeps_its_partitions(bootstrap):
    """A static member that restarts within its session timeout keeps its partitions, without a rebalance."""
    topic, group = create_topic(bootstrap, "static", partitions=4), unique("static")
    workers = start(topic, group, 2, instances=["a", "b"])
    wait_for_shares(workers, [[0, 1], [2, 3]])
    produce(bootstrap, topic, range(40), 4)
    wait_for_values(workers, range(40))
    mine, given = assignments(workers)[1], len(workers[0].all("given"))
    workers[1].kill()
    again = start(topic, group, 1, instances=["b"])
    wait_for_shares(again, [mine])
    produce(bootstrap, topic, range(40, 80), 4)
    wait_for_values([workers[0], *again], range(40, 80))
    equal(len(workers[0].all("given")), given, "the other member is left in peace, times it was given partitions")


@case
def closed_member_leaves_at_once(bootstrap):
    """Three consumers in one process, closed in sequence: the last one soon has all partitions."""
    topic, group = create_topic(bootstrap, "closing", partitions=3), unique("closing")
    settings = {"bootstrap.servers": bootstrap, "group.id": group, "auto.offset.reset": "earliest"}
    settings.update({"partition.assignment.strategy": "range", "heartbeat.interval.ms": 300})
    readers = [Consumer(settings) for _ in range(3)]
    for reader in readers:
        reader.subscribe([topic])

    def share(count):
        def shared():
            for reader in readers:
                reader.poll(0.05)
            return [len(reader.assignment()) for reader in readers] == count

        wait_until(shared, f"they have {count}")

    share([1, 1, 1])
    readers.pop().close()
    wait_until(
        lambda: [r.poll(0.05) for r in readers] and sum(len(r.assignment()) for r in readers) == 3, "two have three"
    )
    readers.pop().close()
    share([3])
    readers[0].commit(offsets=[TopicPartition(topic, 0, 0)], asynchronous=False)
    readers.pop().close()
    admin = admin_client(bootstrap)
    wait_until(
        lambda: admin.describe_consumer_groups([group])[group].result(10).state == ConsumerGroupState.EMPTY,
        "it is empty",
    )


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        worker(sys.argv[1], *role[1])
    else:
        run_cases()
