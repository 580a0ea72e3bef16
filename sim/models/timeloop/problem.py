"""Timeloop's problem: dimensions, data spaces that project them, and the bounds of an instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Final

from sim.models.timeloop.nodes import LARGEST, Node
from workloads.inputs.words import shown, unknown_name

CNN_LAYER: Final = "cnn-layer"
_CNN_DIMENSIONS: Final = ("R", "S", "P", "Q", "C", "K", "N")
_CNN_SPACES: Final[Mapping[str, tuple[tuple[tuple[str, str], ...], ...]]] = {
    "Weights": ((("C", ""),), (("K", ""),), (("R", ""),), (("S", ""),)),
    "Inputs": (
        (("N", ""),),
        (("C", ""),),
        (("R", "Wdilation"), ("P", "Wstride")),
        (("S", "Hdilation"), ("Q", "Hstride")),
    ),
    "Outputs": ((("N", ""),), (("K", ""),), (("Q", ""),), (("P", ""),)),
}
"""Ranks of each data space: sums of a dimension times a coefficient, where it has one."""

_MOST_NAMES = 64


@dataclass(frozen=True)
class DataSpace:
    """A tensor: each rank is a sum of (dimension, coefficient)."""

    name: str
    ranks: tuple[tuple[tuple[int, int], ...], ...]
    read_write: bool

    def extents(self, sizes: list[int]) -> tuple[int, ...]:
        """Return the size of each rank of a box of the operation space."""
        return tuple(
            1 + sum(coefficient * (sizes[dimension] - 1) for dimension, coefficient in rank)
            for rank in self.ranks
        )

    def shift(self, dimension: int, step: int) -> tuple[int, ...]:
        """Return how far each rank moves where a dimension moves by `step`."""
        return tuple(
            sum(coefficient * step for each, coefficient in rank if each == dimension)
            for rank in self.ranks
        )


@dataclass(frozen=True)
class Problem:
    """Names of the dimensions, how far each goes, and the data spaces."""

    node: Node
    dimensions: tuple[str, ...]
    bounds: tuple[int, ...]
    spaces: tuple[DataSpace, ...]

    @property
    def computes(self) -> int:
        """Points of the operation space."""
        return prod(self.bounds)


def read_problem(node: Node) -> Problem:
    """Read the value of the key `problem`.

    Raises:
        InputError: a key is missing or wrong; with its line.

    """
    if node.get("densities") is not None:
        raise node.need("densities").refuse("sparse problems are not modelled: leave densities out")
    instance = node.get("instance") or node  # the oldest files give bounds beside the shape
    densities = instance.get("densities")
    if densities is not None and densities.data not in ({}, []):
        raise densities.refuse("sparse problems are not modelled: leave densities out")
    shape = node.need("shape")
    if isinstance(shape.data, str):
        return _predefined(node, shape, instance)
    dimensions = [each.text() for each in shape.need("dimensions").items()]
    if not 1 <= len(dimensions) <= _MOST_NAMES or len(set(dimensions)) < len(dimensions):
        raise shape.need("dimensions").refuse(f"must be 1 to {_MOST_NAMES} different names")
    coefficients = {}
    listed = shape.get("coefficients")
    for each in listed.items() if listed else []:
        name = each.need("name").text()
        given = instance.get(name) or each.get("default")
        coefficients[name] = _coefficient(given) if given else 1
    spaces = [
        _space(each, dimensions, coefficients)
        for each in shape.need("data_spaces").items()[:_MOST_NAMES]
    ]
    names = [space.name for space in spaces]
    if not spaces or len(set(names)) < len(names):
        raise shape.need("data_spaces").refuse("must be data spaces of different names")
    if sum(space.read_write for space in spaces) != 1:
        raise shape.need("data_spaces").refuse("one of them must be read-write, the result")
    return _problem(node, instance, dimensions, spaces)


def _problem(node: Node, instance: Node, dimensions: list[str], spaces: list[DataSpace]) -> Problem:
    bounds = [instance.need(name).whole() for name in dimensions]
    if prod(bounds) > LARGEST:
        raise instance.refuse("has more than 2**53 computes, which doubles do not count")
    return Problem(node, tuple(dimensions), tuple(bounds), tuple(spaces))


def _coefficient(node: Node) -> int:
    value = node.number()
    if value < 1 or value != int(value):
        raise node.refuse(f"must be a whole number from 1, got {value}; others are not modelled")
    return node.whole()


def _space(node: Node, dimensions: list[str], coefficients: dict[str, int]) -> DataSpace:
    ranks = []
    for rank in node.need("projection").items():
        terms = []
        for product in rank.items():
            factors = [each.text() for each in product.items()]
            if not 1 <= len(factors) <= 2:
                raise product.refuse("must be [DIMENSION] or [DIMENSION, COEFFICIENT]")
            if factors[0] not in dimensions:
                raise product.refuse(unknown_name("dimension", factors[0], dimensions))
            if len(factors) > 1 and factors[1] not in coefficients:
                raise product.refuse(unknown_name("coefficient", factors[1], coefficients))
            factor = coefficients[factors[1]] if len(factors) > 1 else 1
            terms.append((dimensions.index(factors[0]), factor))
        ranks.append(tuple(terms))
    written = node.get("read_write")
    return DataSpace(
        node.need("name").text(), tuple(ranks), written.truth() if written is not None else False
    )


def _predefined(node: Node, shape: Node, instance: Node) -> Problem:
    if shape.data not in (CNN_LAYER, CNN_LAYER.replace("-", "_")):
        raise shape.refuse(f"no shape {shown(shape.data)}; known: {CNN_LAYER}, or a mapping")
    dimensions = list(_CNN_DIMENSIONS)

    def factor(name: str) -> int:
        given = instance.get(name) if name else None
        return _coefficient(given) if given is not None else 1

    spaces = [
        DataSpace(
            name,
            tuple(
                tuple((dimensions.index(dimension), factor(by)) for dimension, by in rank)
                for rank in ranks
            ),
            name == "Outputs",
        )
        for name, ranks in _CNN_SPACES.items()
    ]
    return _problem(node, instance, dimensions, spaces)
