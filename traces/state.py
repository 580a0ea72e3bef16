"""The state of the machine at a cycle of a pass: what its FIFOs and spads hold, what its buses do.

Levels follow from events by the rule of the channel (docs/machine.md 3): a word that is written in
cycle `c` is there from `c+1` on, and so is the place of one that is read in `c` free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from traces.events import (
    ACTION,
    DRAM,
    FIRST_PE,
    GIN_FILTER,
    GIN_IFMAP,
    GIN_PSUM,
    GLB,
    GON,
    KIND,
    Layout,
)
from traces.template import PEWork, Stream, Template

Ints = NDArray[np.int64]
Level = tuple[Ints, Ints]
PE_LEVELS = ("fifo.ifmap", "fifo.psum_in", "fifo.psum_out", "spad.ifmap", "spad.filter")
LINE_LEVELS = ("lines.filter", "lines.ifmap", "lines.psum_in", "lines.psum_out", "glb.filter_banks")


class PassView:
    """Levels of everything that holds words, over the cycles of one pass."""

    def __init__(self, template: Template, layout: Layout) -> None:
        self.template = template
        self.layout = layout
        self._levels: dict[str, Level] = {}

    @cached_property
    def _streams(self) -> dict[tuple[int, int, int], list[Stream]]:
        streams: dict[tuple[int, int, int], list[Stream]] = {}
        for number in range(len(self.template.streams)):
            stream = self.template.stream(number)
            streams.setdefault((stream.block, stream.action, stream.kind), []).append(stream)
        return streams

    def _all(self, block: int, action: str, kind: str) -> list[Stream]:
        return self._streams.get((block, ACTION[action], KIND[kind]), [])

    @property
    def pes(self) -> list[tuple[int, int]]:
        """(row, column) of the PEs that the pass uses."""
        return sorted(self.template.work)

    def names(self) -> Iterator[str]:
        """Return the names of everything that has a level."""
        yield from LINE_LEVELS
        for row, column in self.pes:
            for name in PE_LEVELS:
                yield f"{name}({row},{column})"

    def level(self, name: str, cycle: int) -> int:
        """Return the words that are there in a cycle of the pass.

        Raises:
            ValueError: nothing of that name has a level.

        """
        cycles, levels = self.series(name)
        change = int(np.searchsorted(cycles, cycle, side="right")) - 1
        return int(levels[change]) if change >= 0 else 0

    def series(self, name: str) -> Level:
        """Return the cycles in which a level changes, and the words from each of them on."""
        series = self._levels.get(name)
        if series is None:
            series = self._levels[name] = _summed(list(self._moves(name)))
        return series

    def contents(self, name: str, cycle: int) -> list[int] | None:
        """Return the words of a FIFO or spad of a PE in a cycle; None where no words were recorded.

        The oldest word comes first.
        """
        plain, _, pe = name.partition("(")
        row, column = map(int, pe.rstrip(")").split(","))
        came = self._words(plain, self.layout.pe(row, column), self.layout.link(row, column))
        if came is None:
            return None
        # Words leave in the order in which they came, so what is there begins where the gone end.
        moves = [(when, words) for when, words in self._moves(name) if np.any(words < 0)]
        gone = -sum(int(words[when <= cycle].sum()) for when, words in moves)
        held: list[int] = came[gone : gone + self.level(name, cycle)].tolist()
        return held

    def _words(self, name: str, block: int, link: int) -> Ints | None:
        """Return all words that come to a FIFO or spad of a PE in the pass, in order."""
        if name == "fifo.psum_out":
            ways = [*self._all(link, "send", "psum"), *self._all(GON, "send", "psum")]
            mine = [stream.block == link or self._own(stream, block) for stream in ways]
        else:
            ways = {
                "fifo.psum_in": [*self._all(GIN_PSUM, "send", "psum"), *self._links],
                "spad.filter": self._all(GIN_FILTER, "send", "filter"),
            }.get(name, self._all(GIN_IFMAP, "send", "ifmap"))
            sets = self._sets_with(block)
            mine = [np.isin(stream.destination, sets) for stream in ways]
        words, when = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for stream, rows in zip(ways, mine, strict=True):
            if not np.any(rows):
                continue
            if stream.data is None:
                return None
            chosen = np.repeat(np.broadcast_to(rows, stream.start.shape), stream.words)
            words.append(stream.data[chosen])
            when.append(np.repeat(stream.start, stream.words)[chosen])
        return np.concatenate(words)[np.argsort(np.concatenate(when), kind="stable")]

    def _own(self, stream: Stream, block: int) -> NDArray[np.bool_]:
        """Return a mask of the psums of the GON that come from a PE."""
        own = [n for n, members in enumerate(self.template.sets) if members == (block,)]
        return np.isin(stream.source, own)

    def _sets_with(self, block: int) -> list[int]:
        return [number for number, members in enumerate(self.template.sets) if block in members]

    def _moves(self, name: str) -> Iterator[Level]:
        """Return (cycle from which it holds, words) of all that comes (+) and leaves (-)."""
        plain, _, place = name.partition("(")
        if not place:
            yield from self._line_moves(plain)
            return
        position = re.fullmatch(r"(\d{1,5}),(\d{1,5})\)", place)
        if plain not in PE_LEVELS or position is None:
            raise ValueError(f"nothing called {name!r} holds words")
        at = int(position[1]), int(position[2])
        work = self.template.work.get(at)
        if work is not None:
            yield from self._pe_moves(plain, self.layout.pe(*at), self.layout.link(*at), work)

    def _line_moves(self, name: str) -> Iterator[Level]:
        if name == "glb.filter_banks":
            for stream in self._all(DRAM, "read", "filter"):
                yield stream.start + stream.duration, stream.words
            reads = self._all(GLB, "read", "filter")
            there = sum(int(s.words.sum()) for s in reads) - sum(
                int(s.words.sum()) for s in self._all(DRAM, "read", "filter")
            )
            if reads and there > 0:
                yield np.zeros(1, np.int64), np.array([there], np.int64)
            for stream in reads:
                yield stream.start + 1, -stream.words
            return
        ways = {
            "lines.filter": ((GLB, "read", "filter"), (GIN_FILTER, "send", "filter")),
            "lines.ifmap": ((GLB, "read", "ifmap"), (GIN_IFMAP, "send", "ifmap")),
            "lines.psum_in": ((GLB, "read", "psum"), (GIN_PSUM, "send", "psum")),
            "lines.psum_out": ((GON, "send", "psum"), (GLB, "write", "psum")),
        }
        if name not in ways:
            raise ValueError(f"nothing called {name!r} holds words")
        for sign, way in zip((1, -1), ways[name], strict=True):
            for stream in self._all(*way):
                yield stream.start + stream.duration, sign * stream.words

    def _pe_moves(self, name: str, block: int, link: int, work: PEWork) -> Iterator[Level]:
        if name in ("fifo.ifmap", "spad.filter"):
            bus, kind = (GIN_IFMAP, "ifmap") if name == "fifo.ifmap" else (GIN_FILTER, "filter")
            yield from self._reaching(self._all(bus, "send", kind), block)
        if name in ("fifo.ifmap", "spad.ifmap"):
            sign = -1 if name == "fifo.ifmap" else 1
            for stream in self._all(block, "fill", "ifmap"):
                yield stream.start + 1, sign * stream.words
        if name == "spad.ifmap":
            yield from self._releases(block, work)
        if name == "fifo.psum_in":
            links = [s for s in self._links if s.block != link]
            incoming = list(self._reaching([*self._all(GIN_PSUM, "send", "psum"), *links], block))
            yield from incoming
            if incoming:  # else its sums begin here
                for stream in self._all(block, "accumulate", "psum"):
                    yield stream.start + 1, -stream.words
        if name == "fifo.psum_out":
            for stream in self._all(block, "accumulate", "psum"):
                yield stream.start + stream.duration, stream.words
            for stream in self._all(link, "send", "psum"):
                yield stream.start + 1, -stream.words
            for stream in self._all(GON, "send", "psum"):
                mine = self._own(stream, block)
                yield stream.start[mine] + 1, -stream.words[mine]

    @cached_property
    def _links(self) -> list[Stream]:
        first = FIRST_PE + self.layout.pes
        return [s for key, streams in self._streams.items() if key[0] >= first for s in streams]

    def _reaching(self, streams: list[Stream], block: int) -> Iterator[Level]:
        sets = self._sets_with(block)
        for stream in streams:
            mine = np.isin(stream.destination, sets)
            if mine.any():
                yield (stream.start + stream.duration)[mine], stream.words[mine]

    def _releases(self, block: int, work: PEWork) -> Iterator[Level]:
        """Free words of the ifmap spad when the MACs of a burst are done, or when it shifts."""
        bursts = self._all(block, "mac", "none")
        if not bursts:
            return
        starts, durations = bursts[0].start, bursts[0].duration
        done = starts + durations
        takes = self._all(block, "accumulate", "psum")
        if self.template.shape["shift_spad"] and takes and len(takes[0].start) % len(starts) == 0:
            end = takes[0].start + takes[0].duration
            done = end.reshape(len(starts), -1)[:, -1]
        yield done, -np.resize(work.frees, len(starts))


def _summed(moves: list[Level]) -> Level:
    if not moves:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cycles = np.concatenate([cycle for cycle, _ in moves])
    words = np.concatenate([words for _, words in moves])
    changed, places = np.unique(cycles, return_inverse=True)
    sums = np.zeros(len(changed), np.int64)
    np.add.at(sums, places, words)
    return changed, np.cumsum(sums)


def state_text(view: PassView, cycle: int, machine: dict[str, int]) -> list[str]:
    """Say what the machine holds in a cycle of the pass: lines, FIFOs and spads."""
    lines = ["words before and behind the buses: " + ", ".join(
        f"{name} {view.level(name, cycle)}" for name in LINE_LEVELS
    )]  # fmt: skip
    for name in PE_LEVELS:
        levels = {at: view.level(f"{name}({at[0]},{at[1]})", cycle) for at in view.pes}
        if not levels:
            continue
        what, _, port = name.partition(".")
        depth = machine.get(f"{port}_{what}_words", 0)
        most = max(levels.values())
        full = [at for at, words in levels.items() if words == most]
        lines.append(
            f"{name}: {min(levels.values())} to {most} words of {depth}, most in PE "
            f"({full[0][0]},{full[0][1]}){f' and {len(full) - 1} more' if len(full) > 1 else ''}"
        )
    return lines
