"""The first-order estimator's counts and energies as text for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from hw_models.vocabulary import Level
from sim.report.tables import (
    Count,
    Note,
    Row,
    Section,
    Table,
    cut,
    sections_text,
    shares,
    wrap,
)

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
        *(
            Section.of(shown).lines(width)
            for shown in (_layers(result, compressed), _words(result), _totals(result))
        ),
    ]
    return sections_text(sections, color)


def _layers(result: FirstOrderResult, compressed: bool) -> Table:
    heads = ["layer", "ofmap", "computation", "data", "total", "% of all"]
    if compressed:
        heads[2:2] = ["pruned\n%", "bits\nw, a"]

    rows: list[Row] = []
    parts = shares(layer.total for layer in result.layers)
    for layer, share in zip(result.layers, parts, strict=True):
        given = layer.precision
        energies = (layer.computation, layer.data, layer.total)
        precision = [f"{100 * given.pruned:g}", f"{given.weight_bits}, {given.activation_bits}"]
        rows.append(
            [
                layer.layer.name,
                "x".join(map(str, layer.ofmap)),
                *(precision if compressed else []),
                *(Count(round(energy)) for energy in energies),
                share,
            ]
        )
    whole = (result.computation, result.total - result.computation, result.total)
    blank = [""] * (3 if compressed else 1)
    rows += [None, ["all", *blank, *(Count(round(energy)) for energy in whole), "100.0"]]
    text = "Energies are rounded here. Ofmap: filters x rows x columns."
    if compressed:
        text += " Pruned: share of the weights; bits of a weight and of an activation."
    return Table("Layers", heads, rows, (Note(text),), left=2)


def _words(result: FirstOrderResult) -> Table:
    kinds = ("weight", "ifmap", "psum")
    heads = [
        "layer", "level",
        *(f"words\n{kind}" for kind in kinds), *(f"energy\n{kind}" for kind in kinds),
    ]  # fmt: skip

    rows: list[Row] = []
    for index, layer in enumerate(result.layers):
        rows += [None] if index else []
        energies = layer.energies
        for step, (level, shown) in enumerate(_LEVELS.items()):
            figures = [
                _Energy(value)
                for counted in (layer.words, energies)
                for (at, _), value in counted.items()
                if at == level
            ]
            rows.append([layer.layer.name if not step else "", shown, *figures])
    title = "Words, after pruning, and energies by layer, level and data type"
    return Table(title, heads, rows, left=2)


def _totals(result: FirstOrderResult) -> Table:
    by_level, by_kind = result.by_level, result.by_data_type
    rows: list[Row] = [
        [_LEVELS[level], _Energy(value), share]
        for (level, value), share in zip(by_level.items(), shares(by_level.values()), strict=True)
    ]
    rows += [["data", _Energy(sum(by_level.values(), Fraction())), "100.0"], None]
    rows += [
        [kind, _Energy(value), share]
        for (kind, value), share in zip(by_kind.items(), shares(by_kind.values()), strict=True)
    ]
    rows += [["total", _Energy(result.total), "100.0"]]
    return Table("Energy by level and by data type", ("part", "energy", "%"), rows)


@dataclass(frozen=True)
class _Energy:
    """A cell with as many of four decimals as needed; nine characters at most where it is short."""

    exact: Fraction

    @property
    def value(self) -> float:
        return float(self.exact)

    def text(self, short: bool = False) -> str:
        value = self.exact
        if short:
            whole = value.denominator == 1 and value < 10**7
            return f"{int(value):,}" if whole else f"{float(value):.3e}"
        return f"{float(value):,.4f}".rstrip("0").rstrip(".")
