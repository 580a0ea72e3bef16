"""A row stationary pass as a program (docs/machine.md sections 2 and 3)."""

from __future__ import annotations

from itertools import accumulate, zip_longest
from typing import TYPE_CHECKING, NamedTuple

from hw_models.vocabulary import Network
from sim.dataflow.program import (
    COLUMN,
    FILTER,
    IMAGE,
    Beat,
    Burst,
    Load,
    OfmapBlock,
    PEProgram,
    Program,
    Stream,
    beat_sizes,
)
from sim.errors import SimulationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hw_models.spec import Hardware
    from sim.dataflow.row_stationary.passes import PassShape
    from sim.dataflow.row_stationary.placement import Site


def pass_program(shape: PassShape, hw: Hardware) -> Program:
    """Return the program of the passes of one shape; the chip's buses decide how wide beats are.

    Raises:
        SimulationError: it is not all of the pass; a defect.

    """
    return _Builder(shape, hw).program()


def pe_chains(shape: PassShape) -> list[tuple[int, int]]:
    """Return (filter set, ofmap row of the strip) of each psum chain, in the psum buses' order."""
    return [(k, row) for k in range(len(shape.filters)) for row in range(shape.strip_rows)]


class PsumBeat(NamedTuple):
    """A beat of a window on the psum buses: its chain, and its words among the set's filters."""

    filter_set: int
    ofmap_row: int
    first: int
    words: int


def psum_beats(shape: PassShape, hw: Hardware) -> list[PsumBeat]:
    """Return the beats of a window in the order of the psum buses (`noc.psum_order`)."""
    beats = []
    for k, row in pe_chains(shape):
        sizes = beat_sizes(shape.filters[k], hw.noc.psum_words_per_cycle)
        beats += [
            PsumBeat(k, row, first, words)
            for first, words in zip(accumulate(sizes, initial=0), sizes, strict=False)
        ]
    if hw.noc.psum_order == "beat":
        # A beat to each chain in turn: all filter sets of an ofmap row, then those of the next.
        beats.sort(key=lambda beat: (beat.first, beat.ofmap_row, beat.filter_set))
    return beats


def feed_order(shape: PassShape, hw: Hardware) -> list[tuple[int, int, int]]:
    """Return (channel set, channel, ifmap row) of each word of a column, by `noc.ifmap_order`.

    Channels count within their set.
    """
    words = [
        (channel_set, channel, row)
        for channel_set, channels in enumerate(shape.channels)
        for channel in range(channels)
        for row in range(shape.ifmap_rows)
    ]
    if hw.noc.ifmap_order == "word":
        words.sort(key=lambda word: (word[1], word[2], word[0]))
    return words


