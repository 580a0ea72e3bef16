"""The passes of a layer in their order, with the exact blocks at every edge (docs/machine.md 2).

Data only: no clock and no counts of accesses. Engine and closed form both start from here, and
share nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain, product
from math import prod
from typing import TYPE_CHECKING, ClassVar

from hw_models.vocabulary import Network
from sim.dataflow import base
from sim.dataflow.base import PassSize, ceil_div
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.placement import Placement

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from workloads.layer import Layer


@dataclass(frozen=True, slots=True)
class PassShape:
    """All that decides what happens inside a pass; equal shapes are the same pass.

    `filters[k]` is the number of filters that each PE of filter set `k` interleaves (p), and
    `channels[k]` that of channels in channel set `k` (q): sets at an edge hold what is left.
    `row_step` and `column_step` are the touched ifmap rows and columns from one ofmap row or
    column to the next: the stride, or the filter's size where the stride jumps over words that no
    window touches.
    """

    dataflow: ClassVar[str] = "row_stationary"
    placement: Placement
    images: int
    strip_rows: int
    filters: tuple[int, ...]
    channels: tuple[int, ...]
    ofmap_columns: int
    filter_columns: int
    row_step: int
    column_step: int
    first_channels: bool

    @property
    def filter_rows(self) -> int:
        """R."""
        return self.placement.set_rows

    @property
    def ifmap_rows(self) -> int:
        """Touched rows of the padded ifmap under the strip."""
        return (self.strip_rows - 1) * self.row_step + self.filter_rows

    @property
    def ifmap_columns(self) -> int:
        """Touched columns of the padded ifmap (Wp)."""
        return (self.ofmap_columns - 1) * self.column_step + self.filter_columns

    @property
    def windows(self) -> int:
        """Windows that each PE computes: one per image and ofmap column."""
        return self.images * self.ofmap_columns

    @property
    def filter_words(self) -> int:
        """Filter words that the pass needs."""
        return sum(self.filters) * sum(self.channels) * self.filter_rows * self.filter_columns

    @property
    def ifmap_words(self) -> int:
        """Ifmap words of the pass's strip in the GLB."""
        return self.images * sum(self.channels) * self.ifmap_rows * self.ifmap_columns

    @property
    def psum_words(self) -> int:
        """Psums that the pass accumulates into."""
        return self.images * sum(self.filters) * self.strip_rows * self.ofmap_columns

    @property
    def macs(self) -> int:
        """Products that the pass computes."""
        return self.psum_words * sum(self.channels) * self.filter_rows * self.filter_columns

    @property
    def least_cycles(self) -> int:
        """What the pass takes at the least: each PE computes its windows one after the other."""
        return self.windows * self.filters[0] * (self.channels[0] * self.filter_columns + 1)

    def size(self, hw: Hardware) -> PassSize:
        """Return how large the machine of the pass grows."""
        rate, sets = hw.noc.psum_words_per_cycle, len(self.filters)
        chain = len(self.channels) * self.filter_rows
        # All filter sets but the last are equal.
        first, last = ceil_div(self.filters[0], rate), ceil_div(self.filters[-1], rate)
        psum_beats = self.windows * self.strip_rows * (first * (sets - 1) + last)
        return PassSize(
            pes=sets * chain * self.strip_rows,
            bursts=self.windows,
            fed_words=self.images * self.ifmap_columns * self.channels[0],
            pe_beats=chain * psum_beats,
            psum_beats=psum_beats,
        )


@dataclass(frozen=True, slots=True)
class Pass:
    """One processing pass and its place in the layer.

    `row_base` and `column_base` are of the ofmap; `filter_base` and `channel_base` count within the
    group. `ifmap_load_words` is what is loaded into the GLB before the pass (0 but at the start of
    a channel block), `ofmap_final_words` the psums that are final after it (0 but in the last
    channel block).
    """

    index: int
    shape: PassShape
    group: int
    image_base: int
    column_base: int
    row_base: int
    filter_base: int
    channel_base: int
    ifmap_load_words: int
    ofmap_final_words: int
    ends_m_block: bool


def _cut(total: int, block: int) -> tuple[int, ...]:
    """Cut `total` into blocks of `block`; the last holds what is left."""
    whole, rest = divmod(total, block)
    return (block,) * whole + ((rest,) if rest else ())


