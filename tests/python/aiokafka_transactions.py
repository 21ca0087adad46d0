"""aiokafka: transactions, driven from a thread beside its event loop."""

import asyncio
import inspect
import sys
import threading

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition, errors
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import transaction_cases
from suite import unique, wait_until

HAS_STATIC_MEMBERS = "group_instance_id" in inspect.signature(AIOKafkaConsumer).parameters
# Without them, each restart waits until the killed member's session has timed out.
KILLS_PER_POINT = 2 if HAS_STATIC_MEMBERS else 1
COMMITS_HANG = False

LOOP = asyncio.new_event_loop()
threading.Thread(target=LOOP.run_forever, daemon=True).start()


def wait(coroutine, seconds=40):
    """Runs a coroutine on the loop and returns its result."""
    return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, seconds), LOOP).result()


def is_fencing(error):
    return isinstance(error, errors.ProducerFenced)


def create_topic(bootstrap, name, partitions=1):
    topic = unique(name)

    async def create():
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(topic, partitions, 1)])
        while topic not in await admin.list_topics():
            await asyncio.sleep(0.02)
        await admin.close()

    wait(create())
    return topic


class Producer:
    def __init__(self, bootstrap, transactional_id=None, timeout_ms=60_000):
        settings = {"bootstrap_servers": bootstrap}
        if transactional_id:
            settings |= {"transactional_id": transactional_id, "transaction_timeout_ms": timeout_ms}
        self.sent = []

        async def start():
            self.producer = AIOKafkaProducer(**settings)
            await self.producer.start()

        wait(start())

    def begin(self):
        self.sent = []
        wait(self.producer.begin_transaction())

    def send(self, topic, value, partition):
        self.sent.append(wait(self.producer.send(topic, value.encode(), partition=partition)))

    def flush(self):
        wait(self.producer.flush())
        wait(asyncio.wait_for(self.all_sent(), 30))

    async def all_sent(self):
        for future in self.sent:
            await future

    def send_offsets(self, offsets, reader):
        places = {TopicPartition(*place): offset for place, offset in offsets.items()}
        wait(self.producer.send_offsets_to_transaction(places, reader.group))

    def commit(self):
        wait(self.producer.commit_transaction())

    def abort(self):
        wait(self.producer.abort_transaction())

    def close(self):
        wait(self.producer.stop())


class Reader:
    def __init__(self, bootstrap, topics, group=None, committed=True, instance=None):
        settings = {
            "bootstrap_servers": bootstrap,
            "group_id": group,
            "isolation_level": "read_committed" if committed else "read_uncommitted",
            "enable_auto_commit": False,
            "auto_offset_reset": "earliest",
            "session_timeout_ms": 6000,
            "heartbeat_interval_ms": 1000,
        }
        if instance and HAS_STATIC_MEMBERS:
            settings["group_instance_id"] = instance
        self.group = group

        async def start():
            self.consumer = AIOKafkaConsumer(*topics, **settings)
            await self.consumer.start()

        wait(start())
        wait_until(self.consumer.assignment, "partitions are assigned", 30)

    def read(self, seconds, limit=100):
        batches = wait(self.consumer.getmany(timeout_ms=int(seconds * 1000), max_records=limit)).values()
        return [(m.topic, m.partition, m.offset, m.value.decode()) for batch in batches for m in batch]

    def committed_offsets(self, places):
        found = {place: wait(self.consumer.committed(TopicPartition(*place))) for place in places}
        return {place: offset for place, offset in found.items() if offset is not None}

    def close(self):
        wait(self.consumer.stop())


if __name__ == "__main__":
    transaction_cases.run(sys.modules[__name__])
