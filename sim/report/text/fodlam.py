"""FODLAM's look-up and scaling as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sim.report.tables import Cell, Count, Note, Row, Section, Table, cut, sections_text, wrap

if TYPE_CHECKING:
    from sim.models.fodlam import Cost, EstimatedLayer, FodlamResult

__all__ = ["render_fodlam"]


def render_fodlam(
    result: FodlamResult, diagnosis: Mapping[str, Any], *, width: int = 80, color: bool = False
) -> str:
    """Show the cost as published and of one image, and how far to trust it."""
    ways = {"look-up": "looked up", "scaled": "scaled by MACs"}
    said = " and ".join(
        text for way, text in ways.items() if any(layer.way == way for layer in result.layers)
    )
    head = [
        cut(f"{result.network}, from published figures: layers {said}", width),
        *wrap(
            "Convolutions cost what the Eyeriss chip took (power without DRAM times total "
            "latency), fully connected layers what EIE took, brought from 45 to 65 nm.",
            width,
        ),
    ]
    sections = [
        head,
        *(Section.of(shown).lines(width) for shown in (_layers(result), _diagnosis(diagnosis))),
    ]
    if result.notes:
        sections.append(["Notes", *(line for note in result.notes for line in _note(note, width))])
    return sections_text(sections, color)


def _layers(result: FodlamResult) -> Table:
    heads = [
        "layer", "kind", "MACs of\nan image", "images",
        "as published\nmJ", "\nms", "an image\nmJ", "\nms",
    ]  # fmt: skip

    def costs(published: Cost, single: Cost) -> list[str]:
        return [
            _digits(float(value) * 1e3)
            for cost in (published, single)
            for value in (cost.energy_j, cost.latency_s)
        ]

    def row(layer: EstimatedLayer) -> list[Cell]:
        images = "-" if layer.images is None else str(layer.images)
        return [
            layer.name,
            layer.kind,
            Count(layer.macs),
            images,
            *costs(layer.as_published, layer.per_image),
        ]

    rows: list[Row] = [*(row(layer) for layer in result.layers), None]
    kinds: tuple[tuple[str, Any], ...] = (("conv", "conv"), ("fc", "fc"), ("all", None))
    for shown, kind in kinds:
        macs = sum(layer.macs for layer in result.layers if kind in (None, layer.kind))
        sums = costs(result.cost(kind), result.cost(kind, "per_image"))
        rows.append([shown, "", Count(macs), "", *sums])
    text = (
        "As published: of the batch that was measured, as the original adds them up. An image: "
        "each layer divided by the images it was measured on; - where a scaled layer mixes them."
    )
    return Table("Energy and latency", heads, rows, (Note(text),), left=2)


def _diagnosis(diagnosis: Mapping[str, Any]) -> Table:
    def figures(network: str, layer: str) -> list[float]:
        return [
            diagnosis[basis]["per_layer"][figure][network][layer] * 1e12
            for basis in ("as_published", "per_image")
            for figure in ("energy", "latency")
        ]

    heads = [
        "network", "layer", "as published\npJ", "\nps", "an image\npJ", "\nps", "of average\npJ",
    ]  # fmt: skip
    averages = {
        kind: [
            diagnosis[basis]["average"][figure][kind] * 1e12
            for basis in ("as_published", "per_image")
            for figure in ("energy", "latency")
        ]
        for kind in ("conv", "fc")
    }
    rows: list[Row] = []
    for network, layers in diagnosis["per_image"]["per_layer"]["energy"].items():
        for layer in layers:
            costs = figures(network, layer)
            average = averages["fc" if layer.startswith("FC") else "conv"]
            cell = f"{costs[2] / average[2]:.2f}"
            rows.append([network, layer, *map(_digits, costs), cell])
        rows.append(None)
    rows += [["average", kind, *map(_digits, costs), "1.00"] for kind, costs in averages.items()]
    text = (
        "A layer is scaled with the average of its kind. Of average: the layer's cost of a MAC "
        "over that, for an image; far from 1 says how wrong scaling can be."
    )
    title = "Diagnosis: cost per MAC of the published layers"
    return Table(title, heads, rows, (Note(text),), left=2)


def _digits(value: float) -> str:
    """Format five significant digits, without an exponent where that is short."""
    if value and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.3e}"
    return f"{value:,.5g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _note(note: str, width: int) -> list[str]:
    return wrap(f"{note[:1].upper()}{note[1:]}.", width, "  ")
