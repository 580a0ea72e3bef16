"""Writes a trace: layer by layer, in groups that are whole on disk before the next one begins.

Life of a writer: `TraceWriter(...)`, then for each layer `begin_layer`, any number of
`add_template` and `add_passes`, `end_layer`; then `close`, which seals the file and gives it its
name. Until then it has that name with `.partial` appended, and says of itself that it is
being written.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from traces.events import PASS_DTYPE, SHAPE_FIELDS, TILE_DTYPE, Layout
from traces.header import SIZE, Header, seal
from traces.schema import CONTENT, CURRENT, GZIP_LEVEL, PARTS, Schema, group_digest
from traces.template import Template, without_blocks

Rows = NDArray[Any]
GROUP_ROWS = 1 << 20
"""Events that a group gathers before it is written."""
LIBVER = ("v110", "v110")


def json_bytes(data: object) -> Rows:
    """Return `data` as compact JSON, as an array of bytes."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return np.frombuffer(text.encode(), np.uint8)


def partial_path(path: Path) -> Path:
    """Return where a trace is written: beside its name, so that it can be moved there."""
    return path.with_name(f"{path.name}.partial-{os.getpid()}-{secrets.token_hex(4)}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let what cannot be written be an `OSError` that names the file; HDF5's has other types."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        number = re.search(r"errno = (\d+)", str(error))
        code = int(number[1]) if number is not None else getattr(error, "errno", None)
        reason = os.strerror(code) if code else str(error).splitlines()[0]
        raise OSError(code, f"cannot be written: {reason}", str(path)) from None


def let_go(file: Any) -> None:
    """Close a file that can no longer be written; what is on disk stays as it is.

    HDF5 keeps what it could not write, tries again when Python ends, and crashes. So what it still
    has to write goes nowhere.
    """
    with suppress(OSError, RuntimeError, ValueError):
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, file.id.get_vfd_handle())
        os.close(nowhere)
    with suppress(OSError, RuntimeError, ValueError):
        file.close()


def create_file(path: Path, schema: Schema = CURRENT) -> tuple[Any, dict[str, Any]]:
    """Return a new file with every dataset, empty; its header says that it is being written.

    Raises:
        OSError: it cannot be written, or is there already.

    """
    # Exclusive, so that no file of somebody else is ever taken over.
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    file = None
    try:
        file = h5py.File(path, "w", libver=LIBVER, userblock_size=SIZE)
        tables = {
            name: file.create_dataset(
                name, (0,), table.dtype, maxshape=(None,), chunks=(table.chunk,),
                compression="gzip", compression_opts=GZIP_LEVEL, shuffle=True,
            )
            for name, table in schema.tables.items()
        }  # fmt: skip
        # From here on whatever is on disk can be opened, also after a kill.
        file.swmr_mode = True
        with path.open("r+b") as stream:
            stream.write(Header("writing", 0, "0" * 64, schema.version).encode())
    except BaseException:
        if file is not None:
            let_go(file)
        with suppress(OSError):
            path.unlink()
        raise
    return file, tables


