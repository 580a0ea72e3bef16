"""A processing element: its ifmap port and spad, its windows, and its part of the psum chain.

docs/machine.md section 3, "PE". Cycles are counted from the start of the pass.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from simpy import Environment, Event

    from sim.engine.fifo import Fifo
    from sim.plan.placement import Site


class IfmapPort:
    """The ifmap FIFO of a PE and the spad behind it.

    A word that the bus delivers in cycle c moves to the spad in c+1 or later, one a cycle, as soon
    as the spad has a place for it. `sent` counts the words that the bus has delivered; `entered[k]`
    is the cycle in which word k moves from the FIFO to the spad, known once the place that it takes
    is known to become free; `places[k]` is the cycle from which the place of word k is free.
    """

    __slots__ = (
        "_bus",
        "_bus_index",
        "_env",
        "_pe",
        "_pe_index",
        "entered",
        "name",
        "pending",
        "places",
        "released",
        "sent",
        "words",
    )

    def __init__(self, env: Environment, name: str, places: int) -> None:
        self._env = env
        self._pe: Event | None = None
        self._pe_index = 0
        self._bus: Event | None = None
        self._bus_index = 0
        self.name = name
        self.sent = 0
        self.released = 0
        self.entered: list[int] = []
        self.places: list[int] = [0] * places
        self.pending: list[int] = []
        self.words: list[int] = []

    def deliver(self, cycle: int) -> None:
        """The bus writes a word into the FIFO in `cycle`."""
        self.sent += 1
        entered = self.entered
        index = len(entered)
        if self.pending or index >= len(self.places):
            self.pending.append(cycle)
            return
        cycle += 1
        if index:
            earliest = entered[-1] + 1
            cycle = max(cycle, earliest)
        place = self.places[index]
        cycle = max(cycle, place)
        entered.append(cycle)
        if self._pe is not None and index >= self._pe_index:
            waiting, self._pe = self._pe, None
            waiting.succeed()

    def release(self, words: int, cycle: int) -> None:
        """The oldest `words` leave the spad; their places can be written from `cycle` on."""
        self.released += words
        self.places.extend([cycle] * words)
        pending = self.pending
        if not pending:
            return
        entered = self.entered
        moved = 0
        for arrival in pending[:words]:
            index = len(entered)
            entered.append(max(arrival + 1, entered[-1] + 1 if index else 0, self.places[index]))
            moved += 1
        del pending[:moved]
        # The PE itself never waits here: it is the one that releases.
        if self._bus is not None and len(entered) > self._bus_index:
            waiting, self._bus = self._bus, None
            waiting.succeed()

    def word(self, index: int) -> Event:
        """An event that comes when word `index` is known to enter the spad."""
        self._pe_index = index
        self._pe = self._env.event()
        return self._pe

    def place(self, index: int) -> Event:
        """An event for the bus that comes when word `index` is known to leave the FIFO."""
        self._bus_index = index
        self._bus = self._env.event()
        return self._bus

    @property
    def waiting(self) -> str:
        """Who waits here for what, or an empty string."""
        found = []
        if self._pe is not None:
            found.append(f"{self.name} waits for ifmap word {self._pe_index}")
        if self._bus is not None:
            found.append(f"the ifmap bus waits until {self.name} has read word {self._bus_index}")
        return "; ".join(found)


class FilterRow:
    """The PEs that hold the same filter row of the same filters and channels.

    They share the multicast, so one log tells when each beat of filter words could be read. `lead`
    is the first cycle in which a window may start, once that is `decided`.
    """

    def __init__(
        self,
        env: Environment,
        name: str,
        filters: int,
        channels: int,
        filter_columns: int,
        beat_words: int,
    ) -> None:
        self._env = env
        self._waiting: list[Event] = []
        self.name = name
        self.filters = filters
        self.channels = channels
        self.filter_columns = filter_columns
        self.beat_words = beat_words
        self.place = (0, 0)
        self.site_count = 0
        self.x_buses: set[int] = set()
        self.log: list[int] = []
        self.data: list[Any] = []
        self.decided = False
        self.lead = 0

    @property
    def words(self) -> int:
        """Filter words that each PE of the row holds: p*q*S."""
        return self.filters * self.channels * self.filter_columns

    def loaded(self, cycle: int) -> None:
        """No MAC of these PEs waits for a filter word from `cycle` on (exposed load)."""
        self._decide(cycle)

    def streamed(self) -> None:
        """All beats have been sent; find how early a window may start (streamed load).

        MACs run with the filter innermost, then channel, then column, while words arrive with the
        column innermost, then channel, then filter. A window that starts at `lead` meets each of
        its words just in time at the latest one.
        """
        p, q, s = self.filters, self.channels, self.filter_columns
        log, beat = self.log, self.beat_words
        lead = max(
            log[((f * q + c) * s + x) // beat] - ((x * q + c) * p + f)
            for f in range(p)
            for c in range(q)
            for x in range(s)
        )
        self._decide(lead)

    def _decide(self, lead: int) -> None:
        self.decided, self.lead = True, lead
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.succeed()

    @cached_property
    def weights(self) -> NDArray[np.int64]:
        """The filter spad as (filters, words of a window): a window comes column by column."""
        p, q, s = self.filters, self.channels, self.filter_columns
        loaded = np.array(self.data, dtype=np.int64).reshape(p, q, s)
        return np.ascontiguousarray(loaded.transpose(0, 2, 1).reshape(p, s * q))

    def ready(self) -> Event:
        """An event that comes when the row's load is decided."""
        event = self._env.event()
        self._waiting.append(event)
        return event

    @property
    def waiting(self) -> str:
        """Who waits here, or an empty string."""
        count = len(self._waiting)
        return f"{count} PEs wait for the filters of {self.name}" if count else ""


