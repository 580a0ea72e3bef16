"""The order of passes, written short and read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sim.plan.order import Order, fold

BLOCKS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), max_size=8)


def unfolded(order: Order) -> list[int]:
    return [
        kind
        for times, runs in order
        for _ in range(times)
        for kind, many in runs
        for _ in range(many)
    ]


@given(BLOCKS, st.lists(st.integers(0, 2), max_size=4))
def test_unfolding_gives_every_pass_back(blocks: list[list[int]], rest: list[int]) -> None:
    """Whole m-blocks, and passes of one that has not ended."""
    passes = [(kind, place == len(b) - 1) for b in blocks for place, kind in enumerate(b)]
    passes += [(kind, False) for kind in rest]
    folded = fold(passes)
    assert unfolded(folded) == [kind for kind, _ in passes]
    assert sum(times for times, _ in folded) == len(blocks) + bool(rest)


def test_equal_m_blocks_and_equal_passes_are_counted() -> None:
    block = [(5, False), (5, False), (7, True)]
    assert fold([*block, *block, (7, True)]) == ((2, ((5, 2), (7, 1))), (1, ((7, 1),)))
