"""The DRAM link as the filters of a pass see it: one 64-bit beat every few core cycles.

docs/machine.md section 3. The filters of the running pass come first, then those of the next one,
as far as the two filter banks reach. The link's clock is not the core's, so its time is counted in
ticks: `ticks_per_cycle` of them make a core cycle, and a beat takes a whole number of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from simpy import Environment, Event

    from sim.engine.fifo import Fifo


@dataclass(frozen=True, slots=True)
class PrefetchState:
    """How far the filters of a pass are in the GLB when it starts.

    `lines` have arrived; the link is still busy with the next one for `busy_ticks`.
    """

    lines: int = 0
    busy_ticks: int = 0

    def begun_ticks(self, beat_ticks: int) -> int:
        """Link time that has been spent on these lines."""
        # While the first access still waits, more than a beat is left of the line.
        begun = max(0, beat_ticks - self.busy_ticks) if self.busy_ticks else 0
        return self.lines * beat_ticks + begun


class DramLink:
    """Fetches the filters of this pass that are missing, then runs ahead for the next pass.

    `next_ticks` are the ticks at which lines beyond this pass have arrived. The link fetches as far
    as the buffer reaches whatever the next pass needs: a line that nobody needs delays nothing, and
    so the pass does not depend on what follows it.
    """

    def __init__(
        self, env: Environment, buffer: Fifo, *, beat: Fraction, latency_cycles: int,
        start: PrefetchState, lines: int, buffer_lines: int,
    ) -> None:  # fmt: skip
        self.env = env
        self.buffer = buffer
        self.beat_ticks = beat.numerator
        self.ticks_per_cycle = beat.denominator
        self.latency_ticks = latency_cycles * beat.denominator
        self.start = start
        self.lines = lines
        self.buffer_lines = buffer_lines
        self.next_ticks: list[int] = []

    def run(self) -> Generator[Event, None, None]:
        """The link's process: missing lines of this pass, then those of the next one."""
        buffer, start, per_cycle = self.buffer, self.start, self.ticks_per_cycle
        for _ in range(start.lines):
            buffer.put(0)
        tick = 0
        for line in range(start.lines, self.lines + self.buffer_lines):
            ahead = line - self.lines
            blocker = line - self.buffer_lines
            if blocker >= 0:
                if blocker >= len(buffer.freed):
                    yield buffer.place(blocker)
                tick = max(tick, buffer.freed[blocker] * per_cycle)
            if line == start.lines and start.busy_ticks:
                tick = start.busy_ticks
            else:
                if line == 0 or ahead == 0:
                    tick += self.latency_ticks
                tick += self.beat_ticks
            if ahead >= 0:
                self.next_ticks.append(tick)
            else:
                buffer.put(-(-tick // per_cycle))

    @property
    def prefetch(self) -> Prefetch:
        """What the pass after this one needs to know, once the process has ended."""
        return Prefetch(
            tuple(self.next_ticks), self.beat_ticks, self.latency_ticks, self.ticks_per_cycle
        )


@dataclass(frozen=True, slots=True)
class Prefetch:
    """When the lines beyond a pass arrive; tells how far the link is at any later end of it."""

    next_ticks: tuple[int, ...]
    beat_ticks: int
    latency_ticks: int
    ticks_per_cycle: int

    def state(self, cycles: int, next_lines: int) -> PrefetchState:
        """The start of a pass that needs `next_lines` lines and begins after `cycles`."""
        end = cycles * self.ticks_per_cycle
        ticks = self.next_ticks
        there = bisect_right(ticks, end)
        if there >= next_lines:
            return PrefetchState(next_lines, 0)
        if there < len(ticks):
            begun = ticks[there] - self.beat_ticks - (0 if there else self.latency_ticks)
            if begun < end:
                return PrefetchState(there, ticks[there] - end)
        return PrefetchState(there, 0)
