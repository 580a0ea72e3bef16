"""Figures of a result file that contradict one another: wholes that are not their parts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from hw_models.vocabulary import CAUSES, Cause, Network
from sim.account.ledger import published_glb_bytes
from workloads.inputs.words import shown

if TYPE_CHECKING:
    from sim.result.model import EnergyPart, LayerPart, ResultFile, TimelinePart

ROUNDING = 1e-9  # of floats in the file, which are each rounded for themselves
SUM = "the sum of the layers"

Check: TypeAlias = tuple[str, float, float, str]
"""A field, its value or that of its parts, what it must be, and what that is in words."""


def contradictions(layer: LayerPart, result: ResultFile, passes: int) -> list[tuple[str, str]]:
    """Yield (field, what it must be) where figures of a layer contradict one another.

    `passes` are those that follow from its mapping.
    """
    faults = _unequal(_of_layer(layer, result, passes))
    by_cause = {cause: np.array(layer.pe.by_cause[cause], np.int64) for cause in CAUSES}
    busy = by_cause[Cause.COMPUTING] + by_cause[Cause.ACCUMULATING]
    if (np.array(layer.pe.busy_cycles, np.int64) != busy).any():
        faults.append(("pe.busy_cycles", "must be computing and accumulating in every PE"))
    if result.simulated:
        faults += [
            (f"bus_cycles.{bus}", "must be no more than the processing latency")
            for bus, cycles in layer.bus_cycles.items()
            if cycles > layer.cycles.processing
        ]
    if (np.array(list(by_cause.values())).sum(axis=0) != layer.cycles.processing).any():
        faults.append(("pe.by_cause", "must add up to the processing latency in every PE"))
    return faults


def wrong_totals(result: ResultFile) -> list[tuple[str, str]]:
    """Yield (field, what it must be) where totals are not the sums of the layers."""
    return _unequal(_of_totals(result))


def _unequal(checks: Iterable[Check]) -> list[tuple[str, str]]:
    """Yield (field, what is wrong) of figures that are off; floats may be off by rounding."""
    faults = []
    for field, value, expected, what in checks:
        if isinstance(value, int) and isinstance(expected, int):
            equal = value == expected
        else:
            equal = math.isclose(value, expected, rel_tol=ROUNDING)
        if not equal:
            faults.append((field, f"must be {what}, {shown(expected)}; got {shown(value)}"))
    return faults


def _of_layer(layer: LayerPart, result: ResultFile, passes: int) -> Iterator[Check]:
    cycles, entries, multicast = layer.cycles, layer.entries, layer.multicast
    standing = sum(1 for row in layer.pe.part for name in row if name)
    if standing:
        yield "pe.part", standing, layer.active_pes, "in as many PEs as are active"
    yield "macs", layer.macs, layer.layer.macs(result.batch), "that of the shape and the batch"
    yield "passes", layer.passes, passes, "that of the mapping"
    total = cycles.processing + sum(cycles.standstill.values())
    yield "cycles.total", cycles.total, total, "processing and standstill"
    pe_cycles = cycles.processing * result.hw.pes
    yield "cycles.by_cause", sum(cycles.by_cause.values()), pe_cycles, "in all cycles x PEs"
    for cause in CAUSES:
        in_pes = _sum(layer.pe.by_cause[cause])
        yield f"cycles.by_cause.{cause}", cycles.by_cause[cause], in_pes, "the sum of all PEs"
    yield "pe.macs", _sum(layer.pe.macs), layer.macs, "in all the layer's MACs"
    done = entries["mac.active"] + entries["mac.gated"]
    yield "accesses.mac", done, layer.macs, "in all the layer's MACs"
    field = "accesses.noc.gin_ifmap.multicast"
    yield field, sum(multicast.values()), entries[Network.GIN_IFMAP.words], "in all the words sent"
    reached = sum(pes * words for pes, words in multicast.items())
    yield field, reached, entries[Network.GIN_IFMAP.deliveries], "in all the words delivered"
    published = published_glb_bytes(entries)
    field = "glb_published_convention_bytes"
    yield field, layer.glb_published_convention_bytes, published, "that of the accesses"
    for name, pes in (("active", layer.active_pes), ("array", result.hw.pes)):
        if name in layer.utilization:
            share = layer.macs / (cycles.processing * pes)
            yield f"utilization.{name}", layer.utilization[name], share, "MACs per cycle and PE"
    if layer.energy is not None:
        yield from _of_energy(layer.energy, layer.macs)
    if layer.eyexam:
        field = f"eyexam[{len(layer.eyexam) - 1}].cycles"
        yield field, layer.eyexam[-1].cycles, cycles.processing, "the processing latency"
    if layer.timeline is not None:
        yield from _of_timeline(layer.timeline, layer, simulated=result.simulated)


def _sum(rows: list[list[int]]) -> int:
    """Sum a map whose total 64 bit may not hold."""
    return sum(map(sum, rows))


def _of_energy(energy: EnergyPart, macs: int) -> Iterator[Check]:
    for name, parts in (
        ("by_level", energy.by_level),
        ("by_data_type", energy.by_data_type),
        ("by_action", energy.by_action),
    ):
        yield f"energy.{name}", math.fsum(parts.values()), energy.total, "in all the total"
    if energy.per_mac is not None:
        yield "energy.per_mac", energy.per_mac, energy.total / macs, "the total over the MACs"


def _of_timeline(timeline: TimelinePart, layer: LayerPart, *, simulated: bool) -> Iterator[Check]:
    others = timeline.left_out
    passes = sum(kind.passes for kind in timeline.kinds) + (others.passes if others else 0)
    yield "timeline.kinds", passes, layer.passes, "in all the layer's passes"
    if timeline.complete:
        passes = sum(times * many for times, runs in timeline.order for _, many in runs)
        yield "timeline.order", passes, layer.passes, "in all the layer's passes"
    if simulated:  # the closed form has had passes of a mean length, rounded
        cycles = sum(kind.cycles * kind.passes for kind in timeline.kinds)
        cycles += others.cycles if others else 0
        yield "timeline.kinds", cycles, layer.cycles.processing, "in all the processing latency"


def _of_totals(result: ResultFile) -> Iterator[Check]:
    """Yield the checks of the totals; earlier files have fewer of them."""
    totals, layers = result.totals, result.layers
    yield "macs", totals.macs, sum(layer.macs for layer in layers), SUM
    for name in ("passes", "passes_simulated", "glb_published_convention_bytes"):
        if (value := getattr(totals, name)) is not None:
            yield name, value, sum(getattr(layer, name) for layer in layers), SUM
    cycles = {
        "processing": sum(layer.cycles.processing for layer in layers),
        "total": sum(layer.cycles.total for layer in layers),
    }
    for name, value in totals.milliseconds.items():
        if name in cycles:
            yield f"milliseconds.{name}", value, result.milliseconds(cycles[name]), SUM
    if totals.cycles is not None:
        yield "cycles.processing", totals.cycles.processing, cycles["processing"], SUM
        yield "cycles.total", totals.cycles.total, cycles["total"], SUM
        by_cause = _added(layer.cycles.by_cause for layer in layers)
        for cause, count in totals.cycles.by_cause.items():
            yield f"cycles.by_cause.{cause}", count, by_cause[cause], SUM
    dram = _added(layer.dram_bytes for layer in layers)
    for kind, count in totals.dram_bytes.items():
        yield f"dram_bytes.{kind}", count, dram[kind], SUM
    entries = _added(layer.entries for layer in layers)
    for name, count in totals.entries.items():
        yield f"accesses.{name}", count, entries[name], SUM
    priced = [layer for layer in layers if layer.energy is not None]
    if totals.energy is not None and priced:
        energies = [layer.energy.total for layer in priced if layer.energy is not None]
        yield "energy.total", totals.energy.total, math.fsum(energies), SUM
        yield from _of_energy(totals.energy, sum(layer.macs for layer in priced))


def _added(parts: Iterable[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part)
    return total
