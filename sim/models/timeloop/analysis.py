"""Timeloop's nest analysis: what each loop hands to the loop inside, at each of its steps.

The program walks the nest, but not all of it: of a temporal loop it takes the first step and the
second, which stands for all later ones; of spatial loops the first instance, of which the others
are translations. All data are boxes, so the position of a tile and how it moved since the last
step say everything: a tile less the one before it is what a step brings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final

from sim.models.timeloop.mapping import Loop, Mapping
from sim.models.timeloop.problem import DataSpace, Problem

MOST_LOOPS: Final = 18
"""Temporal loops of more than one step in a mapping: the walk takes two steps of each."""

Point = tuple[int, ...]
Box = tuple[tuple[int, int], ...]


@dataclass
class Access:
    """Words sent in groups of one size, and the hops of a group times its words."""

    words: float = 0.0
    hops: float = 0.0


@dataclass
class Traffic:
    """What a loop hands inside: accesses by (instances of a group, groups), and link transfers."""

    accesses: dict[tuple[int, int], Access] = field(default_factory=dict)
    links: int = 0

    @property
    def words(self) -> float:
        """Words read, whatever number of instances gets each."""
        return sum(access.words for access in self.accesses.values())

    @property
    def delivered(self) -> float:
        """Words as the instances get them."""
        return sum(access.words * group for (group, _), access in self.accesses.items())

    @property
    def hops(self) -> float:
        """Hops of a word, on average."""
        words = self.words
        return sum(access.hops for access in self.accesses.values()) / words if words else 0.0

    def add(self, group: int, groups: int, words: int, hops: float = 0.0) -> None:
        """Add `words` sent to `groups` groups of `group` instances."""
        access = self.accesses.setdefault((group, groups), Access())
        access.words += words
        access.hops += hops * words


@dataclass(frozen=True)
class _Delta:
    """A set of words: its lowest corner, its boxes as seen from there, and its size."""

    corner: Point
    shape: frozenset[Box]
    size: int


@dataclass(frozen=True)
class _Groups:
    """Instances that want the same words: for each size of group, how many and their hops."""

    sizes: tuple[tuple[int, int, float], ...]
    linked: int = 0

    @property
    def words(self) -> int:
        return sum(groups for _, groups, _ in self.sizes)


class _Run:
    """The spatial loops of a level: where each instance stands, and how its data are shifted."""

    def __init__(
        self,
        space: DataSpace,
        loops: Sequence[tuple[Loop, int]],
        fanout: tuple[int, int],
        multicast: bool,
        links: bool,
    ) -> None:
        """Take loops from the outermost in, each with its step, and the fan-out of the level."""
        shifts: list[Point] = [(0,) * len(space.ranks)]
        for loop, step in loops:
            move = space.shift(loop.dimension, step)
            shifts = [
                tuple(part + index * by for part, by in zip(shift, move, strict=True))
                for shift in shifts
                for index in range(loop.end)
            ]
        self.shifts = shifts
        self.multicast, self.links = multicast, links
        mapped_x = prod(loop.end for loop, _ in loops if loop.axis == "X")
        mapped_y = prod(loop.end for loop, _ in loops if loop.axis == "Y")
        self.columns = max(fanout[0], mapped_x)
        self.rows = max(fanout[1], mapped_y)
        self.all = self._grouped(frozenset())
        self._by_move: dict[Point, _Groups] = {}
        self._neighbours = self._moves() if links else {}

    def _moves(self) -> dict[Point, set[int]]:
        """Return by difference of shifts the instances that have such a neighbour."""
        found: dict[Point, set[int]] = {}
        for index, shift in enumerate(self.shifts):
            row, column = divmod(index, self.columns)
            for near_row, near_column in (
                (row - 1, column),
                (row + 1, column),
                (row, column - 1),
                (row, column + 1),
            ):
                near = near_row * self.columns + near_column
                inside = 0 <= near_row < self.rows and 0 <= near_column < self.columns
                if inside and near < len(self.shifts):
                    move = _minus(shift, self.shifts[near])
                    found.setdefault(move, set()).add(index)
        return found

    def groups(self, now: _Delta, before: _Delta | None) -> _Groups:
        """Return the groups of a step: with links where these save accesses."""
        if not self.links or before is None or before.shape != now.shape:
            return self.all
        # An instance can get its words from a neighbour that got the same ones a step before.
        move = _minus(before.corner, now.corner)
        if move not in self._by_move:
            linked = self._neighbours.get(move)
            grouped = self._grouped(frozenset(linked)) if linked else self.all
            self._by_move[move] = grouped if grouped.words < self.all.words else self.all
        return self._by_move[move]

    def _grouped(self, linked: frozenset[int]) -> _Groups:
        equal: dict[Point | int, list[int]] = {}
        for index, shift in enumerate(self.shifts):
            if index not in linked:
                equal.setdefault(shift if self.multicast else index, []).append(index)
        by_size: dict[int, list[float]] = {}
        for members in equal.values():
            by_size.setdefault(len(members), []).append(self._hops(members))
        return _Groups(
            tuple((size, len(hops), sum(hops) / len(hops)) for size, hops in by_size.items()),
            len(linked),
        )

    def _hops(self, members: Sequence[int]) -> float:
        """Return the hops of a multicast: along a row from its middle on the left, then columns."""
        center = (self.rows - 1) / 2
        ends: dict[int, tuple[int, int]] = {}
        for index in members:
            row, column = divmod(index, self.columns)
            low, high = ends.get(column, (row, row))
            ends[column] = min(low, row), max(high, row)
        vertical = sum(max(center - low, 0) + max(high - center, 0) for low, high in ends.values())
        return max(ends) + vertical


@dataclass
class _State:
    """What a loop remembers of a data space from step to step."""

    last: Point | None = None
    move: Point | None = None
    before: _Delta | None = None  # handed to the first instance of a spatial run


@dataclass(frozen=True)
class SpaceAnalysis:
    """A data space: by loop, the size of its tile and what it hands inside."""

    sizes: tuple[int, ...]
    traffic: tuple[Traffic, ...]


def analyse(
    problem: Problem,
    mapping: Mapping,
    fanouts: Sequence[tuple[int, int]],
    *,
    stationary_keeps: bool,
) -> list[SpaceAnalysis]:
    """Walk the nest for each data space.

    Args:
        problem: Dimensions and data spaces.
        mapping: Loops.
        fanouts: Fan-out along X and Y of each storage level.
        stationary_keeps: Whether a tile that stays where it was leaves the remembered move alone
            (the program since January 2025) or counts as a move of its own (version 3.0).

    """
    return [
        _Walk(problem, mapping, place, fanouts, stationary_keeps).result()
        for place in range(len(problem.spaces))
    ]


class _Walk:
    def __init__(
        self,
        problem: Problem,
        mapping: Mapping,
        place: int,
        fanouts: Sequence[tuple[int, int]],
        stationary_keeps: bool,
    ) -> None:
        self.space = problem.spaces[place]
        self.stationary_keeps = stationary_keeps
        self.loops = mapping.loops
        sizes = [1] * len(problem.bounds)
        self.steps: list[int] = []  # how far a step of each loop goes along its dimension
        self.extents: list[Point] = []
        for loop in self.loops:
            self.steps.append(sizes[loop.dimension])
            sizes[loop.dimension] *= loop.end
            self.extents.append(self.space.extents(sizes))
        self.moves = [
            self.space.shift(loop.dimension, step)
            for loop, step in zip(self.loops, self.steps, strict=True)
        ]
        self.sizes = [prod(extent) for extent in self.extents]
        self.reuse = [place not in mapping.no_reuse[loop.level] for loop in self.loops]
        self.states = [_State() for _ in self.loops]
        self.traffic = [Traffic() for _ in self.loops]
        self.runs: dict[int, tuple[_Run, int]] = {}
        for index, loop in enumerate(self.loops):
            if self._is_master(index):
                first = index
                while first > 0 and self.loops[first - 1].spatial:
                    first -= 1
                run = _Run(
                    self.space,
                    [(self.loops[each], self.steps[each]) for each in range(index, first - 1, -1)],
                    fanouts[loop.level],
                    place not in mapping.no_multicast[loop.level],
                    place not in mapping.no_links[loop.level],
                )
                self.runs[index] = run, first
        self.origin = (0,) * len(self.space.ranks)

    def _is_master(self, index: int) -> bool:
        outer = index + 1
        return self.loops[index].spatial and not (
            outer < len(self.loops) and self.loops[outer].spatial
        )

    def result(self) -> SpaceAnalysis:
        self._delta(len(self.loops) - 1, self.origin, 1)
        return SpaceAnalysis(tuple(self.sizes), tuple(self.traffic))

    def _delta(self, index: int, at: Point, epochs: int) -> _Delta | None:
        """Run a loop with its tile at a place, and return what the tile brings; None for nothing.

        `epochs` is how many runs of the whole nest this one stands for.
        """
        if index < 0:  # a compute unit: one word, always asked for
            unit = ((0, 1),) * len(at)
            return _Delta(at, frozenset([unit]), 1)
        if index in self.runs:
            self._spatial(index, at, epochs)
        else:
            self._temporal(index, at, epochs)
        return self._reused(index, at)

    def _temporal(self, index: int, at: Point, epochs: int) -> None:
        loop, traffic = self.loops[index], self.traffic[index]
        if index == 0:
            traffic.add(1, 1, loop.end * epochs)
            return
        handed = 0
        first = self._delta(index - 1, at, epochs)
        if first is not None:
            handed += first.size * epochs
        if loop.end > 1:
            later = epochs * (loop.end - 1)
            second = self._delta(index - 1, _plus(at, self.moves[index]), later)
            if second is not None:
                handed += second.size * later
        if self.loops[index - 1].boundary:
            traffic.add(1, 1, handed)

    def _spatial(self, index: int, at: Point, epochs: int) -> None:
        run, first = self.runs[index]
        state, traffic = self.states[index], self.traffic[index]
        delta = self._delta(first - 1, at, epochs)
        if delta is not None:
            groups = run.groups(delta, state.before)
            for size, many, hops in groups.sizes:
                traffic.add(size, many, many * delta.size * epochs, hops)
            traffic.links += groups.linked * delta.size * epochs
        state.before = delta

    def _reused(self, index: int, at: Point) -> _Delta | None:
        """Return the tile less the one of the last step, if it moved as it did before."""
        extent, state = self.extents[index], self.states[index]
        if not self.reuse[index]:
            return _difference(at, extent, None)
        move = None if state.last is None else _minus(at, state.last)
        state.last = at
        if self.stationary_keeps and (move is None or not any(move)):
            return _difference(at, extent, move)
        if state.move is None or move == state.move:
            state.move = move
            return _difference(at, extent, move)
        state.move = None
        return _difference(at, extent, None)


def _difference(at: Point, extent: Point, move: Point | None) -> _Delta | None:
    """Return a box less the same box `move` before; all of it where `move` is None."""
    if move is None or any(abs(by) >= size for by, size in zip(move, extent, strict=True)):
        whole = tuple((0, size) for size in extent)
        return _Delta(at, frozenset([whole]), prod(extent))
    boxes: list[list[tuple[int, int]]] = []
    middle = [(0, size) for size in extent]
    for rank, (by, size) in enumerate(zip(move, extent, strict=True)):
        if by == 0:
            continue
        # The box before goes from -by to size - by.
        new = (size - by, size) if by > 0 else (0, -by)
        boxes.append([*middle[:rank], new, *middle[rank + 1 :]])
        middle[rank] = (0, size - by) if by > 0 else (-by, size)
    if not boxes:
        return None
    low = tuple(min(box[rank][0] for box in boxes) for rank in range(len(extent)))
    shape = frozenset(
        tuple((start - by, end - by) for (start, end), by in zip(box, low, strict=True))
        for box in boxes
    )
    return _Delta(_plus(at, low), shape, sum(prod(e - s for s, e in box) for box in shape))


def _plus(left: Point, right: Point) -> Point:
    return tuple(a + b for a, b in zip(left, right, strict=True))


def _minus(left: Point, right: Point) -> Point:
    return tuple(a - b for a, b in zip(left, right, strict=True))
