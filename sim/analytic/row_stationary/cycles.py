"""The cycles of a pass in closed form: arrays in, arrays out.

A pass is a line of stations that every window goes through: ifmap bus, array, psum buses. The
slowest one sets the pace; the others add what it takes to reach it (ramp) and to leave it (drain).
Each bound below is one station's: the time of its first window, its work for all of them, and the
way out. The pass takes the largest. docs/machine.md section 5 gives the same bounds without ramp
and drain.

In steady state everything in the machine waits for something that happened some windows before: a
MAC for the adder, a bus for a place in a FIFO. So a pass is a timed event graph, and its period is
the largest cycle mean: over all rings of waits, the cycles once around a ring by the windows in
flight on it (Baccelli, Cohen, Olsder, Quadrat, "Synchronization and Linearity", 1992, section
2.5). Each `Loop` is a ring. Rings that no chip can make the largest are left out; the reason is
where they would be.

Nothing here knows the engine. Where a formula holds a constant, its reason is beside it.

What is exact: a station's work, and so each loop's period. What is approximate: the ramp where two
stations hold each other up in the first windows, and the laps of a loop at the ends of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import Resource
from sim.dataflow.base import ceil_div

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape

Ints = NDArray[np.int64]

_Sent = Callable[[Ints], Ints]

ARRAY, PSUM_BUS, IFMAP_BUS = Resource.ARRAY, Resource.PSUM_BUS, Resource.IFMAP_BUS

LOOPS = (
    ("adder", ARRAY),
    ("ifmap spad", ARRAY),
    ("psum FIFOs of a chain", ARRAY),
    ("ifmap FIFOs", ARRAY),
    (PSUM_BUS, PSUM_BUS),
    ("psum FIFOs at the buses", PSUM_BUS),
    (IFMAP_BUS, IFMAP_BUS),
)
"""The names of loops, each with the station at which it holds a pass up."""

ADDER, IFMAP_SPAD, PSUM_CHAIN, IFMAP_FIFO, PSUM_ROUND, PSUM_REFILL, IFMAP_ROUND = range(len(LOOPS))

# A word or beat goes from a GLB port to a register before its bus, one cycle.
PORT_CYCLES = 1
# An ifmap word is on the bus in one cycle, moves to the spad in the next, and is read in the third.
SPAD_CYCLES = 2
# A place in a register between a port and its bus is filled in the cycle after it was emptied, and
# read in the one after that: once around in two cycles.
REGISTER_CYCLES = 2
# More than any pass takes: subtracted from what is no ring, so that it cannot be the largest.
LONG = 1 << 40


@dataclass(frozen=True)
class PassArrays:
    """Pass shapes as columns of whole numbers, one row a shape (or a mapping under study).

    `p`, `q` are the factors of the first filter and channel set, `p_last`, `q_last` those of the
    last ones, which hold what is left; `filter_sets`, `channel_sets` how many there are.
    """

    images: Ints
    strip_rows: Ints
    p: Ints
    p_last: Ints
    filter_sets: Ints
    q: Ints
    q_last: Ints
    channel_sets: Ints
    ofmap_columns: Ints
    filter_rows: Ints
    filter_columns: Ints
    row_step: Ints
    column_step: Ints
    first_channels: Ints
    sets_side_by_side: Ints

    @classmethod
    def of(cls, shapes: Sequence[PassShape]) -> PassArrays:
        """Make columns from pass shapes."""
        rows = [
            (
                shape.images,
                shape.strip_rows,
                shape.filters[0],
                shape.filters[-1],
                len(shape.filters),
                shape.channels[0],
                shape.channels[-1],
                len(shape.channels),
                shape.ofmap_columns,
                shape.placement.set_rows,
                shape.filter_columns,
                shape.row_step,
                shape.column_step,
                int(shape.first_channels),
                max(1, shape.placement.array_columns // shape.placement.set_columns),
            )
            for shape in shapes
        ]
        return cls(*np.array(rows, np.int64).T)

    @property
    def filters(self) -> Ints:
        """Filters of the pass."""
        return (self.filter_sets - 1) * self.p + self.p_last

    @property
    def channels(self) -> Ints:
        """Channels of the pass."""
        return (self.channel_sets - 1) * self.q + self.q_last

    @property
    def ifmap_rows(self) -> Ints:
        """Touched rows under the strip."""
        return (self.strip_rows - 1) * self.row_step + self.filter_rows

    @property
    def ifmap_columns(self) -> Ints:
        """Touched columns."""
        return (self.ofmap_columns - 1) * self.column_step + self.filter_columns

    @property
    def windows(self) -> Ints:
        """Windows of each PE."""
        return self.images * self.ofmap_columns


@dataclass(frozen=True)
class PassCycles:
    """Lengths of passes.

    `cycles` in all; `load` until the last filter word can be read; `start` until the first product;
    `bound` the loop that sets the pace, an index into `LOOPS`.
    """

    cycles: Ints
    load: Ints
    start: Ints
    bound: Ints


@dataclass(frozen=True)
class FilterSupply:
    """When the filter words of a pass are in the GLB: `beats` of the link, `there` at the start.

    The link delivers the others one after the other; `busy_ticks` is what is left of the first,
    0 where it has not begun. Time on the link is counted in ticks, `ticks_per_cycle` a core cycle.
    """

    beats: Ints
    there: Ints
    busy_ticks: Ints
    beat_ticks: int
    ticks_per_cycle: int
    latency_ticks: int
    buffer_beats: int
    beat_words: int
    line_words: int
    register_lines: int

    @classmethod
    def prefetched(cls, a: PassArrays, hw: Hardware) -> FilterSupply:
        """Return the supply of passes whose filters are all there when they start."""
        beat_words = hw.link_beat_words
        beats = _ceil(a.filters * a.channels * a.filter_rows * a.filter_columns, beat_words)
        beat = hw.link_beat_cycles
        return cls(
            beats=beats,
            there=beats,
            busy_ticks=np.zeros_like(beats),
            beat_ticks=beat.numerator,
            ticks_per_cycle=beat.denominator,
            latency_ticks=hw.dram.first_access_latency_cycles * beat.denominator,
            buffer_beats=hw.filter_bank_words // beat_words,
            beat_words=beat_words,
            line_words=hw.glb_line_words("filter"),
            register_lines=hw.noc.bus_fifo_entries,
        )

    def carried(self, cycles: int, done_tick: int, most: int) -> tuple[int, int]:
        """Return what a pass of `cycles` leaves the next one, whose filters are `most` beats.

        These are beats that are there when it ends, and the ticks that the next beat still takes, 0
        where it has not begun. `done_tick` is when the link was done with the pass's own beats.
        """
        beat, end = self.beat_ticks, cycles * self.ticks_per_cycle
        begun = done_tick + self.latency_ticks
        there = max(0, min(most, (end - begun) // beat))
        busy = 0
        if there < most and begun + there * beat < end:
            busy = begun + (there + 1) * beat - end
        elif there == 0 and done_tick < end < begun:
            busy = begun + beat - end
        return there, busy

    def arrival_ticks(self, beat: Ints) -> Ints:
        """Return when the link has delivered a beat; those that were there count as tick 0."""
        begun = self.beat_ticks + np.where(self.there == 0, self.latency_ticks, 0)
        # A full buffer takes the next beat when the first has been read, a cycle into the pass.
        begun = begun + np.where(self.there >= self.buffer_beats, self.ticks_per_cycle, 0)
        first = np.where(self.busy_ticks > 0, self.busy_ticks, begun)
        return np.where(beat < self.there, 0, first + (beat - self.there) * self.beat_ticks)

    def sent(self, beat: Ints, word: Ints) -> Ints:
        """Return when the filter bus has delivered the beat `beat`, whose last word is `word`."""
        arrival = _ceil(self.arrival_ticks(word // self.beat_words), self.ticks_per_cycle)
        line = word // self.line_words
        # Each line takes a place in the register; a beat of the bus may be shorter than a line.
        sent = np.maximum(beat, REGISTER_CYCLES * (line // self.register_lines))
        return np.maximum(sent, arrival) + PORT_CYCLES + 1


def _ceil(value: Ints, by: Ints | int) -> Ints:
    return -(-value // by)


class Loop(NamedTuple):
    """A ring of waits: `delay` cycles once around it, with `windows` in flight on it.

    Its period, the cycles of a window where it is the slowest, is `delay / windows`. Of windows
    that take `turn` cycles each by themselves only whole laps are longer: the first windows that
    are in flight wait for nobody. Arrays are (chains, passes), or have PEs before them.
    """

    place: int  # in LOOPS
    delay: Ints
    windows: Ints

    def beyond(self, turn: Ints, turns: Ints) -> Ints:
        """Return the cycles that so many turns to a next window take beyond `turn` each."""
        extra: Ints = turns // self.windows * (self.delay - self.windows * turn)
        return extra.max(axis=0) if extra.ndim > turn.ndim else extra


def pass_cycles(
    a: PassArrays, hw: Hardware, supply: FilterSupply | None = None, doubled: Set[str] = frozenset()
) -> PassCycles:
    """Return the cycles of each pass; without `supply` its filters are there when it starts.

    Of `doubled` stations each does twice as much in a cycle: the array's PEs two MACs or two psums,
    the psum buses two beats. No chip has a field for that (`sim.analytic.bound` asks for it).
    """
    supply = supply if supply is not None else FilterSupply.prefetched(a, hw)
    pe = hw.pe
    c = _chains(a, hw, 2 if ARRAY in doubled else 1)
    steps = _steps(a, hw)
    psums = _psums(a, hw, c.pace, 2 if PSUM_BUS in doubled else 1)
    bubble = np.maximum(0, pe.pipeline_stages - c.p)
    in_turn = bubble + psums.window_in_turn(a, c.p)
    turns = _turns(a, hw, c, steps, psums, in_turn)

    filters = _filters(a, hw, supply, c, steps)
    load, ready = filters.load, filters.ready

    def sent(word: Ints) -> Ints:
        return filters.offset + _ifmap_sent(word, hw)

    first_column = a.filter_columns - 1
    begins = _begin(a, hw, c, steps, first_column, sent)
    if pe.ifmap_wait == "word":
        own = sent(_word(a, hw, c, steps, 0 * first_column, 0 * steps.q)) + SPAD_CYCLES
        begins = np.maximum(begins, own + pe.start_cycles)
    else:
        begins = begins + pe.start_cycles
    begins = np.maximum(ready, begins)
    served = _Round.of(a, c, psums, psums.from_chain)
    leaves = bubble + _leaves(psums, served, c.p)
    first = _wave(a, c, steps, begins) + leaves
    arrays = first + turns.all_images
    # The GON goes around once for each window.
    gons = first + (a.windows - 1) * _ceil(served.total, psums.bus_pace)
    at_bottom = np.where(steps.step == 0, begins + c.mac_cycles(steps.q * a.filter_columns), 0)
    gins = _gin_ends(a, hw, c, psums, at_bottom.max(axis=0) + bubble)
    from_bus = _held_bus(a, hw, c, steps, in_turn, filters)
    last_image = (a.images - 1) * a.ifmap_columns
    # The ifmap bus may hold the array up to the last window, or to the last image's first one.
    to_last = _wave(
        a, c, steps, _begin(a, hw, c, steps, last_image + a.ifmap_columns - 1, from_bus)
    )
    to_image = _wave(a, c, steps, _begin(a, hw, c, steps, last_image + first_column, from_bus))
    to_image = to_image + turns.image
    ifmaps = np.maximum(to_last, to_image) + leaves

    ends = [station.max(axis=0) for station in (arrays, np.maximum(gons, gins), ifmaps)]
    cycles = np.maximum.reduce(ends)
    waits = psums.round_waits(a)
    bounds = (
        np.take_along_axis(turns.loop, arrays.argmax(axis=0)[None], axis=0)[0],
        np.where(waits, PSUM_REFILL, PSUM_ROUND),
        np.full_like(cycles, IFMAP_ROUND),
    )
    return PassCycles(
        cycles=cycles,
        load=load,
        start=begins.min(axis=(0, 1)),
        bound=np.choose(np.stack(ends).argmax(axis=0), bounds),
    )


def _leaves(psums: _Psums, served: _Round, p: Ints) -> Ints:
    """Return cycles from the first taking at a chain's top until the GON has its last round.

    That is the last beat of the chain's window, then those of the chains behind it.
    """
    # A bus that takes longer for a beat than the adder is still at the first ones by then.
    own = np.maximum(psums.window(p), psums.first_window_leaves(p))
    leaves: Ints = own + _ceil(served.behind + 1, psums.bus_pace)
    if psums.by_beat:
        # A chain's first beat opens what is left of a round through all beats of all chains.
        opened = _ceil(served.total - served.before, psums.bus_pace)
        leaves = np.maximum(leaves, psums.first_beat(p) + opened)
    return leaves + psums.latency


def _gin_ends(a: PassArrays, hw: Hardware, c: _Chains, psums: _Psums, bottom: Ints) -> Ints:
    """Return when passes end by the psum GIN, which fills FIFOs during the load, then waits.

    It goes on where a chain has room for the rest of a window: from `bottom`, the cycle in which
    the bottom of a chain can take its first beat.
    """
    fed = _Round.of(a, c, psums, psums.into_chain)
    ticks = a.windows * fed.total - fed.before
    hop = psums.last_beat(a.p_last) + psums.latency + hw.noc.local_hop_cycles
    way_up = (a.filter_rows * a.channel_sets - 1) * hop + psums.latency
    if psums.by_beat:
        way_up = way_up + psums.last_beat(a.p_last)
    else:
        ticks = ticks - psums.into_chain(a.p_last)
        way_up = way_up + psums.window(a.p_last)
    waits = (a.first_channels == 0) & (c.p > psums.depth_in)
    return np.where(waits, bottom + _ceil(ticks, psums.bus_pace) + way_up + 1, 0)


def _ifmap_cycles(words: Ints, hw: Hardware) -> Ints:
    """Return the cycles in which the ifmap bus sends so many words one after the other."""
    bus, line, line_cycles = _ifmap_port(hw)
    if line_cycles * bus <= line:
        return words // bus
    return words * line_cycles.numerator // (line * line_cycles.denominator)


def _ifmap_sent(word: Ints, hw: Hardware) -> Ints:
    """Return when the bus sends a word, from the pass's start, if it finds room everywhere."""
    bus, line, line_cycles = _ifmap_port(hw)
    sent = word // bus + PORT_CYCLES
    if line_cycles * bus > line:
        lines, in_line = np.divmod(word, line)
        begun = lines // hw.noc.bus_fifo_entries * (ceil_div(line, bus) + 1)
        sent = np.maximum(sent, begun + in_line // bus + PORT_CYCLES)
    return sent


def _ifmap_port(hw: Hardware) -> tuple[int, int, Fraction]:
    """Return the ifmap bus's words per cycle, words of a line, and cycles from line to line.

    A line keeps its place in the register from the cycle in which it is read until its last word is
    sent.
    """
    noc = hw.noc
    bus, line = noc.gin_ifmap_words_per_cycle, hw.glb_line_words("ifmap")
    return bus, line, Fraction(ceil_div(line, bus) + REGISTER_CYCLES - 1, noc.bus_fifo_entries)


@dataclass(frozen=True)
class _Psums:
    """How psums move in beats: through the FIFOs of a chain, and between chains and buses.

    A PE takes in a beat where its adder is free, the beat is there, and the FIFO behind it has
    room. So two rings go through FIFOs alone: from the taking of a beat into the FIFO behind (its
    words, and a cycle to free the place), and over a hop (its cycles, and one to free the place).
    A round of a longer ring, over several PEs, is the sum of these two over the sum of their
    beats, and so never slower than both.

    Times of a bus are ticks, of which a core cycle has `bus_pace`.
    """

    beat: int
    pace: int
    bus_pace: int
    bus_ticks: int
    depth_in: int
    depth_out: int
    hop: int
    latency: int
    freed_late: bool
    by_beat: bool
    chain: Ints

    def beats(self, p: Ints) -> Ints:
        """Return the beats of a window."""
        return _ceil(p, self.beat)

    def last_words(self, p: Ints) -> Ints:
        """Return the words of a window's last beat."""
        last: Ints = (p - 1) % self.beat + 1
        return last

    def last_beat(self, p: Ints) -> Ints:
        """Return the cycles of the adder for a window's last beat."""
        return _ceil(self.last_words(p), self.pace)

    def _gains(self) -> tuple[int, int]:
        """Return what a lap through FIFOs takes beyond the adder's: behind a PE, and over a hop."""
        full = ceil_div(self.beat, self.pace)
        behind, before = self.depth_out // self.beat, self.depth_in // self.beat
        return (
            max(0, full + self.latency + 1 - full * behind),
            max(0, self.hop + self._slot - full * before),
        )

    @property
    def _slot(self) -> int:
        """Cycles for which a beat that a PE takes in keeps its slot."""
        return ceil_div(self.beat, self.pace) + self.latency if self.freed_late else 1

    def _laps(self, p: Ints, beats: Ints, depth: int, *, to_last: bool) -> Ints:
        """Return the laps through a FIFO between two beats of a window that are `beats` apart."""
        lag = depth // self.beat
        if to_last:
            # A short last beat may fit beside as many full ones.
            beats = beats - (self.last_words(p) + lag * self.beat <= depth)
        # A FIFO that holds less than a full beat serves windows of one short beat alone.
        return np.maximum(beats, 0) // max(1, lag)

    def flow(self, p: Ints, beats: Ints, *, to_last: bool, linked: bool = True) -> Ints:
        """Return the cycles between the taking of two beats of a window that are `beats` apart.

        Without `linked` the PE's own output takes up what a link behind it holds back.
        """
        gain_out, gain_in = self._gains()
        cycles = _ceil(self.beat * beats, self.pace)
        if gain_out or gain_in:
            late = beats if linked else beats - self.depth_out // self.beat
            out = self._laps(p, beats, self.depth_out, to_last=to_last) * gain_out
            hops = self._laps(p, late, self.depth_in, to_last=to_last) * gain_in
            cycles = cycles + np.maximum(out, np.where(self.chain > 1, hops, 0))
        return cycles

    def window(self, p: Ints) -> Ints:
        """Return the cycles in which a PE takes in a window's psums if it waits for none."""
        gain_out, gain_in = self._gains()
        if not gain_out and not gain_in:
            return _ceil(p, self.pace)
        return self.flow(p, self.beats(p) - 1, to_last=True) + self.last_beat(p)

    def first_beat(self, p: Ints) -> Ints:
        """Return the cycles of the adder for a window's first beat."""
        return _ceil(np.minimum(p, self.beat), self.pace)

    def first_window_leaves(self, p: Ints) -> Ints:
        """Return the cycles from the first taking at the top until the GON has a window's beats."""
        return self.first_beat(p) + _ceil((self.beats(p) - 1) * self.bus_ticks, self.bus_pace)

    def window_in_turn(self, a: PassArrays, p: Ints) -> Ints:
        """Return the same where a bus serves all chains beat by beat.

        Beats that found no room in a FIFO go through it in the rounds of the bus, and the PE with
        them, however long the other chains take.
        """
        own = self.window(p)
        if not self.by_beat:
            return own
        full = self.first_beat(p) + self.latency
        for depth, reached, exists in (
            (self.depth_out, full + 1, np.ones_like(a.p)),
            (self.depth_in, self._slot + 1, a.first_channels == 0),
        ):
            rounds = np.maximum(self.beats(p) - 1 - depth // self.beat, 0)
            shared = np.minimum(rounds, self.beats(a.p_last))
            sent = a.strip_rows * (rounds * (a.filter_sets - 1) + shared) * self.bus_ticks
            held = reached + _ceil(sent, self.bus_pace) + self.last_beat(p)
            own = np.where((p > depth) & (exists > 0), np.maximum(own, held), own)
        return own

    def chain_period(self, p: Ints) -> Ints:
        """Return the cycles of a window in the rings through FIFOs alone: no MAC is on them."""
        period: Ints = np.zeros_like(p)
        full = ceil_div(self.beat, self.pace)
        for depth, cycles, exists in (
            (self.depth_out, full + self.latency + 1, True),
            (self.depth_in, self.hop + self._slot, self.chain > 1),
        ):
            beats = self.beats(p)
            # Short last beats let more of them into a FIFO than full ones.
            held = np.maximum(depth // self.beat, depth * beats // p)
            period = np.maximum(period, np.where(exists, beats * cycles // held, 0))
        return period

    def bus(self, p: Ints) -> Ints:
        """Return a bus's ticks for the beats of a chain's window, if it waits for nobody."""
        return self.beats(p) * self.bus_ticks

    def from_chain(self, p: Ints) -> Ints:
        """Return the ticks of the GON at a chain, from the beat before its first to its last.

        The chain has filled its last FIFO by then. The beats of a window that found no room there
        come as the PE takes them in, the first one a cycle after the GON's first.
        """
        beats, lag = self.beats(p), self.depth_out // self.beat
        bus, pace = self.bus_ticks, self.bus_pace
        full = ceil_div(self.beat, self.pace)
        over = beats - 1 - lag
        last = 1 + self.flow(p, np.maximum(over, 0), to_last=True) + self.last_beat(p)
        last = last + self.latency
        full = full + self.latency
        waits = last * pace + bus
        # A bus that is slower than the adder still has beats to send that came before the last.
        before = (1 + full + self.flow(p, np.maximum(over - 1, 0), to_last=False)) * pace + 2 * bus
        begun = (1 + full) * pace + (over + 1) * bus
        waits = np.where(over > 0, np.maximum(waits, np.maximum(before, begun)), waits)
        return np.where(p > self.depth_out, np.maximum(waits, self.bus(p)), self.bus(p))

    def into_chain(self, p: Ints) -> Ints:
        """Return the psum GIN's ticks at a chain, likewise: its first FIFO is empty by then."""
        beats, lag = self.beats(p), self.depth_in // self.beat
        bus, pace = self.bus_ticks, self.bus_pace
        loose = self.last_words(p) + lag * self.beat <= self.depth_in
        over = np.maximum(beats - 1 - lag - loose, 0)
        first = 1 + self._slot
        last = (first + self.flow(p, over, to_last=False, linked=False)) * pace + (1 + loose) * bus
        waits = np.maximum(last, first * pace + (beats - lag) * bus)
        return np.where(p > self.depth_in, np.maximum(waits, self.bus(p)), self.bus(p))

    def round_waits(self, a: PassArrays) -> NDArray[np.bool_]:
        """Find the passes in which a bus waits for FIFOs at a chain."""
        fed = (a.first_channels == 0) & (self.into_chain(a.p) > self.bus(a.p))
        waits: NDArray[np.bool_] = fed | (self.from_chain(a.p) > self.bus(a.p))
        return waits


def _psums(a: PassArrays, hw: Hardware, pace: int, bus_pace: int) -> _Psums:
    noc, pe = hw.noc, hw.pe
    return _Psums(
        beat=noc.psum_words_per_cycle,
        pace=pace,
        bus_pace=bus_pace,
        # A port moves a beat in each cycle, unless a register of one place holds it up.
        bus_ticks=max(1, ceil_div(REGISTER_CYCLES, noc.bus_fifo_entries)),
        depth_in=pe.psum_in_fifo_words,
        depth_out=pe.psum_out_fifo_words,
        hop=noc.local_hop_cycles,
        latency=pe.psum_latency_cycles,
        freed_late=pe.psum_slot_freed == "last_word",
        by_beat=noc.psum_order == "beat",
        chain=a.filter_rows * a.channel_sets,
    )


class _Round(NamedTuple):
    """A round of a psum bus through all chains, in ticks.

    `total` the whole, `before` from its start to each chain, `behind` from the last beat of each
    chain to its end.
    """

    total: Ints
    before: Ints
    behind: Ints

    @classmethod
    def of(cls, a: PassArrays, c: _Chains, psums: _Psums, visit: Callable[[Ints], Ints]) -> _Round:
        """Make the round of a bus that takes so long for a chain of p filters."""
        full, own = visit(a.p), visit(c.p)
        if not psums.by_beat:
            total = a.strip_rows * ((a.filter_sets - 1) * full + visit(a.p_last))
            before = c.filter_set * a.strip_rows * full + c.ofmap_row * own
            return cls(total, before, total - before - own)
        # A beat to each chain in turn: what a chain waits for itself, the others use.
        most, beats, fewest = psums.beats(a.p), psums.beats(c.p), psums.beats(a.p_last)
        sets = np.where(fewest == most, a.filter_sets, np.maximum(a.filter_sets - 1, 1))
        ticks = psums.bus_ticks
        busy = a.strip_rows * ((a.filter_sets - 1) * most + fewest) * ticks
        total = np.maximum(busy, full + (a.strip_rows * sets - 1) * ticks)
        before = (c.ofmap_row * a.filter_sets + c.filter_set) * ticks
        in_turn = np.where(beats == most, sets, a.filter_sets)
        behind = (a.strip_rows - 1 - c.ofmap_row) * in_turn + in_turn - 1 - c.filter_set
        later = (most - beats) * a.strip_rows * (a.filter_sets - 1)
        return cls(total, before, (behind + later) * ticks)


class _Turns(NamedTuple):
    """Cycles of the array from window to window: of an image, and of all; (chains, passes).

    From the end of the first window to that of the last. `loop` is what sets the pace.
    """

    image: Ints
    all_images: Ints
    loop: Ints


def _turns(
    a: PassArrays, hw: Hardware, c: _Chains, steps: _Steps, psums: _Psums, psum: Ints
) -> _Turns:
    pe = hw.pe
    macs = c.mac_cycles(a.q * a.filter_columns)
    step, whole = a.q * a.column_step, a.q * a.filter_columns
    clearing = pe.image_change_cycles
    shift, by_word = pe.ifmap_spad == "shift", pe.ifmap_wait == "word"
    spare = 0 if shift else pe.ifmap_spad_words - whole
    # Words of a window that find no place before those of the window before it leave.
    new, all_new = step - spare, whole - spare
    if by_word:
        # The first of them moves in at once, and is read when the MACs on older words are done.
        new = np.where(new > 0, 1 - c.mac_cycles(whole - np.minimum(step, new)), -LONG)
        all_new = np.where(all_new > 0, 1 - c.mac_cycles(whole - np.minimum(whole, all_new)), -LONG)
    else:
        new, all_new = np.minimum(step, new), np.minimum(whole, all_new)
    if shift:
        # The register moves only between windows, when the adder is done: with each word that
        # comes in, or before.
        new = psum + (step + np.maximum(new, 0) if by_word else new)
        all_new = psum + all_new
    moved, moved_whole = new, all_new + clearing
    one = np.ones_like(a.p)
    adder = Loop(ADDER, macs + psum, one)
    spad = Loop(IFMAP_SPAD, macs + moved, one)
    chain = Loop(PSUM_CHAIN, psums.chain_period(c.p), one)
    local = np.stack([loop.delay for loop in (adder, spad, chain)])
    turn: Ints = local.max(axis=0)
    # A new image clears the register where a window would shift it, so it may come sooner.
    image_turn = np.maximum.reduce([adder.delay, chain.delay, macs + moved_whole])
    rings = list(_ifmap_loops(a, hw, c, steps, psums, psum, turn, jump=0 * a.p))

    turns = a.ofmap_columns - 1
    held = np.maximum.reduce([0 * turn, *(ring.beyond(turn, turns) for ring in rings)])
    image = turns * turn + held
    between = image_turn
    if (a.images > 1).any():
        # A lap over the end of an image takes some of the windows around it along, and their share
        # of what the rings within the image hold up.
        jump = a.filter_columns - _steps_of_columns(a)
        for ring in _ifmap_loops(a, hw, c, steps, psums, psum, turn, jump=jump):
            inside = ring.windows - 1
            lap = ring.delay - inside * turn
            if held.any():
                lap = lap - inside * held // np.maximum(turns, 1)
            lap = np.where(inside <= turns, lap, 0)
            between = np.maximum(between, lap.max(axis=0) if lap.ndim > turn.ndim else lap)
    loop = np.where(
        held > 0, IFMAP_FIFO, np.array([ADDER, IFMAP_SPAD, PSUM_CHAIN])[local.argmax(axis=0)]
    )
    return _Turns(image, (a.images - 1) * (image + between) + image, loop)


def _steps_of_columns(a: PassArrays) -> Ints:
    """Return columns from one window to the next; a window as wide as its image is all new."""
    columns: Ints = np.where(a.ofmap_columns == 1, a.filter_columns, a.column_step)
    return columns


def _ifmap_loops(
    a: PassArrays,
    hw: Hardware,
    c: _Chains,
    steps: _Steps,
    psums: _Psums,
    psum: Ints,
    turn: Ints,
    *,
    jump: Ints,
) -> Iterator[Loop]:
    """Yield the rings through ifmap FIFOs: a PE whose FIFO is full holds up all others.

    The bus waits with a word for PE X until X's window frees a place in its spad, and with it one
    in its FIFO (`ahead` words behind the window's own). What it then still has to send until
    another PE Y, or X itself, can begin its window so many windows later is `words` long: places
    on the bus are linear in channel, row and column. X is the top of a chain, where windows end
    last, and Y a PE below whose psums X waits for, or a PE of a chain that is served before.
    `jump` are the columns that an end of an image adds.
    """
    pe = hw.pe
    shift = pe.ifmap_spad == "shift"
    columns = _steps_of_columns(a)
    # A FIFO of one word takes a word every other cycle.
    rows: Ints = np.maximum(
        a.ifmap_rows,
        ceil_div(REGISTER_CYCLES * hw.noc.gin_ifmap_words_per_cycle, pe.ifmap_fifo_words),
    )
    lap_words = columns * a.channels * rows
    macs = c.mac_cycles(steps.q * a.filter_columns)

    by_word = pe.ifmap_wait == "word"
    clearing = np.where(jump > 0, pe.image_change_cycles, 0)

    def sent(words: Ints) -> Ints:
        return _ifmap_cycles(words, hw) + PORT_CYCLES + SPAD_CYCLES

    def start(words: Ints, from_first: Ints, window: Ints, missing: Ints) -> Ints:
        """Return the cycles until a window may begin whose last word is so many words behind X's.

        Its first missing one is `from_first` before that.
        """
        if not by_word:
            return sent(words)
        gap: Ints = rows * order.row(0 * rows)
        # Words that the bus sends before X's are not missing.
        passed: Ints = np.maximum(_ceil(from_first - words, gap), 0)
        first = sent(words - from_first + passed * gap) - c.mac_cycles(window - missing + passed)
        first = np.where(passed < missing, first, 0)
        begun: Ints = np.maximum(sent(words) - c.mac_cycles(window - 1), first)
        return begun

    order = _IfmapOrder.of(a, hw, rows)
    waits = list(_round_waits(a, c, psums))
    last = a.channel_sets - 1
    on_top = hw.array.first_channel_set == "top"
    last_full = np.where(a.q_last < a.q, np.maximum(last - 1, 0), last)
    full = 0 * last if on_top else last_full
    holders = [(full, np.where(a.channel_sets > 1, a.q, a.q_last))]
    if (a.q_last < a.q).any():
        holders.append((last, a.q_last))
    for channel_set, q in holders:
        window = q * a.filter_columns
        ahead: Ints = pe.ifmap_fifo_words + (0 * q if shift else pe.ifmap_spad_words - window)
        # As many windows as bring at least one word more than what fits.
        windows: Ints = np.maximum((ahead - jump * q) // (q * columns) + 1, 1)
        words: Ints = (jump + windows * columns - 1 - ahead // q) * a.channels * rows
        x_last = order.place(channel_set, q - 1)
        words = words + x_last - order.place(channel_set, ahead % q)
        missing: Ints = q * (jump + windows * columns) - ahead
        from_first = words
        own = c.mac_cycles(window)
        if not shift:
            # X itself: its places are free when its MACs are done, whoever its psums wait for.
            cycles = start(words, from_first, window, missing) + own + clearing
            yield Loop(IFMAP_FIFO, np.where(words >= 0, cycles, 0), windows)
        top = ((last - channel_set if on_top else channel_set) + 1) * a.filter_rows - 1
        # A shift register that shifts before it takes in words.
        free = psum + clearing + (q * columns if shift and by_word else 0)
        climb = macs.max(axis=0) + top * c.hop + free + (0 if shift else own)
        next_window = windows + (0 if shift else 1)
        # Most FIFOs hold so much that no PE below can matter: the PE itself, or the bus, is slower.
        period = np.maximum(turn, _ifmap_cycles(lap_words, hw))
        most = order.place(last if order.by_word else channel_set, a.q - 1) - x_last
        most = words + np.maximum(most, 0) + (a.filter_rows - 1) * order.row(0 * q)
        if on_top:
            most = most + lap_words
        slower = sent(most) + climb > next_window * period
        slower |= sent(lap_words) + climb > (next_window + 1) * period
        if not waits and not slower.any():
            continue
        above = top - steps.step
        words = words - x_last + order.place(steps.channel_set, steps.q - 1)
        words = words + steps.filter_row * order.row(steps.q - 1)
        # Where Y's word goes before the one that X holds up, Y waits a window later.
        later = np.maximum(_ceil(-words, lap_words), 0)
        words = words + later * lap_words
        # From Y's window up to X's psums; a shift register has places then, another one after the
        # MACs of X's next window.
        climb = macs + above * c.hop + free
        climb = np.where(above >= 0, climb, -LONG)
        windows = windows + later + (0 if shift else 1)
        y_window = steps.q * a.filter_columns
        y_missing = np.minimum(_ceil(missing * steps.q, q), y_window)
        begun = start(words, from_first, y_window, y_missing)
        # A row's loops may not hang on the rows beside it: one that is left out is so alone, too.
        cycles = np.where(slower, climb + begun + (0 if shift else own), -LONG)
        yield Loop(IFMAP_FIFO, cycles, windows)
        below_top = a.filter_rows * a.channel_sets - 1 - top
        row_words = a.row_step * order.row(q - 1)
        for wait in waits:
            # Y's chain is served first, X's last, and X's words come last on the bus, too.
            held = wait.holds(below_top, steps.step)
            x_macs = 0 if shift else _ceil(wait.p * window, c.pace)
            delay = np.where(held, climb + x_macs, -LONG)
            rows_on = a.strip_rows - 1 - c.ofmap_row
            far = words - rows_on * row_words
            more = np.maximum(_ceil(-far, lap_words), 0)
            far = start(far + more * lap_words, from_first, y_window, y_missing)
            yield Loop(IFMAP_FIFO, delay + far + wait.cycles, windows + more)
            if more.any():
                # Or Y stands in the first chain whose words come behind X's.
                near = np.minimum(rows_on, words // row_words)
                gap = start(words - near * row_words, from_first, y_window, y_missing)
                cycles = wait.cycles - (rows_on - near) * wait.own
                yield Loop(IFMAP_FIFO, delay + gap + cycles, windows)


class _RoundWait(NamedTuple):
    """How much later a psum bus serves the last chain than each other one, core cycles.

    `p` are the last chain's filters, `own` the cycles at each chain of the kind that waits less the
    later it stands, `depth` what words of a window a PE there moves without the bus, `storage` what
    each PE between it and the bus adds to that.
    """

    cycles: Ints
    p: Ints
    own: Ints
    depth: int
    storage: int
    fed: bool

    def holds(self, below_top: Ints, above_bottom: Ints) -> NDArray[np.bool_]:
        """Tell where the wait reaches X, so far below the top, from Y, so far above the bottom."""
        # The GIN waits for the bottom alone; whoever it serves late is late up to the top.
        reached = above_bottom == 0 if self.fed else below_top * self.storage < self.p - self.depth
        held: NDArray[np.bool_] = reached & (self.p > self.depth) & (self.cycles > 0)
        return held


def _round_waits(a: PassArrays, c: _Chains, psums: _Psums) -> Iterator[_RoundWait]:
    """Yield the rounds of psum buses that may reach into the windows of PEs."""
    storage = psums.depth_in + psums.depth_out
    for fed, depth, visit in (
        (False, psums.depth_out, psums.from_chain),
        (True, psums.depth_in, psums.into_chain),
    ):
        if (a.p <= depth).all():
            continue
        round_ = _Round.of(a, c, psums, visit)
        last = a.strip_rows * visit(a.p_last)
        for p, behind in (
            (a.p_last, round_.behind),
            (a.p, np.where(a.p_last < a.p, round_.behind - last, 0)),
        ):
            if psums.by_beat:
                # The last chain's beat of each round comes behind those of all others.
                chains = a.strip_rows * a.filter_sets
                cycles = _ceil(chains * psums.bus_ticks - round_.before, psums.bus_pace)
            else:
                cycles = _ceil(np.maximum(behind, 0), psums.bus_pace)
            if fed:
                cycles = np.where(a.first_channels == 0, cycles, 0)
            yield _RoundWait(cycles, p, visit(c.p) // psums.bus_pace, depth, storage, fed)


def _held_bus(
    a: PassArrays, hw: Hardware, c: _Chains, steps: _Steps, psum: Ints, filters: _Filters
) -> _Sent:
    """Return when words are sent by a bus that waits once, for the first window.

    The bus fills FIFOs and spads while filters load, then waits for the first window. Held up by
    every later window, it is in the loops of ifmap FIFOs.
    """
    pe = hw.pe
    shift = pe.ifmap_spad == "shift"
    order = _IfmapOrder.of(a, hw)
    loaded = filters.ready.max(axis=tuple(range(filters.ready.ndim - 1)))
    spad = a.q * a.filter_columns if shift else pe.ifmap_spad_words
    columns, words = np.divmod(pe.ifmap_fifo_words + spad, a.q)
    columns = columns * a.channels * a.ifmap_rows
    ahead = columns + order.place(0 * a.q, words)
    held = [(ahead, loaded + c.mac_cycles(steps.q * a.filter_columns))]
    if shift:
        # A shift register takes no word before the psums of the window are done: later up the
        # chain, where words may also come later on the bus. Times are linear along sets and rows.
        window = loaded + c.mac_cycles(a.q * a.filter_columns) + psum
        if pe.ifmap_wait == "word":
            window = window + a.q * a.column_step
        last_full = np.where(a.q_last < a.q, np.maximum(a.channel_sets - 2, 0), a.channel_sets - 1)
        on_top = hw.array.first_channel_set == "top"
        bottom, top = (last_full, 0 * last_full) if on_top else (0 * last_full, last_full)
        held = [
            (
                columns + order.place(bottom, words) + (a.filter_rows - 1) * order.row(words),
                window,
            ),
            (columns + order.place(bottom, words), window + (a.filter_rows - 1) * c.hop),
            (columns + order.place(top, words), window + _skew(a, hw, c)),
        ]

    def resumed_bus(word: Ints) -> Ints:
        sent = filters.offset + _ifmap_sent(word, hw)
        for first_held, free in held:
            resumed = free + 1 + _ifmap_cycles(word - first_held, hw)
            sent = np.where(word > first_held, np.maximum(sent, resumed), sent)
        return sent

    return resumed_bus


@dataclass(frozen=True)
class _Chains:
    """The chains whose times bound those of all others, (chains, passes).

    Chains leave in a static order, by filter set and ofmap row, and times are linear along it but
    where the last, smaller filter set begins.
    """

    filter_set: Ints
    ofmap_row: Ints
    p: Ints
    hop: Ints
    pace: int

    def mac_cycles(self, words: Ints) -> Ints:
        """Return the cycles of the MACs of a window of so many ifmap words."""
        return _ceil(self.p * words, self.pace)


def _chains(a: PassArrays, hw: Hardware, pace: int) -> _Chains:
    zero = np.zeros_like(a.p)
    last = a.filter_sets - 1
    last_full = np.where(a.p_last < a.p, np.maximum(last - 1, 0), last)
    sets = np.stack([zero, zero, last_full, last_full, last, last])
    rows = np.stack([zero, a.strip_rows - 1] * 3)
    p = np.where(sets == last, a.p_last, a.p)
    beat = _ceil(np.minimum(p, hw.noc.psum_words_per_cycle), pace)
    hop = beat + hw.pe.psum_latency_cycles + hw.noc.local_hop_cycles
    return _Chains(sets, rows, p, hop, pace)


@dataclass(frozen=True)
class _Steps:
    """The PEs of a chain whose times bound those of all others, (PEs, 1, passes).

    Times are linear along a chain within sets of equal q, so the ends of the first channel set, of
    the last full one and of the last one are enough.
    """

    step: Ints
    channel_set: Ints
    filter_row: Ints
    q: Ints


def _steps(a: PassArrays, hw: Hardware) -> _Steps:
    zero = np.zeros_like(a.p)
    last = a.channel_sets - 1
    last_full = np.where(a.q_last < a.q, np.maximum(last - 1, 0), last)
    sets = np.stack([zero, zero, last_full, last_full, last, last])[:, None, :]
    filter_row = np.stack([a.filter_rows - 1, zero] * 3)[:, None, :]
    q = np.where(sets == last, a.q_last, a.q)
    # Filter row 0 is the uppermost of its set.
    below = last - sets if hw.array.first_channel_set == "top" else sets
    step = below * a.filter_rows + a.filter_rows - 1 - filter_row
    return _Steps(step, sets, filter_row, q)


@dataclass(frozen=True)
class _IfmapOrder:
    """Places of words within an ifmap column on its bus: `rows` a channel, in `noc.ifmap_order`."""

    by_word: bool
    rows: Ints
    q: Ints
    q_last: Ints
    sets: Ints

    @classmethod
    def of(cls, a: PassArrays, hw: Hardware, rows: Ints | None = None) -> _IfmapOrder:
        """Return the order of a chip; `rows` where a channel takes as long as more of them."""
        rows = a.ifmap_rows if rows is None else rows
        return cls(hw.noc.ifmap_order == "word", rows, a.q, a.q_last, a.channel_sets)

    def place(self, channel_set: Ints, channel: Ints) -> Ints:
        """Return the words of the column before row 0 of the set's channel."""
        if not self.by_word:
            return (channel_set * self.q + channel) * self.rows
        # A word to each set in turn; the smaller last set drops out.
        shared = np.minimum(channel, self.q_last)
        alone: Ints = (channel - shared) * self.rows * (self.sets - 1)
        return shared * self.rows * self.sets + alone + channel_set

    def row(self, channel: Ints) -> Ints:
        """Return the words from one ifmap row to the next."""
        if not self.by_word:
            return np.ones_like(self.rows)
        return np.where(channel < self.q_last, self.sets, self.sets - 1)


def _word(
    a: PassArrays, hw: Hardware, c: _Chains, steps: _Steps, column: Ints, channel: Ints
) -> Ints:
    """Place on the bus of the word that each PE needs of an ifmap column and a channel."""
    order = _IfmapOrder.of(a, hw)
    row = (c.ofmap_row * a.row_step + steps.filter_row) * order.row(channel)
    return column * a.channels * a.ifmap_rows + order.place(steps.channel_set, channel) + row


def _begin(
    a: PassArrays, hw: Hardware, c: _Chains, steps: _Steps, column: Ints, sent: _Sent
) -> Ints:
    """Return when the MACs of a window can begin by its ifmap words; (PEs, chains, passes).

    `column` completes the window; `sent` gives when the bus sends the word of such a place.
    """
    last = _word(a, hw, c, steps, column, steps.q - 1)
    if hw.pe.ifmap_wait == "window":
        return sent(last) + SPAD_CYCLES
    # Each MAC waits for its own word. Times are linear in column and channel, so ends are enough.
    first_column = column - a.filter_columns + 1
    begin = sent(last) - c.mac_cycles(steps.q * a.filter_columns - 1)
    for channel, at, before in (
        (0 * steps.q, first_column, 0 * steps.q),
        (steps.q - 1, first_column, steps.q - 1),
        (0 * steps.q, column, steps.q * (a.filter_columns - 1)),
    ):
        own = sent(_word(a, hw, c, steps, at, channel)) - c.mac_cycles(before)
        begin = np.maximum(begin, own)
    return begin + SPAD_CYCLES


def _wave(a: PassArrays, c: _Chains, steps: _Steps, begins: Ints) -> Ints:
    """Return when the first beat of a window can be taken in at the top of each chain.

    `begins` has the cycle in which the MACs of each PE start.
    """
    # The beat that reaches the top has been added to by each PE below, and a PE adds when its MACs
    # are done. So it waits for the slowest of them, with the hops that it still has from there:
    # a largest sum, not a sum along the chain, for all PEs compute at the same time.
    way_up = (a.filter_rows * a.channel_sets - 1 - steps.step) * c.hop
    wave: Ints = (begins + c.mac_cycles(steps.q * a.filter_columns) + way_up).max(axis=0)
    return wave


def _skew(a: PassArrays, hw: Hardware, c: _Chains) -> Ints:
    """Return how far a chain's top is behind its bottom, among PEs that may hold the bus up.

    A smaller last channel set has room enough never to do so.
    """
    smaller = (a.q_last < a.q) & (hw.array.first_channel_set == "bottom")
    full_sets = np.where(smaller, np.maximum(a.channel_sets - 1, 1), a.channel_sets)
    skew: Ints = (a.filter_rows * full_sets - 1) * c.hop
    return skew


class _Filters(NamedTuple):
    """The filter load of passes: when the last word can be used (`load`), when windows may start by
    their filters (`ready`), and when the ifmap port begins (`offset`)."""

    load: Ints
    ready: Ints
    offset: Ints


def _filters(
    a: PassArrays, hw: Hardware, supply: FilterSupply, c: _Chains, steps: _Steps
) -> _Filters:
    bus = _FilterBus(a, hw, supply)
    load = bus.loaded()
    exposed = hw.glb.filter_load == "exposed"
    ready = load if exposed else bus.lead(c, steps)
    offset = bus.port_done() if hw.glb.filter_load == "first" else 0 * load
    return _Filters(load, ready, offset)


class _FilterBus:
    """The filter bus: every PE row takes its own beats, in `noc.filter_order`.

    With `pe.filter_words_per_cycle` words go on from a FIFO to the spad, so many a cycle, and can
    be used a cycle later; where they come faster the bus waits for room in the FIFO.
    """

    def __init__(self, a: PassArrays, hw: Hardware, supply: FilterSupply) -> None:
        self.a = a
        self.supply = supply
        self.width = hw.noc.gin_filter_words_per_cycle
        self.rate = hw.pe.filter_words_per_cycle
        self.fifo = hw.pe.filter_fifo_words
        self.by_use = hw.noc.filter_order == "use"
        self.on_top = hw.array.first_channel_set == "top"
        self.words = a.filters * a.channels * a.filter_rows * a.filter_columns
        self.total = self._sets(self._beats if self.by_use else self._cycles)

    def _beats(self, words: Ints) -> Ints:
        return _ceil(words, self.width)

    def _cycles(self, words: Ints) -> Ints:
        """Return the cycles of the bus for the words of a PE row, one beat behind the other."""
        return np.maximum(self._beats(words), self._held(words) + 1)

    def _held(self, words: Ints) -> Ints:
        """Return the cycles until the last of so many words of a row has room in the FIFO, or 0."""
        if self.rate is None:
            return 0 * words
        over = words - 1 - self.fifo
        return np.where(over >= 0, 2 + over // self.rate, 0)

    def _moved(self, word: Ints) -> Ints:
        """Return the cycles that a word of a row takes to its spad beyond the bus."""
        if self.rate is None:
            return 0 * word
        moved: Ints = 1 + np.maximum(word // self.rate - word // self.width, 0)
        return moved

    def _sets(self, row: Callable[[Ints], Ints]) -> Ints:
        """Sum a row's figure over all rows of the pass."""
        a, s = self.a, self.a.filter_columns

        def set_rows(p: Ints) -> Ints:
            return (a.channel_sets - 1) * row(p * a.q * s) + row(p * a.q_last * s)

        total: Ints = (a.filter_sets - 1) * set_rows(a.p) + set_rows(a.p_last)
        return a.filter_rows * total

    def loaded(self) -> Ints:
        """Return when the last word can be used."""
        supply, last_word = self.supply, self.words - 1
        if self.rate is None:
            return supply.sent(self.total - 1, last_word)
        row = self._last_row()
        if self.by_use:
            most = np.maximum(self.total - 1, self._held(row))
            slowest = self._moved(row - 1) + (row - 1) // self.width + 2
            last = supply.sent(most, last_word) + self._moved(0 * row)
        else:
            last = supply.sent(self.total - 1, last_word) + 1
            first_word = self.words - row + np.minimum(row, self.width) - 1
            begun = supply.sent(self.total - self._cycles(row), first_word)
            slowest = begun + (row - 1) // self.width + self._moved(row - 1)
        loaded: Ints = np.maximum(last, slowest)
        return loaded

    def port_done(self) -> Ints:
        """Return the cycle after that in which the port reads the last line."""
        supply = self.supply
        arrival = _ceil(supply.arrival_ticks(supply.beats - 1), supply.ticks_per_cycle)
        lines = _ceil(self.words, supply.line_words)
        # The bus must have begun the line whose place in the register the last one takes.
        row = self._last_row()
        end, cycles = self.total - 1, np.maximum(self.total // lines, 1)
        if self.rate is not None:
            end = np.maximum(end, self._held(row)) if self.by_use else end
            slow = ceil_div(supply.line_words, self.rate)
            cycles = np.where(self._held(row) > 0, np.maximum(slow, cycles), cycles)
        held = end - supply.register_lines * cycles + REGISTER_CYCLES
        freed = lines > supply.register_lines
        return np.maximum(np.maximum(arrival, lines - 1), np.where(freed, held, 0)) + PORT_CYCLES

    def _last_row(self) -> Ints:
        """Return the words of the PE row that is through last: the bottom one, or the longest."""
        a = self.a
        if self.by_use:
            return a.p * a.q * a.filter_columns
        q = np.where(self.on_top & (a.channel_sets > 1), a.q_last, a.q)
        return a.p_last * q * a.filter_columns

    def lead(self, c: _Chains, steps: _Steps) -> Ints:
        """Return the earliest start of a window that meets each filter word in time (streamed)."""
        return self._lead_by_use(c, steps) if self.by_use else self._lead_by_row(c, steps)

    def _lead_by_use(self, c: _Chains, steps: _Steps) -> Ints:
        a, supply, width, s = self.a, self.supply, self.width, self.a.filter_columns

        def left(p: Ints, q: Ints, beat: Ints) -> Ints:
            return (self._beats(p * q * s) > beat).astype(np.int64)

        def sets_left(q: Ints, beat: Ints) -> Ints:
            return (a.filter_sets - 1) * left(a.p, q, beat) + left(a.p_last, q, beat)

        words = c.p * steps.q * s
        own = self._beats(words)
        fewest = self._beats(a.p_last * a.q_last * s)
        lead: Ints = 0 * words
        for beat in (0 * own, np.minimum(fewest, own) - 1, np.minimum(fewest, own - 1), own - 1):
            # Beats of all rows in the rounds before, then those of this round before this row's.
            earlier = self._sets(lambda row: np.minimum(self._beats(row), beat))  # noqa: B023
            row = (a.channel_sets - 1) * sets_left(a.q, beat) + sets_left(a.q_last, beat)
            turn = steps.filter_row * row + steps.channel_set * sets_left(a.q, beat)
            turn = turn + c.filter_set * left(a.p, steps.q, beat)
            last = np.minimum((beat + 1) * width, words)
            place = earlier + turn
            # A FIFO that is full delays the beat on the bus, not its words on the link.
            word = np.minimum((place + 1) * width, self.words) - 1
            sent = supply.sent(np.maximum(place, turn + self._held(last)), word)
            usable = sent + self._moved(0 * beat)
            lead = np.maximum(lead, usable - beat * width)
        return lead

    def _lead_by_row(self, c: _Chains, steps: _Steps) -> Ints:
        a, supply, width = self.a, self.supply, self.width
        p, q, s = c.p, steps.q, a.filter_columns
        side = np.minimum(a.sets_side_by_side, a.filter_sets)
        shelf, place = c.filter_set // side, c.filter_set % side
        # Sets side by side load row by row; the smaller last set is at the end of the last shelf.
        on_shelf = np.minimum(side, a.filter_sets - shelf * side)
        has_last = shelf == (a.filter_sets - 1) // side
        # Rows load from the top of the array, so the PEs above this one in the chain come first.
        above = a.filter_rows * a.channel_sets - 1 - steps.step
        if self.on_top:
            above_last = np.maximum(above - a.filter_rows * (a.channel_sets - 1), 0)
        else:
            above_last = np.minimum(above, a.filter_rows)

        def before(row: Callable[[Ints], Ints]) -> Ints:
            """Return the cycles of the bus (or words) before the first of this PE."""

            def shelf_row(q_set: Ints) -> Ints:
                others: Ints = (on_shelf - has_last) * row(a.p * q_set * s)
                last: Ints = has_last * row(a.p_last * q_set * s)
                return others + last

            per_set = a.filter_rows * (
                (a.channel_sets - 1) * row(a.p * a.q * s) + row(a.p * a.q_last * s)
            )
            own_shelf = (above - above_last) * shelf_row(a.q) + above_last * shelf_row(a.q_last)
            earlier: Ints = shelf * side * per_set + own_shelf + place * row(a.p * q * s)
            return earlier

        beats, words = before(self._cycles), before(lambda words: words)
        # Words arrive with the column innermost and are used with the filter innermost. Arrival and
        # use are both linear in filter, channel and column (but for whole beats), so the word that
        # is latest for its use is at a corner: eight words are enough.
        lead: Ints = np.zeros_like(beats)
        zero = np.zeros_like(a.p)
        for f in (zero, p - 1):
            for channel in (zero, q - 1):
                for x in (zero, s - 1):
                    index = (f * q + channel) * s + x
                    mac = (x * q + channel) * p + f
                    in_beat = index // width
                    last_word = words + np.minimum((in_beat + 1) * width, p * q * s) - 1
                    usable = supply.sent(beats + in_beat, last_word) + self._moved(index)
                    lead = np.maximum(lead, usable - mac)
        return lead
