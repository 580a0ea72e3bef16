"""What several tables of a result have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from sim.report.tables import Cell, Row

if TYPE_CHECKING:
    from sim.account.result import Result


def simulated(result: Result) -> bool:
    """Return whether the figures come from the simulation and not from the closed form."""
    return result.engine != "closed-form"


def all_layers(result: Result) -> str:
    """Return the name of the row of totals, which says how many layers it leaves out."""
    return f"all but {len(result.left_out)}" if result.left_out else "all"


def with_rule(rows: Sequence[Sequence[Cell]]) -> list[Row]:
    """Return the rows, with a rule before the last of several: the sum of the others."""
    return [*rows[:-1], *([None] if len(rows) > 1 else []), rows[-1]]


def mb_places(sizes: Iterable[float]) -> int:
    """Return the decimal places of sizes in bytes that are printed in MB."""
    return 2 if max(sizes, default=0) >= 1e6 else 4
