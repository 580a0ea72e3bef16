"""The figures of a report as plain data: page and plots draw the same numbers.

A *view* is one layer, or the whole network; each of its figures is a dict that JSON can hold, with
raw numbers. Only shares for stall causes come rounded as text, so that they read as the terminal's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sim.account.energy import data_type
from sim.reference.tables import NETWORKS, Published, load_published
from sim.report.queues import LEGEND, queue_rows
from sim.report.tables import percentages, time_parts
from sim.result.model import LayerPart, ResultFile
from vocabulary import BUSES, CAUSES, DATA_TYPES, Cause, DataType, Level, Network

View = dict[str, Any]


def views(result: ResultFile) -> list[View]:
    """The views of a result: the whole network first, where it has more than one layer."""
    table = load_published(result.network) if result.network in NETWORKS else None
    found = [layer_view(result, layer, table) for layer in result.layers]
    if len(result.layers) > 1:
        found.insert(0, network_view(result, table))
    return found


def layer_view(result: ResultFile, layer: LayerPart, table: Published | None = None) -> View:
    """One layer."""
    return {
        "name": layer.name,
        "whole": False,
        **_common(result, [layer]),
        "shape": shape_text(layer),
        "mapping": dict(layer.mapping),
        "mapping_source": layer.mapping_source,
        "pe": pe_map(result, [layer], layer.pe.part),
        "timeline": _timeline(layer),
        "chip": chip(result, [layer], table),
    }


def network_view(result: ResultFile, table: Published | None = None) -> View:
    """All layers together."""
    return {
        "name": "whole network",
        "whole": True,
        **_common(result, result.layers),
        "pe": pe_map(result, result.layers, None),
        "timeline": None,
        "chip": chip(result, result.layers, table),
        "layers": [
            {
                "name": layer.name,
                "total_cycles": layer.cycles.total,
                "processing_cycles": layer.cycles.processing,
                "standstill_cycles": sum(layer.cycles.standstill.values()),
                "macs": layer.macs,
                "energy": layer.energy.total if layer.energy is not None else None,
                "by_cause": list(latency_parts(result, [layer]).values()),
                "percent": percentages(latency_parts(result, [layer])),
            }
            for layer in result.layers
        ],
    }


def _common(result: ResultFile, layers: Sequence[LayerPart]) -> View:
    cycles = sum(layer.cycles.processing for layer in layers)
    macs = sum(layer.macs for layer in layers)
    parts = latency_parts(result, layers)
    return {
        "total_cycles": sum(layer.cycles.total for layer in layers),
        "processing_cycles": cycles,
        "total_ms": result.milliseconds(sum(layer.cycles.total for layer in layers)),
        "processing_ms": result.milliseconds(cycles),
        "macs": macs,
        "macs_per_cycle": macs / cycles,
        "passes": sum(layer.passes for layer in layers),
        "active_pes": layers[0].active_pes if len(layers) == 1 else None,
        "stalls": {
            "causes": list(parts),
            "pe_cycles": list(parts.values()),
            "percent": percentages(parts),
        },
        "stations": stations(result, layers),
        "multicast": [
            [reached, words]
            for reached, words in sorted(counted(layer.multicast for layer in layers).items())
        ],
        "eyexam": _eyexam(result, layers),
        "energy": energy_table(layers),
        "dram": {
            "bytes": summed(layer.dram_bytes for layer in layers),
            "standstill_cycles": summed(layer.cycles.standstill for layer in layers),
        },
        "queues_legend": LEGEND,
        "queues": queue_rows(result.hw, [layer.queues for layer in layers], cycles),
        "glb_published_bytes": sum(layer.glb_published_convention_bytes for layer in layers),
    }


CHIP_COLUMNS = {
    "active_pes": "active PEs",
    "total_ms": "total latency, ms",
    "processing_ms": "processing latency, ms",
    "glb_mb": "GLB accesses, MB",
    "dram_mb": "DRAM accesses, MB",
    "power_mw": "chip without DRAM, mW",
}


WITH_OFMAP_SIZE = ("total_ms", "dram_mb", "power_mw")
"""Columns that the coded size of the ofmap goes into, whose share of zeros is an assumption."""


def chip(
    result: ResultFile, layers: Sequence[LayerPart], table: Published | None
) -> dict[str, Any] | None:
    """What the chip's authors published beside what these layers did; None where there is nothing.

    Only layers that the table has, at its batch and with its MACs, are compared.
    """
    if table is None:
        return None
    known = [
        layer
        for layer in layers
        if layer.name in table.layers
        and abs(layer.macs / 1e6 / table.layers[layer.name].million_macs - 1) < 0.02
    ]
    if not known or result.batch != table.batch:
        return None
    if len(layers) > 1 and len(known) < len(table.layers):
        return None
    rows = []
    for column, what in CHIP_COLUMNS.items():
        if len(layers) == 1:
            published = table.value(known[0].name, column)
            marks = table.marks(known[0].name, column)
        else:
            published, marks = table.total(column), ()
        mine = _as_published(result, known, column)
        if published is None or mine is None:
            continue
        if column in WITH_OFMAP_SIZE and any(one.layer.ofmap_zero_fraction for one in known):
            marks = (*marks, "assumed")
        rows.append(
            {
                "what": what,
                "simulated": mine,
                "published": published,
                "difference_percent": 100 * (mine / published - 1),
                "marks": list(marks),
            }
        )
    return {
        "source": f"{table.source}, {table.table}",
        "rows": rows,
        "layers": [layer.name for layer in known],
        "mapping_inferred": table.mapping == "inferred",
        "hw": result.hw.name,
    }


def _as_published(result: ResultFile, layers: Sequence[LayerPart], column: str) -> float | None:
    if column == "active_pes":
        return float(layers[0].active_pes)
    if column == "processing_ms":
        return result.milliseconds(sum(layer.cycles.processing for layer in layers))
    if column == "total_ms":
        return result.milliseconds(sum(layer.cycles.total for layer in layers))
    if column == "glb_mb":
        return sum(layer.glb_published_convention_bytes for layer in layers) / 1e6
    if column == "dram_mb":
        return sum(sum(layer.dram_bytes.values()) for layer in layers) / 1e6
    energy = layers[0].energy
    if len(layers) > 1 or energy is None or energy.chip_power_w is None:
        return None
    return 1e3 * energy.chip_power_w


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts of several layers, key by key."""
    found: Counter[str] = Counter()
    for one in counts:
        found.update(one)
    return dict(found)


