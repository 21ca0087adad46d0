"""aiokafka: the same guarantees for asyncio programs. Faust uses this client."""

import asyncio
import functools
import json
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import MessageSizeTooLargeError, TopicAlreadyExistsError, for_code

from suite import (
    YESTERDAY_MS,
    Child,
    case,
    check,
    equal,
    now_ms,
    report,
    role_of_this_process,
    run_cases,
    unique,
    wait_until,
)

CODECS = [None, "gzip", "snappy", "lz4", "zstd"]
BEGIN = YESTERDAY_MS


def async_case(function=None, **options):
    """A case that is a coroutine."""

    def register(function):
        @functools.wraps(function)
        def run(bootstrap):
            asyncio.run(function(bootstrap))

        return case(run, **options)

    return register(function) if function else register


async def create_topic(bootstrap, name, partitions=1, settings=None):
    topic = unique(name)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    created = await admin.create_topics([NewTopic(topic, partitions, 1, topic_configs=settings or {})])
    for name, code, *_ in created.topic_errors:
        equal((name, code), (topic, 0))
    while topic not in await admin.list_topics():
        await asyncio.sleep(0.02)
    await admin.close()
    return topic


async def produce_all(bootstrap, topic, messages, **settings):
    """Sends keyword arguments of AIOKafkaProducer.send, one dict for each message; returns their metadata in order."""
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, **settings) as producer:
        waiting = [await producer.send(topic, **message) for message in messages]
        return [await one for one in waiting]


def consumer(bootstrap, *topics, **settings):
    defaults = {"auto_offset_reset": "earliest", "enable_auto_commit": False}
    return AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap, **{**defaults, **settings})


async def take(reader, count):
    return [await asyncio.wait_for(reader.getone(), 15) for _ in range(count)]


async def read_all(bootstrap, topic):
    """Everything in partition 0."""
    reader = consumer(bootstrap)
    await reader.start()
    place = TopicPartition(topic, 0)
    begin, end = (await reader.beginning_offsets([place]))[place], (await reader.end_offsets([place]))[place]
    reader.assign([place])
    messages = await take(reader, end - begin)
    await reader.stop()
    return messages


@async_case
async def events_confirmed(bootstrap):
    """send_and_wait returns topic, partition, offset and timestamp; keys, values and headers are read unchanged."""
    topic = unique("user-events")
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        key_serializer=str.encode,
        value_serializer=lambda value: json.dumps(value).encode(),
    ) as producer:
        for n in range(5):
            place = await producer.send_and_wait(
                topic, {"n": n}, key=f"user_{n}", headers=[("source", b"test")], timestamp_ms=BEGIN + n
            )
            equal((place.topic, place.partition, place.offset, place.timestamp), (topic, 0, n, BEGIN + n))
    messages = await read_all(bootstrap, topic)
    equal([json.loads(message.value) for message in messages], [{"n": n} for n in range(5)])
    equal([message.key for message in messages], [b"user_%d" % n for n in range(5)])
    equal([message.headers for message in messages], [(("source", b"test"),)] * 5)
    equal([message.timestamp for message in messages], [BEGIN + n for n in range(5)])


@async_case
async def every_codec(bootstrap):
    """With each codec the same messages are read in the same order."""
    values = [f"message {n} ".encode() * (n % 40) for n in range(400)]
    for codec in CODECS:
        topic = unique(f"compressed-{codec}")
        messages = [{"value": value, "key": b"k%d" % n} for n, value in enumerate(values)]
        places = await produce_all(bootstrap, topic, messages, compression_type=codec, linger_ms=10)
        equal([place.offset for place in places], list(range(400)), f"{codec} places")
        found = await read_all(bootstrap, topic)
        equal([message.value for message in found], values, f"{codec} value")
        equal([message.key for message in found], [b"k%d" % n for n in range(400)], f"{codec} key")


