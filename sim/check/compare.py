"""The engine against the closed form: every count, the cycles, and where they first differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hw_models.vocabulary import Cause, Network
from sim.analytic.form import LayerEstimate, estimate_layer, layer_counts
from sim.dataflow.base import Plan
from sim.engine.layer_run import LayerActivity, PassMemory, simulate_layer
from sim.engine.machine import PassOutcome
from sim.plan.dram_traffic import DramStall

if TYPE_CHECKING:
    pass

# Entries that a pass on its own has the same of as the pass within its layer.
_PASS_PREFIXES = ("glb.filter", "glb.ifmap.read", "noc.", "spad.", "mac.total")


@dataclass(frozen=True, slots=True)
class Difference:
    """One figure that differs: its name, what the engine and what the closed form say."""

    entry: str
    engine: int
    closed_form: int

    def __str__(self) -> str:
        return f"{self.entry}: engine {self.engine}, closed form {self.closed_form}"


@dataclass(frozen=True, slots=True)
class LayerCheck:
    """A layer compared with its closed form.

    Cycles are those of the processing latency, waits those of the array for DRAM beyond it. `first`
    names the first difference: the pass, its blocks and the entry.
    """

    layer: str
    passes: int
    entries: int
    engine_cycles: int
    closed_form_cycles: int
    engine_waits: DramStall
    closed_form_waits: DramStall
    differences: tuple[Difference, ...]
    first: str = ""

    @property
    def engine_total(self) -> int:
        """Total latency of the engine in cycles."""
        return self.engine_cycles + self.engine_waits.cycles

    @property
    def closed_form_total(self) -> int:
        """Total latency of the closed form in cycles."""
        return self.closed_form_cycles + self.closed_form_waits.cycles

    @property
    def errors(self) -> dict[str, float]:
        """Closed form against engine, as fractions: what the two say of a layer's time.

        Processing latency and total latency against themselves, each part of the standstill
        against the total latency, so that a part of next to nothing counts for what it is.
        """
        engine, form, total = self.engine_waits, self.closed_form_waits, self.engine_total
        return {
            "cycles": self.closed_form_cycles / self.engine_cycles - 1,
            "total latency": self.closed_form_total / total - 1,
            "waiting for ifmaps": (form.ifmap_cycles - engine.ifmap_cycles) / total,
            "waiting for ofmaps": (form.ofmap_cycles - engine.ofmap_cycles) / total,
        }

    @property
    def worst_error(self) -> float:
        """The largest of `errors`, with its sign."""
        return max(self.errors.values(), key=abs)

    def holds(self, tolerance: float) -> bool:
        """Return whether every count is equal and all times are within `tolerance` (a fraction)."""
        # A difference of 1 % in whole cycles is no more than 1 %, whatever floats make of it.
        return not self.differences and abs(self.worst_error) <= tolerance + 1e-12


def check_layer(plan: Plan, memory: PassMemory | None = None) -> LayerCheck:
    """Run both and compare every figure that both have."""
    memory = memory if memory is not None else PassMemory(plan.hw)
    engine = simulate_layer(plan, memory=memory)
    closed = estimate_layer(plan)
    differences, entries = _differences(engine, closed)
    return LayerCheck(
        layer=plan.layer.name,
        passes=plan.passes,
        entries=entries,
        engine_cycles=engine.cycles,
        closed_form_cycles=closed.cycles,
        engine_waits=engine.standstill,
        closed_form_waits=closed.standstill,
        differences=tuple(differences),
        first=_locate(plan, memory) if differences else "",
    )


def _differences(engine: LayerActivity, closed: LayerEstimate) -> tuple[list[Difference], int]:
    """Return the figures that differ, and how many were compared."""
    left, right = _figures(engine), _figures(closed)
    names = sorted(left.keys() | right.keys())
    differences = [
        Difference(name, left.get(name, 0), right.get(name, 0))
        for name in names
        if left.get(name, 0) != right.get(name, 0)
    ]
    return differences, len(names)


def _figures(activity: LayerActivity | LayerEstimate) -> dict[str, int]:
    """Return what both know to the word: the ledger, multicasts, and the work of each PE."""
    figures = dict(activity.counts)
    figures["dram.ifmap.bits"] = activity.standstill.ifmap_bits
    figures["dram.ofmap.bits"] = activity.standstill.ofmap_bits
    for reached, words in activity.multicast.items():
        figures[f"noc.gin_ifmap.multicast[{reached}]"] = words
    work = {"macs": activity.macs}
    for cause in (Cause.COMPUTING, Cause.ACCUMULATING):
        work[cause] = activity.stalls[activity.causes.index(cause)]
    for kind, per_pe in work.items():
        for (row, column), value in np.ndenumerate(per_pe):
            figures[f"pe({row},{column}).{kind}"] = int(value)
    return figures


def _locate(plan: Plan, memory: PassMemory) -> str:
    """Return the first pass whose counts differ from those of a layer that is just this pass."""
    outcomes: dict[object, PassOutcome] = {}
    for (shape, _), outcome in memory.outcomes.items():
        outcomes.setdefault(shape, outcome)
    seen = set()
    for step in plan:
        if step.shape in seen or step.shape not in outcomes:
            continue
        seen.add(step.shape)
        alone = plan.pass_alone(step)
        if alone is None:
            continue
        expected = layer_counts(alone)
        got = outcomes[step.shape].counts
        if not step.shape.first_channels:
            # Psums come in as many as go out.
            for name in ("glb.psum.read", Network.GIN_PSUM.words, Network.GIN_PSUM.deliveries):
                expected[name] = expected["glb.psum.write"]
            expected[Network.GIN_PSUM.y_bus] = expected["glb.psum.write"]
            expected[Network.GIN_PSUM.x_bus] = expected["glb.psum.write"]
        for name in sorted(got):
            if name.startswith((*_PASS_PREFIXES, "glb.psum")) and got[name] != expected[name]:
                return (
                    f"layer {plan.layer.name}, pass {step.index} ({plan.where(step)}), block "
                    f"{name.split('.')[0]}, entry {name}: engine {got[name]}, closed form "
                    f"{expected[name]}"
                )
    return f"layer {plan.layer.name}: no single pass differs; the sum over passes does"


def summary(checks: list[LayerCheck]) -> tuple[float, float]:
    """Return mean and worst absolute difference in time, as fractions."""
    errors = [abs(check.worst_error) for check in checks]
    return math.fsum(errors) / len(errors), max(errors)
