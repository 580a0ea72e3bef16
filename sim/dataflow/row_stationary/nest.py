"""A mapping of row stationary as a loop nest, and back (docs/machine.md sections 1 to 3).

    DRAM    groups, blocks of n images, tiles of f ofmap columns, strips of e ofmap rows, and
            m-blocks of m filters
    GLB     channel blocks of q*r, and inside them filter blocks of p*t
    array   t filter sets, r channel sets, R filter rows, e ofmap rows, side by side
    PE      n images, f ofmap columns, S filter columns, q channels, p filters

A nest that another tool wrote is row stationary on this chip if it has these loops and no others,
in this order, and its mapping keeps the rules of the chip.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from sim.dataflow.base import ceil_div
from sim.dataflow.nest import Loop, LoopNest, layer_sizes
from sim.dataflow.row_stationary.mapping import (
    ALL_COLUMNS,
    Mapping,
    layer_violations,
    mapping_violations,
)
from sim.errors import Fault, MappingError

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import Plan
    from workloads.layer import Layer

ORDER: Final = {
    "DRAM": ("G", "N", "F", "E", "M"),
    "GLB": ("C", "M"),
    "array": ("M", "C", "R", "E"),
    "PE": ("N", "F", "S", "C", "M"),
}
"""The loops of each level, from the outside. On the array all are side by side, in any order."""

WHY: Final = {
    ("DRAM", "C"): "the psums of an m-block stay in the GLB until all channels are added: the loop "
    "over channels is the GLB's",
    ("DRAM", "R"): "each PE keeps a row of its filter: R is spatial",
    ("DRAM", "S"): "each PE keeps a row of its filter: S is cut in a PE alone",
    ("GLB", "R"): "each PE keeps a row of its filter: R is spatial",
    ("GLB", "S"): "each PE keeps a row of its filter: S is cut in a PE alone",
    ("array", "S"): "each PE keeps a row of its filter: S is cut in a PE alone",
    ("array", "F"): "a PE computes an ofmap row alone: F is cut in a PE alone",
    ("array", "N"): "the images of a pass go through the same PEs one after the other",
    ("array", "G"): "a pass works on one group",
    ("PE", "R"): "each PE keeps a row of its filter: R is spatial",
    ("PE", "E"): "each PE computes one row of the strip: E is spatial",
    ("PE", "G"): "a pass works on one group",
}
"""Why a dimension has no loop at a level, where it is more than the order of passes."""


def to_nest(plan: Plan) -> LoopNest:
    """Write a plan's mapping as a loop nest; loops of a single block are left out."""
    layer, batch, hw, f = plan.layer, plan.batch, plan.hw, plan.mapping
    sizes = layer_sizes(layer, batch)
    blocks = [
        ("G", "DRAM", 1),
        ("N", "DRAM", f.n),
        ("F", "DRAM", f.f),
        ("E", "DRAM", f.e),
        # No block reaches over two configurations of the chip.
        ("M", "DRAM", hw.limits.filters[1]),
        ("M", "DRAM", f.m),
        ("C", "GLB", hw.limits.channels[1]),
        ("C", "GLB", f.q * f.r),
        ("M", "GLB", f.p * f.t),
        ("M", "array", f.p),
        ("C", "array", f.q),
        ("R", "array", 1),
        ("E", "array", 1),
        ("N", "PE", 1),
        ("F", "PE", 1),
        ("S", "PE", 1),
        ("C", "PE", 1),
        ("M", "PE", 1),
    ]
    loops = []
    for dimension, level, step in blocks:
        bound = ceil_div(sizes[dimension], step)
        if bound > 1:
            loops.append(Loop(dimension, bound, step, level))
            sizes[dimension] = step
    return LoopNest(tuple(loops))


def from_nest(nest: LoopNest, layer: Layer, batch: int, hw: Hardware) -> Mapping:
    """Read a loop nest as a mapping of row stationary.

    Raises:
        MappingError: one fault for each rule that the nest breaks: it does not cover the layer, is
            another dataflow, or does not fit the chip.

    """
    cut = LoopNest(tuple(loop for loop in nest.loops if loop.bound > 1))
    broken = cut.faults(layer_sizes(layer, batch)) + _foreign(cut) + _out_of_order(cut)
    if not broken:
        mapping = _factors(cut, layer, batch)
        violations = layer_violations(layer, hw) + mapping_violations(layer, mapping, hw, batch)
        if not violations:
            return mapping
        broken = [str(violation) for violation in violations]
    where = f"loop nest of {layer.name} on {hw.name}"
    raise MappingError(*(Fault("", None, where, message) for message in dict.fromkeys(broken)))


def _foreign(nest: LoopNest) -> list[str]:
    """Return the loops that row stationary does not have."""
    return [
        f"{loop.dimension} is cut at {loop.level}: "
        + WHY.get((loop.level, loop.dimension), "row stationary has no such loop there")
        for loop in nest.loops
        if loop.dimension not in ORDER[loop.level]
    ]


def _out_of_order(nest: LoopNest) -> list[str]:
    """Return the loops that are inside another one where they are outside of it here."""
    faults = []
    for level, order in ORDER.items():
        if level == "array":
            continue
        known = [loop.dimension for loop in nest.at(level) if loop.dimension in order]
        for outer, inner in pairwise(known):
            if order.index(outer) > order.index(inner):
                faults.append(
                    f"{outer} goes around {inner} at {level}: the order is {', '.join(order)}, "
                    "from the outside"
                )
    return faults


def _factors(nest: LoopNest, layer: Layer, batch: int) -> Mapping:
    """Read the factors off a nest that has no loops but row stationary's."""
    sizes = layer_sizes(layer, batch)

    def inside(dimension: str, level: str) -> int:
        return nest.inside(dimension, level, sizes[dimension])

    columns, p, q = inside("F", "PE"), inside("M", "PE"), inside("C", "PE")
    return Mapping(
        m=inside("M", "GLB"),
        n=inside("N", "PE"),
        e=inside("E", "array"),
        f=columns if columns < layer.F else ALL_COLUMNS,
        p=p,
        q=q,
        r=ceil_div(inside("C", "array"), q),
        t=ceil_div(inside("M", "array"), p),
    )
