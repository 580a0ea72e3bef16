"""Every loader on nearly right files, structures of any kind and noise: InputError or success.

Nothing else may come out of a loader, in bounded time; out of a command exit code 0, 1 or 2, and no
word of a defect. 13,500 cases in the slow mode.
"""

from __future__ import annotations

import copy
import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fuzzing import NASTY, files, fuzz, mutated, texts
from hypothesis import strategies as st

from hw_models.energy import load_energy_table
from hw_models.load import load_hardware
from sim.check.cases import read_case
from sim.cli import main
from sim.cli.arrays import read_words
from sim.errors import InputError, MappingError
from sim.mapper.choose import choose_mappings
from traces.header import seal
from workloads.network import load_network
from workloads.precision import load_precisions

LENET = load_network("lenet5")
CHIP = load_hardware("eyeriss_v1")
CHIP_WORDS = (-(1 << 15), (1 << 15) - 1)  # the least and the greatest word of the chip
SHAPE = (1, 3, 8, 8)
CASE = """\
batch: 2
hw: eyeriss_v1
set: [array.rows=9, pe.ifmap_fifo_words=2]
mapping: m=4,n=1,e=4,p=4,q=3,r=1,t=1
network: case
layers:
- name: A
  ifmap: [8, 9]
  channels: 3
  filters: 4
  filter: [3, 2]
  stride: [1, 2]
  padding: [0, 1, 0, 1]
  groups: 1
"""
PRECISION = "layers:\n  C1: {pruned: 0.5, weight_bits: 8, activation_bits: 8}\n"


def shipped(package: str, *names: str) -> str:
    return resources.files(package).joinpath("data", *names).read_text(encoding="utf-8")


def good_npy() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.arange(192, dtype=np.int16).reshape(SHAPE))
    return stream.getvalue()


NPY_HEADERS = (
    b"{'descr': '<i2', 'fortran_order': False, 'shape': (1, 3, 8, 8), }",
    b"{'descr': '<i8', 'fortran_order': True, 'shape': (1, 3, 8, 8), }",
    b"{'descr': '|O', 'fortran_order': False, 'shape': (1, 3, 8, 8), }",
    b"{'descr': '<i2', 'fortran_order': False, 'shape': (10**99,), }",
    b"{'descr': [('a', '<i2')], 'fortran_order': False, 'shape': (1, 3, 8, 8), }",
    b"{'descr': '<i2', 'fortran_order': False, 'shape': (-1, 3, 8, 8), }",
    b"{'descr': '<i2', 'shape': ()}",
    b"((((((((((((((((((((((((((((((",
    b"[" * 90,
    b"__import__('os')",
)


@st.composite
def npy_files(draw: st.DrawFn) -> bytes:
    raw = bytearray(good_npy())
    match draw(st.integers(0, 3)):
        case 0:
            for _ in range(draw(st.integers(1, 6))):
                raw[draw(st.integers(0, len(raw) - 1))] = draw(st.integers(0, 255))
        case 1:
            raw = raw[: draw(st.integers(0, len(raw)))] + draw(st.binary(max_size=12))
        case 2:
            header = draw(st.sampled_from(NPY_HEADERS)).ljust(117) + b"\n"
            raw = raw[:10] + header + raw[128:]
            raw[6] = draw(st.sampled_from([1, 1, 2, 3, 255]))
        case 3:
            raw = bytearray(draw(texts()))
    return bytes(raw)


FACTORS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from("mnepqrt"),
            st.one_of(st.integers(-2, 30).map(str), st.integers().map(str), st.sampled_from(NASTY)),
        ).map("=".join),
        st.text(max_size=12),
        st.sampled_from(("published", "auto", "alternativ", "/dev/null", "a.yaml", "=")),
    ),
    min_size=1,
    max_size=9,
).map(",".join)

