"""When a scheduling table is legal: one statement of each rule, over many tables or in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.models.neurospector.accelerator import (
    CHIPS_X,
    DRAM,
    GB,
    LB,
    MAC_X,
    PARAMETERS,
    PE_X,
    REGISTER,
    ROWS,
    TYPES,
)
from sim.models.neurospector.model import Model
from sim.models.neurospector.workload import Schedule
from workloads.inputs.faults import Fault

Array = NDArray[Any]


@dataclass(frozen=True)
class Rule:
    """A value of each of n tables, its limit, and what the limit is."""

    row: int
    about: str
    value: Array
    limit: Any
    what: str
    key: str
    """The accelerator's key that sets the limit."""
    is_exact: bool = False
    """The value must equal the limit, where it else may not exceed it."""

    @property
    def holds(self) -> Array:
        """For which tables, (n,) of bool."""
        held: Array = self.value == self.limit if self.is_exact else self.value <= self.limit
        return held


def rules(model: Model, tables: Array) -> Iterator[Rule]:
    """Return every rule that the accelerator has for tables (n, 10, 8)."""
    accelerator = model.accelerator
    one = np.multiply.reduce(tables[:, REGISTER], axis=1)
    yield Rule(REGISTER, "loops", one, 1, "registers keep nothing", "", True)
    for first in (MAC_X, PE_X, CHIPS_X):
        array = accelerator.arrays.get(first)
        for side in range(2):
            row, letter = first + side, "xy"[side]
            units = np.multiply.reduce(tables[:, row], axis=1)
            limit = array.size[side] if array is not None else 1
            yield Rule(row, "units", units, limit, f"units along {letter}", f"size_{letter}")
            if array is None or first != PE_X or not array.constraint[side]:
                continue
            left = units.copy()
            for parameter in array.constraint[side]:  # one division after the other
                left //= tables[:, row, PARAMETERS.index(parameter)]
            allowed = ",".join(array.constraint[side])
            what = f"units along {letter} by loops other than {allowed}"
            yield Rule(row, "units", left, 1, what, f"constraint_{letter}")
    for row in (LB, GB):
        if row in accelerator.buffers:
            yield from capacity_rules(model, tables, row)
    for row in (LB, GB, DRAM):
        buffer = accelerator.buffers.get(row)
        for column, number in enumerate((buffer.constraint or ()) if buffer is not None else ()):
            if number:
                what = "the entry that CONSTRAINT asks for"
                about = PARAMETERS[column]
                yield Rule(row, about, tables[:, row, column], number, what, "constraint", True)


def capacity_rules(model: Model, tables: Array, row: int) -> Iterator[Rule]:
    """Return rules of what a memory holds, for tables (n, 10, 8); none for DRAM."""
    if row == DRAM:
        return
    accelerator = model.accelerator
    buffer, real = accelerator.buffers[row], model.arithmetic.real
    capacity = [real(words) for words in accelerator.capacity(row)]
    tiles = model.tiles(model.reach(model.rows(tables[:, : row + 1]))[row])
    kept = [kind for kind in range(3) if not buffer.bypass[kind]]
    words = f"words of {buffer.name}"
    if len(capacity) == 3:
        for kind in kept:
            value = tiles[kind].astype(real)
            about = f"{TYPES[kind].lower()} tile"
            yield Rule(row, about, value, capacity[kind], f"{words} for it", "buffer_size")
        return
    if len(capacity) == 2:
        if row == LB and accelerator.version == "1.5":
            return  # not checked by the tool
        if accelerator.version == "1.5":
            # BYPASS names the type of the second size; another one has room for a single word
            own = [kind for kind in range(3) if buffer.bypass[kind]]
            limits = [capacity[1], *[real(1)] * len(own)]
        else:
            own = [kind for kind in kept if kind == buffer.separated]
            limits = [capacity[1]]
            kept = [kind for kind in kept if kind not in own]
        for kind, limit in zip(own, limits, strict=False):
            value = tiles[kind].astype(real)
            about = f"{TYPES[kind].lower()} tile"
            yield Rule(row, about, value, limit, f"{words} for it", "buffer_size")
    if kept:
        total = tiles[kept[0]]
        for kind in kept[1:]:
            total = total + tiles[kind]
        about = f"{' + '.join(TYPES[kind].lower() for kind in kept)} tile"
        shared = f"{words}, shared" if len(kept) > 1 else words
        yield Rule(row, about, total.astype(real), capacity[0], shared, "buffer_size")


def valid(model: Model, tables: Array) -> Array:
    """Return which of tables (n, 10, 8) are legal, (n,) of bool."""
    held = np.ones(len(tables), bool)
    for rule in rules(model, tables):
        held &= rule.holds
    return held


def violations(model: Model, schedule: Schedule) -> list[Fault]:
    """Return each rule that a table breaks, with its value, its limit and the place of both."""
    accelerator = model.accelerator
    faults = []
    for rule in rules(model, schedule.table[None]):
        if rule.holds[0]:
            continue
        source = accelerator.buffers.get(rule.row) or next(
            (a for x, a in accelerator.arrays.items() if rule.row in (x, x + 1)), None
        )
        relation = "must be" if rule.is_exact else "limit"
        where = ""
        if source is not None:
            keys = ("size", "buffer_size") if rule.key == "buffer_size" else (rule.key,)
            line = next((source.lines[key] for key in keys if key in source.lines), None)
            where = f" ({accelerator.file}:{line or source.lines['']})"
        text = f"{rule.about} = {rule.value[0]:g}, {relation} {rule.limit:g}: {rule.what}{where}"
        line = schedule.lines.get(rule.row)
        faults.append(Fault(schedule.file, line, ROWS[rule.row], text))
    return faults
