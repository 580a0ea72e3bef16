"""The optimum of NeuroSpector's cost model, proved: branch and bound over tiles.

A table is seen from its tiles. Let v(r) be the products of each loop down to row r. Then

    v(3)  the tile of an LB                 v(5)  the tile of the PE array
    v(6)  the tile of a GB                  v(9)  the layer

and DRAM's figures follow from v(6) and the chips, the GB's from v(5) and v(6), the LB's and the
MACs' from how a tile v(5) is made of MACs, LB loops and PEs. So the search has three levels: GB
tiles with chips (`_Outer`) are bounded from below by DRAM's exact figures and by what the rest must
move at least; array tiles within one are bounded by the least of each figure that any way to make
them has (`_Inner`); what is left is evaluated. Bounds are taken in ascending order, so the search
ends with a proof where the next one is not below what was found.

How an array's loops spread over its two directions decides only what is legal. Of spreads with
equal products only one is kept.

Numbers are 64 bits, without the tool's wrap-around [Q3].
"""

from __future__ import annotations

import heapq
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

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
    ROWS,
    Accelerator,
)
from sim.models.neurospector.model import CRS, EXACT, Counts, Model
from sim.models.neurospector.rules import capacity_rules, rules
from sim.models.neurospector.search import bottom_up, dataflow_choices
from sim.models.neurospector.splits import divisors, unit_limits, walk
from sim.models.neurospector.workload import Layer, Table
from workloads.inputs.faults import Fault, InputError

Array = NDArray[Any]

MOST_WAYS: Final = 4_000_000
"""Most ways to make array tiles that are listed beforehand, some 100 bytes each; where there are
more, each tile's are listed when its turn comes."""

MOST_TILES: Final = 1_000_000
"""Most GB tiles, with chips and dataflows, and most tiles of the array: some 500 bytes each."""

BATCH: Final = 150_000
"""Pairs of a GB tile and an array tile looked at together."""

SLACK: Final = 1 - 1e-12
"""Bounds and costs are sums of 64-bit floats in different order."""


@dataclass(frozen=True)
class Goal:
    """The cost to minimise: energy^a times cycles^b."""

    energy: float
    cycles: float

    def cost(self, energy: Array, cycles: Array) -> Array:
        """Return the cost of pJ and cycles; it grows with both."""
        if self.cycles == 0 and self.energy == 1:
            return energy
        if self.energy == 0 and self.cycles == 1:
            return cycles
        cost: Array = energy**self.energy * cycles**self.cycles
        return cost


GOALS: Final = {"energy": Goal(1, 0), "cycle": Goal(0, 1), "edp": Goal(1, 1)}


@dataclass(frozen=True)
class Optimum:
    """A table, its cost under the goal, and its pJ and cycles in 64 bits."""

    cost: float
    energy_pj: float
    cycles: float
    table: Table
    dataflows: tuple[str, str]


@dataclass
class Proof:
    """The best tables, best first, and a bound that no table is below."""

    layer: Layer
    goal: Goal
    best: list[Optimum] = field(default_factory=list)
    bound: float = 0.0
    is_proved: bool = False
    tiles: int = 0
    """GB tiles, with chips and dataflows, there are."""
    tiles_seen: int = 0
    """Of these, those that the bound did not rule out."""
    seconds: float = 0.0

    @property
    def gap(self) -> float:
        """How far below the best one the optimum may be at most, as a share; 0 where proved."""
        return 0.0 if self.is_proved else 1 - self.bound / self.best[0].cost


