"""NeuroSpector's networks and scheduling tables."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sim.models.neurospector.accelerator import ARRAYS, PARAMETERS, ROWS, Accelerator
from sim.models.neurospector.cfg import Cfg, Section, Setting, read_cfg
from workloads.inputs.document import read_text
from workloads.inputs.faults import Fault
from workloads.inputs.words import shown, unknown_name

Table = NDArray[np.int64]
"""A table, (10, 8): rows of `ROWS`, columns of `PARAMETERS`."""

MOST: Final = 1 << 20
"""Largest parameter of a layer."""

MOST_MACS: Final = 1 << 50
"""Most MACs of a layer: words and counts of the exact search stay within 64 bits."""

MOST_STRIDE: Final = 1 << 10


@dataclass(frozen=True)
class Layer:
    """A layer: (K, B, P, Q, C, R, S, G), K and C per group."""

    file: str
    line: int
    name: str
    size: tuple[int, ...]
    stride: int

    @property
    def macs(self) -> int:
        """MACs of all groups."""
        return math.prod(self.size)

    @property
    def title(self) -> str:
        """The name as the tool heads its tables with it."""
        return self.name.upper()


@dataclass(frozen=True)
class Network:
    """A network's layers, in the file's order."""

    file: str
    name: str
    layers: tuple[Layer, ...]
    notes: tuple[Fault, ...]


@dataclass(frozen=True)
class Schedule:
    """A scheduling table of a layer, with the line of each of its rows."""

    file: str
    layer: Layer
    table: Table
    lines: dict[int, int]
    notes: tuple[Fault, ...] = ()


def read_network(path: Path | str) -> Network:
    """Read the network of a file.

    Raises:
        InputError: with every fault, each at its line.

    """
    cfg = read_cfg(path)
    heading = cfg.section("NETWORK")
    setting = heading.settings.get("name") if heading is not None else None
    name = setting.value if setting is not None else ""
    if len(name) > 100 or not name.isprintable() or "/" in name or "\\" in name:
        line = setting.line if setting is not None else None
        cfg.fault(line, "NETWORK NAME", "is no part of a file name: up to 100 characters, no /")
    section = cfg.section("LAYERS")
    if section is None or not section.settings:
        cfg.fault(None, "LAYERS", "has no layers; a line each, NAME=K,B,P,Q,C,R,S,G,STRIDE")
        section = Section("LAYERS", 1)
    names = list(section.settings)
    for place, name_again in section.repeated:
        names.insert(place, name_again)
    del names[len(section.settings) :]  # as many layers as there are names [Q8]
    layers = [_layer(cfg, section, key) for key in names]
    cfg.refuse()
    return Network(cfg.file, name, tuple(x for x in layers if x is not None), tuple(cfg.notes))


def _layer(cfg: Cfg, section: Section, name: str) -> Layer | None:
    line = section.settings[name].line
    numbers = cfg.wholes(section, name)
    if numbers is None:
        return None
    about = f"layer {shown(name)}"
    if len(numbers) != len(PARAMETERS) + 1:
        cfg.fault(line, about, f"must have 9 numbers, K,B,P,Q,C,R,S,G,STRIDE, got {len(numbers)}")
        return None
    *size, stride = numbers
    if not name.isprintable() or len(name) > 100:
        cfg.fault(line, "layer", "must have a name of up to 100 characters that print")
    bad = [i for i, number in enumerate(size) if not 1 <= number <= MOST]
    for i in bad:
        cfg.fault(line, about, f"{PARAMETERS[i]} = {size[i]} is outside 1 to {MOST}")
    if stride > MOST_STRIDE:
        cfg.fault(line, about, f"stride = {stride} is above {MOST_STRIDE}")
    if bad:
        return None
    groups = size[7]
    for i in (0, 4):
        if size[i] % groups:
            cfg.fault(line, about, f"{PARAMETERS[i]} = {size[i]} is no multiple of G = {groups}")
        size[i] //= groups
    if math.prod(size) > MOST_MACS:
        cfg.fault(line, about, f"{math.prod(size):,} MACs are above the limit of 2^50")
    return Layer(cfg.file, line, name, tuple(size), stride)


def with_batch(network: Network, batch: int) -> Network:
    """Return the network with another batch (version 1.6's `--batch_size`)."""
    sizes = [(layer, (*layer.size[:1], batch, *layer.size[2:])) for layer in network.layers]
    return replace(network, layers=tuple(replace(layer, size=size) for layer, size in sizes))


def read_schedule(path: Path | str, accelerator: Accelerator, network: Network) -> Schedule:
    """Read the table of a file, checked against the layer that it names.

    A file that ends in `.txt` is a result file, whose printed table is read.

    Raises:
        InputError: with every fault, each at its line.

    """
    return _ScheduleReader(path, accelerator, network).read()


class _ScheduleReader:
    def __init__(self, path: Path | str, accelerator: Accelerator, network: Network) -> None:
        self._accelerator = accelerator
        self._network = network
        is_printed = str(path).endswith(".txt")
        self._cfg = _printed(path) if is_printed else read_cfg(path)
        self._wants_units = accelerator.version == "1.5" and not is_printed

    def read(self) -> Schedule:
        cfg = self._cfg
        layer = self._layer()
        section = cfg.section("SCHEDULING_TABLE")
        if section is None:
            cfg.fault(None, "", "section [SCHEDULING_TABLE] is missing")
        cfg.refuse()
        assert layer is not None
        assert section is not None
        table = np.ones((len(ROWS), len(PARAMETERS)), np.int64)
        lines: dict[int, int] = {}
        read: set[str] = set()
        for row in range(1, len(ROWS)):
            if self._accelerator.is_defined(row):
                key = self._key(section, row)
                if key is not None:
                    read.add(key)
                    lines[row] = section.settings[key].line
                    self._row(section, key, table[row])
        for key, setting in section.settings.items():
            if key not in read:
                known = [name.lower() for name in (*ROWS, *ARRAYS)]
                why = (
                    "the accelerator has no such component, or it has its row already"
                    if key in known
                    else unknown_name("row", key.upper(), [name.upper() for name in known])
                )
                cfg.note(setting.line, "SCHEDULING_TABLE", f"{key.upper()} is ignored: {why}")
        cfg.refuse()
        self._check_products(layer, table, section)
        cfg.refuse()
        return Schedule(cfg.file, layer, table, lines, tuple(cfg.notes))

    def _layer(self) -> Layer | None:
        section = self._cfg.section("LAYER")
        settings = section.settings if section is not None else {}
        setting = settings.get("layer_name", settings.get("name"))
        if setting is None:
            self._cfg.fault(section.line if section else None, "LAYER", "layer_name is missing")
            return None
        names = [layer.name for layer in self._network.layers]
        if setting.value not in names:
            message = f"{unknown_name('layer', setting.value, names)} ({self._network.file})"
            self._cfg.fault(setting.line, "LAYER layer_name", message)
            return None
        return self._network.layers[names.index(setting.value)]

    def _key(self, section: Section, row: int) -> str | None:
        """Return the key of a row in the table; None where it has and needs no key."""
        name = ROWS[row].lower()
        is_unit = self._accelerator.is_unit(row)
        if is_unit:  # a unit array's row goes by the plain name of its section
            name = name.partition("(")[0]
        if name in section.settings:
            return name
        if not is_unit:
            message = f"row {name.upper()} is missing"
            self._cfg.fault(section.line, "SCHEDULING_TABLE", message)
        elif self._wants_units:
            ones = ",".join("1" * len(PARAMETERS))
            message = f"row {name.upper()}={ones} is missing; NeuroSpector 1.5 wants it (quirk Q8b)"
            self._cfg.fault(section.line, "SCHEDULING_TABLE", message)
        return None

    def _row(self, section: Section, key: str, row: NDArray[np.int64]) -> None:
        numbers = self._cfg.wholes(section, key, 1, MOST)
        if numbers is None:
            return
        if len(numbers) != len(PARAMETERS):
            message = f"must have 8 numbers, {','.join(PARAMETERS)}, got {len(numbers)}"
            self._cfg.fault(section.settings[key].line, key.upper(), message)
            return
        row[:] = numbers

    def _check_products(self, layer: Layer, table: Table, section: Section) -> None:
        for column, letter in enumerate(PARAMETERS):
            product = math.prod(int(entry) for entry in table[:, column])
            if product != layer.size[column]:
                group = " per group" if letter in "KC" and layer.size[7] > 1 else ""
                message = (
                    f"the product of column {letter} is {product}, the layer's {letter} is "
                    f"{layer.size[column]}{group} ({layer.file}:{layer.line})"
                )
                self._cfg.fault(section.line, "SCHEDULING_TABLE", message)


def _printed(path: Path | str) -> Cfg:
    """Return the printed table of a result file, as the sections of a table's file."""
    text, name = read_text(path, "a result file")
    cfg = Cfg(name, {})
    layer = Section("LAYER", 1)
    rows = Section("SCHEDULING_TABLE", 1)
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("Layer Name :"):
            layer.line = rows.line = number
            layer.settings.setdefault(
                "name", Setting(number, line.partition(":")[2].strip().lower())
            )
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == len(PARAMETERS) + 4 and cells[1] in ROWS:
            value = ",".join(cells[2:10])
            rows.settings.setdefault(cells[1].lower(), Setting(number, value))
    if not layer.settings or not rows.settings:
        cfg.fault(None, "", "holds no printed [Scheduling Table] with its Layer Name")
    cfg.sections = {"LAYER": layer, "SCHEDULING_TABLE": rows}
    cfg.refuse()
    return cfg
