"""The ports of the global buffer: ifmap read, psum read, psum write and filter read.

docs/machine.md section 3: they run in parallel, one 64-bit line each per cycle. Between a port and
its bus stand a few lines (`noc.bus_fifo_entries`).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simpy import Event

    from sim.engine.fifo import Fifo


class ReadPort:
    """Reads line after line for a bus, as far ahead as the lines before the bus have room.

    `source` holds the lines that the port may read once they are there; None where all of them
    are in the GLB when the pass starts.
    """

    def __init__(
        self,
        lines: Fifo,
        source: Fifo | None = None,
        data: Sequence[Any] = (),
    ) -> None:
        self.lines = lines
        self.source = source
        self.data = data

    def run(self, count: int) -> Generator[Event, None, None]:
        """The port's process over `count` lines."""
        lines, source, data = self.lines, self.source, self.data
        room, freed = lines.room, lines.freed
        cycle = 0
        for line in range(count):
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
            cycle += 1
            if source is not None:
                source.take(cycle)
            lines.put(cycle)


class WritePort:
    """Writes the lines that the GON brings."""

    def __init__(self, lines: Fifo) -> None:
        self.lines = lines

    def run(self, count: int) -> Generator[Event, None, None]:
        """The port's process over `count` lines."""
        lines = self.lines
        ready = lines.ready
        next_cycle = 0
        for line in range(count):
            if line >= len(ready):
                yield lines.entry()
            next_cycle = max(next_cycle, ready[line]) + 1
            lines.take(next_cycle)
