"""Files that were cut, flipped or forged: a clear error or the truth, and bounded memory."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from recording import lenet5, record

import traces
from traces.header import MAGIC, SIZE, Header, TraceError, seal
from traces.replay import replay
from traces.schema import TABLES

Tell = Callable[[str, str], None]
Change = Callable[[h5py.File], None]
HEADING = "traces: damaged and forged files"
QUICK, ALL = 60, 500
MOST_MEMORY = 3 << 30

READ = """
import resource, signal, sys
from pathlib import Path
import traces
from traces.replay import replay
signal.alarm(60)
resource.setrlimit(resource.RLIMIT_AS, ({most}, {most}))
for name in sys.argv[1:]:
    try:
        with traces.open(name) as found:
            told = [line for layer in replay(found) for line in layer.differences]
        print("differs" if told else "equal", flush=True)
    except traces.TraceError as error:
        assert str(error).startswith(name), error
        assert "\\n" not in str(error)
        print("refused", flush=True)
    except ValueError as error:
        assert "cannot be rebuilt" in str(error), error
        print("partial", flush=True)
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.trace"
    record(path, lenet5(layers=["C3", "OUTPUT"]))
    return path


def outcomes(files: list[Path]) -> list[str]:
    """What reading each file comes to, in a process of its own with little memory and time."""
    code = READ.format(most=MOST_MEMORY)
    found = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-2000:]
    words = found.stdout.split()
    assert len(words) == len(files)
    return words


def broken(source: bytes, generator: random.Random) -> bytes:
    """Bytes changed, cut out, cut off, or put in."""
    data = bytearray(source)
    for _ in range(generator.choice((1, 1, 1, 3, 20))):
        # Half of the places lie where HDF5 keeps what it knows about the datasets.
        most = len(data) if generator.random() < 0.5 else min(len(data), 20_000)
        place = generator.randrange(SIZE, max(most, SIZE + 1))
        kind = generator.random()
        if kind < 0.75:
            data[place] ^= 1 << generator.randrange(8)
        elif kind < 0.9:
            data[place : place + 8] = generator.randbytes(8)
        elif kind < 0.95:
            del data[place : place + generator.randrange(1, 4096)]
        else:
            data = data[:place] or data
    return bytes(data)


def _try(sound: Path, folder: Path, count: int, *, sealed: bool) -> Counter[str]:
    source = sound.read_bytes()
    files = []
    for number in range(count):
        path = folder / f"{number}.trace"
        path.write_bytes(broken(source, random.Random(number)))
        if sealed:
            seal(path, "complete")
        files.append(path)
    return Counter(outcomes(files))


