"""A result as text for the terminal: what the chip did, level by level, and where its time went.

Results in, text out; nothing here runs anything or knows the command line. The text is plain ASCII
but for names out of the user's files, so that it survives any pipe.
"""

from __future__ import annotations

import math
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, cast

from sim.account.energy import data_type
from vocabulary import CAUSES, CROSSING, DATA_TYPES, OPERANDS, Cause, Level, Network, Wait

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy as np
    from numpy.typing import NDArray

    from hw_models.spec import Hardware, Word
    from sim.account.energy import EnergyBreakdown
    from sim.account.result import LayerResult, Result

Rows = Iterator[list[str] | None]

MOST_LAYERS_IN_WORDS = 16  # a longer network gets one line for all, not a page of sentences
MOST_MAPS = 2
MOST_MAP_ROWS = 48
NAME_CELLS = 16
SHORTEST_NAME_CELLS = 11  # names are cut to this before numbers lose digits


class _Legend(str):
    """A line that explains a table and says nothing of the result."""

    __slots__ = ()


def _legend(text: str, width: int) -> list[str]:
    return list(map(_Legend, wrap(text, width, "  ")))


def render_result(
    result: Result, *, width: int = 80, color: bool = False, legends: bool = False
) -> str:
    """The summary of a run, as lines of at most `width` columns (80 or more) ending in a newline.

    `color` sets headings in bold with ANSI codes and changes nothing else. `legends` adds what the
    columns of each table mean.
    """
    sections = [_header(result, width)]
    if result.layers:
        sections += [
            ["Total latency, ms", *_latency(result, width)],
            ["Totals", *_totals(result, width)],
            ["Layers, processing latency", *_layer_table(result, width)],
            [
                f"Where the time goes: % of total latency x {result.hw.pes} PEs",
                *_stalls(result, width),
            ],
        ]
        if any(layer.values is not None for layer in result.layers):
            sections.append(["Ofmaps, before ReLU", *_values(result, width)])
        if len(result.layers) > 1:
            sections.append(["Traffic by layer, MB", *_layer_traffic(result, width)])
        sections += [
            [f"Traffic{_of_all(result)}", *_memory_table(result, width), "", *_nocs(result, width)],
            *_energy(result, width),
            ["Ifmap multicast: words by PEs that one transfer reaches", *_multicast(result, width)],
            *_maps(result, width),
        ]
    sections += _remarks(result, width)
    kept = [
        [line for line in lines if legends or not isinstance(line, _Legend)] for lines in sections
    ]
    return sections_text(kept, color)


def render_brief(result: Result, *, width: int = 80, color: bool = False) -> str:
    """One line a layer and the totals, otherwise as `render_result`."""
    sections = [_header(result, width)]
    if result.layers:
        sections += [["Layers", *_brief(result, width)], ["Totals", *_totals(result, width)]]
    return sections_text([*sections, *_remarks(result, width)], color)


def _remarks(result: Result, width: int) -> Iterator[list[str]]:
    """Notes, and what the chip refuses."""
    if result.notes:
        yield ["Notes", *_notes(result, width)]
    if result.refused:
        what = "simulated" if _simulated(result) else "estimated"
        yield [f"Refused by the chip, not {what}", *_refused(result, width)]


def sections_text(sections: Iterable[Sequence[str]], color: bool) -> str:
    """Sections with an empty line between them; the first line of each is its heading."""
    blocks = []
    for title, *lines in sections:
        blocks.append("\n".join([f"\x1b[1m{title}\x1b[0m" if color else title, *lines]))
    return "\n\n".join(blocks) + "\n"


# --- sections -------------------------------------------------------------------------------------


def _simulated(result: Result) -> bool:
    """Whether the figures come from the simulation and not from the closed form."""
    return result.engine != "closed-form"


def _header(result: Result, width: int) -> list[str]:
    hw = result.hw
    layers = len(result.layers)
    engine = f"{result.engine} engine" if _simulated(result) else "closed form, not simulated"
    facts = (
        f"{layers} layer{'s' if layers != 1 else ''}, batch {result.batch}, {engine}; "
        f"{hw.array.rows} x {hw.array.columns} = {hw.pes} PEs, core clock "
        f"{hw.clock.core_mhz:g} MHz, DRAM link {hw.clock.link_mhz:g} MHz, "
        f"words of {hw.word_bits}"
    )
    lines = [cut(f"{result.network} on {hw.name}", width), *wrap(facts, width)]
    if result.refused:
        what = "layer is" if len(result.refused) == 1 else "layers are"
        lines += wrap(
            f"{len(result.refused)} more {what} beyond this chip and not in these numbers; "
            "see the end.",
            width,
        )
    return lines