class TraceWriter:
    """A trace file while it is written.

    `description` says what the run is (FORMAT.md); `blocks` are the groups of blocks to keep, all
    where None.

    Raises:
        OSError: the file cannot be written, now or later.
        ValueError: a step of its life is out of turn.

    """

    def __init__(
        self,
        path: Path | str,
        description: Mapping[str, Any],
        *,
        blocks: Iterable[str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.partial = partial_path(self.path)
        machine = description["machine"]
        self._layout = Layout(machine["array_rows"], machine["array_columns"])
        self._blocks = None if blocks is None else tuple(blocks)
        self._open = True
        self._layers = 0
        self._in_layer = False
        self._templates = 0
        self._ends = dict.fromkeys(PARTS, 0)
        self._written = dict.fromkeys(CONTENT, 0)
        self._pending: dict[str, list[Rows]] = {name: [] for name in CONTENT}
        self._texts = {"layer_text": 0, "result_text": 0}
        self._pending_rows = 0
        self._groups = 0
        self._whole_passes = 0
        with writing(self.path):
            self._file, self._tables = create_file(self.partial)
        self._put("description", json_bytes(description))
        try:
            self._flush()
        except OSError:
            self.abort()
            raise

    # ---------------------------------------------------------------- layers

    def begin_layer(self, description: Mapping[str, Any]) -> int:
        """Begin a layer and return its number."""
        self._turn(not self._in_layer, "a layer begins before the last one has ended")
        self._in_layer = True
        self._text("layer", description)
        self._layers += 1
        return self._layers - 1

    def add_template(self, template: Template) -> int:
        """Add a pass as a program with dates and return its number."""
        self._turn(self._in_layer, "a template outside a layer")
        if self._blocks is not None:
            template = without_blocks(template, self._layout, self._blocks)
        row = [template.shape[name] for name in SHAPE_FIELDS]
        for name in PARTS:
            values = getattr(template, name)
            self._ends[name] += len(values)
            row.append(self._ends[name])
            self._put(name, values)
        self._put("templates", np.array([tuple(row)], CURRENT.template_dtype))
        self._pending_rows += template.rows + len(template.data)
        self._templates += 1
        return self._templates - 1

    def add_passes(self, passes: Sequence[tuple[int, ...]]) -> None:
        """Add passes of the layer that have run: `PASS_DTYPE` without the layer, in order."""
        self._turn(self._in_layer, "a pass outside a layer")
        rows = [(self._layers - 1, *row) for row in passes]
        self._put("passes", np.array(rows, PASS_DTYPE))
        if self._pending_rows >= GROUP_ROWS:
            self._flush()

    def end_layer(self, tiles: Sequence[tuple[int, ...]], result: Mapping[str, Any]) -> None:
        """End the layer with its tiles (`TILE_DTYPE` without the layer) and the run's figures."""
        self._turn(self._in_layer, "a layer ends that has not begun")
        self._put("tiles", np.array([(self._layers - 1, *row) for row in tiles], TILE_DTYPE))
        self._text("result", result)
        self._in_layer = False
        self._flush()

    def _turn(self, right: bool, fault: str) -> None:
        if not self._open or not right:
            raise ValueError(fault if self._open else "the trace is closed")

    # ---------------------------------------------------------------- the end

    def close(self, state: str = "complete") -> None:
        """Seal the file and give it its name; an older file of that name is replaced."""
        self._turn(not self._in_layer, "the trace is closed within a layer")
        self._flush()
        try:
            with writing(self.path):
                self._file.close()
                seal(self.partial, state)
                self.partial.replace(self.path)
        except OSError:
            let_go(self._file)
            raise
        self._open = False

    def abort(self) -> Path | None:
        """Stop in the middle; the partial file that `recover` can use, None where it is empty."""
        if not self._open:
            return None
        with suppress(OSError, ValueError):
            if self._written["passes"] or self._pending["passes"]:
                self._flush()
        useful = bool(self._whole_passes)
        self._open = False
        with suppress(OSError, ValueError, RuntimeError):
            self._file.close()
        if not useful:
            self.partial.unlink(missing_ok=True)
        return self.partial if useful else None

    # ---------------------------------------------------------------- groups

    def _put(self, name: str, values: Rows) -> None:
        if len(values):
            self._pending[name].append(values)

    def _text(self, kind: str, data: Mapping[str, Any]) -> None:
        text = json_bytes(data)
        self._texts[f"{kind}_text"] += len(text)
        self._put(f"{kind}_text", text)
        self._put(f"{kind}_ends", np.array([self._texts[f"{kind}_text"]], np.int64))

    def _flush(self) -> None:
        """Write what has gathered as one group; its row is the last thing on disk."""
        if not any(self._pending.values()):
            return
        try:
            with writing(self.path):
                self._write_group()
        except OSError:
            let_go(self._file)
            raise
        self._whole_passes = self._written["passes"]

    def _write_group(self) -> None:
        parts = []
        for name, table in CONTENT.items():
            pieces = self._pending[name]
            values = (
                np.concatenate(pieces).astype(table.dtype, copy=False)
                if pieces
                else np.zeros(0, table.dtype)
            )
            self._append(name, values)
            parts.append((name, values))
            pieces.clear()
        self._file.flush()
        row = np.zeros(1, CURRENT.group_dtype)
        for name in CONTENT:
            row[name] = self._written[name]
        row["digest"] = np.frombuffer(group_digest(parts), np.uint8)
        group = self._tables["groups"]
        group.resize((self._groups + 1,))
        group[self._groups :] = row
        self._groups += 1
        self._file.flush()
        self._pending_rows = 0

    def _append(self, name: str, values: Rows) -> None:
        if not len(values):
            return
        first = self._written[name]
        table = self._tables[name]
        table.resize((first + len(values),))
        table[first:] = values
        self._written[name] = first + len(values)
