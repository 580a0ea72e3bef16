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
2.5). Each `Loop` is a ring. Rings that no chip can make the largest are left out; the reason stands
where they would be.

Nothing here knows the engine. Where a formula holds a constant, the reason stands beside it.

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

from sim.dataflow.base import ceil_div
from vocabulary import Resource

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape

Ints = NDArray[np.int64]

_Begin = Callable[[Ints], Ints]

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
# More than any pass takes: a ring that is none has so many cycles less.
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
        """Columns from pass shapes."""
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
        """All filters are there when the pass starts."""
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

    def arrival_ticks(self, beat: Ints) -> Ints:
        """When the link has delivered a beat; those that were there count as tick 0."""
        begun = self.beat_ticks + np.where(self.there == 0, self.latency_ticks, 0)
        # A full buffer takes the next beat when the first has been read, a cycle into the pass.
        begun = begun + np.where(self.there >= self.buffer_beats, self.ticks_per_cycle, 0)
        first = np.where(self.busy_ticks > 0, self.busy_ticks, begun)
        return np.where(beat < self.there, 0, first + (beat - self.there) * self.beat_ticks)

    def sent(self, beat: Ints, word: Ints) -> Ints:
        """When the filter bus has delivered its beat number `beat`, whose last word is `word`."""
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
        """Cycles that so many turns to a next window take beyond `turn` each."""
        extra: Ints = turns // self.windows * (self.delay - self.windows * turn)
        return extra.max(axis=0) if extra.ndim > turn.ndim else extra


def pass_cycles(
    a: PassArrays, hw: Hardware, supply: FilterSupply | None = None, doubled: Set[str] = frozenset()
) -> PassCycles:
    """Cycles of each pass; without `supply` all its filters are there when it starts.

    Of `doubled` stations each does twice as much in a cycle: the array's PEs two MACs or two psums,
    the psum buses two beats. No chip has a field for that (`sim.analytic.bound` asks for it).
    """
    supply = supply if supply is not None else FilterSupply.prefetched(a, hw)
    noc, pe = hw.noc, hw.pe
    streamed = hw.glb.filter_load == "streamed"

    # Filter load: every PE row takes its own beats, one a cycle.
    def row_beats(p: Ints, q: Ints) -> Ints:
        return _ceil(p * q * a.filter_columns, noc.gin_filter_words_per_cycle)

    set_beats = [
        a.filter_rows * ((a.channel_sets - 1) * row_beats(p, a.q) + row_beats(p, a.q_last))
        for p in (a.p, a.p_last)
    ]
    filter_words = a.filters * a.channels * a.filter_rows * a.filter_columns
    load_beats = (a.filter_sets - 1) * set_beats[0] + set_beats[1]
    load = supply.sent(load_beats - 1, filter_words - 1)

    c = _chains(a, hw, 2 if ARRAY in doubled else 1)
    steps = _steps(a)
    psums = _psums(a, hw, c.pace, 2 if PSUM_BUS in doubled else 1)
    bubble = np.maximum(0, pe.pipeline_stages - c.p)
    psum = bubble + psums.window(c.p)
    turns = _turns(a, hw, c, steps, psums, psum)

    # The last beat of a chain's last window, then those of the chains behind it.
    served = _Round.of(a, c, psums.from_chain)
    after = _ceil(served.total - served.before - served.own + 1, psums.bus_pace)
    served_cycles = _ceil(served.total, psums.bus_pace)

    ready = _streamed_lead(a, hw, supply, c, steps) if streamed else load

    def from_load(word: Ints) -> Ints:
        return np.maximum(ready, _ifmap_sent(word, hw) + SPAD_CYCLES)

    first_column = a.filter_columns - 1
    # A bus that takes longer for a beat than the adder is still at the first ones by then.
    leaves = np.maximum(psum, bubble + psums.first_window_leaves(c.p))
    first = _wave(a, c, steps, first_column, from_load) + leaves
    arrays = first + turns.all_images + after
    # The GON goes around once for each window.
    gons = first + (a.windows - 1) * served_cycles + after
    # The psum GIN begins where the bottom of a chain has taken the first beat: it fills FIFOs while
    # filters load, but goes on only where a chain has room for the rest of a window.
    fed = _Round.of(a, c, psums.into_chain)
    bottom = (
        from_load(_word(a, c, steps, first_column))[0]
        + c.mac_cycles(steps.q * a.filter_columns)[0]
        + bubble
    )
    fed_ticks = a.windows * fed.total - fed.before - psums.into_chain(a.p_last)
    chain = a.filter_rows * a.channel_sets
    way_up = psums.window(a.p_last) + (chain - 1) * (
        psums.last_beat(a.p_last) + noc.local_hop_cycles
    )
    gins = np.where(
        (a.first_channels == 0) & (c.p > psums.depth_in),
        bottom + _ceil(fed_ticks, psums.bus_pace) + way_up + 1,
        0,
    )
    from_bus = _held_bus(a, hw, c, steps, psum, ready.max(axis=(0, 1)) if streamed else load)
    last_image = (a.images - 1) * a.ifmap_columns
    # The ifmap bus may hold the array up to the last window, or to the last image's first one.
    to_last = _wave(a, c, steps, last_image + a.ifmap_columns - 1, from_bus)
    to_image = _wave(a, c, steps, last_image + first_column, from_bus) + turns.image
    ifmaps = np.maximum(to_last, to_image) + leaves + after

    ends = [station.max(axis=0) for station in (arrays, np.maximum(gons, gins), ifmaps)]
    cycles = np.maximum.reduce(ends)
    waits = psums.round_waits(a)
    bounds = (
        np.take_along_axis(turns.loop, arrays.argmax(axis=0)[None], axis=0)[0],
        np.where(waits, PSUM_REFILL, PSUM_ROUND),
        np.full_like(cycles, IFMAP_ROUND),
    )
    begins: Ints = from_load(_word(a, c, steps, first_column)).min(axis=(0, 1))
    return PassCycles(
        cycles=cycles,
        load=load,
        start=begins,
        bound=np.choose(np.stack(ends).argmax(axis=0), bounds),
    )


