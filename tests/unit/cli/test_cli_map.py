"""`eyeriss-sim map`: what it prints, and the file that other commands read."""

import json
from pathlib import Path

import pytest

from sim.cli import main


def test_the_best_mapping_and_its_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "alexnet", "--layer", "CONV1", "--objective", "energy"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Least energy on eyeriss_v1\n")
    assert "m=96,n=1,e=7,p=20,q=1,r=1,t=2" in out
    assert "proved" in out


def test_the_file_is_a_mapping_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, result = tmp_path / "best.yaml", tmp_path / "result.json"
    chosen = ["lenet5", "--layer", "C1,C3"]
    assert main(["map", *chosen, "-o", str(best), "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert main(["estimate", *chosen, "--mapping", str(best), "--json", str(result), "-q"]) == 0
    layers = json.loads(result.read_text())["layers"]
    assert main(["map", *chosen, "-o", "-"]) == 0
    assert capsys.readouterr().out == best.read_text()
    for layer in layers:
        inner = ", ".join(f"{name}: {value}" for name, value in layer["mapping"].items())
        assert f"  {layer['name']}: {{{inner}}}\n" in best.read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--fix", "z=1"], "--fix: 'z' is no factor"),
        (["--fix", "e=0"], "--fix: e must be a whole number from 1 to 1048576, got '0'"),
        (["--fix", "e=1,e=2"], "--fix: e is given twice"),
        (["--objective", "speed"], "'speed' is no objective: energy, latency, processing, dram"),
        (["--fix", "e=100"], "e=100 excludes all mappings: e is 1 to 14 here"),
        (["--top", "0"], "0 is not in the range 1<=x<=100"),
    ],
)
def test_mistakes(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["map", "alexnet", "--layer", "CONV1", *given]) == 2
    assert message in capsys.readouterr().err


def test_a_refused_layer_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "best.yaml"
    assert (
        main(["map", "alexnet", "--layer", "CONV1", "--set", "array.rows=4", "-o", str(target)])
        == 2
    )
    assert "refused: CONV1: no legal mapping: r*R = 11, limit 4" in capsys.readouterr().err
    assert not target.exists()
