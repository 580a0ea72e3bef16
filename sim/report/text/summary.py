"""A result as text for the terminal: what the chip did, and where its time and energy went."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from hw_models.vocabulary import Level, Wait
from sim.report.tables import (
    Cell,
    Count,
    Fixed,
    Note,
    Row,
    Section,
    Table,
    count,
    cut,
    energy_unit,
    flow,
    notes_lines,
    number,
    sections_text,
    sentence,
    wrap,
)
from sim.report.text.energy import energy, without_price
from sim.report.text.maps import maps
from sim.report.text.rows import all_layers, mb_places, simulated, with_rule
from sim.report.text.stalls import cause_table, stalls
from sim.report.text.traffic import multicast, traffic, traffic_by_layer, traffic_tables

if TYPE_CHECKING:
    from sim.account.energy import EnergyBreakdown
    from sim.account.result import LayerResult, Result


def render_result(
    result: Result, *, width: int = 80, color: bool = False, legends: bool = False
) -> str:
    """Return the summary of a run in lines of at most `width` columns (80 or more).

    `color` sets headings in bold with ANSI codes and changes nothing else. `legends` adds what the
    columns of each table mean.
    """
    sections = [_header(result, width)]
    if result.layers:
        several = len(result.layers) > 1
        sections += [
            Section.of(_latency(result)),
            _totals(result, width),
            Section.of(_layers(result)),
            stalls(result, width),
            *_values(result, width),
            *([Section.of(traffic_by_layer(result))] if several else []),
            traffic(result, width),
            *map(Section.of, energy(result)),
            multicast(result, width),
            *maps(result, width),
        ]
    sections += _remarks(result, width)
    return sections_text([section.lines(width, legends) for section in sections], color)


def render_brief(result: Result, *, width: int = 80, color: bool = False) -> str:
    """Return one line a layer and the totals, otherwise as `render_result`."""
    sections = [_header(result, width)]
    if result.layers:
        sections += [Section.of(_brief(result)), _totals(result, width)]
    sections += _remarks(result, width)
    return sections_text([section.lines(width) for section in sections], color)


def result_tables(result: Result) -> dict[str, Table]:
    """Return the tables of the summary by the names of their CSV files; none without layers."""
    if not result.layers:
        return {}
    memories, networks = traffic_tables(result)
    named = {
        "latency": _latency(result),
        "layers": _layers(result),
        "causes": cause_table(result),
        "traffic": traffic_by_layer(result),
        "memories": memories,
        "networks": networks,
    }
    return named | dict(zip(("energy_levels", "energy_data_types"), energy(result), strict=False))


def _remarks(result: Result, width: int) -> Iterator[Section]:
    """Yield notes, and what the chip refuses."""
    if result.notes:
        known = {layer.layer.name for layer in result.layers}
        known |= {refused.name for refused in result.refused}
        yield Section("Notes", notes_lines(result.notes, known, width))
    if result.refused:
        what = "simulated" if simulated(result) else "estimated"
        lines = [
            line
            for layer in result.refused
            for reason in layer.reasons
            for line in sentence(layer.name, reason, width)
        ]
        yield Section(f"Refused by the chip, not {what}", lines)


def _header(result: Result, width: int) -> Section:
    hw = result.hw
    layers = len(result.layers)
    engine = f"{result.engine} engine" if simulated(result) else "closed form, not simulated"
    facts = (
        f"{layers} layer{'s' if layers != 1 else ''}, batch {result.batch}, {engine}; "
        f"{hw.array.rows} x {hw.array.columns} = {hw.pes} PEs, core clock "
        f"{hw.clock.core_mhz:g} MHz, DRAM link {hw.clock.link_mhz:g} MHz, "
        f"words of {hw.word_bits}"
    )
    lines = wrap(facts, width)
    if result.refused:
        what = "layer is" if len(result.refused) == 1 else "layers are"
        lines += wrap(
            f"{len(result.refused)} more {what} beyond this chip and not in these numbers; "
            "see the end.",
            width,
        )
    return Section(cut(f"{result.network} on {hw.name}", width), lines)


def _latency(result: Result) -> Table:
    """Return the total latency, its parts, and what bounds it."""
    places = 2 if result.milliseconds(result.total_cycles) >= 10 else 4

    def row(name: str, layers: Sequence[LayerResult]) -> list[Cell]:
        cycles = (
            sum(layer.total_cycles for layer in layers),
            sum(layer.processing_cycles for layer in layers),
            *(sum(layer.standstill_cycles[what] for layer in layers) for what in Wait),
        )
        times = (Fixed(result.milliseconds(part), places, "ms") for part in cycles)
        return [name, *times, _bound(layers[0]) if len(layers) == 1 else ""]

    rows = [row(layer.layer.name, [layer]) for layer in result.layers]
    if len(rows) > 1:
        rows.append(row(all_layers(result), result.layers))
    text = (
        "Total: processing latency and DRAM stalls, in which the array waits while ifmaps load or "
        "ofmaps leave over the DRAM link. Bound by: what would shorten the total most if "
        "it were twice as fast, by the closed form; = stands between those of a tie."
    )
    heads = ["layer", "total", "processing", *(wait.heading for wait in Wait), "bound by"]
    return Table("Total latency, ms", heads, with_rule(rows), (Note(text, legend=True),))


def _totals(result: Result, width: int) -> Section:
    """Return images a second and what one costs; first, which layers no total counts."""
    lines: list[str] = []
    if result.left_out:
        lines += flow("  Without what the chip refuses: ", result.left_out, width, ", ")
    images = f"{result.batch} image{'s' if result.batch != 1 else ''}"
    rate = result.images_per_second
    assert rate is not None
    lines += wrap(
        f"Total latency {_ms(result, result.total_cycles)} ms for {images}: {_figures(rate)} "
        f"images/s. Processing latency {_ms(result, result.processing_cycles)} ms.",
        width,
        "  ",
    )
    whole = result.energy
    if whole is None:
        return Section("Totals", lines)
    unit, scale = energy_unit(float(whole.total), whole.unit)
    per_image, efficiency = result.mj_per_image, result.tops_per_watt
    amount = number(float(whole.total) / scale, 2)
    if per_image is None:
        text = (
            f"Energy, normalised: that of {amount} x {unit}. A table in pJ (--energy NAME) gives "
            "mJ and TOPS/W."
        )
    else:
        text = f"Energy {amount} {unit}: {_figures(per_image)} mJ an image"
        if efficiency is not None:
            text += f", {_figures(efficiency)} TOPS/W at two operations a MAC"
        text += "."
        missing = [level.heading for level in Level if level in without_price(whole)]
        if missing:
            text += f" Without {', '.join(missing)}: {cut(whole.table, 40)} has no price for it."
    return Section("Totals", [*lines, *wrap(text, width, "  ")])


def _ms(result: Result, cycles: int) -> str:
    milliseconds = result.milliseconds(cycles)
    return number(milliseconds, 2 if milliseconds >= 10 else 4)


def _figures(value: float) -> str:
    """Write four figures, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _layers(result: Result) -> Table:
    ms_places = 2 if result.milliseconds(result.processing_cycles) >= 10 else 4
    events = simulated(result)

    def row(name: str, layers: Sequence[LayerResult], active: str) -> list[Cell]:
        cycles = sum(layer.processing_cycles for layer in layers)
        macs = sum(layer.macs for layer in layers)
        active_cycles = sum(layer.processing_cycles * layer.active_pes for layer in layers)
        return [
            name,
            Count(cycles),
            Fixed(result.milliseconds(cycles), ms_places),
            Count(sum(layer.passes for layer in layers)),
            *([Count(sum(layer.passes_simulated for layer in layers))] if events else []),
            active,
            f"{100 * macs / active_cycles:.1f}",
            f"{100 * macs / (cycles * result.hw.pes):.1f}",
            Count(macs),
        ]

    heads = [
        "layer", "core\ncycles", "\nms", "\npasses", *(["passes\nrun"] if events else []),
        "active\nPEs",
        "util.%\nactive", "util.%\nall", "\nMACs",
    ]  # fmt: skip

    rows: list[Row] = [
        row(layer.layer.name, [layer], str(layer.active_pes)) for layer in result.layers
    ]
    if len(result.layers) > 1:
        rows += [None, row(all_layers(result), result.layers, "")]
    text = (
        f"Processing latency at {result.hw.clock.core_mhz:g} MHz: DRAM traffic of ifmaps and "
        "ofmaps overlaps it. Utilization: MACs per cycle and PE, of the active PEs and of all "
        f"{result.hw.pes}. "
    )
    if events:
        text += "Passes run: those that are equal by construction are simulated once."
    return Table("Layers, processing latency", heads, rows, (Note(text, legend=True),))


