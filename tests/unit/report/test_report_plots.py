"""Plots for papers: whole files, the same for the same result, named after layers with care."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from report_results import HOSTILE, hostile_data, lenet_file

from sim.errors import InputError
from sim.report.load import check_result, of_result
from sim.report.plots.figures import DEFAULT, FORMATS, PLOTS, draw, plot_files, require_matplotlib
from sim.run import run


def test_files_are_whole_and_reproducible() -> None:
    result = of_result(run("lenet5", layers=["C1"]))
    files = dict(plot_files(result, PLOTS))
    names = {name.partition("/")[2].partition(".")[0] for name in files}
    assert names == set(PLOTS) - {"latency"}
    assert {name.partition("/")[0] for name in files} == {"C1"}
    for name, content in files.items():
        if name.endswith(".svg"):
            assert ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert content.startswith(b"%PDF-")
            assert content.rstrip().endswith(b"%%EOF")
    svg = {name: content for name, content in files.items() if name.endswith("buses.svg")}
    again = dict(plot_files(result, ["buses"]))
    assert {name: again[name] for name in svg} == svg


def test_names_of_layers_stay_inside_the_folder() -> None:
    data = hostile_data()
    data["layers"][1]["name"] = data["layers"][1]["shape"]["name"] = "../../$x$ é"
    data["layers"] = data["layers"][:2]
    data["totals"] = {"macs": sum(layer["macs"] for layer in data["layers"])}
    found = check_result(data, "r.json")
    layers = [layer.name for layer in found.layers]
    files = [name for chosen in ((), layers) for name, _ in plot_files(found, ["stalls"], chosen)]
    assert HOSTILE not in "".join(files)
    assert {name.count("/") for name in files} == {1}
    assert len(set(files)) == len(files)
    assert {name.partition("/")[0] for name in files} == {
        "network", "script_img_src_x_onerror_alert_1", "x",
    }  # fmt: skip


def test_one_layer_has_no_plot_of_layers() -> None:
    from sim.report.views import views

    whole, layer, *_ = views(lenet_file())
    assert draw(layer, "latency") is None
    assert draw(whole, "pass") is None


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'eyeriss-sim\[plots\]'"):
        require_matplotlib()


def test_the_default_is_the_network_alone() -> None:
    names = [name for name, _ in plot_files(lenet_file())]
    assert names == [f"network/{name}.{kind}" for name in DEFAULT for kind in FORMATS]


def test_figures_and_layers_that_are_chosen() -> None:
    names = [name for name, _ in plot_files(lenet_file(), ["pes", "latency"], ["C1", "F6"])]
    assert names == ["C1/pes.svg", "C1/pes.pdf", "F6/pes.svg", "F6/pes.pdf"]


def test_names_in_other_scripts_warn_nobody(tmp_path: Path) -> None:
    """A process of its own: warnings there are told, not turned into errors."""
    layers = "".join(
        f"- {{name: {name}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n"
        for name in ("畳み込み", "свёртка", "संवलन", "$x$")
    )
    (tmp_path / "net.yaml").write_text(f"network: 網\nlayers:\n{layers}", encoding="utf-8")
    code = "import sys; from sim.cli import main; sys.exit(main())"
    for words in (["estimate", "--plot", "stalls"], ["model", "first-order"]):
        found = subprocess.run(
            [sys.executable, "-c", code, *words, "net.yaml", "-q", "--plots", "figures"],
            cwd=tmp_path, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert (found.stdout, found.stderr) == ("", "")
    assert (tmp_path / "figures" / "network" / "stalls.pdf").exists()
