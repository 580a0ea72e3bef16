"""Files that may not be read or written, and disks that fill up: told in words, all files kept.

Permissions are real, also where the tests run as root: it gives its rights up for the command. A
disk that fills up in the middle of a file is a limit on the size of files, which root has, too.
"""

from __future__ import annotations

import os
import pkgutil
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest
from hostile_files import DATA, everything, told

import sim
from sim.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
NOBODY = 65_534

# Commands import when they run, and without rights Python itself may be out of reach.
for found in pkgutil.walk_packages(sim.__path__, "sim."):
    import_module(found.name)


@contextmanager
def without_rights() -> Iterator[None]:
    """Be somebody who owns nothing, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        if not os.access(DATA / "eyeriss_v1.yaml", os.R_OK):
            pytest.skip("others may not read the program's files")
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def folder(good: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that everybody may look into, with the good files, and this process in it."""
    made = Path(tempfile.mkdtemp(prefix="eyeriss-sim-"))
    for file in good.iterdir():
        shutil.copy(file, made)
    made.chmod(0o755)
    monkeypatch.chdir(made)
    yield made
    made.chmod(0o755)
    shutil.rmtree(made)


DENIED = [
    ("run net.yaml", "net.yaml", "error: net.yaml: cannot be read: Permission denied"),
    ("run lenet5 --hw hw.yaml", "hw.yaml", "error: hw.yaml: cannot be read: Permission denied"),
    ("run lenet5 --mapping m.yaml", "m.yaml", "error: m.yaml: cannot be read: Permission denied"),
    ("run lenet5 --energy t.yaml", "t.yaml", "error: t.yaml: cannot be read: Permission denied"),
    ("run lenet5 --precision p.yaml", "p.yaml", "error: p.yaml: cannot be read: Permission denied"),
    ("check --case case.yaml", "case.yaml", "error: case.yaml: cannot be read: Permission denied"),
    (
        "run net.yaml --values --ifmap i.npy --filter f.npy",
        "i.npy",
        "error: i.npy: --ifmap: Permission denied",
    ),
    ("report result.json", "result.json", "error: result.json: Permission denied"),
    ("trace info run.trace", "run.trace", "error: run.trace: Permission denied"),
    ("trace recover writing.trace", "writing.trace", "error: writing.trace: Permission denied"),
]


@pytest.mark.parametrize(("argv", "name", "says"), DENIED, ids=[row[0] for row in DENIED])
def test_an_unreadable_file_is_refused(
    argv: str, name: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (folder / name).exists():
        (folder / name).write_text("a: 1\n")
    (folder / name).chmod(0)
    before = everything_as_root(folder)
    with without_rights():
        code = main(shlex.split(argv))
    assert told(capsys.readouterr().err) == [says]
    assert code == 2
    assert everything_as_root(folder) == before


def everything_as_root(folder: Path) -> dict[str, object]:
    """Like `everything`, but of what the owner may not read only that it is there."""
    closed = [path for path in folder.iterdir() if not path.lstat().st_mode & 0o400]
    for path in closed:
        path.chmod(0o400)
    try:
        return everything(folder)
    finally:
        for path in closed:
            path.chmod(0)


UNWRITABLE = [
    "run lenet5 --layer C1 -q --json old.json",
    "run lenet5 --layer C1 -q --report old.html",
    "run lenet5 --layer C1 -q --values --ofmap old.npy",
    "run lenet5 --layer C1 -q --trace old.trace",
    "estimate lenet5 -q --json old.json",
    "check lenet5 --layer C1 -q --json old.json",
    "validate alexnet -q --json old.json",
]


@pytest.mark.parametrize("argv", UNWRITABLE)
@pytest.mark.parametrize("how", ["folder", "file"])
def test_a_target_that_cannot_be_written_is_refused_before_anything_is_simulated(
    argv: str,
    how: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = shlex.split(argv)[-1]
    (folder / name).write_text("as it was")
    # A file is closed where the folder is open to everybody, and the other way round.
    (folder / name).chmod(0o666 if how == "folder" else 0o444)
    folder.chmod(0o555 if how == "folder" else 0o777)
    before = everything(folder)

    def simulated(*_: object, **__: object) -> None:
        raise AssertionError("simulated, though the target cannot be written")

    monkeypatch.setattr("sim.engine.machine.Machine.run", simulated)
    with without_rights():
        code = main(shlex.split(argv))
    assert told(capsys.readouterr().err) == [f"error: {name}: cannot be written: Permission denied"]
    assert code == 2
    assert everything(folder) == before


# --- full disks -----------------------------------------------------------------------------------

FULL = [
    "run lenet5 -q --json old.json",
    "run lenet5 --layer C1 -q --report old.html",
    "run lenet5 --layer C1 -q --values --ofmap old.npz",
    "run lenet5 --layer C1 -q --trace old.trace",
    "estimate lenet5 -q --json old.json",
    "check lenet5 --layer C1 -q --json old.json",
    "audit lenet5 -q --json old.json",
    "report result.json -o old.html",
    "trace export run.trace --to csv -o old.csv",
    "trace export run.trace --to vcd -o old.vcd",
    "trace export run.trace --to perfetto -o old.json",
    "trace export run.trace --to npz -o old.npz",
]


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file may grow beyond that size: a disk that is full in the middle of a file."""
    before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))


@pytest.mark.parametrize("argv", FULL)
def test_a_disk_that_fills_up_keeps_the_old_file(
    argv: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = shlex.split(argv)[-1]
    (folder / name).write_text("as it was")
    before = everything(folder)
    with full_after(300):
        code = main(shlex.split(argv))
    assert told(capsys.readouterr().err) == [f"error: {name}: cannot be written: File too large"]
    assert code == 2
    assert everything(folder) == before


def test_an_array_that_does_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # NumPy writes past Python's streams, and says how many elements there was room for.
    (folder / "old.npy").write_text("as it was")
    before = everything(folder)
    with full_after(300):
        code = main(shlex.split("run lenet5 --layer C1 -q --values --ofmap old.npy"))
    assert told(capsys.readouterr().err) == [
        "error: old.npy: cannot be written: not all of it fits"
    ]
    assert code == 2
    assert everything(folder) == before


# The limit stands until the process has ended: HDF5 writes once more when Python does.
LIMITED = """
import resource, sys
from sim.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""
SIZES = (0, 600, 6_000, 12_000, 24_000, 40_000)


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ("run lenet5 -q --trace new.trace", "new.trace"),
        ("trace recover writing.trace -o new", "new"),
    ],
)
def test_a_trace_on_a_disk_that_fills_up(argv: str, name: str, folder: Path) -> None:
    before = everything(folder)
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, str(size), *shlex.split(argv)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:  # there was room for all of it
            (folder / name).unlink()
            continue
        *notes, error = done.stderr.splitlines()
        assert error == f"error: {name}: cannot be written: File too large"
        assert done.returncode == 2
        left = [path for path in folder.iterdir() if path.name not in before]
        assert len(left) == len(notes) <= 1
        for partial in left:
            assert notes[0].startswith(f"note: what was recorded until then is in {partial.name};")
            assert main(["trace", "recover", str(partial), "-o", str(folder / "saved")]) == 0
            (folder / "saved").unlink()
            partial.unlink()
        assert everything(folder) == before


def test_how_many(count: Callable[[str, str, int], None]) -> None:
    count("bad inputs", "unreadable and unwritable files", len(DENIED) + 2 * len(UNWRITABLE))
    count("bad inputs", "disks that fill up", len(FULL) + 1 + 2 * len(SIZES))
