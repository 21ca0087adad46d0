"""Two hundred small tests with a producer and a consumer of a group: `pytest -n 4`."""

import pytest
from confluent_kafka import Consumer, Producer


@pytest.mark.parametrize("order", range(200))
def test_order_arrives(ottla, order):
    value = f"order {order}".encode()
    producer = Producer({"bootstrap.servers": ottla.bootstrap_servers})
    producer.produce("orders", value)
    assert producer.flush(30) == 0
    consumer = Consumer(
        {"bootstrap.servers": ottla.bootstrap_servers, "group.id": "billing", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["orders"])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None and message.error() is None and message.value() == value