def _layer_table(result: Result, width: int) -> list[str]:
    ms_places = 2 if result.milliseconds(result.processing_cycles) >= 10 else 4
    simulated = _simulated(result)

    def row(name: str, layers: Sequence[LayerResult], active: str, short: bool) -> list[str]:
        cycles = sum(layer.processing_cycles for layer in layers)
        macs = sum(layer.macs for layer in layers)
        active_cycles = sum(layer.processing_cycles * layer.active_pes for layer in layers)
        return [
            name,
            count(cycles, short),
            number(result.milliseconds(cycles), ms_places, short),
            count(sum(layer.passes for layer in layers), short),
            *([count(sum(layer.passes_simulated for layer in layers), short)] if simulated else []),
            active,
            f"{100 * macs / active_cycles:.1f}",
            f"{100 * macs / (cycles * result.hw.pes):.1f}",
            count(macs, short),
        ]

    heads = [
        "layer", "core\ncycles", "\nms", "\npasses", *(["passes\nrun"] if simulated else []),
        "active\nPEs",
        "util.%\nactive", "util.%\nall", "\nMACs",
    ]  # fmt: skip

    def rows(short: bool) -> Rows:
        yield from (
            row(layer.layer.name, [layer], str(layer.active_pes), short) for layer in result.layers
        )
        if len(result.layers) > 1:
            yield None
            yield row(_all(result), result.layers, "", short)

    text = (
        f"Processing latency at {result.hw.clock.core_mhz:g} MHz: DRAM traffic of ifmaps and "
        "ofmaps overlaps it. Utilization: MACs per cycle and PE, of the active PEs and of all "
        f"{result.hw.pes}. "
    )
    if simulated:
        text += "Passes run: those that are equal by construction are simulated once."
    return [*fitted(heads, rows, width), *_legend(text, width)]


def _all(result: Result) -> str:
    """The name of the row of totals, which says how many layers it leaves out."""
    return f"all but {len(result.left_out)}" if result.left_out else "all"


def _brief(result: Result, width: int) -> list[str]:
    places = 2 if result.milliseconds(result.total_cycles) >= 10 else 4
    whole = result.energy
    unit, scale = ("", 1.0) if whole is None else energy_unit(float(whole.total), whole.unit)
    dram = [sum(layer.dram_bytes.values()) for layer in result.layers]
    mb_places = _mb_places([sum(dram)])

    def row(
        name: str,
        layers: Sequence[LayerResult],
        size: int,
        energy: EnergyBreakdown | None,
        short: bool,
    ) -> list[str]:
        total = sum(layer.total_cycles for layer in layers)
        cycles = sum(layer.processing_cycles for layer in layers)
        macs = sum(layer.macs for layer in layers)
        return [
            name,
            number(result.milliseconds(total), places, short),
            count(cycles, short),
            f"{100 * macs / (cycles * result.hw.pes):.1f}",
            _bound(layers[0]) if len(layers) == 1 else "",
            number(size / 1e6, mb_places, short),
            *([] if energy is None else [number(float(energy.total) / scale, 2, short)]),
        ]

    def rows(short: bool) -> Rows:
        for layer, size in zip(result.layers, dram, strict=True):
            yield row(layer.layer.name, [layer], size, layer.energy, short)
        if len(result.layers) > 1:
            yield None
            yield row(_all(result), result.layers, sum(dram), whole, short)

    heads = ["layer", "total\nms", "processing\ncycles", "util.%\nall", "bound\nby", "DRAM\nMB"]
    heads += [] if whole is None else [f"energy\n{unit if whole.unit == 'pJ' else 'normalised'}"]
    return fitted(heads, rows, width)


def _totals(result: Result, width: int) -> list[str]:
    """Images a second and what one costs; first, which layers no total counts."""
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
        return lines
    unit, scale = energy_unit(float(whole.total), whole.unit)
    per_image, efficiency = result.mj_per_image, result.tops_per_watt
    found = number(float(whole.total) / scale, 2)
    if per_image is None:
        text = (
            f"Energy, normalised: that of {found} x {unit}. A table in pJ (--energy NAME) gives "
            "mJ and TOPS/W."
        )
    else:
        text = f"Energy {found} {unit}: {_figures(per_image)} mJ an image"
        if efficiency is not None:
            text += f", {_figures(efficiency)} TOPS/W at two operations a MAC"
        text += "."
        missing = [level.heading for level in Level if level in _without_price(whole)]
        if missing:
            text += f" Without {', '.join(missing)}: {cut(whole.table, 40)} has no price for it."
    return [*lines, *wrap(text, width, "  ")]


