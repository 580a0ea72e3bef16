"""The closed form of many mappings of one layer together: the same figures as of each alone.

A search asks for the counts and cycles of thousands of mappings. What costs time with one mapping
alone is Python between small arrays; so here the mappings are the arrays. Mappings of a layer have
most shapes of pass in common, and each shape is evaluated once.

Where the link does not keep ahead with the filters, the length of a pass depends on the one before.
`_LateWalk` follows that chain in whole numbers: while filters load nothing is computed, so a pass
takes the cycles that it takes with its filters there, or is late by what its last filter is late.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, fields, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim.analytic.row_stationary.cycles import PORT_CYCLES, FilterSupply, PassArrays, pass_cycles
from sim.analytic.row_stationary.estimate import layer_latency
from sim.dataflow.row_stationary.space import Ints, Mappings, Outlines, ceil_of
from sim.plan.dram_traffic import Traffic
from sim.plan.make import make_plan
from sim.plan.rlc import WORD_BITS, expected_pairs, pairs_per_word

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from workloads.layer import Layer

_ROWS = 1024
"""Shapes that are evaluated together: their arrays stay in the processor's cache."""

_BILLION = 10**9
"""Words of which `expected_pairs` tells the pairs of one word, to nine places."""

_VERY_LATE = 1 << 40
"""Ticks after which a filter comes that any pass waits for."""


# --- how dimensions are cut ----------------------------------------------------------------------


class Cuts(NamedTuple):
    """Blocks of a dimension: (kinds, mappings) sizes, and how many there are of each."""

    sizes: Ints
    times: Ints

    @property
    def blocks(self) -> Ints:
        """Blocks in all."""
        blocks: Ints = self.times.sum(axis=0)
        return blocks


def cut(total: Ints | int, block: Ints) -> Cuts:
    """Cut `total` into blocks of `block`; the last holds what is left."""
    whole, rest = np.divmod(total, block)
    size = np.broadcast_to(block, whole.shape)
    return Cuts(np.stack([size, rest]), np.stack([whole, (rest > 0).astype(np.int64)]))


def cut_in_shares(total: int, share: int, block: Ints) -> Cuts:
    """Cut `total` into shares of what a configuration holds, and each share into blocks.

    The third kind is what is left of a whole share; it is there only where there is one.
    """
    shares, last = divmod(total, share)
    if not shares or (shares == 1 and not last):
        return cut(total, block)
    of_share, of_last = cut(share, block), cut(last, block)
    return Cuts(
        np.stack([block, of_last.sizes[1], of_share.sizes[1]]),
        np.stack(
            [
                shares * of_share.times[0] + of_last.times[0],
                of_last.times[1],
                shares * of_share.times[1],
            ]
        ),
    )


# --- counts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Parts:
    """What the counts of a mapping are made of: blocks of each dimension, sets, rows and columns.

    `rows` and `columns` are those of the padded ifmap under all strips and column tiles; `segments`
    the pieces into which the array's width cuts the rows of all PE sets; `bus_sets` the X-buses
    that a word is driven over for each PE on its diagonal, over all filter blocks.
    """

    image_blocks: Ints
    column_tiles: Ints
    strips: Ints
    rows: Ints
    columns: Ints
    segments: Ints
    channel_blocks: Ints
    channel_sets: Ints
    m_blocks: Ints
    filter_blocks: Ints
    filter_sets: Ints
    bus_sets: Ints


def outline_parts(
    layer: Layer, batch: int, hw: Hardware, n: Ints, e: Ints, f: Ints
) -> dict[str, Ints]:
    """Return the parts that images, strips and column tiles decide."""
    strips, tiles = cut(layer.E, e), cut(layer.F, f)
    step, wide_step = min(layer.U, layer.R), min(layer.V, layer.S)
    rows = strips.times * ((strips.sizes - 1) * step + layer.R)
    columns = tiles.times * ((tiles.sizes - 1) * wide_step + layer.S)
    return {
        "image_blocks": ceil_of(batch, n),
        "column_tiles": tiles.blocks,
        "strips": strips.blocks,
        "rows": rows.sum(axis=0),
        "columns": columns.sum(axis=0),
        "segments": (strips.times * ceil_of(strips.sizes, hw.array.columns)).sum(axis=0),
    }


def channel_parts(layer: Layer, hw: Hardware, q: Ints, r: Ints) -> dict[str, Ints]:
    """Return the parts that the channels' blocks decide."""
    blocks = cut_in_shares(layer.C, hw.limits.channels[1], q * r)
    return {
        "channel_blocks": blocks.blocks,
        "channel_sets": (blocks.times * ceil_of(blocks.sizes, q)).sum(axis=0),
    }


def filter_kinds(layer: Layer, hw: Hardware, m: Ints, block: Ints) -> tuple[Cuts, Cuts]:
    """Return the m-blocks of a group, and the filter blocks of all of them.

    For each kind of m-block there are two kinds of filter block: all but the last, and the last.
    """
    m_blocks = cut_in_shares(layer.Mg, hw.limits.filters[1], m)
    before_last = np.maximum(ceil_of(m_blocks.sizes, block) - 1, 0)
    sizes = np.empty((2 * len(m_blocks.sizes), m.size), np.int64)
    times = np.empty_like(sizes)
    sizes[0::2], times[0::2] = block, before_last * m_blocks.times
    sizes[1::2], times[1::2] = m_blocks.sizes - before_last * block, m_blocks.times
    return m_blocks, Cuts(sizes, times)


