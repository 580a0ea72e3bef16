"""No file makes the program use more memory than docs/limits.md says.

Sizes are checked before anything is allocated: what is too large is refused in seconds. What is
just small enough stays under the bound, and the estimates that decide are from above.
"""

from __future__ import annotations

import gc
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hostile_files import layer

from hw_models.load import load_hardware
from sim.engine.dram import PrefetchState
from sim.engine.top import Machine
from sim.errors import InputError, MappingError
from sim.plan.choose import choose_mappings
from sim.plan.limits import (
    MOST_BYTES,
    MOST_EVENTS,
    MOST_PASSES,
    layer_bytes,
    mib,
    pass_bytes,
    pass_events,
    pass_pes,
    result_bytes,
    words_bytes,
)
from sim.plan.mapper import auto_mapping
from sim.plan.mapping import Mapping
from sim.plan.schedule import Plan, make_plan
from sim.run import Values, prepare, simulate
from workloads.layer import MAX_MACS, MAX_WORDS, Layer
from workloads.network import MAX_BATCH, MAX_LAYERS, load_network

BOUND = 1 << 30
ROOM = 3 << 30  # address space: what breaks the bound by far is stopped before it hurts
PROGRAM = r"""
import re, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (%d, %d))
from sim.cli import main
code = main()
# Not ru_maxrss: a process starts with that of the one that started it.
status = Path("/proc/self/status").read_text()
print("peak", re.search(r"VmHWM:\s*(\d+) kB", status)[1], file=sys.stderr)
sys.exit(code)
""" % (ROOM, ROOM)  # noqa: UP031  braces of the program
LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"

HUGE = """\
base: eyeriss_v1
array: {rows: 256, columns: 256}
glb: {banks: 65536, bank_bytes: 1048576, filter_banks: 1, port_bits: 512}
pe: {ifmap_spad_words: 65536, filter_spad_words: 65536, psum_spad_words: 65536}
limits: {filters: [1, 65536], filter_columns: [1, 65536], filter_rows: [1, 256]}
"""


def peak(argv: str, folder: Path, **files: str) -> tuple[int, int, str]:
    """Exit code, peak of resident bytes and last words of a command in a process of its own."""
    if sys.platform != "linux":
        pytest.skip("limits and units of memory are Linux's")
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv.split()],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    *told, last = done.stderr.splitlines()
    assert last.startswith("peak "), done.stderr
    return done.returncode, int(last.split()[1]) * 1024, "\n".join(told)


MEGABYTE = 1 << 20


