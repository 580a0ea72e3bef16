"""From the directives of a layer to the cluster levels that are analysed, with their static sizes.

Each Cluster begins a new level. A level has a directive for every dimension of the layer: what a
dataflow leaves out is taken over from the level above, or held whole. All divisions are C's.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Final

from sim.errors import InputError
from sim.models.maestro.language import Directive, Layer, Network
from workloads.inputs.words import shown

MOST_LEVELS: Final = 4

_TENSORS: Final = {
    "CONV": ("CYX", "KCRS", "KYX"),
    "DSCONV": ("CYX", "CRS", "CYX"),
    "NGCONV": ("GCYX", "GKCRS", "GKCYX"),
    "GEMM": ("MK", "KN", "MN"),
}
# The output's rows and columns are measured through the input's and the filter's.
SLIDING: Final = {"Y": "R", "X": "S"}


@dataclass(frozen=True, slots=True)
class Tensors:
    """The dimensions of a layer's tensors, in the order in which their sizes are multiplied."""

    input: str
    filter: str
    output: str
    variables: str
    """All dimensions of input and filter, in alphabetical order."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a directive maps of its dimension: whole steps, the last one, and what is new in each.

    `mapped` and `edge` are sizes, `fresh` and `edge_fresh` the part that the step before had not.
    """

    mapped: int
    edge: int
    fresh: int
    edge_fresh: int


@dataclass(frozen=True, slots=True)
class Map:
    """A directive of a level: its own extent and, for a sliding dimension, that of the output."""

    spatial: bool
    size: int
    offset: int
    variable: str
    extent: Extent
    output: Extent


@dataclass(frozen=True)
class Level:
    """A cluster level: its maps, outermost first, over `clusters` sub-clusters.

    `edge_clusters` is how many of them work in a spatial step that is not full; `first_spatial` the
    place of the SpatialMap that decides it.
    """

    clusters: int
    maps: tuple[Map, ...]
    edge_clusters: int
    first_spatial: int


@dataclass(frozen=True)
class Nest:
    """A layer ready for analysis: tensors, full sizes by dimension, and levels, outermost first."""

    tensors: Tensors
    sizes: dict[str, int]
    levels: tuple[Level, ...]


def tensors_of(network: Network, layer: Layer) -> Tensors:
    """Return the layer's tensors; they have an N where the first layer of its type declares one."""
    first = next(other for other in network.layers if other.type == layer.type)
    batch = "N" if "N" in first.dims and layer.type != "GEMM" else ""
    ifmap, filters, ofmap = _TENSORS[layer.type]
    variables = "".join(sorted({*batch, *ifmap, *filters}))
    return Tensors(batch + ifmap, filters, batch + ofmap, variables)


def build_nest(network: Network, layer: Layer, pes: int) -> Nest:
    """Lay out the cluster levels of a layer on `pes` PEs.

    Raises:
        InputError: the dataflow breaks a rule, or MAESTRO would crash on it; with the line.

    """
    return _Builder(network, layer, pes).nest()


