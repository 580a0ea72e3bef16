"""FODLAM's own input: a JSON file of chosen layers, and the netfile that it may name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, RootModel

from sim.models.fodlam.figures import LayerKind
from sim.models.fodlam.model import (
    FodlamResult,
    LayerMacs,
    look_up,
    macs_of,
    normal_name,
    require_known,
    scale,
)
from workloads.inputs.document import Document, read_document
from workloads.inputs.faults import Fault, InputError
from workloads.inputs.models import validate
from workloads.inputs.words import Line, unknown_name
from workloads.network import load_network, shipped_networks

__all__ = ["estimate_config"]

_TYPES: Final[Mapping[str, LayerKind]] = {
    "convolution": "conv",
    "conv": "conv",
    "depthwise": "conv",
    "innerproduct": "fc",
    "fc": "fc",
}
"""Layer types of a netfile: Caffe's words, as in the original, and ours."""


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    net: str | None = None
    netfile: str | None = None
    layers: list[Line] = Field(description="list of the names of layers", min_length=1)


class _NetLayer(BaseModel):
    # Netfiles are written by another program, which may say more of a layer than is needed.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    name: Line = Field(description="name of the layer")
    type: str = ""
    macs: int | None = Field(default=None, ge=0)


class _NetFile(RootModel[list[_NetLayer]]):
    model_config = ConfigDict(frozen=True)


def estimate_config(path: str) -> FodlamResult:
    """Estimate from the original's input: a JSON file with `layers` and one of `net` and `netfile`.

    `net` is AlexNet or VGG16, whose layers are looked up. `netfile` is the path of a JSON file, as
    seen from the folder of the configuration, with the `name`, `type` and `macs` of each layer, or
    a network of ours by name or YAML file; its layers are scaled. `type` is conv, depthwise or fc,
    or Caffe's Convolution or InnerProduct.

    Raises `InputError` with every fault of the files.
    """
    document = read_document(path)
    config = validate(_Config, document)
    if (config.net is None) == (config.netfile is None):
        both = "both are given" if config.net is not None else "neither is given"
        message = f"one of net and netfile names the network; {both}"
        raise InputError(document.fault((), message))
    try:
        if config.net is not None:
            return look_up(config.net, config.layers)
        known = _net_layers(Path(path).parent, config.netfile or "")
        require_known(config.layers, known, config.netfile or "")
        return scale(config.netfile or "", [known[normal_name(name)] for name in config.layers])
    except InputError as error:
        raise InputError(*(_placed(fault, document) for fault in error.faults)) from None


def _placed(fault: Fault, document: Document) -> Fault:
    """Return the fault at its place; without a file it is one of the configuration's own values."""
    if fault.file or fault.line is not None:
        return fault
    return document.fault((fault.field,) if fault.field else (), fault.message)


def _net_layers(folder: Path, netfile: str) -> dict[str, LayerMacs]:
    """Return the layers of a netfile that have MACs, by their normal names."""
    if netfile.casefold() in shipped_networks():
        return {normal_name(layer.name): macs_of(layer) for layer in load_network(netfile).layers}
    path = folder / netfile
    if not netfile.casefold().endswith(".json"):
        if not netfile.casefold().endswith((".yaml", ".yml")):
            known = unknown_name("network", netfile, shipped_networks())
            raise InputError(Fault("", None, "netfile", f"{known}, or a .json or .yaml file"))
        return {normal_name(layer.name): macs_of(layer) for layer in load_network(str(path)).layers}
    document = read_document(path)
    layers: dict[str, LayerMacs] = {}
    faults: list[Fault] = []
    for index, layer in enumerate(validate(_NetFile, document).root):
        if layer.macs is None:  # activations and the like
            continue
        kind = _TYPES.get(layer.type.casefold())
        if kind is None:
            message = unknown_name("layer type with MACs", layer.type, _TYPES)
            faults.append(document.fault((index, "type"), message))
        elif normal_name(layer.name) in layers:
            faults.append(document.fault((index, "name"), f"{layer.name!r} is given twice"))
        else:
            layers[normal_name(layer.name)] = LayerMacs(layer.name, kind, layer.macs)
    if faults:
        raise InputError(*faults)
    return layers
