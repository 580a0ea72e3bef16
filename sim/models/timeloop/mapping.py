"""Timeloop's mappings: factors, orders and bypasses of each level, and the loops that they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Final, Literal

from sim.models.timeloop.architecture import Architecture
from sim.models.timeloop.nodes import Node
from sim.models.timeloop.problem import Problem
from workloads.inputs.faults import MAX_FAULTS, Fault, InputError
from workloads.inputs.words import shown, unknown_name

MOST_SPATIAL: Final = 2**16
"""Most instances side by side that are compared with each other."""

_BYPASS = ("bypass", "bypassing", "datatype", "dataspace")
_UNMODELLED = ("no_coalesce", "rmw_first_update")
_FACTOR = re.compile(
    r"\s*(?P<name>[A-Za-z][A-Za-z_]*)\s*=?\s*(?P<end>[0-9]{1,12})(?P<last>,[0-9]+)?[\s,]*"
)

Axis = Literal["T", "X", "Y"]


@dataclass(frozen=True)
class Loop:
    """A loop of `end` steps over a dimension, at a storage level, in time or along an axis."""

    dimension: int
    end: int
    axis: Axis
    level: int
    boundary: bool = False
    """Whether it is the outermost of its level, whose tile the level holds."""

    @property
    def spatial(self) -> bool:
        """Whether its steps are side by side."""
        return self.axis != "T"


@dataclass
class _Tiling:
    """What a mapping says of a level, in time or in space."""

    node: Node | None = None
    factors: dict[int, int] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    split: int | None = None


@dataclass(frozen=True)
class Mapping:
    """Loops from the innermost to the outermost, and the data spaces that each level keeps."""

    node: Node
    loops: tuple[Loop, ...]
    places: tuple[Node, ...]
    """Where the file says so, for each loop."""

    keep: tuple[frozenset[int], ...]
    no_multicast: tuple[frozenset[int], ...]
    no_links: tuple[frozenset[int], ...]
    no_reuse: tuple[frozenset[int], ...]

    def at(self, level: int) -> list[Loop]:
        """Return the loops of a level, innermost first."""
        return [loop for loop in self.loops if loop.level == level]


def read_mapping(node: Node, problem: Problem, architecture: Architecture) -> Mapping:
    """Read the value of the key `mapping`.

    Raises:
        InputError: a directive is wrong, factors do not make a bound, or a fan-out is exceeded.

    """
    return _Reader(node, problem, architecture).read()


class _Reader:
    def __init__(self, node: Node, problem: Problem, architecture: Architecture) -> None:
        self.node, self.problem, self.architecture = node, problem, architecture
        levels = architecture.levels
        everything = frozenset(range(len(problem.spaces)))
        self.temporal = [_Tiling() for _ in levels]
        self.spatial = [_Tiling() for _ in levels]
        self.keep = [frozenset() if level.redirected else everything for level in levels]
        self.no_multicast, self.no_links, self.no_reuse = (
            [frozenset[int]() for _ in levels] for _ in range(3)
        )
        self.space_names = [space.name for space in problem.spaces]

    def read(self) -> Mapping:
        for bypass in self.architecture.bypasses:
            level = self._named(bypass.level, bypass.node)
            self._bypass(bypass.node, level)
        faults: list[Fault] = []
        for directive in self.node.items():
            try:
                self._directive(directive)
            except InputError as error:
                faults += error.faults
        if faults:
            raise InputError(*faults[:MAX_FAULTS])
        self._complete()
        loops, places = self._loops()
        for place, space in enumerate(self.problem.spaces):
            if not any(place in kept for kept in self.keep):
                raise self.node.refuse(f"{space.name} is bypassed at all levels; one must keep it")
        return Mapping(
            self.node,
            loops,
            places,
            tuple(self.keep),
            tuple(self.no_multicast),
            tuple(self.no_links),
            tuple(self.no_reuse),
        )

    def _directive(self, node: Node) -> None:
        type_node = node.need("type")
        kind = type_node.text()
        target = node.need("target")
        for key in _UNMODELLED:
            if node.get(key) is not None:
                raise node.need(key).refuse(f"{key} is not modelled; leave it out")
        if kind == "temporal":
            level = self._level(target)
            if self.architecture.levels[level].redirected is not None:
                raise target.refuse("is a fan-out, which has spatial loops alone")
            self._tiling(node, self.temporal[level])
            self._spaces(node, "no_temporal_reuse", self.no_reuse, level)
            self._spaces(node, "no_reuse", self.no_reuse, level)
        elif kind == "spatial":
            level = self._spatial_level(target)
            if self.architecture.fanout(level) == (1, 1):
                name = self.architecture.levels[level].name
                raise target.refuse(f"{name} has no fan-out, so no spatial loops")
            self._tiling(node, self.spatial[level])
            split = node.get("split")
            if split is not None:
                self.spatial[level].split = split.whole(0)
            self._spaces(node, "no_link_transfer", self.no_links, level)
            self._spaces(node, "no_multicast_no_reduction", self.no_multicast, level)
        elif kind in _BYPASS:
            self._bypass(node, self._level(target))
        elif kind == "skew":
            raise type_node.refuse("skewed loops are not modelled")
        else:
            raise type_node.refuse(f"must be temporal, spatial or bypass, got {shown(kind)}")

    def _level(self, target: Node) -> int:
        if isinstance(target.data, int) and not isinstance(target.data, bool):
            return target.whole(0, most=len(self.architecture.levels) - 1)
        return self._named(target.text(), target)

    def _named(self, name: str, node: Node) -> int:
        names = [level.name for level in self.architecture.levels]
        if name not in names:
            raise node.refuse(unknown_name("storage level", name, reversed(names)))
        return names.index(name)

    def _spatial_level(self, target: Node) -> int:
        for place, level in enumerate(self.architecture.levels):
            if level.redirected is not None and level.redirected == target.data:
                return place
        return self._level(target)

    def _bypass(self, node: Node, level: int) -> None:
        for key, add in (("keep", True), ("bypass", False)):
            listed = node.get(key)
            if listed is None:
                continue
            chosen = frozenset(self._space(each, listed) for each in listed.names())
            self.keep[level] = self.keep[level] | chosen if add else self.keep[level] - chosen
        for key in _UNMODELLED:
            if node.get(key) is not None and node.need(key).data not in ([], False):
                raise node.need(key).refuse(f"{key} is not modelled; leave it out")

    def _spaces(self, node: Node, key: str, into: list[frozenset[int]], level: int) -> None:
        listed = node.get(key)
        if listed is not None:
            into[level] |= {self._space(each, listed) for each in listed.names()}

    def _space(self, name: str, node: Node) -> int:
        if name not in self.space_names:
            raise node.refuse(unknown_name("data space", name, self.space_names))
        return self.space_names.index(name)

    def _dimension(self, name: str, node: Node) -> int:
        if name not in self.problem.dimensions:
            raise node.refuse(unknown_name("dimension", name, self.problem.dimensions))
        return self.problem.dimensions.index(name)

    def _tiling(self, node: Node, tiling: _Tiling) -> None:
        if tiling.node is not None:
            first = tiling.node.fault("").line
            raise node.refuse(f"is the second one of its level and type, after line {first}")
        tiling.node = node
        factors = node.get("factors")
        for name, end in self._factors(factors) if factors is not None else ():
            assert factors is not None
            dimension = self._dimension(name, factors)
            if dimension in tiling.factors:
                raise factors.refuse(f"has two factors of {name}")
            tiling.factors[dimension] = end
        order = node.get("permutation")
        for name in self._order(order) if order is not None else ():
            assert order is not None
            dimension = self._dimension(name, order)
            if dimension in tiling.order:
                raise order.refuse(f"has {name} twice")
            tiling.order.append(dimension)

    def _factors(self, node: Node) -> Iterator[tuple[str, int]]:
        if isinstance(node.data, dict):
            for name, each in node.entries():
                yield name, each.whole(0)
            return
        for each in node.items() if isinstance(node.data, list) else [node]:
            text = each.text()
            if "<" in text or ">" in text:
                raise each.refuse(f"{shown(text)}: a bound for the mapper; give the factor itself")
            start = 0
            while start < len(text):
                match = _FACTOR.match(text, start)
                if match is None:
                    raise each.refuse(f"{shown(text[start:])}: expected NAME=FACTOR")
                if match["last"]:
                    raise each.refuse(
                        f"{shown(match[0].strip())}: imperfect factors are not modelled"
                    )
                yield match["name"], int(match["end"])
                start = match.end()

    def _order(self, node: Node) -> list[str]:
        if isinstance(node.data, str) and not set(node.data) & set(" ,"):
            if all(len(name) == 1 for name in self.problem.dimensions):
                return list(node.text())
            return [node.text()]
        return node.names()

    def _complete(self) -> None:
        """Set factors of 0 to what the others leave, and check that all make up the bounds."""
        tilings = [*self.temporal, *self.spatial]
        faults = []
        for dimension, bound in enumerate(self.problem.bounds):
            name = self.problem.dimensions[dimension]
            given = [each for each in tilings if dimension in each.factors]
            made = prod(each.factors[dimension] for each in given if each.factors[dimension])
            whole = [each for each in given if each.factors[dimension] == 0]
            if len(whole) == 1 and bound % made == 0:
                whole[0].factors[dimension] = bound // made
            elif whole or made != bound:
                last = given[-1].node if given else None
                message = f"the factors of {name} make {made}, its bound is {bound}"
                faults.append((last or self.node).fault(message))
        if faults:
            raise InputError(*faults[:MAX_FAULTS])

    def _ordered(self, tiling: _Tiling) -> list[int]:
        rest = [each for each in range(len(self.problem.bounds)) if each not in tiling.order]
        return tiling.order + rest

    def _loops(self) -> tuple[tuple[Loop, ...], tuple[Node, ...]]:
        loops: list[Loop] = []
        places: list[Node] = []
        for level in range(len(self.architecture.levels)):
            tiling = self.spatial[level]
            spatial = list(self._spatial_loops(level)) if tiling.node is not None else []
            loops += spatial
            places += [tiling.node or self.node] * len(spatial)
            tiling = self.temporal[level]
            temporal = [
                Loop(each, tiling.factors[each], "T", level)
                for each in self._ordered(tiling)
                if tiling.factors.get(each, 1) > 1
            ]
            # A level without loops gets one of a single step: something must hold its tile.
            temporal = temporal or [Loop(len(self.problem.bounds) - 1, 1, "T", level)]
            last = temporal[-1]
            temporal[-1] = Loop(last.dimension, last.end, "T", level, boundary=True)
            loops += temporal
            places += [tiling.node or self.node] * len(temporal)
        return tuple(loops), tuple(places)

    def _spatial_loops(self, level: int) -> Iterator[Loop]:
        tiling = self.spatial[level]
        assert tiling.node is not None
        split = len(self.problem.bounds) if tiling.split is None else tiling.split
        loops = [
            Loop(each, tiling.factors[each], "X" if place < split else "Y", level)
            for place, each in enumerate(self._ordered(tiling))
            if tiling.factors.get(each, 1) > 1
        ]
        for axis, limit in zip("XY", self.architecture.fanout(level), strict=True):
            used = _product(loops, axis)
            if used > limit:
                name = self.architecture.levels[level].name
                message = f"{used} instances along {axis} exceed the fan-out {limit} of {name}"
                raise tiling.node.refuse(message)
        if prod(loop.end for loop in loops) > MOST_SPATIAL:
            raise tiling.node.refuse(f"has more than {MOST_SPATIAL} instances side by side")
        yield from loops


def _product(loops: Sequence[Loop], axis: str) -> int:
    return prod(loop.end for loop in loops if loop.axis == axis)
