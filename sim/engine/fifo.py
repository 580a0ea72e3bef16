"""The channel between two blocks of the machine: a registered FIFO kept as two logs.

Every block of the machine follows a static order, so a FIFO need not hold its entries: it is
described by the cycle from which each entry can be read (`ready`) and the cycle from which the
place of each entry can be written again (`freed`). Writer and reader look at each other's log by
index. A log only grows, and an entry never changes once written, so no outcome can depend on which
process runs first within a cycle; a test shuffles that order.

A process waits only for an entry that is not in the log yet. An entry may be dated later than the
clock: a process commits what it has decided, and both sides go by the dates, not by the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simpy import Environment, Event


class Fifo:
    """A FIFO written and read by one process each, in one order.

    `room[b]` is the entry that must have left before entry `b` fits, or -1 where `b` fits from the
    start (`room_table`, which knows the depth).
    """

    __slots__ = (
        "_env",
        "_reader",
        "_writer",
        "_writer_index",
        "data",
        "freed",
        "name",
        "ready",
        "room",
    )

    def __init__(self, env: Environment, name: str, room: Sequence[int]) -> None:
        self._env = env
        self._reader: Event | None = None
        self._writer: Event | None = None
        self._writer_index = 0
        self.name = name
        self.room = room
        self.ready: list[int] = []
        self.freed: list[int] = []
        self.data: list[Any] = []

    def put(self, ready_cycle: int) -> None:
        """Write the next entry; it can be read from `ready_cycle` on."""
        self.ready.append(ready_cycle)
        if self._reader is not None:
            waiting, self._reader = self._reader, None
            waiting.succeed()

    def take(self, refill_cycle: int) -> None:
        """Read the next entry; its place can be written again from `refill_cycle` on."""
        self.freed.append(refill_cycle)
        if self._writer is not None and len(self.freed) > self._writer_index:
            waiting, self._writer = self._writer, None
            waiting.succeed()

    def entry(self) -> Event:
        """Return an event that comes with the next entry, for a reader that has read all."""
        self._reader = self._env.event()
        return self._reader

    def place(self, index: int) -> Event:
        """Return an event that comes when entry `index` has left, for a writer in need of room."""
        self._writer_index = index
        self._writer = self._env.event()
        return self._writer

    @property
    def waiting(self) -> str:
        """Who waits here for what, or an empty string: for the report of a deadlock."""
        waits = []
        if self._reader is not None:
            waits.append(f"the reader of {self.name} waits for entry {len(self.ready)}")
        if self._writer is not None:
            waits.append(
                f"the writer of {self.name} waits until entry {self._writer_index} has left "
                f"({len(self.freed)} have)"
            )
        return "; ".join(waits)


def room_table(sizes: Sequence[int], rounds: int, depth_words: int) -> list[int]:
    """Return for each entry the one whose leaving makes room for it, or -1.

    `sizes` are the words of the entries of one round; the pattern repeats `rounds` times.
    """
    # The depth is in words and entries differ in size, but they leave in the order in which they
    # came: the one entry after whose leaving the rest fits is known beforehand, and its date alone
    # is what a writer waits for. A count of free words would say the same only to a process that
    # looks at it in the right moment of a cycle, and results would depend on the order of events.
    per_round = len(sizes)
    if len(set(sizes)) == 1:
        # A FIFO of equal entries holds `lag` of them.
        lag = depth_words // sizes[0]
        return [max(-1, b - lag) for b in range(per_round * rounds)]
    every = list(sizes) * rounds
    table: list[int] = []
    held = 0
    oldest = 0
    for size in every:
        held += size
        while held > depth_words:
            held -= every[oldest]
            oldest += 1
        table.append(oldest - 1)
    return table
