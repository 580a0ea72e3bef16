"""Events as columns, and the query that chooses some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Rows = NDArray[Any]


@dataclass(frozen=True)
class Events:
    """Events as columns of equal length, in the order of pass, start and block.

    `start` counts the layer's processing cycles, `pass_` is the pass's index in the layer. `source`
    and `destination` are numbers into `Trace.sets`. `data` are the words of all events one after
    the other, `data_end` where each event's words end in it; an event without data adds none.
    """

    layer: Ints
    pass_: Ints
    start: Ints
    duration: Ints
    block: Ints
    action: Ints
    kind: Ints
    words: Ints
    source: Ints
    destination: Ints
    data_end: Ints
    data: Ints

    def __len__(self) -> int:
        return len(self.start)

    def words_of(self, row: int) -> Ints:
        """Return the data of one event."""
        return self.data[int(self.data_end[row - 1]) if row else 0 : int(self.data_end[row])]

    def having(self, **columns: Ints) -> Events:
        """Return the events with some columns replaced."""
        return replace(self, **columns)

    def rows(self, chosen: Rows) -> Events:
        """Return the events of some rows: their numbers in any order, or a mask."""
        rows = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        columns = {name: getattr(self, name)[rows] for name in COLUMNS}
        ends, data = data_at(rows, self.data_end, self.data)
        return Events(**columns, data_end=ends, data=data)


def data_at(rows: Rows, ends: Ints, data: Ints) -> tuple[Ints, Ints]:
    """Return `data_end` and `data` of some rows, in their order."""
    if not len(data):
        return same(0, len(rows)), data
    first = np.concatenate([np.zeros(1, np.int64), ends])[rows]
    lengths = ends[rows] - first
    new_ends = np.cumsum(lengths, dtype=np.int64)
    words = np.repeat(first - (new_ends - lengths), lengths) + np.arange(int(lengths.sum()))
    return new_ends, data[words]


def same(value: int, rows: int) -> Ints:
    """Return a column that is the same everywhere, and takes no memory."""
    return np.broadcast_to(np.int64(value), (rows,))


COLUMNS = tuple(f.name for f in fields(Events) if not f.name.startswith("data"))


def join_events(parts: Sequence[Events]) -> Events:
    """Return the events of several pieces, one after the other."""
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts] or [np.zeros(0, np.int64)])
        for name in (*COLUMNS, "data")
    }
    ends = []
    before = 0
    for part in parts:
        ends.append(part.data_end + before)
        before += len(part.data)
    return Events(**columns, data_end=np.concatenate(ends or [np.zeros(0, np.int64)]))


@dataclass(frozen=True)
class Query:
    """Which events are wanted; None wants all. Blocks are numbers, cycles [first, last)."""

    layers: frozenset[int] | None = None
    passes: tuple[int, int] | None = None
    blocks: frozenset[int] | None = None
    actions: frozenset[int] | None = None
    kinds: frozenset[int] | None = None
    cycles: tuple[int, int] | None = None


def matching_rows(events: Events, query: Query) -> NDArray[np.bool_]:
    """Return a mask of the events of a pass that a query wants, apart from layer and pass."""
    mask = np.ones(len(events), bool)
    for column, chosen in (
        (events.block, query.blocks),
        (events.action, query.actions),
        (events.kind, query.kinds),
    ):
        if chosen is not None:
            mask &= np.isin(column, list(chosen))
    if query.cycles is not None:
        mask &= (events.start >= query.cycles[0]) & (events.start < query.cycles[1])
    return mask


def matching(events: Events, query: Query) -> Events:
    """Return the events of a pass that a query wants."""
    mask = matching_rows(events, query)
    return events if mask.all() else events.rows(mask)
