"""MAESTRO's outputs: the row of its CSV, its screen report, and the same figures with names.

Whole numbers are printed whole, others with six significant digits, as the program prints them.
Prices are the program's own: a MAC 1, an L1 access 1.68, an L2 access 18.61, and 0.23 pJ a MAC;
it names no source for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import reduce
from math import isfinite, isnan, prod
from operator import add
from typing import Any, Final

from sim.models.maestro.analysis import Access, Delay, Hardware, LayerCost
from sim.models.maestro.language import Layer
from sim.models.maestro.levels import Nest

L1_ENERGY: Final = 1.68
L2_ENERGY: Final = 18.61
NJ_PER_MAC_ENERGY: Final = 0.00023

HEADERS: Final = (
    "Neural Network Name",
    " Layer Number",
    " NumPEs",
    " Runtime (Cycles)",
    " Activity count-based Energy (nJ)",
    " Throughput (MACs/Cycle)",
    " Throughput Per Energy (GMACs/s*J)",
    " Area",
    " Power",
    " NoC BW Req (Elements/cycle)",
    " Avg BW Req",
    " Peak BW Req",
    " Vector Width",
    " Offchip BW Req (Elements/cycle)",
    "  L2 SRAM Size Req (Bytes)",
    " L1 SRAM Size Req (Bytes)",
    " Multicasting Factor (Weight)",
    " Multicasting Factor (Input)",
    " Num Total Input Pixels",
    " Num Total Weight Pixels",
    " Ops/J",
    " Num MACs",
    " PE power",
    " L1 power",
    " L2 power",
    " NOC power",
    " input l1 read",
    " input l1 write",
    " input l2 read",
    " input l2 write",
    " input reuse factor",
    "filter l1 read",
    " filter l1 write",
    " filter l2 read",
    " filter l2 write",
    " filter reuse factor",
    "output l1 read",
    " output l1 write",
    " output l2 read",
    " output l2 write",
    " output reuse factor",
    "Ingress Delay (Min)",
    " Ingress Delay (Max)",
    " Ingress Delay (Avg)",
    " Egress Delay (Min)",
    " Egress Delay (Max)",
    "  Egress Delay (Avg)",
    "Compute Delay (Min)",
    " Compute Delay (Min)",
    " Compute Delay (Avg)",
    "Avg number of utilized PEs",
    " Arithmetic Intensity",
)
"""The CSV's headings as the program prints them: column 49 is headed Min and holds the maximum."""

_HEADED_MIN_TWICE = 48
_FIRST_WITH_BLANK = 27  # cells from the input's L1 writes on have a leading blank


def number(value: float | Fraction) -> str:
    """Print a figure as a C++ stream does: whole numbers whole, others with six digits."""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Fraction):
        with localcontext(prec=6):  # at once, as a double would be rounded twice
            value = float(Decimal(value.numerator) / value.denominator)
    return "-nan" if isnan(value) else f"{value:.6g}"  # the sign that x86 gives 0/0


def _ratio(value: float, by: float) -> float:
    if by:
        return value / by
    return float("nan") if not value else float("inf") if value > 0 else float("-inf")


