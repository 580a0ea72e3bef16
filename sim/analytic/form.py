"""The closed form of any dataflow: what it answers, and where a dataflow's own is found.

A dataflow's closed form is a folder here of the dataflow's name, whose module `form` has a `FORM`
(`ClosedForm`). It goes by layer, mapping and chip alone: nothing in this package sees the engine or
a program, or the cross-check would prove nothing.

>>> from hw_models.load import load_hardware
>>> from sim.analytic.form import estimate_layer
>>> from sim.dataflow.base import find_dataflow
>>> from sim.plan.make import make_plan
>>> from workloads.layer import Layer
>>> layer, chip = Layer(name="L", M=16, C=4, R=3, S=3, H=15, W=15), load_hardware("eyeriss_v1")
>>> mapping = find_dataflow().parse_mapping("m=16,n=1,e=13,p=16,q=4,r=1,t=1")
>>> estimate_layer(make_plan(layer, 1, chip, mapping)).counts["mac.total"]
97344
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from hw_models.vocabulary import CAUSES
from sim.dataflow.base import DEFAULT_DATAFLOW
from sim.plan.order import PassClass

if TYPE_CHECKING:
    from collections.abc import Set

    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.base import Plan
    from sim.plan.dram_traffic import DramStall
    from sim.plan.order import Order


@dataclass(frozen=True)
class BoundShare:
    """A `PassShape`: how many passes have it, their cycles in all, and what bounds them."""

    shape: Any
    passes: int
    cycles: int
    bound: str


@dataclass(frozen=True)
class EstimatedClass(PassClass):
    """Equal passes, and the cycles of one until its first product."""

    load_cycles: int


@dataclass(frozen=True)
class LayerEstimate:
    """What the closed form predicts of a layer; the fields mean what the engine's mean.

    `stalls` has computing, accumulating and clock gated as the engine has them; what is left of a
    PE's time is booked as one cause, by the bound of the pass. `kinds` are the kinds of pass, whose
    cycles add up to the layer's; `order` tells which follows which where filters are late. Where
    they are not it is None, and passes are those of the plan: the layer's first pass is of the last
    kind, each other one of its shape's.
    """

    cycles: int
    counts: dict[str, int]
    bus_cycles: dict[str, int]
    multicast: dict[int, int]
    macs: NDArray[np.int64]
    stalls: NDArray[np.int64]
    bounds: tuple[BoundShare, ...]
    kinds: tuple[EstimatedClass, ...]
    order: Order | None
    standstill: DramStall
    passes_simulated: int = 0
    events: int = 0
    causes: tuple[str, ...] = CAUSES


@dataclass(frozen=True, slots=True)
class Step:
    """A step of Eyexam: the fewest cycles of the layer under its constraints, and why so many.

    `limit` names the station that the average bandwidth is short of, and, in the last step, what
    bounds the layer.
    """

    name: str
    cycles: int
    reason: str
    limit: str = ""


class ClosedForm(Protocol):
    """The closed form of a dataflow; a plan is one of that dataflow."""

    def estimate_layer(self, plan: Any) -> LayerEstimate:
        """Return counts and cycles of a layer."""

    def total_cycles(self, plan: Any, doubled: Set[str]) -> int:
        """Return the total latency of a layer with the resources `doubled` twice as fast."""

    def layer_counts(self, plan: Any) -> dict[str, int]:
        """Return words and actions of a layer by dotted name."""

    def bus_cycles(self, plan: Any) -> dict[str, int]:
        """Return the cycles in which each bus sends."""

    def eyexam(self, plan: Any, cycles: int, bound: str) -> tuple[Step, ...]:
        """Return the seven steps of a layer that took `cycles`."""

    def outside_proven_range(self, hw: Hardware) -> str:
        """Say why the cycles of a chip's layers are not claimed, or return an empty string."""


@lru_cache(maxsize=16)
def closed_form(dataflow: str) -> ClosedForm:
    """Return the closed form of the dataflow of that name."""
    return cast("ClosedForm", import_module(f"sim.analytic.{dataflow}.form").FORM)


def estimate_layer(plan: Plan) -> LayerEstimate:
    """Return counts and cycles of a layer from its plan alone."""
    return closed_form(plan.dataflow).estimate_layer(plan)


def total_cycles(plan: Plan, doubled: Set[str] = frozenset()) -> int:
    """Return the total latency of a layer in core cycles, `doubled` resources twice as fast."""
    return closed_form(plan.dataflow).total_cycles(plan, doubled)


def layer_counts(plan: Plan) -> dict[str, int]:
    """Return words and actions of a layer by dotted name."""
    return closed_form(plan.dataflow).layer_counts(plan)


def bus_cycles(plan: Plan) -> dict[str, int]:
    """Return the cycles in which each bus sends, by network."""
    return closed_form(plan.dataflow).bus_cycles(plan)


def eyexam(plan: Plan, cycles: int, bound: str = "") -> tuple[Step, ...]:
    """Return the seven steps of a layer that took `cycles` (processing latency).

    `bound` names what bounds its total latency (`sim.analytic.bound`).
    """
    return closed_form(plan.dataflow).eyexam(plan, cycles, bound)


def outside_proven_range(hw: Hardware, dataflow: str = DEFAULT_DATAFLOW) -> str:
    """Say why the cycles of a chip's layers are not claimed, or return an empty string."""
    return closed_form(dataflow).outside_proven_range(hw)
