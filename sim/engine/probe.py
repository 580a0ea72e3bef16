"""What watches the machine: each pass as a template of events, and the layer as passes and tiles.

Every block keeps its own history, so nothing is added to what runs: when a pass has ended, its logs
become columns. An observer that fails stops the run.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Protocol

from sim.engine.dram_timeline import TileTimeline, TimedPass
from sim.engine.machine import Machine, PassOutcome
from traces.events import (
    DRAM,
    GIN_FILTER,
    GIN_IFMAP,
    GIN_PSUM,
    GLB,
    GON,
    Layout,
    Template,
    TemplateBuilder,
)

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import Pass, Plan
    from sim.dataflow.program import Stream
    from sim.plan.dram_traffic import Traffic


@dataclass(frozen=True, slots=True)
class PassSeen:
    """A pass that ran: where it stands in its layer, and which template says what it did.

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
        """A layer starts."""

    def wants(self, start: int, cycles: int) -> bool:
        """Whether a pass of the layer of these cycles shall be told of."""

    def template(self, number: int, record: Template) -> None:
        """A pass that was not seen before; `number` counts from 0."""

    def passed(self, seen: PassSeen) -> None:
        """A pass of the layer has run."""

    def layer_ends(self, tiles: Sequence[TileSeen]) -> None:
        """All passes of the layer have run."""


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
        """A layer starts."""
        self._start = 0
        self._open = None
        for observer in self.observers:
            observer.layer_begins(plan)

    def ran(self, machine: Machine, outcome: PassOutcome) -> None:
        """A machine has run; it is kept until the next one, in case the layer has a use for it."""
        self._fresh = machine, outcome

    def passed(
        self, step: Pass, outcome: PassOutcome, cycles: int, fetched_words: int, key: Hashable,
        again: Callable[[], Machine],
    ) -> None:  # fmt: skip
        """The next pass of the layer had this outcome.

        `fetched_words` of its filters came during the pass before; passes of one `key` are the same
        unless real words move; `again` builds its machine once more, for the record of a pass that
        ran before anyone watched.
        """
        self._close(fetched_words)
        told = [
            (observer, self._number(place, outcome, key, again))
            for place, observer in enumerate(self.observers)
            if observer.wants(self._start, cycles)
        ]
        if told:
            self._open = step, cycles, told
        self._start += cycles
        self._fresh = None

    def timeline(
        self, hw: Hardware, traffic: Traffic, passes: Sequence[TimedPass]
    ) -> WatchedTimeline:
        """The layer's timeline, watched."""
        self._timeline = WatchedTimeline(hw, traffic, passes)
        return self._timeline

    def layer_ends(self) -> None:
        """All passes have run, and so has the timeline."""
        self._close(0)
        tiles = self._timeline.seen if self._timeline is not None else []
        for observer in self.observers:
            observer.layer_ends(tiles)

    def _close(self, prefetched_words: int) -> None:
        """Tell of the pass before, now that it is known how much it prefetched."""
        if self._open is None:
            return
        (step, cycles, told), self._open = self._open, None
        for observer, number in told:
            seen = PassSeen(step, number, self._start - cycles, cycles, prefetched_words)
            observer.passed(seen)

    def _number(
        self, place: int, outcome: PassOutcome, key: Hashable, again: Callable[[], Machine]
    ) -> int:
        """The number of the template for the observer in that place, who is told of a new one."""
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


def record_pass(machine: Machine) -> Template:
    """The events of a pass that has run, from the logs of its blocks."""
    return _Record(machine).template()


