"""From loops to storage levels: reads, fills and updates, then energy and cycles.

Counts are doubles where the program's are, in its order, for its roundings are part of its figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, prod
from typing import Final, Literal

from sim.models.timeloop.analysis import MOST_LOOPS, SpaceAnalysis, Traffic, analyse
from sim.models.timeloop.architecture import Architecture, Storage
from sim.models.timeloop.mapping import Mapping
from sim.models.timeloop.prices import LevelPrices, Prices
from sim.models.timeloop.problem import Problem
from workloads.inputs.faults import MAX_FAULTS, Fault, InputError

Rules = Literal["3.0", "2025"]
RULES: Final[tuple[Rules, ...]] = ("2025", "3.0")


@dataclass(frozen=True)
class Held:
    """A data space at a storage level: counts of words of an instance, energy in pJ."""

    space: str
    kept: bool
    size: int = 0
    partition: int = 0
    reads: int = 0
    fills: int = 0
    updates: int = 0
    reductions: int = 0
    instances: int = 0
    clusters: int = 0
    energy: float | None = None
    """Of an instance; None without prices."""

    @property
    def accesses(self) -> int:
        """Accesses of all instances."""
        return self.instances * (self.reads + self.fills + self.updates)

    @property
    def total_energy(self) -> float | None:
        """Energy of all instances, pJ."""
        return None if self.energy is None else self.energy * self.instances


@dataclass(frozen=True)
class Network:
    """A data space on the network between a level and what is inside."""

    space: str
    traffic: Traffic
    fanout: int
    ingresses: float

    @property
    def multicast(self) -> int:
        """Largest group that gets the same words."""
        return max((group for group, _ in self.traffic.accesses), default=0)


@dataclass(frozen=True)
class LevelCounts:
    """A storage level: its data spaces, its network inwards, its cycles."""

    storage: Storage
    held: tuple[Held, ...]
    networks: tuple[Network, ...]
    cycles: int
    slowdown: float
    leak: float
    """Energy that all its instances leak, pJ."""

    @property
    def energy(self) -> float | None:
        """Energy of the level, pJ; None without prices."""
        parts = [held.total_energy for held in self.held if held.kept]
        if any(part is None for part in parts):
            return None
        return sum((part for part in parts if part is not None), 0.0) + self.leak


@dataclass(frozen=True)
class Evaluation:
    """What a mapping costs."""

    problem: Problem
    architecture: Architecture
    mapping: Mapping
    rules: Rules
    levels: tuple[LevelCounts, ...]
    prices: Prices | None
    compute_energy: float | None
    cycles: int
    used: int
    """Compute units at work."""

    @property
    def energy(self) -> float | None:
        """Energy in all, pJ; None without prices."""
        parts = [self.compute_energy, *(level.energy for level in self.levels)]
        if any(part is None for part in parts):
            return None
        return sum(part for part in parts if part is not None)

    @property
    def utilization(self) -> float:
        """Share of all compute units' cycles in which they compute."""
        return self.problem.computes / self.architecture.compute.instances / self.cycles


def evaluate(
    problem: Problem,
    architecture: Architecture,
    mapping: Mapping,
    prices: Prices | None,
    rules: Rules = "2025",
) -> Evaluation:
    """Evaluate a mapping as the program's version 3.0 or its state of 2025 does.

    Raises:
        InputError: the mapping breaks a rule, named with its line; or it is too large to walk.

    """
    long = [loop for loop in mapping.loops if loop.end > 1 and not loop.spatial]
    if len(long) > MOST_LOOPS:
        message = f"has {len(long)} loops in time, more than {MOST_LOOPS}: too many to walk"
        raise mapping.node.refuse(message)
    _check_capacity(problem, architecture, mapping)
    fanouts = [architecture.fanout(level) for level in range(len(architecture.levels))]
    stationary_keeps = rules == "2025"
    analyses = analyse(problem, mapping, fanouts, stationary_keeps=stationary_keeps)
    by_space = [
        _Tiles(problem, architecture, mapping, place, analysis, rules).held()
        for place, analysis in enumerate(analyses)
    ]
    spatial = prod(loop.end for loop in mapping.loops if loop.spatial)
    compute_cycles = problem.computes // spatial
    levels = []
    for place, storage in enumerate(architecture.levels):
        held = [space_levels[place][0] for space_levels in by_space]
        networks = tuple(space_levels[place][1] for space_levels in by_space)
        own = prices.level(storage) if prices is not None and any(h.kept for h in held) else None
        if own is not None:
            held = [_priced(each, storage, own, rules) for each in held]
        slowdown = _slowdown(storage, held, compute_cycles)
        cycles = ceil(compute_cycles / slowdown)
        levels.append(LevelCounts(storage, tuple(held), networks, cycles, slowdown, 0.0))
    latency = sum(level.latency for level in architecture.levels)
    cycles = max([compute_cycles, *(level.cycles for level in levels)]) + latency
    if prices is not None and rules == "2025":
        levels = [_leaking(level, prices, cycles) for level in levels]
    compute_energy = None
    if prices is not None:
        compute_energy = problem.computes * prices.compute(architecture.compute)
    return Evaluation(
        problem,
        architecture,
        mapping,
        rules,
        tuple(levels),
        prices,
        compute_energy,
        cycles,
        spatial,
    )


