"""Energies of actions: Accelergy's reference table (ERT), or attributes of the levels.

An area reference table (ART) adds areas, which no figure depends on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from sim.models.timeloop.architecture import Architecture, Compute, Storage
from sim.models.timeloop.nodes import Node
from workloads.inputs.words import unknown_name

_RANGE = re.compile(r"\[[^\]]*\]\Z")
_ACTIONS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]] = {
    "3.0": (("read",), ("write",), ("update", "write")),
    "2025": (
        ("random_read", "read"),
        ("random_fill", "write"),
        ("random_update", "random_write", "update", "write"),
    ),
}
_COMPUTE = ("random_compute", "compute")


@dataclass(frozen=True)
class LevelPrices:
    """Energy of an access of a whole block, pJ."""

    read: float
    fill: float
    update: float


class Prices:
    """Prices by component."""

    def __init__(
        self, rules: Literal["3.0", "2025"], ert: Node | None = None, art: Node | None = None
    ) -> None:
        """Read the values of the keys `ERT` and `ART`.

        Raises:
            InputError: a key is missing or wrong; with its line.

        """
        self.rules = rules
        self.ert = ert
        self._tables: dict[str, tuple[Node, dict[str, float]]] = {}
        for table in ert.need("tables").items() if ert is not None else []:
            name = _component(table)
            energies: dict[str, float] = {}
            for action in table.need("actions").items():
                # The largest over all arguments: the program asks with none.
                key = action.need("name").text()
                energy = float(action.need("energy").number())
                energies[key] = max(energies.get(key, energy), energy)
            self._tables.setdefault(name, (table, energies))
        self._areas = {
            _component(table): float(table.need("area").number())
            for table in (art.need("tables").items() if art is not None else [])
        }

    def level(self, storage: Storage) -> LevelPrices:
        """Return the prices of a storage level.

        Raises:
            InputError: there are none.

        """
        if storage.access_energy is not None:
            return LevelPrices(*3 * (float(storage.access_energy),))
        table, energies = self._table(storage)
        return LevelPrices(*(_first(table, energies, names) for names in _ACTIONS[self.rules]))

    def compute(self, unit: Compute) -> float:
        """Return the energy of a compute.

        Raises:
            InputError: there is none.

        """
        if unit.energy is not None:
            return float(unit.energy)
        table, energies = self._table(unit)
        return _first(table, energies, _COMPUTE)

    def largest(self, storage: Storage) -> float:
        """Return the largest energy of an action, which the statistics call that of an access."""
        if storage.access_energy is not None:
            return storage.access_energy
        energies = self._tables[storage.name][1] if storage.name in self._tables else {}
        return max(energies.values(), default=0.0) / storage.cluster

    def source(self, storage: Storage) -> str:
        """Return where the energy of an access comes from, as the statistics name it."""
        return "user" if storage.access_energy is not None else "ERT"

    def leak(self, storage: Storage) -> float:
        """Return what an instance leaks in a cycle, pJ; 0 where nothing is said."""
        return self._tables[storage.name][1].get("leak", 0.0) if storage.name in self._tables else 0

    def area(self, component: Storage | Compute) -> float:
        """Return the area of an instance, um^2; 0 where nothing is said."""
        return self._areas.get(component.name, 0.0)

    def _table(self, component: Storage | Compute) -> tuple[Node, dict[str, float]]:
        if component.name in self._tables:
            return self._tables[component.name]
        if self.ert is None:
            message = f"{component.name}: no energy; give an ERT, or its energy as an attribute"
            raise component.node.refuse(message)
        raise self.ert.refuse(unknown_name("table of", component.name, self._tables))


def read_prices(
    rules: Literal["3.0", "2025"],
    architecture: Architecture,
    ert: Node | None,
    art: Node | None = None,
) -> Prices | None:
    """Return the prices of an architecture; None where neither an ERT nor attributes give any."""
    given = [level.access_energy for level in architecture.levels]
    if ert is None and architecture.compute.energy is None and given.count(None) == len(given):
        return None
    return Prices(rules, ert, art)


def _component(table: Node) -> str:
    return _RANGE.sub("", table.need("name").text()).rpartition(".")[2]


def _first(table: Node, energies: Mapping[str, float], names: tuple[str, ...]) -> float:
    for name in names:
        if name in energies:
            return energies[name]
    raise table.refuse(f"has no action {' or '.join(names)}")
