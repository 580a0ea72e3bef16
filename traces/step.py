"""Walks through a trace event by event, forwards and backwards."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from hw_models.vocabulary import CAUSES
from traces.columns import Events, Query, matching_rows
from traces.conditions import Condition, first_hold
from traces.events import ACTION, ACTIONS, BLOCKS, DRAM, FIRST_PE, GLB, KINDS
from traces.reader import LayerTrace, Trace
from traces.stalls import Spans
from traces.state import PassView, state_text
from traces.text import event_text

SHOWN_WORDS = 64  # of a FIFO or spad


@dataclass
class Stepper:
    """A place in a trace: an event of a pass of a layer. Filters choose the events to stop at."""

    trace: Trace
    layer: LayerTrace
    query: Query
    place: int = 0
    row: int = -1
    _now: int | None = None  # where a condition holds between two events
    _events: dict[int, tuple[Events, list[int]]] = field(default_factory=dict)
    _views: dict[int, PassView] = field(default_factory=dict)
    _spans: dict[int, dict[tuple[int, int], Spans]] = field(default_factory=dict)

    def _of(self, place: int) -> tuple[Events, list[int]]:
        """Return the events of a pass, and which of them the query wants."""
        events_of_pass = self._events.get(place)
        if events_of_pass is None:
            events = self.trace.pass_events(self.layer, place)
            wanted = np.flatnonzero(matching_rows(events, self.query)).tolist()
            self._events.clear()
            events_of_pass = self._events[place] = events, wanted
        return events_of_pass

    @property
    def events(self) -> Events:
        """The events of the pass."""
        return self._of(self.place)[0]

    def move(self, count: int) -> bool:
        """Go `count` events on, or back where it is negative; False where the layer ends first."""
        step = 1 if count > 0 else -1
        return all(self._one(step) for _ in range(abs(count)))

    def _one(self, step: int) -> bool:
        place, row = self.place, self.row
        while 0 <= place < len(self.layer.passes):
            wanted = self._of(place)[1]
            at = bisect_right(wanted, row) if step > 0 else bisect_left(wanted, row) - 1
            if 0 <= at < len(wanted):
                self.place, self.row, self._now = place, wanted[at], None
                return True
            place += step
            row = -1 if step > 0 else 1 << 62
        return False

    def go(self, cycle: int) -> bool:
        """Go to the first event at or after a cycle of the layer."""
        passes = self.layer.passes
        after = np.searchsorted(passes["start"] + passes["cycles"], cycle, side="right")
        old = self.place, self.row
        self.place, self.row = min(int(after), len(passes) - 1), -1
        while self._one(1):
            if int(self.events.start[self.row]) >= cycle:
                return True
        self.place, self.row = old
        return False

    def find(self, condition: Condition) -> bool:
        """Go on to where a condition holds next."""
        after = (self.place, self.row) if self._now is None else (self.place, self.row, self._now)
        hold = first_hold(self.trace, self.layer, condition, after)
        if hold is None:
            return False
        self.place, self.row, self._now = hold
        return True

    @property
    def view(self) -> PassView:
        """The levels of the pass."""
        number = int(self.layer.passes[self.place]["template"])
        view = self._views.get(number)
        if view is None:
            self._views.clear()
            view = self._views[number] = PassView(self.trace.template(number), self.trace.layout)
        return view

    @property
    def cycle(self) -> int:
        """The cycle that is looked at, from the start of its pass."""
        return self._cycle - int(self.layer.passes[self.place]["start"])

    @property
    def _cycle(self) -> int:
        """The same of the layer: that of the event, or one behind it where a condition holds."""
        return int(self.events.start[self.row]) if self._now is None else self._now

    @property
    def spans(self) -> dict[tuple[int, int], Spans] | None:
        """What each PE does in the pass; None where the events that say so were not recorded."""
        one = self.layer.passes[self.place]
        number = int(one["template"])
        if number not in self._spans:
            self._spans.clear()
            try:
                self._spans[number] = self.trace.spans(number)
            except ValueError:
                return None
        cycles = int(one["cycles"])
        return {at: spans.lasting(cycles) for at, spans in self._spans[number].items()}

    def here(self) -> Iterator[str]:
        """Say what the event is, what else goes on in its cycle, and what the machine holds."""
        events = self.events
        index = int(self.layer.passes[self.place]["index"])
        yield (
            f"{self.layer.name} pass {index}, event {self.row + 1} of {len(events)}: "
            f"{event_text(self.trace, events, self.row)}"
        )
        now = self._cycle
        if now != int(events.start[self.row]):
            yield f"cycle {now}, behind this event:"
        live = (events.start <= now) & (events.start + events.duration > now)
        for block, name in ((DRAM, "dram"), (GLB, "glb")):
            yield f"{name}: {self._doing(np.flatnonzero(live & (events.block == block)))}"
        buses = (events.block > GLB) & (events.block < FIRST_PE)
        yield f"buses: {self._doing(np.flatnonzero(live & buses))}"
        layout = self.trace.layout
        pes = (events.block >= FIRST_PE) & (events.block < FIRST_PE + layout.pes)
        filling = int((live & pes & (events.action == ACTION["fill"])).sum())
        spans = self.spans
        if spans is not None:
            doing = Counter(CAUSES[one.at(self.cycle)[0]] for one in spans.values())
            busy = ", ".join(f"{doing[cause]} {cause}" for cause in CAUSES if doing[cause])
            yield f"PEs: {busy}; {filling} fill their spad"
        yield from state_text(self.view, self.cycle, self.trace.description["machine"])

    def _doing(self, rows: np.ndarray[tuple[int], np.dtype[np.intp]]) -> str:
        events = self.events
        texts = [
            f"{BLOCKS[int(events.block[row])]} {ACTIONS[int(events.action[row])]} "
            f"{KINDS[int(events.kind[row])]} {int(events.words[row])}"
            for row in rows.tolist()
        ]
        return ", ".join(texts) or "nothing"

    def pe_text(self, row: int, column: int) -> str:
        """Say what part a PE has, what it does, and all that it holds."""
        view = self.view
        if (row, column) not in view.pes:
            return f"PE ({row},{column}) is not used in this pass"
        part = view.template.part(row, column)
        lines = [f"PE ({row},{column}): {part}"] if part else []
        spans = self.spans
        if spans is not None:
            cause, since = spans[row, column].at(self.cycle)
            begin = int(self.layer.passes[self.place]["start"])
            cycles = self.cycle - since + 1
            lines.append(f"{CAUSES[cause]}({row},{column}) {cycles}: since cycle {since + begin}")
        names = [n for n in view.names() if n.endswith(f"({row},{column})")]
        words = {name: view.contents(name, self.cycle) for name in names}
        if all(held is None for held in words.values()):
            return "\n".join([*lines, ", ".join(f"{n} {view.level(n, self.cycle)}" for n in names)])
        for name, held in words.items():
            lines.append(f"{name} {view.level(name, self.cycle)}{_words_text(held)}")
        return "\n".join(lines)


def _words_text(words: list[int] | None) -> str:
    if not words:
        return "" if words is not None else ": words not recorded"
    more = f" and {len(words) - SHOWN_WORDS} more" if len(words) > SHOWN_WORDS else ""
    return f": {' '.join(map(str, words[:SHOWN_WORDS]))}{more}"
