"""The mapper's results as text for the terminal, and as a mapping file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sim.report.tables import sections_text, table, wrap

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import RefusedLayer
    from sim.mapper.network import LayerMapping
    from sim.mapper.objectives import Objective

__all__ = ["mapping_file", "render_mappings"]


def render_mappings(
    layers: Sequence[LayerMapping],
    refused: Iterable[RefusedLayer],
    objective: Objective,
    hw: Hardware,
    unit: str,
    *,
    width: int = 80,
    color: bool = False,
) -> str:
    """Show the mappings of each layer, best first, and how each search was closed."""
    priced = "energy" in objective.powers
    heads = ["layer", "mapping", "total\nms", "processing\nms", "DRAM\nMB"]
    heads += [f"energy\n{unit}"] if priced else []
    rows: list[list[str] | None] = []
    for layer in layers:
        for place, rated in enumerate(layer.best):
            energy = [] if rated.energy is None else [f"{float(rated.energy):.5g}"]
            rows.append(
                [
                    "" if place else layer.layer.name,
                    str(rated.mapping),
                    f"{rated.total / hw.clock.core_mhz / 1000:.4f}",
                    f"{rated.processing / hw.clock.core_mhz / 1000:.4f}",
                    f"{rated.dram_bits / 8e6:.3f}",
                    *energy,
                ]
            )
    proofs: list[list[str] | None] = [
        [
            layer.layer.name,
            f"{layer.found.work.size:,}",
            f"{layer.found.work.bounded:,}",
            f"{layer.found.work.evaluated:,}",
            layer.proof,
        ]
        for layer in layers
    ]
    sections = [
        [f"Least {objective} on {hw.name}", *table(heads, rows, width, left=2)],
        [
            "Proof",
            *table(["layer", "legal", "bounded alone", "evaluated", "optimum"], proofs, width),
            *wrap(
                "Legal mappings that were neither bounded alone nor evaluated belong to groups "
                "whose bound is above the best. Counts and energy are exact; cycles are those of "
                "the analytical model, or, where proved by the engine, simulated, as are all "
                "mappings whose bound is below the best.",
                width,
                "  ",
            ),
        ],
    ]
    reasons = [f"  {layer.name}: {reason}" for layer in refused for reason in layer.reasons]
    if reasons:
        sections.append(["Refused", *reasons])
    return sections_text(sections, color)


def mapping_file(
    network: str, batch: int, objective: Objective, layers: Sequence[LayerMapping]
) -> str:
    """Write the best mapping of each layer as a file for `--mapping`."""
    lines = [
        f"# Mappings of {network}, batch {batch}: least {objective}, by eyeriss-sim map.",
        f"source: eyeriss-sim map, least {objective}",
        "status: user",
        "layers:",
    ]
    for layer in layers:
        factors = layer.best[0].mapping.to_dict()
        inner = ", ".join(f"{name}: {value}" for name, value in factors.items())
        lines.append(f"  {_key(layer.layer.name)}: {{{inner}}}")
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return (
        name
        if name.replace("_", "").replace("-", "").isalnum() and not name.isdigit()
        else json.dumps(name)
    )
