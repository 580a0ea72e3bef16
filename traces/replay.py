"""Rebuilds ledger, stall table, cycles and ofmap from the events alone, by the rules of FORMAT.md.

The figures of a pass are worked out once for each template and taken as often as it ran. Nothing
here is copied from the run's own figures: they are only compared with what comes out.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hw_models.vocabulary import CAUSES, ENTRIES, GINS, Cause, DataType, Network, Wait
from traces.events import ACTIONS, BLOCKS, DRAM, GIN_IFMAP, GLB, GON, KINDS, OFMAP_AXES, Layout
from traces.header import TraceError
from traces.reader import LayerTrace, Trace
from traces.stalls import PassSpans, ReplayError, streams_of
from traces.template import OfmapBlock, PEWork, Template
from workloads.layer import layer_from_dict

Ints = NDArray[np.int64]
ZERO_SCALE = 10**9
MOST_OFMAP = 1 << 25  # words; a layer's ofmap is held whole


@dataclass
class Figures:
    """What events add up to: counts by name, multicasts, MACs and cycles of each PE, hops.

    `stalls` is (causes, rows, columns) by `CAUSES`. `hops` are words times hops, by network.
    """

    counts: Counter[str]
    multicast: Counter[int]
    macs: Ints
    stalls: Ints
    hops: Counter[str]
    cycles: int = 0
    gated: int = 0

    @classmethod
    def none(cls, layout: Layout) -> Figures:
        """Return the figures of no events."""
        size = layout.rows, layout.columns
        return cls(
            Counter(), Counter(), np.zeros(size, np.int64),
            np.zeros((len(CAUSES), *size), np.int64), Counter(),
        )  # fmt: skip

    def add(self, other: Figures, times: int, extra_cycles: int) -> None:
        """Take other figures `times` often; `extra_cycles` in all are charged beyond the passes."""
        for mine, others in (
            (self.counts, other.counts),
            (self.hops, other.hops),
            (self.multicast, other.multicast),
        ):
            for name, count in others.items():
                mine[name] += times * count  # type: ignore[index]
        self.macs += times * other.macs
        self.stalls += times * other.stalls
        self.cycles += times * other.cycles + extra_cycles
        self.gated += times * other.gated
        used = other.stalls[CAUSES.index(Cause.CLOCK_GATED)] == 0
        self.stalls[CAUSES.index(Cause.IDLE)][used] += extra_cycles
        self.stalls[CAUSES.index(Cause.CLOCK_GATED)][~used] += extra_cycles


class PassReplay:
    """The figures of one template.

    Raises:
        ReplayError: its events contradict each other.

    """

    def __init__(self, template: Template, layout: Layout) -> None:
        self.template = template
        self.layout = layout
        self.figures = Figures.none(layout)
        self.figures.cycles = template.cycles
        self.streams = streams_of(template)
        self._blocks_of_sets = template.sets
        self._transfers()
        self._pes()

    # ---------------------------------------------------------------- words on their way

    def _words(self, block: int, action: str, kind: str) -> int:
        return sum(int(s.words.sum()) for s in self.streams.get((block, action, kind), ()))

    def _transfers(self) -> None:
        counts = self.figures.counts
        counts["dram.filter.read"] = self._words(DRAM, "read", "filter")
        counts["glb.filter.write"] = counts["dram.filter.read"]
        for kind in (DataType.FILTER, DataType.IFMAP, DataType.PSUM):
            counts[f"glb.{kind}.read"] = self._words(GLB, "read", kind)
        counts["glb.psum.write"] = self._words(GLB, "write", "psum")
        for network in GINS:
            self._multicasts(network)
        counts["spad.filter.write"] = counts[Network.GIN_FILTER.deliveries]
        gon = Network.GON_PSUM
        counts[gon.words] = counts[gon.deliveries] = self._words(GON, "send", gon.data)
        for stream in self.streams.get((GON, "send", gon.data), ()):
            for number, words in _by_set(stream.source, stream.words):
                self.figures.hops[gon] += words * self._hops(number)
        first = self.layout.blocks - self.layout.pes
        counts[Network.LOCAL_PSUM.words] = sum(
            int(stream.words.sum())
            for (block, action, _), streams in self.streams.items()
            if block >= first and action == "send"
            for stream in streams
        )

    def _multicasts(self, network: Network) -> None:
        counts, hops = self.figures.counts, self.figures.hops
        for name in (network.words, network.deliveries, network.y_bus, network.x_bus):
            counts[name] = 0
        hops[network] = 0
        block = BLOCKS.index(network)
        for stream in self.streams.get((block, "send", network.data), ()):
            for number, words in _by_set(stream.destination, stream.words):
                members = self._blocks_of_sets[number]
                rows = {self._place(member)[0] for member in members}
                counts[network.words] += words
                counts[network.deliveries] += words * len(members)
                counts[network.y_bus] += words
                counts[network.x_bus] += words * len(rows)
                hops[network] += words * self._hops(number)
                if network is Network.GIN_IFMAP:
                    self.figures.multicast[len(members)] += words

    def _place(self, block: int) -> tuple[int, int]:
        place = self.layout.place(block)
        if place is None:
            raise ReplayError(f"words go to {self.layout.name(block)}, which is no PE")
        return place

    def _hops(self, number: int) -> int:
        """Return the hops from the array's corner to all PEs of a set (docs/machine.md 3)."""
        return sum(sum(self._place(member)) + 2 for member in self._blocks_of_sets[number])

    # ---------------------------------------------------------------- PEs

    def _pes(self) -> None:
        figures, template = self.figures, self.template
        stalls = figures.stalls
        stalls[CAUSES.index(Cause.CLOCK_GATED)] = template.cycles
        counts = figures.counts
        macs = new = psum_moves = fills = 0
        spans = PassSpans(template, self.layout, self.streams)
        for at, work in template.work.items():
            block = self.layout.pe(*at)
            causes = spans.of(*at).cycles()
            bursts = spans.only(block, "mac", "none")
            assert bursts is not None  # there are no spans without
            count = len(bursts.start)
            products = int(bursts.words.sum())
            fill = self.streams.get((block, "fill", "ifmap"), ())
            fills += sum(int(stream.words.sum()) for stream in fill)
            stalls[(slice(None), *at)] = causes
            figures.macs[at] = products
            macs += products
            new += count * work.operands
            psum_moves += count * work.outputs * (work.operands - 1)
            if self.template.data.size:
                figures.gated += self._gated(block, work, count)
        counts["mac.total"] = counts["spad.ifmap.read"] = macs
        counts["spad.filter.read"] = macs
        counts["spad.ifmap.read_new"] = new
        counts["spad.ifmap.write"] = fills
        counts["spad.psum.read"] = counts["spad.psum.write"] = psum_moves

    # ---------------------------------------------------------------- words

    @cached_property
    def _ifmap_words(self) -> dict[int, Ints]:
        """By PE block, the ifmap words that it gets, in order."""
        (stream,) = self.streams[GIN_IFMAP, "send", "ifmap"]
        if stream.data is None:
            return {}
        words = {}
        reached: defaultdict[int, list[int]] = defaultdict(list)
        for number in np.unique(stream.destination).tolist():
            for member in self._blocks_of_sets[number]:
                reached[member].append(number)
        for member, numbers in reached.items():
            words[member] = stream.data[np.isin(stream.destination, numbers)]
        return words

    def _gated(self, block: int, work: PEWork, bursts: int) -> int:
        """Return the products whose ifmap word is zero: those of each burst, for each output."""
        words = self._ifmap_words.get(block)
        frees = np.resize(work.frees, bursts)
        first = np.cumsum(frees) - frees  # a burst takes the oldest words that are left
        needed = np.cumsum(np.resize(work.needs, bursts))
        if (
            words is None
            or len(words) != needed[-1]
            or len(words) != frees.sum()
            or np.any(first + work.operands > needed)
        ):
            raise ReplayError(f"{self.layout.name(block)} gets words that no burst needs")
        zeros = np.concatenate([[0], np.cumsum(words == 0)])
        return work.outputs * int((zeros[first + work.operands] - zeros[first]).sum())

    def psums(self) -> Iterator[tuple[OfmapBlock, Ints]]:
        """Return the words that each PE sends to the GLB, and where in the ofmap they belong."""
        work = {self.layout.pe(*at): work for at, work in self.template.work.items()}
        for stream in self.streams.get((GON, "send", "psum"), ()):
            if stream.data is None:
                raise ReplayError("the psums that leave have no words")
            owner = np.repeat(stream.source, stream.words)
            for number in np.unique(stream.source).tolist():
                members = self._blocks_of_sets[number]
                if len(members) != 1 or members[0] not in work:
                    raise ReplayError("psums leave from what is no PE")
                block, words = work[members[0]].ofmap, stream.data[owner == number]
                if block is None or words.size != block.psums:
                    raise ReplayError(f"{self.layout.name(members[0])} sends psums that are none")
                yield block, words


