"""A mapping of Timeloop as a loop nest over a convolution, in the words of other mappings here.

Dimensions get their part by the data spaces that they index, not by their names: many files turn
R and S, or P and Q, round. The filter dimension that is spatial is the filter row; the ofmap
dimension that a rank adds to it is the ofmap row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sim.models.timeloop.architecture import Architecture
from sim.models.timeloop.mapping import Loop, Mapping
from sim.models.timeloop.nodes import Node
from sim.models.timeloop.problem import Problem

IN_PE = ("S", "C", "M")
"""Order of the loops of a PE, which is the chip's own: another one moves the same data."""


@dataclass(frozen=True)
class NestLoop:
    """A loop of `bound` even blocks of a dimension, the memory that it belongs to, its line."""

    dimension: str
    bound: int
    level: str
    node: Node
    name: str
    """Of the dimension in the file."""


@dataclass(frozen=True)
class Convolution:
    """Sizes by dimension, strides, and the loops from the outermost."""

    sizes: dict[str, int]
    vertical_stride: int
    horizontal_stride: int
    loops: tuple[NestLoop, ...]
    notes: tuple[str, ...]

    @property
    def ifmap(self) -> tuple[int, int]:
        """Rows and columns of the ifmap, padding among them: Timeloop knows none."""
        return (
            (self.sizes["E"] - 1) * self.vertical_stride + self.sizes["R"],
            (self.sizes["F"] - 1) * self.horizontal_stride + self.sizes["S"],
        )


def as_convolution(problem: Problem, architecture: Architecture, mapping: Mapping) -> Convolution:
    """Read problem and mapping as a convolution and its loops.

    A loop over channels outside the array divides DRAM from GLB: what is inside it is walked in a
    pass or between the passes of an m-block; without one the storage levels do.

    Raises:
        InputError: the problem is no convolution, or the filter rows are not side by side.

    """
    parts, strides = _parts(problem, mapping)
    sizes = dict.fromkeys(("G", "N", "M", "C", "E", "F", "R", "S"), 1)
    for dimension, part in parts.items():
        sizes[part] = problem.bounds[dimension]
    notes: list[str] = []
    loops = tuple(_loops(problem, architecture, mapping, parts, notes))
    return Convolution(sizes, *strides, loops, tuple(notes))


_Window = tuple[tuple[int, int], tuple[int, int]]
"""Filter and ofmap dimension of a rank of the inputs, each with its coefficient."""


def _rows(windows: Sequence[_Window], problem: Problem, mapping: Mapping) -> list[_Window]:
    """Return the windows that may be that of the rows: one, if all is well."""
    side_by_side = {loop.dimension for loop in mapping.loops if loop.spatial}
    rows = [window for window in windows if window[0][0] in side_by_side]
    if rows:
        return rows
    # A filter of one row has no loop to tell; its ofmap rows may have one.
    single = [window for window in windows if problem.bounds[window[0][0]] == 1]
    spatial = [window for window in single if window[1][0] in side_by_side]
    return spatial or single[:1]


