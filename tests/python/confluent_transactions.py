"""confluent-kafka: transactions, from commit and abort to fenced producers and killed processes."""

import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer as ConfluentProducer, TopicPartition

import confluent_helpers
import transaction_cases
from suite import case, check, equal, unique, wait_until

create_topic = confluent_helpers.create_topic

COMMITS_HANG = False


def is_fencing(error):
    if not isinstance(error, KafkaException):
        return False
    reason = error.args[0]
    return reason.fatal() and reason.code() in (
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
    )


class Producer:
    def __init__(self, bootstrap, transactional_id=None, timeout_ms=60_000):
        settings = {"bootstrap.servers": bootstrap, "linger.ms": 1}
        if transactional_id:
            settings |= {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}
        self.producer, self.errors = ConfluentProducer(settings), []
        if transactional_id:
            self.producer.init_transactions(20)

    def begin(self):
        self.producer.begin_transaction()

    def send(self, topic, value, partition):
        self.producer.produce(topic, value, partition=partition, on_delivery=self.delivered)

    def delivered(self, error, _):
        if error is not None:
            self.errors.append(error)

    def flush(self):
        equal(self.producer.flush(30), 0, "messages left in the producer")
        equal(self.errors, [])

    def send_offsets(self, offsets, reader):
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
        self.producer.send_offsets_to_transaction(places, reader.consumer.consumer_group_metadata(), 20)

    def commit(self):
        self.retried(self.producer.commit_transaction)

    def abort(self):
        self.retried(self.producer.abort_transaction)

    def retried(self, end):
        """Ends the transaction; as the client's documentation says, a retriable error is answered by a second call."""
        while True:
            try:
                return end(30)
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def close(self):
        self.producer.purge()


class Reader:
    def __init__(self, bootstrap, topics, group=None, committed=True, instance=None):
        settings = {
            "bootstrap.servers": bootstrap,
            "group.id": group or unique("reader"),
            "isolation.level": "read_committed" if committed else "read_uncommitted",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "session.timeout.ms": 10_000,
        }
        if instance:
            settings["group.instance.id"] = instance
        self.consumer, self.first = Consumer(settings), []
        if group:
            self.consumer.subscribe(topics)
            wait_until(self.joined, "the consumer has joined the group", 30)
        else:
            described = self.consumer.list_topics(timeout=10).topics
            self.consumer.assign([TopicPartition(t, p, 0) for t in topics for p in described[t].partitions])

    def joined(self):
        self.first += self.read(0.1, 1)
        return self.consumer.assignment()

    def read(self, seconds, limit=100):
        """The next messages; waits for the first."""
        if self.first:
            first, self.first = self.first, []
            return first
        messages = self.consumer.consume(1, seconds)
        if messages and limit > 1:
            messages += self.consumer.consume(limit - 1, 0.02)
        for message in messages:
            check(message.error() is None, f"no error: {message.error()}")
        return [(m.topic(), m.partition(), m.offset(), m.value().decode()) for m in messages]

    def committed_offsets(self, places):
        found = self.consumer.committed([TopicPartition(*place) for place in places], timeout=20)
        return {(place.topic, place.partition): place.offset for place in found if place.offset >= 0}

    def close(self):
        self.consumer.close()


def guaranteed_alerts(bootstrap):
    """The lesson's settings for guaranteed delivery, with a transaction for each alert; the second one fails."""
    topic = create_topic(bootstrap, "fraud-alerts", 3)
    producer = ConfluentProducer(
        {
            "bootstrap.servers": bootstrap,
            "acks": "all",
            "retries": 2147483647,
            "max.in.flight.requests.per.connection": 1,
            "enable.idempotence": True,
            "transactional.id": unique("alerts"),
        }
    )
    producer.init_transactions(20)
    for number in range(3):
        producer.begin_transaction()
        producer.produce(topic=topic, key=f"user-{number}", value=f"alert {number}")
        producer.flush(timeout=10)
        producer.abort_transaction(20) if number == 1 else producer.commit_transaction(20)
    alerts = [message.value() for message in confluent_helpers.read_committed(bootstrap, topic)]
    equal(sorted(alerts), [b"alert 0", b"alert 2"])


if __name__ == "__main__":
    case(guaranteed_alerts)
    transaction_cases.run(sys.modules[__name__])
