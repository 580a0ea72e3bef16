"""The DRAM link as the filters of a pass see it: one beat every few core cycles.

docs/machine.md section 3. The filters of the running pass come first, then those of the next one,
as far as the filter banks reach. Time on the link is that of the beats that cross it, whatever the
width of the GLB's port. The link's clock is not the core's, so its time is counted in ticks:
`ticks_per_cycle` of them make a core cycle, and a beat takes a whole number of them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from simpy import Environment, Event

    from sim.engine.fifo import Fifo


@dataclass(frozen=True, slots=True)
class PrefetchState:
    """How far the filters of a pass are in the GLB when it starts.

    `beats` have arrived; the link is still busy with the next one for `busy_ticks`.
    """

    beats: int = 0
    busy_ticks: int = 0

    def begun_ticks(self, beat_ticks: int) -> int:
        """Return the link time that has been spent on these beats."""
        # While the first access still waits, more than a beat is left of it.
        begun = max(0, beat_ticks - self.busy_ticks) if self.busy_ticks else 0
        return self.beats * beat_ticks + begun


class DramLink:
    """Fetches the filters of this pass that are missing, then runs ahead for the next pass.

    `buffer` holds the filters of this pass, in entries of `entry_words`: a beat brings whole
    entries. `ticks` are those at which the missing beats of this pass have arrived, `next_ticks`
    those of the beats beyond it. The link fetches as far as the banks reach whatever the next pass
    needs: a beat that nobody needs delays nothing, and so the pass does not depend on what follows
    it.
    """

    def __init__(
        self, env: Environment, buffer: Fifo, *, beat: Fraction, latency_cycles: int,
        start: PrefetchState, words: int, beat_words: int, entry_words: int, bank_words: int,
    ) -> None:  # fmt: skip
        self.env = env
        self.buffer = buffer
        self.beat_ticks = beat.numerator
        self.ticks_per_cycle = beat.denominator
        self.latency_ticks = latency_cycles * beat.denominator
        self.start = start
        self.words = words
        self.beat_words = beat_words
        self.entry_words = entry_words
        self.bank_words = bank_words
        self.beats = -(-words // beat_words)
        self.ticks: list[int] = []
        self.next_ticks: list[int] = []

    def run(self) -> Generator[Event, None, None]:
        """Run the link: missing beats of this pass, then those of the next one."""
        buffer, start, per_cycle = self.buffer, self.start, self.ticks_per_cycle
        for beat in range(start.beats):
            self._put(beat, 0)
        tick = 0
        for beat in range(start.beats, self.beats + self.ahead_beats):
            ahead = beat - self.beats
            if ahead < 0:
                end = min((beat + 1) * self.beat_words, self.words)
            else:
                end = self.words + (ahead + 1) * self.beat_words
            # Its last word takes the place of the one that came as many words before as fit.
            if end > self.bank_words:
                blocker = (end - 1 - self.bank_words) // self.entry_words
                if blocker >= len(buffer.freed):
                    yield buffer.place(blocker)
                tick = max(tick, buffer.freed[blocker] * per_cycle)
            if beat == start.beats and start.busy_ticks:
                tick = start.busy_ticks
            else:
                if beat == 0 or ahead == 0:  # once for the filters of a pass, which lie in a row
                    tick += self.latency_ticks
                tick += self.beat_ticks
            if ahead >= 0:
                self.next_ticks.append(tick)
            else:
                self.ticks.append(tick)
                self._put(beat, -(-tick // per_cycle))

    @property
    def ahead_beats(self) -> int:
        """Beats of the next pass that the link brings at the most."""
        return self.bank_words // self.beat_words

    def _put(self, beat: int, cycle: int) -> None:
        """Write the entries that a beat brings."""
        first = beat * self.beat_words
        for _ in range(first, min(first + self.beat_words, self.words), self.entry_words):
            self.buffer.put(cycle)

    @property
    def prefetch(self) -> Prefetch:
        """What the pass after this one needs to know, once the process has ended."""
        ticks = array("q", self.next_ticks)  # it is kept with every outcome: 8 bytes a beat
        return Prefetch(ticks, self.beat_ticks, self.latency_ticks, self.ticks_per_cycle)


@dataclass(frozen=True, slots=True)
class Prefetch:
    """When the beats beyond a pass arrive; tells how far the link is at any later end of it."""

    next_ticks: Sequence[int]
    beat_ticks: int
    latency_ticks: int
    ticks_per_cycle: int

    def state(self, cycles: int, next_beats: int) -> PrefetchState:
        """Return the state for a pass that needs `next_beats` beats and begins after `cycles`."""
        end = cycles * self.ticks_per_cycle
        ticks = self.next_ticks
        there = bisect_right(ticks, end)
        if there >= next_beats:
            # The link runs ahead to the filters of the next pass, not beyond (docs/machine.md
            # section 8, "Prefetch"). Only now is it known how many those are; beats beyond them
            # count as never fetched, so that passes with all their filters there share one state.
            return PrefetchState(next_beats, 0)
        if there < len(ticks):
            # A beat that the link has begun, or for whose first access it waits, goes on into the
            # next pass. One that waited for room until the end has not been begun.
            begun = ticks[there] - self.beat_ticks - (0 if there else self.latency_ticks)
            if begun < end:
                return PrefetchState(there, ticks[there] - end)
        return PrefetchState(there, 0)
