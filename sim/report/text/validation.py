"""The chip's published tables beside the simulation, as text for the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from sim.reference.comparison import MARKS
from sim.report.tables import cut, sections_text, table, wrap

if TYPE_CHECKING:
    from sim.reference.comparison import (
        Cell,
        NetworkValidation,
        Row,
        Summary,
        Validation,
    )
    from sim.reference.tables import Mark, Published

Rows = list[list[str] | None]

SIGNS: Mapping[Mark, str] = {
    "inferred": "i",
    "assumed": "a",
    "fitted": "f",
    "read_off": "r",
    "corrected": "c",
}
"""The letter behind a figure for each of its marks."""

# Behind the simulated figure, and behind the published one.
_SIMULATED: tuple[Mark, ...] = ("inferred", "assumed", "fitted")
_PUBLISHED: tuple[Mark, ...] = ("read_off", "corrected")

HEADS = {
    "active_pes": "PEs",
    "processing_ms": "proc.",
    "total_ms": "total",
    "glb_mb": "GLB",
    "dram_mb": "DRAM",
    "dram_decimal_mb": "DRAM, MB",
    "dram_raw_mb": "raw",
    "power_mw": "power",
}
TABLES = (
    ("Latency in ms, power in mW", ("processing_ms", "total_ms", "power_mw")),
    ("Active PEs, traffic", ("active_pes", "glb_mb", "dram_mb", "dram_raw_mb")),
    ("DRAM in both units", ("dram_mb", "dram_decimal_mb")),
)
SECOND = "'"  # behind the name of a layer under the second reading of its mapping


def render_validation(validation: Validation, *, width: int = 80, color: bool = False) -> str:
    """Return all networks as lines of at most `width` columns (80 or more) ending in a newline.

    `color` sets headings in bold with ANSI codes and changes nothing else.
    """
    sections = [
        section
        for network in validation.networks
        for section in _network(validation, network, width)
    ]
    sections.append(_legend(validation, width))
    return sections_text(sections, color)


def _network(validation: Validation, network: NetworkValidation, width: int) -> list[list[str]]:
    published = network.published
    hw = validation.hw
    facts = (
        f"{len(network.rows)} layers, batch {published.batch}, event engine, against "
        f"{published.table} of JSSC 2017; mappings {published.mapping}."
    )
    facts += " " + _counted(published)
    if validation.settings:
        facts += f" Changed: {', '.join(validation.settings)}."
    sections = [[cut(f"{network.network} on {hw.name}", width), *wrap(facts, width)]]
    for title, columns in TABLES:
        shown = [name for name in columns if name in network.columns]
        if columns[-1] == "dram_decimal_mb" and columns[-1] not in shown:
            continue
        sections.append([f"{network.network}: {title}", *_table(network, shown, width)])
    if network.pooled:
        sections.append(_pooled(network, width))
    if network.alternatives:
        sections[-1] += wrap(f"Two readings of a mapping. {_readings(network)}", width, "  ")
    return sections


def _pooled(network: NetworkValidation, width: int) -> list[str]:
    """Show DRAM and total of pooled layers, between the fewest and the most zeros there may be."""
    heads = ["layer", "zeros\nfew", "zeros\nmany", "DRAM\nfew", "\nmany", "\npub"]
    heads += ["total\nfew", "\nmany", "\npub"]
    rows: Rows = []
    for name, many in network.pooled.items():
        few = network.row(name)
        cells = [f"{few.ofmap_zeros:.3f}", f"{many.ofmap_zeros:.3f}"]
        for column, places in (("dram_mb", 2), ("total_ms", 1)):
            values = (few.cells[column].simulated, many.cells[column].simulated)
            cells += [f"{value:.{places}f}" for value in values if value is not None]
            cells.append(_published(few.cells[column].published or 0.0, column))
        rows.append([name, *cells])
    note = (
        "The ofmap crosses the link before pooling, and its zeros are published behind it alone: "
        "z. Few: z, if zeros fill whole windows of the pooling. Many: z^(1/4), if they fall "
        "independently. The other tables have few."
    )
    return [
        f"{network.network}: Pooled layers",
        *table(heads, rows, width),
        *wrap(note, width, "  "),
    ]


def _counted(published: Published) -> str:
    """Say how the table counts accesses, and how well that is known."""
    glb, dram = published.conventions.glb_mb, published.conventions.dram_mb
    return (
        f"GLB accesses in {glb.unit} {'with' if glb.filters else 'without'} filter reads "
        f"[{glb.mark}], DRAM in {dram.unit} [{dram.mark}]."
    )


def _readings(network: NetworkValidation) -> str:
    """Name both mappings of the layers that have two, layers with the same two together."""
    layers: dict[tuple[str, str], list[str]] = {}
    for row in network.alternatives:
        layers.setdefault((network.row(row.layer).mapping, row.mapping), []).append(row.layer)
    return " ".join(
        f"{', '.join(names)}: {first}; with {SECOND}: {second}."
        for (first, second), names in layers.items()
    )


def _table(network: NetworkValidation, columns: Sequence[str], width: int) -> list[str]:
    heads = ["layer"]
    for name in columns:
        heads += [f"{HEADS[name]}\nsim", "\npub", "diff\n%"]
    second = {row.layer: row for row in network.alternatives}
    rows: Rows = []
    for row in network.rows:
        rows.append(_row(row.layer, row, network, columns))
        if row.layer in second:
            rows.append(_row(f"{row.layer}{SECOND}", second[row.layer], network, columns))
    rows.append(None)
    summaries = {"": network.summary}
    if network.alternatives:
        summaries[SECOND] = network.alternative_summary
    for sign, summary in summaries.items():
        rows.append(_line(f"all{sign}", summary, columns, network, lambda part: part.total))
    rows.append(None)
    for sign, summary in summaries.items():
        rows.append(_differences(f"mean{sign}", summary, columns, "mean_percent"))
    for sign, summary in summaries.items():
        rows.append(_differences(f"worst{sign}", summary, columns, "worst_percent"))
    return table(heads, rows, width)


def _row(name: str, row: Row, network: NetworkValidation, columns: Sequence[str]) -> list[str]:
    cells = [name]
    for column in columns:
        cells += _cell(row.cells[column], column, network)
    return cells


def _line(
    name: str,
    summary: Mapping[str, Summary],
    columns: Sequence[str],
    network: NetworkValidation,
    cell: Callable[[Summary], Cell],
) -> list[str]:
    cells = [name]
    for column in columns:
        if column == "active_pes":
            cells += ["", "", ""]
        else:
            cells += _cell(cell(summary[column]), column, network)
    return cells


def _differences(
    name: str, summary: Mapping[str, Summary], columns: Sequence[str], which: str
) -> list[str]:
    cells = [name]
    for column in columns:
        value: float | None = getattr(summary[column], which)
        text = "n/a" if value is None else _signed(value)
        cells += ["", "", text.lstrip("+") if which == "mean_percent" else text]
    return cells


def _cell(cell: Cell, column: str, network: NetworkValidation) -> list[str]:
    """Format simulated, published and difference; the letters of a column's marks are aligned."""
    marks = {
        mark for row in (*network.rows, *network.alternatives) for mark in row.cells[column].marks
    }
    places = _places(network, column)
    texts = []
    for value, kinds, exact in (
        (cell.simulated, _SIMULATED, True),
        (cell.published, _PUBLISHED, False),
    ):
        signs = "".join(SIGNS[mark] for mark in kinds if mark in cell.marks)
        room = sum(mark in marks for mark in kinds)
        number = "n/a" if exact else "-"
        if value is not None:
            number = f"{value:.{places}f}" if exact else _published(value, column)
        texts.append(f"{number}{signs:<{room}}")
    difference = cell.difference_percent
    missing = "n/a" if cell.published is not None else "-"
    return [*texts, missing if difference is None else _signed(difference)]


