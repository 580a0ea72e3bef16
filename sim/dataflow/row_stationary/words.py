"""Real words of a row stationary pass, in the order in which its program sends them, and back."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from sim.dataflow.program import Regions, StreamWords
from sim.dataflow.row_stationary.program import filter_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.dataflow.program import PassData
    from sim.dataflow.row_stationary.passes import Pass, PassShape, Plan


def pass_regions(plan: Plan, step: Pass) -> Regions:
    """Return the parts of the layer's tensors that a pass works on."""
    layer, shape = plan.layer, step.shape
    images = np.arange(step.image_base, step.image_base + shape.images)
    channels = step.channel_base + np.arange(sum(shape.channels))
    first = step.group * layer.Mg + step.filter_base
    filters = slice(first, first + sum(shape.filters))
    return Regions(
        ifmap=np.ix_(
            images,
            step.group * layer.C + channels,
            _touched(step.row_base, shape.strip_rows, layer.U, layer.R),
            _touched(step.column_base, shape.ofmap_columns, layer.V, layer.S),
        ),
        filters=(filters, slice(step.channel_base, step.channel_base + len(channels))),
        psums=(
            slice(step.image_base, step.image_base + shape.images),
            filters,
            slice(step.row_base, step.row_base + shape.strip_rows),
            slice(step.column_base, step.column_base + shape.ofmap_columns),
        ),
    )


def _touched(first: int, count: int, stride: int, size: int) -> NDArray[np.int64]:
    """Padded rows or columns that windows `first` to `first + count - 1` touch, each once."""
    starts = (first + np.arange(count)) * stride
    return np.unique(starts[:, None] + np.arange(size)[None, :])


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
