"""Cost of a network from published figures alone: FODLAM, the first-order model of 2017.

Convolutions cost what the Eyeriss chip took for them (JSSC 2017, Tables V and VI: power times total
latency), fully connected layers what EIE took (ISCA 2016: one power for all, times each layer's
time), brought from 45 to 65 nm by classic scaling: time with the feature size, power with its
square. A layer of AlexNet or VGG-16 is looked up. Any other is scaled: its MACs times the average
cost of a MAC over all layers of its kind in both networks.

The figures are for different numbers of images. Those of Eyeriss are for its batch, 4 of AlexNet
and 3 of VGG-16, those of EIE for one image, and the original adds them up as they are; its average
cost of a MAC is that of a batch over the MACs of one image. Here `as_published` is the original's
arithmetic, and `per_image` divides each figure by the images it is for.

All numbers are exact fractions of the published decimals; `to_dict` gives the nearest floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel

from hw_models.fields import exact
from workloads.document import (
    Document,
    Fault,
    InputError,
    Line,
    parse_document,
    read_document,
    unknown_name,
    validate,
)
from workloads.layer import Layer
from workloads.network import Network, load_network, shipped_networks

__all__ = [
    "KINDS",
    "Cost",
    "EstimatedLayer",
    "LayerMacs",
    "PublishedLayer",
    "PublishedResult",
    "average_cost_per_mac",
    "diagnose",
    "estimate_config",
    "estimate_published",
    "look_up",
    "normalise",
    "published_layers",
    "scale",
]

LayerKind: TypeAlias = Literal["conv", "fc"]
Basis: TypeAlias = Literal["as_published", "per_image"]

KINDS: Final[tuple[LayerKind, ...]] = ("conv", "fc")
TARGET_NM: Final = 65

_NETWORKS: Final = {"alexnet": "AlexNet", "vgg16": "VGG16"}
_TYPES: Final[Mapping[str, LayerKind]] = {
    "convolution": "conv",
    "conv": "conv",
    "depthwise": "conv",
    "innerproduct": "fc",
    "fc": "fc",
}
"""Layer types of a netfile: Caffe's words, as in the original, and ours."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Energy in joules and latency in seconds."""

    energy_j: Fraction = Fraction()
    latency_s: Fraction = Fraction()

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.energy_j + other.energy_j, self.latency_s + other.latency_s)

    def times(self, factor: Fraction | int) -> Cost:
        """Both figures times `factor`."""
        return Cost(self.energy_j * factor, self.latency_s * factor)

    def to_dict(self) -> dict[str, float]:
        """The two figures under the original's names."""
        return {"energy": float(self.energy_j), "latency": float(self.latency_s)}


@dataclass(frozen=True, slots=True)
class PublishedLayer:
    """A layer with published figures: `cost` is for `images` images, `macs` for one."""

    network: str
    name: str
    kind: LayerKind
    macs: int
    images: int
    cost: Cost

    def cost_on(self, basis: Basis) -> Cost:
        """The cost as published, or of one image."""
        return self.cost if basis == "as_published" else self.cost.times(Fraction(1, self.images))


@dataclass(frozen=True, slots=True)
class LayerMacs:
    """What scaling needs of a layer: its kind and the MACs of one image."""

    name: str
    kind: LayerKind
    macs: int


