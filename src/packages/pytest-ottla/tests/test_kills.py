"""Test runs that are killed leave no process and no directory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import List

import pytest

SUITE = """
import pathlib, time, ottla as module

def test_first(ottla, ottla_factory):
    other = ottla_factory()
    killed = ottla_factory()
    killed.kill()
    for pid in ottla.pid, other.pid:
        pathlib.Path(f"broker-{pid}").touch()
    time.sleep(1000)

test_second = test_first
"""


def processes(temporary: Path) -> List[int]:
    """All processes that the test run has started."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            environment = Path("/proc", entry, "environ").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if f"TMPDIR={temporary}\0".encode() in environment and int(entry) != os.getpid():
            found.append(int(entry))
    return found


def brokers(directory: Path) -> List[int]:
    return [int(path.name.split("-")[1]) for path in directory.glob("broker-*")]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("victim", ["run", "group", "all"])
def test_killed_run_leaves_no_process_and_no_directory(
    pytester: pytest.Pytester, temporary: Path, workers: int, victim: str
) -> None:
    pytester.makepyfile(SUITE)
    expected = 4 if workers else 2
    arguments = ["-p", "no:cacheprovider", *(["-n", str(workers)] if workers else [])]
    with open("output", "w") as output:
        run = subprocess.Popen(
            [sys.executable, "-m", "pytest", *arguments], stdout=output, stderr=output, start_new_session=True
        )
    deadline = time.monotonic() + 60
    while len(brokers(pytester.path)) < expected:
        assert time.monotonic() < deadline and run.poll() is None, Path("output").read_text()
        time.sleep(0.01)
    if victim == "run":
        os.kill(run.pid, signal.SIGKILL)
    elif victim == "group":
        os.killpg(run.pid, signal.SIGKILL)
    else:
        # pytest, and the workers of pytest-xdist, one after the other.
        pythons = [pid for pid in processes(temporary) if b"python" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        for pid in {run.pid, *pythons}:
            os.kill(pid, signal.SIGKILL)
    run.wait()
    while processes(temporary) or os.listdir(temporary):
        assert time.monotonic() < deadline, (processes(temporary), os.listdir(temporary))
        time.sleep(0.01)
