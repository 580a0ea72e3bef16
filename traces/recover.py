"""Saves what is whole of a trace whose run did not end, and invents nothing.

The writer works in groups, each with the digest of all that it added; the file is kept in an order
(HDF5's SWMR mode) in which a kill at any moment leaves it readable. So what is saved are the groups
up to the first whose digest is not right, byte for byte.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.header import TraceError, read_header, seal
from traces.reader import Tables, open_trace, read_whole, whole_groups
from traces.schema import CONTENT, GROUP_DTYPE, group_digest
from traces.writer import create_file, partial_path


@dataclass(frozen=True)
class Recovered:
    """What was saved; `lost_rows` had been written but not as whole groups."""

    path: Path
    layers: int
    passes: int
    templates: int
    lost_rows: int


def recover(partial: Path | str, path: Path | str) -> Recovered:
    """Write what is whole of the partial file `partial` to the new file `path`.

    The new file says that it was recovered, and opens like any other; its ledger cannot be rebuilt.

    Raises:
        TraceError: the file is no trace, was not left by a run that did not end, or nothing of it
            is whole.
        OSError: a file cannot be read or written, or `path` is there already.

    """
    partial, path = Path(partial), Path(path)
    header = read_header(partial)
    if header.state != "writing":
        raise TraceError(
            partial, "was written to its end: there is nothing to recover; `trace info` reads it"
        )
    if path.exists():
        raise FileExistsError(17, "is there already", str(path))
    tables, kept = whole_groups(partial)
    try:
        if not kept["passes"]:
            raise TraceError(partial, "has nothing that is whole: the run ended too early")
        lost = sum(tables.length(name) - kept[name] for name in CONTENT)
        made = partial_path(path)
        try:
            _write(made, {name: _whole(tables, name, kept[name]) for name in CONTENT})
            with open_trace(made) as found:  # hold it against the format before it gets its name
                saved = Recovered(
                    path, len(found.layers), found.table_rows("passes"), found.templates, lost
                )
            made.replace(path)
        except BaseException:
            with suppress(OSError):
                made.unlink()
            raise
    finally:
        tables.close()
    return saved


def _whole(tables: Tables, name: str, rows: int) -> NDArray[Any]:
    pieces = list(read_whole(tables, name, rows))
    return np.concatenate(pieces) if pieces else np.zeros(0, CONTENT[name].dtype)


def _write(made: Path, content: dict[str, NDArray[Any]]) -> None:
    file, datasets = create_file(made)
    try:
        for name, values in content.items():
            datasets[name].resize((len(values),))
            if len(values):
                datasets[name][:] = values
        row = np.zeros(1, GROUP_DTYPE)
        for name, values in content.items():
            row[name] = len(values)
        row["digest"] = np.frombuffer(group_digest(content.items()), np.uint8)
        datasets["groups"].resize((1,))
        datasets["groups"][:] = row
    finally:
        file.close()
    seal(made, "recovered")
