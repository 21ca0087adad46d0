"""Measures what a quota of 1 MB/s for a user means for two producers of that user (confluent-kafka).

    python quota_rates.py localhost:9092 --ottla=PATH [SECONDS]

prints one JSON object for each pace of the producers: the bytes of the first second (the burst), the mean rate from the
15th second to the end (45 s by default), and the bytes of every second. The paces are MB/s of each producer; `null` is
as fast as possible.
"""

import json
import sys
import threading
import time

import confluent_helpers
from confluent_kafka import Producer
from quota_helpers import remove_quotas, set_quota, user
from suite import unique

RATE = 1_000_000
VALUE = bytes(10_000)
FROM = 15


class Measured:
    """Bytes delivered by second."""

    def __init__(self, seconds):
        self.started = time.monotonic()
        self.by_second = [0] * (seconds + 1)
        self.lock = threading.Lock()

    def second(self):
        return int(time.monotonic() - self.started)

    def __call__(self, error, message):
        if error is None:
            with self.lock:
                self.by_second[min(self.second(), len(self.by_second) - 1)] += len(VALUE)


def produce(bootstrap, topic, pace, seconds, measured):
    settings = {"bootstrap.servers": bootstrap, "batch.size": 100_000, "queue.buffering.max.kbytes": 1_000, "linger.ms": 5}
    producer, sent = Producer(settings), 0
    while (elapsed := time.monotonic() - measured.started) < seconds:
        if pace is not None and sent > pace * 1e6 * elapsed:
            producer.poll(0.005)
            continue
        try:
            producer.produce(topic, VALUE, on_delivery=measured)
            sent += len(VALUE)
            producer.poll(0)
        except BufferError:
            producer.poll(0.01)
    producer.purge()
    producer.flush(5)


def measure(bootstrap, topic, pace, seconds):
    measured = Measured(seconds)
    threads = [threading.Thread(target=produce, args=(bootstrap, topic, pace, seconds, measured)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_second = measured.by_second[:seconds]
    return {
        "pace": pace,
        "burst_mb": round(by_second[0] / 1e6, 2),
        "first_10_s_mb": round(sum(by_second[:10]) / 1e6, 2),
        "mb_per_s": round(sum(by_second[FROM:]) / (seconds - FROM) / 1e6, 3),
        "by_second_mb": [round(bytes_ / 1e6, 2) for bytes_ in by_second],
    }


def main():
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    bootstrap, seconds = arguments[0], int(arguments[1]) if len(arguments) > 1 else 45
    for pace in (0.75, 1.5, None):
        topic = confluent_helpers.create_topic(bootstrap, unique("rates"))
        set_quota(bootstrap, user("ANONYMOUS"), producer_byte_rate=RATE)
        print(json.dumps(measure(bootstrap, topic, pace, seconds)), flush=True)
        remove_quotas(bootstrap, user("ANONYMOUS"), "producer_byte_rate")
        time.sleep(12)  # the broker forgets the rate


if __name__ == "__main__":
    main()
