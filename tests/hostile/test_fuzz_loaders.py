"""Every loader on nearly right files, structures of any kind and noise: InputError or success.

Nothing else may come out of a loader, in bounded time. 12,000 cases in the slow mode.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from fuzzing import NASTY, files, fuzz, mutated, texts
from hypothesis import strategies as st

from hw_models.energy import load_energy_table
from hw_models.load import load_hardware
from sim.analytic.first_order import load_precisions
from sim.check.cases import read_case
from sim.cli.arrays import read_words
from sim.errors import InputError, MappingError
from sim.plan.choose import choose_mappings
from workloads.network import load_network

LENET = load_network("lenet5")
CHIP = load_hardware("eyeriss_v1")
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


def _plan(path: str) -> object:
    return read_case(path).plan


LOADERS: dict[
    str, tuple[st.SearchStrategy[object], Callable[[Path], Callable[[object], None]]]
] = {}


def loader(name: str, strategy: object, make: object) -> None:
    LOADERS[name] = (strategy, make)  # type: ignore[assignment]


loader(
    "network",
    st.one_of(
        files(shipped("workloads", "lenet5.yaml"), NETWORK_KEYS),
        mutated(shipped("workloads", "mobilenet_v1.yaml")),
    ),
    lambda folder: _written(folder / "net.yaml", load_network),
)
loader(
    "hardware",
    st.one_of(
        files(shipped("hw_models", "eyeriss_v1.yaml"), HARDWARE_KEYS),
        mutated("base: eyeriss_v1\narray:\n  rows: 3\nlimits:\n  filters: [1, 9]\n"),
    ),
    lambda folder: _written(folder / "hw.yaml", load_hardware),
)
loader(
    "setting",
    st.lists(SETTING, max_size=3),
    lambda _: lambda texts: take(lambda: load_hardware("eyeriss_v1", texts)),
)
loader("mapping", FACTORS, lambda _: take_mapping)
loader(
    "mapping file",
    files(shipped("sim.plan", "alexnet.yaml").replace("CONV", "C"), MAPPING_KEYS),
    lambda folder: _written(folder / "map.yaml", take_mapping),
)
loader(
    "energy table",
    files(shipped("hw_models", "energy", "isca2016.yaml"), ENERGY_KEYS),
    lambda folder: _written(folder / "table.yaml", load_energy_table),
)
loader(
    "precision",
    files(PRECISION, ("layers", "C1", "pruned", "weight_bits")),
    lambda folder: _written(folder / "precision.yaml", load_precisions),
)
loader("case", files(CASE, CASE_KEYS), lambda folder: _written(folder / "case.yaml", _plan))
loader(
    "array",
    npy_files(),
    lambda folder: _written(folder / "a.npy", lambda name: read_words("--ifmap", name, SHAPE)),
)


def _fuzz(name: str, folder: Path, cases: int, chunk: int) -> int:
    strategy, make = LOADERS[name]
    return fuzz(strategy, make(folder), cases=cases, chunk=chunk, seconds=10)


@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_takes_or_refuses(
    name: str, tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    tell("fuzz cases", f"{_fuzz(name, tmp_path, 40, 0)} {name}")


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(1, 5))
@pytest.mark.parametrize("name", LOADERS)
def test_a_loader_takes_or_refuses_at_length(
    name: str, chunk: int, tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    tell("fuzz cases", f"{_fuzz(name, tmp_path, 334, chunk)} {name}, chunk {chunk}")
