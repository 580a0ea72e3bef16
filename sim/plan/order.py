"""The order of a layer's passes, written short: a mapping's loops repeat a few kinds of pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Runs = tuple[tuple[int, int], ...]
"""(kind of pass, how many of it in a row)."""

Order = tuple[tuple[int, Runs], ...]
"""(how often it is repeated, the passes of one m-block)."""


def fold(passes: Iterable[tuple[int, bool]]) -> Order:
    """The order of passes given one by one as (kind, whether it ends an m-block).

    Unfolding gives every pass back in its place.
    """
    return fold_blocks(_blocks(passes))


def fold_blocks(blocks: Iterable[Runs]) -> Order:
    """The order of m-blocks given one by one."""
    folded: list[tuple[int, Runs]] = []
    for block in blocks:
        if folded and folded[-1][1] == block:
            folded[-1] = folded[-1][0] + 1, block
        else:
            folded.append((1, block))
    return tuple(folded)


def runs_of(kinds: Iterable[int]) -> Runs:
    """Kinds of pass one after the other, as runs of equal ones."""
    runs: list[tuple[int, int]] = []
    for kind in kinds:
        if runs and runs[-1][0] == kind:
            runs[-1] = kind, runs[-1][1] + 1
        else:
            runs.append((kind, 1))
    return tuple(runs)


def _blocks(passes: Iterable[tuple[int, bool]]) -> Iterator[Runs]:
    kinds: list[int] = []
    for kind, ends in passes:
        kinds.append(kind)
        if ends:
            yield runs_of(kinds)
            kinds = []
    if kinds:
        yield runs_of(kinds)
