"""FastStream's suite with the fixture: brokers without an address connect to localhost:9092, which is replaced."""

import pytest
from broker_address import address_of

USUAL = ("localhost", "localhost:9092")


@pytest.fixture(scope="session", autouse=True)
def kafka_of_faststream(request):
    import faststream.confluent
    import faststream.confluent.fastapi
    import faststream.kafka
    import faststream.kafka.fastapi
    from tests.brokers.confluent.settings import Settings as ConfluentSettings
    from tests.brokers.kafka.settings import Settings

    import aiokafka.admin

    address = address_of(request)
    # A keyword argument there.
    aiokafka.admin.AIOKafkaAdminClient.__init__.__kwdefaults__["bootstrap_servers"] = address
    for settings in Settings, ConfluentSettings:
        settings.__init__.__defaults__ = (address,)
    modules = faststream.kafka, faststream.kafka.fastapi, faststream.confluent, faststream.confluent.fastapi
    for module in modules:
        for name in "KafkaBroker", "KafkaRouter":
            if hasattr(module, name):
                replace_default(getattr(module, name), address)


def replace_default(broker, address):
    """Makes the address the default of this class, also where the usual one is given."""
    start = broker.__init__
    if start.__defaults__ is None or start.__defaults__[:1] != ("localhost",):
        return

    def with_address(self, bootstrap_servers=address, *arguments, **options):
        if bootstrap_servers in USUAL:
            bootstrap_servers = address
        start(self, bootstrap_servers, *arguments, **options)

    broker.__init__ = with_address
