"""Branch and bound over all legal mappings of a layer.

The space is searched in three steps: outlines, fillings (an outline with `p` and `t`), mappings.
Each has a bound from below; what is bounded above the best known value is dropped whole, and what
is left at the end of the third step is evaluated by the closed form, the lowest bound first. When
nothing is left, the best is proved: every other mapping was evaluated, or its bound says that it
cannot be better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sim.account.result import Pricing
from sim.analytic.row_stationary.least import Around, Bounds, Least
from sim.analytic.row_stationary.many import ManyCycles, many_bits, many_counts, many_cycles
from sim.dataflow.row_stationary.mapping import (
    FACTORS,
    Mapping,
    layer_violations,
    mapping_violations,
)
from sim.dataflow.row_stationary.space import Ints, Mappings, Outlines, Space
from sim.errors import Fault, MappingError
from sim.mapper.objectives import Objective, Prices
from sim.plan.limits import MOST_PASSES
from sim.plan.make import make_plan

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from workloads.layer import Layer

Floats = NDArray[np.float64]

SLACK = 1e-9
"""Relative: bounds are sums of floating-point numbers, which are off by far less."""

_PAIRS, _MAPPINGS, _EVALUATED = 1 << 16, 1 << 16, 1024
"""Fillings, mappings and evaluations that are looked at together: many for NumPy, few where a
better value may come. The first ones are fewer."""

_NO_CYCLES = np.zeros(1)

_FINALISTS = 256
"""Mappings of equal value among which the second criterion decides."""


@dataclass(frozen=True)
class Rated:
    """A mapping with its figures: exact energy, cycles and bits on the DRAM link."""

    mapping: Mapping
    value: Fraction | float
    energy: Fraction | None
    processing: int
    total: int
    dram_bits: int


@dataclass
class Work:
    """What a search has done, in mappings: of all, those bounded one by one and those evaluated."""

    size: int = 0
    bounded: int = 0
    evaluated: int = 0


@dataclass(frozen=True)
class Found:
    """The best mappings of a layer, and how well that is proved.

    `bound` is what no legal mapping is below; where `proved`, it is the value of the best. Values
    are of the objective, by the closed form.
    """

    best: tuple[Rated, ...]
    work: Work
    bound: float
    proved: bool

    @property
    def proof(self) -> str:
        """How well the best is proved, in a few words."""
        if self.proved:
            return "proved"
        return f"within {100 * self.gap:.3g} %"

    @property
    def gap(self) -> float:
        """How far the best may be above the optimum, as a share of its value."""
        value = float(self.best[0].value)
        return 0.0 if self.proved or not value else max(0.0, 1 - self.bound / value)


Told = Callable[[float, float, Work], bool]
"""Hears the best value, the bound and the work; says whether to go on."""


def _go_on(_best: float, _bound: float, _work: Work) -> bool:
    return True


class Evaluator:
    """The figures of mappings of one layer, as far as an objective asks for them."""

    def __init__(
        self, layer: Layer, batch: int, hw: Hardware, objective: Objective, pricing: Pricing
    ) -> None:
        self.layer, self.batch, self.hw, self.objective = layer, batch, hw, objective
        self.bounds = Bounds(layer, batch, hw)
        self.prices = Prices(layer, batch, hw, pricing) if "energy" in objective.powers else None
        timed = {"latency", "processing"} & objective.powers.keys()
        self.needs_cycles = bool(timed) or (self.prices is not None and self.prices.cycle > 0)

    def terms(
        self,
        counts: MappingABC[str, Ints],
        bits: MappingABC[str, NDArray[Any]],
        processing: Ints | Floats,
        total: Ints | Floats,
    ) -> dict[str, Ints | Floats]:
        """Return the terms of objectives: bounds of them from bounds."""
        filters = counts["dram.filter.read"] * self.hw.word_bits.filter
        terms = {
            "latency": total,
            "processing": processing,
            "dram": filters + bits["ifmap"] + bits["ofmap"],
        }
        if self.prices is not None:
            terms["energy"] = self.prices.energies(counts, bits, total)
        return terms

    def bound(self, least: Least) -> Floats:
        """Return the objective's bound, lowered by what floating-point sums may be off."""
        terms = self.terms(least.counts, least.bits, least.processing, least.total)
        return self.objective.value(terms) * (1 - SLACK)

    def values(self, many: Mappings, limit: float) -> Floats:
        """Return each mapping's objective by the closed form; above `limit` only a bound of it."""
        layer, batch, hw = self.layer, self.batch, self.hw
        counts = many_counts(layer, batch, hw, many)
        if not self.needs_cycles:
            bits = dict(zip(("ifmap", "ofmap"), many_bits(layer, batch, hw, many), strict=True))
            return self.objective.value(self.terms(counts, bits, _NO_CYCLES, _NO_CYCLES))

        def value(cycles: ManyCycles) -> Floats:
            bits = {"ifmap": cycles.ifmap_bits, "ofmap": cycles.ofmap_bits}
            return self.objective.value(self.terms(counts, bits, cycles.processing, cycles.total))

        def worth(cycles: ManyCycles, late: NDArray[np.bool_]) -> NDArray[np.bool_]:
            may_win: NDArray[np.bool_] = value(cycles) * (1 - SLACK) <= limit
            return may_win & late

        return value(many_cycles(layer, batch, hw, many, worth))

    def exact(
        self, processing: int, total: int, dram_bits: int, energy: Fraction | None
    ) -> Fraction | float:
        """Return the objective from exact figures."""
        return self.objective.exact(
            {
                "latency": Fraction(total),
                "processing": Fraction(processing),
                "dram": Fraction(dram_bits),
                "energy": energy or Fraction(),
            }
        )

    def rated(self, many: Mappings) -> list[Rated]:
        """Return rate each mapping with its exact figures."""
        layer, batch, hw = self.layer, self.batch, self.hw
        counts = many_counts(layer, batch, hw, many)
        cycles = many_cycles(layer, batch, hw, many)
        rated = []
        for place in range(len(many)):
            own = {name: int(column[place]) for name, column in counts.items()}
            bits = {"ifmap": int(cycles.ifmap_bits[place]), "ofmap": int(cycles.ofmap_bits[place])}
            processing, total = int(cycles.processing[place]), int(cycles.total[place])
            joules = None if self.prices is None else self.prices.exact(own, bits, total)
            dram_bits = own["dram.filter.read"] * hw.word_bits.filter + sum(bits.values())
            value = self.exact(processing, total, dram_bits, joules)
            rated.append(Rated(many.mapping(place), value, joules, processing, total, dram_bits))
        return rated


