"""Real words through the machine: the ofmap is NumPy's, and the timing that of a run without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from hw_models.load import load_hardware
from sim.account.result import LayerResult, Result
from sim.check.cases import Case, random_cases
from sim.check.convolution import convolve, zero_products
from sim.engine.values import random_words
from sim.plan.make import make_plan
from sim.run import Values, run
from workloads.layer import Layer
from workloads.network import Network, load_network

Tell = Callable[[str, str], None]

HEADING = "ofmaps against NumPy's convolution"
SEED = 30_000
BLOCKS, BLOCK = 20, 10  # 200 random layers; the first six blocks run with every test
ALWAYS = 6
MOST_MACS = 200_000  # so that a block takes seconds


def single(layer: Layer, batch: int = 1) -> Network:
    return Network("one", batch, (layer,))


def assert_values(with_values: Result, without: Result, seed: int) -> int:
    """Ofmaps, timing and gated MACs of a run with words of a seed; returns the ofmap's elements."""
    batch, hw = with_values.batch, with_values.hw
    elements = 0
    for found, bare in zip(with_values.layers, without.layers, strict=True):
        assert found.values is not None
        assert found.values.wrong == 0
        elements += found.values.ofmap.size
        assert_same_timing(found, bare)
        plan = make_plan(found.layer, batch, hw, found.mapping)
        assert found.entries["mac.gated"] == zero_products(plan.layer, random_words(plan, seed)[0])
    return elements


def assert_same_timing(found: LayerResult, bare: LayerResult) -> None:
    assert found.processing_cycles == bare.processing_cycles
    assert {cause: cycles.tolist() for cause, cycles in found.pe_cycles.items()} == {
        cause: cycles.tolist() for cause, cycles in bare.pe_cycles.items()
    }
    assert found.multicast == bare.multicast
    zero_words = ("mac.active", "mac.gated", "spad.filter.read")  # known with values alone
    for name, words in found.entries.items():
        if name not in zero_words:
            assert words == bare.entries[name], name
    assert found.passes_simulated == found.passes


def test_lenet5_as_a_whole(tell: Tell) -> None:
    found, bare = run("lenet5", values=Values(seed=1)), run("lenet5")
    tell(HEADING, f"lenet5: {assert_values(found, bare, 1)} elements equal")


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_layer(stride: int, tell: Tell) -> None:
    layer = Layer(
        name="DW", kind="depthwise", G=24, M=24, C=1, H=14, W=14, R=3, S=3, U=stride, V=stride,
        pad_top=1, pad_bottom=1, pad_left=1, pad_right=1, ifmap_zero_fraction=0.5,
    )  # fmt: skip
    network = single(layer, batch=2)
    found, bare = run(network, values=Values(seed=2)), run(network)
    elements = assert_values(found, bare, 2)
    assert found.layers[0].entries["mac.gated"] > layer.macs(2) // 3
    tell(HEADING, f"depthwise, 24 channels, stride {stride}: {elements} elements equal")


def test_mobilenets_last_depthwise_layer_in_part(tell: Tell) -> None:
    (whole,) = load_network("mobilenet_v1").select(["DW13"])
    network = single(replace(whole, G=48, M=48))
    elements = assert_values(run(network, values=Values(seed=3)), run(network), 3)
    tell(HEADING, f"mobilenet_v1 DW13, 48 of its channels: {elements} elements equal")


def can_be_summed(case: Case) -> bool:
    """Tell whether the products of an ofmap word fit in the 64 bit in which `--values` sums."""
    widths = case.plan.hw.word_bits
    products = case.layer.C * case.layer.R * case.layer.S
    return products << (widths.ifmap + widths.filter - 2) < 1 << 63


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(block, marks=pytest.mark.slow if block >= ALWAYS else ())
        for block in range(BLOCKS)
    ],
)
def test_random_layers(block: int, tell: Tell) -> None:
    small = (
        case
        for case in random_cases(SEED + block)
        if case.layer.macs(case.batch) <= MOST_MACS
        and case.plan.passes <= 60
        and can_be_summed(case)
    )
    elements = 0
    for number, case in enumerate(islice(small, BLOCK)):
        zeros = (None, 0.3, 0.9)[number % 3]
        network = single(replace(case.layer, ifmap_zero_fraction=zeros), case.batch)
        chip = {"hw": load_hardware(case.hw, case.overrides), "mapping": str(case.mapping)}
        found = run(network, **chip, values=Values(seed=number))
        try:
            elements += assert_values(found, run(network, **chip), number)
        except AssertionError as error:
            error.add_note(case.to_yaml())
            raise
    tell(HEADING, f"{BLOCK} random layers of seed {SEED + block}: {elements} elements equal")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CONV1", "CONV2", "CONV3", "CONV4", "CONV5", "FC6"])
