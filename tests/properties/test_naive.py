"""The engine against the naive model of `naive/`: whole layers, to the cycle.

Both are written from docs/machine.md, the one with dated logs and reuse of passes, the other cycle
by cycle. They agree in each pass and in each part of the standstill for DRAM, with no tolerance.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import islice
from pathlib import Path

import naive
import pytest
from naive.layer import LayerTimes, configurations, run_layer
from naive_cases import random_cases

from hw_models.load import load_hardware
from sim.check.cases import Case
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.run import prepare

Tell = Callable[[str, str], None]

SEED = 500
BLOCKS, BLOCK = 16, 200  # the first block runs with every test
HEADING = "engine against the naive model, to the cycle"


@cache
def block_of_cases(block: int) -> tuple[Case, ...]:
    """The cases of a block of random layers."""
    return tuple(islice(random_cases(SEED + block), BLOCK))


def naive_times(case: Case) -> LayerTimes:
    """The cycles of a case by the naive model."""
    plan = case.plan
    return run_layer(case.layer, case.batch, plan.hw, plan.mapping)


def engine_times(plan: Plan) -> LayerTimes:
    """The cycles of a plan by the engine."""
    found = simulate_layer(plan)
    stands = found.standstill
    times = LayerTimes(tuple(found.pass_cycles), stands.ifmap_cycles, stands.ofmap_cycles)
    assert times.processing == found.cycles
    return times


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, marks=pytest.mark.slow if block else ()) for block in range(BLOCKS)],
)
def test_every_pass_and_standstill_of_random_layers(block: int, tell: Tell) -> None:
    passes = stood = 0
    for case in block_of_cases(block):
        found, expected = engine_times(case.plan), naive_times(case)
        assert found == expected, case.to_yaml()
        passes += len(found.passes)
        stood += found.total > found.processing
    tell(
        HEADING,
        f"random layers of seed {SEED + block}: {passes} passes of {BLOCK} layers equal, and both "
        f"parts of the standstill; {stood} layers stand still",
    )


def test_configurations_of_random_layers() -> None:
    """M counts all groups: counted by the filters of a group, some of these come out otherwise."""
    several = not_by_group = 0
    for case in block_of_cases(0):
        plan = case.plan
        counted = configurations(case.layer, case.batch, plan.hw, plan.mapping)
        assert plan.configurations == counted, case.to_yaml()
        several += counted > 1
        alone = replace(case.layer, G=1, M=case.layer.Mg)
        not_by_group += configurations(alone, case.batch, plan.hw, plan.mapping) != counted
    assert several > 20
    assert not_by_group > 5


@pytest.mark.parametrize("chip", ["eyeriss_v1", "eyeriss_rtl", "eyeriss_int8"])
@pytest.mark.parametrize(
    "layer", ["C1", "C3", pytest.param("C5", marks=pytest.mark.slow), "F6", "OUTPUT"]
)
def test_lenet5_on_the_shipped_chips(chip: str, layer: str, tell: Tell) -> None:
    """FIFOs, buses and an array of the size that they have, and the mapping that a run takes."""
    (plan,) = prepare("lenet5", layers=[layer], hw=load_hardware(chip)).plans
    found = engine_times(plan)
    assert found == run_layer(plan.layer, plan.batch, plan.hw, plan.mapping)
    tell(HEADING, f"lenet5 {layer} on {chip}: {found.processing:,} and {found.total:,} cycles")


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["CONV1", "CONV5"])
def test_layers_of_alexnet_on_the_chip(layer: str, tell: Tell) -> None:
    """A minute each: more than half a million cycles of some 150 PEs."""
    (plan,) = prepare("alexnet", layers=[layer], batch=1).plans
    found = engine_times(plan)
    assert found == run_layer(plan.layer, plan.batch, plan.hw, plan.mapping)
    tell(HEADING, f"alexnet {layer}, batch 1: {found.processing:,} and {found.total:,} cycles")


def test_the_random_layers_have_what_time_depends_on() -> None:
    plans = [case.plan for case in block_of_cases(0)]

    def share(holds: Callable[[Plan], bool]) -> float:
        return sum(map(holds, plans)) / len(plans)

    assert share(lambda plan: plan.layer.G > 1) > 0.1
    assert share(lambda plan: plan.hw.noc.bus_fifo_entries == 1) > 0.2
    assert share(lambda plan: plan.hw.link_beat_cycles.denominator > 1) > 0.4
    assert share(lambda plan: not all(map(plan.surely_prefetched, plan.classes))) > 0.3
    assert share(lambda plan: plan.hw.glb.filter_load == "streamed") > 0.15
    assert share(lambda plan: plan.hw.pe.ifmap_spad == "shift") > 0.15
    assert share(lambda plan: plan.hw.noc.local_hop_cycles > 1) > 0.15
    assert share(lambda plan: plan.placement.segments > 1) > 0.02
    assert share(lambda plan: plan.hw.word_bits.ifmap != plan.hw.word_bits.psum) > 0.2
    assert share(lambda plan: plan.hw.dram.link_bits != plan.hw.glb.port_bits) > 0.3
    charged = share(lambda plan: plan.hw.schedule.charge_full_strip and len(set(plan.strips)) > 1)
    assert charged > 0.05
    for overlap in ("none", "ifmap", "full"):
        for dump in ("filter_block", "m_block"):
            found = share(
                lambda plan, overlap=overlap, dump=dump: (
                    (plan.hw.dram.overlap, plan.hw.dram.ofmap_dump) == (overlap, dump)
                )
            )
            assert found > 0.1


def test_the_naive_model_shares_nothing_with_the_simulator() -> None:
    """The mapping's seven names are all that it may import of `sim`."""
    seen = set()
    for path in Path(naive.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                seen |= {f"{node.module}.{name.name}" for name in node.names}
            elif isinstance(node, ast.Import):
                seen |= {name.name for name in node.names}
    assert {name for name in seen if name.startswith("sim")} == {
        "sim.dataflow.row_stationary.mapping.Mapping"
    }
    assert "workloads.layer.Layer" in seen
