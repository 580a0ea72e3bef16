"""Reads version 1 of the format, written by program 0.1.0, as version 2.

Version 1 knew row stationary alone: a PE had p filters, q channels and s filter columns, a template
images and ofmap columns. What a PE does is written out here as version 2 has it, so that nothing
else needs to know. Events are the same in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traces.events import PASS_DTYPE, PE_DTYPE
from traces.schema import PARTS, Schema
from traces.template import NO_PATTERN, legend_text
from workloads.layer import layer_from_dict

Rows = NDArray[Any]
MOST_VALUES = 1 << 22
"""Numbers that are added to a template at most; chips of that version need a few thousand."""
LEGEND = ("filter set", "channel set", "filter row", "ofmap row")
_BASES = ("group", "image_base", "row_base", "filter_base", "channel_base")
_PE_FIELDS = (
    "row",
    "column",
    "chain",
    "place",
    "filter_set",
    "channel_set",
    "filter_row",
    "ofmap_row",
    "filter_base",
    "p",
    "q",
    "s",
    "bubble",
)

SCHEMA = Schema(
    version=1,
    shape=(
        "cycles",
        "span",
        "images",
        "ofmap_columns",
        "column_step",
        "strip_rows",
        "line_words",
        "from_glb",
        "streamed",
        "shift_spad",
    ),
    parts=tuple(name for name in PARTS if name != "legend"),
    pes=np.dtype([(name, "<i4") for name in _PE_FIELDS]),
    passes=np.dtype([*PASS_DTYPE.descr[:-5], *((name, "<i4") for name in _BASES)]),
    pass_chunk=1 << 14,
)


def passes(old: Rows, layer: Mapping[str, Any]) -> Rows:
    """Return passes of a layer with the filters and channels counted over all groups."""
    try:
        shape = layer_from_dict(layer["shape"])
        filters, channels = shape.Mg, shape.C
    except (KeyError, ValueError, TypeError):  # replay says what is wrong with it
        filters = channels = 0
    new = np.zeros(len(old), PASS_DTYPE)
    for name in PASS_DTYPE.names or ():
        if name in (old.dtype.names or ()):
            new[name] = old[name]
    new["filter_base"] += old["group"] * filters
    new["channel_base"] += old["group"] * channels
    return new


def upgraded(
    shape: Mapping[str, int], parts: Mapping[str, Rows]
) -> tuple[dict[str, int], dict[str, Rows]]:
    """Return shape and parts of a template as version 2 has them.

    Raises:
        ValueError: a PE has a part that no PE can have.

    """
    return _Upgrade(shape, parts).done()


class _Upgrade:
    """One template on its way to version 2: patterns are added behind its own."""

    def __init__(self, shape: Mapping[str, int], parts: Mapping[str, Rows]) -> None:
        self.shape = shape
        self.parts = parts
        self.first = len(parts["pattern_ends"])
        self.added: dict[tuple[object, ...], int] = {}
        self.values: list[Rows] = []
        self.room = MOST_VALUES

    def done(self) -> tuple[dict[str, int], dict[str, Rows]]:
        """Return the upgraded template."""
        parts, shape = self.parts, self.shape
        if any(not 1 <= shape[name] <= 1 << 31 for name in ("images", "ofmap_columns")):
            raise ValueError("its images or ofmap columns are out of range")
        pes = [dict(zip(_PE_FIELDS, pe, strict=True)) for pe in parts["pes"].tolist()]
        tops: dict[int, int] = {}
        for pe in pes:
            tops[pe["chain"]] = max(tops.get(pe["chain"], 0), pe["place"])
        array = [self._pe(pe, top=pe["place"] == tops[pe["chain"]]) for pe in pes]
        legends = [[pe[name.replace(" ", "_")] for name in LEGEND] for pe in pes]
        lengths = [len(values) for values in self.values]
        last = int(parts["pattern_ends"][-1]) if self.first else 0
        ends = np.concatenate([parts["pattern_ends"], last + np.cumsum(lengths)])
        upgraded = {
            **parts,
            "pes": np.array(array, PE_DTYPE),
            "pattern_ends": ends.astype(np.int32),
            "pattern_values": np.concatenate([parts["pattern_values"], *self.values]),
            "legend": legend_text(LEGEND, legends),
        }
        kept = ("cycles", "span", "streamed", "shift_spad")
        return {name: shape[name] for name in kept} | {"load_rate": 0}, upgraded

    def _pe(self, pe: Mapping[str, int], *, top: bool) -> tuple[int, ...]:
        """Return a row of `PE_DTYPE`; psums go to the GLB from the `top` of a chain."""
        p, q, s = pe["p"], pe["q"], pe["s"]
        for name in "pqs":
            if not 1 <= pe[name] <= 1 << 20:
                raise ValueError(f"a PE's {name} is out of range")
        images, columns = self.shape["images"], self.shape["ofmap_columns"]
        whole, step = q * s, q * self.shape["column_step"]
        ofmap = NO_PATTERN
        if top:
            # Psums leave by image, column and filter; axes are numbers of `OFMAP_AXES`.
            loops = (0, images, 1, 3, columns, 1, 1, p, 1)
            block = (0, pe["filter_base"], pe["ofmap_row"], 0, *loops)
            ofmap = self._pattern(("ofmap", block), len(block), lambda: np.array(block))
        return (
            pe["row"],
            pe["column"],
            whole,
            p,
            self._pattern(("uses", p, q, s), p * q * s, lambda: _uses(p, q, s)),
            self._pattern(("needs", q, s), columns, lambda: _runs(columns, whole, step, 0)),
            self._pattern(("frees", q, s), columns, lambda: _runs(columns, whole, step, -1)),
            ofmap,
            pe["bubble"],
        )

    def _pattern(self, key: tuple[object, ...], size: int, make: Callable[[], Rows]) -> int:
        number = self.added.get(key)
        if number is None:
            self.room -= size
            if self.room < 0:
                raise ValueError("its PEs are beyond all size")
            number = self.added[key] = self.first + len(self.values)
            self.values.append(make().astype(np.int32))
        return number


def _uses(p: int, q: int, s: int) -> Rows:
    """Return when each filter word is used.

    Words come by filter, channel and column; products run by column, channel and filter.
    """
    f, c, x = np.meshgrid(np.arange(p), np.arange(q), np.arange(s), indexing="ij")
    uses: Rows = ((x * q + c) * p + f).reshape(-1)
    return uses


def _runs(columns: int, whole: int, step: int, window: int) -> Rows:
    """Return words of the windows of a row: a step of each, but of one window all."""
    words = np.full(columns, step)
    words[window] = whole
    return words
