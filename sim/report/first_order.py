"""The first-order estimator's counts and energies as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from sim.report.terminal import count, cut, fitted, sections_text, shares, table, wrap
from vocabulary import Level

if TYPE_CHECKING:
    from sim.models.first_order import FirstOrderResult

__all__ = ["render_first_order"]

_LEVELS: dict[str, str] = {level: level.heading for level in (Level.DRAM, Level.GLB, Level.NOC)} | {
    "rf": "RF"
}


def render_first_order(result: FirstOrderResult, *, width: int = 80, color: bool = False) -> str:
    """Show every count and energy of the estimator, and totals by level, data type and layer."""
    compressed = any(layer.precision != type(layer.precision)() for layer in result.layers)
    head = [
        cut(f"{result.network}, first-order estimate of one image", width),
        *wrap(
            "Energies are in that of a 16-bit MAC: DRAM 200, GLB 6, NoC 2, RF 1 per 16-bit word. "
            "Groups are ignored and every memory is as large as it needs to be; `eyeriss-sim "
            "audit` says where that differs from the simulated machine.",
            width,
        ),
    ]
    sections = [
        head,
        ["Layers", *_layers(result, compressed, width)],
        ["Words, after pruning, and energies by layer, level and data type",
         *_words(result, width)],
        ["Energy by level and by data type", *_totals(result, width)],
    ]  # fmt: skip
    return sections_text(sections, color)


def _layers(result: FirstOrderResult, compressed: bool, width: int) -> list[str]:
    heads = ["layer", "ofmap", "computation", "data", "total", "% of all"]
    if compressed:
        heads[2:2] = ["pruned\n%", "bits\nw, a"]

    def rows(short: bool) -> Iterable[list[str] | None]:
        parts = shares(layer.total for layer in result.layers)
        for layer, share in zip(result.layers, parts, strict=True):
            given = layer.precision
            energies = (layer.computation, layer.data, layer.total)
            yield [
                layer.layer.name,
                "x".join(map(str, layer.ofmap)),
                *(
                    [
                        f"{100 * given.pruned:g}",
                        f"{given.weight_bits}, {given.activation_bits}",
                    ]
                    if compressed
                    else []
                ),
                *(count(round(energy), short) for energy in energies),
                share,
            ]
        yield None
        whole = (result.computation, result.total - result.computation, result.total)
        blank = [""] * (3 if compressed else 1)
        yield ["all", *blank, *(count(round(energy), short) for energy in whole), "100.0"]

    text = "Energies are rounded here. Ofmap: filters x rows x columns."
    if compressed:
        text += " Pruned: share of the weights; bits of a weight and of an activation."
    return [*fitted(heads, rows, width, left=2), *wrap(text, width, "  ")]


def _words(result: FirstOrderResult, width: int) -> list[str]:
    kinds = ("weight", "ifmap", "psum")
    heads = [
        "layer", "level",
        *(f"words\n{kind}" for kind in kinds), *(f"energy\n{kind}" for kind in kinds),
    ]  # fmt: skip

    def rows(short: bool) -> Iterable[list[str] | None]:
        for index, layer in enumerate(result.layers):
            if index:
                yield None
            energies = layer.energies
            for step, (level, shown) in enumerate(_LEVELS.items()):
                yield [
                    layer.layer.name if not step else "",
                    shown,
                    *(
                        _energy(value, short)
                        for figures in (layer.words, energies)
                        for (at, _), value in figures.items()
                        if at == level
                    ),
                ]

    return fitted(heads, rows, width, left=2)


def _totals(result: FirstOrderResult, width: int) -> list[str]:
    by_level, by_kind = result.by_level, result.by_data_type
    rows: list[list[str] | None] = [
        [_LEVELS[level], _energy(value, False), share]
        for (level, value), share in zip(by_level.items(), shares(by_level.values()), strict=True)
    ]
    rows += [["data", _energy(sum(by_level.values(), Fraction()), False), "100.0"], None]
    rows += [
        [kind, _energy(value, False), share]
        for (kind, value), share in zip(by_kind.items(), shares(by_kind.values()), strict=True)
    ]
    rows += [["total", _energy(result.total, False), "100.0"]]
    return table(["part", "energy", "%"], rows, width)


def _energy(value: Fraction, short: bool) -> str:
    """Format with as many of four decimals as needed; `short` takes nine characters at most."""
    if short:
        whole = value.denominator == 1 and value < 10**7
        return f"{int(value):,}" if whole else f"{float(value):.3e}"
    text = f"{float(value):,.4f}"
    return text.rstrip("0").rstrip(".")
