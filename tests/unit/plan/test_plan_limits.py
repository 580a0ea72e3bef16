"""What a plan is estimated to take, where it depends on more than its sizes."""

from __future__ import annotations

import pytest

from hw_models.load import load_hardware
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.errors import MappingError
from sim.plan.limits import MOST_BYTES, layer_bytes, size_violations
from sim.plan.make import make_plan
from workloads.layer import Layer

EVEN, ODD = "60", "59.999"  # MHz of the link: a GLB line takes 10/3 core cycles, or 200000/59999


def fully_connected(link_mhz: str, filters: int = 64, channels: int = 512) -> Plan:
    """A layer whose filters are always late."""
    hw = load_hardware("eyeriss_v1", (f"clock.link_mhz={link_mhz}",))
    layer = Layer(name="FC", M=filters, C=channels, H=1, W=1, R=1, S=1)
    return make_plan(layer, 1, hw, parse_mapping("m=64,n=1,e=1,p=16,q=8,r=4,t=1"))


def test_clocks_without_a_simple_ratio_make_each_late_pass_a_kind_of_its_own() -> None:
    even, odd = fully_connected(EVEN), fully_connected(ODD)
    assert even.passes == odd.passes == 64
    assert simulate_layer(even).passes_simulated == 7
    assert simulate_layer(odd).passes_simulated == 64
    # A kind holds at least its nine numbers for each PE.
    assert layer_bytes(odd) - layer_bytes(even) > (64 - 2 * len(odd.classes)) * 9 * 8 * 168


def test_many_late_passes_are_refused_with_the_ratio_of_the_clocks_as_the_reason() -> None:
    assert not size_violations(fully_connected(EVEN, 2560, 32_768))
    fix = "clocks of a simpler ratio, which make passes equal"
    with pytest.raises(MappingError, match=fix) as no:
        fully_connected(ODD, 2560, 32_768)
    assert f"limit {MOST_BYTES >> 20}" in str(no.value)


def test_filters_that_are_surely_there_make_equal_passes_whatever_the_clocks() -> None:
    layer = Layer(name="CONV", M=16, C=64, H=14, W=14, R=3, S=3, pad_top=1, pad_bottom=1)
    mapping = parse_mapping("m=16,n=1,e=14,p=8,q=4,r=2,t=2")
    sizes = {
        layer_bytes(make_plan(layer, 1, load_hardware("eyeriss_v1", (setting,)), mapping))
        for setting in (f"clock.link_mhz={EVEN}", f"clock.link_mhz={ODD}")
    }
    assert len(sizes) == 1
