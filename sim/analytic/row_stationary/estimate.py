"""A whole layer in closed form: its counts, its cycles, and what bounds each kind of pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice, product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hw_models.vocabulary import CAUSES, Cause, Resource
from sim.analytic.form import BoundShare, EstimatedClass, LayerEstimate
from sim.analytic.row_stationary.counts import bus_cycles, ifmap_multicast, layer_counts, pe_work
from sim.analytic.row_stationary.cycles import (
    LOOPS,
    FilterSupply,
    PassArrays,
    PassCycles,
    pass_cycles,
)
from sim.analytic.row_stationary.dram_stall import (
    PassTime,
    PassTimes,
    standstill,
    standstill_of_each,
)
from sim.plan.order import Order, Runs, fold_blocks, runs_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape, Plan
    from sim.plan.dram_traffic import DramStall

FILTER_LOAD = "filter load"  # the bound of a pass that loads filters for most of its time

PROVEN = (
    ("pe", "ifmap_fifo_words", 16),
    ("pe", "psum_in_fifo_words", 8),
    ("pe", "psum_out_fifo_words", 8),
    ("noc", "bus_fifo_entries", 2),
)
"""Least depths for which the cycles are compared with the simulation.

They are within 3 % on the 1,693 random layers of the cross-check; of 1,700 others one is 3.9 % off.

Below them loops through several FIFOs set the pace; in a few layers they hold each other up in ways
that no single loop has.
"""


def outside_proven_range(hw: Hardware) -> str:
    """Say why the cycles of a chip's layers are not claimed, or return an empty string."""
    shallow = [
        f"{part}.{name} = {found} (least {least})"
        for part, name, least in PROVEN
        if (found := getattr(getattr(hw, part), name)) < least
    ]
    if not shallow:
        return ""
    return (
        "cycles of the closed form are not proven with FIFOs as shallow as "
        f"{', '.join(shallow)}: on random layers they are 0.1 % off on average, but more than 3 % "
        "in one of 100; counts are exact, and `run` simulates the cycles"
    )


@dataclass(frozen=True)
class _Times:
    """The passes of a layer by shape, in the order of `Plan.classes`: number, cycles, bounds.

    `spent` are the cycles of all passes of a shape, `charged` those of one whose filters are there
    in time. `order` is None where each shape but the first pass's has one length.
    """

    shapes: list[PassShape]
    passes: NDArray[np.int64]
    full: PassCycles
    charged: NDArray[np.int64]
    spent: NDArray[np.int64]
    kinds: tuple[EstimatedClass, ...]
    order: Order | None
    standstill: DramStall