def many(entry: str, before: str = "", after: str = "") -> str:
    """A file of nearly the largest size that is read, full of one entry; `%x` counts."""
    room = MEGABYTE - len(before) - len(after) - 1
    longest = len(entry.replace("%x", "fffff"))
    return before + "".join(entry.replace("%x", f"{n:x}") for n in range(room // longest)) + after


HOSTILE = {
    "a list of lists": ("run f.yaml", many("[],", "[", "]")),
    "a list of words": ("run f.yaml", many("a,", "[", "]")),
    "a list of mappings": ("run f.yaml", many("{},", "[", "]")),
    "unknown keys": ("run f.yaml", many("k%x: 1\n")),
    "one key again and again": ("run f.yaml", many("a: 1\n")),
    "empty layers": ("run f.yaml", many("{},", "network: n\nlayers: [", "]")),
    "unknown keys of a chip": ("run lenet5 --hw f.yaml", many("k%x: 1\n")),
    "unknown sections of a chip": (
        "run lenet5 --hw f.yaml",
        many("k%x: {a: 1}\n", "base: eyeriss_v1\n"),
    ),
    "sources of a chip": (
        "run lenet5 --hw f.yaml",
        many("1,", "base: eyeriss_v1\nsources: [", "]"),
    ),
    "strides of a chip": (
        "run lenet5 --hw f.yaml",
        many("1,", "base: eyeriss_v1\nlimits: {vertical_strides: [", "]}"),
    ),
    "empty mappings": ("run lenet5 --mapping f.yaml", many(" %xa: {}\n", "layers:\n")),
    "sources of a table": ("run lenet5 --energy f.yaml", many("1,", "sources: [", "]")),
    "layers of a precision file": (
        "run lenet5 --precision f.yaml",
        many(" %xa: {}\n", "layers:\n"),
    ),
    "settings of a case": ("check --case f.yaml", many("a,", "set: [", "]")),
    "one long key": ("run f.yaml", "? " + "a" * (MEGABYTE - 10) + "\n: 1"),
    "one long word": ("run f.yaml", "network: " + "a" * (MEGABYTE - 10)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_within_the_bound(name: str, tmp_path: Path) -> None:
    argv, text = HOSTILE[name]
    started = time.monotonic()
    code, used, told = peak(argv, tmp_path, f__yaml=text)
    assert code == 2, told[-500:]
    assert used < BOUND
    assert len(told.splitlines()) <= 110
    assert time.monotonic() - started < 60


SIZES = {
    "an ifmap of 65536 x 65536": ("run f.yaml", layer(ifmap="65536")),
    "10^15 MACs": ("run f.yaml", layer(ifmap="4096", channels="1024", filters="8192")),
    "a batch of 4096 with words": (
        "run f.yaml --values --batch 4096",
        layer(ifmap="128", channels="64"),
    ),
    "an array of 1024 x 1024": (
        "run lenet5 --hw f.yaml",
        "base: eyeriss_v1\narray: {rows: 1024, columns: 1024}\n",
    ),
    "filter banks of 64 GB": (
        "run lenet5 --hw f.yaml",
        "base: eyeriss_v1\nglb: {filter_banks: 65536, bank_bytes: 1048576}\n",
    ),
    "a pass of 10^9 words": (
        "run f.yaml --hw h.yaml --layer A --mapping m=4,n=1,e=4096,p=4,q=12,r=1,t=1",
        layer(ifmap="[4098, 20000]", channels="12"),
    ),
    "a search over spads of 65536 words": (
        "run f.yaml --hw h.yaml --layer A --mapping auto",
        layer(ifmap="64", channels="16384", filters="16384", filter="1"),
    ),
    "results of 26 layers on 65536 PEs": (
        "estimate f.yaml --hw h.yaml",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n" for n in range(26)
        ),
    ),
}


@pytest.mark.parametrize("name", SIZES)
def test_what_is_too_large_is_refused_at_once(name: str, tmp_path: Path) -> None:
    argv, text = SIZES[name]
    started = time.monotonic()
    code, used, told = peak(argv, tmp_path, f__yaml=text, h__yaml=HUGE)
    assert code == 2, told[-500:]
    assert re.search(r"limit \d+|must be \d+ or (less|fewer)", told)
    assert used < 300 << 20
    assert time.monotonic() - started < 60


LARGEST = {
    "passes": (
        "run f.yaml -q --layer A --mapping m=1,n=1,e=1,p=1,q=1,r=1,t=1 --json out.json",
        layer(ifmap="30", channels="70", filters="1000"),
    ),
    "PEs and events": (
        "run f.yaml -q --hw h.yaml --set pe.ifmap_spad_words=16 --layer A "
        "--mapping m=8,n=1,e=256,p=1,q=1,r=1,t=8 --json out.json",
        layer(ifmap="258", channels="1", filters="8"),
    ),
    "layers": (
        "run f.yaml -q --json out.json",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 4, channels: 1, filters: 2, filter: 3}}\n" for n in range(6000)
        ),
    ),
    "results of a large array": (
        "estimate f.yaml -q --hw h.yaml --json out.json",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n" for n in range(25)
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_that_is_taken_stays_within_the_bound(
    name: str, tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    argv, text = LARGEST[name]
    code, used, told = peak(argv, tmp_path, f__yaml=text, h__yaml=HUGE)
    tell("peak of memory, MiB (limit 1024)", f"{mib(used):5} {name}")
    assert code == 0, told[-500:]
    assert used < BOUND


# --- the estimates are from above -----------------------------------------------------------------


def laid_out(
    network: str, name: str, *settings: str, mapping: str = "auto", batch: int = 1
) -> Plan:
    hw = load_hardware("eyeriss_v1", settings)
    found = load_network(network).layer(name)
    (choice,) = choose_mappings(mapping, network, (found,), batch, hw)
    assert not isinstance(choice, MappingError)
    return make_plan(found, batch, hw, choice.mapping)


PLANS = {
    "C3": lambda: laid_out("lenet5", "C3"),
    "CONV1": lambda: laid_out("alexnet", "CONV1", mapping="published"),
    "CONV3": lambda: laid_out("alexnet", "CONV3", mapping="published", batch=4),
    "narrow psum bus": lambda: laid_out(
        "alexnet", "CONV3", "noc.psum_words_per_cycle=1", mapping="published", batch=4
    ),
    "one word a line": lambda: laid_out(
        "alexnet", "CONV1", "glb.port_bits=16", "noc.psum_words_per_cycle=1",
        "noc.gin_filter_words_per_cycle=1", mapping="published",
    ),
    "deep spads": lambda: laid_out("lenet5", "C3", "pe.ifmap_spad_words=65536"),
    "a larger array": lambda: laid_out("lenet5", "C3", "array.rows=40", "array.columns=40"),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_a_pass_takes_no_more_memory_than_estimated(name: str) -> None:
    plan = PLANS[name]()
    shape = max(plan.classes, key=lambda shape: (pass_pes(shape), not shape.first_channels))
    gc.collect()
    tracemalloc.start()
    try:
        outcome = Machine(shape, plan.hw, PrefetchState()).run()
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimated = pass_bytes(shape, plan.hw)
    assert used <= estimated <= 4 * used
    assert outcome.events / 2 <= pass_events(shape, plan.hw) <= 3 * outcome.events


def test_real_words_take_no_more_memory_than_estimated() -> None:
    prepared = prepare("lenet5", layers=["C3"], batch=3)
    (plan,) = prepared.plans
    simulate(prepared)  # what is imported or cached is not the words'
    tracemalloc.start()
    try:
        simulate(prepared, values=Values())
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert words_bytes(plan) < used <= layer_bytes(plan, values=True) <= 4 * used


# --- the words of the refusals, and of the page ---------------------------------------------------


def test_a_pass_of_too_many_events_is_refused_with_value_limit_and_fix() -> None:
    hw = load_hardware(
        "eyeriss_v1", ["glb.banks=65536", "glb.bank_bytes=1048576", "glb.filter_banks=1",
                       "glb.port_bits=512"]
    )  # fmt: skip
    wide = Layer(name="L", M=4, C=3, H=10, W=100, R=3, S=3)
    with pytest.raises(MappingError) as caught:
        make_plan(wide, 4096, hw, Mapping(m=4, n=4096, e=8, p=4, q=3, r=1, t=1))
    events, memory = (fault.message for fault in caught.value.faults)
    assert events == (
        "events of a pass = 47612012, limit 10000000: the mapping m=4,n=4096,e=8,p=4,q=3,r=1,t=1 "
        "makes a pass too large to simulate; lower n, e, r, t or q"
    )
    assert re.fullmatch(
        r"MiB of memory = \d{4}, limit 1024: 1 passes, the largest on 24 PEs, under the mapping "
        r"m=4,n=4096,e=8,p=4,q=3,r=1,t=1; a smaller batch or array, or shallower spads and filter "
        r"banks, take less",
        memory,
    )


def test_words_are_refused_before_any_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    def drawn(*_: object) -> None:
        raise AssertionError("drawn")

    monkeypatch.setattr("sim.engine.values.random_words", drawn)
    prepared = prepare("vgg16", layers=["CONV1-2"], batch=64)
    with pytest.raises(InputError, match=r"CONV1-2, batch 64: --values takes \d+ MiB of memory"):
        simulate(prepared, values=Values())


def test_the_search_for_a_mapping_tries_a_bounded_number() -> None:
    settings = [line.strip() for line in HUGE.splitlines()[1:]]
    overrides = [
        f"{section}.{field.strip()}"
        for section, fields in (line.rstrip("}").split(": {") for line in settings)
        for field in re.sub(r": ", "=", fields).split(", ")
        if "[" not in field and "]" not in field
    ]
    chip = load_hardware("eyeriss_v1", [*overrides, "limits.filters=[1, 65536]"])
    tracemalloc.start()
    try:
        auto_mapping(Layer(name="L", M=16384, C=16384, H=8, W=8, R=1, S=1), 64, chip)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_the_page_has_the_numbers_of_the_code() -> None:
    page = LIMITS.read_text(encoding="utf-8")
    for number in (
        MOST_PASSES, MOST_EVENTS, mib(MOST_BYTES), MAX_LAYERS, MAX_BATCH, MAX_MACS, MAX_WORDS,
    ):  # fmt: skip
        assert f"{number:,}" in page, number
    chip = load_hardware("eyeriss_v1")
    most = MOST_BYTES // result_bytes(1, chip)
    assert f"{most:,} layers on the chip" in page
