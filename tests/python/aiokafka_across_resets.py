"""aiokafka consumers that stay open across resets, as a suite with one consumer for all tests has them.

Wants the admin port of the broker, and its topic `orders`:

    python aiokafka_across_resets.py localhost:9092 --admin=http://localhost:9644

aiokafka sends no leader epoch with its fetches (`current_leader_epoch` is -1 in `consumer/fetcher.py`), fetches nothing
for a partition while records of it wait to be taken, and commits its positions without a member id before it joins a
group anew (`_maybe_do_last_autocommit` in `consumer/group_coordinator.py`). So nothing tells it that the topic is
another one, and docs/testing.md says what a fixture does.
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


async def kept_open(bootstrap, group):
    """Ten tests with one consumer: each finds what was sent in it, and nothing else."""
    reset()
    async with consumer(bootstrap, group) as reader:
        for test in range(10):
            equal(await send(bootstrap, b"sent in test %d" % test), 0)
            equal(await next_record(reader), (0, b"sent in test %d" % test))
            reset()
            await reader.seek_to_beginning()
        # Beyond the heartbeat by which a member learns that it has to join anew.
        await asyncio.sleep(3.5 if group else 0)
        await send(bootstrap, b"the last")
        equal(await next_record(reader), (0, b"the last"))


@async_case
async def kept_open_without_a_group(bootstrap):
    await kept_open(bootstrap, None)


@async_case
async def kept_open_in_a_group(bootstrap):
    await kept_open(bootstrap, unique("readers"))


@async_case
async def opened_anew_in_the_same_group(bootstrap):
    for test in range(3):
        reset()
        await send(bootstrap, b"sent in test %d" % test)
        async with consumer(bootstrap, "the same group") as reader:
            equal(await next_record(reader), (0, b"sent in test %d" % test))


@async_case
async def kept_open_with_its_old_position(bootstrap):
    """Why a fixture has to seek: the position is one that the new topic has, too."""
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
