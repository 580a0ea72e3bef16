"""One layer's shape, in the field's symbols (docs/machine.md section 1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["conv", "depthwise", "fc", "gemm"]
ZeroFractionSource: TypeAlias = Literal["published", "assumed"]

MAX_SIZE: Final = 65536
"""Largest size along one dimension: far above any network, and harmless as a loop bound."""

MAX_MACS: Final = 10**13
"""Most MACs of one image: VGG-16's largest layer has 1.85e9."""

MAX_WORDS: Final = 1 << 30
"""Most words of one image's padded ifmap, of its ofmap, and of all filters."""

_MAX_NAME = 200  # characters; names end up in tables and file names

_SIZES = ("G", "M", "C", "H", "W", "R", "S", "U", "V")
_PADDINGS = ("pad_top", "pad_bottom", "pad_left", "pad_right")
_FRACTIONS = ("ifmap_zero_fraction", "ofmap_zero_fraction")


class ShapeError(ValueError):
    """A layer cannot exist as described; `problems` pairs each offending field with the reason."""

    def __init__(self, layer: str, problems: tuple[tuple[str, str], ...]) -> None:
        super().__init__(layer, problems)  # as args, so that it pickles across worker processes
        self.layer = layer
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join(f"layer {self.layer!r}: {name}: {why}" for name, why in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """The shape of one layer, sizes in elements (docs/machine.md section 1).

    An fc layer is a convolution whose filter covers the padded ifmap. A product of matrices, gemm,
    is one with filters of 1 x 1: the rows of the left matrix are the pixels of the ifmap, in any of
    the `readings`, its columns the channels, the columns of the right matrix the filters.

    Raises `ShapeError`, a `ValueError`, with every problem of an impossible shape.

    Attributes:
        name: As the source of the network names it.
        kind: `depthwise` has one channel a group, `fc` one window, `gemm` filters of one word a
            channel.
        G: Groups.
        M: Filters, over all groups.
        C: Channels per group.
        H: Ifmap rows, before padding.
        W: Ifmap columns, before padding.
        R: Filter rows.
        S: Filter columns.
        U: Vertical stride (the field's single stride, where both are the same).
        V: Horizontal stride.
        pad_top: Rows of zeros above the ifmap; `pad_bottom`, `pad_left`, `pad_right` likewise.
        ifmap_zero_fraction: Share of zeros in the ifmap, 0 to 1; None where nothing is known.
        ofmap_zero_fraction: Share of zeros in the ofmap after ReLU, 0 to 1; always an assumption.
        zero_fraction_source: Whether `ifmap_zero_fraction` is published or assumed.
        network_input: The ifmap is the network's input, which DRAM holds uncompressed.
    """

    name: str
    kind: Kind = "conv"
    G: int = 1
    M: int
    C: int
    H: int
    W: int
    R: int
    S: int
    U: int = 1
    V: int = 1
    pad_top: int = 0
    pad_bottom: int = 0
    pad_left: int = 0
    pad_right: int = 0
    ifmap_zero_fraction: float | None = None
    ofmap_zero_fraction: float | None = None
    zero_fraction_source: ZeroFractionSource | None = None
    network_input: bool = False

    def __post_init__(self) -> None:
        # Each stage assumes the one before: no shape is derived from sizes that are wrong.
        for stage in (self._range_problems, self._shape_problems):
            problems = tuple(stage())
            if problems:
                raise ShapeError(self.name, problems)

    def _range_problems(self) -> Iterator[tuple[str, str]]:
        name = self.name
        if not (isinstance(name, str) and name.isprintable() and name.strip() == name != ""):
            yield "name", f"must be printable text without spaces around it, got {name!r:.60}"
        elif len(name) > _MAX_NAME:
            yield "name", f"must have {_MAX_NAME} characters or fewer, got {len(name)}"
        if self.kind not in get_args(Kind):
            yield "kind", f"must be one of {', '.join(get_args(Kind))}, got {self.kind!r}"
        for names, least in ((_SIZES, 1), (_PADDINGS, 0)):
            for field in names:
                size = getattr(self, field)
                if not isinstance(size, int) or isinstance(size, bool):
                    yield field, f"must be a whole number, got {size!r}"
                elif size < least:
                    yield field, f"must be {least} or more, got {size}"
                elif size > MAX_SIZE:
                    yield field, f"must be {MAX_SIZE} or less, got {size}"
        for field in _FRACTIONS:
            fraction = getattr(self, field)
            # Written so that nan fails, too.
            if fraction is not None and not 0 <= fraction <= 1:
                yield field, f"must be between 0 and 1, got {fraction}"
        if self.zero_fraction_source not in (None, *get_args(ZeroFractionSource)):
            known = ", ".join(get_args(ZeroFractionSource))
            yield "zero_fraction_source", f"must be {known} or left out"

    def _shape_problems(self) -> Iterator[tuple[str, str]]:
        if self.M % self.G:
            yield "M", f"must be a multiple of the {self.G} groups, got {self.M}"
        if self.kind == "depthwise" and self.C != 1:
            yield "C", f"must be 1 in each group of a depthwise layer, got {self.C}"
        if self.kind == "gemm":
            for field in ("R", "S", "U", "V"):
                if getattr(self, field) != 1:
                    yield field, f"must be 1 in gemm, got {getattr(self, field)}"
            for field in _PADDINGS:
                if getattr(self, field):
                    yield field, f"must be 0 in gemm, got {getattr(self, field)}"
        fits = True
        for field, side, size in (
            ("R", "rows", self.padded_rows),
            ("S", "columns", self.padded_columns),
        ):
            taps = getattr(self, field)
            if taps > size:
                fits = False
                yield field, f"must not exceed the {size} {side} of the padded ifmap, got {taps}"
            elif self.kind == "fc" and taps != size:
                yield field, f"must be the {size} {side} of the padded ifmap in fc, got {taps}"
        if fits and self.macs_per_image > MAX_MACS:
            yield "macs_per_image", f"must be {MAX_MACS} or less, got {self.macs_per_image}"
        padded = self.G * self.C * self.padded_rows * self.padded_columns
        words = {"padded ifmap": padded, "filters": self.filter_words}
        if fits:
            words["ofmap"] = self.ofmap_words
        for what, count in words.items():
            if count > MAX_WORDS:
                yield "words", f"must be {MAX_WORDS} or less in the {what}, got {count}"

    @property
    def readings(self) -> tuple[Layer, ...]:
        """The convolutions that compute this layer, from a single ofmap column to a single row.

        Those of a gemm lay its pixels out in any rows x columns; other layers have one, themselves.
        """
        if self.kind != "gemm":
            return (self,)
        pixels = self.H * self.W
        small = [rows for rows in range(1, math.isqrt(pixels) + 1) if pixels % rows == 0]
        rows = {*small, *(pixels // rows for rows in small)}
        shapes = sorted((count, pixels // count) for count in rows)
        return tuple(
            replace(self, H=rows, W=columns)
            for rows, columns in reversed(shapes)
            if max(rows, columns) <= MAX_SIZE
        )

    @property
    def padded_rows(self) -> int:
        """Ifmap rows with padding, whether or not a window touches them."""
        return self.H + self.pad_top + self.pad_bottom

    @property
    def padded_columns(self) -> int:
        """Ifmap columns with padding, whether or not a window touches them."""
        return self.W + self.pad_left + self.pad_right

    @property
    def E(self) -> int:  # noqa: N802  the field's symbol
        """Ofmap rows."""
        return (self.padded_rows - self.R) // self.U + 1

    @property
    def F(self) -> int:  # noqa: N802  the field's symbol
        """Ofmap columns."""
        return (self.padded_columns - self.S) // self.V + 1

    @property
    def Mg(self) -> int:  # noqa: N802  the field's symbol
        """Filters per group."""
        return self.M // self.G

    @property
    def macs_per_image(self) -> int:
        """Products of one image; those with a zero, and with padding, count (JSSC 2017 Table V)."""
        return self.M * self.C * self.R * self.S * self.E * self.F

    def macs(self, batch: int) -> int:
        """Return products of `batch` images."""
        return self.macs_per_image * batch

    def ifmap_rows(self, e: int) -> int:
        """Return rows of the padded ifmap that a strip of `e` ofmap rows touches.

        `(e-1)U+R` (docs/machine.md section 1). Where the stride exceeds the filter, the rows
        between two windows are touched by none and never loaded, which leaves `e*R`.
        """
        return (e - 1) * min(self.U, self.R) + self.R

    def touched_columns(self, f: int) -> int:
        """Return padded ifmap columns that a tile of `f` ofmap columns touches (`ifmap_rows`)."""
        return (f - 1) * min(self.V, self.S) + self.S

    @property
    def ifmap_columns(self) -> int:
        """`Wp`: columns of the padded ifmap that windows touch (docs/machine.md section 1)."""
        return self.touched_columns(self.F)

    @property
    def ifmap_words(self) -> int:
        """Words of one image's ifmap `(G*C, rows, Wp)`: what windows touch, padding included."""
        return self.G * self.C * self.ifmap_rows(self.E) * self.ifmap_columns

    @property
    def filter_words(self) -> int:
        """Words of all filters, `(M, C, R, S)`."""
        return self.M * self.C * self.R * self.S

    @property
    def ofmap_words(self) -> int:
        """Words of one image's ofmap, `(M, E, F)`."""
        return self.M * self.E * self.F


def layer_to_dict(layer: Layer) -> dict[str, Any]:
    """Return `layer` as plain values that JSON can hold: its attributes, then `E` and `F`."""
    return {**asdict(layer), "E": layer.E, "F": layer.F}


def layer_from_dict(values: Mapping[str, Any]) -> Layer:
    """Return the layer that `layer_to_dict` wrote.

    `E` and `F` may be absent. Raises `ValueError` where they contradict the rest, for unknown or
    missing keys, and (`ShapeError`) for impossible shapes.
    """
    given = dict(values)
    derived = {symbol: given.pop(symbol) for symbol in ("E", "F") if symbol in given}
    try:
        layer = Layer(**given)
    except TypeError as error:
        text = str(error).replace("Layer.__init__() ", "")
        raise ValueError(f"layer {given.get('name')!r}: {text}") from None
    for symbol, value in derived.items():
        if getattr(layer, symbol) != value:
            right = getattr(layer, symbol)
            raise ValueError(f"layer {layer.name!r}: {symbol}: must be {right}, got {value!r}")
    return layer
