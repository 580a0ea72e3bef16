"""What a check says: which figures differ, by how much, and where the first one lies."""

from __future__ import annotations

import pytest

from sim.analytic.form import estimate_layer
from sim.check import compare
from sim.check.cases import Case
from sim.check.compare import Difference, LayerCheck, _figures, check_layer, summary
from sim.dataflow.program import Program
from sim.dataflow.row_stationary.mapping import parse_mapping
from sim.plan.dram_traffic import DramStall
from workloads.layer import Layer

LAYER = Layer(name="L", M=6, C=3, H=8, W=6, R=3, S=3)
CASE = Case(LAYER, 1, "eyeriss_v1", (), parse_mapping("m=6,n=1,e=4,p=2,q=1,r=1,t=2"))


NO_WAITS = DramStall(0, 0, 0, 0)


def check(engine: int, closed_form: int, *differences: Difference) -> LayerCheck:
    return LayerCheck("L", 1, 10, engine, closed_form, NO_WAITS, NO_WAITS, differences)


def test_a_layer_that_holds() -> None:
    found = check_layer(CASE.plan)
    assert found.differences == ()
    assert found.first == ""
    assert abs(found.worst_error) < 0.01
    assert found.passes == CASE.plan.passes
    # 168 PEs of which each has three figures, and the ledger.
    assert found.entries > 3 * 168 + 20
    assert found.holds(0.01)


def test_the_first_difference_names_pass_block_and_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Program.counts

    def broken(self: Program) -> dict[str, int]:
        counts = whole(self)
        for name in ("noc.gin_filter.deliveries", "spad.filter.write"):
            counts[name] += counts["noc.gin_filter.words"]  # another PE for each word
        return counts

    monkeypatch.setattr(Program, "counts", broken)
    found = check_layer(CASE.plan)
    assert {difference.entry for difference in found.differences} == {
        "noc.gin_filter.deliveries",
        "spad.filter.write",
    }
    assert not found.holds(1)
    assert found.first == (
        "layer L, pass 0 (group 0, images 0+1, ofmap rows 0+4, columns 0+4, filters 0+4, channels "
        "0+1), block noc, entry noc.gin_filter.deliveries: engine 180, closed form 144"
    )


def test_a_difference_that_no_single_pass_has(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare.simulate_layer

    def broken(*args: object, **options: object) -> object:
        activity = whole(*args, **options)  # type: ignore[arg-type]
        activity.counts["glb.ofmap.read"] += 1
        return activity

    monkeypatch.setattr(compare, "simulate_layer", broken)
    found = check_layer(CASE.plan)
    assert [str(difference) for difference in found.differences] == [
        "glb.ofmap.read: engine 145, closed form 144"
    ]
    assert found.first == "layer L: no single pass differs; the sum over passes does"


def test_tolerance() -> None:
    assert check(1000, 1009).holds(0.01)
    assert check(1000, 991).holds(0.01)
    assert not check(1000, 1011).holds(0.01)
    assert not check(1000, 1000, Difference("x", 1, 2)).holds(1)


@pytest.mark.parametrize(
    ("waits", "what"),
    [
        (DramStall(300, 120, 0, 0), "total latency"),
        (DramStall(320, 80, 0, 0), "waiting for ifmaps"),
        (DramStall(280, 120, 0, 0), "waiting for ofmaps"),
    ],
)
def test_total_latency_and_each_wait_are_held(waits: DramStall, what: str) -> None:
    """Of 1000 cycles and 400 of standstill: 20 are 1.4 % of the total."""
    expected = DramStall(300, 100, 0, 0)
    found = LayerCheck("L", 1, 10, 1000, 1000, expected, waits, ())
    assert abs(found.errors[what]) == pytest.approx(20 / 1400)
    assert found.errors["cycles"] == 0
    assert not found.holds(0.014)
    assert found.holds(0.015)


def test_bits_on_the_link_are_counts() -> None:
    names = _figures(estimate_layer(CASE.plan))
    assert names["dram.ifmap.bits"] == 16 * names["dram.ifmap.read"]
    assert names["dram.ofmap.bits"] == 16 * names["dram.ofmap.write"]


def test_summary_takes_absolute_differences() -> None:
    mean, worst = summary([check(1000, 1010), check(1000, 970)])
    assert mean == pytest.approx(0.02)
    assert worst == pytest.approx(0.03)
