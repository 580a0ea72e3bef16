"""Eyexam's seven bounds: they never rise, and the last is what was simulated."""

from __future__ import annotations

from itertools import islice

import pytest

from hw_models.load import load_hardware
from sim.analytic.row_stationary.estimate import estimate_layer
from sim.analytic.row_stationary.eyexam import STEPS, Step, eyexam
from sim.check.cases import random_cases
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.plan.make import make_plan
from sim.run import estimate, prepare, run
from workloads.layer import Layer

CASES = 200


@pytest.mark.untraced
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


def _only(network: str, layer: str) -> Plan:
    (plan,) = prepare(network, layers=[layer]).plans
    return plan


def test_vgg_conv1_2_is_bound_by_the_psum_bus() -> None:
    plan = _only("vgg16", "CONV1-2")
    steps = {step.name: step for step in eyexam(plan, estimate_layer(plan).cycles)}
    step = steps["average bandwidth"]
    assert step.limit == "psum bus"
    assert "104 cycles on the bus; a PE has work for 32" in step.reason
    macs = plan.layer.macs(plan.batch)
    assert macs / steps["storage"].cycles == pytest.approx(112.0)
    assert macs / step.cycles == pytest.approx(35.84)


def test_alexnet_conv1_by_hand() -> None:
    # 4 images, 96 filters of 3 x 11 x 11, ofmap 55 x 55: 4*96*3*11*55 row pairs of 55 windows of
    # 11 products; PE sets of 11 x 7, so strips of 7 rows, the last of 6.
    plan = _only("alexnet", "CONV1")
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


# One pass of one window: 10 PEs, each 4 filters on 2 channels of one word.
ONE_WINDOW = "m=40,n=1,e=1,p=4,q=2,r=1,t=10"


def one_window(*settings: str, cycles: int = 1000) -> dict[str, Step]:
    layer = Layer(name="L", M=40, C=2, H=1, W=1, R=1, S=1)
    hw = load_hardware("eyeriss_v1", ("clock.link_mhz=200", *settings))
    plan = make_plan(layer, 1, hw, parse_mapping(ONE_WINDOW))
    return {step.name: step for step in eyexam(plan, cycles)}


def test_row_pairs_that_fit_the_array_take_one_round() -> None:
    step = one_window()["number of PEs"]
    assert step.cycles == 1
    assert step.reason == "168 PEs take 80 row pairs in 1 round: 80 of them have work."


def test_a_filter_bus_that_is_too_narrow() -> None:
    """80 words at one a cycle; a PE has 8 products and 4 psums to do."""
    step = one_window("noc.gin_filter_words_per_cycle=1")["average bandwidth"]
    assert (step.cycles, step.limit) == (80, "filter bus")
    assert step.reason == (
        "The filter bus carries 1 word/cycle and is needed 6.67 times as long as the PEs: a pass "
        "uses its filters on only 1 image and 1 ofmap row."
    )


def test_a_link_that_is_too_slow() -> None:
    """20 lines of four words at 3 MHz: 200 / 3 core cycles each."""
    step = one_window("clock.link_mhz=3")["average bandwidth"]
    assert (step.cycles, step.limit) == (20 * 200 // 3, "DRAM link")
    assert step.reason == (
        "The DRAM link has to bring the filters of 1 pass and needs 111.08 times as long as the "
        "PEs: filters cross it once per strip of 1 ofmap row and block of 1 image."
    )


def test_where_every_station_keeps_its_pace_nothing_is_lost() -> None:
    kept = one_window()["average bandwidth"].cycles
    step = one_window(cycles=kept)[STEPS[-1]]
    assert step.reason == "Nothing is lost to words that come in bursts."
    assert one_window(cycles=kept + 1)[STEPS[-1]].reason.startswith("1 cycles (")
