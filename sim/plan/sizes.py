"""Sizes of blocks that are worth trying."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sim.dataflow.base import ceil_div


@lru_cache(maxsize=4096)
def useful_sizes(total: int, most: int) -> tuple[int, ...]:
    """Return block sizes up to `most` that are the smallest for the number of blocks they give.

    >>> useful_sizes(13, 8)
    (1, 2, 3, 4, 5, 7)
    """
    return tuple(sorted({ceil_div(total, ceil_div(total, size)) for size in range(1, most + 1)}))


def thinned(sizes: Sequence[int], most: int) -> list[int]:
    """Return at most that many of the sizes, evenly spread, the smallest and the largest too."""
    if len(sizes) <= most:
        return list(sizes)
    return [sizes[place * (len(sizes) - 1) // (most - 1)] for place in range(most)]
