"""All passes of a layer: reuse of equal ones, their sum, and the time that each cycle went to."""

import gc
import tracemalloc
from typing import Any

import numpy as np
import pytest
from engine_passes import chip, plan

from sim.account.result import layer_result
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import LayerActivity, PassMemory, simulate_layer
from sim.engine.machine import Machine
from sim.engine.passes import pass_machine
from sim.plan.limits import outcome_bytes

CHIP = chip()

# Edges in every dimension: 2 groups, images 2+1, strips 3+2, m-blocks 4+1, channel blocks 3+2.
RAGGED = {
    "batch": 3, "G": 2, "M": 10, "C": 5, "R": 2, "S": 2, "H": 6, "W": 5,
    "factors": {"m": 4, "n": 2, "e": 3, "p": 2, "q": 3, "r": 1, "t": 1},
}  # fmt: skip

# Strides, padding and rectangles; r chains and t sets with edges of their own.
STRIDED = {
    "batch": 3, "M": 7, "C": 7, "R": 3, "S": 2, "U": 2, "V": 3, "H": 8, "W": 9, "pad_top": 1,
    "pad_left": 2, "factors": {"m": 7, "e": 3, "p": 2, "q": 2, "r": 2, "t": 2},
}  # fmt: skip

# Strides beyond the filter, three image blocks: rows and columns that nobody touches.
SPARSE = {
    "batch": 6, "M": 3, "C": 2, "R": 1, "S": 1, "U": 2, "V": 3, "H": 7, "W": 8,
    "factors": {"m": 3, "n": 2, "e": 4, "p": 3, "q": 1, "r": 2},
}  # fmt: skip

# Many filters, few windows: no pass finds all of its filters prefetched.
STARVED = {
    "batch": 1, "M": 64, "C": 8, "R": 3, "S": 3, "H": 3, "W": 4,
    "factors": {"m": 64, "p": 8, "q": 2, "t": 4},
}  # fmt: skip

# Tiles of 3+2 columns around strips of 3+2 rows, in every other dimension an edge, too.
TILED = {**RAGGED, "W": 6, "factors": {**RAGGED["factors"], "f": 3}}

LAYERS = {
    "tiled": TILED,
    "ragged": RAGGED,
    "strided": STRIDED,
    "sparse": SPARSE,
    "starved": STARVED,
}


def booked(plan: Plan, activity: LayerActivity) -> dict:
    result = layer_result(
        plan,
        activity,
        causes=activity.causes,
        stalls=activity.stalls,
        passes_simulated=activity.passes_simulated,
    ).to_dict()
    result.pop("passes_simulated")
    return result


@pytest.mark.parametrize("variant", ["eyeriss_v1", "eyeriss_rtl", "full strip"])
@pytest.mark.parametrize("name", LAYERS)
def test_reused_passes_are_the_passes_simulated_anew(name: str, variant: str) -> None:
    hw = chip("schedule.charge_full_strip=true") if variant == "full strip" else chip(name=variant)
    here = plan(hw, **LAYERS[name])
    reused = simulate_layer(here)
    anew = simulate_layer(here, every_pass=True)
    assert booked(here, reused) == booked(here, anew)
    assert reused.pass_cycles.tolist() == anew.pass_cycles.tolist()
    assert reused.events == anew.events
    assert anew.passes_simulated == here.passes
    assert reused.passes_simulated < here.passes


@pytest.mark.parametrize("name", LAYERS)
def test_every_cycle_of_every_pe_has_one_cause(name: str) -> None:
    activity = simulate_layer(plan(CHIP, **LAYERS[name]))
    assert (activity.stalls >= 0).all()
    assert (activity.stalls.sum(axis=0) == activity.cycles).all()
    assert int(activity.stalls.sum()) == activity.cycles * 168
    assert activity.cycles == int(activity.pass_cycles.sum())


def test_memory_is_shared_between_layers_of_one_chip() -> None:
    memory = PassMemory(CHIP)
    here = plan(CHIP, **RAGGED)
    first = simulate_layer(here, memory=memory)
    known = len(memory.outcomes)
    again = simulate_layer(here, memory=memory)
    assert len(memory.outcomes) == known
    assert booked(here, first) == booked(here, again)


@pytest.mark.parametrize("room", [0, 100_000])
def test_outcomes_that_are_not_kept_are_simulated_again_with_the_same_result(room: int) -> None:
    layers = [plan(CHIP, **LAYERS[name]) for name in (*LAYERS, *LAYERS)]
    whole, some = PassMemory(CHIP), PassMemory(CHIP, room)
    for here in layers:
        found = simulate_layer(here, memory=some)
        expected = simulate_layer(here, memory=whole)
        assert booked(here, found) == booked(here, expected)
        assert found.pass_cycles.tolist() == expected.pass_cycles.tolist()
        assert found.passes_simulated == expected.passes_simulated
        assert sum(outcome.size for outcome in some.outcomes.values()) <= max(room, 30_000)
    assert len(whole.outcomes) > len(some.outcomes)


