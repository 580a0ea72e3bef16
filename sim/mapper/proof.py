"""The proof of a mapping by the engine: what may be better than the best is simulated.

The closed form's cycles are close to the engine's and not equal, so its best mapping need not be
the engine's. But its bounds from below are bounds of the engine (ARCHITECTURE.md, "Bounds from
below"). So the best is simulated, all mappings are listed whose bound is below that, and these are
simulated, too, the lowest bound first, until no bound is below the best simulated value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sim.analytic.row_stationary.many import many_bits, many_counts, station_bounds
from sim.engine.layer_run import PassMemory, simulate_layer
from sim.mapper.search import (
    SLACK,
    Best,
    Evaluator,
    Found,
    Rated,
    Search,
    Work,
    checked_space,
    joined,
)
from sim.plan.limits import MOST_KEPT
from sim.plan.make import make_plan

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import Pricing
    from sim.dataflow.row_stationary.space import Mappings
    from sim.mapper.objectives import Objective
    from sim.mapper.search import Told
    from workloads.layer import Layer

MOST_CANDIDATES = 20_000
"""Mappings that are listed beside the best; where there are more, the closed form has to do."""


@dataclass(frozen=True)
class Simulated:
    """What the engine says of the best mapping: its value, and how many mappings were simulated.

    `candidates` are the mappings whose bound is below the best of the closed form. `bound` is what
    no mapping is below; where `proved`, it is the value of the best.
    """

    best: Rated
    candidates: int
    simulations: int
    bound: float
    proved: bool

    @property
    def proof(self) -> str:
        """How well the best is proved, in a few words."""
        if self.proved:
            return "proved by the engine"
        return (
            f"within {100 * max(0.0, 1 - self.bound / float(self.best.value)):.3g} % by the engine"
        )


def prove(
    found: Found,
    layer: Layer,
    batch: int,
    hw: Hardware,
    objective: Objective,
    pricing: Pricing,
    *,
    fixed: dict[str, int] | None = None,
    told: Told | None = None,
) -> Simulated | None:
    """Simulate the best mapping that was `found`, and all others that may be better.

    None where counts alone decide, which are the machine's, or where too many mappings may be
    better. `told` may end it: then the gap to the bound is left.
    """
    evaluator = Evaluator(layer, batch, hw, objective, pricing)
    if not evaluator.needs_cycles:
        return None
    # Mappings of a layer have passes in common, which are simulated once.
    memory = PassMemory(hw, MOST_KEPT)
    best = _simulated(evaluator, found.best[0], memory)
    rivals = _Rivals(layer, batch, hw, objective, pricing)
    limit = Best(1, whole=objective.whole)
    limit.value = float(best.value)
    limit.limit = limit.value - 1 if objective.whole else limit.value * (1 - SLACK)
    search = Search(checked_space(layer, batch, hw, fixed), rivals, limit)
    search.told = lambda *_: rivals.many <= MOST_CANDIDATES
    search.run()
    if not search.proved:
        return None
    if not rivals.parts:
        return Simulated(best, 0, 1, float(best.value), proved=True)
    many = joined(rivals.parts)
    bounds = _sharper(evaluator, many)
    order = np.argsort(bounds, kind="stable")
    done = {best.mapping}
    for place in order.tolist():
        value = float(best.value)
        if bounds[place] > (value - 1 if objective.whole else value * (1 - SLACK)):
            break
        if told is not None and not told(
            value, float(bounds[place]), Work(len(many), 0, len(done))
        ):
            return Simulated(best, len(many), len(done), float(bounds[place]), proved=False)
        mapping = many.mapping(place)
        if mapping not in done:
            done.add(mapping)
            rival = _simulated(evaluator, evaluator.rated(many.take(np.array([place])))[0], memory)
            if rival.value < best.value:
                best = rival
    return Simulated(best, len(many), len(done), float(best.value), proved=True)


class _Rivals(Evaluator):
    """Keeps all mappings whose bound does not exclude them."""

    def __init__(self, *layer_and_objective: object) -> None:
        super().__init__(*layer_and_objective)  # type: ignore[arg-type]
        self.parts: list[Mappings] = []
        self.many = 0

    def values(self, many: Mappings, limit: float) -> NDArray[np.float64]:
        """Keep the mappings; say that they are no better, so that the limit stays."""
        self.parts.append(many)
        self.many += len(many)
        return np.full(len(many), np.inf)


def _simulated(evaluator: Evaluator, rated: Rated, memory: PassMemory) -> Rated:
    """Return the figures of a mapping with the engine's cycles."""
    layer, batch, hw = evaluator.layer, evaluator.batch, evaluator.hw
    activity = simulate_layer(make_plan(layer, batch, hw, rated.mapping), memory=memory)
    total = activity.cycles + activity.standstill.cycles
    energy = rated.energy
    if energy is not None and evaluator.prices is not None:
        energy += evaluator.prices.cycle * (total - rated.total)
    value = evaluator.exact(activity.cycles, total, rated.dram_bits, energy)
    return replace(rated, value=value, energy=energy, processing=activity.cycles, total=total)


def _sharper(evaluator: Evaluator, many: Mappings) -> NDArray[np.float64]:
    """Return bounds of the engine's values, those of each shape of pass where they hold."""
    layer, batch, hw = evaluator.layer, evaluator.batch, evaluator.hw
    least = evaluator.bounds.of_mappings(many)
    bounds = evaluator.bound(least)
    if hw.dram.overlap != "none" or hw.glb.filter_load != "exposed":
        return bounds
    cycles = station_bounds(layer, batch, hw, many)
    ifmap_bits, ofmap_bits = many_bits(layer, batch, hw, many)
    terms = evaluator.terms(
        many_counts(layer, batch, hw, many),
        {"ifmap": ifmap_bits, "ofmap": ofmap_bits},
        cycles.processing,
        cycles.total,
    )
    return np.maximum(bounds, evaluator.objective.value(terms) * (1 - SLACK))
