"""Reuse, processes and hash seeds change no byte of a result file, passes simulated apart."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

import sim.engine.passes
from sim.account.result import Result
from sim.check.cases import random_cases
from sim.cli.output import json_text
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.dram import Prefetch, PrefetchState
from sim.engine.layer_run import simulate_layer
from sim.engine.machine import Machine, PassOutcome
from sim.engine.passes import pass_machine
from sim.errors import SimulationError
from sim.run import NetworkPlan, Values, prepare, simulate

COMMAND = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())"]
# Python 3.12 and newer warn of forks where threads run, and the test runner runs some.
forks = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def without_simulated(text: str) -> str:
    """A result file with its numbers of passes simulated struck out."""
    text, found = re.subn(r'"passes_simulated": \d+', '"passes_simulated": _', text)
    assert found > 1  # of each layer and of all
    return text


def result_file(result: Result) -> str:
    return without_simulated(json_text(result.to_dict()))


def passes_simulated(result: Result) -> int:
    return sum(layer.passes_simulated for layer in result.layers)


def check_reuse(prepared: NetworkPlan) -> None:
    reused = simulate(prepared)
    every = simulate(prepared, every_pass=True)
    passes = sum(plan.passes for plan in prepared.plans)
    assert passes_simulated(every) == passes
    assert passes_simulated(reused) <= passes
    assert result_file(reused) == result_file(every)


def alone(plan: Plan) -> NetworkPlan:
    return NetworkPlan("random", plan.batch, plan.hw, (plan,), (), ())


# --- reuse ----------------------------------------------------------------------------------------


def test_lenet5() -> None:
    prepared = prepare("lenet5")
    check_reuse(prepared)
    # C5 and F6 read each filter word once: their passes wait for the DRAM link.
    by_layer = {layer.layer.name: layer for layer in simulate(prepared).layers}
    assert by_layer["C5"].cycles_by_cause["waiting_filter"] > by_layer["C5"].processing_cycles


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["CONV3", "CONV5", "FC6"])
def test_alexnet_at_batch_4(layer: str) -> None:
    check_reuse(prepare("alexnet", layers=[layer], batch=4))


@pytest.mark.parametrize("seed", range(4))
def test_random_layers(seed: int) -> None:
    for case in islice(random_cases(seed), 10):
        check_reuse(alone(case.plan))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 105))
def test_more_random_layers(seed: int) -> None:
    for case in islice(random_cases(seed), 40):
        check_reuse(alone(case.plan))


@pytest.mark.parametrize("seed", range(200, 203))
def test_a_layer_is_its_passes_one_after_the_other(seed: int) -> None:
    """The same without the engine's loop: nothing is remembered but what the last pass left."""
    for case in islice(random_cases(seed), 8):
        plan = case.plan
        if plan.hw.schedule.charge_full_strip:
            continue  # the loop charges more than the pass took
        outcomes: list[PassOutcome] = []
        for step in plan:
            state = PrefetchState()
            if outcomes:
                beats = -(-step.shape.filter_words // plan.hw.link_beat_words)
                state = outcomes[-1].prefetch.state(outcomes[-1].cycles, beats)
            outcomes.append(pass_machine(step.shape, plan.hw, state).run())
        counts: Counter[str] = Counter()
        for outcome in outcomes:
            counts.update(outcome.counts)
        activity = simulate_layer(plan)
        assert activity.pass_cycles.tolist() == [outcome.cycles for outcome in outcomes]
        assert {name: activity.counts[name] for name in counts} == counts
        assert (activity.macs == sum(outcome.macs for outcome in outcomes)).all()
        assert (activity.stalls == sum(outcome.stalls for outcome in outcomes)).all()
        assert activity.events == sum(outcome.events for outcome in outcomes)


def one_beat_later(prefetch: Prefetch) -> Prefetch:
    *others, last = prefetch.next_ticks
    return replace(prefetch, next_ticks=(*others, last + 1))


def one_more_at_a_corner(table: np.ndarray) -> np.ndarray:
    changed = table.copy()
    changed[(0,) * table.ndim] += 1
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda told: replace(told, cycles=told.cycles + 1),
        lambda told: replace(told, counts={**told.counts, "glb.psum.read": -1}),
        lambda told: replace(told, multicast={**told.multicast, 99: 1}),
        lambda told: replace(told, prefetch=one_beat_later(told.prefetch)),
        lambda told: replace(told, macs=one_more_at_a_corner(told.macs)),
        lambda told: replace(told, stalls=one_more_at_a_corner(told.stalls)),
        lambda told: replace(told, events=told.events + 1),
    ],
    ids=["cycles", "counts", "multicast", "prefetch", "macs", "stalls", "events"],
)
def test_every_pass_notices_an_equal_pass_that_differs(
    change: Callable[[PassOutcome], PassOutcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = prepare("lenet5", layers=["C3"])
    distinct = passes_simulated(simulate(prepared))
    runs = 0

    class Drifting(Machine):
        def run(self) -> PassOutcome:
            nonlocal runs
            runs += 1
            told = super().run()
            return change(told) if runs > distinct else told

    monkeypatch.setattr(sim.engine.passes, "Machine", Drifting)
    simulate(prepared)
    assert runs == distinct
    runs = 0
    with pytest.raises(SimulationError, match=r"^pass \d+ of \d+ cycles is not what an equal pass"):
        simulate(prepared, every_pass=True)


# --- processes ------------------------------------------------------------------------------------


@forks
@pytest.mark.parametrize("jobs", [2, 3])
def test_processes(jobs: int) -> None:
    prepared = prepare("alexnet", batch=1)
    one, more = simulate(prepared), simulate(prepared, jobs=jobs)
    assert json_text(one.to_dict()) == json_text(more.to_dict())
    assert [layer.events for layer in one.layers] == [layer.events for layer in more.layers]


@forks
def test_processes_with_every_pass_and_with_values() -> None:
    prepared = prepare("lenet5")
    for one, two in (
        (simulate(prepared, every_pass=True), simulate(prepared, every_pass=True, jobs=2)),
        (simulate(prepared, values=Values(7)), simulate(prepared, values=Values(7), jobs=2)),
    ):
        assert json_text(one.to_dict()) == json_text(two.to_dict())


# --- the command line, a process of its own -------------------------------------------------------


def file_of(*args: str, hash_seed: str = "random") -> str:
    done = subprocess.run(
        [*COMMAND, "run", *args, "--json", "-"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_jobs_and_every_pass_of_the_command_line() -> None:
    one = file_of("lenet5")
    assert file_of("lenet5", "--jobs", "2") == one
    every = file_of("lenet5", "--every-pass")
    assert file_of("lenet5", "--every-pass", "--jobs", "2") == every
    assert without_simulated(every) == without_simulated(one)
    assert without_simulated(one) == result_file(simulate(prepare("lenet5")))


@pytest.mark.parametrize(
    "args", [["lenet5"], ["alexnet", "--layer", "CONV1", "--layer", "FC6", "--jobs", "2"]]
)
def test_hash_seeds(args: list[str]) -> None:
    assert file_of(*args, hash_seed="0") == file_of(*args, hash_seed="1")
