"""Work on several processes; and distinct passes ahead of the layers that need them.

A pass whose filters are surely prefetched in time starts in one known state, so it can be simulated
before anyone asks for it. Layers run as ever meanwhile and wait for those outcomes; what they need
beyond them they simulate themselves. So the number of workers decides who computes an outcome,
never what it is.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import active_children
from typing import TYPE_CHECKING, TypeVar

from sim.engine.dram import PrefetchState
from sim.engine.layer import PassKey, PassMemory
from sim.engine.top import Machine, PassOutcome

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.plan.schedule import Plan

Item = TypeVar("Item")
Found = TypeVar("Found")


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """`jobs` processes; none outlives an exception that ends the block, be it Ctrl-C."""
    others = set(active_children())
    with ProcessPoolExecutor(jobs, initializer=_leave_interrupts_alone) as pool:
        try:
            yield pool
        except BaseException:
            for worker in set(active_children()) - others:
                worker.terminate()
            # Waits for the pool's own thread: one that still lives when Python ends complains.
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def in_workers(
    work: Callable[[Item], Found], items: Sequence[Item], jobs: int
) -> Iterator[tuple[int, Found]]:
    """`work` of every item on `jobs` processes: (place in `items`, what it found), as they come."""
    with workers(min(jobs, len(items))) as pool:
        places = {pool.submit(work, item): place for place, item in enumerate(items)}
        for future in as_completed(places):
            yield places[future], future.result()


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the workers, too, and each would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def simulated_ahead(memory: PassMemory, plans: Sequence[Plan], jobs: int) -> Iterator[None]:
    """While the block runs, `jobs` processes simulate the passes that `plans` will surely ask for.

    In the order of the plans: layers go on with the first passes while others still run.
    """
    wanted = [key for key in _sure_keys(plans) if key not in memory.outcomes]
    if len(wanted) < 2:
        yield
        return
    with workers(min(jobs, len(wanted))) as pool:
        memory.pending.update((key, pool.submit(_simulate, key, memory.hw)) for key in wanted)
        yield


def _simulate(key: PassKey, hw: Hardware) -> PassOutcome:
    shape, start = key
    return Machine(shape, hw, start).run()


def _sure_keys(plans: Sequence[Plan]) -> list[PassKey]:
    keys: dict[PassKey, None] = {}
    for plan in plans:
        first = next(iter(plan)).shape
        keys[first, PrefetchState()] = None
        for shape, times in plan.classes.items():
            again = shape != first or times > 1
            if again and plan.surely_prefetched(shape):
                keys[shape, PrefetchState(plan.filter_beats(shape))] = None
    return list(keys)
