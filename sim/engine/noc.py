"""The on-chip networks: three multicast GINs, the GON, and the local psum links.

docs/machine.md section 3. Each bus follows a static order and never overtakes; it moves one beat a
cycle and waits for the slowest of its destinations. Blocks are named by what they do, since the
program decides what is sent: `LoadBus` is the chip's `gin_filter`, `FeedBus` its `gin_ifmap`,
`PsumInBus` its `gin_psum` and `PsumOutBus` its `gon_psum`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from sim.engine.pe import FeedPort, PELoad

if TYPE_CHECKING:
    from simpy import Environment, Event

    from sim.engine.fifo import Fifo


class LoadBus:
    """Multicasts the words that PEs keep for the pass: a beat of a load at a time, as in `turns`.

    The array computes nothing until the last word is there (`exposed`), or each MAC waits for its
    own word only (`streamed`).
    """

    def __init__(
        self, env: Environment, turns: Sequence[PELoad], lines: Fifo, entry_words: int,
        streamed: bool,
    ) -> None:  # fmt: skip
        self.env = env
        self.turns = turns
        self.lines = lines
        self.entry_words = entry_words
        self.streamed = streamed
        self.sent_words = 0
        self.deliveries = 0

    def run(self) -> Generator[Event, None, None]:
        """Run the bus: one beat of one load at a time."""
        env, lines, entry_words = self.env, self.lines, self.entry_words
        next_cycle = 0
        entry = 0
        for load in self.turns:
            size = load.next_words
            last_entry = (self.sent_words + size - 1) // entry_words
            while last_entry >= len(lines.ready):
                # One at a time: an entry is narrower than a beat of the bus on other chips.
                yield lines.entry()
            cycle = max(next_cycle, lines.ready[last_entry], load.room_from)
            if cycle > env.now:
                yield env.timeout(cycle - env.now)
            load.deliver(cycle)
            if lines.data:
                for word in range(self.sent_words, self.sent_words + size):
                    load.data.append(lines.data[word // entry_words][word % entry_words])
            self.sent_words += size
            self.deliveries += size * load.pe_count
            # The bus keeps what is left of a line: no load need start on a new one.
            while entry <= last_entry:
                lines.take(cycle + 1)
                entry += 1
            next_cycle = cycle + 1
            if self.streamed and not load.next_words:
                load.streamed()
        if not self.streamed:
            loads = dict.fromkeys(self.turns)
            loaded = max(load.usable[-1] for load in loads)
            for load in loads:
                load.loaded(loaded)


class FeedBus:
    """Multicasts the words that pass through spads, one by one: `column`, `columns` times over.

    `column` are the ports that each word of it goes to.
    """

    def __init__(
        self,
        env: Environment,
        column: Sequence[Sequence[FeedPort]],
        columns: int,
        lines: Fifo,
        *,
        line_words: int,
        words_per_cycle: int,
        fifo_words: int,
    ) -> None:
        self.env = env
        self.column = column
        self.columns = columns
        self.lines = lines
        self.line_words = line_words
        self.words_per_cycle = words_per_cycle
        self.fifo_words = fifo_words
        self.log: list[int] = []

    def run(self) -> Generator[Event, None, None]:
        """Run the bus: `columns` columns, each the same sequence of multicasts."""
        env, lines, depth = self.env, self.lines, self.fifo_words
        lines_ready, line_words, log = lines.ready, self.line_words, self.log
        per_cycle, data = self.words_per_cycle, self.lines.data
        used = 0
        cycle = 0
        word = 0
        line = 0
        offset = 0
        for _ in range(self.columns):
            for ports in self.column:
                if offset == 0:
                    if line >= len(lines_ready):
                        yield lines.entry()
                    if lines_ready[line] > cycle:
                        cycle = lines_ready[line]
                        used = 0
                for port in ports:
                    # A multicast waits for the slowest of its PEs: in each of them the word that
                    # came `depth` words earlier must have left the FIFO in a cycle before this one.
                    index = port.sent - depth
                    if index >= 0:
                        entered = port.entered
                        while index >= len(entered):
                            yield port.place(index)
                        if entered[index] >= cycle:
                            cycle = entered[index] + 1
                            used = 0
                if cycle > env.now:
                    yield env.timeout(cycle - env.now)
                log.append(cycle)
                for port in ports:
                    port.deliver(cycle)
                if data:
                    value = data[line][offset]
                    for port in ports:
                        port.words.append(value)
                word += 1
                offset += 1
                if offset == line_words:
                    lines.take(cycle + 1)
                    line += 1
                    offset = 0
                used += 1
                if used == per_cycle:
                    cycle += 1
                    used = 0
        if offset:
            lines.take(self.log[-1] + 1)


class _PsumBus:
    """A bus between the GLB and FIFOs of PEs, which it serves in turn, `rounds` times over.

    `turns` has for each beat of a round its FIFO, its place among the beats of this FIFO in the
    round, and their number.
    """

    def __init__(
        self, env: Environment, turns: Sequence[tuple[Fifo, int, int]], rounds: int, lines: Fifo
    ) -> None:
        self.env = env
        self.turns = turns
        self.rounds = rounds
        self.lines = lines
        self.log: list[int] = []


class PsumInBus(_PsumBus):
    """Brings the psums from which PEs continue."""

    def run(self) -> Generator[Event, None, None]:
        """Run the bus: one beat to one PE at a time."""
        env, lines, log = self.env, self.lines, self.log
        lines_ready = lines.ready
        line = 0
        cycle = 0
        for number in range(self.rounds):
            for fifo, place, beats in self.turns:
                if line >= len(lines_ready):
                    yield lines.entry()
                cycle = max(cycle, lines_ready[line])
                blocker = fifo.room[number * beats + place]
                if blocker >= 0:
                    freed = fifo.freed
                    if blocker >= len(freed):
                        yield fifo.place(blocker)
                    cycle = max(cycle, freed[blocker])
                if cycle > env.now:
                    yield env.timeout(cycle - env.now)
                log.append(cycle)
                if lines.data:
                    fifo.data.append(lines.data[line])
                lines.take(cycle + 1)
                line += 1
                cycle += 1
                fifo.put(cycle)


class PsumOutBus(_PsumBus):
    """Carries psums that leave the array to the GLB."""

    def run(self) -> Generator[Event, None, None]:
        """Run the bus: one beat from one PE at a time."""
        env, lines, log = self.env, self.lines, self.log
        room, freed = lines.room, lines.freed
        line = 0
        cycle = 0
        for number in range(self.rounds):
            for fifo, place, beats in self.turns:
                ready = fifo.ready
                beat = number * beats + place
                if beat >= len(ready):
                    yield fifo.entry()
                cycle = max(cycle, ready[beat])
                blocker = room[line]
                if blocker >= 0:
                    if blocker >= len(freed):
                        yield lines.place(blocker)
                    cycle = max(cycle, freed[blocker])
                if cycle > env.now:
                    yield env.timeout(cycle - env.now)
                log.append(cycle)
                if fifo.data:
                    lines.data.append(fifo.data[beat])
                cycle += 1
                fifo.take(cycle)
                line += 1
                lines.put(cycle)


class LocalLink:
    """The link from one PE to the PE above it: a beat a cycle, `hop_cycles` long."""

    def __init__(self, below: Fifo, above: Fifo, beats: int, hop_cycles: int) -> None:
        self.below = below
        self.above = above
        self.beats = beats
        self.hop_cycles = hop_cycles
        self.log: list[int] = []

    def run(self) -> Generator[Event, None, None]:
        """Run the link: every beat of the pass."""
        below, above, hop, log = self.below, self.above, self.hop_cycles, self.log
        ready, freed, room, data = below.ready, above.freed, above.room, below.data
        next_cycle = 0
        # No timeouts: a beat's date follows from dates alone, and is committed as soon as these are
        # known, often before the clock is there. Timeouts would add an event for each beat and hop.
        for beat in range(self.beats):
            if beat >= len(ready):
                yield below.entry()
            cycle = ready[beat]
            cycle = max(cycle, next_cycle)
            blocker = room[beat]
            if blocker >= 0:
                if blocker >= len(freed):
                    yield above.place(blocker)
                cycle = max(cycle, freed[blocker])
            log.append(cycle)
            if data:
                above.data.append(data[beat])
            next_cycle = cycle + 1
            below.take(next_cycle)
            above.put(cycle + hop)
