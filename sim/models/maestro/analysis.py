"""MAESTRO's cost model: what a layer moves and how long it takes, level by level.

A level walks through its maps as nested loops, outermost first. Each map is in its first step, in a
steady one, or in a last one that is not whole; a *case* picks one of these for every map and
covers all steps that look alike. All figures follow from the cases (Kwon et al., MICRO 2019);
where the program does something else than the paper says, a comment names the quirk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Final, NamedTuple

from sim.errors import Fault, InputError
from sim.models.maestro.levels import SLIDING, Extent, Level, Nest, quotient

MOST_CASES: Final = 200_000
"""Cases analysed of a layer: a file of four levels with an edge in every map has 10,000."""

_INIT, _STEADY, _EDGE = range(3)


class State(NamedTuple):
    """A kind of step of a map: where in its loop, how often, and what is special about it.

    `whole` says that the map has no other step, `edge` that this one is not full, `cut` that its
    last sub-cluster gets less than the others.
    """

    position: int
    times: int
    whole: bool
    edge: bool
    cut: bool


class Hardware(NamedTuple):
    """The figures of the accelerator that the model knows.

    PEs, elements a cycle of the network and of the off-chip link, cycles of latency, MACs a cycle
    of a PE.
    """

    pes: int = 7
    bandwidth: int = 2**31 - 1
    latency: int = 0
    lanes: int = 1
    offchip: int = 70000

    def noc_cycles(self, elements: int) -> int:
        """Return the cycles of a transfer; -1 for nothing without latency, as the program has."""
        return self.latency - (-elements // self.bandwidth) - 1


@dataclass
class Access:
    """Accesses to a tensor, in elements, and the room that it takes."""

    l1_read: int = 0
    l1_write: int = 0
    l2_read: int = 0
    l2_write: int = 0
    l1_size: int = 0
    l2_size: int = 0


@dataclass
class Delay:
    """The least, greatest and mean cycles of a kind of work over all steps."""

    least: int = 0
    most: int = 0
    total: int = 0
    steps: int = 0

    def add(self, cycles: int, times: int) -> None:
        """Add `times` steps of `cycles` each."""
        self.least = cycles if not self.steps else min(self.least, cycles)
        self.most = max(self.most, cycles)  # from 0 on: a transfer of nothing takes -1
        self.total += cycles * times
        self.steps += times

    @property
    def mean(self) -> int:
        """The mean, cut to a whole number."""
        return int(self.total / self.steps) if self.steps else 0


@dataclass
class LayerCost:
    """What the model says of a layer (or of a cluster below its first level)."""

    runtime: int
    macs: int
    active: float
    input: Access
    filter: Access
    output: Access
    ingress: Delay
    egress: Delay
    compute: Delay
    peak_bandwidth: int
    mean_bandwidth: float
    offchip: int
    intensity: float


@dataclass
class _Inner:
    """A cluster below: its cycles, its active PEs."""

    runtime: int
    active: float


def analyse(nest: Nest, hardware: Hardware, about: Fault) -> LayerCost:
    """Evaluate a layer on an accelerator.

    `about` names file, line and layer for what is refused.

    Raises:
        InputError: MAESTRO would divide by zero, or the layer has too many cases.

    """
    return _Analysis(nest, hardware, about).layer()


def states_of(level: Level, sizes: tuple[int, ...]) -> list[list[State]]:
    """Return the kinds of step of each map, for the sizes that the level above hands down."""
    found: list[list[State]] = []
    for each, whole in zip(level.maps, sizes, strict=True):
        size, offset = each.size, each.offset
        if each.spatial:
            n = level.clusters
            covered = size + offset * (n - 1)
            is_edge = whole < covered
            states = [State(_INIT, 1, whole <= covered, is_edge, is_edge)]
            steps = quotient(quotient(whole - size, offset) + 1, n) - 1
            if covered < whole and steps > 0:
                states.append(State(_STEADY, steps, False, False, False))
            if (
                whole > covered
                and (steps + 1) * offset * n + covered > whole
                and steps * offset * n + covered != whole
            ):
                left = whole - (steps + 1) * offset * n
                busy = 1 if left < size else (left - size) // offset + 1
                states.append(State(_EDGE, 1, False, True, (busy - 1) * offset + size < left))
        else:
            states = [State(_INIT, 1, whole <= size, whole < size, False)]
            steps = quotient(whole - size, offset)
            if size < whole and steps > 0:
                states.append(State(_STEADY, steps, False, False, False))
            if whole >= size and steps * offset + size < whole:
                states.append(State(_EDGE, 1, False, True, False))
        found.append(states)
    return found


class _Cluster(NamedTuple):
    """Which sub-cluster a volume is asked of: the first, the one that is cut, or another one."""

    first: bool
    cut: bool


_FIRST, _OTHER, _CUT = _Cluster(True, False), _Cluster(False, False), _Cluster(False, True)
_ONLY_CUT = _Cluster(True, True)


class _Places(NamedTuple):
    """A tensor's maps in a level, as places in the nest of loops; all of them, and the spatial."""

    maps: tuple[int, ...]
    spatial: tuple[int, ...]


