"""The broker."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from types import TracebackType
from typing import Dict, List, Mapping, Optional, Sequence, Type

from . import _admin
from ._errors import AdminError, OttlaError, StartError
from ._find import PathLike, find_binary
from ._process import Log, Process, Remover, no_interrupt
from ._topics import Topic, Topics, parse_topics, start_argument, texts_of

#: Seconds that a broker may take to stop before it is killed.
STOP_TIMEOUT = 10.0


class Broker:
    """A broker on a free port, with a temporary directory of its own; nothing is synced to disk.

    >>> with Broker(topics={"orders": 3}, settings={"message.max.bytes": 2_000_000}) as broker:
    ...     print(broker.bootstrap_servers)

    The broker ends with this process, however that ends. All methods can be called in any thread. A process that was
    forked from this one can use the broker and reset it; `stop`, `restart` and `kill` do nothing there.
    """

    def __init__(
        self,
        *,
        topics: Topics = (),
        settings: Optional[Mapping[str, object]] = None,
        users: Optional[Mapping[str, str]] = None,
        secure: bool = False,
        port: int = 0,
        schema_registry: bool = False,
        log_level: Optional[str] = None,
        binary: Optional[PathLike] = None,
        arguments: Sequence[str] = (),
        start_timeout: float = 30.0,
    ) -> None:
        """Set the options of a broker, which `start` or a `with` statement starts.

        topics: exist from the start and after each reset: {"orders": 3}, ["orders", "orders:3"], or `Topic`s.
        settings: of the broker, by Kafka's names.
        users: names and passwords for SASL; a name has no colon.
        secure: adds listeners with TLS, and with TLS and SASL; see `listeners` and `ca`.
        port: of the first listener; 0 is a free one.
        schema_registry: adds a schema registry; see `schema_registry_url`.
        log_level: as --log-level.
        binary: the program; see `find_binary`.
        arguments: further arguments of the program.
        start_timeout: seconds.
        """
        self._topics = parse_topics(topics)
        self._settings = texts_of(settings or {})
        if isinstance(arguments, str):
            raise TypeError(f'arguments is a list, such as ["{arguments}"]')
        if not isinstance(users or {}, Mapping):
            raise TypeError(f'users is a dict, such as {{"ann": "secret"}}, not {users!r}')
        self._users = dict(users or {})
        for name in self._users:
            if ":" in name:
                raise ValueError(f'the name "{name}" of a user has a colon, which separates names from passwords')
        self._secure = secure
        self._port = port
        self._schema_registry = schema_registry
        self._log_level = log_level
        self._binary = binary
        self._arguments = list(arguments)
        self._start_timeout = start_timeout
        self._log = Log()
        self._lock = threading.RLock()
        self._process: Optional[Process] = None
        self._ready: Dict[str, object] = {}
        #: The directory, from the first start until `stop`.
        self._data_dir: Optional[str] = None
        self._remover: Optional[Remover] = None
        self._aborted = False
        self._finalizer: Optional[weakref.finalize[..., Broker]] = None

    def start(self) -> Broker:
        """Start the broker, and return it when it is ready.

        After `kill`, it has the same ports and data as before; after `stop`, the same ports.
        """
        with self._lock:
            if self.is_running:
                raise OttlaError("the broker runs already")
            self._reap()
            self._launch()
        return self

    def stop(self) -> None:
        """Stop the broker and remove its data. Does nothing if it is stopped."""
        if self._is_foreign():
            return
        with self._lock:
            if self._finalizer is not None:
                self._finalizer.detach()
                self._finalizer = None
            process, directory, remover = self._process, self._data_dir, self._remover
            self._process = self._data_dir = self._remover = None
            _end(process, directory, remover)

    def restart(self) -> None:
        """Stop the broker as SIGTERM does, and start it again, with the same ports and data."""
        if self._is_foreign():
            return
        with self._lock:
            if self._process is not None and self.is_running:
                self._process.terminate()
                if not self._process.wait(STOP_TIMEOUT):
                    self._process.kill()
            self._reap()
            self._launch()

    def kill(self) -> None:
        """Kill the broker with SIGKILL. `start` or `restart` starts it again with the same ports and data."""
        if self._is_foreign():
            return
        with self._lock:
            if self._process is not None:
                self._process.kill()

    def reset(self) -> None:
        """Reset the broker to the state after its start: its topics, empty; no others, no groups, no changed settings."""
        self._post("/reset")
        self._create_configured_topics()

    def create_topic(
        self, name: str, partitions: Optional[int] = None, configs: Optional[Mapping[str, object]] = None
    ) -> int:
        """Create a topic and return its number of partitions; the default is the broker's `num.partitions`.

        Raises `AdminError` with Kafka's name of the error, such as TOPIC_ALREADY_EXISTS.
        """
        body: Dict[str, object] = {"name": name, "configs": texts_of(configs or {})}
        if partitions is not None:
            body["partitions"] = partitions
        created = self._post("/topics", body).get("partitions")
        if not isinstance(created, int):
            raise OttlaError(f"the broker's admin port at {self.admin_url} did not answer with the topic's partitions")
        return created

    @property
    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.exit_code is None

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients: `localhost:40123`."""
        return self._text("bootstrap_servers")

    @property
    def listeners(self) -> Dict[str, str]:
        """The addresses of all listeners by name: PLAINTEXT, and with `secure` SSL and SASL_SSL."""
        listeners = self._field("listeners")
        assert isinstance(listeners, dict)
        return dict(listeners)

    @property
    def admin_url(self) -> str:
        """The URL of the admin port."""
        return self._text("admin_url")

    @property
    def schema_registry_url(self) -> str:
        """The URL of the schema registry; with `schema_registry`."""
        return self._text("schema_registry_url")

    @property
    def pid(self) -> int:
        """The id of the process."""
        pid = self._field("pid")
        assert isinstance(pid, int)
        return pid

    @property
    def data_dir(self) -> Path:
        """The directory with the data."""
        return Path(self._text("data_dir"))

    @property
    def ca(self) -> Path:
        """The certificate that clients of listeners with TLS must trust, as PEM; with `secure`."""
        return Path(self._text("ca"))

    @property
    def secure_dir(self) -> Path:
        """The folder with client configurations; with `secure`."""
        return Path(self._text("secure_dir"))

    @property
    def log_lines(self) -> List[str]:
        """The last 10,000 lines of the log."""
        return self._log.lines()

    def __enter__(self) -> Broker:
        return self.start()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = self.bootstrap_servers if self.is_running else "stopped"
        return f"<ottla.Broker {state}>"

    def _launch(self) -> None:
        is_new = self._data_dir is None
        if self._data_dir is None:
            import tempfile

            self._data_dir = os.path.join(tempfile.gettempdir(), f"ottla-{os.getpid()}-{os.urandom(6).hex()}")
        try:
            command = self._command(self._data_dir)
            # Ctrl-C cannot leave a process that nothing stops.
            with no_interrupt():
                self._process = process = Process(command, _environment(), self._log)
                before, self._remover = self._remover, Remover(self._data_dir, process.pid)
                # At the end of the interpreter, or when the last reference is lost.
                self._finalizer = weakref.finalize(self, _end, process, self._data_dir, self._remover)
            if before is not None:
                before.release()
            if self._aborted:
                raise OttlaError("the start was cancelled")
            self._ready = process.wait_until_ready(self._start_timeout)
            self._create_configured_topics(may_exist=not is_new)
        except BaseException:
            if self._process is not None:
                self._process.kill()
            if is_new:
                self.stop()
            raise

    def _command(self, data_dir: str) -> List[str]:
        command = [str(find_binary(self._binary)), "--ephemeral", "--data-dir", data_dir]
        command += ["--exit-with-parent", "--ready-file", "-"]
        settings = dict(self._settings)
        listeners = self._ready.get("listeners")
        if isinstance(listeners, dict) and ("listeners" in settings or len(listeners) > 1):
            settings["listeners"] = _bound(settings.get("listeners", ""), listeners, self.bootstrap_servers)
        elif "listeners" not in settings:
            command += ["--port", str(_port_of(self._ready.get("bootstrap_servers"), self._port))]
        if "ottla.admin.listener" not in settings:
            command += ["--admin-port", str(_port_of(self._ready.get("admin_url"), 0))]
        for setting, url in ("ottla.admin.listener", "admin_url"), ("ottla.registry.listener", "schema_registry_url"):
            if setting in settings and url in self._ready:
                host, colon, _ = settings[setting].rpartition(":")
                settings[setting] = f"{host}{colon}{_port_of(self._ready[url], 0)}"
        # Values may begin with a hyphen, so they are not arguments of their own.
        for topic in self._topics:
            if not topic.configs:
                command.append(f"--create-topic={start_argument(topic)}")
        for name, value in settings.items():
            command.append(f"--set={name}={value}")
        for name, password in self._users.items():
            command.append(f"--user={name}:{password}")
        if self._secure:
            command.append("--secure")
        if self._schema_registry and "ottla.registry.listener" not in settings:
            command += ["--registry-port", str(_port_of(self._ready.get("schema_registry_url"), 0))]
        if self._log_level is not None:
            command.append(f"--log-level={self._log_level}")
        return command + self._arguments

    def _create_configured_topics(self, may_exist: bool = False) -> None:
        """Create the topics that --create-topic can't."""
        for topic in self._topics:
            if topic.configs:
                try:
                    self.create_topic(*topic)
                except AdminError as error:
                    if not may_exist or error.error != "TOPIC_ALREADY_EXISTS":
                        raise

    def _post(self, path: str, body: Optional[Mapping[str, object]] = None) -> Dict[str, object]:
        process = self._process
        if process is None:
            raise OttlaError("the broker is not started")
        ca = self._ready.get("ca")
        try:
            return _admin.post(
                self.admin_url,
                path,
                body,
                token=self._settings.get("ottla.admin.token"),
                ca=None if ca is None else Path(str(ca)),
            )
        except OttlaError:
            code = process.exit_code
            if code is None:
                raise
            last = "".join(f"\n{line}" for line in self._log.lines()[-10:])
            raise OttlaError(f"the broker has ended with exit code {code}; the end of its log:{last}") from None

    def _reap(self) -> None:
        """Forget the process, which has ended."""
        if self._finalizer is not None:
            self._finalizer.detach()
            self._finalizer = None
        if self._process is not None:
            self._process.wait(STOP_TIMEOUT)
            self._process = None

    def _abort(self) -> None:
        """Kill the process, and what is started until `_aborted` is false again. For another thread than that of `start`."""
        self._aborted = True
        process = self._process
        if process is not None:
            process.send_kill()

    def _is_foreign(self) -> bool:
        """Whether this process was forked from the one that started the broker."""
        return self._process is not None and not self._process.is_owned

    def _field(self, name: str) -> object:
        try:
            return self._ready[name]
        except KeyError:
            why = f"the broker has no {name}" if self._ready else "the broker was not started"
            raise OttlaError(why) from None

    def _text(self, name: str) -> str:
        return str(self._field(name))