def test_an_equal_layer_finds_all_that_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for first would go first, and the next layer ask for just that."""
    here = plan(CHIP, **RAGGED)
    memory = PassMemory(CHIP)
    simulate_layer(here, memory=memory)
    sizes = [outcome.size for outcome in memory.outcomes.values()]
    memory = PassMemory(CHIP, sum(sizes) - 1)
    simulate_layer(here, memory=memory)
    ran: list[Any] = []
    whole = Machine.run
    monkeypatch.setattr(Machine, "run", lambda self: ran.append(self) or whole(self))
    simulate_layer(here, memory=memory)
    assert len(ran) == 1 < len(sizes)
    # Another layer's are asked for instead: the first ones give way.
    simulate_layer(plan(CHIP, **STARVED), memory=memory)
    before = len(ran)
    simulate_layer(plan(CHIP, **STARVED), memory=memory)
    assert len(ran) == before


@pytest.mark.parametrize("rows", [12, 40])
def test_an_outcome_takes_no_more_memory_than_it_says(rows: int) -> None:
    hw = chip(f"array.rows={rows}", f"array.columns={rows}", "clock.link_mhz=59.999")
    # Filters are always late, and no two passes find the link alike.
    here = plan(hw, M=64, C=128, factors={"m": 64, "p": 16, "q": 8, "r": 4})
    simulate_layer(here)  # what is imported or cached is not the outcomes'
    memory = PassMemory(hw)
    gc.collect()
    tracemalloc.start()
    try:
        simulate_layer(here, memory=memory)
        gc.collect()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    said = sum(outcome.size for outcome in memory.outcomes.values())
    assert len(memory.outcomes) == here.passes > 10
    assert used <= said <= 2 * used
    assert said <= len(memory.outcomes) * outcome_bytes(hw)


def test_the_layer_is_the_sum_of_its_passes() -> None:
    """Each pass run by itself, from the state in which the one before left the link."""
    from sim.engine.dram import PrefetchState

    here = plan(CHIP, **STARVED)
    activity = simulate_layer(here)
    state = PrefetchState()
    cycles, macs, counts = [], np.zeros((12, 14), np.int64), {}
    steps = list(here)
    for place, step in enumerate(steps):
        outcome = pass_machine(step.shape, CHIP, state).run()
        cycles.append(outcome.cycles)
        macs += outcome.macs
        for key, value in outcome.counts.items():
            counts[key] = counts.get(key, 0) + value
        if place + 1 < len(steps):
            lines = -(-steps[place + 1].shape.filter_words // 4)
            state = outcome.prefetch.state(outcome.cycles, lines)
    assert activity.pass_cycles.tolist() == cycles
    assert (activity.macs == macs).all()
    assert {name: activity.counts[name] for name in counts} == counts


def test_a_short_strip_charged_in_full_takes_the_time_of_a_full_one() -> None:
    # E = 4+1: ten windows of 4 filters; the psum bus makes a full strip four times as long.
    size = {
        "M": 4, "C": 1, "R": 3, "S": 1, "H": 7, "W": 10, "factors": {"m": 4, "p": 1, "t": 4, "e": 4}
    }  # fmt: skip
    here = simulate_layer(plan(CHIP, **size))
    full_plan = plan(chip("schedule.charge_full_strip=true"), **size)
    full = simulate_layer(full_plan)
    long, short = here.pass_cycles.tolist()
    assert short < long
    # The second pass finds its filters prefetched, as a full strip in its place would.
    assert full.pass_cycles[0] == long
    assert short < full.pass_cycles[1] <= long
    # Only time is charged: no work, and the idle cycles are the difference.
    assert full.counts == here.counts
    assert (full.stalls.sum(axis=0) == full.cycles).all()
    assert booked(full_plan, full)["active_pes"] == 3 * 4 * 4


def test_filters_come_and_the_halo_is_loaded_for_each_tile() -> None:
    """Two tiles of 2 columns, worked out by hand, against the layer in one piece.

    Filters 2 x 3 on 3 x 6 words: an ofmap of 2 x 4. A tile touches 4 ifmap columns, both together
    8 of 6, for the halo of S-V = 2 columns is there twice.
    """
    size = {"M": 4, "C": 2, "R": 2, "S": 3, "H": 3, "W": 6}
    factors = {"m": 4, "e": 2, "p": 4, "q": 1}
    tiled, whole = (
        simulate_layer(plan(CHIP, **size, factors=given)).counts
        for given in ({**factors, "f": 2}, factors)
    )
    for name in ("dram.filter.read", "glb.filter.read", "spad.filter.write"):
        assert tiled[name] == 2 * whole[name], name
    assert whole["dram.filter.read"] == 4 * 2 * 2 * 3
    for name in ("dram.ifmap.read", "glb.ifmap.read"):
        assert (tiled[name], whole[name]) == (2 * 3 * 8, 2 * 3 * 6), name
    for name in ("dram.ofmap.write", "glb.psum.read", "glb.psum.write", "mac.total"):
        assert tiled[name] == whole[name], name


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int, int]] = []
    here = plan(CHIP, **RAGGED)
    activity = simulate_layer(here, progress=lambda *step: seen.append(step))
    assert seen[-1] == (here.passes, here.passes, activity.passes_simulated)
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
