"""`eyeriss-sim run --jobs`: usage, progress, and how it ends when it is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_start_method
from pathlib import Path

import pytest

from sim.cli import main
from sim.cli.progress import Estimate
from sim.engine.machine import Machine, PassOutcome
from sim.engine.parallel import in_workers
from sim.errors import SimulationError
from sim.run import NetworkPlan, prepare, simulate

COMMAND = [sys.executable, "-c", "import sys; from sim.cli import main; sys.exit(main())"]
# Python 3.12 and newer warn of forks where threads run, and the test runner runs some.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("0", "error: Invalid value for '--jobs': 0 is not in the range x>=1."),
        ("-2", "error: Invalid value for '--jobs': -2 is not in the range x>=1."),
        ("two", "error: Invalid value for '--jobs': 'two' is not a valid integer range."),
    ],
)
def test_jobs_is_one_or_more(value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "lenet5", "--jobs", value]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1] == words


def test_more_jobs_than_there_is_work() -> None:
    one_layer = prepare("lenet5", layers=["OUTPUT"])
    assert simulate(one_layer, jobs=10**9).to_dict() == simulate(one_layer).to_dict()
    every = simulate(one_layer, every_pass=True, jobs=10**9)
    assert every.to_dict() == simulate(one_layer, every_pass=True).to_dict()


def follow(prepared: NetworkPlan, *, every_pass: bool) -> tuple[list[tuple[str, int, int]], float]:
    """What is reported on two processes, and the share done at the end; it never goes back."""
    estimate = Estimate(prepared.plans, every_pass)
    told: list[tuple[str, int, int]] = []
    shares = [0.0]

    def report(name: str, done: int, total: int, simulated: int) -> None:
        told.append((name, done, total))
        shares.append(estimate.update(name, done, total, simulated))

    simulate(prepared, every_pass=every_pass, jobs=2, progress=report)
    assert shares == sorted(shares)
    return told, shares[-1]


def test_progress_is_that_of_one_process_where_passes_are_reused() -> None:
    prepared = prepare("alexnet", layers=["CONV3", "CONV4"], batch=1)
    alone: list[tuple[str, int, int]] = []
    simulate(prepared, progress=lambda name, done, total, _: alone.append((name, done, total)))
    told, share = follow(prepared, every_pass=False)
    assert told == alone
    assert share == pytest.approx(1.0)


def test_progress_tells_of_whole_layers_where_every_pass_is_simulated() -> None:
    prepared = prepare("lenet5")
    told, share = follow(prepared, every_pass=True)
    expected = [(plan.layer.name, plan.passes, plan.passes) for plan in prepared.plans]
    assert sorted(told) == sorted(expected)
    assert share == pytest.approx(1.0)


def slow_or_wrong(seconds: float) -> float:
    if seconds < 0:
        raise SimulationError("no time left")
    time.sleep(seconds)
    return seconds


def test_workers_bring_what_they_found_with_its_place() -> None:
    items = [0.2, 0.0, 0.0]
    assert sorted(in_workers(slow_or_wrong, items, 2)) == list(enumerate(items))


def test_a_defect_in_one_worker_ends_the_others() -> None:
    started = time.monotonic()
    with pytest.raises(SimulationError, match="no time left"):
        list(in_workers(slow_or_wrong, [600.0, -1.0], 2))
    assert time.monotonic() - started < 300  # the other one has not been waited for


@pytest.mark.skipif(get_start_method() != "fork", reason="other processes would not be patched")
@pytest.mark.parametrize("every", [(), ("--every-pass",)])
@pytest.mark.parametrize("again", [False, True])
def test_a_killed_worker_is_told_of_and_its_work_done_again(
    again: bool,
    every: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = Machine.run
    parent, marker = os.getpid(), tmp_path / "killed"

    def run_or_die(self: Machine) -> PassOutcome:
        if os.getpid() != parent and (again or not marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
        return run(self)

    alone, together = tmp_path / "alone.json", tmp_path / "together.json"
    argv = ["run", "lenet5", "-q", *every, "--json"]
    assert main([*argv, str(alone)]) == 0
    monkeypatch.setattr(Machine, "run", run_or_die)
    assert main([*argv, str(together), "--jobs", "2"]) == (2 if again else 0)
    note, *error = capsys.readouterr().err.splitlines()
    assert note == (
        "note: a worker process was killed, most likely because memory ran out; what it and the "
        "others had not finished is simulated again"
    )
    if again:
        assert error == [
            "error: a worker process was killed again, most likely because 2 of them take more "
            "memory than there is: use fewer --jobs, or simulate fewer or smaller layers"
        ]
        assert not together.exists()
    else:
        assert error == []
        assert together.read_bytes() == alone.read_bytes()


@pytest.mark.parametrize("whole_group", [False, True])
def test_ctrl_c_ends_every_process(whole_group: bool) -> None:
    args = ["run", "alexnet", "--layer", "CONV2", "--layer", "CONV3", "--every-pass", "--jobs", "2"]
    with subprocess.Popen(
        [*COMMAND, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        time.sleep(2)  # long enough to have workers, far too short for their layers
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        # Workers that lived on would hold these pipes open.
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")
