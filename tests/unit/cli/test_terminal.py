"""The summary on the terminal: it adds up, fits 80 columns and says what bounds each layer."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
from command_line import row, section

from hw_models.load import load_hardware
from hw_models.vocabulary import CAUSES
from sim.account.result import LayerResult, RefusedLayer, Result
from sim.report.tables import count, cut, flow, number, pad, percentages, table
from sim.report.text.summary import render_brief, render_result
from sim.run import estimate, load_pricing, run
from workloads.layer import Layer
from workloads.network import Network


@cache
def lenet(*layers: str) -> Result:
    return run("lenet5", layers=layers)


@cache
def c1() -> Result:
    """A layer whose mapping no mapper decides: 140 active PEs."""
    return run("lenet5", layers=["C1"], mapping="m=6,n=1,e=28,p=6,q=1,r=1,t=1")


def all_cycles(layer: LayerResult, cause: str) -> LayerResult:
    """The layer with all of its cycles booked on one cause; it has no DRAM stall."""
    every = sum(layer.pe_cycles.values())
    assert not isinstance(every, int)
    return replace(
        layer,
        pe_cycles={name: every * (name == cause) for name in CAUSES},
        standstill_cycles=dict.fromkeys(layer.standstill_cycles, 0),
    )


def many_layers(names: list[str]) -> Result:
    """A long result without a long simulation; every fifth layer is idle, the others gated."""
    (layer,) = c1().layers
    layers = tuple(
        replace(
            all_cycles(layer, "clock_gated" if place % 5 else "idle"),
            layer=replace(layer.layer, name=name),
        )
        for place, name in enumerate(names)
    )
    return replace(c1(), layers=layers)


@pytest.mark.parametrize("color", [False, True])
def test_it_fits_80_columns_and_is_ascii(color: bool) -> None:
    names = ["x", "a name that nobody should have given " * 3 + "to a layer", *map(str, range(30))]
    for result in (lenet(), lenet("C1"), many_layers(names)):
        text = render_result(result, color=color)
        plain = text.replace("\x1b[1m", "").replace("\x1b[0m", "")
        assert plain == render_result(result)
        assert (plain != text) == color
        assert plain.isascii()
        assert max(map(len, plain.splitlines())) <= 80
        assert not any(line.endswith(" ") for line in plain.splitlines())


def test_large_numbers_still_fit() -> None:
    result = lenet()
    layers = tuple(
        replace(
            layer,
            layer=replace(layer.layer, name=f"{layer.layer.name}_with_a_long_name"),
            processing_cycles=layer.processing_cycles * 10**8,
            macs=layer.macs * 10**8,
            passes=layer.passes * 10**6,
            entries={name: words * 10**8 for name, words in layer.entries.items()},
            pe_cycles={cause: cycles * 10**8 for cause, cycles in layer.pe_cycles.items()},
        )
        for layer in result.layers
    )
    text = render_result(replace(result, layers=layers))
    assert max(map(len, text.splitlines())) <= 80


def test_layers_and_totals() -> None:
    result = lenet()
    lines = section(render_result(result), "Layers")
    for layer in result.layers:
        cycles, ms, passes, simulated, active, _, _, macs = row(lines, layer.layer.name)
        assert cycles == f"{layer.processing_cycles:,}"
        assert float(ms) == pytest.approx(layer.processing_cycles / 200e3, abs=1e-4)
        assert int(passes) == layer.passes
        assert int(simulated) == layer.passes_simulated
        assert int(active) == layer.active_pes
        assert macs == f"{layer.macs:,}"
    c1 = row(lines, "C1")
    assert float(c1[5]) == pytest.approx(
        100 * 117_600 / (result.layers[0].processing_cycles * result.layers[0].active_pes), abs=0.05
    )
    assert row(lines, "all")[0] == f"{result.processing_cycles:,}"
    assert row(lines, "all")[-1] == "416,520"


def test_total_latency_is_processing_and_both_standstills() -> None:
    result = run("alexnet", layers=["CONV1", "CONV5"])
    lines = section(render_result(result), "Total latency, ms")
    assert row(lines, "CONV1")[0] == "20.97"  # docs/validation.md
    assert row(lines, "CONV5")[0] == "12.34"
    assert row(lines, "CONV5")[4:] == ["array"]
    for name in ("CONV1", "CONV5", "all"):
        total, *parts = map(float, row(lines, name)[:4])
        assert sum(parts) == pytest.approx(total, abs=0.02)
    assert float(row(lines, "all")[0]) == pytest.approx(
        result.milliseconds(result.total_cycles), abs=0.005
    )


def test_a_beat_that_is_not_full_takes_the_bus_all_the_same() -> None:
    # C1 has p = 6 filters in a PE: each window's psums take two beats, of 4 and of 2 words.
    (layer,) = c1().layers
    (gon,) = (line for line in render_result(c1()).splitlines() if line.startswith("  GON psum"))
    busy, used = map(float, gon.split()[-2:])
    assert busy == pytest.approx(100 * 28 * 28 * 2 / layer.processing_cycles, abs=0.05)
    assert used == pytest.approx(busy * 6 / 8, abs=0.1)
    stuck = render_result(replace(c1(), layers=(all_cycles(layer, "waiting_psum_out"),)))
    assert f" is busy {busy:.0f} % of the processing latency." in " ".join(stuck.split())


def test_the_rows_of_the_stall_table_add_up_to_100() -> None:
    lines = section(render_result(lenet()), "Where the time goes")
    for name in ("C1", "C3", "C5", "F6", "OUTPUT", "all"):
        shares = row(lines, name)
        assert len(shares) == len(CAUSES) + 1 == 9
        assert sum(round(float(share) * 10) for share in shares) == 1000


def test_percentages_round_the_largest_remainders_up() -> None:
    thirds = dict.fromkeys(CAUSES, 0) | {"computing": 1, "idle": 1, "clock_gated": 1}
    assert percentages(thirds) == ["33.4", "0.0", "0.0", "0.0", "0.0", "0.0", "33.3", "33.3"]


def test_the_largest_loss_may_be_dram() -> None:
    """MobileNet's DW2 computes 3 ms and waits for DRAM 5: no cause of a PE is as large."""
    (layer,) = (result := run("mobilenet_v1", layers=["DW2"])).layers
    still = layer.total_cycles - layer.processing_cycles
    assert still * result.hw.pes > max(layer.cycles_by_cause.values())
    text = render_result(result)
    share = f"{100 * still / layer.total_cycles:.1f}"
    assert row(section(text, "Where the time goes"), "DW2")[-1] == share
    words = " ".join(text.split())
    assert f"DW2: {share} % stalled for DRAM, most of it while" in words


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("accumulating", "C1: 100.0 % adding psums: the adder of a PE takes one psum a cycle."),
        ("waiting_filter", "C1: 100.0 % waiting for filters: no PE computes while those of a pass"),
        (
            "waiting_ifmap",
            "C1: 100.0 % waiting for ifmap words: their bus (1 word/cycle) is busy 58",
        ),
        (
            "waiting_psum_in",
            "C1: 100.0 % waiting for psums to arrive; the psum bus (4 words/cycle) is",
        ),
        ("waiting_psum_out", "C1: 100.0 % waiting to send psums; the GON (4 words/cycle) is busy"),
        ("idle", "C1: 100.0 % idle: PEs are done and wait for the last psum of their pass to"),
        ("clock_gated", "C1: 100.0 % clock gated: 140 of 168 PEs are in a PE set."),
        ("computing", "C1: none: every PE computes in every cycle."),
    ],
)
def test_each_loss_has_a_sentence(cause: str, words: str) -> None:
    (layer,) = c1().layers
    text = render_result(replace(c1(), layers=(all_cycles(layer, cause),)))
    assert f"  {words}" in text


