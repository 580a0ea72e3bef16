"""The ports of the global buffer: ifmap read, psum read, psum write and filter read.

docs/machine.md section 3: they run in parallel, a line of `glb.port_bits` each per cycle. Between a
port and its bus stand a few lines (`noc.bus_fifo_entries`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simpy import Event

    from sim.engine.fifo import Fifo


class ReadPort:
    """Reads line after line for a bus, as far ahead as the lines before the bus have room.

    `source` holds the entries that the port may read once they are there; None where all of them
    are in the GLB when the pass starts. An entry is a line, or the part of one that arrives at a
    time: the port then reads up to `per_cycle` of them in a cycle. Were it to wait for whole lines,
    a wider port would be a slower one.
    """

    def __init__(
        self,
        lines: Fifo,
        source: Fifo | None = None,
        data: Sequence[Any] = (),
        per_cycle: int = 1,
    ) -> None:
        self.lines = lines
        self.per_cycle = per_cycle
        self.source = source
        self.data = data
        self.begins = 0

    def run(self, count: int, behind: Event | None = None) -> Generator[Event, Any, int]:
        """Run the port over `count` entries; the value is the cycle after the last of them.

        `behind` is the process of a port whose last entry this one waits for.
        """
        lines, source, data, per_cycle = self.lines, self.source, self.data, self.per_cycle
        room, freed, ready = lines.room, lines.freed, lines.ready
        if behind is not None:
            self.begins = yield behind
        cycle = self.begins
        for line in range(count):
            if line >= per_cycle:
                # An entry can be read by the bus from the cycle after that in which the port did.
                cycle = max(cycle, ready[line - per_cycle])
            if source is not None:
                while line >= len(source.ready):
                    yield source.entry()
                cycle = max(cycle, source.ready[line])
            blocker = room[line]
            if blocker >= 0:
                if blocker >= len(freed):
                    yield lines.place(blocker)
                cycle = max(cycle, freed[blocker])
            if data:
                lines.data.append(data[line])
            if source is not None:
                source.take(cycle + 1)
            lines.put(cycle + 1)
        return ready[-1]


class WritePort:
    """Writes the lines that the GON brings."""

    def __init__(self, lines: Fifo) -> None:
        self.lines = lines

    def run(self, count: int) -> Generator[Event, None, None]:
        """Run the port over `count` lines."""
        lines = self.lines
        ready = lines.ready
        next_cycle = 0
        for line in range(count):
            if line >= len(ready):
                yield lines.entry()
            next_cycle = max(next_cycle, ready[line]) + 1
            lines.take(next_cycle)
