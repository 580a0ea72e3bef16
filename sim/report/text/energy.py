"""What a result cost, as text: energy by level and by data type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hw_models.vocabulary import DATA_TYPES, Level
from sim.report.tables import (
    Cell,
    Fixed,
    Note,
    Table,
    count,
    cut,
    energy_unit,
    number,
    shares,
)
from sim.report.text.rows import all_layers, with_rule

if TYPE_CHECKING:
    from sim.account.energy import EnergyBreakdown
    from sim.account.result import Result


def energy(result: Result) -> list[Table]:
    """Return energy by level and by data type; nothing where no table priced the result."""
    whole = result.energy
    if whole is None:
        return []
    priced = [
        (layer.layer.name, layer.energy) for layer in result.layers if layer.energy is not None
    ]
    if len(priced) > 1:
        priced.append((all_layers(result), whole))
    unit, scale = energy_unit(float(whole.total), whole.unit)
    return [
        _energy_by_level(priced, scale, unit),
        _energy_by_data_type(priced, scale, unit),
    ]


def _energy_by_level(
    priced: Sequence[tuple[str, EnergyBreakdown]], scale: float, unit: str
) -> Table:
    whole = priced[-1][1]
    missing = without_price(whole)

    def row(name: str, energy: EnergyBreakdown) -> list[Cell]:
        values: list[Cell] = [
            "-" if level in missing else Fixed(float(value) / scale, 2, unit)
            for level, value in energy.by_level.items()
        ]
        return [name, *values, Fixed(float(energy.total) / scale, 2, unit)]

    parts = shares(whole.by_level.values())
    share = [
        "-" if level in missing else part for level, part in zip(whole.by_level, parts, strict=True)
    ]
    rows = [*with_rule([row(*layer) for layer in priced]), ["% of all", *share, "100.0"]]
    heads = ["layer", *(level.heading for level in Level), "total"]
    text = f"Prices of {cut(whole.table, 40)}"
    if whole.unit == "normalised":
        text += ", normalised to one 16-bit MAC"
    levels = [level.heading for level in Level if level in missing]
    actions = [
        f"{action} ({count(round(times), True)})"
        for action, times in whole.unpriced.items()
        if _level(action) not in missing
    ]
    without = [f"anything of {', '.join(levels)}"] if levels else []
    without += [", ".join(actions)] if actions else []
    if without:
        text += f". It has no price for {', nor for '.join(without)}: the numbers are without that."
    else:
        text += ". Everything that was counted has one."
    return Table(f"Energy by level, {_said(whole, unit)}", heads, rows, (Note(text),))


def _energy_by_data_type(
    priced: Sequence[tuple[str, EnergyBreakdown]], scale: float, unit: str
) -> Table:
    whole = priced[-1][1]
    missing = without_price(whole) & {Level.MAC, Level.STATIC}  # data types that are a level, too
    watts = whole.average_power_w
    in_pj = whole.unit == "pJ"

    def row(name: str, energy: EnergyBreakdown) -> list[Cell]:
        power = energy.chip_power_w
        per_mac, delay = energy.per_mac, energy.energy_delay_product
        return [
            name,
            *(
                "-" if kind in missing else Fixed(float(part) / scale, 2, unit)
                for kind, part in energy.by_data_type.items()
            ),
            "-" if per_mac is None else Fixed(float(per_mac), 2),
            *([] if power is None else [Fixed(1e3 * float(power), 1)]),
            "-" if delay is None else f"{float(delay):.2e}",
        ]

    parts = shares(whole.by_data_type.values())
    share = [
        "-" if kind in missing else part
        for kind, part in zip(whole.by_data_type, parts, strict=True)
    ]
    blank = [""] * (2 if watts is None else 3)
    rows = [*with_rule([row(*layer) for layer in priced]), ["% of all", *share, *blank]]
    heads = ["layer", *(f"\n{kind.heading}" for kind in DATA_TYPES)]
    heads += ["per\nMAC, pJ" if in_pj else "per\nMAC"]
    heads += [] if watts is None else ["chip\nmW"]
    heads += ["EDP\nJ s" if in_pj else "EDP\nnorm. s"]
    text = "Psum: psums and ofmaps. EDP: energy times total latency."
    fact = ""
    if watts is not None:
        text += " Chip: average power over the total latency, without DRAM."
        if any(_level(action) == Level.DRAM for action in whole.by_action):
            fact = f"Average power with DRAM: {number(1e3 * float(watts), 1)} mW."
    notes = (Note(fact), Note(text, legend=True))
    return Table(f"Energy by data type, {_said(whole, unit)}", heads, rows, notes)


def _said(whole: EnergyBreakdown, unit: str) -> str:
    return f"normalised: 1 is the energy of {unit}" if whole.unit == "normalised" else unit


def without_price(whole: EnergyBreakdown) -> set[str]:
    """Return the levels of which something happened and nothing has a price."""
    return {_level(action) for action in whole.unpriced} - set(map(_level, whole.by_action))


def _level(action: str) -> str:
    return action.partition(".")[0]
