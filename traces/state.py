"""The state of the machine at a cycle of a pass: what its FIFOs and spads hold, what its buses do.

Levels follow from events by the rule of the channel (docs/machine.md 3): a word that is written in
cycle `c` is there from `c+1` on, and so is the place of one that is read in `c` free.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from traces.events import (
    ACTION,
    ACTIONS,
    BLOCKS,
    DRAM,
    FIRST_PE,
    GIN_FILTER,
    GIN_IFMAP,
    GIN_PSUM,
    GLB,
    GON,
    KIND,
    KINDS,
    Layout,
)
from traces.reader import Events, LayerTrace, Trace
from traces.stalls import Spans
from traces.template import PEWork, Stream, Template
from vocabulary import CAUSES, ENTRIES, Network
from workloads.inputs.words import shown

Ints = NDArray[np.int64]
Level = tuple[Ints, Ints]
PE_LEVELS = ("fifo.ifmap", "fifo.psum_in", "fifo.psum_out", "spad.ifmap", "spad.filter")
LINE_LEVELS = ("lines.filter", "lines.ifmap", "lines.psum_in", "lines.psum_out", "glb.filter_banks")
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_CONDITION = re.compile(
    r"\s*(?P<name>[a-z_.]{1,60})(?:\(\s*(?P<row>\d{1,5})\s*,\s*(?P<column>\d{1,5})\s*\))?\s*"
    r"(?P<op>==|!=|>=|<=|>|<)\s*(?P<number>\d{1,18})\s*"
)


class PassView:
    """Levels of everything that holds words, over the cycles of one pass."""

    def __init__(self, template: Template, layout: Layout) -> None:
        self.template = template
        self.layout = layout
        self._levels: dict[str, Level] = {}

    @cached_property
    def _streams(self) -> dict[tuple[int, int, int], list[Stream]]:
        found: dict[tuple[int, int, int], list[Stream]] = {}
        for place in range(len(self.template.streams)):
            stream = self.template.stream(place)
            found.setdefault((stream.block, stream.action, stream.kind), []).append(stream)
        return found

    def _all(self, block: int, action: str, kind: str) -> list[Stream]:
        return self._streams.get((block, ACTION[action], KIND[kind]), [])

    @property
    def pes(self) -> list[tuple[int, int]]:
        """(row, column) of the PEs that the pass uses."""
        return sorted(self.template.work)

    def names(self) -> Iterator[str]:
        """Everything that has a level."""
        yield from LINE_LEVELS
        for row, column in self.pes:
            for name in PE_LEVELS:
                yield f"{name}({row},{column})"

    def level(self, name: str, cycle: int) -> int:
        """Words that are there in a cycle of the pass.

        Raises:
            ValueError: nothing of that name has a level.

        """
        cycles, levels = self.series(name)
        place = int(np.searchsorted(cycles, cycle, side="right")) - 1
        return int(levels[place]) if place >= 0 else 0

    def series(self, name: str) -> Level:
        """Cycles in which a level changes, and the words from each of them on."""
        found = self._levels.get(name)
        if found is None:
            found = self._levels[name] = _summed(list(self._moves(name)))
        return found

    def contents(self, name: str, cycle: int) -> list[int] | None:
        """Return the words of a FIFO or spad of a PE in a cycle; None where no words were recorded.

        The word that came first stands first.
        """
        plain, _, place = name.partition("(")
        row, column = map(int, place.rstrip(")").split(","))
        came = self._words(plain, self.layout.pe(row, column), self.layout.link(row, column))
        if came is None:
            return None
        left = [(when, words) for when, words in self._moves(name) if len(words) and words[0] < 0]
        gone = -sum(int(words[when <= cycle].sum()) for when, words in left)
        held: list[int] = came[gone : gone + self.level(name, cycle)].tolist()
        return held

    def _words(self, name: str, block: int, link: int) -> Ints | None:
        """All words that come to a place of a PE in the pass, in order."""
        if name == "fifo.psum_out":
            ways = [*self._all(link, "send", "psum"), *self._all(GON, "send", "psum")]
            mine = [stream.block == link or self._own(stream, block) for stream in ways]
        else:
            ways = {
                "fifo.psum_in": [*self._all(GIN_PSUM, "send", "psum"), *self._links],
                "spad.filter": self._all(GIN_FILTER, "send", "filter"),
            }.get(name, self._all(GIN_IFMAP, "send", "ifmap"))
            sets = self._sets_with(block)
            mine = [np.isin(stream.destination, sets) for stream in ways]
        words, when = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for stream, rows in zip(ways, mine, strict=True):
            if not np.any(rows):
                continue
            if stream.data is None:
                return None
            chosen = np.repeat(np.broadcast_to(rows, stream.start.shape), stream.words)
            words.append(stream.data[chosen])
            when.append(np.repeat(stream.start, stream.words)[chosen])
        return np.concatenate(words)[np.argsort(np.concatenate(when), kind="stable")]

    def _own(self, stream: Stream, block: int) -> NDArray[np.bool_]:
        """Which psums of the GON come from a PE."""
        own = [n for n, members in enumerate(self.template.sets) if members == (block,)]
        return np.isin(stream.source, own)

    def _sets_with(self, block: int) -> list[int]:
        return [number for number, members in enumerate(self.template.sets) if block in members]

    def _moves(self, name: str) -> Iterator[Level]:
        """(cycle from which it holds, words) of all that comes (+) and leaves (-)."""
        plain, _, place = name.partition("(")
        if not place:
            yield from self._line_moves(plain)
            return
        found = re.fullmatch(r"(\d{1,5}),(\d{1,5})\)", place)
        if plain not in PE_LEVELS or found is None:
            raise ValueError(f"nothing called {name!r} holds words")
        at = int(found[1]), int(found[2])
        work = self.template.work.get(at)
        if work is not None:
            yield from self._pe_moves(plain, self.layout.pe(*at), self.layout.link(*at), work)

    def _line_moves(self, name: str) -> Iterator[Level]:
        if name == "glb.filter_banks":
            for stream in self._all(DRAM, "read", "filter"):
                yield stream.start + stream.duration, stream.words
            reads = self._all(GLB, "read", "filter")
            there = sum(int(s.words.sum()) for s in reads) - sum(
                int(s.words.sum()) for s in self._all(DRAM, "read", "filter")
            )
            if reads and there > 0:
                yield np.zeros(1, np.int64), np.array([there], np.int64)
            for stream in reads:
                yield stream.start + 1, -stream.words
            return
        ways = {
            "lines.filter": ((GLB, "read", "filter"), (GIN_FILTER, "send", "filter")),
            "lines.ifmap": ((GLB, "read", "ifmap"), (GIN_IFMAP, "send", "ifmap")),
            "lines.psum_in": ((GLB, "read", "psum"), (GIN_PSUM, "send", "psum")),
            "lines.psum_out": ((GON, "send", "psum"), (GLB, "write", "psum")),
        }
        if name not in ways:
            raise ValueError(f"nothing called {name!r} holds words")
        for sign, way in zip((1, -1), ways[name], strict=True):
            for stream in self._all(*way):
                yield stream.start + stream.duration, sign * stream.words

    def _pe_moves(self, name: str, block: int, link: int, work: PEWork) -> Iterator[Level]:
        if name in ("fifo.ifmap", "spad.filter"):
            bus, kind = (GIN_IFMAP, "ifmap") if name == "fifo.ifmap" else (GIN_FILTER, "filter")
            yield from self._reaching(self._all(bus, "send", kind), block)
        if name in ("fifo.ifmap", "spad.ifmap"):
            sign = -1 if name == "fifo.ifmap" else 1
            for stream in self._all(block, "fill", "ifmap"):
                yield stream.start + 1, sign * stream.words
        if name == "spad.ifmap":
            yield from self._releases(block, work)
        if name == "fifo.psum_in":
            links = [s for s in self._links if s.block != link]
            incoming = list(self._reaching([*self._all(GIN_PSUM, "send", "psum"), *links], block))
            yield from incoming
            if incoming:  # else its sums begin here
                for stream in self._all(block, "accumulate", "psum"):
                    yield stream.start + 1, -stream.words
        if name == "fifo.psum_out":
            for stream in self._all(block, "accumulate", "psum"):
                yield stream.start + stream.duration, stream.words
            for stream in self._all(link, "send", "psum"):
                yield stream.start + 1, -stream.words
            for stream in self._all(GON, "send", "psum"):
                mine = self._own(stream, block)
                yield stream.start[mine] + 1, -stream.words[mine]

    @cached_property
    def _links(self) -> list[Stream]:
        first = FIRST_PE + self.layout.pes
        return [s for key, found in self._streams.items() if key[0] >= first for s in found]

    def _reaching(self, streams: list[Stream], block: int) -> Iterator[Level]:
        sets = self._sets_with(block)
        for stream in streams:
            mine = np.isin(stream.destination, sets)
            if mine.any():
                yield (stream.start + stream.duration)[mine], stream.words[mine]

    def _releases(self, block: int, work: PEWork) -> Iterator[Level]:
        """Words leave the ifmap spad when the MACs of a burst are done, or when it shifts."""
        bursts = self._all(block, "mac", "none")
        if not bursts:
            return
        starts, durations = bursts[0].start, bursts[0].duration
        done = starts + durations
        takes = self._all(block, "accumulate", "psum")
        if self.template.shape["shift_spad"] and takes and len(takes[0].start) % len(starts) == 0:
            end = takes[0].start + takes[0].duration
            done = end.reshape(len(starts), -1)[:, -1]
        yield done, -np.resize(work.frees, len(starts))


def _summed(moves: list[Level]) -> Level:
    if not moves:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cycles = np.concatenate([cycle for cycle, _ in moves])
    words = np.concatenate([words for _, words in moves])
    changed, places = np.unique(cycles, return_inverse=True)
    sums = np.zeros(len(changed), np.int64)
    np.add.at(sums, places, words)
    return changed, np.cumsum(sums)


# --- counting by the event ------------------------------------------------------------------------


_NO_EVENTS = frozenset({
    *("dram.ifmap.read", "dram.ofmap.write", "glb.ifmap.write", "glb.ofmap.read"),  # tiles
    *("glb.ofmap.write", "spad.filter.read", "mac.active", "mac.gated"),  # derived, or always 0
})  # fmt: skip


def countable() -> tuple[str, ...]:
    """The ledger's entries that can be counted event by event."""
    return (*(entry for entry in ENTRIES if entry not in _NO_EVENTS), "mac.total")


