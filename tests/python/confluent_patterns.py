"""Processing patterns with confluent-kafka: consume, transform, produce; totals by time window."""

import json
import signal
import sys
from collections import defaultdict
from datetime import datetime, timezone

from confluent_kafka import Producer, TopicPartition

from confluent_helpers import consumer, create_topic, produce, produce_all, read_all, take
from suite import Child, case, check, equal, report, role_of_this_process, run_cases, unique, wait_until


def shipment_for(order):
    """Returns the shipment for an order; a cancelled order has none."""
    if order["status"] == "cancelled":
        return None
    return {"shipment_id": f"ship-{order['order_id']}", "order_id": order["order_id"], "status": "pending"}


def processor(bootstrap, source, target, group):
    """Produces the result of each message with the same key; commits the offset after the delivery."""
    running = True

    def stop(signum, frame):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    reader = consumer(bootstrap, group, session_timeout_ms=6000)
    producer = Producer({"bootstrap.servers": bootstrap})
    reader.subscribe([source])
    while running:
        message = reader.poll(timeout=0.2)
        if message is None or message.error():
            continue
        shipment = shipment_for(json.loads(message.value().decode("utf-8")))
        if shipment:
            producer.produce(topic=target, key=message.key(), value=json.dumps(shipment).encode("utf-8"))
            producer.flush(10)
        reader.commit(message, asynchronous=False)
        report("forwarded", order=message.key().decode())
    producer.flush(10)
    reader.close()


def send_orders(bootstrap, topic, numbers):
    orders = [{"order_id": f"o{n}", "status": "cancelled" if n % 5 == 4 else "paid"} for n in numbers]
    produce_all(bootstrap, topic, [{"key": order["order_id"], "value": json.dumps(order)} for order in orders])


@case(seconds=60)
def orders_become_shipments(bootstrap):
    """Every order that is not cancelled results in one shipment with its key, in the same order. The processor is
    stopped half way and started again; then it is killed: no shipment is missing, and at most one order, the one
    being processed, results in a second shipment."""
    orders, shipments, group = create_topic(bootstrap, "orders"), create_topic(bootstrap, "shipments"), unique("p")
    send_orders(bootstrap, orders, range(50))
    first = Child("processor", orders, shipments, group)
    wait_until(lambda: len(first.all("forwarded")) == 50, "fifty orders are processed", 20)
    first.terminate()
    first.wait()
    expected = [f"ship-o{n}" for n in range(50) if n % 5 != 4]
    found = read_all(bootstrap, shipments)
    equal([json.loads(message.value())["shipment_id"] for message in found], expected)
    equal([message.key().decode() for message in found], [name[len("ship-") :] for name in expected])

    send_orders(bootstrap, orders, range(50, 550))
    second = Child("processor", orders, shipments, group)
    wait_until(lambda: len(second.all("forwarded")) >= 10, "ten more are processed", 20)
    second.kill()
    Child("processor", orders, shipments, group)
    watcher = consumer(bootstrap, group)
    place = TopicPartition(orders, 0)
    wait_until(lambda: watcher.committed([place], timeout=10)[0].offset == 550, "all are processed", 30)
    watcher.close()
    expected += [f"ship-o{n}" for n in range(50, 550) if n % 5 != 4]
    found = [json.loads(message.value())["shipment_id"] for message in read_all(bootstrap, shipments)]
    equal(sorted(set(found)), sorted(expected))
    check(len(found) - len(expected) <= 1, "only the order in hand may be shipped twice")


class Windows:
    """Sums by key in windows of a fixed length. A window is complete after an event beyond its end."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.open = defaultdict(lambda: defaultdict(int))

    def add(self, key, amount, at):
        self.open[int(at.timestamp()) // self.seconds * self.seconds][key] += amount

    def complete(self, until):
        done = sorted(start for start in self.open if start + self.seconds <= until.timestamp())
        return {start: dict(self.open.pop(start)) for start in done}


@case
def sales_by_minute(bootstrap):
    """Sales by category and minute, from three partitions, for a thousand sales in ten minutes of event time."""
    topic = create_topic(bootstrap, "sales", partitions=3)
    begin = 1_763_999_940  # a full minute
    sales = [
        {
            "category": ["books", "games", "tea"][n % 3],
            "amount": n % 7,
            "timestamp": datetime.fromtimestamp(begin + n * 600 // 1000, timezone.utc).isoformat(),
        }
        for n in range(1000)
    ]
    produce_all(bootstrap, topic, [{"key": sale["category"], "value": json.dumps(sale)} for sale in sales])
    expected = defaultdict(lambda: defaultdict(int))
    for n, sale in enumerate(sales):
        expected[begin + n * 600 // 1000 // 60 * 60][sale["category"]] += sale["amount"]

    windows, latest, complete = Windows(60), datetime.fromtimestamp(0, timezone.utc), {}
    reader = consumer(bootstrap, unique("sales-aggregator"))
    reader.subscribe([topic])
    for message in take(reader, 1000):
        sale = json.loads(message.value().decode("utf-8"))
        at = datetime.fromisoformat(sale["timestamp"])
        windows.add(sale["category"], sale["amount"], at)
        latest = max(latest, at)
    reader.close()
    complete = windows.complete(latest)
    equal(complete, {start: dict(sums) for start, sums in expected.items() if start != begin + 540}, "complete")
    equal(
        {start: dict(sums) for start, sums in windows.open.items()}, {begin + 540: dict(expected[begin + 540])}, "open"
    )


@case(seconds=60)
def producer_beside_consumer(bootstrap):
    """One program produces order events while another consumes them: every event arrives, in order."""
    topic, group = create_topic(bootstrap, "orders"), unique("reader")
    reader = consumer(bootstrap, group, enable_auto_commit=True)
    reader.subscribe([topic])
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    seen = []
    for n in range(500):
        produce(producer, topic=topic, value=b"%d" % n)
        producer.poll(0)
        if n % 50 == 49:
            seen += [int(message.value()) for message in take(reader, 50)]
    equal(seen, list(range(500)))
    equal(producer.flush(10), 0)
    reader.close()


if __name__ == "__main__":
    role = role_of_this_process()
    if role:
        processor(sys.argv[1], *role[1])
    else:
        run_cases()
