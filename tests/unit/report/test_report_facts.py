"""What readers need is in the result: none of them lays a layer out again."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from report_results import written

from hw_models.load import load_hardware
from sim.analytic.form import bus_cycles
from sim.check.cases import random_cases
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.layer_run import simulate_layer
from sim.plan import make
from sim.report.load import of_result, read_result
from sim.report.page.html import render_page
from sim.report.text.summary import render_result
from sim.run import estimate, prepare

CONV = ["CONV1", "CONV2", "CONV3", "CONV4", "CONV5"]


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Plans made, by the module that asked; those of changes that are tried are left out."""
    made: Counter[str] = Counter()
    usual = make.make_plan

    def counted(*arguments: object, **named: object) -> Plan:
        module = sys._getframe(1).f_globals["__name__"]
        if module not in ("sim.advice", "sim.mapper.auto"):  # what they try is no plan of the run
            made[module] += 1
        return usual(*arguments, **named)  # type: ignore[arg-type]

    for name, module in list(sys.modules.items()):
        if name.startswith("sim.") and getattr(module, "make_plan", None) is usual:
            monkeypatch.setattr(module, "make_plan", counted)
    return made


def test_a_summary_and_a_page_of_five_layers_make_five_plans(planned: Counter[str]) -> None:
    result = estimate("alexnet", layers=CONV)
    render_result(result, legends=True)
    render_page([("alexnet", of_result(result))])
    assert planned == {"sim.run": 5}


def test_a_page_of_a_file_lays_each_layer_out_once(planned: Counter[str], tmp_path: Path) -> None:
    name = written(estimate("alexnet", layers=CONV).to_dict(), tmp_path / "r.json")
    planned.clear()
    render_page([("alexnet", read_result(name))])
    assert planned == {"sim.facts": 5}


@pytest.mark.parametrize("seed", [1, 2])
def test_engine_and_closed_form_agree_on_how_long_each_bus_sends(seed: int) -> None:
    for case in islice(random_cases(seed), 12):
        engine = {"gin_psum": 0, **simulate_layer(case.plan).bus_cycles}
        closed = bus_cycles(case.plan)
        # A beat of several ifmap words is cut where one of them waits for room in a PE.
        wide = case.plan.hw.noc.gin_ifmap_words_per_cycle > 1
        several = engine.pop("gin_ifmap"), closed.pop("gin_ifmap")
        assert several[0] >= several[1] if wide else several[0] == several[1]
        assert engine == closed


def test_parts_are_those_of_the_chains() -> None:
    (plan,) = prepare("alexnet", layers=["CONV3"]).plans
    parts, placement = plan.placement.parts(), plan.placement
    assert (parts != "").sum() == plan.active_pes
    for site in placement.chain(1, 5, placement.channel_sets):
        assert parts[site.row, site.column] == f"1.{site.channel_set}.{site.filter_row}.5"


def test_a_wide_ifmap_bus_is_busy_for_as_long_as_it_sends() -> None:
    (plan,) = prepare("lenet5", layers=["C3"], hw=load_hardware("eyeriss_int8")).plans
    outcome = simulate_layer(plan)
    words = outcome.counts["noc.gin_ifmap.words"]
    assert words / 2 <= outcome.bus_cycles["gin_ifmap"] <= words
