"""Every entry of the ledger in closed form: from shape, chip and mapping (docs/machine.md 4).

Sums over blocks are taken in closed form: a block at an edge holds what is left, so a sum over all
blocks of something linear in the block is the whole, times the blocks of the other dimensions.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import BUSES, Network
from sim.dataflow.base import ceil_div

if TYPE_CHECKING:
    from sim.dataflow.row_stationary.passes import Plan


def _sizes(total: int, block: int) -> list[tuple[int, int]]:
    """Return (size, how many) of the blocks of `total`."""
    whole, rest = divmod(total, block)
    return [pair for pair in ((block, whole), (rest, 1)) if pair[0] and pair[1]]


def _in_shares(total: int, share: int, block: int) -> list[tuple[int, int]]:
    """Return (size, how many) of the blocks of `total`, of which a configuration holds a share."""
    return [(size, j * k) for part, k in _sizes(total, share) for size, j in _sizes(part, block)]


def _m_blocks(plan: Plan) -> list[tuple[int, int]]:
    return _in_shares(plan.layer.Mg, plan.hw.limits.filters[1], plan.mapping.m)


def _channel_blocks(plan: Plan) -> list[tuple[int, int]]:
    f = plan.mapping
    return _in_shares(plan.layer.C, plan.hw.limits.channels[1], f.q * f.r)


def bus_cycles(plan: Plan) -> dict[str, int]:
    """Return the cycles in which each bus sends, for the whole layer.

    The last beat of a window, or of a PE's filters, may be short. Every beat of the ifmap bus but a
    pass's last is taken to be full: where it carries several words a cycle, and one of them waits
    for room in a PE while the others went, the engine counts more.
    """
    noc = plan.hw.noc
    psum, filters = noc.psum_words_per_cycle, noc.gin_filter_words_per_cycle
    cycles: dict[str, int] = dict.fromkeys(BUSES, 0)
    for shape, times in plan.classes.items():
        psum_beats = (
            shape.windows * shape.strip_rows * sum(ceil_div(p, psum) for p in shape.filters)
        )
        loads = [p * q * shape.filter_columns for p in shape.filters for q in shape.channels]
        filter_beats = shape.filter_rows * sum(ceil_div(words, filters) for words in loads)
        cycles[Network.GIN_FILTER] += times * filter_beats
        cycles[Network.GIN_IFMAP] += times * ceil_div(
            shape.ifmap_words, noc.gin_ifmap_words_per_cycle
        )
        cycles[Network.GIN_PSUM] += 0 if shape.first_channels else times * psum_beats
        cycles[Network.GON_PSUM] += times * psum_beats
    return cycles


def _touched_columns(plan: Plan) -> int:
    """Return the ifmap columns of all column tiles; what two need is loaded and sent for each."""
    layer = plan.layer
    return sum(layer.touched_columns(f) * k for f, k in _sizes(layer.F, plan.mapping.f))


def layer_counts(plan: Plan) -> dict[str, int]:
    """Count words or actions by dotted name, for the whole layer."""
    layer, f, batch, chip = plan.layer, plan.mapping, plan.batch, plan.hw
    images_groups = batch * layer.G
    # Filters come, and psums live, once for each column tile and strip.
    column_tiles = ceil_div(layer.F, f.f)
    tiles = column_tiles * ceil_div(layer.E, f.e)
    image_blocks = ceil_div(batch, f.n)
    channel_blocks = sum(k for _, k in _channel_blocks(plan))
    m_blocks = sum(k for _, k in _m_blocks(plan))
    filter_blocks = sum(ceil_div(m, f.p * f.t) * k for m, k in _m_blocks(plan))
    # PE sets of the whole layer, each a group's filters or channels in runs of p or q.
    filter_sets = sum(
        ceil_div(inner, f.p) * j * k
        for m, k in _m_blocks(plan)
        for inner, j in _sizes(m, f.p * f.t)
    )

    rows = sum(layer.ifmap_rows(e) * k for e, k in _sizes(layer.E, f.e))
    columns = _touched_columns(plan)
    macs = images_groups * layer.Mg * layer.C * layer.R * layer.S * layer.E * layer.F
    filters = layer.G * layer.Mg * layer.C * layer.R * layer.S
    filter_reads = filters * tiles * image_blocks
    psums = images_groups * layer.Mg * layer.E * layer.F
    psum_writes = psums * channel_blocks
    psum_reads = psums * (channel_blocks - 1)
    ifmap_strips = images_groups * layer.C * rows * columns
    ifmap_reads = ifmap_strips * filter_blocks

    # A PE receives every touched column of the ifmap row that its filter row meets.
    ifmap_deliveries = images_groups * layer.C * columns * layer.R * layer.E * filter_sets
    # A filter word goes to the e PEs of its row, in every image block, column tile and strip.
    filter_deliveries = filters * image_blocks * column_tiles * layer.E
    segments = sum(ceil_div(e, chip.array.columns) * k for e, k in _sizes(layer.E, f.e))
    # Each PE of a chain adds a psum; all but the bottom one got it over the link below.
    accumulations = images_groups * layer.Mg * layer.E * layer.F * layer.R
    channel_sets = sum(ceil_div(c, f.q) * k for c, k in _channel_blocks(plan))
    pe_psums = accumulations * channel_sets
    _, x_bus = _ifmap_multicast(plan)

    return {
        "dram.filter.read": filter_reads,
        "dram.ifmap.read": ifmap_strips * m_blocks,
        "dram.ofmap.write": psums,
        "glb.filter.write": filter_reads,
        "glb.filter.read": filter_reads,
        "glb.ifmap.write": ifmap_strips * m_blocks,
        "glb.ifmap.read": ifmap_reads,
        "glb.psum.read": psum_reads,
        "glb.psum.write": psum_writes,
        "glb.ofmap.read": psums,
        "glb.ofmap.write": 0,
        Network.GIN_FILTER.words: filter_reads,
        Network.GIN_FILTER.deliveries: filter_deliveries,
        Network.GIN_FILTER.y_bus: filter_reads,
        Network.GIN_FILTER.x_bus: filters * image_blocks * column_tiles * segments,
        Network.GIN_IFMAP.words: ifmap_reads,
        Network.GIN_IFMAP.deliveries: ifmap_deliveries,
        Network.GIN_IFMAP.y_bus: ifmap_reads,
        Network.GIN_IFMAP.x_bus: x_bus,
        Network.GIN_PSUM.words: psum_reads,
        Network.GIN_PSUM.deliveries: psum_reads,
        Network.GIN_PSUM.y_bus: psum_reads,
        Network.GIN_PSUM.x_bus: psum_reads,
        Network.GON_PSUM.words: psum_writes,
        Network.GON_PSUM.deliveries: psum_writes,
        Network.LOCAL_PSUM.words: pe_psums - psum_writes,
        "spad.ifmap.write": ifmap_deliveries,
        "spad.ifmap.read": macs,
        # One read in p is a new address: each filter set reads a window's words anew.
        "spad.ifmap.read_new": images_groups
        * layer.E
        * layer.F
        * layer.R
        * layer.S
        * layer.C
        * filter_sets,
        "spad.filter.write": filter_deliveries,
        "spad.filter.read": macs,
        "spad.psum.read": macs - pe_psums,
        "spad.psum.write": macs - pe_psums,
        "mac.total": macs,
        "mac.gated": 0,
    }


def _fan(strip: int, rows: int, step: int) -> NDArray[np.int64]:
    """Return the PEs of one set on the diagonal of each touched ifmap row: i + j*step = y."""
    y = np.arange((strip - 1) * step + rows)
    first = np.maximum(0, -(-(y - rows + 1) // step))
    last = np.minimum(strip - 1, y // step)
    return last - first + 1


def _ifmap_multicast(plan: Plan) -> tuple[dict[int, int], int]:
    """Return words by the number of PEs reached, and words times X-buses driven."""
    layer, f, chip = plan.layer, plan.mapping, plan.hw
    words = plan.batch * layer.G * layer.C * _touched_columns(plan)
    set_kinds: Counter[int] = Counter()
    for m, k in _m_blocks(plan):
        for filters, j in _sizes(m, f.p * f.t):
            set_kinds[ceil_div(filters, f.p)] += j * k
    found: Counter[int] = Counter()
    x_bus = 0
    folded = f.e > chip.array.columns
    side_by_side = max(1, chip.array.columns // f.e)
    for strip, many in _sizes(layer.E, f.e):
        fan = _fan(strip, layer.R, min(layer.U, layer.R))
        reached, rows = np.unique(fan, return_counts=True)
        for sets, times in set_kinds.items():
            # Sets side by side share their X-buses, stacked ones do not.
            buses = sets if folded else ceil_div(sets, side_by_side)
            for reach, count in zip(reached.tolist(), rows.tolist(), strict=True):
                found[reach * sets] += count * many * times * words
                x_bus += reach * buses * count * many * times * words
    return dict(sorted(found.items())), x_bus


def ifmap_multicast(plan: Plan) -> dict[int, int]:
    """Count ifmap words by the number of PEs that each reaches, for the whole layer."""
    return _ifmap_multicast(plan)[0]


def pe_work(plan: Plan) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return what each PE of the array does in the whole layer, all (rows, columns).

    Products, psums taken in, and cycles in which the pipeline runs empty before the psums.
    """
    layer, f, chip = plan.layer, plan.mapping, plan.hw
    macs = np.zeros((chip.array.rows, chip.array.columns), np.int64)
    psums = np.zeros_like(macs)
    bubbles = np.zeros_like(macs)
    windows = plan.batch * layer.G * layer.F
    # Filters that set k holds over all filter blocks; how often channel set k is in use.
    filters = np.zeros(f.t, np.int64)
    empty = np.zeros(f.t, np.int64)
    for m, k in _m_blocks(plan):
        for inner, j in _sizes(m, f.p * f.t):
            held = np.clip(inner - np.arange(f.t) * f.p, 0, f.p)
            filters += j * k * held
            empty += j * k * np.where(held > 0, np.maximum(0, chip.pe.pipeline_stages - held), 0)
    channels = np.zeros(f.r, np.int64)
    uses = np.zeros(f.r, np.int64)
    for block, k in _channel_blocks(plan):
        held = np.clip(block - np.arange(f.r) * f.q, 0, f.q)
        channels += k * held
        uses += k * (held > 0)
    rows = np.zeros(f.e, np.int64)
    for strip, k in _sizes(layer.E, f.e):
        rows[:strip] += k
    for filter_set in range(f.t):
        for ofmap_row in range(f.e):
            times = windows * int(rows[ofmap_row])
            for site in plan.placement.chain(filter_set, ofmap_row, f.r):
                at, k = (site.row, site.column), site.channel_set
                psums[at] = times * filters[filter_set] * uses[k]
                bubbles[at] = times * empty[filter_set] * uses[k]
                macs[at] = times * filters[filter_set] * layer.S * channels[k]
    return macs, psums, bubbles