class _Record:
    """Reads the logs of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.layout = Layout(machine.hw.array.rows, machine.hw.array.columns)
        self.out = TemplateBuilder()
        self.program = machine.program
        self.values = machine.words is not None

    def template(self) -> Template:
        """All streams, and the table of PEs."""
        self._filters()
        self._ifmaps()
        self._psums()
        self._pes()
        machine = self.machine
        return self.out.build(
            {
                "cycles": machine.psum_out_bus.log[-1] + 1,
                **dict(self.program.legend),
                "line_words": machine.load_line_words,
                "from_glb": int(self.program.psums_in is not None),
                "streamed": int(machine.load_bus.streamed),
                "shift_spad": int(machine.hw.pe.ifmap_spad == "shift"),
            },
            self._pe_table(),
        )

    def _block(self, pe: int) -> int:
        program = self.program.pes[pe]
        return self.layout.pe(program.row, program.column)

    def _set(self, pes: Iterable[int]) -> int:
        return self.out.set_of(*sorted(self._block(pe) for pe in pes))

    def _sets(self, stream: Stream) -> tuple[int, ...]:
        """The PE set of each beat of a stream's pattern."""
        sets = {pes: self._set(pes) for pes in dict.fromkeys(beat.pes for beat in stream.pattern)}
        return tuple(sets[beat.pes] for beat in stream.pattern)

    @staticmethod
    def _words(beats: Sequence[int]) -> tuple[int, ...]:
        """Words of each beat, once where all are equal."""
        return tuple(beats[:1]) if len(set(beats)) == 1 else tuple(beats)

    def _add_between(
        self, block: int, action: str, kind: str, starts: Sequence[int], words: tuple[int, ...],
        source: int, destination: int,
    ) -> None:  # fmt: skip
        """A stream of one cycle a row from one block to another."""
        out = self.out
        out.add(
            block, action, kind, starts, durations=(1,), words=words,
            sources=(out.set_of(source),), destinations=(out.set_of(destination),),
        )  # fmt: skip

    @staticmethod
    def _parts(count: int, words: int, full: int) -> tuple[int, ...]:
        """Words of `count` parts of `full` that carry `words`: the last may be short."""
        rest = words - full * (count - 1)
        return (full,) if rest == full else (full,) * (count - 1) + (rest,)

    def _filters(self) -> None:
        machine, out = self.machine, self.out
        dram, total = machine.dram, self.program.load_stream.words
        per_cycle = dram.ticks_per_cycle
        beat_cycles = -(-dram.beat_ticks // per_cycle)
        arrivals = [-(-tick // per_cycle) for tick in dram.ticks]
        words = self._parts(dram.beats, total, dram.beat_words)
        words = words if len(words) == 1 else words[dram.start.beats :]
        link = {"sources": (out.set_of(DRAM),), "destinations": (out.set_of(GLB),)}
        starts = [max(0, arrival - beat_cycles) for arrival in arrivals]
        durations = tuple(a - s for a, s in zip(arrivals, starts, strict=True))
        durations = (beat_cycles,) if set(durations) == {beat_cycles} else durations
        out.add(DRAM, "read", "filter", starts, durations=durations, words=words, **link)
        ahead = [-(-tick // per_cycle) for tick in dram.next_ticks]
        starts = [max(0, arrival - beat_cycles) for arrival in ahead]
        durations = tuple(a - s for a, s in zip(ahead, starts, strict=True))
        durations = (beat_cycles,) if set(durations) == {beat_cycles} else durations
        out.add(
            DRAM, "prefetch", "filter", starts,
            durations=durations, words=(dram.beat_words,), **link,
        )  # fmt: skip

        lines = machine.load_port.lines.ready
        self._add_between(
            GLB, "read", "filter", [cycle - 1 for cycle in lines],
            self._parts(len(lines), total, machine.load_entry_words), GLB, GIN_FILTER,
        )  # fmt: skip
        for load in machine.loads:
            out.add(
                GIN_FILTER, "send", "filter", [cycle - 1 for cycle in load.log],
                durations=(1,), words=self._words(load.program.beats),
                sources=(out.set_of(GLB),), destinations=(self._set(load.program.pes),),
                data=load.data if self.values else None,
            )  # fmt: skip

    def _ifmaps(self) -> None:
        machine, out = self.machine, self.out
        lines = machine.feed_port.lines
        gin = machine.feed_bus
        self._add_between(
            GLB, "read", "ifmap", [cycle - 1 for cycle in lines.ready],
            self._parts(len(lines.ready), len(gin.log), machine.feed_line_words), GLB, GIN_IFMAP,
        )  # fmt: skip
        out.add(
            GIN_IFMAP, "send", "ifmap", gin.log, durations=(1,), words=(1,),
            sources=(out.set_of(GLB),), destinations=self._sets(self.program.feed),
            data=chain.from_iterable(lines.data) if self.values else None,
        )  # fmt: skip

    def _psums(self) -> None:
        machine, program, out, values = self.machine, self.program, self.out, self.values
        glb = (out.set_of(GLB),)
        if machine.psum_port is not None and machine.psum_in_bus is not None and program.psums_in:
            gin, lines = machine.psum_in_bus, machine.psum_port.lines
            words = self._words([beat.words for beat in program.psums_in.pattern])
            sets = self._sets(program.psums_in)
            starts = [cycle - 1 for cycle in lines.ready]
            self._add_between(GLB, "read", "psum", starts, words, GLB, GIN_PSUM)
            out.add(
                GIN_PSUM, "send", "psum", gin.log, durations=(1,), words=words, sources=glb,
                destinations=sets, data=chain.from_iterable(lines.data) if values else None,
            )  # fmt: skip
        gon = machine.psum_out_bus
        words = self._words([beat.words for beat in program.psums_out.pattern])
        sets = self._sets(program.psums_out)
        out.add(
            GON, "send", "psum", gon.log, durations=(1,), words=words,
            sources=sets, destinations=glb,
            data=chain.from_iterable(gon.lines.data) if values else None,
        )  # fmt: skip
        starts = [cycle - 1 for cycle in gon.lines.freed]
        self._add_between(GLB, "write", "psum", starts, words, GON, GLB)
        for (below, above), link in zip(program.links, machine.links, strict=True):
            part = program.pes[below]
            out.add(
                self.layout.link(part.row, part.column), "send", "psum", link.log,
                durations=(link.hop_cycles,), words=part.beats,
                sources=(self._set([below]),), destinations=(self._set([above]),),
                data=chain.from_iterable(link.above.data) if values else None,
            )  # fmt: skip

    def _pes(self) -> None:
        out, bus = self.out, (self.out.set_of(GIN_IFMAP),)
        for number, pe in enumerate(self.machine.pes):
            block, own, beats = self._block(number), (self._set([number]),), pe.program.beats
            macs = (pe.mac_cycles,)
            out.add(
                block, "mac", "none", pe.starts,
                durations=macs, words=macs, sources=own, destinations=own,
            )  # fmt: skip
            out.add(
                block, "accumulate", "psum", pe.takes,
                durations=beats, words=beats, sources=own, destinations=own,
            )  # fmt: skip
            out.add(
                block, "fill", "ifmap", pe.port.entered,
                durations=(1,), words=(1,), sources=bus, destinations=own,
            )  # fmt: skip

    def _pe_table(self) -> list[tuple[int, ...]]:
        return [
            (pe.program.row, pe.program.column, *pe.program.legend, pe.bubble_cycles)
            for pe in self.machine.pes
        ]