def search_exact(
    accelerator: Accelerator,
    layer: Layer,
    goal: Goal,
    *,
    dataflow: str = "fixed",
    top: int = 1,
    time_limit: float = math.inf,
    divides_inputs: bool = False,
) -> Proof:
    """Search the `top` best tables of a layer, with a proof, or a bound when seconds run out.

    Input reads are not divided by loops over which the input changes (quirk Q2 of version 1.5),
    unless `divides_inputs`. Of tables of equal cost the one that comes first in the order of
    bounds is taken.

    Raises:
        InputError: no table is legal; the accelerator has too many ways to fill its array.

    """
    if accelerator.frequency == 0:
        message = "is 0: every table costs infinite static energy"
        raise InputError(Fault(accelerator.file, None, "ACCELERATOR FREQUENCY", message))
    for buffer in accelerator.buffers.values():
        if not all(buffer.bits):
            line = buffer.lines.get("bandwidth")
            message = "is 0: every table takes infinitely long"
            raise InputError(Fault(accelerator.file, line, f"{buffer.name} BANDWIDTH", message))
    return _Search(accelerator, layer, goal, dataflow, top, time_limit, divides_inputs).run()


class _TooManyError(Exception):
    """There are more ways to make array tiles than are listed beforehand."""


class _TimeUpError(Exception):
    """The time limit is over."""


def _check_count(count: int, what: str, layer: Layer) -> None:
    if count > MOST_TILES:
        message = f"{count:,} or more {what}, limit {MOST_TILES:,} for --search exact"
        raise InputError(Fault(layer.file, layer.line, f"layer {layer.name}", message))


class _Space:
    """Divisor vectors of a layer's size, by the places of their entries among the divisors."""

    def __init__(self, size: Sequence[int]) -> None:
        self.size = np.array(size, np.int64)
        self.lists = [np.array(divisors(value), np.int64) for value in size]
        self.counts = [len(one) for one in self.lists]
        # times[p][i, j]: the place of the product of two divisors, -1 where it is none
        self.times = []
        self.divides = []
        for one, value in zip(self.lists, size, strict=True):
            product = one[:, None] * one[None, :]
            place = np.searchsorted(one, product)
            place[(product > value) | (one[np.minimum(place, len(one) - 1)] != product)] = -1
            self.times.append(place)
            self.divides.append(one[None, :] % one[:, None] == 0)

    def places(self, vectors: Array) -> Array:
        """Return places of vectors (n, 8) of divisors."""
        columns = [np.searchsorted(self.lists[p], vectors[:, p]) for p in range(len(self.lists))]
        return np.stack(columns, axis=1)

    def key(self, places: Array) -> Array:
        """Return a number for each row of places (n, 8)."""
        key: Array = np.ravel_multi_index(tuple(places.T), tuple(self.counts))
        return key

    def places_of(self, key: Array) -> Array:
        """Return places (n, 8) of keys."""
        return np.stack(np.unravel_index(key, tuple(self.counts)), axis=1)

    def vectors(self, places: Array) -> Array:
        """Return vectors (n, 8) of places."""
        return np.stack([one[places[:, p]] for p, one in enumerate(self.lists)], axis=1)


@dataclass(frozen=True)
class _Spread:
    """Ways to unroll loops over an array: products of both directions, and one way to spread."""

    places: Array
    vectors: Array
    sides: Array
    """(n, 2, 8): the rows of x and y."""