def counted(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Histograms of several layers as one."""
    found: Counter[int] = Counter()
    for one in histograms:
        found.update(one)
    return dict(found)


def latency_parts(result: ResultFile, layers: Sequence[LayerPart]) -> dict[Cause, int]:
    """PE-cycles of the total latency of these layers, by cause, DRAM stalls included."""
    by_cause = summed(layer.cycles.by_cause for layer in layers)
    still = sum(sum(layer.cycles.standstill.values()) for layer in layers)
    return time_parts(by_cause, still, result.hw.pes)


def shape_text(layer: LayerPart) -> str:
    """The layer's shape in words."""
    shape = layer.layer
    groups = f", {shape.G} groups" if shape.G > 1 else ""
    stride = str(shape.U) if shape.U == shape.V else f"{shape.U} x {shape.V}"
    return (
        f"ifmap {shape.H} x {shape.W} x {shape.G * shape.C}, {shape.M} filters of {shape.R} x "
        f"{shape.S}, stride {stride}{groups}, ofmap {shape.E} x {shape.F}"
    )


def stations(result: ResultFile, layers: Sequence[LayerPart]) -> list[dict[str, Any]]:
    """Every bus and link: words, deliveries, and the share of the processing latency it is busy.

    `busy` is how long its words take at its full width; `taken` counts the beats, of which some are
    not full: the share of cycles in which nothing else can be sent. They are the terminal's "used"
    and "busy". The PEs are as busy as the busiest of them.
    """
    hw = result.hw
    entries = summed(layer.entries for layer in layers)
    cycles = sum(layer.cycles.processing for layer in layers)
    busiest = max(max(row) for row in _matrix(layers, lambda layer: layer.pe.busy_cycles))
    rows: list[dict[str, Any]] = [
        {
            "id": "pes",
            "data": DataType.MAC,
            "name": "PEs (the busiest one)",
            "words_per_cycle": None,
            "words": None,
            "deliveries": None,
            "busy": busiest / cycles,
            "taken": busiest / cycles,
        }
    ]
    beats = summed(layer.bus_cycles for layer in layers)
    for network in BUSES:
        words, rate = entries[network.words], getattr(hw.noc, network.rate)
        rows.append(
            {
                "id": network,
                "data": network.data,
                "name": network.label,
                "words_per_cycle": rate,
                "words": words,
                "deliveries": entries[network.deliveries],
                "busy": words / rate / cycles,
                "taken": beats[network] / cycles,
            }
        )
    links = entries[Network.LOCAL_PSUM.words]
    rows.append(
        {
            "id": Network.LOCAL_PSUM,
            "data": Network.LOCAL_PSUM.data,
            "name": Network.LOCAL_PSUM.label,
            "words_per_cycle": hw.noc.psum_words_per_cycle,
            "words": links,
            "deliveries": links,
            "busy": None,
            "taken": None,
        }
    )
    filter_bytes = sum(layer.dram_bytes["filter"] for layer in layers)
    beat_cycles = float(hw.link_beat_cycles)
    link = filter_bytes * 8 / hw.dram.link_bits * beat_cycles / cycles
    rows.append(
        {
            "id": "dram_filter",
            "data": DataType.FILTER,
            "name": "DRAM link, filters alone",
            "words_per_cycle": hw.dram.link_bits / hw.word_bits.filter / beat_cycles,
            "words": entries["dram.filter.read"],
            "deliveries": None,
            "busy": link,
            "taken": link,
        }
    )
    return rows


def _matrix(layers: Sequence[LayerPart], of: Any) -> list[list[int]]:
    """The matrices of all layers, added."""
    matrices = [of(layer) for layer in layers]
    return [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)
    ]


