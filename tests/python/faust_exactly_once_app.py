"""A Faust application that counts events for each key with processing_guarantee="exactly_once"."""

import os

import faust

from suite import report

NAME = os.environ["FAUST_APP_NAME"]

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['FAUST_BROKER']}",
    processing_guarantee="exactly_once",
    value_serializer="json",
    topic_partitions=int(os.environ["PARTITIONS"]),
    datadir=os.environ["FAUST_FOLDER"],
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.5,
    broker_commit_interval=0.1,
    table_cleanup_interval=3600.0,
)

events = app.topic(f"{NAME}.events", key_type=str)
counts = app.Table("counts", default=int)


@app.agent(events)
async def count(stream):
    async for key, number in stream.items():
        counts[key] += 1
        report("counted", key=key, number=number)


@app.task
async def report_ready():
    """Tasks and agents start after the tables are recovered."""
    report("ready")
