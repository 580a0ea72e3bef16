"""Tiles on the DRAM link: who waits for what by hand, the knobs, and the closed form beside it."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.analytic.form import estimate_layer
from sim.check.cases import Case, random_cases
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.dram_timeline import TileTimeline, TimedPass
from sim.engine.layer_run import PassMemory, simulate_layer
from sim.plan.dram_traffic import DramStall, Traffic
from sim.plan.make import make_plan
from sim.run import make_plans, run
from workloads.network import load_network

CASES = 100
OVERLAPS = ("none", "ifmap", "full")

# A beat of four words takes two cycles, no word is coded.
BEAT = Fraction(2)
TRAFFIC = Traffic(16, 64, BEAT, None, None)


def chip(*settings: str) -> Hardware:
    return load_hardware("eyeriss_v1", settings)


@pytest.fixture(scope="module")
def memory() -> PassMemory:
    """Outcomes of passes: what the tiles do changes none of them."""
    return PassMemory(chip())


def timeline(*passes: TimedPass, traffic: Traffic = TRAFFIC, **dram: object) -> DramStall:
    hw = chip(*(f"dram.{name}={value}" for name, value in dram.items()))
    return TileTimeline(hw, traffic, passes).run()


def one(
    cycles: int, *, load: int = 0, final: int = 0, ends: bool = False, filters: int = 0
) -> TimedPass:
    return TimedPass(cycles, filters, load, final, ends)


# --- by hand --------------------------------------------------------------------------------------


def test_an_ifmap_strip_and_the_last_ofmap_cost_their_own_time() -> None:
    found = timeline(one(100, load=40, final=20, ends=True))
    assert found == DramStall(20, 10, 40 * 16, 20 * 16)
    assert found.cycles == 30


def test_words_that_do_not_fill_a_beat_take_a_whole_one() -> None:
    found = timeline(one(100, load=41, final=1, ends=True))
    assert (found.ifmap_cycles, found.ofmap_cycles) == (22, 2)
    assert (found.ifmap_bits, found.ofmap_bits) == (41 * 16, 16)


def test_nothing_to_carry_is_no_wait() -> None:
    assert timeline(one(100, ends=True)) == DramStall(0, 0, 0, 0)


def test_psums_leave_behind_the_filter_blocks_that_follow() -> None:
    """Two filter blocks of 30 cycles: the first one's 80 words, 40 cycles, leave in the second."""
    passes = (one(30, load=4, final=80), one(30, final=20, ends=True))
    assert timeline(*passes).ofmap_cycles == 40 - 30 + 10
    assert timeline(*passes, ofmap_dump="m_block").ofmap_cycles == 40 + 10


def test_filters_go_first() -> None:
    passes = (one(30, load=4, final=80), one(30, final=20, ends=True, filters=25))
    assert timeline(*passes).ofmap_cycles == 40 - (30 - 25) + 10


def test_filters_that_take_all_of_a_pass_leave_nothing() -> None:
    passes = (one(30, load=4, final=80), one(30, final=20, ends=True, filters=45))
    assert timeline(*passes).ofmap_cycles == 40 + 10


def test_the_next_strip_loads_ahead() -> None:
    """Strips of 20, 60 and 20 cycles over passes of 50: 20, then 60 - 50, then nothing."""
    passes = (one(50, load=40), one(50, load=120), one(50, load=40, final=20, ends=True))
    assert timeline(*passes).ifmap_cycles == 20 + 60 + 20
    assert timeline(*passes, overlap="ifmap").ifmap_cycles == 20 + 10 + 0
    assert timeline(*passes, overlap="full").ifmap_cycles == 20 + 10 + 0


def test_ofmaps_leave_behind_the_next_m_block_where_there_is_room_for_two() -> None:
    passes = (one(50, load=40, final=40, ends=True), one(50, load=40, final=20, ends=True))
    found = {overlap: timeline(*passes, overlap=overlap) for overlap in OVERLAPS}
    assert [found[o].ifmap_cycles for o in OVERLAPS] == [40, 20, 20]
    assert [found[o].ofmap_cycles for o in OVERLAPS] == [20 + 10, 20 + 10, 10]
    assert len({(f.ifmap_bits, f.ofmap_bits) for f in found.values()}) == 1


def test_psums_of_two_m_blocks_before_must_be_gone() -> None:
    """Each ofmap takes 60 cycles and a pass 10: the array waits for that of the m-block before."""
    passes = [one(10, load=4, final=120, ends=True)] * 3
    found = timeline(*passes, overlap="full")
    assert found.ifmap_cycles + found.ofmap_cycles + 3 * 10 >= 2 + 3 * 60


def test_first_access_latency_is_paid_by_every_tile() -> None:
    passes = (one(100, load=40), one(100, load=40, final=20), one(100, final=20, ends=True))
    before = timeline(*passes)
    after = timeline(*passes, first_access_latency_cycles=7)
    assert before.ifmap_cycles == 40
    assert after.ifmap_cycles == before.ifmap_cycles + 2 * 7
    assert after.ofmap_cycles == before.ofmap_cycles + 7  # the first leaves behind a pass
    assert (after.ifmap_bits, after.ofmap_bits) == (before.ifmap_bits, before.ofmap_bits)


def test_a_fraction_of_a_cycle_is_waited_out() -> None:
    thirds = Traffic(16, 64, Fraction(10, 3), None, None)
    found = timeline(one(100, load=4, final=8, ends=True), traffic=thirds)
    assert (found.ifmap_cycles, found.ofmap_cycles) == (4, 7)


