"""Pipelines with kafka-python: features from events, a model's predictions from features, metrics."""

import json
import os
import sys
import tempfile
import time
from collections import defaultdict, deque
from datetime import datetime, timedelta, timezone

import joblib
from kafka import KafkaConsumer, KafkaProducer
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from fraud_model import FraudModel
from kafka_python_helpers import create_topic, poll_some, read_all
from suite import Child, case, check, equal, now_ms, report, role_of_this_process, run_cases, unique, wait_until


def json_consumer(bootstrap, topic, group):
    return KafkaConsumer(
        topic,
        bootstrap_servers=[bootstrap],
        group_id=group,
        auto_offset_reset="earliest",
        value_deserializer=lambda data: json.loads(data.decode("utf-8")),
    )


def json_producer(bootstrap):
    return KafkaProducer(
        bootstrap_servers=[bootstrap],
        key_serializer=str.encode,
        value_serializer=lambda value: json.dumps(value).encode("utf-8"),
    )


def features_of(history, event):
    """Returns counts and averages over the last hour and day, including the event."""
    at = datetime.fromisoformat(event["timestamp"])
    history.append((at, event["amount"]))
    hour = [amount for when, amount in history if when >= at - timedelta(hours=1)]
    day = [amount for when, amount in history if when >= at - timedelta(hours=24)]
    return {
        "user_id": event["user_id"],
        "timestamp": event["timestamp"],
        "event_count_1h": len(hour),
        "avg_amount_1h": sum(hour) / len(hour),
        "event_count_24h": len(day),
        "avg_amount_24h": sum(day) / len(day),
        "velocity": len(hour) / len(day),
    }


def engineer(bootstrap, source, target):
    """Role: consumes events and produces features, keyed by user."""
    histories = defaultdict(lambda: deque(maxlen=100))
    producer = json_producer(bootstrap)
    for message in json_consumer(bootstrap, source, "feature-engineer"):
        features = features_of(histories[message.value["user_id"]], message.value)
        producer.send(target, key=features["user_id"], value=features)


def server(bootstrap, source, target, model_path):
    """Role: consumes features and produces predictions of the stored model, keyed by user."""
    model = joblib.load(model_path)
    producer = json_producer(bootstrap)
    for message in json_consumer(bootstrap, source, "model-server"):
        features = message.value
        row = [features[name] for name in FraudModel.FEATURES]
        result = {
            "user_id": features["user_id"],
            "prediction": int(model.predict([row])[0]),
            "probability": float(model.predict_proba([row])[0][1]),
            "model_version": "1.0.0",
        }
        producer.send(target, key=features["user_id"], value=result)


@case(seconds=60)
def events_to_features_to_predictions(bootstrap):
    """Two processes in sequence. Every event results in features with exact windows of an hour and a day, and these in
    the model's prediction, all in order for each user."""
    events = create_topic(bootstrap, "user-events", partitions=3)
    features = create_topic(bootstrap, "realtime-features", partitions=3)
    predictions = create_topic(bootstrap, "model-predictions", partitions=3)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fraud_detector.pkl")
        joblib.dump(FraudModel(), path)
        Child("engineer", events, features)
        Child("server", features, predictions, path)
        begin = datetime(2026, 1, 29, 10, 0, tzinfo=timezone.utc)
        sent = [
            {
                "user_id": f"user_{n % 4}",
                "amount": float(n % 9) + (900 if n > 110 else 0),
                "timestamp": (begin + timedelta(minutes=20 * n)).isoformat(),
            }
            for n in range(120)
        ]
        producer = json_producer(bootstrap)
        for event in sent:
            producer.send(events, key=event["user_id"], value=event)
        producer.close()
        reader = json_consumer(bootstrap, predictions, unique("watcher"))
        found = defaultdict(list)
        for message in poll_some(reader, 120, seconds=30):
            equal(message.key.decode(), message.value["user_id"])
            found[message.value["user_id"]].append(message.value)
        reader.close()

    histories, model, expected, expected_features = (
        defaultdict(deque),
        FraudModel(),
        defaultdict(list),
        defaultdict(list),
    )
    for event in sent:
        row = features_of(histories[event["user_id"]], event)
        expected_features[event["user_id"]].append(row)
        expected[event["user_id"]].append(model.predict([[row[name] for name in FraudModel.FEATURES]])[0])
    equal({user: [one["prediction"] for one in rows] for user, rows in found.items()}, dict(expected), "predictions")
    check(any(sum(rows) for rows in expected.values()), "some transactions are fraudulent")
    rows = defaultdict(list)
    for record in read_all(bootstrap, features):
        rows[record.key.decode()].append(json.loads(record.value))
    equal(dict(rows), dict(expected_features), "features")


