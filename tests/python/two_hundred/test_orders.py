"""Two hundred small tests with a producer and a consumer of a group: `pytest -n 4`.

Each uses names of its own, so that they also run on a broker without resets, to compare with.
"""

import pytest
from confluent_kafka import Consumer, Producer


@pytest.mark.parametrize("order", range(200))
def test_order_arrives(ottla, order):
    topic, value = f"orders-{order}", f"order {order}".encode()
    producer = Producer({"bootstrap.servers": ottla.bootstrap_servers})
    producer.produce(topic, value)
    assert producer.flush(30) == 0
    consumer = Consumer(
        {"bootstrap.servers": ottla.bootstrap_servers, "group.id": topic, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None and message.error() is None and message.value() == value
