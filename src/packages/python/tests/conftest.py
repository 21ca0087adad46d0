"""Each test has a temporary directory of its own for brokers, and must leave it empty."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator

import pytest


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The directory where brokers put their data; also that of processes that the test starts."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield directory
    assert os.listdir(directory) == []


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition, for at most 30 seconds."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)


def process_exists(pid: int) -> bool:
    """Whether the process exists, be it a zombie."""
    return os.path.exists(f"/proc/{pid}")