class Best:
    """The mappings with the lowest values so far, and the value that others must not exceed."""

    def __init__(self, top: int, *, whole: bool = False) -> None:
        self.top, self.whole = top, whole
        self.limit = float("inf")
        self.value = float("inf")
        self._parts: list[Mappings] = []
        self._values: Floats = np.empty(0)

    def take(self, many: Mappings, values: Floats) -> None:
        """Look at evaluated mappings."""
        keep = values <= self.limit
        if not keep.any():
            return
        together = joined([*self._parts, many.take(keep)])
        values = np.concatenate([self._values, values[keep]])
        if values.size >= self.top:
            kth = np.partition(values, self.top - 1)[self.top - 1]
            # Only what is better is looked for; a whole number is better by 1 at the least.
            self.limit = float(kth) - 1 if self.whole else float(kth) * (1 + SLACK)
        near = values <= np.sort(values)[: self.top][-1] * (1 + SLACK)
        self._parts, self._values = [together.take(near)], values[near]
        self.value = float(self._values.min())

    def mappings(self, many: int) -> Mappings:
        """Return the lowest of them, those of equal value in the order of their factors."""
        if not self._parts:
            return Mappings.of([], 1)
        (found,) = self._parts
        order = np.lexsort(
            (
                *(getattr(found, name) for name in ("t", "r", "q", "p", "f", "e", "n", "m")),
                self._values,
            )
        )
        return found.take(order[:many])


def joined(parts: list[Mappings]) -> Mappings:
    """Join mappings of one layer, one after the other."""
    m, n, e, f, p, q, r, t = (
        np.concatenate([getattr(part, name) for part in parts]) for name in "mnefpqrt"
    )
    return Mappings(m, n, e, f, p, q, r, t, parts[0].columns)


def joined_outlines(parts: list[Outlines]) -> Outlines:
    """Return outlines of one layer, one after the other."""
    return Outlines(
        *(np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Outlines))
    )


