"""Fixtures, options, the marker, and reports."""

from __future__ import annotations

import pytest

ORDERS = """
import ottla as module
import pytest

def exists(broker, topic):
    try:
        broker.create_topic(topic)
    except module.AdminError as error:
        assert error.error == "TOPIC_ALREADY_EXISTS"
        return True
    return False
"""


def run(pytester: pytest.Pytester, tests: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(ORDERS + tests)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rA", *arguments)


def test_tests_share_a_broker_that_is_reset_before_each(pytester: pytest.Pytester) -> None:
    tests = """
addresses = set()

@pytest.mark.parametrize("order", range(3))
def test_order(ottla, order):
    assert isinstance(ottla, module.Broker)
    addresses.add(ottla.pid)
    assert not exists(ottla, "orders")

def test_one_process():
    assert len(addresses) == 1
"""
    run(pytester, tests).assert_outcomes(passed=4)


def test_session_fixture_is_the_same_broker_without_a_reset(pytester: pytest.Pytester) -> None:
    tests = """
@pytest.fixture(scope="module")
def topic(ottla_session):
    ottla_session.create_topic("orders")
    return "orders"

def test_before(ottla_session, topic):
    assert exists(ottla_session, topic)

def test_after(ottla_session, ottla, topic):
    assert ottla is ottla_session and not exists(ottla, topic)
"""
    run(pytester, tests).assert_outcomes(passed=2)


def test_factory_starts_brokers_for_one_test(pytester: pytest.Pytester) -> None:
    tests = """
brokers = []

def test_two(ottla_factory, ottla):
    brokers.extend([ottla_factory(topics={"orders": 3}), ottla_factory(settings={"num.partitions": 4})])
    assert len({ottla.pid, *(broker.pid for broker in brokers)}) == 3
    assert exists(brokers[0], "orders") and brokers[1].create_topic("orders") == 4

def test_they_are_stopped():
    assert [broker.is_running for broker in brokers] == [False, False]
"""
    run(pytester, tests).assert_outcomes(passed=2)


def test_marker_creates_topics_and_chooses_a_broker_with_its_settings(pytester: pytest.Pytester) -> None:
    tests = """
pids = {}

@pytest.mark.ottla(topics={"orders": 3, "users": 1})
class TestMarked:
    def test_class(self, ottla):
        pids["common"] = ottla.pid
        assert exists(ottla, "orders") and exists(ottla, "users") and not exists(ottla, "others")

    @pytest.mark.ottla(topics=["lamps:2"], settings={"num.partitions": 5})
    @pytest.mark.parametrize("run", range(2))
    def test_function(self, ottla, run):
        pids.setdefault("marked", ottla.pid)
        assert ottla.pid == pids["marked"] != pids["common"]
        assert exists(ottla, "orders") and exists(ottla, "lamps") and ottla.create_topic("others") == 5

def test_unmarked(ottla):
    assert ottla.pid == pids["common"] and not exists(ottla, "orders")
"""
    run(pytester, tests, "--strict-markers").assert_outcomes(passed=4)


@pytest.mark.parametrize("marker", ['topic="orders"', '"orders"'])
def test_marker_with_wrong_arguments_is_an_error(pytester: pytest.Pytester, marker: str) -> None:
    result = run(pytester, f"@pytest.mark.ottla({marker})\ndef test_orders(ottla): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*keyword arguments topics and settings*"])


def test_number_of_brokers_for_settings_of_markers_is_bounded(pytester: pytest.Pytester) -> None:
    tests = """
brokers = []

@pytest.mark.parametrize("count", [pytest.param(n, marks=pytest.mark.ottla(settings={"num.partitions": n})) for n in range(2, 10)])
def test_order(ottla, count):
    brokers.append(ottla)
    assert ottla.create_topic("orders") == count

def test_running():
    assert sum(broker.is_running for broker in brokers) == 4
"""
    run(pytester, tests).assert_outcomes(passed=9)


def test_ini_keys_fixture_and_command_line_set_options_in_this_order(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        """
[pytest]
ottla_log_level = off
ottla_topics =
    orders:3
    users
ottla_settings =
    num.partitions = 2
    default.replication.factor = 1
    message.max.bytes = 2000000
"""
    )
    pytester.makeconftest(
        """
import pytest

@pytest.fixture(scope="session")
def ottla_options():
    return {"topics": ["lamps"], "settings": {"num.partitions": 3, "default.replication.factor": 1}, "secure": True}
"""
    )
    tests = """
def test_order(ottla, ottla_factory):
    assert exists(ottla, "orders") and exists(ottla, "users") and exists(ottla, "lamps")
    for broker in ottla, ottla_factory():
        assert broker.create_topic("others") == 4
        assert "SSL" in broker.listeners
        assert broker.log_lines == []
    assert ottla_factory(settings={"num.partitions": 5}).create_topic("others") == 5
"""
    run(pytester, tests, "--ottla-set", "num.partitions=4").assert_outcomes(passed=1)
    tests = """
def test_order(ottla):
    ottla.stop()
    assert ottla.log_lines != []
"""
    run(pytester, tests, "--ottla-log-level", "info").assert_outcomes(passed=1)


def test_binary_that_is_missing_is_an_error_with_its_path(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_order(ottla): pass", "--ottla-binary", "/nowhere/ottla")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*/nowhere/ottla*"])


def test_setting_without_a_value_is_an_error(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_order(ottla): pass", "--ottla-set", "num.partitions")
    result.stdout.fnmatch_lines(["*--ottla-set: 'num.partitions' is not NAME=VALUE*"])
    assert result.ret != 0


def test_failed_start_is_an_error_with_the_brokers_line(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_order(ottla): pass", "--ottla-set", "nonsense=1")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ottla: unknown setting nonsense*"])


