"""Mappings of VGG-16 inferred from two published columns: all legal ones, and those that meet both.

The authors did not publish the mappings that VGG-16 was measured with. Active PEs and GLB accesses
(JSSC 2017, Table VI) follow from a mapping by arithmetic, without any time (docs/machine.md 4), so
they choose it: every legal mapping is tried, and no latency, DRAM traffic or power is looked at.
Those are predictions then.

Layers of one shape but for channels and filters ran under one mapping, but for `m`: a mapping must
meet both columns in each layer of a group, CONV1-1 and CONV1-2 and so on. `m` is no choice: it is
the largest multiple of `p*t` whose psums fit the GLB, as in Table III. Column tiles are as equal
as their number allows. Table II has none, so of the mappings that meet both columns those with the
fewest tiles are taken: whole ofmap rows wherever a mapping with these meets both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hw_models.load import load_hardware
from sim.analytic.form import estimate_layer
from sim.dataflow.base import ceil_div
from sim.dataflow.row_stationary.mapping import (
    ALL_COLUMNS,
    Mapping,
    banks,
    filter_sets_that_fit,
    ifmap_strip_words,
    mapping_violations,
    with_largest_m,
)
from sim.plan.make import make_plan
from sim.plan.sizes import useful_sizes
from sim.reference.tables import load_published
from workloads.network import load_network

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.reference.tables import Published
    from workloads.layer import Layer

GLB_TOLERANCE: Final = 0.0005
"""Relative: five times the rounding of the smallest printed figure, 90.0."""

Block = tuple[int, int, int, int, int]
"""n, e, f, q and r of a mapping."""


@dataclass(frozen=True)
class Inference:
    """Layers that ran under one mapping: how many mappings are legal, and which meet both columns.

    `legal` and `with_pes` count legal mappings of the last layer, the latter those with the
    published number of active PEs. `mappings` meet both columns in all layers with the fewest
    column tiles, `more_tiles` with more; all are without `m`.
    """

    layers: tuple[str, ...]
    legal: int
    with_pes: int
    mappings: tuple[dict[str, int], ...]
    more_tiles: tuple[dict[str, int], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the group as plain data."""
        return {
            "layers": list(self.layers),
            "legal": self.legal,
            "with_active_pes": self.with_pes,
            "mappings": [dict(mapping) for mapping in self.mappings],
            "more_tiles": [dict(mapping) for mapping in self.more_tiles],
        }


def infer_mappings(network: str = "vgg16", hw: str = "eyeriss_v1") -> tuple[Inference, ...]:
    """Try every legal mapping of a network's published layers against two published columns.

    Raises:
        InputError: the network has no published figures, or the chip cannot be read.

    """
    published, chip = load_published(network), load_hardware(hw)
    layers = load_network(network).layers
    groups: dict[str, list[Layer]] = {}
    for layer in layers:
        if layer.name in published.layers:
            groups.setdefault(layer.name.partition("-")[0], []).append(layer)
    return tuple(_infer(group, published, chip) for group in groups.values())


def _infer(layers: list[Layer], published: Published, hw: Hardware) -> Inference:
    *others, last = layers
    pes = published.layers[last.name].active_pes
    legal = with_pes = 0
    by_tiles: dict[int, list[dict[str, int]]] = {}
    for block in _blocks(last, published.batch, hw):
        n, e, f, q, r = block
        for t, p in _filters(last, hw, block):
            legal += 1
            if last.R * r * e * t != pes:
                continue
            with_pes += 1
            factors = {"n": n, "e": e, "p": p, "q": q, "r": r, "t": t}
            if f < last.F:
                factors["f"] = f
            if all(_meets(layer, factors, published, hw) for layer in (last, *others)):
                by_tiles.setdefault(ceil_div(last.F, f), []).append(factors)
    meeting = [by_tiles[tiles] for tiles in sorted(by_tiles)] or [[]]
    return Inference(
        tuple(layer.name for layer in layers),
        legal,
        with_pes,
        tuple(meeting[0]),
        tuple(factors for more in meeting[1:] for factors in more),
    )


