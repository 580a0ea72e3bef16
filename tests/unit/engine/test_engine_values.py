"""Real words in a pass, by hand: psums of a few products, at full width and at a narrow one."""

from __future__ import annotations

import numpy as np
import pytest
from engine_passes import chip, prefetched, shapes

from sim.dataflow.program import PassData
from sim.dataflow.row_stationary.words import psum_block
from sim.engine.passes import pass_machine


@pytest.mark.parametrize(
    ("bits", "psums"),
    [
        # Row 0: 3*100 = 300, row 1 adds -2*90 = -180, the psum from the GLB another 7.
        (None, [300 - 180 + 7, 300 + 180 + 7]),
        # 8 bits hold -128 to 127: 127 just fits, 487 is 487 - 512.
        (8, [127, -25]),
        (4, [127 - 128, 487 - 480]),
    ],
)
def test_psums_wrap_around_at_their_width(bits: int | None, psums: list[int]) -> None:
    hw = chip(f"arithmetic.psum_bits={bits}") if bits else chip()
    shape = shapes(hw, C=2, R=2, W=2)[1]  # the second channel block: psums come from the GLB
    data = PassData(
        ifmap=np.array([100, 100, 90, -90]).reshape(1, 1, 2, 2),
        filters=np.array([3, -2]).reshape(1, 1, 2, 1),
        psums=np.array([7, 7]).reshape(1, 1, 1, 2),
    )
    found = pass_machine(shape, hw, prefetched(shape, hw), data).run().psums
    assert found is not None
    assert found.tolist() == psums


def test_a_product_is_gated_where_its_ifmap_word_is_zero() -> None:
    # Windows (0 5), (5 0), (0 0) of two words, two filters: zeros 1 + 1 + 2 for each filter.
    shape = shapes(chip(), M=2, S=2, W=4, factors={"m": 2, "p": 2})[0]
    data = PassData(
        ifmap=np.array([0, 5, 0, 0]).reshape(1, 1, 1, 4),
        filters=np.array([1, 2, 3, 0]).reshape(2, 1, 1, 2),
        psums=None,
    )
    outcome = pass_machine(shape, chip(), prefetched(shape, chip()), data).run()
    assert outcome.gated_macs == 2 * 4
    assert outcome.psums is not None
    assert psum_block(shape, outcome.psums, chip())[0, :, 0].tolist() == [[10, 5, 0], [0, 15, 0]]
