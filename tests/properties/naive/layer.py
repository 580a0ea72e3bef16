"""A whole layer, cycle by cycle: its passes in order, and the tiles on the link."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil

from hw_models.spec import Hardware
from naive.array import Array, Block, cut
from naive.link import FilterLink, Tiles
from sim.dataflow.row_stationary.mapping import Mapping
from workloads.layer import Layer

MOST_CYCLES = 200_000  # of a pass: beyond that it hangs


@dataclass(frozen=True)
class LayerTimes:
    """Cycles of each pass, and those in which the array stands still for DRAM."""

    passes: tuple[int, ...]
    ifmap_load: int
    ofmap_dump: int

    @property
    def processing(self) -> int:
        """Processing latency."""
        return sum(self.passes)

    @property
    def total(self) -> int:
        """Total latency."""
        return self.processing + self.ifmap_load + self.ofmap_dump


@dataclass(frozen=True)
class Step:
    """A pass and its place: first of its channel block, in the last channel block, at its end."""

    block: Block
    begins_channel_block: bool
    last_channels: bool
    ends_m_block: bool
    m_block: int
    short_strip: bool


def cut_in_shares(total: int, share: int, block: int) -> list[int]:
    """Cut a number into what configurations hold, and each of these into blocks."""
    return [size for part in cut(total, share) for size in cut(part, block)]


def steps(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> Iterator[Step]:
    """Give the passes in the order of section 2."""
    most_filters, most_channels = hw.limits.filters[1], hw.limits.channels[1]
    for _group in range(layer.G):
        for images in cut(batch, mapping.n):
            for columns in cut(layer.F, mapping.f):
                for rows in cut(layer.E, mapping.e):
                    for m_block in cut_in_shares(layer.Mg, most_filters, mapping.m):
                        channels_of_pass = mapping.q * mapping.r
                        channel_blocks = cut_in_shares(layer.C, most_channels, channels_of_pass)
                        filter_blocks = cut(m_block, mapping.p * mapping.t)
                        for c, channels in enumerate(channel_blocks):
                            for f, filters in enumerate(filter_blocks):
                                block = Block(
                                    images=images,
                                    columns=columns,
                                    rows=rows,
                                    filters=cut(filters, mapping.p),
                                    channels=cut(channels, mapping.q),
                                    first=c == 0,
                                    set_columns=mapping.e,
                                    channel_sets=mapping.r,
                                )
                                last_channels = c == len(channel_blocks) - 1
                                last_filters = f == len(filter_blocks) - 1
                                yield Step(
                                    block,
                                    f == 0,
                                    last_channels,
                                    last_channels and last_filters,
                                    m_block,
                                    rows < mapping.e,
                                )


class LayerRun:
    """A layer on the array with its link."""

    def __init__(self, layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> None:
        self.layer, self.hw, self.mapping = layer, hw, mapping
        self.order = list(steps(layer, batch, hw, mapping))
        self.link = FilterLink(hw, [step.block.filter_words(layer) for step in self.order])
        self.tiles = Tiles(hw)

    def run(self) -> LayerTimes:
        """Run the passes one after the other, with what the array waits for between them."""
        overlap, dump = self.hw.dram.overlap, self.hw.dram.ofmap_dump
        strips = [step.block for step in self.order if step.begins_channel_block]
        strip_tiles: list[int] = []  # those issued
        dumped: list[int] = []  # the last tile of each m-block
        passes: list[int] = []
        ifmap_load = ofmap_dump = strip = tile = 0
        for step in self.order:
            if step.begins_channel_block:
                if strip == len(strip_tiles):
                    strip_tiles.append(self.issue_strip(strips[strip]))
                ifmap_load += self.wait(strip_tiles[strip])
                strip += 1
                if overlap in ("ifmap", "full") and strip < len(strips):
                    strip_tiles.append(self.issue_strip(strips[strip]))
            passes.append(self.run_pass(step))
            if dump == "filter_block" and step.last_channels:
                tile = self.issue_ofmap(step.block, sum(step.block.filters))
            if step.ends_m_block:
                if dump == "m_block":
                    tile = self.issue_ofmap(step.block, step.m_block)
                dumped.append(tile)
                if overlap != "full":
                    ofmap_dump += self.wait(dumped[-1])
                elif len(dumped) > 1:
                    ofmap_dump += self.wait(dumped[-2])
        ofmap_dump += self.wait(dumped[-1])
        return LayerTimes(tuple(passes), ifmap_load, ofmap_dump)

    def run_pass(self, step: Step) -> int:
        """Run a pass; return its cycles."""
        charged = 0
        if step.short_strip and self.hw.schedule.charge_full_strip:
            # The pass with all e rows, from where the link is now, on another link.
            full = replace(step.block, rows=self.mapping.e)
            link = copy.deepcopy(self.link)
            charged = self.cycles_of(full, link, Tiles(self.hw))
        cycles = self.cycles_of(step.block, self.link, self.tiles)
        while cycles < charged:
            self.tiles.step(self.link.step())
            self.link.end_of_cycle()
            cycles += 1
        self.link.next_pass()
        return cycles

    def cycles_of(self, block: Block, link: FilterLink, tiles: Tiles) -> int:
        array = Array(self.hw, self.layer, block, link)
        cycles = 0
        while not array.over:
            tiles.step(link.step())
            array.step()
            link.end_of_cycle()
            cycles += 1
            assert cycles < MOST_CYCLES, "the pass hangs"
        return cycles

    def wait(self, tile: int) -> int:
        """Stand still until a tile has crossed; return the cycles."""
        cycles = 0
        while self.tiles.done < tile:
            self.tiles.step(Fraction(1), tile)
            cycles += 1
        return cycles

    def issue_strip(self, block: Block) -> int:
        layer = self.layer
        zeros = None if layer.network_input else layer.ifmap_zero_fraction
        return self.tiles.issue(self.bits(block.ifmap_words(layer), zeros))

    def issue_ofmap(self, block: Block, filters: int) -> int:
        words = block.images * filters * block.rows * block.columns
        return self.tiles.issue(self.bits(words, self.layer.ofmap_zero_fraction))

    def bits(self, words: int, zeros: float | None) -> int:
        """Bits of a tile: run-length coded where that share of zeros gains (sections 4 and 8)."""
        width = self.hw.word_bits.ifmap
        if zeros is None or not self.hw.dram.rlc:
            return words * width
        z = Fraction(str(zeros))
        pairs_of_a_word = (1 - z) / (1 - z**32)
        pairs_of_64_bits = 63 // (5 + width)
        if pairs_of_a_word * 64 / pairs_of_64_bits >= width:
            return words * width
        return 64 * ceil(Fraction(ceil(words * pairs_of_a_word), pairs_of_64_bits))


def run_layer(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> LayerTimes:
    """Return the cycles of a layer under a mapping that fits it and keeps the rules of the chip."""
    return LayerRun(layer, batch, hw, mapping).run()


def configurations(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> int:
    """Count how often the chip is configured: once for all that it can name at once (section 8)."""
    most_filters, most_channels = hw.limits.filters[1], hw.limits.channels[1]
    filter_shares = cut(layer.Mg, most_filters)
    groups_at_once = max(1, most_filters // layer.Mg)
    named = set()
    for group in range(layer.G):
        for image_block in range(len(cut(batch, mapping.n))):
            tiles = len(cut(layer.F, mapping.f)) * len(cut(layer.E, mapping.e))
            for tile in range(tiles):
                for share, filters in enumerate(filter_shares):
                    for m_block in range(len(cut(filters, mapping.m))):
                        for channels in range(len(cut(layer.C, most_channels))):
                            if layer.C <= most_channels:
                                named.add((group // groups_at_once, share))
                            else:  # its psums wait, so it is named for this psum block alone
                                psum_block = (group, image_block, tile, share, m_block)
                                named.add((*psum_block, channels))
    return len(named)