def estimate_layer(plan: Plan) -> LayerEstimate:
    """Estimate counts and cycles of a layer from its plan alone."""
    found = _times(plan)
    full, spent, times = found.full, found.spent, found.passes
    bounds = tuple(
        BoundShare(
            shape,
            int(many),
            int(cycles),
            # What a pass takes beyond its prefetched self, it waits for its filters.
            FILTER_LOAD
            if 2 * (load + cycles // many - usual) > cycles // many
            else LOOPS[bound][0],
        )
        for shape, many, cycles, usual, bound, load in zip(
            found.shapes, times, spent, found.charged, full.bound, full.load, strict=True
        )
    )
    loading = np.minimum(full.load, full.cycles) * times + spent - found.charged * times
    macs, stalls = _pe_cycles(plan, found.shapes, spent, loading, full.bound)
    return LayerEstimate(
        cycles=int(spent.sum()),
        counts=layer_counts(plan),
        bus_cycles=bus_cycles(plan),
        multicast=ifmap_multicast(plan),
        macs=macs,
        stalls=stalls,
        bounds=bounds,
        kinds=found.kinds,
        order=found.order,
        standstill=found.standstill,
    )


def layer_latency(plan: Plan) -> tuple[int, DramStall]:
    """Return the processing latency of a layer in core cycles, and its standstill."""
    found = _times(plan)
    return int(found.spent.sum()), found.standstill


def total_cycles(plan: Plan, doubled: Set[str] = frozenset()) -> int:
    """Return the total latency of a layer, core cycles; `doubled` as in `pass_cycles`."""
    found = _times(plan, doubled)
    return int(found.spent.sum()) + found.standstill.cycles


def _times(plan: Plan, doubled: Set[str] = frozenset()) -> _Times:
    shapes = list(plan.classes)
    times = np.array([plan.classes[shape] for shape in shapes], np.int64)
    arrays = PassArrays.of(shapes)
    supply = FilterSupply.prefetched(arrays, plan.hw)
    full = pass_cycles(arrays, plan.hw, supply, doubled)
    charged = full.cycles
    if plan.hw.schedule.charge_full_strip:
        whole = pass_cycles(_full_strips(arrays, plan), plan.hw, doubled=doubled)
        charged = np.maximum(charged, whole.cycles)
    # The link has a whole pass for the beats of the next one; where that is always enough, only
    # the first pass of the layer waits for it.
    shortest = int(charged.min()) * supply.ticks_per_cycle
    most = int(supply.beats.max())
    longest = most * supply.beat_ticks + supply.latency_ticks
    filter_ticks = supply.beats * supply.beat_ticks
    if longest <= shortest and most <= supply.buffer_beats:
        first, *second = (shapes.index(step.shape) for step in islice(plan, 2))
        cold = _one_pass(plan, arrays, supply, doubled, first, 0, 0)
        # Behind the filters of the first pass the link must have time for the second's, too.
        spare = cold.cycles * supply.ticks_per_cycle - cold.last_tick
        if all(filter_ticks[place] + supply.latency_ticks <= spare for place in second):
            spent = charged * times
            spent[first] += cold.cycles - int(charged[first])
            kinds = _prefetched_kinds(shapes, times, charged, full.start, first, cold)
            waits = standstill(plan, _pass_times(shapes, charged, filter_ticks), cold.cycles)
            return _Times(shapes, times, full, charged, spent, kinds, None, waits)
    late = _LatePrefetch(plan, shapes, arrays, supply, doubled)
    waits = standstill_of_each(plan, iter(late))
    return _Times(shapes, times, full, charged, late.spent(), late.kinds(), late.order(), waits)


def _pass_times(
    shapes: list[PassShape], cycles: NDArray[np.int64], filter_ticks: NDArray[np.int64]
) -> PassTimes:
    return {
        (
            shape.images,
            shape.ofmap_columns,
            shape.strip_rows,
            sum(shape.filters),
            sum(shape.channels),
            shape.first_channels,
        ): PassTime(int(long), int(ticks))
        for shape, long, ticks in zip(shapes, cycles, filter_ticks, strict=True)
    }


def _prefetched_kinds(
    shapes: list[PassShape],
    times: NDArray[np.int64],
    cycles: NDArray[np.int64],
    start: NDArray[np.int64],
    first: int,
    cold: _OnePass,
) -> tuple[EstimatedClass, ...]:
    """Return one kind for each shape, and one for the first pass, which waits for its filters."""
    found = [
        EstimatedClass(shape, int(long), int(many), int(load))
        for shape, long, many, load in zip(shapes, cycles, times, start, strict=True)
    ]
    usual = found[first]
    found[first] = replace(usual, passes=usual.passes - 1)
    found.append(EstimatedClass(usual.shape, cold.cycles, 1, cold.start))
    return tuple(kind for kind in found if kind.passes)


def _full_strips(arrays: PassArrays, plan: Plan) -> PassArrays:
    return replace(arrays, strip_rows=np.full_like(arrays.strip_rows, plan.mapping.e))


def _row(arrays: PassArrays, place: int) -> PassArrays:
    return PassArrays(
        **{name: getattr(arrays, name)[place : place + 1] for name in arrays.__dataclass_fields__}
    )


def _supply(supply: FilterSupply, place: int, there: int, busy_ticks: int) -> FilterSupply:
    return replace(
        supply,
        beats=supply.beats[place : place + 1],
        there=np.array([there]),
        busy_ticks=np.array([busy_ticks]),
    )


class _OnePass(NamedTuple):
    """A pass: its cycles, those until a first product, and the tick of its last filters."""

    cycles: int
    start: int
    last_tick: int


def _one_pass(
    plan: Plan,
    arrays: PassArrays,
    supply: FilterSupply,
    doubled: Set[str],
    place: int,
    there: int,
    busy: int,
) -> _OnePass:
    row, state = _row(arrays, place), _supply(supply, place, there, busy)
    found = pass_cycles(row, plan.hw, state, doubled)
    cycles = int(found.cycles[0])
    if plan.hw.schedule.charge_full_strip:
        full = pass_cycles(_full_strips(row, plan), plan.hw, state, doubled)
        cycles = max(cycles, int(full.cycles[0]))
    last = int(state.arrival_ticks(state.beats - 1)[0])
    return _OnePass(cycles, int(found.start[0]), last)


@dataclass(frozen=True, slots=True, eq=False)
class _Started:
    """Passes of one shape that start in one state: how long they take, and who may follow.

    `begun_ticks` is the link's time for their filters before they start, `missing_ticks` what is
    left of it. `followers` leads on by the place of the next pass's shape, with the time of this
    one before it, so that what lies between two passes is worked out once.
    """

    found: _OnePass
    place: int
    kind: int
    begun_ticks: int
    missing_ticks: int
    followers: dict[int, tuple[PassTime, _Started]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    """An m-block from a given start: its passes, the times of all but the last, and their kinds.

    The time of the last one depends on what comes behind it.
    """

    times: tuple[PassTime, ...]
    passes: tuple[_Started, ...]
    runs: Runs


class _LatePrefetch:
    """The passes of a layer where the link does not always keep ahead of the array.

    The state between two passes is how many beats of the next one are there. It takes few values,
    so each (shape, state) is evaluated once, and each m-block that starts in one state is walked
    through once. Iterate it once, for the times of the passes of each m-block in order, where equal
    ones are one object; then ask for the rest.
    """

    def __init__(
        self,
        plan: Plan,
        shapes: list[PassShape],
        arrays: PassArrays,
        supply: FilterSupply,
        doubled: Set[str],
    ) -> None:
        self.plan = plan
        self.shapes = shapes
        self.arrays = arrays
        self.supply = supply
        self.doubled = doubled
        self._beats: list[int] = supply.beats.tolist()
        # (place of the shape, cycles, cycles until a first product) -> number of the kind
        self._numbers: dict[tuple[int, int, int], int] = {}
        self._started: dict[tuple[int, int, int], _Started] = {}
        self._blocks: list[_Walk] = []

    def __iter__(self) -> Iterator[tuple[PassTime, ...]]:
        plan = self.plan
        places = {shape: place for place, shape in enumerate(self.shapes)}
        routes: dict[tuple[int, ...], tuple[int, ...]] = {}
        walks: dict[tuple[_Started, tuple[int, ...]], _Walk] = {}
        whole: dict[tuple[_Walk, PassTime], tuple[PassTime, ...]] = {}
        before: _Walk | None = None

        @cache  # a layer has thousands of passes of few shapes
        def place_of(sizes: tuple[int, ...], filters: int, channels: int, first: bool) -> int:
            images, columns, strip, _ = sizes
            return places[plan.shape(images, columns, strip, filters, channels, first)]

        def times(walk: _Walk, last: PassTime) -> tuple[PassTime, ...]:
            if (walk, last) not in whole:
                whole[walk, last] = (*walk.times, last)
            return whole[walk, last]

        for _, *sizes in product(range(plan.layer.G), *plan.blocks):
            kind = tuple(sizes)
            if kind not in routes:
                routes[kind] = tuple(
                    place_of(kind, filters, channels, block == 0)
                    for block, channels in enumerate(plan.channel_blocks)
                    for filters in plan.filter_blocks(kind[-1])
                )
            route = routes[kind]
            if before is None:
                first = self._start(route[0], 0, 0)
            else:
                time, first = self._follow(before.passes[-1], route[0])
                yield times(before, time)
            before = walks.get((first, kind))
            if before is None:
                before = walks[first, kind] = self._walk(first, route[1:])
            self._blocks.append(before)
        if before is not None:
            last = before.passes[-1]
            yield times(before, PassTime(last.found.cycles, last.missing_ticks))

    def _walk(self, first: _Started, route: Iterable[int]) -> _Walk:
        """Go through an m-block whose first pass is `first`, then by the places of shapes."""
        passes, times = [first], []
        for place in route:
            time, following = self._follow(passes[-1], place)
            times.append(time)
            passes.append(following)
        runs = runs_of(each.kind for each in passes)
        return _Walk(tuple(times), tuple(passes), runs)

    def _follow(self, last: _Started, place: int) -> tuple[PassTime, _Started]:
        """Return the time of a pass before one of the shape at `place`, and that pass."""
        follower = last.followers.get(place)
        if follower is None:
            most = min(self._beats[place], self.supply.buffer_beats)
            state = self.supply.carried(last.found.cycles, last.found.last_tick, most)
            found = self._start(place, *state)
            time = PassTime(last.found.cycles, last.missing_ticks + found.begun_ticks)
            follower = last.followers[place] = time, found
        return follower

    def _start(self, place: int, there: int, busy: int) -> _Started:
        """Evaluate a pass that starts in a state, or recall it."""
        key = (place, there, busy)
        known = self._started.get(key)
        if known is None:
            beat = self.supply.beat_ticks
            begun = there * beat + (max(0, beat - busy) if busy else 0)
            found = _one_pass(self.plan, self.arrays, self.supply, self.doubled, *key)
            kind = self._numbers.setdefault((place, found.cycles, found.start), len(self._numbers))
            missing = self._beats[place] * beat - begun
            known = self._started[key] = _Started(found, place, kind, begun, missing)
        return known

    def spent(self) -> NDArray[np.int64]:
        """Return the cycles of all passes of each shape."""
        spent = np.zeros(len(self.shapes), np.int64)
        for walk, repeated in Counter(self._blocks).items():
            for each in walk.passes:
                spent[each.place] += each.found.cycles * repeated
        return spent

    def kinds(self) -> tuple[EstimatedClass, ...]:
        """Return the passes of one shape and length."""
        passes = Counter[int]()
        for walk, repeated in Counter(self._blocks).items():
            for kind, many in walk.runs:
                passes[kind] += many * repeated
        return tuple(
            EstimatedClass(self.shapes[place], cycles, passes[kind], start)
            for (place, cycles, start), kind in self._numbers.items()
        )

    def order(self) -> Order:
        """Return which kind follows which."""
        return fold_blocks(walk.runs for walk in self._blocks)


def _pe_cycles(
    plan: Plan,
    shapes: Sequence[PassShape],
    spent: NDArray[np.int64],
    loading: NDArray[np.int64],
    bound: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (PE products, PE cycles by cause): exact where a PE works or is gated.

    `spent` and `loading` are cycles of all passes of a shape, in all and while filters load. What
    then is left of a PE's time is shared among causes as the passes are among their bounds.
    """
    macs, psums, bubbles = pe_work(plan)
    stalls = np.zeros((len(CAUSES), *macs.shape), np.int64)
    cycles = int(spent.sum())
    in_use = _in_use(plan, shapes)
    stalls[CAUSES.index(Cause.COMPUTING)] = macs + bubbles
    stalls[CAUSES.index(Cause.ACCUMULATING)] = psums
    stalls[CAUSES.index(Cause.CLOCK_GATED)] = np.tensordot(spent, ~in_use, axes=1)
    left = cycles - stalls.sum(axis=0)
    load = np.minimum(left, np.tensordot(loading, in_use, axes=1))
    stalls[CAUSES.index(Cause.WAITING_FILTER)] = load
    left = left - load
    waits = {
        Resource.ARRAY: Cause.IDLE,
        Resource.PSUM_BUS: Cause.WAITING_PSUM_IN,
        Resource.IFMAP_BUS: Cause.WAITING_IFMAP,
    }
    shares = Counter[Cause]()
    for cycles_spent, place in zip(spent.tolist(), bound.tolist(), strict=True):
        _, station = LOOPS[place]
        shares[waits[station]] += cycles_spent
    for cause, share in shares.items():
        # In Python's integers: the product of two numbers of cycles may need more than 64 bit.
        part = [value * share // cycles for value in left.ravel().tolist()]
        stalls[CAUSES.index(cause)] += np.array(part, np.int64).reshape(left.shape)
    stalls[CAUSES.index(Cause.IDLE)] += cycles - stalls.sum(axis=0)
    return macs, stalls


def _in_use(plan: Plan, shapes: Sequence[PassShape]) -> NDArray[np.bool_]:
    """Return which PEs belong to a set of a pass: (shapes, rows, columns)."""
    array = plan.hw.array
    # Filter set, ofmap row and channel set of each PE; one beyond all sets where it has none.
    place = np.full((3, array.rows, array.columns), 1 << 30, np.int64)
    for filter_set in range(plan.mapping.t):
        for ofmap_row in range(plan.mapping.e):
            for site in plan.placement.chain(filter_set, ofmap_row, plan.mapping.r):
                place[:, site.row, site.column] = filter_set, ofmap_row, site.channel_set
    sizes = np.array([(len(s.filters), s.strip_rows, len(s.channels)) for s in shapes], np.int64)
    inside: NDArray[np.bool_] = np.all(place[None] < sizes[:, :, None, None], axis=1)
    return inside
