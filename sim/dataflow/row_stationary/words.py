"""Real words of a row stationary pass, in the order in which its program sends them, and back."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np

from sim.dataflow.program import Regions, StreamWords
from sim.dataflow.row_stationary.program import feed_order, filter_rows, psum_beats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
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
    """Return padded rows or columns that windows `first` to `first + count - 1` touch, once."""
    starts = (first + np.arange(count)) * stride
    return np.unique(starts[:, None] + np.arange(size)[None, :])


def stream_words(shape: PassShape, data: PassData, hw: Hardware) -> StreamWords:
    """Return the words of a pass in the order of its streams."""
    feed = data.ifmap.transpose(0, 3, 1, 2).reshape(shape.images * shape.ifmap_columns, -1)
    bases = [0, *accumulate(shape.channels)]
    rows = shape.ifmap_rows
    order = [(bases[k] + channel) * rows + row for k, channel, row in feed_order(shape, hw)]
    psums = None
    if data.psums is not None:
        # A window is an image and a column.
        windows = data.psums.transpose(0, 3, 2, 1).reshape(shape.windows, -1)
        psums = windows[:, _psum_order(shape, hw)].reshape(-1)
    return StreamWords(
        loads=_load_words(shape, data.filters, hw), feed=feed[:, order].reshape(-1), psums_in=psums
    )


def _load_words(shape: PassShape, filters: NDArray[np.int64], hw: Hardware) -> NDArray[np.int64]:
    """Return the filter words, (filters, channels, R, S), in the order of their bus."""
    filter_sets = list(pairwise([0, *accumulate(shape.filters)]))
    channel_sets = list(pairwise([0, *accumulate(shape.channels)]))
    width = hw.noc.gin_filter_words_per_cycle
    loads = []
    for k, channel_set, filter_row in filter_rows(shape, hw):
        words = filters[slice(*filter_sets[k]), slice(*channel_sets[channel_set]), filter_row]
        if hw.noc.filter_order == "use":
            words = words.transpose(2, 1, 0)
        loads.append(words.reshape(-1))
    if hw.noc.filter_order == "row":
        return np.concatenate(loads)
    most = max(map(len, loads))
    # A beat of each row in turn.
    beats = [words[first : first + width] for first in range(0, most, width) for words in loads]
    return np.concatenate(beats)


def _psum_order(shape: PassShape, hw: Hardware) -> list[int]:
    """Place among the (strip rows, filters) of a window of each psum, in the order of the buses."""
    bases = [0, *accumulate(shape.filters)]
    return [
        beat.ofmap_row * bases[-1] + bases[beat.filter_set] + beat.first + word
        for beat in psum_beats(shape, hw)
        for word in range(beat.words)
    ]


def psum_block(shape: PassShape, words: NDArray[np.int64], hw: Hardware) -> NDArray[np.int64]:
    """Return the psums as they left a pass, as (images, filters, strip rows, ofmap columns)."""
    windows = np.empty((shape.windows, shape.strip_rows * sum(shape.filters)), np.int64)
    windows[:, _psum_order(shape, hw)] = words.reshape(shape.windows, -1)
    block = windows.reshape(shape.images, shape.ofmap_columns, shape.strip_rows, -1)
    return block.transpose(0, 3, 2, 1)
