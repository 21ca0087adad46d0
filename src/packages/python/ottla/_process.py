"""A process of the broker."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from contextlib import contextmanager
from types import FrameType
from typing import IO, Deque, Dict, Iterator, List, Optional, Sequence

from ._errors import StartError

#: Bytes of a line of the log that are kept.
MAX_LINE = 64 << 10
#: Bytes of the ready line; far more than it has.
MAX_READY = 1 << 20


#: The pipes whose end tells other processes that this one has ended.
_held: "weakref.WeakSet[IO[bytes]]" = weakref.WeakSet()


def _close_held() -> None:
    """In a forked process: close the pipes, so that only the end of the process that opened them counts."""
    for pipe in list(_held):
        pipe.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_held)


@contextmanager
def no_interrupt() -> Iterator[None]:
    """Delay Ctrl-C in the main thread until the end of the `with` statement."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    frames: List[Optional[FrameType]] = []
    signal.signal(signal.SIGINT, lambda _, frame: frames.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if frames:
            before(signal.SIGINT, frames[0])


class Log:
    """The last lines of the log of a broker, in all its processes. Written by one thread at a time."""

    #: Lines that are kept.
    MAX_LINES = 10_000

    def __init__(self) -> None:
        self._lines: Deque[str] = deque(maxlen=self.MAX_LINES)
        #: The number of lines so far, those included that are not kept any more.
        self.count = 0

    def append(self, line: str) -> None:
        self._lines.append(line)
        self.count += 1

    def lines(self, since: int = 0) -> List[str]:
        """Return the kept lines, without the first `since` of all."""
        while True:
            try:
                lines = list(self._lines)
                break
            except RuntimeError:  # a line was appended meanwhile
                continue
        dropped = self.count - len(lines)
        return lines[max(0, since - dropped) :]


class Process:
    """A process and the thread that reads its log.

    The process is in a session of its own, so that neither Ctrl-C nor a kill of this process's group ends it before it
    has removed its files. It stops when this process ends, because stdin is a pipe that this process holds.
    """

    def __init__(self, command: Sequence[str], environment: Dict[str, str], log: Log) -> None:
        #: Processes that are forked from this one must not stop the broker.
        self._owner = os.getpid()
        self._log = log
        self._ended = threading.Event()
        try:
            self._popen = subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            # ValueError: a NUL character in an argument.
            raise StartError(f"cannot run {command[0]}: {error}") from error
        self._program = command[0]
        assert self._popen.stdin is not None
        _held.add(self._popen.stdin)
        self.pid = self._popen.pid
        self._thread = threading.Thread(target=self._follow, name=f"ottla-log-{self.pid}", daemon=True)
        self._thread.start()

    @property
    def is_owned(self) -> bool:
        """Whether this process started it, and was not forked later."""
        return self._owner == os.getpid()

    @property
    def exit_code(self) -> Optional[int]:
        """The exit code; None while it runs."""
        return self._popen.poll() if self.is_owned else None

    def wait_until_ready(self, timeout: float) -> Dict[str, object]:
        """Return the content of the ready line. If there is none in time, end the process."""
        stdout = self._popen.stdout
        assert stdout is not None
        deadline = time.monotonic() + timeout
        line = b""
        poll = select.poll()
        poll.register(stdout, select.POLLIN | select.POLLHUP)
        try:
            while not line.endswith(b"\n") and len(line) < MAX_READY:
                remaining = deadline - time.monotonic()
                if remaining <= 0 or not poll.poll(remaining * 1000):
                    raise self._start_error(f"was not ready after {timeout:g} s")
                part = os.read(stdout.fileno(), 65536)
                if not part:
                    self.wait(timeout=max(remaining, 1.0))
                    raise self._start_error(f"did not start (exit code {self.exit_code})", line)
                line += part
            ready = _parse_ready(line)
            if ready is None:
                raise self._start_error("did not write a ready line", line)
            return ready
        except BaseException:
            self.kill()
            raise
        finally:
            stdout.close()

    def _start_error(self, what: str, output: bytes = b"") -> StartError:
        """Kill the process, so that its log is complete; return an error with the program and the end of its log."""
        self.kill()
        lines = self._log.lines()
        # One line says why it could not start.
        own = [line for line in lines if line.startswith("ottla: ")]
        last = "".join(f": {line}" for line in own[-1:]) or "".join(f"\n{line}" for line in lines[-10:])
        quoted = f"; it wrote {output[:200]!r}" if output else ""
        return StartError(f"the broker {what}{quoted} ({self._program}){last}")

    def end_input(self) -> None:
        """Stop it as if this process ended: it removes its data."""
        if self.is_owned and self._popen.stdin is not None:
            self._popen.stdin.close()

    def terminate(self) -> None:
        """Send SIGTERM: it stops, and keeps its data while stdin is open."""
        if self.is_owned:
            if self._popen.stdin is not None and not self._popen.stdin.closed:
                # Says that this process does not end as well, for which the broker would wait.
                try:
                    self._popen.stdin.write(b"keep\n")
                except OSError:
                    pass  # it has ended
            self._popen.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        if self.is_owned:
            self.send_kill()
            self.wait(timeout=None)

    def send_kill(self) -> None:
        """Send SIGKILL to the process and to what it has started, which may hold its pipes."""
        if self.is_owned and self._popen.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except OSError:
                self._popen.kill()

    def wait(self, timeout: Optional[float]) -> bool:
        """Wait for the end of the process and of its log; return whether it ended in time."""
        if not self.is_owned:
            return True
        deadline = None if timeout is None else time.monotonic() + timeout
        # The thread sets the event. It may never do so if another process holds the other end of a pipe.
        while not self._ended.wait(0.1):
            if self._popen.poll() is not None:
                break
            if deadline is not None and time.monotonic() > deadline:
                return False
        self._thread.join(1.0)
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        return True

    def _follow(self) -> None:
        """Read the log until the end of the process, which is then reaped at once: there is never a zombie."""
        stderr = self._popen.stderr
        assert stderr is not None
        pidfd = _open_pidfd(self.pid)
        poll = select.poll()
        poll.register(stderr, select.POLLIN | select.POLLHUP)
        if pidfd is not None:
            # A process that was forked while this one was started may hold the other end of stderr.
            poll.register(pidfd, select.POLLIN)
        rest = b""
        try:
            while True:
                ready = dict(poll.poll())
                if stderr.fileno() in ready:
                    part = os.read(stderr.fileno(), 65536)
                    if not part:
                        break
                    rest = self._append(rest + part)
                elif ready:
                    break
        finally:
            if rest:
                self._log.append(rest.decode(errors="replace"))
            if pidfd is not None:
                os.close(pidfd)
            stderr.close()
            self._popen.wait()
            self._ended.set()

    def _append(self, text: bytes) -> bytes:
        """Add complete lines to the log; return the rest."""
        *lines, rest = text.split(b"\n")
        for line in lines:
            self._log.append(line[:MAX_LINE].decode(errors="replace"))
        return rest[:MAX_LINE]


def _parse_ready(line: bytes) -> Optional[Dict[str, object]]:
    """Return the content of a ready line; None if it is of another program."""
    try:
        ready = json.loads(line)
    except ValueError:
        return None
    if not isinstance(ready, dict):
        return None
    types = {"pid": int, "bootstrap_servers": str, "listeners": dict, "data_dir": str}
    if any(not isinstance(ready.get(name), kind) for name, kind in types.items()):
        return None
    return ready


def _open_pidfd(pid: int) -> Optional[int]:
    """Return a descriptor that is readable when the process has ended, where the system has such."""
    if sys.platform == "linux":
        try:
            return os.pidfd_open(pid)
        except (AttributeError, OSError):
            pass
    return None


#: Without a line on stdin before its end: waits for the end of the process $2, but not for long, and removes $1.
REMOVE = """trap "" HUP INT TERM
read -r keep && exit
tries=100
while kill -0 "$2" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
rm -rf -- "$1"
"""


class Remover:
    """Removes a broker's directory when this process ends, after the broker's process.

    Without it, the data would be left if this process is killed after the broker, or long after a signal at which the
    broker keeps its data. It ignores the signals that may be sent to all processes of a test run. Without /bin/sh it does
    nothing.
    """

    def __init__(self, directory: str, pid: int) -> None:
        self._owner = os.getpid()
        self._popen: Optional["subprocess.Popen[bytes]"] = None
        try:
            self._popen = subprocess.Popen(
                ["/bin/sh", "-c", REMOVE, "sh", directory, str(pid)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                bufsize=0,
            )
        except OSError:
            return
        assert self._popen.stdin is not None
        _held.add(self._popen.stdin)

    def release(self) -> None:
        """End it; the directory is kept."""
        popen, self._popen = self._popen, None
        if popen is None or self._owner != os.getpid():
            return
        assert popen.stdin is not None
        try:
            popen.stdin.write(b"keep\n")
        except BrokenPipeError:
            pass
        popen.stdin.close()
        popen.wait()
