"""The figures of a report: page, plots and diagnosis have the same numbers from here.

A `View` is one layer, or the whole network. Its numbers are raw; only shares of causes are rounded
text, so that they read as the terminal's. `plain` makes JSON of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from pydantic import BaseModel

from hw_models.vocabulary import BUSES, CAUSES, DATA_TYPES, Cause, DataType, Level, Network
from sim.account.energy import data_type
from sim.reference.tables import NETWORKS, Published, load_published
from sim.report.queues import LEGEND, queue_rows
from sim.report.tables import percentages, time_parts
from sim.result.model import LayerPart, ResultFile, TimelinePart

Matrix = list[list[int]]


@dataclass(frozen=True)
class Stalls:
    """PE-cycles of the total latency by cause, and their shares in percent as they are printed."""

    causes: list[Cause]
    pe_cycles: list[int]
    percent: list[str]


@dataclass(frozen=True)
class Station:
    """A bus, a link, or the PEs: words, deliveries, and the share of the processing latency.

    `busy` is how long its words take at its full width; `taken` counts the beats, of which some are
    not full: the share of cycles in which nothing else can be sent. They are the terminal's "used"
    and "busy". What a station does not have is None. `data` has its colour.
    """

    id: str
    data: DataType
    name: str
    words_per_cycle: float | None
    words: int | None
    deliveries: int | None
    busy: float | None
    taken: float | None


@dataclass(frozen=True)
class Step:
    """A step of Eyexam; of a whole network the cycles of all layers, one after the other."""

    step: str
    cycles: int
    macs_per_cycle: float
    limit: str
    reason: str


@dataclass(frozen=True)
class EnergyTable:
    """Energy by level and data type, in the table's unit; `cells` is (levels, data types)."""

    table: str
    unit: str
    total: float
    per_mac: float
    levels: list[Level]
    data_types: list[DataType]
    by_level: dict[Level, float]
    by_data_type: dict[DataType, float]
    cells: list[list[float]]
    chip_power_w: float | None
    unpriced: list[str]


@dataclass(frozen=True)
class Dram:
    """Bytes that cross the link, and cycles of DRAM stalls by what the array waits for."""

    bytes: dict[str, int]
    standstill_cycles: dict[str, int]


@dataclass(frozen=True)
class PeMap:
    """What each PE did, (rows, columns); `placement` is the part of each PE of a layer."""

    rows: int
    columns: int
    cycles: int
    macs: Matrix
    busy_cycles: Matrix
    by_cause: dict[Cause, Matrix]
    placement: list[list[str]] | None


@dataclass(frozen=True)
class ChipRow:
    """A figure simulated and published."""

    what: str
    simulated: float
    published: float
    difference_percent: float
    marks: list[str]


@dataclass(frozen=True)
class Chip:
    """What the chip's authors published beside what these layers did."""

    source: str
    rows: list[ChipRow]
    layers: list[str]
    mapping_inferred: bool
    hw: str


@dataclass(frozen=True)
class LayerLine:
    """A layer of a network in one line; `by_cause` and `percent` go with the view's causes."""

    name: str
    total_cycles: int
    processing_cycles: int
    standstill_cycles: int
    macs: int
    energy: float | None
    by_cause: list[int]
    percent: list[str]


@dataclass(frozen=True)
class View:
    """One layer, or the whole network (`whole`), which alone has `layers`.

    Cycles are core cycles. `multicast` has ifmap words by PEs reached. A network has no shape,
    mapping, timeline or number of active PEs; `chip` is None where nothing is published.
    """

    name: str
    whole: bool
    total_cycles: int
    processing_cycles: int
    total_ms: float
    processing_ms: float
    macs: int
    macs_per_cycle: float
    passes: int
    active_pes: int | None
    stalls: Stalls
    stations: list[Station]
    multicast: list[tuple[int, int]]
    eyexam: list[Step]
    energy: EnergyTable | None
    dram: Dram
    queues_legend: str
    queues: list[dict[str, Any]]
    glb_published_bytes: int
    pe: PeMap
    chip: Chip | None
    shape: str | None = None
    mapping: dict[str, int] | None = None
    mapping_source: str | None = None
    timeline: TimelinePart | None = None
    layers: list[LayerLine] | None = None

    def busy(self, name: str) -> tuple[float, float]:
        """Return `busy` and `taken` of the PEs or of a bus, by its id."""
        for station in self.stations:
            if station.id == name and station.busy is not None and station.taken is not None:
                return station.busy, station.taken
        raise KeyError(name)


