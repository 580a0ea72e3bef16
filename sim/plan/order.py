"""Classes of equal passes, and the order of a layer's passes, written short.

A mapping's loops repeat a few classes of pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PassClass:
    """Passes that are equal to the cycle: their `PassShape`, the cycles of one, and how many.

    Engine and closed form each add what they know of one.
    """

    shape: Any
    cycles: int
    passes: int

    @property
    def all_cycles(self) -> int:
        """Cycles of all its passes."""
        return self.cycles * self.passes


Runs = tuple[tuple[int, int], ...]
"""(class of pass, by its place in a list, and how many of it in a row)."""

Order = tuple[tuple[int, Runs], ...]
"""(how often it is repeated, the passes of one m-block)."""


def fold(passes: Iterable[tuple[int, bool]]) -> Order:
    """Return the order of passes given one by one as (class, whether it ends an m-block).

    Unfolding gives every pass back in its place.
    """
    return fold_blocks(_blocks(passes))


def fold_blocks(blocks: Iterable[Runs]) -> Order:
    """Return the order of m-blocks given one by one."""
    folded: list[tuple[int, Runs]] = []
    for block in blocks:
        if folded and folded[-1][1] == block:
            folded[-1] = folded[-1][0] + 1, block
        else:
            folded.append((1, block))
    return tuple(folded)


def runs_of(kinds: Iterable[int]) -> Runs:
    """Return classes of pass, given one after the other, as runs of equal ones."""
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
