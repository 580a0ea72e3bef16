"""The passes of a layer over time: their order, phases, and how busy the stations are."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest

from sim.account.timeline import PassKind, Timeline
from sim.check.cases import random_cases
from sim.engine.layer_run import simulate_layer
from sim.plan.limits import MOST_KINDS, MOST_RUNS
from sim.plan.order import Order, fold
from sim.run import estimate, run


def unfold(order: Order) -> list[int]:
    return [
        kind
        for times, runs in order
        for _ in range(times)
        for kind, many in runs
        for _ in range(many)
    ]


def test_folding_loses_nothing() -> None:
    passes = [(0, False), (1, False), (1, True), (0, False), (1, False), (1, True), (2, True)]
    order = fold(passes)
    assert order == ((2, ((0, 1), (1, 2))), (1, ((2, 1),)))
    assert unfold(order) == [kind for kind, _ in passes]
    assert fold([(3, False)]) == ((1, ((3, 1),)),)


def test_order_and_phases_of_random_layers() -> None:
    for case in islice(random_cases(43_000), 40):
        activity = simulate_layer(case.plan)
        cycles = [kind.cycles for kind in activity.kinds]
        assert [cycles[kind] for kind in unfold(activity.order)] == activity.pass_cycles.tolist()
        for kind in activity.kinds:
            assert kind.profile is not None
            assert min(kind.profile.phases) >= 0
            charged = case.plan.hw.schedule.charge_full_strip
            assert sum(kind.profile.phases) == kind.cycles or charged
            for shares in kind.profile.busy.values():
                assert all(-1e-9 <= share <= 1 + 1e-9 for share in shares)


def test_profile_agrees_with_the_ledger() -> None:
    activity = simulate_layer(next(random_cases(44_000)).plan)
    plan = next(random_cases(44_000)).plan
    products = words_out = 0.0
    for kind in activity.kinds:
        assert kind.profile is not None
        share = {name: float(np.mean(busy)) for name, busy in kind.profile.busy.items()}
        pes = (
            len(kind.shape.filters)
            * kind.shape.strip_rows
            * sum(plan.layer.R for _ in kind.shape.channels)
        )
        products += share["pes"] * kind.cycles * pes * kind.passes
        words_out += share["psum_out_bus"] * kind.cycles * kind.passes
    assert products == pytest.approx(activity.counts["mac.total"], rel=1e-3)
    rate = plan.hw.noc.psum_words_per_cycle
    beats = sum(
        kind.passes * kind.shape.windows * kind.shape.strip_rows
        * sum(-(-p // rate) for p in kind.shape.filters)
        for kind in activity.kinds
    )  # fmt: skip
    assert words_out == pytest.approx(beats, rel=1e-3)


def test_result_file_has_both() -> None:
    layer = run("lenet5", layers=["C3"]).layers[0]
    found = layer.to_dict()["timeline"]
    assert sum(k["cycles"] * k["passes"] for k in found["kinds"]) == layer.processing_cycles
    assert sum(k["passes"] for k in found["kinds"]) == layer.passes
    assert found["complete"]
    for kind in found["kinds"]:
        assert sum(kind["phases"].values()) == kind["cycles"]
    assert set(found["detail"]["busy"]) == {
        "filter_bus", "ifmap_bus", "pes", "psum_in_bus", "psum_out_bus",
    }  # fmt: skip
    closed = estimate("lenet5", layers=["C3"]).layers[0].to_dict()["timeline"]
    assert closed["complete"]
    assert "detail" not in closed
    assert sum(k["passes"] for k in closed["kinds"]) == layer.passes


def kind(cycles: int, passes: int = 1, load: int = 0, **others: Any) -> PassKind:
    phases = {"load": load, "ramp": 0, "steady": cycles - load, "drain": 0}
    return PassKind(1, 1, 1, 1, True, cycles, passes, phases, **others)


def test_a_long_order_is_cut_and_says_so() -> None:
    kinds = (kind(10), kind(20))
    order = tuple((1, ((place % 2, place + 1),)) for place in range(MOST_RUNS + 1))
    found = Timeline.of(kinds, order).to_model().model_dump(mode="json")
    assert found["order"] == [[1, [[place % 2, place + 1]]] for place in range(MOST_RUNS)]
    assert not found["complete"]
    assert not Timeline.of(kinds).complete
    assert Timeline.of(kinds, order[:MOST_RUNS]).complete
    one_block = ((3, tuple((place % 2, 1) for place in range(MOST_RUNS + 7))),)
    found = Timeline.of(kinds, one_block).to_model().model_dump(mode="json")
    assert [(times, len(runs)) for times, runs in found["order"]] == [(1, MOST_RUNS)]
    assert not found["complete"]


def test_kinds_that_read_the_same_are_one() -> None:
    """Passes may find the link at other places and still take the same cycles in each phase."""
    kinds = (kind(10), kind(12), kind(10, 5), kind(12, 2, load=3), kind(12, 4))
    order = ((2, ((0, 1), (2, 2))), (1, ((2, 3), (0, 0))), (1, ((1, 1), (4, 4), (3, 2))))
    found = Timeline.of(kinds, order)
    assert found.kinds == (kind(10, 6), kind(12, 5), kind(12, 2, load=3))
    assert found.order == ((3, ((0, 3),)), (1, ((1, 5), (2, 2))))
    assert found.complete


def test_what_is_busy_is_kept_of_the_kind_that_takes_most_of_the_time() -> None:
    busy = {"pes": [0.5]}
    found = Timeline.of((kind(10, busy=busy), kind(20, busy=busy), kind(5, busy=busy)))
    assert [each.busy for each in found.kinds] == [{}, busy, {}]
    assert found.to_model().model_dump(mode="json")["detail"] == {"kind": 1, "busy": busy}


def test_kinds_beyond_the_limit_are_left_out_and_summed() -> None:
    kinds = [kind(10 + place, 2) for place in range(MOST_KINDS + 3)]
    order = tuple((1, ((place, 2),)) for place in range(len(kinds)))
    found = Timeline.of(kinds, order).to_model().model_dump(mode="json")
    assert len(found["kinds"]) == len(found["order"]) == MOST_KINDS
    others = sum(each.all_cycles for each in kinds[MOST_KINDS:])
    assert found["left_out"] == {"passes": 6, "cycles": others}
    assert not found["complete"]
    shown = sum(each["cycles"] * each["passes"] for each in found["kinds"])
    assert shown + others == sum(each.all_cycles for each in kinds)
    assert Timeline.of(kinds[:MOST_KINDS]).to_model().left_out is None