@dataclass(frozen=True)
class LayerReport:
    """A layer's figures under the names of the CSV and of the screen report."""

    network: str
    layer: Layer
    hardware: Hardware
    nest: Nest
    cost: LayerCost

    @property
    def tensors(self) -> tuple[tuple[str, Access], ...]:
        """Input, filter and output, by name."""
        cost = self.cost
        return ("input", cost.input), ("filter", cost.filter), ("output", cost.output)

    @property
    def l1_size(self) -> int:
        """Room that a PE needs, elements (headed Bytes in the CSV)."""
        return sum(tensor.l1_size for _, tensor in self.tensors)

    @property
    def l2_size(self) -> int:
        """Room that the shared buffer needs, elements."""
        return sum(tensor.l2_size for _, tensor in self.tensors)

    def declared(self, variables: str) -> int:
        """Return the product of a tensor's sizes as the file gives them, output sizes left out."""
        return prod(self.layer.dims.get(name, 1) for name in variables)

    @property
    def l1_accesses(self) -> int:
        """All L1 reads and writes."""
        return sum(tensor.l1_read + tensor.l1_write for _, tensor in self.tensors)

    def energy_nj(self, l1_accesses: int) -> float:
        """Return the CSV's energy, nJ, with the L1 accesses that the program charges to the layer.

        They are those of the layer before, unless the layer has a single level: a quirk. MACs are
        not charged.
        """
        cost = self.cost
        l2 = cost.input.l2_read + cost.input.l2_write + cost.filter.l2_read + cost.filter.l2_write
        l2 += cost.output.l2_write
        return NJ_PER_MAC_ENERGY * (L2_ENERGY * l2 + L1_ENERGY * l1_accesses)

    def row(self, l1_before: int) -> list[float | str]:
        """Return the cells of the CSV; `l1_before` are the L1 accesses of the layer before."""
        cost, hw = self.cost, self.hardware
        energy = self.energy_nj(self.l1_accesses if len(self.nest.levels) == 1 else l1_before)
        throughput = _ratio(float(cost.macs), cost.runtime)
        powers, area = _power_and_area(hw, max(self.l1_size, 1), max(self.l2_size, 1))
        cells: list[float | str] = [
            self.network,
            self.layer.name,
            hw.pes,
            cost.runtime,
            energy,
            throughput,
            _ratio(throughput, energy) * 1e9,
            area,
            reduce(add, powers, 0.0),  # in this order: Python's own sum is more exact from 3.12 on
            cost.peak_bandwidth,
            float(cost.mean_bandwidth),
            cost.peak_bandwidth,
            hw.lanes,
            cost.offchip,
            self.l2_size,
            self.l1_size,
            _ratio(cost.filter.l1_write, cost.filter.l2_read),
            _ratio(cost.input.l1_write, cost.input.l2_read),
            self.declared(self.nest.tensors.input),
            self.declared(self.nest.tensors.filter),
            _ratio(float(cost.macs), energy) * 1e9,
            cost.macs,
            *powers,
        ]
        for _, tensor in self.tensors:
            cells += [
                tensor.l1_read,
                tensor.l1_write,
                tensor.l2_read,
                tensor.l2_write,
                _ratio(tensor.l1_read, tensor.l1_write),
            ]
        for delay in (cost.ingress, cost.egress, cost.compute):
            cells += [delay.least, delay.most, delay.mean]
        return [*cells, float(cost.active), float(cost.intensity)]

    def to_dict(self, l1_before: int) -> dict[str, Any]:
        """Return the figures under the CSV's headings, as JSON-able data; None for no number."""
        found: dict[str, Any] = {}
        for place, (heading, cell) in enumerate(zip(HEADERS, self.row(l1_before), strict=True)):
            name = "Compute Delay (Max)" if place == _HEADED_MIN_TWICE else heading.strip()
            found[name] = None if isinstance(cell, float) and not isfinite(cell) else cell
        return found

    def screen(self) -> str:
        """Return the program's screen report of the layer."""
        cost = self.cost
        macs = cost.macs
        throughput = _ratio(float(macs), cost.runtime)
        lines = [
            "",
            "",
            f"Num MACs: {macs}",
            "",
            "[Performance Analysis]",
            f"Runtime: {cost.runtime} cycles",
            f"Throughput: {number(throughput)} MACs/cycle",
            "[Buffer Access Analysis]",
        ]
        for name, tensor in self.tensors:
            lines += [
                f"Tensor {name}",
                f"L2 size requirement: {tensor.l2_size}",
                f"L1 size requirement: {tensor.l1_size}",
                f"L2 buffer write: {tensor.l2_write}",
                f"L2 buffer read: {tensor.l2_read}",
                f"L1 buffer write: {tensor.l1_write}",
                f"L1 buffer read: {tensor.l1_read}",
                f"Data reuse factor: {number(_ratio(tensor.l1_read, tensor.l1_write))}",
            ]
        reads = sum(tensor.l1_read for _, tensor in self.tensors)
        writes = sum(tensor.l1_write for _, tensor in self.tensors)
        lines += [
            f"Overall data reuse factor: {number(_ratio(reads, writes))}",
            "[Energy Analysis]",
            "-For each data class",
        ]
        # The program adds in 80 bits: exactly, at six digits.
        totals = [Fraction(0)] * 4
        for name, tensor in self.tensors:
            parts = (
                L2_ENERGY * tensor.l2_write,
                L2_ENERGY * tensor.l2_read,
                L1_ENERGY * tensor.l1_write,
                L1_ENERGY * tensor.l1_read,
            )
            totals = [total + Fraction(part) for total, part in zip(totals, parts, strict=True)]
            lines.append(f"Tensor {name}")
            lines += [
                f"{what} energy: {number(part)} X MAC energy"
                for what, part in zip(_ACCESSES, parts, strict=True)
            ]
        energy = sum(totals) + macs
        lines += [
            "",
            "[Summary]",
            f"Total L2 buffer requirement: {self.l2_size}",
            f"Total L1 buffer requirement: {self.l1_size}",
        ]
        lines += [
            f"Total {what} energy: {number(part)} X MAC energy"
            for what, part in zip(_ACCESSES, totals, strict=True)
        ]
        lines += [
            f"Total MAC energy: {macs} X MAC energy",
            f"Peak bandwidth requirement: {cost.peak_bandwidth}",
            f"Avg bandwidth requirement: {number(float(cost.mean_bandwidth))}",
            "",
            f"Total energy consumption: {number(energy)} X MAC energy",
            f"Runtime: {cost.runtime} cycles",
            f"Throughput: {number(throughput)} MACs/cycle",
            "Performance per MAC energy: "
            f"{number(_ratio(throughput, float(energy)))} MACs/cycle/(MAC_energy)",
        ]
        for what, delay in (
            ("Ingress", cost.ingress),
            ("Egress", cost.egress),
            ("Computation", cost.compute),
        ):
            lines += [f"{what} Delay", *_delay(delay)]
        return "\n".join(
            [
                *lines,
                f"Average number of utilized PEs: {number(float(cost.active))}",
                f"Arithmetic intensity: {number(float(cost.intensity))}",
            ]
        )