def best_mappings(
    layer: Layer,
    batch: int,
    hw: Hardware,
    objective: Objective,
    pricing: Pricing,
    *,
    top: int = 1,
    fixed: dict[str, int] | None = None,
    most_evaluated: int | None = None,
    told: Told = _go_on,
) -> Found:
    """Return the `top` best legal mappings of a layer, best first.

    Of mappings of equal value the one with the least total latency comes first, then the one with
    the least factors. With `most_evaluated` the search ends after so many evaluations, always the
    same ones on any machine; then, or where `told` returns False, what is left unsearched is the
    gap.

    Raises:
        MappingError: the chip forbids the layer, or no mapping is legal; names the rules.
        InputError: the objective asks for what the energy table cannot price.

    """
    space = checked_space(layer, batch, hw, fixed)
    evaluator = Evaluator(layer, batch, hw, objective, pricing)
    return search(space, evaluator, top, most_evaluated, told)


def search(
    space: Space,
    evaluator: Evaluator,
    top: int = 1,
    most_evaluated: int | None = None,
    told: Told = _go_on,
) -> Found:
    """Search a space that holds a mapping; the other arguments are those of `best_mappings`."""
    best = Best(top, whole=evaluator.objective.whole)
    one = Search(space, evaluator, best, most_evaluated, told)
    one.run()
    return one.found(top)


def checked_space(
    layer: Layer, batch: int, hw: Hardware, fixed: dict[str, int] | None = None
) -> Space:
    """Return the legal mappings of a layer.

    Raises:
        MappingError: there are none; names the rules.

    """
    checked_layer(layer, hw)
    space, where = Space(layer, batch, hw, fixed), f"{layer.name} on {hw.name}"
    if not space.size:
        raise MappingError(*(Fault("", None, where, reason) for reason in _nothing_legal(space)))
    return space


def checked_layer(layer: Layer, hw: Hardware) -> None:
    """Refuse a layer that the chip forbids whatever the mapping.

    Raises:
        MappingError: names the rules.

    """
    violations = layer_violations(layer, hw)
    if violations:
        where = f"{layer.name} on {hw.name}"
        raise MappingError(*(Fault("", None, where, str(each)) for each in violations))


def smallest_mapping() -> Mapping:
    """Return the mapping that breaks a rule only where all mappings break it."""
    return Mapping(**dict.fromkeys(FACTORS, 1))


def _nothing_legal(space: Space) -> Iterator[str]:
    """Yield the reasons why no mapping is legal."""
    layer, batch, hw = space.layer, space.batch, space.hw
    for name in space.fixed:
        if not space.values(name).size:
            whole = Space(layer, batch, hw).values(name)
            most = int(whole.max(initial=0))
            yield f"{name}={space.fixed[name]} excludes all mappings: {name} is 1 to {most} here"
            return
    smallest = replace(smallest_mapping(), **space.fixed)
    broken = mapping_violations(layer, smallest, hw, batch)
    given = ",".join(f"{name}={value}" for name, value in space.fixed.items())
    if not broken:
        yield f"{given} excludes all mappings: no block is filled so far; raise m or lower p or t"
    for each in broken:
        yield f"no legal mapping{f' with {given}' if given else ''}: {each}"


class _StoppedError(Exception):
    """The caller ended the search."""