def _ms(result: Result, cycles: int) -> str:
    found = result.milliseconds(cycles)
    return number(found, 2 if found >= 10 else 4)


def _figures(value: float) -> str:
    """Four figures, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _latency(result: Result, width: int) -> list[str]:
    """Total latency, its parts, and what bounds it."""
    places = 2 if result.milliseconds(result.total_cycles) >= 10 else 4

    def row(name: str, layers: Sequence[LayerResult], short: bool) -> list[str]:
        cycles = (
            sum(layer.total_cycles for layer in layers),
            sum(layer.processing_cycles for layer in layers),
            *(sum(layer.standstill_cycles[what] for layer in layers) for what in Wait),
        )
        times = (number(result.milliseconds(found), places, short) for found in cycles)
        return [name, *times, _bound(layers[0]) if len(layers) == 1 else ""]

    def rows(short: bool) -> Rows:
        yield from _with_rule(
            [
                *(row(layer.layer.name, [layer], short) for layer in result.layers),
                *([row(_all(result), result.layers, short)] if len(result.layers) > 1 else []),
            ]
        )

    text = (
        "Total: processing latency and DRAM stalls, in which the array waits while ifmaps load or "
        "ofmaps leave over the DRAM link. Bound by: what would shorten the total most if "
        "it were twice as fast, by the closed form; = stands between those of a tie."
    )
    heads = ["layer", "total", "processing", *(wait.heading for wait in Wait), "bound by"]
    return [*fitted(heads, rows, width), *_legend(text, width)]


def _bound(layer: LayerResult) -> str:
    return layer.bound.text if layer.bound is not None else "-"


def time_parts(by_cause: Mapping[str, int], still: int, pes: int) -> dict[Cause, int]:
    """Return the PE-cycles of the total latency by cause; the DRAM stall takes `still` cycles."""
    return {cause: by_cause[cause] for cause in CAUSES} | {Cause.DRAM_STALL: still * pes}


def _parts(result: Result, layers: Sequence[LayerResult]) -> dict[Cause, int]:
    by_cause: Counter[str] = Counter()
    for layer in layers:
        by_cause.update(layer.cycles_by_cause)
    still = sum(layer.total_cycles - layer.processing_cycles for layer in layers)
    return time_parts(by_cause, still, result.hw.pes)


def _stalls(result: Result, width: int) -> list[str]:
    rows: list[list[str] | None] = [
        [layer.layer.name, *percentages(_parts(result, [layer]))] for layer in result.layers
    ]
    if len(result.layers) > 1:
        rows += [None, [_all(result), *percentages(_parts(result, result.layers))]]
    legend = " ".join(f"{' '.join(cause.heading.split())}: a PE {cause.does}." for cause in Cause)
    heads = ["layer", *(cause.heading for cause in Cause)]
    lines = [*table(heads, rows, width), *_legend(legend, width)]
    if not _simulated(result):
        # Only the simulation knows what a PE waits for; sentences on it would claim too much.
        text = (
            "The closed form knows computing, adding psums, wait filter, clock gated and DRAM "
            "stall. It books the rest of a PE's time under one cause, by what its passes wait for."
        )
        return [*lines, *wrap(text, width, "  ")]
    lines.append("")
    if len(result.layers) <= MOST_LAYERS_IN_WORDS:
        lines.append("Largest loss of each layer:")
        for layer in result.layers:
            lines += _sentence(layer.layer.name, _largest_loss(result, layer), width)
        return lines
    lines.append("Layers by their largest loss:")
    losers: dict[Cause, list[str]] = {}
    for layer in result.layers:
        losers.setdefault(_largest(_parts(result, [layer])), []).append(layer.layer.name)
    for cause, names in sorted(losers.items(), key=lambda item: -len(item[1])):
        lines += flow(f"  {cause.label} ({len(names)}): ", names, width, ", ")
    return lines


def _largest(parts: Mapping[Cause, int]) -> Cause:
    losses = {cause: lost for cause, lost in parts.items() if cause is not Cause.COMPUTING}
    return max(losses, key=lambda cause: losses[cause])


def _largest_loss(result: Result, layer: LayerResult) -> str:
    """One sentence on what keeps the PEs from computing most of the total latency."""
    hw, cycles = result.hw, layer.processing_cycles
    parts = _parts(result, [layer])
    cause = _largest(parts)

    def busy(network: str) -> str:
        share = 100 * layer.bus_cycles[network] / cycles
        return f"{share:.0f} % of the processing latency"

    if parts[cause] == 0:
        return "none: every PE computes in every cycle."
    share = f"{percentages(parts)[list(parts).index(cause)]} %"  # as the table has it
    if cause is Cause.DRAM_STALL:
        waited = layer.standstill_cycles
        what = max(Wait, key=lambda wait: waited[wait]).sentence
        return f"{share} {cause.label}, most of it while {what}."
    if cause is Cause.ACCUMULATING:
        return f"{share} {cause.label}: the adder of a PE takes one psum a cycle."
    if cause is Cause.CLOCK_GATED:
        return f"{share} clock gated: {layer.active_pes} of {hw.pes} PEs are in a PE set."
    if cause is Cause.IDLE:
        return f"{share} idle: PEs are done and wait for the last psum of their pass to leave."
    if cause is Cause.WAITING_IFMAP:
        at = hw.noc.gin_ifmap_words_per_cycle
        return (
            f"{share} {cause.label}: their bus ({at} word{'s' if at != 1 else ''}/cycle) is busy "
            f"{busy(Network.GIN_IFMAP)}."
        )
    psum_rate = hw.noc.psum_words_per_cycle
    if cause is Cause.WAITING_PSUM_IN:
        return (
            f"{share} {cause.label}; the psum bus ({psum_rate} words/cycle) is busy "
            f"{busy(Network.GIN_PSUM)}."
        )
    if cause is Cause.WAITING_PSUM_OUT:
        return (
            f"{share} {cause.label}; the GON ({psum_rate} words/cycle) is busy "
            f"{busy(Network.GON_PSUM)}."
        )
    link_cycles = layer.dram_bytes["filter"] * 8 / hw.dram.link_bits * float(hw.link_beat_cycles)
    if link_cycles > cycles / 2:
        return (
            f"{share} {cause.label}: the DRAM link brings them for "
            f"{100 * link_cycles / cycles:.0f} % of the processing latency."
        )
    if hw.glb.filter_load == "streamed":
        return f"{share} {cause.label} on their way from the GLB."
    return f"{share} {cause.label}: no PE computes while those of a pass load."


def _values(result: Result, width: int) -> list[str]:
    """How the ofmap of each layer that real words moved through compares with NumPy's."""
    lines: list[str] = []
    for layer in result.layers:
        values = layer.values
        if values is None:
            continue
        found = (
            f"{count(values.wrong)} of them not equal to NumPy's convolution"
            if values.wrong
            else "all equal to NumPy's convolution"
        )
        words = "given words" if values.seed is None else f"words of seed {values.seed}"
        text = f"ofmap: {count(values.ofmap.size)} elements, {found} ({words})."
        lines += _sentence(layer.layer.name, text, width)
    return lines


