"""Quix Streams' suite with the fixture in place of its Kafka container. There is no container of a schema registry."""

import contextlib
import sys
from types import SimpleNamespace

import pytest
from broker_address import address_of


@pytest.fixture(scope="session", autouse=True)
def kafka_of_quixstreams(request):
    import tests.conftest as conftest

    def create_schema_registry_container(network, address):
        pytest.skip("needs a schema registry")

    conftest.Network = contextlib.nullcontext
    helper = conftest.ContainerHelper
    address = address_of(request)
    container = SimpleNamespace(stop=lambda: None)
    helper.create_kafka_container = staticmethod(lambda network: (container, address, address))
    helper.start_kafka_container = staticmethod(lambda container: None)
    helper.create_schema_registry_container = staticmethod(create_schema_registry_container)
    assert "tests.containerhelper" in sys.modules