def plain(value: Any) -> Any:
    """Return a view, or a part of one, as data that JSON can hold."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, list) and value and is_dataclass(value[0]):
        return [plain(item) for item in value]
    return value  # maps of the array hold a million numbers: they are not walked through


def views(result: ResultFile) -> list[View]:
    """Return the views of a result: the whole network first, where it has several layers."""
    table = load_published(result.network) if result.network in NETWORKS else None
    by_layer = [layer_view(result, layer, table) for layer in result.layers]
    return [network_view(result, table), *by_layer] if len(by_layer) > 1 else by_layer


def layer_view(result: ResultFile, layer: LayerPart, table: Published | None = None) -> View:
    """Return the view of one layer."""
    return View(
        name=layer.name,
        whole=False,
        **_common(result, [layer]),
        active_pes=layer.active_pes,
        pe=pe_map(result, [layer], layer.pe.part),
        chip=chip(result, [layer], table),
        shape=shape_text(layer),
        mapping=dict(layer.mapping),
        mapping_source=layer.mapping_source,
        timeline=layer.timeline,
    )


def network_view(result: ResultFile, table: Published | None = None) -> View:
    """Return the view of all layers together."""
    lines = []
    for layer in result.layers:
        parts = latency_parts(result, [layer])
        lines.append(
            LayerLine(
                name=layer.name,
                total_cycles=layer.cycles.total,
                processing_cycles=layer.cycles.processing,
                standstill_cycles=sum(layer.cycles.standstill.values()),
                macs=layer.macs,
                energy=layer.energy.total if layer.energy is not None else None,
                by_cause=list(parts.values()),
                percent=percentages(parts),
            )
        )
    return View(
        name="whole network",
        whole=True,
        **_common(result, result.layers),
        active_pes=None,
        pe=pe_map(result, result.layers, None),
        chip=chip(result, result.layers, table),
        layers=lines,
    )


def _common(result: ResultFile, layers: Sequence[LayerPart]) -> dict[str, Any]:
    cycles = sum(layer.cycles.processing for layer in layers)
    total = sum(layer.cycles.total for layer in layers)
    macs = sum(layer.macs for layer in layers)
    parts = latency_parts(result, layers)
    return {
        "total_cycles": total,
        "processing_cycles": cycles,
        "total_ms": result.milliseconds(total),
        "processing_ms": result.milliseconds(cycles),
        "macs": macs,
        "macs_per_cycle": macs / cycles,
        "passes": sum(layer.passes for layer in layers),
        "stalls": Stalls(list(parts), list(parts.values()), percentages(parts)),
        "stations": stations(result, layers),
        "multicast": sorted(counted(layer.multicast for layer in layers).items()),
        "eyexam": _eyexam(layers),
        "energy": energy_table(layers),
        "dram": Dram(
            bytes=summed(layer.dram_bytes for layer in layers),
            standstill_cycles=summed(layer.cycles.standstill for layer in layers),
        ),
        "queues_legend": LEGEND,
        "queues": queue_rows(result.hw, [layer.queues for layer in layers], cycles),
        "glb_published_bytes": sum(layer.glb_published_convention_bytes for layer in layers),
    }


CHIP_COLUMNS = {
    "active_pes": "active PEs",
    "total_ms": "total latency, ms",
    "processing_ms": "processing latency, ms",
    "glb_mb": "GLB accesses",
    "dram_mb": "DRAM accesses",
    "power_mw": "chip without DRAM, mW",
}


WITH_OFMAP_SIZE = ("total_ms", "dram_mb", "power_mw")
"""Columns that the coded size of the ofmap goes into, whose share of zeros is an assumption."""


def chip(result: ResultFile, layers: Sequence[LayerPart], table: Published | None) -> Chip | None:
    """Compare with what the chip's authors published; None where there is nothing.

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
        mine = _as_published(table, result, known, column)
        if published is None or mine is None:
            continue
        if column in WITH_OFMAP_SIZE and any(one.layer.ofmap_zero_fraction for one in known):
            marks = (*marks, "assumed")
        difference = 100 * (mine / published - 1)
        rows.append(
            ChipRow(what + _counted(table, column), mine, published, difference, list(marks))
        )
    return Chip(
        source=f"{table.source}, {table.table}",
        rows=rows,
        layers=[layer.name for layer in known],
        mapping_inferred=table.mapping == "inferred",
        hw=result.hw.name,
    )


