"""Starting, using and stopping a broker."""

from __future__ import annotations

import os
import re
import socket
import stat
import urllib.request
from pathlib import Path
from typing import Any

import ottla
import pytest
from conftest import process_exists, wait_until


def exists(broker: ottla.Broker, topic: str) -> bool:
    """Whether the topic exists; creates it if not."""
    try:
        broker.create_topic(topic)
    except ottla.AdminError as error:
        assert error.error == "TOPIC_ALREADY_EXISTS"
        return True
    return False


def accepts(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=30).close()
    except ConnectionRefusedError:
        return False
    return True


def test_broker_of_a_with_statement_runs_until_its_end(temporary: Path) -> None:
    with ottla.Broker() as broker:
        assert accepts(broker.bootstrap_servers)
        assert broker.is_running and process_exists(broker.pid)
        assert broker.listeners == {"PLAINTEXT": broker.bootstrap_servers}
        assert broker.admin_url.startswith("http://localhost:")
        assert broker.data_dir.parent == temporary
        assert stat.S_IMODE(broker.data_dir.stat().st_mode) == 0o700
        assert repr(broker) == f"<ottla.Broker {broker.bootstrap_servers}>"
    assert not broker.is_running and not process_exists(broker.pid)
    assert not accepts(broker.bootstrap_servers)
    assert repr(broker) == "<ottla.Broker stopped>"


@pytest.mark.parametrize(
    "topics",
    [
        {"orders": 3, "users": None},
        ["orders:3", "users"],
        [ottla.Topic("orders", 3), ottla.Topic("users", configs={"cleanup.policy": "compact"})],
        ["orders:3:1", "users::1:compact"],
    ],
)
def test_topics_exist_from_the_start_and_after_a_reset(topics: Any) -> None:
    with ottla.Broker(topics=topics) as broker:
        assert exists(broker, "orders") and exists(broker, "users")
        assert not exists(broker, "others")
        broker.reset()
        assert exists(broker, "orders") and exists(broker, "users")
        assert not exists(broker, "others")


def test_invalid_topics_are_refused() -> None:
    for topics in ["orders"], ["orders:many"], [":1"], ["a:1:1:compact:more"]:
        with pytest.raises((ValueError, TypeError)):
            ottla.Broker(topics=topics[0] if topics == ["orders"] else topics)


@pytest.mark.parametrize(
    "options", [{"topics": [("a", 1)]}, {"settings": ["a=b"]}, {"users": ["ann"]}, {"arguments": "--secure"}]
)
def test_options_of_wrong_types_are_refused_with_an_example(options: Any) -> None:
    with pytest.raises(TypeError, match="such as"):
        ottla.Broker(**options)


def test_settings_are_those_of_the_broker() -> None:
    with ottla.Broker(settings={"num.partitions": 7, "auto.create.topics.enable": False}) as broker:
        assert broker.create_topic("orders") == 7


def test_created_topic_has_its_partitions_and_settings() -> None:
    with ottla.Broker() as broker:
        assert broker.create_topic("orders", 5, {"retention.ms": 1000, "cleanup.policy": "compact"}) == 5


@pytest.mark.parametrize(
    ("name", "partitions", "configs", "status", "error"),
    [
        ("orders", 1, {}, 409, "TOPIC_ALREADY_EXISTS"),
        ("a/b", 1, {}, 400, "INVALID_TOPIC_EXCEPTION"),
        ("a", 0, {}, 400, "INVALID_PARTITIONS"),
        ("a", 1, {"nonsense": 1}, 400, "INVALID_CONFIG"),
    ],
)
def test_refused_topic_raises_kafkas_error(name: str, partitions: int, configs: Any, status: int, error: str) -> None:
    with ottla.Broker(topics=["orders"]) as broker:
        with pytest.raises(ottla.AdminError) as raised:
            broker.create_topic(name, partitions, configs)
    assert (raised.value.status, raised.value.error) == (status, error)
    assert str(raised.value).startswith(f"{error}: ")


