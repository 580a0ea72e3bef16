"""A whole layer in closed form: its counts, its cycles, and what bounds each kind of pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sim.analytic.counts import ifmap_multicast, layer_counts, pe_work
from sim.analytic.passes import BOUNDS, FilterSupply, PassArrays, pass_cycles
from sim.analytic.tiles import PassTime, standstill

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.plan.schedule import PassShape, Plan
    from sim.plan.tiles import Standstill

FILTER_LOAD = "filter load"  # the bound of a pass that loads filters for most of its time

CAUSES = (
    "computing",
    "accumulating",
    "waiting_filter",
    "waiting_ifmap",
    "waiting_psum_in",
    "waiting_psum_out",
    "idle",
    "clock_gated",
)


@dataclass(frozen=True)
class BoundShare:
    """A kind of pass: how many there are, their cycles in all, and the station that bounds them.

    `load_cycles` is how long the filters of one such pass load.
    """

    shape: PassShape
    passes: int
    cycles: int
    bound: str
    load_cycles: int


@dataclass(frozen=True)
class LayerEstimate:
    """What the closed form predicts of a layer; the fields mean what the engine's mean.

    `stalls` has computing, accumulating and clock gated as the engine has them; what is left of a
    PE's time is booked as one cause, by the bound of the pass.
    """

    cycles: int
    counts: dict[str, int]
    multicast: dict[int, int]
    macs: NDArray[np.int64]
    stalls: NDArray[np.int64]
    bounds: tuple[BoundShare, ...]
    standstill: Standstill
    passes_simulated: int = 0
    events: int = 0
    causes: tuple[str, ...] = CAUSES


def estimate_layer(plan: Plan) -> LayerEstimate:
    """Counts and cycles of a layer from its plan alone."""
    shapes = list(plan.classes)
    times = np.array([plan.classes[shape] for shape in shapes], np.int64)
    arrays = PassArrays.of(shapes)
    supply = FilterSupply.prefetched(arrays, plan.hw)
    full = pass_cycles(arrays, plan.hw, supply)
    charged = full.cycles
    if plan.hw.schedule.charge_full_strip:
        charged = np.maximum(charged, pass_cycles(_full_strips(arrays, plan), plan.hw).cycles)
    # The link has a whole pass for the beats of the next one; where that is always enough, only
    # the first pass of the layer waits for it.
    shortest = int(charged.min()) * supply.ticks_per_cycle
    most = int(supply.beats.max())
    longest = most * supply.beat_ticks + supply.latency_ticks
    if longest <= shortest and most <= supply.buffer_beats:
        cold = _cold_start(plan, shapes, arrays, supply)
        first = shapes.index(next(iter(plan)).shape)
        spent = charged * times
        spent[first] += max(0, cold - int(charged[first]))
    else:
        spent = _late_prefetch(plan, shapes, arrays, supply)
    bounds = tuple(
        BoundShare(
            shape,
            int(many),
            int(cycles),
            # What a pass takes beyond its prefetched self, it waits for its filters.
            FILTER_LOAD if 2 * (load + cycles // many - usual) > cycles // many else BOUNDS[bound],
            int(load),
        )
        for shape, many, cycles, usual, bound, load in zip(
            shapes, times, spent, charged, full.bound, full.load, strict=True
        )
    )
    loading = np.minimum(full.load, full.cycles) * times + spent - charged * times
    macs, stalls = _pe_cycles(plan, shapes, spent, loading, full.bound)
    link = supply.beats * supply.beat_ticks
    pass_times = {
        (
            shape.images,
            shape.strip_rows,
            sum(shape.filters),
            sum(shape.channels),
            shape.first_channels,
        ): PassTime(int(cycles // many), int(ticks))
        for shape, cycles, many, ticks in zip(shapes, spent, times, link, strict=True)
    }
    return LayerEstimate(
        cycles=int(spent.sum()),
        counts=layer_counts(plan),
        multicast=ifmap_multicast(plan),
        macs=macs,
        stalls=stalls,
        bounds=bounds,
        standstill=standstill(plan, pass_times),
    )


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


def _one_pass(
    plan: Plan, arrays: PassArrays, supply: FilterSupply, place: int, there: int, busy: int
) -> int:
    row, state = _row(arrays, place), _supply(supply, place, there, busy)
    cycles = int(pass_cycles(row, plan.hw, state).cycles[0])
    if plan.hw.schedule.charge_full_strip:
        full = pass_cycles(_full_strips(row, plan), plan.hw, state)
        cycles = max(cycles, int(full.cycles[0]))
    return cycles


def _cold_start(
    plan: Plan, shapes: list[PassShape], arrays: PassArrays, supply: FilterSupply
) -> int:
    """Cycles of the layer's first pass, whose filters nobody has prefetched."""
    return _one_pass(plan, arrays, supply, shapes.index(next(iter(plan)).shape), 0, 0)


