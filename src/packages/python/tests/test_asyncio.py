"""The broker for asyncio."""

from __future__ import annotations

import asyncio
import os
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
