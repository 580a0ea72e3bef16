"""Eyexam's seven bounds: they never rise, and the last is what was simulated."""

from __future__ import annotations

from itertools import islice

import pytest

from sim.analytic.eyexam import STEPS, eyexam
from sim.analytic.layer import estimate_layer
from sim.check.cases import Case, random_cases
from sim.engine.layer import simulate_layer
from sim.run import estimate, prepare, run

CASES = 200


@pytest.mark.parametrize("seed", range(4))
def test_bounds_never_rise_and_end_at_the_simulation(seed: int) -> None:
    for case in islice(random_cases(40_000 + seed), CASES // 4):
        simulated = simulate_layer(case.plan).cycles
        steps = eyexam(case.plan, simulated)
        assert tuple(step.name for step in steps) == STEPS
        cycles = [step.cycles for step in steps]
        assert cycles == sorted(cycles), case
        assert cycles[-1] == simulated
        assert all(step.reason for step in steps)
        assert all(step.cycles >= 1 for step in steps)


def test_the_closed_form_keeps_them_too() -> None:
    for case in islice(random_cases(41_000), 100):
        cycles = [step.cycles for step in eyexam(case.plan, estimate_layer(case.plan).cycles)]
        assert cycles == sorted(cycles), case


def test_no_bound_beyond_the_pes_is_above_their_number() -> None:
    for case in islice(random_cases(42_000), 100):
        plan = case.plan
        macs = plan.layer.macs(plan.batch)
        for step in eyexam(plan, estimate_layer(plan).cycles)[2:]:
            assert macs <= step.cycles * plan.hw.pes


def _only(network: str, layer: str) -> Case:
    plan = prepare(network, layers=[layer]).plans[0]
    return Case(plan.layer, plan.batch, "eyeriss_v1", (), plan.mapping)


def test_vgg_conv1_2_is_bound_by_the_psum_bus() -> None:
    plan = _only("vgg16", "CONV1-2").plan
    steps = {step.name: step for step in eyexam(plan, estimate_layer(plan).cycles)}
    step = steps["average bandwidth"]
    assert step.limit == "psum bus"
    assert "52 cycles on the bus; a PE has work for 16" in step.reason
    macs = plan.layer.macs(plan.batch)
    assert macs / steps["storage"].cycles == pytest.approx(112.0)
    assert macs / step.cycles == pytest.approx(35.84)


def test_alexnet_conv1_by_hand() -> None:
    # 4 images, 96 filters of 3 x 11 x 11, ofmap 55 x 55: 4*96*3*11*55 row pairs of 55 windows of
    # 11 products; PE sets of 11 x 7, so strips of 7 rows, the last of 6.
    plan = _only("alexnet", "CONV1").plan
    steps = [step.cycles for step in eyexam(plan, 4_000_000)]
    pairs = 4 * 96 * 3 * 11 * 55
    assert steps[:3] == [1, 55 * 11, -(-pairs // 168) * 55 * 11]
    passes = 4 * 8 * 3 * 3  # images, strips, channels, blocks of p*t = 32 filters
    assert steps[3] == passes * 55 * 16 * 11
    assert steps[4] == passes * 55 * (16 * 11 + 16)
    assert steps[5] == steps[4]  # no bus is slower
    assert steps[6] == 4_000_000


def test_results_carry_the_steps() -> None:
    for result in (run("lenet5", layers=["C1"]), estimate("lenet5", layers=["C1"])):
        (layer,) = result.layers
        assert layer.eyexam[-1].cycles == layer.processing_cycles
        found = layer.to_dict()["eyexam"]
        assert [step["step"] for step in found] == list(STEPS)
        assert found[-1]["macs_per_cycle"] == layer.macs / layer.processing_cycles
