"""The broker for asyncio."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Type, TypeVar

from ._broker import Broker
from ._find import PathLike
from ._topics import Topics

T = TypeVar("T")


class AsyncBroker:
    """A `Broker` whose methods do not block the event loop.

    >>> async with AsyncBroker(topics={"orders": 3}) as broker:
    ...     consumer = AIOKafkaConsumer("orders", bootstrap_servers=broker.bootstrap_servers)
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
        """Set the options of a broker, as `Broker` does."""
        self._broker = Broker(
            topics=topics,
            settings=settings,
            users=users,
            secure=secure,
            port=port,
            schema_registry=schema_registry,
            log_level=log_level,
            binary=binary,
            arguments=arguments,
            start_timeout=start_timeout,
        )

    async def start(self) -> AsyncBroker:
        """See `Broker.start`. If the task is cancelled, the broker is stopped."""
        await self._run(self._broker.start, stop_if_cancelled=True)
        return self

    async def stop(self) -> None:
        """See `Broker.stop`."""
        await self._run(self._broker.stop)

    async def restart(self) -> None:
        """See `Broker.restart`. If the task is cancelled, the broker is stopped."""
        await self._run(self._broker.restart, stop_if_cancelled=True)

    async def kill(self) -> None:
        """See `Broker.kill`."""
        await self._run(self._broker.kill)

    async def reset(self) -> None:
        """See `Broker.reset`. If the task is cancelled, the broker may still be reset later."""
        await self._run(self._broker.reset, wait_if_cancelled=False)

    async def create_topic(
        self, name: str, partitions: Optional[int] = None, configs: Optional[Mapping[str, object]] = None
    ) -> int:
        """See `Broker.create_topic`. If the task is cancelled, the topic may still be created later."""
        create = partial(self._broker.create_topic, name, partitions, configs)
        return await self._run(create, wait_if_cancelled=False)

    @property
    def is_running(self) -> bool:
        """See `Broker.is_running`."""
        return self._broker.is_running

    @property
    def bootstrap_servers(self) -> str:
        """See `Broker.bootstrap_servers`."""
        return self._broker.bootstrap_servers

    @property
    def listeners(self) -> Dict[str, str]:
        """See `Broker.listeners`."""
        return self._broker.listeners

    @property
    def admin_url(self) -> str:
        """See `Broker.admin_url`."""
        return self._broker.admin_url

    @property
    def schema_registry_url(self) -> str:
        """See `Broker.schema_registry_url`."""
        return self._broker.schema_registry_url

    @property
    def pid(self) -> int:
        """See `Broker.pid`."""
        return self._broker.pid

    @property
    def data_dir(self) -> Path:
        """See `Broker.data_dir`."""
        return self._broker.data_dir

    @property
    def ca(self) -> Path:
        """See `Broker.ca`."""
        return self._broker.ca

    @property
    def secure_dir(self) -> Path:
        """See `Broker.secure_dir`."""
        return self._broker.secure_dir

    @property
    def log_lines(self) -> List[str]:
        """See `Broker.log_lines`."""
        return self._broker.log_lines

    async def __aenter__(self) -> AsyncBroker:
        return await self.start()

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        traceback: Optional[TracebackType],
    ) -> None:
        await self.stop()

    def __repr__(self) -> str:
        return repr(self._broker).replace("Broker", "AsyncBroker", 1)

    async def _run(
        self, call: Callable[[], T], *, stop_if_cancelled: bool = False, wait_if_cancelled: bool = True
    ) -> T:
        """Run a call in a thread of the event loop."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(None, call)
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            # The thread can't be cancelled, and no other code stops the broker.
            if stop_if_cancelled:
                self._broker._abort()
                await _end_of(future)
                await _end_of(loop.run_in_executor(None, self._broker.stop))
                self._broker._aborted = False
            elif wait_if_cancelled:
                await _end_of(future)
            else:
                future.add_done_callback(lambda done: done.cancelled() or done.exception())  # so that it is not logged
            raise
        return future.result()


async def _end_of(future: "asyncio.Future[T]") -> None:
    """Wait for the end of a call in a thread, even if the task is cancelled again."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            pass  # the caller raises the first one
    if not future.cancelled():
        future.exception()  # seen, so that it is not logged; the caller raises the cancellation
