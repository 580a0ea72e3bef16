"""The engine on random layers, chips and mappings: it runs and conserves, or is refused; no hang.

Chips are far from the real one: FIFOs of one beat, buses of 3 or 7 words, words of 1 to 64 bit,
clocks in any ratio. What runs is held against the closed form's counts, too. 8,500 cases in the
slow mode.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import pytest
from fuzzing import at_most, fuzz
from hypothesis import strategies as st

from hw_models.load import load_hardware
from sim.check.cases import random_cases
from sim.check.compare import check_layer
from sim.dataflow.row_stationary.mapping import FACTORS, Mapping
from sim.dataflow.row_stationary.passes import Plan
from sim.errors import InputError
from sim.mapper.choose import choose_mappings
from sim.plan.make import make_plan
from workloads.layer import Layer, ShapeError

MOST_WORK = 60_000  # MACs of a case, so that one takes a fraction of a second
MOST_PASSES = 200


@dataclass(frozen=True)
class Wild:
    """A case that may be impossible."""

    layer: dict[str, int]
    batch: int
    base: str
    settings: tuple[str, ...]
    mapping: dict[str, int] | None

    def plan(self) -> Plan:
        hw = load_hardware(self.base, self.settings)
        layer = Layer(name="WILD", **self.layer)
        if self.mapping is not None:
            return make_plan(layer, self.batch, hw, Mapping(**self.mapping))
        (choice,) = choose_mappings("auto", "", (layer,), self.batch, hw)
        if isinstance(choice, Exception):
            raise choice
        return make_plan(layer, self.batch, hw, choice.mapping)


SMALL = st.one_of(st.integers(1, 4), st.integers(1, 9))
WORDS = st.one_of(st.integers(1, 8), st.integers(1, 8), st.integers(1, 64))


@st.composite
def settings(draw: st.DrawFn) -> tuple[str, ...]:
    """Changes to a chip; those of one section go together, so that many are legal."""
    chosen: list[str] = []

    def change(section: str, **fields: object) -> None:
        chosen.extend(f"{section}.{name}={value}" for name, value in fields.items())

    if draw(st.booleans()):
        change("array", rows=draw(st.integers(1, 20)), columns=draw(st.integers(1, 20)))
    word_bits = draw(st.sampled_from([16, 16, 16, 8, 1, 7, 24, 64]))
    line_words = draw(st.integers(1, 9))
    bus = draw(st.integers(1, line_words)), draw(st.integers(1, line_words))
    beat = draw(st.integers(1, line_words))
    if draw(st.integers(0, 3)):
        chosen.append(f"word_bits={word_bits}")
        if word_bits % 8 == 0:  # a part of that width keeps lines of whole words
            part = st.sampled_from([1, 2, 8])
            ifmap, weight, psum = (word_bits // draw(part) for _ in range(3))
            change("word_bits", ifmap=ifmap, filter=weight, psum=psum)
        lines = draw(st.sampled_from([1, 2, 5, 64, 512]))
        bits = 8 * word_bits * line_words // (word_bits * line_words % 8 or 8)
        port_bits = word_bits * line_words
        change(
            "glb",
            port_bits=port_bits,
            # A whole number of lines, and of bytes.
            bank_bytes=port_bits * lines if port_bits % 8 else port_bits // 8 * lines,
            banks=draw(st.sampled_from([4096, 60000, bits])),
            filter_banks=draw(st.integers(1, 3)),
            filter_load=draw(st.sampled_from(["exposed", "streamed"])),
        )
        change(
            "noc",
            gin_filter_words_per_cycle=bus[0],
            gin_ifmap_words_per_cycle=bus[1],
            psum_words_per_cycle=beat,
            local_hop_cycles=draw(st.sampled_from([1, 1, 2, 9, 1000])),
            bus_fifo_entries=draw(st.integers(1, 4)),
        )
        psum_spad = draw(st.integers(1, 40))
        least = min(beat, psum_spad)
        change(
            "pe",
            pipeline_stages=draw(st.sampled_from([1, 2, 3, 4, 64])),
            ifmap_spad_words=draw(st.integers(1, 24)),
            filter_spad_words=draw(st.integers(1, 240)),
            psum_spad_words=psum_spad,
            ifmap_fifo_words=bus[1] - 1 + draw(WORDS),
            filter_fifo_words=bus[0] - 1 + draw(WORDS),
            psum_in_fifo_words=least - 1 + draw(WORDS),
            psum_out_fifo_words=least - 1 + draw(WORDS),
            ifmap_spad=draw(st.sampled_from(["addressed", "shift"])),
        )
        change(
            "dram",
            link_bits=word_bits * draw(st.integers(1, 9)),
            first_access_latency_cycles=draw(st.sampled_from([0, 0, 1, 33, 100_000])),
            overlap=draw(st.sampled_from(["none", "ifmap", "full"])),
            ofmap_dump=draw(st.sampled_from(["filter_block", "m_block"])),
            rlc=draw(st.sampled_from(["true", "false"])),
        )
    if draw(st.booleans()):
        mhz = st.one_of(st.integers(1, 100_000_000), st.integers(1, 999), st.just(200_000))
        change("clock", core_mhz=draw(mhz) / 1000, link_mhz=draw(mhz) / 1000)
    if draw(st.booleans()):
        change("limits", vertical_strides="[1, 2, 3, 4, 5, 6, 7, 8, 9]", filter_rows="[1, 20]")
    if draw(st.integers(0, 3)) == 0:
        chosen.append("schedule.charge_full_strip=true")
    if draw(st.integers(0, 3)) == 0:
        chosen.append(f"arithmetic.psum_bits={draw(st.integers(1, 64))}")
    return tuple(chosen)


@st.composite
def wild_cases(draw: st.DrawFn) -> Wild:
    """Any layer of few MACs on any chip, under any mapping or the mapper's own."""
    rows, columns = draw(SMALL), draw(SMALL)
    vertical, horizontal = draw(SMALL), draw(SMALL)
    top, bottom, left, right = (draw(st.sampled_from([0, 0, 0, 1, 2, 5])) for _ in range(4))
    high, wide = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, 7]))
    layer = {
        "G": groups,
        "M": groups * draw(SMALL),
        "C": draw(SMALL),
        "H": max(1, (high - 1) * vertical + rows + draw(st.integers(0, 2)) - top - bottom),
        "W": max(1, (wide - 1) * horizontal + columns + draw(st.integers(0, 2)) - left - right),
        "R": rows,
        "S": columns,
        "U": vertical,
        "V": horizontal,
        "pad_top": top,
        "pad_bottom": bottom,
        "pad_left": left,
        "pad_right": right,
    }
    mapping = None
    if draw(st.integers(0, 2)):
        mapping = {name: draw(st.one_of(SMALL, st.integers(1, 40))) for name in FACTORS}
    base = draw(st.sampled_from(["eyeriss_v1", "eyeriss_v1", "eyeriss_rtl", "eyeriss_isca2016"]))
    return Wild(layer, draw(st.integers(1, 4)), base, draw(settings()), mapping)


