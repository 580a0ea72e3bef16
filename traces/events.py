"""The vocabulary of a trace: blocks, actions, data types, and the pass as columns of events.

`traces/FORMAT.md` says what each word means. A pass that the machine runs again and again is one
`Template`; an event of it is one row of a stream, and a stream is what one block does of one kind,
in the order of time. What repeats within a stream (durations, words, sources, destinations) is
held once as a pattern, so that only the starts take a number each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from workloads.inputs.words import unknown_name

VERSION = 1

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
KINDS = ("none", "filter", "ifmap", "psum", "ofmap")
ACTION = {name: place for place, name in enumerate(ACTIONS)}
KIND = {name: place for place, name in enumerate(KINDS)}

BLOCKS = ("dram", "glb", "gin_filter", "gin_ifmap", "gin_psum", "gon_psum")
DRAM, GLB, GIN_FILTER, GIN_IFMAP, GIN_PSUM, GON = range(len(BLOCKS))
FIRST_PE = 16
GROUPS = ("dram", "glb", "noc", "pe")
"""What `--trace-blocks` chooses from; `noc` is the three GINs, the GON and the local links."""

CAUSES = (
    "computing",
    "accumulating",
    "waiting_filter",
    "waiting_ifmap",
    "waiting_psum_in",
    "waiting_psum_out",
    "idle",
    "clock_gated",
)

PE_DTYPE = np.dtype(
    [
        ("row", "<i4"),
        ("column", "<i4"),
        ("chain", "<i4"),
        ("place", "<i4"),
        ("filter_set", "<i4"),
        ("channel_set", "<i4"),
        ("filter_row", "<i4"),
        ("ofmap_row", "<i4"),
        ("filter_base", "<i4"),
        ("p", "<i4"),
        ("q", "<i4"),
        ("s", "<i4"),
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
        ("group", "<i4"),
        ("image_base", "<i4"),
        ("row_base", "<i4"),
        ("filter_base", "<i4"),
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
SHAPE_FIELDS = (
    "cycles",
    "span",
    "images",
    "ofmap_columns",
    "column_step",
    "strip_rows",
    "line_words",
    "from_glb",
    "streamed",
    "shift_spad",
)


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
        """The block of a PE."""
        return FIRST_PE + row * self.columns + column

    def link(self, row: int, column: int) -> int:
        """The block of the local link that leads up from a PE."""
        return FIRST_PE + self.pes + row * self.columns + column

    def place(self, block: int) -> tuple[int, int] | None:
        """(row, column) of a PE or of the PE below a link; None for other blocks."""
        if not FIRST_PE <= block < self.blocks:
            return None
        row, column = divmod((block - FIRST_PE) % self.pes, self.columns)
        return row, column

    def name(self, block: int) -> str:
        """The block's name, such as `gin_ifmap` or `pe(3,4)`."""
        if 0 <= block < len(BLOCKS):
            return BLOCKS[block]
        place = self.place(block)
        if place is None:
            return f"block {block}"
        what = "pe" if block < FIRST_PE + self.pes else "link"
        return f"{what}({place[0]},{place[1]})"

    def group(self, block: int) -> str:
        """The group of `GROUPS` that the block belongs to."""
        if block in (DRAM, GLB):
            return BLOCKS[block]
        return "pe" if FIRST_PE <= block < FIRST_PE + self.pes else "noc"

    def parse(self, name: str) -> list[int]:
        """The blocks that a name stands for: a block, a group, or all PEs or links.

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
        found = re.fullmatch(r"(pe|link)\((\d{1,6}),\s*(\d{1,6})\)", name)
        if found is not None:
            row, column = int(found[2]), int(found[3])
            if row < self.rows and column < self.columns:
                return [self.pe(row, column) if found[1] == "pe" else self.link(row, column)]
            raise ValueError(
                f"no block {name}: rows are 0 to {self.rows - 1}, columns 0 to {self.columns - 1}"
            )
        known = (*BLOCKS, "noc", "pe", "pe(R,C)", "link", "link(R,C)")
        raise ValueError(unknown_name("block", name, known))


@dataclass(frozen=True)
class Stream:
    """What one block does of one action and data type in a pass, in the order of time.

    `start` is relative to the pass. `source` and `destination` are numbers of sets. `data` holds
    the words of all rows one after the other, or is None.
    """

    block: int
    action: int
    kind: int
    start: NDArray[np.int64]
    duration: NDArray[np.int64]
    words: NDArray[np.int64]
    source: NDArray[np.int64]
    destination: NDArray[np.int64]
    data: NDArray[np.int64] | None


@dataclass(frozen=True)
class Template:
    """A pass as events, relative to its own start.

    `shape` has the numbers of `SHAPE_FIELDS`; `pes` is `PE_DTYPE`, `streams` `STREAM_DTYPE`.
    `set_ends` and `pattern_ends` say where in `set_members` and `pattern_values` each set (of block
    numbers) and each pattern ends. `steps` are the starts: in each stream the first as it is, each
    other as the distance from the one before. `data` are the words of the streams that have some.
    """

    shape: dict[str, int]
    pes: NDArray[np.void]
    streams: NDArray[np.void]
    set_ends: NDArray[np.int32]
    set_members: NDArray[np.int32]
    pattern_ends: NDArray[np.int32]
    pattern_values: NDArray[np.int32]
    steps: NDArray[np.int32]
    data: NDArray[np.int64]

    @property
    def cycles(self) -> int:
        """Length of the pass."""
        return self.shape["cycles"]

    @property
    def rows(self) -> int:
        """Rows of all streams."""
        return len(self.steps)

    @cached_property
    def sets(self) -> list[tuple[int, ...]]:
        """The sets of blocks."""
        cuts = np.split(self.set_members, self.set_ends[:-1])
        return [tuple(cut.tolist()) for cut in cuts]

    @cached_property
    def patterns(self) -> list[NDArray[np.int64]]:
        """The patterns."""
        return np.split(self.pattern_values.astype(np.int64), self.pattern_ends[:-1])

    @cached_property
    def row_ends(self) -> NDArray[np.int64]:
        """Where each stream ends in `steps`."""
        ends: NDArray[np.int64] = np.cumsum(self.streams["rows"], dtype=np.int64)
        return ends

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """The starts of all rows, stream after stream."""
        total = np.cumsum(self.steps, dtype=np.int64)
        if not len(total):
            return total
        firsts = self.row_ends - self.streams["rows"]
        before = np.where(firsts > 0, total[np.maximum(firsts, 1) - 1], 0)
        starts: NDArray[np.int64] = total - np.repeat(before, self.streams["rows"])
        return starts

    @cached_property
    def data_ends(self) -> NDArray[np.int64]:
        """Where each stream ends in `data`."""
        lengths = [
            int(self.column(place, "words").sum()) if stream["has_data"] else 0
            for place, stream in enumerate(self.streams)
        ]
        ends: NDArray[np.int64] = np.cumsum(lengths, dtype=np.int64)
        return ends

    def column(self, place: int, name: str) -> NDArray[np.int64]:
        """A repeating column of a stream: `durations`, `words`, `sources`, `destinations`."""
        stream = self.streams[place]
        return np.resize(self.patterns[stream[name]], int(stream["rows"]))

    def whole_column(self, name: str) -> NDArray[np.int64]:
        """A repeating column of all streams, one after the other."""
        parts = [self.column(place, name) for place in range(len(self.streams))]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def stream(self, place: int) -> Stream:
        """A stream with every column in full."""
        row = self.streams[place]
        end = int(self.row_ends[place])
        data = None
        if row["has_data"]:
            first = int(self.data_ends[place - 1]) if place else 0
            data = self.data[first : int(self.data_ends[place])]
        return Stream(
            block=int(row["block"]),
            action=int(row["action"]),
            kind=int(row["kind"]),
            start=self.starts[end - int(row["rows"]) : end],
            duration=self.column(place, "durations"),
            words=self.column(place, "words"),
            source=self.column(place, "sources"),
            destination=self.column(place, "destinations"),
            data=data,
        )


@dataclass
class TemplateBuilder:
    """Collects the streams of a pass; `build` puts them in the order of block, action and kind."""

    _streams: list[tuple[tuple[int, ...], Sequence[int], Iterable[int] | None]] = field(
        default_factory=list
    )
    _sets: dict[tuple[int, ...], int] = field(default_factory=dict)
    _patterns: dict[tuple[int, ...], int] = field(default_factory=dict)

    def set_of(self, *blocks: int) -> int:
        """The number of a set of blocks."""
        return self._sets.setdefault(blocks, len(self._sets))

    def pattern(self, values: tuple[int, ...]) -> int:
        """The number of a pattern."""
        return self._patterns.setdefault(values, len(self._patterns))

    def add(
        self, block: int, action: str, kind: str, starts: Sequence[int], *,
        durations: tuple[int, ...], words: tuple[int, ...],
        sources: tuple[int, ...], destinations: tuple[int, ...],
        data: Iterable[int] | None = None,
    ) -> None:  # fmt: skip
        """Add a stream; each of the four patterns repeats over its rows."""
        if not len(starts):
            return
        description = (
            block,
            ACTION[action],
            KIND[kind],
            data is not None,
            len(starts),
            self.pattern(durations),
            self.pattern(words),
            self.pattern(sources),
            self.pattern(destinations),
        )
        self._streams.append((description, starts, data))

    def build(self, shape: dict[str, int], pes: Sequence[tuple[int, ...]]) -> Template:
        """The template; `span` is added to the shape."""
        ordered = sorted(self._streams, key=lambda stream: stream[0][:3])
        table = np.array([stream[0] for stream in ordered], STREAM_DTYPE)
        starts = np.array(list(chain.from_iterable(stream[1] for stream in ordered)), np.int32)
        steps = np.empty_like(starts)
        span = 0
        if len(starts):
            span = int(starts.max()) + 1
            np.subtract(starts[1:], starts[:-1], out=steps[1:])
            firsts = np.cumsum(table["rows"], dtype=np.int64) - table["rows"]
            steps[firsts] = starts[firsts]
        return Template(
            shape={**shape, "span": span},
            pes=np.array([tuple(pe) for pe in pes], PE_DTYPE),
            streams=table,
            set_ends=_ends(self._sets),
            set_members=np.array(list(chain.from_iterable(self._sets)), np.int32),
            pattern_ends=_ends(self._patterns),
            pattern_values=np.array(list(chain.from_iterable(self._patterns)), np.int32),
            steps=steps,
            data=np.array(
                list(chain.from_iterable(s[2] for s in ordered if s[2] is not None)), np.int64
            ),
        )


def _ends(parts: Iterable[tuple[int, ...]]) -> NDArray[np.int32]:
    return np.cumsum([len(part) for part in parts], dtype=np.int32)


def without_blocks(template: Template, layout: Layout, groups: Iterable[str]) -> Template:
    """The template with the streams of some groups of blocks alone."""
    kept = set(groups)
    keep = np.array([layout.group(int(b)) in kept for b in template.streams["block"]], bool)
    rows = np.repeat(keep, template.streams["rows"])
    has_data = template.streams["has_data"].astype(bool)
    lengths = np.diff(template.data_ends, prepend=0)
    words = np.repeat(keep, lengths) if has_data.any() else np.zeros(0, bool)
    return Template(
        shape=template.shape,
        pes=template.pes,
        streams=template.streams[keep],
        set_ends=template.set_ends,
        set_members=template.set_members,
        pattern_ends=template.pattern_ends,
        pattern_values=template.pattern_values,
        steps=template.steps[rows],
        data=template.data[words],
    )
