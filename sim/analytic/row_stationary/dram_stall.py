"""Total latency in closed form: the time in which the array stands still for DRAM.

The link serves tiles in the order in which they are issued, in the time that filters leave. In the
last channel block of an m-block it brings the strip that the next m-block begins with, and behind
that the ofmaps of the filter blocks. All that an m-block hands on is therefore one number, the link
time of ofmaps that have not left, and a run of equal m-blocks is followed only until that number
comes back.

Where the link does not keep ahead with the filters, passes that are equal otherwise differ in time,
and every m-block is looked at with the times of its own passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby, product
from math import prod
from typing import TYPE_CHECKING, NamedTuple

from sim.plan.dram_traffic import DramStall, Traffic

if TYPE_CHECKING:
    from sim.dataflow.row_stationary.passes import Plan


class PassTime(NamedTuple):
    """A pass on the tiles' scale: its cycles, and the link ticks that filters take meanwhile."""

    cycles: int
    filter_ticks: int


# (images, ofmap columns, strip rows, filters, channels, first channel block) -> the cycles of such
# a pass, and the link ticks of its own filters
PassTimes = dict[tuple[int, int, int, int, int, bool], PassTime]

# images, ofmap columns and strip rows, which decide the ifmap strips of an m-block
_Strip = tuple[int, int, int]

# the same and its filters
_Kind = tuple[int, int, int, int]


class _Waits(NamedTuple):
    """Cycles in which the array waits for ifmaps and for ofmaps."""

    ifmap: int = 0
    ofmap: int = 0

    def plus(self, other: _Waits, times: int = 1) -> _Waits:
        """Return these and `times` others."""
        return _Waits(self.ifmap + times * other.ifmap, self.ofmap + times * other.ofmap)


class _Before(NamedTuple):
    """What an m-block finds: ticks of ofmaps still on the link, and whether it is the first."""

    ofmap_ticks: int = 0
    first: bool = False


class _ChannelBlocks(NamedTuple):
    """Channel blocks in a row that are equal: the load of each, and what filters leave in it."""

    times: int
    load_ticks: int
    spare_ticks: int


@dataclass(frozen=True)
class _MBlock:
    """An m-block as the link sees it.

    `blocks` are its channel blocks but the last one, which asks for `load_ticks` and has in each of
    its passes `spares` ticks for tiles and behind it `dumps` ticks of ofmap.
    """

    blocks: tuple[_ChannelBlocks, ...]
    load_ticks: int
    spares: tuple[int, ...]
    dumps: tuple[int, ...]


def standstill(plan: Plan, times: PassTimes, cold_cycles: int) -> DramStall:
    """Return the standstill of a layer whose filters are there in time, but for its first pass.

    `cold_cycles` are those of that pass.
    """
    return _Link(plan).all_alike(times, cold_cycles)


def standstill_of_each(plan: Plan, m_blocks: Iterator[tuple[PassTime, ...]]) -> DramStall:
    """Return the standstill of a layer whose passes take these times, by m-block in order.

    Equal m-blocks that are one object are looked at once.
    """
    return _Link(plan).one_by_one(m_blocks)


