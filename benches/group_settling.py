"""Starts the consumers of a new group at once and measures how long the group takes to settle.

    python group_settling.py CLIENT ASSIGNOR COUNT RUNS BOOTSTRAP [BOOTSTRAP...] [--processes]

CLIENT is confluent-kafka, kafka-python or aiokafka; ASSIGNOR is range or cooperative-sticky (where the client has it).
Runs of several brokers are interleaved. A run creates a topic with one partition for each consumer and a record in each
partition, and starts COUNT consumers of a new group: in threads of this process (with aiokafka, in tasks), or, with
--processes, in separate processes, which have imported the client before the measured time begins. Prints a line for
each broker: the median and the maximum of the milliseconds until the first record was read, and until every consumer
had one partition. `tests/python/starting_together.py` uses this program to start its consumers.
"""

import asyncio
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
import uuid

TIMEOUT_SECONDS = 30
HEARTBEAT_MS = 3000  # the default of every client


def consume_with_confluent_kafka(bootstrap, topic, assignor, heartbeat_ms, report, stopped):
    from confluent_kafka import Consumer

    held = set()

    def changed(partitions, change):
        change(partition.partition for partition in partitions)
        report("held", sorted(held))

    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": topic,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "partition.assignment.strategy": assignor,
            "heartbeat.interval.ms": heartbeat_ms,
            "session.timeout.ms": 3 * heartbeat_ms,
        }
    )
    consumer.subscribe(
        [topic],
        on_assign=lambda _, partitions: changed(partitions, held.update),
        on_revoke=lambda _, partitions: changed(partitions, held.difference_update),
    )
    while not stopped():
        message = consumer.poll(0.1)
        if message is not None and not message.error():
            report("record", message.partition())
    consumer.close()


def consume_with_kafka_python(bootstrap, topic, assignor, heartbeat_ms, report, stopped):
    from kafka import ConsumerRebalanceListener, KafkaConsumer
    from kafka.coordinator.assignors.range import RangePartitionAssignor

    assignors = {"range": RangePartitionAssignor}
    try:
        from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

        assignors["cooperative-sticky"] = CooperativeStickyAssignor
    except ImportError:
        pass  # an old version

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            remaining = set(consumer.assignment()) - set(revoked)
            report("held", sorted(partition.partition for partition in remaining))

        def on_partitions_assigned(self, assigned):
            report("held", sorted(partition.partition for partition in consumer.assignment()))

    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[assignors[assignor]],
        heartbeat_interval_ms=heartbeat_ms,
        session_timeout_ms=3 * heartbeat_ms,
    )
    consumer.subscribe([topic], listener=Listener())
    while not stopped():
        for records in consumer.poll(timeout_ms=500).values():
            report("record", records[0].partition)
    consumer.close()


async def consume_with_aiokafka(bootstrap, topic, heartbeat_ms, report, stopped):
    from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
    try:
        from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    except ImportError:  # up to 0.10, aiokafka used the assignors of kafka-python
        from kafka.coordinator.assignors.range import RangePartitionAssignor

    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            report("held", [])

        def on_partitions_assigned(self, assigned):
            report("held", sorted(partition.partition for partition in assigned))

    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=topic,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],
        heartbeat_interval_ms=heartbeat_ms,
        session_timeout_ms=3 * heartbeat_ms,
    )
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not stopped():
        for records in (await consumer.getmany(timeout_ms=100)).values():
            report("record", records[0].partition)
    await consumer.stop()


BLOCKING = {"confluent-kafka": consume_with_confluent_kafka, "kafka-python": consume_with_kafka_python}


def consume(client, bootstrap, topic, assignor, heartbeat_ms, report, stopped):
    if client == "aiokafka":
        asyncio.run(consume_with_aiokafka(bootstrap, topic, heartbeat_ms, report, stopped))
    else:
        BLOCKING[client](bootstrap, topic, assignor, heartbeat_ms, report, stopped)