def run(plan: Plan) -> None:
    """Simulate: every pass is checked for conservation; counts are the closed form's."""
    found = check_layer(plan)
    assert not found.differences, found.first
    assert found.engine_cycles > 0


class Tally:
    """Runs cases and counts what became of them."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def __call__(self, case: Wild) -> None:
        try:
            plan = case.plan()
        except (InputError, ShapeError):
            self.outcomes["refused"] += 1
            return
        if plan.layer.macs(plan.batch) > MOST_WORK or plan.passes > MOST_PASSES:
            self.outcomes["left out as too long"] += 1
            return
        run(plan)
        self.outcomes["ran"] += 1

    def tell(self, count: Callable[[str, str, int], None]) -> None:
        for what, many in self.outcomes.items():
            count("fuzz cases", f"wild triples of layer, chip and mapping: {what}", many)


def test_wild_cases_run_or_are_refused(count: Callable[[str, str, int], None]) -> None:
    tally = Tally()
    fuzz(wild_cases(), tally, cases=150, chunk=0)
    tally.tell(count)
    assert tally.outcomes["ran"] >= 30


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(1, 29))
def test_wild_cases_run_or_are_refused_at_length(
    chunk: int, count: Callable[[str, str, int], None]
) -> None:
    tally = Tally()
    fuzz(wild_cases(), tally, cases=250, chunk=chunk, seconds=60)
    tally.tell(count)


def legal_cases(seed: int, count: int) -> int:
    for case in islice(random_cases(seed), count):
        with at_most(120):
            run(case.plan)
    return count


LEGAL = "legal triples of layer, chip and mapping: ran"


def test_legal_cases_run(count: Callable[[str, str, int], None]) -> None:
    count("fuzz cases", LEGAL, legal_cases(1000, 20))


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(1, 31))
def test_legal_cases_run_at_length(chunk: int, count: Callable[[str, str, int], None]) -> None:
    count("fuzz cases", LEGAL, legal_cases(1000 + chunk, 50))
