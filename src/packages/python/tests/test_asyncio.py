"""The broker for asyncio."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import ottla
import pytest
from conftest import process_exists


def test_broker_of_an_async_with_statement_has_all_calls() -> None:
    async def use() -> int:
        async with ottla.AsyncBroker(topics={"orders": 3}) as broker:
            assert broker.is_running
            assert broker.listeners == {"PLAINTEXT": broker.bootstrap_servers}
            assert await broker.create_topic("users", 2, {"cleanup.policy": "compact"}) == 2
            await broker.restart()
            await broker.kill()
            assert not broker.is_running and broker.data_dir.exists()
            await broker.restart()
            with pytest.raises(ottla.AdminError, match="TOPIC_ALREADY_EXISTS"):
                await broker.create_topic("users")
            await broker.reset()
            assert await broker.create_topic("users") == 1
            assert repr(broker) == f"<ottla.AsyncBroker {broker.bootstrap_servers}>"
        assert broker.log_lines != []
        return broker.pid

    assert not process_exists(asyncio.run(use()))


def test_loop_continues_while_a_broker_starts() -> None:
    async def use() -> int:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        counting = asyncio.create_task(count())
        async with ottla.AsyncBroker():
            pass
        counting.cancel()
        return turns

    assert asyncio.run(use()) > 10


def test_cancelled_start_leaves_no_broker(temporary: Path) -> None:
    async def use() -> None:
        for delay in (0, 0.001, 0.005, 0.02):
            broker = ottla.AsyncBroker()
            starting = asyncio.create_task(broker.start())
            await asyncio.sleep(delay)
            starting.cancel()
            try:
                await starting
            except asyncio.CancelledError:
                assert not broker.is_running
            await broker.stop()
            assert os.listdir(temporary) == []

    asyncio.run(use())


def test_start_that_is_cancelled_twice_leaves_no_broker(temporary: Path) -> None:
    async def use() -> None:
        for delay in (0, 0.001, 0.005, 0.02):
            broker = ottla.AsyncBroker()
            starting = asyncio.create_task(broker.start())
            for _ in range(3):
                await asyncio.sleep(delay)
                starting.cancel()
            await asyncio.wait([starting])
            assert starting.cancelled() == (not broker.is_running)
            await broker.stop()
            assert os.listdir(temporary) == []

    asyncio.run(use())


def test_many_brokers_start_together() -> None:
    async def use() -> None:
        brokers = [ottla.AsyncBroker() for _ in range(8)]
        await asyncio.gather(*(broker.start() for broker in brokers))
        assert len({broker.bootstrap_servers for broker in brokers}) == 8
        await asyncio.gather(*(broker.stop() for broker in brokers))

    asyncio.run(use())


def test_cancelled_start_of_a_program_that_hangs_ends_at_once(tmp_path: Path) -> None:
    program = tmp_path / "slow"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)

    async def use() -> None:
        begin = time.monotonic()
        broker = ottla.AsyncBroker(binary=program)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(broker.start(), 0.3)
        assert not broker.is_running and time.monotonic() - begin < 10

    asyncio.run(use())


def test_cancelled_reset_of_a_broker_that_hangs_ends_at_once() -> None:
    async def use() -> None:
        async with ottla.AsyncBroker() as broker:
            os.kill(broker.pid, signal.SIGSTOP)
            begin = time.monotonic()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(broker.reset(), 0.1)
            assert time.monotonic() - begin < 10
            await broker.kill()

    asyncio.run(use())
