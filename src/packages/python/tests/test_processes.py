"""Processes, threads, descriptors and directories: nothing is left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Callable, List

import ottla
import pytest
from conftest import process_exists, wait_until


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def children() -> List[int]:
    """The processes that this one has started, zombies included."""
    with open(f"/proc/self/task/{threading.main_thread().native_id}/children") as file:
        return [int(pid) for pid in file.read().split()]


def in_fork(run: Callable[[], None]) -> None:
    """Run something in a process that is forked from this one, and assert that it succeeds."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def python(program: str, **options: "int | bool") -> "subprocess.Popen[str]":
    """Start a Python program that prints a line when it is ready."""
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload,no-any-return]


def test_many_brokers_leak_nothing(temporary: Path) -> None:
    # OTTLA_MANY_BROKERS=200 for a longer run.
    count = int(os.environ.get("OTTLA_MANY_BROKERS", "20"))
    with ottla.Broker() as broker:
        broker.reset()
    before = (descriptors(), threading.active_count(), children())
    for number in range(count):
        broker = ottla.Broker(topics=["orders"])
        broker.start()
        broker.reset()
        if number % 4 == 1:
            broker.kill()
        elif number % 4 == 2:
            broker.kill()
            broker.start()
        broker.stop()
        assert os.listdir(temporary) == []
    assert (descriptors(), threading.active_count(), children()) == before


def test_brokers_at_the_same_time_in_threads_leak_nothing() -> None:
    before = (descriptors(), threading.active_count(), children())
    failures: List[BaseException] = []

    def use() -> None:
        try:
            for _ in range(3):
                with ottla.Broker() as broker:
                    assert broker.create_topic("orders", 2) == 2
                    broker.restart()
                    broker.reset()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (descriptors(), threading.active_count(), children()) == before


def test_one_broker_is_used_by_many_threads() -> None:
    with ottla.Broker() as broker:
        created: List[int] = []
        threads = [threading.Thread(target=lambda at=at: created.append(broker.create_topic(f"t{at}"))) for at in range(8)]
        threads += [threading.Thread(target=broker.restart) for _ in range(2)]
        for thread in threads[:8]:
            thread.start()
        for thread in threads[:8]:
            thread.join()
        for thread in threads[8:]:
            thread.start()
        for thread in threads[8:]:
            thread.join()
        assert created == [1] * 8 and broker.is_running


def test_ended_broker_is_never_a_zombie() -> None:
    with ottla.Broker() as broker:
        os.kill(broker.pid, signal.SIGKILL)
        wait_until(lambda: not process_exists(broker.pid), "the end of the process")
        assert not broker.is_running


def test_failed_starts_leak_nothing() -> None:
    before = (descriptors(), threading.active_count(), children())
    for _ in range(5):
        with pytest.raises(ottla.StartError):
            ottla.Broker(settings={"nonsense": 1}).start()
        with pytest.raises(ottla.StartError):
            ottla.Broker(topics=[ottla.Topic("a/b", configs={"a": 1})], arguments=["--nonsense"]).start()
        with pytest.raises(ottla.AdminError):
            ottla.Broker(topics=[ottla.Topic("a", configs={"nonsense": 1})]).start()
    assert (descriptors(), threading.active_count(), children()) == before


def test_broker_without_references_is_stopped() -> None:
    broker = ottla.Broker().start()
    pid = broker.pid
    del broker
    gc.collect()
    assert not process_exists(pid)


def test_forked_process_uses_the_broker_and_does_not_stop_it() -> None:
    with ottla.Broker() as broker:

        def use() -> None:
            with pytest.raises(ZeroDivisionError):
                try:
                    assert broker.create_topic("orders") == 1
                    1 / 0
                finally:
                    broker.__exit__(None, None, None)
            broker.stop()
            broker.kill()
            broker.restart()

        in_fork(use)
        assert broker.is_running
        with pytest.raises(ottla.AdminError):
            broker.create_topic("orders")


def test_end_of_a_forked_interpreter_does_not_stop_the_broker() -> None:
    with ottla.Broker() as broker:
        pid = os.fork()
        if pid == 0:
            import atexit

            atexit._run_exitfuncs()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert broker.is_running
        broker.reset()


def test_stop_is_quick_while_a_forked_process_holds_the_pipes() -> None:
    before = threading.active_count()
    read, write = os.pipe()
    with ottla.Broker(start_timeout=30) as broker:
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(0)
        broker.kill()
        broker.start()
    assert threading.active_count() == before
    os.close(read)
    os.close(write)
    assert os.waitpid(child, 0)[1] == 0