def _parts(problem: Problem, mapping: Mapping) -> tuple[dict[int, str], tuple[int, int]]:
    result = next(space for space in problem.spaces if space.read_write)
    operands = [space for space in problem.spaces if not space.read_write]
    inputs = next((s for s in operands if any(len(rank) == 2 for rank in s.ranks)), None)
    if len(operands) != 2 or inputs is None:
        raise problem.node.refuse(
            "is no convolution: it needs two operands, one with ranks of a filter and an ofmap "
            "dimension"
        )
    weights = next(space for space in operands if space is not inputs)
    index = {
        name: {dimension for rank in space.ranks for dimension, _ in rank}
        for name, space in (("O", result), ("I", inputs), ("W", weights))
    }
    parts: dict[int, str] = {}
    windows: list[_Window] = []
    for rank in inputs.ranks:
        if len(rank) < 2:
            continue
        of_filter = [term for term in rank if term[0] in index["W"] - index["O"]]
        of_result = [term for term in rank if term[0] in index["O"] - index["W"]]
        if len(rank) > 2 or len(of_filter) != 1 or len(of_result) != 1:
            raise problem.node.refuse(f"{inputs.name}: a rank must add a filter and an ofmap size")
        if of_filter[0][1] != 1:
            raise problem.node.refuse("dilated filters are not of this machine")
        windows.append((of_filter[0], of_result[0]))
    rows = _rows(windows, problem, mapping)
    if len(windows) > 2 or len(rows) != 1:
        names = " and ".join(problem.dimensions[window[0][0]] for window in windows)
        which = "both are" if len(rows) > 1 else "neither is" if len(windows) > 1 else "it is not"
        raise mapping.node.refuse(
            f"not row stationary: each PE keeps a row of a filter, so one of {names} must be "
            f"spatial; {which}"
        )
    strides = {"E": 1, "F": 1}
    for window in windows:
        filter_part, ofmap_part = ("R", "E") if window is rows[0] else ("S", "F")
        parts[window[0][0]], parts[window[1][0]] = filter_part, ofmap_part
        strides[ofmap_part] = window[1][1]
    by_index = {"OIW": "G", "OI": "N", "OW": "M", "IW": "C"}
    for dimension, name in enumerate(problem.dimensions):
        if dimension in parts or problem.bounds[dimension] == 1:
            continue
        key = "".join(each for each in "OIW" if dimension in index[each])
        if key not in by_index or by_index[key] in parts.values():
            raise problem.node.refuse(f"{name} has no part in a convolution of this machine")
        parts[dimension] = by_index[key]
    return parts, (strides["E"], strides["F"])


def _loops(
    problem: Problem,
    architecture: Architecture,
    mapping: Mapping,
    parts: dict[int, str],
    notes: list[str],
) -> Iterator[NestLoop]:
    placed = [
        (loop, node)
        for loop, node in zip(mapping.loops[::-1], mapping.places[::-1], strict=True)
        if loop.end > 1
    ]
    outermost = len(architecture.levels) - 1
    # The array is inside the innermost level with a fan-out, even where nothing is spread on it.
    array = next(
        (level for level in range(outermost) if architecture.fanout(level) != (1, 1)), outermost
    )
    spatial = [each for each in placed if each[0].spatial]
    outside = [each for each in placed if each[0].level >= array and not each[0].spatial]
    inside = [each for each in placed if each[0].level < array]
    channels = next(
        (place for place, (loop, _) in enumerate(outside) if parts[loop.dimension] == "C"), None
    )

    def made(loop: Loop, node: Node, level: str) -> NestLoop:
        name = problem.dimensions[loop.dimension]
        return NestLoop(parts[loop.dimension], loop.end, level, node, name)

    walked: list[NestLoop] = []
    by_pass: list[NestLoop] = []
    for place, (loop, node) in enumerate(outside):
        held_in_dram = place < channels if channels is not None else loop.level == outermost
        if held_in_dram:
            yield made(loop, node, "DRAM")
        elif parts[loop.dimension] in ("N", "F"):
            walked.append(made(loop, node, "PE"))
        elif walked:
            name, around = problem.dimensions[loop.dimension], walked[0].name
            raise node.refuse(
                f"not row stationary: {name} goes on inside {around}, but a pass walks all of "
                f"{around} with the same filters and channels"
            )
        else:
            by_pass.append(made(loop, node, "GLB"))
    yield from by_pass
    yield from (made(loop, node, "array") for loop, node in spatial)
    yield from walked
    yield from _in_pe([made(loop, node, "PE") for loop, node in inside], notes)


def _in_pe(loops: list[NestLoop], notes: list[str]) -> list[NestLoop]:
    if any(loop.dimension not in IN_PE for loop in loops):
        return list(loops)  # walked by the pass, so that their place says something
    ordered = sorted(loops, key=lambda loop: IN_PE.index(loop.dimension))
    if ordered != loops:
        names = ", ".join(loop.name for loop in ordered)
        notes.append(
            f"A PE of this chip walks {names}, from the outside; the file has another "
            "order, of the same counts."
        )
    return ordered
