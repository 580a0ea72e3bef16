"""SimPy's environment with a queue for whole cycles.

SimPy keeps its events in a heap, which sifts each through the others: the more PEs, the more there
are. Here time is counted in cycles, and many events share one, so a list for each cycle will do.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING

import simpy
from simpy.core import EmptySchedule

if TYPE_CHECKING:
    from simpy import Event


class CycleEnvironment(simpy.Environment):
    """An environment whose delays are whole cycles.

    Events of a cycle come in the order in which they were scheduled. Priorities are ignored: no
    outcome may depend on who runs first within a cycle.
    """

    def __init__(self) -> None:
        super().__init__()
        self._cycles: list[int] = []  # a heap
        self._due: dict[int, deque[Event]] = {}
        self._today: deque[Event] = deque()

    def schedule(self, event: Event, priority: int = 1, delay: float = 0) -> None:
        """Queue an event that comes after `delay` cycles."""
        if not delay:
            self._today.append(event)
            return
        cycle: int = self._now + delay  # type: ignore[assignment]
        due = self._due.get(cycle)
        if due is None:
            self._due[cycle] = deque((event,))
            heappush(self._cycles, cycle)
        else:
            due.append(event)

    def peek(self) -> float:
        """The cycle of the next event, infinity where there is none."""
        if self._today:
            return self._now
        return self._cycles[0] if self._cycles else simpy.core.Infinity

    def step(self) -> None:
        """Hand out the next event.

        Raises:
            EmptySchedule: there is none.

        """
        if not self._today:
            if not self._cycles:
                raise EmptySchedule
            self._now = heappop(self._cycles)
            self._today = self._due.pop(self._now)
        event = self._today.popleft()
        callbacks, event.callbacks = event.callbacks, None  # type: ignore[assignment]
        for callback in callbacks:
            callback(event)
        if not event._ok:
            raise event._value
