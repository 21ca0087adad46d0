"""Carries out the orders of one partition of `orders`, each in a transaction of its own, as Mover.java does: one record
for the account that pays, one for the account that receives, and the offset behind the order.

    python bank_mover.py BOOTSTRAP PARTITION PARTITIONS_OF_TRANSFERS

Prints `moved ID` for each committed order. Ends with code 3 after an error that only a new producer can repair, so that
the caller starts it again.
"""

import os
import sys
import threading
import traceback

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

GROUP = "movers"
STUCK_AFTER = 15
START_AGAIN = 3


def main():
    bootstrap, partition, partitions = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": f"mover-{partition}",
            "transaction.timeout.ms": 5000,
            "reconnect.backoff.max.ms": 200,
            "linger.ms": 0,
        }
    )
    try:
        # Ends what the run before left open. Only then are the committed offsets stable.
        retried(lambda: producer.init_transactions(10))
        consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": GROUP,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "reconnect.backoff.max.ms": 200,
            }
        )
        consumer.assign([TopicPartition("orders", partition)])
        print("ready", flush=True)
        while True:
            order = consumer.poll(0.1)
            if order is not None and order.error() is None:
                move(producer, consumer, partitions, order)
    except KafkaException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(START_AGAIN)  # without closing the producer, which would abort


def move(producer, consumer, partitions, order):
    number, payer, receiver, amount = order.value().decode().split(" ")
    producer.begin_transaction()
    for account, change in [(payer, f"-{amount}"), (receiver, amount)]:
        producer.produce("transfers", f"{number} {change}", account, partition=int(account) % partitions)
    following = [TopicPartition("orders", order.partition(), order.offset() + 1)]
    group = consumer.consumer_group_metadata()
    # librdkafka may wait forever here if the broker is killed after AddOffsetsToTxn: it sends no more requests.
    watchdog = threading.Timer(STUCK_AFTER, os._exit, [START_AGAIN])
    watchdog.start()
    retried(lambda: producer.send_offsets_to_transaction(following, group, 10))
    watchdog.cancel()
    retried(lambda: producer.commit_transaction(10))
    print(f"moved {number}", flush=True)


def retried(call):
    """Repeats a call as long as its error says that it can be repeated."""
    while True:
        try:
            return call()
        except KafkaException as error:
            if not error.args[0].retriable():
                raise


main()