class Threads:
    """Consumers in threads of this process. Their reports arrive in `events` as (time, number, what, value)."""

    def __init__(self, client, bootstrap, topic, assignor, count, heartbeat_ms=HEARTBEAT_MS):
        self.events = queue.Queue()
        self.stopping = False
        stopped = lambda: self.stopping

        def report_as(number):
            return lambda what, value: self.events.put((time.monotonic(), number, what, value))

        async def tasks():
            runs = (consume_with_aiokafka(bootstrap, topic, heartbeat_ms, report_as(n), stopped) for n in range(count))
            await asyncio.gather(*runs)

        if client == "aiokafka":
            self.threads = [threading.Thread(target=asyncio.run, args=(tasks(),), daemon=True)]
        else:
            arguments = lambda n: (client, bootstrap, topic, assignor, heartbeat_ms, report_as(n), stopped)
            self.threads = [threading.Thread(target=consume, args=arguments(n), daemon=True) for n in range(count)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(TIMEOUT_SECONDS)


class Processes:
    """Consumers in separate processes; otherwise like `Threads`."""

    def __init__(self, client, bootstrap, topic, assignor, count, heartbeat_ms=HEARTBEAT_MS):
        self.events = queue.Queue()
        command = [sys.executable, __file__, "--consume", client, bootstrap, topic, assignor, str(heartbeat_ms)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.children = [subprocess.Popen(command, text=True, bufsize=1, **pipes) for _ in range(count)]
        for child in self.children:
            assert child.stdout.readline() == "imported\n"
        for number, child in enumerate(self.children):
            threading.Thread(target=self.listen, args=(number, child), daemon=True).start()

    def listen(self, number, child):
        for line in child.stdout:
            at, what, value = json.loads(line)
            self.events.put((at, number, what, value))

    def start(self):
        for child in self.children:
            print("start", file=child.stdin, flush=True)

    def stop(self):
        for child in self.children:
            child.stdin.close()
        for child in self.children:
            try:
                child.wait(TIMEOUT_SECONDS)
            finally:
                child.kill()


def consume_in_this_process(client, bootstrap, topic, assignor, heartbeat_ms):
    __import__({"confluent-kafka": "confluent_kafka", "kafka-python": "kafka"}.get(client, client))
    print("imported", flush=True)
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    report = lambda what, value: print(json.dumps([time.monotonic(), what, value]), flush=True)
    consume(client, bootstrap, topic, assignor, int(heartbeat_ms), report, ended.is_set)


def create_topic(bootstrap, count):
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    topic = f"settling-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, count, 1)])[topic].result(10)
    producer = Producer({"bootstrap.servers": bootstrap})
    for partition in range(count):
        producer.produce(topic, b"hello", partition=partition)
    if producer.flush(10):
        sys.exit("the records were not delivered")
    return topic


def wait_until_settled(group, count, seconds=TIMEOUT_SECONDS):
    """Returns the times of the first record and of every consumer having one partition; None on a timeout."""
    held, first, settled = {}, None, None
    deadline = time.monotonic() + seconds
    while first is None or settled is None:
        try:
            at, number, what, value = group.events.get(timeout=max(0, deadline - time.monotonic()))
        except queue.Empty:
            return None
        if what == "record":
            first = first or at
            continue
        held[number] = value
        assigned = sorted(partition for partitions in held.values() for partition in partitions)
        if assigned == list(range(count)) and all(len(partitions) == 1 for partitions in held.values()):
            settled = at
    return first, settled


def measure(group_of, client, bootstrap, assignor, count):
    """Returns the milliseconds until the first record, and until the group has settled."""
    topic = create_topic(bootstrap, count)
    group = group_of(client, bootstrap, topic, assignor, count)
    time.sleep(0.2)  # until the consumers are idle
    began = time.monotonic()
    group.start()
    times = wait_until_settled(group, count)
    group.stop()
    if times is None:
        sys.exit(f"{count} {client} consumers of {bootstrap} did not settle in {TIMEOUT_SECONDS} s")
    return tuple((at - began) * 1000 for at in times)


def main(client, assignor, count, runs, *bootstraps):
    processes = "--processes" in bootstraps
    bootstraps = [bootstrap for bootstrap in bootstraps if not bootstrap.startswith("--")]
    times = {bootstrap: [] for bootstrap in bootstraps}
    for run in range(int(runs) + 1):
        for bootstrap in bootstraps:
            measured = measure(Processes if processes else Threads, client, bootstrap, assignor, int(count))
            if run > 0:  # the first run is a warm-up
                times[bootstrap].append(measured)
    for bootstrap in bootstraps:
        first, settled = zip(*times[bootstrap])
        print(
            f"{bootstrap} {client} {assignor} {count} {'processes' if processes else 'threads'}:"
            f" first record {statistics.median(first):.0f} ms (max {max(first):.0f}),"
            f" settled {statistics.median(settled):.0f} ms (max {max(settled):.0f})",
            flush=True,
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--consume"]:
        consume_in_this_process(*sys.argv[2:])
    elif len(sys.argv) < 6:
        sys.exit(__doc__)
    else:
        main(*sys.argv[1:])