class _Link:
    """The tiles of a layer on its link."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.traffic = Traffic.of(plan.layer, plan.hw)
        self.per_cycle = self.traffic.beat.denominator
        self.latency = plan.hw.dram.first_access_latency_cycles * self.per_cycle
        self.overlap = plan.hw.dram.overlap
        self._loads: dict[_Strip, tuple[int, ...]] = {}
        self._dumps: dict[_Kind, tuple[int, ...]] = {}
        self.ifmap_bits = self.ofmap_bits = 0
        levels = (Counter(level) for level in plan.blocks)
        for combination in product(*(level.items() for level in levels)):
            (images, columns, strip, m_block), times = zip(*combination, strict=True)
            many = plan.layer.G * prod(times)
            loads = self._load_words(images, columns, strip)
            dumps = self._dump_words(images, columns, strip, m_block)
            self.ifmap_bits += many * sum(map(self.traffic.ifmap_bits, loads))
            self.ofmap_bits += many * sum(map(self.traffic.ofmap_bits, dumps))

    # ---------------------------------------------------------------- sizes

    @cached_property
    def _runs(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Groups, and blocks as in `Plan.blocks`, as (size, how many in a row)."""
        levels = ((0,) * self.plan.layer.G, *self.plan.blocks)
        return tuple(
            tuple((size, len(list(equal))) for size, equal in groupby(level)) for level in levels
        )

    def _kinds(self) -> Iterator[_Kind]:
        for _, images, columns, strip, m_block in product(
            range(self.plan.layer.G), *self.plan.blocks
        ):
            yield images, columns, strip, m_block

    def _load_words(self, images: int, columns: int, strip: int) -> list[int]:
        layer = self.plan.layer
        words = images * layer.ifmap_rows(strip) * layer.touched_columns(columns)
        return [channels * words for channels in self.plan.channel_blocks]

    def _dump_words(self, images: int, columns: int, strip: int, m_block: int) -> list[int]:
        """Return the words that leave behind each pass of the last channel block."""
        filters = list(self.plan.filter_blocks(m_block))
        if self.plan.hw.dram.ofmap_dump == "m_block":
            filters = [0] * (len(filters) - 1) + [m_block]
        return [images * many * strip * columns for many in filters]

    def _ticks(self, bits: int) -> int:
        return self.traffic.ticks(bits) + self.latency if bits else 0

    def loads(self, strip: _Strip) -> tuple[int, ...]:
        """Return the link ticks of the ifmap strip of each channel block."""
        found = self._loads.get(strip)
        if found is None:
            words = self._load_words(*strip)
            found = tuple(self._ticks(self.traffic.ifmap_bits(each)) for each in words)
            self._loads[strip] = found
        return found

    def dumps(self, kind: _Kind) -> tuple[int, ...]:
        """Return the link ticks of the ofmaps behind each pass of the last channel block."""
        found = self._dumps.get(kind)
        if found is None:
            words = self._dump_words(*kind)
            found = tuple(self._ticks(self.traffic.ofmap_bits(each)) for each in words)
            self._dumps[kind] = found
        return found

    def _cycles(self, ticks: int) -> int:
        return -(-ticks // self.per_cycle)

    # ---------------------------------------------------------------- an m-block

    def serve(self, block: _MBlock, next_load: int, late: int) -> tuple[_Waits, int]:
        """Return what the array waits for in an m-block, and the ofmap ticks that it leaves behind.

        `next_load` is the next m-block's first strip, 0 where there is none; `late` ofmap ticks are
        still on the link when it begins.
        """
        cycles = self._cycles
        if self.overlap == "none":
            ifmap = sum(each.times * cycles(each.load_ticks) for each in block.blocks)
            ifmap += cycles(block.load_ticks)
            return _Waits(ifmap, cycles(self._backlog(block, 0))), 0
        ifmap = 0
        loads = [*(each.load_ticks for each in block.blocks), block.load_ticks]
        for each, load in zip(block.blocks, loads[1:], strict=True):
            # The next strip is behind the ofmaps; once it has come they are gone.
            alike = each.times
            if alike > 1:
                ifmap += cycles(max(0, late + each.load_ticks - each.spare_ticks))
                ifmap += (alike - 2) * cycles(max(0, each.load_ticks - each.spare_ticks))
                late = 0
            ifmap += cycles(max(0, late + load - each.spare_ticks))
            late = 0
        backlog = self._backlog(block, late + next_load)
        if self.overlap == "ifmap":
            return _Waits(ifmap, cycles(backlog)), 0
        spare = sum(block.spares)
        left = max(0, late - spare)
        to_load = max(0, late + next_load - spare)
        return _Waits(ifmap + cycles(to_load - left), cycles(left)), backlog - to_load

    @staticmethod
    def _backlog(block: _MBlock, ticks: int) -> int:
        """Return what the link still has after the last channel block: `ticks` and ofmaps."""
        for spare, dump in zip(block.spares, block.dumps, strict=True):
            ticks = max(0, ticks - spare) + dump
        return ticks

    def _found(self, waits: _Waits, late: int) -> DramStall:
        """Return the layer's standstill: its first strip and last ofmaps are always waited for."""
        if self.overlap != "none":
            first = self.loads(self._first_kind((0,))[:3])[0]
            waits = waits.plus(_Waits(ifmap=self._cycles(first)))
        waits = waits.plus(_Waits(ofmap=self._cycles(late)))
        return DramStall(waits.ifmap, waits.ofmap, self.ifmap_bits, self.ofmap_bits)

    # ---------------------------------------------------------------- equal m-blocks

    def all_alike(self, times: PassTimes, cold_cycles: int) -> DramStall:
        """Return the standstill where equal passes bring the next one's filters in equal time."""
        known: dict[tuple[_Kind, _Kind | None, bool], _MBlock] = {}

        def one(kind: _Kind, following: _Kind | None, before: _Before) -> tuple[_Waits, _Before]:
            key = kind, following, before.first
            block = known.get(key)
            if block is None:
                block = known[key] = self._block(times, kind, following)
                if before.first:
                    block = known[key] = self._first(block, times, kind, cold_cycles)
            next_load = self.loads(following[:3])[0] if following else 0
            waits, late = self.serve(block, next_load, before.ofmap_ticks)
            return waits, _Before(late)

        def walk(
            sizes: tuple[int, ...], following: _Kind | None, before: _Before
        ) -> tuple[_Waits, _Before]:
            level = len(sizes)
            if level == len(self._runs):
                return one(self._first_kind(sizes), following, before)
            waits = _Waits()
            runs = self._runs[level]
            for place, (size, many) in enumerate(runs):
                inner = (*sizes, size)
                behind = following
                if place + 1 < len(runs):
                    behind = self._first_kind((*sizes, runs[place + 1][0]))
                again = self._first_kind(inner)
                found, before = _repeated(partial(walk, inner, again), many - 1, before)
                waits = waits.plus(found)
                found, before = walk(inner, behind, before)
                waits = waits.plus(found)
            return waits, before

        waits, before = walk((), None, _Before(first=True))
        return self._found(waits, before.ofmap_ticks)

    def _first_kind(self, sizes: tuple[int, ...]) -> _Kind:
        """Return the first m-block inside these blocks."""
        rest = tuple(runs[0][0] for runs in self._runs[len(sizes) :])
        _, images, columns, strip, m_block = sizes + rest
        return images, columns, strip, m_block

    def _block(self, times: PassTimes, kind: _Kind, following: _Kind | None) -> _MBlock:
        filters = self.plan.filter_blocks(kind[3])
        channels = self.plan.channel_blocks
        loads = self.loads(kind[:3])

        def lead(block: _Kind, channels_: int, first: bool) -> int:
            found = self.plan.filter_blocks(block[3])[0]
            return times[*block[:3], found, channels_, first].filter_ticks

        def spares(place: int) -> tuple[int, ...]:
            """Return the ticks of each pass of a channel block beside the next pass's filters."""
            passes = [times[*kind[:3], each, channels[place], place == 0] for each in filters]
            behind = 0
            if place + 1 < len(channels):
                behind = lead(kind, channels[place + 1], False)
            elif following is not None:
                behind = lead(following, channels[0], True)
            taken = [*(each.filter_ticks for each in passes[1:]), behind]
            return tuple(
                each.cycles * self.per_cycle - ticks
                for each, ticks in zip(passes, taken, strict=True)
            )

        last = len(channels) - 1
        blocks = []
        # Channel blocks with equal ones on both sides are equal.
        kinds = [(channels[place], channels[place + 1], place == 0, place) for place in range(last)]
        for _, equal in groupby(kinds, key=lambda each: each[:3]):
            alike = list(equal)
            place = alike[0][3]
            blocks.append(_ChannelBlocks(len(alike), loads[place], sum(spares(place))))
        return _MBlock(tuple(blocks), loads[last], spares(last), self.dumps(kind))

    def _first(self, block: _MBlock, times: PassTimes, kind: _Kind, cold_cycles: int) -> _MBlock:
        """Return the layer's first m-block, whose first pass also brings its own filters."""
        filters = self.plan.filter_blocks(kind[3])[0]
        usual = times[*kind[:3], filters, self.plan.channel_blocks[0], True]
        more = (cold_cycles - usual.cycles) * self.per_cycle - usual.filter_ticks
        if block.blocks:
            # The first channel block is always a run of its own.
            first = block.blocks[0]._replace(spare_ticks=block.blocks[0].spare_ticks + more)
            return _MBlock((first, *block.blocks[1:]), block.load_ticks, block.spares, block.dumps)
        spares = (block.spares[0] + more, *block.spares[1:])
        return _MBlock((), block.load_ticks, spares, block.dumps)

    # ---------------------------------------------------------------- each m-block

    def one_by_one(self, m_blocks: Iterator[tuple[PassTime, ...]]) -> DramStall:
        """Return the standstill where every pass has a time of its own."""
        kinds = self._kinds()
        kind: _Kind | None = next(kinds)
        waits, late = _Waits(), 0
        known: dict[tuple[int, _Kind], tuple[_MBlock, tuple[PassTime, ...]]] = {}
        for times in m_blocks:
            assert kind is not None
            following = next(kinds, None)
            key = (id(times), kind)
            if key not in known:
                known[key] = self._m_block(kind, times), times  # kept, so that its id stays its own
            next_load = self.loads(following[:3])[0] if following else 0
            found, late = self.serve(known[key][0], next_load, late)
            waits = waits.plus(found)
            kind = following
        return self._found(waits, late)

    def _m_block(self, kind: _Kind, times: tuple[PassTime, ...]) -> _MBlock:
        loads = self.loads(kind[:3])
        spares = [max(0, each.cycles * self.per_cycle - each.filter_ticks) for each in times]
        width = len(times) // len(loads)
        parts = [tuple(spares[first : first + width]) for first in range(0, len(spares), width)]
        blocks = (
            _ChannelBlocks(1, load, sum(part))
            for load, part in zip(loads[:-1], parts[:-1], strict=True)
        )
        return _MBlock(tuple(blocks), loads[-1], parts[-1], self.dumps(kind))


def _repeated(
    step: Callable[[_Before], tuple[_Waits, _Before]], times: int, before: _Before
) -> tuple[_Waits, _Before]:
    """Return repeat `step`, each from what the one before left; follow it until that comes back."""
    waits = _Waits()
    seen: dict[_Before, tuple[int, _Waits]] = {}
    done = 0
    while done < times:
        if before in seen:
            since, then = seen[before]
            turn = _Waits(waits.ifmap - then.ifmap, waits.ofmap - then.ofmap)
            rounds = (times - done) // (done - since)
            waits = waits.plus(turn, rounds)
            done += rounds * (done - since)
            seen = {}
            continue
        seen[before] = done, waits
        found, before = step(before)
        waits = waits.plus(found)
        done += 1
    return waits, before
