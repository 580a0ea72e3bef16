"""NeuroSpector's two searches, equal to the tool's in what they find: brute force and bottom-up."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sim.models.neurospector.accelerator import (
    DATAFLOWS,
    DRAM,
    GB,
    LB,
    PARAMETERS,
    REGISTER,
    ROWS,
    Accelerator,
)
from sim.models.neurospector.model import BPQ, CRS, K, Model
from sim.models.neurospector.rules import capacity_rules, valid
from sim.models.neurospector.splits import (
    count_splits,
    divisors,
    freedom_of,
    splits,
    unit_limits,
    visits,
    walk,
)
from sim.models.neurospector.workload import Layer, Table
from workloads.inputs.faults import Fault, InputError

Array = NDArray[Any]

MOST_TABLES: Final = 50_000_000
"""Most tables that brute force walks through: some minutes."""


@dataclass
class Found:
    """The table found for a layer, and how."""

    layer: Layer
    table: Table
    dataflows: tuple[str, str]
    strategies: str = ""
    """Bottom-up: PM or SP of each stage; empty where nothing is better than the first table."""
    tried: int = 0
    failed_stages: int = 0
    """Bottom-up: stages in which no candidate was legal."""
    notes: list[str] = field(default_factory=list)


def dataflow_choices(accelerator: Accelerator, kind: str) -> list[tuple[str, str]]:
    """Return dataflows of LB and GB to try: the file's, or all that keep nothing bypassed."""
    if kind == "fixed":
        return [accelerator.dataflows]

    def choices(row: int) -> list[str]:
        buffer = accelerator.buffers.get(row)
        if buffer is None or not buffer.dataflow:
            return [""]
        pairs = zip(DATAFLOWS, buffer.bypass, strict=True)
        return [flow for flow, is_bypassed in pairs if not is_bypassed]

    return [(lb, gb) for gb in choices(GB) for lb in choices(LB)]


def unscheduled(layer: Layer) -> Table:
    """Return the table with every loop in DRAM's row."""
    table = np.ones((len(ROWS), len(PARAMETERS)), np.int64)
    table[DRAM] = layer.size
    return table


# -- brute force -----------------------------------------------------------------------------------


def brute_force(
    accelerator: Accelerator, layer: Layer, metric: str, dataflow: str = "fixed"
) -> Found:
    """Return the cheapest legal table; of equal cost the smaller DRAM row, then the earlier.

    Raises:
        InputError: there are more than `MOST_TABLES`.

    """
    rows = accelerator.fillable
    count = math.prod(count_splits(value, len(rows)) for value in layer.size)
    choices = dataflow_choices(accelerator, dataflow)
    if count * len(choices) > MOST_TABLES:
        wraps = " (NeuroSpector itself counts them modulo 2^32, quirk Q3b)" if count >> 32 else ""
        message = (
            f"{count * len(choices):,} tables, limit {MOST_TABLES:,}{wraps}; "
            "--search exact finds the optimum without walking through them"
        )
        raise InputError(Fault(layer.file, layer.line, f"layer {layer.name}", message))
    found = Found(layer, unscheduled(layer), choices[0])
    best = (math.inf, math.inf)
    for dataflows in choices:
        model = Model(accelerator, layer, dataflows)
        here = _cheapest(model, rows, metric)
        found.tried += count
        if here is not None and here[0] < best:
            best, found.table, found.dataflows = here[0], here[1], dataflows
    if best[0] == math.inf:
        found.notes.append("no table is legal: everything is left in DRAM's row")
    return found


def _cheapest(
    model: Model, rows: Sequence[int], metric: str
) -> tuple[tuple[float, float], Table] | None:
    best: tuple[float, float, int] | None = None
    table: Table | None = None
    base = np.ones((len(ROWS), len(PARAMETERS)), np.int64)
    limits = unit_limits(model.accelerator, rows)
    for numbers, every in walk(model.layer.size, rows, base, limits):
        legal = valid(model, every)
        if not legal.any():
            continue
        index, tables = numbers[legal], every[legal]
        cost = model.cost(model.figures(tables), metric)
        size = np.multiply.reduce(tables[:, DRAM], axis=1)
        place = np.lexsort((visits(index), size, cost))[0]
        here = (float(cost[place]), int(size[place]), int(visits(index)[place]))
        if best is None or here < best:
            best, table = here, tables[place].copy()
    return None if best is None or table is None else (best[:2], table)


# -- bottom-up -------------------------------------------------------------------------------------


@dataclass
class _Branch:
    """A partial table, and how it came about."""

    table: Table
    strategies: tuple[str, ...] = ()


def stages(accelerator: Accelerator) -> list[tuple[int, int]]:
    """Return (begin, end) of each stage from DRAM upward; the last begins at the registers."""
    kept = [row for row in (LB, GB) if row in accelerator.buffers]
    levels = [REGISTER, *[row for row in kept if accelerator.buffers[row].dataflow], DRAM]
    return list(itertools.pairwise(levels))[::-1]


