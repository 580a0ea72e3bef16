"""Spans of PEs: what each does in every cycle of a pass, charged cycles included."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import traces
from hw_models.load import load_hardware
from hw_models.vocabulary import CAUSES
from sim.recorder import TraceRecorder
from sim.run import prepare, simulate
from traces.stalls import Spans


def spans(*parts: tuple[str, int]) -> Spans:
    duration = np.array([cycles for _, cycles in parts])
    cause = np.array([CAUSES.index(name) for name, _ in parts])
    return Spans(cause, np.cumsum(duration) - duration, duration)


def parts(found: Spans) -> list[tuple[str, int]]:
    pairs = zip(found.cause.tolist(), found.duration.tolist(), strict=True)
    assert found.start.tolist() == (np.cumsum(found.duration) - found.duration).tolist()
    return [(CAUSES[cause], cycles) for cause, cycles in pairs]


def test_cycles_charged_beyond_a_pass_go_to_the_last_span() -> None:
    idle = spans(("computing", 5), ("idle", 2))
    assert parts(idle.lasting(7)) == parts(idle)
    assert parts(idle.lasting(10)) == [("computing", 5), ("idle", 5)]
    assert parts(spans(("clock_gated", 4)).lasting(6)) == [("clock_gated", 6)]
    assert parts(spans(("accumulating", 4)).lasting(6)) == [("accumulating", 4), ("idle", 2)]
    assert idle.at(4) == (CAUSES.index("computing"), 0)
    assert idle.at(5) == (CAUSES.index("idle"), 5)
    assert dict(zip(CAUSES, idle.cycles(), strict=True))["idle"] == 2


def test_spans_of_all_passes_come_to_the_stall_table(tmp_path: Path) -> None:
    hw = load_hardware("eyeriss_v1", ["schedule.charge_full_strip=true"])
    prepared = prepare(
        "lenet5", layers=["C3"], batch=1, hw=hw, mapping="m=16,n=1,e=4,p=8,q=2,r=1,t=2"
    )
    with TraceRecorder(tmp_path / "t", prepared) as recorder:
        result = simulate(prepared, observers=[recorder])
    (layer,) = result.layers
    with traces.open(tmp_path / "t") as trace:
        charged = 0
        found = {cause: np.zeros((12, 14), np.int64) for cause in CAUSES}
        for one in trace.layers[0].passes:
            number = int(one["template"])
            charged += int(one["cycles"]) - trace.template(number).cycles
            for at, mine in trace.spans(number).items():
                for cause, cycles in zip(
                    CAUSES, mine.lasting(int(one["cycles"])).cycles(), strict=True
                ):
                    found[cause][at] += cycles
    assert charged
    for cause in CAUSES:
        assert np.array_equal(found[cause], layer.pe_cycles[cause]), cause
