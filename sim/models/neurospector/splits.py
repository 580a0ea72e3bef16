"""Factorizations of a layer's parameters over rows of a table, in the order of the tool's walks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.models.neurospector.accelerator import ARRAYS, PARAMETERS, ROWS, Accelerator

Array = NDArray[Any]

BLOCK = 200_000
"""Tables held at a time: some 100 MB with all that is computed of them."""

LAST = np.iinfo(np.int64).max


@cache
def divisors(value: int) -> tuple[int, ...]:
    """Return divisors, ascending."""
    small = [d for d in range(1, math.isqrt(value) + 1) if value % d == 0]
    return tuple(small + [value // d for d in reversed(small) if d * d != value])


@cache
def splits(value: int, parts: int) -> Array:
    """Return all ordered tuples of so many factors whose product is `value`, (n, parts).

    The first factor runs over the divisors, ascending, then the others in the same way.
    """
    if parts == 1:
        return np.array([[value]], np.int64)
    blocks = []
    for first in divisors(value):
        rest = splits(value // first, parts - 1)
        blocks.append(np.hstack([np.full((len(rest), 1), first, np.int64), rest]))
    return np.vstack(blocks)


@cache
def count_splits(value: int, parts: int) -> int:
    """Return how many `splits` there are."""
    if parts == 1:
        return 1
    return sum(count_splits(value // first, parts - 1) for first in divisors(value))


def unit_limits(accelerator: Accelerator, rows: Sequence[int]) -> dict[int, int]:
    """Return the most units of each spatial row among `rows`."""
    limits = {}
    for first in ARRAYS.values():
        for side in range(2):
            if first + side in rows and first in accelerator.arrays:
                limits[first + side] = accelerator.arrays[first].size[side]
    return limits


def walk(
    values: Sequence[int], rows: Sequence[int], base: Array, limits: Mapping[int, int]
) -> Iterator[tuple[Array, Array]]:
    """Return all ways to split `values` over `rows` of the table `base`, in blocks.

    Yields indices (n,), ascending, and tables (n, 10, 8). K is the highest digit of the index, G
    the lowest. Ways in which a row has more units than its limit are left out.
    """
    every = [splits(value, len(rows)) for value in values]
    limited = [(rows.index(row), limit) for row, limit in limits.items()]

    def extend(index: Array, chosen: Array, units: Array, column: int) -> Iterator[Any]:
        if column == len(values):
            yield index, chosen
            return
        options = every[column]
        for start in range(0, len(index), step := max(1, BLOCK // len(options))):
            part = slice(start, start + step)
            more = units[part, None, :] * options[None, :, [place for place, _ in limited]]
            fits = np.ones(more.shape[:2], bool)
            for place, (_, limit) in enumerate(limited):
                fits &= more[:, :, place] <= limit
            left, right = np.nonzero(fits)
            yield from extend(
                index[part][left] * len(options) + right,
                np.concatenate([chosen[part][left], options[right][:, :, None]], axis=2),
                more[left, right],
                column + 1,
            )

    begin = np.zeros((1, len(rows), 0), np.int64)
    ones = np.ones((1, len(limited)), np.int64)
    for index, chosen in extend(np.zeros(1, np.int64), begin, ones, 0):
        tables = np.broadcast_to(base, (len(index), len(ROWS), len(PARAMETERS))).copy()
        tables[:, list(rows)] = chosen
        yield index, tables


def visits(index: Array) -> Array:
    """Return when the tool's walk comes by: it begins with index 1 and ends with index 0."""
    return np.where(index == 0, LAST, index)


@cache
def freedom_of(value: int) -> int:
    """Return roughly how many prime factors of `value` are left to place, less a last one."""
    count, factor = 0, 2
    while factor < value:
        while value % factor == 0:
            count += 1
            value //= factor
        factor += 1
    return count