def _counted(table: Published, column: str) -> str:
    """Name the unit in which a table counts accesses, and that it counts filters; else nothing."""
    conventions = {"glb_mb": table.conventions.glb_mb, "dram_mb": table.conventions.dram_mb}
    if column not in conventions:
        return ""
    with_filters = " with filter reads" if conventions[column].filters else ""
    return f"{with_filters}, {conventions[column].unit}"


def _as_published(
    table: Published, result: ResultFile, layers: Sequence[LayerPart], column: str
) -> float | None:
    """Return the figure of the layers in the units, and with the accesses, of the table."""
    if column == "active_pes":
        return float(layers[0].active_pes)
    if column == "processing_ms":
        return result.milliseconds(sum(layer.cycles.processing for layer in layers))
    if column == "total_ms":
        return result.milliseconds(sum(layer.cycles.total for layer in layers))
    if column == "glb_mb":
        filters = sum(layer.entries["glb.filter.read"] for layer in layers)
        return table.conventions.glb_accesses(
            sum(layer.glb_published_convention_bytes for layer in layers),
            filters * result.hw.word_bits.filter / 8,
        )
    if column == "dram_mb":
        dram_bytes = sum(sum(layer.dram_bytes.values()) for layer in layers)
        return table.conventions.dram_mb.in_unit(dram_bytes)
    energy = layers[0].energy
    if len(layers) > 1 or energy is None or energy.chip_power_w is None:
        return None
    return 1e3 * energy.chip_power_w


