"""No file makes the program use more memory than docs/limits.md says.

Sizes are checked before anything is allocated: what is too large is refused in seconds. What is
just small enough stays under the bound, and the estimates that decide are from above.
"""

from __future__ import annotations

import gc
import re
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hostile_files import layer
from hostile_memory import BOUND, many, peak, slow

from hw_models.load import MAX_BASES, load_hardware
from hw_models.spec import (
    _MAX_CYCLES,
    _MAX_FIFO_WORDS,
    _MAX_FILTER_BEATS,
    _MAX_PES,
    _MAX_SIDE,
    _MAX_SPAD_WORDS,
)
from hw_models.vocabulary import Phase
from sim.account.result import MOST_FILE_BYTES, MOST_FILE_MEMORY
from sim.account.timeline import PassKind, Timeline
from sim.cli.arrays import MOST_ITEM_BYTES
from sim.cli.output import json_text
from sim.cli.report import MOST_RUNS as MOST_RESULTS
from sim.cli.trace import MOST_EVENTS as MOST_SHOWN_EVENTS
from sim.dataflow.row_stationary.mapping import Mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.engine.dram import PrefetchState
from sim.engine.passes import pass_machine
from sim.errors import InputError, MappingError
from sim.mapper.auto import MOST_P, MOST_Q, MOST_R, MOST_T, auto_mapping
from sim.mapper.choose import choose_mappings
from sim.plan.limits import (
    MOST_BYTES,
    MOST_EVENTS,
    MOST_KEPT,
    MOST_KINDS,
    MOST_PASSES,
    MOST_RUNS,
    file_memory,
    layer_bytes,
    mib,
    pass_bytes,
    pass_events,
    run_bytes,
    words_bytes,
)
from sim.plan.make import make_plan
from sim.report.load import MOST_PART_VALUES
from sim.run import MOST_JOBS, MOST_READINGS, Values, check_values, predict, prepare, simulate
from traces.checks import LARGEST_ARRAY
from traces.schema import MOST_BYTES as MOST_TRACE_BYTES
from traces.schema import MOST_TEMPLATE_BYTES, TABLES
from workloads.inputs.document import _MAX_DIGITS, MAX_BYTES, MAX_DEPTH, MAX_VALUES
from workloads.inputs.faults import MAX_FAULTS
from workloads.inputs.json_text import json_memory
from workloads.layer import MAX_MACS, MAX_SIZE, MAX_WORDS, Layer
from workloads.network import MAX_BATCH, MAX_LAYERS, load_network

CHIP = load_hardware("eyeriss_v1")
LIMITS = Path(__file__).parents[2] / "docs" / "limits.md"

HUGE = """\
base: eyeriss_v1
array: {rows: 256, columns: 256}
glb: {banks: 65536, bank_bytes: 1048576, filter_banks: 1, port_bits: 512}
pe: {ifmap_spad_words: 65536, filter_spad_words: 65536, psum_spad_words: 65536}
limits: {filters: [1, 65536], filter_columns: [1, 65536], filter_rows: [1, 256]}
"""


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
        many("k%x: {a: 1}\n", "base: eyeriss_v1\n", values=2),
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
    "one long key": ("run f.yaml", "? " + "a" * (MAX_BYTES - 10) + "\n: 1"),
    "one long word": ("run f.yaml", "network: " + "a" * (MAX_BYTES - 10)),
}


QUICK = ("a list of lists", "empty mappings", "unknown keys of a chip", "one long word")


@pytest.mark.parametrize("name", [each if each in QUICK else slow(each) for each in HOSTILE])
def test_a_hostile_file_is_refused_within_the_bound(name: str, tmp_path: Path) -> None:
    argv, text = HOSTILE[name]
    code, used, told = peak(argv, tmp_path, f__yaml=text)
    assert code == 2, told[-500:]
    assert used < BOUND
    assert len(told.splitlines()) <= 110


