"""Timeloop's architectures: trees of version 0.2 and 0.3, nodes of 0.4, the oldest lists.

All of them come to the same: storage levels from the compute outwards, each with a mesh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import floor
from typing import Final

from sim.models.timeloop.nodes import Node
from workloads.inputs.document import TAG
from workloads.inputs.words import shown

TAGS: Final = (
    "!Component",
    "!Container",
    "!Hierarchical",
    "!Nothing",
    "!Parallel",
    "!Pipelined",
)
MOST_LEVELS: Final = 64

_RANGE = re.compile(r"(?P<name>.*?)\[(?P<first>[0-9]{1,9})?(?:\.\.(?P<last>[0-9]{1,9}))?\]\Z")
_BUFFERS = ("DRAM", "SRAM", "regfile", "smartbuffer", "storage")
_COMPUTES = ("mac", "compute")
_NETWORKS = ("XY_NoC", "Legacy", "ReductionTree", "SimpleMulticast")
_REFUSED = {
    "power_gated_at": "power gating is not modelled",
    "metadata_storage_depth": "sparse metadata is not modelled",
    "metadata_storage_width": "sparse metadata is not modelled",
    "allow_overbooking": "overbooking is not modelled",
}


@dataclass(frozen=True)
class Storage:
    """A storage level: words, words an access, instances in a mesh, words a cycle an instance."""

    node: Node
    name: str
    dram: bool
    word_bits: int
    block: int
    cluster: int
    size: int | None
    multiple_buffering: float
    min_utilization: float
    mesh_x: int
    mesh_y: int
    read_bandwidth: float | None
    write_bandwidth: float | None
    shared_bandwidth: float | None
    reduces: bool
    latency: int
    access_energy: float | None
    redirected: str | None = None
    """Node of a version 0.4 file whose fan-out this level was inserted for."""

    @property
    def instances(self) -> int:
        """Instances in all."""
        return self.mesh_x * self.mesh_y

    @property
    def effective_size(self) -> int | None:
        """Words that a tile may take."""
        return None if self.size is None else floor(self.size / self.multiple_buffering)


@dataclass(frozen=True)
class Compute:
    """The compute units."""

    node: Node
    name: str
    word_bits: int
    mesh_x: int
    mesh_y: int
    energy: float | None

    @property
    def instances(self) -> int:
        """Instances in all."""
        return self.mesh_x * self.mesh_y


@dataclass(frozen=True)
class Bypass:
    """What a version 0.4 node says of the data that it keeps."""

    level: str
    node: Node


@dataclass(frozen=True)
class Architecture:
    """Storage levels, the innermost first, and the compute units inside."""

    node: Node
    version: str
    levels: tuple[Storage, ...]
    compute: Compute
    bypasses: tuple[Bypass, ...] = ()

    def fanout(self, level: int) -> tuple[int, int]:
        """Return along X and Y how many of what is inside an instance of a level serves."""
        inner = self.levels[level - 1] if level else self.compute
        outer = self.levels[level]
        return inner.mesh_x // outer.mesh_x, inner.mesh_y // outer.mesh_y


def read_architecture(node: Node, variables: Node | None = None) -> Architecture:
    """Read the value of the key `architecture` or `arch`.

    Raises:
        InputError: a key is missing or wrong, or a mesh does not divide; with its line.

    """
    known = dict(variables.entries()) if variables is not None else {}
    version_node = node.get("version")
    version = version_node.text() if version_node is not None else "0.2"
    if node.get("nodes") is not None:
        if version != "0.4":
            raise node.need("version").refuse(f"must be 0.4 for nodes, got {shown(version)}")
        found = _lowered(node, known)
    elif node.get("storage") is not None:
        found = _oldest(node)
    else:
        if version not in ("0.2", "0.3", "0.4"):
            message = f"must be 0.2, 0.3 or 0.4, got {shown(version)}"
            raise node.need("version").refuse(message)
        found = _tree(node, known)
    levels, compute, bypasses = found
    if not levels:
        raise node.refuse("has no storage level")
    if compute is None:
        raise node.refuse("has no compute units; name them last, with a class such as intmac")
    names = [level.name for level in levels]
    for place, level in enumerate(levels):
        if level.name in names[:place]:
            raise level.node.refuse(f"{level.name}: a name that two levels have")
    architecture = Architecture(node, version, tuple(reversed(levels)), compute, tuple(bypasses))
    _check_meshes(architecture)
    return architecture


def _check_meshes(architecture: Architecture) -> None:
    inner: Storage | Compute = architecture.compute
    for outer in architecture.levels:
        for axis, inside, outside in (
            ("X", inner.mesh_x, outer.mesh_x),
            ("Y", inner.mesh_y, outer.mesh_y),
        ):
            if inside % outside:
                message = (
                    f"{inner.name}: its {inside} instances along {axis} must be a multiple of the "
                    f"{outside} of {outer.name}"
                )
                raise inner.node.refuse(message)
        inner = outer


_Levels = tuple[list[Storage], Compute | None, list[Bypass]]


def _tree(node: Node, known: Mapping[str, Node]) -> _Levels:
    levels: list[Storage] = []
    compute: Compute | None = None
    many, inherited = 1, dict(known)
    branch: Node | None = node
    while branch is not None:
        subtree = branch.get("subtree")
        if subtree is None:
            break
        branches = subtree.items()
        if len(branches) != 1:
            raise subtree.refuse(f"must have one entry, got {len(branches)}; trees do not branch")
        branch = branches[0]
        many *= _ranged(branch)[1]
        inherited |= _attributes(branch)
        local = branch.get("local")
        for each in local.items() if local else []:
            kind = each.need("class").text()
            name, instances = _ranged(each)
            attributes = inherited | _attributes(each)
            if _is(kind, _BUFFERS):
                levels.append(_storage(each, name, kind, attributes, many * instances))
            elif _is(kind, _COMPUTES):
                compute = _compute(each, name, attributes, many * instances)
            elif _is(kind, _NETWORKS):
                raise each.refuse(f"{name}: networks of one's own are not modelled; leave it out")
        if len(levels) > MOST_LEVELS:
            raise branch.refuse(f"has more than {MOST_LEVELS} levels")
    return levels, compute, []


def _oldest(node: Node) -> _Levels:
    """Read `arch: {arithmetic, storage}`, whose levels are the innermost first."""
    units = node.need("arithmetic")
    attributes = _attributes(units) | dict(units.entries())
    instances = units.need("instances").whole()
    named = units.get("name")
    compute = _compute(units, named.text() if named else "MAC", attributes, instances)
    levels = []
    for each in node.need("storage").items()[:MOST_LEVELS]:
        attributes = dict(each.entries())
        technology = attributes.get("technology")
        kind = technology.text() if technology is not None else "SRAM"
        instances = each.need("instances").whole()
        levels.append(_storage(each, each.need("name").text(), kind, attributes, instances))
    return levels[::-1], compute, []


def _lowered(node: Node, known: Mapping[str, Node]) -> _Levels:
    """Lower the nodes of version 0.4 to levels, as the program's front end does."""
    levels: list[Storage] = []
    bypasses: list[Bypass] = []
    compute: Compute | None = None
    mesh_x = mesh_y = 1
    inherited = dict(known)
    for each in _leaves(node.need("nodes")):
        if len(levels) > MOST_LEVELS:
            raise each.refuse(f"has more than {MOST_LEVELS} levels")
        tag = each.data.get(TAG)
        if tag == "!Nothing":
            continue
        name, instances = _ranged(each)
        if instances != 1:
            raise each.refuse(f"{name}: a fan-out is given by `spatial` in version 0.4")
        attributes = inherited | _attributes(each)
        x, y = _spatial(each, attributes)
        if x * y > 1:
            levels.append(_dummy(each, name, mesh_x, mesh_y))
            mesh_x, mesh_y = mesh_x * x, mesh_y * y
        constraints = each.get("constraints")
        data = constraints.get("dataspace") if constraints is not None else None
        if tag == "!Container":
            inherited = attributes
            continue
        kind = each.need("class").text()
        if _is(kind, _BUFFERS):
            level = _storage(each, name, kind, attributes, mesh_x * mesh_y)
            levels.append(replace(level, mesh_x=mesh_x, mesh_y=mesh_y))
            if data is not None:
                bypasses.append(Bypass(name, data))
        elif _is(kind, _COMPUTES):
            unit = _compute(each, name, attributes, mesh_x * mesh_y)
            compute = replace(unit, mesh_x=mesh_x, mesh_y=mesh_y)
        elif _is(kind, _NETWORKS):
            raise each.refuse(f"{name}: networks of one's own are not modelled; leave it out")
        else:
            raise each.refuse(f"{name}: no class {shown(kind)} of storage or compute")
    return levels, compute, bypasses