def _brief(result: Result) -> Table:
    places = 2 if result.milliseconds(result.total_cycles) >= 10 else 4
    whole = result.energy
    unit, scale = ("", 1.0) if whole is None else energy_unit(float(whole.total), whole.unit)
    dram = [sum(layer.dram_bytes.values()) for layer in result.layers]
    megabytes = mb_places([sum(dram)])

    def row(
        name: str,
        layers: Sequence[LayerResult],
        size: int,
        energy: EnergyBreakdown | None,
    ) -> list[Cell]:
        total = sum(layer.total_cycles for layer in layers)
        cycles = sum(layer.processing_cycles for layer in layers)
        macs = sum(layer.macs for layer in layers)
        return [
            name,
            Fixed(result.milliseconds(total), places),
            Count(cycles),
            f"{100 * macs / (cycles * result.hw.pes):.1f}",
            _bound(layers[0]) if len(layers) == 1 else "",
            Fixed(size / 1e6, megabytes),
            *([] if energy is None else [Fixed(float(energy.total) / scale, 2)]),
        ]

    rows: list[Row] = [
        row(layer.layer.name, [layer], size, layer.energy)
        for layer, size in zip(result.layers, dram, strict=True)
    ]
    if len(result.layers) > 1:
        rows += [None, row(all_layers(result), result.layers, sum(dram), whole)]
    heads = ["layer", "total\nms", "processing\ncycles", "util.%\nall", "bound\nby", "DRAM\nMB"]
    heads += [] if whole is None else [f"energy\n{unit if whole.unit == 'pJ' else 'normalised'}"]
    return Table("Layers", heads, rows)


def _bound(layer: LayerResult) -> str:
    return layer.bound.text if layer.bound is not None else "-"


def _values(result: Result, width: int) -> Iterator[Section]:
    """Compare the ofmap of each layer that real words moved through with NumPy's."""
    lines: list[str] = []
    for layer in result.layers:
        values = layer.values
        if values is None:
            continue
        verdict = (
            f"{count(values.wrong)} of them not equal to NumPy's convolution"
            if values.wrong
            else "all equal to NumPy's convolution"
        )
        words = "given words" if values.seed is None else f"words of seed {values.seed}"
        text = f"ofmap: {count(values.ofmap.size)} elements, {verdict} ({words})."
        lines += sentence(layer.layer.name, text, width)
    if lines:
        yield Section("Ofmaps, before ReLU", lines)
