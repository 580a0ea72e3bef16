"""Result files and traces that say they are large: refused before they are read, or within bounds.

docs/limits.md has the bounds: a gigabyte for results, two for what reads a trace.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hostile_memory import BOUND, peak, slow

from sim.account.result import MOST_FILE_BYTES, MOST_FILE_MEMORY
from sim.cli import main
from sim.report.load import MOST_PART_VALUES
from sim.result.model import SCHEMA, VERSION
from traces.header import seal
from traces.schema import TABLES
from workloads.inputs.json_text import json_memory

# --- results --------------------------------------------------------------------------------------

HEAD = f'{{"schema": "{SCHEMA}", "version": {VERSION}, '
LISTS, DICTS, NESTED, WORDS = "[],", "{},", "[[1]],", '"ab",'


def results(inside: str, entry: str, room: int) -> str:
    """A result file with a place full of one entry, up to that much memory."""
    count = min(room // json_memory(entry.encode()), MOST_FILE_BYTES // len(entry))
    before, after = inside.split("@")
    return f"{HEAD}{before}{entry * count}{entry[:-1]}{after}}}"


def values(inside: str, entry: str) -> str:
    """The same, up to as many values as are checked one by one."""
    before, after = inside.split("@")
    count = (MOST_PART_VALUES - 100) // sum(map(entry.count, ",[{"))
    return f"{HEAD}{before}{entry * count}{entry[:-1]}{after}}}"


ROOM = MOST_FILE_MEMORY - (1 << 20)
RESULTS = {
    "layers beyond all number": (lambda: results('"layers": [@]', DICTS, 1 << 40), True),
    "what nobody reads": (lambda: results('"later": [@]', LISTS, ROOM), True),
    "words that nobody reads": (lambda: results('"later": [@]', WORDS, ROOM), False),
    "a map of lists": (lambda: results('"layers": [{"pe": {"macs": [@]}}]', LISTS, ROOM), False),
    "a map of nested lists": (
        lambda: results('"layers": [{"pe": {"macs": [@]}}]', NESTED, ROOM), False,
    ),
    "wrong notes": (lambda: values('"notes": [@]', LISTS), False),
    "wrong kinds of passes": (
        lambda: values('"layers": [{"timeline": {"kinds": [@]}}]', DICTS), True,
    ),
    "wrong orders of passes": (
        lambda: values('"layers": [{"timeline": {"order": [@]}}]', NESTED), False,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [name if quick else slow(name) for name, (_, quick) in RESULTS.items()]
)
def test_a_hostile_result_is_refused_within_the_bound(name: str, tmp_path: Path) -> None:
    code, used, told = peak("report r.json", tmp_path, r__json=RESULTS[name][0]())
    assert code == 2, told[-500:]
    assert used < BOUND
    assert len(told.splitlines()) <= 20


def test_results_that_fit_alone_may_not_fit_together(
    good: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    one = json_memory((good / "result.json").read_bytes())
    monkeypatch.setattr("sim.report.load.MOST_FILE_MEMORY", 2 * one)
    file = str(good / "result.json")
    assert main(["report", file, file, "-o", os.devnull]) == 0
    assert main(["report", file, file, file, "-o", os.devnull]) == 2
    assert "limit 0: report fewer results, or fewer layers" in capsys.readouterr().err


# --- traces ---------------------------------------------------------------------------------------

TRACE_BOUND = 2 * BOUND


def replaced(file: h5py.File, name: str, rows: Any) -> None:
    del file[name]
    file.create_dataset(
        name, data=rows, chunks=(TABLES[name].chunk,), maxshape=(None,), compression="gzip",
        shuffle=True,
    )  # fmt: skip


def longer(file: h5py.File, ends: tuple[str, ...], rows: int) -> None:
    """The last template has that many rows more in some of its parts."""
    templates = file["templates"][:]
    for name in ends:
        templates[f"{name}_end"][-1] += rows
    file["templates"][:] = templates


def more_results(file: h5py.File, size: int) -> None:
    text = b'{"report":[' + b"[]," * (size // 3) + b"[]]}"
    replaced(file, "result_text", np.frombuffer(text, np.uint8))
    replaced(file, "result_ends", np.array([len(text)], np.int64))


def more_passes(file: h5py.File, rows: int) -> None:
    table = np.zeros(rows, file["passes"].dtype)
    table["index"], table["cycles"] = np.arange(rows), 5
    table["start"] = 5 * np.arange(rows)
    replaced(file, "passes", table)


def more_events(file: h5py.File, rows: int) -> None:
    streams = file["streams"][:]
    streams["rows"][-1] += rows
    file["streams"][:] = streams
    replaced(file, "steps", np.concatenate([file["steps"][:], np.zeros(rows, np.int32)]))
    longer(file, ("steps",), rows)


def more_streams(file: h5py.File, rows: int) -> None:
    one = file["streams"][-1:]
    one["rows"], one["has_data"] = 1, 0
    replaced(file, "streams", np.concatenate([file["streams"][:], np.repeat(one, rows)]))
    replaced(file, "steps", np.concatenate([file["steps"][:], np.zeros(rows, np.int32)]))
    longer(file, ("steps", "streams"), rows)


def longer_pattern(file: h5py.File, rows: int) -> None:
    values = np.concatenate([file["pattern_values"][:], np.ones(rows, np.int32)])
    replaced(file, "pattern_values", values)
    file["pattern_ends"][-1] += rows
    longer(file, ("pattern_values",), rows)


def forged(good: Path, folder: Path, change: Callable[[h5py.File, int], None], rows: int) -> str:
    """A trace that is right but for its size; of kilobytes, as it is packed."""
    path = folder / "forged.trace"
    path.write_bytes((good / "run.trace").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file, rows)
    seal(path, "complete")
    assert path.stat().st_size < 1 << 20
    return str(path)


TOO_LARGE = {
    "a result of a gigabyte when read": (more_results, 16 << 20, "report @"),
    "passes": (more_passes, 2_200_000, "trace info @"),
    "events of a pass": (more_events, 6_000_000, "trace replay @"),
    "streams of a pass": (more_streams, 700_000, "trace replay @"),
    "a pattern": (longer_pattern, 18_000_000, "trace replay @"),
}


@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_trace_that_is_too_large_is_refused_before_it_is_read(
    name: str, good: Path, tmp_path: Path
) -> None:
    change, rows, argv = TOO_LARGE[name]
    trace = forged(good, tmp_path, change, rows)
    code, used, told = peak(argv.replace("@", trace), tmp_path)
    assert code == 2, told[-500:]
    assert re.search(r"MiB of memory", told), told
    assert used < 200 << 20


AS_LARGE_AS_CAN_BE = (more_passes, 2_000_000), (more_events, 4_500_000), (more_streams, 500_000)


@pytest.mark.slow
@pytest.mark.parametrize(("change", "rows"), AS_LARGE_AS_CAN_BE)
@pytest.mark.parametrize(
    "argv",
    [
        "trace info @",
        "trace replay @",
        "trace replay @ --break glb.psum.write>100000000",
        "trace diff @ @",
        "trace export @ --to csv -o x.csv",
        "trace export @ --to npz -o x.npz",
        "report @ -o x.html",
    ],
)
def test_the_largest_trace_that_is_read_stays_within_the_bound(
    argv: str, change: Callable[[h5py.File, int], None], rows: int, good: Path, tmp_path: Path
) -> None:
    trace = forged(good, tmp_path, change, rows)
    code, used, told = peak(argv.replace("@", trace), tmp_path, 600)
    assert code in (0, 1, 2), told[-500:]
    assert "internal error" not in told
    assert used < TRACE_BOUND
