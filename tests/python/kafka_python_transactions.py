"""kafka-python: transactions of version 3. Version 2.0.2 has none; it reads what others wrote in transactions."""

import sys

from kafka import KafkaConsumer, KafkaProducer, TopicPartition, errors
from kafka.structs import OffsetAndMetadata

import kafka_python_helpers
import transaction_cases
from suite import case, equal, run_cases, unique, wait_until

create_topic = kafka_python_helpers.create_topic

# Version 3.0.12 forgets a request to the coordinator if its connection fails at the wrong moment (Sender.
# _maybe_send_pending_request: an exception of `await_ready` ends the loop with a target node, so nothing is retried).
COMMITS_HANG = True


def is_fencing(error):
    return isinstance(error, errors.ProducerFencedError)


class Producer:
    def __init__(self, bootstrap, transactional_id=None, timeout_ms=60_000):
        settings = {"bootstrap_servers": bootstrap}
        if transactional_id:
            settings |= {"transactional_id": transactional_id, "transaction_timeout_ms": timeout_ms}
        self.producer, self.sent = KafkaProducer(**settings), []
        if transactional_id:
            self.producer.init_transactions()

    def begin(self):
        self.sent = []
        self.producer.begin_transaction()

    def send(self, topic, value, partition):
        self.sent.append(self.producer.send(topic, value.encode(), partition=partition))

    def flush(self):
        self.producer.flush(30)
        for future in self.sent:
            future.get(1)

    def send_offsets(self, offsets, reader):
        places = {TopicPartition(*place): OffsetAndMetadata(offset, "", -1) for place, offset in offsets.items()}
        self.producer.send_offsets_to_transaction(places, reader.consumer.group_metadata())

    def commit(self):
        self.producer.commit_transaction()

    def abort(self):
        self.producer.abort_transaction()

    def close(self):
        self.producer.close(5)


class Reader:
    def __init__(self, bootstrap, topics, group=None, committed=True, instance=None):
        settings = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "session_timeout_ms": 10_000}
        if not kafka_python_helpers.IS_OLD:
            settings["isolation_level"] = "read_committed" if committed else "read_uncommitted"
        if instance:
            settings["group_instance_id"] = instance
        self.consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=group, **settings)
        self.kept = []
        if group:
            self.consumer.subscribe(topics)
            wait_until(self.joined, "the consumer has joined the group", 30)
        else:
            places = [TopicPartition(t, p) for t in topics for p in self.consumer.partitions_for_topic(t)]
            self.consumer.assign(places)
            self.consumer.seek_to_beginning(*places)

    def joined(self):
        self.kept += self.read(kafka_python_helpers.POLL_MS / 1000, 1)
        return self.consumer.assignment()

    def read(self, seconds, limit=100):
        if self.kept:
            kept, self.kept = self.kept, []
            return kept
        batches = self.consumer.poll(timeout_ms=int(seconds * 1000), max_records=limit).values()
        return [(m.topic, m.partition, m.offset, m.value.decode()) for batch in batches for m in batch]

    def committed_offsets(self, places):
        found = {place: self.consumer.committed(TopicPartition(*place)) for place in places}
        return {place: offset for place, offset in found.items() if offset is not None}

    def close(self):
        self.consumer.close()


def lesson_on_exactly_once(bootstrap):
    """Payments in transactions, some sent twice and some aborted; the lesson's consumer processes each payment once."""
    topic, processed = create_topic(bootstrap, "payments"), []
    producer = Producer(bootstrap, unique("payments"))
    for batch, end in [("012", producer.commit), ("34", producer.abort), ("123", producer.commit)]:
        producer.begin()
        for n in batch:
            producer.sent.append(producer.producer.send(topic, key=b"payment-" + n.encode(), value=n.encode()))
        end()
    producer.close()
    already_processed, process = (lambda key: key in [msg.key for msg in processed]), processed.append
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        group_id=unique("exactly-once"),
        auto_offset_reset="earliest",
        consumer_timeout_ms=6000,
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    for msg in consumer:
        # Check if already processed (idempotency key)
        if not already_processed(msg.key):
            process(msg)
            consumer.commit()
        if msg.offset == 9:  # the last one: three messages and a marker, two and a marker, three
            break
    equal([msg.value for msg in processed], [b"0", b"1", b"2", b"3"])
    consumer.close()


def old_consumer_reads_everything(bootstrap):
    """Version 2.0.2 knows neither isolation levels nor control records: it reads aborted messages, and returns markers
    as records with four bytes of key (version and type), as from Apache Kafka."""
    import confluent_transactions

    topic = create_topic(bootstrap, "mixed")
    producer = confluent_transactions.Producer(bootstrap, unique("writer"))
    for end in ("commit", "abort"):
        producer.begin()
        for n in range(3):
            producer.send(topic, f"{end}-{n}", 0)
        producer.flush()
        getattr(producer, end)()
    producer.close()
    records = kafka_python_helpers.read_all(bootstrap, topic)
    equal([r.offset for r in records], list(range(8)))
    equal([r.value.decode() for r in records if r.key is None], [f"{e}-{n}" for e in ("commit", "abort") for n in range(3)])
    equal([(r.offset, r.key) for r in records if r.key is not None], [(3, b"\0\0\0\1"), (7, b"\0\0\0\0")])


if __name__ == "__main__":
    if kafka_python_helpers.IS_OLD:
        case(old_consumer_reads_everything)
        run_cases()
    else:
        case(lesson_on_exactly_once)
        transaction_cases.run(sys.modules[__name__])