def test_a_layer_bound_by_the_dram_link() -> None:
    text = render_result(
        run(
            Network("n", 1, (Layer(name="FC", kind="fc", M=500, C=100, H=1, W=1, R=1, S=1),)),
            hw=load_hardware("eyeriss_v1", ["clock.link_mhz=1", "array.rows=1"]),
        )
    )
    assert "waiting for filters: the DRAM link brings them for " in text


def test_traffic_adds_up() -> None:
    result = lenet()
    lines = section(render_result(result), "Traffic of all layers")
    memories = {tuple(line.split()[:2]): line.split()[2:] for line in lines if "---" not in line}
    entries = result.entries
    for level in ("glb", "spad"):
        for kind in ("filter", "ifmap", "psum"):
            cells_ = memories[level.upper() if level == "glb" else level, kind]
            assert cells_[0] == f"{entries[f'{level}.{kind}.read']:,}"
            assert cells_[2] == f"{entries[f'{level}.{kind}.write']:,}"
            assert float(cells_[1]) == pytest.approx(
                entries[f"{level}.{kind}.read"] * 2e-6, abs=1e-4
            )
    assert memories["DRAM", "ofmap"] == ["-", "-", "6,518", "0.0130"]
    by_layer = section(render_result(result), "Traffic by layer, MB")
    published = [float(row(by_layer, layer.layer.name)[-1]) for layer in result.layers]
    assert sum(published) == pytest.approx(float(row(by_layer, "all")[-1]), abs=5e-4)
    assert f"  GLB as JSSC 2017 counts it: {row(by_layer, 'all')[-1]} MB." in render_result(result)