# --- whole layers ---------------------------------------------------------------------------------


def plans(network: str, *settings: str, mapping: str = "published") -> list[Plan]:
    loaded = load_network(network)
    made, refused, _ = make_plans(loaded, loaded.batch, chip(*settings), mapping)
    assert not refused
    return [plan for plan in made if plan.layer.kind == "conv"]


@pytest.mark.untraced
@pytest.mark.parametrize("dump", ["filter_block", "m_block"])
@pytest.mark.parametrize("network", ["alexnet", "vgg16"])
def test_the_closed_form_is_exact_on_the_measured_layers(
    network: str, dump: str, memory: PassMemory
) -> None:
    for mapping in ("published", "alternative"):
        for plan in plans(network, f"dram.ofmap_dump={dump}", mapping=mapping):
            engine = simulate_layer(plan, memory=memory).standstill
            closed = estimate_layer(plan).standstill
            assert (
                closed.ifmap_cycles,
                closed.ofmap_cycles,
                closed.ifmap_bits,
                closed.ofmap_bits,
            ) == (
                engine.ifmap_cycles,
                engine.ofmap_cycles,
                engine.ifmap_bits,
                engine.ofmap_bits,
            ), plan.layer.name


def on(case: Case, *settings: str) -> Plan:
    """The case on its chip with more settings."""
    hw = load_hardware(case.hw, (*case.overrides, *settings))
    return make_plan(case.layer, case.batch, hw, case.mapping)


@pytest.mark.untraced
@pytest.mark.parametrize("latency", [0, 25])
def test_the_closed_form_on_random_cases(latency: int) -> None:
    """Bits and ifmap standstill exact; ofmaps leave behind passes, whose cycles may be off."""
    errors = []
    for number, case in enumerate(islice(random_cases(5), CASES)):
        plan = on(case, f"dram.first_access_latency_cycles={latency}")
        activity, form = simulate_layer(plan), estimate_layer(plan).standstill
        engine = activity.standstill
        assert (form.ifmap_bits, form.ofmap_bits) == (engine.ifmap_bits, engine.ofmap_bits), number
        assert form.ifmap_cycles == engine.ifmap_cycles, number
        error = abs(form.cycles - engine.cycles) / (activity.cycles + engine.cycles)
        assert error <= 0.001, (number, case.to_yaml())
        errors.append(error)
    assert sum(error == 0 for error in errors) >= 0.97 * CASES


# Two strips and two m-blocks must fit where transfers overlap; the mappings are the same in all.
ROOM_AHEAD = ("glb.banks=60",)


def totals(made: list[Plan], memory: PassMemory | None = None) -> list[int]:
    found = []
    for plan in made:
        activity = simulate_layer(plan, memory=memory)
        found.append(activity.cycles + activity.standstill.cycles)
    return found


@pytest.mark.untraced
@pytest.mark.parametrize("dump", ["filter_block", "m_block"])
def test_more_overlap_never_takes_longer(dump: str) -> None:
    none, ifmap, full = (
        totals(plans("alexnet", *ROOM_AHEAD, f"dram.overlap={overlap}", f"dram.ofmap_dump={dump}"))
        for overlap in OVERLAPS
    )
    assert all(f < i < n for f, i, n in zip(full, ifmap, none, strict=True))


@pytest.mark.untraced
def test_more_overlap_never_takes_longer_on_random_cases() -> None:
    for number, case in enumerate(islice(random_cases(11), CASES // 2)):
        settings = [(*ROOM_AHEAD, f"dram.overlap={overlap}") for overlap in OVERLAPS]
        found = totals([on(case, *chosen) for chosen in settings])
        none, ifmap, full = found
        assert full <= ifmap <= none, (number, case.to_yaml(), found)


@pytest.mark.untraced
def test_a_slower_link_takes_longer_and_a_first_access_latency_too() -> None:
    (base,) = totals(plans("alexnet")[4:])
    (slow,) = totals(plans("alexnet", "clock.link_mhz=30")[4:])
    (late,) = totals(plans("alexnet", "dram.first_access_latency_cycles=50")[4:])
    (raw,) = totals(plans("alexnet", "dram.rlc=false")[4:])
    assert base < min(slow, late, raw)


@pytest.mark.untraced
@pytest.mark.parametrize("overlap", OVERLAPS)
def test_total_latency_is_never_less_than_the_links_work(overlap: str) -> None:
    hw = chip(f"dram.overlap={overlap}")
    for layer in run("alexnet", hw=hw).layers:
        link = sum(layer.dram_bytes.values()) * 8 / 64 * float(hw.link_beat_cycles)
        assert layer.total_cycles >= link, layer.layer.name
        assert layer.total_cycles >= layer.processing_cycles


@pytest.mark.untraced
def test_fully_connected_layers_are_bound_by_dram() -> None:
    """Filters are used once per image block: their time on the link is nearly all there is."""
    hw = chip()
    for layer in run("alexnet", layers=["FC6", "FC7", "FC8"], hw=hw).layers:
        link = layer.dram_bytes["filter"] * 8 / 64 * float(hw.link_beat_cycles)
        assert link <= layer.processing_cycles <= 1.01 * link, layer.layer.name
    # Convolutions are not.
    (conv,) = run("alexnet", layers=["CONV3"], hw=hw).layers
    link = conv.dram_bytes["filter"] * 8 / 64 * float(hw.link_beat_cycles)
    assert conv.processing_cycles > 4 * link