@case
def rolling_features_of_users(bootstrap):
    """A consumer updates count, sum and last time for each user and commits after each message; metrics count too."""
    topic, group = create_topic(bootstrap, "user-events"), unique("feature-processor-group")
    producer = json_producer(bootstrap)
    for n in range(60):
        event = {"user_id": f"user_{n % 3}", "amount": n * 1.5, "timestamp": time.time()}
        producer.send(topic, key=event["user_id"], value=event)
    producer.close()
    registry = CollectorRegistry()
    processed = Counter("messages_processed", "Messages", ["topic", "consumer_group"], registry=registry)
    latency = Histogram("message_processing_seconds", "Latency", ["topic"], registry=registry)
    reader = json_consumer(bootstrap, topic, group)
    cache = defaultdict(lambda: {"count": 0, "sum": 0.0, "last": 0.0})
    for message in poll_some(reader, 60):
        started = time.time()
        user = cache[message.value["user_id"]]
        user["count"] += 1
        user["sum"] += message.value["amount"]
        user["last"] = message.value["timestamp"]
        check(0 <= time.time() - user["last"] < 30, "the event is recent")
        processed.labels(topic=message.topic, consumer_group=group).inc()
        latency.labels(topic=message.topic).observe(time.time() - started)
    reader.commit()
    reader.close()
    equal(
        {name: (user["count"], user["sum"]) for name, user in cache.items()},
        {f"user_{u}": (20, sum(n * 1.5 for n in range(u, 60, 3))) for u in range(3)},
    )
    exposed = generate_latest(registry).decode()
    check(f'messages_processed_total{{consumer_group="{group}",topic="{topic}"}} 60.0' in exposed, exposed)


@case
def detection_within_a_second(bootstrap):
    """A transaction is classified less than a second after its creation by a consumer that iterates over messages."""
    topic = create_topic(bootstrap, "transactions")
    watcher = Child("watcher", topic)
    producer = json_producer(bootstrap)
    producer.send(topic, key="u", value={"amount": 0})
    watcher.wait_for("ready")
    for n in range(20):
        producer.send(topic, key="u", value={"amount": 10_000 if n % 5 == 0 else 10, "made": now_ms(), "n": n})
        producer.flush()
    alerts = wait_until(lambda: len(watcher.all("alert")) == 4 and watcher.all("alert"), "four alerts")
    equal([alert["n"] for alert in alerts], [0, 5, 10, 15])
    check(all(alert["after_ms"] < 1000 for alert in alerts), f"none takes a second: {alerts}")
    producer.close()


def watch(bootstrap, topic):
    """Role: reports suspicious transactions, and the time since their creation."""
    for message in json_consumer(bootstrap, topic, unique("fraud-detection")):
        if message.value["amount"] == 0:
            report("ready")
        if message.value["amount"] > 5000:
            report("alert", n=message.value["n"], after_ms=now_ms() - message.value["made"])


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        {"engineer": engineer, "server": server, "watcher": watch}[role[0]](sys.argv[1], *role[1])
    else:
        run_cases()
