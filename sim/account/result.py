"""Results as plain dataclasses, and the result file that they are written to (docs/result.md)."""

from __future__ import annotations

from collections.abc import Mapping as MappingABC
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from hw_models.energy import EnergyTable
from hw_models.spec import Hardware
from hw_models.vocabulary import BUSES, Cause, DataType, Level, Network, Wait
from sim.account.energy import EnergyBreakdown, layer_energy, network_energy
from sim.account.ledger import LayerStats, ledger_entries, nested, published_glb_bytes
from sim.account.timeline import Timeline
from sim.dataflow.base import Mapping, Plan, ceil_div
from sim.errors import Fault, InputError
from sim.plan.dram_traffic import Coding, Traffic
from sim.result.model import (
    BoundPart,
    CyclesPart,
    LayerPart,
    PePart,
    QueuePart,
    RefusedPart,
    ResultFile,
    StepPart,
    TotalCyclesPart,
    TotalsPart,
    ValuesPart,
)
from workloads.inputs.words import exact
from workloads.layer import Layer, layer_to_dict

MOST_FILE_BYTES: Final = 1 << 27
"""A result file: what is written is never larger, and `report` reads no larger one."""

MOST_FILE_MEMORY: Final = 1 << 29
"""Memory of a result file that is read, by `json_memory`; of all those on one page together."""


