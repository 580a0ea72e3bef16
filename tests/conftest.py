"""Which tests are measured, and what they found and the reader should see, also where all pass."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import coverage
import pytest
from hypothesis import settings

# A shell that runs the suite in the background has Ctrl-C ignored, and every process started from
# here would inherit that; the tests of Ctrl-C send a real one.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Coverage and a busy machine are no faults of what is tested.
settings.register_profile("suite", deadline=None)
settings.load_profile("suite")

# Tracing slows the engine several times, so coverage is taken of the tests beside these packages.
MEASURED = tuple(
    Path(__file__).parent / place
    for place in (
        *(
            f"unit/{package}"
            for package in (
                *("analytic", "dataflow", "energy", "engine", "mapper", "plan", "traces"),
                "cli/test_cli_show.py",
            )
        ),
        *("properties/test_many.py", "properties/test_properties_plan.py"),
        *("formats", "models/first_order", "models/fodlam"),
    )
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Coverage, where it is on, pauses for a test that is not measured, fixtures included."""
    measured = any(map(item.path.is_relative_to, MEASURED))
    if measured and not item.get_closest_marker("untraced"):
        return (yield)
    stopped = []
    # In a process of pytest-xdist there are two, and the second to end would wake up the first.
    while (tracer := coverage.Coverage.current()) is not None:
        tracer.stop()
        stopped.append(tracer)
    try:
        return (yield)
    finally:
        for tracer in reversed(stopped):
            tracer.start()


Tell = Callable[[str, str], None]
Count = Callable[[str, str, int], None]
_PREFIX = "tell: "
_COUNTED = "count: "


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """`tell(heading, line)` puts a line under a heading at the end of the test output.

    A property of the test's report, so that it gets there from other processes, too.
    """
    return lambda heading, line: record_property(f"{_PREFIX}{heading}", line)


@pytest.fixture
def count(record_property: Callable[[str, object], None]) -> Count:
    """`count(heading, what, number)` adds to a sum over all tests, told under the heading."""
    return lambda heading, what, number: record_property(f"{_COUNTED}{heading}", (number, what))


def _tell_skipped(terminalreporter: Any) -> None:
    """Say which tests were left out and why, also where `-q` shows a letter for each."""
    reasons: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.stats.get("skipped", ()):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[report.nodeid.partition("::")[0], reason.removeprefix("Skipped: ")] += 1
    if reasons:
        terminalreporter.section("tests that were left out, and why")
    for (file, reason), number in sorted(reasons.items()):
        terminalreporter.line(f"{file}: {number} left out: {reason}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    _tell_skipped(terminalreporter)
    told: dict[str, list[str]] = {}
    counted: dict[str, Counter[str]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, found in getattr(report, "user_properties", ()):
                if getattr(report, "when", "") != "call":
                    continue
                if name.startswith(_PREFIX):
                    told.setdefault(name.removeprefix(_PREFIX), []).append(str(found))
                elif name.startswith(_COUNTED):
                    number, what = found
                    counted.setdefault(name.removeprefix(_COUNTED), Counter())[what] += number
    for heading in sorted(told.keys() | counted.keys()):
        terminalreporter.section(heading)
        for line in sorted(told.get(heading, [])):
            terminalreporter.line(line)
        sums = counted.get(heading, Counter())
        for what, number in sorted(sums.items()):
            terminalreporter.line(f"{number:7,} {what}")
        if len(sums) > 1:
            terminalreporter.line(f"{sums.total():7,} in all")
