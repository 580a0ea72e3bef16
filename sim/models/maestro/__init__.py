"""MAESTRO, the data-centric cost model (Kwon et al., MICRO 2019; commit 4eb08d1 of its code).

>>> from sim.models.maestro import evaluate, parse_network
>>> text = '''Network toy { Layer A { Type: CONV
...   Dimensions { K: 4, C: 3, R: 3, S: 3, Y: 8, X: 8 }
...   Dataflow { TemporalMap(2,2) K; TemporalMap(1,1) C; SpatialMap(3,1) Y;
...     TemporalMap(3,1) X; TemporalMap(3,3) R; TemporalMap(3,3) S; } } }'''
>>> [layer] = evaluate(parse_network(text, "toy.m"), Hardware(pes=4))
>>> layer.cost.runtime, layer.cost.macs
(1296, 3888)
"""

from __future__ import annotations

from sim.errors import InputError
from sim.models.maestro.analysis import Hardware, analyse
from sim.models.maestro.hardware import read_hardware
from sim.models.maestro.language import Network, parse_network, read_network
from sim.models.maestro.levels import build_nest
from sim.models.maestro.report import LayerReport
from workloads.inputs.faults import MAX_FAULTS, Fault

__all__ = [
    "Hardware",
    "LayerReport",
    "Network",
    "evaluate",
    "parse_network",
    "read_hardware",
    "read_network",
]


def evaluate(network: Network, hardware: Hardware) -> list[LayerReport]:
    """Evaluate every layer of a mapping file.

    Raises:
        InputError: layers that MAESTRO refuses or crashes on; one fault each, with its line.

    """
    reports: list[LayerReport] = []
    faults: list[Fault] = []
    for layer in network.layers:
        try:
            nest = build_nest(network, layer, hardware.pes)
            cost = analyse(nest, hardware, network.fault(layer, ""))
            reports.append(LayerReport(network.name, layer, hardware, nest, cost))
        except InputError as error:
            faults.extend(error.faults)
    if faults:
        raise InputError(*faults[:MAX_FAULTS])
    return reports
