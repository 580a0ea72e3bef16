"""What bounds a layer: the resource whose doubling shortens its total latency most.

docs/machine.md section 5, "What bounds a layer". The question is a counterfactual, and the closed
form answers it: the layer again, with one resource twice as fast and everything else as it is. How
busy a bus is does not answer it: two stations may be busy all the time (then neither alone helps),
and time on the DRAM link counts only where the array waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import combinations
from typing import TYPE_CHECKING

from hw_models.vocabulary import Network, Resource
from sim.analytic.form import total_cycles
from sim.result.model import bound_text

if TYPE_CHECKING:
    from hw_models.spec import Hardware, Word
    from sim.dataflow.base import Mapping, Plan
    from workloads.layer import Layer

UNNAMED = frozenset({Resource.ARRAY, Resource.PSUM_BUS})
"""No field of the hardware says how fast they are."""
WIDTHS: dict[str, tuple[Word, str, tuple[str, ...]]] = {
    Resource.PSUM_BUS: (
        "psum",
        Network.GIN_PSUM.rate,
        ("psum_in_fifo_words", "psum_out_fifo_words"),
    ),
    Resource.IFMAP_BUS: ("ifmap", Network.GIN_IFMAP.rate, ("ifmap_fifo_words",)),
    Resource.FILTER_BUS: ("filter", Network.GIN_FILTER.rate, ("filter_fifo_words",)),
}
"""The words of a bus, the field of its width, and the FIFOs that must hold what it sends."""

MOST_BOUNDS = 4096
"""Bounds that are kept: equal layers of a network are asked about once."""

TIE = Fraction(1, 100)
"""Of the total latency. Closer than this, the closed form cannot tell two resources apart: it is
about as far off in the worst of random layers (docs/validation.md). Ties are called ties."""


@dataclass(frozen=True)
class Bound:
    """What bounds a layer, and what each resource would give.

    `by` are the resources, in the order of `Resource`: several of them are a tie, none means that
    no resource gains anything. `cycles` is the total latency in closed form, `doubled` that with
    each resource alone twice as fast, and `together` that with all of `by`.
    """

    by: tuple[str, ...]
    cycles: int
    doubled: dict[str, int]
    together: int

    @property
    def text(self) -> str:
        """The resources in a few words; `=` stands between those of a tie."""
        return bound_text(self.by)


def doubled_fields(hw: Hardware, resource: str) -> dict[str, int | float]:
    """Return fields of the hardware, by dotted name, that make a resource twice as fast.

    A GLB port must bring what a bus carries, and a FIFO hold it, so they grow with the bus where
    they have to. Of the psum buses this is the width, which helps only where a PE has more filters
    than a beat has words: a beat holds psums of one PE's window alone. The array has no such field.
    """
    if resource == Resource.DRAM_LINK:
        return {"clock.link_mhz": 2 * hw.clock.link_mhz}
    word, field, fifos = WIDTHS[resource]
    width = 2 * getattr(hw.noc, field)
    found: dict[str, int | float] = {f"noc.{field}": width}
    port = hw.glb.port_bits
    while port < width * hw.word_bits.of(word):
        port *= 2
    if port > hw.glb.port_bits:
        found["glb.port_bits"] = port
    return found | {f"pe.{fifo}": width for fifo in fifos if getattr(hw.pe, fifo) < width}


def doubled_hardware(hw: Hardware, resource: str) -> Hardware:
    """Return the chip with these fields; not validated, as it serves a question, not a run."""
    sections: dict[str, dict[str, int | float]] = {}
    for name, value in doubled_fields(hw, resource).items():
        section, _, field = name.partition(".")
        sections.setdefault(section, {})[field] = value
    return hw.model_copy(
        update={
            section: getattr(hw, section).model_copy(update=fields)
            for section, fields in sections.items()
        }
    )


def layer_bound(plan: Plan) -> Bound:
    """Find what bounds a layer.

    The resource whose doubling shortens the total latency most; with it all that shorten it as much
    within `TIE`. Resources that are level hide each other: where none of some gains more than `TIE`
    alone, but the fewest of them that suffice gain more together than any resource alone, these
    are the bound.
    """
    key = (replace(plan.layer, name="layer"), plan.batch, plan.hw, plan.mapping)
    bound = _bounds.get(key)
    if bound is None:
        while len(_bounds) >= MOST_BOUNDS:
            del _bounds[next(iter(_bounds))]
        bound = _bounds[key] = _bound(plan)
    return bound


_bounds: dict[tuple[Layer, int, Hardware, Mapping], Bound] = {}
"""Bounds that are known; a cache by plan would keep every plan's passes, too."""


def _bound(plan: Plan) -> Bound:
    hw = plan.hw

    def cycles(resources: tuple[str, ...]) -> int:
        chip = hw
        for resource in resources:
            if resource not in UNNAMED:
                chip = doubled_hardware(chip, resource)
        return total_cycles(plan.on(chip), frozenset(resources) & UNNAMED)

    usual = cycles(())
    level = TIE * usual
    doubled: dict[str, int] = {resource: cycles((resource,)) for resource in Resource}
    best = min(doubled.values())
    behind = tuple(name for name in Resource if doubled[name] >= usual - level)
    if len(behind) > 1 and cycles(behind) < best - level:
        for many in range(2, len(behind) + 1):
            together, hidden = min((cycles(some), some) for some in combinations(behind, many))
            if together < best - level:
                return Bound(hidden, usual, doubled, together)
    by = tuple(name for name in Resource if best + level >= doubled[name] < usual)
    return Bound(by, usual, doubled, cycles(by) if len(by) > 1 else best)
