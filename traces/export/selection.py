"""What an export writes: the events of a query, and the stalls of PEs in the same cycles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.columns import Events, Query, join_events
from traces.reader import LayerTrace, Trace
from traces.stalls import WORKING, Spans

DEFAULT_EVENTS = {"perfetto": 200_000, "vcd": 200_000, "csv": 1_000_000, "npz": 2_000_000}
"""Events of an export where nobody says how many: what the viewers open without trouble."""


@dataclass(frozen=True)
class Selected:
    """Events for an export, and whether the query has more than these.

    `stalls` are the waits of the query's PEs in the same cycles; none where the query wants certain
    actions or data types, or where what PEs wait for was not recorded.
    """

    events: Events
    cut: bool
    stalls: Stalls


@dataclass(frozen=True)
class Stalls:
    """Waits of PEs as columns of equal length, by layer and pass, then by start and PE.

    All causes but computing and accumulating, which events tell. `start` counts the layer's
    processing cycles, `block` is the PE's, `cause` a number of `CAUSES`.
    """

    layer: NDArray[np.int64]
    pass_: NDArray[np.int64]
    start: NDArray[np.int64]
    duration: NDArray[np.int64]
    block: NDArray[np.int64]
    cause: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.start)


def select(trace: Trace, query: Query, most: int, *, stalls: bool = True) -> Selected:
    """Return the first `most` events of a query, and the `stalls` up to the last of them."""
    parts: list[Events] = []
    left, cut = most, False
    for batch in trace.batches(query):
        cut = len(batch) > left
        parts.append(batch.rows(np.arange(left)) if cut else batch)
        left -= min(left, len(batch))
        if cut:
            break
    events = join_events(parts)
    waits = _stalls(trace, query, events if cut else None) if stalls else _no_stalls()
    return Selected(events, cut, waits)


def _no_stalls() -> Stalls:
    return Stalls(*np.zeros((6, 0), np.int64))


def _stalls(trace: Trace, query: Query, events: Events | None) -> Stalls:
    """Return the stalls in the cycles of a query, or up to the last of some events of it."""
    layout = trace.layout
    pes = {layout.pe(row, column): (row, column)
           for row in range(layout.rows) for column in range(layout.columns)}  # fmt: skip
    if query.blocks is not None:
        pes = {block: at for block, at in pes.items() if block in query.blocks}
    rows: list[NDArray[np.int64]] = [np.zeros((6, 0), np.int64)]
    if pes and query.actions is None and query.kinds is None and trace.causes_known:
        one_pe = next(iter(pes.values())) if len(pes) == 1 else None

        @lru_cache(maxsize=8)  # with words every pass is a template of its own
        def spans(number: int) -> dict[tuple[int, int], Spans]:
            return trace.spans(number, one_pe)

        for layer in trace.layers:
            last = (1 << 62) if query.cycles is None else query.cycles[1]
            if events is not None:
                mine = events.start[events.layer == layer.number]
                last = int(mine.max()) if len(mine) else 0
            first = 0 if query.cycles is None else query.cycles[0]
            for place in trace.places(layer, query):
                one = layer.passes[place]
                begin = int(one["start"])
                if begin >= last:
                    break
                all_spans = spans(int(one["template"]))
                rows.append(_waits(all_spans, pes, layer.number, one, first, last))
    return Stalls(*np.concatenate(rows, axis=1))


def _waits(
    spans: Mapping[tuple[int, int], Spans], pes: Mapping[int, tuple[int, int]],
    layer: int, one: Any, first: int, last: int,
) -> NDArray[np.int64]:  # fmt: skip
    """Return the columns of `Stalls` of one pass within the cycles [first, last)."""
    begin = int(one["start"])
    parts = []
    for block, at in pes.items():
        lasting = spans[at].lasting(int(one["cycles"]))
        start = np.maximum(lasting.start + begin, first)
        duration = np.minimum(lasting.start + begin + lasting.duration, last) - start
        there = (duration > 0) & ~np.isin(lasting.cause, WORKING)
        size = int(there.sum())
        parts.append(
            np.stack(
                [
                    np.full(size, layer), np.full(size, int(one["index"])), start[there],
                    duration[there], np.full(size, block), lasting.cause[there],
                ]
            )
        )  # fmt: skip
    columns: NDArray[np.int64] = np.concatenate(parts, axis=1)
    return columns[:, np.lexsort((columns[4], columns[2]))]


def one_layer(trace: Trace, name: str | None) -> LayerTrace:
    """Return the layer of an export: the named one, or the only one.

    Raises:
        ValueError: there are several, or none.

    """
    if name is not None:
        return trace.layer(name)
    if len(trace.layers) != 1:
        known = ", ".join(layer.name for layer in trace.layers) or "none"
        raise ValueError(f"each layer counts its own cycles; name one of {known}")
    return trace.layers[0]
