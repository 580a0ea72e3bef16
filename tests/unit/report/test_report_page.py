"""The page: figures of result file, terminal and plots; and no text can break out of it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from report_results import HOSTILE, conv12, hostile_data, lenet, lenet_file, plain

from hw_models.vocabulary import Cause
from sim.report.load import check_result, of_result
from sim.report.page.html import page_data, render_page, script_json
from sim.report.plots.figures import draw
from sim.report.text.summary import render_result
from sim.report.views import CHIP_COLUMNS, data_type, energy_table, views
from sim.run import estimate, run


class Page(HTMLParser):
    """The elements of a page and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.scripts: list[str] = []
        self._script = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self._script = tag == "script"
        if self._script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        if self._script:
            self.scripts[-1] += data

    @property
    def data(self) -> Any:
        return json.loads(self.scripts[0])


def test_one_file_that_asks_for_nothing() -> None:
    text = render_page([("lenet5", lenet_file())])
    page = Page(text)
    assert page.tags.count("script") == 2
    assert len(text) < 1_000_000
    for name, value in page.attributes:
        if name in ("src", "href"):
            assert value in ("data:,", "#view"), value
    urls = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert urls == {"http://www.w3.org/2000/svg"}  # a name, never fetched


def test_no_text_breaks_out_of_the_page() -> None:
    result = check_result(hostile_data(), "r.json")
    text = render_page([(HOSTILE, result), (HOSTILE, result)])
    page = Page(text)
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert page.tags.count("script") == 2
    assert text.count("</script") == 2
    assert page.data["runs"][0]["views"][1]["name"] == HOSTILE
    assert page.data["runs"][0]["network"].endswith("{{data}}{{script}}")


def test_json_in_a_script() -> None:
    text = script_json({"a": "</script><!--&\u2028\u2029é"})
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": "</script><!--&\u2028\u2029é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))


def test_page_terminal_file_and_plots_agree() -> None:
    result = lenet()
    written = plain(result)
    page = Page(render_page([("lenet5", of_result(result))])).data["runs"][0]
    terminal = render_result(result)
    whole, *layers = page["views"]
    assert whole["name"] == "whole network"
    assert whole["processing_cycles"] == written["totals"]["cycles"]["processing"]
    assert whole["total_ms"] == pytest.approx(written["totals"]["milliseconds"]["total"])
    assert whole["energy"]["total"] == pytest.approx(written["totals"]["energy"]["total"])
    drawn_views = views(of_result(result))
    latency = draw(drawn_views[0], "latency")
    assert latency is not None
    bars = latency.axes[0].patches[: len(layers)]
    for view, typed, in_file, bar in zip(
        layers, drawn_views[1:], written["layers"], bars, strict=True
    ):
        cycles = in_file["cycles"]["processing"]
        # Cycles, milliseconds and MACs.
        assert view["processing_cycles"] == cycles
        assert view["macs_per_cycle"] == in_file["macs"] / cycles
        table = terminal[terminal.index("\nLayers, processing latency") :]
        line = re.search(rf"^  {view['name']} .*$", table, re.MULTILINE)
        assert line is not None
        words = line[0].split()
        assert words[1] == f"{cycles:,}"
        assert words[2] == f"{view['processing_ms']:.4f}"
        assert words[-1] == f"{view['macs']:,}"
        assert bar.get_width() == pytest.approx(view["processing_ms"])
        # Stalls by cause: the text of the terminal, the cycles of the file, the bars of the plot.
        still = sum(in_file["cycles"]["standstill"].values())
        by_cause = in_file["cycles"]["by_cause"] | {Cause.DRAM_STALL: 168 * still}
        assert dict(zip(view["stalls"]["causes"], view["stalls"]["pe_cycles"], strict=True)) == (
            by_cause
        )
        assert f"  {view['name']}  {'  '.join(view['stalls']['percent'])}".split() in [
            text.split() for text in terminal.splitlines()
        ]
        stalls = draw(typed, "stalls")
        assert stalls is not None
        widths = [patch.get_width() for patch in stalls.axes[0].patches]
        total = sum(by_cause.values())
        assert widths == pytest.approx([100 * part / total for part in by_cause.values()])
        # The map of PEs.
        assert view["pe"]["busy_cycles"] == in_file["pe"]["busy_cycles"]
        pes = draw(typed, "pes")
        assert pes is not None
        drawn = pes.axes[0].images[0].get_array()
        assert drawn is not None
        shares = [100 * busy / cycles for row in in_file["pe"]["busy_cycles"] for busy in row]
        assert drawn.ravel().tolist() == pytest.approx(shares)
        # Energy by level and data type.
        for column, kind in enumerate(view["energy"]["data_types"]):
            cells = sum(row[column] for row in view["energy"]["cells"])
            assert cells == pytest.approx(in_file["energy"]["by_data_type"][kind])
        for row, level in zip(view["energy"]["cells"], view["energy"]["levels"], strict=True):
            assert sum(row) == pytest.approx(in_file["energy"]["by_level"][level])
        # Eyexam.
        eyexam = draw(typed, "eyexam")
        assert eyexam is not None
        assert [patch.get_width() for patch in eyexam.axes[0].patches] == [
            step["macs_per_cycle"] for step in in_file["eyexam"]
        ]
        assert view["eyexam"][-1]["macs_per_cycle"] == view["macs_per_cycle"]
    # The buses of the whole network, as the terminal rounds them.
    for row in whole["stations"]:
        if row["id"] in ("gin_filter", "gin_ifmap", "gin_psum", "gon_psum"):
            name = {"gon_psum": "GON psum"}.get(row["id"], f"GIN {row['id'][4:]}")
            (line_words,) = [
                text.split() for text in terminal.splitlines() if text.startswith(f"  {name} ")
            ]
            assert line_words[2] == f"{row['words']:,}"
            assert line_words[-1] == f"{100 * row['busy']:.1f}"


