"""Whole networks: layers of equal shape are searched once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sim.account.result import Pricing, RefusedLayer
from sim.dataflow.row_stationary.mapping import FACTORS, LARGEST_FACTOR
from sim.errors import Fault, InputError, MappingError
from sim.mapper.proof import Simulated, prove
from sim.mapper.search import Found, Rated, Work, best_mappings
from workloads.inputs.words import closest, shown

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.mapper.objectives import Objective
    from workloads.layer import Layer

Told = Callable[[str, float, float, Work], None]
"""Hears of each layer's search: its name, the best value, the bound and the work."""


@dataclass(frozen=True)
class LayerMapping:
    """A layer and what its search found; of a product of matrices, the reading that is best."""

    layer: Layer
    found: Found
    simulated: Simulated | None = None

    @property
    def best(self) -> tuple[Rated, ...]:
        """The best mappings; the first one is the engine's where it was asked."""
        if self.simulated is None:
            return self.found.best
        first = self.simulated.best
        return first, *(each for each in self.found.best if each.mapping != first.mapping)

    @property
    def proof(self) -> str:
        """How well the best is proved, in a few words."""
        if self.simulated is not None and self.found.proved:
            return self.simulated.proof
        return self.found.proof


def map_layers(
    layers: Sequence[Layer],
    batch: int,
    hw: Hardware,
    objective: Objective,
    pricing: Pricing,
    *,
    top: int = 1,
    fixed: dict[str, int] | None = None,
    seconds: float | None = None,
    by_engine: bool = False,
    told: Told | None = None,
) -> Iterator[LayerMapping | RefusedLayer]:
    """Search a mapping for each layer, in order; `seconds` are those of all searches together.

    With `by_engine` what may be better than the best is simulated (`proof.py`).

    Raises:
        InputError: the objective asks for what the energy table cannot price, or `fixed` leaves no
            mapping of a layer that has some.

    """
    begun = time.monotonic()
    known: dict[object, LayerMapping | RefusedLayer] = {}
    shapes = [_shape(layer, pricing) for layer in layers]
    open_shapes = len(set(shapes))
    for layer, shape in zip(layers, shapes, strict=True):
        if shape not in known:
            until = None
            if seconds is not None:
                # What is left is shared by the shapes that are still to come.
                left = max(0.0, seconds - (time.monotonic() - begun))
                until = time.monotonic() + left / open_shapes
            open_shapes -= 1
            known[shape] = _search(
                layer, batch, hw, objective, pricing, top, fixed, until, told, by_engine
            )
        result = known[shape]
        if isinstance(result, RefusedLayer):
            yield RefusedLayer(layer.name, result.reasons)
        else:
            yield replace(result, layer=replace(result.layer, name=layer.name))


def _shape(layer: Layer, pricing: Pricing) -> object:
    bits = tuple(sorted(pricing.bits.get(layer.name, {}).items()))
    return replace(layer, name="layer"), bits, pricing.pruned.get(layer.name, 0.0)


def _search(
    layer: Layer,
    batch: int,
    hw: Hardware,
    objective: Objective,
    pricing: Pricing,
    top: int,
    fixed: dict[str, int] | None,
    until: float | None,
    told: Told | None,
    by_engine: bool,
) -> LayerMapping | RefusedLayer:
    def go_on(best: float, bound: float, work: Work) -> bool:
        if told is not None:
            told(layer.name, best, bound, work)
        return until is None or time.monotonic() < until

    best: LayerMapping | None = None
    refused: MappingError | None = None
    for reading in layer.readings:
        try:
            found = best_mappings(
                reading, batch, hw, objective, pricing, top=top, fixed=fixed, told=go_on
            )
        except MappingError as error:
            refused = refused or error
            continue
        if best is None or found.best[0].value < best.found.best[0].value:
            best = LayerMapping(reading, found)
    if best is not None:
        if not by_engine:
            return best
        return replace(
            best,
            simulated=prove(
                best.found, best.layer, batch, hw, objective, pricing, fixed=fixed, told=go_on
            ),
        )
    assert refused is not None
    return RefusedLayer(layer.name, tuple(fault.message for fault in refused.faults))


def read_fixed(text: str | None) -> dict[str, int]:
    """Read `e=13,q=4`.

    Raises:
        InputError: one fault for each factor that is unknown, repeated or no whole number.

    """
    fixed: dict[str, int] = {}
    faults = []
    for part in [] if text is None else text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in FACTORS:
            near = closest(name, FACTORS)
            hint = f"; did you mean '{near}'?" if near else f"; known: {', '.join(FACTORS)}"
            faults.append(f"{shown(name)} is no factor{hint}")
        elif name in fixed:
            faults.append(f"{name} is given twice")
        elif not (value.isascii() and value.isdigit() and 1 <= int(value[:9]) <= LARGEST_FACTOR):
            faults.append(
                f"{name} must be a whole number from 1 to {LARGEST_FACTOR}, got {shown(value)}"
            )
        else:
            fixed[name] = int(value)
    if faults:
        raise InputError(*(Fault("", None, "--fix", fault) for fault in faults))
    return fixed
