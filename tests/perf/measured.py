"""What the benches have in common: clocks, T, peak memory, and Markdown.

T is the time of one bare SimPy timeout with 168 processes, sampled before and after each
measurement: so a figure can be compared with one from another machine, and from another hour.
"""

from __future__ import annotations

import os
import platform
import re
import resource
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import simpy

DOCS = Path(__file__).parents[2] / "docs"
PROCESSES = 168  # the PEs of the chip
REPEATS = 3
MET, MISSED = "met", "**missed**"

Work = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """The best time of something, and the best T beside it, both in seconds."""

    seconds: float
    T: float

    @property
    def in_T(self) -> float:  # noqa: N802
        """The time in T."""
        return self.seconds / self.T


def seconds(work: Work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu_seconds(work: Work) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def bare_timeouts(processes: int, rounds: int) -> float:
    """Processor seconds of one timeout, where each of the processes waits `rounds` times."""
    env = simpy.Environment()

    def process() -> Generator[simpy.Event, None, None]:
        for _ in range(rounds):
            yield env.timeout(1)

    for _ in range(processes):
        env.process(process())
    return cpu_seconds(env.run) / (rounds * processes)


def bare_timeout() -> float:
    """T."""
    return bare_timeouts(PROCESSES, rounds=300)


def best(work: Work, clock: Callable[[Work], float], repeats: int = REPEATS) -> Timing:
    """The best of several times by `clock`, with T sampled between them."""
    bare = [bare_timeout()]
    times = []
    for _ in range(repeats):
        times.append(clock(work))
        bare.append(bare_timeout())
    return Timing(min(times), min(bare))


def peak_mb() -> float:
    """Peak memory of this process, in MB.

    Where there is no VmHWM, `ru_maxrss` stands in; on Linux a process would start there with the
    peak of the one that started it.
    """
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found is not None:
        return int(found[1]) * 1024 / 1e6
    return maxrss_mb(resource.RUSAGE_SELF)


def maxrss_mb(who: int) -> float:
    """`ru_maxrss` of this process or of its largest child, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(who).ru_maxrss * unit / 1e6


def millions(figure: float) -> str:
    return f"{figure / 1e6:,.2f} million"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def machine_line(load: float) -> str:
    return (
        f"CPython {platform.python_version()}, SimPy {version('simpy')}, {platform.system()} on "
        f"{platform.machine()}, {os.cpu_count()} CPUs; {load:.1f} processes were running when the "
        "bench began, its own not counted."
    )


def say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)
