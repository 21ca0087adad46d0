"""Fixtures with a real Kafka broker for pytest."""

from .plugin import BrokerFactory

__all__ = ["BrokerFactory"]
