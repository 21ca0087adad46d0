"""A quixstreams application that counts events for each key with processing_guarantee="exactly-once"."""

import os

from quixstreams import Application

from suite import report

NAME = os.environ["QUIX_APP_NAME"]

app = Application(
    broker_address=os.environ["QUIX_BROKER"],
    consumer_group=NAME,
    processing_guarantee="exactly-once",
    auto_offset_reset="earliest",
    commit_interval=0.1,
    state_dir=os.environ["QUIX_FOLDER"],
    # One instance, which takes over from a killed one at once.
    producer_extra_config={"transactional.id": NAME, "transaction.timeout.ms": 30_000},
    consumer_extra_config={"group.instance.id": "one", "session.timeout.ms": 10_000},
    loglevel="INFO",
)


def count(event, state):
    total = state.get("count", 0) + 1
    state.set("count", total)
    report("counted", key=event["key"], number=event["number"])
    return {"key": event["key"], "number": event["number"], "count": total}


events = app.dataframe(app.topic(f"{NAME}.events", value_deserializer="json"))
events.apply(count, stateful=True).to_topic(app.topic(f"{NAME}.counts", value_serializer="json"))

if __name__ == "__main__":
    app.run()
