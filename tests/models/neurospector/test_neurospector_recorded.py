"""Every recorded run of NeuroSpector is repeated token by token, but for its run time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from neurospector_cases import arguments, recorded, tokens

from sim.cli import main


def outputs(folder: Path) -> dict[str, list[list[str]]]:
    """What a run wrote, by file, as tokens."""
    files = [folder / "stdout.txt", *folder.glob("*-*.txt")]
    return {file.name: tokens(file.read_text()) for file in files}


@pytest.mark.parametrize("case", recorded("analyzer"), ids=lambda case: case.name)
def test_analyzer(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main([*arguments(case), "--original", str(tmp_path), "--json", str(tmp_path / "j")])
    assert outputs(tmp_path) == outputs(case)
    shown = capsys.readouterr()
    if not outputs(case)["stdout.txt"]:  # refused: there in two words, here with rule and limit
        assert code == 2
        assert "limit 224" in shown.err
        return
    assert code == 0
    assert tokens(shown.out) == outputs(case)["stdout.txt"]
    statistics = json.loads((tmp_path / "j").read_text())["statistics"]
    for line in (case / "stdout.txt").read_text().partition("Analyze")[2].splitlines():
        label, colon, value = line.partition(" : ")
        if colon and value != "bypass":
            number = value.removesuffix(" pJ").removesuffix(" mW")
            assert f"{statistics[label.strip()]:.6g}" == f"{float(number):.6g}", label


SLOW = ("o01", "o03")  # o08 finds what o01 does, with totals changed; o03 is six such searches


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            case, id=case.name, marks=[pytest.mark.slow] if case.name.startswith(SLOW) else []
        )
        for case in recorded("optimizer")
    ],
)
def test_optimizer(case: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*arguments(case), "--original", str(tmp_path)]) == 0
    assert outputs(tmp_path) == outputs(case)
    shown = capsys.readouterr().out
    if case.name.startswith("o13"):  # there silent
        assert "stages failed, no candidate was legal: a CONSTRAINT of a buffer" in shown
