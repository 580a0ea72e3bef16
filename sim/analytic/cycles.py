"""The cycles of a pass in closed form: arrays in, arrays out.

A pass is a line of stations that every window goes through: ifmap bus, array, psum buses. The
slowest one sets the pace; the others add what it takes to reach it (ramp) and to leave it (drain).
Each bound below is one station's: the time of its first window, its work for all of them, and the
way out. The pass takes the largest. docs/machine.md section 5 gives the same bounds without ramp
and drain.

Nothing here knows the engine. Where a formula holds a constant, the reason stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape

Ints = NDArray[np.int64]

_Begin = Callable[[Ints], Ints]

ARRAY, PSUM_BUS, IFMAP_BUS = BOUNDS = ("array", "psum bus", "ifmap bus")

# A word or beat goes from a GLB port to a register before its bus, one cycle.
PORT_CYCLES = 1
# An ifmap word is on the bus in one cycle, moves to the spad in the next, and is read in the third.
SPAD_CYCLES = 2


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
    `bound` the slowest station, an index into `BOUNDS`.
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
        return np.maximum(beat, arrival) + PORT_CYCLES + 1


def _ceil(value: Ints, by: Ints | int) -> Ints:
    return -(-value // by)


def pass_cycles(
    a: PassArrays, hw: Hardware, supply: FilterSupply | None = None, doubled: Set[str] = frozenset()
) -> PassCycles:
    """Cycles of each pass; without `supply` all its filters are there when it starts.

    Of `doubled` stations each does twice as much in a cycle: the array's PEs two MACs or two psums,
    the psum buses two beats. No chip has a field for that (`sim.analytic.bound` asks for it).
    """
    supply = supply if supply is not None else FilterSupply.prefetched(a, hw)
    noc, pe = hw.noc, hw.pe
    beat = noc.psum_words_per_cycle
    streamed = hw.glb.filter_load == "streamed"
    rows_of_set = a.filter_rows

    # Filter load: every PE row takes its own beats, one a cycle.
    def row_beats(p: Ints, q: Ints) -> Ints:
        return _ceil(p * q * a.filter_columns, noc.gin_filter_words_per_cycle)

    set_beats = [
        rows_of_set * ((a.channel_sets - 1) * row_beats(p, a.q) + row_beats(p, a.q_last))
        for p in (a.p, a.p_last)
    ]
    filter_words = a.filters * a.channels * a.filter_rows * a.filter_columns
    load_beats = (a.filter_sets - 1) * set_beats[0] + set_beats[1]
    load = supply.sent(load_beats - 1, filter_words - 1)

    # Beats of a window over the whole array, in the static order of the psum buses.
    beats, beats_last = _ceil(a.p, beat), _ceil(a.p_last, beat)
    window_beats = a.strip_rows * ((a.filter_sets - 1) * beats + beats_last)

    array_pace = 2 if ARRAY in doubled else 1
    c = _chains(a, hw, array_pace)
    before = c.filter_set * a.strip_rows * beats + c.ofmap_row * _ceil(c.p, beat)
    # The last beat of a chain's last window, then those of the chains behind it, one a cycle.
    after = window_beats - before - _ceil(c.p, beat) + 1
    if PSUM_BUS in doubled:
        window_beats, after = _ceil(window_beats, 2), _ceil(after, 2)
    psum = c.psum_cycles(pe.pipeline_stages)
    macs, turn, image_turn = _window(a, hw, c)
    image = (a.ofmap_columns - 1) * (macs + turn)
    all_images = (a.images - 1) * (image + macs + image_turn) + image

    bus = noc.gin_ifmap_words_per_cycle
    steps = _steps(a)
    ready = _streamed_lead(a, hw, supply, c, steps) if streamed else load

    def from_load(word: Ints) -> Ints:
        return np.maximum(ready, word // bus + PORT_CYCLES + SPAD_CYCLES)

    def from_bus(word: Ints) -> Ints:
        # The bus fills FIFOs and spads while filters load, then waits for the first window.
        spad = a.q * a.filter_columns if pe.ifmap_spad == "shift" else pe.ifmap_spad_words
        columns, words = np.divmod(pe.ifmap_fifo_words + spad, a.q)
        ahead = (columns * a.channels + words) * a.ifmap_rows
        sent = word // bus + PORT_CYCLES
        window = c.mac_cycles(steps.q * a.filter_columns)
        if pe.ifmap_spad == "shift":
            # A shift register takes no word before the psums of the window are done, at the top of
            # the chain last.
            window = window + psum + _skew(a, c)
        resumed = load + window + 1 + (word - ahead) // bus
        return np.where(word > ahead, np.maximum(sent, resumed), sent) + SPAD_CYCLES

    first = _wave(a, c, steps, a.filter_columns - 1, from_load) + psum
    last_image = (a.images - 1) * a.ifmap_columns
    arrays = first + all_images + after
    psums = first + (a.windows - 1) * window_beats + after
    # The ifmap bus may hold the array up to the last window, or to the last image's first one.
    to_last = _wave(a, c, steps, last_image + a.ifmap_columns - 1, from_bus) + psum + after
    to_image = (
        _wave(a, c, steps, last_image + a.filter_columns - 1, from_bus) + psum + image + after
    )
    ifmaps = np.maximum(to_last, to_image)
    stacked = np.stack([station.max(axis=0) for station in (arrays, psums, ifmaps)])
    begins: Ints = from_load(_word(a, c, steps, a.filter_columns - 1)).min(axis=(0, 1))
    return PassCycles(
        cycles=stacked.max(axis=0), load=load, start=begins, bound=stacked.argmax(axis=0)
    )


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

    def psum_cycles(self, pipeline_stages: int) -> Ints:
        """Cycles from the last MAC of a window to its last psum, where none is waited for."""
        psum: Ints = np.maximum(0, pipeline_stages - self.p) + _ceil(self.p, self.pace)
        return psum


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


def _window(a: PassArrays, hw: Hardware, c: _Chains) -> tuple[Ints, Ints, Ints]:
    """MAC cycles of a window, and the cycles to the next one: within an image, at its end."""
    pe = hw.pe
    macs = c.mac_cycles(a.q * a.filter_columns)
    psum = c.psum_cycles(pe.pipeline_stages)
    step, whole = a.q * a.column_step, a.q * a.filter_columns
    bus_per_word = a.channels * a.ifmap_rows / (a.q * hw.noc.gin_ifmap_words_per_cycle)
    # The bus waits for the slowest PE, the top of a chain, and so holds up the bottom, which holds
    # up the top: a loop over as many windows as fit between, with what is then still to be sent.
    skew = _skew(a, c)
    if pe.ifmap_spad == "shift":
        turn: Ints = psum + step
        image_turn: Ints = psum + whole
        windows = pe.ifmap_fifo_words // step + 1
        missing = step * windows - pe.ifmap_fifo_words
        loop = missing * bus_per_word + skew + macs + psum
    else:
        # Words that find no place before the MACs are done move in behind them, one a cycle.
        spare = pe.ifmap_spad_words - whole
        turn = np.maximum(psum, np.minimum(step, step - spare))
        image_turn = np.maximum(psum, np.minimum(whole, whole - spare))
        windows = (pe.ifmap_fifo_words + spare) // step + 2
        missing = step * (windows - 1) - pe.ifmap_fifo_words - spare
        loop = missing * bus_per_word + skew + 2 * macs + psum
    longest: Ints = np.floor((loop + PORT_CYCLES + SPAD_CYCLES) / windows).astype(np.int64)
    return macs, np.maximum(turn, longest - macs), image_turn


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
