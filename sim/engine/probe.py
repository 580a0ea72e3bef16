"""What watches the machine: each pass as a template of events, and the layer as passes and tiles.

Every block keeps its own history, so nothing is added to what runs: when a pass has ended, its logs
become columns. An observer that fails stops the run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

from sim.engine.dram_timeline import TileTimeline, TimedPass
from sim.engine.machine import Machine, PassOutcome
from sim.engine.record import record_pass
from traces.template import Template

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import Pass, Plan
    from sim.plan.dram_traffic import Traffic


@dataclass(frozen=True, slots=True)
class PassSeen:
    """A pass that ran: its place in its layer, and the template that says what it did.

    `start` is in cycles of the layer's processing latency. `prefetched_words` are filter words of
    the next pass that came over the DRAM link meanwhile.
    """

    step: Any
    template: int
    start: int
    cycles: int
    prefetched_words: int


@dataclass(frozen=True, slots=True)
class TileSeen:
    """Something on the scale of tiles: a strip loads, an ofmap leaves, or the array waits.

    `start` is in cycles of the total latency, `passes` the passes that have ended by then.
    """

    action: str
    kind: str
    passes: int
    start: int
    cycles: int = 0
    words: int = 0
    bits: int = 0


class Observer(Protocol):
    """Who watches a run. Called in this order; what it raises stops the run."""

    def layer_begins(self, plan: Plan) -> None:
        """Note that a layer starts."""

    def wants(self, start: int, cycles: int) -> bool:
        """Return whether to report a pass of the layer of these cycles."""

    def template(self, number: int, record: Template) -> None:
        """Take a pass that was not seen before; `number` counts from 0."""

    def passed(self, seen: PassSeen) -> None:
        """Note that a pass of the layer has run."""

    def layer_ends(self, tiles: Sequence[TileSeen]) -> None:
        """Note that all passes of the layer have run."""


@dataclass
class Probe:
    """Turns outcomes into templates, each once, and tells the observers; lives as long as a run."""

    observers: Sequence[Observer]
    _numbers: dict[tuple[int, Hashable], int] = field(default_factory=dict)
    _counts: Counter[int] = field(default_factory=Counter)
    _fresh: tuple[Machine, PassOutcome] | None = None
    _start: int = 0
    _open: tuple[Pass, int, list[tuple[Observer, int]]] | None = None
    _timeline: WatchedTimeline | None = None

    def layer_begins(self, plan: Plan) -> None:
        """Note that a layer starts."""
        self._start = 0
        self._open = None
        for observer in self.observers:
            observer.layer_begins(plan)

    def ran(self, machine: Machine, outcome: PassOutcome) -> None:
        """Keep a machine that has run until the next one, in case the layer has a use for it."""
        self._fresh = machine, outcome

    def passed(
        self, step: Pass, outcome: PassOutcome, cycles: int, fetched_words: int, key: Hashable,
        again: Callable[[], Machine],
    ) -> None:  # fmt: skip
        """Note the outcome of the layer's next pass.

        `fetched_words` of its filters came during the pass before; passes of one `key` are the same
        unless real words move; `again` builds its machine once more, for the record of a pass that
        ran before anyone watched.
        """
        self._close(fetched_words)
        watching = [
            (observer, self._number(place, outcome, key, again))
            for place, observer in enumerate(self.observers)
            if observer.wants(self._start, cycles)
        ]
        if watching:
            self._open = step, cycles, watching
        self._start += cycles
        self._fresh = None

    def timeline(
        self, hw: Hardware, traffic: Traffic, passes: Sequence[TimedPass]
    ) -> WatchedTimeline:
        """Return the layer's timeline, watched."""
        self._timeline = WatchedTimeline(hw, traffic, passes)
        return self._timeline

    def layer_ends(self) -> None:
        """Note that all passes have run, and so has the timeline."""
        self._close(0)
        tiles = self._timeline.seen if self._timeline is not None else []
        for observer in self.observers:
            observer.layer_ends(tiles)

    def _close(self, prefetched_words: int) -> None:
        """Report the pass before, now that it is known how much it prefetched."""
        if self._open is None:
            return
        (step, cycles, watching), self._open = self._open, None
        for observer, number in watching:
            seen = PassSeen(step, number, self._start - cycles, cycles, prefetched_words)
            observer.passed(seen)

    def _number(
        self, place: int, outcome: PassOutcome, key: Hashable, again: Callable[[], Machine]
    ) -> int:
        """Return the number of the template for the observer in that place; give it a new one."""
        # By the key, not by the outcome: that may have been simulated anew, and is not kept here.
        number = self._numbers.get((place, key))
        if number is not None:
            return number
        if self._fresh is None or self._fresh[1] is not outcome:
            machine = again()
            self._fresh = machine, outcome
            machine.run()
        machine = self._fresh[0]
        number = self._counts[place]
        self._counts[place] += 1
        if outcome.psums is None:
            self._numbers[place, key] = number
        self.observers[place].template(number, record_pass(machine))
        return number


class WatchedTimeline(TileTimeline):
    """The layer's timeline, which also keeps what happened when."""

    def __init__(self, hw: Hardware, traffic: Traffic, passes: Sequence[TimedPass]) -> None:
        super().__init__(hw, traffic, passes)
        self.seen: list[TileSeen] = []
        self._ends = list(accumulate(step.cycles for step in passes))

    def _stand(self, kind: str, m_block: int) -> int:
        now, done = self.now, self._done
        cycles = super()._stand(kind, m_block)
        if cycles:
            self.seen.append(TileSeen("wait", kind, done, now, cycles))
        return cycles

    @property
    def _done(self) -> int:
        """Passes that have ended."""
        return bisect_right(self._ends, self.now - self.ifmap_cycles - self.ofmap_cycles)

    def _load(self, words: int, bits: int, m_block: int) -> None:
        self._see("load", "ifmap", words, bits)
        super()._load(words, bits, m_block)

    def _dump(self, words: int, bits: int, m_block: int) -> None:
        self._see("dump", "ofmap", words, bits)
        super()._dump(words, bits, m_block)

    def _see(self, action: str, kind: str, words: int, bits: int) -> None:
        if words:
            now = self.now
            self.seen.append(TileSeen(action, kind, self._done, now, 0, words, bits))
