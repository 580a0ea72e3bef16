"""Mapping and passes of the toy: tiles of e x f pixels, m filters, q channels a pass."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import product
from typing import Any, ClassVar

import numpy as np

from sim.dataflow import base
from sim.dataflow.base import PassSize, Violation, ceil_div
from sim.errors import Fault, MappingError


@dataclass(frozen=True)
class Mapping:
    e: int
    f: int
    m: int
    q: int
    dataflow: ClassVar[str] = "pixel_stationary"

    def to_dict(self) -> dict[str, int]:
        return asdict(self)

    def __str__(self) -> str:
        return ",".join(f"{name}={value}" for name, value in self.to_dict().items())


@dataclass(frozen=True)
class Shape:
    rows: int
    columns: int
    filters: int
    channels: int
    window: tuple[int, int]
    first_channels: bool
    dataflow: ClassVar[str] = "pixel_stationary"

    @property
    def operands(self) -> int:
        return self.channels * self.window[0] * self.window[1]

    @property
    def filter_words(self) -> int:
        return self.filters * self.operands

    @property
    def ifmap_words(self) -> int:
        rows, columns = self.rows + self.window[0] - 1, self.columns + self.window[1] - 1
        return self.channels * rows * columns

    @property
    def psum_words(self) -> int:
        return self.rows * self.columns * self.filters

    @property
    def macs(self) -> int:
        return self.psum_words * self.operands

    @property
    def least_cycles(self) -> int:
        return self.filters * self.operands

    def size(self, hw: Any) -> PassSize:
        pes = self.rows * self.columns
        beats = pes * ceil_div(self.filters, hw.noc.psum_words_per_cycle)
        return PassSize(pes, 1, self.operands, beats, beats)


@dataclass(frozen=True)
class Step:
    index: int
    shape: Shape
    base: tuple[int, int, int, int, int]  # image, filter, ofmap row and column, channel
    ifmap_load_words: int
    ofmap_final_words: int
    ends_m_block: bool


def cut(total: int, block: int) -> list[tuple[int, int]]:
    """(first, size) of each block."""
    return [(first, min(block, total - first)) for first in range(0, total, block)]


@dataclass(frozen=True)
class Plan(base.Plan):
    layer: Any
    batch: int
    hw: Any
    mapping: Mapping
    mapping_source: str
    dataflow: ClassVar[str] = "pixel_stationary"

    @property
    def placement(self) -> tuple[int, int]:
        return self.mapping.e, self.mapping.f

    @property
    def active_pes(self) -> int:
        return self.mapping.e * self.mapping.f

    def pe_parts(self) -> Any:
        parts = np.full((self.hw.array.rows, self.hw.array.columns), "", dtype="U8")
        parts[: self.mapping.e, : self.mapping.f] = "pixel"
        return parts

    @property
    def configurations(self) -> int:
        return 1

    @property
    def passes(self) -> int:
        return sum(self.classes.values())

    def __iter__(self) -> Any:
        layer, mapping = self.layer, self.mapping
        blocks = product(
            range(self.batch), cut(layer.E, mapping.e), cut(layer.F, mapping.f),
            cut(layer.M, mapping.m), cut(layer.C, mapping.q),
        )  # fmt: skip
        shapes: dict[Shape, Shape] = {}
        for index, (image, (y, rows), (x, columns), (m, filters), (c, channels)) in enumerate(
            blocks
        ):
            shape = Shape(rows, columns, filters, channels, (layer.R, layer.S), c == 0)
            shape = shapes.setdefault(shape, shape)
            last = c + channels == layer.C
            final = shape.psum_words if last else 0
            yield Step(index, shape, (image, m, y, x, c), shape.ifmap_words, final, last)

    @cached_property
    def classes(self) -> dict[Any, int]:
        return dict(Counter(step.shape for step in self))

    def bases(self, step: Step) -> tuple[int, int, int, int, int]:
        return step.base

    def block(self, shape: Shape) -> dict[str, Any]:
        return {
            "images": 1,
            "strip_rows": shape.rows,
            "columns": shape.columns,
            "filters": shape.filters,
            "channels": shape.channels,
            "first_channels": shape.first_channels,
        }

    def hop_words(self) -> dict[str, int]:
        return {}

    def charged_as(self, shape: Shape) -> Shape:
        return shape


class PixelStationary:
    name = "pixel_stationary"
    title = "pixel stationary"
    factors = ("e", "f", "m", "q")
    for_fewer_passes = "raise e, f, m or q"
    for_smaller_passes = "lower e, f, m or q"

    def mapping_violations(self, layer: Any, mapping: Mapping, batch: int, hw: Any) -> Any:
        needed = mapping.q * layer.R * layer.S
        sizes = (
            ("e", mapping.e, hw.array.rows, "rows of the array"),
            ("f", mapping.f, hw.array.columns, "columns of the array"),
            ("q*R*S", needed, hw.pe.ifmap_spad_words, "words of the ifmap spad"),
            ("m*q*R*S", mapping.m * needed, hw.pe.filter_spad_words, "words of the filter spad"),
            ("m", mapping.m, hw.pe.psum_spad_words, "words of the psum spad"),
        )
        return [
            Violation(n, value, str(most), why) for n, value, most, why in sizes if value > most
        ]

    def plan(self, layer: Any, batch: int, hw: Any, mapping: Mapping, source: str) -> Plan:
        violations = self.mapping_violations(layer, mapping, batch, hw)
        if violations:
            raise MappingError(*(Fault("", None, layer.name, str(rule)) for rule in violations))
        return Plan(layer, batch, hw, mapping, source)


DATAFLOW = PixelStationary()