_ACCESSES = ("L2 buffer write", "L2 buffer read", "L1 buffer write", "L1 buffer read")


def _delay(delay: Delay) -> list[str]:
    return [f"Min: {delay.least}", f"Max: {delay.most}", f"Avg: {delay.mean}"]


def _power_and_area(hw: Hardware, l1: int, l2: int) -> tuple[list[float], float]:
    """Return the powers of PEs, L1, L2 and network, and the area: fits without unit or source."""
    pes, lanes = float(hw.pes), float(hw.lanes)
    bus = 14.662 * pes + 28.895
    arbiter = 1.2886 * pes**2 + 5.5814 * pes - 23.711
    area = pes * (283 * lanes + 0.104 * l1) + 0.104 * l2
    area += 101.7938 * bus * hw.bandwidth + max(395.473 * arbiter, 395.473)
    network = 0.8 * bus / 1000 * hw.bandwidth + max(0.34 * arbiter / 1000, 0.34)
    return [pes * 1.2223 * lanes, pes * 0.00345 * l1, 0.00345 * l2, network], area


def csv_text(reports: Sequence[LayerReport]) -> str:
    """Return the CSV of a network's layers, to the byte as the program writes it."""
    lines = [",".join(HEADERS)]
    before = 0
    for report in reports:
        cells = [cell if isinstance(cell, str) else number(cell) for cell in report.row(before)]
        lines.append(
            ",".join(
                f" {cell}" if place >= _FIRST_WITH_BLANK else cell
                for place, cell in enumerate(cells)
            )
        )
        before = report.l1_accesses
    return "\n".join(lines) + "\n"


def screen_text(
    reports: Sequence[LayerReport], l1_limit: int | None = None, l2_limit: int | None = None
) -> str:
    """Return the screen report of a network, with the program's warnings about room and rate."""
    hw = reports[0].hardware
    lines = [report.screen() for report in reports]
    lines.append("Buffer Analysis:")
    buffers = [
        f"[WARNING:Buffer] Per-layer {level} size requirement [{size}] is larger than the given "
        f"{level} size [{limit}]"
        for level, size, limit in (
            ("L1", max(report.l1_size for report in reports), l1_limit),
            ("L2", max(report.l2_size for report in reports), l2_limit),
        )
        if limit is not None and size > limit
    ]
    lines += buffers or ["[PASS]"]
    lines += [
        "[Model-wise Buffer Summary]",
        f"Model-wise total L2 size usage: {sum(report.l2_size for report in reports)}",
        f"Model-wise total L1 size usage: {sum(report.l1_size for report in reports)}",
        "BW Analysis:",
    ]
    rates = [
        f"[WARNING:BW] Per-layer {what} BW requirement [{rate}] is larger than the given {what} "
        f"BW [{limit}]"
        for what, rate, limit in (
            ("NoC", max(report.cost.peak_bandwidth for report in reports), hw.bandwidth),
            ("OffChip", max(report.cost.offchip for report in reports), hw.offchip),
        )
        if rate > limit
    ]
    return "\n".join([*lines, *(rates or ["[PASS]"])]) + "\n"
