"""What tests found and the reader should see, also where all pass: it ends the test output."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest

# A shell that runs the suite in the background has Ctrl-C ignored, and every process started from
# here would inherit that; the tests of Ctrl-C send a real one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


Tell = Callable[[str, str], None]
_PREFIX = "tell: "


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """`tell(heading, line)` puts a line under a heading at the end of the test output.

    A property of the test's report, so that it gets there from other processes, too.
    """
    return lambda heading, line: record_property(f"{_PREFIX}{heading}", line)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    told: dict[str, list[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, line in getattr(report, "user_properties", ()):
                if name.startswith(_PREFIX) and getattr(report, "when", "") == "call":
                    told.setdefault(name.removeprefix(_PREFIX), []).append(str(line))
    for heading, lines in sorted(told.items()):
        terminalreporter.section(heading)
        for line in sorted(lines):
            terminalreporter.line(line)