def _leaves(nodes: Node) -> Iterator[Node]:
    for each in nodes.items():
        keys = each.keys()
        tag = each.data.get(TAG)
        if tag is None:
            raise each.refuse(f"needs a tag: {', '.join(TAGS)}")
        if "nodes" in keys:
            if tag == "!Pipelined":
                raise each.refuse("!Pipelined is not modelled")
            yield from _leaves(each.need("nodes"))
        elif tag in ("!Component", "!Container", "!Nothing"):
            yield each


def _spatial(node: Node, attributes: Mapping[str, Node]) -> tuple[int, int]:
    spatial = node.get("spatial")
    if spatial is None:
        return 1, 1
    x, y = spatial.get("meshX"), spatial.get("meshY")
    return (
        x.whole(variables=attributes) if x is not None else 1,
        y.whole(variables=attributes) if y is not None else 1,
    )


def _dummy(node: Node, name: str, mesh_x: int, mesh_y: int) -> Storage:
    return Storage(
        node=node,
        name=f"inter_{name}_spatial",
        dram=False,
        word_bits=1,
        block=1,
        cluster=1,
        size=1,
        multiple_buffering=1,
        min_utilization=0,
        mesh_x=mesh_x,
        mesh_y=mesh_y,
        read_bandwidth=None,
        write_bandwidth=None,
        shared_bandwidth=None,
        reduces=True,
        latency=0,
        access_energy=None,
        redirected=name,
    )