NETWORK_KEYS = (
    "network", "source", "batch", "layers", "name", "type", "ifmap", "channels", "filters",
    "filter", "stride", "padding", "groups", "ifmap_zero_fraction",
)  # fmt: skip
HARDWARE_KEYS = (
    "base", "name", "clock", "array", "rows", "columns", "pe", "noc", "glb", "banks", "dram",
    "arithmetic", "schedule", "limits", "filter_rows", "vertical_strides", "word_bits",
)  # fmt: skip
MAPPING_KEYS = (
    "source",
    "status",
    "layers",
    "alternatives",
    "C1",
    "m",
    "n",
    "e",
    "p",
    "q",
    "r",
    "t",
)
ENERGY_KEYS = (
    "name", "unit", "technology", "sources", "word_bits", "mac", "active", "spad", "ifmap", "read",
    "glb", "noc", "dram", "static", "chip",
)  # fmt: skip
CASE_KEYS = ("batch", "hw", "set", "mapping", "network", "layers", "name", "ifmap", "filter")
SETTING = st.one_of(
    st.builds(
        "{}={}".format,
        st.sampled_from(
            ("array.rows", "array.columns", "pe.ifmap_spad", "clock.link_mhz", "limits.filters",
             "arithmetic.psum_bits", "noc.psum_words_per_cycle", "glb.port_bits", "name", "pe"),
        ),
        st.one_of(st.sampled_from(NASTY), st.integers().map(str), st.text(max_size=6)),
    ),
    st.text(max_size=30),
)  # fmt: skip


def take(call: Callable[[], object]) -> None:
    """Only an InputError, with something to say, may come out."""
    try:
        call()
    except InputError as error:
        refused = error
    else:
        return
    assert refused.faults
    assert all(fault.message for fault in refused.faults)
    assert len(str(refused)) < 1_000_000
    assert str(refused).replace("\n", "").isprintable()


def take_mapping(spec: str) -> None:
    def call() -> None:
        for choice in choose_mappings(spec, "lenet5", LENET.layers, 1, CHIP):
            if isinstance(choice, MappingError):
                raise choice

    take(call)


def _written(path: Path, load: Callable[[str], object]) -> Callable[[bytes], None]:
    def check(raw: bytes) -> None:
        path.write_bytes(raw)
        take(lambda: load(str(path)))

    return check


# --- whole commands, on results, traces and command lines -----------------------------------------


def run(*argv: str) -> None:
    """Run a command: it does what it should, or says why not."""
    errors = io.StringIO()
    with redirect_stdout(io.StringIO()), redirect_stderr(errors):
        code = main(argv)
    assert code in (0, 1, 2), errors.getvalue()
    assert "internal error" not in errors.getvalue()
    assert "Traceback" not in errors.getvalue()
    assert code != 2 or "error: " in errors.getvalue()


VALUES: tuple[Any, ...] = (
    None, True, 0, 1, -1, 2, 65_536, 1 << 62, 1 << 63, -(1 << 63), 10**400, 0.5, -1.5, 1e99, 1e308,
    float("inf"), float("nan"), "", "x", "7", "\x1b[31m", "\ud800", "\u202e", "conv", "event",
    [], {}, [[]], [0], [[0]], [[0, 0]], {"a": 1},
)  # fmt: skip


def places(data: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where something stands in plain data, but for the insides of long lists of numbers."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        pairs = list(data.items())
    elif isinstance(data, list):
        pairs = list(enumerate(data[:3]))
    for key, value in pairs:
        yield (*at, key)
        yield from places(value, (*at, key))


@st.composite
def spoiled(draw: st.DrawFn, good: Any) -> Any:
    """Plain data with a few things wrong: replaced, left out, or taken from elsewhere in it."""
    data = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        every = list(places(data))
        if not every:
            break
        *way, last = draw(st.sampled_from(every))
        there = data
        for key in way:
            there = there[key]
        match draw(st.integers(0, 3)):
            case 0:
                del there[last]
            case 1:
                value: Any = data
                for key in draw(st.sampled_from(every)):
                    value = value[key]
                there[last] = copy.deepcopy(value)
            case _:
                there[last] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return data


@st.composite
def result_files(draw: st.DrawFn) -> bytes:
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(mutated(RESULT.decode()), texts()))
    return json.dumps(draw(spoiled(json.loads(RESULT)))).encode()


def result_check(folder: Path) -> Callable[[Any], None]:
    def check(raw: bytes) -> None:
        (folder / "r.json").write_bytes(raw)
        run("report", str(folder / "r.json"), "-o", os.devnull)

    return check


