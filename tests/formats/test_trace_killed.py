"""Writers killed at any moment: what is left is complete, or says that it is not."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from recording import lenet5, opened, record, replayed

import traces
from sim.recorder import TraceRecorder
from sim.run import Values, simulate
from traces.columns import Events
from traces.header import SIZE, TraceError
from traces.recover import lookup3, recover
from traces.replay import replay
from traces.schema import CONTENT, group_digest

Tell = Callable[[str, str], None]
QUICK, ALL = 4, 50

# Groups so small that a kill falls between and within many of them.
RUN = """
import sys
import sim.recorder, traces.writer
sim.recorder.PASSES_AT_ONCE, traces.writer.GROUP_ROWS = 1, 5000
from sim.cli import main
print("go", flush=True)
arguments = ["run", "lenet5", "--batch", "1", "--values", "--mapping", sys.argv[2], "-q"]
sys.exit(main([*arguments, "--trace", sys.argv[1]]))
"""
MAPPING = str(Path(__file__).parents[1] / "lenet5_mapping.yaml")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "t"
    record(path, lenet5(), values=Values(seed=0))
    return path


def same_events(a: Events, b: Events) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("start", "duration", "block", "action", "kind", "words", "data", "data_end")
    )


def assert_nothing_invented(path: Path, whole: Path) -> int:
    """Every pass of a recovered file is in the whole one, with the same events; how many."""
    passes = 0
    with opened(path) as found, opened(whole) as full:
        assert found.state == "recovered"
        with pytest.raises(ValueError, match="it was recovered from a run that did not end"):
            list(replay(found))
        for mine, other in zip(found.layers, full.layers, strict=False):
            assert mine.description == other.description
            for place in range(len(mine.passes)):
                assert same_events(found.pass_events(mine, place), full.pass_events(other, place))
                passes += 1
    return passes


@pytest.mark.parametrize("kills", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_killed_at_any_moment(tmp_path: Path, whole: Path, kills: int, tell: Tell) -> None:
    generator = random.Random(kills)
    found: Counter[str] = Counter()
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", RUN, str(tmp_path / "once"), MAPPING], check=True)
    takes = time.monotonic() - started
    for number in range(kills):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = subprocess.Popen(
            [sys.executable, "-c", RUN, str(folder / "t"), MAPPING], stdout=subprocess.PIPE
        )
        assert run.stdout is not None
        run.stdout.readline()
        time.sleep(generator.random() * takes)
        run.kill()
        run.wait()
        run.stdout.close()
        left = list(folder.iterdir())
        assert len(left) <= 1
        for path in left:
            found[_outcome(path, folder / "recovered", whole)] += 1
        found["nothing"] += not left
    tell("traces: writers killed", f"{kills} kills: {dict(found)}")
    assert sum(found.values()) == kills


def _outcome(path: Path, target: Path, whole: Path) -> str:
    if path.name == "t":
        assert all(layer.differences == [] for layer in replayed(path))
        return "complete"
    with pytest.raises(TraceError, match=r"is incomplete|is no trace file"):
        traces.open(path)
    try:
        recover(path, target)
    except TraceError as error:
        if "nothing that is whole" in error.reason or "is no trace file" in error.reason:
            return "refused, nothing to recover"
        raise
    assert assert_nothing_invented(target, whole) > 0
    return "refused, recovered in part"


class _StopError(Exception):
    pass


def _aborted(path: Path, after: int, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A partial file of a run that fails after some passes."""
    prepared = lenet5()
    monkeypatch.setattr("sim.recorder.PASSES_AT_ONCE", 1)
    monkeypatch.setattr("traces.writer.GROUP_ROWS", 1)
    recorder = TraceRecorder(path, prepared, values=Values(seed=0))
    passed = recorder.passed
    count = 0

    def failing(seen: object) -> None:
        nonlocal count
        passed(seen)  # type: ignore[arg-type]
        count += 1
        if count == after:
            raise _StopError

    monkeypatch.setattr(recorder, "passed", failing)
    with pytest.raises(_StopError), recorder:
        simulate(prepared, values=Values(seed=0), observers=[recorder])
    assert recorder.left_behind is not None
    return recorder.left_behind


