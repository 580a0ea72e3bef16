"""A pass that has run as a template of a trace: its program, and the dates in the machine's logs.

The program says what each network and PE does, for any dataflow; the logs say when, and which real
words moved. Nothing here adds to what runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from traces.events import BLOCKS, DRAM, GLB, Layout
from traces.template import NO_PATTERN, Template, TemplateBuilder

if TYPE_CHECKING:
    from sim.dataflow.program import OfmapBlock, Stream
    from sim.engine.machine import Machine


def record_pass(machine: Machine) -> Template:
    """Return the program of a pass that has run, with the dates of its machine."""
    return _Record(machine).template()


class _Record:
    """Reads the logs of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.program = machine.program
        self.layout = Layout(machine.hw.array.rows, machine.hw.array.columns)
        self.out = TemplateBuilder()
        self.values = machine.words is not None
        self.blocks = [self.layout.pe(pe.row, pe.column) for pe in machine.program.pes]
        self.own = [(self.out.set_of(block),) for block in self.blocks]

    def template(self) -> Template:
        """Return all PEs and all streams."""
        machine = self.machine
        self._dram()
        self._loads()
        self._feed()
        self._psums()
        self._links()
        self._pes()
        return self.out.build(
            {
                "cycles": machine.psum_out_bus.log[-1] + 1,
                "streamed": int(machine.load_bus.streamed),
                "shift_spad": int(machine.hw.pe.ifmap_spad == "shift"),
                "load_rate": machine.hw.pe.filter_words_per_cycle or 0,
            },
            self.program.legend,
        )

    # ---------------------------------------------------------------- sets and patterns

    def _set(self, pes: Iterable[int]) -> int:
        return self.out.set_of(*sorted(map(self.blocks.__getitem__, pes)))

    def _sets(self, stream: Stream) -> tuple[int, ...]:
        """Return the PE set of each beat of a stream's pattern."""
        sets = {pes: self._set(pes) for pes in dict.fromkeys(beat.pes for beat in stream.pattern)}
        return tuple(sets[beat.pes] for beat in stream.pattern)

    @staticmethod
    def _same(values: Sequence[int]) -> tuple[int, ...]:
        """Return a pattern of values: one where all are equal."""
        return tuple(values[:1]) if len(set(values)) == 1 else tuple(values)

    @staticmethod
    def _cut(count: int, words: int, full: int) -> tuple[int, ...]:
        """Return the words of `count` lines of `full` that carry `words`: the last may be short."""
        rest = words - full * (count - 1)
        return (full,) if rest == full else (full,) * (count - 1) + (rest,)

    # ---------------------------------------------------------------- streams

    def _port(
        self, action: str, stream: Stream, starts: Sequence[int], words: tuple[int, ...]
    ) -> None:
        """Add the lines that a port of the GLB reads for a bus, or writes from it."""
        bus = BLOCKS.index(stream.network)
        source, destination = (GLB, bus) if action == "read" else (bus, GLB)
        self.out.add(
            GLB, action, stream.operand, starts, durations=(1,), words=words,
            sources=(self.out.set_of(source),), destinations=(self.out.set_of(destination),),
        )  # fmt: skip

    def _bus(
        self, stream: Stream, starts: Sequence[int], words: Sequence[int], pes: tuple[int, ...],
        data: Iterable[Any], *, outward: bool = False,
    ) -> None:  # fmt: skip
        """Add the beats of a bus; `pes` are the sets of PEs at its far end."""
        glb = (self.out.set_of(GLB),)
        self.out.add(
            BLOCKS.index(stream.network), "send", stream.operand, starts,
            durations=(1,), words=self._same(words),
            sources=pes if outward else glb, destinations=glb if outward else pes,
            data=data if self.values else None,
        )  # fmt: skip

    def _dram(self) -> None:
        """Add the lines over the DRAM link: those of this pass, and those that it may prefetch."""
        dram, stream = self.machine.dram, self.program.load_stream
        words = self._cut(dram.beats, stream.words, dram.beat_words)
        words = words if len(words) == 1 else words[dram.start.beats :]
        self._link_beats("read", dram.ticks, words)
        self._link_beats("prefetch", dram.next_ticks, (dram.beat_words,))

    def _link_beats(self, action: str, ticks: Sequence[int], words: tuple[int, ...]) -> None:
        dram, out = self.machine.dram, self.out
        beat_cycles = -(-dram.beat_ticks // dram.ticks_per_cycle)
        arrivals = [-(-tick // dram.ticks_per_cycle) for tick in ticks]
        starts = [max(0, arrival - beat_cycles) for arrival in arrivals]
        out.add(
            DRAM, action, self.program.load_stream.operand, starts,
            durations=self._same([a - s for a, s in zip(arrivals, starts, strict=True)]),
            words=words, sources=(out.set_of(DRAM),), destinations=(out.set_of(GLB),),
        )  # fmt: skip

    def _loads(self) -> None:
        machine, stream = self.machine, self.program.load_stream
        lines = machine.load_port.lines.ready
        words = self._cut(len(lines), stream.words, machine.load_entry_words)
        self._port("read", stream, [cycle - 1 for cycle in lines], words)
        for load in machine.loads:
            starts, pes = [cycle - 1 for cycle in load.log], (self._set(load.program.pes),)
            self._bus(stream, starts, load.program.beats, pes, load.data)

    def _feed(self) -> None:
        machine, stream = self.machine, self.program.feed
        bus, lines = machine.feed_bus, machine.feed_port.lines
        words = self._cut(len(lines.ready), len(bus.log), machine.feed_line_words)
        self._port("read", stream, [cycle - 1 for cycle in lines.ready], words)
        # This bus sends word by word.
        beats = zip(self._sets(stream), stream.pattern, strict=True)
        pes = tuple(number for number, beat in beats for _ in range(beat.words))
        self._bus(stream, bus.log, (1,), pes, chain.from_iterable(lines.data))

    def _psums(self) -> None:
        machine, stream = self.machine, self.program.psums_in
        if stream is not None and machine.psum_port is not None and machine.psum_in_bus is not None:
            lines, words = machine.psum_port.lines, [beat.words for beat in stream.pattern]
            self._port("read", stream, [cycle - 1 for cycle in lines.ready], self._same(words))
            data = chain.from_iterable(lines.data)
            self._bus(stream, machine.psum_in_bus.log, words, self._sets(stream), data)
        stream, bus = self.program.psums_out, machine.psum_out_bus
        words, data = [beat.words for beat in stream.pattern], chain.from_iterable(bus.lines.data)
        self._bus(stream, bus.log, words, self._sets(stream), data, outward=True)
        starts = [cycle - 1 for cycle in bus.lines.freed]
        self._port("write", stream, starts, self._same(words))

    def _links(self) -> None:
        program, out, psum = self.program, self.out, self.program.psums_out.operand
        for (below, above), link in zip(program.links, self.machine.links, strict=True):
            part = program.pes[below]
            out.add(
                self.layout.link(part.row, part.column), "send", psum, link.log,
                durations=(link.hop_cycles,), words=part.beats,
                sources=self.own[below], destinations=self.own[above],
                data=chain.from_iterable(link.above.data) if self.values else None,
            )  # fmt: skip

    # ---------------------------------------------------------------- PEs

    def _pes(self) -> None:
        out, program = self.out, self.program
        feed, psum = program.feed, program.psums_out.operand
        bus = (out.set_of(BLOCKS.index(feed.network)),)
        # Many PEs share their bursts and their words, which are long: each is converted once.
        uses = {id(load): out.pattern(load.uses) for load in program.loads}
        bursts = {
            id(bursts): [
                out.pattern(self._same(words))
                for words in ([burst.needs for burst in bursts], [burst.frees for burst in bursts])
            ]
            for bursts in {id(pe.bursts): pe.bursts for pe in program.pes}.values()
        }
        for pe, block, own in zip(self.machine.pes, self.blocks, self.own, strict=True):
            part, beats, macs = pe.program, pe.program.beats, (pe.mac_cycles,)
            needs, frees = bursts[id(part.bursts)]
            out.add_pe(
                part.row, part.column, operands=part.operands, outputs=part.outputs,
                uses=uses[id(pe.load.program)], needs=needs, frees=frees, bubble=pe.bubble_cycles,
                ofmap=self._ofmap(part.ofmap), legend=part.legend,
            )  # fmt: skip
            out.add(
                block, "mac", "none", pe.starts,
                durations=macs, words=macs, sources=own, destinations=own,
            )  # fmt: skip
            out.add(
                block, "accumulate", psum, pe.takes,
                durations=beats, words=beats, sources=own, destinations=own,
            )  # fmt: skip
            out.add(
                block, "fill", feed.operand, pe.port.entered,
                durations=(1,), words=(1,), sources=bus, destinations=own,
            )  # fmt: skip

    def _ofmap(self, block: OfmapBlock | None) -> int:
        if block is None:
            return NO_PATTERN
        return self.out.pattern((*block.first, *chain.from_iterable(block.loops)))