def _places(network: NetworkValidation, column: str) -> int:
    """Return the decimal places of a column's simulated figures, few enough to fit."""
    if column in ("active_pes", "power_mw"):
        return 0
    cells = [row.cells[column] for row in network.rows]
    return 2 if math.fsum(cell.simulated or 0.0 for cell in cells) < 1000 else 1


def _published(value: float, column: str) -> str:
    """Format a published figure with the decimal places of its source."""
    if column in ("active_pes", "power_mw"):
        return f"{value:.0f}"
    return f"{value:g}" if column == "dram_raw_mb" else f"{value:.1f}"


def _signed(value: float) -> str:
    text = f"{value:+.1f}"
    return "0.0" if float(text) == 0 else text


def _legend(validation: Validation, width: int) -> list[str]:
    """Explain columns, rows and letters; letters that nothing carries are left out."""
    carried = {
        mark
        for network in validation.networks
        for row in (*network.rows, *network.alternatives)
        for cell in row.cells.values()
        for mark in cell.marks
    }
    lines = wrap(
        "sim: simulated. pub: as published. diff: simulated against published. proc.: "
        "processing latency. total: total latency. GLB: accesses as the table counts them. DRAM: "
        "accesses, run-length coded as on the chip, in the table's unit; DRAM, MB: the same in "
        "10^6 bytes. raw: DRAM accesses without the coding. power: of the chip without DRAM. MB = "
        "10^6 bytes, MiB = 2^20 bytes.",
        width,
        "  ",
    )
    lines += wrap(
        "all: sum of the layers against the published total, of power the mean over time. mean: "
        "mean of the absolute differences of the layers; worst: the largest one.",
        width,
        "  ",
    )
    if any(network.alternatives for network in validation.networks):
        lines += wrap(
            f"{SECOND}: under the second reading of the mapping, and in all{SECOND}, mean{SECOND} "
            f"and worst{SECOND} with it in place of the first.",
            width,
            "  ",
        )
    lines += [
        line
        for mark, sign in SIGNS.items()
        if mark in carried
        for line in wrap(f"{sign}: {MARKS[mark]}.", width, "  ")
    ]
    if any(row.cells["power_mw"].simulated is None for n in validation.networks for row in n.rows):
        lines += wrap("n/a: the energy table gives no power.", width, "  ")
    return ["Legend", *lines]
