"""The Python interface under one name: what it hands on, and that the wheel has it."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

import eyeriss_sim
from sim.account.result import LayerResult, Result

ROOT = Path(__file__).parents[2]


def test_names_for_type_checkers_are_those_at_run_time() -> None:
    tree = ast.parse((ROOT / "eyeriss_sim.py").read_text(encoding="utf-8"))
    (block,) = (
        node
        for node in tree.body
        if isinstance(node, ast.If)
        and node.orelse == []
        and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    checked = {
        name.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    assert checked == eyeriss_sim._HOMES
    for name in checked:
        assert getattr(eyeriss_sim, name) is not None
        assert name in dir(eyeriss_sim)
    with pytest.raises(AttributeError, match="'eyeriss_sim' has no attribute 'rum'"):
        eyeriss_sim.rum  # noqa: B018


def test_importing_it_imports_nothing_of_the_simulator() -> None:
    code = (
        "import sys, eyeriss_sim; "
        "print([m for m in ('sim', 'numpy', 'pydantic', 'simpy', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_it_runs_as_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["eyeriss_sim", "show", "network"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(ROOT / "eyeriss_sim.py"), run_name="__main__")
    assert left.value.code == 0
    assert "  alexnet\n" in capsys.readouterr().out


def test_the_wheel_has_it_beside_the_four_folders(tmp_path: Path) -> None:
    (file,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(file) as wheel:
        names = wheel.namelist()
        assert wheel.read("eyeriss_sim.py") == (ROOT / "eyeriss_sim.py").read_bytes()
    tops = {name.split("/")[0] for name in names}
    info = {top for top in tops if re.fullmatch(r"eyeriss_sim-.*\.dist-info", top)}
    assert tops - info == {
        "eyeriss_sim.py",
        "sim",
        "hw_models",
        "workloads",
        "traces",
    }
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(file)!r}); import eyeriss_sim;"
            " print(eyeriss_sim.__file__)",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(file))


def layer_of(result: Result) -> LayerResult:
    (layer,) = result.layers
    return layer


def test_floats_stand_beside_the_fractions() -> None:
    result = eyeriss_sim.estimate("lenet5", layers=["C1"])
    energy = layer_of(result).energy
    assert energy is not None
    assert isinstance(energy.total, Fraction)
    assert energy.total_float == float(energy.total)
    assert result.total_ms == result.milliseconds(result.total_cycles)
    assert result.processing_ms == result.milliseconds(result.processing_cycles)


def test_a_frame_has_a_row_for_each_layer() -> None:
    result = eyeriss_sim.estimate(
        "lenet5",
        pricing=eyeriss_sim.load_pricing("nn_dataflow_65nm"),
        mapping="m=6,n=1,e=28,p=6,q=1,r=1,t=1",
    )
    frame = result.to_frame()
    assert list(frame.index) == [layer.layer.name for layer in result.layers]
    assert frame.attrs["left_out"] == list(result.left_out)
    assert frame["total_ms"].sum() == pytest.approx(result.total_ms)
    assert result.energy is not None
    assert frame["energy_pj"].sum() == pytest.approx(result.energy.total_float)
    causes = [name for name in frame.columns if name.endswith("_pe_cycles")]
    assert len(causes) == 8
    assert (frame[causes].sum(axis=1) == frame["processing_cycles"] * result.hw.pes).all()


def test_a_frame_without_pandas_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    result = eyeriss_sim.estimate("lenet5", layers=["C1"])
    with pytest.raises(eyeriss_sim.InputError, match=r"pip install 'eyeriss-sim\[frame\]'"):
        result.to_frame()
    assert result.rows()[0]["layer"] == "C1"