class _Builder:
    """Lays out one pass."""

    def __init__(self, shape: PassShape, hw: Hardware) -> None:
        self.shape = shape
        self.hw = hw
        width = hw.noc.psum_words_per_cycle
        self.psum_beats = [beat_sizes(filters, width) for filters in shape.filters]
        self.filter_bases = [0, *accumulate(shape.filters)]
        self.chains = [
            (k, row, shape.placement.chain(k, row, len(shape.channels)))
            for k, row in pe_chains(shape)
        ]
        self.length = len(self.chains[0][2])
        # (filter set, ofmap row, site) of each PE: chain after chain, from the bottom to the top.
        self.parts = [(k, row, site) for k, row, sites in self.chains for site in sites]

    def program(self) -> Program:
        shape, length = self.shape, self.length
        firsts = range(0, len(self.parts), length)
        program = Program(
            pes=self._pes(),
            links=tuple(
                (pe, pe + 1) for first in firsts for pe in range(first, first + length - 1)
            ),
            loads=(loads := self._loads()),
            load_order=self._load_order(loads),
            feed=self._feed(),
            psums_in=None if shape.first_channels else self._psums(Network.GIN_PSUM, 0),
            psums_out=self._psums(Network.GON_PSUM, length - 1),
            legend=("filter set", "channel set", "filter row", "ofmap row"),
        )
        for what, there, needed in (
            ("products", program.products, shape.macs),
            ("filter words", program.load_stream.words, shape.filter_words),
            ("ifmap words", program.feed.words, shape.ifmap_words),
            ("psums", program.psums_out.words, shape.psum_words),
        ):
            if there != needed:
                raise SimulationError(
                    f"conservation: the program has {there} {what}, the pass {needed}; a defect "
                    "of the simulator"
                )
        return program

    def _pes(self) -> tuple[PEProgram, ...]:
        shape, top = self.shape, self.length - 1
        # A window is one ofmap column of one image. The first of an image needs S columns, each
        # other one V more, and as many words leave as the next one brings in. The last one clears
        # the spad: windows of two images share no word.
        bursts = []
        for channels in shape.channels:
            window, step = channels * shape.filter_columns, channels * shape.column_step
            last = shape.ofmap_columns - 1
            needs = [window] + [step] * last
            bursts.append(tuple(map(Burst, needs, [*needs[1:], window], [False] * last + [True])))
        return tuple(
            PEProgram(
                row=site.row,
                column=site.column,
                operands=shape.channels[site.channel_set] * shape.filter_columns,
                outputs=shape.filters[k],
                beats=self.psum_beats[k],
                bursts=bursts[site.channel_set],
                times=shape.images,
                ofmap=self._ofmap(k, ofmap_row) if number % self.length == top else None,
                legend=(k, site.channel_set, site.filter_row, ofmap_row),
            )
            for number, (k, ofmap_row, site) in enumerate(self.parts)
        )

    def _ofmap(self, k: int, ofmap_row: int) -> OfmapBlock:
        """Return where the psums of a chain belong: they leave by window, the filter innermost."""
        shape = self.shape
        return OfmapBlock(
            (0, self.filter_bases[k], ofmap_row, 0),
            (
                (IMAGE, shape.images, 1),
                (COLUMN, shape.ofmap_columns, 1),
                (FILTER, shape.filters[k], 1),
            ),
        )

    def _loads(self) -> tuple[Load, ...]:
        """Return the filter rows: each goes to one row of one PE set, from the top of the array."""
        shape, noc = self.shape, self.hw.noc
        members = filter_rows(shape, self.hw)
        uses: dict[tuple[int, int], tuple[int, ...]] = {}
        loads = []
        for (k, channel_set, filter_row), pes in members.items():
            p, q, s = shape.filters[k], shape.channels[channel_set], shape.filter_columns
            if noc.filter_order == "use":
                uses[p, q] = tuple(range(p * q * s))
            elif (p, q) not in uses:
                # Words arrive with the column innermost, then channel, then filter; products run
                # with the filter innermost, then channel, then column.
                uses[p, q] = tuple(
                    (x * q + c) * p + f for f in range(p) for c in range(q) for x in range(s)
                )
            loads.append(
                Load(
                    name=f"filter set {k}, channel set {channel_set}, row {filter_row}",
                    pes=pes,
                    beats=beat_sizes(p * q * s, noc.gin_filter_words_per_cycle),
                    uses=uses[p, q],
                )
            )
        return tuple(loads)

    def _load_order(self, loads: Sequence[Load]) -> tuple[int, ...]:
        """Return the load of each beat of the filter bus; empty where loads follow each other."""
        if self.hw.noc.filter_order == "row":
            return ()
        # A beat for each row in turn; rows that have fewer beats drop out of the later rounds.
        rounds = zip_longest(*([number] * len(load.beats) for number, load in enumerate(loads)))
        return tuple(number for turn in rounds for number in turn if number is not None)

    def _feed(self) -> Stream:
        """Stream ifmap words along diagonals: by image and column, then by `feed_order`."""
        shape = self.shape
        reach: dict[tuple[int, int], list[int]] = {}
        for pe, (_, ofmap_row, site) in enumerate(self.parts):
            row = ofmap_row * shape.row_step + site.filter_row
            reach.setdefault((site.channel_set, row), []).append(pe)
        beats = {key: Beat(1, tuple(pes)) for key, pes in reach.items()}
        column = tuple(
            beats[channel_set, row] for channel_set, _, row in feed_order(shape, self.hw)
        )
        return Stream("ifmap", Network.GIN_IFMAP, column, shape.images * shape.ifmap_columns)

    def _psums(self, network: Network, place: int) -> Stream:
        """Stream psums at that place of each chain: by window, then by `psum_beats`."""
        ends = {
            (k, row): (number * self.length + place,)
            for number, (k, row, _) in enumerate(self.chains)
        }
        pattern = tuple(
            Beat(beat.words, ends[beat.filter_set, beat.ofmap_row])
            for beat in psum_beats(self.shape, self.hw)
        )
        return Stream("psum", network, pattern, self.shape.windows)


def filter_rows(shape: PassShape, hw: Hardware) -> dict[tuple[int, int, int], tuple[int, ...]]:
    """Return PEs by the (filter set, channel set, filter row) they hold, in the bus's order.

    Rows of the array are served from the top, within a row from the left; all segments of a set get
    the same words, in the turn of the uppermost. With `noc.filter_order: use` it is the part in the
    convolution that counts: filter row, then channel set, then filter set.
    """
    members: dict[tuple[int, int, int], list[int]] = {}
    sites: dict[tuple[int, int, int], Site] = {}
    pe = 0
    for k, ofmap_row in pe_chains(shape):
        for site in shape.placement.chain(k, ofmap_row, len(shape.channels)):
            key = (k, site.channel_set, site.filter_row)
            members.setdefault(key, []).append(pe)
            sites.setdefault(key, site)
            pe += 1
    if hw.noc.filter_order == "use":
        order = sorted(members, key=lambda key: key[::-1])
    else:
        order = sorted(members, key=lambda key: (sites[key].row, sites[key].column))
    return {key: tuple(members[key]) for key in order}
