"""Events and sets of blocks as text."""

from __future__ import annotations

from traces.columns import Events
from traces.events import ACTIONS, KINDS, Layout
from traces.reader import Trace


def event_text(trace: Trace, events: Events, row: int) -> str:
    """Return an event on one line."""
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
    """Return the blocks of a set, the first of many by name."""
    names = [layout.name(member) for member in members[:most]]
    more = f" and {len(members) - most} more" if len(members) > most else ""
    return " ".join(names) + more