def test_alexnet(name: str, tell: Tell) -> None:
    found = run("alexnet", layers=[name], batch=1, values=Values(seed=4))
    elements = assert_values(found, run("alexnet", layers=[name], batch=1), 4)
    tell(HEADING, f"alexnet {name}, batch 1: {elements} elements equal")


SMALL = Layer(name="S", M=6, C=5, H=9, W=8, R=3, S=2, U=2, V=1, pad_left=1)


def words_for(layer: Layer, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(5)
    ifmap = generator.integers(low, high, (1, layer.G * layer.C, layer.H, layer.W))
    return ifmap, generator.integers(low, high, (layer.M, layer.C, layer.R, layer.S))


@pytest.mark.parametrize("extreme", [-(1 << 15), (1 << 15) - 1])
def test_extreme_words_are_exact_in_wide_psums(extreme: int) -> None:
    ifmap = np.full((1, 5, 9, 8), extreme)
    filters = np.full((6, 5, 3, 2), -(1 << 15))
    result = run(single(SMALL), values=Values(ifmap=ifmap, filters=filters))
    values = result.layers[0].values
    assert values is not None
    assert values.wrong == 0
    assert abs(values.ofmap).max() == 5 * 3 * 2 * abs(extreme) << 15


def test_psums_of_16_bit_wrap_as_numpys_do() -> None:
    ifmap, filters = words_for(SMALL, -(1 << 15), 1 << 15)
    hw = load_hardware("eyeriss_v1", ["arithmetic.psum_bits=16"])
    given = Values(ifmap=ifmap, filters=filters)
    wrapped = run(single(SMALL), hw=hw, mapping="m=6,n=1,e=2,p=2,q=2,r=2,t=2", values=given)
    values = wrapped.layers[0].values
    assert values is not None
    assert values.wrong == 0
    exact = convolve(SMALL, ifmap, filters)
    assert (values.ofmap == exact.astype(np.int16)).all()
    assert (values.ofmap != exact).any()


def test_words_within_16_bit_need_no_wrapping() -> None:
    ifmap, filters = words_for(SMALL, -8, 9)
    hw = load_hardware("eyeriss_v1", ["arithmetic.psum_bits=16"])
    given = Values(ifmap=ifmap, filters=filters)
    ofmaps = [run(single(SMALL), hw=chip, values=given).layers[0] for chip in (hw, "eyeriss_v1")]
    assert all(layer.values is not None for layer in ofmaps)
    assert (ofmaps[0].values.ofmap == ofmaps[1].values.ofmap).all()  # type: ignore[union-attr]


def test_zeros_of_given_words_are_counted_and_not_guessed() -> None:
    ifmap, filters = words_for(SMALL, -2, 3)
    layer = replace(SMALL, ifmap_zero_fraction=0.99)  # says nothing once there are words
    result = run(single(layer), values=Values(ifmap=ifmap, filters=filters)).layers[0]
    gated = zero_products(layer, ifmap)
    assert 0 < gated < layer.macs(1) / 2
    assert result.entries["mac.gated"] == gated
    assert result.entries["spad.filter.read"] == layer.macs(1) - gated
    bare = run(single(layer)).layers[0]
    assert_same_timing(result, bare)


def test_an_empty_ifmap_gates_every_mac() -> None:
    ifmap, filters = np.zeros((1, 5, 9, 8), np.int64), words_for(SMALL, -9, 9)[1]
    result = run(single(SMALL), values=Values(ifmap=ifmap, filters=filters)).layers[0]
    assert result.entries["mac.gated"] == SMALL.macs(1)
    assert result.entries["mac.active"] == 0