@pytest.mark.parametrize("count", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_damaged_file_is_refused(sound: Path, tmp_path: Path, count: int, tell: Tell) -> None:
    found = _try(sound, tmp_path, count, sealed=False)
    tell(HEADING, f"{count} files cut or flipped: {dict(found)}")
    # A change may undo itself; else not one is believed.
    assert found["refused"] >= count - 1
    assert found["differs"] == 0


@pytest.mark.parametrize("count", [QUICK, pytest.param(ALL, marks=pytest.mark.slow)])
def test_a_forged_file_is_refused_or_tells_the_truth(
    sound: Path, tmp_path: Path, count: int, tell: Tell
) -> None:
    """Sealed anew after the damage, so that the HDF5 library and the checks of content see it."""
    found = _try(sound, tmp_path, count, sealed=True)
    tell(HEADING, f"{count} files cut or flipped and sealed anew: {dict(found)}")
    assert sum(found.values()) == count
    assert found["refused"] > count // 3


def test_the_header_bit_by_bit(sound: Path, tmp_path: Path) -> None:
    source = sound.read_bytes()
    for place in range(0, SIZE, 3):
        data = bytearray(source)
        data[place] ^= 1 << (place % 8)
        (tmp_path / "t").write_bytes(data)
        with pytest.raises(TraceError):
            traces.open(tmp_path / "t")


def _forge(sound: Path, path: Path, change: Change) -> Path:
    path.write_bytes(sound.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    seal(path, "complete")
    return path


def _replace(file: h5py.File, name: str, values: Any, **options: Any) -> None:
    del file[name]
    chunk = (TABLES[name].chunk,)
    standard = {"chunks": chunk, "maxshape": (None,), "compression": "gzip", "shuffle": True}
    file.create_dataset(name, data=values, **{**standard, **options})


def _set(file: h5py.File, name: str, column: str, row: int, value: int) -> None:
    rows = file[name][:]
    rows[column][row] = value
    file[name][:] = rows


def _external(file: h5py.File) -> None:
    del file["data"]
    file["data"] = h5py.ExternalLink("/etc/hostname", "/data")


def _soft(file: h5py.File) -> None:
    del file["data"]
    file["data"] = h5py.SoftLink("/steps")


def _virtual(file: h5py.File) -> None:
    del file["data"]
    layout = h5py.VirtualLayout((10,), "<i8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "data", (10,))
    file.create_virtual_dataset("data", layout)


def _raw_elsewhere(file: h5py.File) -> None:
    del file["data"]
    file.create_dataset("data", (10,), "<i8", external=[("/etc/hostname", 0, 80)])


def _bomb(file: h5py.File) -> None:
    file["steps"].resize((1 << 39,))


def _many_passes(file: h5py.File) -> None:
    file["passes"].resize((1 << 31,))


FORGERIES: dict[str, tuple[Change, str]] = {
    "external link": (_external, "data is a link to elsewhere"),
    "soft link": (_soft, "data is a link to elsewhere"),
    "virtual": (_virtual, "data has its data in another file"),
    "external raw data": (_raw_elsewhere, "data has its data in another file"),
    "a bomb": (_bomb, r"steps has 549755813888 rows in \d+ bytes, which cannot be"),
    "too many passes": (_many_passes, "passes has 2147483648 rows, more than 20000000"),
    "a type": (lambda f: _replace(f, "steps", f["steps"][:].astype(np.float64)), "steps has type"),
    "chunks": (lambda f: _replace(f, "steps", f["steps"][:], chunks=(8,)), "other chunks"),
    "a filter": (
        lambda f: _replace(f, "steps", f["steps"][:], compression="lzf"),
        "steps has filters other than shuffle and gzip",
    ),
    "a checksum filter": (
        lambda f: _replace(f, "steps", f["steps"][:], fletcher32=True),
        "steps has filters other than shuffle and gzip",
    ),
    "one dataset more": (lambda f: f.create_dataset("more", (1,), "i4"), "dataset 'more'"),
    "one dataset less": (lambda f: f.__delitem__("tiles"), "dataset 'tiles'"),
    "no description": (lambda f: f["description"].resize((0,)), "description is no JSON"),
    "deep JSON": (
        lambda f: _replace(f, "description", np.full(200_000, ord("["), np.uint8)),
        "description is no JSON",
    ),
    "a template": (lambda f: _set(f, "passes", "template", 0, 999), "template that is not there"),
    "a gap": (lambda f: _set(f, "passes", "start", 1, 5), "passes that do not follow one another"),
    "a layer": (lambda f: _set(f, "passes", "layer", 0, 7), "passes of layers that are not there"),
    "an end": (lambda f: _set(f, "templates", "steps_end", 0, 1 << 40), "template 0 ends outside"),
    "a stream": (lambda f: _set(f, "streams", "rows", 0, 1), "streams and rows do not agree"),
    "a block": (lambda f: _set(f, "streams", "block", 0, 9999), "a stream of an unknown block"),
    "a pattern": (lambda f: _set(f, "streams", "words", 0, 99999), "a pattern that is not there"),
    "a PE": (lambda f: _set(f, "pes", "row", 0, 12), "a PE is outside of the array"),
    "two PEs": (
        lambda f: _set(f, "pes", "row", 0, int(f["pes"]["row"][1])),
        "two PEs in one place|overlap|",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery(sound: Path, tmp_path: Path, name: str) -> None:
    change, words = FORGERIES[name]
    path = _forge(sound, tmp_path / "t", change)
    with pytest.raises(TraceError, match=words), traces.open(path) as found:
        list(replay(found))


def test_a_count_that_was_changed_is_told(sound: Path, tmp_path: Path) -> None:
    """Events that are well formed but not those of the run: the figures differ, and it is said."""

    def more(file: h5py.File) -> None:
        values = file["pattern_values"][:]
        values[values == 4] = 3
        file["pattern_values"][:] = values

    path = _forge(sound, tmp_path / "t", more)
    with traces.open(path) as found:
        try:
            told = [line for layer in replay(found) for line in layer.differences]
        except TraceError:
            return
    assert told


def test_another_version(sound: Path, tmp_path: Path) -> None:
    data = sound.read_bytes()
    header = Header("complete", len(data), "0" * 64, version=2)
    (tmp_path / "t").write_bytes(header.encode() + data[SIZE:])
    with pytest.raises(TraceError, match="has format version 2, and this program reads 1"):
        traces.open(tmp_path / "t")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x89HDF\r\n\x1a\n" + bytes(2000), MAGIC.encode(), b"layer,pass\n1,2\n", bytes(4096)],
)
def test_what_is_no_trace(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(TraceError):
        traces.open(tmp_path / "t")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        traces.open(tmp_path / "none")
    with pytest.raises(TraceError, match="is no regular file"):
        traces.open(tmp_path)
    with pytest.raises(TraceError, match="is no regular file"):
        traces.open("/dev/zero")