def _blocks(layer: Layer, batch: int, hw: Hardware) -> Iterator[Block]:
    """Return images, rows, columns and channels of a pass that the chip has room for."""
    most_q = min(layer.C, hw.pe.ifmap_spad_words // layer.S)
    for e in range(1, layer.E + 1):
        for q in range(1, most_q + 1):
            for r in range(1, min(hw.array.rows // layer.R, ceil_div(layer.C, q)) + 1):
                if filter_sets_that_fit(e, layer.R * r, hw):
                    for f in useful_sizes(layer.F, layer.F):
                        for n in range(1, batch + 1):
                            yield n, e, f, q, r


def _filters(layer: Layer, hw: Hardware, block: Block) -> Iterator[tuple[int, int]]:
    """Return t and p of the legal mappings with these blocks."""
    n, e, f, q, r = block
    smallest = Mapping(m=1, n=n, e=e, f=f if f < layer.F else ALL_COLUMNS, p=1, q=q, r=r, t=1)
    free = hw.glb.banks - banks(ifmap_strip_words(layer, smallest, hw), "ifmap", hw)
    most = free * hw.glb_words_per_bank("psum") // (n * e * f)
    most_p = min(hw.pe.psum_spad_words, hw.pe.filter_spad_words // (q * layer.S), layer.Mg)
    for t in range(1, filter_sets_that_fit(e, layer.R * r, hw) + 1):
        for p in range(1, min(most_p, most // t) + 1):
            if (t - 1) * p < layer.Mg:
                yield t, p


def _meets(layer: Layer, factors: dict[str, int], published: Published, hw: Hardware) -> bool:
    """Tell whether a mapping without `m` has a layer's published active PEs and GLB accesses."""
    figures, conventions = published.layers[layer.name], published.conventions
    near = _glb_accesses(layer, factors, published, hw) / figures.glb_mb - 1
    if abs(near) > GLB_TOLERANCE:
        return False
    mapping = with_largest_m(layer, factors, published.batch, hw)
    if mapping is None or mapping_violations(layer, mapping, hw, published.batch):
        return False
    # The result is compared with the counts that `estimate` prints.
    plan = make_plan(layer, published.batch, hw, mapping)
    counts = estimate_layer(plan).counts
    others = ("glb.ifmap.read", "glb.psum.read", "glb.psum.write", "glb.ofmap.read")
    width = hw.word_bits.filter // 8
    counted = conventions.glb_accesses(
        width * sum(counts[name] for name in others), width * counts["glb.filter.read"]
    )
    return (
        plan.active_pes == figures.active_pes and abs(counted / figures.glb_mb - 1) <= GLB_TOLERANCE
    )


def _glb_accesses(
    layer: Layer, factors: dict[str, int], published: Published, hw: Hardware
) -> float:
    """Return the formula of docs/machine.md section 4, which has no `m`."""
    e, f = factors["e"], factors.get("f", layer.F)
    rows = sum(layer.ifmap_rows(min(e, layer.E - base)) for base in range(0, layer.E, e))
    columns = sum(layer.touched_columns(min(f, layer.F - base)) for base in range(0, layer.F, f))
    channel_blocks = ceil_div(layer.C, factors["q"] * factors["r"])
    filter_blocks = ceil_div(layer.Mg, factors["p"] * factors["t"])
    tiles = ceil_div(layer.E, e) * ceil_div(layer.F, f)
    psums = published.batch * layer.ofmap_words * 2 * channel_blocks
    ifmaps = published.batch * rows * columns * layer.C * layer.G * filter_blocks
    filters = layer.filter_words * tiles * ceil_div(published.batch, factors["n"])
    width = hw.word_bits.filter // 8
    return published.conventions.glb_accesses(width * (psums + ifmaps), width * filters)
