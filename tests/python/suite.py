"""Helpers of all programs in this directory: cases, waiting with a timeout, child processes that end with their parent.

A program is a list of cases. Its arguments are the address of a broker and, optionally, names of cases:

    python kafka_python_producing.py localhost:9092
    python kafka_python_producing.py localhost:9092 compression acks
    python kafka_python_producing.py localhost:9092 --apache-kafka

`--apache-kafka` skips the cases for guarantees that only Ottla has, so that the same programs can be run against Apache
Kafka. The exit code is 0 if every case passed, 1 otherwise.
"""

import faulthandler
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
import uuid

# Yesterday, in milliseconds on a full second: a timestamp that differs clearly from the current time, but is within
# retention and the limits of timestamps.
YESTERDAY_MS = (int(time.time()) - 24 * 60 * 60) * 1000

_cases = []


def case(function=None, *, seconds=30, beyond_kafka=False):
    """Registers a test function that takes the bootstrap address. A case that exceeds `seconds` ends the program
    with the stack of every thread. `beyond_kafka` marks guarantees that Ottla has and Apache Kafka has not."""

    def register(function):
        _cases.append((function, seconds, beyond_kafka))
        return function

    return register(function) if function else register


def run_cases():
    """Runs the cases that the command line selects, prints one line for each, and ends the process."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    on_apache_kafka = "--apache-kafka" in sys.argv
    if not arguments:
        sys.exit(f"usage: {sys.argv[0]} BOOTSTRAP [CASE...] [--apache-kafka]")
    bootstrap, wanted = arguments[0], arguments[1:]
    unknown = set(wanted) - {function.__name__ for function, _, _ in _cases}
    if unknown:
        sys.exit(f"no such case: {', '.join(sorted(unknown))}")
    failed = []
    for function, seconds, beyond_kafka in _cases:
        name = function.__name__
        if (wanted and name not in wanted) or (beyond_kafka and on_apache_kafka):
            continue
        started = time.monotonic()
        faulthandler.dump_traceback_later(seconds, exit=True)
        try:
            function(bootstrap)
            verdict = "ok"
        except Exception:
            traceback.print_exc()
            Child.print_logs()
            failed.append(name)
            verdict = "FAILED"
        finally:
            faulthandler.cancel_dump_traceback_later()
            Child.kill_all()
        print(f"{verdict:6} {name} ({(time.monotonic() - started) * 1000:.0f} ms)", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", flush=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if failed else 0)  # clients of a failed case may have threads that keep the process alive


def unique(name):
    """Returns a unique name for a topic or group."""
    return f"{name}-{uuid.uuid4().hex[:8]}"


def equal(actual, expected, what="value"):
    """Fails if two values differ; for long lists and dicts shows only the first difference."""
    if actual == expected:
        return
    if isinstance(actual, list) and isinstance(expected, list) and len(actual) + len(expected) > 20:
        for index, (left, right) in enumerate(zip(actual, expected)):
            equal(left, right, f"{what}[{index}]")
        raise AssertionError(f"{what}: got {len(actual)} elements, expected {len(expected)}")
    if isinstance(actual, dict) and isinstance(expected, dict) and actual.keys() == expected.keys():
        for key in expected:
            equal(actual[key], expected[key], f"{what}[{key!r}]")
    raise AssertionError(f"{what}: got {actual!r:.1000}, expected {expected!r:.1000}")


def check(condition, what):
    """Fails unless the condition is true; `what` describes it."""
    if not condition:
        raise AssertionError(f"not so: {what}")


def raises(errors, function, *arguments, **options):
    """Calls `function`, which must raise one of `errors`; returns the exception."""
    try:
        result = function(*arguments, **options)
    except errors as error:
        return error
    raise AssertionError(f"nothing was raised; got {result!r}")


def wait_until(condition, what, seconds=10):
    """Calls `condition` until it returns a true value, and returns that value."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s still not so: {what}")
        time.sleep(0.02)


def now_ms():
    return int(time.time() * 1000)


class Child:
    """Another process that runs this program (or `command`) in a role, for cases that need several clients that can be
    killed. What the child sends with `report` is appended to `reports`."""

    _alive = []

    def __init__(self, role, *arguments, command=None, environment=None):
        command = command or [
            sys.executable,
            sys.argv[0],
            sys.argv[1],
            f"--role={role}",
            *map(str, arguments),
        ]
        self.role = role
        self.reports = []
        self.log = []
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        Child._alive.append(self)

    def _read(self):
        for line in self.process.stdout:
            if line.startswith("REPORT "):
                self.reports.append(json.loads(line[len("REPORT ") :]))
            else:
                self.log.append(line)

    def last(self, kind):
        """Returns the latest report of this kind, or None."""
        return next((report for report in reversed(self.reports) if report["kind"] == kind), None)

    def all(self, kind):
        return [report for report in list(self.reports) if report["kind"] == kind]

    def wait_for(self, kind, seconds=15):
        return wait_until(lambda: self.last(kind), f"{self.role} reports {kind}", seconds)

    def kill(self):
        """Kills the process, so that its client can't send anything to the broker."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds=15):
        """Waits for the process to end by itself; fails unless its exit code is 0."""
        code = self.process.wait(timeout=seconds)
        self._reader.join(timeout=5)
        check(code == 0, f"{self.role} ends with code 0, not {code}")

    @classmethod
    def print_logs(cls):
        """Prints the last lines of each child's output, for a failed case."""
        for child in cls._alive:
            sys.stderr.write(f"--- {child.role} (process {child.process.pid})\n{''.join(child.log[-40:])}")

    @classmethod
    def kill_all(cls):
        for child in cls._alive:
            if child.process.poll() is None:
                child.process.kill()
                child.process.wait()
        cls._alive = []


def report(kind, **facts):
    """Sends a report to the process that started this one as a `Child`."""
    sys.__stdout__.write(f"REPORT {json.dumps({'kind': kind, **facts})}\n")  # Faust redirects sys.stdout to its log
    sys.__stdout__.flush()


def role_of_this_process():
    """Returns a Child's role and arguments, or None in the main program."""
    roles = [argument[len("--role=") :] for argument in sys.argv if argument.startswith("--role=")]
    return (roles[0], sys.argv[3:]) if roles else None
