"""Exports for the viewers and tools that people already use: Perfetto, VCD, CSV, NPZ.

Each takes the events of a query, and what the PEs wait for between them, and writes them one after
the other; a cycle is a cycle: where a format wants a unit of time, one of it stands for one core
cycle, and the file says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from traces.events import ACTION, ACTIONS, CAUSES, DRAM, FIRST_PE, GLB, KINDS
from traces.reader import Events, LayerTrace, Query, Trace, join_events
from traces.stalls import WORKING, Spans
from traces.state import set_text

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
    """The first events of a query, `most` at most, and the `stalls` up to the last of them."""
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
    """The stalls in the cycles of a query, or up to the last of some events of it."""
    layout = trace.layout
    pes = {layout.pe(row, column): (row, column)
           for row in range(layout.rows) for column in range(layout.columns)}  # fmt: skip
    if query.blocks is not None:
        pes = {block: at for block, at in pes.items() if block in query.blocks}
    rows: list[NDArray[np.int64]] = [np.zeros((6, 0), np.int64)]
    if pes and query.actions is None and query.kinds is None and trace.causes_told:
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
                found = spans(int(one["template"]))
                rows.append(_waits(found, pes, layer.number, one, first, last))
    return Stalls(*np.concatenate(rows, axis=1))


def _waits(
    spans: Mapping[tuple[int, int], Spans], pes: Mapping[int, tuple[int, int]],
    layer: int, one: Any, first: int, last: int,
) -> NDArray[np.int64]:  # fmt: skip
    """The columns of `Stalls` of one pass, as far as they lie in the cycles [first, last)."""
    begin = int(one["start"])
    parts = []
    for block, at in pes.items():
        found = spans[at].lasting(int(one["cycles"]))
        start = np.maximum(found.start + begin, first)
        duration = np.minimum(found.start + begin + found.duration, last) - start
        there = (duration > 0) & ~np.isin(found.cause, WORKING)
        size = int(there.sum())
        parts.append(
            np.stack(
                [
                    np.full(size, layer), np.full(size, int(one["index"])), start[there],
                    duration[there], np.full(size, block), found.cause[there],
                ]
            )
        )  # fmt: skip
    columns: NDArray[np.int64] = np.concatenate(parts, axis=1)
    return columns[:, np.lexsort((columns[4], columns[2]))]


def one_layer(trace: Trace, name: str | None) -> LayerTrace:
    """The layer of an export: the named one, or the only one.

    Raises:
        ValueError: there are several, or none.

    """
    if name is not None:
        return trace.layer(name)
    if len(trace.layers) != 1:
        known = ", ".join(layer.name for layer in trace.layers) or "none"
        raise ValueError(f"each layer counts its own cycles; name one of {known}")
    return trace.layers[0]


def _track(trace: Trace, block: int, action: int, kind: int) -> tuple[str, str]:
    """(group, track) that an event is shown on: a port of its own for each way into the GLB."""
    layout = trace.layout
    name = layout.name(block)
    if block == DRAM:
        return "GLB and DRAM", "dram link"
    if block == GLB:
        return "GLB and DRAM", f"glb {KINDS[kind]} {ACTIONS[action]}"
    if block < FIRST_PE:
        return "buses", name
    if block >= FIRST_PE + layout.pes:
        return "local links", name
    return "PEs", f"{name} spad" if action == ACTION["fill"] else name


@dataclass(frozen=True)
class _Tracks:
    """Tracks by name, with the rows of each in order."""

    names: list[tuple[str, str]]
    of_row: NDArray[np.int64]
    of_stall: NDArray[np.int64]

    @classmethod
    def of(cls, trace: Trace, chosen: Selected) -> _Tracks:
        events = chosen.events
        key = (events.block * len(ACTIONS) + events.action) * len(KINDS) + events.kind
        kinds, places = np.unique(key, return_inverse=True)
        names: dict[tuple[str, str], int] = {}
        numbers = []
        for found in kinds.tolist():
            rest, kind = divmod(found, len(KINDS))
            block, action = divmod(rest, len(ACTIONS))
            track = _track(trace, block, action, kind)
            numbers.append(names.setdefault(track, len(names)))
        own = np.zeros(trace.layout.blocks, np.int64)
        for block in np.unique(chosen.stalls.block).tolist():
            track = _track(trace, block, ACTION["mac"], 0)
            own[block] = names.setdefault(track, len(names))
        return cls(list(names), np.array(numbers, np.int64)[places], own[chosen.stalls.block])


def write_perfetto(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Chrome trace JSON, which Perfetto opens: a track for each PE, bus and port.

    What a PE waits for stands between its events, as a slice of the cause's name. A slice never
    overlaps the next one of its track, as the format asks; `args.cycles` has the full duration of
    an event that the next one overtakes.
    """
    events, stalls = chosen.events, chosen.stalls
    tracks = _Tracks.of(trace, chosen)
    groups = sorted({group for group, _ in tracks.names})
    about = {
        "network": trace.description["network"],
        "layer": layer.name,
        "program": trace.description["program"],
        "time unit": "1 us in this file is 1 core cycle of the layer's processing latency",
    }
    out.write(
        f'{{"displayTimeUnit":"ms","otherData":{json.dumps(about)},"traceEvents":[\n'.encode()
    )
    out.write(",\n".join(_perfetto_names(tracks, groups)).encode())
    gaps = _until_next(tracks.of_row, events.start)
    duration = np.minimum(events.duration, gaps)
    labels: dict[int, str] = {}
    for row in range(len(events)):
        track = int(tracks.of_row[row])
        group = tracks.names[track][0]
        for number in (int(events.source[row]), int(events.destination[row])):
            if number not in labels:
                labels[number] = set_text(trace.layout, trace.sets[number], most=256)
        kind = KINDS[int(events.kind[row])]
        action = ACTIONS[int(events.action[row])]
        data = events.words_of(row).tolist()
        args: dict[str, Any] = {
            "cycle": int(events.start[row]),
            "cycles": int(events.duration[row]),
            "words": int(events.words[row]),
            "pass": int(events.pass_[row]),
            "from": labels[int(events.source[row])],
            "to": labels[int(events.destination[row])],
            **({"data": data} if data else {}),
        }
        slice_: dict[str, Any] = {
            "ph": "X",
            "name": action if kind == "none" else f"{action} {kind}",
            "cat": group,
            "pid": groups.index(group) + 1,
            "tid": track + 1,
            "ts": int(events.start[row]),
            "dur": int(duration[row]),
            "args": args,
        }
        out.write(b",\n" + json.dumps(slice_, separators=(",", ":")).encode())
    for row in range(len(stalls)):
        track = int(tracks.of_stall[row])
        slice_ = {
            "ph": "X",
            "name": CAUSES[int(stalls.cause[row])],
            "cat": "stalls",
            "pid": groups.index(tracks.names[track][0]) + 1,
            "tid": track + 1,
            "ts": int(stalls.start[row]),
            "dur": int(stalls.duration[row]),
            "args": {"cycle": int(stalls.start[row]), "cycles": int(stalls.duration[row]),
                     "pass": int(stalls.pass_[row])},
        }  # fmt: skip
        out.write(b",\n" + json.dumps(slice_, separators=(",", ":")).encode())
    out.write(b"\n]}\n")


