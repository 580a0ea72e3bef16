"""Row stationary's PE sets on the array, in words and as a drawing in text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.dataflow.row_stationary.mapping import glb_banks

if TYPE_CHECKING:
    from sim.dataflow.row_stationary.passes import Plan
    from sim.dataflow.row_stationary.placement import Placement

LEGEND = (
    "m filters with psums in the GLB at once; n images and e ofmap rows a pass; p filters and q "
    "channels in one PE; r PE sets on different channels, t on different filters. In a drawing a "
    "letter is a filter set, a digit its channel set, . a clock gated PE; psums travel up."
)

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def facts(plan: Plan) -> str:
    """Say how a plan uses the chip."""
    hw = plan.hw
    ifmap, psum = glb_banks(plan.layer, plan.mapping, plan.batch, hw)
    text = (
        f"{plan.passes:,} pass{'es' if plan.passes != 1 else ''}; {plan.active_pes} of {hw.pes} "
        f"PEs active; GLB banks: {ifmap} ifmap + {psum} psum of {hw.glb.banks}"
    )
    placement = plan.placement
    text += (
        f"; PE sets of {placement.set_rows} x {placement.set_columns}: "
        f"{placement.channel_sets} by channel, {placement.filter_sets} by filter"
    )
    if placement.segments > 1:
        text += f", each folded into {placement.segments} segments (every second one in lower case)"
    return text + "."


def drawing(placement: Placement, width: int) -> list[str]:
    """Return the array, a cell for each PE: letter of the filter set, digit of the channel set."""
    cell = 3 if 6 + 3 * placement.array_columns <= width else 1
    if 6 + cell * placement.array_columns > width:
        return [f"  (an array of {placement.array_columns} columns is too wide to draw)"]
    grid = [["."] * placement.array_columns for _ in range(placement.array_rows)]
    for filter_set in range(placement.filter_sets):
        letter = _LETTERS[filter_set % len(_LETTERS)]
        for ofmap_row in range(placement.set_columns):
            if placement.segments > 1:
                odd = ofmap_row // placement.array_columns % 2
                letter = letter.lower() if odd else letter.upper()
            for site in placement.chain(filter_set, ofmap_row, placement.channel_sets):
                digit = _DIGITS[site.channel_set % len(_DIGITS)] if cell > 1 else ""
                grid[site.row][site.column] = letter + digit
    lines = []
    if cell > 1:
        numbers = range(placement.array_columns)
        lines.append(" " * 6 + "".join(f"{column:>{cell}}" for column in numbers))
    for row, line in enumerate(grid):
        label = f"  {row:>4}" if cell > 1 else f"  {row:>3} "
        lines.append(label + "".join(f"{mark:>{cell}}" for mark in line))
    if placement.filter_sets > len(_LETTERS) or placement.channel_sets > len(_DIGITS):
        lines.append("  (marks repeat: there are more sets than letters or digits)")
    return lines
