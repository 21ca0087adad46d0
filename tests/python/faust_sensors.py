"""The smallest Faust application: one agent that reads sensors. Its topic is not created in advance."""

import os

import faust

from suite import report

NAME = os.environ["FAUST_APP_NAME"]

app = faust.App(NAME, broker=f"kafka://{os.environ['FAUST_BROKER']}", datadir=os.environ["FAUST_FOLDER"])


class SensorReading(faust.Record):
    id: str
    value: float


@app.agent(app.topic(f"{NAME}.sensor-data", value_type=SensorReading))
async def print_readings(stream):
    async for reading in stream:
        report("sensor", id=reading.id, value=reading.value)


@app.task
async def report_ready():
    report("ready")