class _Builder:
    def __init__(self, network: Network, layer: Layer, pes: int) -> None:
        self.network = network
        self.layer = layer
        self.pes = pes
        self.tensors = tensors_of(network, layer)
        self.sliding = {} if layer.type == "GEMM" else SLIDING

    def fail(self, message: str, line: int | None = None) -> InputError:
        return InputError(self.network.fault(self.layer, message, line))

    def nest(self) -> Nest:
        sizes, strides = self.full_sizes()
        groups: list[list[Directive]] = [[]]
        clusters: list[Directive] = []
        for directive in self.layer.directives:
            if directive.kind == "cluster":
                clusters.append(directive)
                groups.append([])
            else:
                groups[-1].append(directive)
        if len(groups) > MOST_LEVELS:
            raise self.fail(
                f"has {len(groups)} cluster levels, MAESTRO analyses at most {MOST_LEVELS}",
                clusters[MOST_LEVELS - 1].line,
            )
        inside = prod(cluster.size for cluster in clusters)
        counts = [self.pes // inside, *(cluster.size for cluster in clusters)]
        if counts[0] == 0:
            raise self.fail(
                f"the clusters take {inside} PEs, there are {self.pes}: MAESTRO divides by zero; "
                "raise --num_pes or make clusters smaller",
                clusters[0].line,
            )
        levels: list[Level] = []
        above: list[Directive] = []
        dims = sizes
        for place, (group, count) in enumerate(zip(groups, counts, strict=True)):
            line = clusters[place - 1].line if place else self.layer.line
            maps = self.complete(self.by_input(group, sizes), above, sizes)
            strange = [each for each in maps if each.variable not in self.tensors.variables]
            if place and strange:
                raise self.fail(
                    f"{strange[0]}: no tensor of a {self.layer.type} layer has a "
                    f"{strange[0].variable}, and MAESTRO knows no size for it below the first "
                    "cluster",
                    strange[0].line,
                )
            maps = [self.strided(each, sizes, strides, outermost=not place) for each in maps]
            levels.append(self.level(maps, count, dims, line))
            dims = {each.variable: min(each.size, dims[each.variable]) for each in maps}
            above = maps
        return Nest(self.tensors, sizes, tuple(levels))

    def full_sizes(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the sizes of input and filter by dimension, and the strides of Y and X."""
        dims, strides = dict(self.layer.dims), dict(self.layer.strides)
        step = {of: strides.get(of, 1) for of in self.sliding}
        for of, along in self.sliding.items():
            primed = f"{of}'"
            if primed not in dims:
                continue
            if of not in dims:
                if along not in dims:
                    raise self.fail(f"gives {primed} without {along}: the input's size is unknown")
                dims[of] = dims[primed] + dims[along] - 1
                # Taken from the other dimension where output sizes are given: so does the tool.
                other = "X" if of == "Y" else "Y"
                step[of] = strides.get(f"{other}'", 1)
            del dims[primed]
        missing = [name for name in self.tensors.variables if name not in dims]
        if missing:
            raise self.fail(f"Dimensions of a {self.layer.type} layer need {', '.join(missing)}")
        for of, along in self.sliding.items():
            if dims[of] < dims[along]:
                raise self.fail(f"{along} = {dims[along]} is larger than {of} = {dims[of]}")
        return dims, step

    def by_input(self, group: list[Directive], sizes: dict[str, int]) -> list[Directive]:
        """Return the group with maps of output rows and columns turned into maps of the input's."""
        found: list[Directive] = []
        for each in group:
            variable, size = each.variable, each.size
            if variable.endswith("'") and variable[:-1] in self.sliding:
                variable = variable[:-1]
                along = self.sliding[variable]
                filters = [other for other in group if other.variable == along]
                if not filters:
                    raise self.fail(
                        f"{each}: its cluster needs a map of {along}, which says how far the input "
                        "reaches; MAESTRO reads undefined memory",
                        each.line,
                    )
                size += filters[0].size - 1
            if variable not in sizes:
                raise self.fail(
                    f"{each}: the layer's Dimensions have no {shown(variable)} (they have "
                    f"{', '.join(sizes)})",
                    each.line,
                )
            if any(other.variable == variable for other in found):
                raise self.fail(f"{each}: {variable} is mapped twice in one cluster", each.line)
            found.append(Directive(each.kind, size, each.offset, variable, each.line))
        return found

    def complete(
        self, group: list[Directive], above: list[Directive], sizes: dict[str, int]
    ) -> list[Directive]:
        """Return the group with a map for every dimension."""
        here = {each.variable for each in group}
        taken = [
            Directive("temporal", each.size, each.offset, each.variable, each.line)
            for each in reversed(above)
            if each.variable not in here
        ]
        full = taken + group
        there = {each.variable for each in full}
        for name in self.tensors.variables:
            if name not in there:
                line = self.layer.line
                full.append(Directive("temporal", sizes[name], sizes[name], name, line))
        return full

    def strided(
        self, each: Directive, sizes: dict[str, int], strides: dict[str, int], *, outermost: bool
    ) -> Directive:
        """Return a map of input rows or columns that takes whole windows of a strided layer."""
        step = strides.get(each.variable, 1)
        if step == 1:
            return each
        window = sizes[self.sliding[each.variable]]
        if each.size < window:
            return each
        windows = (each.size + step - window) // step
        size = windows * min(step, window) + max(window - step, 0)
        offset = windows * (step if outermost or window >= step else window)
        return Directive(each.kind, size, offset, each.variable, each.line)

    def level(self, maps: list[Directive], clusters: int, dims: dict[str, int], line: int) -> Level:
        spatial = [place for place, each in enumerate(maps) if each.kind == "spatial"]
        if not 1 <= len(spatial) <= 2:
            raise self.fail(
                f"a cluster needs one or two SpatialMaps, this one has {len(spatial)}", line
            )
        extents = {each.variable: _extent(each, dims[each.variable]) for each in maps}
        outputs = dict(extents)
        for of, along in self.sliding.items():
            each = next(other for other in maps if other.variable == of)
            ifmap, weights = extents[of], extents[along]
            edge = ifmap.edge - weights.edge + 1
            outputs[of] = Extent(
                mapped=ifmap.mapped - weights.mapped + 1,
                edge=edge,
                fresh=min(each.offset, each.size),
                edge_fresh=min(each.offset, edge),
            )
        first = maps[spatial[0]]
        return Level(
            clusters=clusters,
            maps=tuple(
                Map(
                    each.kind == "spatial",
                    each.size,
                    each.offset,
                    each.variable,
                    extents[each.variable],
                    outputs[each.variable],
                )
                for each in maps
            ),
            edge_clusters=_edge_clusters(first, dims[first.variable], clusters),
            first_spatial=spatial[0],
        )


def quotient(value: int, by: int) -> int:
    """Divide as C does, toward zero."""
    return value // by if value >= 0 else -(-value // by)


def _extent(each: Directive, whole: int) -> Extent:
    steps = max(quotient(whole - each.size, each.offset), 0)
    is_cut = steps * each.offset + each.size < whole or each.size > whole
    left = whole - (steps + 1) * each.offset
    left = whole if left < 0 else left
    held = each.kind == "temporal" and whole <= each.size
    return Extent(
        mapped=each.size,
        edge=left if is_cut else each.size,
        fresh=0 if held else min(each.size, each.offset),
        edge_fresh=max(each.offset - (each.size - left), 0),
    )


def _edge_clusters(first: Directive, whole: int, clusters: int) -> int:
    size, offset = first.size, first.offset
    if whole > offset * (clusters - 1) + size:
        steps = ((whole - size) // offset + 1) // clusters - 1
        left = whole - (steps + 1) * offset * clusters
        return 1 if left < size else (left - size) // offset + 1
    if whole > size:
        busy = (whole - size) // offset + 1
        return busy + (offset * (busy - 1) + size < whole)
    return 1