def _word_bytes(hw: Hardware, entry: str) -> float:
    """Bytes of a word that an entry of the ledger counts."""
    return hw.word_bits.of(cast("Word", data_type(entry))) / 8


def _layer_traffic(result: Result, width: int) -> list[str]:
    entries = ("glb.filter.read", "glb.ifmap.read", "glb.psum.read", "glb.psum.write",
               "glb.ofmap.read")  # fmt: skip

    def figures(layer: LayerResult) -> list[float]:
        return [
            *(layer.dram_bytes[kind] for kind in CROSSING),
            *(layer.entries[name] * _word_bytes(result.hw, name) for name in entries),
            layer.glb_published_bytes,
        ]

    per_layer = [figures(layer) for layer in result.layers]
    totals = [math.fsum(column) for column in zip(*per_layer, strict=True)]
    places = _mb_places(totals)

    def rows(short: bool) -> Rows:
        for layer, values in zip(result.layers, per_layer, strict=True):
            yield [layer.layer.name, *(number(value / 1e6, places, short) for value in values)]
        yield None
        yield [_all(result), *(number(value / 1e6, places, short) for value in totals)]

    heads = [
        "layer", "DRAM\nfilter", "DRAM\nifmap", "DRAM\nofmap", "GLB\nfilter", "GLB\nifmap",
        "GLB psum\nread", "GLB psum\nwrite", "GLB\nofmap", "GLB as\npublished",
    ]  # fmt: skip
    text = (
        "MB = 10^6 bytes. GLB filter, ifmap, ofmap: reads. As published: ifmap and psum reads, "
        "psum writes and ofmap reads, as JSSC 2017 counts the accesses of the global buffer."
    )
    return [*fitted(heads, rows, width), *_legend(text, width)]


