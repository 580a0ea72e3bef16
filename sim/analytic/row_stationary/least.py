"""What a layer takes at the least: bounds from below for many mappings, and for groups of them.

Counts are bounded term by term, and cycles station by station, by the work that no order of events
can avoid; ARCHITECTURE.md ("Bounds from below") argues each of them for the *engine*, and a test
holds them below it on random layers and chips. The bounds hold for the closed form, too.

A group of mappings is an outline (`n e f q r`), or an outline with `p` and `t`. Its bound takes the
least of each term over the group, each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.analytic.row_stationary.many import (
    Parts,
    channel_parts,
    counts_of,
    cut_in_shares,
    filter_kinds,
    filter_parts,
    ifmap_waits,
    outline_parts,
)
from sim.dataflow.row_stationary.space import Ints, Mappings, Outlines, ceil_of
from sim.plan.dram_traffic import Traffic
from sim.plan.rlc import WORD_BITS, expected_pairs, pairs_per_word

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from workloads.layer import Layer

Floats = NDArray[np.float64]

_BILLION = 10**9
_MOST_BEATS = 1 << 20  # figures in the table of beats


@dataclass(frozen=True)
class Least:
    """Bounds from below: passes, counts by name, bits on the link by data type, cycles."""

    passes: Ints

    counts: dict[str, Ints]
    bits: dict[str, NDArray[np.floating[Any]]]
    processing: Floats
    total: Floats


@dataclass(frozen=True)
class _Channels:
    """Sums over channel blocks: blocks, channels and sets, and those of the first and last set."""

    blocks: Ints
    channels: Ints
    sets: Ints
    first_set: Ints
    last_set: Ints

    def take(self, places: Ints) -> _Channels:
        """Take those of the outlines at these places."""
        return _Channels(*(np.asarray(getattr(self, each.name))[places] for each in fields(self)))

    def without(self, other: _Channels) -> _Channels:
        """Return these without the blocks of `other`."""
        return _Channels(
            self.blocks - other.blocks,
            self.channels - other.channels,
            self.sets - other.sets,
            self.first_set - other.first_set,
            self.last_set - other.last_set,
        )


@dataclass(frozen=True)
class _Filters:
    """Sums over the filter blocks of a group, each its least over the mappings that are bounded.

    `first_sets` adds up the filters of the first set, `staged` the same but no fewer than pipeline
    stages, `hops` the cycles in which a beat of the first set goes up one PE, `beats` those of all
    sets, `last_blocks` the filters of the last block of each m-block, `behind_first` those that are
    not in the first one. `most_blocks` alone is the most of them.
    """

    m_blocks: Ints
    blocks: Ints
    most_blocks: Ints
    sets: Ints
    bus_sets: Ints
    first_sets: Ints
    staged: Ints
    hops: Ints
    beats: Ints
    last_blocks: Ints
    behind_first: Ints


@dataclass(frozen=True)
class Around:
    """What an outline decides: blocks, its channel blocks and the last one, waits for ifmap strips.

    `ifmap_wait` are the cycles in which the array waits for the strips that one m-block of each
    image block, column tile and strip loads, where loads do not overlap.
    """

    parts: dict[str, Ints]
    channels: _Channels
    last_channels: _Channels
    ifmap_wait: Ints

    def take(self, places: Ints) -> Around:
        """Take those of the outlines at these places."""
        return Around(
            {name: part[places] for name, part in self.parts.items()},
            self.channels.take(places),
            self.last_channels.take(places),
            self.ifmap_wait[places],
        )


class Bounds:
    """Bounds for the mappings of one layer on a chip."""

    def __init__(self, layer: Layer, batch: int, hw: Hardware) -> None:
        self.layer, self.batch, self.hw = layer, batch, hw
        self.traffic = Traffic.of(layer, hw)
        self._beats = _beats_by_p(layer, hw)

    # ------------------------------------------------------------------ three kinds of group

    def around(self, group: Outlines | Mappings) -> Around:
        """Return what the outlines of a group decide."""
        layer, batch, hw = self.layer, self.batch, self.hw
        return Around(
            outline_parts(layer, batch, hw, group.n, group.e, group.f)
            | channel_parts(layer, hw, group.q, group.r),
            *self._channels(group.q, group.r),
            ifmap_waits(layer, batch, hw, group),
        )

    def of_outlines(self, outlines: Outlines, around: Around) -> Least:
        """Bound all mappings of each outline."""
        layer, hw = self.layer, self.hw
        most_m = np.where(outlines.whole_m, layer.Mg, outlines.split_m)
        p, t = outlines.most_p, outlines.most_t
        m_blocks = self._in_shares(most_m)
        blocks = np.maximum(self._in_shares(p * t), m_blocks)
        sets = np.maximum(self._in_shares(p), blocks)
        first_sets = np.maximum(self._in_shares(t), blocks)
        filters = _Filters(
            m_blocks=m_blocks,
            blocks=blocks,
            most_blocks=np.full_like(blocks, layer.Mg),
            sets=sets,
            bus_sets=np.maximum(blocks, ceil_of(sets, self._beside(outlines.e))),
            first_sets=first_sets,
            staged=np.maximum(first_sets, blocks * hw.pe.pipeline_stages),
            hops=blocks * (1 + hw.noc.local_hop_cycles),
            beats=np.maximum(self._in_shares(np.minimum(p, hw.noc.psum_words_per_cycle)), sets),
            last_blocks=m_blocks,
            behind_first=np.zeros_like(blocks),  # an m-block may hold one filter block
        )
        return self._least(around, filters)

    def of_fillings(self, outlines: Outlines, around: Around, p: Ints, t: Ints) -> Least:
        """Bound all mappings of each outline with its `p` and `t`."""
        layer, hw = self.layer, self.hw
        most_m = np.where(outlines.whole_m, layer.Mg, outlines.split_m)
        block, least, width = p * t, _least_m(p, t), hw.noc.psum_words_per_cycle
        m_blocks = self._in_shares(most_m)
        blocks = np.maximum(self._in_shares(block), m_blocks)
        sets = np.maximum(self._in_shares(p), blocks)
        # A concave function of the blocks' sizes sums to least where most blocks are full.
        first_sets = np.maximum(self._fullest(block, p), m_blocks)
        words = np.minimum(p, width)
        filters = _Filters(
            m_blocks=m_blocks,
            blocks=blocks,
            # An m-block that holds a full filter block ends in one that is not full at the most.
            most_blocks=np.maximum(
                2 * self._in_shares(block), self._in_shares(np.minimum(least, layer.Mg))
            )
            + layer.Mg // hw.limits.filters[1],
            sets=sets,
            bus_sets=np.maximum(blocks, ceil_of(sets, self._beside(outlines.e))),
            first_sets=first_sets,
            staged=np.maximum(first_sets, blocks * hw.pe.pipeline_stages),
            hops=self._fullest(block, words) + blocks * hw.noc.local_hop_cycles,
            beats=np.maximum(self._least_beats(p, least), sets),
            last_blocks=m_blocks,
            behind_first=np.zeros_like(blocks),
        )
        return self._least(around, filters)

    def of_mappings(self, many: Mappings, around: Around | None = None) -> Least:
        """Bound mappings one by one; counts are exact, bits but for rounding up."""
        layer, hw = self.layer, self.hw
        m_blocks, blocks = filter_kinds(layer, hw, many.m, many.p * many.t)
        parts = filter_parts(layer, hw, many.e, many.m, many.p, many.t)
        width = hw.noc.psum_words_per_cycle
        first = np.minimum(blocks.sizes, many.p)
        sets = ceil_of(blocks.sizes, many.p)
        last = blocks.sizes - (sets - 1) * many.p
        beats = (sets - 1) * ceil_of(many.p, width) + ceil_of(np.maximum(last, 0), width)
        opening = np.minimum(m_blocks.sizes, many.p * many.t)

        def summed(each: Ints) -> Ints:
            total: Ints = (blocks.times * each).sum(axis=0)
            return total

        filters = _Filters(
            m_blocks=parts["m_blocks"],
            blocks=parts["filter_blocks"],
            most_blocks=parts["filter_blocks"],
            sets=parts["filter_sets"],
            bus_sets=parts["bus_sets"],
            first_sets=summed(first),
            staged=summed(np.maximum(first, hw.pe.pipeline_stages)),
            hops=summed(np.minimum(first, width) + hw.noc.local_hop_cycles),
            beats=summed(beats),
            last_blocks=(blocks.times * blocks.sizes)[1::2].sum(axis=0),
            behind_first=layer.Mg - (m_blocks.times * opening).sum(axis=0),
        )
        return self._least(around or self.around(many), filters)

    # ------------------------------------------------------------------ terms

    def _in_shares(self, block: Ints) -> Ints:
        """Return the fewest blocks of at most `block` filters in a group."""
        return cut_in_shares(self.layer.Mg, self.hw.limits.filters[1], block).blocks

    def _least_beats(self, p: Ints, least_m: Ints) -> Ints:
        """Return the fewest psum beats of a window with an `m` of at least so many."""
        if self._beats is None:
            return self._in_shares(np.minimum(p, self.hw.noc.psum_words_per_cycle))
        beats: Ints = self._beats[p, np.minimum(least_m, self.layer.Mg)]
        return beats

    def _fullest(self, block: Ints, most: Ints) -> Ints:
        """Return filters of the first `most` of each block; as many blocks as can be are full."""
        cuts = cut_in_shares(self.layer.Mg, self.hw.limits.filters[1], block)
        filters: Ints = (cuts.times * np.minimum(cuts.sizes, most)).sum(axis=0)
        return filters

    def _beside(self, e: Ints) -> Ints:
        columns = self.hw.array.columns
        return np.where(e > columns, 1, np.maximum(1, columns // e))

    def _channels(self, q: Ints, r: Ints) -> tuple[_Channels, _Channels]:
        """Return the channel blocks of a group, and the last one of them."""
        layer, hw = self.layer, self.hw
        block, share = q * r, hw.limits.channels[1]
        cuts = cut_in_shares(layer.C, share, block)
        sets = ceil_of(cuts.sizes, q)
        every = _Channels(
            cuts.blocks,
            np.full_like(cuts.blocks, layer.C),
            (cuts.times * sets).sum(axis=0),
            (cuts.times * np.minimum(cuts.sizes, q)).sum(axis=0),
            (cuts.times * (cuts.sizes - np.maximum(sets - 1, 0) * q)).sum(axis=0),
        )
        end = (layer.C - 1) % share + 1
        last = (end - 1) % block + 1
        last_sets = ceil_of(last, q)
        one = np.ones_like(last)
        final = _Channels(one, last, last_sets, np.minimum(last, q), last - (last_sets - 1) * q)
        return every, final

    def _bits_per_word(self, zero_fraction: float | None) -> float:
        """Bound the bits of a word on the link from below: no tile's size is rounded up."""
        if zero_fraction is None:
            return self.traffic.word_bits
        pairs = expected_pairs(_BILLION, zero_fraction) / _BILLION
        return pairs / pairs_per_word(self.traffic.word_bits) * WORD_BITS * (1 - 1e-12)

    # ------------------------------------------------------------------ stations

    def _least(self, outlines: Around, filters: _Filters) -> Least:
        layer, batch, hw = self.layer, self.batch, self.hw
        around, channels, last_channels = (
            outlines.parts,
            outlines.channels,
            outlines.last_channels,
        )
        parts = Parts(
            **around,
            m_blocks=filters.m_blocks,
            filter_blocks=filters.blocks,
            filter_sets=filters.sets,
            bus_sets=filters.bus_sets,
        )
        counts = counts_of(layer, batch, parts)
        bits = {
            "ifmap": counts["dram.ifmap.read"]
            * self._bits_per_word(self.traffic.ifmap_zero_fraction),
            "ofmap": counts["dram.ofmap.write"]
            * self._bits_per_word(self.traffic.ofmap_zero_fraction),
        }
        beat_cycles = float(self.traffic.beat)
        ifmap_link, ofmap_link = (
            bits[kind] / self.traffic.link_bits * beat_cycles for kind in ("ifmap", "ofmap")
        )
        filter_link = counts["dram.filter.read"] / hw.link_beat_words * beat_cycles
        processing = self._processing(around, channels, filters)
        total = np.maximum(processing, filter_link + ifmap_link + ofmap_link)
        if hw.dram.overlap == "none":
            waited = ofmap_link
            if hw.dram.ofmap_dump == "filter_block":
                waited = ofmap_link * (filters.last_blocks / layer.Mg)
            # Ofmaps leave in the last channel block only, beside the filters of its passes.
            others = self._processing(around, channels.without(last_channels), filters)
            beside = (
                (filters.behind_first * last_channels.channels * layer.R * layer.S * layer.G)
                * (around["image_blocks"] * around["column_tiles"] * around["strips"])
                / hw.link_beat_words
                * beat_cycles
            )
            in_last = np.maximum(processing + waited, others + ofmap_link + beside)
            in_last = np.maximum(in_last, filter_link + ofmap_link)
            total = np.maximum(total, outlines.ifmap_wait * filters.m_blocks + in_last)
        rounds = around["image_blocks"] * around["column_tiles"] * around["strips"]
        passes = layer.G * rounds * filters.blocks * channels.blocks
        return Least(passes, counts, bits, processing, total)

    def _processing(
        self, around: MappingABC[str, Ints], channels: _Channels, filters: _Filters
    ) -> Floats:
        """Return the processing latency of passes over these channels: the slowest station."""
        layer, hw, noc = self.layer, self.hw, self.hw.noc
        # M-blocks of a single filter block and channel block: each runs all blocks once.
        rounds = layer.G * around["image_blocks"] * around["column_tiles"] * around["strips"]
        windows = layer.G * self.batch * layer.F * around["strips"]
        psum_windows = layer.G * self.batch * layer.F * layer.E
        most_passes = rounds * filters.most_blocks * channels.blocks
        filter_words = layer.Mg * channels.channels * layer.R * layer.S
        load = rounds * (filter_words / noc.gin_filter_words_per_cycle)
        beat_cycles = float(hw.link_beat_cycles)
        beats = rounds * (filter_words / hw.link_beat_words)
        most_ahead = hw.filter_bank_words // hw.link_beat_words
        # What the banks do not hold comes while the pass waits for it.
        load = np.maximum(load, (beats - most_passes * most_ahead) * beat_cycles)
        first_window = rounds * filters.first_sets * channels.first_set * layer.S
        climb = rounds * filters.hops * np.maximum(layer.R * channels.sets - channels.blocks, 0)
        array = windows * (
            filters.first_sets * channels.first_set * layer.S + filters.staged * channels.blocks
        )
        psums = psum_windows * filters.beats * channels.blocks + first_window
        ifmap_words = layer.G * self.batch * around["rows"] * around["columns"]
        ifmaps = ifmap_words * (channels.channels * filters.blocks / noc.gin_ifmap_words_per_cycle)
        last_window = filters.first_sets * channels.last_set * layer.S
        ifmaps = ifmaps + rounds * (last_window + (layer.R - 1) * filters.hops * channels.blocks)
        if hw.glb.filter_load == "exposed":
            stations = [load + climb + np.maximum(array, psums), ifmaps, beats * beat_cycles]
        else:
            stations = [climb + np.maximum(array, psums), ifmaps, load, beats * beat_cycles]
        least: Floats = np.maximum.reduce(stations)
        return least


