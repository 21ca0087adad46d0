"""From `import ottla` to a consumed record with aiokafka, in one new interpreter. Prints the times of the parts in ms as JSON."""

import time

began = time.perf_counter()
marks = []


def mark(name):
    marks.append((name, time.perf_counter()))


import ottla  # noqa: E402

mark("import ottla")
broker = ottla.Broker()
broker.start()
mark("start the broker")

import asyncio  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402

logging.disable(logging.WARNING)
mark("import asyncio")

import aiokafka  # noqa: E402

mark("import aiokafka")


async def produce_and_consume():
    servers = broker.bootstrap_servers
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=servers)
    await producer.start()
    await producer.send_and_wait("orders", b"a book")
    mark("produce")
    consumer = aiokafka.AIOKafkaConsumer("orders", bootstrap_servers=servers, auto_offset_reset="earliest")
    await consumer.start()
    record = await consumer.getone()
    mark("consume")
    assert record.value == b"a book"
    await consumer.stop()
    await producer.stop()


asyncio.run(produce_and_consume())
broker.stop()
parts, last = {}, began
for name, moment in marks:
    parts[name] = (moment - last) * 1000
    last = moment
parts["all"] = (last - began) * 1000
print(json.dumps(parts))