class Search:
    """One search: the queue of what is left, and the best so far."""

    def __init__(
        self,
        space: Space,
        evaluator: Evaluator,
        best: Best,
        most_evaluated: int | None = None,
        told: Told = _go_on,
    ) -> None:
        self.space, self.evaluator, self.best = space, evaluator, best
        self.most_evaluated, self.told = most_evaluated, told
        self.work = Work()
        # Bounds of what is not searched yet, of each step of the search; all of it is above.
        self._left = [float("inf")] * 4
        self.proved = False

    @property
    def bound(self) -> float:
        """What no mapping is below, as far as is known."""
        return min(*self._left, self.best.value)

    def run(self) -> None:
        """Search until nothing is left, or the work is done that is allowed."""
        try:
            for outlines, around in self._outlines():
                for place, p, t in self._fillings(outlines, around):
                    self._mappings(outlines, around, place, p, t)
        except _StoppedError:
            return
        self.proved = True

    def _check(self) -> None:
        # Something must be found before the search may end.
        if not np.isfinite(self.best.value):
            return
        if not self.told(self.best.value, self.bound, self.work) or (
            self.most_evaluated is not None and self.work.evaluated >= self.most_evaluated
        ):
            raise _StoppedError

    def _outlines(self) -> Iterator[tuple[Outlines, Around]]:
        """Yield outlines that may hold a better mapping, the lowest bound first."""
        kept: list[Outlines] = []
        bounds_of: list[Floats] = []
        for slab in self.space.slabs():
            bounds = self.evaluator.bound(
                self.evaluator.bounds.of_outlines(slab, self.evaluator.bounds.around(slab))
            )
            self.work.size += int(self.space.sizes(slab).sum())
            near = bounds <= self.best.limit
            kept.append(slab.take(near))
            bounds_of.append(bounds[near])
        outlines, bounds = joined_outlines(kept), np.concatenate(bounds_of)
        order = np.argsort(bounds, kind="stable")
        pairs = max(1, self.space.values("p").size * self.space.values("t").size)
        start, many = 0, max(1, _PAIRS // 8 // pairs)
        while start < order.size:
            some = order[start : start + many]
            self._left[0] = float(bounds[some[0]])
            self._check()
            some = some[bounds[some] <= self.best.limit]
            if not some.size:
                break
            start, many = start + many, max(1, min(2 * many, _PAIRS // pairs))
            self._left[0] = float(bounds[order[start]]) if start < order.size else float("inf")
            chosen = outlines.take(some)
            yield chosen, self.evaluator.bounds.around(chosen)
        self._left[0] = float("inf")

    def _fillings(self, outlines: Outlines, around: Around) -> Iterator[tuple[Ints, Ints, Ints]]:
        """Yield fillings of the outlines that may be better, the lowest bound first."""
        place, p, t = self.space.fillings(outlines)
        bounds = self.evaluator.bound(
            self.evaluator.bounds.of_fillings(outlines.take(place), around.take(place), p, t)
        )
        order = np.argsort(bounds, kind="stable")
        most_m = np.where(outlines.whole_m, self.space.layer.Mg, outlines.split_m)[place[order]]
        mappings = np.cumsum(np.minimum(most_m, self.space.most_completed))
        start, most = 0, _MAPPINGS // 16
        while start < order.size:
            before = int(mappings[start - 1]) if start else 0
            end = max(start + 1, int(np.searchsorted(mappings, before + most, side="right")))
            some = order[start:end]
            self._left[1] = float(bounds[some[0]])
            some = some[bounds[some] <= self.best.limit]
            if not some.size:
                break
            self._left[1] = float(bounds[order[end]]) if end < order.size else float("inf")
            yield place[some], p[some], t[some]
            start, most = end, min(2 * most, _MAPPINGS)
        self._left[1] = float("inf")

    def _mappings(
        self,
        outlines: Outlines,
        around: Around,
        place: NDArray[np.int64],
        p: NDArray[np.int64],
        t: NDArray[np.int64],
    ) -> None:
        """Evaluate the mappings of some fillings that may be better, the lowest bound first."""
        many, at = self.space.completed(outlines, place, p, t)
        self.work.bounded += len(many)
        least = self.evaluator.bounds.of_mappings(many, around.take(at))
        bounds = self.evaluator.bound(least)
        keep = np.flatnonzero((bounds <= self.best.limit) & (least.passes <= MOST_PASSES))
        # Of equal bounds the one with the least traffic first: it is the better one of a tie.
        counts = least.counts
        traffic = counts["glb.filter.read"] + counts["glb.ifmap.read"] + counts["glb.psum.write"]
        order = keep[np.lexsort((traffic[keep], bounds[keep]))]
        start, size = 0, 32
        while start < order.size:
            some = order[start : start + size]
            self._left[2] = float(bounds[some[0]])
            if self._left[2] > self.best.limit:
                break
            self._check()
            some = some[bounds[some] <= self.best.limit]
            chosen = many.take(np.sort(some))
            self.best.take(chosen, self.evaluator.values(chosen, self.best.limit))
            self.work.evaluated += len(chosen)
            start, size = start + size, min(2 * size, _EVALUATED)
        self._left[2] = float("inf")

    def found(self, top: int) -> Found:
        """Return the best mappings, those of equal value in a fixed order."""
        layer, batch, hw = self.space.layer, self.space.batch, self.space.hw
        rated = self.evaluator.rated(self.best.mappings(max(_FINALISTS, top)))
        rated.sort(key=lambda each: (each.value, each.total, each.mapping))
        runnable: list[Rated] = []
        refused: MappingError | None = None
        for each in rated:
            try:
                make_plan(layer, batch, hw, each.mapping)
            except MappingError as error:  # too large to simulate
                refused = error
                continue
            runnable.append(each)
            if len(runnable) == top:
                break
        if not runnable:
            assert refused is not None
            raise refused
        bound = float(runnable[0].value) if self.proved else self.bound
        return Found(tuple(runnable), self.work, bound, self.proved)
