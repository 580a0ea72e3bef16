"""What follows from a layer, its mapping and its chip alone, for readers of a result file.

A result carries all of it. A file that somebody sends may be wrong about it, and a file of an
earlier version lacks it: reading a file lays each layer out once, here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sim.analytic.bound import Bound, layer_bound
from sim.analytic.form import bus_cycles
from sim.dataflow.base import Mapping, Plan
from sim.plan.make import make_plan
from workloads.layer import Layer

if TYPE_CHECKING:
    from hw_models.spec import Hardware


@dataclass(frozen=True)
class LayerFacts:
    """A layer under its mapping; each fact is worked out when it is asked for."""

    plan: Plan

    @property
    def passes(self) -> int:
        """Processing passes."""
        return self.plan.passes

    @property
    def bound(self) -> Bound:
        """What bounds the total latency."""
        return layer_bound(self.plan)

    @property
    def bus_cycles(self) -> dict[str, int]:
        """Cycles in which each bus sends, in closed form."""
        return bus_cycles(self.plan)

    @property
    def pe_parts(self) -> list[list[str]]:
        """The part of each PE, (rows, columns)."""
        parts: list[list[str]] = self.plan.pe_parts().tolist()
        return parts


def layer_facts(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> LayerFacts:
    """Lay out a layer.

    Raises:
        MappingError: the chip cannot run the layer under this mapping; one fault for each rule.

    """
    return LayerFacts(make_plan(layer, batch, hw, mapping))
