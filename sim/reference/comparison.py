"""A simulation compared with every cell of the chip's published tables.

A cell says what its two figures rest on: a published one may be read off a chart or be a corrected
misprint, and a simulated one may rest on a mapping that is inferred, on ofmap zero fractions that
are assumed, and on energy prices that were fitted. `sim.reference.validation` runs the simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from sim.reference.tables import FITTED_TABLE, Mark, Published

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.account.result import LayerResult, Result

__all__ = [
    "COLUMNS",
    "MARKS",
    "Cell",
    "NetworkValidation",
    "Row",
    "Summary",
    "Validation",
    "chip_power_mw",
    "compare_with_published",
]

SCHEMA, VERSION = "eyeriss-sim/validation", 1

Reading: TypeAlias = Literal["published", "inferred", "alternative"]
Power: TypeAlias = Callable[["LayerResult"], float | None]

MARKS: Mapping[Mark, str] = {
    "inferred": "simulated under a mapping that is not published but inferred",
    "assumed": "the zero fraction of the ofmap, which went into it, is assumed",
    "fitted": "priced with an energy table whose prices were fitted to these very powers",
    "read_off": "published as a bar of a chart and read off it",
    "corrected": "published, and corrected where the table is misprinted",
}

COLUMNS: Mapping[str, str] = {
    "active_pes": "active PEs",
    "processing_ms": "processing latency, ms",
    "total_ms": "total latency, ms",
    "glb_mb": "GLB accesses as the table counts them, MB or MiB",
    "dram_mb": "DRAM accesses as the table counts them, MB or MiB",
    "dram_decimal_mb": "DRAM accesses, MB, where the table is read in MiB",
    "dram_raw_mb": "DRAM accesses without RLC, MB",
    "power_mw": "power of the chip without DRAM, mW",
}
"""Every column of the comparison by its name, and what it is; MB = 10^6, MiB = 2^20 bytes."""

_OF_SIMULATED: tuple[Mark, ...] = ("inferred", "assumed", "fitted")
# Simulated figures that the coded size of the ofmap goes into.
_WITH_OFMAP_SIZE = ("total_ms", "dram_mb", "dram_decimal_mb", "power_mw")


@dataclass(frozen=True)
class Cell:
    """A figure, simulated and published; None where it does not exist."""

    simulated: float | None
    published: float | None
    marks: tuple[Mark, ...] = ()

    @property
    def difference_percent(self) -> float | None:
        """Simulated less published, in percent of the published figure."""
        if self.simulated is None or not self.published:
            return None
        return 100 * (self.simulated / self.published - 1)

    def to_dict(self) -> dict[str, Any]:
        """Return the cell as plain data."""
        return {
            "simulated": self.simulated,
            "published": self.published,
            "difference_percent": self.difference_percent,
            "marks": list(self.marks),
        }


@dataclass(frozen=True)
class Row:
    """A layer: the reading of its mapping, a cell for each of `COLUMNS`, its ofmap's zeros."""

    layer: str
    reading: Reading
    mapping: str
    cells: Mapping[str, Cell]
    ofmap_zeros: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as plain data."""
        return {
            "layer": self.layer,
            "reading": self.reading,
            "mapping": self.mapping,
            "ofmap_zero_fraction": self.ofmap_zeros,
            "cells": {name: cell.to_dict() for name, cell in self.cells.items()},
        }


@dataclass(frozen=True)
class Summary:
    """A column over all layers; differences in percent, None where no layer has one.

    `total` holds the sum of the layers against the published total, of power the mean over time.
    """

    total: Cell
    mean_percent: float | None
    worst_percent: float | None
    worst_layer: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return {
            "total": self.total.to_dict(),
            "mean_absolute_difference_percent": self.mean_percent,
            "worst_difference_percent": self.worst_percent,
            "worst_layer": self.worst_layer,
        }


@dataclass(frozen=True)
class NetworkValidation:
    """A network compared with its published table.

    `rows` are the layers under the first reading of their mappings, `alternatives` those layers
    that have a second one. `summary` is over `rows`; `alternative_summary`, empty where there is no
    second reading, over the same with the alternatives in place. `pooled` has the layers before a
    pooling, behind which alone their ofmaps' zeros are known, with as many as if zeros fell
    independently; `rows` has the fewest that there may be.
    """

    published: Published
    rows: tuple[Row, ...]
    alternatives: tuple[Row, ...]
    pooled: Mapping[str, Row] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """Its name."""
        return self.published.network

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns with a published figure, in the order of `COLUMNS`."""
        return tuple(
            name
            for name in COLUMNS
            if any(row.cells[name].published is not None for row in self.rows)
        )

    @property
    def summary(self) -> dict[str, Summary]:
        """Every column over `rows`."""
        return self._summary(self.rows)

    @property
    def alternative_summary(self) -> dict[str, Summary]:
        """Every column over the rows with the alternatives in place; empty without any."""
        if not self.alternatives:
            return {}
        second = {row.layer: row for row in self.alternatives}
        return self._summary([second.get(row.layer, row) for row in self.rows])

    def row(self, layer: str, *, alternative: bool = False) -> Row:
        """Return the row of a layer.

        Raises:
            KeyError: there is none.

        """
        for row in self.alternatives if alternative else self.rows:
            if row.layer == layer:
                return row
        raise KeyError(layer)

    def _summary(self, rows: Sequence[Row]) -> dict[str, Summary]:
        return {name: _summary(self.published, rows, name) for name in self.columns}

    def to_dict(self) -> dict[str, Any]:
        """Return the network's object in the file."""
        published = self.published
        return {
            "network": published.network,
            "batch": published.batch,
            "source": f"{published.source}, {published.table}",
            "figures": {name: figure.source for name, figure in published.figures.items()},
            "corrected": published.corrected,
            "conventions": published.conventions.model_dump(),
            "layers": [row.to_dict() for row in self.rows],
            "alternatives": [row.to_dict() for row in self.alternatives],
            "pooled": {name: row.to_dict() for name, row in self.pooled.items()},
            "summary": {name: found.to_dict() for name, found in self.summary.items()},
            "alternative_summary": {
                name: found.to_dict() for name, found in self.alternative_summary.items()
            },
        }


