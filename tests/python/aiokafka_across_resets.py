"""aiokafka consumers that stay open across resets, as in a suite with one consumer for all tests.

Needs the admin port of the broker, and its topic `orders`:

    python aiokafka_across_resets.py localhost:9092 --admin=http://localhost:9644

aiokafka sends no leader epoch with its fetches (`current_leader_epoch` is -1 in `consumer/fetcher.py`), fetches nothing
for a partition while records of it are buffered, and commits its positions without a member id before it joins a group
again (`_maybe_do_last_autocommit` in `consumer/group_coordinator.py`). So it does not notice that the topic is another
one; docs/testing.md describes what a fixture must do.
"""

import asyncio
import functools
import sys
import urllib.request

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from suite import case, equal, run_cases, unique

TOPIC = "orders"
ADMIN = next((argument.removeprefix("--admin=") for argument in sys.argv if argument.startswith("--admin=")), None)


def async_case(function):
    @functools.wraps(function)
    def run(bootstrap):
        asyncio.run(function(bootstrap))

    return case(run, beyond_kafka=True)


def reset():
    request = urllib.request.Request(f"{ADMIN}/reset", method="POST", headers={"X-Ottla-Admin": "1"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        equal(answer.status, 200)


async def send(bootstrap, value):
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        return (await producer.send_and_wait(TOPIC, value, partition=0)).offset


def consumer(bootstrap, group):
    return AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, group_id=group, auto_offset_reset="earliest")


async def next_record(reader):
    record = await asyncio.wait_for(reader.getone(), 10)
    return record.offset, record.value


async def check_open_consumer(bootstrap, group):
    """Ten tests with one consumer: each reads its own records, and no others."""
    reset()
    async with consumer(bootstrap, group) as reader:
        for test in range(10):
            equal(await send(bootstrap, b"sent in test %d" % test), 0)
            equal(await next_record(reader), (0, b"sent in test %d" % test))
            reset()
            await reader.seek_to_beginning()
        # Longer than the heartbeat interval, after which a member knows that it must join again.
        await asyncio.sleep(3.5 if group else 0)
        await send(bootstrap, b"the last")
        equal(await next_record(reader), (0, b"the last"))


@async_case
async def open_consumer_without_group(bootstrap):
    await check_open_consumer(bootstrap, None)


@async_case
async def open_consumer_in_group(bootstrap):
    await check_open_consumer(bootstrap, unique("readers"))


@async_case
async def new_consumer_in_same_group(bootstrap):
    for test in range(3):
        reset()
        await send(bootstrap, b"sent in test %d" % test)
        async with consumer(bootstrap, "the same group") as reader:
            equal(await next_record(reader), (0, b"sent in test %d" % test))


@async_case
async def open_consumer_keeps_its_position(bootstrap):
    """Why a fixture must seek: the old position is also valid in the new topic."""
    reset()
    async with consumer(bootstrap, None) as reader:
        await send(bootstrap, b"before")
        equal(await next_record(reader), (0, b"before"))
        reset()
        equal(await send(bootstrap, b"missed"), 0)
        equal(await send(bootstrap, b"found"), 1)
        equal(await reader.position(TopicPartition(TOPIC, 0)), 1)
        equal(await next_record(reader), (1, b"found"))


if __name__ == "__main__":
    if ADMIN is None:
        sys.exit("which admin port? --admin=http://localhost:9644")
    run_cases()
