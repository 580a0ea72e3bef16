"""Many mappings at once: the same figures as of each alone, and bounds that nothing is below."""

import random
from collections.abc import Iterator
from contextlib import suppress

import pytest

from hw_models.load import load_hardware
from hw_models.spec import Hardware
from sim.analytic.row_stationary.counts import layer_counts
from sim.analytic.row_stationary.estimate import layer_latency
from sim.analytic.row_stationary.least import Bounds
from sim.analytic.row_stationary.many import many_counts, many_cycles, station_bounds
from sim.check.cases import Case, random_cases
from sim.dataflow.row_stationary.mapping import FACTORS, Mapping, mapping_violations
from sim.dataflow.row_stationary.space import Mappings
from sim.engine.layer_run import simulate_layer
from sim.errors import MappingError
from sim.plan.make import make_plan

LATE = [3, 10, 20, 33.3, 60]  # MHz of the link


def mappings_of(case: Case, hw: Hardware, draw: random.Random, many: int) -> list[Mapping]:
    """Legal mappings near that of a case."""
    found = set()
    for _ in range(many):
        factors = {
            name: draw.randint(1, max(1, 2 * min(64, getattr(case.mapping, name))))
            for name in FACTORS
        }
        mapping = Mapping(**factors).fitted(case.layer, case.batch, hw)
        if mapping_violations(case.layer, mapping, hw, case.batch):
            continue
        with suppress(MappingError):  # too many passes to be laid out
            make_plan(case.layer, case.batch, hw, mapping)
            found.add(mapping)
    return sorted(found)


def late_cases(seed: int) -> Iterator[tuple[Case, Hardware, random.Random]]:
    """Cases on chips whose links are slow and whose configurations are small."""
    draw = random.Random(seed)
    kept = ("array.", "pe.", "noc.", "schedule.", "dram.ofmap", "dram.first")
    for case in random_cases(seed):
        changes = [
            *(each for each in case.overrides if each.startswith(kept)),
            f"clock.link_mhz={draw.choice(LATE)}",
            f"limits.filters=[1,{draw.randint(2, 40)}]",
            f"limits.channels=[1,{draw.randint(2, 16)}]",
            f"glb.bank_bytes={draw.choice([1024, 4096])}",
        ]
        yield case, load_hardware("eyeriss_v1", changes), draw


def check_equal(case: Case, hw: Hardware, mappings: list[Mapping]) -> None:
    layer, batch = case.layer, case.batch
    many = Mappings.of(mappings, layer.F)
    counts = many_counts(layer, batch, hw, many)
    cycles = many_cycles(layer, batch, hw, many)
    for place, mapping in enumerate(mappings):
        plan = make_plan(layer, batch, hw, mapping)
        assert {name: int(each[place]) for name, each in counts.items()} == layer_counts(plan)
        processing, waits = layer_latency(plan)
        assert [
            int(each[place])
            for each in (
                cycles.processing, cycles.ifmap_wait, cycles.ofmap_wait,
                cycles.ifmap_bits, cycles.ofmap_bits,
            )
        ] == [
            processing, waits.ifmap_cycles, waits.ofmap_cycles, waits.ifmap_bits, waits.ofmap_bits,
        ], (case, mapping)  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2])
def test_many_at_once_are_as_each_alone(seed: int) -> None:
    draw = random.Random(seed)
    cases = random_cases(seed)
    for _ in range(25):
        case = next(cases)
        hw = load_hardware(case.hw, case.overrides)
        check_equal(
            case,
            hw,
            [case.mapping.fitted(case.layer, case.batch, hw), *mappings_of(case, hw, draw, 4)],
        )


@pytest.mark.parametrize("seed", [3, 4])
def test_many_at_once_are_as_each_alone_where_filters_are_late(seed: int) -> None:
    cases = late_cases(seed)
    for _ in range(25):
        case, hw, draw = next(cases)
        mappings = mappings_of(case, hw, draw, 6)
        if mappings:
            check_equal(case, hw, mappings)


@pytest.mark.slow
def test_many_at_once_are_as_each_alone_in_many_cases() -> None:
    for seed in range(10, 30):
        cases = late_cases(seed)
        for _ in range(100):
            case, hw, draw = next(cases)
            mappings = mappings_of(case, hw, draw, 12)
            if mappings:
                check_equal(case, hw, mappings)


def check_bounds(case: Case, hw: Hardware) -> None:
    layer, batch = case.layer, case.batch
    mapping = case.mapping.fitted(layer, batch, hw)
    plan = make_plan(layer, batch, hw, mapping)
    least = Bounds(layer, batch, hw).of_mappings(Mappings.of([mapping], layer.F))
    activity = simulate_layer(plan)
    counted = {name: int(each[0]) for name, each in least.counts.items()}
    assert counted == {**activity.counts, "mac.gated": 0}
    waited = activity.standstill
    assert least.bits["ifmap"][0] <= waited.ifmap_bits * (1 + 1e-12)
    assert least.bits["ofmap"][0] <= waited.ofmap_bits * (1 + 1e-12)
    assert least.passes[0] == plan.passes
    assert least.processing[0] <= activity.cycles, case
    assert least.total[0] <= activity.cycles + waited.cycles, case
    if hw.dram.overlap == "none" and hw.glb.filter_load == "exposed":
        sharper = station_bounds(layer, batch, hw, Mappings.of([mapping], layer.F))
        assert sharper.processing[0] <= activity.cycles, case
        assert sharper.total[0] <= activity.cycles + waited.cycles, case


def test_no_layer_of_the_engine_is_below_its_bound() -> None:
    cases = random_cases(77)
    for _ in range(60):
        case = next(cases)
        check_bounds(case, load_hardware(case.hw, case.overrides))


@pytest.mark.slow
def test_no_layer_of_the_engine_is_below_its_bound_in_many_cases() -> None:
    for seed in (5, 6):
        cases = random_cases(seed)
        for _ in range(1500):
            case = next(cases)
            check_bounds(case, load_hardware(case.hw, case.overrides))