def _cut_in_shares(total: int, share: int, block: int) -> tuple[int, ...]:
    """Cut `total` into shares of what a configuration holds, and each share into blocks."""
    return tuple(chain.from_iterable(_cut(part, block) for part in _cut(total, share)))


@dataclass(frozen=True)
class Plan(base.Plan):
    """A layer on a chip under a legal mapping of row stationary."""

    dataflow: ClassVar[str] = "row_stationary"
    layer: Layer
    batch: int
    hw: Hardware
    mapping: Mapping
    placement: Placement
    mapping_source: str = "given"

    @property
    def active_pes(self) -> int:
        """PEs that belong to a set in a full pass (the chip's published "active PEs")."""
        return self.placement.active_pes

    def pe_parts(self) -> NDArray[np.str_]:
        """Name the part of each PE in a full pass, (rows, columns), empty where it has none."""
        return self.placement.parts()

    @property
    def configurations(self) -> int:
        """How often the chip is configured for this layer.

        M is counted over all groups of a configuration: it takes as many whole groups as fit, and a
        group of more filters takes several.
        """
        layer, limits = self.layer, self.hw.limits
        if layer.C > limits.channels[1]:
            # One for each share of every psum block, whose psums stay in the GLB between the two.
            return self.m_block_count * ceil_div(layer.C, limits.channels[1])
        if layer.Mg > limits.filters[1]:
            return layer.G * ceil_div(layer.Mg, limits.filters[1])
        return ceil_div(layer.G, limits.filters[1] // layer.Mg)

    @cached_property
    def image_blocks(self) -> tuple[int, ...]:
        """Images of each image block."""
        return _cut(self.batch, self.mapping.n)

    @cached_property
    def column_tiles(self) -> tuple[int, ...]:
        """Ofmap columns of each column tile."""
        return _cut(self.layer.F, self.mapping.f)

    @cached_property
    def strips(self) -> tuple[int, ...]:
        """Ofmap rows of each strip of a column tile."""
        return _cut(self.layer.E, self.mapping.e)

    @cached_property
    def m_blocks(self) -> tuple[int, ...]:
        """Filters of each m-block of a group; none reaches over two configurations."""
        return _cut_in_shares(self.layer.Mg, self.hw.limits.filters[1], self.mapping.m)

    @cached_property
    def channel_blocks(self) -> tuple[int, ...]:
        """Channels of each channel block of a group; none reaches over two configurations."""
        block = self.mapping.q * self.mapping.r
        return _cut_in_shares(self.layer.C, self.hw.limits.channels[1], block)

    def filter_blocks(self, m_block: int) -> tuple[int, ...]:
        """Return the filters of each filter block of an m-block of `m_block` filters."""
        return _cut(m_block, self.mapping.p * self.mapping.t)

    @property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """Sizes of the blocks of each loop around an m-block, and of the m-blocks, outermost first.

        Images, ofmap columns, ofmap rows, filters; the groups, around all of them, have no size.
        """
        return self.image_blocks, self.column_tiles, self.strips, self.m_blocks

    @property
    def m_block_count(self) -> int:
        """M-blocks of the whole layer."""
        return self.layer.G * prod(map(len, self.blocks))

    @property
    def passes(self) -> int:
        """Number of passes of the layer."""
        per_channel_block = sum(
            ceil_div(block, self.mapping.p * self.mapping.t) for block in self.m_blocks
        )
        return (
            self.m_block_count // len(self.m_blocks) * len(self.channel_blocks) * per_channel_block
        )

    def shape(
        self,
        images: int,
        columns: int,
        strip: int,
        filters: int,
        channels: int,
        first_channels: bool,
    ) -> PassShape:
        """Return the shape of a pass over the given block."""
        layer, mapping = self.layer, self.mapping
        return PassShape(
            placement=self.placement,
            images=images,
            strip_rows=strip,
            filters=_cut(filters, mapping.p),
            channels=_cut(channels, mapping.q),
            ofmap_columns=columns,
            filter_columns=layer.S,
            row_step=min(layer.U, layer.R),
            column_step=min(layer.V, layer.S),
            first_channels=first_channels,
        )

    def bases(self, step: Pass) -> tuple[int, int, int, int, int]:
        """Return where the blocks of a pass begin: image, filter, row, column, channel."""
        filters = step.group * self.layer.Mg + step.filter_base
        channels = step.group * self.layer.C + step.channel_base
        return step.image_base, filters, step.row_base, step.column_base, channels

    def charged_as(self, shape: PassShape) -> PassShape:
        """Return the shape whose cycles a pass is charged: that of a full strip, where it says so.

        `schedule.charge_full_strip` (docs/machine.md section 3).
        """
        if not self.hw.schedule.charge_full_strip or shape.strip_rows >= self.mapping.e:
            return shape
        return self.shape(
            shape.images,
            shape.ofmap_columns,
            self.mapping.e,
            sum(shape.filters),
            sum(shape.channels),
            shape.first_channels,
        )

    def where(self, step: Pass) -> str:
        """Say which part of the layer a pass computes."""
        shape = step.shape
        return (
            f"group {step.group}, images {step.image_base}+{shape.images}, "
            f"ofmap rows {step.row_base}+{shape.strip_rows}, "
            f"columns {step.column_base}+{shape.ofmap_columns}, "
            f"filters {step.filter_base}+{sum(shape.filters)}, "
            f"channels {step.channel_base}+{sum(shape.channels)}"
        )

    def block(self, shape: PassShape) -> dict[str, int | bool | None]:
        """Return the sizes of a pass's block as a result names them."""
        return {
            "images": shape.images,
            "strip_rows": shape.strip_rows,
            "filters": sum(shape.filters),
            "channels": sum(shape.channels),
            "first_channels": shape.first_channels,
            "columns": shape.ofmap_columns if len(self.column_tiles) > 1 else None,
        }

    def pass_alone(self, step: Pass) -> Plan:
        """Return the plan of a layer that consists of this one pass, its psums from zero."""
        shape, layer = step.shape, self.layer
        alone: Layer = replace(
            layer,
            kind="conv",
            G=1,
            M=sum(shape.filters),
            C=sum(shape.channels),
            H=(shape.strip_rows - 1) * layer.U + layer.R,
            W=(shape.ofmap_columns - 1) * layer.V + layer.S,
            pad_top=0,
            pad_bottom=0,
            pad_left=0,
            pad_right=0,
        )
        mapping = replace(self.mapping, m=alone.M).fitted(alone, shape.images, self.hw)
        # Sets are where the whole layer's mapping puts them.
        return replace(
            self,
            layer=alone,
            batch=shape.images,
            mapping=replace(mapping, p=self.mapping.p, q=self.mapping.q),
        )

    def m_block_shapes(self) -> Iterator[tuple[PassShape, ...]]:
        """Go through the m-blocks in their order: the shapes of each one's passes."""
        known: dict[tuple[int, ...], tuple[PassShape, ...]] = {}
        for _, *sizes in product(range(self.layer.G), *self.blocks):
            images, columns, strip, m_block = sizes
            shapes = known.get(tuple(sizes))
            if shapes is None:
                shapes = known[tuple(sizes)] = tuple(
                    self.shape(images, columns, strip, filters, channels, place == 0)
                    for place, channels in enumerate(self.channel_blocks)
                    for filters in self.filter_blocks(m_block)
                )
            yield shapes

    def hop_words(self) -> dict[str, int]:
        """Return the words times hops of each network that reaches PEs from the GLB, by its name.

        What a hop is: `sim.account.energy.noc_hops`.
        """
        layer, f = self.layer, self.mapping
        strips = Counter(self.strips)
        column_tiles = len(self.column_tiles)
        touched_columns = sum(map(layer.touched_columns, self.column_tiles))
        filters = [0] * f.t  # filters that set k holds, over all filter blocks
        blocks = [0] * f.t  # filter blocks in which set k is in use
        for m_block, times in Counter(self.m_blocks).items():
            for block, many in Counter(self.filter_blocks(m_block)).items():
                for k in range(f.t):
                    held = min(max(block - k * f.p, 0), f.p)
                    filters[k] += held * many * times
                    blocks[k] += bool(held) * many * times
        channels = [0] * f.r  # channels that set k holds, over all channel blocks
        tops: Counter[int] = Counter()  # channel blocks by the channel sets in use
        for block, many in Counter(self.channel_blocks).items():
            for k in range(f.r):
                channels[k] += min(max(block - k * f.q, 0), f.q) * many
            tops[-(-block // f.q)] += many
        continued = len(self.channel_blocks) - 1  # channel blocks whose psums come from the GLB
        image_blocks = len(self.image_blocks)
        images = self.batch * layer.G
        hop_words: Counter[str] = Counter()
        for k in range(f.t):
            for row in range(f.e):
                in_strips = sum(many for strip, many in strips.items() if strip > row)
                chain = self.placement.chain(k, row, f.r)
                hops = [site.row + site.column + 2 for site in chain]
                for site, far in zip(chain, hops, strict=True):
                    held = channels[site.channel_set] * in_strips * far
                    filter_words = filters[k] * held * layer.S * layer.G
                    hop_words[Network.GIN_FILTER] += filter_words * image_blocks * column_tiles
                    hop_words[Network.GIN_IFMAP] += blocks[k] * held * touched_columns * images
                psums = filters[k] * in_strips * layer.F * images
                hop_words[Network.GIN_PSUM] += psums * continued * hops[0]
                for sets, many in tops.items():
                    hop_words[Network.GON_PSUM] += psums * many * hops[layer.R * sets - 1]
        return dict(hop_words)

    def __iter__(self) -> Iterator[Pass]:
        """Yield the passes in the order in which the chip runs them."""
        shapes: dict[tuple[int, int, int, int, int, bool], PassShape] = {}
        index = 0
        for group in range(self.layer.G):
            for (image_base, column_base, row_base, m_base), sizes in _placed(self.blocks):
                images, columns, strip, m_block = sizes
                rows = self.layer.ifmap_rows(strip)
                channel_words = images * rows * self.layer.touched_columns(columns)
                filter_blocks = self.filter_blocks(m_block)
                channel_base = 0
                for block, channels in enumerate(self.channel_blocks):
                    load = channels * channel_words
                    last_channels = block == len(self.channel_blocks) - 1
                    filter_base = m_base
                    for place, filters in enumerate(filter_blocks):
                        key = (images, columns, strip, filters, channels, block == 0)
                        shape = shapes.get(key)
                        if shape is None:
                            shape = shapes[key] = self.shape(*key)
                        yield Pass(
                            index=index,
                            shape=shape,
                            group=group,
                            image_base=image_base,
                            column_base=column_base,
                            row_base=row_base,
                            filter_base=filter_base,
                            channel_base=channel_base,
                            ifmap_load_words=0 if place else load,
                            ofmap_final_words=shape.psum_words if last_channels else 0,
                            ends_m_block=last_channels and place == len(filter_blocks) - 1,
                        )
                        index += 1
                        filter_base += filters
                    channel_base += channels

    @cached_property
    def classes(self) -> dict[PassShape, int]:
        """Each distinct pass shape with the number of passes that have it.

        A dimension is cut into at most two sizes of block, filters, which are cut twice, into
        three; so the classes are few however many passes there are.
        """
        blocks: Counter[int] = Counter()
        for m_block, times in Counter(self.m_blocks).items():
            for filters, count in Counter(self.filter_blocks(m_block)).items():
                blocks[filters] += times * count
        channel_kinds = Counter(
            (channels, place == 0) for place, channels in enumerate(self.channel_blocks)
        )
        classes: Counter[PassShape] = Counter()
        for images, a in Counter(self.image_blocks).items():
            for columns, b in Counter(self.column_tiles).items():
                for strip, c in Counter(self.strips).items():
                    for filters, d in blocks.items():
                        for (channels, first), e in channel_kinds.items():
                            shape = self.shape(images, columns, strip, filters, channels, first)
                            classes[shape] += self.layer.G * a * b * c * d * e
        return dict(classes)


def _placed(
    levels: tuple[tuple[int, ...], ...],
) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Yield where each combination of blocks begins and its sizes, the last level innermost."""
    placed = (zip((0, *accumulate(sizes)), sizes, strict=False) for sizes in levels)
    for combination in product(*placed):
        bases, sizes = zip(*combination, strict=True)
        yield bases, sizes