def _memory_table(result: Result, width: int) -> list[str]:
    entries = result.entries
    link = {kind: sum(layer.dram_bytes[kind] for layer in result.layers) for kind in CROSSING}
    found: list[tuple[Level, str, list[tuple[int, float] | None]]] = []
    for level in (Level.DRAM, Level.GLB, Level.SPAD):
        for kind in OPERANDS:
            pair: list[tuple[int, float] | None] = []
            for way in ("read", "write"):
                entry = f"{level}.{kind}.{way}"
                words = entries.get(entry)
                size = (words or 0) * _word_bytes(result.hw, entry) if words else 0.0
                if level is Level.DRAM and words is not None:
                    size = link[kind]
                pair.append(None if words is None else (words, size))
            if any(pair):
                found.append((level, f"{level.heading} {kind.heading}", pair))
    published = sum(layer.glb_published_bytes for layer in result.layers)
    places = _mb_places(
        [size for _, _, pair in found for size in (value[1] for value in pair if value)]
    )

    def rows(short: bool) -> Rows:
        previous = None
        for level, name, pair in found:
            if previous is not None and level is not previous:
                yield None
            previous = level
            cells = [name]
            for value in pair:
                if value is None:
                    cells += ["-", "-"]
                else:
                    cells += [count(value[0], short), number(value[1] / 1e6, places, short)]
            yield cells

    fact = f"GLB as JSSC 2017 counts it: {number(published / 1e6, places)} MB."
    text = f"MB = 10^6 bytes, words of {result.hw.word_bits}; DRAM bytes are what crosses the link."
    heads = ["memory", "words\nread", "\nMB", "words\nwritten", "\nMB"]
    return [*fitted(heads, rows, width), *wrap(fact, width, "  "), *_legend(text, width)]


def _nocs(result: Result, width: int) -> list[str]:
    entries, noc = result.entries, result.hw.noc
    sizes = {
        network: entries[network.words] * _word_bytes(result.hw, network.words)
        for network in Network
    }
    places = _mb_places(list(sizes.values()))
    beats: Counter[str] = Counter()
    for layer in result.layers:
        beats.update(layer.bus_cycles)

    def share(cycles: float) -> str:
        return f"{100 * cycles / result.processing_cycles:.1f}"

    def rows(short: bool) -> Rows:
        for network in Network:
            words = entries[network.words]
            deliveries = entries.get(network.deliveries, words)
            yield [
                network.heading,
                count(words, short),
                number(sizes[network] / 1e6, places, short),
                count(deliveries, short),
                f"{deliveries / words:.2f}" if words else "-",
                *(
                    (share(beats[network]), share(words / getattr(noc, network.rate)))
                    if network.rate
                    else ("-", "-")
                ),
            ]

    active, gated = entries["mac.active"], entries["mac.gated"]
    if gated:
        zeros = f" ({100 * gated / (active + gated):.1f} %, their ifmap word is zero)"
    elif all(
        layer.layer.ifmap_zero_fraction is None and layer.values is None for layer in result.layers
    ):
        zeros = " (nothing is known of zeros in the ifmaps)"
    else:
        zeros = ""
    heads = ["network", "words\nsent", "\nMB", "words\ndelivered", "per\nword", "busy\n%",
             "used\n%"]  # fmt: skip
    text = (
        "Busy: cycles in which the network sends, of the processing latency. Used: the same had "
        "every beat been full."
    )
    macs = f"MACs: {count(active)} active, {count(gated)} gated{zeros}."
    return [*fitted(heads, rows, width), *_legend(text, width), "", *wrap(macs, width)]


def _energy(result: Result, width: int) -> list[list[str]]:
    """The sections on energy; none where no table priced the result."""
    whole = result.energy
    if whole is None:
        return []
    priced = [
        (layer.layer.name, layer.energy) for layer in result.layers if layer.energy is not None
    ]
    if len(priced) > 1:
        priced.append((_all(result), whole))
    unit, scale = energy_unit(float(whole.total), whole.unit)
    if whole.unit == "normalised":
        unit = f"normalised: 1 is the energy of {unit}"
    return [
        [f"Energy by level, {unit}", *_energy_by_level(priced, scale, width)],
        [f"Energy by data type, {unit}", *_energy_by_data_type(priced, scale, width)],
    ]


