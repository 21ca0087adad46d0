"""A real Kafka broker for tests, started in milliseconds, without Docker or Java.

>>> with ottla.Broker(topics={"orders": 3}) as broker:
...     producer = Producer({"bootstrap.servers": broker.bootstrap_servers})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._broker import Broker
from ._errors import AdminError, BinaryNotFoundError, OttlaError, StartError
from ._find import find_binary
from ._topics import Topic, parse_topics

if TYPE_CHECKING:
    from ._asyncio import AsyncBroker

__all__ = [
    "AdminError",
    "AsyncBroker",
    "BinaryNotFoundError",
    "Broker",
    "OttlaError",
    "StartError",
    "Topic",
    "find_binary",
    "parse_topics",
]


def __getattr__(name: str) -> object:
    # Imported at first use, because importing asyncio takes longer than starting a broker.
    if name == "AsyncBroker":
        from ._asyncio import AsyncBroker

        return AsyncBroker
    raise AttributeError(f"module 'ottla' has no attribute {name!r}")
