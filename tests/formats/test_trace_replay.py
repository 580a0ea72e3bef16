"""Replay rebuilds the run from its events alone: ledger, stalls, cycles, energy, ofmap."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pytest
from recording import ALEXNET, lenet5, of_case, opened, record, replayed

from hw_models.load import load_hardware
from sim.check.cases import random_cases
from sim.run import NetworkPlan, Result, Values, prepare, simulate
from traces.replay import LayerReplay

Tell = Callable[[str, str], None]
HEADING = "traces: replay, size and cost"
QUICK_CASES, ALL_CASES = 6, 100


def assert_equal_to_the_live_run(rebuilt: list[LayerReplay], result: Result) -> None:
    """Against the live result, not against what the file says of it."""
    assert len(rebuilt) == len(result.layers)
    for found, live in zip(rebuilt, result.layers, strict=True):
        assert found.entries == live.entries
        assert found.multicast == live.multicast
        assert found.processing_cycles == live.processing_cycles
        assert found.standstill_cycles == live.standstill_cycles
        assert {kind: -(-bits // 8) for kind, bits in found.dram_bits.items()} == live.dram_bytes
        assert np.array_equal(found.macs, live.pe_macs)
        assert found.pe_cycles.keys() == live.pe_cycles.keys()
        for cause, cycles in found.pe_cycles.items():
            assert np.array_equal(cycles, live.pe_cycles[cause])
        if live.values is not None:
            assert found.ofmap is not None
            assert np.array_equal(found.ofmap, live.values.ofmap)
        assert found.differences == []


@pytest.mark.parametrize("values", [None, Values(seed=3)], ids=["counts", "words"])
def test_lenet5_whole(tmp_path: Path, values: Values | None) -> None:
    result = record(tmp_path / "t", lenet5(batch=2), values=values)
    assert_equal_to_the_live_run(replayed(tmp_path / "t"), result)


@pytest.mark.untraced
def test_alexnet_at_batch_4_in_30_megabytes(tmp_path: Path, tell: Tell) -> None:
    prepared = prepare("alexnet", layers=ALEXNET, batch=4)
    result = record(tmp_path / "t", prepared)
    rebuilt = replayed(tmp_path / "t")
    assert_equal_to_the_live_run(rebuilt, result)
    size = (tmp_path / "t").stat().st_size
    events = sum(layer.events for layer in rebuilt)
    tell(HEADING, f"AlexNet CONV1-5, batch 4: {events} events in {size / 1e6:.2f} MB")
    assert size < 30_000_000
    # Every word on a bus, in a spad, at a GLB port and every window is an event.
    macs = sum(layer.macs for layer in result.layers)
    assert events > macs // 100


@pytest.mark.parametrize("values", [None, Values(seed=3)], ids=["counts", "words"])
def test_column_tiles(tmp_path: Path, values: Values | None) -> None:
    prepared = prepare("lenet5", batch=2, layers=["C3"], mapping="m=16,n=1,e=4,f=4,p=8,q=2,r=1,t=2")
    result = record(tmp_path / "t", prepared, values=values)
    assert_equal_to_the_live_run(replayed(tmp_path / "t"), result)
    with opened(tmp_path / "t") as found:
        bases = found.layers[0].passes["column_base"]
    # 10 columns in tiles of 4, 4 and 2, for each of two images.
    assert [base for base, _ in groupby(bases.tolist())] == [0, 4, 8] * 2


def test_observers_change_nothing(tmp_path: Path) -> None:
    traced = record(tmp_path / "t", lenet5())
    assert traced.to_dict() == simulate(lenet5()).to_dict()


def test_a_charged_strip_and_a_pass_simulated_before(tmp_path: Path) -> None:
    """A chip that charges short strips in full; a layer whose passes another one has run."""
    prepared = prepare("alexnet", layers=["CONV3", "CONV4"], batch=1)
    hw = prepared.hw.model_copy(
        update={"schedule": prepared.hw.schedule.model_copy(update={"charge_full_strip": True})}
    )
    plans = tuple(
        type(plan)(plan.layer, plan.batch, hw, plan.mapping, plan.placement)
        for plan in prepared.plans
    )
    charged = NetworkPlan("alexnet", 1, hw, plans, (), ())
    result = record(tmp_path / "t", charged, layers=["CONV4"])
    (rebuilt,) = replayed(tmp_path / "t")
    assert rebuilt.entries == result.layers[1].entries
    assert rebuilt.differences == []


@pytest.mark.parametrize(
    "setting", ["glb.filter_load=streamed", "pe.ifmap_spad=shift", "dram.overlap=full"]
)
def test_other_chips(tmp_path: Path, setting: str) -> None:
    hw = load_hardware("eyeriss_v1", [setting])
    prepared = prepare("lenet5", layers=["C3"], batch=2, hw=hw)
    result = record(tmp_path / "t", prepared, values=Values(seed=4))
    assert_equal_to_the_live_run(replayed(tmp_path / "t"), result)


def _replay_random_cases(tmp_path: Path, count: int) -> int:
    words = 0
    for number, case in enumerate(islice(random_cases(7), count)):
        for values in (None, Values(seed=number)):
            result = record(tmp_path / "t", of_case(case), values=values)
            assert_equal_to_the_live_run(replayed(tmp_path / "t"), result)
            words += values is not None
    return words


@pytest.mark.untraced
def test_some_random_layers(tmp_path: Path) -> None:
    assert _replay_random_cases(tmp_path, QUICK_CASES) == QUICK_CASES


@pytest.mark.slow
def test_100_random_layers(tmp_path: Path, tell: Tell) -> None:
    words = _replay_random_cases(tmp_path, ALL_CASES)
    tell(HEADING, f"{ALL_CASES} random layers, with and without words: {words} ofmaps equal")


def test_energy_follows_from_the_events(tmp_path: Path) -> None:
    from sim.cli.trace import _energy_differences

    record(tmp_path / "t", lenet5(layers=["C3"]))
    (rebuilt,) = replayed(tmp_path / "t")
    with opened(tmp_path / "t") as found:
        assert _energy_differences(found, rebuilt) == []
        rebuilt.entries["spad.psum.read"] += 1
        told = _energy_differences(found, rebuilt)
        assert any(line.startswith("energy total: ") for line in told)


@pytest.mark.slow
def test_tracing_costs_at_most_30_percent(tmp_path: Path, tell: Tell) -> None:
    prepared = prepare("alexnet", layers=ALEXNET, batch=4)
    plain, traced = [], []
    for _ in range(7):
        start = time.process_time()
        simulate(prepared)
        plain.append(time.process_time() - start)
        start = time.process_time()
        record(tmp_path / "t", prepared)
        traced.append(time.process_time() - start)
    cost = min(traced) / min(plain) - 1
    tell(HEADING, f"AlexNet CONV1-5, batch 4: {min(plain):.2f} s, traced {100 * cost:+.0f} %")
    assert cost < 0.30