def _energy_by_level(
    priced: Sequence[tuple[str, EnergyBreakdown]], scale: float, width: int
) -> list[str]:
    whole = priced[-1][1]
    missing = _without_price(whole)

    def row(name: str, energy: EnergyBreakdown, short: bool) -> list[str]:
        values = [
            "-" if level in missing else number(float(value) / scale, 2, short)
            for level, value in energy.by_level.items()
        ]
        return [name, *values, number(float(energy.total) / scale, 2, short)]

    def rows(short: bool) -> Rows:
        yield from _with_rule([row(name, energy, short) for name, energy in priced])
        parts = shares(whole.by_level.values())
        yield [
            "% of all",
            *(
                "-" if level in missing else part
                for level, part in zip(whole.by_level, parts, strict=True)
            ),
            "100.0",
        ]

    heads = ["layer", *(level.heading for level in Level), "total"]
    text = f"Prices of {cut(whole.table, 40)}"
    if whole.unit == "normalised":
        text += ", normalised to one 16-bit MAC"
    levels = [level.heading for level in Level if level in missing]
    actions = [
        f"{action} ({count(round(times), True)})"
        for action, times in whole.unpriced.items()
        if _level(action) not in missing
    ]
    without = [f"anything of {', '.join(levels)}"] if levels else []
    without += [", ".join(actions)] if actions else []
    if without:
        text += f". It has no price for {', nor for '.join(without)}: the numbers are without that."
    else:
        text += ". Everything that was counted has one."
    return [*fitted(heads, rows, width), *wrap(text, width, "  ")]


def _energy_by_data_type(
    priced: Sequence[tuple[str, EnergyBreakdown]], scale: float, width: int
) -> list[str]:
    whole = priced[-1][1]
    missing = _without_price(whole) & {Level.MAC, Level.STATIC}  # data types that are a level, too
    watts = whole.average_power_w
    in_pj = whole.unit == "pJ"

    def row(name: str, energy: EnergyBreakdown, short: bool) -> list[str]:
        power = energy.chip_power_w
        per_mac, delay = energy.per_mac, energy.energy_delay_product
        return [
            name,
            *(
                "-" if kind in missing else number(float(part) / scale, 2, short)
                for kind, part in energy.by_data_type.items()
            ),
            "-" if per_mac is None else number(float(per_mac), 2, short),
            *([] if power is None else [number(1e3 * float(power), 1, short)]),
            "-" if delay is None else f"{float(delay):.2e}",
        ]

    def rows(short: bool) -> Rows:
        yield from _with_rule([row(name, energy, short) for name, energy in priced])
        parts = shares(whole.by_data_type.values())
        yield [
            "% of all",
            *(
                "-" if kind in missing else part
                for kind, part in zip(whole.by_data_type, parts, strict=True)
            ),
            *[""] * (2 if watts is None else 3),
        ]

    heads = ["layer", *(f"\n{kind.heading}" for kind in DATA_TYPES)]
    heads += ["per\nMAC, pJ" if in_pj else "per\nMAC"]
    heads += [] if watts is None else ["chip\nmW"]
    heads += ["EDP\nJ s" if in_pj else "EDP\nnorm. s"]
    text = "Psum: psums and ofmaps. EDP: energy times total latency."
    fact = ""
    if watts is not None:
        text += " Chip: average power over the total latency, without DRAM."
        if any(_level(action) == Level.DRAM for action in whole.by_action):
            fact = f"Average power with DRAM: {number(1e3 * float(watts), 1)} mW."
    return [*fitted(heads, rows, width), *wrap(fact, width, "  "), *_legend(text, width)]


def _without_price(whole: EnergyBreakdown) -> set[str]:
    """Levels of which something happened and nothing has a price."""
    return {_level(action) for action in whole.unpriced} - set(map(_level, whole.by_action))


def _level(action: str) -> str:
    return action.partition(".")[0]


def _with_rule(rows: list[list[str]]) -> Rows:
    """The rows, with a rule before the last of several: the sum of the others."""
    yield from rows[:-1]
    if len(rows) > 1:
        yield None
    yield rows[-1]


def energy_unit(total: float, unit: str) -> tuple[str, float]:
    """The unit in which a total has two to four digits before the point, and its size in `unit`."""
    names = {
        "pJ": ("pJ", "nJ", "uJ", "mJ", "J", "kJ"),
        "normalised": (
            "one MAC", "10^3 MACs", "10^6 MACs", "10^9 MACs", "10^12 MACs", "10^15 MACs",
        ),
    }[unit]  # fmt: skip
    step = 0
    while total >= 10 * 1000 ** (step + 1) and step < len(names) - 1:
        step += 1
    return names[step], 1000.0**step