@dataclass(frozen=True)
class TraceChange:
    """A dataset of a trace with another number in it, cut, or twice as long."""

    name: str
    at: int
    field: int
    value: int
    cut: int | None
    twice: bool

    def __call__(self, file: h5py.File) -> None:
        rows = file[self.name][:]
        if len(rows):
            names = rows.dtype.names
            column = rows if names is None else rows[names[self.field % len(names)]]
            most = np.iinfo(column.dtype)
            column[self.at % len(rows)] = min(max(self.value, most.min), most.max)
        rows = rows[: self.cut]
        rows = np.concatenate([rows, rows]) if self.twice else rows
        file[self.name].resize(rows.shape)
        file[self.name][:] = rows


DATASETS = (
    "description", "layer_ends", "layer_text", "result_ends", "result_text", "templates", "pes",
    "set_ends", "set_members", "pattern_ends", "pattern_values", "streams", "steps", "passes",
    "tiles",
)  # fmt: skip
NUMBERS = (0, 1, -1, 2, 3, 7, 48, 57, 125, 65_536, (1 << 31) - 1, -(1 << 31), 1 << 47, 1 << 62)
TRACE_CHANGES = st.lists(
    st.builds(
        TraceChange,
        name=st.sampled_from(DATASETS),
        at=st.integers(0, 1 << 30),
        field=st.integers(0, 17),
        value=st.one_of(st.sampled_from(NUMBERS), st.integers(0, 255)),
        cut=st.one_of(st.none(), st.none(), st.none(), st.integers(0, 40)),
        twice=st.sampled_from([False, False, False, True]),
    ),
    min_size=1,
    max_size=3,
)
ASKED = (
    ("trace", "info", "@"),
    ("trace", "replay", "@"),
    ("trace", "replay", "@", "--layer", "C5", "--limit", "5"),
    ("trace", "replay", "@", "--layer", "C5", "--break", "fifo.psum_in(1,0) >= 2"),
    ("trace", "export", "@", "--to", "csv", "-o", os.devnull, "--limit", "20"),
    ("trace", "diff", "@", "sound.trace"),
    ("report", "@", "-o", os.devnull),
)


def trace_check(folder: Path) -> Callable[[Any], None]:
    sound, bad = folder / "sound.trace", folder / "bad.trace"
    sound.write_bytes(TRACE)

    def check(case: tuple[list[TraceChange], tuple[str, ...]]) -> None:
        changes, asked = case
        bad.write_bytes(TRACE)
        with h5py.File(bad, "r+") as file:
            for change in changes:
                change(file)
        seal(bad, "complete")
        run(*(word.replace("@", str(bad)).replace(sound.name, str(sound)) for word in asked))

    return check


