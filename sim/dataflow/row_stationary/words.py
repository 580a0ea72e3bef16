"""Real words of a row stationary pass, in the order in which its program sends them, and back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from sim.dataflow.program import StreamWords
from sim.dataflow.row_stationary.program import filter_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.dataflow.row_stationary.passes import PassShape


@dataclass(frozen=True, slots=True)
class PassData:
    """Real words for a pass, for runs that carry values.

    `ifmap` is (images, channels, touched rows, touched columns), `filters` (filters, channels, R,
    S), `psums` (images, filters, strip rows, ofmap columns) or None in the first channel block.
    """

    ifmap: NDArray[np.int64]
    filters: NDArray[np.int64]
    psums: NDArray[np.int64] | None


def stream_words(shape: PassShape, data: PassData) -> StreamWords:
    """The words of a pass in the order of its streams."""
    filters = list(pairwise([0, *accumulate(shape.filters)]))
    channels = list(pairwise([0, *accumulate(shape.channels)]))
    rows = [
        data.filters[slice(*filters[k]), slice(*channels[channel_set]), filter_row].reshape(-1)
        for k, channel_set, filter_row in filter_rows(shape)
    ]
    psums = None
    if data.psums is not None:
        # By window, which is an image and a column; then filter set, ofmap row, filter.
        windows = data.psums.transpose(0, 3, 2, 1).reshape(shape.windows, shape.strip_rows, -1)
        sets = [windows[:, :, slice(*bounds)].reshape(shape.windows, -1) for bounds in filters]
        psums = np.concatenate(sets, axis=1).reshape(-1)
    return StreamWords(
        loads=np.concatenate(rows), feed=data.ifmap.transpose(0, 3, 1, 2).reshape(-1),
        psums_in=psums,
    )  # fmt: skip


def psum_block(shape: PassShape, words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Psums as they left a pass, as (images, filters, strip rows, ofmap columns)."""
    rows = shape.strip_rows
    bounds = list(accumulate(filters * rows for filters in shape.filters))[:-1]
    sets = [
        part.reshape(shape.images, shape.ofmap_columns, rows, -1)
        for part in np.split(words.reshape(shape.windows, -1), bounds, axis=1)
    ]
    return np.concatenate(sets, axis=3).transpose(0, 3, 2, 1)
