"""The fraud detection exercise, end to end: transactions, features over an hour and a day, scores, alerts, lag.

Four processes, as in the exercise: this one produces transactions at a constant rate and measures the lag, one computes
features, one scores them with a stored model and sends alerts for fraud, one receives the alerts. The latency of a
transaction is the time from its creation until its score is read.

    python fraud_detection.py localhost:9092 [CASE...]
"""

import glob
import json
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict, deque

import joblib

import confluent_helpers
import kafka_python_helpers
from confluent_kafka import ConsumerGroupTopicPartitions, Consumer, Producer, TopicPartition
from fraud_model import FraudModel
from kafka import KafkaConsumer, KafkaProducer
from suite import Child, case, check, equal, report, role_of_this_process, run_cases, unique, wait_until

RATE = 1080  # transactions per second; the exercise requires a thousand
SECONDS = 5
LATENCY_MS = 100  # at the 99th percentile
LAG = 2000  # of any group: about two seconds
USERS = 200
ATTEMPTS = 3  # because another program on the same machine may slow one down

# If the pipeline's processes together wait for a CPU for more than this share of the time, the machine is too busy with
# other programs for a meaningful latency. All processes together need less than one CPU.
BUSY_SHARE = 0.25


class Confluent:
    """The pipeline's producer and consumer, with confluent-kafka."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producer = Producer(
            {"bootstrap.servers": bootstrap, "linger.ms": 1, "acks": "all", "compression.type": "lz4"}
        )

    def send(self, topic, key, value):
        confluent_helpers.produce(self.producer, topic=topic, key=key, value=value)
        self.producer.poll(0)

    def flush(self):
        equal(self.producer.flush(20), 0, "messages left in the producer")

    def subscribe(self, topic, group):
        self.consumer = Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "auto.offset.reset": "earliest",
                "auto.commit.interval.ms": 200,
            }
        )
        self.consumer.subscribe([topic])

    def values(self):
        """Returns the available messages as bytes, perhaps none."""
        first = self.consumer.poll(0.2)
        messages = [first, *self.consumer.consume(num_messages=500, timeout=0)] if first is not None else []
        return [message.value() for message in messages if not message.error()]


class KafkaPython:
    """The same with kafka-python."""

    def __init__(self, bootstrap):
        self.bootstrap = bootstrap
        self.producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=10, acks="all")

    def send(self, topic, key, value):
        self.producer.send(topic, key=key, value=value)

    def flush(self):
        self.producer.flush(20)

    def subscribe(self, topic, group):
        self.consumer = KafkaConsumer(
            topic,
            bootstrap_servers=self.bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=200,
        )

    def values(self):
        return [
            message.value
            for batch in self.consumer.poll(timeout_ms=kafka_python_helpers.POLL_MS).values()
            for message in batch
        ]


CLIENTS = {"confluent": Confluent, "kafka-python": KafkaPython}


class Rolling:
    """Count and sum of a user's payments within the last `span` seconds of event time, updated in constant time."""

    def __init__(self, span):
        self.span, self.payments, self.sum = span, deque(), 0.0

    def add(self, at, amount):
        self.payments.append((at, amount))
        self.sum += amount
        while self.payments[0][0] < at - self.span:
            self.sum -= self.payments.popleft()[1]
        return len(self.payments), self.sum


class Features:
    """The model's features of each transaction."""

    def __init__(self):
        self.hour = defaultdict(lambda: Rolling(3600))
        self.day = defaultdict(lambda: Rolling(24 * 3600))

    def of(self, transaction):
        user, at, amount = transaction["user_id"], transaction["at"], transaction["amount"]
        count_1h, sum_1h = self.hour[user].add(at, amount)
        count_24h, sum_24h = self.day[user].add(at, amount)
        return [count_1h, sum_1h / count_1h, count_24h, sum_24h / count_24h, count_1h / count_24h]


