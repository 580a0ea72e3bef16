"""What crosses the DRAM link beside filters: whether it is coded, its bits, and its time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from hw_models.load import load_hardware
from sim.plan.rlc import encode, expected_words64
from sim.plan.tiles import Traffic
from workloads.layer import Layer
from workloads.network import load_network

CHIP = load_hardware("eyeriss_v1")
LAYER = Layer(
    name="L",
    M=4,
    C=2,
    H=6,
    W=6,
    R=3,
    S=3,
    ifmap_zero_fraction=0.5,
    ofmap_zero_fraction=0.75,
)


def test_ifmaps_and_ofmaps_are_coded_by_their_zero_fractions() -> None:
    traffic = Traffic.of(LAYER, CHIP)
    assert traffic.ifmap_bits(3000) == 64 * expected_words64(3000, 0.5) == 64 * 501
    assert traffic.ofmap_bits(3000) == 64 * expected_words64(3000, 0.75) == 64 * 251


@pytest.mark.parametrize(
    ("changes", "settings", "coded_ifmap", "coded_ofmap"),
    [
        ({}, [], True, True),
        ({"network_input": True}, [], False, True),
        ({"ifmap_zero_fraction": None}, [], False, True),
        ({"ofmap_zero_fraction": None}, [], True, False),
        ({}, ["dram.rlc=false"], False, False),
    ],
)
def test_what_goes_as_it_is(
    changes: dict[str, object], settings: list[str], coded_ifmap: bool, coded_ofmap: bool
) -> None:
    layer = replace(LAYER, **changes)  # type: ignore[arg-type]
    traffic = Traffic.of(layer, load_hardware("eyeriss_v1", settings))
    assert (traffic.ifmap_bits(3000) != 48_000) is coded_ifmap
    assert (traffic.ofmap_bits(3000) != 48_000) is coded_ofmap


def test_of_the_shipped_networks_only_the_first_ifmap_is_not_coded() -> None:
    for name in ("alexnet", "vgg16"):
        layers = [layer for layer in load_network(name).layers if layer.kind == "conv"]
        coded = [Traffic.of(layer, CHIP).ifmap_zero_fraction is not None for layer in layers]
        assert coded == [False] + [True] * (len(layers) - 1)
        assert all(Traffic.of(layer, CHIP).ofmap_zero_fraction is not None for layer in layers)


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_tiles_have_the_width_of_their_words(bits: int) -> None:
    settings = [f"word_bits.ifmap={bits}", "word_bits.filter=16", "word_bits.psum=16"]
    traffic = Traffic.of(LAYER, load_hardware("eyeriss_v1", settings))
    assert traffic.ifmap_bits(3000) == 64 * expected_words64(3000, 0.5, bits)
    # The ofmap is as wide as the next layer's ifmap, not as the psums.
    assert traffic.ofmap_bits(3000) == 64 * expected_words64(3000, 0.75, bits)
    plain = Traffic.of(LAYER, load_hardware("eyeriss_v1", [*settings, "dram.rlc=false"]))
    assert plain.ifmap_bits(3000) == plain.ofmap_bits(3000) == 3000 * bits


def test_words_too_wide_for_a_pair_go_as_they_are() -> None:
    wide = ["word_bits.ifmap=64", "noc.psum_words_per_cycle=4"]
    assert Traffic.of(LAYER, load_hardware("eyeriss_v1", wide)).ifmap_bits(3000) == 3000 * 64


def test_no_words_take_no_bits() -> None:
    traffic = Traffic.of(LAYER, CHIP)
    assert (traffic.ifmap_bits(0), traffic.ofmap_bits(0), traffic.ticks(0)) == (0, 0, 0)


@pytest.mark.parametrize(
    ("bits", "beats"), [(1, 1), (16, 1), (64, 1), (65, 2), (128, 2), (129, 3), (64 * 1000, 1000)]
)
def test_time_is_in_whole_beats(bits: int, beats: int) -> None:
    """A beat is 10/3 core cycles: 10 ticks of a third of a cycle."""
    traffic = Traffic.of(LAYER, CHIP)
    assert traffic.beat == Fraction(10, 3)
    assert traffic.ticks(bits) == 10 * beats


def test_the_link_carries_480_mb_a_second() -> None:
    traffic = Traffic.of(LAYER, CHIP)
    bits = 8 * 480_000
    seconds = Fraction(traffic.ticks(bits), traffic.beat.denominator) / 200_000_000
    assert seconds == Fraction(1, 1000)


def test_a_tiles_size_is_that_of_the_coder_on_such_data() -> None:
    strip = 12_000
    generator = np.random.default_rng(5)
    data = np.where(generator.random(strip) < 0.5, 0, generator.integers(1, 1000, strip))
    found = 64 * encode(data).size
    # Some 6,000 pairs, give or take the root of a quarter of 12,000: 0.9 %, and three times that.
    assert Traffic.of(LAYER, CHIP).ifmap_bits(strip) == pytest.approx(found, rel=0.027)