def _check_capacity(problem: Problem, architecture: Architecture, mapping: Mapping) -> None:
    """Refuse tiles that a level has no room for, or that use too little of it.

    Raises:
        InputError: one fault for each level.

    """
    sizes = [1] * len(problem.bounds)
    faults: list[Fault] = []
    for loop, node in zip(mapping.loops, mapping.places, strict=True):
        sizes[loop.dimension] *= loop.end
        if not loop.boundary:
            continue
        storage = architecture.levels[loop.level]
        room = storage.effective_size
        tiles = {
            space.name: prod(space.extents(sizes))
            for place, space in enumerate(problem.spaces)
            if place in mapping.keep[loop.level]
        }
        taken = sum(tiles.values())
        listed = " + ".join(f"{name} {size}" for name, size in tiles.items())
        if room is not None and taken > room:
            message = f"mapped tile size {taken} exceeds buffer capacity {room} ({listed})"
            faults.append(node.fault(f"{storage.name}: {message}"))
        elif room is not None and taken < room * storage.min_utilization:
            least = room * storage.min_utilization
            message = f"mapped tile size {taken} is less than the minimum utilization {least}"
            faults.append(node.fault(f"{storage.name}: {message}"))
    if faults:
        raise InputError(*faults[:MAX_FAULTS])


@dataclass
class _Tile:
    """A data space at a level, on its way from loops to counts."""

    size: int
    traffic: Traffic
    content: float
    fanout: int
    replication: int
    inner_size: int  # of what is handed inside, all instances together
    partition: int = 0
    share: float = 0.0
    peer: float = 0.0


