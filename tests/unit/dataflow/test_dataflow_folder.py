"""A further dataflow is a folder: the engine runs its layers without a line of its own about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import sim.dataflow
from hw_models.load import load_hardware
from sim.check.convolution import convolve
from sim.dataflow.base import dataflow_names, find_dataflow
from sim.dataflow.program import find_lowering
from sim.engine.layer_run import PassMemory, simulate_layer
from sim.engine.values import LayerData, random_words
from sim.errors import MappingError
from sim.plan.make import make_plan
from workloads.layer import Layer

CHIP = load_hardware("eyeriss_v1")
# Every dimension in several blocks, and the last of each is short.
LAYER = Layer(
    name="L", M=7, C=5, R=2, S=3, H=14, W=18, pad_top=1, pad_left=2, ifmap_zero_fraction=0.5
)
BATCH = 2


@pytest.fixture
def pixel_stationary(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The toy dataflow, where a dataflow's folder is looked for."""
    folders = str(Path(__file__).parent / "folders")
    monkeypatch.setattr(sim.dataflow, "__path__", [*sim.dataflow.__path__, folders])
    from sim.dataflow.pixel_stationary import dataflow  # type: ignore[import-not-found]

    yield dataflow
    find_dataflow.cache_clear()
    find_lowering.cache_clear()


def test_a_dataflow_is_found_by_its_folder(pixel_stationary: ModuleType) -> None:
    assert dataflow_names() == ("pixel_stationary", "row_stationary")
    assert find_dataflow("pixel_stationary") is pixel_stationary.DATAFLOW
    with pytest.raises(ValueError, match="'systolic'; there are: pixel_stationary, row"):
        find_dataflow("systolic")


def test_the_engine_runs_its_layers_on_real_words(pixel_stationary: ModuleType) -> None:
    plan = make_plan(LAYER, BATCH, CHIP, pixel_stationary.Mapping(e=12, f=14, m=4, q=2))
    data = LayerData(plan, *random_words(plan, seed=1))
    activity = simulate_layer(plan, data=data)
    assert (data.psums == convolve(LAYER, data.ifmap, data.filters, None)).all()
    assert activity.counts["mac.total"] == LAYER.macs(BATCH) == activity.macs.sum()
    assert 0 < activity.counts["mac.gated"] < activity.counts["mac.total"]
    # Each psum that another channel block continues comes in once more.
    finals = BATCH * LAYER.M * LAYER.E * LAYER.F
    assert activity.counts["glb.psum.write"] == 3 * finals
    assert activity.counts["glb.psum.read"] == 2 * finals
    assert activity.counts["dram.ofmap.write"] == finals
    assert activity.counts["noc.local_psum.words"] == 0


def test_equal_passes_are_simulated_once(pixel_stationary: ModuleType) -> None:
    plan = make_plan(LAYER, BATCH, CHIP, pixel_stationary.Mapping(e=4, f=5, m=4, q=2))
    memory = PassMemory(CHIP)
    reused = simulate_layer(plan, memory=memory)
    assert reused.passes_simulated < plan.passes / 4
    anew = simulate_layer(plan, every_pass=True)
    assert anew.passes_simulated == plan.passes
    assert np.array_equal(reused.pass_cycles, anew.pass_cycles)
    # Another dataflow's passes are other passes, whatever their sizes.
    assert {shape.dataflow for shape, _ in memory.outcomes} == {"pixel_stationary"}


def test_its_rules_refuse(pixel_stationary: ModuleType) -> None:
    with pytest.raises(MappingError) as refused:
        make_plan(LAYER, BATCH, CHIP, pixel_stationary.Mapping(e=13, f=14, m=30, q=3))
    assert [fault.message for fault in refused.value.faults] == [
        "e = 13, limit 12: rows of the array",
        "q*R*S = 18, limit 12: words of the ifmap spad",
        "m*q*R*S = 540, limit 224: words of the filter spad",
        "m = 30, limit 24: words of the psum spad",
    ]


def test_its_advice_is_in_the_refusal_of_a_size(
    pixel_stationary: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sim.plan.limits.MOST_PASSES", 100)
    with pytest.raises(MappingError, match="too finely to simulate; raise e, f, m or q"):
        make_plan(LAYER, BATCH, CHIP, pixel_stationary.Mapping(e=4, f=5, m=4, q=2))