def _least_m(p: Ints, t: Ints) -> Ints:
    return np.where(t == 1, p, p * (t - 1) + 1)


def _beats_by_p(layer: Layer, hw: Hardware) -> Ints | None:
    """Return the fewest psum beats of a window with `p` filters in a PE, for `m` this or more.

    (p, m): the sets of an m-block are full but the last, so they follow from `p` and `m` alone.
    None where the table would be large, on a chip with spads for thousands of filters.
    """
    most = min(layer.Mg, hw.limits.filters[1])
    most_p = min(most, hw.pe.psum_spad_words)
    if most_p * layer.Mg > _MOST_BEATS:
        return None
    m = np.arange(1, most + 1)
    p = np.arange(1, most_p + 1)[:, None]
    width = hw.noc.psum_words_per_cycle
    cuts = cut_in_shares(layer.Mg, hw.limits.filters[1], m)
    beats = sum(
        times * (size // p * -(-p // width) + -(-(size % p) // width))
        for size, times in zip(cuts.sizes, cuts.times, strict=True)
    )
    least = np.minimum.accumulate(np.asarray(beats)[:, ::-1], axis=1)[:, ::-1]
    table = np.zeros((most_p + 1, layer.Mg + 1), np.int64)
    table[1:, 1 : most + 1] = least
    table[1:, most + 1 :] = least[:, -1:]
    return table
