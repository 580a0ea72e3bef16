"""The toy's passes as programs and words."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from sim.dataflow.program import (
    FILTER,
    Beat,
    Burst,
    Load,
    OfmapBlock,
    PEProgram,
    Program,
    Regions,
    Stream,
    StreamWords,
    beat_sizes,
)


class Lowering:
    def program(self, shape: Any, hw: Any) -> Program:
        (r, s), k, m = shape.window, shape.operands, shape.filters
        beats = beat_sizes(m, hw.noc.psum_words_per_cycle)
        pixels = list(product(range(shape.rows), range(shape.columns)))
        everybody = tuple(range(len(pixels)))
        feed = [
            Beat(1, tuple(pe for pe, (y, x) in enumerate(pixels)
                          if 0 <= row - y < r and 0 <= column - x < s))
            for _, row, column in product(
                range(shape.channels), range(shape.rows + r - 1), range(shape.columns + s - 1)
            )
        ]  # fmt: skip
        sums = tuple(Beat(size, (pe,)) for pe in everybody for size in beats)
        return Program(
            pes=tuple(
                PEProgram(y, x, k, m, beats, (Burst(k, k),), 1,
                          OfmapBlock((0, 0, y, x), ((FILTER, m, 1),)), (y, x))
                for y, x in pixels
            ),
            links=(),
            loads=(
                Load("all filters", everybody,
                     beat_sizes(m * k, hw.noc.gin_filter_words_per_cycle),
                     tuple(word * m + f for f, word in product(range(m), range(k)))),
            ),
            feed=Stream("ifmap", "gin_ifmap", tuple(feed)),
            psums_in=None if shape.first_channels else Stream("psum", "gin_psum", sums),
            psums_out=Stream("psum", "gon_psum", sums),
            legend=("ofmap row", "ofmap column"),
        )  # fmt: skip

    def regions(self, plan: Any, step: Any) -> Regions:
        (image, m, y, x, c), shape = step.base, step.shape
        channels, filters = slice(c, c + shape.channels), slice(m, m + shape.filters)
        images, (r, s) = slice(image, image + 1), shape.window
        rows, columns = slice(y, y + shape.rows), slice(x, x + shape.columns)
        touched = slice(y, rows.stop + r - 1), slice(x, columns.stop + s - 1)
        return Regions(
            ifmap=(images, channels, *touched), filters=(filters, channels),
            psums=(images, filters, rows, columns),
        )  # fmt: skip

    def stream_words(self, shape: Any, data: Any, hw: Any) -> StreamWords:
        psums = None if data.psums is None else data.psums.transpose(0, 2, 3, 1).reshape(-1)
        return StreamWords(data.filters.reshape(-1), data.ifmap.reshape(-1), psums)

    def psum_block(self, shape: Any, words: Any, hw: Any) -> Any:
        pixels = np.reshape(words, (1, shape.rows, shape.columns, shape.filters))
        return pixels.transpose(0, 3, 1, 2)


LOWERING = Lowering()