def test_a_failing_observer_stops_the_run_and_leaves_what_it_has(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _aborted(tmp_path / "t", 9, monkeypatch)
    assert not (tmp_path / "t").exists()
    with pytest.raises(TraceError, match="is incomplete: the run that wrote it did not end"):
        traces.open(left)
    saved = recover(left, tmp_path / "r")
    assert (saved.layers, saved.passes, saved.lost_rows) == (3, 9, 0)
    assert assert_nothing_invented(tmp_path / "r", whole) == 9


def test_a_group_that_is_not_whole_is_left_out(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _aborted(tmp_path / "t", 9, monkeypatch)
    with h5py.File(left, "r+") as file:
        place = int(file["groups"]["steps"][4])  # the first step of the group after
        file["steps"][place] = file["steps"][place] + 1
    saved = recover(left, tmp_path / "r")
    assert 0 < saved.passes < 9
    assert saved.lost_rows > 0
    assert assert_nothing_invented(tmp_path / "r", whole) == saved.passes


def _first_pass_says(path: Path, column: str, value: int) -> None:
    """Change a column of the first pass in a partial file, and the digest of its group with it."""
    with h5py.File(path, "r+") as file:
        row = file["passes"][0]
        row[column] = value
        file["passes"][0] = row
        place = int(np.flatnonzero(file["groups"]["passes"])[0])
        before, group = file["groups"][place - 1], file["groups"][place]
        parts = ((name, file[name][before[name] : group[name]]) for name in CONTENT)
        group["digest"] = np.frombuffer(group_digest(parts), np.uint8)
        file["groups"][place] = group


def test_a_whole_group_that_is_no_run_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _aborted(tmp_path / "t", 9, monkeypatch)
    _first_pass_says(left, "template", 99)
    with pytest.raises(TraceError) as caught:
        recover(left, tmp_path / "r")
    assert str(caught.value) == f"{left}: is no valid trace: a pass of a template that is not there"
    assert list(tmp_path.iterdir()) == [left]


def test_a_group_that_claims_more_than_there_is_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _aborted(tmp_path / "t", 9, monkeypatch)
    with h5py.File(left, "r+") as file:
        group = file["groups"][0]
        group["steps"] = 1 << 40
        file["groups"][0] = group
    with pytest.raises(TraceError, match="has nothing that is whole: the run ended too early"):
        recover(left, tmp_path / "r")


def test_recover_refuses_what_needs_none(tmp_path: Path, whole: Path) -> None:
    with pytest.raises(TraceError, match="there is nothing to recover"):
        recover(whole, tmp_path / "r")


def test_recover_overwrites_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = _aborted(tmp_path / "t", 9, monkeypatch)
    (tmp_path / "r").write_text("mine")
    with pytest.raises(FileExistsError):
        recover(left, tmp_path / "r")
    assert (tmp_path / "r").read_text() == "mine"


def test_an_older_trace_is_replaced_only_by_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path / "t", lenet5(layers=["OUTPUT"]))
    before = (tmp_path / "t").read_bytes()
    _aborted(tmp_path / "t", 3, monkeypatch)
    assert (tmp_path / "t").read_bytes() == before


def test_the_same_run_gives_the_same_file(tmp_path: Path) -> None:
    for name in "ab":
        record(tmp_path / name, lenet5(layers=["C3"]), values=Values(seed=5))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("count", [25, pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_partial_file_that_is_damaged_too(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """What is saved is what was recorded, or nothing is; and it does not take for ever."""
    source = _aborted(tmp_path / "t", 9, monkeypatch).read_bytes()
    found: Counter[str] = Counter()
    for number in range(count):
        generator = random.Random(number)
        data = bytearray(source)
        for _ in range(generator.choice((1, 2, 16))):
            most = len(data) if generator.random() < 0.5 else 20_000
            data[generator.randrange(SIZE, most)] ^= 1 << generator.randrange(8)
        (tmp_path / "damaged").write_bytes(data[: generator.choice((None, None, len(data) // 2))])
        try:
            recover(tmp_path / "damaged", tmp_path / "r")
        except TraceError as error:
            found["refused" if error.path.name == "damaged" else "wrong name"] += 1
            continue
        assert_nothing_invented(tmp_path / "r", whole)
        (tmp_path / "r").unlink()
        found["recovered"] += 1
    assert found["refused"] + found["recovered"] == count
    assert found["recovered"] > 0


def test_the_checksum_is_hdf5s() -> None:
    # The author's own example (lookup3.c, driver5).
    assert lookup3(b"Four score and seven years ago") == 0x17770551