def test_conv1_2_of_vgg_names_the_psum_bus() -> None:
    (view,) = page_data([("vgg16", of_result(conv12()))])["runs"][0]["views"]
    time, _, change = view["story"]
    assert time["answer"][0] == (
        "The psum bus bounds the layer: twice as fast, it would shorten the total latency by 43 %."
    )
    text = " ".join(time["answer"])
    assert "4 words per cycle each way" in text
    assert "busy 99 % (out) and 97 % (in) of the processing latency" in text
    assert "104 cycles on the bus; a PE has work for 32" in text
    # A window has the psums of p = 8 filters: two beats, one on buses of twice the width.
    assert any("psum_words_per_cycle" in line for line in change["answer"])
    (line,) = (line for line in change["answer"] if line.startswith("Take another mapping"))
    assert "It brings the beats on the psum bus from" in line


def test_a_layer_of_vgg_stands_beside_table_vi_as_that_counts() -> None:
    (view,) = page_data([("vgg16", of_result(estimate("vgg16", layers=["CONV1-2"])))])["runs"][0][
        "views"
    ]
    chip = view["chip"]
    rows = {row["what"]: row for row in chip["rows"]}
    glb = rows["GLB accesses with filter reads, MiB"]
    assert abs(glb["difference_percent"]) < 0.05
    assert rows["DRAM accesses, MiB"]["difference_percent"] == pytest.approx(4.3, abs=0.05)
    assert chip["mapping_inferred"]


def test_a_layer_of_alexnet_names_its_array() -> None:
    (view,) = page_data([("a", of_result(run("alexnet", layers=["CONV5"])))])["runs"][0]["views"]
    assert view["story"][0]["answer"][0].startswith("The PE array bounds the layer: twice as fast")
    # The chip's figures beside it.
    chip = view["chip"]
    assert [row["what"] for row in chip["rows"]] == [
        *(CHIP_COLUMNS[name] for name in ("active_pes", "total_ms", "processing_ms")),
        "GLB accesses, MB",
        "DRAM accesses, MB",
    ]
    assert chip["rows"][0]["simulated"] == chip["rows"][0]["published"] == 156
    assert chip["rows"][2]["published"] == 10.0