def amounts(trace: Trace, events: Events, entry: str, template: Template) -> Ints:
    """What each event of a pass adds to an entry of the ledger; booked where it starts."""
    layout = trace.layout
    level, kind, *rest = entry.split(".")
    way = rest[0] if rest else ""
    if entry in ("dram.filter.read", "glb.filter.write"):
        return _where(events, events.block == DRAM)
    if level == "glb":
        return _where(
            events,
            (events.block == GLB) & (events.action == ACTION[way]) & (events.kind == KIND[kind]),
        )
    if entry == "spad.filter.write":
        level, kind, way = Network.GIN_FILTER.deliveries.split(".")
    if level == "noc":
        if kind == Network.LOCAL_PSUM:
            return _where(events, events.block >= FIRST_PE + layout.pes)
        if kind == Network.GON_PSUM:
            return _where(events, events.block == GON)
        words = _where(events, events.block == BLOCKS.index(kind))
        if way in ("words", "y_bus"):
            return words
        factors = np.array([_reached(layout, members, way) for members in trace.sets], np.int64)
        return words * factors[events.destination]
    if entry == "spad.ifmap.write":
        return _where(events, events.action == ACTION["fill"])
    macs = _where(events, events.action == ACTION["mac"])
    if way in ("read_new",) or kind == "psum":
        outputs = np.ones(layout.blocks, np.int64)
        for at, work in template.work.items():
            outputs[layout.pe(*at)] = work.outputs
        each = outputs[events.block]
        return macs // each if way == "read_new" else np.where(macs > 0, macs - each, 0)
    return macs