def features_role(bootstrap, client, name):
    """Consumes transactions and produces them with their features."""
    link, features = CLIENTS[client](bootstrap), Features()
    link.subscribe(f"{name}.transactions", f"{name}.features")
    while True:
        for value in link.values():
            transaction = json.loads(value)
            transaction["features"] = features.of(transaction)
            link.send(f"{name}.features", transaction["user_id"].encode(), json.dumps(transaction).encode())


def scores_role(bootstrap, client, name, model_path):
    """Consumes features and produces scores, and an alert for each transaction that the model classifies as fraud."""
    link, model = CLIENTS[client](bootstrap), joblib.load(model_path)
    link.subscribe(f"{name}.features", f"{name}.scores")
    while True:
        for value in link.values():
            transaction = json.loads(value)
            probability = model.predict_proba([transaction["features"]])[0][1]
            score = {"id": transaction["id"], "made": transaction["made"], "fraud": probability}
            key = transaction["user_id"].encode()
            link.send(f"{name}.scores", key, json.dumps(score).encode())
            if probability > 0.5:
                link.send(f"{name}.alerts", key, json.dumps({**score, "user_id": transaction["user_id"]}).encode())


def sink_role(bootstrap, client, name, count):
    """Reads every score, and reports the latencies after the last one."""
    link, scores = CLIENTS[client](bootstrap), {}
    link.subscribe(f"{name}.scores", f"{name}.sink")
    while len(scores) < int(count):
        for value in link.values():
            score = json.loads(value)
            check(score["id"] not in scores, "a transaction is scored once")
            scores[score["id"]] = ((time.time() - score["made"]) * 1000, score["fraud"] > 0.5)
    report("all", latencies=[scores[n][0] for n in sorted(scores)], fraud=[n for n in sorted(scores) if scores[n][1]])
    while True:  # until its last offset is committed
        check(link.values() == [], "nothing comes after the last")


def seconds_waiting_for_cpu(pids):
    """Returns the seconds that threads of these processes waited for a CPU; 0 if the system does not report it."""
    waited = 0
    for pid in pids:
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path) as file:
                waited += int(file.read().split()[1])
    return waited / 1e9


def transactions(count):
    """Returns a day of payments without creation times: every hundredth is one of a series of large fraudulent ones."""
    made = []
    for n in range(count):
        thief = n % 100 >= 95
        user = "thief" if thief else f"user_{n * 7 % USERS}"
        amount = 500.0 + n % 100 if thief else 5.0 + n % 40
        made.append({"id": n, "user_id": user, "amount": amount, "at": 1_764_000_000 + n * 86_400 / count * 1.5})
    return made


def watch_lag(bootstrap, name, stop, seen):
    """Records the lag of each group with the admin client, four times per second."""
    admin = confluent_helpers.admin_client(bootstrap)
    reader = confluent_helpers.consumer(bootstrap)
    stages = {"features": "transactions", "scores": "features", "sink": "scores"}
    while not stop.wait(0.25):
        for group, topic in stages.items():
            request = ConsumerGroupTopicPartitions(f"{name}.{group}")
            answer = admin.list_consumer_group_offsets([request])[f"{name}.{group}"].result(10)
            done = sum(max(place.offset, 0) for place in answer.topic_partitions)
            places = [TopicPartition(f"{name}.{topic}", index) for index in range(3)]
            ends = sum(reader.get_watermark_offsets(place, timeout=10)[1] for place in places)
            seen.append((group, ends - done))
    reader.close()


