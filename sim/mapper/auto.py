"""The mapping that a layer gets where nobody names one: the mapper's, with a limit on its work.

The search is that of `search.py` over sizes of block that are worth most: the smallest for the
number of blocks they give, evenly spread where a chip has very many, and of `m` the few that fill
the GLB or the m-blocks. Its end is a number of evaluations and never a time, so that a layer gets
the same mapping on every machine.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hw_models.energy import DEFAULT_TABLE, load_energy_table
from sim.account.result import Pricing
from sim.analytic.form import total_cycles
from sim.analytic.row_stationary.many import quick_totals
from sim.dataflow.row_stationary.mapping import mapping_violations
from sim.dataflow.row_stationary.space import Ints, Mappings, Outlines, Space, least_m
from sim.errors import Fault, MappingError
from sim.mapper.objectives import Objective
from sim.mapper.search import Best, Evaluator, Search, checked_layer, smallest_mapping
from sim.plan.make import make_plan
from sim.plan.sizes import thinned, useful_sizes

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.mapping import Mapping
    from workloads.layer import Layer

MOST_EVALUATED = 256
"""Mappings of a layer that `auto` evaluates by the closed form."""

MOST_EXACT = 4
"""Mappings among which the closed form decides where it cannot look at many at once."""

LATENCY = Objective.read("latency")

MOST_R, MOST_Q, MOST_P, MOST_T = 12, 12, 24, 48
_MOST = {"n": 4, "f": 8, "p": MOST_P, "q": MOST_Q, "r": MOST_R, "t": MOST_T}
"""Sizes that are tried of each factor; the chip has no more of `p`, `q` and `r`."""

_MOST_STRIPS = 12  # as high as the array is wide, and as many that fold


class AutoSpace(Space):
    """The mappings that `auto` looks at: legal ones of useful sizes."""

    def values(self, factor: str) -> Ints:
        """Return useful values of a factor, the smallest and the largest among them."""
        every = super().values(factor)
        if not every.size or factor in self.fixed:
            return every
        most = int(every[-1])
        layer, columns = self.layer, self.hw.array.columns
        if factor == "e":
            sizes = useful_sizes(layer.E, most)
            whole = thinned([e for e in sizes if e <= columns], _MOST_STRIPS)
            folded = thinned([e for e in sizes if e > columns], _MOST_STRIPS)
            return np.array([*whole, *folded])
        if factor == "p":
            return np.array(thinned(range(1, most + 1), _MOST["p"]))
        if factor == "m":
            return every
        total = {"n": self.batch, "f": layer.F, "q": layer.C, "r": layer.C, "t": layer.Mg}[factor]
        return np.array(thinned(useful_sizes(total, most), _MOST[factor]))

    @property
    def most_completed(self) -> int:
        """The most mappings that a filling is completed to."""
        return 4

    def sizes(self, outlines: Outlines) -> Ints:
        """Count nothing: `auto` proves nothing of what it leaves out."""
        return np.zeros(len(outlines), np.int64)

    def completed(self, outlines: Outlines, place: Ints, p: Ints, t: Ints) -> tuple[Mappings, Ints]:
        """Return a few mappings of each filling: `m` that fill the GLB, and equal m-blocks."""
        whole, most = outlines.whole_m[place], outlines.split_m[place]
        least, block, all_of = least_m(p, t), p * t, self.layer.Mg
        most = np.where(whole, all_of, most)
        m_blocks = -(-all_of // np.maximum(most, 1))
        equal = -(-all_of // m_blocks)
        choices = np.stack([most, most // block * block, -(-equal // block) * block, equal])
        limit = np.where(whole, all_of, outlines.split_m[place])
        fits = (choices >= least) & (choices <= limit)
        # Where only all filters at once fit, or so many fewer, the ones between do not.
        fits &= (choices <= outlines.split_m[place]) | (choices == all_of)
        for later in range(1, len(choices)):
            fits[later] &= ~((choices[:later] == choices[later]) & fits[:later]).any(axis=0)
        which, at = np.nonzero(fits)
        o = place[at]
        many = Mappings(
            choices[which, at], outlines.n[o], outlines.e[o], outlines.f[o],
            p[at], outlines.q[o], outlines.r[o], t[at], self.layer.F,
        )  # fmt: skip
        return many, o


def auto_mapping(layer: Layer, batch: int, hw: Hardware) -> Mapping:
    """Return a mapping with a total latency, in closed form, that few others are below.

    Raises:
        MappingError: the layer breaks limits of the chip, or no mapping of it is legal; names the
            rules.

    """
    checked_layer(layer, hw)
    mapping = _auto_mapping(replace(layer, name="layer"), batch, hw)
    if mapping is not None:
        return mapping
    where = f"{layer.name} on {hw.name}"
    broken = mapping_violations(layer, smallest_mapping(), hw, batch)
    raise MappingError(*(Fault("", None, where, f"no legal mapping: {each}") for each in broken))


@lru_cache(maxsize=4096)
def _auto_mapping(layer: Layer, batch: int, hw: Hardware) -> Mapping | None:
    pricing = Pricing(load_energy_table(DEFAULT_TABLE))
    space = AutoSpace(layer, batch, hw)
    if not any(len(slab) for slab in space.slabs()):
        return None
    if hw.dram.overlap == "none" and hw.glb.filter_load == "exposed":
        evaluator = Evaluator(layer, batch, hw, LATENCY, pricing)
        best = Best(1, whole=True)
        Search(space, evaluator, best, MOST_EVALUATED).run()
        return _first_runnable(layer, batch, hw, best.mappings(MOST_EVALUATED))
    # The closed form goes through these mappings one by one: it decides among the best few.
    best = Best(MOST_EXACT, whole=True)
    quick = _QuickEvaluator(layer, batch, hw, LATENCY, pricing)
    Search(space, quick, best, MOST_EVALUATED).run()
    few = best.mappings(MOST_EXACT)
    plans = []
    for place in range(len(few)):
        with suppress(MappingError):  # too large to simulate
            plans.append(make_plan(layer, batch, hw, few.mapping(place)))
    if not plans:
        return few.mapping(0)
    mapping: Mapping = min(plans, key=total_cycles).mapping
    return mapping


def _first_runnable(layer: Layer, batch: int, hw: Hardware, many: Mappings) -> Mapping:
    """Return the first mapping that is small enough to simulate, else the first, to be refused."""
    for place in range(len(many)):
        with suppress(MappingError):
            make_plan(layer, batch, hw, many.mapping(place))
            return many.mapping(place)
    return many.mapping(0)


class _QuickEvaluator(Evaluator):
    """The figures of mappings whose passes wait for no filters and whose tiles for no others."""

    def values(self, many: Mappings, limit: float) -> NDArray[np.float64]:
        """Return the total latency of each mapping, roughly."""
        return quick_totals(self.layer, self.batch, self.hw, many).astype(np.float64)