def _perfetto_names(tracks: _Tracks, groups: list[str]) -> Iterator[str]:
    for place, group in enumerate(groups):
        yield json.dumps(
            {"ph": "M", "name": "process_name", "pid": place + 1, "args": {"name": group}}
        )
    for track, (group, name) in enumerate(tracks.names):
        at = {"pid": groups.index(group) + 1, "tid": track + 1}
        yield json.dumps({"ph": "M", "name": "thread_name", **at, "args": {"name": name}})


def _until_next(track: NDArray[np.int64], start: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cycles until the next event of the same track starts."""
    order = np.lexsort((start, track))
    gaps = np.full(len(start), np.iinfo(np.int64).max, np.int64)
    if len(start) > 1:
        same = track[order][1:] == track[order][:-1]
        gaps[order[:-1]] = np.where(same, np.diff(start[order]), np.iinfo(np.int64).max)
    return gaps


# --- VCD ------------------------------------------------------------------------------------------


SIGNALS = (
    ("wire", 1, "busy"),
    ("reg", 32, "words"),
    ("integer", 32, "events"),
    ("string", 1, "stall"),
)


def write_vcd(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """A value change dump: for each track `busy`, `words` under way, and `events` so far.

    The track of a PE has also `stall`: what it waits for, as text, and `none` while it works.
    """
    events, stalls = chosen.events, chosen.stalls
    tracks = _Tracks.of(trace, chosen)
    waits = set(tracks.of_stall.tolist())
    lines = [
        f"$comment {_plain(trace.description['program'])}: network "
        f"{_plain(trace.description['network'])}, layer {_plain(layer.name)} $end",
        "$comment 1 ns in this file is 1 core cycle of the layer's processing latency $end",
        "$timescale 1 ns $end",
        "$scope module eyeriss $end",
    ]
    for group in sorted({group for group, _ in tracks.names}):
        lines.append(f"$scope module {_identifier(group)} $end")
        for track, (own, name) in enumerate(tracks.names):
            if own != group:
                continue
            lines.append(f"$scope module {_identifier(name)} $end")
            for place, (kind, bits, signal) in enumerate(SIGNALS):
                if signal != "stall" or track in waits:
                    lines.append(f"$var {kind} {bits} {_code(4 * track + place)} {signal} $end")
            lines.append("$upscope $end")
        lines.append("$upscope $end")
    lines += ["$upscope $end", "$enddefinitions $end"]
    out.write(("\n".join(lines) + "\n").encode())
    begin = min([*events.start[:1].tolist(), *stalls.start[:1].tolist()], default=0)
    out.write(f"#{begin}\n$dumpvars\n".encode())
    for track in range(len(tracks.names)):
        busy, words, count, stall = (_code(4 * track + place) for place in range(4))
        out.write(f"0{busy}\nb0 {words}\nb0 {count}\n".encode())
        if track in waits:
            out.write(f"snone {stall}\n".encode())
    out.write(b"$end\n")
    now = begin
    for cycle, changes in _changes(tracks, events, stalls):
        if cycle != now:
            out.write(f"#{cycle}\n".encode())
            now = cycle
        out.write(changes.encode())


def _changes(tracks: _Tracks, events: Events, stalls: Stalls) -> Iterator[tuple[int, str]]:
    """What changes, cycle by cycle."""
    found: dict[int, dict[str, str]] = {}
    for track, start, duration, cause in zip(
        tracks.of_stall.tolist(), stalls.start.tolist(), stalls.duration.tolist(),
        stalls.cause.tolist(), strict=True,
    ):  # fmt: skip
        code = _code(4 * track + 3)
        found.setdefault(start, {})[code] = f"s{CAUSES[cause]} {code}\n"
        found.setdefault(start + duration, {}).setdefault(code, f"snone {code}\n")
    for track in range(len(tracks.names)):
        rows = np.flatnonzero(tracks.of_row == track)
        busy, words, count = (_code(4 * track + place) for place in range(3))
        starts, ends = events.start[rows], (events.start + events.duration)[rows]
        cycles = np.unique(np.concatenate([starts, ends]))
        by_start, by_end = np.sort(starts), np.sort(ends)
        begun = np.searchsorted(by_start, cycles, side="right")
        live = begun - np.searchsorted(by_end, cycles, side="right")
        moved = np.concatenate([[0], np.cumsum(events.words[rows][np.argsort(starts)])])
        gone = np.concatenate([[0], np.cumsum(events.words[rows][np.argsort(ends)])])
        held = moved[begun] - gone[np.searchsorted(by_end, cycles, side="right")]
        last = (0, 0, 0)
        for cycle, *levels in zip(
            cycles.tolist(), (live > 0).tolist(), held.tolist(), begun.tolist(), strict=True
        ):
            changed = found.setdefault(cycle, {})
            for code, old, new in zip((busy, words, count), last, levels, strict=True):
                if old != new:
                    changed[code] = f"{int(new)}{code}\n" if code == busy else f"b{new:b} {code}\n"
            last = (int(levels[0]), levels[1], levels[2])
    for cycle in sorted(found):
        yield cycle, "".join(found[cycle].values())


def _code(number: int) -> str:
    """A VCD identifier: printable characters, shortest first."""
    code = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 94)
        code += chr(33 + rest)
    return code


def _identifier(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).strip("_")


def _plain(text: object) -> str:
    return "".join(c for c in str(text) if c.isprintable() and c != "$")[:200]


# --- CSV and NPZ ----------------------------------------------------------------------------------


def write_csv(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """Comma-separated values with a line of names; blocks and sets by name.

    `cause` says what a PE does: waits are lines of the action `stall`, behind the events.
    """
    del layer
    events, stalls = chosen.events, chosen.stalls
    out.write(
        b"layer,pass,start_cycle,duration_cycles,block,action,data_type,words,source,"
        b"destination,data,cause\n"
    )
    causes = {ACTION["mac"]: "computing", ACTION["accumulate"]: "accumulating"}
    names = [_cell(layer.name) for layer in trace.layers]
    labels = {
        number: " ".join(map(_block_cell(trace), trace.sets[number]))
        for number in np.unique(np.concatenate([events.source, events.destination])).tolist()
    }
    block = _block_cell(trace)
    for row in range(len(events)):
        data = " ".join(map(str, events.words_of(row).tolist()))
        cells = (
            names[int(events.layer[row])],
            int(events.pass_[row]),
            int(events.start[row]),
            int(events.duration[row]),
            block(int(events.block[row])),
            ACTIONS[int(events.action[row])],
            KINDS[int(events.kind[row])],
            int(events.words[row]),
            labels[int(events.source[row])],
            labels[int(events.destination[row])],
            data,
            causes.get(int(events.action[row]), ""),
        )
        out.write((",".join(map(str, cells)) + "\n").encode())
    for row in range(len(stalls)):
        pe = block(int(stalls.block[row]))
        cells = (
            names[int(stalls.layer[row])], int(stalls.pass_[row]), int(stalls.start[row]),
            int(stalls.duration[row]), pe, "stall", "none", 0, pe, pe, "",
            CAUSES[int(stalls.cause[row])],
        )  # fmt: skip
        out.write((",".join(map(str, cells)) + "\n").encode())


def _block_cell(trace: Trace) -> Callable[[int], str]:
    """Names without commas: `pe(3;4)` is one cell."""
    return lambda block: trace.layout.name(block).replace(",", ";")


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes apart, or for a formula."""
    if text[:1] in "=+-@":
        text = f"'{text}"
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if any(c in text for c in ',"\r\n') else text


def write_npz(trace: Trace, layer: LayerTrace, chosen: Selected, out: IO[bytes]) -> None:
    """NumPy arrays: the columns, the names behind their numbers, sets of blocks, and the stalls."""
    del layer
    events, stalls = chosen.events, chosen.stalls
    layout = trace.layout
    ends = np.cumsum([len(members) for members in trace.sets], dtype=np.int64)
    columns: dict[str, Any] = {
        "layer": events.layer,
        "pass": events.pass_,
        "start": events.start,
        "duration": events.duration,
        "block": events.block,
        "action": events.action,
        "data_type": events.kind,
        "words": events.words,
        "source": events.source,
        "destination": events.destination,
        "data_end": events.data_end,
        "data": events.data,
        "set_ends": ends,
        "set_members": np.array([b for members in trace.sets for b in members], np.int64),
        "layer_names": np.array([found.name for found in trace.layers], str),
        "block_names": np.array([layout.name(block) for block in range(layout.blocks)], str),
        "action_names": np.array(ACTIONS, str),
        "data_type_names": np.array(KINDS, str),
        "stall_layer": stalls.layer,
        "stall_pass": stalls.pass_,
        "stall_start": stalls.start,
        "stall_duration": stalls.duration,
        "stall_block": stalls.block,
        "stall_cause": stalls.cause,
        "cause_names": np.array(CAUSES, str),
    }
    np.savez_compressed(out, **columns)


WRITERS: dict[str, Callable[[Trace, LayerTrace, Selected, IO[bytes]], None]] = {
    "perfetto": write_perfetto,
    "vcd": write_vcd,
    "csv": write_csv,
    "npz": write_npz,
}
__all__ = ["DEFAULT_EVENTS", "WRITERS", "Selected", "Stalls", "one_layer", "select"]
