"""The HDF5 side of a trace: its datasets, each checked against the schema before it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from traces import version_1
from traces.header import TraceError
from traces.schema import CURRENT, LARGEST_RATIO, Schema, digest_of_pieces

Rows = NDArray[Any]
CHECKED_ROWS = 1 << 20
SCHEMAS = {schema.version: schema for schema in (version_1.SCHEMA, CURRENT)}
"""The schema of each version that can be read."""


class Tables:
    """The datasets of a file, each checked against the schema before it is read."""

    def __init__(self, path: Path, schema: Schema, shown: Path | None = None) -> None:
        self.path = path if shown is None else shown  # what errors name
        self.schema = schema
        self._size = path.stat().st_size
        self._lengths: dict[str, int] = {}
        self._sets: dict[str, Any] = {}
        self._file = self._guard(lambda: h5py.File(path, "r"))
        try:
            self._guard(self._check)
        except BaseException:
            self.close()
            raise

    def _guard(self, act: Callable[[], Any]) -> Any:
        """Turn whatever the HDF5 library says into a `TraceError`."""
        try:
            return act()
        except TraceError:
            raise
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TraceError(self.path, f"is damaged: {first}") from None

    def _check(self) -> None:
        names, tables = set(self._file), self.schema.tables
        if names != set(tables):
            odd = min(names ^ set(tables))
            which = "without the" if odd in tables else "with a foreign"
            raise TraceError(self.path, f"is no valid trace: {which} dataset {odd!r}")
        for name, table in tables.items():
            link = self._file.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise TraceError(self.path, f"is no valid trace: {name} is a link to elsewhere")
            dataset = self._file.get(name)
            fault = self._dataset_fault(dataset, table.dtype, table.chunk, table.most, self._size)
            if fault:
                raise TraceError(self.path, f"is no valid trace: {name} {fault}")
            self._sets[name] = dataset
            self._lengths[name] = int(dataset.shape[0])

    @staticmethod
    def _dataset_fault(dataset: Any, dtype: Any, chunk: int, most: int, size: int) -> str:
        if not isinstance(dataset, h5py.Dataset):
            return "is no dataset"
        if dataset.is_virtual or dataset.external:
            return "has its data in another file"
        if dataset.dtype != dtype:
            return f"has type {str(dataset.dtype)[:60]}"
        if dataset.ndim != 1 or dataset.chunks != (chunk,):
            return "has another shape or other chunks"
        plist = dataset.id.get_create_plist()
        filters = [plist.get_filter(number)[0] for number in range(plist.get_nfilters())]
        if filters != [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE]:
            return "has filters other than shuffle and gzip"
        length = int(dataset.shape[0])
        if length > most:
            return f"has {length} rows, more than {most}"
        stored = int(dataset.id.get_storage_size())
        if stored > size or max(0, length - chunk) * dtype.itemsize > stored * LARGEST_RATIO:
            return f"has {length} rows in {stored} bytes, which cannot be"
        return ""

    def length(self, name: str) -> int:
        """Return the number of rows of a dataset."""
        return self._lengths[name]

    def read(self, name: str, first: int, last: int) -> Rows:
        """Return rows of a dataset."""

        def rows() -> Rows:
            values: Rows = self._sets[name][first:last]
            return values

        return np.asarray(self._guard(rows))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def whole_groups(tables: Tables) -> dict[str, int]:
    """Return how much of each dataset lies in groups whose digest is right."""
    names = tables.schema.content
    kept = dict.fromkeys(names, 0)
    for number in range(tables.length("groups")):
        row = tables.read("groups", number, number + 1)[0]
        ends = {name: int(row[name]) for name in names}
        if any(not kept[name] <= ends[name] <= tables.length(name) for name in names):
            break
        try:
            digest = pieces_digest(tables, kept, ends)
        except TraceError:
            break
        if digest != row["digest"].tobytes():
            break
        kept = ends
    return kept


def pieces_digest(tables: Tables, first: Mapping[str, int], last: Mapping[str, int]) -> bytes:
    """Return the digest of a group by where it begins and ends in each dataset."""
    return digest_of_pieces(
        (name, last[name] - first[name], read_pieces(tables, name, first[name], last[name]))
        for name in tables.schema.content
    )


def read_pieces(tables: Tables, name: str, first: int, last: int) -> Iterator[Rows]:
    """Return rows of a dataset, piece by piece."""
    for place in range(first, last, CHECKED_ROWS):
        yield tables.read(name, place, min(last, place + CHECKED_ROWS))
