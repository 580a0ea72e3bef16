"""What moved, as text: words and bytes by layer, memory and network, and multicasts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from rich.cells import cell_len

from hw_models.vocabulary import CROSSING, OPERANDS, Level, Network
from sim.account.energy import data_type
from sim.report.tables import (
    NAME_CELLS,
    Cell,
    Count,
    Fixed,
    Note,
    Part,
    Row,
    Section,
    Table,
    count,
    cut,
    flow,
    number,
    pad,
    wrap,
)
from sim.report.text.rows import all_layers, mb_places

if TYPE_CHECKING:
    from hw_models.spec import Hardware, Word
    from sim.account.result import LayerResult, Result


MOST_LAYERS_IN_WORDS = 16  # a longer network has one line for all


def traffic(result: Result, width: int) -> Section:
    """Return the traffic of all layers by memory and by network."""
    of_all = " of all layers" if len(result.layers) > 1 else ""
    memories, networks = traffic_tables(result)
    parts: list[Part] = [memories, "", networks, "", *_macs(result, width)]
    return Section(f"Traffic{of_all}", parts)


def traffic_tables(result: Result) -> tuple[Table, Table]:
    """Return the words and bytes of all layers by memory, and by network."""
    return _memories(result), _networks(result)


def traffic_by_layer(result: Result) -> Table:
    """Return the bytes of each layer on DRAM and in the GLB."""
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
    places = mb_places(totals)

    rows: list[Row] = [
        [layer.layer.name, *(Fixed(value / 1e6, places, "MB") for value in values)]
        for layer, values in zip(result.layers, per_layer, strict=True)
    ]
    rows += [None, [all_layers(result), *(Fixed(value / 1e6, places, "MB") for value in totals)]]
    heads = [
        "layer", "DRAM\nfilter", "DRAM\nifmap", "DRAM\nofmap", "GLB\nfilter", "GLB\nifmap",
        "GLB psum\nread", "GLB psum\nwrite", "GLB\nofmap", "GLB as\npublished",
    ]  # fmt: skip
    text = (
        "MB = 10^6 bytes. GLB filter, ifmap, ofmap: reads. As published: ifmap and psum reads, "
        "psum writes and ofmap reads, as JSSC 2017 counts the accesses of the global buffer."
    )
    return Table("Traffic by layer, MB", heads, rows, (Note(text, legend=True),))


def _memories(result: Result) -> Table:
    entries = result.entries
    link = {kind: sum(layer.dram_bytes[kind] for layer in result.layers) for kind in CROSSING}
    memories: list[tuple[Level, str, list[tuple[int, float] | None]]] = []
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
                memories.append((level, f"{level.heading} {kind.heading}", pair))
    published = sum(layer.glb_published_bytes for layer in result.layers)
    places = mb_places(
        [size for _, _, pair in memories for size in (value[1] for value in pair if value)]
    )

    rows: list[Row] = []
    previous = None
    for level, name, pair in memories:
        if previous is not None and level is not previous:
            rows.append(None)
        previous = level
        row: list[Cell] = [name]
        for value in pair:
            row += ["-", "-"] if value is None else [Count(value[0]), Fixed(value[1] / 1e6, places)]
        rows.append(row)
    fact = f"GLB as JSSC 2017 counts it: {number(published / 1e6, places)} MB."
    text = f"MB = 10^6 bytes, words of {result.hw.word_bits}; DRAM bytes are what crosses the link."
    heads = ["memory", "words\nread", "\nMB", "words\nwritten", "\nMB"]
    return Table("Memories", heads, rows, (Note(fact), Note(text, legend=True)))


def _networks(result: Result) -> Table:
    entries, noc = result.entries, result.hw.noc
    sizes = {
        network: entries[network.words] * _word_bytes(result.hw, network.words)
        for network in Network
    }
    places = mb_places(list(sizes.values()))
    beats: Counter[str] = Counter()
    for layer in result.layers:
        beats.update(layer.bus_cycles)

    def share(cycles: float) -> str:
        return f"{100 * cycles / result.processing_cycles:.1f}"

    rows: list[Row] = []
    for network in Network:
        words = entries[network.words]
        deliveries = entries.get(network.deliveries, words)
        rows.append(
            [
                network.heading,
                Count(words),
                Fixed(sizes[network] / 1e6, places),
                Count(deliveries),
                f"{deliveries / words:.2f}" if words else "-",
                *(
                    (share(beats[network]), share(words / getattr(noc, network.rate)))
                    if network.rate
                    else ("-", "-")
                ),
            ]
        )
    heads = ["network", "words\nsent", "\nMB", "words\ndelivered", "per\nword", "busy\n%",
             "used\n%"]  # fmt: skip
    text = (
        "Busy: cycles in which the network sends, of the processing latency. Used: the same had "
        "every beat been full."
    )
    return Table("Networks", heads, rows, (Note(text, legend=True),))


def _macs(result: Result, width: int) -> list[str]:
    active, gated = result.entries["mac.active"], result.entries["mac.gated"]
    if gated:
        zeros = f" ({100 * gated / (active + gated):.1f} %, their ifmap word is zero)"
    elif all(
        layer.layer.ifmap_zero_fraction is None and layer.values is None for layer in result.layers
    ):
        zeros = " (nothing is known of zeros in the ifmaps)"
    else:
        zeros = ""
    return wrap(f"MACs: {count(active)} active, {count(gated)} gated{zeros}.", width)


def multicast(result: Result, width: int) -> Section:
    """Return ifmap words by the number of PEs that one transfer reaches."""
    if len(result.layers) > MOST_LAYERS_IN_WORDS:
        merged: Counter[int] = Counter()
        for layer in result.layers:
            merged.update(layer.multicast)
        named: list[tuple[str, Mapping[int, int]]] = [("all", merged)]
    else:
        named = [(layer.layer.name, layer.multicast) for layer in result.layers]
    label = min(max(cell_len(name) for name, _ in named), NAME_CELLS)
    lines = []
    for name, histogram in named:
        words = sum(histogram.values())
        items = [
            f"{reached} PE{'s' if reached != 1 else ''} {count(many)} ({100 * many / words:.1f} %)"
            for reached, many in sorted(histogram.items())
        ]
        lines += flow(f"  {pad(cut(name, label), label)}  ", items, width, ", ")
    return Section("Ifmap multicast: words by PEs that one transfer reaches", lines)


def _word_bytes(hw: Hardware, entry: str) -> float:
    """Return the bytes of a word that an entry of the ledger counts."""
    return hw.word_bits.of(cast("Word", data_type(entry))) / 8
