"""The queue for whole cycles: SimPy's environment in all that the engine uses of it."""

from __future__ import annotations

from collections.abc import Callable, Generator

import pytest
import simpy

from sim.engine.clock import CycleEnvironment

ENVIRONMENTS = pytest.mark.parametrize("make", [simpy.Environment, CycleEnvironment])


@ENVIRONMENTS
def test_events_come_by_cycle_then_as_scheduled(make: Callable[[], simpy.Environment]) -> None:
    env = make()
    seen: list[tuple[float, str]] = []
    gate = env.event()

    def waits(name: str, *delays: int) -> Generator[simpy.Event, None, None]:
        for delay in delays:
            yield env.timeout(delay)
            seen.append((env.now, name))

    def opens() -> Generator[simpy.Event, None, None]:
        yield env.timeout(3)
        gate.succeed("open")

    def enters() -> Generator[simpy.Event, None, str]:
        found: str = yield gate
        seen.append((env.now, found))
        return found

    env.process(waits("a", 2, 1, 0, 7))
    env.process(waits("b", 3, 4))
    env.process(opens())
    entered = env.process(enters())
    env.run(until=9)
    assert seen == [(2, "a"), (3, "b"), (3, "a"), (3, "open"), (3, "a"), (7, "b")]
    assert (env.now, entered.value) == (9, "open")
    env.run()
    assert seen[-1] == (10, "a")
    assert env.peek() == float("inf")


@ENVIRONMENTS
def test_a_process_that_fails_stops_the_run(make: Callable[[], simpy.Environment]) -> None:
    env = make()

    def fails() -> Generator[simpy.Event, None, None]:
        yield env.timeout(1)
        raise KeyError("broken")

    env.process(fails())
    with pytest.raises(KeyError, match="broken"):
        env.run()


@ENVIRONMENTS
def test_a_run_without_events_is_over(make: Callable[[], simpy.Environment]) -> None:
    env = make()
    env.run()
    with pytest.raises(simpy.core.EmptySchedule):
        env.step()
    env.timeout(5)
    assert env.peek() == 5
    env.run(until=5)
    assert env.now == 5
