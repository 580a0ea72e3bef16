"""`eyeriss-sim estimate`: the words, options and result file of `run`, without a simulation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sim.cli import main

TRY = ": try another --mapping, --hw or --set\n"


def test_the_summary_is_that_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "lenet5"]) == 0
    estimated = capsys.readouterr().out
    assert main(["run", "lenet5"]) == 0
    simulated = capsys.readouterr().out
    assert estimated.startswith(
        "lenet5 on eyeriss_v1\n5 layers, batch 1, closed form, not simulated; 12 x 14 = 168 PEs, "
    )
    same = ("Traffic of all layers", "Ifmap multicast", "Traffic by layer, MB", "Busy PEs")
    for title in same:  # counts are exact, so these sections are equal but for cycles
        assert title in estimated
        assert title in simulated
    titles = [block.splitlines()[0] for block in estimated.split("\n\n")]
    assert "Ifmap multicast: words by PEs that one transfer reaches" in titles
    multicast = [
        block for text in (estimated, simulated) for block in text.split("\n\n")
        if block.startswith("Ifmap multicast")
    ]  # fmt: skip
    assert multicast[0] == multicast[1]


def test_the_summary_tells_what_bounds_each_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "vgg16", "--layer", "CONV1-1", "--layer", "CONV1-2", "-v"]) == 0
    out = capsys.readouterr().out
    assert "simulated once" not in out
    assert "passes\n" not in out
    assert "Largest loss" not in out
    bound = [line.split()[0] for line in out.splitlines() if line.endswith("psum bus")]
    assert bound == ["CONV1-1", "CONV1-2"]
    assert "twice as fast, by the closed form; = stands between those of a tie." in " ".join(
        out.split()
    )
    assert max(map(len, out.splitlines())) <= 80


def test_the_result_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    assert main(["estimate", "lenet5", "--layer", "C3", "--quiet", "--json", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    result = json.loads(file.read_text())
    assert (result["schema"], result["version"]) == ("eyeriss-sim/result", 3)
    assert result["engine"] == "closed-form"
    (layer,) = result["layers"]
    assert layer["passes_simulated"] == 0
    bound = layer["bound"]
    assert bound["cycles"] == layer["cycles"]["total"]
    assert bound["by"] == ["DRAM link"]
    assert bound["together"] == min(bound["doubled"].values()) == bound["doubled"]["DRAM link"]
    assert main(["run", "lenet5", "--layer", "C3", "--json", "-"]) == 0
    simulated = json.loads(capsys.readouterr().out)
    assert layer["accesses"] == simulated["layers"][0]["accesses"]
    assert set(simulated["layers"][0]) == {*layer, "queues"}  # the closed form knows no FIFOs
    assert simulated["layers"][0]["bound"] == bound


def test_json_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "lenet5", "--layer", "F6", "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["engine"] == "closed-form"


@pytest.mark.parametrize(
    ("args", "last"),
    [
        (
            ["--layer", "C1"],
            f"error: eyeriss_v1 refuses every layer; nothing was estimated{TRY}",
        ),
        (
            ["--layer", "C1", "--layer", "F6"],
            f"error: eyeriss_v1 refuses layers that you named; nothing was estimated{TRY}",
        ),
    ],
)
def test_a_refused_layer_that_was_named(
    args: list[str], last: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "result.json"
    limit = ["--set", "limits.filter_rows=[1, 3]", "--json", str(file)]
    assert main(["estimate", "lenet5", *args, *limit]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("refused: C1: filter rows R = 5, limit 1 to 3")
    assert captured.err.endswith(last)
    assert not file.exists()


def test_refused_layers_among_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", "lenet5", "--set", "limits.filter_rows=[1, 3]"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("refused: C") == 3
    assert "Refused by the chip, not estimated\n  C1: filter rows R = 5" in captured.out


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["lenet6"], "error: no network 'lenet6'; did you mean 'lenet5'?"),
        (["lenet5", "--batch", "0"], "error: --batch: must be 1 to 4096, got 0\n"),
        (["lenet5", "--json", "/absent/x.json"], "error: /absent/x.json: cannot be written: "),
    ],
)
def test_mistakes(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(words)


def test_without_anything_it_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["estimate"]) == 0
    assert capsys.readouterr().out.startswith("Usage: eyeriss-sim estimate [OPTIONS] [NETWORK]\n")


def test_neither_simpy_nor_rich_is_imported() -> None:
    # What keeps the command at once; its time is not asserted, for tests share their machine.
    code = (
        "import sys; from sim.cli import main; code = main(['estimate', 'alexnet', '-q']);"
        "print([name for name in ('simpy', 'rich', 'sim.engine.machine') if name in sys.modules]);"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
