"""Writes a run into a trace file: the observer between the engine, the ledger and `traces`.

`record_machine` writes one pass of any dataflow, for who has a program and no plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hw_models.vocabulary import BLOCK_GROUPS, CAUSES, CROSSING, ENTRIES, DataType
from sim.account.ledger import gated_macs
from sim.engine.record import record_pass
from traces.events import ACTION, KIND
from traces.template import Template
from traces.writer import TraceWriter
from workloads.layer import layer_to_dict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from hw_models.spec import Hardware
    from sim.account.result import LayerResult, Pricing
    from sim.dataflow.base import Plan
    from sim.engine.machine import Machine, PassOutcome
    from sim.engine.probe import PassSeen, TileSeen
    from sim.run import NetworkPlan, Values
    from workloads.layer import Layer

PASSES_AT_ONCE = 256


class TraceRecorder:
    """Records a run, whole or in part.

    Give it to `sim.run.simulate` as an observer, then `close` it; or leave it by an exception, and
    what it has recorded stays in the partial file:

        with TraceRecorder("conv1.trace", prepared) as recorder:
            simulate(prepared, observers=[recorder])

    `layers` are the layers to record, `window` the cycles [first, last) of each layer (processing
    latency; passes that touch it are recorded whole), `blocks` the groups of `BLOCK_GROUPS`.

    Raises:
        OSError: the file cannot be written.

    """

    def __init__(
        self,
        path: Path | str,
        prepared: NetworkPlan,
        *,
        values: Values | None = None,
        layers: Sequence[str] = (),
        window: tuple[int, int] | None = None,
        blocks: Sequence[str] = (),
    ) -> None:
        self._chosen = {name.casefold() for name in layers}
        self._window = window
        self._numbers: dict[int, int] = {}
        self._passes: list[tuple[int, ...]] = []
        self._tiles: Sequence[TileSeen] = ()
        self._prepared = prepared
        self._results: list[LayerResult] = []
        self._recording = False
        self.left_behind: Path | None = None
        restricted: dict[str, Any] = {}
        if layers:
            restricted["layers"] = list(layers)
        if window is not None:
            restricted["window"] = list(window)
        if blocks:
            restricted["blocks"] = [group for group in BLOCK_GROUPS if group in blocks]
        description = _description(
            prepared.network, prepared.batch, prepared.hw, restricted,
            values=values is not None, seed=None if values is None else values.drawn_from,
        )  # fmt: skip
        self._writer = TraceWriter(path, description, blocks=blocks or None)

    def __enter__(self) -> TraceRecorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def close(self) -> None:
        """Seal the file: the run has ended."""
        self._writer.close()

    def abort(self) -> None:
        """Keep what there is in the partial file, `left_behind`: the run has failed."""
        self.left_behind = self._writer.abort()

    # ---------------------------------------------------------------- what the engine tells

    def layer_begins(self, plan: Plan) -> None:
        """Note that a layer starts."""
        name = plan.layer.name
        self._plan = plan
        self._recording = not self._chosen or name.casefold() in self._chosen
        if self._recording:
            self._writer.begin_layer(
                {
                    "name": name,
                    "shape": layer_to_dict(plan.layer),
                    "batch": plan.batch,
                    "mapping": plan.mapping.to_dict(),
                    "mapping_source": plan.mapping_source,
                    "passes": plan.passes,
                }
            )

    def wants(self, start: int, cycles: int) -> bool:
        """Tell whether a pass of these cycles is recorded."""
        if self._window is None or not self._recording:
            return self._recording
        first, last = self._window
        return start < last and start + cycles > first

    def template(self, number: int, record: Template) -> None:
        """Write a pass that was not seen before."""
        self._numbers[number] = self._writer.add_template(record)

    def passed(self, seen: PassSeen) -> None:
        """Note a pass that has run."""
        step = seen.step
        self._passes.append(
            (
                step.index,
                self._numbers[seen.template],
                seen.start,
                seen.cycles,
                seen.prefetched_words,
                *self._plan.bases(step),
            )
        )
        if len(self._passes) >= PASSES_AT_ONCE:
            self._flush()

    def layer_ends(self, tiles: Sequence[TileSeen]) -> None:
        """Write the passes that are left: all have run."""
        self._tiles = tiles
        if self._recording:
            self._flush()

    def layer_result(self, result: LayerResult, pricing: Pricing) -> None:
        """Write the ledger of the layer, for replay to compare."""
        if not self._recording:
            return
        self._recording = False
        tiles = [
            (t.passes, t.start, t.cycles, ACTION[t.action], KIND[t.kind], t.words, t.bits)
            for t in self._tiles
        ]
        self._results.append(result)
        figures = _result(result, pricing)
        # What a result file would hold, for `report`: the layer, and the sums up to here.
        figures["report"] = {
            "layer": result.to_dict(),
            "totals": self._prepared.result("event", self._results).totals(),
        }
        self._writer.end_layer(tiles, figures)

    def _flush(self) -> None:
        if self._passes:
            self._writer.add_passes(self._passes)
            self._passes.clear()


def record_machine(
    path: Path | str, machine: Machine, outcome: PassOutcome, layer: Layer, *, batch: int,
    ofmap: NDArray[np.int64] | None = None,
) -> None:  # fmt: skip
    """Write a trace of one pass that ran on a machine, whatever its dataflow.

    The pass begins where the layer does. Words between GLB and DRAM other than those of the loads
    are no part of a pass, so their counts are 0. `ofmap` is what the layer should give where real
    words moved, (batch, M, E, F); replay compares it with the words that left.

    Raises:
        OSError: the file cannot be written.

    """
    hw, values = machine.hw, machine.words is not None
    description = _description(layer.name, batch, hw, {}, values=values, seed=None)
    writer = TraceWriter(path, description)
    try:
        writer.begin_layer(
            {"name": layer.name, "shape": layer_to_dict(layer), "batch": batch, "passes": 1}
        )
        writer.add_template(record_pass(machine))
        writer.add_passes([(0, 0, 0, outcome.cycles, 0, 0, 0, 0, 0, 0)])
        writer.end_layer([], _pass_result(machine, outcome, layer, ofmap))
        writer.close()
    except BaseException:
        writer.abort()
        raise


def _pass_result(
    machine: Machine, outcome: PassOutcome, layer: Layer, ofmap: NDArray[np.int64] | None
) -> dict[str, Any]:
    """Return the figures of a layer that is one pass, for replay to compare."""
    counts, total = dict.fromkeys(ENTRIES, 0) | outcome.counts, outcome.counts["mac.total"]
    gated = outcome.gated_macs
    if machine.words is None:
        gated = gated_macs(total, layer.ifmap_zero_fraction)
    counts |= {"mac.active": total - gated, "mac.gated": gated}
    counts["spad.filter.read"] -= gated  # a gated MAC does not read its filter word
    bits = counts["dram.filter.read"] * machine.hw.word_bits.filter
    figures: dict[str, Any] = {
        "entries": {name: counts[name] for name in ENTRIES},
        "multicast": {str(reached): words for reached, words in outcome.multicast.items()},
        "processing_cycles": outcome.cycles,
        "standstill_cycles": {"ifmap_load": 0, "ofmap_dump": 0},
        "dram_bytes": dict.fromkeys(CROSSING, 0) | {DataType.FILTER: -(-bits // 8)},
        "pe_macs": outcome.macs.tolist(),
        "pe_cycles": dict(zip(CAUSES, outcome.stalls.tolist(), strict=True)),
    }
    if ofmap is not None:
        figures["ofmap"] = {"shape": list(ofmap.shape), "blake2b": ofmap_digest(ofmap)}
    return figures


def _description(
    network: str, batch: int, hw: Hardware, restricted: dict[str, Any], *, values: bool,
    seed: int | None,
) -> dict[str, Any]:  # fmt: skip
    try:
        program = version("eyeriss-sim")
    except PackageNotFoundError:  # run from a checkout that is not installed
        program = "unknown"
    return {
        "program": f"eyeriss-sim {program}",
        "network": network,
        "batch": batch,
        "hardware": hw.to_dict(),
        "machine": _machine(hw),
        "values": values,
        "seed": seed,
        "restricted": restricted,
    }


def _machine(hw: Hardware) -> dict[str, int]:
    """Return the figures of the chip that a reader of events needs."""
    return {
        "array_rows": hw.array.rows,
        "array_columns": hw.array.columns,
        "ifmap_fifo_words": hw.pe.ifmap_fifo_words,
        "psum_in_fifo_words": hw.pe.psum_in_fifo_words,
        "psum_out_fifo_words": hw.pe.psum_out_fifo_words,
        "ifmap_spad_words": hw.pe.ifmap_spad_words,
        "filter_spad_words": hw.pe.filter_spad_words,
        "bus_fifo_lines": hw.noc.bus_fifo_entries,
        "filter_bank_lines": hw.filter_bank_lines,
        "ifmap_word_bits": hw.word_bits.ifmap,
        "filter_word_bits": hw.word_bits.filter,
        "psum_word_bits": hw.word_bits.psum,
    }


def _result(result: LayerResult, pricing: Pricing) -> dict[str, Any]:
    name = result.layer.name
    figures: dict[str, Any] = {
        "entries": result.entries,
        "multicast": {str(reached): words for reached, words in sorted(result.multicast.items())},
        "processing_cycles": result.processing_cycles,
        "standstill_cycles": result.standstill_cycles,
        "dram_bytes": result.dram_bytes,
        "pe_macs": result.pe_macs.tolist(),
        "pe_cycles": {cause: result.pe_cycles[cause].tolist() for cause in CAUSES},
    }
    if result.energy is not None:
        figures["energy"] = result.energy.to_dict()
        figures["pricing"] = {
            "table": pricing.table.model_dump(mode="json"),
            "bits": dict(pricing.bits.get(name, {})),
            "pruned": pricing.pruned.get(name, 0.0),
            "dram_coding": result.dram_coding,
        }
    if result.values is not None:
        figures["ofmap"] = {
            "shape": list(result.values.ofmap.shape),
            "blake2b": ofmap_digest(result.values.ofmap),
        }
    return figures


def ofmap_digest(ofmap: NDArray[np.int64]) -> str:
    """Return the digest of an ofmap's words as 64-bit little-endian numbers, row-major."""
    return hashlib.blake2b(np.ascontiguousarray(ofmap, "<i8").tobytes(), digest_size=32).hexdigest()
