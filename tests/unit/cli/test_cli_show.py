"""`eyeriss-sim show`: what the shipped data and the user's files hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw_models.energy import shipped_energy_tables
from hw_models.load import load_hardware, shipped_hardware
from sim.cli import main
from sim.dataflow.row_stationary.drawing import drawing
from sim.dataflow.row_stationary.placement import Placement
from workloads.network import shipped_networks


def output(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["show", *args]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert max(map(len, captured.out.splitlines())) <= 80
    return captured.out


def test_show_lists_what_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys)
    for name in (*shipped_networks(), *shipped_hardware(), *shipped_energy_tables()):
        assert f"  {name}\n" in text
    assert text == "".join(output(capsys, kind) for kind in ("network", "hw", "energy"))


@pytest.mark.parametrize("name", shipped_networks())
def test_show_every_network(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "network", name)
    assert text.startswith(f"{name}: ")
    assert "\nSource: " in text


def test_show_network_holds_the_shapes(capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "network", "alexnet").splitlines()
    (conv2,) = (line.split() for line in lines if line.startswith("  CONV2 "))
    assert conv2 == ["CONV2", "conv", "27", "96", "256", "5", "1", "2", "2", "27", "223,948,800"]


def test_show_a_network_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network: mine\nlayers:\n"
        "  - {name: A, ifmap: [8, 9], channels: 2, filters: 4, filter: [3, 1], padding: [1, 0]}\n"
        "  - {name: B, type: depthwise, ifmap: 8, channels: 3, filter: 3, stride: [1, 2]}\n"
    )
    lines = output(capsys, "network", str(file)).splitlines()
    rows = [line.split() for line in lines if line.startswith(("  A ", "  B "))]
    assert rows == [
        ["A", "conv", "8x9", "2", "4", "3x1", "1", "1,1,0,0", "1", "8x9", "1,728"],
        ["B", "dw", "8", "3", "3", "3", "1x2", "0", "3", "6x3", "486"],
    ]


@pytest.mark.parametrize("name", shipped_hardware())
def test_show_every_hardware(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "hw", name)
    hw = load_hardware(name)
    rows, columns = hw.array.rows, hw.array.columns
    assert text.startswith(f"{name}: {rows} x {columns} = {hw.pes} PEs\n")
    assert f"filter_spad_words = {hw.pe.filter_spad_words} " in text


def test_show_hardware_with_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "hw", "eyeriss_v1", "--set", "array.rows=24", "--set", "dram.rlc=false")
    assert text.startswith("eyeriss_v1: 24 x 14 = 336 PEs\n")
    assert "  rows = 24 " in text
    assert "  rlc = false " in text
    assert "  psum_bits = null " in text
    assert "  vertical_strides = [1, 2, 4] " in text


def test_show_mapping_draws_the_sets(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "mapping", "alexnet", "--layer", "CONV4", "--layer", "CONV5")
    assert (
        "CONV4: m=64 n=4 e=13 p=16 q=3 r=2 t=2 (published)\n"
        "  384 passes; 156 of 168 PEs active; GLB banks: 3 ifmap + 22 psum of 25; PE sets\n"
        "  of 3 x 13: 2 by channel, 2 by filter.\n"
    ) in text
    grid = [
        line.split()[1:]
        for line in text.splitlines()
        if line.split()[1:2] in (["A0"], ["A1"], ["B0"], ["B1"])
    ]
    assert [row[0] for row in grid] == ["A1"] * 3 + ["A0"] * 3 + ["B1"] * 3 + ["B0"] * 3
    assert {row[13] for row in grid} == {"."}
    assert sum(mark != "." for row in grid for mark in row) == 156
    assert "CONV5: m=64 n=4 e=13 p=16 q=3 r=2 t=2 (published)\n" in text
    assert "  Placed as CONV4." in text


def test_show_mapping_writes_the_loop_nest(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "mapping", "alexnet", "--layer", "CONV1", "--nest")
    lines = text[text.index("  Loop nest:") :].splitlines()
    # One image at a time, 8 strips of at most 7 ofmap rows, its 3 channels one by one.
    assert lines[1:4] == [
        "  DRAM   for N in 4",
        "           for E in 8 blocks of 7",
        "  GLB        for C in 3",
    ]
    assert "Loop nest" not in output(capsys, "mapping", "alexnet", "--layer", "CONV1")


def test_show_mapping_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    text = output(capsys, "mapping", "vgg16", "--layer", "CONV1-1", "--layer", "FC8")
    assert "(inferred)" in text
    assert "(auto)\n" in text
    assert "Note: no published mapping, took auto." in text
    given = "m=64,n=1,e=27,p=16,q=2,r=1,t=1"
    text = output(capsys, "mapping", "--layer", "CONV2", "--mapping", given)
    assert "m=64 n=1 e=27 p=16 q=2 r=1 t=1 (given)\n" in text
    assert "each folded into 2 segments" in text.replace("\n  ", " ")


def test_show_mapping_names_the_rules_that_refuse(capsys: pytest.CaptureFixture[str]) -> None:
    mapping = "m=64,n=4,e=13,p=32,q=5,r=5,t=4"
    args = ["show", "mapping", "alexnet", "--layer", "CONV3", "--mapping", mapping]
    assert main(args) == 2
    captured = capsys.readouterr()
    assert "CONV3: refused\n  q*S = 15, limit 12: words of the ifmap spad\n" in captured.out
    assert "  r*R = 15, limit 12: rows of the array" in captured.out
    assert captured.err == ""


def test_show_mapping_of_a_network_of_which_a_layer_is_refused(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = output(capsys, "mapping", "lenet5", "--set", "limits.filter_rows=[1, 3]")
    assert text.count(": refused\n") == 3


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["network", "alexnt"], "error: no network 'alexnt'; did you mean 'alexnet'? known: "),
        (["hw", "eyeriss"], "error: no shipped hardware 'eyeriss'; did you mean 'eyeriss_"),
        (["hw", "--set", "array.rows=0"], "error: --set array.rows=0: "),
        (["mapping", "lenet5", "--layer", "C9"], "error: lenet5: no layer 'C9'; "),
    ],
)
def test_mistakes(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", *args]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(words)


def test_a_file_that_is_wrong_is_told_with_line_and_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(
        "network: mine\nlayers:\n  - {name: A, ifmap: 8, channels: 2, filters: 4, fliter: 3}\n"
    )
    assert main(["show", "network", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith(f"error: {file}:3: layers[0]") for line in lines)
    assert lines


def placement(**changes: int) -> Placement:
    usual = {
        "array_rows": 4, "array_columns": 4, "set_rows": 2, "set_columns": 2,
        "channel_sets": 1, "filter_sets": 2,
    }  # fmt: skip
    return Placement(**{**usual, **changes})


def test_drawings() -> None:
    assert drawing(placement(), 80) == [
        "        0  1  2  3",
        "     0 A0 A0 B0 B0",
        "     1 A0 A0 B0 B0",
        "     2  .  .  .  .",
        "     3  .  .  .  .",
    ]
    folded = placement(set_columns=7, filter_sets=1)
    assert [line.split()[1:] for line in drawing(folded, 80)[1:]] == [
        *[["A0"] * 4] * 2,
        *[["a0"] * 3 + ["."]] * 2,
    ]


def test_drawings_of_wide_arrays() -> None:
    assert drawing(placement(array_columns=70, set_columns=30), 80)[0] == (
        "    0 " + "A" * 30 + "B" * 30 + "." * 10
    )
    assert drawing(placement(array_columns=200), 80) == [
        "  (an array of 200 columns is too wide to draw)"
    ]
    many = placement(array_rows=8, array_columns=14, set_rows=1, set_columns=1, filter_sets=60)
    assert drawing(many, 80)[-1].startswith("  (marks repeat")