@async_case
async def acks_and_idempotence(bootstrap):
    """acks 0, 1, all, and an idempotent producer: fifty messages each, in order."""
    for settings in ({"acks": 0}, {"acks": 1}, {"acks": "all"}, {"enable_idempotence": True}):
        topic = await create_topic(bootstrap, "acks")
        messages = [{"value": b"%d" % n} for n in range(50)]
        await produce_all(bootstrap, topic, messages, **settings)
        for _ in range(100):
            found = await read_all(bootstrap, topic)
            if len(found) == 50:
                break
        equal([message.value for message in found], [b"%d" % n for n in range(50)], str(settings))


@async_case
async def keys_select_partitions(bootstrap):
    """Twelve partitions: a key selects one of them, or the producer names one."""
    topic = await create_topic(bootstrap, "keyed", partitions=12)
    messages = [{"value": b"%d" % n, "key": b"user_%d" % (n % 20)} for n in range(200)]
    homes = {}
    for message, place in zip(messages, await produce_all(bootstrap, topic, messages)):
        equal(homes.setdefault(message["key"], place.partition), place.partition)
    check(len(set(homes.values())) > 5, "twenty keys use many partitions")
    places = await produce_all(bootstrap, topic, [{"value": b"x", "partition": n} for n in range(12)])
    equal([place.partition for place in places], list(range(12)))


@async_case
async def groups_continue_from_commits(bootstrap):
    """Manual commits with metadata, automatic ones at the end: the next consumer continues after them."""
    topic, group = await create_topic(bootstrap, "remember"), unique("group")
    await produce_all(bootstrap, topic, [{"value": b"%d" % n} for n in range(10)])
    place = TopicPartition(topic, 0)
    reader = consumer(bootstrap, topic, group_id=group)
    await reader.start()
    await take(reader, 6)
    await reader.commit({place: (4, "four are done")})
    equal(await reader.committed(place), 4)
    await reader.stop()
    reader = consumer(bootstrap, topic, group_id=group, enable_auto_commit=True, auto_commit_interval_ms=100)
    await reader.start()
    equal([message.value for message in await take(reader, 4)], [b"4", b"5", b"6", b"7"])
    while await reader.committed(place) != 8:
        await asyncio.sleep(0.02)
    await take(reader, 1)
    await reader.stop()
    reader = consumer(bootstrap, topic, group_id=group)
    await reader.start()
    equal((await take(reader, 1))[0].value, b"9")
    await reader.stop()


@async_case
async def seeks(bootstrap):
    """By time, to the beginning, to the end, to an offset; getmany's limit; a paused partition returns nothing."""
    topic = await create_topic(bootstrap, "seeks", partitions=2)
    messages = [{"value": b"%d" % n, "partition": n % 2, "timestamp_ms": BEGIN + 1000 * n} for n in range(20)]
    await produce_all(bootstrap, topic, messages)
    partitions = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    reader = consumer(bootstrap)
    await reader.start()
    reader.assign(partitions)
    found = await reader.offsets_for_times({partitions[0]: BEGIN + 8_500, partitions[1]: BEGIN + 99_000})
    equal((found[partitions[0]].offset, found[partitions[0]].timestamp), (5, BEGIN + 10_000))
    equal(found[partitions[1]], None)
    reader.seek(partitions[0], 5)
    reader.pause(partitions[1])
    equal([message.value for message in await take(reader, 5)], [b"10", b"12", b"14", b"16", b"18"])
    await reader.seek_to_end(partitions[0])
    equal(await reader.position(partitions[0]), 10)
    reader.resume(partitions[1])
    await reader.seek_to_beginning(partitions[1])
    some = await reader.getmany(timeout_ms=2000, max_records=3)
    equal([message.value for batch in some.values() for message in batch], [b"1", b"3", b"5"])
    await reader.stop()


@async_case
async def sizes(bootstrap):
    """A message over the topic's limit is refused with its own error; the producer continues."""
    topic = await create_topic(bootstrap, "small-only", settings={"max.message.bytes": "1000"})
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        try:
            await producer.send_and_wait(topic, b"x" * 5000)
            check(False, "a large message is refused")
        except MessageSizeTooLargeError:
            pass
        equal((await producer.send_and_wait(topic, b"small")).offset, 0)