def _storage(
    node: Node, name: str, kind: str, attributes: Mapping[str, Node], instances: int
) -> Storage:
    given = _Attributes(node, attributes)
    for refused, reason in _REFUSED.items():
        value = given.get(refused)
        if value is not None and value.data not in (0, False):
            raise value.refuse(f"{reason}: leave {refused} out")
    word_bits = given.whole("word_bits", "word_width", "datawidth") or 16
    block = given.whole("block_size", "n_words")
    cluster = given.whole("cluster_size")
    width = given.whole("width", "memory_width", "data_storage_width")
    if width is not None:
        if width % (word_bits * (block or 1)):
            message = f"{name}: its width of {width} bits is no whole number of accesses of "
            raise node.refuse(f"{message}{block or 1} words of {word_bits} bits")
        if block is None:
            block = width // (cluster or 1) // word_bits
        elif cluster is None:
            cluster = width // (word_bits * block)
        elif width != word_bits * block * cluster:
            raise node.refuse(f"{name}: width must be word bits x block size x cluster size")
    block, cluster = block or 1, cluster or 1
    dram = "DRAM" in kind or given.text("technology") == "DRAM"
    size = _size(given, block, word_bits)
    if size is None and not dram:
        raise node.refuse(f"{name}: needs depth, entries or sizeKB")
    mesh_x, mesh_y = _mesh(given, name, instances)
    if (mesh_x * mesh_y) % cluster:
        raise node.refuse(f"{name}: {mesh_x * mesh_y} instances are no whole clusters of {cluster}")
    reduces = given.get("reduction_supported")
    return Storage(
        node=node,
        name=name,
        dram=dram,
        word_bits=word_bits,
        block=block,
        cluster=cluster,
        size=size,
        multiple_buffering=given.number("multiple_buffering", least=1) or 1,
        min_utilization=given.number("min_utilization") or 0,
        mesh_x=mesh_x,
        mesh_y=mesh_y,
        read_bandwidth=given.bandwidth("read"),
        write_bandwidth=given.bandwidth("write"),
        shared_bandwidth=given.number("shared_bandwidth"),
        reduces=reduces.truth() if reduces is not None else not dram,
        latency=(given.whole("network_fill_latency", least=0) or 0)
        + (given.whole("network_drain_latency", least=0) or 0),
        access_energy=given.number("vector_access_energy"),
    )


