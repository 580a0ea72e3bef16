"""The datasets of a trace file: names, types, chunks, and how much of each a reader accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.events import PASS_DTYPE, PE_DTYPE, SHAPE_FIELDS, STREAM_DTYPE, TILE_DTYPE, VERSION

GZIP_LEVEL = 1
"""Higher levels save a few percent of a small file and cost more than the pass itself."""


@dataclass(frozen=True)
class Table:
    """A dataset: its type, the rows of a chunk, and the most rows that a reader accepts."""

    dtype: np.dtype[Any]
    chunk: int
    most: int


_INT32, _INT64, _BYTE = np.dtype("<i4"), np.dtype("<i8"), np.dtype("u1")
PARTS = (
    "pes",
    "set_ends",
    "set_members",
    "pattern_ends",
    "pattern_values",
    "streams",
    "steps",
    "data",
    "legend",
)
"""What a template is made of; each is a dataset that holds those of all templates."""
_MOST = 1 << 33


@dataclass(frozen=True)
class Schema:
    """The datasets of one version of the format, in the order of their digests.

    A template has the figures `shape` and the `parts`; `pes` and `passes` are the types of these,
    `pass_chunk` the rows of a chunk of passes.
    """

    version: int
    shape: tuple[str, ...]
    parts: tuple[str, ...]
    pes: np.dtype[Any]
    passes: np.dtype[Any]
    pass_chunk: int

    @cached_property
    def template_dtype(self) -> np.dtype[Any]:
        """A row of `templates`: its figures, and where each of its parts ends."""
        ends = [f"{name}_end" for name in self.parts]
        return np.dtype([(name, "<i8") for name in (*self.shape, *ends)])

    @cached_property
    def content(self) -> Mapping[str, Table]:
        """The datasets that hold the trace."""
        parts = {
            "pes": Table(self.pes, 2048, _MOST),
            "set_ends": Table(_INT32, 4096, _MOST),
            "set_members": Table(_INT32, 1 << 14, _MOST),
            "pattern_ends": Table(_INT32, 4096, _MOST),
            "pattern_values": Table(_INT32, 1 << 14, _MOST),
            "streams": Table(STREAM_DTYPE, 4096, _MOST),
            "steps": Table(_INT32, 1 << 16, 1 << 40),
            "data": Table(_INT64, 1 << 15, 1 << 40),
            "legend": Table(_BYTE, 4096, _MOST),
        }
        return {
            "description": Table(_BYTE, 4096, 1 << 24),
            "layer_ends": Table(_INT64, 256, 1 << 16),
            "layer_text": Table(_BYTE, 4096, 1 << 26),
            "result_ends": Table(_INT64, 256, 1 << 16),
            "result_text": Table(_BYTE, 1 << 15, 1 << 30),
            "templates": Table(self.template_dtype, 256, 1 << 24),
            **{name: parts[name] for name in self.parts},
            "passes": Table(self.passes, self.pass_chunk, 20_000_000),
            "tiles": Table(TILE_DTYPE, 4096, 80_000_000),
        }

    @cached_property
    def group_dtype(self) -> np.dtype[Any]:
        """A row of `groups`: how long each dataset is behind the group, and the digest."""
        return np.dtype([*((name, "<i8") for name in self.content), ("digest", "u1", (32,))])

    @cached_property
    def tables(self) -> Mapping[str, Table]:
        """All datasets of a file."""
        return {**self.content, "groups": Table(self.group_dtype, 64, 1 << 20)}


# A chunk is written anew with each group and leaves a hole: 2^14 rows cost LeNet-5 a tenth of its
# trace. Small chunks cost a trace of a million passes more: 2^11 a quarter of their table.
CURRENT = Schema(VERSION, SHAPE_FIELDS, PARTS, PE_DTYPE, PASS_DTYPE, 1 << 13)
CONTENT, TABLES = CURRENT.content, CURRENT.tables

MOST_BYTES = 160 << 20
"""Memory of passes, tiles, templates and texts, which a reader holds as long as a trace is open."""
MOST_TEMPLATE_BYTES = 720 << 20
"""Memory of one template with its events in full: five million of them."""
MOST_SET_BYTES = 64 << 20
"""Memory of the sets of blocks of all templates that were read."""
TABLE_FACTOR = 1.5
"""A table in memory over its rows: it is read, compared with earlier rows, and cut by layer."""
_TEMPLATE_BYTES: Mapping[str, int] = {
    "pes": 900,
    "set_ends": 400,
    "set_members": 24,
    "pattern_ends": 200,
    "pattern_values": 48,
    "streams": 1200,
    "steps": 150,
    "data": 48,
    "legend": 80,
}
LARGEST_RATIO = 1100
"""No gzip stream holds more than 1032 times its own size."""


def template_memory(rows: Mapping[str, int]) -> int:
    """Return at most how many bytes a template takes, by the rows of its parts."""
    return sum(rows.get(name, 0) * size for name, size in _TEMPLATE_BYTES.items())


def group_digest(parts: Iterable[tuple[str, NDArray[Any]]]) -> bytes:
    """Return the digest of what a group added to each dataset, in the order of `Schema.content`."""
    return digest_of_pieces((name, len(values), [values]) for name, values in parts)


def digest_of_pieces(parts: Iterable[tuple[str, int, Iterable[NDArray[Any]]]]) -> bytes:
    """Return the same of what comes in pieces: a dataset's name, its rows in all, and these."""
    digest = hashlib.blake2b(digest_size=32)
    for name, rows, pieces in parts:
        digest.update(f"{name} {rows}\n".encode())
        for values in pieces:
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest()