def test_multicast_shares() -> None:
    (line,) = section(render_result(lenet("F6")), "Ifmap multicast")
    histogram = lenet("F6").layers[0].multicast
    for reached, words in histogram.items():
        assert f"{reached} PE{'s' if reached > 1 else ''} {words:,} (" in line


def test_maps_for_one_layer_and_for_many() -> None:
    one = render_result(c1())
    grid = [line.split()[1:] for line in section(one, "Busy PEs, C1: % of cycles")[1:13]]
    assert [len(line) for line in grid] == [14] * 12
    assert sum(mark != "." for line in grid for mark in line) == 140
    two = render_result(lenet("C1", "C3"))
    assert "Busy PEs, C1: % of cycles" in two
    assert "Busy PEs, C3: % of cycles" in two
    assert render_result(lenet()).count("Busy PEs, ") == 1
    assert "Busy PEs, all layers: % of cycles" in render_result(lenet())


def test_a_large_array_is_drawn_in_blocks() -> None:
    hw = load_hardware("eyeriss_v1", ["array.rows=100", "array.columns=90"])
    text = render_result(run("lenet5", layers=["C1"], hw=hw))
    assert "Each number is the mean of 3 x 4 PEs." in text.replace("\n  ", " ")
    assert max(map(len, text.splitlines())) <= 80


def test_notes_and_refused_layers_stand_at_the_end() -> None:
    result = replace(
        lenet("C1", "C3"),
        notes=("C1: took auto", "C3: took auto", "something: else", "C1: is odd"),
        refused=(RefusedLayer("C9", ("R = 13, limit 12: rows", "S = 13, limit 12: spad")),),
    )
    assert render_result(result).endswith(
        "\n\nNotes\n  took auto: C1, C3\n  something: else\n  is odd: C1\n\n"
        "Refused by the chip, not simulated\n  C9: R = 13, limit 12: rows\n"
        "  C9: S = 13, limit 12: spad\n"
    )
    said_by_all = replace(lenet("C1", "C3"), notes=("C1: took auto", "C3: took auto"))
    assert render_result(said_by_all).endswith("Notes\n  took auto: all layers\n")


def test_totals_say_what_they_leave_out() -> None:
    result = replace(
        lenet("C1", "C3"),
        refused=(RefusedLayer("C9", ("too large",)), RefusedLayer("C10", ("too wide",))),
    )
    for text in (render_result(result), render_brief(result)):
        lines = section(text, "Totals")
        assert lines[0] == "  Without what the chip refuses: C9, C10"
        assert row(section(text, "Layers"), "all")[:2] == ["but", "2"]
    assert result.totals()["left_out"] == ["C9", "C10"] == list(result.left_out)
    assert lenet("C1").totals()["left_out"] == []


def test_totals_of_a_network_that_is_refused_as_a_whole() -> None:
    result = replace(lenet(), layers=(), refused=(RefusedLayer("A", ("too large",)),))
    assert result.left_out == ("A",)
    assert result.energy is None
    found = result.totals()
    assert (found["left_out"], found["cycles"]["total"]) == (["A"], 0)
    for figure in ("energy", "images_per_second", "mj_per_image", "tops_per_watt"):
        assert found[figure] is None
    assert "Totals" not in render_result(result)


