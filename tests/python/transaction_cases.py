"""Cases of transactions that every client has to pass. A program calls `run` with its client, which has:

    Producer(bootstrap, transactional_id, timeout_ms)   begin, send, flush, send_offsets, commit, abort, close
    Reader(bootstrap, topics, group, committed, instance)   read, committed_offsets, close
    create_topic(bootstrap, name, partitions)
    KILLS_PER_POINT                                      (optional) how often the loop is killed at each point
    COMMITS_HANG                                         whether a commit may wait forever, by a fault of the client
    is_fencing(error)                                    whether an exception means that another producer took over

A `Producer` is ready for its first transaction. A `Reader` with a group has joined it and commits nothing by itself;
one without a group reads every partition from the beginning. `read` returns (topic, partition, offset, value).
"""

import concurrent.futures
import os
import random
import signal
import threading
import time

import confluent_helpers
import own_broker
from suite import (
    Child,
    case,
    check,
    equal,
    raises,
    report,
    role_of_this_process,
    run_cases,
    unique,
    wait_until,
)

PARTITIONS = 3
# Where the loop of `killed_loop` is killed.
POINTS = ["read", "begun", "sent", "flushed", "offsets", "committing", "committed"]


def values(messages):
    """The values of messages, sorted."""
    return sorted(value for _, _, _, value in messages)


def expect(reader, expected, seconds=20):
    """Reads until as many messages have arrived as are expected, compares their values, and returns the messages."""
    messages = read_count(reader, len(expected), seconds)
    equal(values(messages), sorted(expected), "values")
    return messages


def read_count(reader, count, seconds=20):
    messages = []

    def enough():
        messages.extend(reader.read(0.3))
        return len(messages) >= count

    wait_until(enough, f"{count} messages are read", seconds)
    return messages


def silent(reader):
    """Fails if there is a message."""
    equal(reader.read(0.7), [], "messages")


def send_plain(client, bootstrap, topic, value, partition=0):
    """Sends one message without a transaction."""
    producer = client.Producer(bootstrap)
    producer.send(topic, value, partition)
    producer.flush()
    producer.close()


def committed_values(client, bootstrap, topics, count):
    """The values of a new reader of committed messages, after which there are no others."""
    reader = client.Reader(bootstrap, topics)
    messages = read_count(reader, count)
    silent(reader)
    reader.close()
    return values(messages)


def offsets_become(reader, expected):
    """Apache Kafka answers a commit before its offsets are visible; aiokafka 0.8 does not ask for stable offsets."""
    wait_until(lambda: reader.committed_offsets(list(expected)) == expected, f"committed offsets are {expected}")


