"""Row stationary's passes as programs and words, for the engine: `LOWERING`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.dataflow.program import Lowering, PassData, Program, Regions, StreamWords
from sim.dataflow.row_stationary.program import pass_program
from sim.dataflow.row_stationary.words import pass_regions, psum_block, stream_words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import Pass, PassShape, Plan


class RowStationaryLowering:
    """Programs of windows that PE sets compute, and words by diagonals and filter rows."""

    def program(self, shape: PassShape, hw: Hardware) -> Program:
        """Return the program of the passes of one shape."""
        return pass_program(shape, hw)

    def regions(self, plan: Plan, step: Pass) -> Regions:
        """Return the parts of the layer's tensors that a pass works on."""
        return pass_regions(plan, step)

    def stream_words(self, shape: PassShape, data: PassData, hw: Hardware) -> StreamWords:
        """Return the words of a pass in the order in which its program's streams send them."""
        return stream_words(shape, data, hw)

    def psum_block(
        self, shape: PassShape, words: NDArray[np.int64], hw: Hardware
    ) -> NDArray[np.int64]:
        """Return what left a pass as (images, filters, strip rows, ofmap columns)."""
        return psum_block(shape, words, hw)


LOWERING: Lowering = RowStationaryLowering()