@async_case
async def administration(bootstrap):
    """Topics with configs: created, described, created twice (refused), deleted; groups listed with their offsets."""
    topic = await create_topic(bootstrap, "admin", partitions=3, settings={"retention.ms": "604800000"})
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    again = await admin.create_topics([NewTopic(topic, 3, 1)])
    equal([for_code(code) for _, code, *_ in again.topic_errors], [TopicAlreadyExistsError])
    (described,) = await admin.describe_topics([topic])
    equal((described["topic"], len(described["partitions"])), (topic, 3))
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    settings = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    equal((settings["retention.ms"], settings["cleanup.policy"]), ("604800000", "delete"))
    await produce_all(bootstrap, topic, [{"value": b"x", "partition": 1}])
    group = unique("group")
    reader = consumer(bootstrap, topic, group_id=group)
    await reader.start()
    await take(reader, 1)
    await reader.commit()
    offsets = await admin.list_consumer_group_offsets(group)
    equal(offsets[TopicPartition(topic, 1)].offset, 1)
    check(group in [name for name, *_ in await admin.list_consumer_groups()], "the group is listed")
    await reader.stop()
    await admin.delete_topics([topic])
    while topic in await admin.list_topics():
        await asyncio.sleep(0.02)
    await admin.close()


def member(bootstrap, topic, group):
    """Role: a member of a group that reports its partitions and the messages that it handles."""

    class Listener(ConsumerRebalanceListener):
        async def on_partitions_revoked(self, revoked):
            pass

        async def on_partitions_assigned(self, assigned):
            report("assigned", partitions=sorted(partition.partition for partition in assigned))

    async def run():
        reader = consumer(bootstrap, group_id=group, session_timeout_ms=6000, heartbeat_interval_ms=300)
        await reader.start()
        reader.subscribe([topic], listener=Listener())
        async for message in reader:
            await reader.commit({TopicPartition(topic, message.partition): message.offset + 1})
            report("handled", value=int(message.value))

    asyncio.run(run())


@case(seconds=60)
def three_share_then_one_is_killed(bootstrap):
    """Two partitions each; after one member is killed the others have three each, and no message is missing."""
    topic, group = asyncio.run(create_topic(bootstrap, "shared", partitions=6)), unique("shared")
    members = [Child("member", topic, group) for _ in range(3)]

    def shares(of):
        return sorted((one.last("assigned") or {"partitions": []})["partitions"] for one in of)

    def send(values):
        messages = [{"value": b"%d" % value, "partition": value % 6} for value in values]
        asyncio.run(produce_all(bootstrap, topic, messages))

    def handled():
        return sorted(told["value"] for one in members for told in one.all("handled"))

    def shared_evenly(of):
        return {len(share) for share in shares(of)} == {6 // len(of)} and sorted(sum(shares(of), [])) == list(range(6))

    wait_until(lambda: shared_evenly(members), "three have two each", 20)
    send(range(60))
    wait_until(lambda: handled() == list(range(60)), "sixty are handled once", 20)
    members[0].kill()
    send(range(60, 120))
    wait_until(lambda: shared_evenly(members[1:]), "two have three each", 15)
    wait_until(lambda: handled() == list(range(120)), "all are handled once", 20)


@async_case
async def waiting_fetch_returns_new_messages(bootstrap):
    """A waiting consumer gets a new message at once, not when its fetch times out."""
    topic = await create_topic(bootstrap, "wake")
    reader = consumer(bootstrap, fetch_max_wait_ms=5000)
    await reader.start()
    reader.assign([TopicPartition(topic, 0)])
    waiting = asyncio.create_task(reader.getone())
    await asyncio.sleep(0.3)
    started = now_ms()
    await produce_all(bootstrap, topic, [{"value": b"x"}])
    equal((await asyncio.wait_for(waiting, 10)).value, b"x")
    check(now_ms() - started < 3000, "long before five seconds")
    await reader.stop()


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        member(sys.argv[1], *role[1])
    else:
        run_cases()