def cases_of(client):
    """Registers the cases for a client."""

    @case(seconds=60)
    def commit_shows_everything_at_once(bootstrap):
        """Messages in every partition of two topics; the reader of committed messages sees nothing of an open
        transaction nor what follows it, and then all of it."""
        topics = [client.create_topic(bootstrap, name, PARTITIONS) for name in ("orders", "payments")]
        reader, uncommitted = client.Reader(bootstrap, topics), client.Reader(bootstrap, topics, committed=False)
        producer = client.Producer(bootstrap, unique("movers"))
        send_plain(client, bootstrap, topics[0], "before")
        expect(reader, ["before"])
        producer.begin()
        sent = [f"{topic}-{n:03}" for topic in topics for n in range(60)]
        for n, value in enumerate(sent):
            producer.send(topics[n // 60], value, n % PARTITIONS)
        producer.flush()
        for topic in topics:
            send_plain(client, bootstrap, topic, "behind", 1)
        expect(uncommitted, ["before", "behind", "behind", *sent])
        silent(reader)
        producer.commit()
        messages = expect(reader, ["behind", "behind", *sent])
        for topic in topics:
            for partition in range(PARTITIONS):
                found = [value for *place, _, value in messages if place == [topic, partition] and value != "behind"]
                equal(found, sorted(found), f"order in {topic}-{partition}")
                equal(len(found), 20)
        silent(uncommitted)
        for it in (producer, reader, uncommitted):
            it.close()

    @case(seconds=60)
    def aborted_messages_are_never_read(bootstrap):
        """Aborted transactions between committed ones, by one producer."""
        topic = client.create_topic(bootstrap, "aborted", PARTITIONS)
        producer = client.Producer(bootstrap, unique("undecided"))
        kept, dropped = [], []
        for round in range(12):
            producer.begin()
            sent = [f"{round:02}-{n}" for n in range(5)]
            for n, value in enumerate(sent):
                producer.send(topic, value, n % PARTITIONS)
            if round % 3 == 1:
                producer.flush()
                producer.abort()
                dropped += sent
            else:
                producer.commit()
                kept += sent
        equal(committed_values(client, bootstrap, [topic], len(kept)), kept)
        uncommitted = client.Reader(bootstrap, [topic], committed=False)
        expect(uncommitted, kept + dropped)
        uncommitted.close()
        producer.close()

    @case(seconds=60)
    def offsets_are_committed_with_the_transaction(bootstrap):
        """The group's offsets change when the transaction commits, not before, and not by an abort."""
        topic, group = client.create_topic(bootstrap, "input"), unique("group")
        output = client.create_topic(bootstrap, "output")
        for n in range(3):
            send_plain(client, bootstrap, topic, f"m{n}")
        reader = client.Reader(bootstrap, [topic], group)
        expect(reader, ["m0", "m1", "m2"])
        producer = client.Producer(bootstrap, unique("offsets"))
        producer.begin()
        producer.send(output, "dropped", 0)
        producer.send_offsets({(topic, 0): 2}, reader)
        producer.abort()
        equal(reader.committed_offsets([(topic, 0)]), {})
        producer.begin()
        producer.send_offsets({(topic, 0): 3}, reader)
        producer.send(output, "kept", 0)
        producer.commit()
        offsets_become(reader, {(topic, 0): 3})
        equal(committed_values(client, bootstrap, [output], 1), ["kept"])
        reader.close()
        # A transaction of offsets alone.
        producer.begin()
        reader = client.Reader(bootstrap, [topic], group)
        producer.send_offsets({(topic, 0): 1}, reader)
        producer.commit()
        offsets_become(reader, {(topic, 0): 1})
        producer.close()
        reader.close()

    @case(seconds=60)
    def second_producer_fences_the_first(bootstrap):
        """A producer with the same transactional id aborts what the first left open; the first can't go on."""
        topic, name = client.create_topic(bootstrap, "fenced"), unique("one-of-two")
        first = client.Producer(bootstrap, name)
        first.begin()
        first.send(topic, "kept", 0)
        first.commit()
        first.begin()
        first.send(topic, "dropped", 0)
        first.flush()
        second = client.Producer(bootstrap, name)
        error = raises(Exception, first.commit)
        check(client.is_fencing(error), f"the error says that the producer is fenced: {error!r}")
        second.begin()
        second.send(topic, "by the second", 0)
        second.commit()
        equal(committed_values(client, bootstrap, [topic], 2), ["by the second", "kept"])
        second.close()
        first.close()

    @case(seconds=60)
    def transaction_times_out(bootstrap):
        """The broker aborts what is older than transaction.timeout.ms, so that readers go on; the producer learns it
        when it commits, and another with its id starts anew."""
        topic, name = client.create_topic(bootstrap, "late"), unique("slow")
        producer = client.Producer(bootstrap, name, timeout_ms=3000)
        producer.begin()
        producer.send(topic, "too late", 0)
        producer.flush()
        send_plain(client, bootstrap, topic, "behind")
        reader = client.Reader(bootstrap, [topic])
        expect(reader, ["behind"], seconds=30)
        error = raises(Exception, producer.commit)
        check(client.is_fencing(error), f"the error says that the producer is fenced: {error!r}")
        producer.close()
        producer = client.Producer(bootstrap, name)
        producer.begin()
        producer.send(topic, "in time", 0)
        producer.commit()
        expect(reader, ["in time"])
        producer.close()
        reader.close()

    @case(seconds=60)
    def topic_is_created_within_a_transaction(bootstrap):
        """The first message to a missing topic creates it; the transaction includes the new partition."""
        topics = [unique("new"), unique("new")]
        producer = client.Producer(bootstrap, unique("creator"))
        producer.begin()
        for topic in topics:
            producer.send(topic, topic, 0)
        producer.commit()
        producer.begin()
        producer.send(topics[0], "dropped", 0)
        producer.flush()
        producer.abort()
        producer.close()
        equal(committed_values(client, bootstrap, topics, 2), sorted(topics))

    @case(seconds=150)
    def killed_loop_writes_each_message_once(bootstrap):
        """Consume, transform, produce in another process, which is killed at every point of a transaction and
        restarted: every input has one output, and the offsets are at the end."""
        topic, output = (client.create_topic(bootstrap, name, PARTITIONS) for name in ("in", "out"))
        group, name, sent = unique("loop"), unique("loop"), [f"{n:03}" for n in range(300)]
        producer = client.Producer(bootstrap)
        for n, value in enumerate(sent):
            producer.send(topic, value, n % PARTITIONS)
        producer.flush()
        producer.close()
        seed = random.randrange(1_000_000)
        chance = random.Random(seed)
        points = POINTS * getattr(client, "KILLS_PER_POINT", 2)
        chance.shuffle(points)
        for point in points:
            loop = Child("loop", topic, output, group, name, point, chance.randint(1, 3), chance.randint(0, 2000))
            code = loop.process.wait(timeout=40)
            check(code == -signal.SIGKILL, f"the loop is killed at {point} (seed {seed}), and does not end with {code}")
        loop = Child("loop", topic, output, group, name, "never", 0, 0)
        reader = client.Reader(bootstrap, [output])
        messages = read_count(reader, len(sent), 40)
        silent(reader)
        equal(values(messages), [f"{value}!" for value in sent], f"outputs (seed {seed})")
        uncommitted = client.Reader(bootstrap, [output], committed=False)
        read_count(uncommitted, len(sent) + 1, 40)  # one more: some outputs were aborted
        loop.kill()
        watcher = client.Reader(bootstrap, [topic], group, instance="loop")
        places = [(topic, partition) for partition in range(PARTITIONS)]
        offsets_become(watcher, {place: 100 for place in places})
        for it in (reader, uncommitted, watcher):
            it.close()

    @case(seconds=100)
    def broker_is_killed_in_a_transaction(bootstrap):
        """The transaction continues after the broker has restarted, and commits all its messages."""
        with own_broker.started() as broker:
            if broker is None:
                return
            bootstrap = broker.bootstrap
            topics = [client.create_topic(bootstrap, "restart", PARTITIONS), client.create_topic(bootstrap, "other")]
            producer = client.Producer(bootstrap, unique("patient"))
            kept = []
            for outcome in ("commit", "abort", "commit"):
                producer.begin()
                sent = [f"{len(kept)}-{outcome}-{n}" for n in range(6)]
                for value in sent[:4]:
                    producer.send(topics[0], value, int(value[-1]) % PARTITIONS)
                producer.flush()
                broker.restart()
                for value in sent[4:]:
                    producer.send(topics[1], value, 0)
                producer.flush()
                getattr(producer, outcome)()
                kept += sent if outcome == "commit" else []
            equal(committed_values(client, bootstrap, topics, len(kept)), sorted(kept))
            producer.close()

    @case(seconds=200)
    def broker_is_killed_while_it_commits(bootstrap):
        """Killed within milliseconds after the commit was requested: once the client says that it has committed, all
        messages are there. A transaction whose outcome the client does not know is there as a whole or not at all."""
        with own_broker.started() as broker:
            if broker is None:
                return
            topic = client.create_topic(broker.bootstrap, "split", PARTITIONS)
            name, chance, unknown = unique("split"), random.Random(), []
            producer = client.Producer(broker.bootstrap, name)
            for round in range(6):
                producer.begin()
                for n in range(9):
                    producer.send(topic, f"{round}-{n}", n % PARTITIONS)
                producer.flush()
                committing = concurrent.futures.ThreadPoolExecutor().submit(producer.commit)
                time.sleep(chance.random() / 200)
                broker.restart()
                if concurrent.futures.wait([committing], timeout=10 if client.COMMITS_HANG else 60).done:
                    committing.result()
                else:
                    check(client.COMMITS_HANG, "the commit ends")
                    unknown.append(round)
                    producer = client.Producer(broker.bootstrap, name)
            found = [message.value().decode() for message in confluent_helpers.read_committed(broker.bootstrap, topic)]
            equal(len(found), len(set(found)), "different messages")
            for round in range(6):
                count = sum(value.startswith(f"{round}-") for value in found)
                check(count == 9 or (count == 0 and round in unknown), f"transaction {round} is whole, not {count} of 9")
            if not unknown:
                producer.close()


def loop(client, topic, output, group, name, point, count, microseconds):
    """Copies messages to `output` in transactions; kills its process at `point` of transaction `count`."""
    bootstrap, transactions = own_broker.bootstrap_of_this_process(), 0

    def reached(here):
        if here == point and transactions + 1 >= int(count):
            os.kill(os.getpid(), signal.SIGKILL)

    def kill_later():
        time.sleep(int(microseconds) / 1e6)
        os.kill(os.getpid(), signal.SIGKILL)

    producer = client.Producer(bootstrap, name)
    reader = client.Reader(bootstrap, [topic], group, instance="loop")
    while True:
        messages = reader.read(0.3, 7)
        if not messages:
            continue
        reached("read")
        producer.begin()
        reached("begun")
        for _, partition, _, value in messages:
            producer.send(output, f"{value}!", partition)
        reached("sent")
        producer.flush()
        reached("flushed")
        producer.send_offsets({(topic, partition): offset + 1 for _, partition, offset, _ in messages}, reader)
        reached("offsets")
        if point == "committing" and transactions + 1 >= int(count):
            threading.Thread(target=kill_later).start()
        producer.commit()
        reached("committed")
        transactions += 1
        report("transaction", number=transactions)


def run(client):
    """Runs the cases, or the loop in a child process."""
    role = role_of_this_process()
    if role:
        loop(client, *role[1])
    else:
        cases_of(client)
        run_cases()