def shares(parts: Iterable[Fraction]) -> list[str]:
    """Each part in percent of their sum, to 0.1; `-` where the sum is 0."""
    listed = list(parts)
    whole = sum(listed)
    return [f"{float(100 * part / whole):.1f}" if whole else "-" for part in listed]


def _multicast(result: Result, width: int) -> list[str]:
    if len(result.layers) > MOST_LAYERS_IN_WORDS:
        merged: Counter[int] = Counter()
        for layer in result.layers:
            merged.update(layer.multicast)
        named: list[tuple[str, Mapping[int, int]]] = [("all", merged)]
    else:
        named = [(layer.layer.name, layer.multicast) for layer in result.layers]
    label = min(max(cells(name) for name, _ in named), NAME_CELLS)
    lines = []
    for name, histogram in named:
        words = sum(histogram.values())
        items = [
            f"{reached} PE{'s' if reached != 1 else ''} {count(many)} ({100 * many / words:.1f} %)"
            for reached, many in sorted(histogram.items())
        ]
        lines += flow(f"  {pad(cut(name, label), label)}  ", items, width, ", ")
    return lines


def _maps(result: Result, width: int) -> list[list[str]]:
    if len(result.layers) <= MOST_MAPS:
        return [
            [
                f"Busy PEs, {cut(layer.layer.name, NAME_CELLS)}: % of cycles",
                *_map(layer.busy_cycles, layer.processing_cycles, width),
            ]
            for layer in result.layers
        ]
    total = sum(layer.busy_cycles for layer in result.layers)
    assert not isinstance(total, int)
    return [["Busy PEs, all layers: % of cycles", *_map(total, result.processing_cycles, width)]]