def _ifmap_cycles(words: Ints, hw: Hardware) -> Ints:
    """Cycles in which the ifmap bus sends so many words one after the other."""
    bus, line, line_cycles = _ifmap_port(hw)
    if line_cycles * bus <= line:
        return words // bus
    return words * line_cycles.numerator // (line * line_cycles.denominator)


def _ifmap_sent(word: Ints, hw: Hardware) -> Ints:
    """When the bus sends a word from the start of the pass, where it finds room everywhere."""
    bus, line, line_cycles = _ifmap_port(hw)
    sent = word // bus + PORT_CYCLES
    if line_cycles * bus > line:
        lines, in_line = np.divmod(word, line)
        begun = lines // hw.noc.bus_fifo_entries * (ceil_div(line, bus) + 1)
        sent = np.maximum(sent, begun + in_line // bus + PORT_CYCLES)
    return sent


def _ifmap_port(hw: Hardware) -> tuple[int, int, Fraction]:
    """Words of the ifmap bus in a cycle, words of a line, and cycles from line to line.

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
    chain: Ints

    def beats(self, p: Ints) -> Ints:
        """Beats of a window."""
        return _ceil(p, self.beat)

    def last_words(self, p: Ints) -> Ints:
        """Words of a window's last beat."""
        last: Ints = (p - 1) % self.beat + 1
        return last

    def last_beat(self, p: Ints) -> Ints:
        """Cycles of the adder for a window's last beat."""
        return _ceil(self.last_words(p), self.pace)

    def _gains(self) -> tuple[int, int]:
        """Cycles that a lap through FIFOs takes beyond the adder's: behind a PE, and over a hop."""
        full = ceil_div(self.beat, self.pace)
        behind, before = self.depth_out // self.beat, self.depth_in // self.beat
        return max(0, full + 1 - full * behind), max(0, self.hop + 1 - full * before)

    def _laps(self, p: Ints, beats: Ints, depth: int, *, to_last: bool) -> Ints:
        """Laps through a FIFO between two beats of a window that are `beats` apart."""
        lag = depth // self.beat
        if to_last:
            # A short last beat may fit beside as many full ones.
            beats = beats - (self.last_words(p) + lag * self.beat <= depth)
        return np.maximum(beats, 0) // lag

    def flow(self, p: Ints, beats: Ints, *, to_last: bool, linked: bool = True) -> Ints:
        """Cycles between the taking of two beats of a window that are `beats` apart.

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
        """Cycles in which a PE takes in the psums of a window, where none is waited for."""
        gain_out, gain_in = self._gains()
        if not gain_out and not gain_in:
            return _ceil(p, self.pace)
        return self.flow(p, self.beats(p) - 1, to_last=True) + self.last_beat(p)

    def first_window_leaves(self, p: Ints) -> Ints:
        """Cycles from the first taking at the top until the GON has all beats of a window."""
        first = _ceil(np.minimum(p, self.beat), self.pace)
        return first + _ceil((self.beats(p) - 1) * self.bus_ticks, self.bus_pace)

    def chain_period(self, p: Ints) -> Ints:
        """Cycles of a window in the rings through FIFOs alone: no MAC is on them."""
        period: Ints = np.zeros_like(p)
        full = ceil_div(self.beat, self.pace)
        for depth, cycles, exists in (
            (self.depth_out, full + 1, True),
            (self.depth_in, self.hop + 1, self.chain > 1),
        ):
            beats = self.beats(p)
            # Short last beats let more of them into a FIFO than full ones.
            held = np.maximum(depth // self.beat, depth * beats // p)
            period = np.maximum(period, np.where(exists, beats * cycles // held, 0))
        return period

    def bus(self, p: Ints) -> Ints:
        """Ticks of a bus for the beats of a window of a chain, where it waits for nobody."""
        return self.beats(p) * self.bus_ticks

    def from_chain(self, p: Ints) -> Ints:
        """Ticks of the GON at a chain, from the beat before its first to its last.

        The chain has filled its last FIFO by then. The beats of a window that found no room there
        come as the PE takes them in, the first one a cycle after the GON's first.
        """
        beats, lag = self.beats(p), self.depth_out // self.beat
        bus, pace = self.bus_ticks, self.bus_pace
        full = ceil_div(self.beat, self.pace)
        over = beats - 1 - lag
        last = 1 + self.flow(p, np.maximum(over, 0), to_last=True) + self.last_beat(p)
        waits = last * pace + bus
        # A bus that is slower than the adder still has beats to send that came before the last.
        before = (1 + full + self.flow(p, np.maximum(over - 1, 0), to_last=False)) * pace + 2 * bus
        begun = (1 + full) * pace + (over + 1) * bus
        waits = np.where(over > 0, np.maximum(waits, np.maximum(before, begun)), waits)
        return np.where(p > self.depth_out, np.maximum(waits, self.bus(p)), self.bus(p))

    def into_chain(self, p: Ints) -> Ints:
        """Ticks of the psum GIN at a chain, likewise: the chain's first FIFO is empty by then."""
        beats, lag = self.beats(p), self.depth_in // self.beat
        bus, pace = self.bus_ticks, self.bus_pace
        loose = self.last_words(p) + lag * self.beat <= self.depth_in
        over = np.maximum(beats - 1 - lag - loose, 0)
        last = (2 + self.flow(p, over, to_last=False, linked=False)) * pace + (1 + loose) * bus
        waits = np.maximum(last, 2 * pace + (beats - lag) * bus)
        return np.where(p > self.depth_in, np.maximum(waits, self.bus(p)), self.bus(p))

    def round_waits(self, a: PassArrays) -> NDArray[np.bool_]:
        """Passes in which a bus waits for FIFOs at a chain."""
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
        chain=a.filter_rows * a.channel_sets,
    )


