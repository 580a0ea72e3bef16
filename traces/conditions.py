"""Conditions of `--break`: what they compare, and where in a layer they hold."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import CAUSES, ENTRIES, Network
from traces.columns import Events
from traces.events import (
    ACTION,
    BLOCKS,
    DRAM,
    FIRST_PE,
    GLB,
    GON,
    KIND,
    Layout,
)
from traces.reader import LayerTrace, Trace
from traces.stalls import Spans
from traces.state import LINE_LEVELS, PE_LEVELS, PassView
from traces.template import Template
from workloads.inputs.words import shown

Ints = NDArray[np.int64]
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


_NO_EVENTS = frozenset({
    *("dram.ifmap.read", "dram.ofmap.write", "glb.ifmap.write", "glb.ofmap.read"),  # tiles
    *("glb.ofmap.write", "spad.filter.read", "mac.active", "mac.gated"),  # derived, or always 0
})  # fmt: skip


def countable() -> tuple[str, ...]:
    """Return the ledger's entries that can be counted event by event."""
    return (*(entry for entry in ENTRIES if entry not in _NO_EVENTS), "mac.total")


def amounts(trace: Trace, events: Events, entry: str, template: Template) -> Ints:
    """Return what each event of a pass adds to an entry of the ledger, booked where it starts."""
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
    pes = [at for at in map(layout.place, members) if at is not None]
    return len(pes) if way == "deliveries" else len({row for row, _ in pes})


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
        """Tell whether it holds of a value, or of each value of an array."""
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
        for now, start, cycles in zip(
            spans.cause.tolist(), spans.start.tolist(), spans.duration.tolist(), strict=True
        ):
            if now != cause:
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
    parts = _CONDITION.fullmatch(text)
    if parts is None:
        raise ValueError(
            f"{shown(text)} is no condition; one is NAME OP NUMBER, such as "
            "'glb.psum.read > 1000', 'cycle >= 500', 'fifo.psum_in(3,4) >= 8' or "
            "'waiting_psum_in(3,4) > 10'"
        )
    name = parts["name"]
    levels = name in (*PE_LEVELS, *CAUSES)
    if levels != (parts["row"] is not None):
        raise ValueError(f"{name}: {'needs a PE, (ROW,COLUMN)' if levels else 'has no PE'}")
    if not levels and name not in (*countable(), *LINE_LEVELS, "cycle", "pass"):
        near = get_close_matches(name, (*countable(), *LINE_LEVELS, *PE_LEVELS, *CAUSES), n=3)
        raise ValueError(
            f"{name!r} cannot be watched" + (f"; did you mean {', '.join(near)}?" if near else "")
        )
    if levels:
        name = f"{name}({int(parts['row'])},{int(parts['column'])})"
    return Condition(name, parts["op"], int(parts["number"]))


class Hold(NamedTuple):
    """Where a condition holds: place of the pass, row of its events, and cycle of the layer.

    The row is the event that makes it hold, or the first one in the cycle in which it does. A cause
    is reported where it begins to hold; if that is between two events, at the earlier one.
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
        """Tell whether a pass is worth a look, from what is known without its events."""
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

    # A count goes on from pass to pass, so passes before `after` are added up: equal ones once,
    # unless they prefetched words, of which the template does not say how many. A level begins
    # anew in each pass: passes in which it never reaches the number are not looked at.
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
    """Return `first_hold` of a cause: where it begins, which may be between two events."""
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
    pe = at[0], at[1]
    most = 0
    kinds = np.unique(np.stack([layer.passes["template"], layer.passes["cycles"]], axis=1), axis=0)
    for number, cycles in kinds.tolist():
        spans = trace.spans(number, pe)[pe].lasting(cycles)
        most = max(most, int(spans.duration[spans.cause == cause].max(initial=0)))
    return most
