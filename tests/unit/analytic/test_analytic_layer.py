"""The closed form on its own: numbers done by hand, and what it says of itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hw_models.load import load_hardware
from hw_models.vocabulary import CAUSES
from sim.account.result import Result
from sim.analytic.row_stationary.counts import ifmap_multicast, layer_counts, pe_work
from sim.analytic.row_stationary.cycles import PassArrays, pass_cycles
from sim.analytic.row_stationary.estimate import LayerEstimate, estimate_layer, outside_proven_range
from sim.check.compare import check_layer
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.plan.make import make_plan
from sim.run import estimate, make_plans, resolve, run
from workloads.layer import Layer


def plan(mapping: str, *settings: str, batch: int = 1, **shape: int) -> Plan:
    layer = Layer(name="L", **shape)  # type: ignore[arg-type]
    hw = load_hardware("eyeriss_v1", settings)
    return make_plan(layer, batch, hw, parse_mapping(mapping))


# One pass: 2 filters of 3 x 3 on one channel of 4 x 5; ofmap 2 x 3, PE set 3 x 2.
ONE_PASS = plan("m=2,n=1,e=2,p=2,q=1,r=1,t=1", M=2, C=1, H=4, W=5, R=3, S=3)


def test_the_counts_of_one_pass_by_hand() -> None:
    assert ONE_PASS.passes == 1
    counts = layer_counts(ONE_PASS)
    expected = {
        "mac.total": 2 * 1 * 3 * 3 * 2 * 3,
        "dram.filter.read": 18,
        "dram.ifmap.read": 20,
        "dram.ofmap.write": 12,
        "glb.ifmap.read": 20,
        "glb.psum.read": 0,
        "glb.psum.write": 12,
        "glb.ofmap.read": 12,
        "noc.gin_filter.words": 18,
        "noc.gin_filter.deliveries": 36,  # a row of filters goes to the 2 PEs of its PE row
        "noc.gin_filter.x_bus": 18,
        "noc.gin_ifmap.deliveries": 30,  # rows 0 and 3 meet one PE, 1 and 2 meet two: 6 x 5 words
        "noc.gon_psum.words": 12,
        "noc.local_psum.words": 24,  # two hops in a chain of three
        "spad.ifmap.write": 30,
        "spad.filter.write": 36,
        "spad.psum.read": 6 * 6 * 2,  # 6 PEs, 6 psums each, 3 products a psum
        "spad.psum.write": 72,
    }
    assert {name: counts[name] for name in expected} == expected
    assert ifmap_multicast(ONE_PASS) == {1: 10, 2: 10}


def test_the_work_of_each_pe_by_hand() -> None:
    macs, psums, bubbles = pe_work(ONE_PASS)
    used = np.zeros((12, 14), bool)
    used[:3, :2] = True
    assert (macs[used] == 3 * 6).all()  # 3 windows of 2 filters x 3 columns
    assert (psums[used] == 6).all()
    assert (bubbles[used] == 3).all()  # three stages, two filters: one empty cycle a window
    assert not macs[~used].any()


def test_every_pe_cycle_has_a_cause() -> None:
    network, batch, hw = resolve("lenet5", (), None, "eyeriss_v1")
    for each in make_plans(network, batch, hw, "auto")[0]:
        found = estimate_layer(each)
        assert (found.stalls.sum(axis=0) == found.cycles).all()
        assert (found.stalls >= 0).all()
        gated = found.stalls[CAUSES.index("clock_gated")]
        assert ((gated == found.cycles) == (found.macs == 0)).all()


def test_bounds_cover_all_passes_and_cycles() -> None:
    each = plan(
        "m=5,n=1,e=2,p=2,q=2,r=1,t=2", batch=2, G=2, M=14, C=5, H=7, W=6, R=3, S=3, pad_top=1
    )
    found = estimate_layer(each)
    assert sum(share.passes for share in found.bounds) == each.passes
    assert sum(share.cycles for share in found.bounds) == found.cycles
    assert {share.shape for share in found.bounds} == set(each.classes)


def bound(each: Plan) -> set[str]:
    return {share.bound for share in estimate_layer(each).bounds}


def test_the_station_that_bounds_a_pass() -> None:
    # Sixteen filters and a full window: each word is used often, and the PEs are the bound.
    assert bound(plan("m=16,n=1,e=7,p=16,q=3,r=1,t=1", M=16, C=3, H=9, W=30, R=3, S=3)) == {"adder"}
    # Windows of one word: nothing to compute between two psums.
    busy = plan("m=48,n=1,e=14,p=24,q=1,r=1,t=2", M=48, C=1, H=14, W=30, R=1, S=1)
    assert bound(busy) == {"psum bus"}
    # One filter for a whole ifmap: every word is used a few times only.
    starved = plan("m=1,n=1,e=14,p=1,q=3,r=4,t=1", M=1, C=12, H=16, W=40, R=3, S=3)
    assert bound(starved) == {"ifmap bus"}


def test_it_is_vectorised_over_passes() -> None:
    each = plan("m=5,n=1,e=2,p=2,q=2,r=1,t=2", batch=2, M=7, C=5, H=7, W=6, R=3, S=3)
    shapes = list(each.classes)
    assert len(shapes) > 3
    together = pass_cycles(PassArrays.of(shapes), each.hw)
    for place, shape in enumerate(shapes):
        alone = pass_cycles(PassArrays.of([shape]), each.hw)
        assert alone.cycles[0] == together.cycles[place]
        assert alone.load[0] == together.load[place]
        assert alone.bound[0] == together.bound[place]


@pytest.mark.parametrize(
    ("faster", "slower"),
    [
        ((), ("noc.psum_words_per_cycle=1",)),
        ((), ("noc.local_hop_cycles=8",)),
        ((), ("clock.link_mhz=1",)),
        ((), ("pe.ifmap_spad=shift",)),
        (("glb.filter_load=streamed",), ()),
    ],
)
def test_a_slower_chip_is_not_faster(faster: tuple[str, ...], slower: tuple[str, ...]) -> None:
    def cycles(settings: tuple[str, ...]) -> LayerEstimate:
        return estimate_layer(
            plan("m=8,n=1,e=4,p=4,q=2,r=2,t=2", *settings, M=8, C=8, H=10, W=12, R=3, S=3)
        )

    fast, slow = cycles(faster), cycles(slower)
    assert fast.cycles < slow.cycles
    assert fast.counts == slow.counts


@pytest.mark.parametrize("link_mhz", [60, 5])
def test_a_short_strip_charged_in_full_takes_the_time_of_a_full_one(link_mhz: int) -> None:
    """Strips of 4 and 1 rows cost as much as two of 4 rows, whether filters are late or not."""

    def cycles(charge: str, rows: int) -> int:
        settings = f"schedule.charge_full_strip={charge}", f"clock.link_mhz={link_mhz}"
        size = {"M": 8, "C": 8, "H": rows + 2, "W": 12, "R": 3, "S": 3}
        return estimate_layer(plan("m=8,n=1,e=4,p=4,q=2,r=2,t=2", *settings, **size)).cycles

    assert cycles("true", rows=5) == cycles("true", rows=8) == cycles("false", rows=8)
    assert cycles("false", rows=5) < cycles("true", rows=5)


# Eight passes of two windows; 8*4 filters on 2 channels of 3 x 3 are 144 lines of four words.
STARVED = {"M": 64, "C": 8, "H": 3, "W": 4, "R": 3, "S": 3}


def starved(latency: int, link_mhz: int) -> Plan:
    settings = f"dram.first_access_latency_cycles={latency}", f"clock.link_mhz={link_mhz}"
    return plan("m=64,n=1,e=1,p=8,q=2,r=1,t=4", *settings, **STARVED)


@pytest.mark.parametrize("latency", [0, 7, 40, 1000])
@pytest.mark.parametrize("link_mhz", [20, 60])
def test_late_filters_cost_their_time_on_the_link(latency: int, link_mhz: int) -> None:
    """After the first pass each takes as long as the link: 144 lines and one first access."""
    found = estimate_layer(starved(latency, link_mhz))
    first = found.cycles - 7 * (144 * 200 // link_mhz + latency)
    assert first == simulate_layer(starved(latency, link_mhz)).pass_cycles[0]
    assert {share.bound for share in found.bounds} == {"filter load"}


@pytest.mark.parametrize("latency", [100, 150, 200, 300])
def test_a_pass_that_ends_within_the_first_access_of_the_next(latency: int) -> None:
    """At 200 MHz the link has brought the 144 lines before the pass ends, and has begun anew."""
    here = starved(latency, 200)
    assert estimate_layer(here).cycles == simulate_layer(here).cycles


def test_nothing_of_the_engine_is_imported() -> None:
    code = (
        "import sys, sim.analytic.row_stationary.estimate;"
        "print([name for name in sys.modules if name.startswith(('sim.engine', 'simpy'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("pe.ifmap_fifo_words=15", "pe.ifmap_fifo_words = 15 (least 16)"),
        ("pe.psum_in_fifo_words=7", "pe.psum_in_fifo_words = 7 (least 8)"),
        ("pe.psum_out_fifo_words=7", "pe.psum_out_fifo_words = 7 (least 8)"),
        ("noc.bus_fifo_entries=1", "noc.bus_fifo_entries = 1 (least 2)"),
    ],
)
def test_an_estimate_says_where_its_cycles_are_not_proven(setting: str, told: str) -> None:
    hw = load_hardware("eyeriss_v1", [setting])
    (note,) = [note for note in estimate("lenet5", hw=hw).notes if "not proven" in note]
    assert told in note
    # The simulation claims what it says; and so does the closed form on every shipped chip.
    assert not any("not proven" in note for note in run("lenet5", layers=["F6"], hw=hw).notes)


@pytest.mark.parametrize("name", ["eyeriss_v1", "eyeriss_isca2016"])
def test_shipped_chips_are_inside_the_proven_range(name: str) -> None:
    assert outside_proven_range(load_hardware(name)) == ""


WIDE = "m=16,n=1,e=8,p=16,q=2,r=1,t=1", {"M": 16, "C": 2, "H": 10, "W": 20, "R": 3, "S": 3}
NARROW = "m=16,n=1,e=8,p=16,q=1,r=1,t=1", {"M": 16, "C": 1, "H": 14, "W": 20, "R": 7, "S": 1}
FEW = "m=4,n=1,e=2,p=4,q=2,r=1,t=1", {"M": 4, "C": 2, "H": 8, "W": 20, "R": 7, "S": 1}


@pytest.mark.parametrize(
    ("loop", "layer", "settings"),
    [
        ("adder", WIDE, ()),
        ("ifmap spad", WIDE, ("pe.ifmap_spad=shift",)),
        ("psum FIFOs of a chain", NARROW, ("pe.psum_in_fifo_words=4", "noc.local_hop_cycles=60")),
        (
            "ifmap FIFOs",
            FEW,
            ("pe.ifmap_spad_words=2", "pe.ifmap_fifo_words=1", "noc.local_hop_cycles=8"),
        ),
        ("psum bus", WIDE, ("noc.psum_words_per_cycle=1",)),
        ("psum FIFOs at the buses", WIDE, ("pe.psum_out_fifo_words=4",)),
    ],
)
def test_the_loop_that_bounds_a_pass(
    loop: str, layer: tuple[str, dict[str, int]], settings: tuple[str, ...]
) -> None:
    """Which loop is the slowest hangs on layer and chip, and the cycles are the engine's."""
    mapping, shape = layer
    here = plan(mapping, *settings, **shape)
    assert bound(here) == {loop}
    assert abs(check_layer(here).worst_error) < 0.005


@pytest.mark.parametrize("load", ["exposed", "streamed"])
def test_the_phase_load_ends_with_the_first_product(load: str) -> None:
    """As in the simulation; streamed filters go on loading while the array computes."""
    hw = load_hardware("eyeriss_v1", [f"glb.filter_load={load}"])
    simulated, estimated = (which("lenet5", layers=["C3"], hw=hw) for which in (run, estimate))

    def loads(result: Result) -> dict[tuple[object, ...], int]:
        kinds = result.layers[0].timeline.kinds
        return {
            (kind.images, kind.strip_rows, kind.filters, kind.channels, kind.cycles):
            kind.phases["load"] for kind in kinds
        }  # fmt: skip

    assert loads(estimated) == loads(simulated)
