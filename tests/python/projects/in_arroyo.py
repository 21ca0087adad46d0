"""Arroyo's suite with the fixture: it reads the address from the environment, except in one file."""

import os

import pytest
from broker_address import address_of


@pytest.fixture(scope="session", autouse=True)
def kafka_of_arroyo(request):
    os.environ["DEFAULT_BROKERS"] = address_of(request)


@pytest.fixture(autouse=True)
def kafka_of_commit_callbacks(request, monkeypatch):
    """tests/backends/test_kafka_commit_callback.py has localhost:9092 in its text."""
    if "test_kafka_commit_callback" in request.node.nodeid:
        from arroyo.backends.kafka import KafkaConsumer

        start = KafkaConsumer.__init__

        def with_address(self, configuration, *arguments, **options):
            start(self, {**configuration, "bootstrap.servers": os.environ["DEFAULT_BROKERS"]}, *arguments, **options)

        monkeypatch.setattr(KafkaConsumer, "__init__", with_address)
