"""Mappings of Timeloop as our layers and factors, by way of the common loop nest."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from sim.models.timeloop.convolution import Convolution
from sim.models.timeloop.nodes import Node
from workloads.inputs.faults import Fault, InputError
from workloads.layer import Layer, ShapeError

if TYPE_CHECKING:
    from hw_models.spec import Hardware
    from sim.dataflow.base import Mapping

_LEVEL = re.compile(r"\b(DRAM|GLB|array|PE)\b")
_DIMENSION = re.compile(r"([GNMCEFRS])\b")


def layer_of(convolution: Convolution, name: str, node: Node) -> Layer:
    """Return the layer of a convolution; its ifmap holds all padding.

    Raises:
        InputError: no layer can be so.

    """
    sizes = convolution.sizes
    rows, columns = convolution.ifmap
    try:
        return Layer(
            name=name,
            G=sizes["G"],
            M=sizes["M"] * sizes["G"],
            C=sizes["C"],
            H=rows,
            W=columns,
            R=sizes["R"],
            S=sizes["S"],
            U=convolution.vertical_stride,
            V=convolution.horizontal_stride,
        )
    except ShapeError as error:
        raise InputError(
            *(node.fault(f"{field}: {why}") for field, why in error.problems)
        ) from None


def network_text(layer: Layer, batch: int) -> str:
    """Return a network file of one layer."""
    entry = {
        "name": layer.name,
        "ifmap": [layer.H, layer.W],
        "channels": layer.C * layer.G,
        "filters": layer.M,
        "filter": [layer.R, layer.S],
        "stride": [layer.U, layer.V],
        "groups": layer.G,
    }
    inner = ", ".join(f"{key}: {json.dumps(value)}" for key, value in entry.items())
    head = f"network: {json.dumps(layer.name)}\nsource: a problem of Timeloop\nbatch: {batch}\n"
    return f"{head}layers:\n  - {{{inner}}}\n"


def mapping_text(convolution: Convolution, layer: Layer, hw: str, node: Node) -> str:
    """Return a mapping file of one layer.

    Raises:
        InputError: the mapping is no row stationary of this hardware; each broken rule with the
            line of the loop that breaks it.

    """
    from hw_models.load import load_hardware

    mapping = factors_of(convolution, layer, load_hardware(hw), node)
    factors = ", ".join(f"{factor}: {value}" for factor, value in mapping.to_dict().items())
    return (
        "source: a mapping of Timeloop\nstatus: user\n"
        f"layers:\n  {json.dumps(layer.name)}: {{{factors}}}\n"
    )


def factors_of(convolution: Convolution, layer: Layer, hw: Hardware, node: Node) -> Mapping:
    """Return the loops of a convolution as a mapping of the machine.

    Raises:
        InputError: as `mapping_text`.

    """
    from sim.dataflow.base import find_dataflow
    from sim.dataflow.nest import LoopNest

    nest = LoopNest.of_bounds(
        (loop.dimension, loop.bound, loop.level) for loop in convolution.loops
    )
    try:
        return find_dataflow().from_nest(nest, layer, convolution.sizes["N"], hw)
    except InputError as error:
        raise InputError(*(_located(fault, convolution, node) for fault in error.faults)) from None


def _located(fault: Fault, convolution: Convolution, node: Node) -> Fault:
    """Return a fault of the nest with the line of the loop that it is about."""
    dimension, level = _DIMENSION.match(fault.message), _LEVEL.search(fault.message)
    for loop in convolution.loops if dimension and level else ():
        if dimension and level and (loop.dimension, loop.level) == (dimension[1], level[1]):
            called = (
                ""
                if loop.name == loop.dimension
                else f" ({loop.dimension} is the file's {loop.name})"
            )
            return loop.node.fault(f"not row stationary: {fault.message}{called}")
    return replace(node.fault(f"not row stationary here: {fault.message}"), field=fault.field)