def test_a_tie_is_called_a_tie() -> None:
    """AlexNet's CONV3: PEs and psum bus are level, so that neither alone helps."""
    result = of_result(estimate("alexnet", layers=["CONV3"]))
    (view,) = page_data([("a", result)])["runs"][0]["views"]
    first = view["story"][0]["answer"][0]
    assert first.startswith("The PE array and the psum bus bound the layer, a tie: ")
    assert re.search(r"by 4\d %, each alone by 0.\d % and 0.\d %\.$", first)
    assert "no bus" not in first
    assert view["eyexam"][-1]["limit"] == "array = psum bus"


def test_another_batch_has_no_chip_beside_it() -> None:
    view = views(of_result(estimate("alexnet", layers=["CONV3"], batch=1)))[0]
    assert view.chip is None


def test_every_layer_of_every_kind_has_a_story() -> None:
    for network in ("alexnet", "vgg16", "mobilenet_v1"):
        result = of_result(estimate(network))
        for view in page_data([("x", result)])["runs"][0]["views"]:
            assert [len(part["answer"]) > 0 for part in view["story"]] == [True] * 3
            for part in view["story"]:
                assert all(line[0].isupper() or line[:2] for line in part["answer"])


def test_a_page_without_energy_steps_and_passes() -> None:
    data = plain(lenet())
    for layer in data["layers"]:
        for name in ("timeline", "eyexam", "energy"):
            del layer[name]
    run_data = page_data([("x", check_result(data, "r.json"))])["runs"][0]
    assert all(view["energy"] is None and view["eyexam"] == [] for view in run_data["views"])


def test_all_layers_refused_gives_a_page_that_says_so() -> None:
    data = plain(lenet())
    data["layers"], data["totals"] = [], {"macs": 0}
    data["refused"] = [{"name": "C1", "reasons": ["too large"]}]
    found = page_data([("x", check_result(data, "r.json"))])["runs"][0]
    assert found["views"] == []
    assert found["refused"][0]["name"] == "C1"


def test_comparison() -> None:
    slow, fast = conv12(), estimate("vgg16", layers=["CONV1-2"], batch=1, mapping="auto")
    found = page_data([("slow", of_result(slow)), ("fast", of_result(fast))])["comparison"]
    assert found["labels"] == ["slow", "fast"]
    (row,) = found["rows"]
    assert row["layer"] == "CONV1-2"
    assert row["runs"][0]["processing_ms"] == slow.milliseconds(slow.processing_cycles)
    assert row["runs"][1]["processing_ms"] < row["runs"][0]["processing_ms"] / 2
    assert row["runs"][0]["bound"] == "psum bus"
    for side, result in zip(row["runs"], (slow, fast), strict=True):
        entries = result.layers[0].entries
        for network, moved in side["noc"].items():
            assert moved["words"] == entries[f"noc.{network}.words"]
            assert moved["deliveries"] == entries.get(f"noc.{network}.deliveries")
    assert {network for network, _ in found["networks"]} == set(row["runs"][0]["noc"])
    assert found["metrics"][0][0] == "total_ms"
    assert found["warnings"] == []


def test_comparison_of_what_differs() -> None:
    two = [
        ("a", of_result(estimate("lenet5", layers=["C1"]))),
        ("b", of_result(estimate("lenet5", layers=["C3"], batch=2))),
    ]
    found = page_data(two)["comparison"]
    assert [row["layer"] for row in found["rows"]] == ["C1", "C3"]
    assert found["rows"][0]["runs"][1] is None
    assert any("batches differ" in text for text in found["warnings"])


def test_data_types_of_the_ledger() -> None:
    found = lenet_file()
    table = energy_table(found.layers)
    assert table is not None
    for action in found.layers[0].entries:
        assert data_type(action) in table.data_types
