"""A processing element: its ifmap port and spad, its bursts, and its part of the psum chain.

docs/machine.md section 3, "PE". Cycles are counted from the start of the pass.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import cached_property
from operator import sub
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from simpy import Environment, Event

    from hw_models import spec
    from sim.dataflow.program import Load, PEProgram
    from sim.engine.fifo import Fifo


class FeedPort:
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
        """Write a word of the bus into the FIFO in `cycle`."""
        # The word's move to the spad is dated here, not simulated: a process for each port would
        # need an event for each word and PE. It moves in the cycle after it came, behind the word
        # before it, once its place in the spad is free (docs/machine.md section 8, "Ifmap FIFO and
        # spad"). While nobody knows when that place is freed the word waits in `pending`, and so do
        # all behind it; `release` dates them when the PE gives the places up.
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
        """Free the oldest `words` of the spad; their places can be written from `cycle` on."""
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
        """Return an event that comes when word `index` is known to enter the spad."""
        self._pe_index = index
        self._pe = self._env.event()
        return self._pe

    def place(self, index: int) -> Event:
        """Return an event for the bus that comes when word `index` is known to leave the FIFO."""
        self._bus_index = index
        self._bus = self._env.event()
        return self._bus

    @property
    def waiting(self) -> str:
        """Who waits here for what, or an empty string."""
        waits = []
        if self._pe is not None:
            waits.append(f"{self.name} waits for ifmap word {self._pe_index}")
        if self._bus is not None:
            waits.append(f"the ifmap bus waits until {self.name} has read word {self._bus_index}")
        return "; ".join(waits)


class PELoad:
    """The words that PEs with the same multicasts keep for the pass, while they arrive.

    All of these PEs see the same, so one FIFO and spad serve for theirs. `log` has the cycle from
    which each beat could be read, `usable` that from which a MAC can have each word. Words pass
    straight into the spad, or `filter_words_per_cycle` of them move there from the FIFO. `lead` is
    the first cycle in which a burst may start, once that is `decided`.
    """

    def __init__(self, env: Environment, program: Load, rules: spec.PE) -> None:
        self._env = env
        self._waiting: list[Event] = []
        self._rate = rules.filter_words_per_cycle
        self._fifo_words = rules.filter_fifo_words
        self.program = program
        self.pe_count = len(program.pes)
        self.log: list[int] = []
        self.usable: list[int] = []
        self.data: list[Any] = []
        self.decided = False
        self.lead = 0

    @property
    def next_words(self) -> int:
        """Words of the next beat; 0 behind the last one."""
        beats, sent = self.program.beats, len(self.log)
        return beats[sent] if sent < len(beats) else 0

    @property
    def room_from(self) -> int:
        """The first cycle in which the FIFO has room for the next beat."""
        last = len(self.usable) + self.next_words - 1 - self._fifo_words
        # A word can be used in the cycle in which its place in the FIFO is free again.
        return 0 if self._rate is None or last < 0 else self.usable[last]

    def deliver(self, cycle: int) -> None:
        """Take the bus's next beat in `cycle`."""
        words, rate, usable = self.next_words, self._rate, self.usable
        self.log.append(cycle + 1)
        if rate is None:
            usable += [cycle + 1] * words
            return
        for _ in range(words):
            # It moves in the cycle after it came or later, as the last of `rate` in a cycle.
            behind = usable[-rate] if len(usable) >= rate else 0
            usable.append(max(cycle + 1, behind) + 1)

    def loaded(self, cycle: int) -> None:
        """End an exposed load: no MAC of these PEs waits for a filter word from `cycle` on."""
        self._decide(cycle)

    def streamed(self) -> None:
        """End a streamed load, all beats being sent: find how early a burst may start.

        A burst uses the words in another order than that in which they arrive. One that starts at
        `lead` meets each of its words just in time at the latest one.
        """
        # The rule is that a MAC waits for its own word only (docs/machine.md section 3,
        # `glb.filter_load`). A burst that stalls at each late word ends in the same cycle as one
        # that starts at `lead` and never stalls: when the MACs behind the latest word are done. So
        # no MAC needs an event of its own, and all the waiting is booked before the first one.
        self._decide(max(map(sub, self.usable, self.program.uses)))

    def _decide(self, lead: int) -> None:
        self.decided, self.lead = True, lead
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.succeed()

    @cached_property
    def by_use(self) -> NDArray[np.int64]:
        """The words in the order in which a burst uses them."""
        words: NDArray[np.int64] = np.array(self.data, np.int64)[np.argsort(self.program.uses)]
        return words

    def ready(self) -> Event:
        """Return an event that comes when the load is decided."""
        event = self._env.event()
        self._waiting.append(event)
        return event

    @property
    def waiting(self) -> str:
        """Who waits here, or an empty string."""
        count = len(self._waiting)
        return f"{count} PEs wait for the filters of {self.program.name}" if count else ""


