"""The vocabulary of a trace: versions, blocks, actions, data types, and the rows of its tables.

`traces/FORMAT.md` says what each word means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from hw_models.vocabulary import BUSES, OPERANDS, Level
from workloads.inputs.words import unknown_name

VERSION = 2
READABLE = (1, 2)
"""Versions of the format that this program reads."""

ACTIONS = (
    "read",
    "write",
    "send",
    "mac",
    "accumulate",
    "fill",
    "prefetch",
    "load",
    "dump",
    "wait",
)
KINDS: tuple[str, ...] = ("none", *OPERANDS)
ACTION = {name: number for number, name in enumerate(ACTIONS)}
KIND = {name: number for number, name in enumerate(KINDS)}

BLOCKS: tuple[str, ...] = (Level.DRAM, Level.GLB, *BUSES)
DRAM, GLB, GIN_FILTER, GIN_IFMAP, GIN_PSUM, GON = range(len(BLOCKS))
FIRST_PE = 16

PE_DTYPE = np.dtype(
    [
        ("row", "<i4"),
        ("column", "<i4"),
        ("operands", "<i4"),
        ("outputs", "<i4"),
        ("uses", "<i4"),
        ("needs", "<i4"),
        ("frees", "<i4"),
        ("ofmap", "<i4"),
        ("bubble", "<i4"),
    ]
)
STREAM_DTYPE = np.dtype(
    [
        ("block", "<i4"),
        ("action", "u1"),
        ("kind", "u1"),
        ("has_data", "u1"),
        ("rows", "<i4"),
        ("durations", "<i4"),
        ("words", "<i4"),
        ("sources", "<i4"),
        ("destinations", "<i4"),
    ]
)
PASS_DTYPE = np.dtype(
    [
        ("layer", "<i4"),
        ("index", "<i4"),
        ("template", "<i4"),
        ("start", "<i8"),
        ("cycles", "<i8"),
        ("prefetched_words", "<i4"),
        ("image_base", "<i4"),
        ("filter_base", "<i4"),
        ("row_base", "<i4"),
        ("column_base", "<i4"),
        ("channel_base", "<i4"),
    ]
)
TILE_DTYPE = np.dtype(
    [
        ("layer", "<i4"),
        ("pass", "<i4"),
        ("start", "<i8"),
        ("cycles", "<i8"),
        ("action", "u1"),
        ("kind", "u1"),
        ("words", "<i8"),
        ("bits", "<i8"),
    ]
)
SHAPE_FIELDS = ("cycles", "span", "streamed", "shift_spad", "load_rate")
"""Figures of a template beside its tables."""
OFMAP_AXES = ("image", "filter", "row", "column")
"""What the ofmap is counted by, in the order in which a PE's program names a place in it."""


@dataclass(frozen=True)
class Layout:
    """Names and numbers of the blocks of an array of `rows` x `columns` PEs."""

    rows: int
    columns: int

    @property
    def pes(self) -> int:
        """PEs of the array."""
        return self.rows * self.columns

    @property
    def blocks(self) -> int:
        """One more than the largest block number."""
        return FIRST_PE + 2 * self.pes

    def pe(self, row: int, column: int) -> int:
        """Return the block of a PE."""
        return FIRST_PE + row * self.columns + column

    def link(self, row: int, column: int) -> int:
        """Return the block of the local link that leads up from a PE."""
        return FIRST_PE + self.pes + row * self.columns + column

    def place(self, block: int) -> tuple[int, int] | None:
        """Return (row, column) of a PE or of the PE below a link; None for other blocks."""
        if not FIRST_PE <= block < self.blocks:
            return None
        row, column = divmod((block - FIRST_PE) % self.pes, self.columns)
        return row, column

    def name(self, block: int) -> str:
        """Return the block's name, such as `gin_ifmap` or `pe(3,4)`."""
        if 0 <= block < len(BLOCKS):
            return BLOCKS[block]
        at = self.place(block)
        if at is None:
            return f"block {block}"
        what = "pe" if block < FIRST_PE + self.pes else "link"
        return f"{what}({at[0]},{at[1]})"

    def group(self, block: int) -> str:
        """Return the group of `BLOCK_GROUPS` that the block belongs to."""
        if block in (DRAM, GLB):
            return BLOCKS[block]
        return "pe" if FIRST_PE <= block < FIRST_PE + self.pes else "noc"

    def parse(self, name: str) -> list[int]:
        """Return the blocks that a name means: a block, a group, or all PEs or links.

        Raises:
            ValueError: there is no such block.

        """
        if name in BLOCKS:
            return [BLOCKS.index(name)]
        if name == "pe":
            return list(range(FIRST_PE, FIRST_PE + self.pes))
        links = list(range(FIRST_PE + self.pes, self.blocks))
        if name == "link":
            return links
        if name == "noc":
            return [GIN_FILTER, GIN_IFMAP, GIN_PSUM, GON, *links]
        parts = re.fullmatch(r"(pe|link)\((\d{1,6}),\s*(\d{1,6})\)", name)
        if parts is not None:
            row, column = int(parts[2]), int(parts[3])
            if row < self.rows and column < self.columns:
                return [self.pe(row, column) if parts[1] == "pe" else self.link(row, column)]
            raise ValueError(
                f"no block {name}: rows are 0 to {self.rows - 1}, columns 0 to {self.columns - 1}"
            )
        known = (*BLOCKS, Level.NOC, "pe", "pe(R,C)", "link", "link(R,C)")
        raise ValueError(unknown_name("block", name, known))
