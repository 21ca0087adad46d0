"""A real Kafka broker for tests."""

from ottla._find import find_binary

__all__ = ["find_binary"]