class _Tiles:
    """The levels of one data space, the innermost first."""

    def __init__(
        self,
        problem: Problem,
        architecture: Architecture,
        mapping: Mapping,
        place: int,
        analysis: SpaceAnalysis,
        rules: Rules,
    ) -> None:
        self.mapping, self.rules = mapping, rules
        self.space = problem.spaces[place]
        self.keep = [place in kept for kept in mapping.keep]
        self.storages = architecture.levels
        self.tiles = [self._tile(level, analysis) for level in range(len(self.keep))]
        self.real = [True] * len(self.keep)

    def _tile(self, level: int, analysis: SpaceAnalysis) -> _Tile:
        loops = self.mapping.loops
        own = [index for index, loop in enumerate(loops) if loop.level == level]
        spatial = [index for index in own if loops[index].spatial]
        boundary, inner = own[-1], spatial[-1] if spatial else own[0]
        traffic = analysis.traffic[inner]
        return _Tile(
            size=analysis.sizes[boundary],
            traffic=traffic,
            content=traffic.words,
            fanout=prod(loops[index].end for index in spatial),
            replication=prod(loop.end for loop in loops[boundary + 1 :] if loop.spatial),
            inner_size=analysis.sizes[inner] if spatial else 0,
        )

    def held(self) -> list[tuple[Held, Network]]:
        """Return the counts of each level, and its network.

        Raises:
            InputError: a count comes out negative.

        """
        self._partition()
        for inner, outer in zip(self.tiles, self.tiles[1:], strict=False):
            inner.share = sum(
                access.words * group / outer.fanout
                for (group, _), access in outer.traffic.accesses.items()
            )
        self._bypass()
        self._peers()
        return [(self._counts(level), self._network(level)) for level in range(len(self.tiles))]

    def _partition(self) -> None:
        partition = self.tiles[-1].size
        self.tiles[-1].partition = partition
        for inner, outer in zip(self.tiles[-2::-1], self.tiles[:0:-1], strict=True):
            partition = partition * inner.size // (outer.inner_size or inner.size)
            inner.partition = partition

    def _bypass(self) -> None:
        """Hand what a level does not keep to the next one outside, from the inside out."""
        for level, (tile, kept) in enumerate(zip(self.tiles, self.keep, strict=True)):
            if kept:
                continue
            self.real[level] = False
            if level + 1 < len(self.tiles):
                outer = self.tiles[level + 1]
                factor = tile.content * outer.fanout / outer.traffic.delivered
                for access in outer.traffic.accesses.values():
                    access.words *= factor  # its hops stay, as those of the program do
                outer.traffic.links = 0
                outer.content = outer.traffic.words
            tile.size = tile.partition = 0
            tile.content = tile.share = 0.0
        for level in reversed(range(len(self.tiles))):
            if self.keep[level]:
                self.tiles[level].share = 0.0
                break
            self.tiles[level].traffic = Traffic()

    def _peers(self) -> None:
        for inner, outer in zip(self.tiles, self.tiles[1:], strict=False):
            links = outer.traffic.links
            if links:
                whole = self.rules == "3.0"
                inner.peer = links // inner.replication if whole else links / inner.replication

    def _counts(self, level: int) -> Held:
        tile, storage = self.tiles[level], self.storages[level]
        if not self.real[level]:
            return Held(self.space.name, kept=False, instances=tile.replication)
        accesses = tile.content + tile.peer
        if self.space.read_write:
            outermost = not any(self.real[level + 1 :])
            reads = reductions = _rounded(accesses - tile.partition)
            fills = _rounded(tile.share + tile.peer - (0 if outermost else tile.partition))
            updates = _rounded(tile.content)
        else:
            reads, updates, reductions = _rounded(accesses), 0, 0
            fills = floor(tile.share + tile.peer)
        for name, many in (("reads", reads), ("fills", fills)):
            if many < 0:
                message = (
                    f"{storage.name}: {self.space.name} has {many} {name}, less than none, which "
                    "the program counts as nearly 2**64; its tile is written back oftener than read"
                )
                raise self.mapping.node.refuse(message)
        clusters = min(tile.replication, storage.instances // storage.cluster)
        return Held(
            space=self.space.name,
            kept=True,
            size=tile.size,
            partition=tile.partition,
            reads=reads,
            fills=fills,
            updates=updates,
            reductions=reductions,
            instances=tile.replication,
            clusters=clusters,
        )

    def _network(self, level: int) -> Network:
        tile, storage = self.tiles[level], self.storages[level]
        ingresses = tile.traffic.words
        if self.space.read_write and not storage.reduces and ingresses:
            # What cannot add reads a psum and sends it inside for each that comes.
            ingresses = 2 * ingresses - tile.partition
        return Network(self.space.name, tile.traffic, tile.fanout, ingresses)


def _rounded(value: float) -> int:
    """Round half away from zero, as C does."""
    return floor(value + 0.5) if value >= 0 else -floor(-value + 0.5)


def _priced(held: Held, storage: Storage, prices: LevelPrices, rules: Rules) -> Held:
    if not held.kept:
        return held
    energy = 0.0
    for words, price in (
        (held.reads, prices.read),
        (held.fills, prices.fill),
        (held.updates, prices.update),
    ):
        energy += -(-words // storage.block) * price
    return replace(held, energy=energy / (held.instances / held.clusters))


def _slowdown(storage: Storage, held: Sequence[Held], compute_cycles: int) -> float:
    reads = sum((each.reads / compute_cycles for each in held), 0.0)
    writes = sum(((each.fills + each.updates) / compute_cycles for each in held), 0.0)
    slowdown = 1.0
    for bandwidth, wanted in (
        (storage.read_bandwidth, reads),
        (storage.write_bandwidth, writes),
        (storage.shared_bandwidth, writes + reads),
    ):
        if bandwidth is not None and bandwidth < wanted:
            slowdown = min(slowdown, bandwidth / wanted)
    return slowdown


def _leaking(level: LevelCounts, prices: Prices, cycles: int) -> LevelCounts:
    utilized = max([1, *(each.instances for each in level.held if each.kept)])
    return replace(level, leak=prices.leak(level.storage) * cycles * utilized)