def create_topics(bootstrap, name):
    admin = confluent_helpers.admin_client(bootstrap)
    for topic in ("transactions", "features", "scores", "alerts"):
        admin.create_topics([confluent_helpers.NewTopic(f"{name}.{topic}", 3, 1)])[f"{name}.{topic}"].result(10)
        wait_until(lambda: len(confluent_helpers.partitions_of(admin, f"{name}.{topic}")) == 3, "three partitions")
        confluent_helpers.wait_until_served(bootstrap, f"{name}.{topic}", 3)


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def run_pipeline(bootstrap, client):
    """Runs once. Returns rate, latencies in ms, the largest lag, and the share of the time that the processes waited
    for a CPU; fails if a score or an alert is wrong."""
    name, warm_up = unique(f"fraud-{client}"), RATE
    sent = transactions(warm_up + RATE * SECONDS)
    create_topics(bootstrap, name)
    stop, lags = threading.Event(), []
    with tempfile.TemporaryDirectory() as folder:
        model_path = os.path.join(folder, "fraud_detector.pkl")
        joblib.dump(FraudModel(), model_path)
        sink = Child("sink", client, name, len(sent))
        stages = [sink, Child("features", client, name), Child("scores", client, name, model_path)]
        admin = confluent_helpers.admin_client(bootstrap)
        for group in ("features", "scores", "sink"):
            wait_until(lambda: members(admin, f"{name}.{group}") == 1, f"{group} has joined", 20)
        watcher = threading.Thread(target=watch_lag, args=(bootstrap, name, stop, lags))
        watcher.start()
        link = CLIENTS[client](bootstrap)
        send_at_rate(link, f"{name}.transactions", sent[:warm_up])
        pids = [os.getpid(), *(child.process.pid for child in stages)]
        begun, waited = time.monotonic(), seconds_waiting_for_cpu(pids)
        rate = send_at_rate(link, f"{name}.transactions", sent[warm_up:])
        link.flush()
        told = sink.wait_for("all", seconds=30)
        waiting = (seconds_waiting_for_cpu(pids) - waited) / (time.monotonic() - begun)
        wait_until(lambda: [lag for _, lag in lags[-3:]] == [0, 0, 0], "no lag is left", 15)
        stop.set()
        watcher.join()
    features, model = Features(), FraudModel()
    expected = [t["id"] for t in sent if model.predict([features.of(t)])[0]]
    equal(told["fraud"], expected, "transactions scored as fraud")
    check(0 < len(expected) < len(sent) / 5, "some are fraud, and not too many")
    alerts = [json.loads(message.value())["id"] for message in confluent_helpers.read_all(bootstrap, f"{name}.alerts")]
    equal(sorted(alerts), expected, "alerts")
    return rate, told["latencies"][warm_up:], max(lag for _, lag in lags), waiting


def send_at_rate(link, topic, batch):
    """Sends six transactions every 5 ms; returns the achieved rate."""
    begun = time.monotonic()
    for n, transaction in enumerate(batch):
        if n % 6 == 0:
            time.sleep(max(0.0, begun + n / RATE - time.monotonic()))
        transaction["made"] = time.time()
        link.send(topic, transaction["user_id"].encode(), json.dumps(transaction).encode())
    return len(batch) / (time.monotonic() - begun)


def members(admin, group):
    return len(admin.describe_consumer_groups([group])[group].result(10).members)


def detect(bootstrap, client):
    """Runs until one run is fast enough. Latency is not checked if the machine was too busy in every run; scores are
    always checked."""
    judged = False
    for _ in range(ATTEMPTS):
        rate, latencies, lag, waiting = run_pipeline(bootstrap, client)
        Child.kill_all()
        p50, p99 = percentile(latencies, 0.5), percentile(latencies, 0.99)
        print(
            f"       {client}: {rate:.0f} transactions/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, largest lag {lag};"
            f" its processes waited for a processor {waiting:.0%} of the time",
            flush=True,
        )
        if rate >= 1000 and p99 < LATENCY_MS and lag < LAG:
            return
        judged = judged or waiting < BUSY_SHARE
    check(not judged, f"{client}: a run with 1,000/s, p99 below {LATENCY_MS} ms and lag below {LAG}")
    print("       latency is not judged: the machine is busy with other things", flush=True)


@case(seconds=150)
def by_confluent_kafka(bootstrap):
    """At least 1,000 transactions per second, scored within 100 ms at the 99th percentile, none lost or duplicated."""
    detect(bootstrap, "confluent")


@case(seconds=150)
def by_kafka_python(bootstrap):
    """The same with the client that the exercise uses."""
    detect(bootstrap, "kafka-python")


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        {"features": features_role, "scores": scores_role, "sink": sink_role}[role[0]](sys.argv[1], *role[1])
    else:
        run_cases()