FAMILY = ("a", "b", "c", "d")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("entry", "before", "after"),
    [("1,", "sources: [", "]"), ("@%x: 1\n", "", ""), ("@%x,", "pe: {", "}")],
)
def test_hostile_files_below_one_another_stay_within_the_bound(
    entry: str, before: str, after: str, tmp_path: Path
) -> None:
    bases = [f"./{name}.yaml" for name in FAMILY[1:]] + ["eyeriss_v1"]
    files = {
        f"{name}__yaml": many(entry.replace("@", name), f"base: {base}\n{before}", after)
        for name, base in zip(FAMILY, bases, strict=True)
    }
    code, used, told = peak("run lenet5 --hw a.yaml", tmp_path, **files)
    assert code == 2, told[-500:]
    assert used < BOUND
    assert len(told.splitlines()) <= 110


NAMED = "network: n\nlayers:\n" + "".join(
    f"- {{name: L{n}, ifmap: 1, channels: 1, type: fc, filters: 1}}\n" for n in range(6000)
)


@pytest.mark.parametrize(
    ("option", "entry"),
    [("--mapping", " M%x: {n: 1, e: 4, p: 1, q: 1, r: 1, t: 1}\n"), ("--precision", " M%x: {}\n")],
)
def test_near_names_are_looked_for_in_bounded_time(option: str, entry: str, tmp_path: Path) -> None:
    # Each of thousands of unknown names against thousands of known ones would take hours.
    many_names = many(entry, "layers:\n", values=10)
    code, used, told = peak(
        f"estimate n.yaml {option} f.yaml", tmp_path, n__yaml=NAMED, f__yaml=many_names
    )
    assert code == 2
    assert used < BOUND
    assert "more faults are not shown" in told


# --- sizes ----------------------------------------------------------------------------------------

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
    "results of 200 layers on 65536 PEs": (
        "estimate f.yaml --hw h.yaml",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n" for n in range(200)
        ),
    ),
    "a result file of 10 layers on 65536 PEs": (
        "estimate f.yaml --hw h.yaml --json out.json",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n" for n in range(10)
        ),
    ),
    "a page of 6200 layers": (
        "run f.yaml --report out.html",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 4, channels: 1, filters: 2, filter: 3}}\n" for n in range(6200)
        ),
    ),
    "a trace of 700 layers": (
        "run f.yaml --trace out.trace",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 4, channels: 1, filters: 2, filter: 3}}\n" for n in range(700)
        ),
    ),
}


SEARCH = "a search over spads of 65536 words"


@pytest.mark.parametrize("name", [slow(each) if each == SEARCH else each for each in SIZES])
def test_what_is_too_large_is_refused_at_once(name: str, tmp_path: Path) -> None:
    argv, text = SIZES[name]
    code, used, told = peak(argv, tmp_path, f__yaml=text, h__yaml=HUGE)
    assert code == 2, told[-500:]
    assert re.search(r"limit \d+|must be \d+ or (less|fewer)", told)
    assert used < 300 << 20


