"""Tells what each PE does in every cycle of a pass, from its events: spans of one cause each.

FORMAT.md, section 6, has the rules. Replay adds these spans up, exports and the stepper show them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.events import ACTIONS, CAUSES, GIN_FILTER, GIN_PSUM, KINDS, Layout, Stream, Template

Ints = NDArray[np.int64]
Streams = defaultdict[tuple[int, str, str], list[Stream]]
NEEDED = ("noc", "pe")
"""Groups of blocks without which no cause can be told."""
(
    COMPUTING, ACCUMULATING, WAITING_FILTER, WAITING_IFMAP, WAITING_PSUM_IN, WAITING_PSUM_OUT, IDLE,
    CLOCK_GATED,
) = range(len(CAUSES))  # fmt: skip
WORKING = (COMPUTING, ACCUMULATING)


class ReplayError(Exception):
    """The events contradict each other: they are not those of a run."""


def streams_of(template: Template) -> Streams:
    """Return the streams of a template by block, action and data type."""
    found: Streams = defaultdict(list)
    for place in range(len(template.streams)):
        stream = template.stream(place)
        found[stream.block, ACTIONS[stream.action], KINDS[stream.kind]].append(stream)
    return found


@dataclass(frozen=True)
class Spans:
    """What a PE does from the first to the last cycle of a pass: causes of `CAUSES`, one a span.

    Each span begins where the one before ends; neighbours differ. Cycles count from the pass.
    """

    cause: Ints
    start: Ints
    duration: Ints

    def at(self, cycle: int) -> tuple[int, int]:
        """Return the cause of a cycle, and the first cycle of its span."""
        place = max(int(np.searchsorted(self.start, cycle, side="right")) - 1, 0)
        return int(self.cause[place]), int(self.start[place])

    def cycles(self) -> list[int]:
        """Return the cycles of each cause."""
        sums = np.zeros(len(CAUSES), np.int64)
        np.add.at(sums, self.cause, self.duration)
        return sums.tolist()

    def lasting(self, cycles: int) -> Spans:
        """Return the spans of a pass that is charged as `cycles`: the last one takes what is more.

        No PE works at the end of a pass that is charged more than it took (docs/machine.md).
        """
        extra = cycles - int(self.start[-1] + self.duration[-1])
        if extra <= 0:
            return self
        if int(self.cause[-1]) in (IDLE, CLOCK_GATED):
            return Spans(self.cause, self.start, _with_last(self.duration, extra))
        return _spans([*self.cause.tolist(), IDLE], [*self.duration.tolist(), extra])


def _with_last(durations: Ints, extra: int) -> Ints:
    found = durations.copy()
    found[-1] += extra
    return found


def _spans(causes: Any, durations: Any) -> Spans:
    """Spans in a row, without those of no cycles, equal neighbours as one."""
    cause, duration = np.asarray(causes, np.int64), np.asarray(durations, np.int64)
    start = np.cumsum(duration) - duration
    whole = int(duration.sum())
    there = duration > 0
    cause, start = cause[there], start[there]
    first = np.ones(len(cause), bool)
    first[1:] = cause[1:] != cause[:-1]
    start = start[first]
    return Spans(cause[first], start, np.diff(start, append=whole))


class PassSpans:
    """The spans of the PEs of a template.

    `of` raises `ReplayError` where the events contradict each other.
    """

    def __init__(self, template: Template, layout: Layout, streams: Streams | None = None) -> None:
        self.template = template
        self.layout = layout
        self._streams = streams_of(template) if streams is None else streams
        self._pes = {(int(pe["row"]), int(pe["column"])): pe for pe in template.pes}

    def of(self, row: int, column: int) -> Spans:
        """Return what a PE does in the pass."""
        pe = self._pes.get((row, column))
        if pe is None:
            return _spans([CLOCK_GATED], [self.template.cycles])
        return self._work((row, column), pe)

    def everywhere(self) -> dict[tuple[int, int], Spans]:
        """Return the spans of each PE of the array by its (row, column)."""
        rows, columns = range(self.layout.rows), range(self.layout.columns)
        return {(row, column): self.of(row, column) for row in rows for column in columns}

    def only(self, block: int, action: str, kind: str) -> Stream | None:
        """Return the one stream of its kind; None where there is none, or several."""
        found = self._streams.get((block, action, kind), [])
        return found[0] if len(found) == 1 else None

    def _work(self, at: tuple[int, int], pe: Any) -> Spans:
        block = self.layout.pe(*at)
        windows = self.only(block, "mac", "none")
        takes = self.only(block, "accumulate", "psum")
        if windows is None or takes is None or len(takes.start) % len(windows.start):
            raise ReplayError(f"{self.layout.name(block)} has windows without psums")
        count = len(windows.start)
        done = windows.start + windows.duration + int(pe["bubble"])
        begin = takes.start.reshape(count, -1)
        end = begin + takes.duration.reshape(count, -1)
        before = np.concatenate([done[:, None], end[:, :-1]], axis=1)
        gap = begin - before
        ready = self._arrivals.get(block)
        waited = np.zeros_like(gap)
        if ready is not None:
            if ready.size != gap.size:
                raise ReplayError(f"{self.layout.name(block)} does not take in every psum")
            waited = np.maximum(ready.reshape(gap.shape) - before, 0)
        free = np.concatenate([[self._filters_there(pe)], end[:-1, -1]])
        late = windows.start - free
        if gap.min() < 0 or (gap - waited).min() < 0 or late.min() < 0:
            raise ReplayError(f"{self.layout.name(block)} does two things at once")
        idle = self.template.cycles - int(end[-1, -1])
        if idle < 0:
            raise ReplayError(f"{self.layout.name(block)} works beyond the end of the pass")
        beats = np.stack([waited, gap - waited, end - begin], axis=2).reshape(count, -1)
        durations = np.concatenate([late[:, None], (done - windows.start)[:, None], beats], axis=1)
        of_a_beat = (WAITING_PSUM_IN, WAITING_PSUM_OUT, ACCUMULATING)
        of_a_window = (WAITING_IFMAP, COMPUTING, *of_a_beat * gap.shape[1])
        return _spans(
            np.concatenate([[WAITING_FILTER], np.tile(of_a_window, count), [IDLE]]),
            np.concatenate([free[:1], durations.reshape(-1), [idle]]),
        )

    @cached_property
    def _arrivals(self) -> dict[int, Ints]:
        """By PE block, the cycle from which each incoming psum beat can be read."""
        found: dict[int, Ints] = {}
        first = self.layout.blocks - self.layout.pes
        for (block, action, _), streams in self._streams.items():
            if action == "send" and (block >= first or block == GIN_PSUM):
                for stream in streams:
                    for number in np.unique(stream.destination).tolist():
                        mine = stream.destination == number
                        ready = (stream.start + stream.duration)[mine]
                        for member in self.template.sets[number]:
                            found[member] = ready
        return found

    def _filters_there(self, pe: Any) -> int:
        """The cycle from which no window of a PE waits for a filter word."""
        streams = self._streams.get((GIN_FILTER, "send", "filter"), [])
        if streams and not self.template.shape["streamed"]:
            return max(int(stream.start[-1] + stream.duration[-1]) for stream in streams)
        block = self.layout.pe(int(pe["row"]), int(pe["column"]))
        p, q, s = int(pe["p"]), int(pe["q"]), int(pe["s"])
        for stream in streams:
            if block not in self.template.sets[int(stream.destination[0])]:
                continue
            there = np.repeat(stream.start + stream.duration, stream.words)
            if len(there) != p * q * s:
                break
            f, c, x = np.meshgrid(np.arange(p), np.arange(q), np.arange(s), indexing="ij")
            used = (x * q + c) * p + f
            return max(0, int((there.reshape(p, q, s) - used).max()))
        raise ReplayError(f"the filters of {self.layout.name(block)} do not fit it")