def _size(given: _Attributes, block: int, word_bits: int) -> int | None:
    entries = given.whole("entries")
    if entries is not None:
        return entries
    depth = given.whole("depth", "memory_depth", "data_storage_depth")
    if depth is not None:
        return depth * block
    kilobytes = given.whole("sizeKB")
    return None if kilobytes is None else kilobytes * 1024 * 8 // word_bits


def _compute(node: Node, name: str, attributes: Mapping[str, Node], instances: int) -> Compute:
    given = _Attributes(node, attributes)
    word_bits = given.whole("word_bits", "datawidth") or 16
    mesh_x, mesh_y = _mesh(given, name, instances)
    energy = given.number("energy_per_op", "compute_energy")
    return Compute(node, name, word_bits, mesh_x, mesh_y, energy)


def _mesh(given: _Attributes, name: str, instances: int) -> tuple[int, int]:
    x, y = given.whole("meshX"), given.whole("meshY")
    if x is None:
        x = instances if y is None else instances // y
    if y is None:
        y = instances // x
    if x * y != instances:
        message = f"{name}: meshX x meshY must be its {instances} instances, got {x} x {y}"
        raise given.node.refuse(message)
    return x, y


class _Attributes:
    """Attributes of a component by name, its own and those that it inherits."""

    def __init__(self, node: Node, nodes: Mapping[str, Node]) -> None:
        self.node = node
        self._nodes = nodes

    def get(self, *names: str) -> Node | None:
        return next((self._nodes[name] for name in names if name in self._nodes), None)

    def whole(self, *names: str, least: int = 1) -> int | None:
        node = self.get(*names)
        return None if node is None else node.whole(least, self._nodes, most=2**53)

    def number(self, *names: str, least: float = 0) -> float | None:
        node = self.get(*names)
        if node is None:
            return None
        value = node.number(self._nodes)
        if value < least:
            raise node.refuse(f"must be {least} or more, got {value}")
        return value

    def bandwidth(self, way: str) -> float | None:
        own = self.number(f"{way}_bandwidth")
        both = self.number("bandwidth")
        value = own if own is not None else both / 2 if both is not None else None
        if value == 0:
            raise self.node.refuse(f"{way}_bandwidth must be more than 0")
        return value

    def text(self, name: str) -> str | None:
        node = self.get(name)
        return None if node is None else node.text()


def _attributes(node: Node) -> dict[str, Node]:
    attributes = node.get("attributes")
    if attributes is None:
        return {}
    return {
        key.replace("-", "_"): value
        for key, value in attributes.entries()
        if value.data is not None
    }


def _ranged(node: Node) -> tuple[str, int]:
    """Return a name without its range, and how many instances the range is."""
    named = node.get("name")
    if named is None:
        return "", 1
    text = named.text()
    match = _RANGE.match(text)
    if match is None:
        return text, 1
    first, last = match["first"], match["last"]
    if last is None:
        return match["name"], 1
    many = int(last) - int(first or 0) + 1
    if many < 1:
        raise named.refuse(f"must be a range that goes up, got {shown(text)}")
    return match["name"], many


def _is(kind: str, names: tuple[str, ...]) -> bool:
    return any(name in kind for name in names)
