"""Broken inputs, a table in `bad_inputs/`: each gives its exact words, exit code 2, and no change.

A row names what is wrong, the command line, the files that are there, and all that stderr says
(without click's "Usage" lines); `run` and `files` above the rows hold for each that gives none of
its own. `{x x 5000}` in a row is 5000 times x. A file is its text, or `good` (one that the program
wrote, whole or spoiled), `link`, `hole`, `folder`, `pipe`, `built` (see BUILT), or null for a
file that is missing. Commands run in this process; test_interrupts.py has Ctrl-C, and
test_bad_disks.py permissions and full disks.
"""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hostile_files import FOLDER, PIPE, Good, Hole, Link, everything, put, told

from sim.cli import main


def npy(words: Any) -> bytes:
    stream = io.BytesIO()
    np.save(stream, words, allow_pickle=True)
    return stream.getvalue()


def npy_header(text: bytes, version: bytes = b"\1") -> bytes:
    return b"\x93NUMPY" + version + b"\0v\0" + text.ljust(117) + b"\n"


SHAPE = (1, 3, 8, 8)
ALL_BYTES = bytes(range(256))
MISSING = [
    f"error: net.yaml:{3 + place}: layers[{place}].{what}"
    for place in range(34)
    for what in (
        "name: missing; name of the layer",
        "ifmap: missing; [rows, columns] of the ifmap before padding, or one number",
        "channels: missing; number of input channels, over all groups",
    )
]
BUILT: dict[str, Any] = {
    "all bytes": ALL_BYTES,
    "PNG": b"\x00\xff\xfe\x89PNG\r\n\x1a\n" + ALL_BYTES,
    "NUL": b"network: a\x00b\n",
    "Latin-1": "network: n\u00e9\n".encode("latin-1"),
    "a mebibyte and one": "#" * ((1 << 20) + 1),
    "334 empty layers": "network: n\nlayers:\n" + "- {}\n" * 334,
    "10,001 layers": "network: n\nlayers:\n"
    + "".join(
        f"- {{name: L{i}, ifmap: 1, channels: 1, type: fc, filters: 1}}\n" for i in range(10_001)
    ),
    "100,000 values and one": "network: n\nlayers: [" + "1," * 99_998 + "]\n",
    "5,000,000 lists": "[" + "[]," * 5_000_000 + "[]]",
    "floats": npy(np.zeros(SHAPE)),
    "objects": npy(np.full(SHAPE, None)),
    "word of 17 bits": npy(np.full(SHAPE, 1 << 15)),
    "zip": b"PK\x03\x04" + b"\0" * 60,
    "header that is code": npy_header(b"__import__('os').system('touch pwned')"),
    "header of terabytes": npy_header(
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3, 8, 99999999999)}"
    ),
    "words of 16 bytes": npy(np.zeros(SHAPE, "V16")),
    "true and false": npy(np.zeros(SHAPE, bool)),
    "NaN": npy(np.full(SHAPE, np.nan)),
    "unknown version": b"\x93NUMPY\x09\x00v\x00" + b" " * 118,
    "faults of 334 empty layers": [
        *MISSING[:100],
        "error: net.yaml: 902 more faults are not shown",
    ],
}


@dataclass(frozen=True)
class Bad:
    """One broken input."""

    section: str
    name: str
    argv: list[str]
    says: list[str]
    files: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.section}: {self.name}"


def repeated(text: str) -> str:
    return re.sub(
        r"\{(.{1,4}?) x ([0-9]+)\}", lambda mark: mark[1] * int(mark[2]), text, flags=re.DOTALL
    )


def content(form: Any) -> Any:
    match form:
        case str():
            return repeated(form)
        case {"good": name, **spoiled}:
            edit = spoiled.pop("edit", None)
            return Good(name, edit=edit and tuple(map(repeated, edit)), **spoiled)
        case {"built": name}:
            return BUILT[name]
        case {"link": to}:
            return Link(to)
        case {"hole": size}:
            return Hole(size)
        case {"folder": True}:
            return FOLDER
        case {"pipe": True}:
            return PIPE
    raise ValueError(f"{form} is no form of a file")


def rows(path: Path) -> Iterator[Bad]:
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    for row in table["rows"]:
        assert row.keys() <= {"name", "run", "files", "says"}
        files = table.get("files", {}) | row.get("files", {})
        says = row["says"]
        yield Bad(
            section=path.stem.replace("_", " "),
            name=row["name"],
            argv=shlex.split(repeated(row.get("run", table.get("run")))),
            says=BUILT[says["built"]] if isinstance(says, dict) else [*map(repeated, says)],
            files={name: content(form) for name, form in files.items() if form is not None},
        )


TABLE_OF_BAD = [
    row
    for path in sorted((Path(__file__).parent / "bad_inputs").glob("*.yaml"))
    for row in rows(path)
]


@pytest.mark.parametrize("row", TABLE_OF_BAD, ids=str)
def test_a_broken_input_is_refused(
    row: Bad,
    good: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, content in row.files.items():
        put(tmp_path / name, content, good)
    before = everything(tmp_path)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    code = main(row.argv)
    captured = capsys.readouterr()
    # How large a trace is depends on the libraries that packed it.
    size = (good / "run.trace").stat().st_size
    sizes = {"{run.trace}": size, "{run.trace+7}": size + 7}
    says = row.says
    for mark, bytes_ in sizes.items():
        says = [line.replace(mark, str(bytes_)) for line in says]
    assert told(captured.err) == says
    assert code == 2
    assert captured.out == ""
    assert everything(tmp_path) == before


def test_the_table_is_long_enough(count: Callable[[str, str, int], None]) -> None:
    assert len({str(row) for row in TABLE_OF_BAD}) == len(TABLE_OF_BAD)
    for row in TABLE_OF_BAD:
        count("bad inputs", row.section, 1)
    assert len(TABLE_OF_BAD) >= 120
