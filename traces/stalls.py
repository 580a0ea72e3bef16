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

from hw_models.vocabulary import CAUSES, Cause, Level
from traces.events import ACTIONS, GIN_FILTER, GIN_PSUM, KINDS, Layout
from traces.template import PEWork, Stream, Template

Ints = NDArray[np.int64]
Streams = defaultdict[tuple[int, str, str], list[Stream]]
NEEDED = (Level.NOC, "pe")
"""Groups of blocks without which no cause can be derived."""
COMPUTING = CAUSES.index(Cause.COMPUTING)
ACCUMULATING = CAUSES.index(Cause.ACCUMULATING)
WAITING_FILTER = CAUSES.index(Cause.WAITING_FILTER)
WAITING_IFMAP = CAUSES.index(Cause.WAITING_IFMAP)
WAITING_PSUM_IN = CAUSES.index(Cause.WAITING_PSUM_IN)
WAITING_PSUM_OUT = CAUSES.index(Cause.WAITING_PSUM_OUT)
IDLE = CAUSES.index(Cause.IDLE)
CLOCK_GATED = CAUSES.index(Cause.CLOCK_GATED)
WORKING = (COMPUTING, ACCUMULATING)


class ReplayError(Exception):
    """The events contradict each other: they are not those of a run."""


def streams_of(template: Template) -> Streams:
    """Return the streams of a template by block, action and data type."""
    streams: Streams = defaultdict(list)
    for number in range(len(template.streams)):
        stream = template.stream(number)
        streams[stream.block, ACTIONS[stream.action], KINDS[stream.kind]].append(stream)
    return streams


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
        span = max(int(np.searchsorted(self.start, cycle, side="right")) - 1, 0)
        return int(self.cause[span]), int(self.start[span])

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
    longer = durations.copy()
    longer[-1] += extra
    return longer


def _spans(causes: Any, durations: Any) -> Spans:
    """Return spans in a row, without those of no cycles, equal neighbours as one."""
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

    def of(self, row: int, column: int) -> Spans:
        """Return what a PE does in the pass."""
        work = self.template.work.get((row, column))
        if work is None:
            return _spans([CLOCK_GATED], [self.template.cycles])
        return self._of(work)

    def everywhere(self) -> dict[tuple[int, int], Spans]:
        """Return the spans of each PE of the array by its (row, column)."""
        rows, columns = range(self.layout.rows), range(self.layout.columns)
        return {(row, column): self.of(row, column) for row in rows for column in columns}

    def only(self, block: int, action: str, kind: str) -> Stream | None:
        """Return the one stream of its kind; None where there is none, or several."""
        streams = self._streams.get((block, action, kind), [])
        return streams[0] if len(streams) == 1 else None

    def _of(self, work: PEWork) -> Spans:
        block = self.layout.pe(work.row, work.column)
        bursts = self.only(block, "mac", "none")
        takes = self.only(block, "accumulate", "psum")
        if bursts is None or takes is None or len(takes.start) % len(bursts.start):
            raise ReplayError(f"{self.layout.name(block)} has bursts without psums")
        # Arrays are (bursts, beats). What a PE does follows from three dates: when it was free,
        # when it did something, and when it could have. For a beat it was free (`before`) at the
        # end of the MACs, or of the beat before. A wait up to the date at which the beat could be
        # read is for the PE below; the rest is for room in the FIFO above.
        count = len(bursts.start)
        done = bursts.start + bursts.duration + work.bubble
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
        free = np.concatenate([[self._loaded(work)], end[:-1, -1]])
        late = bursts.start - free
        if gap.min() < 0 or (gap - waited).min() < 0 or late.min() < 0:
            raise ReplayError(f"{self.layout.name(block)} does two things at once")
        idle = self.template.cycles - int(end[-1, -1])
        if idle < 0:
            raise ReplayError(f"{self.layout.name(block)} works beyond the end of the pass")
        beats = np.stack([waited, gap - waited, end - begin], axis=2).reshape(count, -1)
        durations = np.concatenate([late[:, None], (done - bursts.start)[:, None], beats], axis=1)
        of_a_beat = (WAITING_PSUM_IN, WAITING_PSUM_OUT, ACCUMULATING)
        of_a_burst = (WAITING_IFMAP, COMPUTING, *of_a_beat * gap.shape[1])
        return _spans(
            np.concatenate([[WAITING_FILTER], np.tile(of_a_burst, count), [IDLE]]),
            np.concatenate([free[:1], durations.reshape(-1), [idle]]),
        )

    @cached_property
    def _arrivals(self) -> dict[int, Ints]:
        """By PE block, the cycle from which each incoming psum beat can be read."""
        arrivals: dict[int, Ints] = {}
        first = self.layout.blocks - self.layout.pes
        for (block, action, _), streams in self._streams.items():
            if action == "send" and (block >= first or block == GIN_PSUM):
                for stream in streams:
                    for number in np.unique(stream.destination).tolist():
                        mine = stream.destination == number
                        ready = (stream.start + stream.duration)[mine]
                        for member in self.template.sets[number]:
                            arrivals[member] = ready
        return arrivals

    @cached_property
    def _loads(self) -> list[Stream]:
        """What brings the words that PEs keep."""
        return [
            stream
            for (block, action, _), streams in self._streams.items()
            if block == GIN_FILTER and action == "send"
            for stream in streams
        ]

    def _loaded(self, work: PEWork) -> int:
        """Return the cycle from which no burst of a PE waits for a word that the PE keeps."""
        loads = self._loads
        if loads and not self.template.shape["streamed"]:
            return max(int(self._usable(stream)[-1]) for stream in loads)
        block = self.layout.pe(work.row, work.column)
        for stream in loads:
            if block not in self.template.sets[int(stream.destination[0])]:
                continue
            there = self._usable(stream)
            if len(there) != len(work.uses):
                break
            # A burst may start as soon as each word is there when its first product needs it.
            return max(0, int((there - work.uses).max()))
        raise ReplayError(f"the filters of {self.layout.name(block)} do not fit it")

    def _usable(self, stream: Stream) -> Ints:
        """Return the cycle from which a product can have each word of a load."""
        come = np.repeat(stream.start + stream.duration, stream.words)
        rate = self.template.shape["load_rate"]
        if not rate:
            return come
        usable = come + 1
        for place in range(rate):
            # As the word `rate` places before has moved, at the earliest in the next cycle.
            turn = np.arange(len(usable[place::rate]))
            usable[place::rate] = np.maximum.accumulate(usable[place::rate] - turn) + turn
        return usable
