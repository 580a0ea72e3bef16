"""Several results side by side: the same figures of the same layers, and how far they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw_models.vocabulary import Network
from sim.report.views import energy_table, summed
from sim.result.model import LayerPart, ResultFile

METRICS: tuple[tuple[str, str, str], ...] = (
    ("total_ms", "total latency", "ms"),
    ("processing_ms", "processing latency", "ms"),
    ("macs_per_cycle", "MACs per cycle", ""),
    ("active_pes", "active PEs", ""),
    ("glb_mb", "GLB accesses as published", "MB"),
    ("dram_mb", "DRAM accesses", "MB"),
    ("energy", "energy", ""),
)


def compare(results: Sequence[tuple[str, ResultFile]]) -> dict[str, Any]:
    """Compare layers of all results by name; the first result is the base.

    The last row has all layers, where every result has the same ones.
    """
    names: dict[str, None] = {}
    for _, result in results:
        names.update(dict.fromkeys(layer.name for layer in result.layers))
    rows = []
    for name in names:
        in_each = [
            next((layer for layer in result.layers if layer.name == name), None)
            for _, result in results
        ]
        rows.append(
            {
                "layer": name,
                "runs": [
                    _figures(result, [layer]) if layer is not None else None
                    for (_, result), layer in zip(results, in_each, strict=True)
                ],
            }
        )
    same = all({layer.name for layer in result.layers} == set(names) for _, result in results)
    if same and len(names) > 1:
        rows.append(
            {"layer": "all", "runs": [_figures(result, result.layers) for _, result in results]}
        )
    return {
        "labels": [label for label, _ in results],
        "metrics": [list(metric) for metric in METRICS],
        "networks": [[network, network.label] for network in Network],
        "rows": rows,
        "warnings": _warnings(results),
    }


def _figures(result: ResultFile, layers: Sequence[LayerPart]) -> dict[str, Any]:
    cycles = sum(layer.cycles.processing for layer in layers)
    energy = energy_table(layers)
    entries = summed(layer.entries for layer in layers)
    single = layers[0] if len(layers) == 1 else None
    return {
        "processing_ms": result.milliseconds(cycles),
        "total_ms": result.milliseconds(sum(layer.cycles.total for layer in layers)),
        "macs_per_cycle": sum(layer.macs for layer in layers) / cycles,
        "active_pes": single.active_pes if single is not None else None,
        "glb_mb": sum(layer.glb_published_convention_bytes for layer in layers) / 1e6,
        "dram_mb": sum(sum(layer.dram_bytes.values()) for layer in layers) / 1e6,
        "energy": energy.total if energy is not None else None,
        "noc": {
            network: {
                "words": entries[network.words],
                "deliveries": entries.get(network.deliveries),  # a link has one end
            }
            for network in Network
        },
        "bound": single.bound.text if single is not None and single.bound is not None else "",
        "mapping": ", ".join(f"{k}={v}" for k, v in single.mapping.items()) if single else "",
    }


def _warnings(results: Sequence[tuple[str, ResultFile]]) -> list[str]:
    warnings = []
    batches = {result.batch for _, result in results}
    if len(batches) > 1:
        listed = ", ".join(f"{label}: {result.batch}" for label, result in results)
        warnings.append(f"The batches differ ({listed}): latencies are not those of the same work.")
    if len({result.network for _, result in results}) > 1:
        warnings.append("The networks differ; layers are put side by side by their names.")
    tables = {
        (layer.energy.table, layer.energy.unit)
        for _, result in results
        for layer in result.layers
        if layer.energy is not None
    }
    if len(tables) > 1:
        warnings.append("The energy tables differ: energies are not in the same unit or prices.")
    return warnings
