"""Real words for a layer: cut into passes on the way in, gathered into the ofmap on the way out."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from sim.dataflow.program import PassData, find_lowering
from sim.plan.dram_traffic import RealTile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.dataflow.base import Pass, Plan
    from sim.dataflow.program import Regions


@dataclass
class LayerData:
    """The words of a layer, as GLB and DRAM hold them.

    `ifmap` is (N, G*C, H, W), `filters` (M, C, R, S), both integers of the width of the chip's
    words; `psums` (N, M, E, F) grows to the ofmap, before ReLU, while the passes run.
    """

    plan: Plan
    ifmap: NDArray[np.int64]
    filters: NDArray[np.int64]
    psums: NDArray[np.int64] = field(init=False)
    ifmap_tiles: list[RealTile] = field(default_factory=list, init=False)
    ofmap_tiles: list[RealTile] = field(default_factory=list, init=False)
    _final: list[NDArray[np.bool_]] = field(default_factory=list, init=False)
    _padded: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        layer, batch = self.plan.layer, self.plan.batch
        self.psums = np.zeros((batch, layer.M, layer.E, layer.F), np.int64)
        self._padded = np.pad(
            self.ifmap.astype(np.int64),
            ((0, 0), (0, 0), (layer.pad_top, layer.pad_bottom), (layer.pad_left, layer.pad_right)),
        )

    def words_of(self, step: Pass) -> PassData:
        """Return what the GLB holds for a pass: its ifmap strip, its filters, its psums so far."""
        regions = self._regions(step)
        return PassData(
            ifmap=self._padded[regions.ifmap],
            filters=self.filters[regions.filters].astype(np.int64),
            psums=None if step.shape.first_channels else self.psums[regions.psums].copy(),
        )

    def store(self, step: Pass, psums: NDArray[np.int64]) -> None:
        """Write back what left through the GON, in the order in which it left."""
        plan = self.plan
        block = find_lowering(plan.dataflow).psum_block(step.shape, psums, plan.hw)
        self.psums[self._regions(step).psums] = block

    def note_tiles(self, step: Pass, ifmap: NDArray[np.int64]) -> None:
        """Take down the strip that was loaded before a pass and the ofmap that leaves behind it.

        `ifmap` is the pass's strip. Words of a tile are ordered by image, channel, row and column.
        """
        if step.ifmap_load_words:
            self.ifmap_tiles.append(RealTile.of(ifmap == 0))
        if step.ofmap_final_words:
            # ReLU leaves zeros where psums are not positive; what follows it makes no new ones.
            self._final.append(self.psums[self._regions(step).psums] <= 0)
            each = self.plan.hw.dram.ofmap_dump == "filter_block"
            if each or step.ends_m_block:
                # The passes of an m-block differ in their filters.
                self.ofmap_tiles.append(RealTile.of(np.concatenate(self._final, axis=1)))
                self._final.clear()

    def _regions(self, step: Pass) -> Regions:
        return find_lowering(self.plan.dataflow).regions(self.plan, step)


def word_shapes(plan: Plan) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shapes of a layer's ifmap (N, G*C, H, W) and filters (M, C, R, S)."""
    layer = plan.layer
    ifmap = (plan.batch, layer.G * layer.C, layer.H, layer.W)
    return ifmap, (layer.M, layer.C, layer.R, layer.S)


def random_words(plan: Plan, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw ifmap (N, G*C, H, W) and filters (M, C, R, S), with the layer's share of zeros.

    The same seed gives the same words whatever other layers run beside this one.
    """
    layer = plan.layer
    generator = np.random.default_rng([seed, zlib.crc32(layer.name.encode())])
    widths = plan.hw.word_bits
    of_ifmap, of_filters = word_shapes(plan)
    ifmap = generator.integers(*widths.range_of("ifmap"), of_ifmap, endpoint=True)
    ifmap[generator.random(ifmap.shape) < (layer.ifmap_zero_fraction or 0.0)] = 0
    filters = generator.integers(*widths.range_of("filter"), of_filters, endpoint=True)
    return ifmap, filters