def _class_sequence(plan: Plan, shapes: list[PassShape]) -> Iterator[int]:
    place = {shape: index for index, shape in enumerate(shapes)}
    return (place[step.shape] for step in plan)


def _late_prefetch(
    plan: Plan, shapes: list[PassShape], arrays: PassArrays, supply: FilterSupply
) -> NDArray[np.int64]:
    """Cycles spent in each class where the link does not always keep ahead of the array.

    The state between two passes is how many beats of the next one are there. It takes few values,
    so each (class, state) is evaluated once.
    """
    per_cycle, beat = supply.ticks_per_cycle, supply.beat_ticks
    beats = supply.beats.tolist()
    known: dict[tuple[int, int, int], tuple[int, int]] = {}
    spent: Counter[int] = Counter()
    there = busy = 0
    base = 0  # ticks from the start of a pass until the link is done with its own beats
    end = 0
    fresh = True
    for place in _class_sequence(plan, shapes):
        if not fresh:
            most = min(beats[place], supply.buffer_beats)
            begun = base + supply.latency_ticks
            there = max(0, min(most, (end - begun) // beat))
            busy = 0
            if there < most and begun + there * beat < end:
                busy = begun + (there + 1) * beat - end
            elif there == 0 and base < end < begun:
                busy = begun + beat - end
        fresh = False
        key = (place, there, busy)
        found = known.get(key)
        if found is None:
            state = _supply(supply, place, there, busy)
            last = int(state.arrival_ticks(state.beats - 1)[0])
            found = known[key] = (_one_pass(plan, arrays, supply, *key), last)
        cycles, base = found
        spent[place] += cycles
        end = cycles * per_cycle
    return np.array([spent[place] for place in range(len(shapes))], np.int64)


def _pe_cycles(
    plan: Plan,
    shapes: Sequence[PassShape],
    spent: NDArray[np.int64],
    loading: NDArray[np.int64],
    bound: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(PE products, PE cycles by cause): exact where a PE works or is gated.

    `spent` and `loading` are cycles of all passes of a shape, in all and while filters load. What
    then is left of a PE's time is shared among causes as the passes are among their bounds.
    """
    macs, psums, bubbles = pe_work(plan)
    stalls = np.zeros((len(CAUSES), *macs.shape), np.int64)
    cycles = int(spent.sum())
    in_use = _in_use(plan, shapes)
    stalls[CAUSES.index("computing")] = macs + bubbles
    stalls[CAUSES.index("accumulating")] = psums
    stalls[CAUSES.index("clock_gated")] = np.tensordot(spent, ~in_use, axes=1)
    left = cycles - stalls.sum(axis=0)
    load = np.minimum(left, np.tensordot(loading, in_use, axes=1))
    stalls[CAUSES.index("waiting_filter")] = load
    left = left - load
    waits = {"array": "idle", "psum bus": "waiting_psum_in", "ifmap bus": "waiting_ifmap"}
    shares = Counter[str]()
    for cycles_spent, place in zip(spent.tolist(), bound.tolist(), strict=True):
        shares[waits[BOUNDS[place]]] += cycles_spent
    for cause, share in shares.items():
        # In Python's integers: the product of two numbers of cycles may need more than 64 bit.
        part = [value * share // cycles for value in left.ravel().tolist()]
        stalls[CAUSES.index(cause)] += np.array(part, np.int64).reshape(left.shape)
    stalls[CAUSES.index("idle")] += cycles - stalls.sum(axis=0)
    return macs, stalls


def _in_use(plan: Plan, shapes: Sequence[PassShape]) -> NDArray[np.bool_]:
    """Which PEs stand in a set of a pass: (shapes, rows, columns)."""
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