def pe_map(
    result: ResultFile, layers: Sequence[LayerPart], labels: list[list[str]] | None
) -> dict[str, Any]:
    """What each PE did: products, busy cycles, and cycles by cause, all (rows, columns)."""
    array = result.hw.array
    return {
        "rows": array.rows,
        "columns": array.columns,
        "cycles": sum(layer.cycles.processing for layer in layers),
        "macs": _matrix(layers, lambda layer: layer.pe.macs),
        "busy_cycles": _matrix(layers, lambda layer: layer.pe.busy_cycles),
        "by_cause": {
            cause: _matrix(layers, lambda layer, cause=cause: layer.pe.by_cause[cause])
            for cause in CAUSES
        },
        "placement": labels,
    }


def _timeline(layer: LayerPart) -> dict[str, Any] | None:
    return layer.timeline.model_dump(mode="json") if layer.timeline is not None else None


def _eyexam(result: ResultFile, layers: Sequence[LayerPart]) -> list[dict[str, Any]]:
    """The steps; of several layers the cycles of each step, added, as they run one by one."""
    steps = {tuple(step.step for step in layer.eyexam) for layer in layers}
    if len(steps) != 1:  # a file may have what no run writes
        return []
    macs = sum(layer.macs for layer in layers)
    found = []
    for place, step in enumerate(layers[0].eyexam):
        cycles = sum(layer.eyexam[place].cycles for layer in layers)
        if len(layers) == 1:
            limit, reason, bound = step.limit, step.reason, step.macs_per_cycle
        else:
            limit, bound = "", macs / cycles
            reason = _network_reason(layers, place)
        found.append(
            {
                "step": step.step,
                "cycles": cycles,
                "macs_per_cycle": bound,
                "limit": limit,
                "reason": reason,
            }
        )
    return found


def _network_reason(layers: Sequence[LayerPart], place: int) -> str:
    """Which layers lose most in a step."""
    if place == 0:
        return "All MACs of a layer at once, one layer after the other."
    lost = {
        layer.name: layer.eyexam[place].cycles - layer.eyexam[place - 1].cycles for layer in layers
    }
    total = sum(lost.values())
    if not total:
        return "No layer loses anything here."
    most = sorted(lost, key=lambda name: -lost[name])[:3]
    named = ", ".join(f"{name} ({100 * lost[name] / total:.0f} %)" for name in most if lost[name])
    return f"Most of what is lost here is lost in {named}."


# --- energy ---------------------------------------------------------------------------------------


def energy_table(layers: Sequence[LayerPart]) -> dict[str, Any] | None:
    """Energy by level and data type; None where a layer has no energy, or tables differ."""
    parts = [layer.energy for layer in layers if layer.energy is not None]
    if len(parts) < len(layers) or len({(part.table, part.unit) for part in parts}) != 1:
        return None
    cells = {level: dict.fromkeys(DATA_TYPES, 0.0) for level in Level}
    for part in parts:
        for action, value in part.by_action.items():
            level = action.partition(".")[0]
            if level in cells:  # a later program may have more
                cells[Level(level)][data_type(action)] += value
    total = math.fsum(part.total for part in parts)
    macs = sum(layer.macs for layer in layers)
    unpriced = {name for part in parts for name, count in part.unpriced.items() if count}
    return {
        "table": parts[0].table,
        "unit": parts[0].unit,
        "total": total,
        "per_mac": total / macs,
        "levels": list(Level),
        "data_types": list(DATA_TYPES),
        "by_level": {
            level: math.fsum(part.by_level.get(level, 0.0) for part in parts) for level in Level
        },
        "by_data_type": {
            kind: math.fsum(part.by_data_type.get(kind, 0.0) for part in parts)
            for kind in DATA_TYPES
        },
        "cells": [[cells[level][kind] for kind in DATA_TYPES] for level in Level],
        "chip_power_w": parts[0].chip_power_w if len(parts) == 1 else None,
        "unpriced": sorted(unpriced),
    }
