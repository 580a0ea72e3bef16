"""The published figures, the comparison with them, its file and its text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sim.account.result import LayerResult, Result
from sim.cli import main
from sim.errors import InputError
from sim.reference.comparison import (
    COLUMNS,
    MARKS,
    Cell,
    NetworkValidation,
    Validation,
    compare_with_published,
)
from sim.reference.tables import NETWORKS, load_power_shares, load_published
from sim.reference.validation import validate
from sim.report.text.validation import SIGNS, render_validation
from sim.run import load_pricing, run
from workloads.network import load_network

CONV = [f"CONV{number}" for number in range(1, 6)]


@pytest.fixture(scope="module")
def result() -> Result:
    return run("alexnet", layers=CONV)


@pytest.fixture(scope="module")
def alexnet() -> Validation:
    return validate(["alexnet"])


# --- the figures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("network", NETWORKS)
def test_published_totals_are_those_of_the_layers(network: str) -> None:
    published = load_published(network)
    for column in ("processing_ms", "total_ms", "glb_mb", "dram_mb"):
        summed = sum(getattr(layer, column) for layer in published.layers.values())
        # Each cell is rounded to 0.1.
        assert summed == pytest.approx(published.total(column), abs=0.05 * len(published.layers))
    time = sum(layer.total_ms for layer in published.layers.values())
    energy = sum(layer.total_ms * layer.power_mw for layer in published.layers.values())
    assert energy / time == pytest.approx(published.total("power_mw"), abs=1)


@pytest.mark.parametrize("network", NETWORKS)
def test_measured_layers_are_those_of_the_shipped_network(network: str) -> None:
    published, loaded = load_published(network), load_network(network)
    layers = [layer for layer in loaded.layers if layer.kind == "conv"]
    assert list(published.layers) == [layer.name for layer in layers]
    assert published.batch == loaded.batch
    for layer in layers:
        cells = published.layers[layer.name]
        rounding = 0.1 if network == "alexnet" else 10
        assert layer.macs(published.batch) / 1e6 == pytest.approx(cells.million_macs, abs=rounding)


def test_every_table_and_figure_is_cited() -> None:
    for network in NETWORKS:
        published = load_published(network)
        assert "IEEE Journal of Solid-State Circuits 52(1), 2017" in published.source
        assert published.table in ("Table V", "Table VI")
        assert all("ISSCC 2016" in figure.source for figure in published.figures.values())


def test_shares_of_power_add_up_to_the_whole() -> None:
    shares = load_power_shares()
    assert list(shares) == ["PE array", "NoC", "GLB", "rest"]
    assert shares["rest"] == 0.039


def test_a_network_without_published_figures() -> None:
    with pytest.raises(InputError) as caught:
        load_published("alexne")
    assert str(caught.value) == (
        "no network with published figures 'alexne'; did you mean 'alexnet'? known: alexnet, vgg16"
    )


# --- the comparison -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("simulated", "published", "difference"),
    [(110, 100, 10), (95, 100, -5), (100, 100, 0), (None, 100, None), (5, None, None)],
)
def test_difference(
    simulated: float | None, published: float | None, difference: float | None
) -> None:
    assert Cell(simulated, published).difference_percent == pytest.approx(difference)


def test_cells_are_figures_of_the_result(result: Result) -> None:
    found = compare_with_published(load_published("alexnet"), result)
    for row, layer in zip(found.rows, result.layers, strict=True):
        cells = row.cells
        assert list(cells) == list(COLUMNS)
        assert cells["active_pes"].simulated == layer.active_pes
        assert cells["processing_ms"].simulated == layer.processing_cycles / 200e6 * 1e3
        assert cells["total_ms"].simulated == layer.total_cycles / 200e6 * 1e3
        assert cells["glb_mb"].simulated == layer.glb_published_bytes / 1e6
        assert cells["dram_mb"].simulated == sum(layer.dram_bytes.values()) / 1e6
        assert cells["dram_raw_mb"].simulated > cells["dram_mb"].simulated
        assert row.mapping == str(layer.mapping)


def test_power_is_unknown_where_no_table_gives_it(result: Result) -> None:
    found = compare_with_published(load_published("alexnet"), result)
    assert {row.cells["power_mw"].simulated for row in found.rows} == {None}
    assert found.summary["power_mw"].mean_percent is None
    assert found.summary["power_mw"].total.simulated is None


def test_power_can_come_from_elsewhere(result: Result) -> None:
    def power(layer: LayerResult) -> float:
        return 100.0 if layer.layer.name == "CONV2" else 200.0

    found = compare_with_published(load_published("alexnet"), result, power=power)
    assert found.row("CONV1").cells["power_mw"] == Cell(200.0, 332.0, ("assumed",))
    times = {row.layer: row.cells["total_ms"].simulated for row in found.rows}
    share = times["CONV2"] / sum(times.values())
    assert found.summary["power_mw"].total.simulated == pytest.approx(200 - 100 * share)


def test_marks_say_what_a_figure_rests_on(alexnet: Validation) -> None:
    found = alexnet.network("alexnet")
    marks = {name: cell.marks for name, cell in found.row("CONV1").cells.items()}
    assert marks == {
        "active_pes": (),
        "processing_ms": (),
        "total_ms": ("assumed",),
        "glb_mb": (),
        "dram_mb": ("assumed",),
        "dram_decimal_mb": ("assumed",),
        "dram_raw_mb": ("read_off",),
        "power_mw": ("assumed", "fitted"),
    }
    second = found.row("CONV3", alternative=True)
    assert all("inferred" in cell.marks for cell in second.cells.values())
    assert set(SIGNS) == set(MARKS)


def test_without_coding_no_zero_fraction_is_assumed() -> None:
    found = validate(["alexnet"], settings=["dram.rlc=false"], pricing=load_pricing())
    rows = found.network("alexnet").rows
    assert not any("assumed" in cell.marks for row in rows for cell in row.cells.values())
    for row in rows:
        assert row.cells["dram_mb"].simulated == row.cells["dram_raw_mb"].simulated


def test_a_corrected_cell_is_marked() -> None:
    published = load_published("vgg16")
    assert published.marks("CONV5-1", "active_pes") == ("corrected",)
    assert published.marks("CONV5-2", "active_pes") == ()


def test_the_summary(alexnet: Validation) -> None:
    found = alexnet.network("alexnet")
    summary = found.summary["processing_ms"]
    values = {row.layer: row.cells["processing_ms"].difference_percent for row in found.rows}
    assert summary.mean_percent == pytest.approx(sum(map(abs, values.values())) / 5)
    assert (summary.worst_layer, summary.worst_percent) == ("CONV5", values["CONV5"])
    assert summary.total.published == 103.5
    assert found.alternative_summary["glb_mb"].worst_layer == "CONV1"


def test_the_chips_clock_gives_the_time(alexnet: Validation) -> None:
    whole = validate(["alexnet"], settings=["clock.core_mhz=100", "clock.link_mhz=30"])
    half = whole.network("alexnet").row("CONV5").cells["processing_ms"]
    base = alexnet.network("alexnet").row("CONV5").cells["processing_ms"]
    assert half.simulated == pytest.approx(2 * base.simulated)


def test_a_chip_that_refuses_a_layer() -> None:
    with pytest.raises(InputError) as caught:
        validate(["alexnet"], settings=["array.rows=4"])
    assert str(caught.value).startswith("alexnet CONV1: ")


# --- file and text --------------------------------------------------------------------------------


def test_command_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "found.json"
    assert main(["validate", "AlexNet", "alexnet", "--json", str(file)]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0] == "alexnet on eyeriss_v1"
    assert max(map(len, lines)) <= 80
    rows = [line.split()[0] for line in lines if line.startswith("  CONV")]
    layers = ["CONV1", "CONV2", "CONV3", "CONV3'", "CONV4", "CONV5"]
    assert rows == layers * 2
    data = json.loads(file.read_text())
    assert (data["schema"], data["version"]) == ("eyeriss-sim/validation", 1)
    (network,) = data["networks"]
    assert [layer["layer"] for layer in network["layers"]] == CONV
    assert [layer["layer"] for layer in network["alternatives"]] == ["CONV3"]
    cell = network["layers"][0]["cells"]["glb_mb"]
    assert cell["simulated"] == pytest.approx(18.45, abs=0.005)
    assert cell["difference_percent"] == pytest.approx(-0.27, abs=0.01)
    assert network["summary"]["total_ms"]["worst_layer"] == "CONV5"


def test_json_on_stdout_is_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "alexnet", "--json", "-", "--energy", "isca2016"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    assert network["layers"][0]["cells"]["power_mw"]["simulated"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["vgg"],
            "error: no network with published figures 'vgg'; did you mean 'vgg16'? "
            "known: alexnet, vgg16\n",
        ),
        (["--set", "array.rows=x"], "error: --set array.rows=x: "),
        (["--energy", "none"], "error: "),
    ],
)
def test_mistakes(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(message)


def test_text_fits_and_says_what_was_changed(alexnet: Validation) -> None:
    changed = replace(alexnet, settings=("dram.overlap=none", "clock.link_mhz=60"))
    text = render_validation(changed)
    assert "Changed: dram.overlap=none, clock.link_mhz=60." in text.replace("\n", " ")
    assert "\x1b" not in text
    assert "\x1b[1mLegend\x1b[0m" in render_validation(changed, color=True)
    assert text.endswith("\n")


def test_legend_has_the_letters_that_are_used(alexnet: Validation) -> None:
    text = render_validation(alexnet)
    assert "\n  i: " in text  # CONV3's second reading
    assert "\n  r: " in text
    assert "\n  c: " not in text


def test_a_row_or_network_that_is_not_there(alexnet: Validation) -> None:
    found: NetworkValidation = alexnet.network("alexnet")
    with pytest.raises(KeyError):
        found.row("CONV1", alternative=True)
    with pytest.raises(KeyError):
        alexnet.network("vgg16")
