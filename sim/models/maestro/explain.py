"""MAESTRO's directives in words: what is spatial, what is reused where, which dataflow it is."""

from __future__ import annotations

from collections.abc import Iterator

from sim.models.maestro.analysis import states_of
from sim.models.maestro.levels import SLIDING, Level, Map, Nest

_NAMES = {
    "N": "images",
    "G": "groups",
    "K": "filters",
    "C": "channels",
    "Y": "ifmap rows",
    "X": "ifmap columns",
    "R": "filter rows",
    "S": "filter columns",
}
_GEMM_NAMES = {"M": "rows of A", "K": "columns of A", "N": "columns of B"}


def explain(nest: Nest, kind: str, pes: int) -> list[str]:
    """Return sentences about a layer of type `kind` on `pes` PEs, one an entry."""
    names = _GEMM_NAMES if kind == "GEMM" else _NAMES
    found = [f"It is {dataflow(nest)}."]
    sizes = dict(nest.sizes)
    used = 1
    for place, level in enumerate(nest.levels):
        used *= level.clusters
        found += _level(nest, level, place, sizes, names)
        sizes = {each.variable: min(each.size, sizes[each.variable]) for each in level.maps}
    if used < pes:
        found.append(f"{pes - used} of {pes} PEs are in no cluster: {used} divide evenly.")
    found.append(
        "MAESTRO knows no array of rows and columns, no DRAM accesses and no psum bus: clusters "
        "need only be few enough."
    )
    return found


def dataflow(nest: Nest) -> str:
    """Name the dataflow by what stays in a PE while its innermost loop runs."""
    innermost = nest.levels[-1]
    spatial = {each.variable for each in innermost.maps if each.spatial}
    rows = [each for each in innermost.maps if each.spatial and each.variable in "YR"]
    if spatial == {"Y", "R"} and all(each.size == each.offset == 1 for each in rows):
        return "row stationary: a PE holds a filter row, and the diagonal of a set an ifmap row"
    moving = _innermost_loop(nest)
    if moving is None:
        return "without a loop in time: every PE gets its data once"
    tensors = nest.tensors
    kept = [
        name
        for name, variables in (
            ("weight", tensors.filter),
            ("output", tensors.output),
            ("input", tensors.input),
        )
        if moving not in variables
    ]
    if not kept:
        return f"no local reuse: each step of the innermost loop, over {moving}, moves every tensor"
    return f"{' and '.join(kept)} stationary: the innermost loop runs over {moving}"


def _innermost_loop(nest: Nest) -> str | None:
    """Return the dimension of the innermost map that takes more than one step, if any does."""
    sizes = dict(nest.sizes)
    found = None
    for level in nest.levels:
        states = states_of(level, tuple(sizes[each.variable] for each in level.maps))
        for each, kinds in zip(level.maps, states, strict=True):
            if len(kinds) > 1:
                found = each.variable
        sizes = {each.variable: min(each.size, sizes[each.variable]) for each in level.maps}
    return found


def _steps(each: Map, whole: int, clusters: int) -> int:
    wide = each.size + each.offset * (clusters - 1) if each.spatial else each.size
    stride = each.offset * clusters if each.spatial else each.offset
    return 1 if whole <= wide else 1 + -(-(whole - wide) // stride)


def _level(
    nest: Nest, level: Level, place: int, sizes: dict[str, int], names: dict[str, str]
) -> Iterator[str]:
    what = "PEs" if place == len(nest.levels) - 1 else "clusters"
    spatial = [each for each in level.maps if each.spatial]
    shared = " and ".join(
        f"{names.get(each.variable, each.variable)} ({each.variable}), {each.size} each"
        + (f" and {each.offset} apart" if each.offset != each.size else "")
        for each in spatial
    )
    yield f"Level {place}: {level.clusters} {what} side by side share {shared}."
    loops = [
        f"{each.variable} {_steps(each, sizes[each.variable], level.clusters)} x {each.size}"
        for each in level.maps
        if _steps(each, sizes[each.variable], level.clusters) > 1
    ]
    if loops:
        yield f"  Its loops, outermost first: {', '.join(loops)}."
    variables = {each.variable for each in spatial}
    once, summed = [], variables.isdisjoint(nest.tensors.output)
    for name, tensor in (("input", nest.tensors.input), ("filter", nest.tensors.filter)):
        if variables.isdisjoint(tensor):
            once.append(name)
    if once:
        yield f"  {' and '.join(once).capitalize()}: multicast, the same for all of them."
    if any(SLIDING.get(each.variable) in variables for each in spatial):
        yield "  Output: psums of a row are summed across the PEs, each with its filter row."
    elif summed:
        yield "  Output: all of them add to the same psums."