@dataclass(frozen=True)
class Validation:
    """Networks compared with their published tables, and the chip that was simulated.

    `settings` are the fields of the hardware that were changed, as `field=value`.
    """

    hw: Hardware
    networks: tuple[NetworkValidation, ...]
    settings: tuple[str, ...] = field(default=())

    def network(self, name: str) -> NetworkValidation:
        """Return one of them by its name.

        Raises:
            KeyError: it is not there.

        """
        for found in self.networks:
            if found.network == name:
                return found
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """Return the whole file as plain data."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "hw": self.hw.to_dict(),
            "columns": dict(COLUMNS),
            "marks": dict(MARKS),
            "networks": [found.to_dict() for found in self.networks],
        }


def chip_power_mw(layer: LayerResult) -> float | None:
    """Return the power of the chip without DRAM over the total latency, by the ledger.

    None where no table priced the layer, or one without a physical unit.
    """
    watts = None if layer.energy is None else layer.energy.chip_power_w
    return None if watts is None else float(watts) * 1e3


def compare_with_published(
    published: Published,
    result: Result,
    alternative: Result | None = None,
    pooled: Result | None = None,
    *,
    power: Power = chip_power_mw,
) -> NetworkValidation:
    """Compare the layers of a result with a published table.

    `alternative` has the layers with a second reading of their mapping, under that one; `pooled`
    those of `published.pooled` with the most zeros that their ofmaps may have. Every layer
    of the table must be in `result`. `power` gives a layer's mW, None where it is not known.
    """
    found = {layer.layer.name: layer for layer in result.layers}
    second = () if alternative is None else alternative.layers
    return NetworkValidation(
        published=published,
        rows=tuple(
            _row(published, result, found[name], published.mapping, power)
            for name in published.layers
        ),
        alternatives=tuple(
            _row(published, result, layer, "alternative", power) for layer in second
        ),
        pooled={
            layer.layer.name: _row(published, result, layer, published.mapping, power)
            for layer in (() if pooled is None else pooled.layers)
        },
    )


def _row(
    published: Published, result: Result, layer: LayerResult, reading: Reading, power: Power
) -> Row:
    name = layer.layer.name
    raw_bits = sum(
        layer.entries[f"dram.{kind}"] * width
        for kind, width in (
            ("filter.read", result.hw.word_bits.filter),
            ("ifmap.read", result.hw.word_bits.ifmap),
            ("ofmap.write", result.hw.word_bits.ifmap),
        )
    )
    conventions = published.conventions
    filter_bytes = layer.entries["glb.filter.read"] * result.hw.word_bits.filter / 8
    dram_bytes = sum(layer.dram_bytes.values())
    simulated: dict[str, float | None] = {
        "active_pes": layer.active_pes,
        "processing_ms": result.milliseconds(layer.processing_cycles),
        "total_ms": result.milliseconds(layer.total_cycles),
        "glb_mb": conventions.glb_accesses(layer.glb_published_bytes, filter_bytes),
        "dram_mb": conventions.dram_mb.in_unit(dram_bytes),
        "dram_decimal_mb": dram_bytes / 1e6,
        "dram_raw_mb": raw_bits / 8 / 1e6,
        "power_mw": power(layer),
    }
    cells = {}
    for column, value in simulated.items():
        marks: list[Mark] = []
        if value is not None and reading != "published":
            marks.append("inferred")
        if value is not None and result.hw.dram.rlc and column in _WITH_OFMAP_SIZE:
            marks.append("assumed")
        if value is not None and column == "power_mw" and _fitted(layer):
            marks.append("fitted")
        cells[column] = Cell(
            value,
            published.value(name, column),
            (*marks, *published.marks(name, column)),
        )
    return Row(name, reading, str(layer.mapping), cells, layer.layer.ofmap_zero_fraction)


def _fitted(layer: LayerResult) -> bool:
    return layer.energy is not None and layer.energy.table == FITTED_TABLE


def _summary(published: Published, rows: Sequence[Row], column: str) -> Summary:
    cells = [row.cells[column] for row in rows]
    differences = {
        row.layer: difference
        for row in rows
        if (difference := row.cells[column].difference_percent) is not None
    }
    worst = max(differences, key=lambda name: abs(differences[name]), default=None)
    values = [cell.simulated for cell in cells if cell.simulated is not None]
    weights = [1.0] * len(values)
    if column == "power_mw":
        times = [row.cells["total_ms"].simulated or 0.0 for row in rows]
        whole_time = math.fsum(times)
        weights = [time / whole_time for time in times]
    whole = column != "active_pes" and len(values) == len(rows)
    return Summary(
        total=Cell(
            math.fsum(v * w for v, w in zip(values, weights, strict=True)) if whole else None,
            published.total(column),
            tuple(
                mark
                for mark in _OF_SIMULATED
                if whole and any(mark in cell.marks for cell in cells)
            ),
        ),
        mean_percent=math.fsum(map(abs, differences.values())) / len(differences)
        if differences
        else None,
        worst_percent=None if worst is None else differences[worst],
        worst_layer=worst,
    )