def bottom_up(
    accelerator: Accelerator,
    layer: Layer,
    metric: str,
    dataflow: str = "fixed",
    start: Table | None = None,
    is_first: bool = True,
) -> Found:
    """Find the table that the tool's bottom-up search finds.

    `start` is a table whose rows from the GB down are given; its stages above them remain. The
    answer must be cheaper than the table that the search begins with, under the file's dataflows;
    for the layers behind a run's first one, the tool still has the last ones that it tried.
    """
    choices = dataflow_choices(accelerator, dataflow)
    begin_with = unscheduled(layer) if start is None else start
    found = Found(layer, begin_with, accelerator.dataflows if is_first else choices[-1])
    todo = stages(accelerator)
    if start is not None:
        todo = todo[1:]
    model = Model(accelerator, layer, found.dataflows)
    best = float(model.cost(model.figures(begin_with[None]), metric)[0])
    for dataflows in choices:
        model = Model(accelerator, layer, dataflows)
        branches = [_Branch(begin_with)]
        for begin, end in todo:
            is_last = begin == REGISTER
            branches = [
                after
                for branch in branches
                for after in _Stage(model, metric, begin, end, found).run(branch, is_last)
            ]
        for branch in branches:
            cost = float(model.cost(model.figures(branch.table[None]), metric)[0])
            if cost < best:
                best, found.table, found.dataflows = cost, branch.table, dataflows
                found.strategies = "-".join(branch.strategies)
    if found.failed_stages or not found.strategies:
        why = "nothing that the stages leave is cheaper"
        if found.failed_stages:
            why = "stages failed, no candidate was legal"
        if found.failed_stages and any(
            buffer.constraint for buffer in accelerator.buffers.values()
        ):
            why += ": a CONSTRAINT of a buffer makes partial tables illegal (quirk Q11)"
        if not found.strategies:
            why += "; the answer is the table that the search began with"
        found.notes.append(why)
    return found


