"""A pass as a program with dates: what each PE does, and the events of every block as columns.

A pass that the machine runs again and again is one `Template`. An event is one row of a stream; a
stream is what one block does of one action and data type, in the order of time. What repeats within
a stream (durations, words, sources, destinations) is stored once as a pattern, so that only the
starts take a number each. What a PE computes is stored with patterns, too: `PEWork`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from traces.events import ACTION, KIND, OFMAP_AXES, PE_DTYPE, STREAM_DTYPE, Layout

Ints = NDArray[np.int64]
NO_PATTERN = -1
LOOP_FIELDS = 3
MOST_LOOPS = 16


@dataclass(frozen=True)
class Stream:
    """What one block does of one action and data type in a pass, in the order of time.

    `start` is relative to the pass. `source` and `destination` are numbers of sets. `data` holds
    the words of all rows one after the other, or is None.
    """

    block: int
    action: int
    kind: int
    start: Ints
    duration: Ints
    words: Ints
    source: Ints
    destination: Ints
    data: Ints | None


@dataclass(frozen=True)
class OfmapBlock:
    """Where in the ofmap the psums of a PE belong, in the order in which they leave.

    `first` are image, filter, row and column of the first one, counted from where the pass begins.
    `loops` are (axis, count, step), the outermost first; an axis is a number of `OFMAP_AXES`.
    """

    first: tuple[int, ...]
    loops: tuple[tuple[int, int, int], ...]

    @property
    def psums(self) -> int:
        """Number of psums."""
        number = 1
        for _, count, _ in self.loops:
            number *= count
        return number

    def last(self) -> list[int]:
        """Return the largest image, filter, row and column of a psum."""
        largest = list(self.first)
        for axis, count, step in self.loops:
            largest[axis] += (count - 1) * step
        return largest

    def index(self, base: Sequence[int]) -> tuple[Ints, ...]:
        """Return the index of each psum in an ofmap of (N, M, E, F) for a pass that begins at base.

        The arrays broadcast to one dimension a loop.
        """
        axes = [np.array(a + b, np.int64) for a, b in zip(base, self.first, strict=True)]
        for place, (axis, count, step) in enumerate(self.loops):
            size = [1] * len(self.loops)
            size[place] = count
            axes[axis] = axes[axis] + (np.arange(count) * step).reshape(size)
        return tuple(axes)


@dataclass(frozen=True)
class PEWork:
    """What one PE does in a pass; a burst is a unit of its work.

    In each burst it multiplies the oldest `operands` words of its ifmap spad by `outputs` words
    each that it keeps, one product a cycle with the outputs innermost, and then adds a psum for
    each output. Burst k begins when `needs[k]` further words have come to the spad, and frees the
    oldest `frees[k]`; both repeat. `uses[k]` is the cycle of a burst's products in which word k of
    those that it keeps is used first. `bubble` are the cycles between the last product of a burst
    and its psums. `ofmap` is None where the psums go on to another PE. `legend` are the values of
    `Template.legends`: the part that the PE has in its dataflow, for people.
    """

    row: int
    column: int
    operands: int
    outputs: int
    uses: Ints
    needs: Ints
    frees: Ints
    bubble: int
    ofmap: OfmapBlock | None
    legend: tuple[int, ...]

    @property
    def burst_products(self) -> int:
        """Products of a burst, and the cycles that they take."""
        return self.operands * self.outputs


@dataclass(frozen=True)
class Template:
    """A pass as a program with dates, which count from its own start.

    `shape` has the numbers of `SHAPE_FIELDS`; `pes` is `PE_DTYPE`, `streams` `STREAM_DTYPE`.
    `set_ends` and `pattern_ends` say where in `set_members` and `pattern_values` each set (of block
    numbers) and each pattern ends. `steps` are the starts: in each stream the first as it is, each
    other as the distance from the one before. `data` are the words of the streams that have some.
    `legend` is text for people, a line for each thing that the dataflow counts PEs by, with the
    number of each PE: `filter set: 0 0 1 1`.
    """

    shape: dict[str, int]
    pes: NDArray[np.void]
    streams: NDArray[np.void]
    set_ends: NDArray[np.int32]
    set_members: NDArray[np.int32]
    pattern_ends: NDArray[np.int32]
    pattern_values: NDArray[np.int32]
    steps: NDArray[np.int32]
    data: Ints
    legend: NDArray[np.uint8]

    @property
    def cycles(self) -> int:
        """Length of the pass."""
        return self.shape["cycles"]

    @property
    def rows(self) -> int:
        """Rows of all streams."""
        return len(self.steps)

    @cached_property
    def legends(self) -> dict[str, list[int]]:
        """By what the dataflow counts PEs, such as "filter set", the number of each PE.

        Raises:
            ValueError: the legend is something else.

        """
        lines = self.legend.tobytes().decode("ascii").splitlines()
        named = (line.partition(": ") for line in lines)
        return {name: [int(one) for one in numbers.split(" ")] for name, _, numbers in named}

    @cached_property
    def work(self) -> dict[tuple[int, int], PEWork]:
        """What each PE of the pass does, by (row, column)."""
        patterns = self.patterns
        legends = list(zip(*self.legends.values(), strict=True))
        work = {}
        for number, pe in enumerate(self.pes.tolist()):
            row, column, operands, outputs, uses, needs, frees, ofmap, bubble = pe
            work[row, column] = PEWork(
                row, column, operands, outputs, patterns[uses], patterns[needs], patterns[frees],
                bubble,
                None if ofmap == NO_PATTERN else _ofmap_block(patterns[ofmap].tolist()),
                legends[number] if legends else (),
            )  # fmt: skip
        return work

    def part(self, row: int, column: int) -> str:
        """Return the part that a PE has in its dataflow, for people: `filter set 0, filter row 2`.

        It is empty where the dataflow does not say.
        """
        legend = zip(self.legends, self.work[row, column].legend, strict=True)
        return ", ".join(f"{name} {number}" for name, number in legend)

    @cached_property
    def sets(self) -> list[tuple[int, ...]]:
        """The sets of blocks."""
        cuts = np.split(self.set_members, self.set_ends[:-1])
        return [tuple(cut.tolist()) for cut in cuts]

    @cached_property
    def patterns(self) -> list[Ints]:
        """The patterns."""
        return np.split(self.pattern_values.astype(np.int64), self.pattern_ends[:-1])

    @cached_property
    def row_ends(self) -> Ints:
        """Where each stream ends in `steps`."""
        ends: Ints = np.cumsum(self.streams["rows"], dtype=np.int64)
        return ends

    @cached_property
    def starts(self) -> Ints:
        """The starts of all rows, stream after stream."""
        # One sum over all steps, less what had come together before each stream: its first step is
        # a date, and not a distance. A loop over the streams takes many times as long.
        total = np.cumsum(self.steps, dtype=np.int64)
        if not len(total):
            return total
        firsts = self.row_ends - self.streams["rows"]
        before = np.where(firsts > 0, total[np.maximum(firsts, 1) - 1], 0)
        starts: Ints = total - np.repeat(before, self.streams["rows"])
        return starts

    @cached_property
    def data_ends(self) -> Ints:
        """Where each stream ends in `data`."""
        lengths = [
            int(self.column(number, "words").sum()) if stream["has_data"] else 0
            for number, stream in enumerate(self.streams)
        ]
        ends: Ints = np.cumsum(lengths, dtype=np.int64)
        return ends

    def column(self, number: int, name: str) -> Ints:
        """Return a repeating column of a stream: `durations`, `words`, `sources`, .."""
        stream = self.streams[number]
        return np.resize(self.patterns[stream[name]], int(stream["rows"]))

    def whole_column(self, name: str) -> Ints:
        """Return a repeating column of all streams, one after the other."""
        parts = [self.column(number, name) for number in range(len(self.streams))]
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def stream(self, number: int) -> Stream:
        """Return a stream with every column in full."""
        row = self.streams[number]
        end = int(self.row_ends[number])
        data = None
        if row["has_data"]:
            first = int(self.data_ends[number - 1]) if number else 0
            data = self.data[first : int(self.data_ends[number])]
        return Stream(
            block=int(row["block"]),
            action=int(row["action"]),
            kind=int(row["kind"]),
            start=self.starts[end - int(row["rows"]) : end],
            duration=self.column(number, "durations"),
            words=self.column(number, "words"),
            source=self.column(number, "sources"),
            destination=self.column(number, "destinations"),
            data=data,
        )


def _ofmap_block(values: list[int]) -> OfmapBlock:
    axes = len(OFMAP_AXES)
    loops = zip(*[iter(values[axes:])] * LOOP_FIELDS, strict=True)
    return OfmapBlock(tuple(values[:axes]), tuple(loops))


def ofmap_pattern_fault(values: list[int]) -> bool:
    """Tell whether a pattern is no `OfmapBlock`."""
    axes, loops = len(OFMAP_AXES), values[len(OFMAP_AXES) :]
    return (
        len(values) < axes
        or len(loops) % LOOP_FIELDS != 0
        or len(loops) > MOST_LOOPS * LOOP_FIELDS
        or any(axis >= axes for axis in loops[::LOOP_FIELDS])
        or any(count < 1 for count in loops[1::LOOP_FIELDS])
    )


@dataclass
class TemplateBuilder:
    """Collects the PEs and streams of a pass.

    `build` puts the streams in the order of block, action and kind.
    """

    _pes: list[tuple[int, ...]] = field(default_factory=list)
    _legends: list[tuple[int, ...]] = field(default_factory=list)
    _streams: list[tuple[tuple[int, ...], Sequence[int], Iterable[int] | None]] = field(
        default_factory=list
    )
    _sets: dict[tuple[int, ...], int] = field(default_factory=dict)
    _patterns: dict[tuple[int, ...], int] = field(default_factory=dict)

    def set_of(self, *blocks: int) -> int:
        """Return the number of a set of blocks."""
        return self._sets.setdefault(blocks, len(self._sets))

    def pattern(self, values: tuple[int, ...]) -> int:
        """Return the number of a pattern."""
        return self._patterns.setdefault(values, len(self._patterns))

    def add(
        self, block: int, action: str, kind: str, starts: Sequence[int], *,
        durations: tuple[int, ...], words: tuple[int, ...],
        sources: tuple[int, ...], destinations: tuple[int, ...],
        data: Iterable[int] | None = None,
    ) -> None:  # fmt: skip
        """Add a stream; each of the four patterns repeats over its rows."""
        if not len(starts):
            return
        description = (
            block,
            ACTION[action],
            KIND[kind],
            data is not None,
            len(starts),
            self.pattern(durations),
            self.pattern(words),
            self.pattern(sources),
            self.pattern(destinations),
        )
        self._streams.append((description, starts, data))

    def add_pe(
        self, row: int, column: int, *, operands: int, outputs: int, uses: int, needs: int,
        frees: int, bubble: int, ofmap: int = NO_PATTERN, legend: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """Add a PE (see `PEWork`); `uses`, `needs`, `frees` and `ofmap` are numbers of patterns.

        That of `ofmap` has image, filter, row and column of the first psum, then axis, count and
        step of each loop.
        """
        self._pes.append((row, column, operands, outputs, uses, needs, frees, ofmap, bubble))
        self._legends.append(legend)

    def build(self, shape: dict[str, int], legend: Sequence[str] = ()) -> Template:
        """Return the template; `span` is added to the shape, `legend` names what legends count."""
        ordered = sorted(self._streams, key=lambda stream: stream[0][:3])
        table = np.array([stream[0] for stream in ordered], STREAM_DTYPE)
        starts = np.array(list(chain.from_iterable(stream[1] for stream in ordered)), np.int32)
        steps = np.empty_like(starts)
        span = 0
        if len(starts):
            span = int(starts.max()) + 1
            np.subtract(starts[1:], starts[:-1], out=steps[1:])
            firsts = np.cumsum(table["rows"], dtype=np.int64) - table["rows"]
            steps[firsts] = starts[firsts]
        return Template(
            shape={**shape, "span": span},
            pes=np.array(self._pes, PE_DTYPE),
            streams=table,
            set_ends=_ends(self._sets),
            set_members=np.array(list(chain.from_iterable(self._sets)), np.int32),
            pattern_ends=_ends(self._patterns),
            pattern_values=np.array(list(chain.from_iterable(self._patterns)), np.int32),
            steps=steps,
            data=np.array(
                list(chain.from_iterable(s[2] for s in ordered if s[2] is not None)), np.int64
            ),
            legend=legend_text(legend, self._legends),
        )


def legend_text(names: Sequence[str], legends: Sequence[Sequence[int]]) -> NDArray[np.uint8]:
    """Return `Template.legend` from what PEs are counted by, and the numbers of each PE."""
    lines = [
        f"{name}: {' '.join(map(str, numbers))}\n"
        for name, numbers in zip(names, zip(*legends, strict=True), strict=True)
    ]
    return np.frombuffer("".join(lines).encode("ascii"), np.uint8)


def _ends(parts: Iterable[tuple[int, ...]]) -> NDArray[np.int32]:
    return np.cumsum([len(part) for part in parts], dtype=np.int32)


def without_blocks(template: Template, layout: Layout, groups: Iterable[str]) -> Template:
    """Return the template with the streams of some groups of blocks alone."""
    kept = set(groups)
    keep = np.array([layout.group(int(b)) in kept for b in template.streams["block"]], bool)
    rows = np.repeat(keep, template.streams["rows"])
    has_data = template.streams["has_data"].astype(bool)
    lengths = np.diff(template.data_ends, prepend=0)
    words = np.repeat(keep, lengths) if has_data.any() else np.zeros(0, bool)
    return replace(
        template,
        streams=template.streams[keep],
        steps=template.steps[rows],
        data=template.data[words],
    )
