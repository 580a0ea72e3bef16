"""Row stationary's closed form as the rest of the simulator asks it: `FORM`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.analytic.form import ClosedForm, LayerEstimate, Step
from sim.analytic.row_stationary.counts import bus_cycles, layer_counts
from sim.analytic.row_stationary.estimate import (
    estimate_layer,
    outside_proven_range,
    total_cycles,
)
from sim.analytic.row_stationary.eyexam import eyexam

if TYPE_CHECKING:
    from collections.abc import Set

    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import Plan


class RowStationaryForm:
    """Counts are exact; cycles are bounded by the loops that a window goes through."""

    def estimate_layer(self, plan: Plan) -> LayerEstimate:
        """Return counts and cycles of a layer."""
        return estimate_layer(plan)

    def total_cycles(self, plan: Plan, doubled: Set[str]) -> int:
        """Return the total latency of a layer with the resources `doubled` twice as fast."""
        return total_cycles(plan, doubled)

    def layer_counts(self, plan: Plan) -> dict[str, int]:
        """Return words and actions of a layer by dotted name."""
        return layer_counts(plan)

    def bus_cycles(self, plan: Plan) -> dict[str, int]:
        """Return the cycles in which each bus sends."""
        return bus_cycles(plan)

    def eyexam(self, plan: Plan, cycles: int, bound: str) -> tuple[Step, ...]:
        """Return the seven steps of a layer that took `cycles`."""
        return eyexam(plan, cycles, bound)

    def outside_proven_range(self, hw: Hardware) -> str:
        """Say why the cycles of a chip's layers are not claimed, or return an empty string."""
        return outside_proven_range(hw)


FORM: ClosedForm = RowStationaryForm()
