"""Declared tables: laid out for a terminal, in short numbers where they must be, and as CSV."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import pytest
from command_line import error, out
from rich.cells import cell_len

from hw_models.vocabulary import Network
from sim.report.tables import Count, Fixed, Note, Section, Table
from sim.run import estimate

ROOT = Path(__file__).parents[3]
WIDE = Table(
    "Wide",
    ("layer", *(f"a long\nhead {number}" for number in range(6))),
    [
        ["CONV1-of-a-network-with-long-names", *(Count(1234567890123) for _ in range(6))],
        None,
        ["層", "-", "", *(Fixed(1234.5678, 4) for _ in range(4))],
    ],
    (Note("A fact."), Note("What a column means.", legend=True)),
)


def test_numbers_become_short_only_where_room_is_short() -> None:
    narrow, wide = WIDE.lines(80), WIDE.lines(200)
    assert max(map(cell_len, narrow)) <= 80 < max(map(cell_len, wide))
    assert narrow[3].count("1.235e+12") == 6
    assert wide[3].count("1,234,567,890,123") == 6
    assert narrow[3].split()[0].endswith("~")


def test_csv_has_the_values_in_full_and_one_line_a_heading() -> None:
    header, first, second = csv.reader(WIDE.csv().splitlines())
    assert header == ["layer", *(f"a long head {number}" for number in range(6))]
    assert first == ["CONV1-of-a-network-with-long-names", *["1234567890123"] * 6]
    assert second == ["層", "-", "", *["1234.5678"] * 4]


def test_legends_are_left_out_where_nobody_asks_for_them() -> None:
    told, plain = (Section.of(WIDE).lines(80, legends=legends) for legends in (True, False))
    assert told[-2:] == ["  A fact.", "  What a column means."]
    assert told[:-1] == plain
    assert plain[0] == "Wide"


def test_no_heading_breaks_inside_a_word() -> None:
    """A heading has a line break between words: neither `simu-\\nlated` nor three lines."""
    for path in (ROOT / "sim").rglob("*.py"):
        if "models" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.List | ast.Tuple):
                continue
            texts = [
                item.value
                for item in node.elts
                if isinstance(item, ast.Constant) and isinstance(item.value, str)
            ]
            for text in texts:
                if len(texts) > 2 and "\n" in text:
                    upper, _, lower = text.partition("\n")
                    assert not upper.endswith("-"), (path, text)
                    assert "\n" not in lower, (path, text)


def test_the_tables_of_a_summary_are_written_as_csv(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "new" / "tables"
    out(capsys, "estimate", "lenet5", "--energy", "nn_dataflow_65nm", "--csv", str(folder))
    files = {file.stem: file for file in folder.iterdir()}
    assert set(files) == {
        "latency", "layers", "causes", "traffic", "memories", "networks", "energy_levels",
        "energy_data_types",
    }  # fmt: skip
    result = estimate("lenet5")
    rows = list(csv.DictReader(files["layers"].read_text(encoding="utf-8").splitlines()))
    assert [row["layer"] for row in rows] == ["C1", "C3", "C5", "F6", "OUTPUT", "all"]
    assert int(rows[-1]["core cycles"]) == result.processing_cycles
    heads = {name: files[name].read_text(encoding="utf-8").splitlines()[0] for name in files}
    assert heads["latency"].startswith('layer,"total, ms","processing, ms"')
    assert heads["energy_levels"].startswith('layer,"MAC, uJ"')
    assert heads["energy_data_types"].endswith('"per MAC, pJ",chip mW,EDP J s')
    lines = files["networks"].read_text(encoding="utf-8").splitlines()
    words = {row["network"]: row for row in csv.DictReader(lines)}
    assert int(words["GIN ifmap"]["words sent"]) == result.entries[Network.GIN_IFMAP.words]


def test_a_file_in_the_place_of_the_folder_is_told_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tables").write_text("mine")
    assert "Not a directory" in error(capsys, "run", "lenet5", "--csv", str(tmp_path / "tables"))
    assert (tmp_path / "tables").read_text() == "mine"
