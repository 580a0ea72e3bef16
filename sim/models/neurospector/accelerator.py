"""NeuroSpector's accelerator files: the hierarchy from MACs to DRAM, in two versions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sim.models.neurospector.cfg import Cfg, Section, read_cfg
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.words import shown, unknown_name

VERSIONS: Final = ("1.5", "1.6")
"""1.5: the release v1.5, which prints 1.5.0; 1.6: the development branch, which prints 1.6.0."""

PARAMETERS: Final = "KBPQCRSG"
"""Columns of a table: filters, batch, ofmap rows and columns, channels, filter rows and columns,
groups; K and C are per group."""

TYPES: Final = ("INPUT", "WEIGHT", "OUTPUT")
DATAFLOWS: Final = ("IS", "WS", "OS")
ROWS: Final = (
    "REGISTER",
    "MAC_ARRAY(X)",
    "MAC_ARRAY(Y)",
    "LOCAL_BUFFER",
    "PE_ARRAY(X)",
    "PE_ARRAY(Y)",
    "GLOBAL_BUFFER",
    "MULTI_CHIPS(X)",
    "MULTI_CHIPS(Y)",
    "DRAM",
)
"""Rows of a table, from the MACs down to DRAM."""

REGISTER, LB, GB, DRAM = 0, 3, 6, 9
MAC_X, PE_X, CHIPS_X = 1, 4, 7
BUFFERS: Final = {"LOCAL_BUFFER": LB, "GLOBAL_BUFFER": GB, "DRAM": DRAM}
ARRAYS: Final = {"MAC_ARRAY": MAC_X, "PE_ARRAY": PE_X, "MULTI_CHIPS": CHIPS_X}
SECTIONS: Final = ("MAC_ARRAY", "LOCAL_BUFFER", "PE_ARRAY", "GLOBAL_BUFFER", "MULTI_CHIPS", "DRAM")

_ARRAY_KEYS = ("type", "size_x", "size_y", "constraint_x", "constraint_y")
_BUFFER_KEYS = (
    *("type", "dataflow", "bypass", "constraint", "size", "buffer_size"),
    *("unit_access_energy", "unit_static_power", "unit_cycle"),
)
_SIZES_16 = (
    *(("buffer_size_mb", 1 << 20), ("size_mb", 1 << 20)),
    *(("buffer_size_kb", 1 << 10), ("size_kb", 1 << 10)),
    *(("size", 1), ("buffer_size", 1)),
)
_ACCELERATOR_KEYS = ("name", "precision", "frequency", "unit_mac_energy", "unit_mac_static")


@dataclass(frozen=True)
class Buffer:
    """A memory; lists by type are input, weight, output."""

    name: str
    row: int
    dataflow: str
    """IS, WS, OS, or empty: the type that it keeps in place while the level below iterates."""
    sizes: tuple[float, ...]
    """Bytes: one shared by all types, one for each of three, or two (version 1.6 says for whom)."""
    bypass: tuple[bool, bool, bool]
    separated: int | None
    """Version 1.6: the type that the second of two sizes belongs to."""
    energy_pj: tuple[float, float, float]
    static_mw: tuple[float, ...]
    cycles: tuple[float, float, float]
    bits: tuple[float, float, float]
    """Width of the port by type."""
    constraint: tuple[int, ...] | None
    printed: Mapping[str, tuple[float, ...]]
    """Numbers as the file gives them, by `energy`, `static`, `cycle`, `bits`."""
    lines: Mapping[str, int]
    """Line of each key, and of the section under an empty key."""


@dataclass(frozen=True)
class Array:
    """Units side by side in two directions."""

    name: str
    row: int
    size: tuple[int, int]
    constraint: tuple[str, str]
    """Letters that may be unrolled along x and y; all where empty."""
    radix: float
    lines: Mapping[str, int]

    @property
    def units(self) -> int:
        """How many there are."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class Accelerator:
    """A checked file."""

    file: str
    version: str
    name: str
    precision: int
    frequency: int
    mac_energy_pj: float
    mac_static_mw: float
    buffers: Mapping[int, Buffer]
    arrays: Mapping[int, Array]
    notes: tuple[Fault, ...] = field(default=(), compare=False)

    @property
    def dataflows(self) -> tuple[str, str]:
        """Return the dataflows of LB and GB."""
        gb = self.buffers.get(GB)
        return self.buffers[LB].dataflow, gb.dataflow if gb is not None else ""

    def units(self, row: int) -> int:
        """Return units of the array whose x row is `row`; 1 where there is none."""
        return self.arrays[row].units if row in self.arrays else 1

    def capacity(self, row: int) -> tuple[float, ...]:
        """Return words that fit, for each size; infinite where a word has no whole byte [Q10]."""
        word = self.precision // 8
        return tuple(size / word if word else float("inf") for size in self.buffers[row].sizes)

    def is_unit(self, row: int) -> bool:
        """Say whether a defined row can hold or unroll nothing: size 1, or a word for each type."""
        if row in (LB, GB, DRAM):
            sizes, word = self.buffers[row].sizes, self.precision // 8
            if self.version != "1.5":
                whole = (3 * self.precision // 8,) if len(sizes) == 1 else (word,) * len(sizes)
                return bool(sizes) and all(s in (0, w) for s, w in zip(sizes, whole, strict=True))
            if len(sizes) == 1:
                return sizes[0] == 3 * self.precision // 8
            return len(sizes) == 3 and all(size == word for size in sizes)
        first = next(x for x in (MAC_X, PE_X, CHIPS_X) if row in (x, x + 1))
        return self.arrays[first].size[row - first] == 1

    def is_defined(self, row: int) -> bool:
        """Say whether the file has the section of a row."""
        return row in self.buffers or row in self.arrays or row - 1 in self.arrays

    @property
    def fillable(self) -> tuple[int, ...]:
        """Rows that may hold factors, from the top."""
        rows = range(1, len(ROWS))
        return tuple(row for row in rows if self.is_defined(row) and not self.is_unit(row))


def read_accelerator(path: Path | str, version: str = "1.5") -> Accelerator:
    """Read the accelerator of a file.

    Raises:
        InputError: with every fault, each at its line.

    """
    cfg = read_cfg(path)
    known = ("ACCELERATOR", "REGISTER", *SECTIONS)
    for name, section in cfg.sections.items():
        if name not in known:
            cfg.note(section.line, "", f"section {unknown_name('section', name, known)}; ignored")
    if "REGISTER" in cfg.sections:
        message = "registers are not modelled: their row of a table must be all 1 (quirk Q5)"
        cfg.fault(cfg.sections["REGISTER"].line, "REGISTER", message)
    for name in BUFFERS:
        if name not in cfg.sections and (name != "GLOBAL_BUFFER" or version == "1.5"):
            message = f"section [{name}] is missing; NeuroSpector {version} crashes without it"
            cfg.fault(None, "", f"{message} (quirk Q4)")
    top = _Top(cfg)
    arrays = {
        row: _array(cfg, cfg.sections[name], row, version)
        for name, row in ARRAYS.items()
        if name in cfg.sections
    }
    reader = _BufferReader(cfg, version, top.precision)
    buffers = {
        row: reader.read(cfg.sections[name], row)
        for name, row in BUFFERS.items()
        if name in cfg.sections
    }
    cfg.refuse()
    return Accelerator(
        cfg.file,
        version,
        top.name,
        top.precision,
        top.frequency,
        top.mac_energy_pj,
        top.mac_static_mw,
        {row: buffer for row, buffer in buffers.items() if buffer is not None},
        arrays,
        tuple(cfg.notes),
    )


class _Top:
    """Section [ACCELERATOR]."""

    def __init__(self, cfg: Cfg) -> None:
        section = cfg.section("ACCELERATOR") or Section("ACCELERATOR", 1)
        cfg.unknown(section, _ACCELERATOR_KEYS)
        name = section.settings.get("name")
        self.name = name.value if name is not None else ""
        if name is not None and not _is_file_name(name.value):
            message = f"{shown(name.value)} is no part of a file name: up to 100 characters, no /"
            cfg.fault(name.line, "ACCELERATOR NAME", message)
        self.precision = 8
        precision = section.settings.get("precision")
        if precision is not None:
            digits = re.sub(r"[^0-9]", "", precision.value)
            if not digits or len(digits) > 4 or int(digits) == 0:
                message = f"must hold the bits of a word, as in INT16, got {shown(precision.value)}"
                cfg.fault(precision.line, "ACCELERATOR PRECISION", message)
            else:
                self.precision = int(digits)
        self.frequency = (cfg.wholes(section, "frequency", most=10**6) or (0,))[0]
        if self.frequency == 0:
            cfg.note(section.line, "ACCELERATOR FREQUENCY", "is 0: static energy is infinite")
        self.mac_energy_pj = (cfg.reals(section, "unit_mac_energy") or (1.0,))[0]
        self.mac_static_mw = (cfg.reals(section, "unit_mac_static") or (0.0,))[0]


def _is_file_name(text: str) -> bool:
    return len(text) <= 100 and text.isprintable() and not set(text) & set("/\\")


def _lines(section: Section) -> dict[str, int]:
    return {"": section.line, **{key: item.line for key, item in section.settings.items()}}


def _array(cfg: Cfg, section: Section, row: int, version: str) -> Array:
    cfg.unknown(section, _ARRAY_KEYS if version == "1.5" else (*_ARRAY_KEYS, "radix_degree"))
    sizes = [(cfg.wholes(section, f"size_{d}", 1, 1 << 16) or (1,))[0] for d in "xy"]
    allowed: list[str] = []
    for direction in "xy":
        setting = section.settings.get(f"constraint_{direction}")
        letters = setting.value.upper().split(",") if setting is not None else []
        for letter in letters:
            if letter not in PARAMETERS or len(letter) != 1:
                assert setting is not None
                message = f"must be a list of letters of {PARAMETERS}, got {shown(letter)}"
                about = f"{section.name} CONSTRAINT_{direction.upper()}"
                cfg.fault(setting.line, about, message)
        allowed.append("".join(letters))
        if setting is not None and row != PE_X:
            message = (
                f"CONSTRAINT_{direction.upper()} is ignored: only PE_ARRAY's counts (quirk Q7)"
            )
            cfg.note(setting.line, section.name, message)
    radix = (cfg.reals(section, "radix_degree") or (1.0,))[0] if version != "1.5" else 1.0
    return Array(
        section.name, row, (sizes[0], sizes[1]), (allowed[0], allowed[1]), radix, _lines(section)
    )


class _BufferReader:
    """Sections of memories, by the rules of a version."""

    def __init__(self, cfg: Cfg, version: str, precision: int) -> None:
        self._cfg = cfg
        self._release = version == "1.5"
        self._precision = precision
        self._lb_flow = ""

    def read(self, section: Section, row: int) -> Buffer | None:
        """Return the memory; None where faults leave none."""
        cfg = self._cfg
        width = "bandwidth" if self._release else "bitwidth"
        extra = () if self._release else ("separated_data", *(key for key, _ in _SIZES_16))
        cfg.unknown(section, (*_BUFFER_KEYS, width, *extra))
        dataflow = self._dataflow(section, row)
        if row == LB:
            self._lb_flow = dataflow
        sizes = self._sizes(section, row)
        constraint = cfg.wholes(section, "constraint")
        if constraint is not None and len(constraint) != len(PARAMETERS):
            self._fault(section, "constraint", f"must have 8 numbers, got {len(constraint)}")
        flexible = self._is_flexible(section)
        bypass = (False, False, False) if flexible else self._types(section, "bypass")
        if flexible:  # what the LB keeps
            if row == LB or not self._lb_flow:
                self._fault(section, "bypass", "FLEXIBLE needs the DATAFLOW of an LB above")
            else:
                kept = DATAFLOWS.index(self._lb_flow)
                bypass = (kept == 0, kept == 1, kept == 2)
        if dataflow and bypass[DATAFLOWS.index(dataflow)]:
            kept_type = TYPES[DATAFLOWS.index(dataflow)]
            self._fault(section, "bypass", f"{kept_type} is what DATAFLOW {dataflow} keeps here")
        separated = None if self._release else self._separated(section, sizes)
        if self._release and len(sizes) == 2 and row == GB and not any(bypass):
            message = "must name the type of the second of two sizes of BUFFER_SIZE"
            cfg.fault(section.line, f"{section.name} BYPASS", message)
        numbers = {
            "energy": self._numbers(section, "unit_access_energy", 0.0, len(sizes)),
            "static": self._numbers(section, "unit_static_power", 0.0, len(sizes)),
            "cycle": self._numbers(section, "unit_cycle", 0.0 if self._release else 1, len(sizes)),
            "bits": self._bits(section, width, len(sizes)),
        }
        energy = self._by_type(numbers["energy"], separated)
        if flexible and True in bypass:  # its entry is free, but for the energy that is charged
            free = bypass.index(True)
            for name in ("energy", "static"):
                listed = enumerate(numbers[name])
                numbers[name] = tuple(0.0 if i == free else number for i, number in listed)
        return Buffer(
            section.name,
            row,
            dataflow,
            sizes,
            bypass,
            separated,
            energy,
            numbers["static"],
            self._by_type(numbers["cycle"], separated),
            self._by_type(numbers["bits"], separated),
            constraint,
            numbers,
            _lines(section),
        )

    def _fault(self, section: Section, key: str, message: str) -> None:
        setting = section.settings.get(key)
        line = section.line if setting is None else setting.line
        self._cfg.fault(line, f"{section.name} {key.upper()}", message)

    def _dataflow(self, section: Section, row: int) -> str:
        setting = section.settings.get("dataflow")
        name = setting.value.upper() if setting is not None else ""
        if name in ("", "NONE"):
            return ""
        if name not in DATAFLOWS:
            self._fault(section, "dataflow", f"must be IS, WS, OS or NONE, got {shown(name)}")
            return ""
        if row == DRAM:
            self._fault(section, "dataflow", "nothing is below DRAM that it could be kept from")
            return ""
        return name

    def _sizes(self, section: Section, row: int) -> tuple[float, ...]:
        keys = (("size", 1), ("buffer_size", 1)) if self._release else _SIZES_16
        key, unit = next((item for item in keys if item[0] in section.settings), ("buffer_size", 1))
        sizes = self._cfg.reals(section, key)
        if sizes is None:
            if key not in section.settings and (row != DRAM or not self._release):
                self._fault(section, key, "is missing; bytes, one number or three")
            return ()
        if len(sizes) > 3:
            self._fault(section, key, f"must have 1, 2 or 3 numbers, got {len(sizes)}")
        elif len(sizes) == 2 and row == LB and self._release:
            self._cfg.note(section.settings[key].line, section.name, "two sizes are not checked")
        return tuple(size * unit for size in sizes[:3])

    def _is_flexible(self, section: Section) -> bool:
        setting = section.settings.get("bypass")
        return not self._release and setting is not None and setting.value == "flexible"

    def _types(self, section: Section, key: str) -> tuple[bool, bool, bool]:
        setting = section.settings.get(key)
        names = setting.value.upper().split(",") if setting is not None and setting.value else []
        for name in names:
            if name not in TYPES:
                self._fault(section, key, unknown_name("type", name, TYPES))
        return "INPUT" in names, "WEIGHT" in names, "OUTPUT" in names

    def _separated(self, section: Section, sizes: tuple[float, ...]) -> int | None:
        named = self._types(section, "separated_data")
        if len(sizes) != 2:
            if any(named):
                self._fault(section, "separated_data", "needs two sizes")
            return None
        if sum(named) != 1:
            self._fault(section, "separated_data", "must name one type, that of the second size")
            return None
        return named.index(True)

    def _numbers(self, section: Section, key: str, default: float, sizes: int) -> tuple[float, ...]:
        numbers = self._cfg.reals(section, key)
        if not self._release:
            if numbers is None:
                return (default,) * sizes
            if len(numbers) != sizes:
                message = f"must have a number for each of {sizes} sizes, got {len(numbers)}"
                self._fault(section, key, message)
            return numbers
        if numbers is None:
            return (default,) * 3
        if len(numbers) > 3:
            self._fault(section, key, f"must have 3 numbers, got {len(numbers)}")
        if len(numbers) < 3:
            line = section.settings[key].line
            message = f"{key.upper()} has {len(numbers)} of 3 numbers: the others are {default:g}"
            self._cfg.note(line, section.name, f"{message} (quirk Q6)")
        return (*numbers, default, default)[:3]

    def _bits(self, section: Section, key: str, sizes: int) -> tuple[float, ...]:
        if not self._release:
            return self._numbers(section, key, self._precision, sizes)
        bits = self._cfg.reals(section, key)
        if bits is None and key not in section.settings:
            message = "is missing; NeuroSpector 1.5 reads an undefined number there"
            self._fault(section, key, message)
        return (bits or (0.0,))[:1]

    def _by_type(
        self, numbers: tuple[float, ...], separated: int | None
    ) -> tuple[float, float, float]:
        if len(numbers) == 2 and separated is not None:
            three = [numbers[1] if t == separated else numbers[0] for t in range(3)]
        else:
            three = list(numbers) if len(numbers) == 3 else [*numbers, 0.0][:1] * 3
        return three[0], three[1], three[2]


def check_version(version: str) -> str:
    """Return the version.

    Raises:
        InputError: no such version.

    """
    if version not in VERSIONS:
        raise InputError(Fault("", None, "version", unknown_name("version", version, VERSIONS)))
    return version