def test_schema_registry_keeps_its_url_and_schemas_in_a_restart_and_is_emptied_by_a_reset() -> None:
    def subjects(url: str) -> str:
        with urllib.request.urlopen(f"{url}/subjects", timeout=30) as answer:
            return str(answer.read().decode())

    with ottla.Broker(schema_registry=True) as broker:
        url = broker.schema_registry_url
        registration = urllib.request.Request(
            f"{url}/subjects/s/versions",
            data=b'{"schema":"\\"int\\""}',
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(registration, timeout=30) as answer:
            assert b'"id":1' in answer.read()
        broker.restart()
        assert broker.schema_registry_url == url and subjects(url) == '["s"]'
        broker.reset()
        assert subjects(url) == "[]"
    with ottla.Broker() as broker, pytest.raises(ottla.OttlaError):
        broker.schema_registry_url  # noqa: B018


def test_restarted_broker_has_its_ports_and_data() -> None:
    with ottla.Broker() as broker:
        broker.create_topic("orders")
        before = (broker.bootstrap_servers, broker.admin_url, broker.data_dir)
        pid = broker.pid
        broker.restart()
        assert (broker.bootstrap_servers, broker.admin_url, broker.data_dir) == before
        assert broker.pid != pid and not process_exists(pid)
        assert exists(broker, "orders")


def test_killed_broker_starts_again_with_its_ports_and_data() -> None:
    with ottla.Broker() as broker:
        broker.create_topic("orders")
        address = broker.bootstrap_servers
        for start in broker.restart, broker.start:
            broker.kill()
            broker.kill()
            assert not broker.is_running and not process_exists(broker.pid) and broker.data_dir.exists()
            start()
            assert broker.bootstrap_servers == address and exists(broker, "orders")


def test_killed_broker_that_is_stopped_leaves_nothing() -> None:
    with ottla.Broker() as broker:
        broker.kill()


def test_stopped_broker_starts_again_empty() -> None:
    broker = ottla.Broker()
    with broker:
        broker.create_topic("orders")
        address = broker.bootstrap_servers
    with broker:
        assert broker.bootstrap_servers == address
        assert not exists(broker, "orders")


def test_stop_of_a_stopped_broker_does_nothing() -> None:
    broker = ottla.Broker()
    broker.stop()
    broker.kill()
    broker.start()
    broker.stop()
    broker.stop()


def test_start_of_a_running_broker_raises() -> None:
    with ottla.Broker() as broker, pytest.raises(ottla.OttlaError, match="runs already"):
        broker.start()


def test_use_of_a_broker_that_was_not_started_raises() -> None:
    broker = ottla.Broker()
    for use in broker.reset, lambda: broker.bootstrap_servers, lambda: broker.create_topic("orders"):
        with pytest.raises(ottla.OttlaError, match="not started"):
            use()
    with broker, pytest.raises(ottla.OttlaError, match="has no ca"):
        broker.ca


def test_use_of_a_killed_broker_raises_with_its_last_lines() -> None:
    with ottla.Broker() as broker:
        wait_until(lambda: broker.log_lines != [], "the first line of the log")
        broker.kill()
        with pytest.raises(ottla.OttlaError, match="has ended with exit code -9(.|\n)*listening on"):
            broker.reset()


def test_failed_start_raises_with_the_brokers_own_line() -> None:
    with pytest.raises(ottla.StartError) as raised:
        ottla.Broker(settings={"nonsense": 1}).start()
    assert "ottla: unknown setting nonsense" in str(raised.value)


def test_start_on_a_used_port_raises_with_the_reason() -> None:
    with ottla.Broker() as broker:
        port = int(broker.bootstrap_servers.rpartition(":")[2])
        with pytest.raises(ottla.StartError, match=str(port)):
            ottla.Broker(port=port).start()


def test_failed_restart_keeps_the_data_for_the_next_one() -> None:
    with ottla.Broker() as broker:
        broker.create_topic("orders")
        broker.kill()
        host, _, port = broker.bootstrap_servers.rpartition(":")
        with socket.create_server((host, int(port))):
            with pytest.raises(ottla.StartError, match=port):
                broker.start()
        broker.start()
        assert exists(broker, "orders")


def test_program_that_never_is_ready_is_killed_after_the_timeout(tmp_path: Path) -> None:
    program = tmp_path / "ottla"
    program.write_text("#!/bin/sh\necho starting >&2\nexec sleep 1000\n")
    program.chmod(0o755)
    with pytest.raises(ottla.StartError, match="not ready after 0.2 s(.|\n)*starting"):
        ottla.Broker(binary=program, start_timeout=0.2).start()


@pytest.mark.parametrize(
    "text, expect",
    [
        ("echo a line >&2; echo hello; exec sleep 1000", r"did not write a ready line; it wrote b'hello\\n' \(PROGRAM\)\na line"),
        ("echo 7; exec sleep 1000", r"did not write a ready line; it wrote b'7\\n'"),
        ("""echo '{"pid": 1}'; exec sleep 1000""", "did not write a ready line"),
        ("printf '\\377\\n'; exec sleep 1000", "did not write a ready line"),
        ("echo a line >&2", r"did not start \(exit code 0\) \(PROGRAM\)\na line"),
        ("printf part; exit 3", r"did not start \(exit code 3\); it wrote b'part' \(PROGRAM\)"),
    ],
)
def test_program_that_is_another_one_is_an_error_with_what_it_wrote(tmp_path: Path, text: str, expect: str) -> None:
    program = tmp_path / "ottla"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    with pytest.raises(ottla.StartError, match=expect.replace("PROGRAM", re.escape(str(program)))):
        ottla.Broker(binary=program, start_timeout=20).start()


def test_program_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    (tmp_path / "text").chmod(0o755)
    for binary in [tmp_path, tmp_path / "none", tmp_path / "text"]:
        with pytest.raises(ottla.OttlaError, match=re.escape(str(binary))):
            ottla.Broker(binary=binary).start()
    with pytest.raises(ottla.StartError, match="cannot run"):
        ottla.Broker(arguments=["a\0b"]).start()


def test_odd_names_of_topics_and_users() -> None:
    with ottla.Broker(topics=["-a", "--port:2"], users={"-ann": "-secret:1,2"}) as broker:
        assert exists(broker, "-a") and exists(broker, "--port")
    with pytest.raises(ValueError, match="a:b"):
        ottla.Broker(users={"a:b": "c"})


def test_admin_listener_of_the_settings_keeps_its_host_and_port() -> None:
    for listener in ["0", "127.0.0.1:0"]:
        with ottla.Broker(settings={"ottla.admin.listener": listener}) as broker:
            url = broker.admin_url
            broker.restart()
            assert broker.admin_url == url


def test_log_lines_are_those_of_all_processes() -> None:
    with ottla.Broker() as broker:
        broker.restart()
    lines = broker.log_lines
    assert sum("listening on" in line for line in lines) == 2
    assert "stdin ended" in lines[-2] and "stopped" in lines[-1]


def test_log_level_is_that_of_the_broker() -> None:
    with ottla.Broker(log_level="off") as broker:
        broker.create_topic("orders")
    assert broker.log_lines == []


def test_kafka_variables_of_the_environment_are_not_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_LISTENERS", "PLAINTEXT://nowhere.invalid:9092")
    monkeypatch.setenv("KAFKA_NUM_PARTITIONS", "7")
    monkeypatch.setenv("RUST_LOG", "off")
    with ottla.Broker() as broker:
        assert broker.create_topic("orders") == 1
    assert broker.log_lines != []


def test_secure_broker_has_listeners_certificates_and_users_and_keeps_them() -> None:
    with ottla.Broker(secure=True, users={"ann": "secret"}) as broker:
        listeners = broker.listeners
        assert sorted(listeners) == ["PLAINTEXT", "SASL_SSL", "SSL"]
        assert broker.ca.read_text().startswith("-----BEGIN CERTIFICATE-----")
        assert broker.secure_dir.is_dir()
        broker.restart()
        assert broker.listeners == listeners


def test_listeners_of_the_settings_keep_their_hosts_and_ports() -> None:
    settings = {
        "listeners": "TWO://127.0.0.1:0,ONE://localhost:0",
        "listener.security.protocol.map": "ONE:PLAINTEXT,TWO:PLAINTEXT",
        "inter.broker.listener.name": "ONE",
        "ottla.registry.listener": "127.0.0.1:0",
    }
    with ottla.Broker(settings=settings, schema_registry=True) as broker:
        listeners, address, registry = broker.listeners, broker.bootstrap_servers, broker.schema_registry_url
        assert broker.bootstrap_servers == listeners["TWO"] and listeners["TWO"].startswith("127.0.0.1:")
        for stop in broker.kill, lambda: None:
            stop()
            broker.restart()
            assert broker.listeners == listeners and broker.bootstrap_servers == address
            assert broker.schema_registry_url == registry
        assert not registry.endswith(":0")


def test_admin_token_is_sent() -> None:
    with ottla.Broker(settings={"ottla.admin.token": "a-long-random-text"}) as broker:
        broker.reset()


class TestFindBinary:
    """The order of the places where the program is looked for."""

    @pytest.fixture
    def programs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Programs in the folders `given`, `variable`, `path`."""
        for folder in ("given", "variable", "path"):
            (tmp_path / folder).mkdir()
            (tmp_path / folder / "ottla").touch(mode=0o755)
        monkeypatch.setattr("ottla._find._scripts_folders", lambda: iter([str(tmp_path / "scripts")]))
        monkeypatch.setenv("OTTLA_BINARY", str(tmp_path / "variable/ottla"))
        monkeypatch.setenv("PATH", str(tmp_path / "path"))
        return tmp_path

    def test_given_path_is_first_then_the_variable_the_package_and_the_path(
        self, programs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert ottla.find_binary(programs / "given/ottla") == programs / "given/ottla"
        assert ottla.find_binary() == programs / "variable/ottla"
        monkeypatch.delenv("OTTLA_BINARY")
        assert ottla.find_binary() == programs / "path/ottla"
        (programs / "scripts").mkdir()
        (programs / "scripts/ottla").touch(mode=0o755)
        assert ottla.find_binary() == programs / "scripts/ottla"

    def test_error_lists_what_was_tried(self, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ottla.BinaryNotFoundError, match="/nowhere/ottla"):
            ottla.find_binary("/nowhere/ottla")
        monkeypatch.setenv("OTTLA_BINARY", "/nowhere/else")
        with pytest.raises(ottla.BinaryNotFoundError, match="/nowhere/else .OTTLA_BINARY"):
            ottla.find_binary()
        monkeypatch.delenv("OTTLA_BINARY")
        monkeypatch.setenv("PATH", "/nowhere/bin")
        with pytest.raises(FileNotFoundError) as raised:
            ottla.find_binary()
        for place in ("OTTLA_BINARY", f"{programs}/scripts/ottla", "/nowhere/bin"):
            assert place in str(raised.value)

    def test_broker_uses_the_given_program(self, programs: Path) -> None:
        os.chmod(programs / "given/ottla", 0o644)
        with pytest.raises(ottla.BinaryNotFoundError, match="not executable"):
            ottla.Broker(binary=programs / "given/ottla").start()


def test_topics_with_settings_survive_a_restart(temporary: Path) -> None:
    with ottla.Broker(topics=["events:1:1:compact"]) as broker:
        broker.restart()
        assert exists(broker, "events")
        broker.kill()
        broker.start()
        assert exists(broker, "events")
