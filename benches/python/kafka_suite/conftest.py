"""Apache Kafka in place of Ottla: one process for each worker, as a session fixture with Testcontainers starts it, without the
time that Docker needs. KAFKA_LIBS is the folder with Kafka's jars."""

import os
import socket
import subprocess
import time
from types import SimpleNamespace

import pytest

CLUSTER = "5L6g3nShT-eMCtK--X86sw"
SETTINGS = """
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://localhost:{port},CONTROLLER://localhost:{controller}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@localhost:{controller}
log.dirs={directory}/data
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


def free_ports():
    with socket.socket() as one, socket.socket() as two:
        one.bind(("localhost", 0))
        two.bind(("localhost", 0))
        return one.getsockname()[1], two.getsockname()[1]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kafka")
    port, controller = free_ports()
    settings = directory / "server.properties"
    settings.write_text(SETTINGS.format(port=port, controller=controller, directory=directory))
    java = ["java", "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC", "-cp", os.environ["KAFKA_LIBS"] + "/*"]
    tool = [*java, "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER, "--config", settings]
    subprocess.run(tool, check=True, capture_output=True)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen([*java, "kafka.Kafka", settings], stdout=log, stderr=log)
    while True:
        try:
            socket.create_connection(("localhost", port)).close()
            break
        except OSError:
            assert process.poll() is None, (directory / "log").read_text()
            time.sleep(0.05)
    yield f"localhost:{port}"
    process.kill()
    process.wait()


@pytest.fixture
def ottla(request, kafka):
    """The address, under the name of the fixture that the tests use. There is no reset: the topic has a new name each time."""
    return SimpleNamespace(bootstrap_servers=kafka)