def summed(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add the counts of several layers, key by key."""
    sums: Counter[str] = Counter()
    for one in counts:
        sums.update(one)
    return dict(sums)


def counted(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """Add the histograms of several layers."""
    sums: Counter[int] = Counter()
    for one in histograms:
        sums.update(one)
    return dict(sums)


def latency_parts(result: ResultFile, layers: Sequence[LayerPart]) -> dict[Cause, int]:
    """Return the PE-cycles of the total latency of these layers by cause, DRAM stalls included."""
    by_cause = summed(layer.cycles.by_cause for layer in layers)
    still = sum(sum(layer.cycles.standstill.values()) for layer in layers)
    return time_parts(by_cause, still, result.hw.pes)


def shape_text(layer: LayerPart) -> str:
    """Describe the layer's shape."""
    shape = layer.layer
    groups = f", {shape.G} groups" if shape.G > 1 else ""
    stride = str(shape.U) if shape.U == shape.V else f"{shape.U} x {shape.V}"
    return (
        f"ifmap {shape.H} x {shape.W} x {shape.G * shape.C}, {shape.M} filters of {shape.R} x "
        f"{shape.S}, stride {stride}{groups}, ofmap {shape.E} x {shape.F}"
    )


def stations(result: ResultFile, layers: Sequence[LayerPart]) -> list[Station]:
    """Return the PEs, every bus and every link; the PEs are as busy as the busiest of them."""
    hw = result.hw
    entries = summed(layer.entries for layer in layers)
    cycles = sum(layer.cycles.processing for layer in layers)
    busiest = max(max(row) for row in _matrix(layers, lambda layer: layer.pe.busy_cycles)) / cycles
    beats = summed(layer.bus_cycles for layer in layers)
    buses = []
    for network in BUSES:
        words, rate = entries[network.words], getattr(hw.noc, network.rate)
        buses.append(
            Station(
                id=network,
                data=network.data,
                name=network.label,
                words_per_cycle=rate,
                words=words,
                deliveries=entries[network.deliveries],
                busy=words / rate / cycles,
                taken=beats[network] / cycles,
            )
        )
    links = entries[Network.LOCAL_PSUM.words]
    filter_bits = 8 * sum(layer.dram_bytes[DataType.FILTER] for layer in layers)
    beat_cycles = float(hw.link_beat_cycles)
    link = filter_bits / hw.dram.link_bits * beat_cycles / cycles
    return [
        Station("pes", DataType.MAC, "PEs (the busiest one)", None, None, None, busiest, busiest),
        *buses,
        Station(
            id=Network.LOCAL_PSUM,
            data=Network.LOCAL_PSUM.data,
            name=Network.LOCAL_PSUM.label,
            words_per_cycle=hw.noc.psum_words_per_cycle,
            words=links,
            deliveries=links,
            busy=None,
            taken=None,
        ),
        Station(
            id="dram_filter",
            data=DataType.FILTER,
            name="DRAM link, filters alone",
            words_per_cycle=hw.dram.link_bits / hw.word_bits.filter / beat_cycles,
            words=entries["dram.filter.read"],
            deliveries=None,
            busy=link,
            taken=link,
        ),
    ]


def _matrix(layers: Sequence[LayerPart], of: Callable[[LayerPart], Matrix]) -> Matrix:
    """Add the matrices of all layers."""
    matrices = [of(layer) for layer in layers]
    return [
        [sum(cells) for cells in zip(*rows, strict=True)] for rows in zip(*matrices, strict=True)
    ]


def pe_map(
    result: ResultFile, layers: Sequence[LayerPart], labels: list[list[str]] | None
) -> PeMap:
    """Return what each PE did in these layers."""

    def by_cause(cause: Cause) -> Matrix:
        return _matrix(layers, lambda layer: layer.pe.by_cause[cause])

    array = result.hw.array
    return PeMap(
        rows=array.rows,
        columns=array.columns,
        cycles=sum(layer.cycles.processing for layer in layers),
        macs=_matrix(layers, lambda layer: layer.pe.macs),
        busy_cycles=_matrix(layers, lambda layer: layer.pe.busy_cycles),
        by_cause={cause: by_cause(cause) for cause in CAUSES},
        placement=labels,
    )


def _eyexam(layers: Sequence[LayerPart]) -> list[Step]:
    """Return the steps; of several layers with the cycles of each step added up."""
    if len({tuple(step.step for step in layer.eyexam) for layer in layers}) != 1:
        return []  # a file may have what no run writes
    if len(layers) == 1:
        return [
            Step(step.step, step.cycles, step.macs_per_cycle, step.limit, step.reason)
            for step in layers[0].eyexam
        ]
    macs = sum(layer.macs for layer in layers)
    steps = []
    for place, step in enumerate(layers[0].eyexam):
        cycles = sum(layer.eyexam[place].cycles for layer in layers)
        steps.append(Step(step.step, cycles, macs / cycles, "", _network_reason(layers, place)))
    return steps


def _network_reason(layers: Sequence[LayerPart], place: int) -> str:
    """Name the layers that lose most in a step."""
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


def energy_table(layers: Sequence[LayerPart]) -> EnergyTable | None:
    """Return energy by level and data type; None where a layer has no energy, or tables differ."""
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
    return EnergyTable(
        table=parts[0].table,
        unit=parts[0].unit,
        total=total,
        per_mac=total / macs,
        levels=list(Level),
        data_types=list(DATA_TYPES),
        by_level={
            level: math.fsum(part.by_level.get(level, 0.0) for part in parts) for level in Level
        },
        by_data_type={
            kind: math.fsum(part.by_data_type.get(kind, 0.0) for part in parts)
            for kind in DATA_TYPES
        },
        cells=[[cells[level][kind] for kind in DATA_TYPES] for level in Level],
        chip_power_w=parts[0].chip_power_w if len(parts) == 1 else None,
        unpriced=sorted(unpriced),
    )
