"""Text that NeuroSpector prints, figure by figure, and its result files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from sim.models.neurospector.accelerator import (
    ARRAYS,
    BUFFERS,
    CHIPS_X,
    DRAM,
    GB,
    LB,
    MAC_X,
    PARAMETERS,
    PE_X,
    ROWS,
    SECTIONS,
    TYPES,
    Accelerator,
    Array,
    Buffer,
)
from sim.models.neurospector.model import Figures, Model
from sim.models.neurospector.workload import Layer, Table

VERSION_LINES: Final = {"1.5": "Version: 1.5.0", "1.6": "Version: 1.6.0"}
SHORT: Final = {LB: "LB", GB: "GB", DRAM: "DRAM"}

_FLOWS = {"IS": "Input", "WS": "Weight", "OS": "Output"}
_STARS = "*" * 26
_RULE = f"|{'-' * 78}|{'-' * 6}|"
_HEADING = (
    _RULE,
    "|Correlations  |  W/O  |          O/I          |          I/W          | I/W/O | DATA |",
    "|Parameters    |   K   |   B   |   P   |   Q   |   C   |   R   |   S   |   G   | FLOW |",
    _RULE,
)


def number(value: Any) -> str:
    """Return a number as C++ prints it: six significant digits; NaN comes signed out of x86."""
    return "-nan" if np.isnan(value) else f"{value:.6g}"


def accelerator_text(accelerator: Accelerator) -> str:
    """Return the block of the accelerator."""
    return "\n".join(_accelerator(accelerator)) + "\n"


def _accelerator(accelerator: Accelerator) -> Iterator[str]:
    release = accelerator.version == "1.5"
    pad = "" if release else " "
    frequency = accelerator.frequency
    yield "==== Accelerator Spec ===="
    yield f"[ {pad}acc. name] {accelerator.name}"
    yield f"[ {pad}precision] {accelerator.precision}"
    yield f"[ {pad}frequency] {frequency}"
    yield f"[{pad}clock time] {number(1000 / frequency if frequency else float('inf'))}"
    yield f"[{pad}MAC energy] {number(accelerator.mac_energy_pj)}"
    yield f"[{pad}MAC static] {number(accelerator.mac_static_mw)}"
    for name in SECTIONS:
        array = accelerator.arrays.get(ARRAYS.get(name, -1))
        buffer = accelerator.buffers.get(BUFFERS.get(name, -1))
        if array is not None:
            yield from _array(array, release)
        if buffer is not None:
            yield from _buffer(buffer, release)
    yield "=" * 26
    if not release:
        on_chip, off_chip = max_power(accelerator)
        yield f"[      on-chip max power] {number(on_chip)} mW"
        yield f"[off-chip mem. max power] {number(off_chip)} mW"
        yield f"[        total max power] {number(np.float32(on_chip) + np.float32(off_chip))} mW"
        yield "=" * 26


def _array(array: Array, release: bool) -> Iterator[str]:
    yield ""
    yield f"[ comp. name] {array.name}"
    yield "[ comp. type] SPATIAL"
    yield f"[ comp. dimX] {array.size[0]}"
    yield f"[ comp. dimY] {array.size[1]}"
    for direction, letters in zip("XY", array.constraint, strict=True):
        if letters:
            yield f"[comp. cnst{direction}] {','.join(letters)}"
    if not release:
        yield f"[ comp. rdx ] {number(array.radix)}"


def _buffer(buffer: Buffer, release: bool) -> Iterator[str]:
    def spaced(numbers: Sequence[float]) -> str:
        return "".join(f"{number(value)}  " for value in numbers)

    bypassed = [name for name, is_bypassed in zip(TYPES, buffer.bypass, strict=True) if is_bypassed]
    flow = _FLOWS.get(buffer.dataflow)
    kept = f"{flow} {'Stationary' if release else 'stationary'}" if flow else "none"
    yield ""
    yield f"[ comp. name] {buffer.name}"
    yield "[ comp. type] TEMPORAL"
    yield f"[ comp. size] {spaced(buffer.sizes) if release else _sizes(buffer.sizes)}"
    if buffer.separated is not None:
        yield f"[  sep. type] {TYPES[buffer.separated]} "
    yield f"[     bypass] {''.join(f'{name} ' for name in bypassed)}"
    yield f"[   bitwidth] {spaced(buffer.printed['bits'])}"
    yield f"[   dataflow] {kept}"
    yield f"[unit energy] {spaced(buffer.printed['energy'])}"
    yield f"[unit static] {spaced(buffer.printed['static'])}"
    yield f"[ unit cycle] {spaced(buffer.printed['cycle'])}"
    if buffer.constraint is not None:
        yield f"[  unit cnst] {','.join(str(entry) for entry in buffer.constraint)}"


def _sizes(sizes: Sequence[float]) -> str:
    text = ""
    for size in sizes:
        unit, name = (1, "B")
        for larger, letters in ((1 << 10, "KB"), (1 << 20, "MB")):
            if size > larger:
                unit, name = larger, letters
        text += f"{number(size / unit)} {name}  "
    return text


def max_power(accelerator: Accelerator) -> tuple[float, float]:
    """Return the most mW that units on the chip, and DRAM, can take (version 1.6).

    From the MACs down, energies of an access add up and dimensions multiply.
    """
    real = np.float32
    energy, static = real(accelerator.mac_energy_pj), real(accelerator.mac_static_mw)
    for row in range(1, DRAM):
        if row in accelerator.arrays:
            for side in accelerator.arrays[row].size:
                energy, static = energy * real(side), static * real(side)
        elif row in accelerator.buffers:
            printed = accelerator.buffers[row].printed
            energy += sum(map(real, printed["energy"]), real(0))
            static += sum(map(real, printed["static"]), real(0))
    dram = accelerator.buffers[DRAM].printed
    mhz, thousand = real(accelerator.frequency), real(1000)
    off_chip = real(dram["energy"][0]) * mhz / thousand + real(dram["static"][0])
    return float(energy * mhz / thousand + static), float(off_chip)


def table_text(
    accelerator: Accelerator,
    layer: Layer,
    table: Table,
    dataflows: tuple[str, str],
    *,
    with_layer: bool = True,
) -> str:
    """Return the scheduling table."""
    lines = [f"Layer Name : {layer.title}", *_HEADING]
    kept = {LB: dataflows[0], GB: dataflows[1]}
    fillable = accelerator.fillable
    lines += [
        _row(ROWS[row], table[row], kept.get(row) or "-")
        for row in range(1, len(ROWS))
        if row in fillable or (row in accelerator.buffers and kept.get(row))
    ]
    lines.append(_RULE)
    if with_layer:
        lines += [_row(layer.name, layer.size, str(layer.stride)), _RULE]
    return "\n".join(lines) + "\n"


def _row(name: str, entries: Sequence[int] | Table, last: str) -> str:
    cells = "".join(f"{int(entry):6d} |" for entry in entries)
    return f"|{name:<14}|{cells}{last:>5} |"


@dataclass(frozen=True)
class Statistic:
    """A printed figure: its label in capitals, its value, and how it is printed."""

    label: str
    value: float
    text: str


def statistics(model: Model, figures: Figures, place: int = 0) -> list[list[Statistic]]:
    """Return every figure of a table, in the groups in which they are printed."""
    return _Statistics(model, figures, place).groups()


class _Statistics:
    def __init__(self, model: Model, figures: Figures, place: int) -> None:
        self._model = model
        self._accelerator = model.accelerator
        self._release = model.accelerator.version == "1.5"
        self._figures = figures
        self._place = place
        self._levels = [row for row in (LB, GB, DRAM) if row in model.accelerator.buffers]

    def groups(self) -> list[list[Statistic]]:
        f, at = self._figures, self._at
        names = {0: "MAC", **{row: SHORT[row] for row in self._levels}}
        unit = "" if self._release else " pJ"
        groups = [] if self._release else [list(self._sent())]
        groups += [
            list(self._tiles()),
            list(self._counts()),
            [
                self._whole(f"NUM ACTIVE {name}", values)
                for name, values in zip(
                    ("MAC ARRAY", "PE ARRAY", "MULTI CHIPS"), f.active, strict=True
                )
            ],
            list(self._buffer_use()),
            list(self._array_use()),
            [self._real(f"{names[row]} DYNAMIC ENERGY", at(f.dynamic[row])) for row in names],
            [self._real(f"{names[row]} STATIC ENERGY", at(f.static[row])) for row in names],
            [
                self._real(f"{names[row]} ENERGY", at(f.dynamic[row] + f.static[row]))
                for row in names
            ],
            [self._real(f"{names[row]} CYCLE", at(f.cycles[row])) for row in names],
        ]
        totals = [
            self._real("TOTAL DYNAMIC ENERGY", at(f.total_dynamic), unit),
            self._real("TOTAL STATIC ENERGY", at(f.total_static), unit),
            self._real("TOTAL ENERGY", at(f.total_energy), unit),
            self._real("TOTAL CYCLE", at(f.total_cycles)),
        ]
        if not self._release:
            power, averages = self._power(names)
            groups.append(power)
            totals += averages
        return [*groups, totals]

    def _at(self, values: Any) -> float:
        return float(values[self._place])

    def _real(self, label: str, value: float, unit: str = "") -> Statistic:
        return Statistic(label, value, number(value) + unit)

    def _whole(self, label: str, values: Any) -> Statistic:
        value = int(values[self._place])
        return Statistic(label, value, str(value))

    def _hidden(self, row: int) -> tuple[set[int], set[int]]:
        """Return types whose tile, and whose counts, are shown as 0 [Q9]."""
        buffer = self._accelerator.buffers[row]
        free = {k for k in range(3) if buffer.bypass[k] and buffer.energy_pj[k] == 0}
        tiles = set(free)
        if row == LB and 1 in free:
            tiles.add(0)  # sic
        return tiles, free

    def _sent(self) -> Iterator[Statistic]:
        for row in self._levels:
            for kind, letter in enumerate("IWO"):
                label = f"{SHORT[row]} {letter}  transfer tile size"
                words = self._figures.send[row][kind]
                yield self._whole(label, 0 * words if kind in self._hidden(row)[1] else words)

    def _tiles(self) -> Iterator[Statistic]:
        for row in self._levels:
            hidden, _ = self._hidden(row)
            for kind, letter in enumerate("IWO"):
                label = f"{SHORT[row]} {letter} TILE SIZE"
                words = self._figures.alloc[row][kind]
                yield self._whole(label, 0 * words if kind in hidden else words)

    def _counts(self) -> Iterator[Statistic]:
        for row in self._levels:
            _, hidden = self._hidden(row)
            counts = self._figures.counts[row]
            for kind, label, values in (
                (0, "I  READ", counts.rd_i),
                (1, "W  READ", counts.rd_w),
                (2, "O  READ", counts.rd_o),
                (2, "O WRITE", counts.wr_o),
            ):
                shown = 0 * values if kind in hidden else values
                yield self._whole(f"{SHORT[row]} {label} ACCESS COUNT", shown)

    def _buffer_use(self) -> Iterator[Statistic]:
        whole_names = {LB: " LOCAL BUFFER UTILIZATION", GB: "GLOBAL BUFFER UTILIZATION"}
        real = self._model.arithmetic.real
        for row, whole_name in whole_names.items():
            if row not in self._accelerator.buffers:
                continue
            buffer = self._accelerator.buffers[row]
            capacity = [real(words) for words in self._accelerator.capacity(row)]
            tiles = self._figures.alloc[row]
            hidden, _ = self._hidden(row)
            kept = [kind for kind in range(3) if not buffer.bypass[kind]]
            if len(capacity) == 3:
                for kind in range(3):
                    label = f"{SHORT[row]} {'IWO'[kind]} BUFFER UTILIZATION"
                    if kind not in kept:
                        if not self._release:
                            yield Statistic(label, float("nan"), "bypass")
                        continue
                    words = real(0) if kind in hidden else tiles[kind][self._place].astype(real)
                    yield self._real(label, float(words / capacity[kind] * real(100)))
                continue
            total = sum(int(tiles[kind][self._place]) for kind in kept if kind not in hidden)
            share = real(total) / capacity[0] * real(100)
            yield self._real(whole_name, float(share))

    def _array_use(self) -> Iterator[Statistic]:
        real = self._model.arithmetic.real
        rows = (MAC_X, PE_X, CHIPS_X)
        names = ("MAC ARRAY", "PE ARRAY", "MULTI CHIPS")
        for row, name, active in zip(rows, names, self._figures.active, strict=True):
            units = self._accelerator.units(row)
            share = real(active[self._place]) / real(units) * real(100)
            yield self._real(f"{name} UTILIZATION", float(share))

    def _power(self, names: dict[int, str]) -> tuple[list[Statistic], list[Statistic]]:
        """Return the mW of each level over its own cycles, and averages over all (version 1.6)."""
        f, real, accelerator = self._figures, self._model.arithmetic.real, self._accelerator
        mhz, thousand = real(accelerator.frequency), real(1000)
        chips = accelerator.units(CHIPS_X)
        pes = accelerator.units(PE_X) * chips
        copies = {0: accelerator.units(MAC_X) * pes, LB: pes, GB: chips, DRAM: 1}
        levels = []
        with np.errstate(all="ignore"):
            for row, name in names.items():
                unit_static = (
                    real(accelerator.mac_static_mw)
                    if row == 0
                    else np.add.reduce(
                        [real(p) for p in accelerator.buffers[row].static_mw], dtype=real
                    )
                )
                dynamic, cycles = f.dynamic[row][self._place], f.cycles[row][self._place]
                power = dynamic / cycles * mhz / thousand + unit_static * real(copies[row])
                levels.append(self._real(f"{name} POWER", float(power)))
            on_chip = [row for row in names if row != DRAM]
            energy = np.add.reduce([f.dynamic[row][self._place] for row in on_chip], dtype=real)
            cycles = np.add.reduce([f.cycles[row][self._place] for row in on_chip], dtype=real)
            first = energy / cycles * mhz / thousand
            total = f.total_energy[self._place] / f.total_cycles[self._place] * mhz / thousand
        return levels, [
            self._real("AVERAGE POWER (ON-CHIP)", float(first), " mW"),
            self._real("AVERAGE POWER (SYSTEM)", float(total), " mW"),
        ]


def figures_text(groups: list[list[Statistic]], *, is_result: bool = False) -> str:
    """Return the figures; a result file has some labels in lower case, and one misspelt."""
    lines = [_STARS]
    for group in groups:
        for statistic in group:
            label = statistic.label
            if is_result:
                for words in ("TILE SIZE", "READ ACCESS COUNT", "WRITE ACCESS COUNT"):
                    label = label.replace(words, words.lower())
                if label == "MAC ARRAY UTILIZATION":
                    lines.pop()  # no line of asterisks before it
                    label = "MAC ARRAY UTILIZAITON"
            width = 26 if "transfer" in label else 25
            lines.append(f"{label:>{width}} : {statistic.text}")
        lines.append(_STARS)
    return "\n".join(lines) + "\n"


def runtime_line(seconds: float) -> str:
    """Return the last line of what the tool prints."""
    whole = int(seconds)
    return f"[message] Runtime: {whole // 60}m {whole % 60}s ({whole})\n"


def json_statistics(groups: list[list[Statistic]]) -> dict[str, float | int | None]:
    """Return figures by their label; None where one is not finite."""
    return {
        statistic.label.strip(): statistic.value if np.isfinite(statistic.value) else None
        for group in groups
        for statistic in group
    }


def parameters(layer: Layer) -> dict[str, int]:
    """Return a layer's parameters by letter, K and C per group."""
    return dict(zip(PARAMETERS, layer.size, strict=True))


def table_cfg(accelerator: Accelerator, layer: Layer, table: Table) -> str:
    """Return a table as a file that the analyzer of either version reads."""
    lines = ["[LAYER]", f"layer_name={layer.name}", "", "[SCHEDULING_TABLE]"]
    for row in range(1, len(ROWS)):
        if accelerator.is_defined(row):
            name = ROWS[row]
            if accelerator.is_unit(row):
                name = name.partition("(")[0]
            line = f"{name:<14}={','.join(str(int(entry)) for entry in table[row])}"
            if line not in lines:  # of an array with one unit both ways
                lines.append(line)
    return "\n".join(lines) + "\n"


def table_rows(accelerator: Accelerator, table: Table) -> dict[str, list[int]]:
    """Return rows of a table that the accelerator can fill, by name."""
    return {ROWS[row]: [int(entry) for entry in table[row]] for row in accelerator.fillable}