def made(*argv: str) -> bytes:
    """What a command writes."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "file"
        run(*argv, str(file))
        return file.read_bytes()


RESULT = made("run", "lenet5", "--layer", "C3", "--layer", "C5", "-q", "--json")
TRACE = made("run", "lenet5", "--layer", "C5", "-q", "--trace")

# A network stands where the default one would take its time.
COMMANDS = (
    ("run", "lenet5"), ("estimate",), ("check", "lenet5"), ("audit",), ("report",),
    ("show", "network"), ("show", "hw"), ("show", "mapping"), ("show", "energy"),
    ("trace", "info"), ("trace", "replay"), ("trace", "diff"), ("trace", "export"),
    ("trace", "recover"), ("model", "first-order"), ("model", "fodlam"), ("shwo",),
)  # fmt: skip
OPTIONS = (
    "--layer", "--batch", "--hw", "--set", "--mapping", "--energy", "--precision", "--json",
    "--values", "--seed", "--ifmap", "--filter", "--ofmap", "--every-pass", "--trace",
    "--trace-layer", "--trace-window", "--trace-blocks", "--model", "--tolerance", "--case",
    "--array", "--from", "--until", "--block", "--pe", "--action", "--type", "--limit", "--break",
    "--to", "--output", "-q", "-v", "-o", "--help", "--versoin",
)  # fmt: skip
ARGUMENTS = (
    "lenet5", "C1", "c5", "OUTPUT", "1", "2", "0.5", "-", "auto", "published", "eyeriss_rtl",
    "array.rows=6", "isca2016", "csv", "npz", "dram,glb", "0:100", "3,4", "pe(0,0)", "psum", "read",
    "first-order", "sound.trace", "result.json", "glb.psum.read > 3",
    "m=4,n=1,e=4,p=4,q=1,r=1,t=1", "", ".", "\x00", "x" * 300,
)  # fmt: skip
WORDS = st.one_of(
    st.sampled_from(OPTIONS),
    st.sampled_from(ARGUMENTS),
    # Not the paths among them: a command writes where it is told to.
    st.sampled_from([text for text in NASTY if "/" not in text]),
    st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=6),
)
COMMAND_LINES = st.tuples(st.sampled_from(COMMANDS), st.lists(WORDS, max_size=7)).map(
    lambda case: [*case[0], *case[1]]
)


def command_check(folder: Path) -> Callable[[Any], None]:
    def check(argv: list[str]) -> None:
        # A line may name them as what it writes.
        (folder / "sound.trace").write_bytes(TRACE)
        (folder / "result.json").write_bytes(RESULT)
        run(*argv)

    return check


# --- the loaders ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loader:
    """Cases, what is done with each, and how many of them a chunk has in the slow mode."""

    cases: st.SearchStrategy[Any]
    make: Callable[[Path], Callable[[Any], None]]
    chunk: int = 334


LOADERS = {
    "networks": Loader(
        st.one_of(
            files(shipped("workloads", "lenet5.yaml"), NETWORK_KEYS),
            mutated(shipped("workloads", "mobilenet_v1.yaml")),
        ),
        lambda folder: _written(folder / "net.yaml", load_network),
    ),
    "hardware": Loader(
        st.one_of(
            files(shipped("hw_models", "eyeriss_v1.yaml"), HARDWARE_KEYS),
            mutated("base: eyeriss_v1\narray:\n  rows: 3\nlimits:\n  filters: [1, 9]\n"),
        ),
        lambda folder: _written(folder / "hw.yaml", load_hardware),
    ),
    "settings": Loader(
        st.lists(SETTING, max_size=3),
        lambda _: lambda texts: take(lambda: load_hardware("eyeriss_v1", texts)),
    ),
    "mappings": Loader(FACTORS, lambda _: take_mapping),
    "mapping files": Loader(
        files(shipped("sim.plan", "alexnet.yaml").replace("CONV", "C"), MAPPING_KEYS),
        lambda folder: _written(folder / "map.yaml", take_mapping),
    ),
    "energy tables": Loader(
        files(shipped("hw_models", "energy", "isca2016.yaml"), ENERGY_KEYS),
        lambda folder: _written(folder / "table.yaml", load_energy_table),
    ),
    "precision files": Loader(
        files(PRECISION, ("layers", "C1", "pruned", "weight_bits")),
        lambda folder: _written(
            folder / "precision.yaml", lambda name: load_precisions(name, LENET)
        ),
    ),
    "cases": Loader(
        files(CASE, CASE_KEYS), lambda folder: _written(folder / "case.yaml", read_case)
    ),
    "arrays": Loader(
        npy_files(),
        lambda folder: _written(
            folder / "a.npy", lambda name: read_words("--ifmap", name, SHAPE, CHIP_WORDS)
        ),
    ),
    "results": Loader(result_files(), result_check, 125),
    "traces": Loader(st.tuples(TRACE_CHANGES, st.sampled_from(ASKED)), trace_check, 125),
    "command lines": Loader(COMMAND_LINES, command_check, 125),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which this process is: commands write into it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _fuzz(name: str, folder: Path, cases: int, chunk: int) -> int:
    loader = LOADERS[name]
    return fuzz(loader.cases, loader.make(folder), cases=cases, chunk=chunk, seconds=20)


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_takes_or_refuses(
    name: str, folder: Path, count: Callable[[str, str, int], None]
) -> None:
    count("fuzz cases", name, _fuzz(name, folder, 25, 0))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(1, 5))
@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_takes_or_refuses_at_length(
    name: str, chunk: int, folder: Path, count: Callable[[str, str, int], None]
) -> None:
    count("fuzz cases", name, _fuzz(name, folder, LOADERS[name].chunk, chunk))