class _Tables:
    """A level's maps by tensor."""

    def __init__(self, level: Level, nest: Nest) -> None:
        def places(variables: str) -> _Places:
            maps = [place for place, each in enumerate(level.maps) if each.variable in variables]
            return _Places(tuple(maps), tuple(place for place in maps if level.maps[place].spatial))

        tensors = nest.tensors
        self.level = level
        self.inputs = (places(tensors.input), places(tensors.filter))
        self.output = places(tensors.output)
        every = range(len(level.maps))
        self.reduced = tuple(place for place in every if place not in self.output.maps)
        self.spatial = tuple(place for place in every if level.maps[place].spatial)
        self.variables = tuple(each.variable for each in level.maps)


def _edge(spatial: tuple[int, ...], case: list[State]) -> tuple[bool, bool]:
    """Tell whether a spatial step is not full, and whether its last sub-cluster is cut."""
    if not spatial:
        return False, False
    return any(case[place].edge for place in spatial), case[spatial[-1]].cut


class _Analysis:
    def __init__(self, nest: Nest, hardware: Hardware, about: Fault) -> None:
        self.nest = nest
        self.hardware = hardware
        self.about = about
        self.tables = [_Tables(level, nest) for level in nest.levels]
        self.known: dict[tuple[int, tuple[int, ...]], _Inner | None] = {}
        self.cases = 0

    def refuse(self, reason: str) -> InputError:
        at = self.about
        return InputError(Fault(at.file, at.line, at.field, reason))

    def layer(self) -> LayerCost:
        sizes = self.nest.sizes
        level = self.nest.levels[0]
        cost = LayerCost(
            0, 0, 0.0, Access(), Access(), Access(), Delay(), Delay(), Delay(), 0, 0.0, 0, 0.0
        )
        for tensor, variables in (
            (cost.input, self.nest.tensors.input),
            (cost.filter, self.nest.tensors.filter),
        ):
            tensor.l2_write = prod(sizes[name] for name in variables)
        sliding = SLIDING if "Y" in sizes else {}
        cost.output.l2_read = prod(
            sizes[name] - sizes[sliding[name]] + 1 if name in sliding else sizes[name]
            for name in self.nest.tensors.output
        )
        self.run(0, tuple(sizes[each.variable] for each in level.maps), cost)
        # The room in L1 is that of the innermost level, the first of which the program has figures.
        innermost, tables = self.nest.levels[-1], self.tables[-1]
        for tensor, places in zip(
            (cost.input, cost.filter, cost.output), (*tables.inputs, tables.output), strict=True
        ):
            tensor.l1_size = 2 * prod(innermost.maps[place].extent.mapped for place in places.maps)
        return cost

    def run(self, index: int, sizes: tuple[int, ...], cost: LayerCost | None) -> _Inner | None:
        """Walk through the cases of a level; book them in `cost` where it is the outermost one.

        Return None for a level that computes nothing: the program keeps no figures of it.
        """
        if (index, sizes) in self.known:
            return self.known[index, sizes]
        level, tables, hardware = self.nest.levels[index], self.tables[index], self.hardware
        states = states_of(level, sizes)
        cases = prod(map(len, states))
        self.cases += cases
        if self.cases > MOST_CASES:
            raise self.refuse(f"has more than {MOST_CASES} cases of loop steps to analyse")
        # The order of cases decides what the program keeps of the first and the last of them. Maps
        # with a single kind of step, most of them, are left out of the count.
        first_case = [kinds[0] for kinds in states]
        moving: list[tuple[int, int]] = []
        span = 1
        for place in range(len(states) - 1, -1, -1):
            if len(states[place]) > 1:
                moving.append((place, span))
                span *= len(states[place])
        runtime = 0
        active = 0.0
        steps = 0
        bandwidth = 0.0
        weights_size = output_size = 0
        for number in range(cases):
            case = first_case.copy()
            change, times = -1, 1
            for place, span in moving:
                kinds = states[place]
                state = case[place] = kinds[-(-number // span) % len(kinds)]
                times *= state.times
                if state.position != _INIT and change < 0:
                    change = place
            moved = [
                self.traffic(
                    tables, tensor, case, partial(self.ingress, tables, tensor, case, change)
                )
                for tensor in tables.inputs
            ]
            out = self.traffic(tables, tables.output, case, partial(self.egress, tables, case))
            macs, critical = self.macs(tables, case)
            if not number:
                weights_size, output_size = 2 * sum(moved), 2 * out
                if cost is not None:
                    cost.input.l2_size, cost.filter.l2_size = 2 * moved[0], 2 * moved[1]
                    cost.output.l2_size = output_size
            if cost is not None:
                cost.output.l2_write += times * out
                cost.output.l1_read += times * macs
                cost.output.l1_write += times * macs
            if critical <= 0:
                continue
            compute, working = self.inner(index, case, critical)
            into, away = hardware.noc_cycles(sum(moved)), hardware.noc_cycles(out)
            delay = compute + into if change < 0 else max(away, compute, into)
            if not index:
                delay = max(
                    delay,
                    weights_size // hardware.offchip // 2,
                    output_size // hardware.offchip // 2,
                )
                if compute == 0:
                    raise self.refuse(
                        "a step of the outermost cluster computes nothing, and MAESTRO divides by "
                        "zero: a spatial map walks input columns (X) with filter rows (R), or rows "
                        "with columns, so that no window is whole"
                    )
            runtime += times * delay
            active += times * working
            steps += times
            if cost is None:
                continue
            for tensor, words in zip((cost.input, cost.filter), moved, strict=True):
                tensor.l2_read += times * words
                tensor.l1_write += times * words
                tensor.l1_read += times * macs
            cost.macs += times * macs
            cost.ingress.add(into, times)
            cost.egress.add(away, times)
            cost.compute.add(compute, times)
            busiest = max(sum(moved), out)
            cost.peak_bandwidth = max(cost.peak_bandwidth, busiest // max(compute, 1))
            bandwidth += times * busiest // compute
            cost.offchip = max(cost.offchip, output_size // compute, weights_size // compute) // 2
            cost.intensity = macs / sum(moved) if sum(moved) else float("inf")
        result = _Inner(runtime, active / steps) if steps else None
        if cost is not None:
            if result is None:
                raise self.refuse(
                    "no step computes anything, and MAESTRO prints a runtime of 0 with figures "
                    "that are no numbers: the maps of Y and X are smaller than the filter"
                )
            cost.runtime, cost.active = result.runtime, result.active
            cost.mean_bandwidth = bandwidth / steps
        self.known[index, sizes] = result
        return result

    # ------------------------------------------------------------- one step

    def inner(self, index: int, case: list[State], critical: int) -> tuple[int, float]:
        """Return the cycles in which the sub-clusters compute, and the PEs at work."""
        level = self.nest.levels[index]
        first = case[level.first_spatial]
        busy = level.edge_clusters if first.edge else level.clusters
        if index + 1 == len(self.nest.levels):
            return -(-critical // self.hardware.lanes), busy
        parts = [(busy, False)]
        if first.edge and first.cut:
            parts = [(1, True), (busy - 1, False)]
        below = self.tables[index + 1].variables
        compute, active, figures = 0, 0.0, False
        for count, is_cut in parts:
            if not count:
                continue
            handed = {
                each.variable: self.handed(level, each.spatial, state, each.extent, is_cut)
                for each, state in zip(level.maps, case, strict=True)
            }
            found = self.run(index + 1, tuple(map(handed.__getitem__, below)), None)
            if found is not None:
                compute = max(compute, found.runtime)
                active += count * found.active
                figures = True
        return compute, active if figures else busy

    @staticmethod
    def handed(level: Level, spatial: bool, state: State, extent: Extent, is_cut: bool) -> int:
        """Return the size that a sub-cluster gets of a dimension."""
        if not state.edge:
            return extent.mapped
        if not spatial or level.edge_clusters == 1 or is_cut:
            return extent.edge
        return extent.mapped

    def traffic(
        self,
        tables: _Tables,
        tensor: _Places,
        case: list[State],
        volume: Callable[[_Cluster], int],
    ) -> int:
        """Add up a tensor's volumes over the sub-clusters; without a spatial map all share one."""
        at_edge, is_cut = _edge(tensor.spatial, case)
        clusters, busy = tables.level.clusters, tables.level.edge_clusters
        if not tensor.spatial:
            return volume(_FIRST)
        if not at_edge:
            return volume(_FIRST) + (clusters - 1) * volume(_OTHER)
        if busy == 1:
            return volume(_ONLY_CUT if is_cut else _FIRST)
        whole = max(busy - is_cut - 1, 0)
        cut = volume(_CUT) if is_cut else 0
        return volume(_FIRST) + whole * volume(_OTHER) + cut

    def ingress(
        self, tables: _Tables, tensor: _Places, case: list[State], change: int, cluster: _Cluster
    ) -> int:
        """Return what a sub-cluster gets of an input in this step; `change` is the map that moves.

        Without a change (-1) it is the first step, which brings everything.
        """
        level = tables.level
        if change >= 0 and change not in tensor.maps:
            # The tensor's tile stays, even where inner loops begin again: a quirk.
            return 0
        again = any(
            place > change and case[place].position == _INIT and not case[place].whole
            for place in tensor.maps
        )
        volume = 1
        for place in tensor.maps:
            state, each = case[place], level.maps[place]
            extent = each.extent
            if change < 0:
                volume *= self.share(level, each.spatial, state, extent, cluster)
            elif not each.spatial:
                if state.position == _INIT:
                    volume *= extent.edge if state.edge else extent.mapped
                else:
                    volume *= (
                        max(extent.fresh, 1) if place == change and not again else extent.mapped
                    )
            else:
                is_cut = cluster.cut and state.edge
                full = extent.edge if is_cut else extent.mapped
                fresh = extent.edge_fresh if is_cut else extent.fresh
                inside = (
                    place > change if state.position == _INIT else place == change and not again
                )
                volume *= fresh if inside and not cluster.first else full
        return volume

    @staticmethod
    def share(level: Level, spatial: bool, state: State, extent: Extent, cluster: _Cluster) -> int:
        """Return what a map gives a sub-cluster in the first step."""
        if not state.edge:
            return extent.mapped
        if not spatial:
            return extent.edge
        if level.edge_clusters == 1:
            return extent.edge if cluster.first or cluster.cut else 1
        return extent.edge if cluster.cut else extent.mapped

    def egress(
        self, tables: _Tables, case: list[State], cluster: _Cluster, reuse: bool = True
    ) -> int:
        """Return the outputs that a sub-cluster hands on."""
        volume = 1
        for place in tables.output.maps:
            volume *= self.output_share(tables.level, place, case[place], cluster, reuse)
        return volume

    @staticmethod
    def output_share(level: Level, place: int, state: State, cluster: _Cluster, reuse: bool) -> int:
        each = level.maps[place]
        extent = each.output
        if not each.spatial:
            return extent.edge if state.edge else extent.mapped
        at_edge = state.position == _EDGE
        if at_edge or (state.edge and cluster.cut):
            if level.edge_clusters == 1:
                if not (cluster.first or cluster.cut):
                    return 1
                # In a last step the program takes the input's size for the output's: a quirk.
                return each.extent.edge if at_edge else extent.edge
            if cluster.cut:
                return extent.edge_fresh if at_edge or reuse else extent.edge
        return extent.mapped if cluster.first else max(extent.fresh, 1)

    def psums(
        self, tables: _Tables, case: list[State], cluster: _Cluster, reuse: bool = True
    ) -> int:
        """Return the products of a sub-cluster in this step."""
        level = tables.level
        found = self.egress(tables, case, cluster, reuse)
        for place in tables.reduced:
            each, state = level.maps[place], case[place]
            extent = each.extent
            if not each.spatial:
                found *= extent.edge if state.edge else extent.mapped
                continue
            at_edge = state.position == _EDGE
            if at_edge or (state.edge and cluster.cut):
                if level.edge_clusters == 1:
                    found *= extent.edge if cluster.first or cluster.cut else 1
                    continue
                if cluster.cut:
                    found *= extent.edge_fresh if at_edge else extent.edge
                    continue
            found *= extent.mapped if cluster.first else max(extent.fresh, 1)
        return found

    def macs(self, tables: _Tables, case: list[State]) -> tuple[int, int]:
        """Return the products of all sub-clusters, and those of the one that takes longest."""
        level = tables.level

        plain = self.psums(tables, case, _FIRST)
        at_edge, is_cut = _edge(tables.output.spatial, case)
        only = at_edge and level.edge_clusters == 1 and is_cut
        critical = self.psums(tables, case, _ONLY_CUT) if only else plain
        at_edge, is_cut = _edge(tables.spatial, case)
        if not at_edge:
            return level.clusters * plain, critical
        if level.edge_clusters == 1:
            return (self.psums(tables, case, _ONLY_CUT) if is_cut else plain), critical
        whole = max(level.edge_clusters - is_cut - 1, 0)
        cut = self.psums(tables, case, _CUT, reuse=False) if is_cut else 0
        return plain + whole * plain + cut, critical