class PE:
    """One processing element that has a part in the pass.

    Life: it waits for its filters; then for each burst of its program it waits for the ifmap words,
    computes its MACs, one a cycle, and takes in the psums of the burst beat by beat, one word a
    cycle on the same adder, passing each beat on. Then it rests until the pass ends. `starts` are
    the cycles in which its bursts start, `takes` those in which it takes in a beat, `wait_load`
    and its like the cycles that it waited, by cause.
    """

    __slots__ = (
        "bubble_cycles",
        "bursts_done",
        "busy_until",
        "env",
        "gated_macs",
        "image_change_cycles",
        "late_slots",
        "load",
        "mac_cycles",
        "port",
        "program",
        "psum_bits",
        "psum_in",
        "psum_latency_cycles",
        "psum_out",
        "shift_spad",
        "start_cycles",
        "starts",
        "takes",
        "values",
        "wait_feed",
        "wait_load",
        "wait_psum_in",
        "wait_psum_out",
        "word_ages",
    )

    def __init__(
        self,
        env: Environment,
        program: PEProgram,
        *,
        load: PELoad,
        port: FeedPort,
        psum_in: Fifo | None,
        psum_out: Fifo,
        rules: spec.PE,
        psum_bits: int | None,
        values: bool,
    ) -> None:
        self.env = env
        self.program = program
        self.load = load
        self.port = port
        self.psum_in = psum_in
        self.psum_out = psum_out
        self.mac_cycles = program.burst_products
        # The last product for an output is issued that many cycles before its psum is taken in.
        self.bubble_cycles = max(0, rules.pipeline_stages - program.outputs)
        self.shift_spad = rules.ifmap_spad == "shift"
        # MACs in front of that which uses a word first; None where a burst waits for all words.
        self.word_ages = (
            range(0, self.mac_cycles, program.outputs) if rules.ifmap_wait == "word" else None
        )
        self.start_cycles = rules.start_cycles
        self.image_change_cycles = rules.image_change_cycles
        self.psum_latency_cycles = rules.psum_latency_cycles
        self.late_slots = rules.psum_slot_freed == "last_word"
        self.psum_bits = psum_bits
        self.values = values
        self.starts: list[int] = []
        self.takes: list[int] = []
        self.bursts_done = 0
        self.gated_macs = 0
        self.busy_until = 0
        self.wait_load = 0
        self.wait_feed = 0
        self.wait_psum_in = 0
        self.wait_psum_out = 0

    def run(self) -> Generator[Event, None, None]:
        """Run the PE over all bursts of the pass."""
        env, port, load, program = self.env, self.port, self.load, self.program
        if not load.decided:
            yield load.ready()
        free = self.wait_load = load.lead
        entered, starts, takes = port.entered, self.starts, self.takes
        source, out = self.psum_in, self.psum_out
        source_ready = source.ready if source is not None else None
        out_freed, room = out.freed, out.room
        sizes = program.beats
        mac_cycles, bubble = self.mac_cycles, self.bubble_cycles
        latency, late_slots = self.psum_latency_cycles, self.late_slots
        shift, ages, clearing = self.shift_spad, self.word_ages, self.image_change_cycles
        compute = self._compute if self.values else None
        need = shifted = 0
        beat = 0
        for _ in range(program.times):
            for needs, leaving, clears in program.bursts:
                need += needs
                if len(entered) < need:
                    yield port.word(need - 1)
                if ages is None:
                    start = entered[need - 1] + 1
                else:
                    words = entered[need - program.operands : need]
                    start = max(shifted, max(map(sub, words, ages)) + 1)
                if not starts:
                    first = need - 1 if ages is None else 0
                    start = max(start, entered[first] + 1 + self.start_cycles)
                if start > free:
                    self.wait_feed += start - free
                else:
                    start = free
                end = start + mac_cycles
                starts.append(start)
                if not shift:
                    port.release(leaving, end + clearing if clears else end)
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
                    end = take + size
                    if source is not None:
                        source.take(end + latency if late_slots else take + 1)
                    out.put(end + latency)
                    beat += 1
                free = end
                if shift:
                    # Only between bursts does the shift register move, one word a cycle: with each
                    # word that comes in or, where MACs do not wait for all of them, before.
                    if clears:
                        end += clearing
                    elif ages is not None:
                        end = shifted = end + leaving
                    port.release(leaving, end)
                self.bursts_done += 1
        self.busy_until = free

    def _compute(self, leaving: int) -> list[int]:
        """Sum the burst's products over its words: one psum for each output."""
        port, outputs = self.port, self.program.outputs
        words = port.words[: self.program.operands]
        del port.words[:leaving]
        self.gated_macs += outputs * words.count(0)
        kept = self.load.by_use.reshape(-1, outputs)
        sums: list[int] = (np.array(words, dtype=np.int64) @ kept).tolist()
        return sums

    def _pass_on(self, results: list[int], beat: int, size: int) -> None:
        """Add the incoming beat to this burst's psums and hand the sums to the FIFO above."""
        sizes = self.program.beats
        first = sum(sizes[: beat % len(sizes)])
        beat_data = results[first : first + size]
        if self.psum_in is not None:
            incoming = self.psum_in.data[beat]
            beat_data = [a + b for a, b in zip(beat_data, incoming, strict=True)]
        if self.psum_bits is not None:
            half = 1 << (self.psum_bits - 1)
            beat_data = [(v + half) % (2 * half) - half for v in beat_data]
        self.psum_out.data.append(beat_data)
