"""A Faust application as in a course: agents, a table of totals, a table of windows, output topics.

The suite starts it as a worker; environment variables have the broker, the application's name and a directory.
"""

import os
from datetime import timedelta

import faust

from suite import report

NAME = os.environ["FAUST_APP_NAME"]

app = faust.App(
    NAME,
    broker=f"kafka://{os.environ['FAUST_BROKER']}",
    value_serializer="json",
    topic_partitions=4,
    datadir=os.environ["FAUST_FOLDER"],
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.5,
    broker_commit_interval=0.2,
    table_cleanup_interval=3600.0,
)


class UserEvent(faust.Record, serializer="json"):
    user_id: str
    event_type: str
    amount: float
    timestamp: float


class UserFeatures(faust.Record, serializer="json"):
    user_id: str
    event_count: int
    total_amount: float
    avg_amount: float


user_events = app.topic(f"{NAME}.user-events", key_type=str, value_type=UserEvent)
user_features = app.topic(f"{NAME}.user-features", key_type=str, value_type=UserFeatures)
user_stats = app.Table("user_stats", default=lambda: {"count": 0, "sum": 0.0})
per_window = app.Table("per_window", default=int).tumbling(timedelta(minutes=5), expires=timedelta(days=3650))
per_window = per_window.relative_to_field(UserEvent.timestamp)


@app.agent(user_events)
async def process_events(events):
    async for event in events:
        stats = user_stats[event.user_id]
        stats["count"] += 1
        stats["sum"] += event.amount
        user_stats[event.user_id] = stats
        features = UserFeatures(event.user_id, stats["count"], stats["sum"], stats["sum"] / stats["count"])
        await user_features.send(key=event.user_id, value=features)


@app.agent(user_events)
async def count_in_windows(events):
    async for event in events:
        per_window[event.user_id] += 1
        report("window", user=event.user_id, at=event.timestamp, count=per_window[event.user_id].value())


orders = app.topic(f"{NAME}.orders")  # the application's serializer returns a dict
processed_orders = app.topic(f"{NAME}.processed_orders")
order_counts = app.Table("order_counts", default=int)


@app.agent(orders)
async def process_orders(stream):
    async for order in stream:
        await processed_orders.send(value={**order, "processed": True})


@app.agent(orders)
async def count_orders(stream):
    async for order in stream:
        order_counts[order["customer_id"]] += 1
        report("order", customer=order["customer_id"], count=order_counts[order["customer_id"]])


@app.task
async def report_ready():
    """Tasks and agents start after the tables are recovered."""
    report("ready")