def _map(busy: NDArray[np.int64], cycles: int, width: int) -> list[str]:
    """The array with a number for each PE; a larger array is drawn in blocks of PEs."""
    rows, columns = busy.shape
    cell = 3
    block_columns = -(-columns // ((width - 6) // cell))
    block_rows = -(-rows // MOST_MAP_ROWS)
    lines = [
        "      " + "".join(f"{column % 100:>{cell}}" for column in range(0, columns, block_columns))
    ]
    for top in range(0, rows, block_rows):
        line = f"  {top:>4}"
        for left in range(0, columns, block_columns):
            part = busy[top : top + block_rows, left : left + block_columns]
            share = 100 * int(part.sum()) / (part.size * cycles)
            line += (
                f"{'.' if not part.any() else '**' if share >= 99.5 else f'{share:.0f}':>{cell}}"
            )
        lines.append(line)
    text = "busy: computing or accumulating; . never, ** always. Row 0 is where psums leave."
    fact = ""
    if block_columns > 1 or block_rows > 1:
        fact = f"Each number is the mean of {block_rows} x {block_columns} PEs."
    return [*lines, *wrap(fact, width, "  "), *_legend(text, width)]


def _notes(result: Result, width: int) -> list[str]:
    known = {layer.layer.name for layer in result.layers}
    known |= {refused.name for refused in result.refused}
    return notes_lines(result.notes, known, width)


def notes_lines(notes: Iterable[str], known: Set[str], width: int) -> list[str]:
    """The notes; what is said of several of the `known` layers is said once."""
    said: dict[str, list[str]] = {}
    for note in notes:
        name, colon, rest = note.rpartition(": ")
        if colon and name in known:
            said.setdefault(rest, []).append(name)
        else:
            said.setdefault(note, [])
    lines: list[str] = []
    for text, names in said.items():
        layers = ["all layers"] if 1 < len(names) == len(known) else names
        lines += flow(f"  {text}: ", layers, width, ", ") if names else wrap(text, width, "  ")
    return lines


def _refused(result: Result, width: int) -> list[str]:
    lines: list[str] = []
    for layer in result.refused:
        for reason in layer.reasons:
            lines += _sentence(layer.name, reason, width)
    return lines


def _of_all(result: Result) -> str:
    return " of all layers" if len(result.layers) > 1 else ""


# --- numbers --------------------------------------------------------------------------------------


def count(value: int, short: bool = False) -> str:
    """A whole number in full; `short` gives large ones as powers of ten."""
    return f"{value:.3e}" if short and value >= 10**7 else f"{value:,}"


def number(value: float, places: int, short: bool = False) -> str:
    """A number with so many decimal places; `short` takes seven characters at most."""
    if not short:
        return f"{value:,.{places}f}"
    if value < 999:
        return f"{value:.{min(places, 1)}f}"
    return f"{value:,.0f}" if value < 99_999 else f"{value:.1e}"


def percentages(parts: Mapping[Cause, int]) -> list[str]:
    """The share of each part in percent, rounded so that the texts add up to 100.0."""
    total = sum(parts.values())
    exact = [1000 * part for part in parts.values()]
    tenths = [value // total for value in exact]
    left = 1000 - sum(tenths)
    by_remainder = sorted(range(len(exact)), key=lambda place: -(exact[place] % total))
    for place in by_remainder[:left]:
        tenths[place] += 1
    return [f"{value // 10}.{value % 10}" for value in tenths]


def _mb_places(sizes: Iterable[float]) -> int:
    return 2 if max(sizes, default=0) >= 1e6 else 4


# --- text -----------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """Columns of a terminal that the text takes."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def cut(text: str, width: int) -> str:
    """The text, its end replaced by `~` where it is longer than `width` columns."""
    if cells(text) <= width:
        return text
    while cells(text) > width - 1:
        text = text[:-1]
    return f"{text}~"


def pad(text: str, width: int, *, right: bool = False) -> str:
    """The text filled up to `width` columns; `right` sets it at the right end."""
    blank = " " * (width - cells(text))
    return blank + text if right else text + blank


def wrap(text: str, width: int, indent: str = "", later: str | None = None) -> list[str]:
    """The text as lines of at most `width` columns, indented; all but the first by `later`."""
    rest = indent if later is None else later
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=rest)


def flow(label: str, items: Sequence[str], width: int, separator: str) -> list[str]:
    """Items in lines of at most `width` columns, none broken; later lines are indented."""
    indent = " " * (cells(label) if cells(label) <= 20 else 4)
    lines, line = [], label
    for place, item in enumerate(items):
        piece = item + ("" if place == len(items) - 1 else separator)
        room = width - len(indent)
        if cells(piece.rstrip()) > room:
            piece = cut(piece, room)
        if line.strip() and cells(line) + cells(piece.rstrip()) > width:
            lines.append(line.rstrip())
            line = indent
        line += piece
    return [*lines, line.rstrip()]


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str] | None],
    width: int,
    *,
    left: int = 1,
    least: int = 5,
) -> list[str]:
    """Columns under headings of one or two lines; None is a rule.

    The first `left` columns stand at the left and the others at the right. Where the table is too
    wide the columns move together, and then the first one is cut, to `least` columns of the
    terminal if it must be.
    """
    parts = [head.rpartition("\n") for head in heads]
    uppers, lowers = [part[0] for part in parts], [part[2] for part in parts]
    body = [list(row) if row is not None else None for row in rows]
    for row in body:
        if row is not None:
            row[0] = cut(row[0], NAME_CELLS + 8)
    lines: list[list[str] | None] = [*([uppers] if any(uppers) else []), lowers, None, *body]
    widths = [
        max(cells(line[place]) for line in lines if line is not None) for place in range(len(heads))
    ]
    indent, gap = 2, 2
    if indent + sum(widths) + gap * (len(widths) - 1) > width:
        gap = 1
    over = indent + sum(widths) + gap * (len(widths) - 1) - width
    if over > 0:
        widths[0] = max(widths[0] - over, min(widths[0], least))
    text = []
    for line in lines:
        if line is None:
            text.append(" " * indent + "-" * (sum(widths) + gap * (len(widths) - 1)))
            continue
        filled = [
            pad(cut(cell, widths[place]), widths[place], right=place >= left)
            for place, cell in enumerate(line)
        ]
        text.append((" " * indent + (" " * gap).join(filled)).rstrip())
    return text


def fitted(
    heads: Sequence[str],
    rows: Callable[[bool], Iterable[Sequence[str] | None]],
    width: int,
    left: int = 1,
) -> list[str]:
    """The table in full numbers, or in short ones where those would be too wide."""
    lines = table(heads, rows(False), width, left=left, least=SHORTEST_NAME_CELLS)
    if max(map(cells, lines)) > width:
        lines = table(heads, rows(True), width, left=left)
    return lines


def _sentence(name: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(
        f"{cut(name, NAME_CELLS)}: {text}", width, initial_indent="  ", subsequent_indent="    "
    )