def _end(process: Optional[Process], directory: Optional[str], remover: Optional[Remover]) -> None:
    """Stop a process and remove its data."""
    if process is not None:
        if not process.is_owned:
            return
        # Not SIGTERM, at which it keeps its data: this process could be killed before it has removed them.
        process.end_input()
        if not process.wait(STOP_TIMEOUT / 2):
            process.terminate()
            if not process.wait(STOP_TIMEOUT / 2):
                process.kill()
    if directory is not None and os.path.lexists(directory):
        import shutil

        shutil.rmtree(directory, ignore_errors=True)
    if remover is not None:
        remover.release()


def _environment() -> Dict[str, str]:
    """The environment of the broker: without KAFKA_ variables, which it would take as settings, and without RUST_LOG."""
    kept = (name for name in os.environ if not name.startswith("KAFKA_") and name != "RUST_LOG")
    return {name: os.environ[name] for name in kept}


def _port_of(address: object, default: int) -> int:
    """The port of an address or URL."""
    return default if address is None else int(str(address).rpartition(":")[2])


def _bound(given: str, addresses: Mapping[str, str], first: str) -> str:
    """A value of `listeners` with the hosts of the given value, and with the ports that were bound.

    It begins with the listener of the address `first`: the bootstrap servers are the first listener.
    """
    hosts = {}
    for entry in given.split(","):
        name, _, address = entry.strip().partition("://")
        hosts[name.upper()] = address.rpartition(":")[0]
    ordered = sorted(addresses.items(), key=lambda listener: listener[1] != first)
    return ",".join(f"{name}://{hosts.get(name.upper(), '')}:{_port_of(address, 0)}" for name, address in ordered)