def _where(events: Events, mask: NDArray[np.bool_]) -> Ints:
    return np.where(mask, events.words, 0)


def _reached(layout: Layout, members: tuple[int, ...], way: str) -> int:
    places = [place for place in map(layout.place, members) if place is not None]
    return len(places) if way == "deliveries" else len({row for row, _ in places})


# --- conditions -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """`NAME OP NUMBER`: a ledger entry since the layer began, a level, a cause, `cycle` or `pass`.

    A cause of a PE, such as `waiting_psum_in(3,4)`, is the cycles for which the PE has been at it
    without a break, this one included: 0 where it does something else, and anew in each pass.
    """

    name: str
    op: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} {self.op} {self.number}"

    def holds(self, value: Any) -> Any:
        """Whether it holds of a value, or of each value of an array."""
        return OPERATORS[self.op](value, self.number)

    @property
    def cause(self) -> tuple[int, int, int] | None:
        """The number of the cause in `CAUSES`, and row and column of its PE; None of all else."""
        plain, _, place = self.name.partition("(")
        if plain not in CAUSES:
            return None
        row, column = map(int, place.rstrip(")").split(","))
        return CAUSES.index(plain), row, column

    def begins(self, spans: Spans, cause: int) -> Ints:
        """Return the cycles of a pass in which it begins to hold of a cause, in order."""
        steps: list[tuple[int, int]] = []
        for found, start, cycles in zip(
            spans.cause.tolist(), spans.start.tolist(), spans.duration.tolist(), strict=True
        ):
            if found != cause:
                parts = [(0, cycles)] if self.holds(0) else []
            else:  # in cycle k of the span, from 0, the value is k + 1
                parts = {
                    "==": [(self.number - 1, self.number)],
                    "!=": [(0, self.number - 1), (self.number, cycles)],
                    ">=": [(self.number - 1, cycles)],
                    ">": [(self.number, cycles)],
                    "<=": [(0, self.number)],
                    "<": [(0, self.number - 1)],
                }[self.op]
            inside = [(max(low, 0), min(high, cycles)) for low, high in parts]
            steps += [(start + low, start + high) for low, high in inside if low < high]
        ends = {end for _, end in steps}
        return np.array([begin for begin, _ in steps if begin not in ends], np.int64)


def parse_condition(text: str) -> Condition:
    """Read a condition: `glb.psum.read > 1000`, `fifo.psum_in(3,4) >= 8`, `idle(0,0) > 9`.

    Raises:
        ValueError: it is none.

    """
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{shown(text)} is no condition; one is NAME OP NUMBER, such as "
            "'glb.psum.read > 1000', 'cycle >= 500', 'fifo.psum_in(3,4) >= 8' or "
            "'waiting_psum_in(3,4) > 10'"
        )
    name = found["name"]
    levels = name in (*PE_LEVELS, *CAUSES)
    if levels != (found["row"] is not None):
        raise ValueError(f"{name}: {'needs a PE, (ROW,COLUMN)' if levels else 'has no PE'}")
    if not levels and name not in (*countable(), *LINE_LEVELS, "cycle", "pass"):
        near = get_close_matches(name, (*countable(), *LINE_LEVELS, *PE_LEVELS, *CAUSES), n=3)
        raise ValueError(
            f"{name!r} cannot be watched" + (f"; did you mean {', '.join(near)}?" if near else "")
        )
    if levels:
        name = f"{name}({int(found['row'])},{int(found['column'])})"
    return Condition(name, found["op"], int(found["number"]))


class Hold(NamedTuple):
    """Where a condition holds: place of the pass, row of its events, and cycle of the layer.

    The row is the event that makes it hold, or the first one in the cycle in which it does. A cause
    is told where it begins to hold, if that is between two events at the one before.
    """

    place: int
    row: int
    cycle: int


def first_hold(
    trace: Trace, layer: LayerTrace, condition: Condition, after: tuple[int, ...] = (-1, -1)
) -> Hold | None:
    """Return where in a layer a condition first holds; None where it never does.

    `after` is a `Hold`, or its place and row, to look behind.

    Raises:
        ValueError: it is of a PE that the array does not have, or of a cause, and the blocks that
            tell causes were not recorded.
        TraceError: events contradict each other.

    """
    if condition.cause is not None:
        return _first_cause(trace, layer, condition, after)
    total = 0
    name = condition.name
    if name.endswith(")"):
        trace.layout.parse(f"pe{name[name.index('(') :]}")
    totals: dict[int, int] = {}
    reached: dict[int, bool] = {}

    def may_hold(row: Any) -> bool:
        """Whether a pass is worth a look, from what is known without its events."""
        if name == "pass":
            return bool(condition.holds(int(row["index"])))
        if name == "cycle":
            last = int(row["start"]) + max(
                int(row["cycles"]), trace.template_shape(int(row["template"]))["span"]
            )
            return condition.op not in (">", ">=", "==") or last > condition.number
        number = int(row["template"])
        if number not in reached:
            levels = PassView(trace.template(number), trace.layout).series(name)[1]
            reached[number] = bool(condition.holds(0) or np.any(condition.holds(levels)))
        return reached[number]

    for place in range(len(layer.passes)):
        row = layer.passes[place]
        number = int(row["template"])
        counted = name in countable()
        behind = place < after[0]
        if counted and behind and number in totals and not int(row["prefetched_words"]):
            total += totals[number]
            continue
        if not counted and (behind or not may_hold(row)):
            continue
        events = trace.pass_events(layer, place)
        if name == "pass":
            mask = np.full(len(events), bool(condition.holds(int(row["index"]))))
        elif name == "cycle":
            mask = np.asarray(condition.holds(events.start), bool)
        elif counted:
            sums = total + np.cumsum(amounts(trace, events, name, trace.template(number)))
            if not int(row["prefetched_words"]) and len(sums):
                totals[number] = int(sums[-1]) - total
            total = int(sums[-1]) if len(sums) else total
            mask = np.asarray(condition.holds(sums), bool)
        else:
            view = PassView(trace.template(number), trace.layout)
            cycles, levels = view.series(name)
            at = np.searchsorted(cycles, events.start - int(row["start"]), side="right") - 1
            now = np.where(at >= 0, levels[np.maximum(at, 0)] if len(levels) else 0, 0)
            mask = np.asarray(condition.holds(now), bool)
        rows = np.flatnonzero(mask)
        if place == after[0]:
            rows = rows[rows > after[1]]
        if not behind and len(rows):
            return Hold(place, int(rows[0]), int(events.start[rows[0]]))
    return None


def _first_cause(
    trace: Trace, layer: LayerTrace, condition: Condition, after: tuple[int, ...]
) -> Hold | None:
    """`first_hold` of a cause: where it begins to hold, which may be between two events."""
    assert condition.cause is not None
    cause, *at = condition.cause
    trace.layout.parse(f"pe({at[0]},{at[1]})")
    spans: dict[int, Spans] = {}
    for place in range(max(after[0], 0), len(layer.passes)):
        row = layer.passes[place]
        number = int(row["template"])
        if number not in spans:
            spans[number] = trace.spans(number, (at[0], at[1]))[at[0], at[1]]
        first = condition.begins(spans[number].lasting(int(row["cycles"])), cause)
        if not len(first):
            continue
        starts = trace.pass_events(layer, place).start - int(row["start"])
        if place == after[0] and after[1] >= 0:
            cycle = after[2] - int(row["start"]) if len(after) > 2 else int(starts[after[1]])
            first = first[first > cycle]
        if len(first) and len(starts):
            cycle = int(first[0])
            last = max(int(np.searchsorted(starts, cycle, side="right")) - 1, 0)
            return Hold(place, last, int(row["start"]) + cycle)
    return None


def longest(trace: Trace, layer: LayerTrace, condition: Condition) -> int | None:
    """Return the cycles of the longest span of a condition's cause in a layer; None of all else."""
    if condition.cause is None:
        return None
    cause, *at = condition.cause
    place = at[0], at[1]
    most = 0
    kinds = np.unique(np.stack([layer.passes["template"], layer.passes["cycles"]], axis=1), axis=0)
    for number, cycles in kinds.tolist():
        spans = trace.spans(number, place)[place].lasting(cycles)
        most = max(most, int(spans.duration[spans.cause == cause].max(initial=0)))
    return most