def _by_set(sets: Ints, words: Ints) -> Iterator[tuple[int, int]]:
    """Return (set, words) of the rows of a stream."""
    sums = np.bincount(sets, weights=words)
    for number in np.flatnonzero(sums).tolist():
        yield number, int(sums[number])


@dataclass
class LayerReplay:
    """What a layer's events add up to, and where that differs from what the run said.

    `differences` name a figure, what the events and what the run say. `energy` is filled in by who
    knows prices.
    """

    name: str
    entries: dict[str, int]
    multicast: dict[int, int]
    macs: Ints
    pe_cycles: dict[str, Ints]
    processing_cycles: int
    standstill_cycles: dict[str, int]
    dram_bits: dict[str, int]
    hops: dict[str, int]
    events: int
    ofmap: Ints | None = None
    differences: list[str] = field(default_factory=list)

    @property
    def total_cycles(self) -> int:
        """Total latency."""
        return self.processing_cycles + sum(self.standstill_cycles.values())


def replay(trace: Trace) -> Iterator[LayerReplay]:
    """Replay layer after layer, and hold each against the run's own figures.

    Raises:
        TraceError: the events contradict each other.
        ValueError: the file has a part of the events alone (`Trace.partial` says why).

    """
    if trace.partial:
        raise ValueError(f"the ledger cannot be rebuilt: {trace.partial}")
    done: dict[int, Figures] = {}
    for layer in trace.layers:
        try:
            yield _replay_layer(trace, layer, done)
        except ReplayError as error:
            raise TraceError(trace.path, f"layer {layer.name}: {error}") from None


