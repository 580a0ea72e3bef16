"""What bounds a layer, judged by the engine: each resource in turn is made twice as fast there.

The named resources shorten the engine's total latency most. `doubled_hardware` gives the chips; the
array and the psum buses, for which no field says how fast they are, are changed in the engine
itself, the way that mutants are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from hw_models.vocabulary import Resource
from sim.analytic.bound import TIE, Bound, doubled_hardware, layer_bound
from sim.check.cases import random_cases
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.glb import WritePort
from sim.engine.layer_run import simulate_layer
from sim.engine.machine import Machine
from sim.engine.noc import PsumInBus, PsumOutBus
from sim.engine.pe import PE
from sim.run import prepare


def doubled_array(patch: pytest.MonkeyPatch) -> None:
    """PEs that do two MACs, or take in two psums, in a cycle."""
    build = PE.__init__

    def built(self: PE, *args: Any, **wired: Any) -> None:
        build(self, *args, **wired)
        self.mac_cycles = -(-self.mac_cycles // 2)
        halves = tuple(-(-size // 2) for size in self.program.beats)
        self.program = replace(self.program, beats=halves)

    patch.setattr(PE, "__init__", built)
    patch.setattr(Machine, "_law", staticmethod(lambda holds, message: None))


def doubled_psum_buses(patch: pytest.MonkeyPatch) -> None:
    """Psum buses that carry two beats in a cycle, with GLB ports that always keep up."""

    def gon(self: PsumOutBus) -> Generator[Any, None, None]:
        cycle, used = 0, 0
        for window in range(self.rounds):
            for fifo, place, beats in self.turns:
                beat = window * beats + place
                if beat >= len(fifo.ready):
                    yield fifo.entry()
                if fifo.ready[beat] > cycle:
                    cycle, used = fifo.ready[beat], 0
                if cycle > self.env.now:
                    yield self.env.timeout(cycle - self.env.now)
                self.log.append(cycle)
                fifo.take(cycle + 1)
                self.lines.put(cycle + 1)
                cycle, used = (cycle + 1, 0) if used else (cycle, 1)

    def gin(self: PsumInBus) -> Generator[Any, None, None]:
        # A line read in cycle 0 can be on the bus in 1, as with one beat a cycle.
        cycle, used = 2, 0
        for window in range(self.rounds):
            for fifo, place, beats in self.turns:
                blocker = fifo.room[window * beats + place]
                if blocker >= 0:
                    if blocker >= len(fifo.freed):
                        yield fifo.place(blocker)
                    if fifo.freed[blocker] > cycle:
                        cycle, used = fifo.freed[blocker], 0
                if cycle > self.env.now:
                    yield self.env.timeout(cycle - self.env.now)
                self.log.append(cycle)
                fifo.put(cycle + 1)
                cycle, used = (cycle + 1, 0) if used else (cycle, 1)

    def write(self: WritePort, count: int) -> Generator[Any, None, None]:
        for line in range(count):
            if line >= len(self.lines.ready):
                yield self.lines.entry()
            self.lines.take(self.lines.ready[line] + 1)

    build = Machine.__init__

    def built(self: Machine, *args: Any, **given: Any) -> None:
        build(self, *args, **given)
        if self.psum_port is not None:
            self.psum_port.run = lambda count: (beat for beat in ())  # type: ignore[assignment,method-assign]

    patch.setattr(PsumOutBus, "run", gon)
    patch.setattr(PsumInBus, "run", gin)
    patch.setattr(WritePort, "run", write)
    patch.setattr(Machine, "__init__", built)
    patch.setattr(Machine, "_law", staticmethod(lambda holds, message: None))
    # Nothing goes through the psum port, so no queue has a use to report.
    patch.setattr(Machine, "_queues", lambda self: {})


def engine_cycles(plan: Plan, doubled: Sequence[str] = ()) -> int:
    """Total latency of a layer in the engine, with these resources twice as fast."""
    hw = plan.hw
    with pytest.MonkeyPatch.context() as patch:
        for resource in doubled:
            if resource == Resource.ARRAY:
                doubled_array(patch)
            elif resource == Resource.PSUM_BUS:
                doubled_psum_buses(patch)
            else:
                hw = doubled_hardware(hw, resource)
        found = simulate_layer(replace(plan, hw=hw))
    return found.cycles + found.standstill.cycles


def judge(plan: Plan) -> Bound:
    """Hold what the closed form says of a layer's bound against the engine."""
    found = layer_bound(plan)
    usual = engine_cycles(plan)
    alone = {resource: usual - engine_cycles(plan, [resource]) for resource in Resource}
    gain = usual - engine_cycles(plan, found.by) if len(found.by) > 1 else alone[found.by[0]]
    assert gain > 0, f"{found}: doubling it gains {gain} of {usual} cycles in the engine"
    others = {resource: won for resource, won in alone.items() if resource not in found.by}
    assert gain > max(others.values()), f"{found}: {gain} of {usual} cycles, others {others}"
    # Members of a tie gain the same alone, by `TIE` and what the closed form is off.
    members = [alone[resource] for resource in found.by]
    assert max(members) - min(members) <= 3 * TIE * usual, f"{found}: no tie, {alone} of {usual}"
    return found


def random_plans(seed: int) -> Iterator[Plan]:
    """Random layers on chips for which the closed form's cycles are claimed."""
    return (case.plan for case in random_cases(seed) if case.default_fifos)


def test_what_bounds_a_random_layer_is_what_helps_it_in_the_engine() -> None:
    small = (plan for plan in random_plans(1) if plan.layer.macs(plan.batch) < 400_000)
    found = Counter(judge(plan).text for plan in islice(small, 16))
    assert len(found) > 2, found


@pytest.mark.slow
def test_what_bounds_300_random_layers_is_what_helps_them_in_the_engine() -> None:
    found = Counter(judge(plan).text for plan in islice(random_plans(20), 300))
    assert {*tuple(Resource)[:3], Resource.DRAM_LINK} <= set(found), found


def test_what_bounds_the_layers_of_alexnet_is_what_helps_them_in_the_engine() -> None:
    layers = ["CONV3", "CONV4", "CONV5", "FC8"]
    bounds = {
        plan.layer.name: judge(plan).by for plan in prepare("alexnet", layers=layers, batch=1).plans
    }
    assert bounds["CONV5"] == (Resource.ARRAY,)
    assert bounds["FC8"] == (Resource.DRAM_LINK,)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["lenet5", "alexnet", "vgg16", "mobilenet_v1", "resnet50"])
def test_what_bounds_a_layer_of_a_network_is_what_helps_it_in_the_engine(network: str) -> None:
    made = prepare(network).plans
    plans = {(replace(plan.layer, name="layer"), plan.mapping): plan for plan in made}
    for plan in plans.values():
        judge(plan)