def test_images_energy_and_efficiency_of_the_totals() -> None:
    result = run("lenet5", layers=["C1"], batch=2, pricing=load_pricing("nn_dataflow_65nm"))
    found, energy = result.totals(), result.energy
    assert energy is not None
    seconds = result.total_cycles / 200e6
    joules = float(energy.total) * 1e-12
    assert found["images_per_second"] == pytest.approx(2 / seconds)
    assert found["mj_per_image"] == pytest.approx(1e3 * joules / 2)
    assert found["tops_per_watt"] == pytest.approx(
        2 * result.macs / seconds / 1e12 / (joules / seconds)
    )
    said = " ".join(" ".join(section(render_result(result), "Totals")).split())
    assert f"ms for 2 images: {2 / seconds:,.0f} images/s." in said
    assert f"{1e3 * joules / 2:.4g} mJ an image, {found['tops_per_watt']:.4g} TOPS/W" in said
    normalised = lenet("C1")
    assert normalised.mj_per_image is normalised.tops_per_watt is None
    assert "TOPS/W." in section(render_result(normalised), "Totals")[-1]


def test_a_table_without_dram_says_so_in_the_totals() -> None:
    result = run("lenet5", layers=["C1"], pricing=load_pricing("eyeriss_65nm_calibrated"))
    said = " ".join(" ".join(section(render_brief(result), "Totals")).split())
    assert said.endswith("Without DRAM: eyeriss_65nm_calibrated has no price for it.")


def test_legends_are_printed_where_they_are_asked_for() -> None:
    plain, told = render_result(lenet()), render_result(lenet(), legends=True)
    for legend in ("adds psums, one a cycle", "MB = 10^6 bytes", "EDP: energy times", "Row 0 is"):
        assert legend not in plain
        assert legend in " ".join(told.split())
    assert max(map(len, told.splitlines())) <= 80
    lines = iter(told.splitlines())
    assert all(line in lines for line in plain.splitlines())  # in their order


def test_brief_is_one_line_a_layer_and_the_totals() -> None:
    for result in (lenet(), estimate("vgg16"), estimate("resnet50"), estimate("mobilenet_v1")):
        text = render_brief(result)
        layers = section(text, "Layers")
        assert [line.split()[0] for line in layers[3:-2]] == [
            layer.layer.name for layer in result.layers
        ]
        assert layers[-1].split()[0] == "all"
        assert [block.split()[0] for block in text.split("\n\n")[1:]] == [
            "Layers",
            "Totals",
            "Notes",
        ]
        assert max(map(len, text.splitlines())) <= 80


def test_no_heading_is_broken_inside_a_word() -> None:
    for result in (lenet(), lenet("C1"), estimate("lenet5")):
        for text in (render_result(result, legends=True), render_brief(result)):
            lines = text.splitlines()
            rules = [place for place, line in enumerate(lines) if line.strip("- ") == "" and line]
            heads = " ".join(" ".join(lines[max(0, place - 2) : place]) for place in rules)
            assert not any(word.endswith("-") and word != "-" for word in heads.split())


def test_a_result_without_layers() -> None:
    result = replace(lenet(), layers=(), notes=(), refused=(RefusedLayer("A", ("too large",)),))
    text = render_result(result)
    assert text.startswith("lenet5 on eyeriss_v1\n0 layers, batch 1, ")
    assert "1 more layer is beyond this chip" in text
    assert text.endswith("simulated\n  A: too large\n")


def test_long_networks_are_told_by_cause() -> None:
    text = render_result(many_layers([f"L{place}" for place in range(20)]))
    assert (
        "Layers by their largest loss:\n  clock gated, in no PE set (16): L1, L2, L3, L4, " in text
    )
    assert "  idle until the pass ends (4): L0, L5, L10, L15\n" in text


def test_cells_and_cuts() -> None:
    assert cut("層e\N{COMBINING ACUTE ACCENT}", 3) == "層e\N{COMBINING ACUTE ACCENT}"
    assert cut("abcdef", 4) == "abc~"
    assert cut("層層層", 4) == "層~"
    assert pad("層", 4, right=True) == "  層"
    assert (count(10**15), count(10**15, short=True)) == ("1,000,000,000,000,000", "1.000e+15")
    assert (number(1234567, 2), number(1234567, 2, short=True)) == ("1,234,567.00", "1.2e+06")


def test_flow_and_table() -> None:
    assert flow("  a: ", ["12345", "6789", "x" * 30], 20, ", ") == [
        "  a: 12345, 6789,",
        "     " + "x" * 14 + "~",
    ]
    assert table(["name", "one\ntwo"], [["a", "1"], None, ["bcd", "22"]], 80) == [
        "        one",
        "  name  two",
        "  ---------",
        "  a       1",
        "  ---------",
        "  bcd    22",
    ]