FAILURES = """
def test_before(ottla):
    ottla.create_topic("of-the-test-before")

def test_failed(ottla, ottla_factory):
    ottla.create_topic("of-this-test")
    ottla_factory().create_topic("of-the-factory")
    assert False

def test_error(ottla, fails): pass

@pytest.fixture
def fails(ottla):
    ottla.create_topic("of-the-fixture")
    assert False

def test_failed_without_a_broker():
    assert False
"""


@pytest.mark.parametrize("arguments", [[], ["-n", "1"]])
def test_report_of_a_failed_test_has_its_log_lines_only(pytester: pytest.Pytester, arguments: "list[str]") -> None:
    result = run(pytester, FAILURES, *arguments)
    result.assert_outcomes(passed=1, failed=2, errors=1)
    _, _, failures = result.stdout.str().partition("= ERRORS =")
    assert "of-the-test-before" not in failures
    for topic, section in ("of-this-test", 1), ("of-the-factory", 1), ("of-the-fixture", 1):
        assert failures.count(f"created topic topic={topic} ") == section, failures
    assert failures.count("Log of <ottla.Broker localhost:") == 3, failures


def test_long_log_in_a_report_is_cut(pytester: pytest.Pytester) -> None:
    tests = """
def test_failed(ottla):
    for number in range(300):
        ottla._log.append(f"line {number}.")
    assert False
"""
    output = run(pytester, tests).stdout.str()
    assert "lines are omitted)" in output and "line 0." not in output and "line 299." in output


def test_broker_that_a_test_has_ended_is_replaced(pytester: pytest.Pytester) -> None:
    tests = """
import os, signal

def test_kill(ottla):
    ottla.create_topic("orders")
    ottla.kill()

def test_stop(ottla):
    assert not exists(ottla, "orders")
    ottla.stop()

def test_signal(ottla):
    assert not exists(ottla, "orders")
    os.kill(ottla.pid, signal.SIGKILL)
    while ottla.is_running:
        pass

def test_restart(ottla):
    assert not exists(ottla, "orders")
    ottla.restart()
    assert exists(ottla, "orders")
"""
    run(pytester, tests).assert_outcomes(passed=4)


def test_workers_have_brokers_of_their_own(pytester: pytest.Pytester) -> None:
    tests = """
import pathlib, time

@pytest.mark.parametrize("order", range(40))
def test_order(ottla, order, worker_id):
    assert not exists(ottla, "orders")
    pathlib.Path(f"{worker_id}-{ottla.pid}").touch()
"""
    run(pytester, tests, "-n", "2").assert_outcomes(passed=40)
    used = sorted(path.name.split("-")[0] for path in pytester.path.glob("gw*"))
    assert used == ["gw0", "gw1"]


def test_asynchronous_tests_use_the_fixtures(pytester: pytest.Pytester) -> None:
    tests = """
import asyncio
import pytest_asyncio

@pytest_asyncio.fixture
async def topic(ottla):
    await asyncio.sleep(0)
    return ottla.create_topic("orders", 3)

@pytest.mark.asyncio
async def test_order(ottla, topic):
    assert topic == 3 and exists(ottla, "orders")

@pytest.mark.asyncio
async def test_own():
    async with module.AsyncBroker() as broker:
        assert await broker.create_topic("orders") == 1
"""
    run(pytester, tests).assert_outcomes(passed=2)


def test_plugin_without_use_starts_no_broker(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_nothing(): pass", "--ottla-binary", "/nowhere/ottla")
    result.assert_outcomes(passed=1)


def test_help_and_markers_describe_the_plugin(pytester: pytest.Pytester) -> None:
    output = pytester.runpytest_subprocess("--help").stdout.str()
    for word in ("--ottla-binary", "--ottla-set", "--ottla-log-level", "ottla_settings", "ottla_topics"):
        assert word in output
    assert "@pytest.mark.ottla(topics, settings)" in pytester.runpytest_subprocess("--markers").stdout.str()
    fixtures = pytester.runpytest_subprocess("--fixtures").stdout.str()
    for name in ("ottla", "ottla_session", "ottla_factory", "ottla_options"):
        assert f"\n{name}" in fixtures


def test_options_of_a_folder_are_those_of_its_tests(pytester: pytest.Pytester) -> None:
    for number in "2", "3":
        folder = pytester.mkdir(f"with{number}")
        options = f"""
import pytest

@pytest.fixture(scope="session")
def ottla_options():
    return {{"settings": {{"num.partitions": {number}}}}}
"""
        (folder / "conftest.py").write_text(options)
        (folder / f"test_{number}.py").write_text(f"def test_it(ottla): assert ottla.create_topic('orders') == {number}")
    run(pytester, "def test_it(ottla): assert ottla.create_topic('orders') == 1").assert_outcomes(passed=3)


def test_topic_of_the_marker_replaces_a_common_one(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nottla_topics = orders:3\n")
    tests = """
@pytest.mark.ottla(topics={"orders": 1}, settings=None)
def test_marked(ottla):
    assert exists(ottla, "orders")

def test_common(ottla):
    assert exists(ottla, "orders")
"""
    run(pytester, tests).assert_outcomes(passed=2)


def test_broker_that_a_test_has_killed_by_its_pid_is_replaced(pytester: pytest.Pytester) -> None:
    tests = """
import os

@pytest.mark.parametrize("number", range(3))
def test_killed(ottla, number):
    assert not exists(ottla, "orders")
    os.kill(ottla.pid, 9)
"""
    run(pytester, tests).assert_outcomes(passed=3)