# --- words for people -----------------------------------------------------------------------------


def event_text(trace: Trace, events: Events, row: int) -> str:
    """An event on one line."""
    layout = trace.layout
    parts = [
        f"cycle {int(events.start[row])}+{int(events.duration[row])}",
        layout.name(int(events.block[row])),
        ACTIONS[int(events.action[row])],
    ]
    if int(events.kind[row]):
        parts.append(KINDS[int(events.kind[row])])
    parts.append(f"{int(events.words[row])} words")
    source = set_text(layout, trace.sets[int(events.source[row])])
    destination = set_text(layout, trace.sets[int(events.destination[row])])
    parts.append(source if source == destination else f"{source} -> {destination}")
    data = events.words_of(row).tolist()
    if data:
        parts.append(f"data {data}")
    return "  ".join(parts)


def set_text(layout: Layout, members: tuple[int, ...], most: int = 4) -> str:
    """The blocks of a set, the first of many by name."""
    names = [layout.name(member) for member in members[:most]]
    more = f" and {len(members) - most} more" if len(members) > most else ""
    return " ".join(names) + more


def state_text(view: PassView, cycle: int, machine: dict[str, int]) -> list[str]:
    """What the machine holds in a cycle of the pass, for people: lines, FIFOs and spads."""
    lines = ["words before and behind the buses: " + ", ".join(
        f"{name} {view.level(name, cycle)}" for name in LINE_LEVELS
    )]  # fmt: skip
    for name in PE_LEVELS:
        levels = {at: view.level(f"{name}({at[0]},{at[1]})", cycle) for at in view.pes}
        if not levels:
            continue
        what, _, port = name.partition(".")
        depth = machine.get(f"{port}_{what}_words", 0)
        most = max(levels.values())
        full = [at for at, words in levels.items() if words == most]
        lines.append(
            f"{name}: {min(levels.values())} to {most} words of {depth}, most in PE "
            f"({full[0][0]},{full[0][1]}){f' and {len(full) - 1} more' if len(full) > 1 else ''}"
        )
    return lines
