"""`eyeriss-sim check`: tables, exit codes, JSON, and cases that can be run again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sim.check import compare
from sim.check.cases import Case, read_case
from sim.check.compare import Difference, LayerCheck
from sim.cli import main
from sim.dataflow.row_stationary.passes import Plan
from sim.errors import DeadlockError

TINY = """
batch: 1
hw: eyeriss_v1
set: []
mapping: m=4,n=1,e=2,p=2,q=1,r=1,t=1
network: case
layers:
- {name: CASE, ifmap: 6, channels: 2, filters: 4, filter: 3}
"""

TRY = ": try another --mapping, --hw or --set\n"


@pytest.fixture
def case_file(tmp_path: Path) -> Path:
    file = tmp_path / "case.yaml"
    file.write_text(TINY)
    return file


def change_checks(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[LayerCheck], LayerCheck]
) -> None:
    whole = compare.check_layer

    def changed(plan: Plan, *memory: object) -> LayerCheck:
        return change(whole(plan, *memory))  # type: ignore[arg-type]

    monkeypatch.setattr(compare, "check_layer", changed)


def with_differences(check: LayerCheck) -> LayerCheck:
    wrong = tuple(Difference(f"glb.entry{place}", 1000 + place, 7) for place in range(14))
    return replace(check, differences=wrong, first="layer X, pass 3, block glb, entry 0")


def slower(percent: float) -> Callable[[LayerCheck], LayerCheck]:
    return lambda check: replace(
        check, closed_form_cycles=round(check.engine_cycles * (1 + percent / 100))
    )


# --- networks -------------------------------------------------------------------------------------


def test_a_network_that_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "lenet5", "--layer", "C1", "--layer", "OUTPUT"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "lenet5 on eyeriss_v1, batch 1"
    rows = [line.split() for line in lines if line.split()[:1] in (["C1"], ["OUTPUT"])]
    assert [row[-1] for row in rows[:2]] == ["yes", "yes"]
    assert [row[0] for row in rows[2:]] == ["C1", "OUTPUT"]  # total latency and waits
    assert rows[2][-2:] == ["2,859", "2,859"]  # cycles waited for ofmaps, by both
    assert rows[0][1] == "2"  # passes
    assert "Every count is equal; cycles differ by " in captured.out
    assert "tolerance 1 %." in captured.out
    assert captured.out.endswith("\nNotes\n  no published mapping, took auto: all layers\n")
    assert max(map(len, lines)) <= 80


def test_a_count_that_differs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_checks(monkeypatch, with_differences)
    assert main(["check", "lenet5", "--layer", "OUTPUT"]) == 1
    out = capsys.readouterr().out
    assert "14 not" in out
    assert "1 of 1 layer do not hold" in out
    assert "First difference: layer X, pass 3, block glb, entry 0\n" in out
    assert "  glb.entry0: engine 1,000, closed form 7 (+993)\n" in out
    assert "  and 2 more\n" in out
    assert "glb.entry12" not in out


@pytest.mark.parametrize(("tolerance", "code"), [([], 1), (["--tolerance", "3"], 0)])
def test_cycles_beyond_the_tolerance(
    tolerance: list[str],
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change_checks(monkeypatch, slower(2))
    assert main(["check", "lenet5", "--layer", "C3", *tolerance]) == code
    out = capsys.readouterr().out
    assert "+2.0" in out
    assert ("C3: cycles: engine " in out) == bool(code)


def test_a_tiny_difference_is_not_shown_as_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def off_by_one(check: LayerCheck) -> LayerCheck:
        return replace(check, engine_cycles=10**8, closed_form_cycles=10**8 - 1)

    change_checks(monkeypatch, off_by_one)
    assert main(["check", "lenet5", "--layer", "C3"]) == 0
    assert " -<0.001 " in capsys.readouterr().out


def test_the_json_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "check.json"
    change_checks(monkeypatch, with_differences)
    assert main(["check", "lenet5", "--layer", "C3", "-q", "--json", str(file)]) == 1
    assert capsys.readouterr() == ("", "")
    outcome = json.loads(file.read_text())
    assert (outcome["schema"], outcome["version"]) == ("eyeriss-sim/check", 1)
    assert outcome["checked"] == "lenet5 on eyeriss_v1, batch 1"
    assert outcome["holds"] is False
    assert outcome["tolerance_percent"] == 1
    assert outcome["worst_difference"] >= outcome["mean_difference"]
    (layer,) = outcome["layers"]
    assert (layer["name"], layer["passes"], layer["holds"]) == ("C3", 6, False)
    assert layer["differences"][1] == {"entry": "glb.entry1", "engine": 1001, "closed_form": 7}
    assert layer["first_difference"].startswith("layer X, pass 3")


def test_json_on_stdout_takes_the_place_of_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "lenet5", "--layer", "F6", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["holds"] is True


def test_a_refused_layer(capsys: pytest.CaptureFixture[str]) -> None:
    limit = ["--set", "limits.filter_rows=[1, 3]"]
    assert main(["check", "lenet5", "--layer", "C1", *limit]) == 2
    assert capsys.readouterr().err.endswith(f"refuses every layer; nothing was checked{TRY}")


def test_a_law_that_breaks_is_a_defect(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(*_: object) -> LayerCheck:
        raise DeadlockError("PE (0, 1) waits for filters")

    monkeypatch.setattr(compare, "check_layer", stuck)
    assert main(["check", "lenet5"]) == 3
    assert capsys.readouterr().err.startswith("internal error: PE (0, 1) waits for filters\n")


# --- random cases ---------------------------------------------------------------------------------


def test_random_cases_that_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--random", "5", "--seed", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.startswith(
        "5 random cases of seed 1\n\n  every count equal in 5 of 5 cases\n  cycles in "
    )
    assert "  worst: " in captured.out
    assert captured.out.endswith("\nAll hold; cycles within 3 % where they are claimed.\n")
    assert max(map(len, captured.out.splitlines())) <= 80


def test_a_failing_case_is_printed_and_can_be_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_checks(monkeypatch, with_differences)
    assert main(["check", "--random", "2", "--seed", "9"]) == 1
    out = capsys.readouterr().out
    assert "2 fail: a count differs, cycles by more than 3 %, or one of the two broke" in out
    assert "Save as case-9-0.yaml and run: eyeriss-sim check --case case-9-0.yaml\n" in out
    printed = out.partition("# case-9-1.yaml\n")[2]
    file = tmp_path / "case-9-1.yaml"
    file.write_text(printed)
    case = read_case(file)
    assert case.to_yaml() == printed
    assert main(["check", "--case", str(file)]) == 1
    assert "First difference: layer X" in capsys.readouterr().out


def test_a_case_that_breaks_the_simulator_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stuck(*_: object) -> LayerCheck:
        raise DeadlockError("somebody waits")

    monkeypatch.setattr(compare, "check_layer", stuck)
    assert main(["check", "--random", "7"]) == 1
    out = capsys.readouterr().out
    assert "7 random cases of seed 0\n\n  every count equal in 0 of 7 cases\n" in out
    assert "Case 0:\n  DeadlockError: somebody waits\nSave as case-0-0.yaml" in out
    assert out.count("DeadlockError") == 5
    assert out.endswith("\n2 more are in the file of --json.\n")


def test_cycles_are_claimed_only_with_fifos_as_deep_as_the_chips(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    change_checks(monkeypatch, slower(20))
    assert main(["check", "--random", "30", "--json", "-"]) == 1
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert {case["default_fifos"] for case in cases} == {True, False}
    assert all(case["holds"] != case["default_fifos"] for case in cases)
    assert all(("yaml" in case) == case["default_fifos"] for case in cases)


def test_the_json_of_random_cases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--random", "4", "--seed", "2", "--json", "-"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert (outcome["seed"], outcome["tolerance_percent"], outcome["holds"]) == (2, 3, True)
    assert [case["case"] for case in outcome["cases"]] == [0, 1, 2, 3]
    (worst,) = (case for case in outcome["cases"] if "yaml" in case)
    assert abs(worst["difference"]) == outcome["worst_difference"]


# --- a saved case ---------------------------------------------------------------------------------


def test_a_saved_case(case_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--case", str(case_file), "--json", str(case_file.parent / "x")]) == 0
    out = capsys.readouterr().out
    assert "2 channels of 6 x 6, 4 filters of 3 x 3, stride 1 x 1, batch 1, eyeriss_v1" in (
        out.replace("\n", " ")
    )
    assert "tolerance 3 %" in out
    assert json.loads((case_file.parent / "x").read_text())["tolerance_percent"] == 3


def test_a_saved_case_with_shallow_fifos_has_no_tolerance(
    case_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case_file.write_text(TINY.replace("set: []", "set: [pe.psum_in_fifo_words=4]"))
    change_checks(monkeypatch, slower(20))
    args = ["check", "--case", str(case_file)]
    assert main(args) == 0
    out = capsys.readouterr().out
    assert "tolerance" not in out
    assert "the FIFOs of this case are not the chip's, so its cycles may differ" in out
    assert main([*args, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["tolerance_percent"] is None
    assert main([*args, "--tolerance", "5"]) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("batch: 0\n", ": batch: "),
        (TINY.replace("channels: 2", "channels: 0"), "channels: "),
        (TINY.replace("hw: eyeriss_v1", "hw: eyeriss_v9"), "no shipped hardware 'eyeriss_v9'"),
        (TINY.replace("set: []", "set: [array.rows=2]"), "limit"),
        (TINY + "extra: 1\n", "extra"),
        ("", "error: "),
    ],
)
def test_a_wrong_case_file(
    text: str, words: str, case_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case_file.write_text(text)
    assert main(["check", "--case", str(case_file)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert "internal error" not in captured.err


def test_no_case_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--case", "absent.yaml"]) == 2
    assert capsys.readouterr().err == "error: absent.yaml: no such file\n"


# --- usage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "last"),
    [
        (["--random", "3", "--case", "x"], "error: --random draws cases and --case reads one: "),
        (["alexnet", "--random", "3"], "error: NETWORK has no meaning with --random: a case has"),
        (["--case", "x", "--layer", "A"], "error: --layer has no meaning with --case: a case has"),
        (["--random", "3", "--set", "a=1"], "error: --set has no meaning with --random: "),
        (["lenet5", "--seed", "3"], "error: --seed needs --random: nothing else is drawn"),
        (["--random", "0"], "error: Invalid value for '--random': 0 is not in the range"),
        (["lenet5", "--tolerance", "-1"], "error: Invalid value for '--tolerance': -1 is not a"),
        (["lenet5", "--tolerance", "nan"], "error: Invalid value for '--tolerance': nan is not a"),
        (["lenet5", "--tolerance", "inf"], "error: Invalid value for '--tolerance': inf is not a"),
    ],
)
def test_wrong_usage(args: list[str], last: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(last)


def test_the_file_is_checked_before_anything_is_simulated(
    case_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> LayerCheck:
        raise AssertionError("must not be simulated")

    monkeypatch.setattr(compare, "check_layer", never)
    for args in (["lenet5"], ["--random", "2"], ["--case", str(case_file)]):
        assert main(["check", *args, "--json", "/absent/x"]) == 2
        assert capsys.readouterr().err.startswith("error: /absent/x: cannot be written: ")


def test_help_imports_nothing_heavy(capsys: pytest.CaptureFixture[str]) -> None:
    code = (
        "import sys; from sim.cli import main; code = main(['check', '--help']);"
        "print([n for n in ('numpy', 'simpy', 'rich', 'pydantic') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert main(["check"]) == 0
    assert capsys.readouterr().out.startswith("Usage: eyeriss-sim check [OPTIONS] [NETWORK]\n")


def test_the_chips_fifos_or_deeper() -> None:
    def case(*overrides: str) -> Case:
        return replace(read, overrides=overrides)

    read = _tiny()
    assert case().default_fifos
    assert case("pe.ifmap_fifo_words=64").default_fifos
    assert case("pe.ifmap_fifo_words=16", "noc.psum_words_per_cycle=2").default_fifos
    assert not case("pe.ifmap_fifo_words=15").default_fifos
    assert not case("pe.psum_out_fifo_words=7").default_fifos


def _tiny() -> Case:
    from sim.dataflow.row_stationary.mapping import Mapping
    from workloads.layer import Layer

    layer = Layer(name="CASE", M=4, C=2, H=6, W=6, R=3, S=3)
    return Case(layer, 1, "eyeriss_v1", (), Mapping(m=4, n=1, e=2, p=2, q=1, r=1, t=1))
