"""The log lines of brokers in the reports of failed tests."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from functools import partial
from itertools import dropwhile
from typing import List, Tuple

import ottla
import pytest

#: Lines of a broker that a report has.
MAX_LINES = 200
#: Seconds without a new line after which no more is expected.
QUIET = 0.05
#: Seconds that a report waits for that.
MAX_WAIT = 0.5

#: The time of a line of the log, in both formats.
_TIME = re.compile(r'(?:\{"timestamp":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)')

#: The brokers of a test, each with the number of log lines and the time at the start of its use.
_USED = pytest.StashKey[List[Tuple[ottla.Broker, int, str]]]()


def note_use(item: pytest.Item, broker: ottla.Broker) -> None:
    """Note that a test uses a broker, from now on."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    item.stash.setdefault(_USED, []).append((broker, broker._log.count, now))


def add_sections(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add the lines that the brokers of the test have logged since its start."""
    used = item.stash.get(_USED, [])
    _wait_for_lines([broker for broker, _, _ in used])
    for broker, before, start in used:
        lines = list(dropwhile(partial(_is_older, start), broker._log.lines(before)))
        omitted = len(lines) - MAX_LINES
        if omitted > 0:
            lines = [f"({omitted} lines are omitted)", *lines[-MAX_LINES:]]
        if lines:
            report.sections.append((f"Log of {broker!r}", "\n".join(lines)))


def _wait_for_lines(brokers: List[ottla.Broker]) -> None:
    """Wait until the lines are here that the brokers have written because of the test: they write them a little later."""
    deadline = time.monotonic() + MAX_WAIT
    counts = [broker._log.count for broker in brokers]
    while any(broker.is_running for broker in brokers) and time.monotonic() < deadline:
        time.sleep(QUIET)
        before, counts = counts, [broker._log.count for broker in brokers]
        if before == counts:
            return


def _is_older(start: str, line: str) -> bool:
    """Whether a line is from before this time: it was written by the test before, and was read later."""
    found = _TIME.match(line)
    return found is not None and found.group(1) < start
