"""Tiles of real words on the DRAM link: each has the size of its own words, coded by `encode`."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from hw_models.load import load_hardware
from sim.account.result import LayerResult
from sim.check.convolution import convolve
from sim.dataflow.row_stationary.mapping import Mapping, parse_mapping
from sim.plan.rlc import encode
from sim.run import Values, estimate, run
from workloads.layer import Layer
from workloads.network import Network

# Ragged in every dimension, in two groups, with gaps between windows and padding.
LAYER = Layer(name="L", G=2, M=14, C=5, H=19, W=12, R=3, S=2, U=4, V=3, pad_top=1, pad_right=1)
MAPPING = parse_mapping("m=4,n=2,e=3,f=3,p=2,q=2,r=1,t=1")  # tiles of 3+1 columns
BATCH = 3


def words(zeros: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    generator = np.random.default_rng(11)
    ifmap = generator.integers(-99, 100, (BATCH, 10, 19, 12))
    ifmap[generator.random(ifmap.shape) < zeros] = 0
    return ifmap, generator.integers(-9, 10, (14, 5, 3, 2))


def one(
    layer: Layer, *settings: str, zeros: float = 0.6, base: str = "eyeriss_v1"
) -> tuple[LayerResult, NDArray[np.int64], NDArray[np.int64]]:
    ifmap, filters = words(zeros)
    network = Network("one", BATCH, (layer,))
    hw = load_hardware(base, settings)
    found = run(network, hw=hw, mapping=str(MAPPING), values=Values(ifmap=ifmap, filters=filters))
    return found.layers[0], ifmap, filters


def blocks(total: int, size: int) -> list[range]:
    return [range(first, min(first + size, total)) for first in range(0, total, size)]


def link_bytes(
    layer: Layer, ifmap: NDArray[np.int64], filters: NDArray[np.int64], dump: str, bits: int = 16
) -> dict[str, int]:
    """Bytes of strips and blocks, cut and coded one by one (docs/machine.md sections 2 and 8)."""
    f: Mapping = MAPPING
    padded = np.pad(ifmap, ((0, 0), (0, 0), (1, 0), (0, 1)))
    ofmap = np.clip(convolve(layer, ifmap, filters), 0, (1 << (bits - 1)) - 1)
    found = {"ifmap": 0, "ofmap": 0}

    def add(kind: str, tile: NDArray[np.int64]) -> None:
        found[kind] += 8 * encode(tile.reshape(-1), bits).size

    for group in range(layer.G):
        for images in blocks(BATCH, f.n):
            for tile, strip in product(blocks(layer.F, f.f), blocks(layer.E, f.e)):
                rows = sorted({u * layer.U + i for u in strip for i in range(layer.R)})
                columns = sorted({v * layer.V + j for v in tile for j in range(layer.S)})
                for m_block in blocks(layer.Mg, f.m):
                    for channels in blocks(layer.C, f.q * f.r):
                        here = [group * layer.C + c for c in channels]
                        add("ifmap", padded[np.ix_(images, here, rows, columns)])
                    size = f.p * f.t if dump == "filter_block" else f.m
                    for some in blocks(len(m_block), size):
                        here = [group * layer.Mg + m_block[i] for i in some]
                        add("ofmap", ofmap[np.ix_(images, here, strip, tile)])
    return found


@pytest.mark.parametrize("dump", ["filter_block", "m_block"])
@pytest.mark.parametrize("overlap", ["none", "full"])
def test_every_tile_has_the_size_of_its_own_words_coded(dump: str, overlap: str) -> None:
    layer, ifmap, filters = one(LAYER, f"dram.ofmap_dump={dump}", f"dram.overlap={overlap}")
    expected = link_bytes(LAYER, ifmap, filters, dump)
    assert {kind: layer.dram_bytes[kind] for kind in expected} == expected
    assert layer.dram_coding == {"ifmap": "words", "ofmap": "words"}


def test_what_a_file_declares_of_zeros_does_not_matter_to_real_words() -> None:
    bare = one(LAYER)[0]
    told = one(replace(LAYER, ifmap_zero_fraction=0.1, ofmap_zero_fraction=0.9))[0]
    assert bare.dram_bytes == told.dram_bytes
    assert bare.standstill_cycles == told.standstill_cycles
    assert bare.energy is not None
    assert told.energy is not None
    assert bare.energy.by_action == told.energy.by_action


def test_words_without_zeros_cross_as_they_are() -> None:
    layer = one(LAYER, zeros=0.0)[0]
    assert layer.dram_coding["ifmap"] == "raw"
    assert layer.dram_bytes["ifmap"] == 2 * layer.entries["dram.ifmap.read"]


@pytest.mark.parametrize(
    ("layer", "settings"), [(replace(LAYER, network_input=True), ()), (LAYER, ("dram.rlc=false",))]
)
def test_the_networks_input_and_a_chip_without_code(layer: Layer, settings: tuple[str]) -> None:
    found = one(layer, *settings)[0]
    assert found.dram_coding["ifmap"] == "raw"
    assert found.dram_bytes["ifmap"] == 2 * found.entries["dram.ifmap.read"]
    assert (found.dram_coding["ofmap"] == "words") is not settings


def test_tiles_of_an_int8_chip_have_levels_of_8_bit() -> None:
    layer, ifmap, filters = one(LAYER, base="eyeriss_int8", zeros=0.8)
    assert (
        layer.dram_bytes["ifmap"] == link_bytes(LAYER, ifmap, filters, "filter_block", 8)["ifmap"]
    )


def test_time_and_energy_of_the_link_follow_the_words() -> None:
    """Against the closed form, which knows of no zeros and moves the words as they are."""
    layer = one(LAYER)[0]
    plain = estimate(Network("one", BATCH, (LAYER,)), mapping=str(MAPPING)).layers[0]
    assert layer.energy is not None
    assert plain.energy is not None
    dram = "dram.ifmap.read"
    ratio = layer.energy.by_action[dram] / plain.energy.by_action[dram]
    assert ratio == Fraction(layer.dram_bytes["ifmap"], plain.dram_bytes["ifmap"])
    assert layer.standstill_cycles["ifmap_load"] < plain.standstill_cycles["ifmap_load"]
    assert layer.processing_cycles == plain.processing_cycles