@dataclass(frozen=True)
class Pricing:
    """An energy table, and what is compressed by layer name: bits by data type, weights pruned."""

    table: EnergyTable
    bits: MappingABC[str, MappingABC[str, int]] = field(default_factory=dict)
    pruned: MappingABC[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ValuesCheck:
    """How the ofmap of a run with real words compares with a NumPy convolution.

    `ofmap` is (N, M, E, F), before ReLU; `wrong` counts its elements that differ. `gated_off` is
    how many more MACs the machine gated than there are products with a zero ifmap word.
    """

    ofmap: NDArray[np.int64]
    wrong: int
    seed: int | None
    gated_off: int = 0

    def to_model(self) -> ValuesPart:
        """Return the check's object in the result file."""
        return ValuesPart(
            elements=int(self.ofmap.size),
            wrong=self.wrong,
            gated_off=self.gated_off,
            seed=self.seed,
        )


class Queue(Protocol):
    """How full the FIFOs of one kind got, and how long their writers waited for room."""

    @property
    def peak(self) -> int:
        """The most that any of them held at a time, words at a PE, lines at a bus."""

    @property
    def blocked_cycles(self) -> int:
        """Cycles that writers waited for room alone, summed over the writers."""


class EyexamStep(Protocol):
    """A step of Eyexam: the fewest cycles under its constraints and all before, and why so many."""

    @property
    def name(self) -> str:
        """What constrains the layer from here on."""

    @property
    def cycles(self) -> int:
        """Fewest cycles of the layer."""

    @property
    def reason(self) -> str:
        """Why, in words."""

    @property
    def limit(self) -> str:
        """The station that bounds a step of several stations, or an empty string."""


class LayerBound(Protocol):
    """What bounds a layer (docs/machine.md section 5)."""

    @property
    def by(self) -> tuple[str, ...]:
        """The resources whose doubling helps most: several are a tie."""

    @property
    def text(self) -> str:
        """The same in a few words."""

    @property
    def cycles(self) -> int:
        """Total latency in closed form."""

    @property
    def doubled(self) -> dict[str, int]:
        """The same with each resource alone twice as fast."""

    @property
    def together(self) -> int:
        """The same with all of `by` twice as fast."""


@dataclass(frozen=True, eq=False)
class LayerResult:
    """What one layer did; equal to another where both are the same in a result file.

    Cycles are core cycles; `standstill_cycles` by what the array waits for; `entries` words or
    actions by dotted name; `dram_bytes` what crosses the link, by data type, coded as `dram_coding`
    says; `bus_cycles` those in which each bus sends, by network; `multicast` ifmap words by PEs
    reached; `queues` the FIFOs by kind, empty in closed form, which has none; `pe_parts` (rows,
    columns) the part of each PE in the dataflow, empty where it has none; `pe_macs` (rows, columns)
    products; `pe_cycles` cause -> (rows, columns) cycles, which add up to `processing_cycles` in
    every PE. `values` is there where real words moved; `bound` is what bounds the total latency, by
    the closed form. `timeline` has the passes over time, and `eyexam` the steps from all MACs at
    once down to the cycles that the layer took.
    """

    layer: Layer
    mapping: Mapping
    mapping_source: str
    configurations: int
    passes: int
    passes_simulated: int
    macs: int
    processing_cycles: int
    standstill_cycles: dict[str, int]
    active_pes: int
    entries: dict[str, int]
    dram_bytes: dict[str, int]
    bus_cycles: dict[str, int]
    multicast: dict[int, int]
    queues: dict[str, Queue]
    pe_parts: NDArray[np.str_]
    pe_macs: NDArray[np.int64]
    pe_cycles: dict[str, NDArray[np.int64]]
    events: int = 0
    values: ValuesCheck | None = None
    bound: LayerBound | None = None
    energy: EnergyBreakdown | None = None
    timeline: Timeline | None = None
    eyexam: tuple[EyexamStep, ...] = ()
    dram_coding: dict[str, Coding] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        # Not field by field: arrays have no truth of their own.
        return isinstance(other, LayerResult) and self.to_dict() == other.to_dict()

    __hash__ = None  # type: ignore[assignment]

    @property
    def total_cycles(self) -> int:
        """Total latency: processing, and standing still while ifmaps load or ofmaps leave."""
        return self.processing_cycles + sum(self.standstill_cycles.values())

    @property
    def cycles_by_cause(self) -> dict[str, int]:
        """PE-cycles by cause, over all PEs of the array: they sum to cycles x PEs."""
        return {cause: int(cycles.sum()) for cause, cycles in self.pe_cycles.items()}

    @property
    def utilization_active(self) -> float:
        """MACs per cycle and active PE."""
        return self.macs / (self.processing_cycles * self.active_pes)

    @property
    def utilization_array(self) -> float:
        """MACs per cycle and PE of the array."""
        return self.macs / (self.processing_cycles * self.pe_macs.size)

    @property
    def glb_published_bytes(self) -> int:
        """GLB accesses in the published convention, bytes."""
        return published_glb_bytes(self.entries)

    def to_model(self) -> LayerPart:
        """Return the layer's object in the result file."""
        accesses = nested(self.entries)
        accesses[Level.NOC][Network.GIN_IFMAP]["multicast"] = {
            str(reached): words for reached, words in sorted(self.multicast.items())
        }
        bound, energy, timeline, values = self.bound, self.energy, self.timeline, self.values
        return LayerPart(
            name=self.layer.name,
            shape=layer_to_dict(self.layer),
            mapping=self.mapping.to_dict(),
            mapping_source=self.mapping_source,
            configurations=self.configurations,
            passes=self.passes,
            passes_simulated=self.passes_simulated,
            macs=self.macs,
            cycles=CyclesPart(
                processing=self.processing_cycles,
                total=self.total_cycles,
                standstill=self.standstill_cycles,
                by_cause=self.cycles_by_cause,
            ),
            active_pes=self.active_pes,
            utilization={"active": self.utilization_active, "array": self.utilization_array},
            dram_bytes=self.dram_bytes,
            dram_coding=dict(self.dram_coding),
            accesses=accesses,
            bus_cycles=self.bus_cycles,
            glb_published_convention_bytes=self.glb_published_bytes,
            queues={
                name: QueuePart(peak=queue.peak, blocked_cycles=queue.blocked_cycles)
                for name, queue in self.queues.items()
            },
            # Not checked number by number: an array may have a million PEs.
            pe=PePart.model_construct(
                part=self.pe_parts.tolist(),
                macs=self.pe_macs.tolist(),
                busy_cycles=self.busy_cycles.tolist(),
                by_cause={cause: cycles.tolist() for cause, cycles in self.pe_cycles.items()},
            ),
            values=values.to_model() if values is not None else None,
            bound=BoundPart(
                by=bound.by, cycles=bound.cycles, doubled=bound.doubled, together=bound.together
            )
            if bound is not None
            else None,
            energy=energy.to_model() if energy is not None else None,
            timeline=timeline.to_model() if timeline is not None else None,
            eyexam=[
                StepPart(
                    step=step.name,
                    cycles=step.cycles,
                    macs_per_cycle=self.macs / step.cycles,
                    limit=step.limit,
                    reason=step.reason,
                )
                for step in self.eyexam
            ],
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the layer's object in the result file as plain data."""
        return self.to_model().model_dump(mode="json")

    @property
    def busy_cycles(self) -> NDArray[np.int64]:
        """Cycles in which each PE computes or accumulates (rows, columns)."""
        return self.pe_cycles[Cause.COMPUTING] + self.pe_cycles[Cause.ACCUMULATING]


@dataclass(frozen=True)
class RefusedLayer:
    """A layer that the chip cannot run, and the rules that forbid it."""

    name: str
    reasons: tuple[str, ...]

    def to_model(self) -> RefusedPart:
        """Return the refusal's object in the result file."""
        return RefusedPart(name=self.name, reasons=list(self.reasons))

    def to_dict(self) -> dict[str, Any]:
        """Return the refusal's object in the result file as plain data."""
        return self.to_model().model_dump(mode="json")


@dataclass(frozen=True)
class Result:
    """The result of a run: its layers, those refused, and what the user should know."""

    engine: str
    network: str
    batch: int
    hw: Hardware
    layers: tuple[LayerResult, ...]
    refused: tuple[RefusedLayer, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """MACs of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def processing_cycles(self) -> int:
        """Processing latency of all layers, core cycles."""
        return sum(layer.processing_cycles for layer in self.layers)

    @property
    def total_cycles(self) -> int:
        """Total latency of all layers, core cycles."""
        return sum(layer.total_cycles for layer in self.layers)

    @property
    def cycles_by_cause(self) -> dict[str, int]:
        """PE-cycles by cause over all layers."""
        causes: dict[str, int] = {}
        for layer in self.layers:
            for cause, cycles in layer.cycles_by_cause.items():
                causes[cause] = causes.get(cause, 0) + cycles
        return causes

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of the layers that no total counts, because the chip refuses them."""
        return tuple(layer.name for layer in self.refused)

    @property
    def images_per_second(self) -> float | None:
        """Images over the total latency of the layers that ran; None where none did."""
        if not self.total_cycles:
            return None
        hz = exact(self.hw.clock.core_mhz) * 1_000_000
        return float(self.batch * hz / self.total_cycles)

    @property
    def mj_per_image(self) -> float | None:
        """Energy of an image in mJ; None where no table in pJ priced the result."""
        energy = self.energy
        if energy is None or energy.unit != "pJ":
            return None
        return float(energy.total / self.batch / 10**9)

    @property
    def tops_per_watt(self) -> float | None:
        """Operations, two a MAC with the gated ones, per pJ, which is TOPS/W; None likewise."""
        energy = self.energy
        if energy is None or energy.unit != "pJ" or not energy.total:
            return None
        return float(2 * self.macs / energy.total)

    @property
    def entries(self) -> dict[str, int]:
        """The ledger of all layers."""
        totals: dict[str, int] = {}
        for layer in self.layers:
            for name, count in layer.entries.items():
                totals[name] = totals.get(name, 0) + count
        return totals

    @property
    def energy(self) -> EnergyBreakdown | None:
        """The energy of all layers; None where no layer ran or no table priced it.

        As all totals it is without the layers in `left_out`.
        """
        parts = [layer.energy for layer in self.layers if layer.energy is not None]
        return network_energy(parts) if parts else None

    @property
    def processing_ms(self) -> float:
        """Processing latency of all layers, ms."""
        return self.milliseconds(self.processing_cycles)

    @property
    def total_ms(self) -> float:
        """Total latency of all layers, ms."""
        return self.milliseconds(self.total_cycles)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each layer that ran: plain numbers and texts, units in their names.

        `energy_pj` or `energy_normalised` by the unit of the table; `<cause>_pe_cycles` are the
        PE-cycles of `LayerResult.cycles_by_cause`.
        """
        return [self._row(layer) for layer in self.layers]

    def _row(self, layer: LayerResult) -> dict[str, Any]:
        energy = layer.energy
        unit = "" if energy is None else {"pJ": "pj", "normalised": "normalised"}[energy.unit]
        return {
            "layer": layer.layer.name,
            "mapping": str(layer.mapping),
            "mapping_source": layer.mapping_source,
            "macs": layer.macs,
            "passes": layer.passes,
            "active_pes": layer.active_pes,
            "processing_cycles": layer.processing_cycles,
            "processing_ms": self.milliseconds(layer.processing_cycles),
            "total_cycles": layer.total_cycles,
            "total_ms": self.milliseconds(layer.total_cycles),
            **{f"{what}_cycles": cycles for what, cycles in layer.standstill_cycles.items()},
            "utilization_active": layer.utilization_active,
            "utilization_array": layer.utilization_array,
            **{f"dram_{kind}_bytes": size for kind, size in layer.dram_bytes.items()},
            "glb_published_convention_bytes": layer.glb_published_bytes,
            **({} if energy is None else {f"energy_{unit}": energy.total_float}),
            **{f"{cause}_pe_cycles": cycles for cause, cycles in layer.cycles_by_cause.items()},
        }

    def to_frame(self) -> Any:
        """Return the `rows` as a pandas DataFrame, by layer; `attrs` name run and refused layers.

        Raises:
            InputError: pandas is not installed; it is an extra.

        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra, and slow to import
        except ImportError:
            message = "needs pandas, which is not installed: pip install 'eyeriss-sim[frame]'"
            raise InputError(Fault("", None, "to_frame", message)) from None
        frame = pd.DataFrame(self.rows()).set_index("layer") if self.layers else pd.DataFrame()
        frame.attrs = {
            "engine": self.engine,
            "network": self.network,
            "batch": self.batch,
            "hw": self.hw.name,
            "left_out": list(self.left_out),
        }
        return frame

    def milliseconds(self, cycles: int) -> float:
        """Return core cycles as milliseconds at the core clock."""
        return cycles / self.hw.core_hz * 1e3

    def to_model(self) -> ResultFile:
        """Return the model of the whole result file."""
        return ResultFile(
            engine=self.engine,
            network=self.network,
            batch=self.batch,
            hw=self.hw,
            layers=[layer.to_model() for layer in self.layers],
            refused=[refused.to_model() for refused in self.refused],
            notes=list(self.notes),
            totals=self._totals(),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the whole result file as plain data."""
        return self.to_model().model_dump(mode="json", by_alias=True)

    def totals(self) -> dict[str, Any]:
        """Return the sums over all layers but those `left_out`, as plain data."""
        return self._totals().model_dump(mode="json")

    def _totals(self) -> TotalsPart:
        energy = self.energy
        dram: dict[str, int] = {}
        for layer in self.layers:
            for kind, count in layer.dram_bytes.items():
                dram[kind] = dram.get(kind, 0) + count
        return TotalsPart(
            macs=self.macs,
            passes=sum(layer.passes for layer in self.layers),
            passes_simulated=sum(layer.passes_simulated for layer in self.layers),
            cycles=TotalCyclesPart(
                processing=self.processing_cycles,
                total=self.total_cycles,
                by_cause=self.cycles_by_cause,
            ),
            milliseconds={
                "processing": self.milliseconds(self.processing_cycles),
                "total": self.milliseconds(self.total_cycles),
            },
            dram_bytes=dram,
            accesses=nested(self.entries),
            glb_published_convention_bytes=sum(layer.glb_published_bytes for layer in self.layers),
            energy=energy.to_model() if energy is not None else None,
            left_out=list(self.left_out),
            images_per_second=self.images_per_second,
            mj_per_image=self.mj_per_image,
            tops_per_watt=self.tops_per_watt,
        )


def layer_result(
    plan: Plan,
    activity: LayerStats,
    *,
    causes: tuple[str, ...],
    stalls: NDArray[np.int64],
    passes_simulated: int,
    events: int = 0,
    queues: MappingABC[str, Queue] | None = None,
    values: ValuesCheck | None = None,
    bound: LayerBound | None = None,
    pricing: Pricing | None = None,
    timeline: Timeline | None = None,
    eyexam: tuple[EyexamStep, ...] = (),
    coding: dict[str, Coding] | None = None,
) -> LayerResult:
    """Book a layer's activity.

    `stalls` is (causes, rows, columns) in cycles. With `pricing` the ledger is priced, over the
    total latency. `coding` is how ifmap and ofmap cross the link; as the plan expects where None.
    """
    entries = ledger_entries(plan, activity.counts, gated_known=values is not None)
    waited = activity.standstill
    coding = Traffic.of(plan.layer, plan.hw).coding if coding is None else coding
    waiting: dict[str, int] = {
        Wait.IFMAP_LOAD: waited.ifmap_cycles,
        Wait.OFMAP_DUMP: waited.ofmap_cycles,
    }
    energy = None
    if pricing is not None:
        energy = layer_energy(
            plan,
            entries,
            pricing.table,
            cycles=activity.cycles + sum(waiting.values()),
            bits=pricing.bits.get(plan.layer.name),
            pruned=pricing.pruned.get(plan.layer.name, 0.0),
            # What is not coded crosses the link as the ledger counts it, scaled with its bits.
            dram_bits=coded_bits(coding, {"ifmap": waited.ifmap_bits, "ofmap": waited.ofmap_bits}),
        )
    return LayerResult(
        layer=plan.layer,
        mapping=plan.mapping,
        mapping_source=plan.mapping_source,
        configurations=plan.configurations,
        passes=plan.passes,
        passes_simulated=passes_simulated,
        macs=entries["mac.active"] + entries["mac.gated"],
        processing_cycles=activity.cycles,
        standstill_cycles=waiting,
        active_pes=plan.active_pes,
        entries=entries,
        dram_bytes={
            DataType.FILTER: ceil_div(entries["dram.filter.read"] * plan.hw.word_bits.filter, 8),
            DataType.IFMAP: ceil_div(waited.ifmap_bits, 8),
            DataType.OFMAP: ceil_div(waited.ofmap_bits, 8),
        },
        bus_cycles={bus: activity.bus_cycles.get(bus, 0) for bus in BUSES},
        multicast=activity.multicast,
        queues=dict(sorted((queues or {}).items())),
        pe_parts=plan.pe_parts(),
        pe_macs=activity.macs,
        pe_cycles={cause: stalls[place] for place, cause in enumerate(causes)},
        events=events,
        values=values,
        bound=bound,
        energy=energy,
        timeline=timeline,
        eyexam=eyexam,
        dram_coding=coding,
    )


def coded_bits(coding: MappingABC[str, str], bits: MappingABC[str, int]) -> dict[str, int]:
    """Return the bits on the link of coded data, which no precision scales."""
    return {kind: size for kind, size in bits.items() if coding[kind] != "raw"}
