"""The order of a layer's passes, written short: a mapping's loops repeat a few kinds of pass."""

from __future__ import annotations

from collections.abc import Iterable

Runs = tuple[tuple[int, int], ...]
"""(kind of pass, how many of it in a row)."""

Order = tuple[tuple[int, Runs], ...]
"""(how often it is repeated, the passes of one m-block)."""


def fold(passes: Iterable[tuple[int, bool]]) -> Order:
    """The order of passes given one by one as (kind, whether it ends an m-block).

    Unfolding gives every pass back in its place.
    """
    blocks: list[tuple[int, Runs]] = []
    runs: list[tuple[int, int]] = []
    for kind, ends in passes:
        if runs and runs[-1][0] == kind:
            runs[-1] = kind, runs[-1][1] + 1
        else:
            runs.append((kind, 1))
        if ends:
            block = tuple(runs)
            if blocks and blocks[-1][1] == block:
                blocks[-1] = blocks[-1][0] + 1, block
            else:
                blocks.append((1, block))
            runs = []
    if runs:
        blocks.append((1, tuple(runs)))
    return tuple(blocks)