class PE:
    """One processing element that is part of a PE set.

    Life: it waits for its filters; then for each window (one ofmap column of one image) it waits
    for the ifmap words, computes p*q*S MACs, one a cycle, and takes in the psums of the window beat
    by beat, one word a cycle on the same adder, passing each beat on. Then it rests until the pass
    ends. `starts` are the cycles in which its windows start, `takes` those in which it takes in a
    beat, `wait_filter` and its like the cycles that it waited, by cause.
    """

    __slots__ = (
        "bubble_cycles",
        "busy_until",
        "column_words",
        "env",
        "filter_row",
        "gated_macs",
        "image_windows",
        "mac_cycles",
        "port",
        "psum_bits",
        "psum_in",
        "psum_out",
        "shift_spad",
        "site",
        "sizes",
        "starts",
        "takes",
        "values",
        "wait_filter",
        "wait_ifmap",
        "wait_psum_in",
        "wait_psum_out",
        "window_words",
        "windows_done",
    )

    def __init__(
        self,
        env: Environment,
        site: Site,
        *,
        filter_row: FilterRow,
        port: IfmapPort,
        psum_in: Fifo | None,
        psum_out: Fifo,
        sizes: Sequence[int],
        column_step: int,
        image_windows: int,
        pipeline_stages: int,
        shift_spad: bool,
        psum_bits: int | None,
        values: bool,
    ) -> None:
        self.env = env
        self.site = site
        self.filter_row = filter_row
        self.port = port
        self.psum_in = psum_in
        self.psum_out = psum_out
        self.sizes = sizes
        p, q, s = filter_row.filters, filter_row.channels, filter_row.filter_columns
        self.mac_cycles = p * q * s
        # The last product of a filter is issued p cycles before its psum is taken in.
        self.bubble_cycles = max(0, pipeline_stages - p)
        self.window_words = q * s
        self.column_words = q * column_step
        self.image_windows = image_windows
        self.shift_spad = shift_spad
        self.psum_bits = psum_bits
        self.values = values
        self.starts: list[int] = []
        self.takes: list[int] = []
        self.windows_done = 0
        self.gated_macs = 0
        self.busy_until = 0
        self.wait_filter = 0
        self.wait_ifmap = 0
        self.wait_psum_in = 0
        self.wait_psum_out = 0

    def run(self, images: int) -> Generator[Event, None, None]:
        """The PE's process over all windows of the pass."""
        env, port, row = self.env, self.port, self.filter_row
        if not row.decided:
            yield row.ready()
        free = self.wait_filter = row.lead
        entered, starts, takes = port.entered, self.starts, self.takes
        source, out = self.psum_in, self.psum_out
        source_ready = source.ready if source is not None else None
        out_freed, room = out.freed, out.room
        sizes = self.sizes
        mac_cycles, bubble = self.mac_cycles, self.bubble_cycles
        step_words, window_words = self.column_words, self.window_words
        last_window = self.image_windows - 1
        shift = self.shift_spad
        compute = self._compute if self.values else None
        need = 0
        beat = 0
        for _ in range(images):
            for window in range(self.image_windows):
                need += step_words if window else window_words
                if len(entered) < need:
                    yield port.word(need - 1)
                start = entered[need - 1] + 1
                if start > free:
                    self.wait_ifmap += start - free
                else:
                    start = free
                end = start + mac_cycles
                starts.append(start)
                leaving = window_words if window == last_window else step_words
                if not shift:
                    port.release(leaving, end)
                results = compute(leaving) if compute is not None else None
                delay = end - env.now
                if delay > 0:
                    yield env.timeout(delay)
                end += bubble
                for size in sizes:
                    take = end
                    if source_ready is not None:
                        if beat >= len(source_ready):
                            yield source.entry()  # type: ignore[union-attr]
                        there = source_ready[beat]
                        if there > take:
                            self.wait_psum_in += there - take
                            take = there
                    blocker = room[beat]
                    if blocker >= 0:
                        if blocker >= len(out_freed):
                            yield out.place(blocker)
                        there = out_freed[blocker]
                        if there > take:
                            self.wait_psum_out += there - take
                            take = there
                    takes.append(take)
                    if results is not None:
                        self._pass_on(results, beat, size)
                    if source is not None:
                        source.take(take + 1)
                    end = take + size
                    out.put(end)
                    beat += 1
                free = end
                if shift:
                    # Only between windows does the shift register move, one word a cycle.
                    port.release(leaving, free)
                self.windows_done += 1
        self.busy_until = free

    def _compute(self, leaving: int) -> list[int]:
        """The window's products, summed over channels and columns: one psum per filter."""
        port = self.port
        words = port.words[: self.window_words]
        del port.words[:leaving]
        self.gated_macs += self.filter_row.filters * words.count(0)
        sums: list[int] = (self.filter_row.weights @ np.array(words, dtype=np.int64)).tolist()
        return sums

    def _pass_on(self, results: list[int], beat: int, size: int) -> None:
        """Add the incoming beat to this window's psums and hand the sums to the FIFO above."""
        first = sum(self.sizes[: beat % len(self.sizes)])
        beat_data = results[first : first + size]
        if self.psum_in is not None:
            incoming = self.psum_in.data[beat]
            beat_data = [a + b for a, b in zip(beat_data, incoming, strict=True)]
        if self.psum_bits is not None:
            half = 1 << (self.psum_bits - 1)
            beat_data = [(v + half) % (2 * half) - half for v in beat_data]
        self.psum_out.data.append(beat_data)
