"""Energies of components: counts times the prices of an energy reference table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

from sim.models.accelergy.files import Action, Component, Files
from workloads.inputs.faults import MAX_FAULTS, Fault, InputError
from workloads.inputs.words import closest

_RANGE = re.compile(r"\[([0-9]{1,9})(?:\.\.([0-9]{1,9}))?\]")


@dataclass(frozen=True)
class Estimation:
    """The energy of each component, pJ, in the order of the counts.

    Counts under a ranged name, as `PE[0..167].mac`, are those of all its instances together.
    """

    components: tuple[tuple[str, float], ...]
    notes: tuple[str, ...] = ()

    @property
    def total_pj(self) -> float:
        """The energy of all components, added in their order."""
        # One after the other, as the original does: Python's own sum is more exact from 3.12 on.
        return reduce(add, (energy for _, energy in self.components), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the energies as plain JSON-able data."""
        return {
            "components": [{"name": name, "energy_pj": energy} for name, energy in self.components],
            "total_pj": self.total_pj,
        }

    def original(self) -> str:
        """Return `energy_estimation.yaml` as the program writes it."""
        lines = ["energy_estimation:", "    version: '0.4'", "    components:"]
        for name, energy in self.components:
            lines += [f"      - name: {name}", f"        energy: {energy!r}"]
        return "\n".join([*lines, f"    Total: {self.total_pj!r}"]) + "\n"


def price(files: Files) -> Estimation:
    """Price every count.

    Raises:
        InputError: components or actions that the table has no price for; one fault each.

    """
    faults: list[Fault] = []
    found: list[tuple[str, float]] = []
    for component in files.counts:
        table = _table(component, files.prices, faults)
        if table is None:
            continue
        energy = 0.0
        for action in component.actions:
            each = _price(component, action, table, faults)
            energy += 0.0 if each is None else each * action.value
        found.append((component.name, energy))
    if faults:
        raise InputError(*faults[:MAX_FAULTS])
    return Estimation(tuple(found), files.notes)


def _table(
    component: Component, tables: Sequence[Component], faults: list[Fault]
) -> Component | None:
    for table in tables:
        if _within(component.name, table.name):
            return table
    names = [table.name for table in tables]
    plain = [_RANGE.sub("", name) for name in names]
    here = _RANGE.sub("", component.name)
    if here in plain:
        hint = f"; the ERT has {names[plain.index(here)]}, which does not hold these instances"
    else:
        near = closest(component.name, names)
        hint = f"; did you mean '{near}'?" if near else ""
    faults.append(_fault(component.place, component.name, f"the ERT has no such component{hint}"))
    return None


def _within(name: str, table: str) -> bool:
    """Tell whether a name is a table's but for its indices, and these lie in the table's ranges."""
    if _RANGE.sub("", name) != _RANGE.sub("", table):
        return False
    own, ranges = _RANGE.findall(name), _RANGE.findall(table)
    if len(own) != len(ranges):
        return False
    return all(
        int(low) <= int(first) and int(last or first) <= int(high or low)
        for (first, last), (low, high) in zip(own, ranges, strict=True)
    )


def _price(
    component: Component, action: Action, table: Component, faults: list[Fault]
) -> float | None:
    """Return the price of an action: its first entry, or the first whose arguments agree."""
    known = [each for each in table.actions if each.name == action.name]
    for each in known:
        if _agree(action.arguments, each.arguments):
            return each.value
    if known:
        given = ", ".join(f"{key} = {value}" for key, value in action.arguments.items())
        message = f"the ERT has {action.name}, but not with {given}"
    else:
        names = list(dict.fromkeys(each.name for each in table.actions))
        message = f"the ERT has no action {action.name} (it has {', '.join(names) or 'none'})"
    faults.append(_fault(action.place, component.name, message))
    return None


def _agree(asked: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    return all(key in there and there[key] == value for key, value in asked.items())


def _fault(place: Fault, about: str, message: str) -> Fault:
    return replace(place, field=about, message=message)
