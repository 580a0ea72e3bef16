"""Distinct passes on several processes, ahead of the layers that need them.

A pass whose filters are surely prefetched in time starts in one known state, so it can be simulated
before anyone asks for it. Layers then run as ever and recall those outcomes; what they need beyond
them they simulate themselves. So the number of workers decides who computes an outcome, never what
it is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import active_children
from typing import TYPE_CHECKING, TypeVar

from sim.engine.dram import PrefetchState
from sim.engine.layer import PassKey, PassMemory
from sim.engine.top import Machine, PassOutcome

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.plan.schedule import PassShape, Plan

Item = TypeVar("Item")
Found = TypeVar("Found")


def in_workers(
    work: Callable[[Item], Found], items: Sequence[Item], jobs: int
) -> Iterator[tuple[int, Found]]:
    """`work` of every item on `jobs` processes: (place in `items`, what it found), as they come.

    No worker outlives an exception that ends the iteration, be it Ctrl-C or one of `work`.
    """
    others = set(active_children())
    with ProcessPoolExecutor(min(jobs, len(items)), initializer=_leave_interrupts_alone) as pool:
        try:
            places = {pool.submit(work, item): place for place, item in enumerate(items)}
            for future in as_completed(places):
                yield places[future], future.result()
        except BaseException:
            for worker in set(active_children()) - others:
                worker.terminate()
            # Waits for the pool's own thread: one that still lives when Python ends complains.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the workers, too, and each would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def simulate_ahead(
    memory: PassMemory,
    plans: Sequence[Plan],
    jobs: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Fill `memory` with the passes that the layers will surely ask for, on `jobs` processes.

    `progress` is called with the passes done and their number.
    """
    wanted = [key for key in _sure_keys(plans) if key not in memory.outcomes]
    # The longest first: no worker is left with a long pass at the end.
    wanted.sort(key=lambda key: _work(key[0]), reverse=True)
    if len(wanted) < 2:
        return
    found = in_workers(partial(_simulate, hw=memory.hw), wanted, jobs)
    for done, (place, outcome) in enumerate(found, start=1):
        memory.outcomes[wanted[place]] = outcome
        if progress is not None:
            progress(done, len(wanted))


def _simulate(key: PassKey, hw: Hardware) -> PassOutcome:
    shape, start = key
    return Machine(shape, hw, start).run()


def _sure_keys(plans: Sequence[Plan]) -> list[PassKey]:
    keys: dict[PassKey, None] = {}
    for plan in plans:
        hw = plan.hw
        line_words = hw.glb.port_bits // hw.word_bits
        line_cycles = hw.link_beat_cycles * hw.glb.port_bits / hw.dram.link_bits
        buffer_lines = hw.glb.filter_banks * hw.glb.bank_bytes * 8 // hw.glb.port_bits
        shortest = min(_array_cycles(shape) for shape in plan.classes)
        first = next(iter(plan)).shape
        keys[first, PrefetchState()] = None
        for shape, times in plan.classes.items():
            lines = -(-shape.filter_words // line_words)
            in_time = lines * line_cycles + hw.dram.first_access_latency_cycles <= shortest
            again = shape != first or times > 1
            if again and lines <= buffer_lines and in_time:
                keys[shape, PrefetchState(lines)] = None
    return list(keys)


def _array_cycles(shape: PassShape) -> int:
    """What a pass takes at the least: each PE computes its windows one after the other."""
    return shape.windows * shape.filters[0] * (shape.channels[0] * shape.filter_columns + 1)


def _work(shape: PassShape) -> int:
    """Events of a pass, about: windows and beats of every PE."""
    pes = len(shape.filters) * len(shape.channels) * shape.filter_rows * shape.strip_rows
    return pes * shape.windows * (2 + shape.filters[0] // 2)
