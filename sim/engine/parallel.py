"""Work on several processes; and distinct passes ahead of the layers that need them.

A pass whose filters are surely prefetched in time starts in one known state, so it can be simulated
before anyone asks for it. Layers run as ever meanwhile and wait for those outcomes; what they need
beyond them they simulate themselves. So the number of workers decides who computes an outcome,
never what it is.

The system may kill a worker, most often because memory runs out. What the others have done is kept,
and the rest is done by new ones, once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from multiprocessing import active_children
from typing import TYPE_CHECKING, TypeVar

from sim.engine.dram import PrefetchState
from sim.engine.layer_run import PassKey, PassMemory
from sim.engine.machine import PassOutcome
from sim.engine.passes import pass_machine
from sim.errors import WorkerKilledError
from sim.plan.limits import MOST_KEPT, outcome_bytes

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import Plan

    Told = Callable[[str], None]

Item = TypeVar("Item")
Found = TypeVar("Found")


@contextmanager
def workers(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Start `jobs` processes; none outlives an exception that ends the block, such as Ctrl-C."""
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


class Pool:
    """`jobs` processes, and as many new ones where one of them was killed, once.

    `told` is called with a sentence that says so.
    """

    def __init__(self, jobs: int, told: Told | None = None) -> None:
        self._jobs = jobs
        self._told = told
        self._left = ExitStack()
        self._executor: ProcessPoolExecutor | None = None
        self._replaced = False

    def __enter__(self) -> Pool:
        self._left.__enter__()
        self._executor = self._left.enter_context(workers(self._jobs))
        return self

    def __exit__(self, *error: object) -> bool | None:
        return self._left.__exit__(*error)  # type: ignore[arg-type]

    def submit(self, work: Callable[..., Found], *arguments: object) -> Future[Found]:
        """Let a process do it; where that is no longer possible, the future says so."""
        assert self._executor is not None
        try:
            return self._executor.submit(work, *arguments)
        except BrokenProcessPool as error:
            lost: Future[Found] = Future()
            lost.set_exception(error)
            return lost

    def replace(self) -> None:
        """Start new processes after one was killed, which ends all.

        Raises:
            WorkerKilledError: it is the second time.

        """
        if self._replaced:
            raise WorkerKilledError(
                f"a worker process was killed again, most likely because {self._jobs} of them take "
                "more memory than there is: use fewer --jobs, or simulate fewer or smaller layers"
            )
        self._replaced = True
        if self._told is not None:
            self._told(
                "a worker process was killed, most likely because memory ran out; what it and the "
                "others had not finished is simulated again"
            )
        self._executor = self._left.enter_context(workers(self._jobs))


def in_workers(
    work: Callable[[Item], Found], items: Sequence[Item], jobs: int, told: Told | None = None
) -> Iterator[tuple[int, Found]]:
    """Yield `work` of each item on `jobs` processes: (place in `items`, result), as they come.

    Raises:
        WorkerKilledError: processes were killed twice; `told` hears of the first time.

    """
    left = dict(enumerate(items))
    with Pool(min(jobs, len(items)), told) as pool:
        while left:
            places = {pool.submit(work, item): place for place, item in left.items()}
            for future in as_completed(places):
                try:
                    result = future.result()
                except BrokenProcessPool:
                    continue  # others of this round may have been done before
                place = places[future]
                del left[place]
                yield place, result
            if left:
                pool.replace()


def _leave_interrupts_alone() -> None:
    # A terminal sends Ctrl-C to the workers, too, and each would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def simulated_ahead(
    memory: PassMemory, plans: Sequence[Plan], jobs: int, told: Told | None = None
) -> Iterator[None]:
    """Simulate on `jobs` processes, while the block runs, passes that `plans` will surely need.

    In the order of the plans: layers go on with the first passes while others still run. `told`
    hears of a process that was killed.

    Raises:
        WorkerKilledError: processes were killed twice.

    """
    wanted = [key for key in _sure_keys(plans) if key not in memory.outcomes]
    if len(wanted) < 2:
        yield
        return
    with Pool(min(jobs, len(wanted)), told) as pool:
        memory.ahead = PassesAhead(pool, memory.hw, wanted)
        try:
            yield
        finally:
            memory.ahead = None


class PassesAhead:
    """Passes that a pool simulates before they are asked for, some at a time.

    Outcomes that nobody has taken yet take no more memory than a part of what is kept anyway.
    """

    def __init__(self, pool: Pool, hw: Hardware, keys: Sequence[PassKey]) -> None:
        self._pool = pool
        self._hw = hw
        self._waiting = dict.fromkeys(keys)
        self._most = max(1, MOST_KEPT // 4 // outcome_bytes(hw))
        self._running: dict[PassKey, Future[PassOutcome]] = {}
        self._feed()

    @property
    def keys(self) -> set[PassKey]:
        """Passes that nobody has taken yet."""
        return {*self._waiting, *self._running}

    def take(self, key: PassKey) -> PassOutcome | None:
        """Return the outcome of the pass, once; None where nobody simulates it."""
        if key in self._waiting:
            self._submit(key)
        if key not in self._running:
            return None
        while True:
            try:
                outcome = self._running[key].result()
            except BrokenProcessPool:
                self._again()
                continue
            del self._running[key]
            self._feed()
            return outcome

    def _feed(self) -> None:
        while self._waiting and len(self._running) < self._most:
            self._submit(next(iter(self._waiting)))

    def _submit(self, key: PassKey) -> None:
        self._waiting.pop(key, None)
        self._running[key] = self._pool.submit(_simulate, key, self._hw)

    def _again(self) -> None:
        self._pool.replace()
        for key, future in self._running.items():
            if not future.done() or future.exception() is not None:
                self._running[key] = self._pool.submit(_simulate, key, self._hw)


def _simulate(key: PassKey, hw: Hardware) -> PassOutcome:
    shape, start = key
    return pass_machine(shape, hw, start).run()


def _sure_keys(plans: Sequence[Plan]) -> list[PassKey]:
    # The state in which a pass starts follows from the pass before it, which has to run first. Sure
    # beforehand are only the first pass of a layer (nothing is there) and those whose filters
    # arrive in time whatever the pass before is. To guess the others would cost time where a guess
    # is wrong, though never a figure.
    keys: dict[PassKey, None] = {}
    for plan in plans:
        first = next(iter(plan)).shape
        keys[first, PrefetchState()] = None
        for shape, times in plan.classes.items():
            again = shape != first or times > 1
            if again and plan.surely_prefetched(shape):
                keys[shape, PrefetchState(plan.filter_beats(shape))] = None
    return list(keys)