def filter_parts(layer: Layer, hw: Hardware, e: Ints, m: Ints, p: Ints, t: Ints) -> dict[str, Ints]:
    """Return the parts that the filters' blocks decide."""
    m_blocks, blocks = filter_kinds(layer, hw, m, p * t)
    sets = ceil_of(blocks.sizes, p)
    # Sets side by side share their X-buses, stacked and folded ones do not.
    beside = np.where(e > hw.array.columns, 1, np.maximum(1, hw.array.columns // e))
    return {
        "m_blocks": m_blocks.blocks,
        "filter_blocks": blocks.blocks,
        "filter_sets": (blocks.times * sets).sum(axis=0),
        "bus_sets": (blocks.times * ceil_of(sets, beside)).sum(axis=0),
    }


def mapping_parts(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> Parts:
    """Return the parts of each mapping."""
    return Parts(
        **outline_parts(layer, batch, hw, many.n, many.e, many.f),
        **channel_parts(layer, hw, many.q, many.r),
        **filter_parts(layer, hw, many.e, many.m, many.p, many.t),
    )


def counts_of(layer: Layer, batch: int, parts: Parts) -> dict[str, Ints]:
    """Return the counts of `layer_counts` from parts, an array each."""
    images = batch * layer.G
    tiles = parts.image_blocks * parts.column_tiles
    zero = np.zeros_like(tiles)
    macs = zero + images * layer.Mg * layer.C * layer.R * layer.S * layer.E * layer.F
    filters = layer.G * layer.Mg * layer.C * layer.R * layer.S
    filter_reads = filters * tiles * parts.strips
    psums = zero + images * layer.Mg * layer.E * layer.F
    psum_writes, psum_reads = psums * parts.channel_blocks, psums * (parts.channel_blocks - 1)
    ifmap_strips = images * layer.C * parts.rows * parts.columns
    ifmap_loads, ifmap_reads = ifmap_strips * parts.m_blocks, ifmap_strips * parts.filter_blocks
    ifmap_rows = images * layer.C * layer.R * layer.E
    ifmap_deliveries = ifmap_rows * parts.columns * parts.filter_sets
    filter_deliveries = filters * tiles * layer.E
    pe_psums = psums * layer.R * parts.channel_sets
    return {
        "dram.filter.read": filter_reads,
        "dram.ifmap.read": ifmap_loads,
        "dram.ofmap.write": psums,
        "glb.filter.write": filter_reads,
        "glb.filter.read": filter_reads,
        "glb.ifmap.write": ifmap_loads,
        "glb.ifmap.read": ifmap_reads,
        "glb.psum.read": psum_reads,
        "glb.psum.write": psum_writes,
        "glb.ofmap.read": psums,
        "glb.ofmap.write": zero,
        "noc.gin_filter.words": filter_reads,
        "noc.gin_filter.deliveries": filter_deliveries,
        "noc.gin_filter.y_bus": filter_reads,
        "noc.gin_filter.x_bus": filters * tiles * parts.segments,
        "noc.gin_ifmap.words": ifmap_reads,
        "noc.gin_ifmap.deliveries": ifmap_deliveries,
        "noc.gin_ifmap.y_bus": ifmap_reads,
        # Over all rows of an ifmap strip its diagonals have a PE for each filter and ofmap row.
        "noc.gin_ifmap.x_bus": ifmap_rows * parts.columns * parts.bus_sets,
        "noc.gin_psum.words": psum_reads,
        "noc.gin_psum.deliveries": psum_reads,
        "noc.gin_psum.y_bus": psum_reads,
        "noc.gin_psum.x_bus": psum_reads,
        "noc.gon_psum.words": psum_writes,
        "noc.gon_psum.deliveries": psum_writes,
        "noc.local_psum.words": pe_psums - psum_writes,
        "spad.ifmap.write": ifmap_deliveries,
        "spad.ifmap.read": macs,
        "spad.ifmap.read_new": ifmap_rows * layer.F * layer.S * parts.filter_sets,
        "spad.filter.write": filter_deliveries,
        "spad.filter.read": macs,
        "spad.psum.read": macs - pe_psums,
        "spad.psum.write": macs - pe_psums,
        "mac.total": macs,
        "mac.gated": zero,
    }


def many_counts(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> dict[str, Ints]:
    """Return the counts of each mapping, an array for each name of `layer_counts`."""
    return counts_of(layer, batch, mapping_parts(layer, batch, hw, many))


# --- cycles --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ManyCycles:
    """Cycles and bits of each mapping: processing latency, standstill, what crosses the link."""

    processing: Ints
    ifmap_wait: Ints
    ofmap_wait: Ints
    ifmap_bits: Ints
    ofmap_bits: Ints

    @property
    def total(self) -> Ints:
        """Total latency."""
        return self.processing + self.ifmap_wait + self.ofmap_wait


def many_cycles(
    layer: Layer,
    batch: int,
    hw: Hardware,
    many: Mappings,
    worth: Callable[[ManyCycles, NDArray[np.bool_]], NDArray[np.bool_]] | None = None,
) -> ManyCycles:
    """Return the latencies of each mapping, as `layer_latency` has them of one.

    Two variants are evaluated mapping by mapping: streamed filters that are late, each word of
    which may hold up the pass, and `dram.overlap`, whose tiles go from one m-block to the next.

    Where passes wait for filters, `worth` is asked first, with bounds of the cycles from below and
    where they are such bounds; what is not worth more stays with its bound.
    """
    if hw.dram.overlap != "none":
        return _one_by_one(layer, batch, hw, many)
    grid = _Grid(layer, batch, hw, many)
    late = grid.late
    if not late.any():
        return grid.in_time()
    cycles = _empty(len(many))
    _fill(cycles, ~late, grid.take(~late).in_time)
    if worth is not None:
        _fill(cycles, late, grid.take(late).least)
        late &= worth(cycles, late)
    late_grid = grid.take(late)
    if hw.glb.filter_load != "exposed" or hw.pe.filter_words_per_cycle is not None:
        _fill(cycles, late, lambda: _one_by_one(layer, batch, hw, late_grid.many))
    else:
        _fill(cycles, late, late_grid.late_walks)
    return cycles


def quick_totals(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> Ints:
    """Return total latencies as if no pass waited for filters and no tile for another one.

    Good enough to rank mappings where `many_cycles` has to go one by one. Loads that overlap are
    waited for where they take the link longer than all passes take.
    """
    grid = _Grid(layer, batch, hw, many)
    least = grid.least()
    if hw.dram.overlap == "none":
        return least.total
    filters = (np.where(grid.row >= 0, grid.shapes.beats[grid.row], 0) * grid.times).sum(
        axis=tuple(range(5))
    )
    on_link = grid._cycles(filters * grid.shapes.supply.beat_ticks) + least.ifmap_wait
    ofmaps = grid._cycles(grid._ticks(least.ofmap_bits))
    waited = least.ofmap_wait if hw.dram.overlap == "ifmap" else np.zeros_like(on_link)
    total: Ints = np.maximum(least.processing + waited, on_link + ofmaps)
    return total


def station_bounds(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> ManyCycles:
    """Bound the engine's cycles from below, each shape of pass by its own slowest station.

    Sharper than those of `least.py`, which take the slowest station of all passes together; the
    argument for each station is the same. They are of chips whose loads neither overlap nor stream.
    """
    grid = _Grid(layer, batch, hw, many)
    grid.shapes.charged = grid.shapes.station_bounds()
    return grid.least()


def many_bits(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> tuple[Ints, Ints]:
    """Return the bits of ifmaps and of ofmaps that cross the link under each mapping."""
    tiles = _Tiles(layer, batch, hw, many)
    return tiles.ifmaps()[1], tiles.ofmap_bits()


def ifmap_waits(layer: Layer, batch: int, hw: Hardware, group: Mappings | Outlines) -> Ints:
    """Return waits for ifmaps, cycles, where an m-block holds all filters of a group."""
    one = np.ones_like(group.n)
    whole = Mappings(
        m=one,
        n=group.n, e=group.e, f=group.f, p=one, q=group.q, r=group.r, t=one,
        columns=layer.F,
    )  # fmt: skip
    waits = _Tiles(replace(layer, G=1, M=1, C=layer.C), batch, hw, whole).ifmaps()[0]
    return waits * layer.G


def _empty(many: int) -> ManyCycles:
    return ManyCycles(*(np.zeros(many, np.int64) for _ in range(len(fields(ManyCycles)))))


def _fill(cycles: ManyCycles, where: NDArray[np.bool_], some: Callable[[], ManyCycles]) -> None:
    if where.any():
        found = some()
        for column in fields(ManyCycles):
            getattr(cycles, column.name)[where] = getattr(found, column.name)


def _one_by_one(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> ManyCycles:
    cycles = _empty(len(many))
    for place in range(len(many)):
        plan: Any = make_plan(layer, batch, hw, many.mapping(place))
        processing, waits = layer_latency(plan)
        cycles.processing[place] = processing
        cycles.ifmap_wait[place], cycles.ofmap_wait[place] = waits.ifmap_cycles, waits.ofmap_cycles
        cycles.ifmap_bits[place], cycles.ofmap_bits[place] = waits.ifmap_bits, waits.ofmap_bits
    return cycles


class _Shapes:
    """Distinct shapes of pass, one a row: what they take, and the beats that bring their filters.

    `evaluate` gives the cycles of rows with a supply of filters that is made of the prefetched one.
    """

    def __init__(self, keys: dict[str, Ints], layer: Layer, hw: Hardware) -> None:
        self.hw = hw
        one = np.ones_like(keys["images"])
        self.columns = {
            **keys,
            "filter_rows": layer.R * one,
            "filter_columns": layer.S * one,
            "row_step": min(layer.U, layer.R) * one,
            "column_step": min(layer.V, layer.S) * one,
        }
        self.full_strip_rows = self.columns.pop("full_strip_rows")
        everything = np.arange(one.size)
        arrays = self._arrays(everything)
        prefetched = FilterSupply.prefetched(arrays, hw)
        self.beats = prefetched.beats
        self.supply = prefetched
        self.charged, self.loads = self.evaluate(everything, lambda supply: supply)
        self._cold = np.zeros_like(self.charged)  # 0 where nobody has asked

    def cold(self, rows: Ints) -> Ints:
        """Return the cycles of each row as the first pass of a layer, without any filter there."""
        missing = np.unique(rows[self._cold[rows] == 0])
        if missing.size:
            self._cold[missing], _ = self.evaluate(missing, _without_filters)
        return self._cold[rows]

    def _arrays(self, rows: Ints, strip_rows: Ints | None = None) -> PassArrays:
        columns = {name: column[rows] for name, column in self.columns.items()}
        if strip_rows is not None:
            columns["strip_rows"] = strip_rows
        return PassArrays(**columns)

    def evaluate(
        self, rows: Ints, supplied: Callable[[FilterSupply], FilterSupply]
    ) -> tuple[Ints, Ints]:
        """Return cycles charged to passes of these rows, and those until their filters come."""
        cycles, loads = np.empty((2, rows.size), np.int64)
        for start in range(0, rows.size, _ROWS):
            some = rows[start : start + _ROWS]
            part = cycles[start : start + _ROWS]
            arrays = self._arrays(some)
            supply = supplied(FilterSupply.prefetched(arrays, self.hw))
            found = pass_cycles(arrays, self.hw, supply)
            part[:], loads[start : start + _ROWS] = found.cycles, found.load
            if self.hw.schedule.charge_full_strip:
                whole = self._arrays(some, self.full_strip_rows[some])
                np.maximum(part, pass_cycles(whole, self.hw, supply).cycles, out=part)
        return cycles, loads

    def station_bounds(self) -> Ints:
        """Return the fewest cycles of each pass: its slowest station, and the way to it."""
        a, hw, noc = self._arrays(np.arange(self.beats.size)), self.hw, self.hw.noc
        words = a.filters * a.channels * a.filter_rows * a.filter_columns
        load = ceil_of(words, noc.gin_filter_words_per_cycle)
        first = np.minimum(a.p, noc.psum_words_per_cycle)
        climb = (a.filter_rows * a.channel_sets - 1) * (first + noc.local_hop_cycles)
        window = a.p * a.q * a.filter_columns
        array = a.windows * (window + np.maximum(a.p, hw.pe.pipeline_stages))
        width = noc.psum_words_per_cycle
        beats = (a.filter_sets - 1) * ceil_of(a.p, width) + ceil_of(a.p_last, width)
        psums = window + a.windows * a.strip_rows * beats
        ifmap_words = a.images * a.channels * a.ifmap_rows * a.ifmap_columns
        last_window = a.p * a.q_last * a.filter_columns
        ifmaps = ceil_of(ifmap_words, noc.gin_ifmap_words_per_cycle) + last_window
        least: Ints = np.maximum(load + climb + np.maximum(array, psums), ifmaps)
        return least


def _without_filters(supply: FilterSupply) -> FilterSupply:
    """Return a supply without any filter, as in the first pass of a layer."""
    return replace(supply, there=np.zeros_like(supply.beats))


def _very_late(supply: FilterSupply) -> FilterSupply:
    """Return a supply that lacks only the last beat, for which all of the pass waits."""
    ticks = np.full_like(supply.beats, _VERY_LATE * supply.ticks_per_cycle)
    return replace(supply, there=supply.beats - 1, busy_ticks=ticks)


def _distinct(keys: dict[str, Ints]) -> tuple[dict[str, Ints], Ints]:
    """Return the distinct rows of some columns, and the row of each."""
    code = np.zeros_like(next(iter(keys.values())))
    most = 1
    for column in keys.values():
        radix = int(column.max(initial=0)) + 1
        if most * radix >= 1 << 62:
            _, code = np.unique(code, return_inverse=True)
            most = int(code.max(initial=0)) + 1
        code, most = code * radix + column, most * radix
    _, first, row = np.unique(code, return_index=True, return_inverse=True)
    return {name: column[first] for name, column in keys.items()}, row


def _channel_kinds(layer: Layer, hw: Hardware, block: Ints) -> tuple[Cuts, Ints]:
    """Return the channel blocks of a group, the first a kind of its own, and the last's kind."""
    share = min(layer.C, hw.limits.channels[1])
    sizes, times = cut_in_shares(layer.C, hw.limits.channels[1], block)
    first = np.minimum(block, share)
    # The first is a whole block, or, where a share holds none, what is left of the first share.
    own = np.where(block <= share, 0, len(sizes) - 1)
    times = times - (own == np.arange(len(sizes))[:, None])
    last = np.where(times[1] > 0, 2, 1)
    if len(sizes) > 2 and not layer.C % share:
        last = np.where(times[2] > 0, 3, 1)
    last = np.where(times.sum(axis=0) == 0, 0, last)
    return Cuts(np.stack([first, *sizes]), np.stack([np.ones_like(first), *times])), last


class _Tiles:
    """The blocks of many mappings, and what of them crosses the link beside filters.

    `around` are the cuts of images, columns and rows. Filter blocks are two kinds for each kind of
    m-block, all but the last and the last.
    """

    def __init__(self, layer: Layer, batch: int, hw: Hardware, many: Mappings) -> None:
        self.layer, self.batch, self.hw, self.many = layer, batch, hw, many
        self.traffic = Traffic.of(layer, hw)
        self.around = tuple(
            _without_empty(cut(total, block))
            for total, block in ((batch, many.n), (layer.F, many.f), (layer.E, many.e))
        )
        self.m_blocks, self.filters = filter_kinds(layer, hw, many.m, many.p * many.t)
        self.channels, self.last_channels = _channel_kinds(layer, hw, many.q * many.r)

    def _bits(self, words: Ints, zero_fraction: float | None) -> Ints:
        """Return the bits on the link of tiles of so many words."""
        if zero_fraction is None:
            return words * self.traffic.word_bits
        pairs = ceil_of(words * expected_pairs(_BILLION, zero_fraction), _BILLION)
        return ceil_of(pairs, pairs_per_word(self.traffic.word_bits)) * WORD_BITS

    def _ticks(self, bits: Ints) -> Ints:
        latency = self.hw.dram.first_access_latency_cycles * self.traffic.beat.denominator
        beats = ceil_of(bits, self.traffic.link_bits)
        ticks: Ints = beats * self.traffic.beat.numerator + latency * (bits > 0)
        return ticks

    def _cycles(self, ticks: Ints) -> Ints:
        return ceil_of(ticks, self.traffic.beat.denominator)

    def _around_m_blocks(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return images, columns and rows of (images, columns, strip, mapping), and how many."""
        sizes = [_on_axis(cuts.sizes, axis, 3) for axis, cuts in enumerate(self.around)]
        times = [_on_axis(cuts.times, axis, 3) for axis, cuts in enumerate(self.around)]
        return (*sizes, self.layer.G * _product(times))  # type: ignore[return-value]

    def ifmaps(self) -> tuple[Ints, Ints]:
        """Return cycles of waits for ifmap strips, none of them ahead, and the strips' bits."""
        layer = self.layer
        images, columns, strips, times = self._around_m_blocks()
        touched_columns = (columns - 1) * min(layer.V, layer.S) + layer.S
        touched_rows = (strips - 1) * min(layer.U, layer.R) + layer.R
        words = (images * touched_columns * touched_rows)[..., None, :] * self.channels.sizes
        bits = self._bits(words, self.traffic.ifmap_zero_fraction)
        many = times[..., None, :] * self.channels.times
        axes = tuple(range(4))
        waits: Ints = (many * self._cycles(self._ticks(bits))).sum(axis=axes)
        return waits * self.m_blocks.blocks, (many * bits).sum(axis=axes) * self.m_blocks.blocks

    def _dumps(self) -> tuple[Ints, Ints]:
        """Return bits that leave behind each block: (images, columns, strip, m-block, mapping).

        Behind all but the last one of an m-block, and behind the last one.
        """
        images, columns, strips, _ = self._around_m_blocks()
        words = (images * columns * strips)[..., None, :]
        before, last = words * self.filters.sizes[0::2], words * self.filters.sizes[1::2]
        if self.hw.dram.ofmap_dump == "m_block":
            before, last = np.zeros_like(before), words * self.m_blocks.sizes
        fraction = self.traffic.ofmap_zero_fraction
        return self._bits(before, fraction), self._bits(last, fraction)

    def ofmap_bits(self) -> Ints:
        """Return the bits of all ofmaps."""
        before, last = self._dumps()
        _, _, _, times = self._around_m_blocks()
        bits = before * self.filters.times[0::2] + last * self.filters.times[1::2]
        total: Ints = (times[..., None, :] * bits).sum(axis=(0, 1, 2, 3))
        return total


class _Grid(_Tiles):
    """The passes of many mappings: the shape of each combination of blocks, and its cycles.

    `row` is the shape of (images, columns, strip, filter block, channel block, mapping) by kinds
    of block, and `times` how often it runs.
    """

    def __init__(self, layer: Layer, batch: int, hw: Hardware, many: Mappings) -> None:
        super().__init__(layer, batch, hw, many)
        axes = (*self.around, self.filters, self.channels)
        self.times = layer.G * _product([_on_axis(cuts.times, k, 5) for k, cuts in enumerate(axes)])
        self.shapes, self.row = self._shapes(axes, self.times > 0)

    def _shapes(self, axes: tuple[Cuts, ...], there: NDArray[np.bool_]) -> tuple[_Shapes, Ints]:
        many = self.many

        def each(values: Ints, axis: int | None = None) -> Ints:
            if axis is not None:
                values = _on_axis(values, axis, 5)
            picked: Ints = np.broadcast_to(values, there.shape)[there]
            return picked

        images, columns, strips, filters, channels = (
            each(cuts.sizes, axis) for axis, cuts in enumerate(axes)
        )
        p, q = np.minimum(each(many.p), filters), np.minimum(each(many.q), channels)
        filter_sets, channel_sets = ceil_of(filters, p), ceil_of(channels, q)
        first = np.zeros_like(self.channels.sizes)
        first[0] = 1
        e = each(many.e)
        full_strip = self.hw.schedule.charge_full_strip
        keys = {
            "images": images,
            "strip_rows": strips,
            "p": p,
            "p_last": filters - (filter_sets - 1) * p,
            "filter_sets": filter_sets,
            "q": q,
            "q_last": channels - (channel_sets - 1) * q,
            "channel_sets": channel_sets,
            "ofmap_columns": columns,
            "first_channels": each(first, 4),
            "sets_side_by_side": np.maximum(1, self.hw.array.columns // e),
            "full_strip_rows": e if full_strip else np.zeros_like(e),
        }
        distinct, found = _distinct(keys)
        row = np.full(there.shape, -1)
        row[there] = found
        return _Shapes(distinct, self.layer, self.hw), row

    def take(self, places: NDArray[np.bool_]) -> _Grid:
        """Return the grid of some of the mappings."""
        if places.all():
            return self
        part = copy(self)
        part.many = self.many.take(places)
        part.around = tuple(_some(cuts, places) for cuts in self.around)
        part.m_blocks, part.filters, part.channels = (
            _some(cuts, places) for cuts in (self.m_blocks, self.filters, self.channels)
        )
        part.last_channels = self.last_channels[places]
        part.times, part.row = self.times[..., places], self.row[..., places]
        return part

    @property
    def late(self) -> NDArray[np.bool_]:
        """Mappings in which the link does not always keep ahead with the filters."""
        supply, there = self.shapes.supply, self.row >= 0
        charged = np.where(there, self.shapes.charged[self.row], np.iinfo(np.int64).max)
        beats = np.where(there, self.shapes.beats[self.row], 0)
        axes = tuple(range(5))
        shortest, most = charged.min(axis=axes), beats.max(axis=axes)
        longest = most * supply.beat_ticks + supply.latency_ticks
        late: NDArray[np.bool_] = (longest > shortest * supply.ticks_per_cycle) | (
            most > supply.buffer_beats
        )
        # Behind the filters of the first pass the link must have time for the second's, too: here
        # for the most of any pass, as a mapping that counts as late has the same figures.
        asked = ~late & (np.where(there, self.times, 0).sum(axis=axes) > 1)
        first = self._first[asked]
        own = self.shapes.beats[first] * supply.beat_ticks + supply.latency_ticks
        spare = self.shapes.cold(first) * supply.ticks_per_cycle - own
        late[asked] = longest[asked] > spare
        return late

    @property
    def _first(self) -> Ints:
        """The shape of each mapping's first pass."""
        places = np.arange(len(self.many))
        first: Ints = self.row[0, 0, 0, np.where(self.filters.times[0] > 0, 0, 1), 0, places]
        return first

    # ------------------------------------------------------------------ filters in time

    def in_time(self) -> ManyCycles:
        """Return the cycles if the filters of each pass but the first are there at its start."""
        shapes, supply = self.shapes, self.shapes.supply
        there = self.row >= 0
        charged = np.where(there, shapes.charged[self.row], 0)
        spent = (charged * self.times).sum(axis=tuple(range(5)))
        places = np.arange(len(self.many))
        first = self._first
        more = shapes.cold(first) - shapes.charged[first]
        ifmap_wait, ifmap_bits = self.ifmaps()

        # The passes of the last channel block, and the ofmaps that leave behind them.
        per_cycle = supply.ticks_per_cycle
        last = np.take_along_axis(
            self.row, np.broadcast_to(self.last_channels, (*self.row.shape[:4], 1, places.size)), 4
        )[..., 0, :]
        ticks = np.where(last >= 0, shapes.charged[last], 0) * per_cycle
        filter_ticks = np.where(last >= 0, shapes.beats[last], 0) * supply.beat_ticks
        before_bits, last_bits = self._dumps()
        passes = self.filters.times[0::2] // np.maximum(self.filters.times[1::2], 1) + 1
        block = _Backlog(
            passes=passes,
            full=ticks[..., 0::2, :],
            last=ticks[..., 1::2, :],
            full_filters=filter_ticks[..., 0::2, :],
            last_filters=filter_ticks[..., 1::2, :],
            full_dump=self._ticks(before_bits),
            last_dump=self._ticks(last_bits),
        )
        leads: Ints = self._leads()
        _, _, _, times = self._around_m_blocks()
        ofmap_wait = np.zeros_like(spent)
        for (kind, follower), many in self._followers().items():
            one = block.kind(kind)
            left = self._cycles(one.left(leads[follower]))
            ofmap_wait += (times * many * left).sum(axis=(0, 1, 2))

        # The layer's last m-block is followed by none.
        final = block.at(*self._final(), places)
        ofmap_wait += self._cycles(final.left(0)) - self._cycles(final.left(leads[0]))
        # The first pass brings its own filters, too; it matters where it is in the last channel
        # block.
        alone = self.channels.blocks == 1
        opening = block.at(0, 0, 0, 0, places)
        own = np.where(opening.passes > 1, opening.full_filters, opening.last_filters)
        only = self.layer.G * _product([cuts.blocks for cuts in self.around]) == 1
        following = self._second()
        lead: Ints = np.where(only & (self.m_blocks.blocks == 1), 0, leads[following, places])
        added = more * per_cycle - own
        change = self._cycles(opening.left(lead, added)) - self._cycles(opening.left(lead))
        ofmap_wait += np.where(alone, change, 0)
        return ManyCycles(spent + more, ifmap_wait, ofmap_wait, ifmap_bits, self.ofmap_bits())

    def _leads(self) -> Ints:
        """Return ticks of the filters that each kind of m-block begins with: (kinds, mappings)."""
        layer, supply = self.layer, self.shapes.supply
        filters = np.minimum(self.m_blocks.sizes, self.many.p * self.many.t)
        words = filters * self.channels.sizes[0] * layer.R * layer.S
        return ceil_of(words, supply.beat_words) * supply.beat_ticks

    def _shares(self) -> tuple[int, int]:
        """Return whole shares of a configuration's filters in a group, and what is left."""
        shares, last = divmod(self.layer.Mg, self.hw.limits.filters[1])
        return (shares, last) if last or shares > 1 else (0, self.layer.Mg)

    def _followers(self) -> dict[tuple[int, int], Ints]:
        """Count how often in a strip an m-block of one kind is followed by one of another.

        Behind the last of a strip comes the first of the next, always of kind 0.
        """
        times = self.m_blocks.times
        _, last = self._shares()
        left, in_last = times[1] > 0, last >= self.many.m
        if len(times) == 2:
            to_left = left.astype(np.int64)
            return {(0, 0): times[0] - to_left, (0, 1): to_left, (1, 0): to_left}
        of_share = times[2]
        to_left = (left & (in_last | (of_share == 0))).astype(np.int64)
        share_to_left = (left & ~in_last & (of_share > 0)).astype(np.int64)
        return {
            (0, 2): of_share,
            (0, 1): to_left,
            (0, 0): times[0] - of_share - to_left,
            (2, 1): share_to_left,
            (2, 0): of_share - share_to_left,
            (1, 0): left.astype(np.int64),
        }

    def _second(self) -> Ints:
        """Return the kind of m-block that follows the first one of a strip."""
        shares, last = self._shares()
        times, m = self.m_blocks.times, self.many.m
        if not shares:
            return np.where((times[0] == 1) & (times[1] > 0), 1, 0)
        limit = self.hw.limits.filters[1]
        behind_share = np.where((shares == 1) & (last < m) & (last > 0), 1, 0)
        single = np.where(times[2] > 0, 2, behind_share)
        return np.where(limit // m > 1, 0, single)

    def _final(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Return the kinds of the layer's last images, columns, strip and m-block."""
        times = self.m_blocks.times
        _, last = self._shares()
        kind = np.where(times[1] > 0, 1, 0)
        if len(times) > 2 and not last:
            kind = np.where(times[2] > 0, 2, 0)
        images, columns, strip = (
            (cuts.times[1] > 0).astype(np.int64) if len(cuts.times) > 1 else np.zeros_like(kind)
            for cuts in self.around
        )
        return images, columns, strip, kind

    # ------------------------------------------------------------------ late filters

    def least(self) -> ManyCycles:
        """Bound from below where filters may be late: no pass waits for them, or all do.

        The array waits for the ofmaps that leave behind the last filter block of each m-block.
        """
        there, supply = self.row >= 0, self.shapes.supply
        axes = tuple(range(5))
        charged = np.where(there, self.shapes.charged[self.row], 0)
        beats = np.where(there, self.shapes.beats[self.row], 0)
        on_link = (beats * self.times).sum(axis=axes) * supply.beat_ticks
        processing = np.maximum((charged * self.times).sum(axis=axes), self._cycles(on_link))
        ifmap_wait, ifmap_bits = self.ifmaps()
        _, last_bits = self._dumps()
        _, _, _, times = self._around_m_blocks()
        m_blocks = times[..., None, :] * self.m_blocks.times
        waits = (m_blocks * self._cycles(self._ticks(last_bits))).sum(axis=(0, 1, 2, 3))
        return ManyCycles(processing, ifmap_wait, waits, ifmap_bits, self.ofmap_bits())

    def late_walks(self) -> ManyCycles:
        """Return the cycles where the link does not always keep ahead, with an exposed load."""
        rows = np.unique(self.row)
        rows = rows[rows >= 0]
        late, _ = self.shapes.evaluate(rows, _very_late)
        behind = np.zeros(self.shapes.charged.size, np.int64)
        behind[rows] = late - (_VERY_LATE + PORT_CYCLES + 1)
        walk = _LateWalk(self.shapes, behind)
        ifmap_wait, ifmap_bits = self.ifmaps()
        before_bits, last_bits = self._dumps()
        dumps = self._ticks(before_bits), self._ticks(last_bits)
        many = len(self.many)
        processing, ofmap_wait = np.empty((2, many), np.int64)
        for place in range(many):
            processing[place], ofmap_wait[place] = self._late_walk(walk, place, dumps)
        return ManyCycles(processing, ifmap_wait, ofmap_wait, ifmap_bits, self.ofmap_bits())

    def _late_walk(self, walk: _LateWalk, place: int, dumps: tuple[Ints, Ints]) -> tuple[int, int]:
        """Return processing cycles of a mapping, and those in which the array waits for ofmaps."""
        row = self.row[..., place].tolist()
        before, last = (each[..., place].tolist() for each in dumps)
        full_passes = [
            int(full) // max(int(ends), 1)
            for full, ends in zip(
                self.filters.times[0::2, place], self.filters.times[1::2, place], strict=True
            )
        ]
        layer, limits, many = self.layer, self.hw.limits, self.many
        channels = _in_order(
            int(many.q[place] * many.r[place]), layer.C, limits.channels[1], first_apart=True
        )
        m_blocks = _in_order(int(many.m[place]), layer.Mg, limits.filters[1])
        around = [
            [(kind, int(times)) for kind, times in enumerate(cuts.times[:, place]) if times]
            for cuts in self.around
        ]
        blocks: dict[tuple[object, ...], tuple[int, _Pending]] = {}

        def m_block(kinds: tuple[int, ...], state: _Pending | None) -> tuple[int, int, _Pending]:
            images, columns, strip, kind = kinds
            shapes = row[images][columns][strip]
            full, ends, passes = shapes[2 * kind], shapes[2 * kind + 1], full_passes[kind]
            opening = full[0] if passes else ends[0]
            begin, wait = walk.begin(state, opening)
            key = (begin, kinds)
            if key not in blocks:
                dump = before[images][columns][strip][kind], last[images][columns][strip][kind]
                sets = [((full[each], passes, ends[each]), times) for each, times in channels]
                blocks[key] = walk.m_block(begin, sets, dump)
            cycles, after = blocks[key]
            return cycles, wait, after

        def level(
            kinds: tuple[int, ...], state: _Pending | None
        ) -> tuple[int, int, _Pending | None]:
            depth = len(kinds)
            if depth == 4:
                return m_block(kinds, state)
            cycles = waits = 0
            for kind, times in around[depth] if depth < 3 else m_blocks:
                inner = (*kinds, kind)
                more, waited, state = _repeat(lambda now: level(inner, now), times, state)  # noqa: B023
                cycles, waits = cycles + more, waits + waited
            return cycles, waits, state

        cycles, waits, state = _repeat(lambda now: level((), now), self.layer.G, None)
        assert state is not None
        return cycles, waits + walk.end(state)


def _in_order(
    block: int, total: int, share: int, *, first_apart: bool = False
) -> list[tuple[int, int]]:
    """Return kinds of block, numbered as by `cut_in_shares`: (kind, how many in a row).

    With `first_apart` the first block is of kind 0, and the others count from 1.
    """
    order: list[tuple[int, int]] = []
    shares, last = divmod(total, share)
    if not shares or (shares == 1 and not last):
        shares, last = 0, total
    for size, rest_kind in [(share, 2)] * shares + ([(last, 1)] if last else []):
        order += [(0, size // block)] * (size >= block) + [(rest_kind, 1)] * (size % block > 0)
    if not first_apart:
        return order
    (kind, many), *others = order
    rest = [(kind + 1, many - 1)] if many > 1 else []
    return [(0, 1), *rest, *((kind + 1, many) for kind, many in others)]


def _repeat(
    step: Callable[[_Pending | None], tuple[int, int, _Pending | None]],
    times: int,
    state: _Pending | None,
) -> tuple[int, int, _Pending | None]:
    """Sum cycles and waits of a repeated step: follow it until its state comes back."""
    seen: dict[_Pending | None, tuple[int, int, int]] = {}
    cycles = waits = done = 0
    while done < times:
        if state in seen:
            since, then_cycles, then_waits = seen[state]
            rounds = (times - done) // (done - since)
            cycles += rounds * (cycles - then_cycles)
            waits += rounds * (waits - then_waits)
            done += rounds * (done - since)
            seen = {}
            continue
        seen[state] = done, cycles, waits
        more, waited, state = step(state)
        cycles, waits, done = cycles + more, waits + waited, done + 1
    return cycles, waits, state


def _without_empty(cuts: Cuts) -> Cuts:
    """Drop the kinds of block that no mapping has."""
    if cuts.times[1].any():
        return cuts
    return Cuts(cuts.sizes[:1], cuts.times[:1])


def _some(cuts: Cuts, places: NDArray[np.bool_]) -> Cuts:
    return Cuts(cuts.sizes[:, places], cuts.times[:, places])


def _on_axis(values: Ints, axis: int, axes: int) -> Ints:
    """Return (kinds, mappings) as an array of `axes` kinds and the mappings."""
    shape = [1] * axes + [values.shape[-1]]
    shape[axis] = values.shape[0]
    return values.reshape(shape)


def _product(arrays: list[Ints]) -> Ints:
    return reduce(np.multiply, arrays)


@dataclass(frozen=True)
class _Backlog:
    """The last channel block of m-blocks: its passes, and the ofmaps that leave behind them.

    All but the last of `passes` are full and equal. Times are ticks; `full_filters` are those of
    the filters of such a pass.
    """

    passes: Ints
    full: Ints
    last: Ints
    full_filters: Ints
    last_filters: Ints
    full_dump: Ints
    last_dump: Ints

    def kind(self, kind: int) -> _Backlog:
        """Return the m-blocks of one kind."""
        return _Backlog(*(getattr(self, each.name)[..., kind, :] for each in fields(self)))

    def at(
        self, images: Ints | int, columns: Ints | int, strip: Ints | int, kind: Ints | int, n: Ints
    ) -> _Backlog:
        """Return one m-block of each mapping."""
        where = images, columns, strip, kind, n
        others = (getattr(self, each.name)[where] for each in fields(self)[1:])
        return _Backlog(self.passes[kind, n], *others)

    def left(self, lead: Ints | int, added: Ints | int = 0) -> Ints:
        """Return the ticks of ofmap that are on the link when the m-block ends.

        `lead` are those of the filters that the next m-block begins with, `added` what the first
        pass has beyond others. In each pass the link has for tiles what the next one's filters
        leave.
        """
        spare = self.full - self.full_filters
        before_last, last = self.full - self.last_filters, self.last - lead
        opening = np.where(self.passes > 2, spare, before_last)
        ticks = np.maximum(0, -(opening + added)) + self.full_dump
        # Passes that are followed by a full one: what each leaves, summed, or the last of them.
        alike = self.passes - 3
        gain = self.full_dump - spare
        steady = np.maximum(self.full_dump, self.full_dump + (alike - 1) * gain)
        ticks = np.where(alike > 0, np.maximum(ticks + alike * gain, steady), ticks)
        ticks = np.where(
            self.passes > 2, np.maximum(0, ticks - before_last) + self.full_dump, ticks
        )
        alone = np.maximum(0, -(last + added))
        left: Ints = np.where(self.passes > 1, np.maximum(0, ticks - last), alone) + self.last_dump
        return left


class _Started(NamedTuple):
    """A pass by its shape and the state of its filters: beats there, ticks that the next takes."""

    row: int
    there: int
    busy: int


class _Pending(NamedTuple):
    """The end of an m-block: its last pass, ofmaps on the link before it, and those behind it."""

    last: _Started
    ticks: int
    dump: int


class _Length(NamedTuple):
    """A pass that has started: its cycles, and the link's ticks for its filters.

    `done` is the tick in which the last of them comes, `begun` are the ticks spent on them before
    the pass, `missing` those after it has started.
    """

    cycles: int
    done: int
    begun: int
    missing: int


class _LateWalk:
    """Passes one after the other, each with the filters that the one before has left it time for.

    The rules are those of `FilterSupply` and of the state between passes in
    `estimate.py`, in whole numbers. `behind` is what a pass takes from the cycle in which its
    filters are there.
    """

    def __init__(self, shapes: _Shapes, behind: Ints) -> None:
        self.charged, self.loads = shapes.charged.tolist(), shapes.loads.tolist()
        self.beats, self.behind = shapes.beats.tolist(), behind.tolist()
        self.supply = shapes.supply
        self._lengths: dict[_Started, _Length] = {}
        self._followers: dict[tuple[_Started, int], _Started] = {}
        self._blocks: dict[tuple[_Started, tuple[int, int, int]], tuple[int, _Started]] = {}

    def length(self, each: _Started) -> _Length:
        """Return how long a pass takes."""
        known = self._lengths.get(each)
        if known is None:
            row, there, busy = each
            supply, beats = self.supply, self.beats[row]
            beat = supply.beat_ticks
            done = 0
            if beats > there:
                first = busy
                if not busy:
                    first = beat + (0 if there else supply.latency_ticks)
                    if there >= supply.buffer_beats:
                        first += supply.ticks_per_cycle
                done = first + (beats - 1 - there) * beat
            arrival = -(-done // supply.ticks_per_cycle) + PORT_CYCLES + 1
            load = max(self.loads[row], arrival)
            cycles = max(self.charged[row], load + self.behind[row])
            begun = there * beat + (max(0, beat - busy) if busy else 0)
            known = self._lengths[each] = _Length(cycles, done, begun, beats * beat - begun)
        return known

    def follow(self, before: _Started, row: int) -> _Started:
        """Return the pass of a shape behind another pass."""
        key = before, row
        known = self._followers.get(key)
        if known is None:
            length, most = self.length(before), min(self.beats[row], self.supply.buffer_beats)
            there, busy = self.supply.carried(length.cycles, length.done, most)
            known = self._followers[key] = _Started(row, there, busy)
        return known

    def _spare(self, each: _Started, next_begun: int) -> int:
        """Return the ticks that the link has for tiles in a pass."""
        length = self.length(each)
        return max(0, length.cycles * self.supply.ticks_per_cycle - length.missing - next_begun)

    def _cycles(self, ticks: int) -> int:
        return -(-ticks // self.supply.ticks_per_cycle)

    def begin(self, state: _Pending | None, row: int) -> tuple[_Started, int]:
        """Return the first pass of an m-block, and the wait for the ofmaps of the one before."""
        if state is None:
            return _Started(row, 0, 0), 0
        following = self.follow(state.last, row)
        spare = self._spare(state.last, self.length(following).begun)
        return following, self._cycles(max(0, state.ticks - spare) + state.dump)

    def end(self, state: _Pending) -> int:
        """Return the wait for the layer's last ofmaps."""
        spare = self._spare(state.last, 0)
        return self._cycles(max(0, state.ticks - spare) + state.dump)

    def m_block(
        self,
        begin: _Started,
        channels: list[tuple[tuple[int, int, int], int]],
        dump: tuple[int, int],
    ) -> tuple[int, _Pending]:
        """Return the cycles of an m-block that starts so, and its end.

        `channels` are its channel blocks in order, as ((shape of a full pass, how many, shape of
        the last pass), how many in a row); `dump` the ticks of ofmap behind a full pass and behind
        the last.
        """
        cycles, state = 0, begin
        *others, (last_block, times) = channels
        if times > 1:
            others.append((last_block, times - 1))
        for place, (block, many) in enumerate(others):
            seen: dict[_Started, tuple[int, int]] = {}
            done = 0
            while done < many:
                if state in seen:
                    since, then = seen[state]
                    rounds = (many - done) // (done - since)
                    cycles += rounds * (cycles - then)
                    done += rounds * (done - since)
                    seen = {}
                    continue
                seen[state] = done, cycles
                opens = place == 0 and done == 0
                more, state = self._channel_block(state, block, opens)
                cycles += more
                done += 1
        return self._last_block(cycles, state, last_block, dump, not others)

    def _channel_block(
        self, before: _Started, block: tuple[int, int, int], opens: bool
    ) -> tuple[int, _Started]:
        """Return a channel block's cycles and last pass; `opens` where `before` is its first."""
        full, many, last = block
        if not opens:
            key = before, block
            known = self._blocks.get(key)
            if known is None:
                first = self.follow(before, full if many else last)
                known = self._blocks[key] = self._channel_block(first, block, True)
            return known
        cycles, state = 0, before
        seen: dict[_Started, tuple[int, int]] = {}
        done = 0
        while done < many:
            if state in seen:
                # The last of them is followed by another shape, so it is not skipped.
                since, then = seen[state]
                rounds = (many - 1 - done) // (done - since)
                cycles += rounds * (cycles - then)
                done += rounds * (done - since)
                seen = {}
            seen[state] = done, cycles
            cycles += self.length(state).cycles
            done += 1
            state = self.follow(state, full if done < many else last)
        return cycles + self.length(state).cycles, state

    def _last_block(
        self,
        cycles: int,
        before: _Started,
        block: tuple[int, int, int],
        dump: tuple[int, int],
        opens: bool,
    ) -> tuple[int, _Pending]:
        """Return the cycles of an m-block up to its end, and that end."""
        full, many, last = block
        state = before if opens else self.follow(before, full if many else last)
        ticks = 0
        for done in range(1, many + 1):
            following = self.follow(state, full if done < many else last)
            spare = self._spare(state, self.length(following).begun)
            ticks = max(0, ticks - spare) + dump[0]
            cycles += self.length(state).cycles
            state = following
        return cycles + self.length(state).cycles, _Pending(state, ticks, dump[1])
