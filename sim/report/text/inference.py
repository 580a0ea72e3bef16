"""Inferred mappings as text for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from sim.report.tables import count, sections_text, table, wrap

if TYPE_CHECKING:
    from sim.reference.inference import Inference

__all__ = ["render_inference"]


def render_inference(groups: Sequence[Inference], *, width: int = 80) -> str:
    """Return how many mappings are legal, how many meet each column, and those that meet both."""
    heads = ["layers", "legal", "active PEs", "and GLB", "more tiles"]
    rows: list[list[str] | None] = [
        [
            _layers(group),
            count(group.legal),
            count(group.with_pes),
            str(len(group.mappings)),
            str(len(group.more_tiles)),
        ]
        for group in groups
    ]
    note = (
        "Legal: mappings of the group's last layer that the chip holds. Active PEs: those with the "
        "published number. And GLB: those of them with the published GLB accesses in all layers of "
        "the group, with the fewest column tiles; more tiles: such mappings with more."
    )
    found = [
        f"  {_layers(group)}: {_text(mapping)}" for group in groups for mapping in group.mappings
    ]
    return sections_text(
        [
            ["Mappings by active PEs and GLB accesses", *table(heads, rows, width),
             *wrap(note, width, "  ")],
            ["With the fewest column tiles, m left to the GLB", *found],
        ],
        False,
    )  # fmt: skip


def _layers(group: Inference) -> str:
    first, last = group.layers[0], group.layers[-1]
    return first if first == last else f"{first} to {last}"


def _text(mapping: Mapping[str, int]) -> str:
    order = [name for name in "nefpqrt" if name in mapping]
    return " ".join(f"{name}={mapping[name]}" for name in order)
