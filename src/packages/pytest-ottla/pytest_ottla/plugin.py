"""The plug-in: fixtures, options, and the marker.

`ottla` is a broker that all tests of a process share, reset before each test; with pytest-xdist, each worker has its
own. `ottla_factory` starts brokers for one test.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Generator, Iterable, Iterator, List, Mapping, Optional

import ottla as _ottla
import pytest
from ottla import Broker

from . import _log
from ._pool import Pool

#: Starts a broker with the options of `ottla.Broker`; it is stopped after the test.
BrokerFactory = Callable[..., Broker]

_MARKER = "ottla(topics, settings): topics to create for this test, and settings of the broker that it uses"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("ottla", "Kafka broker (pytest-ottla)")
    group.addoption("--ottla-binary", metavar="PATH", help="the program ottla; default: that of the package ottla")
    group.addoption("--ottla-log-level", metavar="LEVEL", help="the log level of brokers, such as debug")
    group.addoption(
        "--ottla-set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="a setting of brokers by Kafka's name; may be given many times",
    )
    parser.addini("ottla_binary", "the program ottla; default: that of the package ottla")
    parser.addini("ottla_log_level", "the log level of brokers, such as debug")
    parser.addini("ottla_settings", "settings of brokers, one NAME=VALUE a line", type="linelist")
    parser.addini("ottla_topics", "topics of the shared brokers, one NAME[:PARTITIONS] a line", type="linelist")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        _log.add_sections(item, report)


@pytest.fixture(scope="session")
def ottla_options() -> Mapping[str, Any]:
    """Options of all brokers, as arguments of `ottla.Broker`; to be overridden in conftest.py."""
    return {}


@pytest.fixture(scope="session")
def _ottla_pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.stop()


@pytest.fixture(scope="session")
def ottla_session(pytestconfig: pytest.Config, ottla_options: Mapping[str, Any], _ottla_pool: Pool) -> Broker:
    """The broker that tests share, without a reset: for fixtures of a wider scope than a test."""
    return _ottla_pool.get(_options(pytestconfig, ottla_options), {})


@pytest.fixture
def ottla(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, ottla_options: Mapping[str, Any], _ottla_pool: Pool
) -> Broker:
    """The broker that tests share, as if it had just started."""
    topics, settings = _marked(request.node)
    options, names = _options(pytestconfig, ottla_options), {topic.name for topic in topics}
    # A topic of the marker replaces a common one of its name.
    options["topics"] = [topic for topic in options["topics"] if topic.name not in names]
    broker = _ottla_pool.get(options, settings)
    _log.note_use(request.node, broker)
    try:
        broker.reset()
    except _ottla.OttlaError:
        # The test before has killed it by other means than its methods.
        broker.stop()
        broker.start()
    for topic in topics:
        broker.create_topic(*topic)
    return broker


@pytest.fixture
def ottla_factory(
    request: pytest.FixtureRequest, pytestconfig: pytest.Config, ottla_options: Mapping[str, Any]
) -> Iterator[BrokerFactory]:
    """Starts brokers for one test, with the options of `ottla.Broker` in addition to the common ones."""
    common = {**_options(pytestconfig, ottla_options), "topics": ottla_options.get("topics", ())}
    brokers: List[Broker] = []

    def start(**options: Any) -> Broker:
        settings = {**common["settings"], **(options.pop("settings", None) or {})}
        broker = Broker(**{**common, **options, "settings": settings})
        _log.note_use(request.node, broker)
        brokers.append(broker)
        return broker.start()

    yield start
    for broker in brokers:
        broker.stop()


def _options(config: pytest.Config, fixture: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of all brokers: of the ini file, the fixture `ottla_options`, and the command line; the last counts."""
    options: Dict[str, Any] = {
        "binary": config.getini("ottla_binary") or None,
        "log_level": config.getini("ottla_log_level") or None,
        **fixture,
    }
    settings = _settings(config.getini("ottla_settings"), "ottla_settings")
    settings.update(fixture.get("settings") or {})
    settings.update(_settings(config.getoption("ottla_set"), "--ottla-set"))
    for name in ("binary", "log_level"):
        options[name] = config.getoption(f"ottla_{name}") or options[name]
    topics = [*_topics(options.get("topics", ())), *_topics(config.getini("ottla_topics"))]
    return {**options, "settings": settings, "topics": topics}


def _settings(lines: Iterable[str], source: str) -> Dict[str, object]:
    settings: Dict[str, object] = {}
    for line in lines:
        name, separator, value = line.partition("=")
        if not separator:
            raise pytest.UsageError(f"{source}: {line!r} is not NAME=VALUE, such as num.partitions=3")
        settings[name.strip()] = value.strip()
    return settings


def _marked(item: pytest.Item) -> "tuple[List[_ottla.Topic], Dict[str, object]]":
    """The topics and settings of the markers of a test; the closest one counts."""
    topics: Dict[str, _ottla.Topic] = {}
    settings: Dict[str, object] = {}
    for marker in reversed(list(item.iter_markers("ottla"))):
        unknown = set(marker.kwargs) - {"topics", "settings"}
        if marker.args or unknown:
            raise pytest.UsageError(f"the marker ottla has the keyword arguments topics and settings, not {marker}")
        topics.update({topic.name: topic for topic in _topics(marker.kwargs.get("topics", ()))})
        settings.update(marker.kwargs.get("settings") or {})
    return list(topics.values()), settings


def _topics(topics: Optional[Any]) -> List[_ottla.Topic]:
    return _ottla.parse_topics(topics or ())