class _Search:
    def __init__(
        self,
        accelerator: Accelerator,
        layer: Layer,
        goal: Goal,
        dataflow: str,
        top: int,
        time_limit: float,
        divides_inputs: bool,
    ) -> None:
        self.accelerator, self.layer, self.goal = accelerator, layer, goal
        self.divides_inputs = divides_inputs
        self._dataflow = dataflow
        self._top = top
        self._began = time.monotonic()
        self._time_limit = time_limit
        self.space = _Space(layer.size)
        self.models = [
            Model(accelerator, layer, flows, EXACT, divides_inputs=divides_inputs)
            for flows in dataflow_choices(accelerator, dataflow)
        ]
        self.model = self.models[0]
        self.macs, self.pes, self.chips = (self._spread(first) for first in (MAC_X, PE_X, CHIPS_X))
        one_cycle = self.model.static(np.ones(1))
        self.static_pj = float(sum(power[0] for power in one_cycle.values()))
        self.mac_pj = layer.macs * accelerator.mac_energy_pj
        self._heap: list[tuple[float, int, Optimum]] = []
        self._found = 0
        self.proof = Proof(layer, goal)

    # -- parts ----------------------------------------------------------------------------------

    def _spread(self, first: int) -> _Spread:
        fillable = self.accelerator.fillable
        rows = [row for row in (first, first + 1) if row in fillable]
        base = np.ones((len(ROWS), len(PARAMETERS)), np.int64)
        limits = unit_limits(self.accelerator, rows)
        kept = []
        for _, tables in walk(self.layer.size, [*rows, DRAM], base, limits):
            held = np.ones(len(tables), bool)
            for rule in rules(self.model, tables):
                if rule.row in rows:
                    held &= rule.holds
            kept.append(tables[held][:, first : first + 2])
        sides = np.concatenate(kept)
        vectors = sides[:, 0] * sides[:, 1]
        places = self.space.places(vectors)
        _, which = np.unique(self.space.key(places), return_index=True)
        return _Spread(places[which], vectors[which], sides[which])

    def tiles_that_fit(self, row: int) -> Array:
        """Return places (n, 8) of all tiles that a memory can hold."""
        kept = np.zeros((1, 0), np.int64)
        for column, count in enumerate(self.space.counts):
            left = np.repeat(np.arange(len(kept)), count)
            right = np.tile(np.arange(count), len(kept))
            kept = np.hstack([kept[left], right[:, None]])
            rest = np.zeros((len(kept), len(PARAMETERS) - column - 1), np.int64)
            # Tiles grow with every factor: what does not fit with ones behind never will.
            kept = kept[self.fits(row, self.space.vectors(np.hstack([kept, rest])))]
        return kept

    def fits(self, row: int, vectors: Array) -> Array:
        """Return which tiles (n, 8) a memory can hold."""
        tables = np.ones((len(vectors), row + 1, len(PARAMETERS)), np.int64)
        tables[:, row] = vectors
        held = np.ones(len(vectors), bool)
        for rule in capacity_rules(self.model, tables, row):
            held &= rule.holds
        return held

    def asked(self, row: int, vectors: Array) -> Array:
        """Return which vectors (n, 8) a row may have: its CONSTRAINT; ones where it is a unit."""
        if row not in self.accelerator.fillable:
            ones: Array = (vectors == 1).all(axis=1)
            return ones
        constraint = np.array(self.accelerator.buffers[row].constraint or [0] * len(PARAMETERS))
        held: Array = ((constraint == 0) | (vectors == constraint)).all(axis=1)
        return held

    # -- the search -----------------------------------------------------------------------------

    def run(self) -> Proof:
        try:
            inner: _Ways = _Ways(self)
        except _TooManyError:
            inner = _LazyWays(self)
        outers = [_Outer(self, model, inner) for model in self.models]
        proof = self.proof
        proof.tiles = sum(len(outer.bound) for outer in outers)
        which = np.concatenate([np.full(len(o.bound), i) for i, o in enumerate(outers)])
        place = np.concatenate([np.arange(len(outer.bound)) for outer in outers])
        bound = np.concatenate([outer.bound for outer in outers])
        order = np.argsort(bound, kind="stable")
        start, step = 0, 8
        while start < len(order):
            proof.bound = float(bound[order[start]])
            if proof.bound * SLACK >= self.limit:
                break
            part = order[start : start + step]
            part = part[bound[part] * SLACK < self.limit]
            try:
                for number, outer in enumerate(outers):
                    mine = place[part[which[part] == number]]
                    if len(mine):
                        outer.look(mine)
            except _TimeUpError:  # what this part's first one may still hold is the bound
                break
            start += step
            step = min(64, step * 2)
            proof.tiles_seen = min(start, len(order))
        else:
            proof.bound = math.inf
        self._finish()
        return proof

    def _finish(self) -> None:
        proof = self.proof
        proof.is_proved = proof.bound * SLACK >= self.limit
        if not proof.is_proved:
            self._offer_bottom_up()
        proof.best = [optimum for _, _, optimum in sorted(self._heap, key=lambda e: (-e[0], -e[1]))]
        proof.seconds = time.monotonic() - self._began
        if not proof.best:
            message = "no table is legal: no tile fits with what the CONSTRAINTs ask for"
            where = Fault(self.layer.file, self.layer.line, f"layer {self.layer.name}", message)
            raise InputError(where)
        proof.is_proved = proof.is_proved or proof.bound * SLACK >= proof.best[0].cost
        if proof.is_proved:
            proof.bound = proof.best[0].cost

    def check_time(self) -> None:
        """Raise `_TimeUpError` where the time limit is over."""
        if time.monotonic() - self._began > self._time_limit:
            raise _TimeUpError

    def _offer_bottom_up(self) -> None:
        """Offer the tool's own table, so that a search that is cut off is never worse."""
        metric = "cycle" if self.goal.energy == 0 else "energy"
        found = bottom_up(self.accelerator, self.layer, metric, self._dataflow)
        if not found.strategies:
            return
        known = any(np.array_equal(entry[2].table, found.table) for entry in self._heap)
        if not known:
            self.offer(found.table, found.dataflows)

    @property
    def limit(self) -> float:
        """The cost that a table must be below to be of interest."""
        return -self._heap[0][0] if len(self._heap) == self._top else math.inf

    def offer(self, table: Table, dataflows: tuple[str, str]) -> None:
        """Keep a table if it is among the best."""
        model = Model(
            self.accelerator, self.layer, dataflows, EXACT, divides_inputs=self.divides_inputs
        )
        figures = model.figures(table[None])
        energy, cycles = figures.total_energy, figures.total_cycles
        cost = float(self.goal.cost(energy, cycles)[0])
        if cost >= self.limit:
            return
        optimum = Optimum(cost, float(energy[0]), float(cycles[0]), table, dataflows)
        self._found += 1
        entry = (-cost, -self._found, optimum)
        if len(self._heap) < self._top:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heapreplace(self._heap, entry)

    @property
    def top(self) -> int:
        """How many tables are wanted."""
        return self._top