class _Round(NamedTuple):
    """A round of a psum bus through all chains, in ticks: the whole, and each chain's place."""

    total: Ints
    before: Ints
    own: Ints

    @classmethod
    def of(cls, a: PassArrays, c: _Chains, visit: Callable[[Ints], Ints]) -> _Round:
        """The round of a bus that takes so long for a chain of p filters."""
        full, own = visit(a.p), visit(c.p)
        total = a.strip_rows * ((a.filter_sets - 1) * full + visit(a.p_last))
        return cls(total, c.filter_set * a.strip_rows * full + c.ofmap_row * own, own)


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
    if pe.ifmap_spad == "shift":
        # The register moves only between windows, when the adder is done.
        moved, moved_whole = psum + step, psum + whole
    else:
        # Words that find no place before the MACs are done move in behind them, one a cycle.
        spare = pe.ifmap_spad_words - whole
        moved = np.minimum(step, step - spare)
        moved_whole = np.minimum(whole, whole - spare)
    one = np.ones_like(a.p)
    adder = Loop(ADDER, macs + psum, one)
    spad = Loop(IFMAP_SPAD, macs + moved, one)
    chain = Loop(PSUM_CHAIN, psums.chain_period(c.p), one)
    local = np.stack([loop.delay for loop in (adder, spad, chain)])
    turn: Ints = local.max(axis=0)
    image_turn = np.maximum(turn, macs + moved_whole)
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
    """Columns from one window to the next; a window that is all of its image is all new."""
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
    """The rings through ifmap FIFOs: a PE whose FIFO is full holds up the bus, and so other PEs.

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
    rows = np.maximum(
        a.ifmap_rows,
        ceil_div(REGISTER_CYCLES * hw.noc.gin_ifmap_words_per_cycle, pe.ifmap_fifo_words),
    )
    lap_words = columns * a.channels * rows
    macs = c.mac_cycles(steps.q * a.filter_columns)

    def sent(words: Ints) -> Ints:
        return _ifmap_cycles(words, hw) + PORT_CYCLES + SPAD_CYCLES

    waits = list(_round_waits(a, c, psums))
    last = a.channel_sets - 1
    last_full = np.where(a.q_last < a.q, np.maximum(last - 1, 0), last)
    holders = [(last_full, np.where(a.channel_sets > 1, a.q, a.q_last))]
    if (a.q_last < a.q).any():
        holders.append((last, a.q_last))
    for channel_set, q in holders:
        window = q * a.filter_columns
        ahead = pe.ifmap_fifo_words + (0 if shift else pe.ifmap_spad_words - window)
        # As many windows as bring at least one word more than what fits.
        windows = np.maximum((ahead - jump * q) // (q * columns) + 1, 1)
        words = (jump + windows * columns - 1 - ahead // q) * a.channels * rows
        words = words + (q - 1 - ahead % q) * rows
        own = c.mac_cycles(window)
        if not shift:
            # X itself: its places are free when its MACs are done, whoever its psums wait for.
            yield Loop(IFMAP_FIFO, np.where(words >= 0, sent(words) + own, 0), windows)
        top = (channel_set + 1) * a.filter_rows - 1
        climb = macs.max(axis=0) + top * c.hop + psum + (0 if shift else own)
        next_window = windows + (0 if shift else 1)
        # Most FIFOs hold so much that no PE below can matter: the PE itself, or the bus, is slower.
        period = np.maximum(turn, _ifmap_cycles(lap_words, hw))
        slower = sent(words + a.filter_rows - 1) + climb > next_window * period
        slower |= sent(lap_words) + climb > (next_window + 1) * period
        if not waits and not slower.any():
            continue
        above = top - steps.step
        words = words - (channel_set * a.q + q - steps.channels) * rows + steps.filter_row
        # Where Y's word goes before the one that X holds up, Y waits a window later.
        later = np.maximum(_ceil(-words, lap_words), 0)
        words = words + later * lap_words
        # From Y's window up to X's psums; a shift register has places then, another one after the
        # MACs of X's next window.
        climb = sent(0 * words) + macs + above * c.hop + psum
        climb = np.where((above >= 0) & (slower | bool(waits)), climb, -LONG)
        windows = windows + later + (0 if shift else 1)
        yield Loop(IFMAP_FIFO, climb + _ifmap_cycles(words, hw) + (0 if shift else own), windows)
        below_top = (last - channel_set) * a.filter_rows
        for wait in waits:
            # Y's chain is served first, X's last, and X's words come last on the bus, too.
            held = wait.holds(below_top, steps.step)
            x_macs = 0 if shift else _ceil(wait.p * window, c.pace)
            delay = np.where(held, climb + x_macs, -LONG)
            rows_on = a.strip_rows - 1 - c.ofmap_row
            far = words - rows_on * a.row_step
            more = np.maximum(_ceil(-far, lap_words), 0)
            far = _ifmap_cycles(far + more * lap_words, hw)
            yield Loop(IFMAP_FIFO, delay + far + wait.cycles, windows + more)
            if more.any():
                # Or Y stands in the first chain whose words come behind X's.
                near = np.minimum(rows_on, words // a.row_step)
                gap = _ifmap_cycles(words - near * a.row_step, hw)
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
        """Where the wait reaches X, so far below the top, from Y, so far above the bottom."""
        # The GIN waits for the bottom alone; whoever it serves late is late up to the top.
        reached = above_bottom == 0 if self.fed else below_top * self.storage < self.p - self.depth
        held: NDArray[np.bool_] = reached & (self.p > self.depth) & (self.cycles > 0)
        return held


def _round_waits(a: PassArrays, c: _Chains, psums: _Psums) -> Iterator[_RoundWait]:
    """The rounds of psum buses that may reach into the windows of PEs."""
    storage = psums.depth_in + psums.depth_out
    for fed, depth, visit in (
        (False, psums.depth_out, psums.from_chain),
        (True, psums.depth_in, psums.into_chain),
    ):
        if (a.p <= depth).all():
            continue
        round_ = _Round.of(a, c, visit)
        served = round_.before + round_.own
        last = a.strip_rows * visit(a.p_last)
        for p, until in (
            (a.p_last, round_.total),
            (a.p, np.where(a.p_last < a.p, round_.total - last, 0)),
        ):
            cycles = _ceil(np.maximum(until - served, 0), psums.bus_pace)
            if fed:
                cycles = np.where(a.first_channels == 0, cycles, 0)
            yield _RoundWait(cycles, p, round_.own // psums.bus_pace, depth, storage, fed)


def _held_bus(
    a: PassArrays, hw: Hardware, c: _Chains, steps: _Steps, psum: Ints, loaded: Ints
) -> _Begin:
    """When PEs begin by words of a bus that waits once, for the first window.

    The bus fills FIFOs and spads while filters load, then waits for the first window. Held up by
    every later window, it is in the loops of ifmap FIFOs.
    """
    pe = hw.pe
    shift = pe.ifmap_spad == "shift"
    spad = a.q * a.filter_columns if shift else pe.ifmap_spad_words
    columns, words = np.divmod(pe.ifmap_fifo_words + spad, a.q)
    ahead = (columns * a.channels + words) * a.ifmap_rows
    held = [(ahead, loaded + c.mac_cycles(steps.q * a.filter_columns))]
    if shift:
        # A shift register takes no word before the psums of the window are done: later up the
        # chain, where words also come later on the bus. Times are linear along sets and rows.
        window = loaded + c.mac_cycles(a.q * a.filter_columns) + psum
        last_full = np.where(a.q_last < a.q, np.maximum(a.channel_sets - 2, 0), a.channel_sets - 1)
        held = [
            (ahead + a.filter_rows - 1, window),
            (ahead, window + (a.filter_rows - 1) * c.hop),
            (ahead + last_full * a.q * a.ifmap_rows, window + _skew(a, c)),
        ]

    def begin(word: Ints) -> Ints:
        sent = _ifmap_sent(word, hw)
        for first_held, free in held:
            resumed = free + 1 + _ifmap_cycles(word - first_held, hw)
            sent = np.where(word > first_held, np.maximum(sent, resumed), sent)
        return sent + SPAD_CYCLES

    return begin


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
        """Cycles of the MACs of a window of so many ifmap words."""
        return _ceil(self.p * words, self.pace)


def _chains(a: PassArrays, hw: Hardware, pace: int) -> _Chains:
    zero = np.zeros_like(a.p)
    last = a.filter_sets - 1
    last_full = np.where(a.p_last < a.p, np.maximum(last - 1, 0), last)
    sets = np.stack([zero, zero, last_full, last_full, last, last])
    rows = np.stack([zero, a.strip_rows - 1] * 3)
    p = np.where(sets == last, a.p_last, a.p)
    hop = _ceil(np.minimum(p, hw.noc.psum_words_per_cycle), pace) + hw.noc.local_hop_cycles
    return _Chains(sets, rows, p, hop, pace)


@dataclass(frozen=True)
class _Steps:
    """The PEs of a chain whose times bound those of all others, (PEs, 1, passes).

    Times are linear along a chain within sets of equal q, so the ends of the first channel set, of
    the last full one and of the last one are enough. `channels` counts up to its last channel.
    """

    step: Ints
    filter_row: Ints
    q: Ints
    channels: Ints


def _steps(a: PassArrays) -> _Steps:
    zero = np.zeros_like(a.p)
    last = a.channel_sets - 1
    last_full = np.where(a.q_last < a.q, np.maximum(last - 1, 0), last)
    sets = np.stack([zero, zero, last_full, last_full, last, last])[:, None, :]
    filter_row = np.stack([a.filter_rows - 1, zero] * 3)[:, None, :]
    q = np.where(sets == last, a.q_last, a.q)
    # Filter row 0 is the uppermost of its set.
    step = sets * a.filter_rows + a.filter_rows - 1 - filter_row
    return _Steps(step, filter_row, q, sets * a.q + q)


def _word(a: PassArrays, c: _Chains, steps: _Steps, column: Ints) -> Ints:
    """Place on the bus of the last word that each PE needs of an ifmap column."""
    word: Ints = (column * a.channels + steps.channels - 1) * a.ifmap_rows
    return word + c.ofmap_row * a.row_step + steps.filter_row


def _wave(a: PassArrays, c: _Chains, steps: _Steps, column: Ints, begin: _Begin) -> Ints:
    """When the first beat of a window can be taken in at the top of each chain.

    `column` is the ifmap column that completes the window; `begin` gives the cycle in which the
    MACs start of a PE whose last word has that place on the bus.
    """
    way_up = (a.filter_rows * a.channel_sets - 1 - steps.step) * c.hop
    word = _word(a, c, steps, column)
    wave: Ints = (begin(word) + c.mac_cycles(steps.q * a.filter_columns) + way_up).max(axis=0)
    return wave


def _skew(a: PassArrays, c: _Chains) -> Ints:
    """Cycles by which the top of a chain is behind its bottom, among PEs that may hold the bus up.

    A smaller last channel set has room enough never to do so.
    """
    full_sets = np.where(a.q_last < a.q, np.maximum(a.channel_sets - 1, 1), a.channel_sets)
    skew: Ints = (a.filter_rows * full_sets - 1) * c.hop
    return skew


def _streamed_lead(
    a: PassArrays, hw: Hardware, supply: FilterSupply, c: _Chains, steps: _Steps
) -> Ints:
    """Earliest start of a window that meets each filter word just in time (streamed load)."""
    width = hw.noc.gin_filter_words_per_cycle
    p, q, s = c.p, steps.q, a.filter_columns
    side = np.minimum(a.sets_side_by_side, a.filter_sets)
    shelf, place = c.filter_set // side, c.filter_set % side
    # Sets side by side load row by row; the smaller last set stands at the end of the last shelf.
    on_shelf = np.minimum(side, a.filter_sets - shelf * side)
    has_last = shelf == (a.filter_sets - 1) // side
    # Rows load from the top of the array, so the PEs above this one in the chain come first.
    above = a.filter_rows * a.channel_sets - 1 - steps.step
    above_last = np.minimum(above, a.filter_rows)

    def before(unit: int) -> Ints:
        """Beats (or, with unit 1, words) that the bus sends before the first of this PE."""

        def row(p_set: Ints, q_set: Ints) -> Ints:
            return _ceil(p_set * q_set * s, unit)

        def shelf_row(q_set: Ints) -> Ints:
            words: Ints = (on_shelf - has_last) * row(a.p, q_set) + has_last * row(a.p_last, q_set)
            return words

        per_set = a.filter_rows * ((a.channel_sets - 1) * row(a.p, a.q) + row(a.p, a.q_last))
        own_shelf = (above - above_last) * shelf_row(a.q) + above_last * shelf_row(a.q_last)
        earlier: Ints = shelf * side * per_set + own_shelf + place * row(a.p, q)
        return earlier

    beats, words = before(width), before(1)
    lead: Ints = np.zeros_like(beats)
    zero = np.zeros_like(a.p)
    for f in (zero, p - 1):
        for channel in (zero, q - 1):
            for x in (zero, s - 1):
                index = (f * q + channel) * s + x
                mac = (x * q + channel) * p + f
                in_beat = index // width
                last_word = words + np.minimum((in_beat + 1) * width, p * q * s) - 1
                lead = np.maximum(lead, supply.sent(beats + in_beat, last_word) - mac)
    return lead
