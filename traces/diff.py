"""Where two runs part: the first event that is not the same in both, and what else differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from traces.columns import Events
from traces.reader import LayerTrace, Trace
from traces.schema import PARTS
from traces.state import PassView, state_text
from traces.text import event_text

AROUND = 3


@dataclass(frozen=True)
class Side:
    """One run where they part: its event as text, None where it has none there, and its rows.

    `row` is the place among the events of the pass; `around` are the events before and after.
    """

    event: str | None
    row: int
    start: int | None
    block: int | None
    around: tuple[str, ...]
    state: tuple[str, ...]


@dataclass(frozen=True)
class Parting:
    """The first event in which two runs differ.

    It is the first in the order of events that one run has and the other has not; the other side is
    what that run has in its place: its next event of the same block, action and data type. `cycle`
    is the processing cycle of the earlier one in the layer of run A; `columns` are those in which
    the two differ.
    """

    layer: str
    pass_index: int
    cycle: int
    columns: tuple[str, ...]
    a: Side
    b: Side


@dataclass
class Diff:
    """What differs: the first event, the passes that differ, and the figures of the runs.

    `inputs` are what was simulated: mappings, hardware, shapes. Two runs of other inputs may be the
    same all the same.
    """

    inputs: list[str] = field(default_factory=list)
    first: Parting | None = None
    passes: int = 0
    figures: list[str] = field(default_factory=list)

    @property
    def same(self) -> bool:
        """Nothing differs."""
        return self.first is None and not self.figures


def diff(a: Trace, b: Trace) -> Diff:
    """Compare two traces layer by layer, pass by pass, event by event.

    Raises:
        ValueError: they are of other arrays, so that no event of one can be found in the other.

    """
    if a.layout != b.layout:
        raise ValueError(
            f"{a.path} is of an array of {a.layout.rows} x {a.layout.columns}, {b.path} of "
            f"{b.layout.rows} x {b.layout.columns}: no event of one is an event of the other"
        )
    result = Diff(list(_inputs(a, b)))
    equal: dict[tuple[int, int], bool] = {}
    for left, right in zip(a.layers, b.layers, strict=False):
        if left.name != right.name:
            result.figures.append(f"layer {left.name} in one, {right.name} in the other")
            break
        _compare_layer(a, b, left, right, equal, result)
        result.figures += _figures(left, right)
    if len(a.layers) != len(b.layers):
        result.figures.append(f"layers: {len(a.layers)} and {len(b.layers)}")
    return result


def _inputs(a: Trace, b: Trace) -> Iterator[str]:
    """Say in what two runs were simulated otherwise: the likely reason for all the rest."""
    for name in ("network", "batch"):
        mine, other = a.description.get(name), b.description.get(name)
        if mine != other:
            yield f"{name}: {mine} and {other}"
    yield from _other_fields("", a.description.get("hardware"), b.description.get("hardware"))
    mappings: dict[str, list[str]] = {}
    for left, right in zip(a.layers, b.layers, strict=False):
        if left.name != right.name:
            break
        yield from _other_fields(
            f"{left.name} ", left.description.get("shape"), right.description.get("shape")
        )
        mine, other = (_mapping_text(one.description.get("mapping")) for one in (left, right))
        if mine != other:
            mappings.setdefault(f"{mine} and {other}", []).append(left.name)
    for both, names in mappings.items():
        yield f"mapping of {', '.join(names)}: {both}"


def _other_fields(prefix: str, mine: object, other: object) -> Iterator[str]:
    """Say which values differ in two descriptions, by their dotted names."""
    if isinstance(mine, Mapping) and isinstance(other, Mapping):
        for key in sorted(mine.keys() | other.keys()):
            if key not in ("description", "sources"):
                dot = "." if prefix and not prefix.endswith(" ") else ""
                yield from _other_fields(f"{prefix}{dot}{key}", mine.get(key), other.get(key))
    elif mine != other:
        yield f"{prefix}: {mine} and {other}"


def _mapping_text(mapping: object) -> str:
    if not isinstance(mapping, Mapping):
        return "none"
    return ",".join(f"{name}={value}" for name, value in mapping.items())


def _compare_layer(
    a: Trace, b: Trace, left: LayerTrace, right: LayerTrace,
    equal: dict[tuple[int, int], bool], result: Diff,
) -> None:  # fmt: skip
    for place in range(min(len(left.passes), len(right.passes))):
        mine, other = left.passes[place], right.passes[place]
        pair = int(mine["template"]), int(other["template"])
        if pair not in equal:
            equal[pair] = _same_template(a, b, *pair)
        if equal[pair] and all(
            mine[name] == other[name] for name in ("index", "cycles", "prefetched_words")
        ):
            continue
        parting = _part(a, b, left, right, place)
        if parting is not None:
            result.passes += 1
            result.first = result.first or parting
        elif int(mine["cycles"]) != int(other["cycles"]):
            result.passes += 1
        if result.passes > 1 and not equal[pair]:
            # Only counted from here on: pairs that differ do so wherever they come.
            result.passes += _count_rest(left, right, place + 1, equal, a, b)
            break
    if len(left.passes) != len(right.passes):
        result.figures.append(f"{left.name} passes: {len(left.passes)} and {len(right.passes)}")


def _count_rest(
    left: LayerTrace, right: LayerTrace, first: int, equal: dict[tuple[int, int], bool],
    a: Trace, b: Trace,
) -> int:  # fmt: skip
    count = min(len(left.passes), len(right.passes))
    mine, other = left.passes[first:count], right.passes[first:count]
    if not len(mine):
        return 0
    pairs = np.stack([mine["template"], other["template"]], axis=1)
    kinds, places = np.unique(pairs, axis=0, return_inverse=True)
    for one, two in kinds.tolist():
        if (one, two) not in equal:
            equal[one, two] = _same_template(a, b, one, two)
    differs = np.array([not equal[one, two] for one, two in kinds.tolist()])[places.reshape(-1)]
    for name in ("cycles", "prefetched_words"):
        differs |= mine[name] != other[name]
    return int(differs.sum())


def _same_template(a: Trace, b: Trace, one: int, two: int) -> bool:
    left, right = a.template(one), b.template(two)
    return left.shape == right.shape and all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in PARTS
    )


def _part(a: Trace, b: Trace, left: LayerTrace, right: LayerTrace, place: int) -> Parting | None:
    mine, other = a.pass_events(left, place), b.pass_events(right, place)
    offset = int(left.passes[place]["start"]), int(right.passes[place]["start"])
    row = _first_difference(a, b, mine, other, offset)
    if row is None:
        return None
    rows = _paired(mine, other, row, offset)
    columns = _columns(a, b, mine, other, rows, offset)
    relative = [
        int(events.start[at]) - begin
        for events, at, begin in zip((mine, other), rows, offset, strict=True)
        if at is not None
    ]
    cycle = min(relative)
    sides = [
        _side(trace, layer, place, events, at, row, cycle)
        for trace, layer, events, at in ((a, left, mine, rows[0]), (b, right, other, rows[1]))
    ]
    index = int(left.passes[place]["index"])
    return Parting(left.name, index, offset[0] + cycle, columns, sides[0], sides[1])


def _paired(
    mine: Events, other: Events, row: int, offset: tuple[int, int]
) -> tuple[int | None, int | None]:
    """Return the first event that one run alone has, and what the other has in its place.

    Up to `row` both have the same. Of the two events there the earlier one (by start, block, action
    and data type, as events are ordered) is missing in the other run; its counterpart there is
    the next event of the same block, action and data type.
    """
    keys = [_key(events, row, begin) for events, begin in zip((mine, other), offset, strict=True)]
    first = min(key for key in keys if key is not None)
    rows: list[int | None] = []
    for events, key in zip((mine, other), keys, strict=True):
        if key == first:
            rows.append(row)
            continue
        same = (
            (events.block[row:] == first[1])
            & (events.action[row:] == first[2])
            & (events.kind[row:] == first[3])
        )
        there = np.flatnonzero(same)
        rows.append(row + int(there[0]) if len(there) else None)
    return rows[0], rows[1]


def _key(events: Events, row: int, begin: int) -> tuple[int, int, int, int] | None:
    if row >= len(events):
        return None
    return (
        int(events.start[row]) - begin,
        int(events.block[row]),
        int(events.action[row]),
        int(events.kind[row]),
    )


def _first_difference(
    a: Trace, b: Trace, mine: Events, other: Events, offset: tuple[int, int]
) -> int | None:
    size = min(len(mine), len(other))
    differs = np.zeros(size, bool)
    for name in ("duration", "block", "action", "kind", "words"):
        differs |= getattr(mine, name)[:size] != getattr(other, name)[:size]
    differs |= mine.start[:size] - offset[0] != other.start[:size] - offset[1]
    numbers = _numbers(a, b)
    for name in ("source", "destination"):
        differs |= getattr(mine, name)[:size] != numbers[getattr(other, name)[:size]]
    differs |= mine.data_end[:size] != other.data_end[:size]
    shared = min(len(mine.data), len(other.data))
    words = np.flatnonzero(mine.data[:shared] != other.data[:shared])
    if len(words):
        differs[min(int(np.searchsorted(mine.data_end, words[0], side="right")), size - 1)] = True
    rows = np.flatnonzero(differs)
    if len(rows):
        return int(rows[0])
    return size if len(mine) != len(other) else None


def _numbers(a: Trace, b: Trace) -> NDArray[np.int64]:
    """Return for each set of `b` the number of the same set in `a`, or -1."""
    known = {members: number for number, members in enumerate(a.sets)}
    return np.array([known.get(members, -1) for members in b.sets] or [-1], np.int64)


def _columns(
    a: Trace, b: Trace, mine: Events, other: Events, rows: tuple[int | None, int | None],
    offset: tuple[int, int],
) -> tuple[str, ...]:  # fmt: skip
    at, there = rows
    if at is None or there is None:
        return ()
    columns = [
        name
        for name in ("duration", "words")
        if getattr(mine, name)[at] != getattr(other, name)[there]
    ]
    if mine.start[at] - offset[0] != other.start[there] - offset[1]:
        columns.insert(0, "start")
    numbers = _numbers(a, b)
    columns += [
        name
        for name in ("source", "destination")
        if getattr(mine, name)[at] != numbers[getattr(other, name)[there]]
    ]
    if not np.array_equal(mine.words_of(at), other.words_of(there)):
        columns.append("data")
    return tuple(columns)


def _side(
    trace: Trace, layer: LayerTrace, place: int, events: Events, at: int | None, row: int,
    cycle: int,
) -> Side:  # fmt: skip
    view = PassView(trace.template(int(layer.passes[place]["template"])), trace.layout)
    middle = row if at is None else at
    around = tuple(
        event_text(trace, events, near)
        for near in range(max(0, middle - AROUND), min(len(events), middle + AROUND + 1))
    )
    return Side(
        event=None if at is None else event_text(trace, events, at),
        row=middle,
        start=None if at is None else int(events.start[at]),
        block=None if at is None else int(events.block[at]),
        around=around,
        state=tuple(state_text(view, cycle, trace.description["machine"])),
    )


def _figures(left: LayerTrace, right: LayerTrace) -> Iterator[str]:
    """Say in which of their own figures the runs differ, tiles included."""
    own, theirs = left.result, right.result
    if own is None or theirs is None:
        return
    for name in ("entries", "standstill_cycles", "dram_bytes", "multicast"):
        mine, other = own.get(name), theirs.get(name)
        if not isinstance(mine, Mapping) or not isinstance(other, Mapping):
            continue
        for key in sorted(mine.keys() | other.keys()):
            if mine.get(key) != other.get(key):
                shown = key if name == "entries" else f"{name} {key}"
                yield f"{left.name} {shown}: {mine.get(key)} and {other.get(key)}"
    mine, other = own.get("processing_cycles"), theirs.get("processing_cycles")
    if mine != other:
        yield f"{left.name} processing cycles: {mine} and {other}"
    if own.get("ofmap") != theirs.get("ofmap"):
        yield f"{left.name} ofmap: differs"
    if not np.array_equal(left.tiles, right.tiles):
        yield f"{left.name} tiles: differ"
