"""`eyeriss-sim model first-order`: its figures, charts and mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Capture, data, error, out, row, section

from sim.cli import main
from sim.models.first_order import estimate_network, example_network, example_precisions
from sim.report.plots.first_order import CHARTS


class TestFirstOrder:
    EXAMPLE = ("model", "first-order", "alexnet_ungrouped")
    PRUNED = (*EXAMPLE, "--precision", "alexnet_pruned")

    def test_the_example_by_name(self, capsys: Capture) -> None:
        expected = estimate_network(example_network(), example_precisions())
        assert data(capsys, *self.PRUNED) == json.loads(json.dumps(expected.to_dict()))
        dense = data(capsys, *self.EXAMPLE)
        assert dense["totals"]["total"] == 19_413_479_256

    def test_counts_energies_and_totals_in_words(self, capsys: Capture) -> None:
        text = out(capsys, *self.PRUNED)
        assert max(map(len, text.splitlines())) <= 80
        layers = section(text, "Layers")
        assert row(layers, "CONV2")[:4] == ["256x27x27", "37.5", "3,", "6"]
        assert row(layers, "all") == ["75,830,308", "5,102,811,693", "5,178,642,001", "100.0"]
        words = section(text, "Words, after pruning, and energies")
        assert row(words, "CONV2")[:4] == ["DRAM", "384,000", "92,256", "186,624"]
        totals = section(text, "Energy by level and by data type")
        assert row(totals, "total") == ["5,178,642,000.6239", "100.0"]
        assert row(totals, "data")[0] == "5,102,811,692.766"

    def test_any_network_layer_and_array(self, capsys: Capture) -> None:
        args = ["model", "first-order", "vgg16", "--layer", "conv1-2"]
        (layer,) = data(capsys, *args)["layers"]
        assert (layer["name"], layer["rep"], layer["fold"]) == ("CONV1-2", 4, 16)
        (layer,) = data(capsys, *args, "--array", "12", "112")["layers"]
        assert layer["fold"] == 2

    def test_precisions_of_layers_that_are_not_selected(self, capsys: Capture) -> None:
        (layer,) = data(capsys, *self.PRUNED, "--layer", "FC8")["layers"]
        assert (layer["weight_bits"], layer["activation_bits"], layer["pruned"]) == (4, 6, 0.4)

    def test_charts(self, capsys: Capture, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "charts"
        for _ in range(2):  # again, over what is there
            assert main([*self.PRUNED, "--quiet", "--plots", str(folder)]) == 0
        assert capsys.readouterr() == ("", "")
        files = sorted(folder.iterdir())
        assert [file.name for file in files] == sorted(f"{name}.png" for name in CHARTS)
        assert len(files) == 5
        assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)

    def test_without_matplotlib_it_says_what_to_install(
        self, capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
        assert error(capsys, *self.EXAMPLE, "--plots", str(tmp_path / "charts")) == (
            "error: --plots: needs Matplotlib, which is not installed: "
            "pip install 'eyeriss-sim[plots]'\n"
        )
        assert main([*self.EXAMPLE, "--quiet"]) == 0

    @pytest.mark.parametrize(
        ("args", "words"),
        [
            (["--batch", "4"], "error: No such option '--batch'."),
            (["--mapping", "auto"], "error: No such option '--mapping'."),
            (["--array", "0", "14"], "error: Invalid value for '--array': 0 is not in the range"),
            (["--array", "24"], "error: Option '--array' requires 2 arguments."),
            (["--precision", "absent.yaml"], "error: absent.yaml: no such file"),
            (["--layer", "C1"], "no layer 'C1'"),
        ],
    )
    def test_mistakes(self, args: list[str], words: str, capsys: Capture) -> None:
        assert words in error(capsys, *self.EXAMPLE, *args)

    def test_matplotlib_is_imported_for_charts_alone(self) -> None:
        code = (
            "import sys; from sim.cli import main; main(['estimate', 'alexnet', '-q']);"
            "main(['model', 'first-order', 'alexnet', '-q']);"
            "print([name for name in ('matplotlib', 'scipy') if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert done.stdout == "[]\n"
