"""The standstill in closed form beside the timeline of tiles, both given passes of equal length."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hw_models.load import load_hardware
from sim.analytic.layer import estimate_layer
from sim.analytic.tiles import PassTime, standstill
from sim.engine.tiles import TileTimeline, TimedPass
from sim.plan.schedule import Plan
from sim.plan.tiles import Standstill, Traffic
from sim.run import prepare

NETWORKS = ("alexnet", "vgg16", "lenet5")


def both(plan: Plan) -> tuple[Standstill, Standstill]:
    """Passes take what the closed form says; no filters are on the link."""
    cycles = {share.shape: share.cycles // share.passes for share in estimate_layer(plan).bounds}
    times = {
        (s.images, s.strip_rows, sum(s.filters), sum(s.channels), s.first_channels): PassTime(c, 0)
        for s, c in cycles.items()
    }
    passes = [
        TimedPass(
            cycles[step.shape], 0, step.ifmap_load_words, step.ofmap_final_words, step.ends_m_block
        )
        for step in plan
    ]
    traffic = Traffic.of(plan.layer, plan.hw)
    return standstill(plan, times), TileTimeline(plan.hw, traffic, passes).run()


def layers(network: str, *settings: str) -> Iterator[tuple[str, Standstill, Standstill]]:
    hw = load_hardware("eyeriss_v1", settings)
    for plan in prepare(network, hw=hw).plans:
        yield plan.layer.name, *both(plan)


@pytest.mark.parametrize(("dump", "latency"), [("filter_block", 0), ("m_block", 25)])
@pytest.mark.parametrize("overlap", ["none", "ifmap"])
@pytest.mark.parametrize("network", NETWORKS)
def test_it_is_the_timelines(network: str, overlap: str, dump: str, latency: int) -> None:
    for name, form, timeline in layers(
        network,
        *(f"dram.overlap={overlap}", f"dram.ofmap_dump={dump}"),
        f"dram.first_access_latency_cycles={latency}",
    ):
        assert form == timeline, name


@pytest.mark.parametrize("network", NETWORKS)
def test_with_full_overlap_it_is_what_the_link_has_no_time_for(network: str) -> None:
    """Never more than the timeline's, in which an ifmap also waits for ofmaps before it."""
    exact = 0
    for name, form, timeline in layers(network, "dram.overlap=full"):
        assert form.cycles <= timeline.cycles, name
        assert form.ofmap_bits == timeline.ofmap_bits
        exact += form.cycles == timeline.cycles
    assert exact >= {"alexnet": 8, "vgg16": 8, "lenet5": 5}[network]