@dataclass(frozen=True, slots=True)
class EstimatedLayer:
    """One layer of a result; `images` is None where it is scaled: the average mixes batches."""

    name: str
    kind: LayerKind
    way: Literal["look-up", "scaled"]
    macs: int
    images: int | None
    as_published: Cost
    per_image: Cost

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data; `energy` and `latency` are those as published."""
        return {
            "name": self.name,
            "kind": self.kind,
            "way": self.way,
            "macs": self.macs,
            "images": self.images,
            **self.as_published.to_dict(),
            "per_image": self.per_image.to_dict(),
        }


@dataclass(frozen=True)
class PublishedResult:
    """The cost of the chosen layers."""

    network: str
    layers: tuple[EstimatedLayer, ...]

    def cost(self, kind: LayerKind | None = None, basis: Basis = "as_published") -> Cost:
        """The cost of the layers of a kind, of all where None."""
        costs = (
            layer.as_published if basis == "as_published" else layer.per_image
            for layer in self.layers
            if kind in (None, layer.kind)
        )
        return sum(costs, Cost())

    def totals(self, basis: Basis = "as_published") -> dict[str, dict[str, float]]:
        """The original's output: `conv`, `fc` and `total`, each energy (J) and latency (s)."""
        return {
            "conv": self.cost("conv", basis).to_dict(),
            "fc": self.cost("fc", basis).to_dict(),
            "total": self.cost(None, basis).to_dict(),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader of the figures as published has to know."""
        images = sorted({layer.images for layer in self.layers if layer.images is not None})
        notes: list[str] = []
        if len(images) > 1:
            listed = " and ".join(str(number) for number in images)
            notes.append(
                f"the figures as published add layers measured on {listed} images; per_image "
                "divides each by its own"
            )
        elif images and images != [1]:
            notes.append(f"the figures as published are for a batch of {images[0]} images")
        if any(layer.way == "scaled" and layer.kind == "conv" for layer in self.layers):
            notes.append(
                "scaled convolutions as published are the cost of a batch of 4 or 3 over the MACs "
                "of one image; per_image is the cost of one"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """The original's output, then the same per image, the layers and the notes."""
        return {
            **self.totals(),
            "per_image": self.totals("per_image"),
            "network": self.network,
            "layers": [layer.to_dict() for layer in self.layers],
            "notes": list(self.notes),
        }


# --- published figures ----------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Measured(_Strict):
    power_mw: float = Field(gt=0)
    total_ms: float = Field(gt=0)


class _Batch(_Strict):
    batch: int = Field(ge=1)
    layers: dict[str, _Measured]


class _Eyeriss(_Strict):
    process_nm: int = Field(ge=1)
    networks: dict[str, _Batch]


class _Eie(_Strict):
    process_nm: int = Field(ge=1)
    power_w: float = Field(gt=0)
    batch: int = Field(ge=1)
    networks: dict[str, dict[str, float]]


class _Figures(_Strict):
    source: str
    eyeriss: _Eyeriss
    eie: _Eie


def normalise(
    seconds: Fraction, watts: Fraction, from_nm: int, to_nm: int = TARGET_NM
) -> tuple[Fraction, Fraction]:
    """Time and power moved to another process: times the ratio of sizes, times its square."""
    ratio = Fraction(to_nm, from_nm)
    return seconds * ratio, watts * ratio**2


@lru_cache(maxsize=1)
def published_layers() -> tuple[PublishedLayer, ...]:
    """Every layer of AlexNet and VGG-16 with its published cost at 65 nm."""
    file = "published.yaml"
    text = (resources.files("hw_models") / "data" / "fodlam" / file).read_text(encoding="utf-8")
    figures = validate(_Figures, parse_document(text, file))
    found: list[PublishedLayer] = []
    for key, name in _NETWORKS.items():
        macs = {layer.name: layer.macs_per_image for layer in load_network(key).layers}
        measured = figures.eyeriss.networks[key]
        for layer, figure in measured.layers.items():
            seconds, watts = normalise(
                exact(figure.total_ms) / 10**3,
                exact(figure.power_mw) / 10**3,
                figures.eyeriss.process_nm,
            )
            cost = Cost(seconds * watts, seconds)
            found.append(PublishedLayer(name, layer, "conv", macs[layer], measured.batch, cost))
        for layer, microseconds in figures.eie.networks[key].items():
            seconds, watts = normalise(
                exact(microseconds) / 10**6, exact(figures.eie.power_w), figures.eie.process_nm
            )
            cost = Cost(seconds * watts, seconds)
            found.append(PublishedLayer(name, layer, "fc", macs[layer], figures.eie.batch, cost))
    return tuple(found)


def average_cost_per_mac(basis: Basis = "as_published") -> dict[LayerKind, Cost]:
    """The cost of a MAC by kind of layer, over all layers of both networks.

    On the basis `as_published` it is the original's, a batch's cost over one image's MACs.
    """
    averages: dict[LayerKind, Cost] = {}
    for kind in KINDS:
        layers = [layer for layer in published_layers() if layer.kind == kind]
        cost = sum((layer.cost_on(basis) for layer in layers), Cost())
        averages[kind] = cost.times(Fraction(1, sum(layer.macs for layer in layers)))
    return averages


def diagnose() -> dict[str, Any]:
    """Cost per MAC of every layer and on average: how far scaling by MACs can be trusted.

    basis -> `per_layer` (`energy` in J or `latency` in s -> network -> layer) and `average`
    (-> kind). The average of a basis is what `scale` multiplies with.
    """
    bases: tuple[Basis, ...] = ("as_published", "per_image")
    return {basis: _diagnosis(basis) for basis in bases}


def _diagnosis(basis: Basis) -> dict[str, Any]:
    per_layer: dict[str, dict[str, dict[str, float]]] = {"energy": {}, "latency": {}}
    for layer in published_layers():
        per_mac = layer.cost_on(basis).times(Fraction(1, layer.macs)).to_dict()
        for figure, value in per_mac.items():
            per_layer[figure].setdefault(layer.network, {})[layer.name] = value
    averages = {kind: cost.to_dict() for kind, cost in average_cost_per_mac(basis).items()}
    return {
        "per_layer": per_layer,
        "average": {
            figure: {kind: cost[figure] for kind, cost in averages.items()}
            for figure in ("energy", "latency")
        },
    }


# --- the two ways ---------------------------------------------------------------------------------


def look_up(network: str, layers: Sequence[str]) -> PublishedResult:
    """Layers of AlexNet or VGG-16 at their published cost; a layer named twice counts twice.

    Names match in any case, and with `_` for `-`.

    Raises `InputError` for a network or layers without published figures.
    """
    name = _NETWORKS.get(_folded(network))
    if name is None:
        message = unknown_name("network with published figures", network, _NETWORKS.values())
        raise InputError(Fault("", None, "net", message))
    known = {_normal(layer.name): layer for layer in published_layers() if layer.network == name}
    _all_known(layers, known, name)
    return PublishedResult(
        name,
        tuple(
            EstimatedLayer(
                layer.name,
                layer.kind,
                "look-up",
                layer.macs,
                layer.images,
                layer.cost,
                layer.cost_on("per_image"),
            )
            for layer in (known[_normal(wanted)] for wanted in layers)
        ),
    )


def scale(network: str, layers: Iterable[LayerMacs]) -> PublishedResult:
    """Layers of any network: the MACs of each times the average cost of a MAC of its kind."""
    published, single = average_cost_per_mac(), average_cost_per_mac("per_image")
    return PublishedResult(
        network,
        tuple(
            EstimatedLayer(
                layer.name,
                layer.kind,
                "scaled",
                layer.macs,
                None,
                published[layer.kind].times(layer.macs),
                single[layer.kind].times(layer.macs),
            )
            for layer in layers
        ),
    )


def estimate_published(network: Network, *, scaled: bool = False) -> PublishedResult:
    """The cost of a network of ours.

    AlexNet and VGG-16 are looked up unless `scaled`; for every other network, and for a network of
    theirs with other layers, each layer is scaled.
    """
    names = [layer.name for layer in network.layers]
    if not scaled and _is_published(network):
        return look_up(network.name, names)
    return scale(network.name, map(_macs_of, network.layers))


def _is_published(network: Network) -> bool:
    name = _NETWORKS.get(_folded(network.name))
    figures = {layer.name: layer for layer in published_layers() if layer.network == name}
    return bool(figures) and all(
        layer.name in figures and layer.macs_per_image == figures[layer.name].macs
        for layer in network.layers
    )


def _macs_of(layer: Layer) -> LayerMacs:
    return LayerMacs(layer.name, "fc" if layer.kind == "fc" else "conv", layer.macs_per_image)


# --- the original's input -------------------------------------------------------------------------


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


def estimate_config(path: str) -> PublishedResult:
    """The original's input: a JSON file with `layers` and one of `net` and `netfile`.

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
        _all_known(config.layers, known, config.netfile or "")
        return scale(config.netfile or "", [known[_normal(name)] for name in config.layers])
    except InputError as error:
        raise InputError(*(_placed(fault, document) for fault in error.faults)) from None


def _placed(fault: Fault, document: Document) -> Fault:
    """A fault without a file is one of the configuration's own values."""
    if fault.file or fault.line is not None:
        return fault
    return document.fault((fault.field,) if fault.field else (), fault.message)


def _net_layers(folder: Path, netfile: str) -> dict[str, LayerMacs]:
    """The layers of a netfile that have MACs, by their normal names."""
    if netfile.casefold() in shipped_networks():
        return {_normal(layer.name): _macs_of(layer) for layer in load_network(netfile).layers}
    path = folder / netfile
    if not netfile.casefold().endswith(".json"):
        if not netfile.casefold().endswith((".yaml", ".yml")):
            known = unknown_name("network", netfile, shipped_networks())
            raise InputError(Fault("", None, "netfile", f"{known}, or a .json or .yaml file"))
        return {_normal(layer.name): _macs_of(layer) for layer in load_network(str(path)).layers}
    document = read_document(path)
    found: dict[str, LayerMacs] = {}
    faults: list[Fault] = []
    for place, layer in enumerate(validate(_NetFile, document).root):
        if layer.macs is None:  # activations and the like
            continue
        kind = _TYPES.get(layer.type.casefold())
        if kind is None:
            message = unknown_name("layer type with MACs", layer.type, _TYPES)
            faults.append(document.fault((place, "type"), message))
        elif _normal(layer.name) in found:
            faults.append(document.fault((place, "name"), f"{layer.name!r} is given twice"))
        else:
            found[_normal(layer.name)] = LayerMacs(layer.name, kind, layer.macs)
    if faults:
        raise InputError(*faults)
    return found


def _all_known(layers: Sequence[str], known: Mapping[str, Any], network: str) -> None:
    names = [layer.name for layer in known.values()]
    faults = [
        Fault("", None, "layers", f"{network} has {unknown_name('layer', name, names)}")
        for name in dict.fromkeys(layers)
        if _normal(name) not in known
    ]
    if faults:
        raise InputError(*faults)


def _normal(name: str) -> str:
    return name.upper().replace("_", "-")


def _folded(network: str) -> str:
    return network.casefold().replace("-", "").replace("_", "")
