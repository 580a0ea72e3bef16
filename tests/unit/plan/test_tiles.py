"""What crosses the DRAM link beside filters: whether it is coded, its bits, and its time."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from hw_models.load import load_hardware
from sim.plan.dram_traffic import RealTile, Traffic
from sim.plan.rlc import encode, expected_words64
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


def test_of_the_shipped_networks_all_is_coded_but_inputs_and_data_with_few_zeros() -> None:
    found = {
        name: [
            f"{layer.name} {kind}"
            for layer in load_network(name).layers
            for kind, how in Traffic.of(layer, CHIP).coding.items()
            if layer.kind == "conv" and how == "raw"
        ]
        for name in ("alexnet", "vgg16")
    }
    # 24.8 % zeros lie just below the quarter from which the code of 16-bit words gains.
    assert found == {
        "alexnet": ["CONV1 ifmap"],
        "vgg16": ["CONV1-1 ifmap", "CONV1-2 ofmap", "CONV2-1 ifmap"],
    }


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_tiles_have_the_width_of_their_words(bits: int) -> None:
    settings = [f"word_bits.ifmap={bits}", "word_bits.filter=16", "word_bits.psum=16"]
    layer = replace(LAYER, ifmap_zero_fraction=0.75, ofmap_zero_fraction=0.9)
    traffic = Traffic.of(layer, load_hardware("eyeriss_v1", settings))
    assert traffic.ifmap_bits(3000) == 64 * expected_words64(3000, 0.75, bits)
    # The ofmap is as wide as the next layer's ifmap, not as the psums.
    assert traffic.ofmap_bits(3000) == 64 * expected_words64(3000, 0.9, bits)
    plain = Traffic.of(LAYER, load_hardware("eyeriss_v1", [*settings, "dram.rlc=false"]))
    assert plain.ifmap_bits(3000) == plain.ofmap_bits(3000) == 3000 * bits


def test_words_too_wide_for_a_pair_go_as_they_are() -> None:
    wide = ["word_bits.ifmap=64", "noc.psum_words_per_cycle=4"]
    assert Traffic.of(LAYER, load_hardware("eyeriss_v1", wide)).ifmap_bits(3000) == 3000 * 64


@pytest.mark.parametrize(
    ("share", "coded"), [(0.0, False), (0.25, False), (0.251, True), (1.0, True)]
)
def test_code_is_used_where_it_is_smaller(share: float, coded: bool) -> None:
    """Three pairs in 64 bit take a third more than 16-bit words, so a quarter must be zeros."""
    layer = replace(LAYER, ifmap_zero_fraction=share, ofmap_zero_fraction=share)
    traffic = Traffic.of(layer, CHIP)
    how = "expected" if coded else "raw"
    assert traffic.coding == {"ifmap": how, "ofmap": how}
    for words in (1, 7, 3000):  # whatever the tile: one tensor is cut in many ways
        plain = 16 * words
        bits = 64 * expected_words64(words, share) if coded else plain
        assert traffic.ifmap_bits(words) == traffic.ofmap_bits(words) == bits


@pytest.mark.parametrize(
    ("bits", "shares"), [(4, (0.56, 0.57)), (8, (0.49, 0.51)), (32, (0.49, 0.51))]
)
def test_where_code_gains_depends_on_the_width(bits: int, shares: tuple[float, float]) -> None:
    """Four pairs of 8 bit take 16 bit each, one of 32 takes 64, seven of 4 take 9 1/7."""
    hardware = load_hardware("eyeriss_v1", [f"word_bits.ifmap={bits}"])
    layers = [replace(LAYER, ifmap_zero_fraction=share) for share in shares]
    assert [Traffic.of(layer, hardware).coding["ifmap"] for layer in layers] == ["raw", "expected"]


def test_real_words_are_coded_where_all_their_tiles_are_smaller_so() -> None:
    traffic = Traffic.of(LAYER, CHIP)
    few, many = RealTile.of(np.arange(90) % 9 == 0), RealTile.of(np.arange(900) % 2 == 0)
    assert traffic.real_bits([few], codable=True) == ("raw", (90 * 16,))
    assert traffic.real_bits([few, many], codable=True) == ("words", (27 * 64, 150 * 64))
    assert traffic.real_bits([many], codable=False) == ("raw", (900 * 16,))
    assert traffic.real_bits([], codable=True) == ("raw", ())


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