RAGGED_RUN = (
    "run f.yaml -q --mapping m=90,n=1,e=1,p=1,q=1,r=1,t=1 --set clock.link_mhz=9.999 "
    "--json out.json --report out.html"
)
# 9,000 passes each, of which hardly any two find the link alike, and none is another layer's.
RAGGED_LAYERS = "network: n\nlayers:\n" + "".join(
    f"- {{name: L{n}, ifmap: [{size}], channels: 100, filters: 90, filter: [{size}]}}\n"
    for n, size in enumerate(("3, 3", "3, 2", "2, 3", "3, 4", "4, 3", "4, 4"))
)

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
        "run f.yaml -q",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 4, channels: 1, filters: 2, filter: 3}}\n" for n in range(9900)
        ),
    ),
    "layers of a page": (
        "run f.yaml -q --json out.json --report out.html",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 4, channels: 1, filters: 2, filter: 3}}\n" for n in range(2000)
        ),
    ),
    "kinds of passes in several layers": (RAGGED_RUN, RAGGED_LAYERS),
    "results of a large array": (
        "estimate f.yaml -q --hw h.yaml --json out.json",
        "network: n\nlayers:\n"
        + "".join(
            f"- {{name: L{n}, ifmap: 8, channels: 3, filters: 4, filter: 3}}\n" for n in range(9)
        ),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_that_is_taken_stays_within_the_bound(
    name: str, tmp_path: Path, tell: Callable[[str, str], None]
) -> None:
    argv, text = LARGEST[name]
    code, used, told = peak(argv, tmp_path, 1200, f__yaml=text, h__yaml=HUGE)
    tell("peak of memory, MiB (limit 1024)", f"{mib(used):5} {name}")
    assert code == 0, told[-500:]
    assert used < BOUND
    if (tmp_path / "out.json").exists():
        code, used, told = peak("report out.json", tmp_path, 600)
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


SMALL = ("C3", "deep spads", "a larger array")


@pytest.mark.parametrize("name", [each if each in SMALL else slow(each) for each in PLANS])
def test_a_pass_takes_no_more_memory_than_estimated(name: str) -> None:
    plan = PLANS[name]()
    shape = max(plan.classes, key=lambda shape: (shape.size(plan.hw).pes, not shape.first_channels))
    gc.collect()
    tracemalloc.start()
    try:
        outcome = pass_machine(shape, plan.hw, PrefetchState()).run()
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    estimated = pass_bytes(shape, plan.hw)
    assert used <= estimated <= 4 * used
    assert outcome.events / 2 <= pass_events(shape, plan.hw) <= 3 * outcome.events


SHIPPED = ("lenet5", "alexnet", "vgg16", "resnet50", "mobilenet_v1")


@pytest.mark.parametrize("network", SHIPPED)
def test_a_file_takes_no_more_memory_where_it_is_read_than_estimated(network: str) -> None:
    prepared = prepare(network, hw="eyeriss_v1")
    for plan, found in zip(prepared.plans, predict(prepared).layers, strict=True):
        text = json_text(found.to_dict())
        memory = json_memory(text.encode())
        assert memory <= file_memory(plan), found.layer.name
        assert len(text) * MOST_FILE_MEMORY <= memory * MOST_FILE_BYTES


def test_the_longest_kinds_and_orders_take_no_more_than_estimated() -> None:
    hw = load_hardware("eyeriss_v1", ("clock.link_mhz=59.999",))
    layer = Layer(name="FC", M=64, C=2048, H=1, W=1, R=1, S=1)
    plan = make_plan(layer, 1, hw, Mapping(m=64, n=1, e=1, p=4, q=8, r=4, t=1))
    assert plan.passes == MOST_RUNS
    long = 10**17
    phases = dict.fromkeys(Phase, long)
    kinds = [PassKind(long, long, long, long, True, n, long, phases) for n in range(MOST_KINDS)]
    order = tuple((1, ((n % MOST_KINDS, long + n),)) for n in range(MOST_RUNS))
    timeline = Timeline.of(kinds, order)
    assert timeline.complete
    text = json_text(timeline.to_model().model_dump(mode="json")).encode()
    beside = file_memory(plan) - 100_000 - 1100 * hw.pes
    assert json_memory(text) <= beside
    assert sum(map(text.count, (b",", b"[", b"{"))) < MOST_PART_VALUES / 2


def test_a_layer_and_the_results_of_all_are_held_together(monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network("lenet5")
    plans = prepare(network).plans
    assert run_bytes(plans) > max(map(layer_bytes, plans))
    monkeypatch.setattr("sim.run.MOST_BYTES", run_bytes(plans) - 1)
    with pytest.raises(InputError, match=r"and the results of all on 168 PEs take \d+ MiB"):
        prepare(network)
    prepare(network, layers=["C1"])


def test_ofmaps_of_all_layers_count_with_real_words(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = prepare("lenet5", layers=["C1", "C3"])
    alone = layer_bytes(prepared.plans[0], values=True)
    ofmaps = [8 * plan.layer.ofmap_words for plan in prepared.plans]
    results = run_bytes(prepared.plans) - max(map(layer_bytes, prepared.plans))
    monkeypatch.setattr("sim.run.MOST_BYTES", alone + results + ofmaps[1] - 1)
    with pytest.raises(InputError, match="C1, batch 1: --values takes"):
        check_values(prepared)
    monkeypatch.setattr("sim.run.MOST_BYTES", alone + results + sum(ofmaps))
    check_values(prepared)


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


CHIP_LIMITS = {
    "array.rows": _MAX_SIDE,
    "array.columns": _MAX_SIDE,
    "pe.ifmap_spad_words": _MAX_SPAD_WORDS,
    "pe.filter_spad_words": _MAX_SPAD_WORDS,
    "pe.psum_spad_words": _MAX_SPAD_WORDS,
    "pe.ifmap_fifo_words": _MAX_FIFO_WORDS,
    "pe.filter_fifo_words": _MAX_FIFO_WORDS,
    "pe.psum_in_fifo_words": _MAX_FIFO_WORDS,
    "pe.psum_out_fifo_words": _MAX_FIFO_WORDS,
    "noc.local_hop_cycles": _MAX_CYCLES,
    "dram.first_access_latency_cycles": _MAX_CYCLES,
    "clock.core_mhz": 100_000,
    "clock.link_mhz": 100_000,
}


@pytest.mark.parametrize("field", CHIP_LIMITS)
def test_a_size_of_a_chip_is_taken_up_to_its_limit(field: str) -> None:
    limit = CHIP_LIMITS[field]
    load_hardware("eyeriss_v1", [f"{field}={limit}"])
    with pytest.raises(InputError, match=rf"{limit}(\.0)? or less, got {limit + 1}"):
        load_hardware("eyeriss_v1", [f"{field}={limit + 1}"])


def test_no_more_processes_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    @contextmanager
    def simulated(_memory: object, _plans: object, jobs: int, *_: object) -> Iterator[None]:
        asked.append(jobs)
        yield

    monkeypatch.setattr("sim.engine.parallel.simulated_ahead", simulated)
    simulate(prepare("lenet5", layers=["C1"]), jobs=10_000)
    assert asked == [MOST_JOBS]


PAGE: dict[str, tuple[int, ...]] = {
    "a YAML file": (MAX_BYTES, MAX_VALUES, MAX_DEPTH),
    "a number in it": (_MAX_DIGITS,),
    "`base:` of a hardware file": (MAX_BASES,),
    "faults reported of a file": (MAX_FAULTS,),
    "a `.npy` array": (MOST_ITEM_BYTES,),
    "a result file": (MOST_FILE_BYTES, MAX_LAYERS, MOST_PART_VALUES),
    "results on one page": (MOST_RESULTS, mib(MOST_FILE_MEMORY)),
    "a trace": (
        LARGEST_ARRAY,
        TABLES["passes"].most,
        mib(MOST_TRACE_BYTES),
        mib(MOST_TEMPLATE_BYTES),
    ),
    "events printed or exported by one command": (MOST_SHOWN_EVENTS,),
    "anything that is no regular file": (),
    "any size of a layer": (MAX_SIZE,),
    "MACs of a layer and image": (MAX_MACS,),
    "words of a padded ifmap": (MAX_WORDS,),
    "layers of a network": (MAX_LAYERS,),
    "images of a batch": (MAX_BATCH,),
    "rows, columns of the array": (_MAX_SIDE, _MAX_PES),
    "a spad, a FIFO": (_MAX_SPAD_WORDS, _MAX_FIFO_WORDS),
    "filter banks": (_MAX_FILTER_BEATS,),
    "a clock": (100_000,),
    "cycles of a hop": (_MAX_CYCLES,),
    "passes of a layer": (MOST_PASSES,),
    "events of a pass": (MOST_EVENTS,),
    "memory of the largest layer's simulation": (mib(MOST_BYTES),),
    "memory of real words": (mib(MOST_BYTES),),
    "outcomes of passes kept": (mib(MOST_KEPT),),
    "memory of a result that is written": (mib(MOST_FILE_MEMORY),),
    "distinct passes that a result lists": (MOST_KINDS, MOST_RUNS),
    "processes of `--jobs`": (MOST_JOBS,),
    "readings of a product of matrices": (MOST_READINGS,),
    "sizes that `--mapping auto` tries": (MOST_R, MOST_Q, MOST_P, MOST_T),
}
"""Each row of the page by how it begins, with the numbers that it must have."""


def test_the_page_has_the_numbers_of_the_code() -> None:
    rows = [
        line[2:]
        for line in LIMITS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| what")
    ]
    for row in rows:
        (known,) = (begins for begins in PAGE if row.startswith(begins))
        for number in PAGE[known]:
            assert f"{number:,}" in row, known
    assert len(rows) == len(PAGE)
