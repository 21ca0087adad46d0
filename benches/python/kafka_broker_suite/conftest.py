"""The fixture of pytest-kafka-broker, which starts a broker for each test, under the name of the fixture that the tests use."""

from types import SimpleNamespace

import pytest


@pytest.fixture
def ottla(kafka_broker):
    return SimpleNamespace(bootstrap_servers=kafka_broker.bootstrap_server)