def test_end_of_the_interpreter_stops_the_broker() -> None:
    program = "import ottla; broker = ottla.Broker().start(); print(broker.pid, flush=True)"
    running = python(program)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0 and not process_exists(int(output))


def test_exception_of_the_program_stops_the_broker() -> None:
    program = """
import ottla, sys, threading
threading.excepthook = sys.excepthook
broker = ottla.Broker().start()
print(broker.pid, flush=True)
sys.exit(3)
"""
    running = python(program)
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 3 and not process_exists(int(output))


RESTARTS = "import threading; threading.Thread(target=lambda: [broker.restart() for _ in range(10**9)]).start()"


def start_program(state: str) -> "tuple[subprocess.Popen[str], int]":
    """Start a program that uses a broker in this way, and return it with the broker's first process."""
    program = f"""
import ottla, time
broker = ottla.Broker().start()
broker.create_topic("orders", 3)
print(broker.pid, flush=True)
{state}
print("ready", flush=True)
time.sleep(1000)
"""
    running = python(program, start_new_session=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    assert running.stdout.readline() == "ready\n"
    return running, pid


def wait_until_nothing_is_left(running: "subprocess.Popen[str]", pid: int, temporary: Path) -> None:
    running.wait()
    assert running.stdout is not None
    running.stdout.close()
    wait_until(lambda: os.listdir(temporary) == [], "the removal of the directory")
    wait_until(lambda: not process_exists(pid), "the end of the broker")
    wait_until(lambda: not started_in(temporary), "the end of all processes")


@pytest.mark.parametrize(
    "state",
    [
        "",
        "broker.kill()",
        "broker.restart()",
        "broker.kill(); broker.start()",
        RESTARTS,
        "import threading; threading.Thread(target=lambda: [(broker.kill(), broker.start()) for _ in range(10**9)]).start()",
        "import threading; threading.Thread(target=lambda: [(broker.stop(), broker.start()) for _ in range(10**9)]).start()",
    ],
)
def test_killed_program_leaves_no_process_and_no_directory(temporary: Path, state: str) -> None:
    running, pid = start_program(state)
    # The whole group, as `timeout` and CI systems do it.
    os.killpg(running.pid, signal.SIGKILL)
    wait_until_nothing_is_left(running, pid, temporary)


#: The program ends long after the broker, which keeps its data at the signal.
ENDS_LATE = "import signal, time; signal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), os._exit(0)))"


@pytest.mark.parametrize("state", ["", "broker.kill()", RESTARTS, ENDS_LATE])
def test_sigterm_of_all_processes_leaves_no_process_and_no_directory(temporary: Path, state: str) -> None:
    running, pid = start_program(state)
    # As a container or a CI system does it. The program is the first of them, but here the last to get the signal.
    for process in sorted(started_in(temporary), key=int, reverse=True):
        try:
            os.kill(int(process), signal.SIGTERM)
        except ProcessLookupError:
            pass  # ended meanwhile
    wait_until_nothing_is_left(running, pid, temporary)


def started_in(temporary: Path) -> List[str]:
    """The processes of the module that a directory of brokers has."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            environment = Path("/proc", entry, "environ").read_bytes() if entry.isdigit() else b""
        except OSError:
            continue
        if f"TMPDIR={temporary}\0".encode() in environment and int(entry) != os.getpid():
            found.append(entry)
    return found


def test_interrupt_at_the_terminal_reaches_the_program_and_not_the_broker(temporary: Path) -> None:
    program = """
import ottla, signal, sys
with ottla.Broker() as broker:
    try:
        print(broker.pid, flush=True)
        signal.pause()
    except KeyboardInterrupt:
        broker.reset()
        print("interrupted", flush=True)
"""
    running = python(program, start_new_session=True)
    assert running.stdout is not None
    pid = int(running.stdout.readline())
    os.killpg(running.pid, signal.SIGINT)
    output, _ = running.communicate(timeout=60)
    assert output == "interrupted\n" and running.returncode == 0 and not process_exists(pid)


def test_interrupt_right_after_the_start_of_the_process_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started: List[int] = []

    class Interrupted(ottla._broker.Process):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            started.append(self.pid)
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr("ottla._broker.Process", Interrupted)
    broker = ottla.Broker()
    with pytest.raises(KeyboardInterrupt):
        broker.start()
    assert not broker.is_running and not process_exists(started[0])
