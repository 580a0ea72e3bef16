"""Passes of the public RTL: what is shipped of them, and the simulation, equal to the cycle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hw_models.load import load_hardware
from sim.cli import main
from sim.reference.rtl import RTLComparison, compare_with_rtl, simulate_rtl_pass
from sim.reference.tables import load_rtl_passes
from workloads.inputs.faults import InputError

SMALL = """
passes:
  own:
    {R: 3, S: 3, U: 1, F: 4, W: 6, D: 6, n: 1, e: 4, p: 4, q: 1, r: 1, t: 1,
     active_pes: 12, window: 17, overlap: {total: 90, first_psum: 42}}
"""


@pytest.fixture(scope="module")
def compared() -> RTLComparison:
    return compare_with_rtl(load_rtl_passes())


def test_every_pass_is_equal_to_the_cycle(compared: RTLComparison) -> None:
    differing = [row for row in compared.rows if not row.equal]
    assert not differing
    assert [(part.run, part.passes) for part in compared.summary()] == [
        ("overlap", 9),
        ("shallow", 5),
        ("filters_first", 9),
    ]


def test_windows_in_steady_state_are_those_of_the_formula() -> None:
    for measured in load_rtl_passes().passes.values():
        p, q, step = measured.p, measured.q, min(measured.U, measured.S)
        assert measured.window == p * q * measured.S + p + q * step


def test_the_glb_limits_no_pass_that_was_fed_from_outside() -> None:
    measured = load_rtl_passes().passes["conv4_n4"]
    many = measured.model_copy(update={"n": 16})
    assert simulate_rtl_pass(many, load_hardware("eyeriss_rtl")).total > 30_000


def test_a_rule_that_is_left_out_is_seen() -> None:
    passes = load_rtl_passes()
    without = compare_with_rtl(passes, settings=["noc.psum_order=chain"])
    shallow = {part.run: part for part in without.summary()}["shallow"]
    assert shallow.worst_percent == pytest.approx(122.5, abs=0.1)


def test_the_chip_holds_what_each_run_sets() -> None:
    runs = load_rtl_passes().runs
    for run in type(runs).model_fields:
        load_hardware("eyeriss_rtl", getattr(runs, run).set)


def test_command_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passes, file = tmp_path / "own.yaml", tmp_path / "found.json"
    passes.write_text(SMALL)
    assert main(["validate", "rtl", "--passes", str(passes), "--json", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "A public RTL re-implementation, and eyeriss_rtl"
    (row,) = [line.split() for line in lines if line.startswith("  own ")]
    assert row == ["own", "overlap", "97", "90", "+7", "+7.78", "42", "42", "+0"]
    data: dict[str, Any] = json.loads(file.read_text())
    assert (data["schema"], data["version"]) == ("eyeriss-sim/rtl-validation", 1)
    assert data["source"] == str(passes)
    assert data["rows"][0]["simulated"] == {"total": 97, "first_psum": 42}
    assert data["summary"][0]["equal"] == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("D: 6", "D: 7", "passes.own: D is 7, and 6 by the other numbers of the pass"),
        ("active_pes: 12", "active_pes: 13", "active_pes is 13, and 12 by the other numbers"),
        ("total: 90", "total: 0", "passes.own.overlap.total: must be more than 0, got 0"),
        ("p: 4", "p: 99", "99"),
    ],
)
def test_mistakes_in_a_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    passes = tmp_path / "own.yaml"
    passes.write_text(SMALL.replace(old, new))
    with pytest.raises(InputError, match=message):
        compare_with_rtl(load_rtl_passes(str(passes)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rtl", "alexnet"], "rtl is compared alone"),
        (["rtl", "--energy", "isca2016"], "--energy has no part in cycles"),
        (["alexnet", "--passes", "x.yaml"], "--passes are passes of the RTL"),
        (["rtl", "--passes", "none.yaml"], "none.yaml"),
        (["rtl", "--set", "noc.psum_order=row"], "error: --set noc.psum_order=row: must be"),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
