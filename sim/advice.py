"""What would make a layer faster: changes that were tried, each with its gain.

Nothing is advised by rule. Every change is a mapping, a chip or a batch that the program accepts,
and its gain is that of the layer's total latency in closed form, against the layer as it is, in
closed form, too. So a reader who tries it finds what was said. The closed form takes milliseconds;
the simulation of a layer may take minutes, and is the reader's.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from hw_models.spec import Hardware
from hw_models.vocabulary import Resource
from sim.analytic.bound import Bound, doubled_fields, layer_bound
from sim.analytic.form import layer_counts, total_cycles
from sim.dataflow.base import Mapping, Plan, find_dataflow
from sim.errors import InputError
from sim.mapper.auto import auto_mapping
from sim.plan.make import make_plan
from sim.plan.sizes import thinned, useful_sizes
from workloads.network import MAX_BATCH

if TYPE_CHECKING:
    from workloads.layer import Layer

LEAST_GAIN = Fraction(3, 100)
"""Of the total latency: less is not worth a change, and near what the closed form is off."""

MOST_SIZES = 8
"""Sizes that are tried of each factor of a mapping, the others as they are."""

MOST_SAID = 4
"""Changes that are reported of a layer, the best ones."""


@dataclass(frozen=True)
class Change:
    """A change that was tried: what it is, the options that make it, and what it was found to do.

    `before` and `after` are the total latency in closed form, core cycles; those of `images` times
    as many images where the batch is changed.
    """

    what: str
    options: str
    why: str
    before: int
    after: int
    images: int = 1

    @property
    def factor(self) -> Fraction:
        """How many times as fast, per image."""
        return Fraction(self.before * self.images, self.after)

    @property
    def sentence(self) -> str:
        """The change with its options and its gain."""
        why = f" {self.why}." if self.why else ""
        per_image = " per image" if self.images > 1 else ""
        return (
            f"{self.what} ({self.options}).{why} Tried: {float(self.factor):.2f} times as fast in "
            f"total latency{per_image}, closed form."
        )


@dataclass(frozen=True)
class Advice:
    """What bounds a layer with its `mapping`, and the changes that help, the best one first.

    `mappings` and `others` count what was tried. Of that, all changes that gain `LEAST_GAIN` are
    reported, up to `MOST_SAID`.
    """

    bound: Bound
    mapping: Mapping
    changes: tuple[Change, ...]
    mappings: int
    others: int

    @property
    def kept(self) -> str:
        """The mapping of the changes that name none: the default may be another on another chip."""
        return f"Changes that name no mapping keep the layer's own (--mapping {self.mapping})."

    @property
    def sentences(self) -> list[str]:
        """The advice in words."""
        if self.changes:
            return [change.sentence for change in self.changes]
        return [
            f"Little: of {self.mappings} other mappings and {self.others} changes of chip or batch "
            f"none gains {float(100 * LEAST_GAIN):g} % of the total latency (tried in closed form)."
        ]


def advise(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> Advice:
    """Try what might make a layer faster than it is under this mapping.

    Raises:
        MappingError: the chip cannot run the layer under it.

    """
    return _advise(replace(layer, name="layer"), batch, hw, mapping)


@lru_cache(maxsize=4096)
def _advise(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> Advice:
    plan = make_plan(layer, batch, hw, mapping)
    bound = layer_bound(plan)
    tried = _mappings(plan)
    best = min(tried, key=total_cycles, default=plan)
    found: list[Change] = []
    least = total_cycles(best)
    if least < bound.cycles:
        options = f"--mapping {best.mapping}"
        found.append(Change("Take another mapping", options, _why(plan, best), bound.cycles, least))
    others = 0
    for change in _others(plan, bound, min(least, bound.cycles)):
        others += 1
        found.append(change)
    worth = [change for change in found if change.factor * (1 - LEAST_GAIN) >= 1]
    ranked = sorted(worth, key=lambda change: -change.factor)
    return Advice(bound, mapping, tuple(ranked[:MOST_SAID]), len(tried), others)


# --- mappings -------------------------------------------------------------------------------------


def _mappings(plan: Plan) -> list[Plan]:
    """Return the mapper's mapping, and the layer's own with one factor changed, where legal."""
    layer, batch, hw, own = plan.layer, plan.batch, plan.hw, plan.mapping
    dataflow = find_dataflow(plan.dataflow)
    found: set[Mapping] = {auto_mapping(layer, batch, hw)}
    sizes = {
        name: useful_sizes(total, most)
        for name, (total, most) in dataflow.sizes_to_try(layer, batch, hw).items()
    }
    for name, tried in sizes.items():
        for size in thinned(tried, MOST_SIZES):
            factors = {key: getattr(own, key) for key in sizes} | {name: size}
            other = dataflow.complete(layer, factors, batch, hw)
            if not isinstance(other, str):
                found.add(other)
    found.discard(own)
    plans = (_legal(layer, batch, hw, other) for other in sorted(found, key=_factors))
    return [other for other in plans if other is not None]


def _factors(mapping: Mapping) -> tuple[int, ...]:
    return tuple(mapping.to_dict().values())


def _legal(layer: Layer, batch: int, hw: Hardware, mapping: Mapping) -> Plan | None:
    try:
        return make_plan(layer, batch, hw, mapping)
    except InputError:
        return None


def _automatic(layer: Layer, batch: int, hw: Hardware) -> Plan | None:
    try:
        return _legal(layer, batch, hw, auto_mapping(layer, batch, hw))
    except InputError:
        return None


def _why(plan: Plan, other: Plan) -> str:
    """Return the number that the other mapping improves most, of those that it decides."""
    now, then = _figures(plan), _figures(other)
    gains = {what: now[what] / then[what] for what in now if then[what] < now[what]}
    if not gains:
        return ""
    what = max(gains, key=lambda name: gains[name])
    return f"It brings {what} from {now[what]:,} to {then[what]:,}"


def _figures(plan: Plan) -> dict[str, int]:
    """Return beats and words of the layer on each bus and link, and cycles of the PEs in turn."""
    classes, hw = plan.classes, plan.hw
    return {
        "the beats on the psum bus": sum(
            times * shape.size(hw).psum_beats for shape, times in classes.items()
        ),
        "the words on the ifmap bus": sum(
            times * shape.ifmap_words for shape, times in classes.items()
        ),
        "the filter words from DRAM": sum(
            times * shape.filter_words for shape, times in classes.items()
        ),
        "the ifmap words from DRAM": layer_counts(plan)["dram.ifmap.read"],
        "the cycles of the busiest PEs": sum(
            times * shape.least_cycles for shape, times in classes.items()
        ),
    }


# --- chips and batches ----------------------------------------------------------------------------


def _others(plan: Plan, bound: Bound, least: int) -> Iterator[Change]:
    """Return other chips and batches.

    One that needs another mapping, too, must be worth it beside the best mapping of the chip as it
    is, which takes `least` cycles.
    """
    hw, layer, batch = plan.hw, plan.layer, plan.batch
    for resource, what in (
        (Resource.DRAM_LINK, "Take a DRAM link twice as fast"),
        (Resource.PSUM_BUS, "Take psum buses of twice the width"),
        (Resource.IFMAP_BUS, "Take an ifmap bus of twice the width"),
        (Resource.FILTER_BUS, "Take a filter bus of twice the width"),
    ):
        widths = list(_on_chip(plan, what, doubled_fields(hw, resource), bound, None))
        if resource == Resource.PSUM_BUS and resource in bound.by:
            # A wider bus wants more filters in a PE.
            widths += _on_chip(plan, what, doubled_fields(hw, resource), bound, least)
        yield from _simplest(widths)
    if hw.glb.filter_load == "exposed":
        what = "Let PEs compute while filters load"
        yield from _on_chip(plan, what, {"glb.filter_load": "streamed"}, bound, None)
    if hw.dram.overlap == "none":
        what = "Overlap DRAM transfers with computing"
        overlaps: list[Change] = []
        for overlap in ("ifmap", "full"):
            fields: dict[str, Any] = {"dram.overlap": overlap}
            overlaps += _on_chip(plan, what, fields, bound, None)
            overlaps += _on_chip(plan, what, fields, bound, least)
        yield from _simplest(overlaps)
    if Resource.ARRAY in bound.by:
        sides = {"array.rows": 2 * hw.array.rows, "array.columns": 2 * hw.array.columns}
        yield from _on_chip(plan, "Take an array of twice the sides", sides, bound, least)
        spads = ("pe.ifmap_spad_words", "pe.filter_spad_words", "pe.psum_spad_words")
        larger = {name: 2 * getattr(hw.pe, name.partition(".")[2]) for name in spads}
        yield from _on_chip(plan, "Take spads of twice the size", larger, bound, least)
    if Resource.DRAM_LINK in bound.by and 2 * batch <= MAX_BATCH:
        other = _automatic(layer, 2 * batch, hw)
        if other is not None:
            after = total_cycles(other)
            if after * (1 + LEAST_GAIN) <= 2 * least:
                options = f"--batch {2 * batch} --mapping {other.mapping}"
                why = "More images share each filter word that DRAM sends"
                yield Change("Run larger batches", options, why, bound.cycles, after, images=2)


def _simplest(changes: list[Change]) -> list[Change]:
    """Return the change worth its price, of ways to do the same in the order of what they ask."""
    if not changes:
        return []
    best = min(change.after for change in changes)
    return [next(change for change in changes if change.after <= best * (1 + LEAST_GAIN))]


def _on_chip(
    plan: Plan, what: str, fields: MappingABC[str, Any], bound: Bound, least: int | None
) -> Iterator[Change]:
    """Return the layer on a chip with these fields, under its mapping or (`least`) the mapper's."""
    hw = _with_fields(plan.hw, fields)
    if hw is None:
        return
    options = " ".join(f"--set {name}={_plain(value)}" for name, value in fields.items())
    if least is None:
        other = _legal(plan.layer, plan.batch, hw, plan.mapping)
    else:
        other = _automatic(plan.layer, plan.batch, hw)
        if other is not None and other.mapping != plan.mapping:
            what += ", with another mapping"
            options += f" --mapping {other.mapping}"
    if other is None:
        return
    after = total_cycles(other)
    if least is None or after * (1 + LEAST_GAIN) <= least:
        yield Change(what, options, "", bound.cycles, after)


def _plain(value: object) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _with_fields(hw: Hardware, fields: MappingABC[str, Any]) -> Hardware | None:
    """Return the chip with other fields; None where there is no such chip."""
    data = hw.to_dict()
    for name, value in fields.items():
        section, _, field = name.partition(".")
        data[section][field] = value
    try:
        return Hardware.model_validate(data)
    except ValidationError:
        return None
