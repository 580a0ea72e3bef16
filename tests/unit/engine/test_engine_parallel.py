"""Passes simulated ahead: which ones are sure to be asked for, and that they are the same."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from multiprocessing import active_children, get_start_method
from pathlib import Path
from typing import Any

import pytest
from engine_passes import chip, plan

from sim.engine.dram import PrefetchState
from sim.engine.layer_run import LayerActivity, PassMemory, simulate_layer
from sim.engine.machine import Machine, PassOutcome
from sim.engine.parallel import (
    PassesAhead,
    _leave_interrupts_alone,
    _simulate,
    _sure_keys,
    in_workers,
    simulated_ahead,
)
from sim.engine.passes import pass_machine
from sim.errors import WorkerKilledError
from sim.plan.limits import outcome_bytes

# Python 3.12 and newer warn of forks where threads run, and the test runner runs some.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")

CHIP = chip()
# Edges in every dimension; 4 filters of 3 channels of 2 x 2 are 12 lines, 40 cycles of the link.
RAGGED: dict[str, Any] = {
    "batch": 3, "M": 10, "C": 5, "R": 2, "S": 2, "H": 6, "W": 9,
    "factors": {"m": 10, "n": 2, "e": 3, "p": 4, "q": 3},
}  # fmt: skip
# 288 lines of filters take 960 cycles, the three windows of a pass some hundred.
STARVED: dict[str, Any] = {
    "M": 32, "C": 20, "R": 3, "S": 3, "H": 3, "W": 5,
    "factors": {"m": 32, "p": 8, "q": 4, "t": 4},
}  # fmt: skip


def told(activity: LayerActivity) -> list[Any]:
    return [
        *(activity.pass_cycles.tolist(), activity.counts, activity.multicast),
        *(activity.stalls.tolist(), activity.events, activity.passes_simulated),
    ]


def test_what_is_sure_is_what_the_layer_asks_for() -> None:
    """The first pass finds nothing; all others find all of their filters."""
    here = plan(CHIP, **RAGGED)
    memory = PassMemory(CHIP)
    simulate_layer(here, memory=memory)
    assert set(_sure_keys([here])) == set(memory.outcomes)
    first = next(iter(here)).shape
    assert _sure_keys([here])[0] == (first, PrefetchState())
    others = {
        start for shape, start in memory.outcomes if (shape, start) != (first, PrefetchState())
    }
    assert PrefetchState(12) in others
    assert all(start.beats and not start.busy_ticks for start in others)


def test_of_late_filters_the_first_pass_alone_is_sure() -> None:
    here = plan(CHIP, **STARVED)
    assert _sure_keys([here]) == [(next(iter(here)).shape, PrefetchState())]


def test_layers_of_equal_passes_share_them() -> None:
    here = plan(CHIP, **RAGGED)
    assert _sure_keys([here, here]) == _sure_keys([here])


def test_an_outcome_from_elsewhere_is_the_same() -> None:
    here = plan(CHIP, **RAGGED)
    memory = PassMemory(CHIP)
    alone = told(simulate_layer(here))
    with simulated_ahead(memory, [here], jobs=2):
        assert memory.ahead is not None
        expected = memory.ahead.keys
        assert len(expected) > 2
        assert told(simulate_layer(here, memory=memory)) == alone
        assert memory.ahead.keys == set()
    assert memory.ahead is None
    assert set(memory.outcomes) == expected
    assert active_children() == []


def test_nothing_is_simulated_ahead_where_all_is_known() -> None:
    here = plan(CHIP, **RAGGED)
    memory = PassMemory(CHIP)
    simulate_layer(here, memory=memory)
    with simulated_ahead(memory, [here], jobs=2):
        assert memory.ahead is None
        assert active_children() == []


def test_a_worker_runs_the_machine_and_leaves_ctrl_c_to_its_parent() -> None:
    shape = next(iter(plan(CHIP, **RAGGED))).shape
    found = _simulate((shape, PrefetchState()), CHIP)
    assert found.counts == pass_machine(shape, CHIP, PrefetchState()).run().counts
    before = signal.getsignal(signal.SIGINT)
    try:
        _leave_interrupts_alone()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_work_comes_with_its_place() -> None:
    assert sorted(in_workers(abs, [-3, 5, -7], jobs=2)) == [(0, 3), (1, 5), (2, 7)]


def test_no_worker_outlives_an_error() -> None:
    with pytest.raises(TypeError, match="bad operand type"):
        list(in_workers(abs, [1, "x", 2], jobs=2))  # type: ignore[list-item]
    assert active_children() == []


# --- a worker that is killed, as the system does when memory runs out -----------------------------


def killed(marker: Path, *, again: bool) -> None:
    """End this process as `kill -9` does, the first time or every time."""
    if again or not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def square_or_die(item: tuple[int, Path, bool]) -> int:
    number, marker, again = item
    if number == 3:
        killed(marker, again=again)
    return number * number


def test_what_a_killed_worker_left_is_done_again(tmp_path: Path) -> None:
    told: list[str] = []
    items = [(number, tmp_path / "killed", False) for number in range(6)]
    found = sorted(in_workers(square_or_die, items, 2, told.append))
    assert found == [(number, number * number) for number in range(6)]
    (sentence,) = told
    assert sentence.startswith("a worker process was killed, most likely because memory ran out")
    assert active_children() == []


def test_a_worker_that_is_killed_again_is_an_error_that_names_memory(tmp_path: Path) -> None:
    told: list[str] = []
    found: list[tuple[int, int]] = []
    items = [(number, tmp_path / "killed", True) for number in range(6)]
    with pytest.raises(WorkerKilledError, match="2 of them take more memory than there is: use"):
        found.extend(in_workers(square_or_die, items, 2, told.append))
    assert len(told) == 1
    assert active_children() == []


@pytest.mark.skipif(get_start_method() != "fork", reason="other processes would not be patched")
@pytest.mark.parametrize("again", [False, True])
def test_passes_of_a_killed_worker_are_simulated_again(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = plan(CHIP, **RAGGED)
    alone = told(simulate_layer(here))
    run = Machine.run
    parent = os.getpid()

    def run_or_die(self: Machine) -> PassOutcome:
        if os.getpid() != parent and self.program.psums_in is not None:
            killed(tmp_path / "killed", again=again)
        return run(self)

    monkeypatch.setattr(Machine, "run", run_or_die)
    memory = PassMemory(CHIP)
    sentences: list[str] = []
    with ExitStack() as expected:
        if again:
            expected.enter_context(pytest.raises(WorkerKilledError, match="more memory than"))
        with simulated_ahead(memory, [here], jobs=2, told=sentences.append):
            assert told(simulate_layer(here, memory=memory)) == alone
    assert len(sentences) == 1
    assert memory.ahead is None
    assert active_children() == []


def test_outcomes_that_nobody_takes_yet_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.engine.parallel.MOST_KEPT", 8 * outcome_bytes(CHIP))
    here = plan(CHIP, **RAGGED)
    alone = told(simulate_layer(here))
    memory = PassMemory(CHIP)
    with simulated_ahead(memory, [here], jobs=2):
        assert isinstance(memory.ahead, PassesAhead)
        assert len(memory.ahead._running) == 2 < len(memory.ahead.keys)
        assert told(simulate_layer(here, memory=memory)) == alone
        assert memory.ahead.keys == set()