class _Stage:
    """One stage: distribute row `end` over the rows between, `begin` and itself."""

    def __init__(self, model: Model, metric: str, begin: int, end: int, found: Found) -> None:
        self._model = model
        self._metric = metric
        self._begin, self._end = begin, end
        self._found = found
        fillable = model.accelerator.fillable
        self._rows = [row for row in fillable if begin < row < end] + [end]
        flow = dict(zip((LB, GB), model.dataflows, strict=True)).get(begin, "")
        self._idle = {"IS": [K], "WS": BPQ, "OS": CRS}.get(flow, [])
        self._pm: tuple[tuple[float, int, int], Table] | None = None
        self._sp: Table | None = None
        self._freedom, self._cost = 0, np.float32(np.inf)

    def run(self, branch: _Branch, is_last: bool) -> list[_Branch]:
        """Return tables that the strategies PM and, but in the last stage, SP leave."""
        for tables, may_win in self._candidates(branch.table):
            figures = self._model.figures(tables)
            cost = self._model.stage_cost(figures, self._end, self._metric)
            self._found.tried += len(tables)
            self._offer_pm(tables[may_win], cost[may_win])
            if not is_last:
                self._offer_sp(tables, cost)
        if self._pm is None:  # the tool leaves the table as it is, and names it PM all the same
            self._found.failed_stages += 1
            return [_Branch(branch.table, (*branch.strategies, "PM"))]
        pm = _Branch(self._pm[1], (*branch.strategies, "PM"))
        if is_last or self._sp is None or np.array_equal(self._sp, pm.table):
            return [pm]
        return [pm, _Branch(self._sp, (*branch.strategies, "SP"))]

    def _offer_pm(self, tables: Array, cost: Array) -> None:
        """Keep the cheapest; of equals the smaller row `end`, then the larger reuse in it."""
        size = np.multiply.reduce(tables[:, self._end], axis=1)
        reuse = np.multiply.reduce(tables[:, self._end][:, self._idle], axis=1)
        place = np.lexsort((-reuse, size, cost))[0]
        here = (float(cost[place]), int(size[place]), -int(reuse[place]))
        if self._pm is None or here < self._pm[0]:
            self._pm = (here, tables[place].copy())

    def _offer_sp(self, tables: Array, cost: Array) -> None:
        """Keep the largest freedom of row `begin`, and of equals a cheaper one.

        The cost of a table that was kept for its freedom is not remembered [Q13].
        """
        freedom = np.ones(len(tables), np.int64)
        for column, size in enumerate(self._model.layer.size):
            values = divisors(size)
            free = np.array([1 + freedom_of(value) for value in values])
            freedom *= free[np.searchsorted(values, tables[:, self._begin, column])]
        before = np.maximum.accumulate(np.concatenate([[self._freedom], freedom]))[:-1]
        equal = np.where(freedom == before, cost, np.inf)
        least = np.minimum.accumulate(np.concatenate([[self._cost], equal]))
        kept = np.flatnonzero((freedom > before) | (equal < least[:-1]))
        self._freedom, self._cost = int(max(self._freedom, freedom.max())), least[-1]
        if len(kept):
            self._sp = tables[kept[-1]].copy()

    def _candidates(self, table: Table) -> Iterator[tuple[Array, Array]]:
        """Yield legal tables in blocks, in the order of the tool's walk, and which are new."""
        outer = self._outer(table)
        if not len(outer):
            return
        digits = [0] * len(PARAMETERS)
        starts = np.empty(len(outer), np.int64)
        lists, kinds = np.unique(outer[:, self._end], axis=0, return_inverse=True)
        inner = [_Inner(self, values) for values in lists]
        kinds = kinds.reshape(-1)
        for place, kind in enumerate(kinds):
            starts[place] = inner[kind].advance(digits)
            if place == 0:  # the first enumeration ends where it began
                digits = [0] * len(PARAMETERS)
        block: list[int] = []
        size = 0
        for place, kind in enumerate(kinds):
            block.append(place)
            size += len(inner[kind].index) + 1
            if size > 100_000 or place == len(kinds) - 1:
                yield from self._block(outer, block, kinds, starts, inner)
                block, size = [], 0

    def _outer(self, table: Table) -> Array:
        base = table.copy()
        rows = self._rows
        limits = unit_limits(self._model.accelerator, rows)
        kept, order = [], []
        for index, tables in walk([int(value) for value in table[self._end]], rows, base, limits):
            legal = valid(self._model, tables)
            kept.append(tables[legal])
            order.append(visits(index[legal]))
        tables = np.concatenate(kept)
        return tables[np.argsort(np.concatenate(order), kind="stable")]

    def _block(
        self, outer: Array, block: list[int], kinds: Array, starts: Array, inner: list[_Inner]
    ) -> Iterator[tuple[Array, Array]]:
        parts, firsts, repeated = [], [], []
        held = 0
        for place in block:
            choice = inner[kinds[place]]
            visit = (choice.index - starts[place]) % choice.count
            order = np.argsort(visit)
            if place > 0 and len(order) and visit[order[0]] == 0:
                order = np.append(order, order[0])  # the walk ends where it began
                repeated.append(held + len(order) - 1)
            held += len(order)
            parts.append(choice.factors[order])
            firsts.append(np.full(len(order), place))
        taken = np.concatenate(parts)
        if not len(taken):
            return
        tables = outer[np.concatenate(firsts)]
        tables[:, self._begin] = taken
        tables[:, self._end] //= taken
        may_win = np.ones(len(tables), bool)
        may_win[repeated] = False
        legal = valid(self._model, tables)
        if legal.any():  # a repetition's first visit is in this block, too
            yield tables[legal], may_win[legal]

    def fits(self, factors: Array) -> Array:
        """Return which factors row `begin` can hold, (n,): its capacity, nothing for registers."""
        if self._begin == REGISTER:
            alone: Array = (factors == 1).all(axis=1)
            return alone
        tables = np.ones((len(factors), len(ROWS), len(PARAMETERS)), np.int64)
        tables[:, self._begin] = factors
        held = np.ones(len(factors), bool)
        for rule in capacity_rules(self._model, tables, self._begin):
            held &= rule.holds
        return held


class _Inner:
    """Splits of what row `end` has left over (begin, end): the walk's lists, and what fits."""

    def __init__(self, stage: _Stage, values: Array) -> None:
        lists = [splits(int(value), 2)[:, 0] for value in values]
        self._sizes = [len(options) for options in lists]
        self.count = math.prod(self._sizes)
        index, factors = np.zeros(1, np.int64), np.ones((1, 0), np.int64)
        for column, options in enumerate(lists):
            left = np.repeat(np.arange(len(index)), len(options))
            right = np.tile(np.arange(len(options)), len(index))
            index = index[left] * len(options) + right
            factors = np.hstack([factors[left], options[right][:, None]])
            # Tiles grow with every factor: what does not fit with ones behind never will.
            rest = np.ones((len(factors), len(PARAMETERS) - column - 1), np.int64)
            held = stage.fits(np.hstack([factors, rest]))
            index, factors = index[held], factors[held]
        self.index = index
        self.factors = factors

    def advance(self, digits: list[int]) -> int:
        """Take the walk's first step from `digits`, and say where it leads, as an index.

        A digit that is beyond its list, left over from a longer one, starts again at 0.
        """
        sizes = self._sizes
        digits[-1] += 1
        for column in range(len(sizes) - 1, -1, -1):
            if digits[column] >= sizes[column]:
                digits[column] = 0
                if column:
                    digits[column - 1] += 1
        index = 0
        for digit, size in zip(digits, sizes, strict=True):
            index = index * size + digit
        return index