def _replay_layer(trace: Trace, layer: LayerTrace, done: dict[int, Figures]) -> LayerReplay:
    passes, tiles = layer.passes, layer.tiles
    total = Figures.none(trace.layout)
    ofmap = _Ofmap(layer) if trace.description.get("values") else None
    if ofmap is not None:
        for row in passes:
            one = PassReplay(trace.template(int(row["template"])), trace.layout)
            total.add(one.figures, 1, int(row["cycles"]) - one.figures.cycles)
            ofmap.store(row, one)
    else:
        used, templates, times = np.unique(
            passes["template"], return_inverse=True, return_counts=True
        )
        cycles = np.zeros(len(used), np.int64)
        np.add.at(cycles, templates, passes["cycles"])
        for number, many, spent in zip(used.tolist(), times.tolist(), cycles.tolist(), strict=True):
            figures = done.get(number)
            if figures is None:
                figures = done[number] = PassReplay(trace.template(number), trace.layout).figures
            total.add(figures, many, spent - many * figures.cycles)
    prefetched = int(passes["prefetched_words"].sum(dtype=np.int64))
    total.counts["dram.filter.read"] += prefetched
    total.counts["glb.filter.write"] += prefetched
    moved = _tile_sums(tiles)
    loads, dumps = moved["load", "ifmap"], moved["dump", "ofmap"]
    counts = total.counts
    counts["dram.ifmap.read"] = counts["glb.ifmap.write"] = loads["words"]
    counts["dram.ofmap.write"] = counts["glb.ofmap.read"] = dumps["words"]
    counts["glb.ofmap.write"] = 0
    macs = counts["mac.total"]
    gated = total.gated if ofmap is not None else _gated_share(layer, macs)
    counts["mac.gated"], counts["mac.active"] = gated, macs - gated
    counts["spad.filter.read"] -= gated
    rebuilt = LayerReplay(
        name=layer.name,
        entries={name: int(counts[name]) for name in ENTRIES},
        multicast=dict(sorted(total.multicast.items())),
        macs=total.macs,
        pe_cycles={cause: total.stalls[place] for place, cause in enumerate(CAUSES)},
        processing_cycles=total.cycles,
        standstill_cycles={
            Wait.IFMAP_LOAD: moved["wait", "ifmap"]["cycles"],
            Wait.OFMAP_DUMP: moved["wait", "ofmap"]["cycles"],
        },
        dram_bits={
            DataType.FILTER: counts["dram.filter.read"] * _filter_word_bits(trace),
            DataType.IFMAP: loads["bits"],
            DataType.OFMAP: dumps["bits"],
        },
        hops={f"noc.{network}.hops": words for network, words in total.hops.items()},
        events=trace.event_count(layer),
        ofmap=None if ofmap is None else ofmap.words,
    )
    rebuilt.differences = list(_differences(rebuilt, layer))
    return rebuilt


def _tile_sums(tiles: NDArray[Any]) -> defaultdict[tuple[str, str], dict[str, int]]:
    sums: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(
        lambda: {"words": 0, "bits": 0, "cycles": 0}
    )
    for action, kind in {(int(t["action"]), int(t["kind"])) for t in tiles}:
        mine = tiles[(tiles["action"] == action) & (tiles["kind"] == kind)]
        sums[ACTIONS[action], KINDS[kind]] = {
            name: int(mine[name].sum()) for name in ("words", "bits", "cycles")
        }
    return sums