class _Ways:
    """Ways to make array tiles: MACs, LB loops and PEs, sorted by the tile that they make."""

    def __init__(self, search: _Search) -> None:
        self._search = search
        space = search.space
        # LB tiles, and the MACs within each; `first` is a way's place among them
        macs, local = self._local()
        keys, firsts, pes = [], [], []
        total = 0
        step = max(1, 1_000_000 // max(1, len(local)))
        for start in range(0, len(search.pes.places), step):
            part = search.pes.places[start : start + step]
            left = np.repeat(np.arange(len(local)), len(part))
            right = np.tile(np.arange(len(part)), len(local))
            made = np.empty((len(left), 0), np.int64)
            for column in range(len(PARAMETERS)):
                place = space.times[column][local[left, column], part[right, column]]
                held = place >= 0
                left, right = left[held], right[held]
                made = np.hstack([made[held], place[held, None]])
            keys.append(space.key(made))
            firsts.append(left.astype(np.int32))
            pes.append((right + start).astype(np.int32))
            total += len(left)
            if total > MOST_WAYS:
                raise _TooManyError
        key = np.concatenate(keys)
        order = np.argsort(key, kind="stable")
        self.key, self.begin = np.unique(key[order], return_index=True)
        self.end = np.append(self.begin[1:], len(key))
        self.macs, self.local = macs, space.vectors(local)
        self.first, self.pe = np.concatenate(firsts)[order], np.concatenate(pes)[order]
        self.tile_places = space.places_of(self.key)
        self.tile = space.vectors(self.tile_places)
        self._values: dict[tuple[int, int], _Values] = {}

    def _local(self) -> tuple[Array, Array]:
        """Return places of LB tiles that fit, with the MACs within each."""
        search, space = self._search, self._search.space
        tiles = search.tiles_that_fit(LB)
        vectors = space.vectors(tiles)
        macs, kept = [], []
        total = 0
        for number, units in enumerate(search.macs.vectors):
            held = (vectors % units == 0).all(axis=1)
            held[held] = search.asked(LB, vectors[held] // units)
            macs.append(np.full(int(held.sum()), number))
            kept.append(tiles[held])
            total += int(held.sum())
            if total > MOST_WAYS:
                raise _TooManyError
        return np.concatenate(macs), np.concatenate(kept)

    def open(self, tiles: Array) -> None:
        """Make sure that the ways of some tiles are listed."""

    def values(self, chips: int, crs: int) -> _Values:
        """Return figures of every way for `chips` with a part, `crs` of them over C, R, S."""
        if (chips, crs) not in self._values:
            self._values[chips, crs] = _Values(self._search, self, chips, crs)
        return self._values[chips, crs]


class _LazyWays(_Ways):
    """Ways that are listed tile by tile, when asked for; until then tiles have looser bounds."""

    def __init__(self, search: _Search) -> None:
        self._search = search
        space = search.space
        count = math.prod(space.counts)
        _check_count(count, "tiles of the array", search.layer)
        self.key = np.arange(count)
        self.tile_places = space.places_of(self.key)
        self.tile = space.vectors(self.tile_places)
        self.begin = np.full(count, -1)
        self.end = np.full(count, -1)
        self.macs = self.pe = self.first = np.zeros(0, np.int32)
        self.local = np.zeros((0, len(PARAMETERS)), np.int64)
        self._values = {}

    def open(self, tiles: Array) -> None:
        """List the ways of some tiles."""
        listed = [self._list(tile) for tile in np.unique(tiles[self.begin[tiles] < 0])]
        if not listed:
            return
        self.macs = np.concatenate([self.macs, *[macs for macs, _, _ in listed]])
        self.pe = np.concatenate([self.pe, *[pes for _, pes, _ in listed]])
        self.local = np.concatenate([self.local, *[local for _, _, local in listed]])
        self.first = np.arange(len(self.pe), dtype=np.int32)
        for values in self._values.values():
            values.extend(self)

    def _list(self, tile: int) -> tuple[Array, Array, Array]:
        search, vector = self._search, self.tile[tile]
        pes = np.flatnonzero((vector % search.pes.vectors == 0).all(axis=1))
        local = vector // search.pes.vectors[pes]
        held = search.fits(LB, local)
        pes, local = pes[held], local[held]
        divides = (local[:, None] % search.macs.vectors[None] == 0).all(axis=2)
        left, macs = np.nonzero(divides)
        held = search.asked(LB, local[left] // search.macs.vectors[macs])
        left, macs = left[held], macs[held]
        self.begin[tile] = self._listed
        self._listed += len(left)
        self.end[tile] = self._listed
        return macs.astype(np.int32), pes[left].astype(np.int32), local[left]

    _listed = 0

    def values(self, chips: int, crs: int) -> _Values:
        """Return figures of every way listed so far."""
        if (chips, crs) not in self._values:
            self._values[chips, crs] = _LazyValues(self._search, self, chips, crs)
        return self._values[chips, crs]


class _Values:
    """Figures of each way, and the least of each for every array tile."""

    def __init__(self, search: _Search, ways: _Ways, chips: int, crs: int) -> None:
        self._search, self._chips, self._crs = search, chips, crs
        self.cycles, self.upper, self.lower = self._figures(ways, slice(None))
        least = [np.minimum.reduceat(v, ways.begin) for v in (self.cycles, self.upper, *self.lower)]
        self.least_cycles, self.least_upper, *self.least_lower = least

    def extend(self, ways: _Ways) -> None:
        """Add the figures of ways that have been listed since."""
        cycles, upper, lower = self._figures(ways, slice(len(self.cycles), None))
        self.cycles = np.concatenate([self.cycles, cycles])
        self.upper = np.concatenate([self.upper, upper])
        self.lower = [np.concatenate(pair) for pair in zip(self.lower, lower, strict=True)]

    def _figures(self, ways: _Ways, part: slice) -> tuple[Array, Array, list[Array]]:
        """Return cycles of MACs and LBs, pJ between them, pJ of an LB's tiles by type."""
        search, chips, crs = self._search, self._chips, self._crs
        model = search.model
        macs, pes = search.macs.vectors, search.pes.vectors
        first, pe = ways.first[part], ways.pe[part]
        mac = ways.macs[first]
        units = np.prod(pes, axis=1)[pe]
        at_work = np.prod(macs, axis=1)[mac] * units * chips
        # Where the units at work do not divide the layer no table has both parts.
        every = np.maximum(search.layer.macs // at_work, 1)
        sums = math.prod(search.layer.size[c] for c in CRS)
        parts = np.prod(macs[:, CRS], axis=1)[mac] * np.prod(pes[:, CRS], axis=1)[pe] * crs
        summed = np.maximum(sums // parts, 1)
        counts = Counts(every, every, every - every // summed, every)
        per_mac = model.tiles(np.ascontiguousarray(macs.T))
        send = (per_mac[0][mac], per_mac[1][mac], per_mac[2][mac])
        copies = (units * chips).astype(np.float64)
        cycles = search.layer.macs / at_work + model.level_cycles(LB, send, counts)
        upper = model.priced(LB, send, counts.moved) * copies
        alloc = model.tiles(np.ascontiguousarray(ways.local.T))
        prices = search.accelerator.buffers[LB].energy_pj
        lower = [(alloc[kind] * prices[kind])[first] * copies for kind in range(3)]
        return cycles, upper, lower


class _LazyValues(_Values):
    """Figures of the ways listed so far, and bounds for every array tile."""

    def __init__(self, search: _Search, ways: _Ways, chips: int, crs: int) -> None:
        self._search, self._chips, self._crs = search, chips, crs
        self.cycles, self.upper, self.lower = self._figures(ways, slice(None))
        model, macs = search.model, search.macs.vectors
        lb, every = search.accelerator.buffers[LB], search.layer.macs
        units = np.prod(macs, axis=1)
        send = model.tiles(np.ascontiguousarray(macs.T))
        width = lb.bits[0] / search.accelerator.precision
        tile = np.ascontiguousarray(ways.tile.T)
        pes = np.minimum(np.prod(tile, axis=0), np.prod(search.pes.vectors, axis=1).max())
        at_work = np.minimum(np.prod(tile, axis=0), pes * units.max()) * chips
        # Each MAC reads its words once; of outputs at least the write is left.
        beats = [
            (np.ceil(send[kind] / width) / units).min() * lb.cycles[kind] * every / (pes * chips)
            for kind in range(3)
        ]
        local = np.maximum.reduce(beats) if len(lb.sizes) == 3 else sum(beats)
        self.least_cycles = every / at_work + local
        # Reads of outputs are saved for the first of all that are summed on PEs or chips.
        prices = lb.energy_pj
        words = send[0] * prices[0] + send[1] * prices[1] + 2 * send[2] * prices[2]
        sums = math.prod(search.layer.size[c] for c in CRS)
        saved = np.prod(tile[CRS], axis=0) * crs * prices[2] * every / sums
        self.least_upper = np.maximum((words / units).min() * every - saved, 0)
        held = model.tiles(tile)
        shares = (1 / max(1, search.layer.stride) ** 2, 1.0, 1.0)  # as in `_Outer`
        self.least_lower = [held[kind] * prices[kind] * chips * shares[kind] for kind in range(3)]


class _Outer:
    """GB tiles and chips under given dataflows, each with a bound on what tables of it cost."""

    def __init__(self, search: _Search, model: Model, ways: _Ways) -> None:
        self._search, self._model, self._ways = search, model, ways
        space = search.space
        tiles = search.tiles_that_fit(GB)
        places, chips = [], []
        total = 0
        for number, spread in enumerate(search.chips.places):
            reach = [space.times[p][tiles[:, p], spread[p]] for p in range(len(PARAMETERS))]
            held = np.all([place >= 0 for place in reach], axis=0)
            places.append(tiles[held])
            chips.append(np.full(int(held.sum()), number))
            total += int(held.sum())
            _check_count(total * len(search.models), "tiles of the GB with chips", search.layer)
        self.places = np.concatenate(places)
        self.chips = np.concatenate(chips)
        vectors = space.vectors(self.places)
        below = space.size // (vectors * search.chips.vectors[self.chips])
        held = search.asked(DRAM, below)
        self.places, self.chips, self.m9 = self.places[held], self.chips[held], below[held]
        self.tile = vectors[held]
        self.bound = self._bounds()

    def _dram(self, which: Array) -> tuple[Any, Any, Any]:
        """Return (alloc of GB, alloc of DRAM, send of DRAM) of the tiles, each by type."""
        model, size = self._model, self._search.space.size
        held = model.tiles(np.ascontiguousarray(self.tile[which].T))
        sent = model.tiles(np.ascontiguousarray((size // self.m9[which]).T))
        whole = model.tiles(np.tile(size[:, None], len(which)))
        return held, whole, sent

    def _bounds(self) -> Array:
        search, model = self._search, self._model
        every = np.arange(len(self.m9))
        held, whole, sent = self._dram(every)
        m9 = np.ascontiguousarray(self.m9.T)
        counts = model.dram_counts(m9, whole, sent)
        chips = np.prod(search.chips.vectors[self.chips], axis=1).astype(np.float64)
        energy = model.priced(DRAM, sent, counts.moved)
        energy += model.priced(GB, held, counts.moved) * chips
        # The GB hands each tile on at least once: rows of neighbouring tiles overlap, but for
        # strides beyond the filter, which leave rows out, at most a stride's share of each side.
        skipped = max(1, search.layer.stride) ** 2
        share = (0.0 if search.divides_inputs else 1 / skipped, 1.0, 1.0)
        times = (counts.rd_i, counts.rd_w, counts.wr_o)
        gb, lb = (search.accelerator.buffers[row] for row in (GB, LB))
        cycles = model.level_cycles(DRAM, sent, counts)
        beats = []
        for kind in range(3):
            words = held[kind].astype(np.float64) * times[kind] * share[kind]
            energy += words * chips * (gb.energy_pj[kind] + lb.energy_pj[kind])
            width = gb.bits[kind] / search.accelerator.precision
            beats.append(words / width * gb.cycles[kind] if width else 0 * words)
        separate = len(gb.sizes) == 3
        cycles = cycles + (np.maximum.reduce(beats) if separate else sum(beats))
        for number, spread in enumerate(search.chips.vectors):
            mine = self.chips == number
            values = self._values(spread)
            cycles[mine] += values.least_cycles.min()
            energy[mine] += values.least_upper.min()
        energy += search.mac_pj + search.static_pj * cycles
        return search.goal.cost(energy, cycles)

    def _values(self, spread: Array) -> _Values:
        return self._ways.values(int(np.prod(spread)), int(np.prod(spread[CRS])))

    def look(self, which: Array) -> None:
        """Evaluate all tables of these tiles that may be of interest."""
        outers, inners = [], []
        size = 0
        for outer in which:
            self._search.check_time()
            inner = self._inner(outer)
            outers.append(np.full(len(inner), outer))
            inners.append(inner)
            size += len(inner)
            if size > BATCH:
                self._evaluate(np.concatenate(outers), np.concatenate(inners))
                outers, inners, size = [], [], 0
        if size:
            self._evaluate(np.concatenate(outers), np.concatenate(inners))

    def _inner(self, outer: int) -> Array:
        """Return array tiles within a GB tile."""
        space, places = self._search.space, self._ways.tile_places
        kept = np.arange(len(places))
        for column in range(len(PARAMETERS)):
            inside = space.divides[column][:, self.places[outer, column]]
            kept = kept[inside[places[kept, column]]]
        return kept

    def _evaluate(self, outer: Array, inner: Array) -> None:
        search, model, ways = self._search, self._model, self._ways
        m6 = self.tile[outer] // ways.tile[inner]
        held = search.asked(GB, m6)
        outer, inner, m6 = outer[held], inner[held], m6[held]
        if not len(outer):
            return
        alloc_gb, alloc_dram, send_dram = self._dram(outer)
        send_gb = model.tiles(np.ascontiguousarray(ways.tile[inner].T))
        alloc, send = {GB: alloc_gb, DRAM: alloc_dram}, {GB: send_gb, DRAM: send_dram}
        rows = (np.ascontiguousarray(m6.T), np.ascontiguousarray(self.m9[outer].T))
        counts = model.lower_counts(*rows, alloc, send)
        chips = np.prod(search.chips.vectors[self.chips[outer]], axis=1).astype(np.float64)
        energy = model.priced(DRAM, send_dram, counts[DRAM].moved) + search.mac_pj
        energy += model.priced(GB, send_gb, counts[GB].moved) * chips
        energy += model.priced(GB, alloc_gb, counts[DRAM].moved) * chips
        cycles = model.level_cycles(GB, send_gb, counts[GB])
        cycles = cycles + model.level_cycles(DRAM, send_dram, counts[DRAM])
        moved = [times.astype(np.float64) for times in counts[GB].moved]
        for number in np.unique(self.chips[outer]):
            mine = np.flatnonzero(self.chips[outer] == number)
            values = self._values(search.chips.vectors[number])
            group = _Group(
                outer[mine],
                inner[mine],
                energy[mine],
                cycles[mine],
                [times[mine] for times in moved],
            )
            self._finish(group, values)

    def _finish(self, group: _Group, values: _Values) -> None:
        search, ways = self._search, self._ways
        least = group.cycles + values.least_cycles[group.inner]
        energy = group.energy + values.least_upper[group.inner] + search.static_pj * least
        for kind in range(3):
            energy = energy + group.moved[kind] * values.least_lower[kind][group.inner]
        bound = search.goal.cost(energy, least)
        order = np.argsort(bound, kind="stable")
        order = order[: np.searchsorted(bound[order], search.limit)]
        sizes = (ways.end - ways.begin)[group.inner]
        start = 0
        while start < len(order):
            if bound[order[start]] * SLACK >= search.limit:
                return
            search.check_time()
            # A few first: they bring the limit down.
            stop = start + 1 + int(np.searchsorted(np.cumsum(sizes[order[start:]]), 20_000))
            stop = min(stop, start + 256)
            self._ways_of(group, order[start:stop], values)
            start = stop

    def _ways_of(self, group: _Group, chosen: Array, values: _Values) -> None:
        """Evaluate every way to make the array tiles of some pairs."""
        search, ways = self._search, self._ways
        ways.open(group.inner[chosen])
        begin, end = ways.begin[group.inner[chosen]], ways.end[group.inner[chosen]]
        sizes = end - begin
        pair = np.repeat(chosen, sizes)
        offset = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        way = np.repeat(begin, sizes) + offset
        if not len(way):
            return
        cycles = group.cycles[pair] + values.cycles[way]
        energy = group.energy[pair] + values.upper[way] + search.static_pj * cycles
        for kind in range(3):
            energy = energy + group.moved[kind][pair] * values.lower[kind][way]
        cost = search.goal.cost(energy, cycles)
        count = min(search.top, len(cost))
        best = np.argpartition(cost, count - 1)[:count]
        for place in best[np.lexsort((best, cost[best]))]:
            if cost[place] * SLACK < search.limit:
                table = self._table(group.outer[pair[place]], group.inner[pair[place]], way[place])
                search.offer(table, self._model.dataflows)

    def _table(self, outer: int, inner: int, way: int) -> Table:
        search, ways = self._search, self._ways
        table = np.ones((len(ROWS), len(PARAMETERS)), np.int64)
        mac, pe, chips = ways.macs[ways.first[way]], ways.pe[way], self.chips[outer]
        for first, spread, number in (
            (MAC_X, search.macs, mac),
            (PE_X, search.pes, pe),
            (CHIPS_X, search.chips, chips),
        ):
            table[first : first + 2] = spread.sides[number]
        table[LB] = ways.local[ways.first[way]] // search.macs.vectors[mac]
        table[GB] = self.tile[outer] // ways.tile[inner]
        table[DRAM] = self.m9[outer]
        return table


@dataclass(frozen=True)
class _Group:
    """Pairs of a GB tile and an array tile: figures of all but LBs and MACs."""

    outer: Array
    inner: Array
    energy: Array
    cycles: Array
    moved: list[Array]
    """How often each type's tile goes between GB and LBs."""
