"""Make a plan that may run: the rules hold, it is small enough, and its MACs are the layer's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.dataflow.base import Mapping, Plan, find_dataflow
from sim.errors import Fault, MappingError, SimulationError
from sim.plan.limits import size_violations

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from workloads.layer import Layer


def make_plan(
    layer: Layer, batch: int, hw: Hardware, mapping: Mapping, mapping_source: str = "given"
) -> Plan:
    """Check layer and mapping against the chip and lay out the passes, as the mapping's `Plan`.

    Raises:
        MappingError: rules of the chip that the layer or the mapping breaks, all of them; else
            what makes it too large to simulate.
        SimulationError: the schedule does not compute the layer's MACs exactly.

    """
    plan = find_dataflow(mapping.dataflow).plan(layer, batch, hw, mapping, mapping_source)
    violations = size_violations(plan)
    if violations:
        raise MappingError(
            *(Fault("", None, f"{layer.name} on {hw.name}", str(v)) for v in violations)
        )
    scheduled = sum(shape.macs * times for shape, times in plan.classes.items())
    if scheduled != layer.macs(batch):
        raise SimulationError(
            f"{layer.name}: the schedule computes {scheduled} MACs, the layer has "
            f"{layer.macs(batch)}; this is a defect of the simulator, please report it"
        )
    return plan