def _gated_share(layer: LayerTrace, macs: int) -> int:
    """Return the gated MACs where no words moved: the layer's share of zeros, to 9 places."""
    shape = layer.description.get("shape")
    zeros = shape.get("ifmap_zero_fraction") if isinstance(shape, dict) else None
    if not isinstance(zeros, int | float) or not 0 <= zeros <= 1:
        return 0
    return (macs * round(zeros * ZERO_SCALE) + ZERO_SCALE // 2) // ZERO_SCALE


class _Ofmap:
    """The ofmap of a layer, as its passes leave it."""

    def __init__(self, layer: LayerTrace) -> None:
        shape, batch = layer.description.get("shape"), layer.description.get("batch")
        if not isinstance(shape, dict) or not isinstance(batch, int):
            raise ReplayError("the layer has no shape")
        try:
            known = layer_from_dict(shape)
        except (ValueError, TypeError) as error:
            raise ReplayError(str(error)) from None
        size = batch, known.M, known.E, known.F
        if batch < 1 or math.prod(size) > MOST_OFMAP:
            raise ReplayError("the layer is beyond all size")
        self.words = np.zeros(size, np.int64)

    def store(self, row: Any, replayed: PassReplay) -> None:
        """Write what a pass sent to the GLB over what was there."""
        base = [int(row[f"{axis}_base"]) for axis in OFMAP_AXES]
        for block, words in replayed.psums():
            last = zip(base, block.last(), self.words.shape, strict=True)
            if any(first + within >= size for first, within, size in last):
                raise ReplayError("psums beyond the ofmap")
            self.words[block.index(base)] = words.reshape([count for _, count, _ in block.loops])


def _filter_word_bits(trace: Trace) -> int:
    machine: dict[str, int] = trace.description["machine"]
    # Traces of 0.1.0 have one width for all words.
    return machine.get("filter_word_bits", machine.get("word_bits", 0))


def _differences(rebuilt: LayerReplay, layer: LayerTrace) -> Iterator[str]:
    """Say in which figures the events and the run differ."""
    recorded = layer.result
    if recorded is None:
        yield "the run did not reach the end of the layer"
        return
    figures: list[tuple[str, object, object]] = []
    link_bytes = {kind: -(-bits // 8) for kind, bits in rebuilt.dram_bits.items()}
    pairs: tuple[tuple[str, Mapping[Any, Any], object], ...] = (
        ("", rebuilt.entries, recorded.get("entries")),
        (
            "multicast ",
            {str(k): v for k, v in rebuilt.multicast.items()},
            recorded.get("multicast"),
        ),
        ("standstill ", rebuilt.standstill_cycles, recorded.get("standstill_cycles")),
        ("DRAM bytes ", link_bytes, recorded.get("dram_bytes")),
    )
    for prefix, mine, theirs in pairs:
        other = theirs if isinstance(theirs, dict) else {}
        figures += [
            (f"{prefix}{name}", mine.get(name), other.get(name))
            for name in sorted(mine.keys() | other.keys())
        ]
    figures.append(
        ("processing cycles", rebuilt.processing_cycles, recorded.get("processing_cycles"))
    )
    figures.append(("MACs by PE", rebuilt.macs.tolist(), recorded.get("pe_macs")))
    cycles = recorded.get("pe_cycles")
    for cause, mine_cycles in rebuilt.pe_cycles.items():
        other_cycles = cycles.get(cause) if isinstance(cycles, dict) else None
        figures.append((f"PE cycles {cause}", mine_cycles.tolist(), other_cycles))
    if rebuilt.ofmap is not None:
        ofmap = recorded.get("ofmap")
        digest = ofmap.get("blake2b") if isinstance(ofmap, dict) else None
        figures.append(("ofmap", words_digest(rebuilt.ofmap), digest))
    for name, mine_value, other_value in figures:
        if mine_value != other_value:
            yield _told(name, mine_value, other_value)


def _told(name: str, mine: object, other: object) -> str:
    if isinstance(mine, list):
        return f"{name}: the events and the run differ"
    return f"{name}: {mine} by the events, {other} by the run"


def words_digest(words: Ints) -> str:
    """Return the digest of words as 64-bit little-endian numbers in row-major order."""
    return hashlib.blake2b(np.ascontiguousarray(words, "<i8").tobytes(), digest_size=32).hexdigest()


__all__ = ["Figures", "LayerReplay", "PassReplay", "ReplayError", "replay", "words_digest"]
