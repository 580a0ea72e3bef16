"""A mapping of Timeloop in words: what is side by side, what stays where, which dataflow it is."""

from __future__ import annotations

from collections.abc import Iterator

from sim.models.timeloop.counts import Evaluation, LevelCounts
from sim.models.timeloop.mapping import Loop
from sim.models.timeloop.problem import DataSpace, Problem


def explain(evaluation: Evaluation) -> list[str]:
    """Return sentences about a mapping, one an entry."""
    sentences = [f"It is {dataflow(evaluation)}."]
    for place in reversed(range(len(evaluation.levels))):
        sentences += _level(evaluation, place)
    unit = evaluation.architecture.compute
    sentences.append(
        f"{evaluation.used} of {unit.instances} compute units work; cycles are the computes of "
        "one of them, or what a level's bandwidth takes if that is longer."
    )
    return sentences


def dataflow(evaluation: Evaluation) -> str:
    """Name the dataflow by what stays in a PE while its innermost loop runs."""
    problem, loops = evaluation.problem, evaluation.mapping.loops
    side_by_side = {loop.dimension for loop in loops if loop.spatial}
    if any(pair <= side_by_side for pair in _sliding(problem)):
        return (
            "row stationary: a PE holds a filter row, and a diagonal of PEs needs the same ifmap "
            "row"
        )
    inner = next((loop for loop in loops if not loop.spatial and loop.end > 1), None)
    if inner is None:
        return "without a loop in time: every compute unit works once"
    name = problem.dimensions[inner.dimension]
    kept = [space.name for space in problem.spaces if not _depends(space, inner.dimension)]
    if not kept:
        return f"without local reuse: the innermost loop, over {name}, moves every data space"
    return f"{' and '.join(kept)} stationary: the innermost loop runs over {name}"


def _sliding(problem: Problem) -> Iterator[frozenset[int]]:
    """Yield pairs of dimensions that one rank adds up, as filter rows and ofmap rows."""
    for space in problem.spaces:
        for rank in space.ranks:
            if len(rank) == 2:  # a pair
                yield frozenset(dimension for dimension, _ in rank)


def _depends(space: DataSpace, dimension: int) -> bool:
    return any(each == dimension for rank in space.ranks for each, _ in rank)


def _listed(problem: Problem, loops: list[Loop]) -> str:
    return ", ".join(f"{problem.dimensions[loop.dimension]} {loop.end}" for loop in loops[::-1])


def _level(evaluation: Evaluation, place: int) -> Iterator[str]:
    level, problem = evaluation.levels[place], evaluation.problem
    loops = [loop for loop in evaluation.mapping.at(place) if loop.end > 1]
    temporal = [loop for loop in loops if not loop.spatial]
    spatial = [loop for loop in loops if loop.spatial]
    held = [f"{each.space} ({each.size:,} words)" for each in level.held if each.kept]
    if not held and not loops:
        return
    yield f"{level.storage.name} holds {', '.join(held) or 'nothing'}."
    if temporal:
        yield f"  Its loops in time, outermost first: {_listed(problem, temporal)}."
    if spatial:
        axes = [
            f"{_listed(problem, [loop for loop in spatial if loop.axis == axis])} along {axis}"
            for axis in "XY"
            if any(loop.axis == axis for loop in spatial)
        ]
        yield f"  Side by side: {'; '.join(axes)}."
        yield from _shared(level, problem, spatial)


def _shared(level: LevelCounts, problem: Problem, spatial: list[Loop]) -> Iterator[str]:
    many = level.networks[0].fanout
    for space, network in zip(problem.spaces, level.networks, strict=True):
        if not network.traffic.accesses:
            continue
        if space.read_write:
            if network.multicast > 1:
                yield f"  {space.name}: summed over {network.multicast} instances on their way out."
        elif network.multicast > 1:
            yield f"  {space.name}: a word goes to up to {network.multicast} of {many} instances."
        elif not any(_depends(space, loop.dimension) for loop in spatial):
            yield f"  {space.name}: each of {many} instances reads it for itself."
        elif network.traffic.links:
            yield f"  {space.name}: handed on between neighbours."
        else:
            yield f"  {space.name}: a part of its own for each instance."
