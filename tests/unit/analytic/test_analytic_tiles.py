"""The standstill in closed form beside the timeline of tiles, both given the same passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import islice, product

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.analytic.row_stationary.dram_stall import PassTime, standstill_of_each
from sim.analytic.row_stationary.estimate import estimate_layer
from sim.check.cases import random_cases
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.dram_timeline import TileTimeline, TimedPass
from sim.engine.layer_run import simulate_layer
from sim.plan.dram_traffic import DramStall, Traffic
from sim.plan.make import make_plan
from sim.plan.order import Order
from sim.run import _estimated_timeline, prepare

NETWORKS = ("alexnet", "vgg16", "lenet5")
OVERLAPS = tuple(product(("none", "ifmap", "full"), ("filter_block", "m_block")))


def unfolded(order: Order) -> list[int]:
    """The kind of each pass, in order."""
    return [
        kind
        for times, runs in order
        for _ in range(times)
        for kind, many in runs
        for _ in range(many)
    ]


def pass_times(plan: Plan) -> list[PassTime]:
    """Each pass as the closed form's kinds and their order have it; filters come a pass before."""
    timeline = _estimated_timeline(plan, estimate_layer(plan))
    beat = plan.hw.link_beat_cycles.numerator
    cycles = [timeline.kinds[kind].cycles for kind in unfolded(timeline.order)]
    ticks = [plan.filter_beats(step.shape) * beat for step in plan]
    meanwhile = [ticks[0] + [*ticks, 0][1], *ticks[2:], 0][: len(ticks)]
    return [PassTime(long, taken) for long, taken in zip(cycles, meanwhile, strict=True)]


def on_a_timeline(plan: Plan, times: list[PassTime]) -> DramStall:
    passes = [
        TimedPass(*time, step.ifmap_load_words, step.ofmap_final_words, step.ends_m_block)
        for step, time in zip(plan, times, strict=True)
    ]
    return TileTimeline(plan.hw, Traffic.of(plan.layer, plan.hw), passes).run()


def with_overlap(
    hw: Hardware, overlap: str, dump: str, latency: int, mhz: float, banks: int = 1
) -> Hardware:
    description = hw.to_dict()
    description["dram"].update(
        overlap=overlap, ofmap_dump=dump, first_access_latency_cycles=latency
    )
    description["clock"]["link_mhz"] = mhz
    description["glb"]["banks"] *= banks
    return Hardware.model_validate(description)


def random_plans(seed: int, count: int) -> Iterator[Plan]:
    for number, case in enumerate(islice(random_cases(seed), count)):
        overlap, dump = OVERLAPS[number % len(OVERLAPS)]
        mhz = (60, 200, 1000)[number % 3]
        hw = with_overlap(case.plan.hw, overlap, dump, (0, 25)[number % 2], mhz, banks=3)
        yield make_plan(case.layer, case.batch, hw, case.mapping)


@pytest.mark.parametrize(("overlap", "dump"), OVERLAPS)
@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_timelines(network: str, overlap: str, dump: str) -> None:
    """Tile by tile and m-block by m-block: the same to the cycle, where filters are in time."""
    latency = 25 if dump == "m_block" else 0
    hw = with_overlap(load_hardware("eyeriss_v1"), overlap, dump, latency, 60, banks=3)
    for plan in prepare(network, hw=hw, mapping="published").plans:
        found = estimate_layer(plan)
        if found.order is None:
            assert found.standstill == on_a_timeline(plan, pass_times(plan)), plan.layer.name


def test_it_is_the_timelines_on_random_layers() -> None:
    tried = 0
    for plan in random_plans(41, 60):
        found = estimate_layer(plan)
        if found.order is None:
            tried += 1
            assert found.standstill == on_a_timeline(plan, pass_times(plan))
    assert tried > 20


def by_m_block(plan: Plan, times: Sequence[PassTime]) -> Iterator[tuple[PassTime, ...]]:
    passes = iter(times)
    in_a_strip = [len(plan.channel_blocks) * len(plan.filter_blocks(m)) for m in plan.m_blocks]
    while True:
        block = [tuple(islice(passes, many)) for many in in_a_strip]
        if not block[0]:
            return
        yield from block


def test_with_a_time_for_each_pass_it_is_the_timelines_too() -> None:
    """Passes of any length, such as those of late filters: some leave the link no time at all."""
    for seed, plan in enumerate(random_plans(42, 40)):
        times = [
            PassTime(1 + (seed + 7 * place) % 400, (seed + 13 * place) % 3 * plan.hw.pes)
            for place in range(plan.passes)
        ]
        per_cycle = plan.hw.link_beat_cycles.denominator
        times = [PassTime(t.cycles, min(t.filter_ticks, t.cycles * per_cycle)) for t in times]
        assert standstill_of_each(plan, by_m_block(plan, times)) == on_a_timeline(plan, times)


def test_it_is_the_engines_with_full_overlap() -> None:
    """VGG-16's CONV1-1 writes much more than it reads: the next strip waits behind ofmaps."""
    hw = load_hardware("eyeriss_v1", ["dram.overlap=full"])
    (plan,) = prepare("vgg16", layers=["CONV1-1"], hw=hw).plans
    engine, form = simulate_layer(plan), estimate_layer(plan)
    total = engine.cycles + engine.standstill.cycles
    off = Fraction(form.cycles + form.standstill.cycles, total) - 1
    assert abs(off) < Fraction(1, 1000)


@pytest.mark.parametrize("mhz", [5, 60])
def test_kinds_of_pass_add_up(mhz: float) -> None:
    """Cycles, passes and phases, where filters are in time and where they are late."""
    late = 0
    for case in islice(random_cases(43), 40):
        hw = with_overlap(case.plan.hw, "none", "filter_block", 0, mhz)
        plan = make_plan(case.layer, case.batch, hw, case.mapping)
        found = estimate_layer(plan)
        late += found.order is not None
        timeline = _estimated_timeline(plan, found)
        assert sum(kind.passes for kind in timeline.kinds) == plan.passes
        assert sum(kind.passes * kind.cycles for kind in timeline.kinds) == found.cycles
        assert sum(share.cycles for share in found.bounds) == found.cycles
        for kind in timeline.kinds:
            assert sum(kind.phases.values()) == kind.cycles
        order = unfolded(timeline.order)
        assert len(order) == plan.passes
        assert sum(timeline.kinds[kind].cycles for kind in order) == found.cycles
        for step, kind in zip(plan, order, strict=True):
            told, shape = timeline.kinds[kind], step.shape
            assert (told.images, told.strip_rows) == (shape.images, shape.strip_rows)
            assert (told.filters, told.channels) == (sum(shape.filters), sum(shape.channels))
    assert (late > 5) == (mhz == 5)
