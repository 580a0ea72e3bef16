"""The first-order energy estimator of 2022 for Eyeriss-like chips, as its author wrote it.

It counts words from a layer's shape alone, for one image, with groups ignored and every memory as
large as it needs to be; `sim.check.audit` says where that differs from the simulated machine.
Per layer, with filter size `k`, channels `C`, filters `M`, padded ifmap size `hp`, ofmap size `o`,
the share `d = 1 - z` of weights left by pruning, `rep = floor(A/k)` and `fold = ceil(o/B)` on an
array of `A x B` = 12 x 14 PEs:

    convolution  weight (times d)           ifmap                               psum
    DRAM         k^2 C M                    hp^2 C                              o^2 M
    GLB          k^2 C M                    hp^2 C, times M if rep < fold       2 o^2 (C-1) M
    NoC          o k^2 C M if rep >= fold,  floor(rep/fold) k o hp C if         (k-1) o^2 C M
                 else rep B k^2 C M         rep >= fold, else k o hp C M
    RF           k^2 o^2 C M                k o hp C M                          2 (k-1) k o^2 C M
    computation  k^2 C M o^2 d

    fully connected (k the ifmap's size)
    weights k^2 C M d on every level; ifmap k^2 C, k^2 C, rep B k^2 C, k^2 C M;
    psum M, 2 (C-1) M, (k-1) C M, 2 (k-1) k C M; computation k^2 C M d

Energies per 16-bit word are DRAM 200, GLB 6, NoC 2, RF 1 and MAC 1; weights scale with their bits
over 16, ifmaps and psums with the activation's, a MAC with both. All numbers here are exact
fractions; `to_dict` gives the nearest floats.

The original knows square shapes only. An oblong one is read in the sense of row stationary: `k` is
the filter's rows R where it counts rows or PEs and its columns S where it counts products of a row,
`o` the ofmap's rows E where it counts PE columns, `hp` the ifmap's columns where a row is sent.
Depthwise layers go through the same formulas, groups ignored, and are overrated by their groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import exact, unknown_name
from workloads.layer import Layer
from workloads.network import Network
from workloads.precision import FULL_BITS, Precision

__all__ = [
    "ARRAY",
    "DATA_TYPES",
    "LEVELS",
    "PRICES",
    "FirstOrderLayer",
    "FirstOrderResult",
    "estimate_layer",
    "estimate_network",
]

Level: TypeAlias = Literal["dram", "glb", "noc", "rf"]
DataType: TypeAlias = Literal["weight", "ifmap", "psum"]

ARRAY: Final = (12, 14)
"""Rows A and columns B of the array."""
LEVELS: Final[tuple[Level, ...]] = ("dram", "glb", "noc", "rf")
DATA_TYPES: Final[tuple[DataType, ...]] = ("weight", "ifmap", "psum")
PRICES: Final[Mapping[Level, int]] = {"dram": 200, "glb": 6, "noc": 2, "rf": 1}
"""Energy of a 16-bit word by level, normalised to a MAC (ISCA 2016, Table IV)."""


@dataclass(frozen=True)
class FirstOrderLayer:
    """One layer's estimate.

    `words` are counts of words by level and data type, those of weights after pruning; `energies`
    are these times price and width. `macs` are the products after pruning, `computation` their
    energy.
    """

    layer: Layer
    precision: Precision
    rep: int
    fold: int
    macs: Fraction
    words: Mapping[tuple[Level, DataType], Fraction]

    @property
    def ofmap(self) -> tuple[int, int, int]:
        """Filters, rows and columns of the ofmap."""
        return (self.layer.M, self.layer.E, self.layer.F)

    @property
    def computation(self) -> Fraction:
        """Energy of the MACs, linear in the width of both operands."""
        bits = self.precision.weight_bits * self.precision.activation_bits
        return self.macs * Fraction(bits, FULL_BITS**2)

    @property
    def energies(self) -> dict[tuple[Level, DataType], Fraction]:
        """Energy of the words by level and data type."""
        return {
            (level, kind): count * PRICES[level] * self._width(kind)
            for (level, kind), count in self.words.items()
        }

    def _width(self, kind: DataType) -> Fraction:
        bits = self.precision
        return Fraction(bits.weight_bits if kind == "weight" else bits.activation_bits, FULL_BITS)

    @property
    def data(self) -> Fraction:
        """Energy of all data movement."""
        return sum(self.energies.values(), Fraction())

    @property
    def total(self) -> Fraction:
        """Energy of computation and data."""
        return self.computation + self.data

    @property
    def by_level(self) -> dict[str, Fraction]:
        """Energy of data by level; with `computation` it sums to `total` exactly."""
        energies = self.energies
        return {
            level: sum((energies[level, kind] for kind in DATA_TYPES), Fraction())
            for level in LEVELS
        }

    @property
    def by_data_type(self) -> dict[str, Fraction]:
        """Energy by data type and of computation; sums to `total` exactly."""
        energies = self.energies
        found = {"computation": self.computation}
        for kind in DATA_TYPES:
            found[kind] = sum((energies[level, kind] for level in LEVELS), Fraction())
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return every figure of the layer as plain data."""
        energies = self.energies
        return {
            "name": self.layer.name,
            "ofmap": list(self.ofmap),
            "pruned": self.precision.pruned,
            "weight_bits": self.precision.weight_bits,
            "activation_bits": self.precision.activation_bits,
            "rep": self.rep,
            "fold": self.fold,
            "macs": float(self.macs),
            "words": {
                level: {kind: float(self.words[level, kind]) for kind in DATA_TYPES}
                for level in LEVELS
            },
            "energy": {
                level: {kind: float(energies[level, kind]) for kind in DATA_TYPES}
                for level in LEVELS
            },
            "computation": float(self.computation),
            "data": float(self.data),
            "total": float(self.total),
        }


