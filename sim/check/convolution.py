"""The convolution that a layer computes, in NumPy, with which the machine's ofmap is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from workloads.layer import Layer


def convolve(
    layer: Layer,
    ifmap: NDArray[np.int64],
    filters: NDArray[np.int64],
    psum_bits: int | None = None,
) -> NDArray[np.int64]:
    """Return the layer's ofmap (N, M, E, F) before ReLU, in exact integers.

    `ifmap` is (N, G*C, H, W), `filters` (M, C, R, S). With `psum_bits` the sums wrap to that many
    bits in two's complement, as the chip's do; wrapping once at the end is the same as after every
    sum.
    """
    padded = _padded(layer, ifmap.astype(np.int64))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (layer.R, layer.S), axis=(2, 3))
    windows = windows[:, :, :: layer.U, :: layer.V]
    images = ifmap.shape[0]
    windows = windows.reshape(images, layer.G, layer.C, layer.E, layer.F, layer.R, layer.S)
    grouped = filters.astype(np.int64).reshape(layer.G, layer.Mg, layer.C, layer.R, layer.S)
    # (N, G, E, F, C*R*S) x (G, C*R*S, Mg)
    left = windows.transpose(0, 1, 3, 4, 2, 5, 6).reshape(
        images, layer.G, layer.E * layer.F, layer.C * layer.R * layer.S
    )
    right = grouped.reshape(layer.G, layer.Mg, -1).transpose(0, 2, 1)
    sums = np.matmul(left, right[None])
    ofmap: NDArray[np.int64] = sums.transpose(0, 1, 3, 2).reshape(images, layer.M, layer.E, layer.F)
    if psum_bits is not None:
        half = 1 << (psum_bits - 1)
        ofmap = (ofmap + half) % (2 * half) - half
    return ofmap


def zero_products(layer: Layer, ifmap: NDArray[np.int64]) -> int:
    """Return the products whose word of `ifmap` (N, G*C, H, W), padding included, is zero.

    These are the MACs that the chip gates. Filter tap by filter tap, with nothing of the machine's
    windows in it; each zero is met by the filters of its group.
    """
    zero = _padded(layer, ifmap) == 0
    met = 0
    for i in range(layer.R):
        for j in range(layer.S):
            rows = i + layer.U * np.arange(layer.E)
            columns = j + layer.V * np.arange(layer.F)
            met += int(zero[:, :, rows][:, :, :, columns].sum())
    return met * layer.Mg


def _padded(layer: Layer, ifmap: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.pad(
        ifmap,
        ((0, 0), (0, 0), (layer.pad_top, layer.pad_bottom), (layer.pad_left, layer.pad_right)),
    )
