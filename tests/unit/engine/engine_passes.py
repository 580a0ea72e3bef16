"""Tiny passes for the engine's tests: a layer, a mapping and a chip in a line each."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from hw_models.vocabulary import CAUSES
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import PassShape, Plan
from sim.engine.dram import PrefetchState
from sim.engine.machine import Machine, PassOutcome
from sim.engine.passes import pass_machine
from sim.plan.make import make_plan
from workloads.layer import Layer


@lru_cache(maxsize=256)
def chip(*settings: str, name: str = "eyeriss_v1") -> Hardware:
    """A shipped chip with settings as on the command line: `chip("array.rows=24")`."""
    return load_hardware(name, settings)


def plan(
    hw: Hardware, *, batch: int = 1, factors: dict[str, int] | None = None, **layer: Any
) -> Plan:
    """A layer (all sizes 1 unless given) under a mapping (all factors 1 unless given)."""
    sizes = {"M": 1, "C": 1, "R": 1, "S": 1, **layer}
    sizes = {"H": sizes["R"], "W": sizes["S"], **sizes}
    mapping = Mapping(**{**dict.fromkeys("mneqprt", 1), **(factors or {})})
    return make_plan(Layer(name="tiny", **sizes), batch, hw, mapping)


def shapes(hw: Hardware, **kwargs: Any) -> list[PassShape]:
    """The pass shapes of a plan in their order."""
    return [step.shape for step in plan(hw, **kwargs)]


def prefetched(shape: PassShape, hw: Hardware) -> PrefetchState:
    """All filters of the pass are in the GLB when it starts."""
    return PrefetchState(-(-shape.filter_words // hw.link_beat_words), 0)


def ran(
    shape: PassShape, hw: Hardware, start: PrefetchState | None = None
) -> tuple[Machine, PassOutcome]:
    """The machine after the pass, and its outcome; filters are prefetched unless said otherwise."""
    machine = pass_machine(shape, hw, prefetched(shape, hw) if start is None else start)
    return machine, machine.run()


def first(
    hw: Hardware, start: PrefetchState | None = None, **kwargs: Any
) -> tuple[Machine, PassOutcome]:
    """Run the first pass of a plan."""
    return ran(shapes(hw, **kwargs)[0], hw, start)


def causes(outcome: PassOutcome, row: int, column: int) -> dict[str, int]:
    """The cycles of one PE by cause, without those that are 0."""
    cycles = outcome.stalls[:, row, column].tolist()
    return {cause: count for cause, count in zip(CAUSES, cycles, strict=True) if count}