@dataclass(frozen=True)
class FirstOrderResult:
    """A network's estimate, per image, normalised to one 16-bit MAC."""

    network: str
    layers: tuple[FirstOrderLayer, ...]

    @property
    def computation(self) -> Fraction:
        """Energy of the MACs of all layers."""
        return sum((layer.computation for layer in self.layers), Fraction())

    @property
    def total(self) -> Fraction:
        """Energy of an image."""
        return sum((layer.total for layer in self.layers), Fraction())

    @property
    def by_level(self) -> dict[str, Fraction]:
        """Energy of data by level, over all layers."""
        return _added([layer.by_level for layer in self.layers])

    @property
    def by_data_type(self) -> dict[str, Fraction]:
        """Energy by data type and of computation, over all layers."""
        return _added([layer.by_data_type for layer in self.layers])

    @property
    def by_layer(self) -> dict[str, Fraction]:
        """Energy by layer."""
        return {layer.layer.name: layer.total for layer in self.layers}

    def charts(self) -> dict[str, Any]:
        """Return the data of the original's five charts.

        `layers_by_data_type` and `layers_by_level` are stacked bars, layer -> part -> energy, the
        parts from the bottom up; `levels`, `data_types` and `layers` are pies, part -> energy. As
        in the original, the charts by level leave computation out.
        """
        order = ("ifmap", "psum", "weight", "computation")
        return {
            "layers_by_data_type": {
                layer.layer.name: {part: float(layer.by_data_type[part]) for part in order}
                for layer in self.layers
            },
            "layers_by_level": {layer.layer.name: _floats(layer.by_level) for layer in self.layers},
            "levels": _floats(self.by_level),
            "data_types": _floats(self.by_data_type),
            "layers": _floats(self.by_layer),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the estimate as plain data."""
        return {
            "model": "first-order",
            "network": self.network,
            "unit": "normalised",
            "images": 1,
            "layers": [layer.to_dict() for layer in self.layers],
            "totals": {
                "total": float(self.total),
                "computation": float(self.computation),
                "by_level": _floats(self.by_level),
                "by_data_type": _floats(self.by_data_type),
                "by_layer": _floats(self.by_layer),
            },
        }


def estimate_layer(
    layer: Layer, precision: Precision | None = None, array: tuple[int, int] = ARRAY
) -> FirstOrderLayer:
    """Count every word and MAC of one layer and one image.

    `array` is (A, B), rows and columns of PEs. A filter of more than A rows gives `rep = 0`, and
    with it no word of its weights on the NoC: so the formulas have it.
    """
    precision = precision if precision is not None else Precision()
    rows_of_pes, columns_of_pes = array
    left = 1 - exact(precision.pruned)
    channels = layer.G * layer.C
    filters = layer.M
    taps = layer.R * layer.S
    rep = rows_of_pes // layer.R
    fold = -(-layer.E // columns_of_pes)
    weights = taps * channels * filters
    pixels = layer.E * layer.F
    psums = pixels * filters
    row_words = layer.R * layer.E * layer.padded_columns * channels
    enough = rep >= fold
    ifmap = layer.padded_rows * layer.padded_columns * channels
    if layer.kind == "fc":
        noc_weights, rf_weights = weights, weights
        glb_ifmap, noc_ifmap, rf_ifmap = ifmap, rep * columns_of_pes * ifmap, ifmap * filters
    else:
        noc_weights = weights * (layer.E if enough else rep * columns_of_pes)
        rf_weights = weights * pixels
        glb_ifmap = ifmap if enough else ifmap * filters
        noc_ifmap = rep // fold * row_words if enough else row_words * filters
        rf_ifmap = row_words * filters
    words: dict[tuple[Level, DataType], Fraction] = {
        ("dram", "weight"): weights * left,
        ("glb", "weight"): weights * left,
        ("noc", "weight"): noc_weights * left,
        ("rf", "weight"): rf_weights * left,
        ("dram", "ifmap"): Fraction(ifmap),
        ("glb", "ifmap"): Fraction(glb_ifmap),
        ("noc", "ifmap"): Fraction(noc_ifmap),
        ("rf", "ifmap"): Fraction(rf_ifmap),
        ("dram", "psum"): Fraction(psums),
        ("glb", "psum"): Fraction(2 * psums * (channels - 1)),
        ("noc", "psum"): Fraction((layer.R - 1) * psums * channels),
        ("rf", "psum"): Fraction(2 * (layer.S - 1) * layer.R * psums * channels),
    }
    macs = weights * pixels * left
    return FirstOrderLayer(layer, precision, rep, fold, macs, words)


def estimate_network(
    network: Network,
    precisions: Mapping[str, Precision] | None = None,
    array: tuple[int, int] = ARRAY,
) -> FirstOrderResult:
    """Estimate a network; layers without a precision are dense and 16 bits wide.

    Raises `InputError` for a precision of a layer that the network does not have.
    """
    given = {name.casefold(): value for name, value in (precisions or {}).items()}
    known = {layer.name.casefold() for layer in network.layers}
    names = [layer.name for layer in network.layers]
    faults = [
        Fault(network.name, None, "", unknown_name("layer", name, names))
        for name in precisions or {}
        if name.casefold() not in known
    ]
    if faults:
        raise InputError(*faults)
    return FirstOrderResult(
        network.name,
        tuple(
            estimate_layer(layer, given.get(layer.name.casefold()), array)
            for layer in network.layers
        ),
    )


def _added(parts: Sequence[Mapping[str, Fraction]]) -> dict[str, Fraction]:
    found: dict[str, Fraction] = {}
    for part in parts:
        for name, value in part.items():
            found[name] = found.get(name, Fraction()) + value
    return found


def _floats(values: Mapping[str, Fraction]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
