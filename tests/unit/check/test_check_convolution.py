"""NumPy's convolution against the sum written out: the reference has a reference, too."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from sim.check.convolution import convolve
from workloads.layer import Layer


def written_out(layer: Layer, ifmap: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Section 1 of docs/machine.md, a Python integer at a time."""
    images = ifmap.shape[0]
    ofmap = np.zeros((images, layer.M, layer.E, layer.F), dtype=object)
    for n, m, y, x in product(range(images), range(layer.M), range(layer.E), range(layer.F)):
        group = m // layer.Mg
        total = 0
        for c, i, j in product(range(layer.C), range(layer.R), range(layer.S)):
            row, column = y * layer.U + i - layer.pad_top, x * layer.V + j - layer.pad_left
            if 0 <= row < layer.H and 0 <= column < layer.W:
                word = ifmap[n, group * layer.C + c, row, column]
                total += int(word) * int(filters[m, c, i, j])
        ofmap[n, m, y, x] = total
    return ofmap


LAYERS = [
    Layer(name="plain", M=3, C=2, H=5, W=6, R=3, S=2),
    Layer(name="strides", M=2, C=2, H=9, W=8, R=3, S=3, U=2, V=3),
    Layer(name="beyond the filter", M=2, C=1, H=9, W=9, R=2, S=1, U=4, V=3),
    Layer(name="padded", M=2, C=2, H=4, W=4, R=3, S=3, pad_top=2, pad_left=1, pad_right=2),
    Layer(name="groups", G=3, M=6, C=2, H=4, W=4, R=2, S=2),
    Layer(name="depthwise", kind="depthwise", G=4, M=4, C=1, H=5, W=5, R=3, S=3, U=2, V=2),
    Layer(name="fc", kind="fc", M=5, C=7, H=1, W=1, R=1, S=1),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
@pytest.mark.parametrize("largest", [9, (1 << 15) - 1])
def test_the_ofmap(layer: Layer, largest: int) -> None:
    generator = np.random.default_rng(0)
    ifmap = generator.integers(-largest - 1, largest, (2, layer.G * layer.C, layer.H, layer.W))
    filters = generator.integers(-largest - 1, largest, (layer.M, layer.C, layer.R, layer.S))
    assert (convolve(layer, ifmap, filters) == written_out(layer, ifmap, filters)).all()


def test_narrow_words_do_not_overflow() -> None:
    layer = LAYERS[0]
    ifmap = np.full((1, 2, 5, 6), -(1 << 15), np.int16)
    filters = np.full((3, 2, 3, 2), -(1 << 15), np.int16)
    assert (convolve(layer, ifmap, filters) == 2 * 3 * 2 << 30).all()


@pytest.mark.parametrize(("bits", "dtype"), [(8, np.int8), (16, np.int16), (32, np.int32)])
def test_psums_wrap_as_a_cast_does(bits: int, dtype: type[np.signedinteger]) -> None:
    layer = LAYERS[1]
    generator = np.random.default_rng(1)
    ifmap = generator.integers(-(1 << 15), 1 << 15, (1, 2, 9, 8))
    filters = generator.integers(-(1 << 15), 1 << 15, (2, 2, 3, 3))
    exact = convolve(layer, ifmap, filters)
    assert (convolve(layer, ifmap, filters, bits) == exact.astype(dtype)).all()
